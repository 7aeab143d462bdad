/** Questions before something that cannot be undone. */

import { freshId, h } from "./dom.js";
import { field } from "./form.js";

/**
 * Ask; the answer is true only if it was confirmed. The focus stays inside meanwhile and goes back to where it was.
 *
 * @param {{ title: string, text: string, action: string, typed?: string, isDangerous?: boolean }} question
 *   `typed` has to be typed first, for what is worst
 * @returns {Promise<boolean>}
 */
export function confirmed({ title, text, action, typed, isDangerous = true }) {
  const before = /** @type {HTMLElement | null} */ (document.activeElement);
  const heading = h("h2", { id: freshId("dialog") }, title);
  const about = h("div", { id: freshId("dialog-text") }, h("p", {}, text));
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
      h("div", { class: "actions" }, h("button", { type: "button", autofocus: !typed, onclick: () => dialog.close("") }, "Cancel"), yes),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      before?.focus();
      resolve(dialog.returnValue === "yes");
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
