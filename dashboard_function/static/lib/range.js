/** A range of time to look at: two fields in local time, and short cuts to fill them. */

import { h, renew, write } from "./dom.js";
import { field, form } from "./form.js";
import { localTime } from "./format.js";
import { own } from "./own.js";
import { button, segments } from "./pieces.js";

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
const DAY_MS = 24 * HOUR_MS;

/** How long figures are kept by buckets of so many minutes, and over how long a time they are shown so. */
const BUCKETS = [
  { minutes: 5, keptMs: 2 * DAY_MS, shownMs: 2 * DAY_MS },
  { minutes: 60, keptMs: 60 * DAY_MS, shownMs: 14 * DAY_MS },
];
const LONGEST_MINUTES = 1440;
const SHORTEST_MS = 5 * MINUTE_MS;

/** Times that end now. @type {Record<string, { title: string, words: string, hours: number }>} */
const PRESETS = {
  hour: { title: "Hour", words: "in the last hour", hours: 1 },
  day: { title: "Day", words: "in the last day", hours: 24 },
  week: { title: "Week", words: "in the last week", hours: 168 },
  month: { title: "30 days", words: "in the last 30 days", hours: 720 },
};
export const USUAL = "day";
const OTHER = "other";

/** @typedef {{ since: Date, until: Date, minutes: number, preset?: string }} Shown the time that is shown, in buckets of so many minutes */
/** @typedef {{ range?: string | null, since?: string | null, until?: string | null }} Chosen as an address has it */

/**
 * Choose the shortest buckets that reach so far back and are not too many.
 *
 * @param {Date} since
 * @param {Date} until
 * @param {number} now in milliseconds
 */
export function minutesFor(since, until, now = Date.now()) {
  const [age, length] = [now - since.getTime(), until.getTime() - since.getTime()];
  return BUCKETS.find(({ keptMs, shownMs }) => age <= keptMs && length <= shownMs)?.minutes ?? LONGEST_MINUTES;
}

/**
 * Give the time that is chosen. One that cannot be read is the usual one.
 *
 * @param {Chosen} chosen
 * @param {number} now in milliseconds
 * @returns {Shown}
 */
export function shownTime({ range, since, until }, now = Date.now()) {
  const [begin, end] = [Date.parse(since ?? ""), Date.parse(until ?? "")];
  if (end > begin) return bucketed(begin, Math.max(end, begin + SHORTEST_MS), now);
  const preset = range && own(PRESETS, range) ? range : USUAL;
  return { ...bucketed(now - PRESETS[preset].hours * HOUR_MS, now, now), preset };
}

/** Say in words which time is shown. @param {Shown} shown */
export function timeWords({ since, until, preset }) {
  return preset ? PRESETS[preset].words : `from ${localTime(since)} to ${localTime(until)}`;
}

/**
 * Give the time of the same length before this one.
 *
 * @param {Shown} shown
 * @param {number} now in milliseconds
 * @returns {Shown & { shiftSeconds: number }} how far the two are from each other, in whole buckets
 */
export function timeBefore({ since, until, minutes }, now = Date.now()) {
  const step = minutes * MINUTE_MS;
  const shift = Math.ceil((until.getTime() - since.getTime()) / step) * step;
  return { ...bucketed(since.getTime() - shift, until.getTime() - shift, now), shiftSeconds: shift / 1000 };
}

/**
 * @param {number} since
 * @param {number} until
 * @param {number} now
 */
function bucketed(since, until, now) {
  const [begin, end] = [new Date(since), new Date(until)];
  return { since: begin, until: end, minutes: minutesFor(begin, end, now) };
}

/**
 * Buttons for times that end now, and two fields for any other one.
 *
 * @param {{ chosen: Chosen, onChange: (chosen: Chosen) => void }} options
 */
