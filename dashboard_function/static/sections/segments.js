/** Segments: what is shown to whom, and which segment gains. */

import { h, renew, replace } from "../lib/dom.js";
import { count, percent, reward } from "../lib/format.js";
import { liftWords } from "../lib/lift.js";
import { repeated } from "../lib/live.js";
import { amount, card, empty, heading, table } from "../lib/pieces.js";
import { average, events, figure, others, rangeWords, rows, sinceDays, source } from "./breakdown.js";

/** @typedef {import("../sections.js").Page} Page */

const EVERY_MS = 10_000;
const COLUMNS = 8;
const LINES = 20;

/** @type {[string, string][]} */
const SORTS = [
  ["events", "Most events first"],
  ["averageReward", "Highest reward first"],
  ["lastSeen", "Last seen first"],
  ["id", "By value"],
];

/** @param {Page} page */
export function show(page) {
  const { api, root, signal, onError } = page;
  const shown = h("div");
  let again = () => {};
  const found = rows(page, {
    name: "segments",
    path: "figures/segments",
    label: "Search values",
    sorts: SORTS,
    draw,
    onRange: () => again(),
  });
  const ask = async () => {
    const days = found.days();
    const cells = await api.get("figures/crossed", { actions: LINES, values: COLUMNS, ...sinceDays(days) }, signal);
    if (days === found.days()) renew(shown, [cells, days], () => (cells.actions.length ? crossed(cells, rangeWords(days)) : null));
  };
  replace(
    root,
    heading("Segments", "What is shown to whom, and who gains, by the values of one feature of the context."),
    found.controls,
    found.content,
    shown,
  );
  again = repeated(ask, { everyMs: EVERY_MS, signal, onError });
}

/** @param {any} found */
function draw(found) {
  if (found.feature === null) return [nothingChosen()];
  if (!found.count) return [empty("No events in this range", h("p", {}, "An event is counted when its reward wait time is over."))];
  if (!found.value.length) return [empty("No value is called so")];
  const heads = [found.feature, "#Events", "#Share", "#Average reward", "#Baseline", "#Lift"];
  const row = (/** @type {any} */ each) => [
    named(each.value),
    events(each),
    amount(percent(each.share)),
    average(each),
    average({ averageReward: each.gain.baselineReward, confidenceInterval: each.gain.baselineInterval }),
    lift(each.gain.lift),
  ];
  const note =
    "The smaller numbers are 95% intervals, each for one look at one row. The baseline is your own choice in the same events. Of many rows some lie outside their interval by chance.";
  return [
    card(
      "Which segment gains",
      table("Which segment gains", heads, found.value.map(row)),
      h("p", { class: "faint" }, note),
      others(found),
      source(found),
    ),
  ];
}

function nothingChosen() {
  return empty(
    "No feature is chosen yet",
    h("p", {}, "Choose a feature of the context, such as device or user.country. From then on the trainer counts by its values."),
    h("p", {}, h("a", { class: "button primary", href: "#/configuration" }, "Choose a feature")),
  );
}

/** @param {import("../lib/lift.js").Lift} lift */
function lift(lift) {
  const { value, more, kind } = liftWords(lift);
  return figure(value, more, kind);
}

/** @param {string | null} value */
function named(value) {
  return value === null ? h("span", { class: "faint" }, "no value") : value || h("span", { class: "faint" }, "empty text");
}

/**
 * @param {any} found
 * @param {string} during
 */
function crossed(found, during) {
  const heads = ["Action", ...found.values.map((/** @type {any} */ each) => `#${each.value ?? "no value"}`)];
  const cell = (/** @type {any} */ each) =>
    each ? figure(percent(each.share), `${reward(each.averageReward)} of ${count(each.events)}`) : amount("–");
  const lines = found.actions.map((/** @type {any} */ each) => [each.id, ...each.cells.map(cell)]);
  const note = `The share of each action among the events of a value; below it, the average reward and the number of events. These are the ${LINES} most frequent actions and the ${COLUMNS} most frequent values at most, ${during}. A dash stands for ${found.mostEventsOfOthers ? `${count(found.mostEventsOfOthers)} events at most` : "none"}.`;
  return card("What is shown to whom", table("What is shown to whom", heads, lines), h("p", { class: "faint" }, note), source(found));
}
