/** The loop as this page uses it: what it would show, what that earned, and how far it has learned. */

import { ifSame } from "/dashboard/lib/api.js";
import { secondsOf } from "/dashboard/lib/format.js";
import { STORIES } from "./world.js";

/** @typedef {import("/dashboard/lib/api.js").Api} Api */
/** @typedef {import("./world.js").Situation} Situation */
/** @typedef {{ id: string, probability: number }} Ranked */
/** @typedef {{ id: string, features: { name: string, score: number }[] }} Explained */
/** @typedef {{ eventId: string, rewardActionId: string, ranking: Ranked[], inferenceExplanation?: Explained[] }} Answer */
/** @typedef {{ situation: Situation, answer: Answer, at: number, eventId: string | null, value: number | null }} Choice `eventId`: as which it counts, once it does, with `value` */
/**
 * How far the loop is: `newest` and `learned` are of the newest model, `version` is the one that answered. What the service cannot tell is
 * null, and `trouble` says why.
 *
 * @typedef {{
 *   version: string, newest: string, learned: number | null, pending: number | null, wait: number, mode: string, trouble: string | null,
 * }} Standing
 */

/** The part of the reward wait time within which a choice can still be rewarded as it was made; the rest is for the way. */
const IN_TIME = 0.5;

export class Loop {
  /** @param {Api} api */
  constructor(api) {
    this.api = api;
  }

  get name() {
    return this.api.loop;
  }

  /**
   * Ask what this reader would be shown. It does not count unless it is rewarded: looking teaches nothing.
   *
   * @param {Situation} situation
   * @returns {Promise<Choice>}
   */
  async choose(situation) {
    const answer = await this.api.post("personalizer/rank", { ...asked(situation), deferActivation: true });
    return { situation, answer, at: performance.now(), eventId: null, value: null };
  }

  /**
   * Show a story to a simulated visitor and reward it at once; a repetition with the same id is the same event.
   *
   * @param {Situation} situation
   * @param {string} eventId
   * @param {(story: string) => number} rewardOf
   */
  async serve(situation, eventId, rewardOf) {
    const answer = await this.api.post("personalizer/rank", { ...asked(situation), eventId });
    const value = rewardOf(answer.rewardActionId);
    await this.#reward(eventId, value);
    return { story: answer.rewardActionId, value };
  }

  /**
   * Say what a choice earned. People take longer than a short reward wait time, so a choice that is older is logged as one made now: with
   * the probabilities it was made with, what is learned from it is the same. Said again, after a failure, it is the same event with the
   * same reward: the first one may have arrived.
   *
   * @param {Choice} choice
   * @param {number} value
   * @param {number} wait the loop's reward wait time in seconds
   * @returns {Promise<number>} what it was rewarded with
   */
  async reward(choice, value, wait) {
    const { situation, answer, at } = choice;
    choice.eventId ??= (performance.now() - at) / 1000 < wait * IN_TIME ? answer.eventId : freshEventId();
    if (choice.eventId === answer.eventId) await this.api.post(`personalizer/events/${encodeURIComponent(answer.eventId)}/activate`);
    else {
      const { ranking, rewardActionId } = answer;
      const line = JSON.stringify({ ...asked(situation), eventId: choice.eventId, ranking, rewardActionId });
      await this.api.post("personalizer/logs/interactions", new Blob([line, "\n"], { type: "application/x-ndjson" }));
    }
    choice.value ??= value;
    await this.#reward(choice.eventId, choice.value);
    return choice.value;
  }

  /** @returns {Promise<Standing>} */
  async standing() {
    const { loop, apiStatus, apiStatusMessage } = await this.api.get("status");
    return {
      version: loop.modelVersion ?? "",
      newest: loop.publishedModelVersion ?? "",
      learned: loop.publishedModelLearned ?? null,
      pending: loop.counters?.pending ?? null,
      wait: secondsOf(loop.rewardWaitTime) ?? 0,
      mode: loop.learningMode,
      trouble: apiStatus === "Valid" ? null : apiStatusMessage,
    };
  }

  /** Have Rank say why; slower by a few milliseconds, so it is off unless somebody wants it. */
  async explain() {
    const path = "personalizer/configurations/service";
    const { value, tag } = await this.api.tagged(path);
    await this.api.put(path, { ...value, isInferenceExplainabilityEnabled: true }, ifSame(tag));
  }

  /** Have everything forgotten that was learned. */
  async forget() {
    await this.api.remove("personalizer/model");
  }

  /**
   * @param {string} eventId
   * @param {number} value
   */
  async #reward(eventId, value) {
    await this.api.post(`personalizer/events/${encodeURIComponent(eventId)}/reward`, { value });
  }
}

/** `crypto.randomUUID` is there on secure origins only, and a phone in the same network may come by plain HTTP. */
export function freshEventId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * What Rank is asked.
 *
 * @param {Situation} situation
 */
export function asked({ reader, hour, device }) {
  return {
    contextFeatures: [{ reader: { name: reader }, visit: { hour, device } }],
    actions: STORIES.map(({ id, topic, length }) => ({ id, features: [{ story: { topic, length } }] })),
  };
}
