/** The loop's configuration, checked by the service. */

import { Refusal } from "../lib/api.js";
import { confirmed } from "../lib/dialog.js";
import { h, replace, write } from "../lib/dom.js";
import { field, form, select, watchInput } from "../lib/form.js";
import { duration, secondsOf } from "../lib/format.js";
import { note } from "../lib/notes.js";
import { card, heading, when } from "../lib/pieces.js";
import { momentField, utcOf } from "../lib/range.js";
import { saved } from "../lib/saving.js";

/** @typedef {import("../sections.js").Page} Page */
/** @typedef {import("../lib/form.js").Field & { label: string, read: () => unknown }} Setting */

const PATH = "personalizer/configurations/service";

/** @param {Page} page */
export async function show(page) {
  await draw(page);
}

/**
 * @param {Page} page
 * @param {(settings: Setting[]) => void} [putIn] gives the new fields what was put into the old ones while they were saved
 */
async function draw(page, putIn) {
  const { api, root, signal } = page;
  const read = await api.tagged(PATH, signal);
  const configuration = read.value;
  const settings = settingsOf(configuration);
  const before = new Map(settings.map((each) => [each.name, each.read()]));

  const submit = async () => {
    const putLater = watchInput(settings);
    const changed = settings.filter((each) => each.read() !== before.get(each.name));
    if (!changed.length) return note("Nothing is changed.");
    const comma = changed.find((each) => each.control.inputMode === "decimal" && each.control.value.includes(","));
    if (comma)
      throw new Refusal(400, { target: comma.name, message: "Write a decimal with a point, and thousands without a mark: 0.2 or 1000." });
    const changes = Object.fromEntries(changed.map((each) => [each.name, each.read()]));
    const isAgreed = async () => {
      const foreseen = await api.post("personalizer/configurations/preview", { configuration: changes });
      return !(foreseen.isLearnedAgain || foreseen.isLossy) || agreed(changed, foreseen, signal);
    };
    const labelOf = (/** @type {string} */ name) => settings.find((each) => each.name === name)?.label ?? null;
    if (!(await saved({ api, path: PATH, read, changes, agreed: isAgreed, labelOf, signal }))) return false;
    note("Saved. Every process serves it within its poll interval.");
    await draw(page, putLater);
    return undefined;
  };
  const of = (/** @type {string[]} */ ...names) =>
    h(
      "div",
      { class: "fields" },
      settings.filter((each) => names.includes(each.name)).map((each) => each.element),
    );
  const edited = configuration.lastConfigurationEditDate;
  replace(
    root,
    heading(
      "Configuration",
      edited
        ? h("span", {}, "Last changed ", when(edited), ".")
        : "The app's settings are in force: nothing was changed for this loop yet.",
    ),
    form({
      fields: () => settings,
      submit,
      action: "Save",
      signal,
      content: [
        card("Rewards", of("rewardWaitTime", "defaultReward", "rewardAggregation")),
        card("Decisions", of("learningMode", "explorationPercentage", "holdoutPercentage", "isInferenceExplainabilityEnabled")),
        card("Model", of("modelExportFrequency", "modelRetrainDays")),
        card("Figures", of("breakdownFeature")),
        card("Log", of("logRetentionDays", "logMirrorEnabled", "logMirrorSasUri")),
        card("Automatic optimisation", of("isAutoOptimizationEnabled", "autoOptimizationFrequency", "autoOptimizationStartDate")),
      ],
    }),
  );
  putIn?.(settings);
}

/**
 * @param {Setting[]} changed
 * @param {{ isLearnedAgain: boolean, isLossy: boolean, eventsDeleted: number, isExact: boolean, message: string }} foreseen
 * @param {AbortSignal} signal
 */
function agreed(changed, { isLearnedAgain, isLossy, eventsDeleted, isExact, message }, signal) {
  const text = `You change ${changed.map((each) => each.name).join(", ")}. ${message}`;
  if (isLearnedAgain) {
    const until = " The present model serves until the new one is ready.";
    const question = { title: "Learn the model again?", text: text + until, action: "Save and learn again", isDangerous: isLossy };
    return confirmed(question, signal);
  }
  const isDeleting = eventsDeleted > 0 || !isExact;
  const question = isDeleting
    ? { title: "Delete from the log?", text: message, action: "Save and delete" }
    : { title: "Change the learning mode?", text, action: "Save" };
  return confirmed(question, signal);
}

/**
 * @param {any} configuration
 * @returns {Setting[]}
 */
