/** One evaluation: how far it is, what it found, and putting a policy of it to use. */

import { Chart } from "../lib/chart.js";
import { confirmed } from "../lib/dialog.js";
import { h, renew, replace } from "../lib/dom.js";
import { interval, reward } from "../lib/format.js";
import { drawn, sharedScale } from "../lib/interval.js";
import { repeated } from "../lib/live.js";
import { note } from "../lib/notes.js";
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

/** @type {Record<string, [string, string]>} */
const SOURCES = {
  Online: ["online", "Your policy"],
  Baseline: ["baseline", "Always the first action"],
  Random: ["random", "By chance"],
  Custom: ["custom", "Your own"],
  OfflineExperimentation: ["custom", "Found by the search"],
};
const NOT_APPLICABLE = ["Baseline", "Random"];

/**
 * @param {Page} page
 * @param {Kind} kind
 */
export async function showEvaluation({ api, root, signal, argument, onError }, kind) {
  const address = `${kind.path}/${encodeURIComponent(argument)}`;
  let view = "expanding";
  let slot = "";
  /** @type {any} */
  let shown = null;
  const watching = new AbortController();
  const title = h("span");
  const status = h("div", { class: "stack", "aria-live": "polite" });
  const results = h("div", { class: "parts" });
  const chart = new Chart({ title: "Expected reward over time", format: reward, signal, height: 260, level: "h2" });
  const views = segments(
    "Time range of a point",
    Object.entries(VIEWS).map(([name, { title }]) => [name, title]),
    view,
    (name) => ((view = name), void fetched().then(draw).catch(onError)),
  );
  chart.element.querySelector("header")?.append(views);
  const over = h("div", { class: "card" }, chart.element);

  const fetched = async () => {
    const { window, minutes } = VIEWS[view];
    shown = await api.get(address, { ...ALWAYS, window, intervalInMinutes: minutes }, signal);
  };
  const apply = async (/** @type {any} */ result) => {
    const policy = { name: result.name, arguments: result.arguments };
    const { message } = await api.post("personalizer/configurations/preview", { policy });
    const text = `“${result.name}” becomes the loop's policy. Every process uses it within its poll interval. ${message} Its arguments: ${result.arguments}`;
    if (!(await confirmed({ title: "Apply this policy?", text, action: "Apply", isDangerous: false }))) return;
    await api.post("personalizer/configurations/applyFromEvaluation", { evaluationId: shown.id, policyName: result.name });
    note(`${result.name} is the loop's policy now.`);
  };
  const draw = () => {
    replace(title, shown.name);
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
    replace(
      results,
      card(
        "Results",
        slots.length > 1
          ? segments(
              "Slot",
              slots.map((each) => [each, each || "All slots"]),
              slot,
              (chosen) => ((slot = chosen), draw()),
            )
          : null,
        resultTable(inSlot, shown.optimalPolicy, apply),
      ),
    );
    chart.show(ofResults(inSlot));
  };
  const remove = button(
    "Delete",
    async () => {
      if (await removed(api, kind, shown)) location.hash = `#/${kind.place}`;
    },
    { class: "warned" },
  );
  replace(root, heading(title, h("a", { href: `#/${kind.place}` }, "All evaluations"), [remove]), status, results, over);
  await fetched();
  draw();
  if (isOver(shown)) return;
  signal.addEventListener("abort", () => watching.abort(), { once: true });
  const update = async () => {
    await fetched();
    draw();
    if (isOver(shown)) watching.abort();
  };
  repeated(update, { everyMs: JOB_MS, signal: watching.signal, onError });
}

/**
 * @param {any[]} results
 * @param {string | undefined} best
 * @param {(result: any) => Promise<void>} apply
 */
function resultTable(results, best, apply) {
  const sorted = results.toSorted((one, other) => other.summary.expectedReward - one.summary.expectedReward);
  const scale = sharedScale(sorted.map((each) => each.summary));
  const mark = sorted.find((each) => each.policySource === "Online")?.summary.expectedReward;
  return [
    table(
      "Results, best first",
      ["Policy", "From", "#Expected reward", "95% interval", "", ""],
      sorted.map((each) => {
        const [kind, from] = own(SOURCES, each.policySource) ?? ["custom", each.policySource];
        return [
          h(
            "span",
            {},
            each.name,
            " ",
            each.name === best ? pill("best", "good") : null,
            h("details", { class: "quiet" }, h("summary", {}, "arguments"), h("code", {}, each.arguments)),
          ),
          from,
          amount(reward(each.summary.expectedReward)),
          drawn(each.summary, { scale, mark, kind }),
          h("span", { class: "faint number" }, interval(each.summary.confidenceInterval)),
          NOT_APPLICABLE.includes(each.policySource)
            ? null
            : button("Apply", () => apply(each), { class: "small", "aria-label": `Apply ${each.name}` }),
        ];
      }),
    ),
    facts([
      ["The dotted line", "what your policy earned"],
      ["An interval", "holds the true value in 95 of 100 evaluations"],
    ]),
  ];
}
