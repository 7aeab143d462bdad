/** The model's versions: rolling back to one; export, import and reset of the model. */

import { remember } from "../lib/address.js";
import { confirmed } from "../lib/dialog.js";
import { h, renew, replace, update as updated } from "../lib/dom.js";
import { exportButtons, ofRecords } from "../lib/export.js";
import { field, form, select } from "../lib/form.js";
import { count, counted, difference, reward } from "../lib/format.js";
import { repeated } from "../lib/live.js";
import { failed, note } from "../lib/notes.js";
import { amount, button, card, download, empty, facts, heading, pill, table, when } from "../lib/pieces.js";

/** @typedef {import("../sections.js").Page} Page */

const EVERY_MS = 10_000;
const FIRST = 10;
const KINDS = {
  trained: "from the version before and a window of the log",
  retrained: "learned again from the log",
  imported: "imported from a file",
  restored: "a copy of an earlier version",
};

/** @param {Page} page */
export async function show(page) {
  const { api, root, signal, onError } = page;
  const comparing = comparison(page);
  let known = 0;
  let isWhole = false;
  const versions = h("div", { class: "stack" });
  const about = h("div");
  const remove = button(
    "Reset…",
    async () => {
      const text = `The model knows ${counted(known, "event")}. The next one begins with 0. Rank then answers like a new loop. Earlier versions stay in the list.`;
      if (!(await confirmed({ title: "Reset the model?", text, action: "Reset" }, signal))) return;
      await api.remove("personalizer/model");
      note("There is no model any more.");
      await update();
    },
    { class: "warned" },
  );

  const update = async () => {
    const [listed, properties] = await Promise.all([
      api.get("personalizer/model/versions", {}, signal),
      api.get("personalizer/model/properties", {}, signal),
    ]);
    known = listed.value.find((/** @type {any} */ kept) => kept.isServed)?.learned ?? 0;
    updated(
      about,
      facts([
        ["Began", when(properties.creationTime)],
        ["Last published", when(properties.lastModifiedTime)],
        ["It knows", counted(known, "event")],
      ]),
    );
    comparing.offer(listed.value);
    const draw = () => {
      const { value } = listed;
      const shown = isWhole ? value : value.slice(0, FIRST);
      const all = button(`Show all ${value.length}`, () => ((isWhole = true), draw()), { class: "small" });
      renew(versions, shown, () =>
        value.length
          ? [
              tableOf(shown, restore),
              value.length > shown.length ? h("p", {}, all) : null,
              exportButtons("Versions", () => ofRecords(value)),
            ]
          : nothingYet(),
      );
    };
    draw();
  };
  const restore = async (/** @type {any} */ kept) => {
    const text = `A copy of ${kept.version} is published as a new version and served within seconds. It knows ${counted(kept.learned, "event")}; the present model knows ${count(known)}. Later events are not in it; they stay in the version that learned them.`;
    if (!(await confirmed({ title: "Roll back to this version?", text, action: "Roll back", isDangerous: false }, signal))) return;
    const published = await api.post(`personalizer/model/versions/${encodeURIComponent(kept.version)}/restore`);
    note(`Published as ${published.version}.`);
    await update();
  };
  replace(
    root,
    heading(
      "Models",
      "The trainer publishes a new version after nearly every window of events that it learns. Each process serves the newest version within its poll interval.",
    ),
    h(
      "div",
      { class: "columns" },
      card(
        "The model in force",
        about,
        h(
          "div",
          { class: "actions" },
          button("Export, signed", async () => download(await api.file("personalizer/model", { signed: true }), "model.vw.zip")),
          button("Export, unsigned", async () => download(await api.file("personalizer/model"), "model.vw")),
          remove,
        ),
      ),
      card("Import a model", importForm({ api, signal, known: () => known, update })),
    ),
    card("Versions", versions),
    comparing.element,
  );
  await repeated(update, { everyMs: EVERY_MS, signal, onError }).first;
}

/**
 * @param {any[]} versions
 * @param {(kept: any) => Promise<void>} restore
 */
function tableOf(versions, restore) {
  return table(
    "Kept versions, newest first",
    ["Version", "Published", "Made", "#Events learned", "Log up to", ""],
    versions.map((kept) => [
      h("code", {}, kept.version),
      when(kept.publishedAt, { seconds: true }),
      h("span", { title: KINDS[/** @type {keyof typeof KINDS} */ (kept.kind)] }, kept.kind),
      amount(count(kept.learned)),
      when(kept.window.until),
      kept.isServed
        ? pill("in force", "good")
        : button("Roll back", () => restore(kept), {
            class: "small",
            "aria-label": `Roll back to ${kept.version}`,
          }),
    ]),
  );
}

/**
 * Two versions side by side: what they are, what each earned, and what moved most between them.
 *
 * @param {Page} page
 */
