/** How the loop does: what it earns against the baseline and chance, its traffic, its model, and what is in its way. */

import { remember } from "../lib/address.js";
import { Chart } from "../lib/chart.js";
import { h, renew, replace, update as updated, write } from "../lib/dom.js";
import { ago, count, counted, decimal, duration, interval, localTime, milliseconds, percent, reward } from "../lib/format.js";
import { liftWords } from "../lib/lift.js";
import { repeated } from "../lib/live.js";
import { marksFor } from "../lib/marks.js";
import { amount, card, empty, facts, heading, pill, segments, snippet, table } from "../lib/pieces.js";
import { USUAL, rangePicker, shownTime, timeBefore, timeWords } from "../lib/range.js";
import { checklist } from "./checklist.js";
import { rankExample, rewardExample, sdkExample } from "./examples.js";
import { LOST_REWARDS, whySkipped } from "./reasons.js";
import { Samples, behind, column, complete, ofPolicies, secondsAt, within } from "./series.js";

/** @typedef {import("../sections.js").Page} Page */

const EVERY_MS = 4_000;
const MARKS = { good: "✓", warn: "!", bad: "✕", wait: "…" };
const IMPORTED = "Imported from another log; not ranked here";
/** @type {Record<string, string>} */
const PROVEN = {
  better: "The loop earns more than your own choice.",
  worse: "The loop earns less than your own choice.",
  notKnown: "It is not known yet which of the two earns more.",
};
const SAID = { good: "Fine", warn: "Worth a look", bad: "Not right", wait: "Waiting" };

/** What may lie between two marks of an axis that is told to a tenth, to a thousandth, and in units of time. */
const TENTHS = steps(0.1);
const THOUSANDTHS = steps(0.001);
const SPANS = [
  1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200, 86_400, 172_800, 432_000, 864_000,
];

/** What was seen of each loop since it was signed in to. @type {WeakMap<object, Samples>} */
const seen = new WeakMap();
const CUMULATIVE = "cumulative";
const EACH = "timeseries";

/** How the overview was looked at last. @type {import("../lib/range.js").Chosen & { view: string, isCompared: boolean }} */
let looked = { range: USUAL, view: CUMULATIVE, isCompared: false };

