/** What was changed, and when: marks on every chart over time, so that one sees what a rise or a fall came with. */

import { isPassing } from "./live.js";
import { own } from "./own.js";

/** @typedef {{ at: number, kind: "model" | "change", label: string }} Mark `at` in seconds since 1970 */

const FRESH_MS = 20_000;

/** How a model came about, where somebody made it. @type {Record<string, string>} */
const BY_HAND = { imported: "imported", restored: "rolled back to", retrained: "learned again" };

/** Names of changes for people. @type {Record<string, string>} */
const WORDS = {
  settings: "Settings changed",
  policy: "Policy changed",
  tier: "Tier changed",
  keys: "Key regenerated",
  loopMade: "Loop made",
  loopDeleted: "Loop deleted",
  modelImported: "Model imported",
  modelRestored: "Model rolled back",
  modelDeleted: "Model deleted",
};

/** @param {string} kind */
export function changeTitle(kind) {
  return own(WORDS, kind) ?? kind;
}

/**
 * Put published models and changes on one line of time.
 *
 * @param {any[]} versions of `GET model/versions`
 * @param {any[]} changes of `GET changes`
 * @returns {Mark[]}
 */
export function marksOf(versions, changes) {
  const models = versions
    .filter((each) => each.publishedAt)
    .map((each) => ({
      at: Date.parse(each.publishedAt) / 1000,
      kind: /** @type {const} */ ("model"),
      label: `Model ${Number.parseInt(each.version, 10)} ${own(BY_HAND, each.kind) ?? "published"}`,
    }));
  const others = changes.map((each) => ({
    at: Date.parse(each.changedAt) / 1000,
    kind: /** @type {const} */ ("change"),
    label: [changeTitle(each.kind), each.members.map((/** @type {any} */ member) => member.name).join(", ")].filter(Boolean).join(": "),
  }));
  return [...models, ...others].sort((one, other) => one.at - other.at);
}

/**
 * Give what reads the marks of a loop, and gives those that are known. It asks again after a while, or when another model is published.
 * What cannot be had now is asked for the next time: a chart is shown without its marks.
 *
 * @param {import("./api.js").Api} api
 * @param {AbortSignal} signal
 */
export function marksFor(api, signal) {
  let known = /** @type {Mark[]} */ ([]);
  let askedAt = 0;
  let of = "";
  const refresh = async (/** @type {string | null} */ newest = null) => {
    if (Date.now() - askedAt < FRESH_MS && of === String(newest)) return false;
    try {
      const [versions, changes] = await Promise.all([api.get("personalizer/model/versions", {}, signal), api.get("changes", {}, signal)]);
      [known, askedAt, of] = [marksOf(versions.value, changes.value), Date.now(), String(newest)];
      return true;
    } catch (error) {
      if (!isPassing(error)) throw error;
      return false;
    }
  };
  return { known: () => known, refresh };
}
