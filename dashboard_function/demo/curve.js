/** The learning curve: what the latest visitors earned, between what picking blindly and knowing everything would have. */

import { h, replace, svg, write } from "/dashboard/lib/dom.js";
import { count, decimal, percent } from "/dashboard/lib/format.js";

/** @typedef {import("./simulation.js").Visit} Visit */

const WINDOW = 80;
const MOST_POINTS = 160;
/** A crowd comes faster than anybody reads, and each drawing takes the processor some milliseconds. */
const DRAWN_EVERY_MS = 200;
const [TOP, RIGHT, BOTTOM, LEFT] = [14, 14, 26, 38];
const HEIGHT = 250;
const LINES = /** @type {const} */ (["reward", "random", "best"]);
const SUMMED = /** @type {const} */ ([...LINES, "expected"]);
/** @typedef {{ sums: Record<typeof SUMMED[number], number[]>, changes: number[] }} Drawn sums over the first 0, 1, 2 … visitors */
const LABELS = { reward: "This loop", random: "Picking blindly", best: "Knowing everything" };

export class LearningCurve {
  /** @type {Record<typeof SUMMED[number], number[]>} sums over the first 0, 1, 2 … visitors */
  #sums = { reward: [0], random: [0], best: [0], expected: [0] };
  /** @type {number[]} */
  #changes = [];
  #isDue = false;
  #drawnAt = -DRAWN_EVERY_MS;

