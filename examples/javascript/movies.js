// A movie to begin the evening with, that this household has not just seen: from 0 to 1 by how much of it is watched.

import msRest from "@azure/ms-rest-js";
import { PersonalizerClient } from "@azure/cognitiveservices-personalizer";

import { Curve, onStage } from "./stage.js";

const REWARDS = { "watched to the end": 1, "stopped half-way": 0.5, "not started": 0 };

await onStage(async (loop) => {
  const client = connect(loop);
  const curve = new Curve(loop);
  for await (const household of loop.visitors("movies")) {
    const seen = household.actions.at(-1).id; // as the application's own records would tell
    const { movie, eventId } = await choose(client, household, seen);
    const reward = REWARDS[household.reactsTo(movie)];
    await tell(client, eventId, reward);
    curve.add(reward, household, REWARDS, [seen]);
  }
  curve.tell();
});

// Open a client that would rather fail than keep a screen empty.
function connect({ endpoint, key }) {
  const credentials = new msRest.ApiKeyCredentials({ inHeader: { "Ocp-Apim-Subscription-Key": key } });
  const client = new PersonalizerClient(credentials, endpoint, { noRetryPolicy: true });
  client.baseUri = `${endpoint}/personalizer/v1.0`; // the SDK itself would drop the path of a loop
  return client;
}

// Give the movie to offer, and the event to reward; the first one if Personalizer does not answer.
async function choose(client, household, seen) {
  const request = {
    contextFeatures: [household.context],
    actions: household.actions.map(({ id, features }) => ({ id, features: [features] })),
    excludedActions: [seen], // it stays in the list, so that the model sees the same movies every time
  };
  try {
    const { rewardActionId, eventId } = await client.rank(request, { timeout: 2000 });
    return { movie: rewardActionId, eventId }; // the service made the id
  } catch (error) {
    console.log(`Rank: ${error.message}`);
    return { movie: household.actions[0].id };
  }
}

// Send the reward; one that is lost counts as the loop's default reward.
async function tell(client, eventId, value) {
  if (!eventId) return;
  try {
    await client.events.reward(eventId, { value }, { timeout: 2000 });
  } catch (error) {
    console.log(`Reward: ${error.message}`);
  }
}
