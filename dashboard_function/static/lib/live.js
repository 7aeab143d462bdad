/** Work that is repeated while somebody looks: it pauses with the page, and goes on after a lost connection. */

import { NoAnswer, Refusal } from "./api.js";

/** @typedef {"live" | "lost" | "paused" | "idle"} Connection `idle`: nothing is repeated */

const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 8_000;

/** How the connection is: `change` after each try, `lost` and `found` when it went and came back. */
class ConnectionState extends EventTarget {
  /** @type {Connection} */
  state = "idle";
  /** When the service answered last. */
  at = Date.now();

  /** Whether somebody wants nothing to change by itself. */
  isHeld = false;

  /** Have nothing change by itself, or go on. @param {boolean} isHeld */
  hold(isHeld) {
    this.isHeld = isHeld;
    this.dispatchEvent(new Event(isHeld ? "held" : "freed"));
    this.dispatchEvent(new Event("change"));
  }

  /** @param {Connection} state */
  set(state) {
    const before = this.state;
    this.state = state;
    if (state === "live") this.at = Date.now();
    if (state === "lost" && before !== "lost") this.dispatchEvent(new Event("lost"));
    if (state === "live" && before === "lost") this.dispatchEvent(new Event("found"));
    this.dispatchEvent(new Event("change"));
  }
}

export const connection = new ConnectionState();

/**
 * Do it now and again until the signal: `everyMs` after it was done, sooner and then ever later after a failure, not while the page is hidden.
 *
 * A failure of the connection, or of what the service depends on, is told to `connection`; any other ends it and goes to `onError`.
 *
 * @param {() => Promise<void>} task
 * @param {{ everyMs: number, signal: AbortSignal, onError: (error: unknown) => void }} options
 * @returns {(() => void) & { first: Promise<void> }} has it done at once, or once more if it is being done; `first`: until it was done once,
 *   or has ended
 */
export function repeated(task, { everyMs, signal, onError }) {
  const alarm = new EventTarget();
  let isWanted = false;
  const again = () => {
    isWanted = true;
    alarm.dispatchEvent(new Event("ring"));
  };
  const first = /** @type {Promise<void>} */ (
    new Promise((resolve) => {
      const told = async () => {
        await task();
        resolve();
      };
      void rounds(told, { everyMs, signal, onError, alarm, takeWish: () => isWanted && !(isWanted = false) }).then(resolve);
    })
  );
  return Object.assign(again, { first });
}

/**
 * @param {() => Promise<void>} task
 * @param {{ everyMs: number, signal: AbortSignal, onError: (error: unknown) => void, alarm: EventTarget, takeWish: () => boolean }} options
 */
async function rounds(task, { everyMs, signal, onError, alarm, takeWish }) {
  let retryMs = FIRST_RETRY_MS;
  while (!signal.aborted) {
    let waitMs = everyMs;
    takeWish();
    try {
      await task();
      retryMs = FIRST_RETRY_MS;
      connection.set("live");
    } catch (error) {
      if (signal.aborted) return;
      if (!isPassing(error)) return onError(error);
      connection.set("lost");
      waitMs = retryMs;
      retryMs = Math.min(retryMs * 2, LONGEST_RETRY_MS);
    }
    if (!takeWish() && !(await paused(waitMs, signal, alarm))) await freed(signal, alarm);
    await shown(signal);
  }
}

/**
 * Whether it may be gone when the call is made again.
 *
 * @param {unknown} error
 */
export function isPassing(error) {
  return error instanceof NoAnswer || (error instanceof Refusal && (error.status >= 500 || error.status === 429));
}

/**
 * Wait, but no longer than until the signal or the alarm; tells whether it was one of these.
 *
 * @param {number} milliseconds
 * @param {AbortSignal} signal
 * @param {EventTarget} alarm
 * @returns {Promise<boolean>}
 */
function paused(milliseconds, signal, alarm) {
  const over = new AbortController();
  return new Promise((resolve) => {
    const end = (/** @type {Event | undefined} */ event) => {
      over.abort();
      clearTimeout(timer);
      resolve(event !== undefined);
    };
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener("abort", end, { signal: over.signal });
    alarm.addEventListener("ring", end, { signal: over.signal });
  });
}

/**
 * Wait while nothing is to change by itself: until the signal, the alarm, or somebody wants it to go on.
 *
 * @param {AbortSignal} signal
 * @param {EventTarget} alarm
 * @returns {Promise<void>}
 */
async function freed(signal, alarm) {
  if (!connection.isHeld || signal.aborted) return;
  const over = new AbortController();
  await new Promise((resolve) => {
    connection.addEventListener("freed", resolve, { signal: over.signal });
    alarm.addEventListener("ring", resolve, { signal: over.signal });
    signal.addEventListener("abort", resolve, { signal: over.signal });
  });
  over.abort();
}

/**
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
async function shown(signal) {
  if (!document.hidden || signal.aborted) return;
  connection.set("paused");
  await untilShown(signal);
}

/**
 * Wait while nobody can see the page.
 *
 * @param {AbortSignal} signal
 * @returns {Promise<void>}
 */
export async function untilShown(signal) {
  if (!document.hidden || signal.aborted) return;
  const over = new AbortController();
  await new Promise((resolve) => {
    document.addEventListener("visibilitychange", resolve, { signal: over.signal });
    signal.addEventListener("abort", resolve, { signal: over.signal });
  });
  over.abort();
}
