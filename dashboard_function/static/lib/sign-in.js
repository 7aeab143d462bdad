/** Signing in with a loop's key. It is kept in memory only, and by the tab if somebody wants that. */

import { DEFAULT_LOOP, Refusal, opened } from "./api.js";
import { h, replace } from "./dom.js";
import { field, form } from "./form.js";
import { forget, keep, kept } from "./kept.js";
import { message } from "./notes.js";

/** @typedef {import("./api.js").Api} Api */

/**
 * Take a key out of the address (`#key=…`, and with it `&loop=…`) and erase it there at once, so that no history and no screenshot has it.
 *
 * @returns {{ key: string, loop: string } | null}
 */
export function keyOfAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  const key = given.get("key");
  if (!key) return null;
  history.replaceState(null, "", location.pathname + location.search);
  return { key, loop: given.get("loop") || DEFAULT_LOOP };
}

/**
 * Give the sign-in of the address, or the one that this tab keeps.
 *
 * @returns {{ key: string, loop: string } | null}
 */
export function givenSignIn() {
  return keyOfAddress() ?? kept();
}

/**
 * Show the form until somebody is in.
 *
 * @param {HTMLElement} container
 * @param {{ title: string, lead: string, reason?: string, loop?: string }} words
 * @returns {Promise<Api>}
 */
export function signedIn(container, { title, lead, reason, loop = DEFAULT_LOOP }) {
  return new Promise((resolve) => {
    const { element, key } = signInForm({ loop, action: "Sign in", onSignedIn: resolve });
    replace(
      container,
      h(
        "section",
        { class: "sign-in card", "aria-labelledby": "sign-in-title" },
        h("h1", { id: "sign-in-title", tabindex: "-1" }, title),
        h("p", { class: "lead" }, lead),
        reason ? message(reason) : null,
        element,
        whereTheKeyIs(),
      ),
    );
    key.control.focus();
  });
}

/**
 * The fields for a loop and its key.
 *
 * @param {{ loop: string, action: string, onSignedIn: (api: Api) => void, extra?: import("./dom.js").Child[] }} options
 */
export function signInForm({ loop, action, onSignedIn, extra = [] }) {
  const key = field({
    name: "key",
    label: "Key",
    control: h("input", { type: "password", autocomplete: "off", spellcheck: "false", autocapitalize: "none", required: true }),
    hint: "One of the loop's two keys. It stays in this tab's memory until the tab is closed.",
  });
  const named = field({
    name: "loop",
    label: "Loop",
    control: h("input", { type: "text", value: loop, autocomplete: "off", spellcheck: "false", autocapitalize: "none", required: true }),
    hint: `“${DEFAULT_LOOP}”, unless you have several loops.`,
  });
  const keeps = h("input", { type: "checkbox", checked: kept() !== null });
  const keeping = field({
    name: "keep",
    label: "Keep me signed in in this tab",
    control: keeps,
    hint: "A reload does not ask again then. The browser keeps the key until the tab is closed, or you sign out.",
  });
  const submit = async () => {
    if (!key.control.value.trim()) return missing(key, "A key is needed.");
    const api = await opener(key.control.value.trim(), named.control.value.trim().toLowerCase() || DEFAULT_LOOP);
    if (keeps.checked) keep(api.signIn());
    else forget();
    onSignedIn(api);
  };
  const content = [key.element, named.element, keeping.element];
  return { key, element: form({ content, fields: () => [key, named], submit, action, extra }) };
}

/**
 * @param {import("./form.js").Field} blamed
 * @param {string} text
 */
function missing(blamed, text) {
  blamed.refuse(text);
  blamed.control.focus();
}

/**
 * @param {string} key
 * @param {string} loop
 */
async function opener(key, loop) {
  try {
    return await opened(key, loop);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.status === 401)
      throw new Refusal(401, { code: error.code, message: `This key does not open the loop “${loop}”.`, target: "key" });
    if (error.status === 404) throw new Refusal(404, { code: error.code, message: `There is no loop “${loop}” here.`, target: "loop" });
    throw error;
  }
}

function whereTheKeyIs() {
  return h(
    "details",
    { class: "quiet" },
    h("summary", {}, "Where is the key?"),
    h(
      "ul",
      {},
      h(
        "li",
        {},
        h("code", {}, "make run"),
        " prints it, with a link that signs you in, and keeps it in ",
        h("code", {}, ".local/keys"),
        ".",
      ),
      h("li", {}, "In Azure it is in the app setting ", h("code", {}, "PERSONALIZER_KEYS"), " of the function app."),
      h("li", {}, "The keys of another loop were shown when it was made. The administrator can regenerate them."),
    ),
  );
}
