// Calls every operation of @azure-rest/ai-personalizer and prints what came of each as a line of JSON.
// Arguments: the folder of the packages, the endpoint, the key, an event id.

import { createRequire } from "node:module";

const [packages, endpoint, key, eventId] = process.argv.slice(2);
const require = createRequire(`${packages}/`);
const { default: createPersonalizerClient } = require("@azure-rest/ai-personalizer");
const { AzureKeyCredential } = require("@azure/core-auth");

const client = connect(key);

// --- the log, deleted before there is anything in it that is asked for later

await call("POST", "/rank", { body: asked(`deleted ${eventId}`) }, undefined, "to be deleted");
await call("GET", "/logs/properties");
await call("DELETE", "/logs");
await call("GET", "/logs/properties", {}, undefined, "properties after the deletion");

// --- the application's calls

await call("POST", "/rank", { body: asked(eventId, { excludedActions: ["sport"], deferActivation: true }) });
await call("POST", "/events/{eventId}/activate", {}, eventId);
await call("POST", "/events/{eventId}/reward", { body: { value: 0.75 } }, eventId);
await call("POST", "/rank", { body: asked(eventId, { excludedActions: ["news", "sport", "film"] }) }, undefined, "all excluded");
await call("POST", "/events/{eventId}/reward", { body: { value: 1.5 } }, eventId, "too much");
await call("POST", "/rank", { body: asked(eventId), through: connect("another") }, undefined, "another key");

// --- configuration and policy

const configuration = await call("GET", "/configurations/service");
await call("PUT", "/configurations/service", { body: { ...configuration.body, explorationPercentage: 0.5 } });
await call("GET", "/configurations/service", {}, undefined, "changed");
await call("PUT", "/configurations/service", { body: { ...configuration.body, rewardWaitTime: "P31D" } }, undefined, "too long");
await call("PUT", "/configurations/service", { body: configuration.body }, undefined, "put back");

await call("GET", "/configurations/policy");
await call("PUT", "/configurations/policy", { body: { name: "several slots", arguments: "--ccb_explore_adf --epsilon 0.2" } });

// --- several slots, which need that policy

const severalSlots = `several ${eventId}`;
const slots = [
  { id: "hero", baselineAction: "news" },
  { id: "side", baselineAction: "sport", features: [{ size: "small" }] },
];
await call("POST", "/multislot/rank", { body: asked(severalSlots, { slots, deferActivation: true }) });
await call("POST", "/multislot/events/{eventId}/activate", {}, severalSlots);
await call("POST", "/multislot/events/{eventId}/reward", { body: { reward: [{ slotId: "side", value: 0.5 }] } }, severalSlots);
await call("DELETE", "/configurations/policy");
await call("POST", "/multislot/rank", { body: asked(severalSlots, { slots }) }, undefined, "policy for one slot");

// --- evaluations

const policies = [{ name: "mine", arguments: "--cb_explore_adf --softmax" }];
const contract = { name: "first", startTime: "2019-01-12T00:00:00Z", endTime: "2019-01-18T00:00:00Z", policies };
const created = await call("POST", "/evaluations", { body: { ...contract, enableOfflineExperimentation: true } });
await call("GET", "/evaluations");
await call("GET", "/evaluations/{evaluationId}", {}, created.body.id);
await call("POST", "/configurations/applyFromEvaluation", { body: { evaluationId: created.body.id, policyName: "mine" } });
await call("GET", "/configurations/policy", {}, undefined, "applied");
await call("DELETE", "/configurations/policy", {}, undefined, "reset again");
await call("DELETE", "/evaluations/{evaluationId}", {}, created.body.id);
await call("GET", "/evaluations/{evaluationId}", {}, created.body.id, "deleted");

// --- model: there is one, see the test

await call("GET", "/model/properties");
const before = await bytes("unsigned", false);
const archive = await bytes("signed", true);
await call("DELETE", "/model");
const without = await bytes("without a model", false);
await call("PUT", "/model", { body: archive, contentType: "application/octet-stream" });
const after = await bytes("brought back", false);
await call("PUT", "/model", { body: before, contentType: "application/octet-stream" }, undefined, "not signed");
say("models", { cameBack: after.equals(before), wentAway: !without.equals(before), sizes: [before.length, archive.length] });

// --- batches

const interaction = asked(`decided elsewhere ${eventId}`, {
  ranking: ["news", "sport", "film"].map((id) => ({ id, probability: id === "news" ? 1 : 0 })),
  rewardActionId: "news",
});
const observation = { eventId: `decided elsewhere ${eventId}`, value: 0.25 };
await call("POST", "/logs/interactions", { body: lines(interaction), contentType: "application/x-ndjson" });
await call("POST", "/logs/observations", { body: lines(observation), contentType: "application/x-ndjson" });
const binary = { body: Buffer.from([1, 2, 3]), contentType: "application/octet-stream" };
await call("POST", "/logs/interactions", binary, undefined, "binary interactions");
await call("POST", "/logs/observations", binary, undefined, "binary observations");

function connect(subscriptionKey) {
  return createPersonalizerClient(endpoint, new AzureKeyCredential(subscriptionKey), { allowInsecureConnection: true });
}

function asked(id, members) {
  const actions = ["news", "sport", "film"].map((each) => ({ id: each, features: [{ topic: each }] }));
  return { eventId: id, contextFeatures: [{ user: { device: "phone" } }], actions, ...members };
}

function lines(...documents) {
  return documents.map((document) => `${JSON.stringify(document)}\n`).join("");
}

async function call(method, path, { through = client, ...options } = {}, id = undefined, what = "") {
  const route = id === undefined ? through.path(path) : through.path(path, id);
  const response = await route[method.toLowerCase()](options);
  say(what || `${method} ${path}`, {
    operation: `${method} ${path}`,
    status: response.status,
    headers: response.headers,
    body: response.body,
  });
  return response;
}

async function bytes(what, signed) {
  const response = await client.path("/model").get({ queryParameters: { signed } }).asNodeStream();
  const chunks = [];
  for await (const chunk of response.body) chunks.push(chunk);
  say(what, { operation: "GET /model", status: response.status, headers: response.headers });
  return Buffer.concat(chunks);
}

function say(what, facts) {
  console.log(JSON.stringify({ what, ...facts }));
}
