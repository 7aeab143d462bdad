/** Receipts: what became of an event and of each of its rewards. */

import { Refusal } from "../lib/api.js";
import { h, replace } from "../lib/dom.js";
import { field, form } from "../lib/form.js";
import { counted, decimal, percent, reward } from "../lib/format.js";
import { message } from "../lib/notes.js";
import { own } from "../lib/own.js";
import { amount, card, empty, facts, heading, pill, table, when } from "../lib/pieces.js";
import { momentField, utcOf } from "../lib/range.js";
import { whySkipped } from "./reasons.js";

/** @typedef {import("../sections.js").Page} Page */

/** @type {Record<string, ["good" | "warn" | "bad" | "info" | "", string]>} */
const FATES = {
  learned: ["good", "learned"],
  pending: ["info", "waiting for rewards"],
  skipped: ["warn", "not learned"],
  notKept: ["", "no longer known: that part of the log is deleted"],
};
/** @type {Record<string, ["good" | "warn" | "bad" | "info" | "", string]>} */
const OUTCOMES = {
  counted: ["good", "counted"],
  unused: ["warn", "not used"],
  late: ["bad", "too late"],
  pending: ["info", "waiting"],
  unknown: ["bad", "no such event"],
};

/** @param {Page} page */
export async function show({ api, root, signal, argument }) {
  const event = field({
    name: "eventId",
    label: "Event id",
    control: h("input", { type: "text", autocomplete: "off", spellcheck: "false", autocapitalize: "none", value: argument }),
    hint: "As Rank answered it.",
  });
  const around = momentField({
    name: "around",
    label: "Time of the Rank call",
    hint: "Needed only for old events. The hour before and the hour after are searched.",
  });
  const found = h("div", { class: "stack", "aria-live": "polite" });
  const submit = async () => {
    const id = event.control.value.trim();
    if (!id) {
      event.refuse("An event id is needed.");
      event.control.focus();
      return;
    }
    history.replaceState(null, "", `#/events/${encodeURIComponent(id)}`);
    try {
      const hint = around.control.value ? utcOf(around.control.value) : null;
      replace(found, receipt(await api.get(`personalizer/events/${encodeURIComponent(id)}`, { around: hint }, signal)));
    } catch (error) {
      if (!(error instanceof Refusal) || error.status !== 404) throw error;
      replace(
        found,
        empty(
          "Not found",
          h("p", {}, error.message),
          h(
            "p",
            {},
            "Is the id exactly the one of Rank's answer, and was it ranked at this loop? If it is old, enter the time of its Rank call.",
          ),
        ),
      );
    }
  };
  replace(
    root,
    heading(
      "Events",
      "Look up an event: when it was ranked, which action was shown, which rewards counted, and which model learned from it.",
    ),
    card(
      "Look up",
      form({
        content: [h("div", { class: "fields" }, event.element, around.element)],
        fields: () => [event, around],
        submit,
        action: "Look up",
      }),
    ),
    found,
  );
  if (argument) await submit();
}

/** @param {any} receipt */
function receipt(receipt) {
  const { decisions, rewards, searched, unreadable } = receipt;
  return [
    ...decisions.map(decisionCard),
    rewards.length
      ? card(
          "Rewards of no event",
          message("They name this event id, but no Rank call with this id was found in time.", "warn"),
          rewardTable(rewards),
        )
      : null,
    unreadable ? message(`${counted(unreadable, "damaged row")} of this event could not be read.`, "warn") : null,
    h(
      "p",
      { class: "faint" },
      "Searched from ",
      when(searched.since),
      " to ",
      when(searched.until),
      searched.isCut ? "; older events were not searched." : ".",
    ),
  ];
}

/** @param {any} decision */
function decisionCard(decision) {
  const [kind, words] = own(FATES, decision.fate) ?? ["", decision.fate];
  const why = decision.reason ? whySkipped(decision.reason) : null;
  return h(
    "section",
    { class: "card" },
    h(
      "header",
      {},
      h("h2", {}, decision.slotId ? `Slot ${decision.slotId}: ` : "", "showed ", h("code", {}, decision.rewardActionId)),
      pill(words, kind),
    ),
    why ? message(`${why.title}. ${why.advice}`, "warn") : null,
    facts([
      ["Ranked", when(decision.rankedAt, { seconds: true })],
      ["Probability", percent(decision.probability)],
      ["Mode", decision.learningMode],
      ["Chosen by model", decision.modelVersion ? h("code", {}, decision.modelVersion) : "none: all actions were equally likely"],
      ...(decision.deferActivation
        ? entry("Activated", decision.activatedAt ? when(decision.activatedAt, { seconds: true }) : "not yet")
        : []),
      ...(decision.pendingUntil ? entry("Can be learned from", when(decision.pendingUntil, { seconds: true })) : []),
      ...(decision.learnedIn ? entry("Learned in model", h("code", {}, decision.learnedIn)) : []),
      ...(decision.reward === undefined
        ? []
        : entry("Reward", `${reward(decision.reward)}${decision.defaultRewardUsed ? " (the default: none came in time)" : ""}`)),
    ]),
    decision.rewards.length ? rewardTable(decision.rewards) : h("p", { class: "faint" }, "No reward is logged for it."),
  );
}

/** @param {any[]} rewards */
function rewardTable(rewards) {
  return table(
    "Its rewards",
    ["Observed", "#Value", "Result", "Why"],
    rewards.map((each) => {
      const [kind, words] = own(OUTCOMES, each.outcome) ?? ["", each.outcome];
      return [when(each.observedAt, { seconds: true }), amount(decimal(each.value, 3)), pill(words, kind), each.reason ?? ""];
    }),
  );
}

/**
 * @param {string} name
 * @param {import("../lib/dom.js").Child} value
 * @returns {[string, import("../lib/dom.js").Child][]}
 */
function entry(name, value) {
  return [[name, value]];
}
