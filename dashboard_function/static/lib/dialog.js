/** Questions before something that cannot be undone. */

import { freshId, h } from "./dom.js";
import { field } from "./form.js";

/** @typedef {import("./dom.js").Child} Child */

/**
 * Ask; the answer is true only if it was confirmed. The focus stays inside meanwhile and goes back to where it was.
 *
 * The question ends with its section, unanswered: who has left the section is not asked any more, and confirms nothing.
 *
 * @param {{ title: string, text: Child | Child[], action: string, typed?: string, isDangerous?: boolean, cancel?: string }} question
 *   `typed` has to be typed first, for what is worst
 * @param {AbortSignal} signal of the section that asks
 * @returns {Promise<boolean>}
 */
export function confirmed({ title, text, action, typed, isDangerous = true, cancel = "Cancel" }, signal) {
  if (signal.aborted) return Promise.resolve(false);
  const before = /** @type {HTMLElement | null} */ (document.activeElement);
  const heading = h("h2", { id: freshId("dialog") }, title);
  const about = h("div", { id: freshId("dialog-text") }, typeof text === "string" ? h("p", {}, text) : text);
  const yes = h("button", { type: "submit", value: "yes", class: isDangerous ? "danger" : "primary", disabled: Boolean(typed) }, action);
  const asked = typed ? typedName(typed, yes) : null;
  const dialog = h(
    "dialog",
    { "aria-labelledby": heading.id, "aria-describedby": about.id, class: "question" },
    h(
      "form",
      { method: "dialog" },
      heading,
      about,
      asked,
      h("div", { class: "actions" }, h("button", { type: "button", autofocus: !typed, onclick: () => dialog.close("") }, cancel), yes),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  const over = new AbortController();
  return new Promise((resolve) => {
    const end = (/** @type {boolean} */ answer) => {
      over.abort();
      dialog.remove();
      resolve(answer);
    };
    signal.addEventListener("abort", () => end(false), { signal: over.signal });
    dialog.addEventListener("close", () => {
      before?.focus();
      end(dialog.returnValue === "yes");
    });
  });
}

/**
 * @param {string} typed
 * @param {HTMLButtonElement} yes
 */
function typedName(typed, yes) {
  const input = h("input", { type: "text", autocomplete: "off", autocapitalize: "none", spellcheck: "false", autofocus: true });
  input.addEventListener("input", () => (yes.disabled = input.value.trim() !== typed));
  return field({ name: "typed", label: `Type “${typed}” to confirm`, control: input }).element;
}