/** @param {Page} page */
export async function show({ api, root, signal, query, onError }) {
  if (query.size) looked = lookOf(query);
  const figures = h("dl", { class: "figures", "aria-label": "Figures" });
  const body = h("div", { class: "parts" });
  const charts = chartsFor(api, signal, (since, until) => picker.pick({ since: since.toISOString(), until: until.toISOString() }));
  const marks = marksFor(api, signal);
  const checks = h("ul", { class: "checks" });
  const fates = h("div");
  const model = h("div", { class: "stack" });
  const anew = h("div", { hidden: true });
  const experiment = h("div", { hidden: true });
  const known = h("p", { class: "known" });
  const start = empty(
    "Nothing has been ranked yet",
    known,
    h("p", {}, "Send a first Rank call. The figures appear here within seconds. Learning shows when the reward wait time is over."),
    snippet(rankExample(api), "A Rank call"),
    h("p", {}, "Then reward the event id of its answer:"),
    snippet(rewardExample(api), "A Reward call"),
    h(
      "details",
      { class: "quiet" },
      h("summary", {}, "The same with the official SDK"),
      snippet(sdkExample(api), "Both calls with the SDK"),
    ),
  );
  const update = async () => {
    const asked = looked;
    const shown = shownTime(asked);
    const earlier = asked.isCompared ? timeBefore(shown) : null;
    const figuresOf = (/** @type {import("../lib/range.js").Shown} */ { since, until, minutes }) =>
      api.get("figures", { since: since.toISOString(), until: until.toISOString(), interval: minutes }, signal);
    const [status, found, former] = await Promise.all([api.get("status", {}, signal), figuresOf(shown), earlier && figuresOf(earlier)]);
    if (asked !== looked) return; // something else was chosen meanwhile, and is asked for already
    body.removeAttribute("aria-busy");
    const { loop } = status;
    write(
      known,
      loop.importedEvents ? `The model knows ${counted(loop.publishedModelLearned, "event")}, of the log that was imported.` : "",
    );
    updated(figures, tiles(loop, found, timeWords(shown)));
    start.hidden = loop.counters?.ranked !== 0;
    charts.element.hidden = !start.hidden;
    const until = found.watermark ? new Date(Math.min(Date.parse(found.watermark), shown.until.getTime())) : shown.until;
    const before = earlier && { ...earlier, points: former.timeseries };
    const draw = () => charts.show(found, { ...shown, until }, { before, marks: marks.known() });
    draw();
    const list = checklist(loop);
    renew(checks, list, () => list.map(checked));
    anew.hidden = !loop.anew;
    renew(anew, loop.anew, () => (loop.anew ? ofAnew(loop.anew) : null));
    experiment.hidden = !found.experiment;
    renew(experiment, found.experiment, () => (found.experiment ? ofExperiment(found.experiment) : null));
    renew(fates, [loop.counters, loop.importedEvents], () => (loop.counters ? became(loop) : null));
    renew(
      model,
      [loop.modelVersion, loop.publishedModelVersion, loop.publishedModelLearned, loop.learningMode, loop.apprentice, found.latency],
      () => ofModel(loop, found),
    );
    if (await marks.refresh(loop.publishedModelVersion)) draw();
  };
  let again = () => {};
  const look = (/** @type {Partial<typeof looked>} */ changes) => {
    const before = queryOf(looked);
    looked = { ...looked, ...changes };
    remember("overview", { before, now: queryOf(looked) });
    charts.look();
    body.setAttribute("aria-busy", "true");
    again();
  };
  charts.onView((view) => look({ view }));
  const picker = rangePicker({
    chosen: looked,
    onChange: ({ range = null, since = null, until = null }) => look({ range, since, until }),
  });
  const compare = h(
    "button",
    {
      type: "button",
      "aria-pressed": String(looked.isCompared),
      onclick: () => {
        look({ isCompared: !looked.isCompared, ...(looked.isCompared ? {} : { view: EACH }) });
        compare.setAttribute("aria-pressed", String(looked.isCompared));
      },
    },
    "Period before",
  );
  replace(
    body,
    figures,
    anew,
    start,
    charts.element,
    experiment,
    h(
      "div",
      { class: "columns" },
      card("Is it learning?", checks),
      h("div", { class: "stack" }, card("Events by result", fates), card("Model and latency", model)),
    ),
  );
  replace(
    root,
    heading("Overview", null, [h("div", { class: "segments", role: "group", "aria-label": "Compare with" }, compare), picker.bar]),
    picker.panel,
    body,
  );
  const watch = repeated(update, { everyMs: EVERY_MS, signal, onError });
  again = watch;
  await watch.first;
}

/** @param {URLSearchParams} query */
function lookOf(query) {
  return {
    range: query.get("range"),
    since: query.get("since"),
    until: query.get("until"),
    view: query.get("view") === EACH ? EACH : CUMULATIVE,
    isCompared: query.has("before"),
  };
}

/** @param {typeof looked} look */
function queryOf({ range, since, until, view, isCompared }) {
  return { range: since ? null : (range ?? USUAL), since, until, view: view === EACH ? EACH : null, before: isCompared ? "1" : null };
}

/** @param {number} least */
function steps(least) {
  return Array.from({ length: 13 }, (_, power) => [1, 2, 5].map((each) => Number((each * least * 10 ** power).toPrecision(1)))).flat();
}

/**
 * How long a bucket has lasted: the last one is under way.
 *
 * @param {any} bucket
 * @param {{ minutes: number, until: Date }} range
 */
function minutesOf(bucket, { minutes, until }) {
  return Math.min(minutes, Math.max(1, (until.getTime() / 1000 - secondsAt(bucket)) / 60));
}

