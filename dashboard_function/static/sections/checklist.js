/** “Why is it not learning?”: what can be in the way, looked at from the first call to the served model. No part of this touches the page. */

import { count, duration, percent, secondsOf } from "../lib/format.js";
import { LOST_REWARDS, SKIPPED } from "./reasons.js";

/** @typedef {"good" | "warn" | "bad" | "wait"} State */
/** @typedef {{ state: State, title: string, value: string, advice?: string }} Check */

const MANY = 0.1;
/** A share of events or rewards that is worth a look. */
const SLOW_SECONDS = 600;

/**
 * Judge a loop by its status, and by its configuration where that is known.
 *
 * @param {any} loop `loop` of `GET /status`
 * @param {any} [configuration]
 * @returns {Check[]}
 */
export function checklist(loop, configuration) {
  const { counters } = loop;
  if (!counters) return [{ state: "bad", title: "Storage does not answer", value: "", advice: "The loop's progress is read from storage. Rank goes on with the model it has." }];
  return [ranked(counters), mode(loop), rewarded(counters), inTime(counters), known(counters), activated(counters), unique(counters),
    explores(loop, configuration), trained(loop, counters), served(loop)].filter((check) => check !== null);
}

/** @param {any} counters */
function ranked({ ranked }) {
  if (ranked) return good("Rank is called", count(ranked));
  return { state: /** @type {State} */ ("bad"), title: "Rank is called", value: "never", advice: "Send the first Rank call: the example above works as it stands." };
}

/** @param {any} loop */
function mode({ learningMode }) {
  const title = "The mode learns";
  if (learningMode === "LoggingOnly") return { state: /** @type {State} */ ("bad"), title, value: learningMode, advice: SKIPPED.loggingOnly.advice };
  if (learningMode === "Online") return good(title, learningMode);
  const advice = "People still see your own choice. Change to Online when the figures of Apprentice mode are good enough.";
  return { state: /** @type {State} */ ("good"), title, value: learningMode, advice };
}

/** @param {any} counters */
function rewarded({ ranked, rewards }) {
  const title = "Rewards arrive";
  if (!ranked) return waiting(title);
  if (!rewards) {
    return { state: /** @type {State} */ ("bad"), title, value: "none", advice: "Without rewards every event gets the default reward, and all actions look alike. Call Reward with the event id that Rank answered." };
  }
  const share = rewards / ranked;
  const value = `${percent(Math.min(share, 1))} of events`;
  if (share >= 0.01) return good(title, value);
  return { state: /** @type {State} */ ("warn"), title, value, advice: "Hardly any event is rewarded. If that is how people behave, learning takes many events; if not, some Reward calls are missing." };
}

/** @param {any} counters */
function inTime({ rewards, lateRewards }) {
  return share("Rewards come in time", lateRewards, rewards, "late", LOST_REWARDS.lateRewards.advice);
}

/** @param {any} counters */
function known({ rewards, unknownRewards }) {
  return share("Rewards find their event", unknownRewards, rewards, "of no known event", LOST_REWARDS.unknownRewards.advice);
}

/** @param {any} counters */
function activated({ ranked, skipped }) {
  if (!skipped.notActivated) return null;
  return share("Deferred events are activated", skipped.notActivated, ranked, "not activated", SKIPPED.notActivated.advice);
}

/** @param {any} counters */
function unique({ ranked, skipped }) {
  return share("Event ids are unique", skipped.duplicate ?? 0, ranked, "repeated", SKIPPED.duplicate.advice);
}

/**
 * @param {any} loop
 * @param {any} configuration
 */
function explores({ learningMode }, configuration) {
  if (!configuration || learningMode !== "Online") return null;
  const title = "It explores";
  const value = percent(configuration.explorationPercentage);
  if (configuration.explorationPercentage > 0) return good(title, value);
  return { state: /** @type {State} */ ("warn"), title, value, advice: "Without exploration it never finds out what else would work, and no policy can be compared." };
}

/**
 * @param {any} loop
 * @param {any} counters
 */
function trained({ lagSeconds, rewardWaitTime, learningMode }, { ranked, learned, pending }) {
  const title = "The trainer keeps up";
  if (!ranked) return waiting(title);
  if (lagSeconds !== null && lagSeconds > SLOW_SECONDS) {
    const advice = "Events could have been learned for that long. Does the trainer's timer run? See the app's log of “train”.";
    return { state: /** @type {State} */ ("bad"), title, value: `${duration(lagSeconds)} behind`, advice };
  }
  if (!learned && pending && learningMode !== "LoggingOnly") {
    const advice = `An event is learned when its reward wait time of ${duration(secondsOf(rewardWaitTime))} is over, and the trainer comes by.`;
    return { state: /** @type {State} */ ("wait"), title, value: `${count(pending)} waiting`, advice };
  }
  return good(title, `${count(learned)} learned`);
}

/** @param {any} loop */
function served({ modelVersion, publishedModelVersion, error }) {
  const title = "The newest model is served";
  if (error) return { state: /** @type {State} */ ("bad"), title, value: "no", advice: error };
  if (!publishedModelVersion) return waiting(title);
  if (modelVersion === publishedModelVersion) return good(title, "");
  return { state: /** @type {State} */ ("wait"), title, value: "soon", advice: "A newer model is published; every process loads it within its poll interval." };
}

/**
 * @param {string} title
 * @param {number} part
 * @param {number} whole
 * @param {string} what
 * @param {string} advice
 * @returns {Check}
 */
function share(title, part, whole, what, advice) {
  if (!whole) return waiting(title);
  if (!part) return good(title, "");
  const value = `${percent(part / whole)} ${what}`;
  return part / whole < MANY ? good(title, value) : { state: "warn", title, value, advice };
}

/**
 * @param {string} title
 * @param {string} value
 * @returns {Check}
 */
function good(title, value) {
  return { state: "good", title, value };
}

/**
 * @param {string} title
 * @returns {Check}
 */
function waiting(title) {
  return { state: "wait", title, value: "nothing yet" };
}
