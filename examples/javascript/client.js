// A client of the newer SDK, @azure-rest/ai-personalizer.

import personalizer from "@azure-rest/ai-personalizer";
import { AzureKeyCredential } from "@azure/core-auth";

const createClient = personalizer.default ?? personalizer;

// Open a client that would rather fail than keep somebody waiting.
export function connect({ endpoint, key }) {
  const allowInsecureConnection = endpoint.startsWith("http://"); // for an app on this machine
  return createClient(endpoint, new AzureKeyCredential(key), { allowInsecureConnection, retryOptions: { maxRetries: 1 } });
}

// Give the body of an answer; this SDK throws when nobody answers, but not when a call is refused.
export function ok({ status, body }) {
  if (Number(status) < 300) return body;
  throw new Error(`${status} ${body?.error?.message ?? ""}`);
}