/** @param {import("../lib/api.js").Api} api */
function samplesOf(api) {
  const samples = seen.get(api) ?? new Samples();
  seen.set(api, samples);
  return samples;
}

/**
 * @param {import("../lib/api.js").Api} api
 * @param {AbortSignal} signal
 * @param {(since: Date, until: Date) => void} onRange
 */
function chartsFor(api, signal, onRange) {
  const rewards = new Chart({
    title: "Average reward",
    format: reward,
    steps: THOUSANDTHS,
    least: 0.02,
    signal,
    height: 260,
    level: "h2",
    empty: "No event of this time is learned yet. An event counts when its reward wait time is over.",
    onRange,
  });
  const traffic = new Chart({
    title: "Traffic per minute",
    format: rate,
    signal,
    fromZero: true,
    steps: TENTHS,
    least: 0.5,
    height: 170,
    level: "h2",
    onRange,
  });
  const exploration = new Chart({
    title: "Exploration",
    format: percent,
    signal,
    fromZero: true,
    steps: THOUSANDTHS,
    least: 0.05,
    height: 170,
    level: "h2",
    onRange,
  });
  const apprentice = new Chart({
    title: "Apprentice: agrees with your own choice",
    format: percent,
    signal,
    fromZero: true,
    steps: THOUSANDTHS,
    least: 0.05,
    height: 200,
    level: "h2",
    onRange,
  });
  const proposed = new Chart({
    title: "Apprentice: what the policy's choices can have earned",
    format: reward,
    signal,
    steps: THOUSANDTHS,
    least: 0.05,
    height: 200,
    level: "h2",
    onRange,
  });
  const ofApprentice = h(
    "div",
    { class: "card", hidden: true },
    apprentice.element,
    proposed.element,
    h(
      "p",
      { class: "faint" },
      "Where both chose the same, the reward is known. Nothing tells what the policy's other choices would have earned, as they were never shown: " +
        "the lines are the least and the most that is possible. Online mode finds out.",
    ),
    h(
      "p",
      { class: "faint" },
      "In Apprentice mode your own first action is shown. The line is the share of events for which the policy would have shown the same. " +
        "It is ready for Online mode when the line stays high, or when an evaluation says that it earns more.",
    ),
  );
  const lag = new Chart({
    title: "Lag",
    format: seconds,
    signal,
    fromZero: true,
    steps: SPANS,
    least: 10,
    height: 170,
    level: "h2",
    onRange,
  });
  let changed = (/** @type {string} */ _view) => {};
  const views = h("div");
  const look = () =>
    renew(views, looked.view, () =>
      segments(
        "Time range of a point",
        [
          [CUMULATIVE, "Since the start"],
          [EACH, "Each interval"],
        ],
        looked.view,
        (name) => changed(name),
      ),
    );
  look();
  rewards.element.querySelector("header")?.append(views);
  const small = [traffic, exploration, lag].map((each) => h("div", { class: "card" }, each.element));
  return {
    element: h(
      "div",
      { class: "parts" },
      h(
        "div",
        { class: "card" },
        rewards.element,
        h("p", { class: "faint" }, "Bands are 95% intervals. They hold at every moment, however often you look."),
      ),
      ofApprentice,
      h("div", { class: "columns three" }, small),
    ),
    look,
    onView: (/** @type {(view: string) => void} */ listener) => (changed = listener),
    /**
     * @param {any} found
     * @param {import("../lib/range.js").Shown} range
     * @param {{ before: { points: any[], minutes: number, shiftSeconds: number } | null, marks: import("../lib/marks.js").Mark[] }} beside
     */
    show: (found, range, { before, marks }) => {
      const samples = samplesOf(api);
      samples.add(found);
      const former = (/** @type {number[]} */ times, /** @type {(point: any) => number | null} */ member) =>
        before ? behind(times, before, member) : [];
      const isEach = looked.view === EACH;
      const earned = ofPolicies(isEach ? found.timeseries : within(samples.after(found), range));
      if (isEach) earned.series.push(...former(earned.times, (each) => each.averageReward));
      rewards.show({ ...earned, marks });
      const buckets = complete(found.timeseries, range);
      const times = buckets.map(secondsAt);
      const known = found.timeseries;
      traffic.show({
        times,
        marks,
        series: [
          { label: "Events", colour: "online", shape: "bars", values: buckets.map((each) => each.events / minutesOf(each, range)) },
          { label: "Rewards", colour: "baseline", dash: [8, 4], values: buckets.map((each) => each.rewards / minutesOf(each, range)) },
          ...former(times, (each) => each.events / (before?.minutes ?? 1)),
        ],
      });
      const matches = column(known, (each) => each.matchRate);
      const learnedAt = known.map(secondsAt);
      exploration.show({
        times: learnedAt,
        marks,
        series: [
          { label: "Share explored", colour: "third", shape: "area", values: column(known, (each) => each.explorationShare) },
          ...former(learnedAt, (each) => each.explorationShare),
        ],
      });
      ofApprentice.hidden = !matches.some((each) => each !== null);
      apprentice.show({
        times: ofApprentice.hidden ? [] : learnedAt,
        marks,
        series: [
          { label: "Same choice", colour: "baseline", shape: "area", values: matches },
          ...former(learnedAt, (each) => each.matchRate ?? null),
        ],
      });
      const [least, most] = [0, 1].map((end) => column(known, (each) => each.proposedReward?.[end] ?? null));
      proposed.show({
        times: ofApprentice.hidden ? [] : learnedAt,
        marks,
        series: [
          { label: "Your own choice earned", colour: "baseline", dash: [8, 4], values: column(known, (each) => each.averageReward) },
          { label: "Policy, at least", colour: "online", values: least, low: least, high: most },
          { label: "Policy, at most", colour: "online", values: most },
        ],
      });
      lag.show({
        times: learnedAt,
        marks,
        series: [
          { label: "Behind", colour: "fourth", shape: "area", values: column(known, (each) => each.lagSeconds) },
          ...former(learnedAt, (each) => each.lagSeconds),
        ],
      });
    },
  };
}

