/** Short messages: seen in a corner, read aloud by screen readers, gone after a while. */

import { byId, h } from "./dom.js";

const SHOWN_MS = 6_000;

/**
 * Say something that nobody has to act on.
 *
 * @param {string} text
 */
export function note(text) {
  const shown = h("p", { class: "note" }, text);
  byId("notes").append(shown);
  setTimeout(() => shown.remove(), SHOWN_MS);
}

/**
 * A message that stays: an error, or what came of something.
 *
 * @param {string} text
 * @param {"bad" | "warn" | "good" | "info"} [kind]
 */
export function message(text, kind = "bad") {
  return h("p", { class: `message ${kind}`, role: kind === "bad" ? "alert" : "status" }, text);
}