function settingsOf(configuration) {
  const of = (/** @type {string} */ name) => configuration[name];
  return [
    lasting("rewardWaitTime", "Reward wait time", of, "How long after its Rank call an event takes rewards: 1 second to 30 days."),
    number("defaultReward", "Default reward", of, "The reward of an event that got none in time: −1 to 1."),
    choice("rewardAggregation", "Several rewards become one", of, ["earliest", "sum", "average", "median", "min", "max"]),
    choice(
      "learningMode",
      "Learning mode",
      of,
      ["Online", "Apprentice", "LoggingOnly"],
      "Online shows the policy's choice. Apprentice shows your own choice and learns. LoggingOnly only logs.",
    ),
    number(
      "explorationPercentage",
      "Exploration",
      of,
      "Largest share of calls that may show something other than the best-known action (0.2 = 20 %).",
    ),
    number(
      "holdoutPercentage",
      "Holdout",
      (name) => of(name) ?? 0,
      "Share of events that show your own choice, to see at any time whether the loop earns more: 0 (none), or 0.001 to 0.9. Only in Online mode.",
    ),
    check(
      "isInferenceExplainabilityEnabled",
      "Explain decisions",
      of,
      "Rank then says how much each feature adds to the expected reward. It takes some milliseconds longer.",
    ),
    lasting(
      "modelExportFrequency",
      "Model export frequency",
      of,
      "Longest time between two published models, while there are new events: 1 second to 1 day.",
    ),
    number(
      "modelRetrainDays",
      "Days to learn again from",
      of,
      "If a setting changes what a reward means, the model is learned again from so many days. If you do not set it: from as many events as the model knows. 0: from nothing.",
    ),
    removable(
      "breakdownFeature",
      "Feature to tell rewards apart by",
      of,
      "A feature of the context, such as device or user.country. Segments are counted by its values from now on. Empty: none.",
    ),
    number("logRetentionDays", "Log retention, days", of, "Events are deleted from the log after so many days. −1 keeps them for ever."),
    check("logMirrorEnabled", "Mirror the log", of, "Copies the joined log to a container of yours."),
    text("logMirrorSasUri", "Address of that container", of, "With a signature (SAS) that allows writing."),
    check(
      "isAutoOptimizationEnabled",
      "Optimise the policy",
      of,
      "Searches for better policies on the log at fixed times. A clearly better one is put to use.",
    ),
    lasting("autoOptimizationFrequency", "How often", of, "1 hour to 365 days."),
    moment("autoOptimizationStartDate", "First search on", of),
  ];
}

/** @typedef {(name: string) => any} Of */

/**
 * @param {string} name
 * @param {string} label
 * @param {Of} of
 * @param {string} hint
 * @returns {Setting}
 */
function number(name, label, of, hint) {
  const control = h("input", { type: "text", inputmode: "decimal", autocomplete: "off", value: of(name) });
  const read = () => {
    const given = control.value.trim().replace("−", "-");
    return given === "" || Number.isNaN(Number(given)) ? given : Number(given);
  };
  return { ...field({ name, label, control, hint }), label, read };
}

/**
 * @param {string} name
 * @param {string} label
 * @param {Of} of
 * @param {string} hint
 * @returns {Setting}
 */
function lasting(name, label, of, hint) {
  const control = h("input", {
    type: "text",
    autocomplete: "off",
    autocapitalize: "characters",
    spellcheck: "false",
    value: of(name) ?? "",
  });
  const words = h("b", {});
  const tell = () => {
    const seconds = secondsOf(control.value);
    write(words, seconds === null ? "" : `${duration(seconds)}. `);
  };
  control.addEventListener("input", tell);
  tell();
  return {
    ...field({ name, label, control, hint: h("span", {}, words, `${hint} Like PT10M, PT1H or P1D.`) }),
    label,
    read: () => control.value.trim() || null,
  };
}

/**
 * @param {string} name
 * @param {string} label
 * @param {Of} of
 * @param {string[]} options
 * @param {string} [hint]
 * @returns {Setting}
 */
function choice(name, label, of, options, hint) {
  const control = select(
    options.map((each) => [each, each]),
    of(name),
  );
  return { ...field({ name, label, control, hint }), label, read: () => control.value };
}

/**
 * @param {string} name
 * @param {string} label
 * @param {Of} of
 * @param {string} hint
 * @returns {Setting}
 */
function check(name, label, of, hint) {
  const control = h("input", { type: "checkbox", checked: Boolean(of(name)) });
  return { ...field({ name, label, control, hint }), label, read: () => control.checked };
}

/**
 * A text that can be taken away: empty is sent as empty, and not left out.
 *
 * @param {string} name
 * @param {string} label
 * @param {Of} of
 * @param {string} hint
 * @returns {Setting}
 */
function removable(name, label, of, hint) {
  const made = text(name, label, of, hint);
  return { ...made, read: () => made.control.value.trim() };
}

/**
 * @param {string} name
 * @param {string} label
 * @param {Of} of
 * @param {string} hint
 * @returns {Setting}
 */
function text(name, label, of, hint) {
  const control = h("input", { type: "text", autocomplete: "off", spellcheck: "false", value: of(name) ?? "" });
  return { ...field({ name, label, control, hint }), label, read: () => control.value.trim() || null };
}

/**
 * @param {string} name
 * @param {string} label
 * @param {Of} of
 * @returns {Setting}
 */
function moment(name, label, of) {
  const made = momentField({ name, label, hint: "In your local time.", at: of(name) ? new Date(of(name)) : null });
  return { ...made, label, read: () => (made.control.value ? utcOf(made.control.value) : null) };
}
