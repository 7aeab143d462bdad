/** How much more was earned than by the baseline, in words: with its interval, and what is still needed to know it well. */

import { count, percent, reward } from "./format.js";

/**
 * As `totals.lift` of `GET /figures`, and as other answers have it.
 *
 * @typedef {{
 *   value: number | null, confidenceInterval: [number | null, number | null] | null,
 *   difference: number | null, differenceInterval: [number, number] | null, moreEvents: number | null,
 * }} Lift
 */

/**
 * @param {Lift} lift
 * @returns {{ value: string, more: string, kind: "good" | "bad" | "" }}
 */
export function liftWords(lift) {
  if (lift.difference === null) return { value: "–", more: `not known yet${aboutMore(lift.moreEvents)}`, kind: "" };
  const [low, high] = (lift.value === null ? lift.differenceInterval : lift.confidenceInterval) ?? [null, null];
  const written = lift.value === null ? signedReward : signedPercent;
  const kind = low !== null && low > 0 ? "good" : high !== null && high < 0 ? "bad" : "";
  const close = lift.moreEvents ? `; ±10% after about ${count(lift.moreEvents)} more events` : "";
  return { value: written(lift.value ?? lift.difference), more: `${between(low, high, written)}${close}`, kind };
}

/** @param {number | null} events */
function aboutMore(events) {
  return events ? `, about ${count(events)} more events` : "";
}

/**
 * @param {number | null} low
 * @param {number | null} high
 * @param {(value: number) => string} written
 */
function between(low, high, written) {
  if (low !== null && high !== null) return `between ${written(low)} and ${written(high)}`;
  if (low !== null) return `${written(low)} or more`;
  return high !== null ? `${written(high)} or less` : "anything is possible yet";
}

/** @param {number} value */
function signedPercent(value) {
  return `${value < 0 ? "−" : "+"}${percent(Math.abs(value))}`;
}

/** @param {number} value */
export function signedReward(value) {
  return `${value < 0 ? "" : "+"}${reward(value)}`;
}
