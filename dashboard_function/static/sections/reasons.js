/** What became of events and rewards, in words, with a sentence on what to do about it. */

import { own } from "../lib/own.js";

/** @typedef {{ title: string, advice: string }} Reason */

/** Why a decision was not learned from: the names are those of `counters.skipped` in `GET /status`. @type {Record<string, Reason>} */
export const SKIPPED = {
  duplicate: {
    title: "Ranked again with the same event id",
    advice: "Give every Rank call an event id of its own, or leave it out: then the service makes one.",
  },
  notActivated: {
    title: "Deferred and not activated in time",
    advice: "Call Activate once the action is really shown. Where it never was, nothing is wrong.",
  },
  loggingOnly: {
    title: "Decided in LoggingOnly mode",
    advice: "That mode only keeps a log. Change the learning mode to Apprentice or Online to learn.",
  },
  quarantined: {
    title: "Damaged rows, set aside",
    advice: "Look for “quarantined” in the app's log: it names the rows.",
  },
  logDeleted: {
    title: "Deleted with the log before they were learned",
    advice: "Nothing to do: somebody deleted the log.",
  },
};

/** Rewards that no event got. @type {Record<string, Reason>} */
export const LOST_REWARDS = {
  lateRewards: {
    title: "Rewards after the wait time",
    advice: "Reward sooner, or make the reward wait time as long as people take.",
  },
  unknownRewards: {
    title: "Rewards of no known event",
    advice: "Reward with exactly the event id that Rank answered, at the same loop.",
  },
};

/**
 * @param {string} name
 * @returns {Reason}
 */
export function whySkipped(name) {
  return own(SKIPPED, name) ?? { title: name, advice: "See the documentation of the counters." };
}
