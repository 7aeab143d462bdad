/** The parts of the page that show something: the readers, the story, the chances of each. */

import { h, replace, write } from "/dashboard/lib/dom.js";
import { busy } from "/dashboard/lib/form.js";
import { counted, percent } from "/dashboard/lib/format.js";
import { segments } from "/dashboard/lib/pieces.js";
import { icon } from "./icons.js";
import { DEVICES, HOURS, READERS, STORIES, keyOf, storyOf } from "./world.js";

/** @typedef {import("./world.js").Situation} Situation */
/** @typedef {import("./loop.js").Choice} Choice */
/** @typedef {import("./loop.js").Ranked} Ranked */

/** Visits, up to which probabilities say little, as the checklist has it. */
const YOUNG = 200;

/**
 * Choose who is there, when, and with what.
 *
 * @param {Situation} begun
 * @param {(situation: Situation) => void} onChange
 */
export function readerPicker(begun, onChange) {
  let situation = begun;
  const change = (/** @type {Partial<Situation>} */ part) => onChange((situation = { ...situation, ...part }));
  const options = (/** @type {string[]} */ names) =>
    /** @type {[string, string][]} */ (names.map((name) => [name, name[0].toUpperCase() + name.slice(1)]));
  return h(
    "div",
    { class: "picker" },
    h(
      "fieldset",
      { class: "readers" },
      h("legend", { class: "unseen" }, "Reader"),
      READERS.map(({ name, about }, number) =>
        h(
          "label",
          { class: `reader reader-${number}` },
          h("input", {
            type: "radio",
            name: "reader",
            value: name,
            class: "unseen",
            checked: name === begun.reader,
            onchange: () => change({ reader: name }),
          }),
          h("span", { class: "face", "aria-hidden": "true" }, name[0]),
          h("span", {}, h("b", {}, name), h("span", { class: "faint" }, about)),
        ),
      ),
    ),
    segments("Time of day", options(HOURS), begun.hour, (hour) => change({ hour })),
    segments("Device", options(DEVICES), begun.device, (device) => change({ device })),
  );
}

/**
 * What the page knows and the loop does not.
 *
 * @param {import("./world.js").Tastes} tastes
 */
export function whatTheyLike(tastes) {
  return h(
    "table",
    {},
    h("caption", { class: "unseen" }, "The best and second best story of each reader. The loop does not know this"),
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        h("th", { scope: "col" }, "Reader"),
        HOURS.map((hour) => h("th", { scope: "col" }, hour)),
      ),
    ),
    h(
      "tbody",
      {},
      READERS.map(({ name }) =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, name),
          HOURS.map((hour) => {
            const [best, second] = tastes.of(keyOf(name, hour));
            return h("td", {}, best, h("span", { class: "faint" }, `, ${second}`));
          }),
        ),
      ),
    ),
  );
}

/** The story that is shown, with what its reader may do about it. */
export class StoryCard {
  /** @param {{ onReward: (value: number) => Promise<void>, onAnother: () => Promise<void> }} listeners */
  constructor({ onReward, onAnother }) {
    const button = (/** @type {string} */ text, /** @type {string} */ kind, /** @type {() => Promise<void>} */ work) => {
      const onclick = () => void busy(this.actions, () => busy(made, work));
      const made = h("button", { type: "button", class: kind, onclick }, text);
      return made;
    };
    /** All of them are about one story, so one of them at a time does something. */
    this.actions = h(
      "div",
      { class: "actions" },
      button("Click it", "primary", () => onReward(1)),
      button("Skip it", "", () => onReward(0)),
      button("Ask again", "plain", onAnother),
    );
    this.picture = h("div", { class: "picture", "aria-hidden": "true" });
    this.kicker = h("p", { class: "kicker" });
    this.title = h("h3", {});
    this.teaser = h("p", { class: "teaser" });
    this.odds = h("p", { class: "faint small" });
    this.thanks = h("p", { class: "thanks", role: "status" });
    this.element = h(
      "section",
      { class: "card story", "aria-labelledby": "shown" },
      h("h2", { id: "shown", class: "unseen" }, "The loop shows"),
      this.picture,
      h("div", { class: "text", "aria-live": "polite" }, this.kicker, this.title, this.teaser, this.odds),
      this.actions,
      this.thanks,
    );
  }

