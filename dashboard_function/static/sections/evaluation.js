/** One evaluation: how far it is, what it found, and putting a policy of it to use. */

import { Refusal } from "../lib/api.js";
import { Chart } from "../lib/chart.js";
import { confirmed } from "../lib/dialog.js";
import { h, renew, replace, update as updated, write } from "../lib/dom.js";
import { exportButtons, ofRecords } from "../lib/export.js";
import { field } from "../lib/form.js";
import { difference, interval, reward, told } from "../lib/format.js";
import { drawn, sharedScale } from "../lib/interval.js";
import { signedReward } from "../lib/lift.js";
import { repeated } from "../lib/live.js";
import { marksFor } from "../lib/marks.js";
import { failed, message, note } from "../lib/notes.js";
import { own } from "../lib/own.js";
import { amount, button, card, facts, heading, pill, segments, table, when } from "../lib/pieces.js";
import { JOB_MS, isOver, removed, statusPill, statusText } from "./jobs.js";
import { ofResults } from "./series.js";

/** @typedef {import("../sections.js").Page} Page */
/** @typedef {import("./jobs.js").Kind} Kind */

/** All of the time series: it holds only what is in the evaluation's own range. */
const ALWAYS = { startTime: "2000-01-01T00:00:00Z", endTime: "2100-01-01T00:00:00Z" };

/** @type {Record<string, { title: string, window: string, minutes: number }>} */
const VIEWS = {
  expanding: { title: "Since the start", window: "Expanding", minutes: 5 },
  hour: { title: "Hours", window: "Rolling", minutes: 60 },
  quarter: { title: "6 hours", window: "Rolling", minutes: 360 },
  half: { title: "12 hours", window: "Rolling", minutes: 720 },
  day: { title: "Days", window: "Rolling", minutes: 1440 },
};

const TITLE = "Expected reward over time";

/** The loop's own policy, which is no longer the one that was shown where others have shown it. */
const PRESENT = "present policy";

/** By source: how a row is drawn, what it is called, and where it comes from. @type {Record<string, [string, string | null, string]>} */
const SOURCES = {
  Online: ["online", "What was shown", "The log"],
  Baseline: ["baseline", "The baseline", "Always your first action"],
  Random: ["random", "Chance", "All actions alike"],
  Custom: ["custom", null, "Your own"],
  OfflineExperimentation: ["custom", null, "Found by the search"],
};
const OF_PRESENT = /** @type {[string, string, string]} */ (["present", "The present policy", "The loop"]);
const NOT_APPLICABLE = ["Baseline", "Random"];

/** What a policy has to show to be applied, if that is asked for: that it surely earns more, at any time. */
const GATE = { leastLift: 0 };

/**
 * @param {Page} page
 * @param {Kind} kind
 */
