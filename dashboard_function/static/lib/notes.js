/** Messages in a corner, read aloud by screen readers: short ones go after a while, failures stay until they are put away. */

import { byId, h } from "./dom.js";
import { isLeaving, toldOf } from "./failures.js";

const SHOWN_MS = 6_000;
const MOST_FAILURES = 4;

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
 * Say that something was refused or failed, and what to do. It stays until somebody puts it away, in whatever section they are.
 *
 * @param {unknown} error
 * @param {string} [action] what was tried: the words on the button
 */
export function failed(error, action = "") {
  if (isLeaving(error)) return;
  const title = action ? `“${action.replace(/…$/, "")}” did not work` : "This did not work";
  const text = toldOf(error);
  const notes = byId("notes");
  const others = /** @type {HTMLElement[]} */ ([...notes.querySelectorAll(".failure")]);
  for (const same of others.filter((each) => each.dataset.says === title + text)) same.remove();
  for (const old of others.filter((each) => each.isConnected).slice(0, -(MOST_FAILURES - 1))) old.remove();
  const away = h("button", { type: "button", class: "small", "aria-label": `Put away: ${title}` }, "Put away");
  const shown = h("div", { class: "failure", "data-says": title + text }, h("b", {}, title), h("p", {}, text), away);
  const before = document.activeElement;
  away.addEventListener("click", () => {
    shown.remove();
    if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
    else byId("main").focus({ preventScroll: true });
  });
  notes.append(shown);
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
