/** The deployment's loops, for its administrator, whose key is asked for here and kept as long as the loop's own. */

import { Api, DEFAULT_LOOP, Refusal, ifSame } from "../lib/api.js";
import { confirmed } from "../lib/dialog.js";
import { h, replace } from "../lib/dom.js";
import { field, form, select } from "../lib/form.js";
import { counted } from "../lib/format.js";
import { message, note } from "../lib/notes.js";
import { button, card, heading, pill, table, when } from "../lib/pieces.js";
import { showOnce } from "../lib/told-once.js";

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

/**
 * @param {Page} page
 * @param {string} [reason] why the key is asked for again
 */
function ask(page, reason) {
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
    administrator.onKeyRefused = () => {
      administrators.delete(page.api);
      if (!page.signal.aborted) ask(page, "The administrator's key is not good any more. It may have been changed.");
    };
    await list(page, administrator);
    focusHeading(page.root);
  };
  replace(
    page.root,
    heading("Loops", "Each loop has its own settings, keys, log and model. To make or delete loops you need the administrator's key."),
    reason ? message(reason) : null,
    card(
      "Sign in as the administrator",
      form({ content: [key.element], fields: () => [key], submit, action: "Show the loops", attributes: { class: "narrow" } }),
    ),
  );
}

/** @param {HTMLElement} root */
function focusHeading(root) {
  root.querySelector("h1")?.focus({ preventScroll: true });
}

/**
 * @param {Page} page
 * @param {Api} administrator
 */
async function list(page, administrator) {
  const { root, signal } = page;
  const loops = h("div", { class: "stack" });
  const again = async () => {
    const { value } = await administrator.get("loops", {}, signal);
    replace(loops, card(`${counted(value.length, "loop")} of at most 100`, loopTable(value, administrator, { again, signal })));
  };
  await again();
  replace(
    root,
    heading("Loops", "Each loop has its own settings, keys, log and model."),
    loops,
    card("Make a loop", createForm(administrator, { again, signal })),
  );
}

/** @typedef {{ again: () => Promise<void>, signal: AbortSignal }} Around `again` reads and shows the loops anew */

/**
 * @param {any[]} loops
 * @param {Api} administrator
 * @param {Around} around
 */
function loopTable(loops, administrator, { again, signal }) {
  const regenerate = (/** @type {string} */ name, /** @type {number} */ number) => async () => {
    const text = `Calls with key ${number} of “${name}” are refused from now on. Change your applications to the other key first.`;
    if (!(await confirmed({ title: `Regenerate key ${number}?`, text, action: "Regenerate" }, signal))) return;
    const { key } = await administrator.post(`loops/${name}/keys/${number}/regenerate`);
    showKeys(name, [key], number);
  };
  const regenerateForPages = (/** @type {string} */ name) => async () => {
    const text = `A client key is for pages in a browser. It can only rank, reward and activate. Calls with an older client key of “${name}” are refused from now on.`;
    if (!(await confirmed({ title: "Make a new client key?", text, action: "Make it" }, signal))) return;
    const { key } = await administrator.post(`loops/${name}/keys/client/regenerate`);
    showOnce({ title: `The new client key of ${name}`, secrets: [{ label: `The new client key of ${name}`, text: key }] });
  };
  const remove = (/** @type {string} */ name) => async () => {
    const text = `“${name}” with its settings, keys, log and models is deleted for good.`;
    if (!(await confirmed({ title: "Delete the loop?", text, action: "Delete", typed: name }, signal))) return;
    await administrator.remove(`loops/${name}`);
    note(`The loop ${name} is deleted.`);
    await again();
  };
  const tier = (/** @type {any} */ loop) => {
    const control = select(
      TIERS.map(([tier]) => [tier, tier]),
      loop.tier,
    );
    control.setAttribute("aria-label", `Tier of ${loop.name}`);
    const change = button(
      "Change",
      async () => {
        const { value: present, tag } = await administrator.tagged(`loops/${loop.name}`, signal);
        const since = present.tier === loop.tier ? "" : ` Somebody has made it ${present.tier} meanwhile.`;
        const foreseen = await administrator.post(`loops/${loop.name}/preview`, { tier: control.value });
        const text = `“${loop.name}” becomes ${control.value}.${since} It gets the learning mode of that tier. ${foreseen.message}`;
        const isDangerous = foreseen.isLossy;
        if (!(await confirmed({ title: "Change the tier?", text, action: "Change", isDangerous }, signal))) return;
        await administrator.put(`loops/${loop.name}`, { tier: control.value }, ifSame(tag));
        note(`“${loop.name}” is ${control.value} now.`);
        await again();
      },
      { class: "small", "aria-label": `Change tier: ${loop.name}`, disabled: true },
    );
    control.addEventListener("change", () => (change.disabled = control.value === loop.tier));
    return h("div", { class: "tier" }, control, change);
  };
  return table(
    "Loops",
    ["Loop", "Tier", "Mode", "Made", "Endpoint", ""],
    loops.map((loop) => [
      loop.name,
      tier(loop),
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
 * @param {Around} around
 */
function createForm(administrator, { again, signal }) {
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
      return false;
    }
    const made = await create(administrator, wanted, tier.control.value);
    if (made.keys) showKeys(made.name, made.keys);
    note(`The loop ${wanted} is made.`);
    name.control.value = "";
    await again();
    return undefined;
  };
  return form({
    content: [h("div", { class: "fields" }, name.element, tier.element)],
    fields: () => [name, tier],
    submit,
    action: "Make it",
    signal,
  });
}

/**
 * Make a loop, and never change one that is there.
 *
 * @param {Api} administrator
 * @param {string} name
 * @param {string} tier
 */
async function create(administrator, name, tier) {
  try {
    return await administrator.put(`loops/${encodeURIComponent(name)}`, { tier }, { "If-None-Match": "*" });
  } catch (error) {
    if (!(error instanceof Refusal) || error.status !== 412) throw error;
    throw new Refusal(412, { code: error.code, message: `There is a loop “${name}” already. Choose another name.`, target: "loop" });
  }
}

/**
 * Show keys that are told this once.
 *
 * @param {string} name
 * @param {string[]} keys
 * @param {number} [number] which one it is, if it is one
 */
function showKeys(name, keys, number) {
  const address = `/dashboard#${new URLSearchParams({ key: keys[0], loop: name })}`;
  showOnce({
    title: number ? `The new key ${number} of ${name}` : `The keys of ${name}`,
    secrets: keys.map((text, index) => ({ label: `Key ${number ?? index + 1} of ${name}`, text })),
    more: [h("a", { href: address, target: "_blank", rel: "noopener" }, `Open the dashboard of ${name} in a new tab`)],
  });
}
