/** The page itself: a reader, the story the loop shows them, why, and how it gets better at it. */

import { NoAnswer, Refusal } from "/dashboard/lib/api.js";
import { confirmed } from "/dashboard/lib/dialog.js";
import { byId, h, replace, write } from "/dashboard/lib/dom.js";
import { busy, textOf } from "/dashboard/lib/form.js";
import { count, counted, duration } from "/dashboard/lib/format.js";
import { isPassing, untilShown } from "/dashboard/lib/live.js";
import { message, note } from "/dashboard/lib/notes.js";
import { LearningCurve } from "./curve.js";
import { keep, kept } from "./keeping.js";
import { Chances, StoryCard, readerPicker, whatTheyLike, withoutReasons } from "./pieces.js";
import { asked } from "./loop.js";
import { reasons } from "./reasons.js";
import { simulate } from "./simulation.js";
import { DEVICES, HOURS, READERS, Tastes, seededChance, storyOf } from "./world.js";

/** @typedef {import("./loop.js").Choice} Choice */
/** @typedef {import("./loop.js").Standing} Standing */

const CROWD = 1000;
const LOOK_EVERY_MS = 1_000;
/** Seconds of reward wait time beyond which nobody would wait for it in front of a page. */
const LONG_WAIT = 15;
const SEED = 7;

/**
 * Show the page until the signal ends it.
 *
 * @param {{ loop: import("./loop.js").Loop, root: HTMLElement, signal: AbortSignal, onError: (error: unknown) => void }} stage
 */
export function play(stage) {
  new Play(stage).begin();
}

class Play {
  #chance = seededChance(SEED);
  #tastes = new Tastes(this.#chance);
  #situation = { reader: READERS[0].name, hour: HOURS[0], device: DEVICES[0] };
  /** @type {Choice | null} what is shown, and will be rewarded */
  #shown = null;
  /** @type {Choice | null} what the present model says of the same reader */
  #latest = null;
  /** @type {Standing | null} */
  #standing = null;
  #asked = 0;
  /** Visitors of a crowd that was interrupted, who have yet to come. */
  #left = 0;
  /** Visitors of the present crowd who have come. */
  #come = 0;
  /** Whether they come by themselves, as soon as it is seen that they can. */
  #goesOn = false;
  /** @type {AbortController | null} */
  #crowd = null;
  /** Until the last visitor of the crowd is gone. */
  #coming = Promise.resolve();

