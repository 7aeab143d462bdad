/** Visitors who come by themselves: a few at a time, slowly until there is a first model, each rewarded by tastes that the loop is not told. */

import { NoAnswer, Refusal } from "/dashboard/lib/api.js";
import { untilShown } from "/dashboard/lib/live.js";
import { freshEventId } from "./loop.js";
import { anybody, storyOf } from "./world.js";

/** @typedef {{ reward: number, expected: number, random: number, best: number }} Visit `expected`: the chance that the shown story is clicked */

const AT_ONCE = 5;
const A_SECOND = 45;
/** Until there is a first model: few, so that it is there before many were shown stories blindly. It is not waited for endlessly. */
const AT_FIRST = { aSecond: 12, most: 80, withinMs: 20_000 };
const LOOK_EVERY_MS = 200;
const ATTEMPTS = 6;
const BUSY = new Set([408, 429, 500, 502, 503, 504]);

/**
 * Let so many come; ends early when the signal says so, and throws what cannot be waited out.
 *
 * @param {{
 *   loop: import("./loop.js").Loop,
 *   tastes: () => import("./world.js").Tastes,
 *   chance: import("./world.js").Chance,
 *   count: number,
 *   lacksModel: () => boolean,
 *   signal: AbortSignal,
 *   onVisit: (visit: Visit) => void,
 * }} described
 */
export async function simulate({ loop, tastes, chance, count, lacksModel, signal, onVisit }) {
  const patience = performance.now() + AT_FIRST.withinMs;
  const isHeldUp = () => lacksModel() && performance.now() < patience && !signal.aborted;
  let come = 0;
  let next = performance.now();
  const turn = async (/** @type {number} */ number) => {
    while (number >= AT_FIRST.most && isHeldUp()) {
      await paused(LOOK_EVERY_MS, signal);
      next = Math.max(next, performance.now());
    }
    if (document.hidden) {
      await untilShown(signal);
      next = Math.max(next, performance.now());
    }
    const at = next;
    next += 1000 / (lacksModel() ? AT_FIRST.aSecond : A_SECOND);
    await paused(at - performance.now(), signal);
  };
  const work = async () => {
    while (come < count && !signal.aborted) {
      const number = come++;
      const [situation, click] = [anybody(chance), chance()];
      await turn(number);
      if (signal.aborted) return;
      const liked = tastes();
      const eventId = freshEventId();
      const expectation = (/** @type {string} */ shown) => liked.interest(situation, storyOf(shown));
      const shown = await patiently(() => loop.serve(situation, eventId, (story) => Number(click < expectation(story))), signal);
      if (shown) onVisit({ reward: shown.value, expected: expectation(shown.story), ...liked.bounds(situation) });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

/**
 * Repeat what a busy or restarting service could not do; undefined if it was given up for the signal.
 *
 * @template Result
 * @param {() => Promise<Result>} call
 * @param {AbortSignal} signal
 * @returns {Promise<Result | undefined>}
 */
async function patiently(call, signal) {
  for (let attempt = 1; !signal.aborted; attempt++) {
    try {
      return await call();
    } catch (error) {
      const mayPass = error instanceof NoAnswer || (error instanceof Refusal && BUSY.has(error.status));
      if (!mayPass || attempt === ATTEMPTS) throw error;
      await paused(500 * 2 ** (attempt - 1), signal);
    }
  }
  return undefined;
}

/**
 * @param {number} milliseconds
 * @param {AbortSignal} signal
 */
function paused(milliseconds, signal) {
  if (milliseconds <= 0) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", done, { once: true });
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve(undefined);
    }
  });
}
