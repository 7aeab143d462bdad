/** The dashboard: signing in, the sections and the way between them. */

import { DEFAULT_LOOP, Refusal, opened } from "./lib/api.js";
import { byId, h, replace, write } from "./lib/dom.js";
import { textOf } from "./lib/form.js";
import { keepFocus } from "./lib/focus.js";
import { ago } from "./lib/format.js";
import { connection } from "./lib/live.js";
import { message, note } from "./lib/notes.js";
import { own } from "./lib/own.js";
import { forget, keep, kept } from "./lib/kept.js";
import { givenSignIn, keyOfAddress, signedIn } from "./lib/sign-in.js";
import { carry, chosenLoop } from "./lib/switching.js";
import { furnishThemeButton } from "./lib/theme.js";
import { EXPLAINED, GROUPS, SECTIONS } from "./sections.js";

/** @typedef {import("./lib/api.js").Api} Api */

const NAME = "Open Personalizer";
const FIRST = "overview";
const main = byId("main");
const nav = byId("sections");
const menu = byId("menu");

/** @type {Api | null} */
let api = null;
let leaving = new AbortController();

/** Loops that this tab is signed in to. @type {Map<string, Api>} */
const known = new Map();

void begin(givenSignIn());
furnishThemeButton(byId("theme"));
keepFocus(main);
byId("hold").addEventListener("click", () => connection.hold(!connection.isHeld));
menu.addEventListener("click", () => openMenu(menu.getAttribute("aria-expanded") !== "true"));
byId("leave").addEventListener("click", () => void signOut());
byId("switch").addEventListener("click", () => void changeLoop());
carry(/** @type {HTMLAnchorElement} */ (byId("demo")), "/demo", () => api);
byId("skip").addEventListener("click", (event) => (event.preventDefault(), main.focus()));
addEventListener("hashchange", () => {
  const given = keyOfAddress();
  if (given) void begin(given);
  else if (api) void show(api);
});
connection.addEventListener("change", tellConnection);
connection.addEventListener("lost", () => note("Connection lost. Trying again."));
connection.addEventListener("found", () => note("Connected again."));
setInterval(tellConnection, 1_000);

/**
 * Sign in, by a link if there is a key in it.
 *
 * @param {{ key: string, loop: string } | null} given
 * @param {string} [reason] why nobody is in any more
 */
async function begin(given, reason) {
  leaving.abort();
  api = null;
  furnish();
  try {
    api = given ? await opened(given.key, given.loop) : null;
  } catch (error) {
    reason = error instanceof Refusal && error.status === 401 ? "The key of this link does not open the loop." : textOf(error);
  }
  document.title = `Sign in · ${NAME}`;
  const words = {
    title: "Sign in",
    lead: "See how a loop learns, compare policies, and change its settings.",
    reason,
    loop: given?.loop ?? new URLSearchParams(location.search).get("loop") ?? DEFAULT_LOOP,
  };
  api ??= await signedIn(main, words);
  await enter(api);
}

/** @param {Api} signed */
async function enter(signed) {
  api = signed;
  known.set(signed.loop, signed);
  if (kept()) keep(signed.signIn());
  furnish();
  await show(signed);
}

/** Go to another loop; the section stays the same. */
async function changeLoop() {
  if (!api) return;
  const chosen = await chosenLoop([...known.values()], api);
  if (!chosen) return;
  const [, section = FIRST] = location.hash.split("/");
  history.replaceState(null, "", `${location.pathname}#/${section}`);
  await enter(chosen);
}

/** @param {string} [reason] */
async function signOut(reason) {
  forget();
  known.clear();
  history.replaceState(null, "", location.pathname + location.search);
  await begin(null, reason);
}

/** Show what only those who are in can use, or hide it. */
function furnish() {
  for (const part of [nav, menu, byId("leave"), byId("switch")]) part.hidden = !api;
  openMenu(false);
  replace(byId("where"), api ? ["Loop ", h("code", {}, api.loop)] : []);
  write(byId("connection"), "");
  if (api) replace(nav, GROUPS.map(group));
}

/**
 * @param {{ title: string, names: string[] }} shown
 */
function group({ title, names }) {
  return h(
    "div",
    {},
    h("h2", {}, title),
    h(
      "ul",
      {},
      names.map((name) => h("li", {}, h("a", { href: `#/${name}`, "data-section": name }, SECTIONS[name].title))),
    ),
  );
}

/**
 * Show the section that the address names: `#/models`, `#/evaluations/ID`.
 *
 * @param {Api} api
 */
async function show(api) {
  leaving.abort();
  leaving = new AbortController();
  const [, wanted = "", argument = ""] = location.hash.split("/");
  const name = own(SECTIONS, wanted) ? wanted : FIRST;
  const section = SECTIONS[name];
  if (wanted && name !== wanted) note(`There is no section “${wanted.slice(0, 40)}”. This is ${section.title}.`);
  for (const link of nav.querySelectorAll("a")) {
    if (link.dataset.section === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  openMenu(false);
  byId("help").setAttribute("href", `/documentation/${own(EXPLAINED, name) ?? "how-to/use-the-dashboard"}`);
  connection.set("idle");
  document.title = `${section.title} · ${api.loop} · ${NAME}`;
  const { signal } = leaving;
  const entitle = (/** @type {string} */ name) => {
    if (!signal.aborted) document.title = `${name} · ${section.title} · ${api.loop} · ${NAME}`;
  };
  const onError = (/** @type {unknown} */ error) => fail(error, signal);
  try {
    await section.show({ api, root: main, signal, argument: decodeURIComponent(argument), onError, entitle });
    if (!signal.aborted) focusHeading();
  } catch (error) {
    onError(error);
  }
}

/**
 * @param {unknown} error
 * @param {AbortSignal} signal
 */
function fail(error, signal) {
  if (signal.aborted) return;
  if (error instanceof Refusal && error.status === 401) {
    void signOut("The key does not open this loop any more. It may have been regenerated.");
    return;
  }
  const retry = h("button", { type: "button", onclick: () => api && void show(api) }, "Try again");
  replace(main, h("h1", { tabindex: "-1" }, "This could not be shown"), message(textOf(error)), h("p", {}, retry));
  focusHeading();
}

function focusHeading() {
  const title = main.querySelector("h1");
  if (title && !main.contains(document.activeElement)) title.focus({ preventScroll: true });
}

/** @param {boolean} isOpen */
function openMenu(isOpen) {
  menu.setAttribute("aria-expanded", String(isOpen));
  nav.classList.toggle("open", isOpen);
}

function tellConnection() {
  const shown = byId("connection");
  const hold = byId("hold");
  hold.hidden = !api || connection.state === "idle";
  write(hold, connection.isHeld ? "Go on" : "Pause");
  hold.setAttribute("aria-label", connection.isHeld ? "Go on with live updates" : "Pause live updates");
  if (!api) return;
  const words = {
    live: `Updated ${ago((Date.now() - connection.at) / 1000)}`,
    lost: "Connection lost, trying again",
    paused: "Paused",
    idle: "",
  };
  const state = connection.isHeld && connection.state === "live" ? "paused" : connection.state;
  shown.className = `connection ${state}`;
  write(shown, words[state]);
}
