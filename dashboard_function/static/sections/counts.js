/** Segments by a feature that was not chosen before: a background job counts them from the log. */

import { h, renew, replace } from "../lib/dom.js";
import { field, form } from "../lib/form.js";
import { newId } from "../lib/ids.js";
import { repeated } from "../lib/live.js";
import { note } from "../lib/notes.js";
import { button, card, heading, loadingPart, when } from "../lib/pieces.js";
import { loggedRange, rangeFields } from "../lib/range.js";
import { rows } from "./breakdown.js";
import { JOB_MS, isOver, listing, removed, statusPill, statusText } from "./jobs.js";
import { COLUMNS, LINES, SORTS, crossed, gains } from "./segment-tables.js";

/** @typedef {import("../sections.js").Page} Page */
/** @typedef {import("./jobs.js").Kind} Kind */

const EVERY_MS = 5_000;

/**
 * The counts that are kept, or under way.
 *
 * @param {Page} page
 * @param {Kind} kind
 */
export function countList(page, kind) {
  const { content, update } = listing(page, kind, { around: (...parts) => card(kind.many, ...parts) });
  repeated(update, { everyMs: EVERY_MS, signal: page.signal, onError: page.onError });
  return content;
}

/**
 * @param {Page} page
 * @param {Kind} kind
 */
export async function askForCount({ api, root, signal }, kind) {
  const range = rangeFields(await loggedRange(api, signal));
  const id = newId();
  const feature = field({
    name: "feature",
    label: "Feature of the context",
    control: h("input", { type: "text", autocomplete: "off", maxlength: 256, spellcheck: "false" }),
    hint: "Such as device, or user.device for the feature device of the object user. The receipt of an event shows what a context has.",
  });
  const submit = async () => {
    const named = feature.control.value.trim();
    await api.put(`${kind.path}/${id}`, { name: named || "?", feature: named, ...range.value() }, { "x-ms-client-request-id": id });
    location.hash = `#/${kind.place}/${id}`;
  };
  replace(
    root,
    heading("Count from the log", "A background job reads the log and tells what was shown to whom, by the values of any feature."),
    form({
      content: [card("Feature and time range", feature.element, range.element)],
      fields: () => [feature, ...range.fields],
      submit,
      action: "Start",
      signal,
      extra: [h("a", { class: "button", href: `#/${kind.place}` }, "Cancel")],
    }),
  );
  feature.control.focus();
}

/**
 * @param {Page} page
 * @param {Kind} kind
 */
export async function showCount(page, kind) {
  const { api, root, signal, argument, onError, entitle } = page;
  const address = `${kind.path}/${encodeURIComponent(argument)}`;
  const watching = new AbortController();
  signal.addEventListener("abort", () => watching.abort(), { once: true });
  const status = h("div", { class: "stack", "aria-live": "polite" });
  const ends = h("div");
  const tables = h("div", { class: "stack" });
  let found = await api.get(address, {}, signal);
  entitle(found.name);
  const leave = () => (location.hash = `#/${kind.place}`);
  const remove = async () => {
    if (await removed(api, kind, found, signal)) leave();
  };
  const cancel = async () => {
    await api.remove(address);
    note("Cancelled.");
    leave();
  };
  const draw = () => {
    renew(status, [found.status, found.description], () => [
      h(
        "p",
        { class: "actions" },
        statusPill(found),
        h("span", { class: "faint" }, `by ${found.feature}, of the log from `, when(found.startTime), " to ", when(found.endTime)),
      ),
      ...statusText(found),
    ]);
    renew(ends, isOver(found), () => (isOver(found) ? button("Delete", remove, { class: "warned" }) : button("Cancel", cancel)));
    if (found.status === "Succeeded") replace(tables, counted(page, address));
  };
  const update = async () => {
    found = await api.get(address, {}, signal);
    draw();
    if (isOver(found)) watching.abort();
  };
  replace(root, heading(found.name, h("a", { href: `#/${kind.place}` }, "Segments"), [ends]), status, tables);
  draw();
  if (!isOver(found)) repeated(update, { everyMs: JOB_MS, signal: watching.signal, onError });
}

/**
 * The tables of a count that is over.
 *
 * @param {Page} page
 * @param {string} address
 */
function counted(page, address) {
  const { api, signal, onError } = page;
  const shown = h("div", {}, loadingPart());
  const found = rows(page, {
    name: "segments",
    path: `${address}/segments`,
    label: "Search values",
    sorts: SORTS,
    draw: gains,
    isFixed: true,
  });
  const ask = async () => {
    const cells = await api.get(`${address}/crossed`, { actions: LINES, values: COLUMNS }, signal);
    replace(shown, cells.actions.length ? crossed(cells, "") : null);
  };
  repeated(ask, { everyMs: 2 ** 31 - 1, signal, onError });
  return [found.controls, found.content, shown];
}
