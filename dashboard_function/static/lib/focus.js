/** The focus is never lost: where the element that had it is taken away, it goes to what took its place, or to the section's title. */

import { nameOf } from "./dom.js";

const FOCUSABLE = "a[href], button, input, select, textarea, summary, [tabindex]";

/**
 * Watch a part of the page from now on.
 *
 * @param {HTMLElement} part
 */
export function keepFocus(part) {
  /** @type {Element | null} */
  let last = null;
  let name = "";
  document.addEventListener("focusin", ({ target }) => {
    last = target instanceof Element ? target : null;
    name = last ? keyOf(last) : "";
  });
  document.addEventListener("pointerdown", () => (last = null), { capture: true });
  const observer = new MutationObserver(() => {
    if (!last || last.isConnected || document.activeElement !== document.body) return;
    const found = [...part.querySelectorAll(FOCUSABLE)].find((each) => name && keyOf(each) === name && isShown(each));
    const wanted = found ?? part.querySelector("h1") ?? part;
    if (wanted instanceof HTMLElement) wanted.focus({ preventScroll: true });
  });
  observer.observe(document.body, { childList: true, subtree: true });
}

/** @param {Element} element */
function keyOf(element) {
  return element.getAttribute("name") ?? String(nameOf(element));
}

/** @param {Element} element */
function isShown(element) {
  return element.getClientRects().length > 0;
}