function comparison({ api, signal, query }) {
  const from = field({ name: "from", label: "From", control: select([], "") });
  const to = field({ name: "to", label: "To", control: select([], "") });
  const found = h("div", { class: "stack", "aria-live": "polite" });
  let asked = { from: query.get("from") ?? "", to: query.get("to") ?? "" };
  const submit = async () => {
    const before = asked;
    asked = { from: from.control.value, to: to.control.value };
    remember("models", { before, now: asked });
    const [compared, { models, lookedAt }] = await Promise.all([
      api.get("models/compare", asked, signal),
      api.get("events", { top: 1 }, signal),
    ]);
    replace(found, sideBySide(compared, models, lookedAt), movedTable(compared));
  };
  const element = h(
    "section",
    { class: "card", hidden: true },
    h("header", {}, h("h2", {}, "Compare two versions")),
    form({ content: [h("div", { class: "fields" }, from.element, to.element)], fields: () => [from, to], submit, action: "Compare" }),
    found,
  );
  let isFirst = true;
  const offer = (/** @type {any[]} */ versions) => {
    element.hidden = versions.length < 2;
    const names = versions.map(({ version }) => version);
    const chosen = [from.control.value || asked.from || names[1], to.control.value || asked.to || names[0]];
    [from, to].forEach(({ control }, at) => {
      renew(control, names, () => names.map((name) => h("option", { value: name }, name)));
      control.value = chosen[at];
    });
    if (isFirst && asked.from && asked.to) submit().catch((error) => failed(error, "Compare two versions"));
    isFirst = false;
  };
  return { element, offer };
}

/**
 * @param {any} compared
 * @param {any[]} models what each model earned
 * @param {any} lookedAt
 */
function sideBySide(compared, models, lookedAt) {
  const both = [compared.from, compared.to];
  const earned = both.map(({ version }) => models.find((each) => each.modelVersion === version));
  return [
    table(
      "Both versions",
      ["", "From", "To"],
      [
        ["Version", ...both.map(({ version }) => h("code", {}, version))],
        ["Published", ...both.map(({ publishedAt }) => when(publishedAt))],
        ["Made", ...both.map(({ kind }) => kind)],
        ["Events learned", ...both.map(({ learned }) => amount(count(learned)))],
        ["Log up to", ...both.map(({ window }) => when(window.until))],
        [
          "Earned per event that it chose",
          ...earned.map((each) => amount(each ? `${reward(each.averageReward)} over ${counted(each.events, "event")}` : "–")),
        ],
      ],
    ),
    h("p", { class: "faint" }, `What a version earned is of the newest ${counted(lookedAt.events, "event")}.`),
  ];
}

/** @param {any} compared */
function movedTable({ moved, events }) {
  if (!moved.length) return h("p", { class: "faint" }, "No learned event is kept by which they could be compared.");
  return h(
    "div",
    { class: "stack" },
    h("h3", {}, "What moved most"),
    h(
      "p",
      { class: "faint" },
      `What each feature adds to the estimate of what was shown, on average of the events that have it. Of the newest ${counted(events, "learned event")}.`,
    ),
    table(
      "What moved most",
      ["Feature", "#Before", "#After", "#Change", "#Events"],
      moved.map((/** @type {any} */ each) => [
        h("code", {}, each.name),
        amount(reward(each.before)),
        amount(reward(each.after)),
        amount(difference(each.after, each.before).replace(/ \(.*/, "")),
        amount(count(each.events)),
      ]),
    ),
    exportButtons("What moved between two models", () => ofRecords(moved)),
  );
}

function nothingYet() {
  return empty(
    "No model yet",
    h("p", {}, "The first model is published when the reward wait time of the first events is over and the trainer has run."),
    h("p", {}, h("a", { href: "#/overview" }, "See the checklist"), ", or import a model above."),
  );
}

/** @param {{ api: import("../lib/api.js").Api, signal: AbortSignal, known: () => number, update: () => Promise<void> }} section */
function importForm({ api, signal, known, update }) {
  const file = h("input", { type: "file", accept: ".zip,application/zip" });
  const archive = field({
    name: "file",
    label: "Signed archive",
    control: file,
    hint: "A model.vw.zip from this deployment, or from one that it trusts.",
  });
  const submit = async () => {
    const chosen = file.files?.[0];
    if (!chosen) {
      archive.refuse("Choose a file.");
      file.focus();
      return;
    }
    const text = `The model in ${chosen.name} is published and served within seconds. The present model knows ${counted(known(), "event")}; it stays in the list of versions.`;
    if (!(await confirmed({ title: "Import this model?", text, action: "Import", isDangerous: false }, signal))) return;
    await api.put("personalizer/model", chosen.slice());
    note("The model is published.");
    file.value = "";
    await update();
  };
  return form({ content: [archive.element], fields: () => [archive], submit, action: "Import" });
}
