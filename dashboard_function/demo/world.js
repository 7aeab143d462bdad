/** A news site that exists only here: its stories, and readers whose tastes the loop is not told. */

/** @typedef {{ name: string, about: string }} Reader */
/** @typedef {{ id: string, topic: string, length: "short" | "long", title: string, teaser: string }} Story */
/** @typedef {{ reader: string, hour: string, device: string }} Situation */
/** @typedef {() => number} Chance */

/** @type {readonly Reader[]} */
export const READERS = [
  { name: "Ada", about: "engineer" },
  { name: "Ben", about: "student" },
  { name: "Chloe", about: "cook" },
  { name: "Dan", about: "retired" },
];
export const HOURS = ["morning", "evening"];
export const DEVICES = ["phone", "desktop"];

/** @type {readonly Story[]} */
export const STORIES = [
  {
    id: "budget",
    topic: "politics",
    length: "short",
    title: "The budget passes by two votes",
    teaser: "A long night, a short speech, and a coalition that holds for now.",
  },
  {
    id: "derby",
    topic: "sports",
    length: "short",
    title: "A late goal wins the derby",
    teaser: "Ninety-three minutes of patience, and one perfect cross.",
  },
  {
    id: "telescope",
    topic: "science",
    length: "long",
    title: "A telescope sees the oldest light yet",
    teaser: "What a smudge of twelve pixels says about the first stars.",
  },
  {
    id: "pianist",
    topic: "music",
    length: "long",
    title: "The pianist who plays without a score",
    teaser: "She learned four hundred pieces by ear. This is how she listens.",
  },
  {
    id: "soups",
    topic: "food",
    length: "short",
    title: "Eight soups for a cold week",
    teaser: "One pot, half an hour, and whatever the market has left.",
  },
  {
    id: "alps",
    topic: "travel",
    length: "long",
    title: "Slow trains across the Alps",
    teaser: "Eleven hours, forty tunnels, and the best seat on the left.",
  },
  {
    id: "bread",
    topic: "finance",
    length: "short",
    title: "Why bread got cheaper",
    teaser: "Wheat, diesel and a good harvest: the sums behind a loaf.",
  },
  {
    id: "sleep",
    topic: "health",
    length: "long",
    title: "What the studies say about sleep",
    teaser: "Fewer rules than you think, and one that matters.",
  },
];

const FAVOURITE = 0.8;
const SECOND = 0.35;
const OTHER = 0.05;
/** Nobody has time for a long read on the way to work. */
const LONG_IN_THE_MORNING = 0.75;

/** What each reader likes best and second best, at each hour. */
export class Tastes {
  /** @type {Map<string, [string, string]>} */
  #liked = new Map();

  /**
   * @param {Chance} chance
   * @param {Tastes} [unlike] whose favourites nobody keeps
   */
  constructor(chance, unlike) {
    const topics = shuffled(
      STORIES.map(({ topic }) => topic),
      chance,
    );
    const moments = READERS.flatMap(({ name }) => HOURS.map((hour) => keyOf(name, hour)));
    const shift = unlike ? 1 + Math.floor(chance() * (topics.length - 1)) : 0;
    moments.forEach((moment, number) => {
      const before = unlike?.of(moment)[0];
      const first = before === undefined ? number : topics.indexOf(before) + shift;
      this.#liked.set(moment, [topics[first % topics.length], topics[(first + 3) % topics.length]]);
    });
  }

  /**
   * Those that were written down before.
   *
   * @param {[string, [string, string]][]} liked
   */
  static from(liked) {
    const tastes = new Tastes(() => 0);
    tastes.#liked = new Map(liked);
    return tastes;
  }

  /** All of it, to be written down. */
  get liked() {
    return [...this.#liked];
  }

  /** @param {string} moment see `keyOf` */
  of(moment) {
    return /** @type {[string, string]} */ (this.#liked.get(moment));
  }

  /**
   * How likely a story is clicked.
   *
   * @param {Situation} situation
   * @param {Story} story
   */
  interest({ reader, hour }, { topic, length }) {
    const [favourite, second] = this.of(keyOf(reader, hour));
    const liked = topic === favourite ? FAVOURITE : topic === second ? SECOND : OTHER;
    return liked * (hour === "morning" && length === "long" ? LONG_IN_THE_MORNING : 1);
  }

  /**
   * What picking blindly, and what knowing everything, would earn.
   *
   * @param {Situation} situation
   */
  bounds(situation) {
    const interests = STORIES.map((story) => this.interest(situation, story));
    return { random: interests.reduce((sum, each) => sum + each, 0) / interests.length, best: Math.max(...interests) };
  }
}

/**
 * @param {string} reader
 * @param {string} hour
 */
export function keyOf(reader, hour) {
  return `${reader} ${hour}`;
}

/**
 * Somebody who comes by.
 *
 * @param {Chance} chance
 * @returns {Situation}
 */
export function anybody(chance) {
  const one = (/** @type {readonly any[]} */ of) => of[Math.floor(chance() * of.length)];
  return { reader: one(READERS).name, hour: one(HOURS), device: one(DEVICES) };
}

/** @param {string} id */
export function storyOf(id) {
  const found = STORIES.find((story) => story.id === id);
  if (!found) throw new Error(`the loop chose “${id}”, which was not offered`);
  return found;
}

/**
 * Numbers from 0 to 1 that a seed determines (mulberry32), since `Math.random` has none.
 *
 * @param {number} seed
 * @returns {Chance}
 */
export function seededChance(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * @template Item
 * @param {readonly Item[]} items
 * @param {Chance} chance
 * @returns {Item[]}
 */
function shuffled(items, chance) {
  const left = [...items];
  return items.map(() => left.splice(Math.floor(chance() * left.length), 1)[0]);
}
