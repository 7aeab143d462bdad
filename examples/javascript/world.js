// The people that the examples serve: drawn by chance, with tastes that only examples/worlds/NAME.json knows.

import { readFileSync } from "node:fs";

// Give so many visitors, one after another; equal seeds give equal visitors.
export function* visitorsOf(name, count, seed) {
  const world = JSON.parse(readFileSync(new URL(`../worlds/${name}.json`, import.meta.url), "utf8"));
  const chance = seededChance(seed);
  for (let number = 0; number < count; number++) {
    const context = mapValues(world.context, (features) => mapValues(features, (values) => values[Math.floor(chance() * values.length)]));
    const actions = shuffled(world.actions, chance); // no place is the best one by itself
    const interest = Object.fromEntries(actions.map((action) => [action.id, interestOf(world, context, action)]));
    yield new Visitor(context, actions, interest, world, chance());
  }
}

class Visitor {
  constructor(context, actions, interest, { glance, reactions }, chance) {
    Object.assign(this, { context, actions, interest, glance, reactions, chance });
  }

  // What the visitor does, given how much of their attention the place gets.
  reactsTo(actionId, attention = 1) {
    const wanted = attention * this.interest[actionId];
    if (this.chance < wanted) return this.reactions[0];
    return this.chance < wanted + (1 - wanted) * this.glance ? this.reactions[1] : this.reactions[2];
  }

  // The mean reward of showing this action, which no application can know.
  expects(actionId, rewards, attention = 1) {
    const wanted = attention * this.interest[actionId];
    const shares = [wanted, (1 - wanted) * this.glance, (1 - wanted) * (1 - this.glance)];
    return shares.reduce((sum, share, number) => sum + share * rewards[this.reactions[number]], 0);
  }
}

// Numbers from 0 to 1 that a seed determines (mulberry32), as Math.random has no seed.
export function seededChance(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function interestOf(world, context, action) {
  const facts = { id: action.id, ...flat(context), ...flat(action.features) };
  const matching = world.tastes.filter(({ adds, ...when }) => Object.entries(when).every(([name, value]) => facts[name] === value));
  const interest = matching.reduce((sum, taste) => sum + taste.adds, world.interest);
  return Math.min(Math.max(interest, 0), 1);
}

function shuffled(items, chance) {
  return items
    .map((item) => [chance(), item])
    .sort(([one], [other]) => one - other)
    .map(([, item]) => item);
}

function mapValues(object, change) {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [name, change(value)]));
}

function flat(features) {
  return Object.fromEntries(
    Object.entries(features).flatMap(([space, inner]) => Object.entries(inner).map(([name, value]) => [`${space}.${name}`, value])),
  );
}
