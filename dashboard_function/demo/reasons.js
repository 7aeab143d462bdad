/** Why a story: what each thing that is known adds to the reward that the loop expects of it. */

import { h } from "/dashboard/lib/dom.js";
import { decimal } from "/dashboard/lib/format.js";
import { storyOf } from "./world.js";

/** @typedef {import("./loop.js").Explained} Explained */
/** @typedef {import("./world.js").Situation} Situation */

/** Contributions smaller than this are not worth a line. */
const NEGLIGIBLE = 0.002;
const REST = "other features";

/**
 * @param {Explained} explained
 * @param {Situation} situation
 */
export function reasons(explained, situation) {
  const estimate = explained.features.reduce((sum, each) => sum + each.score, 0);
  const groups = grouped(explained, situation);
  const largest = Math.max(...groups.map(([, score]) => Math.abs(score)), 0.05);
  return [
    h(
      "p",
      { class: "estimate" },
      "The loop expects a reward of ",
      h("b", { class: "number" }, decimal(estimate, 2)),
      " from “",
      storyOf(explained.id).title,
      "”:",
    ),
    h(
      "ul",
      { class: "reasons" },
      groups.map(([text, score]) => bar(text, score, largest)),
    ),
    h(
      "details",
      { class: "quiet" },
      h("summary", {}, explained.features.length === 1 ? "The contribution" : `All ${explained.features.length} contributions`),
      h(
        "div",
        { class: "scroll", tabindex: "0", role: "region", "aria-label": "All contributions" },
        h(
          "table",
          {},
          h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Feature"), h("th", { scope: "col", class: "number" }, "Adds"))),
          h(
            "tbody",
            {},
            explained.features.map(({ name, score }) =>
              h("tr", {}, h("th", { scope: "row" }, h("code", {}, name)), h("td", { class: "number" }, signed(score, 3))),
            ),
          ),
        ),
      ),
    ),
  ];
}

/**
 * Sum the contributions by what they are about, the largest first: a feature of the reader counts for this story, alone or crossed.
 *
 * @param {Explained} explained
 * @param {Situation} situation
 * @returns {[string, number][]}
 */
function grouped({ features }, { reader, hour, device }) {
  const words = /** @type {[string, string][]} */ ([
    ["reader.", `It is ${reader}`],
    ["visit.hour", `In the ${hour}`],
    ["visit.device", `On the ${device}`],
  ]);
  /** @type {Map<string, number>} */
  const sums = new Map();
  for (const { name, score } of features) {
    const text = name === REST ? "Everything else" : (words.find(([part]) => name.includes(part))?.[1] ?? "The story itself");
    sums.set(text, (sums.get(text) ?? 0) + score);
  }
  return [...sums].filter(([, score]) => Math.abs(score) >= NEGLIGIBLE).sort(([, one], [, other]) => Math.abs(other) - Math.abs(one));
}

/**
 * @param {string} text
 * @param {number} score
 * @param {number} largest
 */
function bar(text, score, largest) {
  const filled = h("i", { class: score < 0 ? "less" : "more", "aria-hidden": "true" });
  filled.style.setProperty("--size", `${(50 * Math.abs(score)) / largest}%`);
  return h(
    "li",
    {},
    h("span", {}, text),
    h("span", { class: "track", "aria-hidden": "true" }, filled),
    h("b", { class: "number" }, signed(score, 2)),
  );
}

/**
 * @param {number} value
 * @param {number} digits
 */
function signed(value, digits) {
  const text = decimal(value, digits);
  return value > 0 && !text.startsWith("−") ? `+${text}` : text;
}
