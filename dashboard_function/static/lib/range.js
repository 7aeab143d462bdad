/** A range of time to look at: two fields in local time, and short cuts to fill them. */

import { h, write } from "./dom.js";
import { field } from "./form.js";
import { localTime } from "./format.js";
import { button } from "./pieces.js";

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

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
 */
export function rangeFields(logged) {
  const start = momentField({ name: "startTime", label: "From", hint: "In your local time." });
  const end = momentField({ name: "endTime", label: "Until", hint: "In your local time." });
  const set = (/** @type {Date} */ since, /** @type {Date} */ until) => {
    start.set(since);
    end.set(until);
  };
  const last = (/** @type {number} */ hours) => () => set(new Date(Date.now() - hours * HOUR_MS), new Date(Date.now() + MINUTE_MS));
  const whole = () => logged && set(logged.since, new Date(logged.until.getTime() + MINUTE_MS));
  if (logged) whole();
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
