// A letter by mail whose rewards come late and in parts: opened, clicked, ordered. What never arrives does not count.
// Sets the loop's aggregation to `sum` and its default reward to 0, so give it a loop of its own.

import { connect, ok } from "./client.js";
import { Curve, onStage } from "./stage.js";
import { seededChance } from "./world.js";

const WORTH = { bought: 1, "put into the basket": 0.5, left: 0 };
// Opened 0.2, clicked 0.3, ordered 0.5: the loop sums them up. Who does nothing sends nothing: the default reward.
const PARTS = { bought: [0.2, 0.3, 0.5], "put into the basket": [0.2, 0.3], left: [] };
const BOUNCED = 0.1;
const LONGEST_DELAY = 1200; // milliseconds: the loop's wait time has to be longer than rewards take, here seconds

await onStage(async (loop) => {
  const client = connect(loop);
  await prepare(client);
  const chance = seededChance(loop.seed);
  const curve = new Curve(loop);
  const underWay = [];
  for await (const reader of loop.visitors("products")) {
    const { product, eventId } = await choose(client, reader);
    const reaction = reader.reactsTo(product);
    if (eventId && chance() >= BOUNCED) {
      // it has arrived: only now the choice was shown to anybody
      await attempt(() => client.path("/events/{eventId}/activate", eventId).post());
      for (const value of PARTS[reaction]) underWay.push(later(client, eventId, value, 100 + chance() * (LONGEST_DELAY - 100)));
    }
    curve.add(WORTH[reaction], reader, WORTH);
  }
  await Promise.all(underWay);
  curve.tell();
});

// Say what several rewards and none come to.
async function prepare(client) {
  const configuration = ok(await client.path("/configurations/service").get());
  const body = { ...configuration, rewardAggregation: "sum", defaultReward: 0 };
  ok(await client.path("/configurations/service").put({ body }));
}

// Give the product to write about; with `deferActivation` the event waits until the letter has arrived.
async function choose(client, reader) {
  const actions = reader.actions.map(({ id, features }) => ({ id, features: [features] }));
  const body = { contextFeatures: [reader.context], actions, deferActivation: true };
  const answer = await attempt(() => client.path("/rank").post({ body }));
  return answer ? { product: answer.rewardActionId, eventId: answer.eventId } : { product: reader.actions[0].id };
}

// Send a part of the reward when its time has come.
async function later(client, eventId, value, milliseconds) {
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  await attempt(() => client.path("/events/{eventId}/reward", eventId).post({ body: { value } }));
}

// Call, and go on without when it fails: what is not activated is not learned, what is not rewarded earns the default.
async function attempt(call) {
  try {
    return ok(await call());
  } catch (error) {
    console.log(`Personalizer: ${error.message}`);
    return undefined;
  }
}
