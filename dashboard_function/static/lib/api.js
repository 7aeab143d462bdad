/** The service's HTTP interface. Each call carries the key, which is held here and nowhere else. */

export const DEFAULT_LOOP = "default";
const VERSION = "2022-09-01-preview";
const KEY_HEADER = "Ocp-Apim-Subscription-Key";
const PATIENCE_MS = 30_000;
const LONGEST_MESSAGE = 2_000;
const MOST_DETAILS = 50;

/** @typedef {Record<string, string | number | boolean | null | undefined>} Query */

/**
 * An answer that says no. `target` names the member of the request that is to blame, where there is one, and `details` are further facts.
 *
 * @typedef {{ code: string, message: string }} Detail
 */
export class Refusal extends Error {
  /**
   * @param {number} status
   * @param {{
   *   code?: string, message?: string, target?: string, details?: Detail[], retryAfter?: string | null, requestId?: string | null,
   * }} error
   */
  constructor(status, { code = String(status), message = `The service answered ${status}.`, target, details = [], retryAfter, requestId }) {
    super(message);
    this.name = "Refusal";
    this.status = status;
    this.code = code;
    this.target = target ?? null;
    this.details = details;
    this.retryAfter = retryAfter ?? null;
    this.requestId = requestId ?? null;
  }
}

/** No answer at all: the service is not running, or not to be reached from here. */
export class NoAnswer extends Error {
  /** @param {boolean} [isChange] whether something was to be changed, which may have been done */
  constructor(isChange = false) {
    super("The service does not answer. Is it running?");
    this.name = "NoAnswer";
    this.isChange = isChange;
  }
}

/** An answer that is not the service's: of a proxy, or of a page to sign in to a network. */
export class ForeignAnswer extends Error {
  constructor() {
    super(
      "The answer is not this service's. Something between the browser and the service has answered, such as a proxy or the sign-in page of a network.",
    );
    this.name = "ForeignAnswer";
  }
}

/** A loop with its key, or the administrator with theirs. */
export class Api {
  #key;
  /** Called when the key is refused that was good before. */
  onKeyRefused = () => {};

  /**
   * @param {string} key
   * @param {string} [loop]
   */
  constructor(key, loop = DEFAULT_LOOP) {
    this.#key = key;
    this.loop = loop;
  }

  /**
   * Go on with the key of another one, which was signed in to the same loop.
   *
   * @param {Api} other
   */
  goOnWith(other) {
    this.#key = other.#key;
  }

