/** Charts over time, each with a legend that follows the pointer, a summary for screen readers, and its numbers as a table. */

import { freshId, h, renew, replace, update, write } from "./dom.js";
import { exportButtons } from "./export.js";
import { counted, localTime } from "./format.js";
import { colour, themeChanged } from "./theme.js";

/** @typedef {typeof import("../vendor/uplot/uPlot.esm.js")} Library */
/** @typedef {(number | null)[]} Values */

/**
 * @typedef {object} Series
 * @property {string} label
 * @property {string} colour a custom property of the style, without its dashes
 * @property {Values} values
 * @property {Values} [low] the lower edge of a band, which then has an upper one, too
 * @property {Values} [high]
 * @property {"line" | "area" | "bars"} [shape]
 * @property {number[]} [dash] so that lines are told apart without colours
 */

const LIBRARY = "/dashboard/vendor/uplot/uPlot.esm.js";
const DAY = 86_400;
const SHORTEST_SPAN = 600;
const NEAR_PIXELS = 6;
const SHORTEST_DRAG = 8;
const TICK = 7;
const BAND_OPACITY = "2a";
const AXIS_FONT = "12px system-ui, sans-serif";
const AXIS_ROOM = 16;
const HOUR_AND_MINUTE = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const DAY_AND_MONTH = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/** What draws; it is loaded where there is a chart to be seen. @type {Library | null} */
let library = null;
/** @type {Promise<void> | null} */
let loading = null;
let tries = 0;

/** @typedef {import("./marks.js").Mark} Mark */

/** A chart; it is drawn anew by `show` and ends with its signal. */
export class Chart {
  /** @type {InstanceType<Library> | null} */
  #plot = null;
  /** @type {Series[]} */
  #series = [];
  /** @type {number[]} */
  #times = [];
  /** @type {Mark[]} */
  #marks = [];
  #shape = "";

