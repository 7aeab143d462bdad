// Calls every operation of @azure/cognitiveservices-personalizer and prints what came of each as a line of JSON.
// Arguments: the folder of the packages, the endpoint, the key, an event id.

import { createRequire } from "node:module";

const [packages, endpoint, key, eventId] = process.argv.slice(2);
const require = createRequire(`${packages}/`);
const { PersonalizerClient, Events } = require("@azure/cognitiveservices-personalizer");
const { ApiKeyCredentials } = require("@azure/ms-rest-js");

const client = connect(key);

say("operations", { names: [...methods(PersonalizerClient), ...methods(Events)] });

const ranked = await client.rank(asked({ excludedActions: ["sport"], deferActivation: true }));
say("rank", { status: ranked._response.status, body: plain(ranked) });
const activated = await client.events.activate(eventId);
say("activate", { status: activated._response.status });
const rewarded = await client.events.reward(eventId, { value: 0.75 });
say("reward", { status: rewarded._response.status });

await refused("all excluded", () => client.rank(asked({ excludedActions: ["news", "sport", "film"] })));
await refused("too much", () => client.events.reward(eventId, { value: 1.5 }));
await refused("another key", () => connect("another").rank(asked({})));

// This SDK drops the path of an endpoint, and with it the paths of its own operations, unless its base is set after it is made.
function connect(subscriptionKey) {
  const credentials = new ApiKeyCredentials({ inHeader: { "Ocp-Apim-Subscription-Key": subscriptionKey } });
  const made = new PersonalizerClient(credentials, endpoint);
  if (new URL(endpoint).pathname !== "/") made.baseUri = `${endpoint}/personalizer/v1.0`;
  return made;
}

function asked(members) {
  const actions = ["news", "sport", "film"].map((id) => ({ id, features: [{ topic: id }] }));
  return { eventId, contextFeatures: [{ user: { device: "phone" } }], actions, ...members };
}

function methods(kind) {
  return Object.getOwnPropertyNames(kind.prototype).filter((name) => name !== "constructor");
}

function plain(response) {
  return JSON.parse(JSON.stringify(response));
}

async function refused(what, call) {
  try {
    await call();
    say(what, { status: 0 });
  } catch (error) {
    say(what, { status: error.statusCode, error: error.body && error.body.error });
  }
}

function say(what, facts) {
  console.log(JSON.stringify({ what, ...facts }));
}
