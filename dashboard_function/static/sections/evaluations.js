/** Evaluations: what other policies would have earned on what is logged. */

import { h, renew, replace } from "../lib/dom.js";
import { repeated } from "../lib/live.js";
import { empty, heading } from "../lib/pieces.js";
import { showEvaluation } from "./evaluation.js";
import { listing } from "./jobs.js";
import { askForEvaluation } from "./new-evaluation.js";
import { SCHEDULES, askForSchedule, scheduleCard, showSchedule, unscheduled } from "./schedules.js";

/** @typedef {import("../sections.js").Page} Page */

export const EVALUATIONS = { path: "personalizer/evaluations", place: "evaluations", one: "evaluation", many: "Evaluations" };
const EVERY_MS = 5_000;

/** @param {Page} page */
export async function show(page) {
  const schedule = page.query.get("schedule");
  if (schedule) await showSchedule(page);
  else if (schedule === "") askForSchedule(page);
  else if (page.argument === "new") await askForEvaluation(page, EVALUATIONS);
  else if (page.argument) await showEvaluation(page, EVALUATIONS);
  else await list(page);
}

/** @param {Page} page */
async function list(page) {
  const { api, root, signal, onError } = page;
  const evaluations = listing(page, EVALUATIONS, { nothingYet });
  const schedules = h("div");
  const unschedule = async (/** @type {any} */ schedule) => {
    if (await unscheduled(api, schedule, signal)) await update();
  };
  const updateSchedules = async () => {
    const { value } = await api.get(SCHEDULES, {}, signal);
    renew(schedules, [value], () => scheduleCard(value, unschedule));
  };
  const update = async () => void (await Promise.all([evaluations.update(), updateSchedules()]));
  replace(
    root,
    heading(
      "Evaluations",
      "What would other policies have earned? This is estimated from the logged events. Nobody is shown anything else for it.",
      [h("a", { class: "button", href: "#/evaluations?schedule=" }, "New schedule"), newOne()],
    ),
    schedules,
    evaluations.content,
  );
  await repeated(update, { everyMs: EVERY_MS, signal, onError }).first;
}

function nothingYet() {
  return empty(
    "No evaluation yet",
    h(
      "p",
      {},
      "An evaluation reads a range of the log. It estimates what your policy, the baseline, chance, and up to ten other policies would have earned, with intervals. It can also search for better policies. You can apply a better policy with one click.",
    ),
    h("p", {}, "A few thousand events with rewards give clear results."),
    h("p", {}, newOne()),
  );
}

function newOne() {
  return h("a", { class: "button primary", href: "#/evaluations/new" }, "New evaluation");
}
