/** “Is it learning?”: the service's advice, put to the step that it is about, with what to do. No part of this touches the page. */

import { count, counted, duration, percent, told } from "../lib/format.js";

/** @typedef {"good" | "warn" | "bad" | "wait"} State */
/** @typedef {{ code: string, message: string, feature: string | null }} Advice */
/** @typedef {{ state: State, title: string, value: string, advice: string[] }} Check */

/**
 * How grave each advice is, and what to do about it; the codes are those of `loop.advice` in `GET /status`.
 *
 * @type {Record<string, { state: State, todo: string }>}
 */
export const ADVICE = {
  nothingRanked: { state: "bad", todo: "Send the first Rank call. The example above works as it is." },
  loggingOnly: { state: "bad", todo: "Set the learning mode to Online or Apprentice." },
  apprentice: { state: "good", todo: "Compare the figures, and change to Online when they are good enough." },
  noExploration: { state: "warn", todo: "Set the exploration to 0.1 or 0.2." },
  noRewards: { state: "bad", todo: "Send Reward with the event id that Rank answered." },
  sameRewards: { state: "warn", todo: "Give a higher reward to results that you want." },
  lateRewards: { state: "warn", todo: "Make the reward wait time longer, or reward something that happens sooner." },
  unknownRewards: { state: "warn", todo: "Send the event id exactly as Rank answered it, to the same loop." },
  notActivated: { state: "warn", todo: "Call Activate when the action is shown, or leave deferActivation out." },
  duplicates: { state: "warn", todo: "Make an event id for each call, or leave it out. The service then makes one." },
  trainerBehind: { state: "bad", todo: "Check that the trainer's timer runs, and read its log." },
  learningAnew: { state: "wait", todo: "Wait. New events are still stored, and the new model will learn them too." },
  mirrorFailing: {
    state: "bad",
    todo: "Make a new signature (SAS) for the container and put it into the configuration, or switch the mirror off.",
  },
  clockWrong: { state: "warn", todo: "Set the machine's clock (NTP). No acknowledged event is lost meanwhile." },
  waiting: { state: "wait", todo: "Wait. To try things out, use a shorter reward wait time." },
  longWait: { state: "wait", todo: "Nothing to do, if rewards take so long." },
  fewEvents: { state: "wait", todo: "Wait. A clear effect shows after some hundred events, a weak one after thousands." },
  oneAction: { state: "warn", todo: "Send all actions that could be shown." },
  newActions: { state: "warn", todo: "Use ids of the things that are shown, not ids made for each call." },
  nothingShared: { state: "warn", todo: "Give actions features that they share, such as a category." },
  noContext: { state: "warn", todo: "Send context: the time, the device, the visitor's situation." },
  wrappedFeatures: {
    state: "bad",
    todo: "Send the features themselves. Update the client's library, or turn its JSON objects into maps first.",
  },
  alwaysDifferent: { state: "warn", todo: "Leave it out, or send a part that repeats: the hour, the category." },
  neverDifferent: { state: "warn", todo: "Leave it out, or send different values." },
  personalData: { state: "bad", todo: "Leave it out. It identifies people and does not help learning." },
};

/** @type {{ title: string, codes: string[], value: (loop: any) => string }[]} */
const STEPS = [
  { title: "Rank is called", codes: ["nothingRanked"], value: ({ counters }) => count(counters.ranked) },
  { title: "The learning mode learns", codes: ["loggingOnly", "apprentice", "noExploration"], value: ({ learningMode }) => learningMode },
  {
    title: "Rewards arrive",
    codes: ["noRewards", "sameRewards"],
    value: ({ counters }) => share(counters.rewards, counters.ranked, "of events"),
  },
  {
    title: "Rewards find their event in time",
    codes: ["lateRewards", "unknownRewards"],
    value: ({ counters }) => (counters.rewards ? share(counters.lateRewards + counters.unknownRewards, counters.rewards, "lost") : ""),
  },
  { title: "Events are unique and activated", codes: ["notActivated", "duplicates"], value: () => "" },
  {
    title: "The trainer keeps up",
    codes: ["trainerBehind", "learningAnew", "clockWrong", "waiting", "longWait", "fewEvents"],
    value: ({ counters }) => `${count(counters.learned)} learned`,
  },
  {
    title: "Context and actions have useful features",
    codes: [
      "oneAction",
      "newActions",
      "nothingShared",
      "noContext",
      "wrappedFeatures",
      "alwaysDifferent",
      "neverDifferent",
      "personalData",
    ],
    value: () => "",
  },
];
const MIRROR = { title: "The log is mirrored", codes: ["mirrorFailing"], value: (/** @type {any} */ { mirror }) => mirror?.state ?? "no" };
/** The gravest last. @type {State[]} */
const GRAVITY = ["good", "wait", "warn", "bad"];

/**
 * Go through the steps from the first call to the served model.
 *
 * @param {any} loop `loop` of `GET /status`
 * @returns {Check[]}
 */
export function checklist(loop) {
  if (!loop.counters) {
    const advice = ["The loop's progress cannot be read from storage. Rank uses the model it has."];
    return [{ state: "bad", title: "Storage answers", value: "no", advice }, served(loop)];
  }
  const isMirrored = loop.mirror || (loop.advice ?? []).some((/** @type {Advice} */ each) => MIRROR.codes.includes(each.code));
  const steps = [...STEPS, ...(isMirrored ? [MIRROR] : [])].map(({ title, codes, value }) => {
    const found = (loop.advice ?? []).filter((/** @type {Advice} */ each) => codes.includes(each.code));
    return { state: gravest(found, loop), title, value: value(loop), advice: found.map(advised) };
  });
  return [...steps, served(loop)];
}

/**
 * @param {Advice[]} advice
 * @param {any} loop
 * @returns {State}
 */
function gravest(advice, loop) {
  if (!advice.length) return loop.counters.ranked ? "good" : "wait";
  return GRAVITY[Math.max(...advice.map((each) => GRAVITY.indexOf(ADVICE[each.code].state)))];
}

/** @param {Advice} advice */
function advised({ code, message }) {
  return `${told(message)} ${ADVICE[code].todo}`;
}

/**
 * @param {any} loop
 * @returns {Check}
 */
function served({ modelVersion, publishedModelVersion, modelAgeSeconds, publishedModelLearned, error }) {
  const title = "The newest model is served";
  if (error) return { state: "bad", title, value: "no", advice: [error] };
  if (!publishedModelVersion) return { state: "wait", title, value: "none yet", advice: [] };
  const knows = typeof publishedModelLearned === "number" ? `, knows ${counted(publishedModelLearned, "event")}` : "";
  if (modelVersion === publishedModelVersion)
    return { state: "good", title, value: `${duration(Math.floor(modelAgeSeconds))} old${knows}`, advice: [] };
  return { state: "wait", title, value: "soon", advice: ["A newer model is published. Every process loads it within its poll interval."] };
}

/**
 * @param {number} part
 * @param {number} whole
 * @param {string} what
 */
function share(part, whole, what) {
  return whole ? `${percent(Math.min(part / whole, 1))} ${what}` : "none yet";
}
