/** The dashboard's sections. */

import * as models from "./sections/models.js";
import * as overview from "./sections/overview.js";

/**
 * What a section is given: where to show itself, and until when. What fails later goes to `onError`.
 *
 * @typedef {object} Page
 * @property {import("./lib/api.js").Api} api
 * @property {HTMLElement} root
 * @property {AbortSignal} signal
 * @property {string} argument what the address says behind the section's name
 * @property {(error: unknown) => void} onError
 */

/** @typedef {{ title: string, show: (page: Page) => Promise<void> | void }} Section */

/** @type {Record<string, Section>} */
export const SECTIONS = {
  overview: { title: "Overview", show: overview.show },
  models: { title: "Models", show: models.show },
};

export const GROUPS = [
  { title: "Watch", names: ["overview"] },
  { title: "Set up", names: ["models"] },
];