  /** @param {{ loop: import("./loop.js").Loop, root: HTMLElement, signal: AbortSignal, onError: (error: unknown) => void }} stage */
  constructor({ loop, root, signal, onError }) {
    this.loop = loop;
    this.root = root;
    this.signal = signal;
    this.onError = onError;
    this.chances = new Chances((id) => this.#explain(id));
    this.story = new StoryCard({ onReward: (value) => this.#reward(value), onAnother: () => this.#ask() });
    this.notice = h("div", { class: "notice" });
    this.why = h("div", { class: "why" });
    this.calls = h("pre", { tabindex: "0", role: "region", "aria-label": "The calls behind it" });
    this.likes = h("div", {}, whatTheyLike(this.#tastes));
    this.progress = h("progress", { max: CROWD, value: 0, "aria-label": "Visitors who have come", hidden: true });
    this.curve = new LearningCurve(signal, () => (this.progress.value = this.#come));
    this.invite = h("button", {
      type: "button",
      class: "primary",
      onclick: () => (this.#crowd ? this.#crowd.abort() : (this.#coming = this.#invite())),
    });
    this.turn = h("button", { type: "button", onclick: () => this.#turn() }, "Change everybody’s tastes");
    this.restart = h(
      "button",
      { type: "button", class: "plain", onclick: () => void busy(this.restart, () => this.#restart()) },
      "Forget all",
    );
  }

  begin() {
    this.#resume();
    write(this.invite, this.#invitation);
    for (const [event, where] of /** @type {[string, EventTarget][]} */ ([
      ["pagehide", window],
      ["visibilitychange", document],
    ]))
      where.addEventListener(event, () => this.#keep(), { signal: this.signal });
    this.signal.addEventListener("abort", () => this.#keep(), { once: true });
    replace(this.root, ...this.#page());
    this.root.querySelector("h1")?.focus({ preventScroll: true });
    void this.#watch();
  }

  /** Go on where a reload, or a lost key, ended it. */
  #resume() {
    const play = kept(this.loop.name);
    if (!play) return;
    this.#chance = seededChance(play.seed);
    this.#tastes = Tastes.from(play.liked);
    this.#left = play.left;
    this.#goesOn = play.left > 0;
    this.curve.resume(play.curve);
    replace(this.likes, whatTheyLike(this.#tastes));
  }

  #keep() {
    const seed = Math.floor(this.#chance() * 2 ** 32);
    const left = this.#crowd ? CROWD - this.#come : this.#left;
    keep(this.loop.name, { seed, liked: this.#tastes.liked, curve: this.curve.drawn, left });
  }

  get #invitation() {
    return this.#left ? `Let the other ${count(this.#left)} come` : `Simulate ${count(CROWD)} visitors`;
  }

  #page() {
    return [
      h(
        "header",
        { class: "intro" },
        h("h1", { tabindex: "-1" }, "Which story does this reader want?"),
        h(
          "p",
          { class: "lead" },
          "The loop does not know. It shows one story and sees whether it is clicked. Seconds later it knows a little more. " +
            "Play a reader yourself, or simulate many.",
        ),
      ),
      this.notice,
      h(
        "div",
        { class: "scene" },
        h(
          "section",
          { class: "card who", "aria-labelledby": "who" },
          h("h2", { id: "who" }, "Reader"),
          readerPicker(this.#situation, (situation) => {
            this.#situation = situation;
            void this.#ask();
          }),
        ),
        this.story.element,
        h(
          "section",
          { class: "card odds", "aria-labelledby": "odds" },
          h("header", {}, h("h2", { id: "odds" }, "How likely each story is shown")),
          this.chances.element,
        ),
        h(
          "section",
          { class: "card because", "aria-labelledby": "because" },
          h("h2", { id: "because" }, "Why"),
          this.why,
          h("details", { class: "quiet calls" }, h("summary", {}, "The calls behind it"), this.calls),
        ),
        h(
          "section",
          { class: "card curve-card", "aria-labelledby": "curve" },
          h(
            "header",
            {},
            h("h2", { id: "curve" }, "Is it getting better?"),
            h("div", { class: "actions" }, this.invite, this.turn, this.restart),
          ),
          this.progress,
          this.curve.element,
          h("details", { class: "quiet likes" }, h("summary", {}, "What do they like?"), this.likes),
        ),
      ),
    ];
  }

  /** Look how far the loop is, every second; a new model is asked about the present reader. */
  async #watch() {
    let isLost = false;
    while (!this.signal.aborted) {
      try {
        const before = this.#standing;
        this.#standing = await this.loop.standing();
        this.#tell(this.#standing);
        if (!this.#shown) await this.#choose();
        else if (before && before.version !== this.#standing.version) await this.#askTheNewModel();
        if (isLost) note("Connected again.");
        isLost = false;
        this.#goOn();
      } catch (error) {
        if (error instanceof Refusal && error.status === 401) this.onError(error);
        else if (!isLost) note(textOf(error));
        isLost = true;
        if (error instanceof NoAnswer) this.#tellPulse("No connection, trying again", "lost");
        else if (!this.#standing?.trouble) this.#tellPulse("Something is wrong, trying again", "lost");
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
      await untilShown(this.signal);
    }
    this.#crowd?.abort();
    this.#tellPulse("", "");
  }

  /** Let those come who were on their way when the page was loaded again, or the service could not be reached. */
  #goOn() {
    if (!this.#goesOn || this.#crowd || !this.#left) return;
    this.#goesOn = false;
    note(`The other ${counted(this.#left, "visitor")} come now.`);
    this.#coming = this.#invite();
  }

  /** While a crowd teaches it, the story follows the model, unless somebody is about to click it. */
  async #askTheNewModel() {
    if (this.#crowd && !this.story.isInUse) return this.#choose();
    const asked = ++this.#asked;
    const choice = await this.loop.choose(this.#situation);
    if (asked === this.#asked) this.#learnOf(choice);
  }

  /** Have a story chosen, or say why there is none. */
  async #ask() {
    try {
      await this.#choose();
    } catch (error) {
      this.onError(error);
    }
  }

  /** Have a story chosen for the present reader; only the answer to the latest question counts. */
  async #choose() {
    const asked = ++this.#asked;
    const choice = await this.loop.choose(this.#situation);
    if (asked !== this.#asked || this.signal.aborted) return;
    this.#shown = choice;
    this.story.show(choice, this.#standing?.learned ?? null);
    write(this.calls, callsOf(choice));
    this.#learnOf(choice);
  }

  /** @param {Choice} choice */
  #learnOf(choice) {
    this.#latest = choice;
    this.chances.show(choice.answer.ranking, this.#shown?.answer.rewardActionId ?? "");
    this.#explain(this.chances.selected);
  }

  /** @param {string} id of the story that is asked about */
  #explain(id) {
    const told = this.#latest?.answer.inferenceExplanation;
    const about = told?.find((each) => each.id === id);
    if (!this.#latest || !this.#standing) return;
    if (!told) replace(this.why, this.#offerReasons());
    else if (!about?.features.length) replace(this.why, h("p", { class: "faint" }, withoutReasons(this.#latest.answer.ranking)));
    else replace(this.why, reasons(about, this.#latest.situation));
  }

  #offerReasons() {
    const turnOn = h(
      "button",
      {
        type: "button",
        class: "small",
        onclick: () =>
          void busy(turnOn, async () => {
            try {
              await this.loop.explain();
              await this.#ask();
            } catch (error) {
              this.onError(error);
            }
          }),
      },
      "Show the reasons",
    );
    return [
      h("p", { class: "faint" }, "This loop does not give reasons (", h("code", {}, "isInferenceExplainabilityEnabled"), ")."),
      h("p", {}, turnOn),
    ];
  }

  /** @param {number} value */
  async #reward(value) {
    const choice = this.#shown;
    if (!choice || !this.#standing) return;
    try {
      value = await this.loop.reward(choice, value, this.#standing.wait);
    } catch (error) {
      this.onError(error);
      return;
    }
    if (this.#shown === choice) this.#shown = null; // it is over, whether another one can be had or not
    const expected = this.#tastes.interest(choice.situation, storyOf(choice.answer.rewardActionId));
    this.curve.add({ reward: value, expected, ...this.#tastes.bounds(choice.situation) });
    this.story.thank(value);
    await this.#ask();
  }

  async #invite() {
    const crowd = new AbortController();
    this.#crowd = crowd;
    const before = CROWD - (this.#left || CROWD);
    this.#come = this.progress.value = before;
    this.progress.hidden = false;
    this.root.setAttribute("data-crowd", "");
    write(this.invite, "Stop");
    try {
      await simulate({
        loop: this.loop,
        tastes: () => this.#tastes,
        chance: this.#chance,
        count: CROWD - before,
        lacksModel: () => Boolean(this.#standing && !this.#standing.version && this.#standing.wait <= LONG_WAIT),
        signal: AbortSignal.any([crowd.signal, this.signal]),
        onVisit: (visit) => {
          this.curve.add(visit);
          this.#come += 1;
        },
      });
      this.#left = this.signal.aborted ? CROWD - this.#come : 0;
      note(`${counted(this.#come - before, "visitor")} came by.`);
    } catch (error) {
      crowd.abort();
      this.#left = CROWD - this.#come;
      this.#goesOn = isPassing(error);
      this.onError(error);
    }
    this.#crowd = null;
    this.progress.hidden = true;
    this.root.removeAttribute("data-crowd");
    write(this.invite, this.#invitation);
  }

  /** Have everybody like something else from now on: what was learned has to be unlearned. */
  #turn() {
    this.#tastes = new Tastes(this.#chance, this.#tastes);
    this.curve.change();
    replace(this.likes, whatTheyLike(this.#tastes));
    note("From now on everybody likes something else. The loop does not know it.");
  }

  async #restart() {
    const text =
      "The loop’s model is deleted, and all stories become equally likely. The log stays. The next model learns from visits that are still under way.";
    if (!(await confirmed({ title: "Delete the model?", text, action: "Forget all" }, this.signal))) return;
    try {
      this.#crowd?.abort();
      await this.#coming;
      await this.loop.forget();
      this.#left = 0;
      write(this.invite, this.#invitation);
      this.curve.clear();
      note("Forgotten.");
    } catch (error) {
      this.onError(error);
    }
  }

  /** @param {Standing} standing */
  #tell({ newest, learned, pending, wait, mode, trouble }) {
    const model = newest ? `Model ${Number.parseInt(newest, 10)}: learned from ${counted(learned, "visit")}` : "No model yet";
    const waiting = pending ? `, ${count(pending)} under way` : "";
    if (learned === null) this.#tellPulse("Not known how far it has learned, trying again", "lost");
    else this.#tellPulse(`${model}${waiting}`, "live");
    const notices = [
      wait > LONG_WAIT &&
        `This loop waits ${duration(wait)} for rewards before it learns from a visit. So your clicks show later than that. ` +
          "With make run, the app has a loop for this page that waits only seconds.",
      mode !== "Online" && `This loop is in ${mode} mode. It shows the first story, whatever it has learned.`,
      trouble && `The service says: ${trouble}`,
    ].filter(Boolean);
    if (notices.join() === this.notice.textContent) return;
    replace(
      this.notice,
      notices.map((text) => message(String(text), "warn")),
    );
  }

  /**
   * @param {string} text
   * @param {string} state
   */
  #tellPulse(text, state) {
    const pulse = byId("pulse");
    pulse.className = `pulse ${state}`;
    write(pulse, text);
  }
}

/** @param {Choice} choice */
function callsOf({ situation, answer: { eventId, rewardActionId, ranking } }) {
  const json = (/** @type {unknown} */ value) => JSON.stringify(value, null, 1);
  return [
    `POST rank\n${json(asked(situation))}`,
    `201\n${json({ ranking, eventId, rewardActionId })}`,
    `POST events/${eventId}/reward\n{"value": 1}   if it is clicked\n{"value": 0}   if it is skipped`,
  ].join("\n\n");
}
