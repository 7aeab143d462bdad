/** Schedules: evaluations that are done again and again, and the series of their figures. */

import { Chart } from "../lib/chart.js";
import { confirmed } from "../lib/dialog.js";
import { h, renew, replace, write } from "../lib/dom.js";
import { exportButtons, ofRecords } from "../lib/export.js";
import { field, form, select } from "../lib/form.js";
import { count, counted, interval, reward, told } from "../lib/format.js";
import { newId } from "../lib/ids.js";
import { signedReward } from "../lib/lift.js";
import { repeated } from "../lib/live.js";
import { note } from "../lib/notes.js";
import { amount, button, card, facts, heading, pill, table, when } from "../lib/pieces.js";
import { statusPill } from "./jobs.js";
import { policyRows } from "./new-evaluation.js";
import { ofLifts } from "./series.js";

/** @typedef {import("../sections.js").Page} Page */

export const SCHEDULES = "evaluations/schedules";
const EVERY_MS = 5_000;
const LIFTS = "Lift of each run";

/** @type {Record<string, string>} */
const NAMES = { online: "What was shown", "present policy": "The present policy", baseline1: "The baseline", baselineRand: "Chance" };

/** @param {string} name */
const titleOf = (name) => NAMES[name] ?? name;

/** @param {string} id */
const addressOf = (id) => `#/evaluations?schedule=${encodeURIComponent(id)}`;

/**
 * The schedules of a loop as a card of the list of evaluations; nothing without any.
 *
 * @param {any[]} schedules
 * @param {(schedule: any) => Promise<void>} remove
 */
export function scheduleCard(schedules, remove) {
  if (!schedules.length) return null;
  return card(
    "Schedules",
    table(
      "Schedules, oldest first",
      ["Name", "Runs", "Last run", "Status", "Next run", ""],
      schedules.map((each) => [
        h("a", { href: addressOf(each.id) }, each.name),
        `every ${counted(each.everyDays, "day")}, over ${counted(each.overDays, "day")}`,
        each.lastRun ? when(each.lastRun.dueTime) : "",
        each.lastRun
          ? h("span", { class: "pills" }, statusPill(each.lastRun), isLow(each.lastRun) ? pill("lift is low", "bad") : null)
          : "",
        when(each.nextTime),
        h(
          "div",
          { class: "actions" },
          button("Delete", () => remove(each), { class: "small plain warned", "aria-label": `Delete the schedule ${each.name}` }),
        ),
      ]),
    ),
  );
}

/**
 * Delete one, if that is meant; tells whether it was.
 *
 * @param {import("../lib/api.js").Api} api
 * @param {any} schedule
 * @param {AbortSignal} signal
 */
export async function unscheduled(api, schedule, signal) {
  const text = `“${schedule.name}” and its series are deleted. Evaluations that it has asked for stay.`;
  if (!(await confirmed({ title: "Delete this schedule?", text, action: "Delete" }, signal))) return false;
  await api.remove(`${SCHEDULES}/${encodeURIComponent(schedule.id)}`);
  note("Deleted.");
  return true;
}

/** @param {Page} page */
export async function showSchedule({ api, root, signal, query, onError, entitle }) {
  const address = `${SCHEDULES}/${encodeURIComponent(query.get("schedule") ?? "")}`;
  /** @type {any} */
  let shown = null;
  const title = h("span");
  const about = h("div");
  const runs = h("div");
  const chart = new Chart({ title: LIFTS, format: reward, signal, height: 260, level: "h2", empty: "No run has a lift yet." });
  const remove = button(
    "Delete",
    async () => {
      if (await unscheduled(api, shown, signal)) location.hash = "#/evaluations";
    },
    { class: "warned" },
  );
  const update = async () => {
    shown = await api.get(address, {}, signal);
    write(title, shown.name);
    entitle(shown.name);
    renew(about, [shown], () => factsOf(shown));
    renew(runs, [shown.runs], () => [
      runTable(shown.runs),
      exportButtons("Runs of the schedule", () => ofRecords(shown.runs.flatMap(records))),
    ]);
    chart.show(ofLifts(shown.runs, titleOf));
  };
  replace(
    root,
    heading(title, h("a", { href: "#/evaluations" }, "All evaluations"), [remove]),
    about,
    h("div", { class: "card" }, chart.element),
    card("Runs", runs),
  );
  await repeated(update, { everyMs: EVERY_MS, signal, onError }).first;
}

