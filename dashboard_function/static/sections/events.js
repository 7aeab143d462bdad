/** The latest events, and receipts: what became of an event, why its action was shown, and what became of each of its rewards. */

import { remember, written } from "../lib/address.js";
import { Refusal } from "../lib/api.js";
import { h, replace, svg } from "../lib/dom.js";
import { exportButtons } from "../lib/export.js";
import { field, form, select } from "../lib/form.js";
import { count, counted, decimal, duration, percent, reward } from "../lib/format.js";
import { message } from "../lib/notes.js";
import { own } from "../lib/own.js";
import { amount, button, card, empty, facts, heading, pill, table, when } from "../lib/pieces.js";
import { momentField, utcOf } from "../lib/range.js";
import { whySkipped } from "./reasons.js";

/** @typedef {import("../sections.js").Page} Page */

/** How many events are listed, and how many of them at first. */
const SHOWN = 100;
const FIRST = 15;

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
export async function show(page) {
  const { api, root, signal, argument } = page;
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
    history.replaceState(null, "", written("events", id));
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
  const list = latest(page);
  replace(
    root,
    heading(
      "Events",
      "Look up an event: when it was ranked, which action was shown and why, which rewards counted, and which model learned from it.",
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
    list.element,
  );
  if (argument) await submit();
  await list.update();
}

/** What may be asked of an event: the member of the query, its label, and what its two answers are called. @type {[string, string, string, string][]} */
const QUESTIONS = [
  ["rewarded", "Reward", "with a reward", "without a reward"],
  ["late", "Late rewards", "with a late reward", "without a late reward"],
  ["explored", "Explored", "chance chose", "the likeliest action"],
];

/**
 * The latest events, chosen by what became of them, and how their rewards and delays are spread.
 *
 * @param {Page} page
 */
function latest({ api, signal, argument, query }) {
  const action = field({
    name: "action",
    label: "Action",
    control: h("input", {
      type: "text",
      autocomplete: "off",
      spellcheck: "false",
      autocapitalize: "none",
      value: query.get("action") ?? "",
    }),
  });
  const chosen = QUESTIONS.map(([name, label, yes, no]) =>
    field({
      name,
      label,
      control: select(
        [
          ["", "any"],
          ["true", yes],
          ["false", no],
        ],
        query.get(name) ?? "",
      ),
    }),
  );
  const [since, until] = ["since", "until"].map((name) => {
    const at = new Date(query.get(name) ?? "");
    const label = name === "since" ? "Ranked from" : "Ranked until";
    return momentField({ name, label, hint: "In your local time.", at: Number.isNaN(at.getTime()) ? null : at });
  });
  const fields = [action, ...chosen, since, until];
  const shown = h("div", { class: "stack", "aria-live": "polite" });
  let asked = /** @type {Record<string, string>} */ ({});
  const read = () => {
    const times = { since, until };
    const moments = Object.entries(times).map(([name, { control }]) => [name, control.value ? utcOf(control.value) : ""]);
    const others = [action, ...chosen].map(({ name, control }) => [name, control.value.trim()]);
    return Object.fromEntries([...others, ...moments].filter(([, value]) => value));
  };
  const update = async () => {
    asked = read();
    const found = await api.get("events", { ...asked, top: SHOWN }, signal);
    replace(shown, listOf(found, Object.keys(asked).length > 0), spreads(found));
  };
  const submit = async () => {
    const before = asked;
    await update();
    if (!argument) remember("events", { before, now: asked });
  };
  const element = h(
    "div",
    { class: "stack" },
    card(
      "Latest events",
      form({
        content: [
          h(
            "div",
            { class: "fields" },
            fields.map((each) => each.element),
          ),
        ],
        fields: () => fields,
        submit,
        action: "Show",
      }),
    ),
    shown,
  );
  return { element, update };
}

/**
 * @param {any} found
 * @param {boolean} isChosen
 */
function listOf({ value, lookedAt }, isChosen) {
  const range = lookedAt.since ? [" from ", when(lookedAt.since, { seconds: true }), " to ", when(lookedAt.until, { seconds: true })] : [];
  const looked = h(
    "p",
    { class: "faint" },
    `${counted(lookedAt.events, "event")} looked at`,
    range,
    lookedAt.isCut ? ". There are older ones. Choose a time to see them." : ".",
  );
  if (!value.length)
    return empty("No such event", h("p", {}, isChosen ? "No event of this time is so." : "Nothing has been ranked yet."), looked);
  const rows = value.map((/** @type {any} */ each) => [
    when(each.rankedAt, { seconds: true }),
    h("a", { href: written("events", each.eventId) }, h("code", {}, each.eventId)),
    h("span", {}, h("code", {}, each.rewardActionId), each.isExplored ? [" ", pill("explored", "info")] : null),
    amount(percent(each.probability)),
    pill(...fateOf(each.fate)),
    amount(each.reward === null ? "–" : `${reward(each.reward)}${each.defaultRewardUsed ? " (default)" : ""}`),
    h(
      "span",
      {},
      each.rewards ? counted(each.rewards, "reward") : "none",
      each.lateRewards ? [" ", pill(`${each.lateRewards} late`, "bad")] : null,
    ),
  ]);
  const members = [
    "eventId",
    "slotId",
    "rankedAt",
    "rewardActionId",
    "probability",
    "isExplored",
    "modelVersion",
    "learningMode",
    "fate",
    "reason",
  ];
  const heads = [...members, "reward", "defaultRewardUsed", "rewards", "lateRewards", "delaySeconds"];
  const columns = ["Ranked", "Event", "Shown", "#Probability", "Result", "#Reward", "Rewards"];
  const listed = h("div", { class: "stack" });
  const draw = (/** @type {number} */ most) => {
    const all = rows.length > most ? button(`Show all ${rows.length}`, () => draw(rows.length), { class: "small" }) : null;
    replace(listed, table("Latest events, newest first", columns, rows.slice(0, most)), all ? h("p", {}, all) : null);
  };
  draw(FIRST);
  return h(
    "div",
    { class: "card" },
    listed,
    looked,
    exportButtons("Events", () => ({ heads, rows: value.map((/** @type {any} */ each) => heads.map((head) => each[head])) })),
  );
}

/** @param {any} found */
function spreads({ rewards, delays, models, lookedAt }) {
  if (!rewards.length && !delays.length) return null;
  const of = `Of the ${counted(lookedAt.events, "event")} that were looked at.`;
  const ends = (/** @type {any} */ { low, high }, /** @type {(value: number) => string} */ format) =>
    low === high ? format(low) : high === null ? `${format(low)} and more` : `${format(low)} to ${format(high)}`;
  const binned = (/** @type {string} */ title, /** @type {any[]} */ bins, /** @type {(value: number) => string} */ format) =>
    bins.length
      ? card(
          title,
          h("p", { class: "faint" }, of),
          bars(bins.map((each) => [ends(each, format), each.count])),
          exportButtons(title, () => ({ heads: ["from", "to", "events"], rows: bins.map(({ low, high, count }) => [low, high, count]) })),
        )
      : null;
  return h(
    "div",
    { class: "columns" },
    binned("Rewards", rewards, reward),
    binned("Time to the first reward", withoutEmptyEnd(delays), duration),
    models.length
      ? card(
          "Earned by model",
          h("p", { class: "faint" }, of),
          table(
            "Average reward of each model that chose",
            ["Model", "#Events", "#Average reward"],
            models.map((/** @type {any} */ each) => [
              each.modelVersion ? h("code", {}, each.modelVersion) : "no model yet",
              amount(count(each.events)),
              amount(reward(each.averageReward)),
            ]),
          ),
        )
      : null,
  );
}

/** @param {any[]} bins */
function withoutEmptyEnd(bins) {
  return bins.slice(0, bins.findLastIndex(({ count }) => count) + 1);
}

/** @param {[string, number][]} rows names and numbers */
function bars(rows) {
  const most = Math.max(...rows.map(([, number]) => number)) || 1;
  return h(
    "ul",
    { class: "bars" },
    rows.map(([name, number]) =>
      h(
        "li",
        {},
        h("span", {}, name),
        svg(
          "svg",
          { viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
          svg("rect", { width: (100 * number) / most, height: 8, rx: 1 }),
        ),
        h("span", { class: "number" }, count(number)),
      ),
    ),
  );
}

/**
 * @param {string} fate
 * @returns {[string, "good" | "warn" | "bad" | "info" | ""]}
 */
function fateOf(fate) {
  const [kind, words] = own(FATES, fate) ?? ["", fate];
  return [words, kind];
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
      ...("isHeldOut" in decision ? entry("Holdout", decision.isHeldOut ? "held out: your own choice was shown" : "not held out") : []),
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
    decision.actions ? whyThis(decision) : null,
  );
}

/**
 * All that the decision was made of: the context, every action with its chance, and what the model thought of it.
 *
 * @param {any} decision
 */
function whyThis({ actions, contextFeatures, baselineActionId, modelVersion }) {
  const isExplained = actions.some((/** @type {any} */ each) => each.reasons);
  const likeliest = [...actions].sort((one, other) => other.probability - one.probability);
  const why = isExplained
    ? "The score is the reward that the model expected. The reasons add up to it. The action was drawn by the probabilities."
    : modelVersion
      ? "The model that chose is not kept any more, so there are no reasons."
      : "No model chose, so there are no reasons.";
  return h(
    "div",
    { class: "stack why" },
    h("h3", {}, "Why this decision"),
    h("p", { class: "faint" }, why),
    table(
      "All actions, the likeliest first",
      ["Action", "#Probability", ...(isExplained ? ["#Score", "Reasons"] : []), "Features"],
      likeliest.map((each) => [
        h(
          "span",
          {},
          h("code", {}, each.id),
          each.isChosen ? [" ", pill("shown", "good")] : null,
          each.id === baselineActionId ? [" ", pill("baseline")] : null,
        ),
        amount(percent(each.probability)),
        ...(isExplained ? [amount(decimal(each.score, 3)), reasonsOf(each.reasons)] : []),
        featuresOf(each.features),
      ]),
    ),
    exportButtons("Actions of the event", () => ({
      heads: ["action", "probability", "score", "isShown", "reasons", "features"],
      rows: likeliest.map((each) => [
        each.id,
        each.probability,
        each.score,
        each.isChosen,
        each.reasons ? JSON.stringify(each.reasons) : null,
        JSON.stringify(each.features),
      ]),
    })),
    h("h3", {}, "Context"),
    contextFeatures.length ? featuresOf(contextFeatures, true) : h("p", { class: "faint" }, "The call had no context features."),
  );
}

/** @param {{ name: string, score: number }[] | null | undefined} reasons */
function reasonsOf(reasons) {
  if (!reasons?.length) return h("span", { class: "faint" }, "–");
  return h(
    "ul",
    { class: "reasons" },
    reasons.map(({ name, score }) => h("li", {}, h("code", {}, name), ` ${score < 0 ? "" : "+"}${decimal(score, 3)}`)),
  );
}

/**
 * @param {any[]} features
 * @param {boolean} [isOpen]
 */
function featuresOf(features, isOpen = false) {
  const text = features.map((each) => JSON.stringify(each, null, 1)).join("\n");
  const shown = h("pre", { tabindex: "0", role: "region", "aria-label": "Features" }, h("code", {}, text));
  return isOpen ? shown : h("details", { class: "quiet" }, h("summary", {}, "Features"), shown);
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
