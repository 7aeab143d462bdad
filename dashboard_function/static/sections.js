/** The dashboard's sections. */

import * as actions from "./sections/actions.js";
import * as changes from "./sections/changes.js";
import * as configuration from "./sections/configuration.js";
import * as evaluations from "./sections/evaluations.js";
import * as events from "./sections/events.js";
import * as features from "./sections/features.js";
import * as log from "./sections/log.js";
import * as loops from "./sections/loops.js";
import * as models from "./sections/models.js";
import * as overview from "./sections/overview.js";
import * as policy from "./sections/policy.js";
import * as segments from "./sections/segments.js";

/**
 * What a section is given: where to show itself, and until when. What fails later goes to `onError`.
 *
 * @typedef {object} Page
 * @property {import("./lib/api.js").Api} api
 * @property {HTMLElement} root
 * @property {AbortSignal} signal
 * @property {string} argument what the address says behind the section's name
 * @property {URLSearchParams} query how it is to be looked at, as the address says
 * @property {(error: unknown) => void} onError
 * @property {(name: string) => void} entitle puts the name of what is shown into the window's title
 */

/** @typedef {{ title: string, show: (page: Page) => Promise<void> | void }} Section */

/** @type {Record<string, Section>} */
export const SECTIONS = {
  overview: { title: "Overview", show: overview.show },
  actions: { title: "Actions", show: actions.show },
  segments: { title: "Segments", show: segments.show },
  events: { title: "Events", show: events.show },
  evaluations: { title: "Evaluations", show: evaluations.show },
  features: { title: "Features", show: features.show },
  configuration: { title: "Configuration", show: configuration.show },
  policy: { title: "Policy", show: policy.show },
  models: { title: "Models", show: models.show },
  changes: { title: "Changes", show: changes.show },
  log: { title: "Log", show: log.show },
  loops: { title: "Loops", show: loops.show },
};

/** The pages of the documentation that explain what one sees. @type {Record<string, string>} */
export const EXPLAINED = {
  overview: "how-to/read-the-status",
  actions: "how-to/use-the-dashboard",
  segments: "how-to/use-the-dashboard",
  changes: "concepts/configuration",
  events: "how-to/look-up-an-event",
  evaluations: "concepts/evaluations",
  features: "concepts/features",
  configuration: "concepts/configuration",
  policy: "concepts/policy-arguments",
  models: "concepts/models",
  log: "how-to/joined-log",
  loops: "how-to/serve-many-loops",
};

export const GROUPS = [
  { title: "Watch", names: ["overview", "actions", "segments", "events", "changes"] },
  { title: "Improve", names: ["evaluations", "features", "policy"] },
  { title: "Set up", names: ["configuration", "models", "log"] },
  { title: "Deployment", names: ["loops"] },
];
