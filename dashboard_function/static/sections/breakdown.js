/** What the sections on actions and on segments have in common: how rows are asked for, and how figures are written. */

import { remember } from "../lib/address.js";
import { h, renew, svg } from "../lib/dom.js";
import { count, counted, interval, percent, reward } from "../lib/format.js";
import { repeated } from "../lib/live.js";
import { button, loadingPart, segments, when } from "../lib/pieces.js";

/** @typedef {import("../sections.js").Page} Page */

const EVERY_MS = 10_000;
/** Longer than anybody looks at a page, and as long as a timer can be. */
const NEVER_MS = 2 ** 31 - 1;
const STEP = 50;
const MOST = 500;
const TYPING_MS = 250;
const DAY_MS = 86_400_000;
const LONGEST = 90;
const WIDTH = 120;
const HEIGHT = 24;

/** @type {[string, string][]} */
const RANGES = [
  ["1", "Last day"],
  ["7", "7 days"],
  ["30", "30 days"],
  ["", "90 days"],
];

/**
 * Rows that can be searched, sorted, and shown in parts; asked for again now and then. How they are looked at is in the address.
 *
 * @typedef {{
 *   name: string,
 *   path: string,
 *   label: string,
 *   sorts: [string, string][],
 *   draw: (found: any) => Element[],
 *   onRange?: () => void,
 *   isFixed?: boolean,
 * }} RowOptions `isFixed` where the rows never change, and have one range
 * @param {Page} page
 * @param {RowOptions} options
 */
export function rows({ api, query, signal, onError, argument }, { name, path, label, sorts, draw, onRange = () => {}, isFixed = false }) {
  const content = h("div", { class: "stack" }, loadingPart());
  const search = h("input", { type: "search", "aria-label": label, placeholder: label, maxlength: 256, autocomplete: "off" });
  search.value = query.get("search") ?? "";
  let days = oneOf(RANGES, query.get("days"), "");
  let sort = oneOf(sorts, query.get("sort"), sorts[0][0]);
  let top = STEP;
  const looked = () => ({ days, sort: sort === sorts[0][0] ? null : sort, search: search.value });
  let before = looked();
  const more = () => {
    top = Math.min(top + STEP, MOST);
    update();
  };
  const ask = async () => {
    const asked = { top: String(top), sort, search: search.value, ...sinceDays(days) };
    const found = await api.get(path, asked, signal);
    const isCut = found.value.length < found.matched;
    renew(content, [found, isCut], () => [
      ...draw(found),
      isCut && top < MOST ? h("p", {}, button(`Show more of ${count(found.matched)}`, more)) : null,
      isCut && top >= MOST ? h("p", { class: "faint" }, `The first ${count(MOST)} of ${count(found.matched)}. Search for others.`) : null,
    ]);
  };
  const update = repeated(ask, { everyMs: isFixed ? NEVER_MS : EVERY_MS, signal, onError });
  let typing = 0;
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(begin, TYPING_MS);
  });
  const begin = () => {
    top = STEP;
    const now = looked();
    remember(name, { before, now, argument });
    before = now;
    update();
  };
  const order = h(
    "select",
    { "aria-label": "Order" },
    sorts.map(([value, text]) => h("option", { value, selected: value === sort }, text)),
  );
  order.addEventListener("change", () => {
    sort = order.value;
    begin();
  });
  const range = segments("Range", RANGES, days, (chosen) => {
    days = chosen;
    begin();
    onRange();
  });
  return { controls: h("div", { class: "actions" }, isFixed ? null : range, search, order), content, days: () => days };
}

/**
 * Give what an address says if it is one of these.
 *
 * @param {[string, string][]} known values with their words
 * @param {string | null} said
 * @param {string} otherwise
 */
function oneOf(known, said, otherwise) {
  return known.some(([value]) => value === said) ? String(said) : otherwise;
}

/** Say in words which range that is. @param {string} days */
export function rangeWords(days) {
  return days === "1" ? "in the last day" : `in the last ${days || LONGEST} days`;
}

/** @param {string} days "" for all that is kept */
export function sinceDays(days) {
  if (!days) return {};
  const hour = 3_600_000;
  return { since: new Date(Math.floor((Date.now() - Number(days) * DAY_MS) / hour) * hour).toISOString() };
}

/**
 * Say where the figures come from and what they cover.
 *
 * @param {any} found
 */
export function source(found) {
  if (found.source === "log")
    return h("p", { class: "faint" }, "Counted from the log: decisions from ", when(found.since), " to ", when(found.watermark), ".");
  return h(
    "p",
    { class: "faint" },
    "Counted by the trainer at each commit, up to ",
    when(found.watermark),
    found.since ? [", since ", when(found.since), ", for 90 days at most."] : ".",
  );
}

/**
 * Say what is not among the rows.
 *
 * @param {any} found
 */
export function others({ others, mostEventsOfOthers }) {
  if (!others?.events) return null;
  return h(
    "p",
    { class: "faint" },
    `All others together have ${counted(others.events, "event")} with an average reward of ${reward(others.averageReward)}. `,
    `None of them has more than ${counted(mostEventsOfOthers, "event")}.`,
  );
}

/**
 * An average with its interval below it.
 *
 * @param {{ averageReward: number | null, confidenceInterval: [number, number] | null }} cell
 */
export function average(cell) {
  return figure(reward(cell.averageReward), interval(cell.confidenceInterval));
}

/**
 * A number with more about it below, in a column of numbers.
 *
 * @param {string} value
 * @param {string} more
 * @param {string} [kind]
 */
export function figure(value, more, kind) {
  return h("span", { class: "number" }, h("span", { class: kind || null }, value), more ? h("span", { class: "faint below" }, more) : null);
}

/** @param {any} row */
export function events(row) {
  return figure(count(row.events), row.eventsMissed ? `up to ${count(row.eventsMissed)} more` : "");
}

/**
 * The share of events over time, drawn small; the table's title tells its ends.
 *
 * @param {{ timeStamp: string, events: number, share: number, averageReward: number }[]} points
 */
export function trend(points) {
  if (points.length < 2) return h("span", { class: "faint" }, "–");
  const times = points.map((point) => Date.parse(point.timeStamp));
  const first = times[0];
  const length = times[times.length - 1] - first || 1;
  const largest = Math.max(...points.map((point) => point.share)) || 1;
  const path = points.map(
    (point, number) =>
      `${number ? "L" : "M"}${((times[number] - first) / length) * WIDTH},${HEIGHT - 2 - (point.share / largest) * (HEIGHT - 4)}`,
  );
  const label = `Share from ${percent(points[0].share)} to ${percent(points[points.length - 1].share)}, at most ${percent(largest)}`;
  return svg(
    "svg",
    { class: "trend", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
    svg("title", {}, label),
    svg("path", { d: path.join("") }),
  );
}
