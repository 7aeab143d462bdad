/** The deployment's loops, for its administrator, whose key is asked for here and kept as long as the loop's own. */

import { Api, DEFAULT_LOOP, Refusal } from "../lib/api.js";
import { confirmed } from "../lib/dialog.js";
import { h, replace } from "../lib/dom.js";
import { field, form, select } from "../lib/form.js";
import { counted } from "../lib/format.js";
import { note } from "../lib/notes.js";
import { button, card, heading, pill, snippet, table, when } from "../lib/pieces.js";

/** @typedef {import("../sections.js").Page} Page */

/** @type {[string, string][]} */
const TIERS = [
  ["S0", "S0: any number of Rank calls"],
  ["E0", "E0: the same, starts as Apprentice"],
  ["F0", "F0: 50,000 Rank calls a month"],
];

/** Who signed in with the administrator's key as well; forgotten with the loop's. @type {WeakMap<Api, Api>} */
const administrators = new WeakMap();

/** @param {Page} page */
export async function show(page) {
  const administrator = administrators.get(page.api);
  if (administrator) await list(page, administrator);
  else ask(page);
}

/** @param {Page} page */
function ask(page) {
  const key = field({
    name: "key",
    label: "Administrator's key",
    control: h("input", { type: "password", autocomplete: "off", spellcheck: "false" }),
    hint: h(
      "span",
      {},
      h("code", {}, "PERSONALIZER_ADMIN_KEY"),
      " of the app; ",
      h("code", {}, "make run"),
      " prints it. It stays in this tab's memory.",
    ),
  });
  const submit = async () => {
    const administrator = new Api(key.control.value.trim());
    try {
      await administrator.get("loops", {}, page.signal);
    } catch (error) {
      if (error instanceof Refusal && error.status === 401) throw new Refusal(401, { message: error.message, target: "key" });
      throw error;
    }
    administrators.set(page.api, administrator);
    await list(page, administrator);
  };
  replace(
    page.root,
    heading("Loops", "Each loop has its own settings, keys, log and model. To make or delete loops you need the administrator's key."),
    card(
      "Sign in as the administrator",
      form({ content: [key.element], fields: () => [key], submit, action: "Show the loops", attributes: { class: "narrow" } }),
    ),
  );
}

/**
 * @param {Page} page
 * @param {Api} administrator
 */
async function list(page, administrator) {
  const { root, signal } = page;
  const { value } = await administrator.get("loops", {}, signal);
  const news = h("div", { class: "stack", "aria-live": "polite" });
  const again = () => list(page, administrator);
  replace(
    root,
    heading("Loops", "Each loop has its own settings, keys, log and model."),
    news,
    card(`${counted(value.length, "loop")} of at most 100`, loopTable(value, administrator, { news, again })),
    card(
      "Make a loop",
      createForm(administrator, async (made) => {
        await again();
        const shown = root.querySelector(".stack");
        if (shown && made.keys) shown.append(newKeys(made.name, made.keys));
      }),
    ),
  );
}

/** @typedef {{ news: HTMLElement, again: () => Promise<void> }} Around */

/**
 * @param {any[]} loops
 * @param {Api} administrator
 * @param {Around} around
 */