  /** The same loop's or the administrator's address: where an SDK is pointed at. */
  get endpoint() {
    return new URL(this.#root, location.origin).href.replace(/\/$/, "");
  }

  /**
   * @param {string} path below the loop, as in `docs/reference.md`
   * @param {Query} [query]
   * @param {AbortSignal} [signal]
   * @returns {Promise<any>}
   */
  async get(path, query = {}, signal) {
    return parsed(await this.#call("GET", path, { query, signal }));
  }

  /**
   * GET, with the tag of what was read; who sends it along with a change overwrites nobody else's.
   *
   * @param {string} path
   * @param {AbortSignal} [signal]
   * @returns {Promise<{ value: any, tag: string | null }>}
   */
  async tagged(path, signal) {
    const response = await this.#call("GET", path, { signal });
    return { value: await parsed(response), tag: response.headers.get("ETag") };
  }

  /**
   * @param {string} path
   * @param {unknown} body
   * @param {Record<string, string>} [headers]
   * @returns {Promise<any>}
   */
  async put(path, body, headers = {}) {
    return parsed(await this.#call("PUT", path, { body, headers }));
  }

  /**
   * @param {string} path
   * @param {unknown} [body]
   * @returns {Promise<any>}
   */
  async post(path, body) {
    return parsed(await this.#call("POST", path, { body }));
  }

  /** @param {string} path */
  async remove(path) {
    await this.#call("DELETE", path, {});
  }

  /**
   * DELETE, where that answers with what is in force then.
   *
   * @param {string} path
   * @param {Record<string, string>} [headers]
   * @returns {Promise<any>}
   */
  async reset(path, headers = {}) {
    return parsed(await this.#call("DELETE", path, { headers }));
  }

  /**
   * Fetch a file.
   *
   * @param {string} path
   * @param {Query} [query]
   * @returns {Promise<Blob>}
   */
  async file(path, query = {}) {
    return (await this.#call("GET", path, { query })).blob();
  }

  /**
   * Fetch a piece of a file that comes in several.
   *
   * @param {string} path
   * @param {Query} query
   * @param {AbortSignal} signal
   */
  async piece(path, query, signal) {
    const response = await this.#call("GET", path, { query, signal });
    const content = await response.blob();
    return {
      content,
      events: Number(response.headers.get("x-personalizer-events")),
      next: response.headers.get("x-personalizer-next") ?? "",
    };
  }

  /** What it takes to sign in to it on the other page, or again. */
  signIn() {
    return { key: this.#key, loop: this.loop };
  }

  get #root() {
    return this.loop === DEFAULT_LOOP ? "/" : `/loops/${encodeURIComponent(this.loop)}/`;
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {{ query?: Query, body?: unknown, headers?: Record<string, string>, signal?: AbortSignal }} options
   */
  async #call(method, path, { query = {}, body, headers = {}, signal }) {
    const given = new Headers({ ...headers, [KEY_HEADER]: this.#key });
    const isFile = body instanceof Blob;
    if (body !== undefined && !isFile) given.set("Content-Type", "application/json");
    const response = await answered(
      this.#root + addressed(path, query),
      {
        method,
        headers: given,
        body: body === undefined ? undefined : isFile ? body : JSON.stringify(body),
        cache: "no-store",
        credentials: "omit",
        signal: AbortSignal.any([AbortSignal.timeout(PATIENCE_MS), ...(signal ? [signal] : [])]),
      },
      signal,
    );
    if (response.status === 401) this.onKeyRefused();
    if (!response.ok) throw await refusal(response);
    return response;
  }
}

/**
 * Give the headers that have a change refused with 412 if somebody else has changed the same since it was read.
 *
 * @param {string | null} tag as `tagged` gave it; an older service gives none, and then the last change wins
 * @returns {Record<string, string>}
 */
export function ifSame(tag) {
  return tag ? { "If-Match": tag } : {};
}

/**
 * Ask for a key's loop, to see whether it opens.
 *
 * @param {string} key
 * @param {string} loop
 * @returns {Promise<Api>}
 */
export async function opened(key, loop) {
  const api = new Api(key, loop);
  await api.get("status");
  return api;
}

/**
 * @param {string} path
 * @param {Query} query
 */
function addressed(path, query) {
  const versioned = path.startsWith("personalizer/") ? { "api-version": VERSION, ...query } : query;
  const given = Object.entries(versioned).flatMap(([name, value]) =>
    value === null || value === undefined ? [] : [[name, String(value)]],
  );
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

/**
 * @param {string} address
 * @param {RequestInit} request
 * @param {AbortSignal} [left]
 */
async function answered(address, request, left) {
  try {
    return await fetch(address, request);
  } catch (cause) {
    if (left?.aborted) throw cause;
    throw new NoAnswer(request.method !== "GET");
  }
}

/** @param {Response} response */
async function parsed(response) {
  const text = await whole(response);
  if (!text) return null;
  try {
    return JSON.parse(text);
  } catch {
    throw new ForeignAnswer();
  }
}

/**
 * Read an answer to its end, unless it breaks off.
 *
 * @param {Response} response
 */
async function whole(response) {
  try {
    return await response.text();
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === "AbortError") throw cause;
    throw new NoAnswer();
  }
}

/** @param {Response} response */
async function refusal(response) {
  const told = await response.json().catch(() => null);
  const { code, message, target, details } = Object(Object(told).error);
  const text = (/** @type {unknown} */ value) => (typeof value === "string" && value ? value.slice(0, LONGEST_MESSAGE) : undefined);
  const [retryAfter, requestId] = ["Retry-After", "apim-request-id"].map((name) => response.headers.get(name));
  const facts = (Array.isArray(details) ? details : [])
    .slice(0, MOST_DETAILS)
    .map((each) => ({ code: text(Object(each).code) ?? "", message: text(Object(each).message) ?? "" }));
  return new Refusal(response.status, {
    code: text(code),
    message: text(message),
    target: text(target),
    details: facts,
    retryAfter,
    requestId,
  });
}
