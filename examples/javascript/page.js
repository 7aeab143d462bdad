// A page with three places, filled by one call without showing a story twice; each place is rewarded by itself.
// Sets the loop's policy to one for several slots, so give it a loop of its own.

import { connect, ok } from "./client.js";
import { Curve, onStage } from "./stage.js";

const REWARDS = { read: 1, "glanced at": 0.5, "passed over": 0 };
// The size of each place, and the share of a reader's attention that it gets: the loop is told the first alone.
const PLACES = [
  { id: "hero", size: "large", attention: 1 },
  { id: "side", size: "small", attention: 0.6 },
  { id: "foot", size: "small", attention: 0.3 },
];

await onStage(async (loop) => {
  const client = connect(loop);
  ok(await client.path("/configurations/policy").put({ body: { name: "several slots", arguments: "--ccb_explore_adf" } }));
  const curve = new Curve(loop);
  for await (const reader of loop.visitors("news")) {
    const { stories, eventId } = await fill(client, reader);
    const rewards = PLACES.map(({ attention }, number) => REWARDS[reader.reactsTo(stories[number], attention)]);
    await tell(client, eventId, rewards);
    const { random, best } = expectations(reader);
    curve.count(mean(rewards), random, best);
  }
  curve.tell();
});

// Give the stories in the order of the places, and the event; the editors' order if Personalizer does not answer.
async function fill(client, reader) {
  const editors = PLACES.map((_, number) => reader.actions[number].id);
  const body = {
    contextFeatures: [reader.context],
    actions: reader.actions.map(({ id, features }) => ({ id, features: [features] })),
    slots: PLACES.map(({ id, size }, number) => ({ id, features: [{ place: { name: id, size } }], baselineAction: editors[number] })),
  };
  try {
    const answer = ok(await client.path("/multislot/rank").post({ body }));
    return { stories: answer.slots.map((slot) => slot.rewardActionId), eventId: answer.eventId };
  } catch (error) {
    console.log(`Rank: ${error.message}`);
    return { stories: editors };
  }
}

// Send the rewards of all places in one call.
async function tell(client, eventId, rewards) {
  if (!eventId) return;
  const reward = PLACES.map(({ id }, number) => ({ slotId: id, value: rewards[number] }));
  try {
    ok(await client.path("/multislot/events/{eventId}/reward", eventId).post({ body: { reward } }));
  } catch (error) {
    console.log(`Reward: ${error.message}`);
  }
}

// The mean reward of a page filled blindly, and of the best one: the most wanted story where it is seen most.
function expectations(reader) {
  const stories = reader.actions.map(({ id }) => id).sort((one, other) => reader.interest[other] - reader.interest[one]);
  const blind = PLACES.flatMap(({ attention }) => stories.map((story) => reader.expects(story, REWARDS, attention)));
  const best = PLACES.map(({ attention }, number) => reader.expects(stories[number], REWARDS, attention));
  return { random: mean(blind), best: mean(best) };
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
