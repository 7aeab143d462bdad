/** What became of events and rewards, in words, with a sentence on what to do about it. */

import { own } from "../lib/own.js";

/** @typedef {{ title: string, advice: string }} Reason */

/** Why a decision was not learned from: the names are those of `counters.skipped` in `GET /status`. @type {Record<string, Reason>} */
export const SKIPPED = {
  duplicate: {
    title: "Ranked again with the same event id",
    advice: "Give every Rank call its own event id, or leave it out. The service then makes one.",
  },
  notActivated: {
    title: "Deferred and not activated in time",
    advice: "Call Activate when the action is really shown. If it never was shown, nothing is wrong.",
  },
  loggingOnly: {
    title: "Decided in LoggingOnly mode",
    advice: "This mode only keeps a log. To learn, change the learning mode to Apprentice or Online.",
  },
  quarantined: {
    title: "Damaged rows, set aside",
    advice: "Search for “quarantined” in the app's log. It names the rows.",
  },
  logDeleted: {
    title: "Deleted with the log before they were learned",
    advice: "Nothing to do. Somebody deleted the log.",
  },
};

/** Rewards that no event got. @type {Record<string, Reason>} */
export const LOST_REWARDS = {
  lateRewards: {
    title: "Rewards after the wait time",
    advice: "Send rewards sooner, or make the reward wait time longer.",
  },
  unknownRewards: {
    title: "Rewards of no known event",
    advice: "Send Reward with exactly the event id that Rank answered, to the same loop.",
  },
};

/**
 * @param {string} name
 * @returns {Reason}
 */
export function whySkipped(name) {
  return own(SKIPPED, name) ?? { title: name, advice: "See the documentation of the counters." };
}