export function rangePicker({ chosen, onChange }) {
  let now = chosen;
  const start = momentField({ name: "since", label: "From", hint: "In your local time." });
  const end = momentField({ name: "until", label: "Until", hint: "In your local time." });
  const panel = h("div", { class: "card any-range", hidden: true });
  const bar = h("div", { class: "range" });
  const draw = () => {
    const options = /** @type {[string, string][]} */ ([
      ...Object.entries(PRESETS).map(([name, { title }]) => [name, title]),
      [OTHER, "Other…"],
    ]);
    const { since, until, preset } = shownTime(now);
    const pressed = preset ?? OTHER;
    const told = preset ? "" : `${localTime(since)} to ${localTime(until)}`;
    renew(bar, [pressed, told, panel.hidden], () => [h("span", { class: "faint" }, told), segments("Time shown", options, pressed, pick)]);
  };
  const pick = (/** @type {string} */ name) => {
    if (name !== OTHER) return set({ range: name });
    const { since, until } = shownTime(now);
    start.set(since);
    end.set(until);
    panel.hidden = false;
    draw();
    start.control.focus();
  };
  const set = (/** @type {Chosen} */ next) => {
    panel.hidden = true;
    show(next);
    onChange(next);
  };
  const show = (/** @type {Chosen} */ next) => {
    now = next;
    draw();
  };
  const submit = async () => {
    const [since, until] = [utcOf(start.control.value), utcOf(end.control.value)];
    if (Number.isNaN(Date.parse(since))) return refused(start, "Enter a date and a time.");
    if (!(Date.parse(until) > Date.parse(since))) return refused(end, "It must be later than the beginning.");
    set({ since, until });
  };
  panel.append(
    form({
      content: [h("div", { class: "fields" }, start.element, end.element)],
      fields: () => [start, end],
      submit,
      action: "Show this time",
    }),
    h("p", { class: "faint" }, "You can also drag over a chart. The address in the browser is then a link to this view."),
  );
  draw();
  return { bar, panel, show, pick: set };
}

/**
 * @param {{ refuse: (text: string) => void, control: HTMLElement }} blamed
 * @param {string} text
 */
function refused(blamed, text) {
  blamed.refuse(text);
  blamed.control.focus();
}

/**
 * A field for a moment in local time; beside it stands the moment as the pages write one, however the browser does.
 *
 * @param {{ name: string, label: string, hint: string, at?: Date | null }} options
 */
export function momentField({ name, label, hint, at = null }) {
  const control = h("input", { type: "datetime-local", value: at ? localInput(at) : "" });
  const words = h("b", {});
  const tell = () => write(words, Number.isNaN(Date.parse(control.value)) ? "" : `${localTime(control.value)}. `);
  control.addEventListener("input", tell);
  tell();
  return {
    ...field({ name, label, control, hint: h("span", {}, words, hint) }),
    set: (/** @type {Date} */ moment) => {
      control.value = localInput(moment);
      tell();
    },
  };
}

/**
 * Two fields for `startTime` and `endTime`.
 *
 * @param {{ since: Date, until: Date } | null} logged the range that is logged, if anything is
 * @param {{ since: Date, until: Date } | null} chosen the one to begin with, if it is another
 */
export function rangeFields(logged, chosen = null) {
  const start = momentField({ name: "startTime", label: "From", hint: "In your local time." });
  const end = momentField({ name: "endTime", label: "Until", hint: "In your local time." });
  const set = (/** @type {Date} */ since, /** @type {Date} */ until) => {
    start.set(since);
    end.set(until);
  };
  const last = (/** @type {number} */ hours) => () => set(new Date(Date.now() - hours * HOUR_MS), new Date(Date.now() + MINUTE_MS));
  const whole = () => logged && set(logged.since, new Date(logged.until.getTime() + MINUTE_MS));
  if (chosen) set(chosen.since, chosen.until);
  else if (logged) whole();
  else last(24)();
  return {
    fields: [start, end],
    element: h(
      "fieldset",
      {},
      h("legend", {}, "Range of the log"),
      h(
        "div",
        { class: "actions" },
        logged ? button("All that is logged", () => void whole(), { class: "small" }) : null,
        button("Last hour", last(1), { class: "small" }),
        button("Last day", last(24), { class: "small" }),
        button("Last 7 days", last(168), { class: "small" }),
      ),
      h("div", { class: "fields" }, start.element, end.element),
    ),
    value: () => ({ startTime: utcOf(start.control.value), endTime: utcOf(end.control.value) }),
  };
}

/**
 * Read the time range of the log.
 *
 * @param {import("./api.js").Api} api
 * @param {AbortSignal} signal
 */
export async function loggedRange(api, signal) {
  const { dateRange } = await api.get("personalizer/logs/properties", {}, signal);
  return dateRange ? { since: new Date(dateRange.from), until: new Date(dateRange.to) } : null;
}

/**
 * Write a moment as an input of local time has it.
 *
 * @param {Date} at
 */
export function localInput(at) {
  return new Date(at.getTime() - at.getTimezoneOffset() * MINUTE_MS).toISOString().slice(0, 16);
}

/**
 * Read such an input; what cannot be read stays as it is, for the service to say so.
 *
 * @param {string} text
 */
export function utcOf(text) {
  const at = new Date(text);
  return Number.isNaN(at.getTime()) ? text : at.toISOString();
}