/**
 * @param {any} loop
 * @param {any} found
 * @param {string} during which time the figures are of, where they are of the chosen one
 */
function tiles(loop, found, during) {
  const { totals, latency } = found;
  const explored = meanOf(found.timeseries, "explorationShare");
  const rank = latency?.rank;
  const lift = liftWords(totals.lift);
  return [
    earned(found, during),
    tile("Lift", lift.value, `over the baseline, since the start: ${lift.more}`, lift.kind),
    tile(
      "Events",
      count(loop.counters?.ranked),
      `since the start; ${count(loop.counters?.learned)} learned, ${count(loop.counters?.pending)} waiting${loop.importedEvents ? `; ${count(loop.importedEvents)} imported` : ""}`,
    ),
    tile(
      "Explored",
      percent(explored.mean),
      explored.events
        ? `chosen by chance ${during}; entropy ${decimal(meanOf(found.timeseries, "entropy").mean, 2)}`
        : `nothing learned ${during}`,
    ),
    tile(
      "Model age",
      loop.modelAgeSeconds === null ? "–" : duration(Math.floor(loop.modelAgeSeconds)),
      loop.modelVersion
        ? `version ${Number.parseInt(loop.modelVersion, 10)}${loop.modelVersion === loop.publishedModelVersion ? `, knows ${counted(loop.publishedModelLearned, "event")}` : ""}`
        : "no model yet",
    ),
    tile(
      "Lag",
      duration(loop.lagSeconds),
      loop.watermark ? `processed up to ${ago((Date.now() - Date.parse(loop.watermark)) / 1000)}` : "the trainer has not run",
      slow(loop.lagSeconds),
    ),
    tile(
      "Rank latency",
      milliseconds(rank?.count ? rank.p99Ms : null),
      rank?.count ? `now: 99th percentile, all loops; median ${milliseconds(rank.p50Ms)}` : "no calls lately",
    ),
  ];
}

