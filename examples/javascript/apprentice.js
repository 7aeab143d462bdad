// From your own rule to Personalizer: Apprentice mode until it chooses as you do, then Online.
// Until the switch shoppers see what the rule chooses, and nothing else. After it the loop tries other products, so that for some hundred
// shoppers it may earn less than the rule would have; the last lines say what both earned of the same shoppers.
// Changes the loop's configuration, so give it a loop of its own.

import { connect, ok } from "./client.js";
import { Curve, onStage } from "./stage.js";

const REWARDS = { bought: 1, "put into the basket": 0.5, left: 0 };
const RULE = { little: "product-d", medium: "product-c", much: "product-c" };
const ENOUGH_EVENTS = 60; // of the latest: how many to judge by, and in which share the loop would have chosen as the rule did
const ENOUGH_AGREEMENT = 0.7;
const LOOK_EVERY = 20;

// Watches how often the loop would have chosen as the rule.
class Apprentice {
  graduated = false;
  #judged = { events: 0, imitated: 0 };

  constructor(client) {
    this.client = client;
  }

  // Whether it did often enough, in the events that were learned since it was last asked.
  async agrees() {
    const { latestApprenticeModeMetrics: metrics } = ok(await this.client.path("/configurations/service").get());
    const { numberOfEvents: events = 0, numberOfImitatedEvents: imitated = 0 } = metrics ?? {};
    const latest = events - this.#judged.events;
    if (latest < ENOUGH_EVENTS) return false;
    const agreement = (imitated - this.#judged.imitated) / latest;
    this.#judged = { events, imitated };
    console.log(`          chooses as the rule in ${Math.round(100 * agreement)}% of the latest ${latest}`);
    this.graduated = agreement >= ENOUGH_AGREEMENT;
    return this.graduated;
  }
}

await onStage(
  async (loop) => {
    const client = connect(loop);
    await change(client, { modelRetrainDays: 7 }); // a week of the log, so that the switch begins with what was learned
    await change(client, { learningMode: "Apprentice" });
    const curve = new Curve(loop);
    const apprentice = new Apprentice(client);
    const online = [];
    let number = 0;
    for await (const shopper of loop.visitors("products")) {
      if (!apprentice.graduated && number % LOOK_EVERY === 0 && (await apprentice.agrees())) {
        await change(client, { learningMode: "Online" });
        console.log(`          after ${number} visitors: Online`);
      }
      const reward = await serve(client, shopper);
      curve.add(reward, shopper, REWARDS);
      if (apprentice.graduated) online.push({ reward, rule: REWARDS[shopper.reactsTo(RULE[shopper.context.shopper.spends])] });
      number += 1;
    }
    curve.tell();
    tell(online);
  },
  { short: 480 },
);

// Show one product and give its reward, in either mode by the same calls.
async function serve(client, shopper) {
  const products = ownChoiceFirst(shopper);
  const actions = products.map(({ id, features }) => ({ id, features: [features] }));
  try {
    const answer = ok(await client.path("/rank").post({ body: { contextFeatures: [shopper.context], actions } }));
    const value = REWARDS[shopper.reactsTo(answer.rewardActionId)];
    ok(await client.path("/events/{eventId}/reward", answer.eventId).post({ body: { value } }));
    return value;
  } catch (error) {
    console.log(`Personalizer: ${error.message}`); // the shop shows its own choice, as it always did
    return REWARDS[shopper.reactsTo(products[0].id)];
  }
}

// Say what was earned since the switch, beside what the rule would have earned of the same shoppers.
function tell(online) {
  if (!online.length) {
    console.log("It did not choose as the rule did often enough for a switch: all of them saw the choice of the rule.");
    return;
  }
  const [reward, rule] = ["reward", "rule"].map((name) => online.reduce((sum, each) => sum + each[name], 0) / online.length);
  console.log(`Since the switch, ${online.length} visitors: reward ${reward.toFixed(3)}, the rule alone ${rule.toFixed(3)}.`);
  if (reward < rule)
    console.log("That is less than the rule. The loop tries other products, and has to see some hundred visitors before that pays.");
}

// Put what the shop's own rule would show at the head: in Apprentice mode that is what Rank answers.
function ownChoiceFirst({ actions, context }) {
  const chosen = RULE[context.shopper.spends];
  return [...actions].sort((one, other) => (other.id === chosen) - (one.id === chosen));
}

// Write the configuration back with some members changed, as one PUT needs all of them.
async function change(client, members) {
  const configuration = ok(await client.path("/configurations/service").get());
  ok(await client.path("/configurations/service").put({ body: { ...configuration, ...members } }));
}
