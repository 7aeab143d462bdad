/** Actions: what is shown, how often, and what it earns. */

import { h, replace } from "../lib/dom.js";
import { percent } from "../lib/format.js";
import { amount, card, empty, heading, table, when } from "../lib/pieces.js";
import { average, events, others, rows, source, trend } from "./breakdown.js";

/** @typedef {import("../sections.js").Page} Page */

/** @type {[string, string][]} */
const SORTS = [
  ["events", "Most shown first"],
  ["averageReward", "Highest reward first"],
  ["lastSeen", "Last shown first"],
  ["firstSeen", "Newest first"],
  ["id", "By name"],
];

/** @param {Page} page */
export function show(page) {
  const { controls, content } = rows(page, { name: "actions", path: "figures/actions", label: "Search actions", sorts: SORTS, draw });
  replace(
    page.root,
    heading(
      "Actions",
      "What is shown, how often, and what it earned where it was shown. An action that is shown to the keenest visitors earns more for that.",
    ),
    controls,
    content,
  );
}

/** @param {any} found */
function draw(found) {
  if (!found.count) return [empty("Nothing was shown in this range", h("p", {}, "An event is counted when its reward wait time is over."))];
  if (!found.value.length) return [empty("No action is called so")];
  const heads = ["Action", "#Events", "#Share", "#Average reward", "Share over time", "First shown", "Last shown"];
  const row = (/** @type {any} */ each) => [
    each.id,
    events(each),
    amount(percent(each.share)),
    average(each),
    trend(each.trend),
    when(each.firstSeen),
    when(each.lastSeen),
  ];
  const note = "The smaller numbers are 95% intervals.";
  return [
    card(
      "What is shown",
      table("What is shown", heads, found.value.map(row)),
      h("p", { class: "faint" }, note),
      others(found),
      source(found),
    ),
  ];
}