  /**
   * @param {AbortSignal} signal
   * @param {() => void} [onDrawn]
   */
  constructor(signal, onDrawn = () => {}) {
    this.onDrawn = onDrawn;
    this.picture = svg("svg", { class: "curve", role: "img", height: HEIGHT });
    this.frame = h("div", { class: "frame" }, this.picture);
    this.nothing = h("p", { class: "nothing faint" }, "There were no visitors yet. Simulate a thousand of them.");
    this.figures = Object.fromEntries(
      ["visitors", "reward", "random", "best", "share"].map((name) => [name, h("dd", { class: "number" }, "–")]),
    );
    this.element = h(
      "div",
      { class: "learning" },
      h(
        "ul",
        { class: "legend" },
        LINES.map((name) => h("li", {}, h("i", { class: `swatch of-${name}`, "aria-hidden": "true" }), LABELS[name])),
      ),
      this.frame,
      this.nothing,
      h(
        "dl",
        { class: "figures" },
        figure("Visitors", this.figures.visitors),
        figure(`Average reward of the latest ${WINDOW}`, this.figures.reward, "main"),
        figure("Picking blindly", this.figures.random),
        figure("Knowing everything", this.figures.best),
        figure("Share of the possible gain", this.figures.share, "main"),
      ),
    );
    const observer = new ResizeObserver(() => requestAnimationFrame(() => this.#draw()));
    observer.observe(this.frame);
    signal.addEventListener("abort", () => observer.disconnect(), { once: true });
    this.#draw();
  }

  get visitors() {
    return this.#sums.reward.length - 1;
  }

  /** @param {Visit} visit */
  add(visit) {
    for (const name of SUMMED) this.#sums[name].push(/** @type {number} */ (this.#sums[name].at(-1)) + visit[name]);
    this.#soon();
  }

  /** Mark that from here on people like something else. */
  change() {
    this.#changes.push(this.visitors);
    this.#soon();
  }

  /** What is drawn, to be written down. @returns {Drawn} */
  get drawn() {
    const rounded = (/** @type {number[]} */ sums) => sums.map((sum) => Number(sum.toFixed(3)));
    return { sums: mapped((name) => rounded(this.#sums[name])), changes: this.#changes };
  }

  /** @param {Drawn} drawn */
  resume({ sums, changes }) {
    this.#sums = mapped((name) => [...sums[name]]);
    this.#changes = [...changes];
    this.#draw();
  }

  clear() {
    for (const name of SUMMED) this.#sums[name] = [0];
    this.#changes = [];
    this.#draw();
  }

  /**
   * The mean over the window that ends with this visitor.
   *
   * @param {typeof SUMMED[number]} name
   * @param {number} end
   */
  mean(name, end = this.visitors) {
    const start = Math.max(end - WINDOW, 0);
    return (this.#sums[name][end] - this.#sums[name][start]) / (end - start);
  }

  #soon() {
    if (this.#isDue) return;
    this.#isDue = true;
    const inMs = this.#drawnAt + DRAWN_EVERY_MS - performance.now();
    setTimeout(() => {
      requestAnimationFrame(() => {
        this.#isDue = false;
        this.#draw();
      });
    }, inMs);
  }

  #draw() {
    this.#drawnAt = performance.now();
    const isEmpty = this.visitors === 0;
    this.nothing.hidden = !isEmpty;
    this.frame.hidden = isEmpty;
    this.#tell();
    this.onDrawn();
    if (isEmpty || !this.frame.clientWidth) return;
    const width = this.frame.clientWidth;
    this.picture.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.picture.setAttribute("aria-label", this.#summary());
    const reach = Math.max(this.visitors, 100);
    const x = (/** @type {number} */ visitor) => LEFT + ((width - LEFT - RIGHT) * visitor) / reach;
    const y = (/** @type {number} */ value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - Math.min(value, 1));
    const line = (/** @type {typeof LINES[number]} */ name) =>
      this.#ends().map((end) => `${x(end).toFixed(1)},${y(this.mean(name, end)).toFixed(1)}`);
    const reward = line("reward");
    const last = /** @type {string} */ (reward.at(-1)).split(",");
    const floor = y(0).toFixed(1);
    replace(
      this.picture,
      [0, 0.25, 0.5, 0.75, 1]
        .map((value) => [
          svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }),
          svg("text", { class: "tick", x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, decimal(value, 2)),
        ])
        .flat(),
      ticksTo(reach, width).map((visitor) =>
        svg(
          "text",
          { class: "tick", x: x(visitor), y: HEIGHT - 8, "text-anchor": x(visitor) > width - 40 ? "end" : "middle" },
          count(visitor),
        ),
      ),
      this.#changes
        .map((visitor) => [
          svg("line", { class: "change", x1: x(visitor), x2: x(visitor), y1: y(1), y2: y(0) }),
          svg("text", { class: "tick", x: x(visitor) + 5, y: y(1) + 12 }, "tastes change"),
        ])
        .flat(),
      svg("polygon", { class: "area", points: [`${reward[0].split(",")[0]},${floor}`, ...reward, `${last[0]},${floor}`].join(" ") }),
      svg("polyline", { class: "line of-random", points: line("random").join(" ") }),
      svg("polyline", { class: "line of-best", points: line("best").join(" ") }),
      svg("polyline", { class: "line of-reward", points: reward.join(" ") }),
      svg("circle", { class: "end", cx: last[0], cy: last[1], r: 5 }),
    );
  }

  /** The visitors that have a point; the first few are too few to have a mean. */
  #ends() {
    const first = Math.min(10, this.visitors);
    const points = Math.min(MOST_POINTS, this.visitors - first + 1);
    return Array.from({ length: points }, (_, number) => Math.round(first + ((this.visitors - first) * number) / Math.max(points - 1, 1)));
  }

  #tell() {
    const isEmpty = this.visitors === 0;
    write(this.figures.visitors, count(this.visitors));
    for (const name of LINES) write(this.figures[name], isEmpty ? "–" : decimal(this.mean(name), 2));
    write(this.figures.share, isEmpty ? "–" : percent(this.#share()));
  }

  /** By the chances that what was shown is clicked, not by the clicks: they would be luck in part. */
  #share() {
    const [expected, random, best] = [this.mean("expected"), this.mean("random"), this.mean("best")];
    return Math.max((expected - random) / (best - random), 0);
  }

  #summary() {
    const told = LINES.map((name) => `${LABELS[name]}: ${decimal(this.mean(name), 2)}`);
    return `Average reward of the latest visitors, after ${count(this.visitors)}. ${told.join(". ")}. ${percent(this.#share())} of the possible gain.`;
  }
}

/**
 * @param {(name: typeof SUMMED[number]) => number[]} make
 * @returns {Drawn["sums"]}
 */
function mapped(make) {
  return { reward: make("reward"), random: make("random"), best: make("best"), expected: make("expected") };
}

/**
 * @param {string} name
 * @param {HTMLElement} value
 * @param {string} [kind]
 */
function figure(name, value, kind = "") {
  return h("div", { class: `figure ${kind}` }, h("dt", {}, name), value);
}

/**
 * Round numbers of visitors, at most one each 90 pixels.
 *
 * @param {number} reach
 * @param {number} width
 */
function ticksTo(reach, width) {
  const most = Math.max(Math.floor(width / 90), 2);
  const step = [25, 50, 100, 200, 250, 500, 1000, 2500, 5000, 10_000, 25_000].find((each) => reach / each <= most) ?? reach;
  return Array.from({ length: Math.floor(reach / step) + 1 }, (_, number) => number * step);
}
