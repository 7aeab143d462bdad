/** Calls to copy, filled in for the loop that is looked at. The key stays a variable: it is not put into texts. */

/** @typedef {import("../lib/api.js").Api} Api */

/** @param {Api} api */
export function rankExample(api) {
  return `KEY=...   # the key that you signed in with
curl -s ${api.endpoint}/personalizer/v1.0/rank \\
  -H "Ocp-Apim-Subscription-Key: $KEY" -H 'Content-Type: application/json' \\
  -d '{"contextFeatures": [{"time": "morning"}],
       "actions": [{"id": "pasta", "features": [{"taste": "savoury"}]},
                   {"id": "ice-cream", "features": [{"taste": "sweet"}]}]}'`;
}

/** @param {Api} api */
export function rewardExample(api) {
  return `curl -i ${api.endpoint}/personalizer/v1.0/events/EVENT_ID/reward \\
  -H "Ocp-Apim-Subscription-Key: $KEY" -H 'Content-Type: application/json' -d '{"value": 1}'`;
}

/** @param {Api} api */
export function sdkExample(api) {
  return `client = PersonalizerClient("${api.endpoint}", CognitiveServicesCredentials(KEY))
answer = client.rank(RankRequest(actions=actions, context_features=[{"time": "morning"}]))
client.events.reward(answer.event_id, value=1.0)`;
}