  /** Whether somebody points at it or has the focus in it. */
  get isInUse() {
    return this.element.matches(":hover") || this.element.contains(document.activeElement);
  }

  /**
   * @param {Choice} choice
   * @param {number | null} learned how many visits the loop has learned from, if that is known
   */
  show({ situation, answer }, learned) {
    const story = storyOf(answer.rewardActionId);
    const chance = answer.ranking.find(({ id }) => id === story.id)?.probability ?? 0;
    const chances = answer.ranking.map(({ probability }) => probability);
    const reason = isEven(answer.ranking)
      ? "all are equally likely, because nothing is known yet"
      : chance < Math.max(...chances)
        ? "an experiment, to learn something"
        : learned !== null && learned < YOUNG
          ? `only a guess, because ${counted(learned, "visit")} ${learned === 1 ? "says" : "say"} little`
          : "the best story that the loop knows";
    if (this.element.dataset.topic !== story.topic) {
      replace(this.picture, icon(story.topic));
      this.element.dataset.topic = story.topic;
    }
    write(this.kicker, `${story.topic} · ${story.length} read`);
    write(this.title, story.title);
    write(this.teaser, story.teaser);
    write(this.odds, `Shown to ${situation.reader} with a chance of ${percent(chance)}: ${reason}.`);
  }

  /** @param {number} value */
  thank(value) {
    write(this.thanks, value ? "Clicked: reward 1. Here is the next story." : "Skipped: reward 0. Here is the next story.");
    this.thanks.classList.remove("new");
    requestAnimationFrame(() => this.thanks.classList.add("new"));
  }
}

/** The probability of each story, as bars that stay in their places while they move; one is selected to be explained. */
export class Chances {
  selected = STORIES[0].id;
  #isFollowing = true;

  /** @param {(id: string) => void} onSelect */
  constructor(onSelect) {
    this.onSelect = onSelect;
    this.rows = STORIES.map((story) => {
      const value = h("span", { class: "number" });
      const filled = h("i", {});
      const button = h(
        "button",
        { type: "button", class: "chance", "data-topic": story.topic, onclick: () => this.#choose(story.id) },
        icon(story.topic),
        h("span", { class: "name" }, story.topic),
        h("span", { class: "track", "aria-hidden": "true" }, filled),
        value,
      );
      return { id: story.id, button, value, filled };
    });
    this.element = h(
      "ul",
      { class: "chances", "aria-label": "Stories; choose one to see why" },
      this.rows.map(({ button }) => h("li", {}, button)),
    );
  }

  /**
   * @param {Ranked[]} ranking
   * @param {string} shown the story on display
   */
  show(ranking, shown) {
    if (this.#isFollowing || shown !== this.shown) this.selected = shown;
    this.#isFollowing ||= shown !== this.shown;
    this.shown = shown;
    for (const { id, value, filled, button } of this.rows) {
      const probability = ranking.find((each) => each.id === id)?.probability ?? 0;
      write(value, percent(probability));
      filled.style.setProperty("--size", `${100 * probability}%`);
      button.classList.toggle("shown", id === shown);
    }
    this.#mark();
  }

  /** @param {string} id */
  #choose(id) {
    this.selected = id;
    this.#isFollowing = id === this.shown;
    this.#mark();
    this.onSelect(id);
  }

  #mark() {
    for (const { id, button } of this.rows) button.setAttribute("aria-pressed", String(id === this.selected));
  }
}

/** @param {{ probability: number }[]} ranking */
function isEven(ranking) {
  const chances = ranking.map(({ probability }) => probability);
  return Math.max(...chances) - Math.min(...chances) < 1e-6;
}

/**
 * What is said where no feature adds anything to a story.
 *
 * @param {{ probability: number }[]} ranking
 */
export function withoutReasons(ranking) {
  return isEven(ranking)
    ? "Nothing is learned yet, so all stories are equally likely."
    : "The model knows nothing of this reader and this story. It may have learned from other visits than those of the demo.";
}
