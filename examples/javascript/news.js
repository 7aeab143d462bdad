// A news page with one large story: the one that this reader wants, on this device and in this season.

import { randomUUID } from "node:crypto";

import msRest from "@azure/ms-rest-js";
import { PersonalizerClient } from "@azure/cognitiveservices-personalizer";

import { Curve, onStage } from "./stage.js";

const REWARDS = { read: 1, "glanced at": 0.5, "passed over": 0 };

await onStage(async (loop) => {
  const client = connect(loop);
  const curve = new Curve(loop);
  for await (const reader of loop.visitors("news")) {
    const { story, eventId } = await choose(client, reader);
    const reward = REWARDS[reader.reactsTo(story)];
    await tell(client, eventId, reward);
    curve.add(reward, reader, REWARDS);
  }
  curve.tell();
});

// Open a client that would rather fail than keep a page waiting.
function connect({ endpoint, key }) {
  const credentials = new msRest.ApiKeyCredentials({ inHeader: { "Ocp-Apim-Subscription-Key": key } });
  const client = new PersonalizerClient(credentials, endpoint, { noRetryPolicy: true });
  client.baseUri = `${endpoint}/personalizer/v1.0`; // the SDK itself would drop the path of a loop
  return client;
}

// Give the story to show, and the event to reward; the editors' first story if Personalizer does not answer.
async function choose(client, reader) {
  const eventId = randomUUID();
  const actions = reader.actions.map(({ id, features }) => ({ id, features: [features] }));
  try {
    const answer = await client.rank({ eventId, contextFeatures: [reader.context], actions }, { timeout: 2000 });
    return { story: answer.rewardActionId, eventId };
  } catch (error) {
    console.log(`Rank: ${error.message}`);
    return { story: reader.actions[0].id };
  }
}

// Send the reward; one that is lost counts as the loop's default reward, so nothing is worth waiting for.
async function tell(client, eventId, value) {
  if (!eventId) return;
  try {
    await client.events.reward(eventId, { value }, { timeout: 2000 });
  } catch (error) {
    console.log(`Reward: ${error.message}`);
  }
}
