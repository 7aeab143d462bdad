/** From the answer of `GET /figures` to what charts show. No part of this touches the page. */

import { own } from "../lib/own.js";

/** @typedef {import("../lib/chart.js").Series} Series */

/** @type {Record<string, { label: string, colour: string, dash?: number[] }>} */
export const POLICIES = {
  online: { label: "What was shown", colour: "online" },
  baseline1: { label: "Baseline", colour: "baseline", dash: [8, 4] },
  random: { label: "Chance", colour: "random", dash: [2, 4] },
  baselineRand: { label: "Chance", colour: "random", dash: [2, 4] },
};

/**
 * The policies' expected rewards over time, with their bands.
 *
 * @param {any[]} points with `timeStamp` and `policies`
 * @returns {{ times: number[], series: Series[] }}
 */
export function ofPolicies(points) {
  const known = points.filter((point) => point.policies?.some(isKnown));
  const of = (/** @type {any} */ point, /** @type {string} */ name) => point.policies.find((/** @type {any} */ each) => each.name === name);
  const names = Object.keys(POLICIES).filter((name) => known.some((point) => isKnown(of(point, name))));
  return {
    times: known.map(secondsAt),
    series: names.map((name) => ({
      ...POLICIES[name],
      values: known.map((point) => of(point, name)?.expectedReward ?? null),
      low: known.map((point) => of(point, name)?.confidenceInterval?.[0] ?? null),
      high: known.map((point) => of(point, name)?.confidenceInterval?.[1] ?? null),
    })),
  };
}

/** So many are kept; of more, every second one goes, but for the latest. */
const MOST_SAMPLES = 240;

/** What the totals were whenever the page saw other ones: between two buckets they show how the figures move. */
export class Samples {
  /** @type {any[]} */
  #points = [];

