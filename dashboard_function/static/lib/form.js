/** Forms: labelled fields, and refusals of the service shown at the field that they are about. */

import { Refusal } from "./api.js";
import { freshId, h, replace } from "./dom.js";
import { isLeaving, sentence, textOf, toldOf } from "./failures.js";
import { message } from "./notes.js";
import { watchSection } from "./unsaved.js";

export { textOf };

/** @typedef {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} Control */
/** @typedef {{ name: string, control: Control, element: HTMLElement, refuse: (text: string) => void }} Field */

/**
 * A labelled control. Its `name` is the member of the request that it fills, by which refusals find it.
 *
 * @param {{ name: string, label: string, control: Control, hint?: import("./dom.js").Child }} described
 * @returns {Field}
 */
export function field({ name, label, control, hint }) {
  control.id ||= freshId("field");
  control.setAttribute("name", name);
  const error = h("p", { class: "error", id: `${control.id}-error` });
  const hinted = hint ? h("p", { class: "hint", id: `${control.id}-hint` }, hint) : null;
  control.setAttribute("aria-describedby", [hinted?.id, error.id].filter(Boolean).join(" "));
  const isChecked = isCheck(control);
  const named = h("label", { for: control.id }, label);
  const element = h("div", { class: isChecked ? "field check" : "field" }, isChecked ? [control, named] : [named, control], hinted, error);
  const refuse = (/** @type {string} */ text) => {
    error.textContent = text;
    control.toggleAttribute("aria-invalid", false);
    if (text) control.setAttribute("aria-invalid", "true");
  };
  control.addEventListener("input", () => refuse(""));
  return { name, control, element, refuse };
}

/**
 * A form that sends something and tells at the right field what is wrong with it.
 *
 * @param {{
 *   content: import("./dom.js").Child[],
 *   fields: () => Field[],
 *   submit: () => Promise<void | false>,
 *   action: string,
 *   extra?: import("./dom.js").Child[],
 *   attributes?: Record<string, unknown>,
 *   signal?: AbortSignal,
 * }} described `fields` are asked for when something is refused: there may be other ones by then. `submit` gives false if nothing was sent.
 *   With the `signal` of its section, who leaves the form with input that was not sent is asked first
 */
export function form({ content, fields, submit, action, extra = [], attributes = {}, signal }) {
  let sent = inputOf(fields());
  let edits = 0;
  if (signal) watchSection(() => inputOf(fields()) !== sent, signal);
  const general = h("div", { class: "general" });
  const button = h("button", { type: "submit", class: "primary" }, action);
  const element = h("form", { novalidate: true, ...attributes }, general, content, h("div", { class: "actions" }, button, extra));
  element.addEventListener("input", () => (edits += 1));
  element.addEventListener("submit", (event) => {
    event.preventDefault();
    void busy(button, async () => {
      replace(general);
      for (const each of fields()) each.refuse("");
      try {
        const [given, before] = [inputOf(fields()), edits];
        if ((await submit()) !== false) sent = edits === before ? inputOf(fields()) : given;
      } catch (error) {
        showRefusal(error, fields(), general);
      }
    });
  });
  return element;
}

/** All that is put in, to see whether it has changed. @param {Field[]} fields */
function inputOf(fields) {
  return JSON.stringify(fields.map(({ name, control }) => [name, valueOf(control)]));
}

/**
 * Watch what is put in from now on; the function that is given puts it into the fields of a form that takes the place of this one.
 *
 * @param {Field[]} fields
 * @returns {(others: Field[]) => void}
 */
export function watchInput(fields) {
  const before = new Map(fields.map(({ name, control }) => [name, valueOf(control)]));
  return (others) => {
    for (const { name, control } of fields) {
      const other = others.find((each) => each.name === name);
      if (!other || valueOf(control) === before.get(name)) continue;
      if (isCheck(control) && isCheck(other.control)) other.control.checked = control.checked;
      else other.control.value = control.value;
    }
  };
}

/** @param {Control} control */
function valueOf(control) {
  return isCheck(control) ? control.checked : control.value;
}

/**
 * @param {Control} control
 * @returns {control is HTMLInputElement}
 */
function isCheck(control) {
  return control instanceof HTMLInputElement && control.type === "checkbox";
}

/**
 * Say at the field what was refused, or above all of them if it is about none.
 *
 * @param {unknown} error
 * @param {Field[]} fields
 * @param {HTMLElement} general
 */
export function showRefusal(error, fields, general) {
  const target = error instanceof Refusal ? error.target : null;
  const blamed = fields.find((each) => each.name === target) ?? fields.find((each) => target && target.startsWith(`${each.name}.`));
  if (!blamed) {
    if (!isLeaving(error)) replace(general, message(toldOf(error)));
    return;
  }
  blamed.refuse(sentence(textOf(error).replace(`${target}: `, "")));
  blamed.control.focus();
}

/**
 * Do it once: the button, or all that is in an element, cannot be used again until it is done.
 *
 * @param {HTMLElement} element
 * @param {() => Promise<void>} work
 */
export async function busy(element, work) {
  if (element.getAttribute("aria-busy") === "true") return;
  element.setAttribute("aria-busy", "true");
  try {
    await work();
  } finally {
    element.removeAttribute("aria-busy");
  }
}

/**
 * @param {[string, string][]} options values and what is shown for them
 * @param {string} chosen
 */
export function select(options, chosen) {
  return h(
    "select",
    {},
    options.map(([value, text]) => h("option", { value, selected: value === chosen }, text)),
  );
}
