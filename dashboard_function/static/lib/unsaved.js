/** Input that would be lost: who leaves it is asked first. */

/** @typedef {() => boolean} Loses whether something would be lost now */

/** @type {Set<Loses>} */
const inSection = new Set();
/** @type {Set<Loses>} */
const inPage = new Set();

addEventListener("beforeunload", (event) => {
  if (losesSection() || losesPage()) event.preventDefault();
});

/**
 * Watch input that is lost with its section.
 *
 * @param {Loses} loses
 * @param {AbortSignal} signal ends the section
 */
export function watchSection(loses, signal) {
  if (signal.aborted) return;
  inSection.add(loses);
  signal.addEventListener("abort", () => inSection.delete(loses), { once: true });
}

/**
 * Watch something that is lost only with the page, or by signing out.
 *
 * @param {Loses} loses
 */
export function watchPage(loses) {
  inPage.add(loses);
}

export function losesSection() {
  return [...inSection].some((loses) => loses());
}

export function losesPage() {
  return [...inPage].some((loses) => loses());
}
