/** Segments: what is shown to whom, and which segment gains. */

import { h, renew, replace } from "../lib/dom.js";
import { repeated } from "../lib/live.js";
import { empty, heading } from "../lib/pieces.js";
import { rangeWords, rows, sinceDays } from "./breakdown.js";
import { askForCount, countList, showCount } from "./counts.js";
import { COLUMNS, LINES, SORTS, crossed, gains } from "./segment-tables.js";

/** @typedef {import("../sections.js").Page} Page */

const EVERY_MS = 10_000;
/** What is counted from the log. */
const COUNTS = { path: "breakdowns", place: "segments", one: "count", many: "Counted from the log" };

/** @param {Page} page */
export async function show(page) {
  if (page.argument === "new") await askForCount(page, COUNTS);
  else if (page.argument) await showCount(page, COUNTS);
  else live(page);
}

/** What the trainer counted, and what was counted from the log. @param {Page} page */
function live(page) {
  const { api, root, signal, onError } = page;
  const shown = h("div");
  let again = () => {};
  const found = rows(page, {
    name: "segments",
    path: "figures/segments",
    label: "Search values",
    sorts: SORTS,
    draw: (found) => (found.feature === null ? [nothingChosen()] : gains(found)),
    onRange: () => again(),
  });
  const ask = async () => {
    const days = found.days();
    const cells = await api.get("figures/crossed", { actions: LINES, values: COLUMNS, ...sinceDays(days) }, signal);
    if (days === found.days()) renew(shown, [cells, days], () => (cells.actions.length ? crossed(cells, `, ${rangeWords(days)}`) : null));
  };
  replace(
    root,
    heading("Segments", "What is shown to whom, and who gains, by the values of one feature of the context.", [
      h("a", { class: "button", href: "#/segments/new" }, "Count from the log"),
    ]),
    found.controls,
    found.content,
    shown,
    countList(page, COUNTS),
  );
  again = repeated(ask, { everyMs: EVERY_MS, signal, onError });
}

function nothingChosen() {
  return empty(
    "No feature is chosen yet",
    h("p", {}, "Choose a feature of the context, such as device or user.country. From then on the trainer counts by its values."),
    h("p", {}, "For what was logged before, or another feature, count from the log: that is done in the background."),
    h("p", {}, h("a", { class: "button primary", href: "#/configuration" }, "Choose a feature")),
  );
}