/**
 * The mean of a figure of buckets, over their events.
 *
 * @param {any[]} buckets
 * @param {string} name
 */
function meanOf(buckets, name) {
  const known = buckets.filter((each) => each.events && each[name] !== null);
  const events = known.reduce((sum, each) => sum + each.events, 0);
  return { events, mean: events ? known.reduce((sum, each) => sum + each[name] * each.events, 0) / events : null };
}

/**
 * @param {any} found
 * @param {string} during
 */
function earned({ totals, timeseries }, during) {
  const { events, mean } = meanOf(timeseries, "averageReward");
  const online = totals.policies.find((/** @type {any} */ each) => each.name === "online");
  const ends = online?.confidenceInterval ? `, ${interval(online.confidenceInterval)}` : "";
  const ever = totals.events
    ? `since the start ${reward(totals.averageReward)}${ends}, over ${counted(totals.events, "event")}`
    : "of learned events";
  return tile(
    "Average reward",
    reward(mean),
    events ? `${during}, over ${counted(events, "event")}; ${ever}` : `nothing learned ${during}; ${ever}`,
  );
}

/**
 * @param {string} name
 * @param {string} value
 * @param {string} more
 * @param {string} [kind]
 */
function tile(name, value, more, kind = "") {
  return h("div", { class: "figure" }, h("dt", {}, name), h("dd", { class: kind }, value), h("dd", { class: "more" }, more));
}

/** @param {import("./checklist.js").Check} check */
function checked({ state, title, value, advice }) {
  return h(
    "li",
    { class: state },
    h("span", { class: "mark" }, h("span", { "aria-hidden": "true" }, MARKS[state]), h("span", { class: "unseen" }, `${SAID[state]}: `)),
    h("span", {}, title),
    h("span", { class: "faint" }, value),
    advice.map((each) => h("span", { class: "advice" }, each)),
  );
}

/** @param {any} anew */
function ofAnew({ chunks, chunksDone, chunksLeftOut, learned, begunAt }) {
  const begun = begunAt && ago((Date.now() - Date.parse(begunAt)) / 1000);
  const lost = chunksLeftOut ? ` ${count(chunksLeftOut)} could not be read and are left out.` : "";
  return card(
    "The model is learned again",
    h("progress", { class: "anew", "aria-label": "Learned again", ...(begun ? { max: chunks, value: chunksDone } : {}) }),
    begun
      ? h(
          "p",
          {},
          `${percent(chunksDone / chunks)}: ${count(chunksDone)} of ${counted(chunks, "part")} of the log, with ${counted(learned, "event")}. Started ${begun}.${lost}`,
        )
      : h("p", {}, "It starts with the trainer's next run."),
    h("p", { class: "faint" }, "Settings have changed that decide what is learned. Rank uses the old model until the new one is ready."),
  );
}

/** @param {any} experiment */
function ofExperiment({ since, until, events, baseline, learned, lift, split, verdict, provenSince }) {
  const found = liftWords(lift);
  const row = (/** @type {string} */ name, /** @type {any} */ side) => [
    name,
    amount(count(side.events)),
    amount(reward(side.expectedReward)),
    amount(side.confidenceInterval ? interval(side.confidenceInterval) : "–"),
  ];
  const said = split.isAsAsked
    ? PROVEN[verdict] + (provenSince ? ` This has been proven since ${localTime(new Date(provenSince))}.` : "")
    : "The split is not what was asked for, so no figure here is worth anything. Do events of one side get lost, for example before they are activated?";
  return card(
    "Holdout: the loop beside your own choice",
    h("p", { class: split.isAsAsked ? "" : "bad" }, said),
    table(
      "Both sides of the holdout",
      ["", "#Events", "#Average reward", "#95% interval"],
      [row("The loop's choice", learned), row("Your own choice, held out", baseline)],
    ),
    facts([
      ["Lift", h("span", { class: found.kind }, `${found.value} ${found.more}`)],
      [
        "Held out",
        `${percent(split.found)} of ${counted(events, "event")}; ${percent(split.asked)} was asked for (p = ${decimal(split.pValue, 3)})`,
      ],
      ["Events from", `${localTime(new Date(since))} to ${localTime(new Date(until))}`],
    ]),
    h("p", { class: "faint" }, "The intervals hold at every moment, however often you look."),
  );
}