  /**
   * Keep these totals, unless no event came since the last ones.
   *
   * @param {any} figures the answer of `GET /figures`
   */
  add({ totals, watermark }) {
    if (!watermark || !totals.events || this.#points.at(-1)?.events === totals.events) return;
    const policies = totals.policies.map((/** @type {any} */ each) => {
      const { name, expectedReward, confidenceInterval } = each;
      return { name, expectedReward, confidenceInterval };
    });
    this.#points.push({ timeStamp: watermark, events: totals.events, policies });
    const last = this.#points.length - 1;
    if (last >= MOST_SAMPLES) this.#points = this.#points.filter((_, number) => number % 2 === 0 || number === last);
  }

  /**
   * What was cumulated up to the end of each bucket, and what was seen since the page was opened.
   *
   * @param {any} figures
   */
  after({ cumulative, intervalInMinutes }) {
    const [first] = this.#points;
    const ended = cumulative.map((/** @type {any} */ point) => ({
      ...point,
      timeStamp: new Date((secondsAt(point) + intervalInMinutes * 60) * 1000).toISOString(),
    }));
    return [...ended.filter((/** @type {any} */ point) => !first || secondsAt(point) < secondsAt(first)), ...this.#points];
  }
}

const OTHERS = ["third", "fourth", "fifth"];
const MOST_BANDS = 4;

/**
 * The results of an evaluation over time; of many, the bands would only cover each other.
 *
 * @param {any[]} results
 * @param {(result: any) => string} [titleOf]
 * @returns {{ times: number[], series: Series[] }}
 */
export function ofResults(results, titleOf = (each) => each.name) {
  const times = [...new Set(results.flatMap((each) => each.timeseries.data.map(secondsAt)))].sort((one, other) => one - other);
  let others = 0;
  const series = results.map((each) => {
    const points = new Map(each.timeseries.data.map((/** @type {any} */ point) => [secondsAt(point), point]));
    const at = times.map((time) => points.get(time));
    const values = at.map((point) => point?.expectedReward ?? null);
    const look = own(POLICIES, each.name) ?? {
      colour: OTHERS[others % OTHERS.length],
      dash: others++ < OTHERS.length ? undefined : [6, 3, 2, 3],
    };
    if (results.length > MOST_BANDS) return { ...look, label: titleOf(each), values };
    return {
      ...look,
      label: titleOf(each),
      values,
      low: at.map((point) => point?.confidenceInterval[0] ?? null),
      high: at.map((point) => point?.confidenceInterval[1] ?? null),
    };
  });
  return { times, series };
}

/**
 * The lifts of a schedule's runs over time, those of each policy with their bands.
 *
 * @param {any[]} runs
 * @param {(name: string) => string} titleOf
 * @returns {{ times: number[], series: Series[] }}
 */
export function ofLifts(runs, titleOf) {
  const known = runs
    .filter((run) => run.value.some((/** @type {any} */ each) => each.lift !== undefined))
    .toSorted((one, other) => Date.parse(one.dueTime) - Date.parse(other.dueTime));
  const names = [...new Set(known.flatMap((run) => run.value.map((/** @type {any} */ each) => each.name)))];
  let others = 0;
  const series = names.map((name) => {
    const at = known.map((run) => run.value.find((/** @type {any} */ each) => each.name === name));
    const look = own(POLICIES, name) ?? { colour: OTHERS[others++ % OTHERS.length] };
    return {
      ...look,
      label: titleOf(name),
      values: at.map((each) => each?.lift ?? null),
      low: at.map((each) => each?.liftInterval?.[0] ?? null),
      high: at.map((each) => each?.liftInterval?.[1] ?? null),
    };
  });
  return {
    times: known.map((run) => Date.parse(run.dueTime) / 1000),
    series: series.filter((each) => each.values.some((value) => value !== null)),
  };
}

/**
 * Put the buckets that are left out, because nothing was in them, back in their places.
 *
 * @param {any[]} buckets
 * @param {{ minutes: number, since: Date, until: Date }} range
 * @returns {any[]}
 */
export function complete(buckets, { minutes, since, until }) {
  if (!buckets.length) return [];
  const step = minutes * 60;
  const known = new Map(buckets.map((bucket) => [secondsAt(bucket), bucket]));
  const first = Math.max(Math.floor(since.getTime() / 1000 / step) * step, secondsAt(buckets[0]) - step);
  const found = [];
  for (let at = first; at <= until.getTime() / 1000; at += step) {
    found.push(known.get(at) ?? { timeStamp: new Date(at * 1000).toISOString(), events: 0, rewards: 0, isEmpty: true });
  }
  return found;
}

/**
 * Give the points of a time, and of the bucket that ends behind it.
 *
 * @param {any[]} points
 * @param {{ minutes: number, since: Date, until: Date }} range
 */
export function within(points, { minutes, since, until }) {
  const [first, last] = [since.getTime() / 1000, until.getTime() / 1000 + minutes * 60];
  return points.filter((point) => secondsAt(point) >= first && secondsAt(point) <= last);
}

/**
 * One member of each bucket.
 *
 * @param {any[]} buckets
 * @param {(bucket: any) => number | null | undefined} member
 */
export function column(buckets, member) {
  return buckets.map((bucket) => (bucket.isEmpty ? null : (member(bucket) ?? null)));
}

/** How the period before is drawn, behind what is shown. */
const BEFORE = { label: "Period before", colour: "edge", dash: [2, 3] };

/**
 * Give a series of the period before, at the times of the one that is shown; null where nothing is known.
 *
 * @param {number[]} times
 * @param {{ points: any[], minutes: number, shiftSeconds: number }} before
 * @param {(point: any) => number | null | undefined} member
 * @param {string} [label]
 * @returns {Series[]} none where nothing at all is known
 */
export function behind(times, { points, minutes, shiftSeconds }, member, label = BEFORE.label) {
  const step = minutes * 60;
  const known = new Map(points.map((point) => [secondsAt(point), point]));
  const values = times.map((time) => {
    const point = known.get(Math.floor((time - shiftSeconds) / step) * step);
    return point ? (member(point) ?? null) : null;
  });
  return values.some((each) => each !== null) ? [{ ...BEFORE, label, values }] : [];
}

/** @param {any} point */
export function secondsAt(point) {
  return Date.parse(point.timeStamp) / 1000;
}

/** @param {any} policy */
function isKnown(policy) {
  return policy && policy.expectedReward !== null && policy.expectedReward !== undefined;
}
