// A product to feature in a shop, through the newer SDK: 1 if it is bought, 0.5 if it is put into the basket.

import { connect, ok } from "./client.js";
import { Curve, onStage } from "./stage.js";

const REWARDS = { bought: 1, "put into the basket": 0.5, left: 0 };

await onStage(async (loop) => {
  const client = connect(loop);
  const curve = new Curve(loop);
  for await (const shopper of loop.visitors("products")) {
    const { product, eventId } = await choose(client, shopper);
    const reward = REWARDS[shopper.reactsTo(product)];
    await tell(client, eventId, reward);
    curve.add(reward, shopper, REWARDS);
  }
  curve.tell();
});

// Give the product to feature, and the event to reward; the shop's own first one if Personalizer does not answer.
async function choose(client, shopper) {
  const actions = shopper.actions.map(({ id, features }) => ({ id, features: [features] }));
  try {
    const answer = ok(await client.path("/rank").post({ body: { contextFeatures: [shopper.context], actions } }));
    return { product: answer.rewardActionId, eventId: answer.eventId };
  } catch (error) {
    console.log(`Rank: ${error.message}`);
    return { product: shopper.actions[0].id };
  }
}

// Send the reward; one that is lost counts as the loop's default reward.
async function tell(client, eventId, value) {
  if (!eventId) return;
  try {
    ok(await client.path("/events/{eventId}/reward", eventId).post({ body: { value } }));
  } catch (error) {
    console.log(`Reward: ${error.message}`);
  }
}