/** @param {any} loop */
function became({ counters, importedEvents }) {
  const share = (/** @type {number} */ part) => (counters.ranked ? percent(part / counters.ranked) : "–");
  const skipped = Object.entries(counters.skipped).filter(([, number]) => number);
  const lost = Object.entries(LOST_REWARDS).filter(([name]) => counters[name]);
  const why = (/** @type {{ title: string, advice: string }} */ reason) =>
    h("span", {}, reason.title, h("span", { class: "hint faint" }, ` ${reason.advice}`));
  return table(
    "Events by result",
    ["", "#Number", "#Share"],
    [
      ["Learned", amount(count(counters.learned)), amount(share(counters.learned))],
      ["Waiting for rewards or the trainer", amount(count(counters.pending)), amount(share(counters.pending))],
      ...(importedEvents ? [[IMPORTED, amount(count(importedEvents)), ""]] : []),
      ...skipped.map(([name, number]) => [why(whySkipped(name)), amount(count(number)), amount(share(number))]),
      ...lost.map(([name, reason]) => [why(reason), amount(count(counters[name])), ""]),
    ],
  );
}

/**
 * @param {any} loop
 * @param {any} found
 */
function ofModel(loop, found) {
  const { rank, reward: rewards, since } = found.latency ?? {};
  const apprentice = loop.apprentice;
  return [
    facts([
      ["Mode", pill(loop.learningMode, loop.learningMode === "Online" ? "good" : "info")],
      ["Served model", loop.modelVersion ? h("code", {}, loop.modelVersion) : "none yet"],
      ["Newest model", loop.publishedModelVersion ? h("code", {}, loop.publishedModelVersion) : "none yet"],
      ["It knows", counted(loop.publishedModelLearned, "event")],
      ...(apprentice
        ? /** @type {[string, string][]} */ ([
            [
              "Apprentice",
              `${percent(apprentice.achievementRatio)} of the baseline's rewards over ${counted(apprentice.numberOfEvents, "event")}`,
            ],
          ])
        : []),
    ]),
    rank?.count || rewards?.count
      ? [
          table(
            "Latency of all loops of the process that answered",
            ["All loops", "#Calls", "#Median", "#95th percentile", "#99th"],
            [
              ["Rank", ...latencies(rank)],
              ["Reward", ...latencies(rewards)],
            ],
          ),
          h(
            "p",
            { class: "faint" },
            `All loops of one process, for the last ${duration(Math.max(0, Math.round((Date.now() - Date.parse(since)) / 1000)))}.`,
          ),
        ]
      : null,
  ].flat();
}

/** @param {any} of */
function latencies(of) {
  return of ? [amount(count(of.count)), ...[of.p50Ms, of.p95Ms, of.p99Ms].map((each) => amount(milliseconds(each)))] : ["", "", "", ""];
}

/** @param {number | null | undefined} value */
function rate(value) {
  return value === null || value === undefined ? "–" : value >= 100 ? count(value) : decimal(value, value >= 10 || value === 0 ? 0 : 1);
}

/** @param {number | null | undefined} value */
function seconds(value) {
  return value === null || value === undefined ? "–" : duration(Math.round(value));
}

/** @param {number | null} lag */
function slow(lag) {
  return lag !== null && lag > 600 ? "bad" : "";
}