export async function showEvaluation({ api, root, signal, argument, onError, entitle }, kind) {
  const address = `${kind.path}/${encodeURIComponent(argument)}`;
  let view = "expanding";
  let slot = "";
  /** @type {any} */
  let shown = null;
  /** @type {any} what the report says of it, once it is over */
  let report = null;
  const marks = marksFor(api, signal);
  const watching = new AbortController();
  const title = h("span");
  const status = h("div", { class: "stack", "aria-live": "polite" });
  const ruled = h("div", { class: "stack" });
  const results = h("div", { class: "parts" });
  const chart = new Chart({ title: TITLE, format: reward, signal, height: 260, level: "h2" });
  const views = segments(
    "Time range of a point",
    Object.entries(VIEWS).map(([name, { title }]) => [name, title]),
    view,
    (name) => ((view = name), void followed()),
  );
  chart.element.querySelector("header")?.append(views);
  const over = h("div", { class: "card", hidden: true }, chart.element);

  /** The results without their course, which takes longer: a day is as coarse as it gets. */
  const fetched = async () => {
    const asked = api.get(address, { ...ALWAYS, window: VIEWS.day.window, intervalInMinutes: VIEWS.day.minutes }, signal);
    const isKnown = report?.value.length;
    [shown, report] = await Promise.all([asked, isKnown ? report : api.get(`${address}/report`, {}, signal), marks.refresh()]);
  };
  /** @type {any} the results with the course that is drawn */
  let course = null;
  const drawCourse = () => {
    const inSlot = course?.content.value.filter((/** @type {any} */ each) => each.slotId === slot) ?? [];
    chart.show({ ...ofResults(inSlot, (each) => titleOf(each, report)), marks: marks.known() });
  };
  const follow = async () => {
    if (!shown.content.value.length) return;
    const asked = view;
    over.setAttribute("aria-busy", "true");
    const { window, minutes } = VIEWS[asked];
    const found = await api.get(address, { ...ALWAYS, window, intervalInMinutes: minutes }, signal);
    if (asked !== view) return;
    course = found;
    over.removeAttribute("aria-busy");
    drawCourse();
  };
  /** The results stay also where their course cannot be had. */
  const followed = async () => {
    const asked = view;
    try {
      await follow();
    } catch (error) {
      if (asked !== view) return;
      over.removeAttribute("aria-busy");
      failed(error, TITLE);
    }
  };
  const apply = async (/** @type {any} */ result) => {
    const policy = { name: result.name, arguments: result.arguments };
    const { message } = await api.post("personalizer/configurations/preview", { policy });
    const title = titleOf(result, report);
    const effect = `“${title}” becomes the loop's policy. Every process uses it within its poll interval. ${message} Its arguments: ${result.arguments}`;
    const gated = h("input", { type: "checkbox" });
    const hint = "It is applied only if the interval of its lift over the present policy is above 0. You may look as often as you like.";
    const wished = field({ name: "gate", label: "Only if it surely earns more", control: gated, hint });
    const text = h("div", { class: "stack" }, h("p", {}, effect), wished.element);
    replace(ruled);
    if (!(await confirmed({ title: "Apply this policy?", text, action: "Apply", isDangerous: false }, signal))) return;
    const wish = { evaluationId: shown.id, policyName: result.name, ...(gated.checked ? { gate: GATE } : {}) };
    try {
      await api.post("personalizer/configurations/applyFromEvaluation", wish);
    } catch (error) {
      if (!(error instanceof Refusal) || !error.details.length) throw error;
      replace(ruled, rulesOf(title, error));
      ruled.scrollIntoView({ block: "nearest" });
      return;
    }
    note(`“${title}” is the loop's policy now.`);
  };
  const draw = () => {
    write(title, shown.name);
    entitle(shown.name);
    renew(status, [shown.status, shown.description], () => [
      h(
        "p",
        { class: "actions" },
        statusPill(shown),
        h("span", { class: "faint" }, "of the log from ", when(shown.startTime), " to ", when(shown.endTime)),
      ),
      ...statusText(shown),
    ]);
    const values = shown.content.value;
    const slots = [...new Set(values.map((/** @type {any} */ each) => each.slotId))];
    if (!slots.includes(slot)) slot = slots[0] ?? "";
    const inSlot = values.filter((/** @type {any} */ each) => each.slotId === slot);
    results.hidden = over.hidden = !inSlot.length;
    if (!inSlot.length) return;
    const { verdict } = report ?? {};
    updated(
      results,
      card(
        "Results",
        verdict ? message(told(verdict.sentence), verdict.policyName ? "good" : "info") : null,
        slots.length > 1
          ? segments(
              "Slot",
              slots.map((each) => [each, each || "All slots"]),
              slot,
              (chosen) => ((slot = chosen), draw()),
            )
          : null,
        resultTable(inSlot, { best: shown.optimalPolicy, report, apply }),
        exportButtons("Results of the evaluation", () => ofRecords(inSlot)),
      ),
    );
    if (course) drawCourse();
  };
  const remove = button(
    "Delete",
    async () => {
      if (await removed(api, kind, shown, signal)) location.hash = `#/${kind.place}`;
    },
    { class: "warned" },
  );
  replace(root, heading(title, h("a", { href: `#/${kind.place}` }, "All evaluations"), [remove]), status, ruled, results, over);
  await fetched();
  draw();
  void followed();
  if (isOver(shown)) return;
  signal.addEventListener("abort", () => watching.abort(), { once: true });
  const update = async () => {
    await fetched();
    draw();
    await follow();
    if (isOver(shown)) watching.abort();
  };
  repeated(update, { everyMs: JOB_MS, signal: watching.signal, onError });
}