  /**
   * `steps` are what may lie between two marks of the axis, so that no two of them read alike, and `least` is the least that it spans.
   * `onRange` is told the time that somebody drags over.
   *
   * @param {{
   *   title: string,
   *   format: (value: number | null | undefined) => string,
   *   signal: AbortSignal,
   *   height?: number,
   *   fromZero?: boolean,
   *   steps?: number[],
   *   least?: number,
   *   empty?: import("./dom.js").Child,
   *   level?: "h2" | "h3",
   *   onRange?: (since: Date, until: Date) => void,
   * }} options
   */
  constructor({
    title,
    format,
    signal,
    height = 200,
    fromZero = false,
    steps,
    least = 0,
    empty = "Nothing in this time yet.",
    level = "h3",
    onRange,
  }) {
    this.format = format;
    this.title = title;
    this.onRange = onRange;
    this.height = height;
    this.fromZero = fromZero;
    this.steps = steps;
    this.least = least;
    const id = freshId("chart");
    this.legend = h("ul", { class: "legend" });
    this.at = h("span", { class: "at faint" });
    this.canvas = h("div", { class: "plot", role: "img", "aria-label": title });
    this.canvas.style.height = `${height}px`;
    this.nothing = h("p", { class: "nothing faint", hidden: true }, empty);
    this.table = h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${title}, as a table` });
    this.details = h(
      "details",
      { class: "numbers quiet", ontoggle: () => this.#tabulate() },
      h("summary", {}, "Numbers"),
      exportButtons(title, () => this.#exported()),
      this.table,
    );
    this.changes = h("ul", {});
    this.changed = h("summary", {});
    this.changeList = h("details", { class: "quiet changes", hidden: true }, this.changed, this.changes);
    this.element = h(
      "section",
      { class: "chart", "aria-labelledby": id },
      h("header", {}, h(level, { id }, title), this.at),
      this.legend,
      this.nothing,
      this.canvas,
      this.changeList,
      this.details,
    );
    const observer = new ResizeObserver(() => this.#fit());
    observer.observe(this.canvas);
    themeChanged.addEventListener("change", () => this.#redraw(), { signal });
    signal.addEventListener("abort", () => (observer.disconnect(), this.#plot?.destroy()), { once: true });
  }

  /**
   * @param {{ times: number[], series: Series[], marks?: Mark[] }} data times in seconds since 1970, in order
   */
  show({ times, series, marks = [] }) {
    this.#times = times;
    this.#series = series;
    this.#marks = this.#inSight(marks);
    this.#listChanges();
    const isEmpty = !times.length;
    this.nothing.hidden = !isEmpty;
    for (const part of [this.canvas, this.legend, this.details]) part.hidden = isEmpty;
    if (isEmpty) return;
    this.#tell(null);
    this.canvas.setAttribute("aria-label", summary(times, series, this.format));
    if (this.details.open) this.#tabulate();
    const shape = JSON.stringify(series.map((each) => [each.label, each.colour, each.shape, Boolean(each.low)]));
    if (shape === this.#shape && this.#plot) this.#plot.setData(this.#drawn());
    else this.#redraw();
    this.#shape = shape;
  }

  /** @param {Mark[]} marks */
  #inSight(marks) {
    if (!this.#times.length) return [];
    const [low, high] = this.#span();
    return marks.filter(({ at }) => at >= low && at <= high);
  }

  #listChanges() {
    this.changeList.hidden = !this.#marks.length;
    write(this.changed, `${counted(this.#marks.length, "change")} in this time`);
    renew(this.changes, this.#marks, () => this.#marks.map(({ at, label }) => h("li", {}, `${localTime(at * 1000)}: ${label}`)));
  }

  /** @returns {import("./export.js").Table} */
  #exported() {
    const [, ...heads] = this.#heads();
    return {
      heads: ["time", ...heads],
      rows: this.#rows().map(([time, ...values]) => [new Date(time * 1000).toISOString(), ...values]),
    };
  }

  /** @param {number} [widest] see `columnsOf` */
  #data(widest = Infinity) {
    return /** @type {any} */ ([this.#times, ...this.#series.flatMap((each) => columnsOf(each, widest))]);
  }

  #drawn() {
    const [low, high] = this.#range();
    return this.#data(high - low);
  }

  #redraw() {
    this.#plot?.destroy();
    this.#plot = null;
    if (!this.#times.length || !this.canvas.clientWidth) return;
    if (library) this.#plot = new library(this.#options(), this.#drawn(), this.canvas);
    else void loaded().then(() => library && !this.#plot && this.#redraw());
  }

  #fit() {
    const width = this.canvas.clientWidth;
    if (!width || !this.#times.length) return;
    if (!this.#plot) this.#redraw();
    else if (this.#plot.width !== width) this.#plot.setSize({ width, height: this.height });
  }

  /** @returns {any} */
  #options() {
    const ink = colour("faint");
    const line = colour("line");
    const axis = { stroke: ink, font: AXIS_FONT, grid: { stroke: line, width: 1 }, ticks: { show: false } };
    const bands = [];
    const columns = [];
    for (const each of this.#series) {
      columns.push(stroked(each, this.#times.length));
      if (!each.low) continue;
      const first = columns.length + 1;
      bands.push({ series: [first, first + 1], fill: translucent(colour(each.colour)) });
      columns.push(...[0, 1].map(() => ({ stroke: "transparent", width: 1, points: { show: false } })));
    }
    return {
      width: this.canvas.clientWidth,
      height: this.height,
      padding: [10, 18, 0, 0],
      legend: { show: false },
      cursor: { y: false, drag: { x: Boolean(this.onRange), y: false, setScale: false, dist: SHORTEST_DRAG }, points: { size: 7 } },
      scales: { x: { range: () => this.#span() }, y: { range: () => this.#range() } },
      axes: [
        {
          ...axis,
          space: 64,
          size: 38,
          values: (/** @type {any} */ _, /** @type {number[]} */ splits, /** @type {any} */ ...rest) => ticks(splits, rest[2]),
        },
        {
          ...axis,
          ...(this.steps ? { incrs: this.steps } : {}),
          size: (/** @type {any} */ _, /** @type {string[] | null} */ labels) => widest(labels ?? []) + AXIS_ROOM,
          values: (/** @type {any} */ _, /** @type {number[]} */ splits) => splits.map((each) => this.format(each)),
        },
      ],
      series: [{}, ...columns],
      bands,
      hooks: {
        setCursor: [(/** @type {any} */ plot) => this.#tell(plot.cursor.idx, this.#pointedAt(plot))],
        setSelect: [(/** @type {any} */ plot) => this.#selected(plot)],
        draw: [(/** @type {any} */ plot) => this.#drawMarks(plot)],
      },
    };
  }

  /** @param {any} plot */
  #selected(plot) {
    const { left, width } = plot.select;
    if (!this.onRange || width < SHORTEST_DRAG) return;
    const [since, until] = [left, left + width].map((each) => new Date(plot.posToVal(each, "x") * 1000));
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.onRange(since, until);
  }

  /**
   * Changes are lines through the whole picture, with a triangle; models, of which there are many, ticks at its foot.
   *
   * @param {any} plot
   */
  #drawMarks(plot) {
    const { ctx, bbox } = plot;
    const size = TICK * devicePixelRatio;
    ctx.save();
    ctx.lineWidth = 1.5 * devicePixelRatio;
    for (const { at, kind } of this.#marks) {
      const x = plot.valToPos(at, "x", true);
      const isModel = kind === "model";
      ctx.strokeStyle = ctx.fillStyle = colour(isModel ? "faint" : "third");
      ctx.setLineDash(isModel ? [] : [3 * devicePixelRatio, 3 * devicePixelRatio]);
      ctx.beginPath();
      ctx.moveTo(x, isModel ? bbox.top + bbox.height - size : bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      if (isModel) continue;
      ctx.beginPath();
      ctx.moveTo(x - size / 2, bbox.top);
      ctx.lineTo(x + size / 2, bbox.top);
      ctx.lineTo(x, bbox.top + size);
      ctx.fill();
    }
    ctx.restore();
  }

  /** What was changed where the pointer is. @param {any} plot */
  #pointedAt(plot) {
    const { left } = plot.cursor;
    if (left === undefined || left < 0) return "";
    const near = this.#marks.filter(({ at }) => Math.abs(plot.valToPos(at, "x") - left) <= NEAR_PIXELS);
    return [...new Set(near.map(({ label }) => label))].slice(0, 3).join("; ");
  }

  /** From the first moment to the last, with room for half a bar; what is short stands in ten minutes, with more room for what will come. */
  #span() {
    const [first, last] = [this.#times[0], this.#times[this.#times.length - 1]];
    const half = this.#series.some((each) => each.shape === "bars") ? (this.#times[1] - first || 0) / 2 : 0;
    const room = Math.max(0, SHORTEST_SPAN - (last - first));
    return [first - half - room / 4, last + half + (room * 3) / 4];
  }

  /** The lines and the end of the first one's band are in sight; where bands are wide because little is known, they leave the picture. */
  #range() {
    const [first] = this.#series;
    const seen = [...this.#series.flatMap((each) => each.values), first.low?.at(-1) ?? null, first.high?.at(-1) ?? null];
    const known = seen.filter((value) => value !== null && value !== undefined);
    const low = Math.min(...known, ...(this.fromZero ? [0] : []));
    const high = Math.max(...known, ...(this.fromZero ? [0] : []));
    if (!known.length) return [0, 1];
    const short = Math.max(0, this.least - (high - low));
    const room = (high - low + short || Math.abs(high) || 1) * 0.08;
    return this.fromZero && low >= 0 ? [0, high + short + room] : [low - short / 2 - room, high + short / 2 + room];
  }

  /**
   * @param {number | null | undefined} index of the time that the pointer is at; without one the last
   * @param {string} [change] what was changed there
   */
  #tell(index, change = "") {
    const at = index ?? this.#times.length - 1;
    const [hours, end] = [this.#times[at], index === null || index === undefined ? "latest: " : ""];
    write(this.at, hours === undefined ? "" : `${end}${localTime(hours * 1000)}${change && `. ${change}`}`);
    if (this.legend.children.length !== this.#series.length) replace(this.legend, this.#series.map(entry));
    this.#series.forEach((each, number) => {
      const shown = this.legend.children[number];
      write(shown.children[1], each.label);
      write(shown.children[2], this.format(each.values[at]));
      const [low, high] = [each.low?.[at], each.high?.[at]];
      const band = low === null || low === undefined || high === null || high === undefined;
      write(shown.children[3], band ? "" : `${this.format(low)} to ${this.format(high)}`);
    });
  }

  #heads() {
    return ["Time", ...this.#series.flatMap(({ label, low }) => (low ? [label, `${label}, from`, `${label}, to`] : [label]))];
  }

  /** All that is shown, the newest first: the time and the values. @returns {number[][]} */
  #rows() {
    const columns = this.#data().slice(1);
    const order = this.#series.flatMap((each) => (each.low ? [0, 2, 1] : [0]));
    let first = 0;
    const places = order.map((offset, number) => (offset === 0 ? (first = number) : first + offset));
    return this.#times.map((time, row) => [time, ...places.map((place) => columns[place][row])]).reverse();
  }

  #tabulate() {
    if (!this.details.open) return;
    const [heads, rows] = [this.#heads(), this.#rows()];
    update(
      this.table,
      h(
        "table",
        {},
        h("caption", { class: "unseen" }, this.table.getAttribute("aria-label")),
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            heads.map((head) => h("th", { scope: "col" }, head)),
          ),
        ),
        h(
          "tbody",
          {},
          rows.map(([time, ...values]) =>
            h(
              "tr",
              {},
              h("th", { scope: "row" }, localTime(time * 1000)),
              values.map((value) => h("td", { class: "number" }, this.format(value))),
            ),
          ),
        ),
      ),
    );
  }
}

/** Load the library. A browser remembers that a module could not be had, so the next try has another address. */
function loaded() {
  loading ??= import(`${LIBRARY}${tries++ ? `?${tries}` : ""}`)
    .then((module) => void (library = module.default))
    .catch(() => void (loading = null));
  return loading;
}

/**
 * What is drawn of a series: its line, and the upper and the lower edge of its band. Where that is wider than all that is in sight it says
 * nothing, and would cover the others: it is left out.
 *
 * @param {Series} series
 * @param {number} widest
 * @returns {Values[]}
 */
function columnsOf({ values, low, high }, widest) {
  if (!low || !high) return [values];
  const isTold = values.map((_, at) => low[at] !== null && high[at] !== null && high[at] - low[at] <= widest);
  return [values, ...[high, low].map((edge) => edge.map((value, at) => (isTold[at] ? value : null)))];
}

/**
 * How a series is drawn.
 *
 * @param {Series} series
 * @param {number} points
 */
function stroked(series, points) {
  const ink = colour(series.colour);
  const common = { stroke: ink, width: 2, spanGaps: true, points: { show: points < 40, size: 5, fill: ink } };
  if (series.shape === "bars") {
    return { ...common, width: 0, fill: ink, points: { show: false }, paths: library?.paths.bars?.({ size: [0.7, 24], radius: 0.15 }) };
  }
  return { ...common, dash: series.dash, fill: series.shape === "area" ? translucent(ink) : undefined };
}

/** @param {Series} series */
function entry(series) {
  const swatch = h("i", { class: series.dash ? "swatch dashed" : "swatch", "aria-hidden": "true" });
  swatch.style.setProperty("--swatch", `var(--${series.colour})`);
  return h("li", {}, swatch, h("span", { class: "label" }), h("b", { class: "number" }), h("span", { class: "faint number" }));
}

/**
 * @param {number[]} splits
 * @param {number} step in seconds
 */
function ticks(splits, step) {
  let day = "";
  return splits.map((each) => {
    const at = new Date(each * 1000);
    const today = DAY_AND_MONTH.format(at);
    const isNew = today !== day && (day !== "" || step >= DAY);
    day = today;
    return step >= DAY ? today : isNew ? `${HOUR_AND_MINUTE.format(at)}\n${today}` : HOUR_AND_MINUTE.format(at);
  });
}

/** How wide the widest of these is on an axis. @param {string[]} labels */
function widest(labels) {
  const canvas = document.createElement("canvas").getContext("2d");
  if (!canvas) return 0;
  canvas.font = AXIS_FONT;
  return Math.ceil(Math.max(0, ...labels.map((each) => canvas.measureText(each).width)));
}

/** @param {string} ink as `rgb(1, 2, 3)` or another form that a canvas reads */
function translucent(ink) {
  const canvas = document.createElement("canvas").getContext("2d");
  if (!canvas) return "transparent";
  canvas.fillStyle = ink;
  return `${canvas.fillStyle}${BAND_OPACITY}`;
}

/**
 * @param {number[]} times
 * @param {Series[]} series
 * @param {(value: number | null | undefined) => string} format
 */
function summary(times, series, format) {
  const range = `From ${localTime(times[0] * 1000)} to ${localTime(times[times.length - 1] * 1000)}.`;
  const told = series.map((each) => {
    const known = each.values.filter((value) => value !== null);
    const [low, high, last] = [Math.min(...known), Math.max(...known), known.at(-1)];
    return known.length ? `${each.label}: last ${format(last)}, between ${format(low)} and ${format(high)}.` : `${each.label}: nothing.`;
  });
  return [range, ...told].join(" ");
}
