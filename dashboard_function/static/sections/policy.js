/** The learning policy: how Rank explores and what is crossed, in Vowpal Wabbit's syntax. */

import { Refusal, ifSame } from "../lib/api.js";
import { confirmed } from "../lib/dialog.js";
import { h, replace } from "../lib/dom.js";
import { field, form } from "../lib/form.js";
import { note } from "../lib/notes.js";
import { button, card, heading } from "../lib/pieces.js";
import { overwrites, saved } from "../lib/saving.js";

/** @typedef {import("../sections.js").Page} Page */

const PATH = "personalizer/configurations/policy";
const PREVIEW = "personalizer/configurations/preview";

/** @type {[string, string, string][]} */
const EXAMPLES = [
  ["The product's own exploration", "own", "--cb_explore_adf"],
  ["Epsilon-greedy", "epsilon-greedy", "--cb_explore_adf --epsilon 0.2"],
  ["Inverse gap weighting (SquareCB)", "squarecb", "--cb_explore_adf --squarecb"],
  ["Softmax", "softmax", "--cb_explore_adf --softmax --lambda 10"],
  ["Several slots in a call", "several-slots", "--ccb_explore_adf"],
];

/** @param {string} name */
const labelOf = (name) => ({ name: "Name", arguments: "Arguments" })[name] ?? null;

/** @param {Page} page */
export async function show({ api, root, signal }) {
  let read = await api.tagged(PATH, signal);
  const policy = read.value;
  const name = field({
    name: "name",
    label: "Name",
    control: h("input", { type: "text", autocomplete: "off", spellcheck: "false", value: policy.name }),
  });
  const written = field({
    name: "arguments",
    label: "Arguments",
    control: h("textarea", { rows: 3, spellcheck: "false", autocapitalize: "none" }, policy.arguments),
    hint: "Options in Vowpal Wabbit's syntax. An option that is not supported is refused, with its name. Options that you leave out get the product's own choice.",
  });
  const fill = (/** @type {{ name: string, arguments: string }} */ given) => {
    name.control.value = given.name;
    written.control.value = given.arguments;
  };
  const agreed = async (/** @type {any} */ policy) => {
    const foreseen = await api.post(PREVIEW, { policy });
    if (!foreseen.isLearnedAgain) return true;
    const text = `This policy uses other features. ${foreseen.message} The present model serves until the new one is ready.`;
    const isDangerous = foreseen.isLossy;
    return confirmed({ title: "Learn the model again?", text, action: "Save and learn again", isDangerous }, signal);
  };
  const submit = async () => {
    const policy = { name: name.control.value.trim(), arguments: written.control.value.trim() };
    const found = await saved({ api, path: PATH, read, changes: policy, agreed, labelOf, signal });
    if (!found) return false;
    fill(found);
    read = await api.tagged(PATH, signal);
    note("Saved. Rank uses it from now on.");
    return undefined;
  };
  const isReset = async () => {
    for (let present = read; ; ) {
      try {
        fill(await api.reset(PATH, ifSame(present.tag)));
        read = await api.tagged(PATH, signal);
        return true;
      } catch (error) {
        if (!(error instanceof Refusal) || error.status !== 412) throw error;
      }
      present = await api.tagged(PATH);
      const others = { before: read.value, theirs: present.value, yours: null, labelOf, signal, action: "Reset" };
      if (!(await overwrites(others))) return false;
    }
  };
  const reset = button(
    "Reset to the app's own…",
    async () => {
      const { message } = await api.post(PREVIEW, { resetsPolicy: true });
      const text = `The arguments of the app's settings are used again, under a new name. ${message}`;
      if (!(await confirmed({ title: "Reset the policy?", text, action: "Reset" }, signal))) return;
      if (!(await isReset())) return;
      note("The app's own policy is back.");
    },
    { class: "warned" },
  );
  replace(
    root,
    heading(
      "Policy",
      "The policy says how Rank explores and which features are combined. Before you change it, let an evaluation estimate what another policy would have earned.",
      [h("a", { class: "button", href: "#/evaluations/new" }, "Compare policies")],
    ),
    card(
      "In force",
      form({ content: [name.element, written.element], fields: () => [name, written], submit, action: "Save", extra: [reset], signal }),
    ),
    card(
      "Examples",
      h(
        "ul",
        { class: "choices" },
        EXAMPLES.map(([title, short, options]) =>
          h(
            "li",
            {},
            h("span", {}, title),
            h("code", {}, options),
            button(
              "Fill in",
              () => {
                fill({ name: short, arguments: options });
                written.control.focus();
              },
              { class: "small", "aria-label": `Fill in: ${title}` },
            ),
          ),
        ),
      ),
    ),
  );
}