/** @param {any} schedule */
function factsOf(schedule) {
  const least = Object.entries(schedule.leastLifts).map(
    ([name, value]) => `${titleOf(name)}: ${signedReward(/** @type {number} */ (value))}`,
  );
  return facts([
    ["Runs", `every ${counted(schedule.everyDays, "day")}, over ${counted(schedule.overDays, "day")}`],
    ["Next run", when(schedule.nextTime)],
    ["Lifts are over", titleOf(schedule.comparedWith)],
    ["Alert below", least.join(", ") || "no alert"],
  ]);
}

/** @param {any[]} runs */
function runTable(runs) {
  return table(
    "Runs, newest first",
    ["Due", "Policy", "#Events", "#Expected reward", "#Lift", "95% interval of the lift", "Status"],
    runs
      .toReversed()
      .flatMap((run) => (run.value.length ? run.value.map((/** @type {any} */ each) => figureRow(run, each)) : [emptyRow(run)])),
  );
}

/**
 * @param {any} run
 * @param {any} each
 */
function figureRow(run, each) {
  const due = run.evaluationId
    ? h("a", { href: `#/evaluations/${encodeURIComponent(run.evaluationId)}` }, when(run.dueTime))
    : when(run.dueTime);
  return [
    due,
    titleOf(each.name),
    amount(count(run.events)),
    amount(reward(each.expectedReward)),
    amount(each.lift === undefined ? "" : signedReward(each.lift)),
    each.liftInterval ? interval(each.liftInterval) : "",
    each.isBelow ? h("span", { class: "pills" }, pill("below the alert", "bad")) : "",
  ];
}

/** @param {any} run */
function emptyRow(run) {
  const why = run.description ? h("span", { class: "faint" }, told(run.description)) : null;
  return [when(run.dueTime), "", amount(count(run.events)), "", "", "", h("span", {}, statusPill(run), " ", why)];
}

/** @param {any} run */
function records(run) {
  const { value, ...own } = run;
  return value.length ? value.map((/** @type {any} */ each) => ({ ...own, ...each })) : [own];
}

/** @param {any} run */
function isLow(run) {
  return run.value.some((/** @type {any} */ each) => each.isBelow);
}

/** @param {Page} page */
export function askForSchedule({ api, root, signal }) {
  const id = newId();
  const number = (/** @type {string} */ name, /** @type {string} */ label, /** @type {number} */ most, /** @type {string} */ hint) =>
    field({ name, label, hint, control: h("input", { type: "number", value: 7, min: 1, max: most, required: true }) });
  const name = field({
    name: "name",
    label: "Name",
    control: h("input", { type: "text", autocomplete: "off", value: "Every week", maxlength: 256 }),
  });
  const every = number("everyDays", "Every so many days", 90, "The first run begins at once.");
  const over = number("overDays", "Over so many days of the log", 365, "A run looks at the days before it.");
  const rivals = /** @type {[string, string][]} */ (["baseline1", "online", "present policy"].map((each) => [each, titleOf(each)]));
  const rival = field({ name: "comparedWith", label: "Lifts are over", control: select(rivals, "baseline1") });
  const least = field({
    name: "leastLifts",
    label: "Alert if the lift of the present policy is lower",
    control: h("input", { type: "number", step: "any" }),
    hint: "Optional. Choose a number that is clearly lower than the lift that you expect.",
  });
  const policies = policyRows("None.");
  const submit = async () => {
    const body = {
      name: name.control.value.trim(),
      everyDays: Number(every.control.value),
      overDays: Number(over.control.value),
      comparedWith: rival.control.value,
      policies: policies.value(),
      leastLifts: least.control.value ? { "present policy": Number(least.control.value) } : {},
    };
    await api.put(`${SCHEDULES}/${id}`, body);
    location.hash = addressOf(id);
  };
  replace(
    root,
    heading("New schedule", "An evaluation runs again and again. Its figures are kept as a series."),
    form({
      content: [
        card("Name and times", name.element, every.element, over.element, rival.element, least.element),
        card("Policies of your own", policies.element),
      ],
      fields: () => [name, every, over, rival, least, ...policies.fields()],
      submit,
      action: "Make the schedule",
      signal,
      extra: [h("a", { class: "button", href: "#/evaluations" }, "Cancel")],
    }),
  );
}
