/** Saving what was changed, unless somebody else has changed the same meanwhile: then what differs is shown first. */

import { Refusal, ifSame } from "./api.js";
import { confirmed } from "./dialog.js";
import { h } from "./dom.js";
import { table } from "./pieces.js";

/** @typedef {any} Values by the names of the API */
/** @typedef {{ value: Values, tag: string | null }} Read */

const CHANGED = 412;

/**
 * Save; gives what is in force then, or null if it was left undone.
 *
 * @param {{
 *   api: import("./api.js").Api,
 *   path: string,
 *   read: Read,
 *   changes: Values,
 *   agreed: (changes: Values) => Promise<boolean>,
 *   labelOf: (name: string) => string | null,
 *   signal: AbortSignal,
 * }} described `read` is what the page has shown, `agreed` asks what has to be asked before, `labelOf` names the values that are shown
 * @returns {Promise<Values | null>}
 */
export async function saved({ api, path, read, changes, agreed, labelOf, signal }) {
  let present = read.tag ? read : await api.tagged(path);
  for (;;) {
    if (!(await agreed(changes))) return null;
    try {
      return await api.put(path, { ...present.value, ...changes }, ifSame(present.tag));
    } catch (error) {
      if (!(error instanceof Refusal) || error.status !== CHANGED) throw error;
    }
    present = await api.tagged(path);
    if (!(await overwrites({ before: read.value, theirs: present.value, yours: changes, labelOf, signal }))) return null;
  }
}

/**
 * Show what somebody else has changed, beside what is to be saved, and ask whether that is still so.
 *
 * @param {{
 *   before: Values, theirs: Values, yours: Values | null, labelOf: (name: string) => string | null, signal: AbortSignal, action?: string,
 * }} described without `yours`, something is to be done that has no values of its own
 */
export function overwrites({ before, theirs, yours, labelOf, signal, action = "Save mine" }) {
  const isOther = (/** @type {string} */ name) =>
    !isSame(theirs[name], before[name]) || Boolean(yours && name in yours && !isSame(yours[name], before[name]));
  const names = [...new Set([...Object.keys(before), ...Object.keys(theirs)])].filter((name) => labelOf(name) !== null && isOther(name));
  const isBoth = names.some((name) => yours && name in yours && !isSame(theirs[name], before[name]) && !isSame(theirs[name], yours[name]));
  const rows = names.map((name) => [
    labelOf(name) ?? name,
    written(before[name]),
    written(theirs[name]),
    ...(yours ? [name in yours ? written(yours[name]) : h("span", { class: "faint" }, "as there now")] : []),
  ]);
  const lead = isBoth
    ? "Somebody else has changed the same meanwhile. If you save, your values take the place of theirs."
    : "Somebody else has made other changes meanwhile. They stay if you save.";
  const text = [
    h("p", {}, yours ? lead : "Somebody else has changed it meanwhile."),
    table("What differs", ["", "When you opened it", "There now", ...(yours ? ["Yours"] : [])], rows),
  ];
  return confirmed({ title: "Changed meanwhile", text, action, cancel: "Go back", isDangerous: isBoth || !yours }, signal);
}

/**
 * @param {unknown} one
 * @param {unknown} other
 */
function isSame(one, other) {
  return JSON.stringify(one ?? null) === JSON.stringify(other ?? null);
}

/** @param {unknown} value */
function written(value) {
  return value === null || value === undefined || value === ""
    ? "–"
    : h("code", {}, typeof value === "string" ? value : JSON.stringify(value));
}