function loopTable(loops, administrator, { news, again }) {
  const regenerate = (/** @type {string} */ name, /** @type {number} */ number) => async () => {
    const text = `Calls with key ${number} of “${name}” are refused from now on. Change your applications to the other key first.`;
    if (!(await confirmed({ title: `Regenerate key ${number}?`, text, action: "Regenerate" }))) return;
    const { key } = await administrator.post(`loops/${name}/keys/${number}/regenerate`);
    replace(news, newKeys(name, [key], number));
  };
  const regenerateForPages = (/** @type {string} */ name) => async () => {
    const text = `A client key is for pages in a browser. It can only rank, reward and activate. Calls with an older client key of “${name}” are refused from now on.`;
    if (!(await confirmed({ title: "Make a new client key?", text, action: "Make it" }))) return;
    const { key } = await administrator.post(`loops/${name}/keys/client/regenerate`);
    replace(news, newClientKey(name, key));
  };
  const remove = (/** @type {string} */ name) => async () => {
    const text = `“${name}” with its settings, keys, log and models is deleted for good.`;
    if (!(await confirmed({ title: "Delete the loop?", text, action: "Delete", typed: name }))) return;
    await administrator.remove(`loops/${name}`);
    note(`The loop ${name} is deleted.`);
    await again();
  };
  const retier = (/** @type {any} */ loop) => {
    const control = select(
      TIERS.map(([tier]) => [tier, tier]),
      loop.tier,
    );
    control.setAttribute("aria-label", `Tier of ${loop.name}`);
    control.addEventListener("change", async () => {
      const text = `“${loop.name}” becomes ${control.value}. It gets the learning mode of that tier. Its model stays.`;
      if (await confirmed({ title: "Change the tier?", text, action: "Change", isDangerous: false })) {
        await administrator.put(`loops/${loop.name}`, { tier: control.value }).catch((error) => note(error.message));
      }
      await again();
    });
    return control;
  };
  return table(
    "Loops",
    ["Loop", "Tier", "Mode", "Made", "Endpoint", ""],
    loops.map((loop) => [
      loop.name,
      retier(loop),
      pill(loop.configuration.learningMode),
      when(loop.createdAt),
      h("code", {}, loop.endpoint),
      h(
        "div",
        { class: "actions" },
        [1, 2].map((number) =>
          button(`New key ${number}`, regenerate(loop.name, number), {
            class: "small",
            "aria-label": `New key ${number} of ${loop.name}`,
          }),
        ),
        button("New client key", regenerateForPages(loop.name), { class: "small", "aria-label": `New client key of ${loop.name}` }),
        loop.name === DEFAULT_LOOP
          ? null
          : button("Delete", remove(loop.name), { class: "small warned", "aria-label": `Delete ${loop.name}` }),
      ),
    ]),
  );
}

/**
 * @param {Api} administrator
 * @param {(made: any) => Promise<void>} onMade
 */
function createForm(administrator, onMade) {
  const name = field({
    name: "loop",
    label: "Name",
    control: h("input", { type: "text", autocomplete: "off", spellcheck: "false", autocapitalize: "none", maxlength: 31 }),
    hint: "A lower-case letter, then letters and digits.",
  });
  const tier = field({ name: "tier", label: "Tier", control: select(TIERS, "S0") });
  const submit = async () => {
    const wanted = name.control.value.trim();
    if (!wanted) {
      name.refuse("A name is needed.");
      name.control.focus();
      return;
    }
    await onMade(await administrator.put(`loops/${encodeURIComponent(wanted)}`, { tier: tier.control.value }));
    note(`The loop ${wanted} is made.`);
  };
  return form({
    content: [h("div", { class: "fields" }, name.element, tier.element)],
    fields: () => [name, tier],
    submit,
    action: "Make it",
  });
}

/**
 * Keys that are told this once.
 *
 * @param {string} name
 * @param {string[]} keys
 * @param {number} [number] which one it is, if it is one
 */
function newKeys(name, keys, number) {
  const title = number ? `The new key ${number} of ${name}` : `The keys of ${name}`;
  return h(
    "section",
    { class: "card keys" },
    h("h2", {}, title),
    h("p", {}, "Copy them now. They are not shown again."),
    keys.map((key, index) => snippet(key, `Key ${number ?? index + 1} of ${name}`)),
    h(
      "p",
      {},
      h(
        "a",
        { href: `/dashboard#${new URLSearchParams({ key: keys[0], loop: name })}`, target: "_blank", rel: "noopener" },
        `Open the dashboard of ${name} in a new tab`,
      ),
    ),
  );
}

/**
 * A client key, which is told this once and opens no dashboard.
 *
 * @param {string} name
 * @param {string} key
 */
function newClientKey(name, key) {
  const title = `The new client key of ${name}`;
  return h("section", { class: "card keys" }, h("h2", {}, title), h("p", {}, "Copy it now. It is not shown again."), snippet(key, title));
}
