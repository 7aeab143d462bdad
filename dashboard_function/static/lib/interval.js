/** An estimate with its interval, drawn on a scale that several of them share. */

import { svg } from "./dom.js";
import { interval, reward } from "./format.js";

const WIDTH = 200;
const HEIGHT = 24;
const EDGE = 8;

/** @typedef {{ expectedReward: number, confidenceInterval: [number, number] }} Estimate */

/**
 * Give the scale that has room for all of them.
 *
 * @param {Estimate[]} estimates
 * @returns {(value: number) => number}
 */
export function sharedScale(estimates) {
  const low = Math.min(...estimates.map((each) => each.confidenceInterval[0]));
  const high = Math.max(...estimates.map((each) => each.confidenceInterval[1]));
  const width = high - low || 1;
  return (value) => EDGE + ((value - low) / width) * (WIDTH - 2 * EDGE);
}

/**
 * Draw it.
 *
 * @param {Estimate} estimate
 * @param {{ scale: (value: number) => number, mark?: number, kind: string }} options `mark` is where another one is, to compare with
 */
export function drawn(estimate, { scale, mark, kind }) {
  const [low, high] = estimate.confidenceInterval;
  const middle = HEIGHT / 2;
  const label = `${reward(estimate.expectedReward)}, between ${interval([low, high])}`;
  return svg(
    "svg",
    {
      class: `interval of-${kind}`,
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": label,
    },
    svg("line", { class: "axis", x1: 0, x2: WIDTH, y1: middle, y2: middle }),
    mark === undefined ? null : svg("line", { class: "mark", x1: scale(mark), x2: scale(mark), y1: 0, y2: HEIGHT }),
    svg("line", { class: "bound", x1: scale(low), x2: scale(high), y1: middle, y2: middle }),
    svg("line", {
      class: "estimate",
      x1: scale(estimate.expectedReward),
      x2: scale(estimate.expectedReward),
      y1: middle - 6,
      y2: middle + 6,
    }),
  );
}
