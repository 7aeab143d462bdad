/** The form that asks for an evaluation. */

import { h, replace } from "../lib/dom.js";
import { field, form } from "../lib/form.js";
import { localDay } from "../lib/format.js";
import { newId } from "../lib/ids.js";
import { message } from "../lib/notes.js";
import { button, card, heading } from "../lib/pieces.js";
import { loggedRange, rangeFields } from "../lib/range.js";

/** @typedef {import("../sections.js").Page} Page */
/** @typedef {import("../lib/form.js").Field} Field */
/** @typedef {{ element: HTMLElement, fields: Field[], value: () => { name: string, arguments: string } }} PolicyRow */

const MOST_POLICIES = 10;

/**
 * @param {Page} page
 * @param {import("./jobs.js").Kind} kind
 */
export async function askForEvaluation({ api, root, signal }, { path, place }) {
  const logged = await loggedRange(api, signal);
  const id = newId();
  const name = field({
    name: "name",
    label: "Name",
    control: h("input", { type: "text", autocomplete: "off", value: `Evaluation of ${localDay(new Date())}`, maxlength: 256 }),
  });
  const seeks = field({
    name: "enablePolicyOptimization",
    label: "Look for better policies",
    control: h("input", { type: "checkbox" }),
    hint: "Policies with other exploration and other features are tried on the first half of the range. All figures are then of the second half.",
  });
  const range = rangeFields(logged);
  const policies = policyRows();
  const submit = async () => {
    const body = {
      name: name.control.value.trim(),
      ...range.value(),
      policies: policies.value(),
      enablePolicyOptimization: /** @type {HTMLInputElement} */ (seeks.control).checked,
    };
    await api.put(`${path}/${id}`, body, { "x-ms-client-request-id": id });
    location.hash = `#/${place}/${id}`;
  };
  replace(
    root,
    heading(
      "New evaluation",
      "What was shown, your present policy, the baseline and chance are always compared. You can add other policies.",
    ),
    logged ? null : message("Nothing is logged yet. The evaluation will finish at once, without results.", "warn"),
    form({
      content: [card("Name and time range", name.element, range.element, seeks.element), card("Policies of your own", policies.element)],
      fields: () => [name, ...range.fields, seeks, ...policies.fields()],
      submit,
      action: "Start the evaluation",
      signal,
      extra: [h("a", { class: "button", href: `#/${place}` }, "Cancel")],
    }),
  );
}

/** Policies that somebody adds to those that are always compared. */
export function policyRows(none = "None. The search can find some as well.") {
  /** @type {PolicyRow[]} */
  let rows = [];
  const list = h("div", { class: "stack" });
  const add = button(
    "Add a policy",
    () => {
      rows.push(policyRow());
      draw();
      rows.at(-1)?.fields[0].control.focus();
    },
    { class: "small" },
  );
  const draw = () => {
    rows.forEach((row, number) => row.fields.forEach((each) => (each.name = each.name.replace(/^policies\[\d*\]/, `policies[${number}]`))));
    replace(
      list,
      rows.length ? null : h("p", { class: "faint" }, none),
      rows.map((row) =>
        h(
          "div",
          { class: "row" },
          row.element,
          h(
            "div",
            {},
            button(
              "Remove",
              () => {
                rows = rows.filter((each) => each !== row);
                draw();
                add.focus();
              },
              { class: "small plain warned" },
            ),
          ),
        ),
      ),
    );
    add.disabled = rows.length >= MOST_POLICIES;
  };
  draw();
  return {
    element: h("div", { class: "stack" }, list, h("div", { class: "actions" }, add)),
    fields: () => rows.flatMap((row) => row.fields),
    value: () => rows.map((row) => row.value()),
  };
}

/** @returns {PolicyRow} */
function policyRow() {
  const name = field({
    name: "policies[].name",
    label: "Name",
    control: h("input", { type: "text", autocomplete: "off", spellcheck: "false" }),
  });
  const written = field({
    name: "policies[].arguments",
    label: "Arguments",
    control: h("input", { type: "text", class: "code", autocomplete: "off", spellcheck: "false", value: "--cb_explore_adf --epsilon 0.1" }),
  });
  return {
    element: h("div", { class: "fields" }, name.element, written.element),
    fields: [name, written],
    value: () => ({ name: name.control.value.trim(), arguments: written.control.value.trim() }),
  };
}
