/** Feature importances: which features of the log tell what is worth showing. */

import { h, renew, replace, svg } from "../lib/dom.js";
import { field, form } from "../lib/form.js";
import { interval, localDay, reward } from "../lib/format.js";
import { newId } from "../lib/ids.js";
import { repeated } from "../lib/live.js";
import { button, card, empty, heading, when } from "../lib/pieces.js";
import { loggedRange, rangeFields } from "../lib/range.js";
import { JOB_MS, isOver, listing, removed, statusPill, statusText } from "./jobs.js";

/** @typedef {import("../sections.js").Page} Page */

const FEATURES = { path: "personalizer/featureImportances", place: "features", one: "feature importance", many: "Feature importances" };
const EVERY_MS = 5_000;
const FIRST = 30;

/** @param {Page} page */
export async function show(page) {
  if (page.argument === "new") await ask(page);
  else if (page.argument) await showOne(page);
  else await list(page);
}

/** @param {Page} page */
async function list(page) {
  const { root, signal, onError } = page;
  const { content, update } = listing(page, FEATURES, { nothingYet });
  replace(
    root,
    heading("Feature importances", "Which features help to choose the right action, and which could be left out.", [newOne()]),
    content,
  );
  await repeated(update, { everyMs: EVERY_MS, signal, onError }).first;
}

function nothingYet() {
  return empty(
    "No feature importance yet",
    h(
      "p",
      {},
      "A feature importance reads a range of the log. It scores each feature of contexts and actions by how much it helps to choose well.",
    ),
    h("p", {}, newOne()),
  );
}

function newOne() {
  return h("a", { class: "button primary", href: "#/features/new" }, "New feature importance");
}

/** @param {Page} page */
async function ask({ api, root, signal }) {
  const range = rangeFields(await loggedRange(api, signal));
  const id = newId();
  const name = field({
    name: "name",
    label: "Name",
    control: h("input", { type: "text", autocomplete: "off", value: `Features of ${localDay(new Date())}`, maxlength: 256 }),
  });
  const submit = async () => {
    await api.put(`${FEATURES.path}/${id}`, { name: name.control.value.trim(), ...range.value() }, { "x-ms-client-request-id": id });
    location.hash = `#/features/${id}`;
  };
  replace(
    root,
    heading("New feature importance"),
    form({
      content: [card("Name and time range", name.element, range.element)],
      fields: () => [name, ...range.fields],
      submit,
      action: "Start",
      signal,
      extra: [h("a", { class: "button", href: "#/features" }, "Cancel")],
    }),
  );
}

/** @param {Page} page */
async function showOne({ api, root, signal, argument, onError, entitle }) {
  const address = `${FEATURES.path}/${encodeURIComponent(argument)}`;
  const watching = new AbortController();
  signal.addEventListener("abort", () => watching.abort(), { once: true });
  const status = h("div", { class: "stack", "aria-live": "polite" });
  const scores = h("div", { class: "parts" });
  let found = await api.get(address, {}, signal);
  entitle(found.name);
  const draw = () => {
    renew(status, [found.status, found.description], () => [
      h(
        "p",
        { class: "actions" },
        statusPill(found),
        h("span", { class: "faint" }, "of the log from ", when(found.startTime), " to ", when(found.endTime)),
      ),
      ...statusText(found),
    ]);
    replace(scores, found.featureScores.length ? card("Scores", bars(found.featureScores)) : null);
  };
  const update = async () => {
    found = await api.get(address, {}, signal);
    draw();
    if (isOver(found)) watching.abort();
  };
  const remove = button(
    "Delete",
    async () => {
      if (await removed(api, FEATURES, found, signal)) location.hash = "#/features";
    },
    { class: "warned" },
  );
  replace(root, heading(found.name, h("a", { href: "#/features" }, "All feature importances"), [remove]), status, scores);
  draw();
  if (!isOver(found)) repeated(update, { everyMs: JOB_MS, signal: watching.signal, onError });
}

/** @param {{ namespace: string, featureName: string, score: number, confidenceInterval?: [number, number] }[]} scores */
function bars(scores) {
  const sorted = scores.toSorted((one, other) => other.score - one.score);
  const largest = Math.max(...sorted.map((each) => each.confidenceInterval?.[1] ?? each.score)) || 1;
  const along = (/** @type {number} */ score) => (score / largest) * 100;
  const bar = (/** @type {typeof sorted[0]} */ each) =>
    h(
      "li",
      {},
      h("span", {}, each.namespace ? h("span", { class: "faint" }, `${each.namespace}.`) : null, each.featureName),
      svg(
        "svg",
        { viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
        svg("rect", { width: Math.max(along(each.score), 0.5), height: 8, rx: 1 }),
        each.confidenceInterval
          ? svg("line", { x1: along(each.confidenceInterval[0]), x2: along(each.confidenceInterval[1]), y1: 4, y2: 4 })
          : null,
      ),
      h(
        "span",
        { class: "number", title: each.confidenceInterval ? `95% interval: ${interval(each.confidenceInterval)}` : undefined },
        reward(each.score),
      ),
    );
  const shown = h("ol", { class: "bars" }, sorted.slice(0, FIRST).map(bar));
  const all = button(
    `Show all ${sorted.length}`,
    () => {
      replace(shown, sorted.map(bar));
      all.remove();
    },
    { class: "small" },
  );
  const legend = sorted[0].confidenceInterval
    ? h("p", { class: "faint" }, "A score is the part of the policy's value that is lost without the feature. Lines are 95% intervals.")
    : null;
  return [shown, sorted.length > FIRST ? all : null, legend];
}