/**
 * @param {any[]} results
 * @param {{ best: string | undefined, report: any, apply: (result: any) => Promise<void> }} options
 */
function resultTable(results, { best, report, apply }) {
  const sorted = results.toSorted((one, other) => other.summary.expectedReward - one.summary.expectedReward);
  const scale = sharedScale(sorted.map((each) => each.summary));
  const present = sorted.find(isPresent);
  const compared = present ?? sorted.find((each) => each.policySource === "Online");
  const mark = compared?.summary.expectedReward;
  const canApply = (/** @type {any} */ each) => ![...NOT_APPLICABLE, present ? "Online" : ""].includes(each.policySource);
  return [
    table(
      "Results, highest first",
      ["Policy", "From", "#Expected reward", "#Lift", "95% interval", "", ""],
      sorted.map((each) => {
        const [kind, , from] = lookOf(each);
        const title = titleOf(each, report);
        return [
          h(
            "span",
            {},
            title,
            " ",
            each.name === best ? pill("highest", "good") : null,
            h(
              "details",
              { class: "quiet" },
              h("summary", {}, "name and arguments"),
              h("p", {}, h("code", {}, each.name)),
              each.arguments && each.policySource !== "Online" ? h("p", {}, h("code", {}, each.arguments)) : null,
            ),
          ),
          from,
          amount(reward(each.summary.expectedReward)),
          each === compared || !compared ? amount("–") : liftCell(each, compared, report),
          drawn(each.summary, { scale, mark, kind }),
          h("span", { class: "faint number" }, interval(each.summary.confidenceInterval)),
          canApply(each) ? button("Apply", () => apply(each), { class: "small", "aria-label": `Apply ${title}` }) : null,
        ];
      }),
    ),
    facts([
      ["Lift, dotted line", present ? "compared with the present policy" : "compared with what was shown"],
      ["Below a lift", "its 95% interval, from the difference event by event: surely better above 0, surely worse below"],
      ["An interval", "holds the true value in 95 of 100 evaluations"],
    ]),
  ];
}

/**
 * Why a policy was not applied, rule by rule.
 *
 * @param {string} title
 * @param {Refusal} refusal
 */
function rulesOf(title, { details }) {
  return h(
    "div",
    { class: "message bad", role: "alert" },
    h("p", {}, `“${title}” was not applied. The loop's policy is as before.`),
    h(
      "ul",
      {},
      details.map(({ code, message }) => h("li", {}, h("b", {}, code === "Kept" ? "Kept" : "Not kept"), ` – ${message}`)),
    ),
  );
}

/**
 * How much more a policy earns, with the interval of the difference where the report has it.
 *
 * @param {any} result
 * @param {any} compared
 * @param {any} report
 */
function liftCell(result, compared, report) {
  const of = report?.value.find((/** @type {any} */ each) => each.name === result.name && each.slotId === result.slotId);
  const lift = of?.lifts?.[of.comparedWith];
  const [low, high] = lift?.confidenceInterval ?? [null, null];
  const theirs = compared.summary.expectedReward;
  const mine = typeof lift?.value === "number" ? theirs + lift.value : result.summary.expectedReward;
  return h(
    "span",
    {},
    amount(difference(mine, theirs)),
    low === null || high === null ? null : h("p", { class: "faint number" }, `${signedReward(low)} to ${signedReward(high)}`),
  );
}

/** @param {any} result */
function isPresent(result) {
  return result.name === PRESENT && result.policySource === "Custom";
}

/** @param {any} result */
function lookOf(result) {
  if (isPresent(result)) return OF_PRESENT;
  return own(SOURCES, result.policySource) ?? /** @type {[string, null, string]} */ (["custom", null, result.policySource]);
}

/**
 * What a policy is called for people; the name that it has in the API stands beside its arguments.
 *
 * @param {any} result
 * @param {any} report
 * @returns {string}
 */
function titleOf(result, report) {
  const [, fixed] = lookOf(result);
  if (fixed) return fixed;
  const title = report?.value.find((/** @type {any} */ each) => each.name === result.name)?.title;
  return title && result.policySource !== "Custom" ? title.charAt(0).toUpperCase() + title.slice(1) : result.name;
}
