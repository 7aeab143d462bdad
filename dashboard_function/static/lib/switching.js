/** Going to another loop, and to the other page, without signing in again. */

import { h } from "./dom.js";
import { keep, kept } from "./kept.js";
import { button } from "./pieces.js";
import { signInForm } from "./sign-in.js";

/** @typedef {import("./api.js").Api} Api */

/**
 * Let a link to the other page take loop and key along. In a new tab it takes only the loop: a key would stay in that tab's address.
 *
 * @param {HTMLAnchorElement} link
 * @param {string} page
 * @param {() => Api | null} who
 */
export function carry(link, page, who) {
  link.addEventListener("pointerdown", () => name());
  link.addEventListener("focus", () => name());
  link.addEventListener("click", (event) => {
    const api = who();
    if (!api || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    location.assign(`${page}#${new URLSearchParams(api.signIn())}`);
  });
  const name = () => (link.href = who() ? `${page}?${new URLSearchParams({ loop: who()?.loop ?? "" })}` : page);
}

/**
 * Ask for a loop: one that this tab has signed in to, or another one with its key.
 *
 * @param {Api[]} known
 * @param {Api} present
 * @param {AbortSignal} signal of the section, with which the question ends
 * @returns {Promise<Api | null>}
 */
export function chosenLoop(known, present, signal) {
  return new Promise((resolve) => {
    const end = (/** @type {Api | null} */ chosen) => {
      if (chosen && kept()) keep(chosen.signIn());
      resolve(chosen);
      dialog.close();
    };
    const others = known.filter((each) => each !== present);
    const dialog = h(
      "dialog",
      { class: "question", "aria-labelledby": "switch-title", onclose: () => (dialog.remove(), resolve(null)) },
      h(
        "div",
        { class: "stack" },
        h("h2", { id: "switch-title" }, "Another loop"),
        others.length ? h("p", {}, "You are signed in to:") : null,
        others.length
          ? h(
              "div",
              { class: "actions" },
              others.map((each) => button(each.loop, () => end(each))),
            )
          : null,
        signInForm({ loop: "", action: "Go there", onSignedIn: end, extra: [button("Cancel", () => end(null))] }).element,
      ),
    );
    signal.addEventListener("abort", () => end(null), { once: true });
    document.body.append(dialog);
    dialog.showModal();
  });
}
