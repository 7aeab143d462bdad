/** What is told only once, such as a new key: shown above every section until it is put away. */

import { h } from "./dom.js";
import { button, snippet } from "./pieces.js";
import { watchPage } from "./unsaved.js";

const shelf = h("div", { class: "told-once", "aria-live": "polite" });
watchPage(() => shelf.childElementCount > 0);

/**
 * Show secrets, wherever the reader is by now, and wherever they go.
 *
 * @param {{ title: string, secrets: { label: string, text: string }[], more?: import("./dom.js").Child[] }} told
 */
export function showOnce({ title, secrets, more = [] }) {
  if (!shelf.isConnected) document.querySelector(".frame")?.before(shelf);
  const words = secrets.length > 1 ? "Copy them now. They are not shown again." : "Copy it now. It is not shown again.";
  const away = button(
    "Put away",
    () => {
      shown.remove();
      document.getElementById("main")?.focus({ preventScroll: true });
    },
    { "aria-label": `Put away: ${title}` },
  );
  const shown = h(
    "section",
    { class: "card keys", "aria-label": title },
    h("h2", {}, title),
    h("p", {}, words),
    secrets.map(({ label, text }) => snippet(text, label)),
    h("div", { class: "actions" }, away, more),
  );
  shelf.append(shown);
  scrollTo({ top: 0 });
}

/** Forget everything that is shown. */
export function putAllAway() {
  shelf.replaceChildren();
}
