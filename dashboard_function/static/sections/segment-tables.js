/** The tables of segments: which one gains, and what is shown to whom. */

import { h } from "../lib/dom.js";
import { count, percent, reward } from "../lib/format.js";
import { liftWords } from "../lib/lift.js";
import { amount, card, empty, table } from "../lib/pieces.js";
import { average, events, figure, others, source } from "./breakdown.js";

export const COLUMNS = 8;
export const LINES = 20;

/** @type {[string, string][]} */
export const SORTS = [
  ["events", "Most events first"],
  ["averageReward", "Highest reward first"],
  ["lastSeen", "Last seen first"],
  ["id", "By value"],
];

/** Which segment gains. @param {any} found */
export function gains(found) {
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
 * What is shown to whom.
 *
 * @param {any} found
 * @param {string} during in which time, in words with a comma before
 */
export function crossed(found, during) {
  const heads = ["Action", ...found.values.map((/** @type {any} */ each) => `#${each.value ?? "no value"}`)];
  const cell = (/** @type {any} */ each) =>
    each ? figure(percent(each.share), `${reward(each.averageReward)} of ${count(each.events)}`) : amount("–");
  const lines = found.actions.map((/** @type {any} */ each) => [each.id, ...each.cells.map(cell)]);
  const note = `The share of each action among the events of a value; below it, the average reward and the number of events. These are the ${LINES} most frequent actions and the ${COLUMNS} most frequent values at most${during}. A dash stands for ${found.mostEventsOfOthers ? `${count(found.mostEventsOfOthers)} events at most` : "none"}.`;
  return card("What is shown to whom", table("What is shown to whom", heads, lines), h("p", { class: "faint" }, note), source(found));
}
