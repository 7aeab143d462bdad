/** The dashboard: signing in, the sections and the way between them. */

import { addressed } from "./lib/address.js";
import { DEFAULT_LOOP, Refusal, opened } from "./lib/api.js";
import { confirmed } from "./lib/dialog.js";
import { byId, h, replace, write } from "./lib/dom.js";
import { isLeaving, toldOf } from "./lib/failures.js";
import { keepFocus } from "./lib/focus.js";
import { ago } from "./lib/format.js";
import { connection } from "./lib/live.js";
import { message, note } from "./lib/notes.js";
import { own } from "./lib/own.js";
import { forget, keep, kept } from "./lib/kept.js";
import { loading } from "./lib/pieces.js";
import { givenSignIn, keyOfAddress, signedIn } from "./lib/sign-in.js";
import { carry, chosenLoop } from "./lib/switching.js";
import { furnishThemeButton } from "./lib/theme.js";
import { putAllAway } from "./lib/told-once.js";
import { losesPage, losesSection } from "./lib/unsaved.js";
import { EXPLAINED, GROUPS, SECTIONS } from "./sections.js";

/** @typedef {import("./lib/api.js").Api} Api */

/** A section that waits for a key, with what was put in there. @typedef {{ api: Api, place: string, parts: Element[] }} Waiting */

const REGENERATED = "The key does not open this loop any more. It may have been regenerated. Sign in again to go on where you were.";
const NAME = "Open Personalizer";
const FIRST = "overview";
const main = byId("main");
const nav = byId("sections");
const menu = byId("menu");

/** @type {Api | null} */
let api = null;
let leaving = new AbortController();
/** The address that is shown, to go back to if somebody stays. */
let place = location.href;
let isAsking = false;

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
addEventListener("click", (event) => void followed(event), { capture: true });
byId("skip").addEventListener("click", (event) => (event.preventDefault(), main.focus()));
addEventListener("hashchange", () => void moved());
connection.addEventListener("change", tellConnection);
connection.addEventListener("change", tellWaiting);
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
  const { signal } = leave();
  let found = null;
  document.title = `Sign in · ${NAME}`;
  try {
    if (given) wait("Signing in");
    found = given ? await opened(given.key, given.loop) : null;
  } catch (error) {
    reason = error instanceof Refusal && error.status === 401 ? "The key of this link does not open the loop." : toldOf(error);
  }
  if (signal.aborted) return;
  main.removeAttribute("aria-busy");
  const words = {
    title: "Sign in",
    lead: "See how a loop learns, compare policies, and change its settings.",
    reason,
    loop: given?.loop ?? new URLSearchParams(location.search).get("loop") ?? DEFAULT_LOOP,
  };
  await enter(found ?? (await signedIn(main, words)));
}

/** @param {Api} signed */
async function enter(signed) {
  api = signed;
  known.set(signed.loop, signed);
  if (kept()) keep(signed.signIn());
  signed.onKeyRefused = () => void askForKey(signed);
  furnish();
  await show(signed);
}

/** Go to another loop; the section stays the same. */
async function changeLoop() {
  if (!api) return;
  const chosen = await chosenLoop([...known.values()], api, leaving.signal);
  if (!chosen || !(await mayLeave())) return;
  const [, section = FIRST] = location.hash.split("/");
  history.replaceState(null, "", `${location.pathname}#/${section}`);
  await enter(chosen);
}

/** End the section, and forget who was in. */
function leave() {
  leaving.abort();
  leaving = new AbortController();
  api = null;
  furnish();
  return leaving;
}

async function signOut() {
  if (!(await mayLeave(losesSection() || losesPage()))) return;
  putAllAway();
  forget();
  known.clear();
  history.replaceState(null, "", location.pathname + location.search);
  await begin(null);
}

/**
 * Ask for a key again, because the one that was good is so no more, and go on where that was noticed. What was put in and not sent is kept.
 *
 * @param {Api} before
 */
async function askForKey(before) {
  if (api !== before) return;
  const isKept = losesSection();
  const kept = { place: location.href, parts: [...main.children], leaving };
  if (isKept) {
    api = null;
    furnish();
  } else leave();
  document.title = `Sign in · ${NAME}`;
  main.removeAttribute("aria-busy");
  const words = { title: "Sign in", lead: "See how a loop learns, compare policies, and change its settings.", reason: REGENERATED };
  const signed = await signedIn(main, { ...words, loop: before.loop });
  const isSame = isKept && signed.loop === before.loop && location.href === kept.place && leaving === kept.leaving;
  if (!isSame) return enter(signed);
  before.goOnWith(signed);
  api = before;
  furnish();
  replace(main, kept.parts);
  markSection();
  focusHeading();
}

/** The address has changed: by a link, by going back, or by hand. */
async function moved() {
  const given = keyOfAddress();
  if (!(await mayLeave())) return history.pushState(null, "", place);
  place = location.href;
  if (given) await begin(given);
  else if (api) await show(api);
}

/**
 * A link to another section is not followed before it is clear that nothing is lost by that.
 *
 * @param {MouseEvent} event
 */
async function followed(event) {
  const link = event.target instanceof Element ? event.target.closest("a[href^='#/']") : null;
  if (!link || link.getAttribute("target") || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (!losesSection() || link.getAttribute("href") === location.hash) return;
  event.preventDefault();
  if (!(await mayLeave())) return;
  leaving.abort();
  location.hash = link.getAttribute("href") ?? "";
}

/** Whether input that was not sent may be lost; asks if there is any. */
async function mayLeave(loses = losesSection()) {
  if (!loses) return true;
  if (isAsking) return false;
  isAsking = true;
  const text = losesPage()
    ? "Keys are shown that are told only this once, or something you changed is not saved yet."
    : "What you changed here is not saved yet.";
  const question = { title: "Leave without saving?", text, action: "Leave", cancel: "Stay" };
  try {
    return await confirmed(question, leaving.signal);
  } finally {
    isAsking = false;
  }
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
 * Show the section that the address names: `#/models`, `#/evaluations/ID`, `#/events?action=a`.
 *
 * @param {Api} api
 */
async function show(api) {
  leaving.abort();
  leaving = new AbortController();
  place = location.href;
  const { section, argument, query } = markSection();
  openMenu(false);
  connection.set("idle");
  const { signal } = leaving;
  const onError = (/** @type {unknown} */ error) => fail(error, signal);
  const entitle = (/** @type {string} */ name) => {
    if (!signal.aborted) document.title = `${name} · ${section.title} · ${api.loop} · ${NAME}`;
  };
  /** Its own: what comes late for a section that was left is written where nobody sees it. */
  const root = h("div", { class: "section" });
  wait(section.title);
  try {
    await section.show({ api, root, signal, argument, query, onError, entitle });
    if (signal.aborted || !main.hasAttribute("aria-busy")) return;
    reveal(root);
  } catch (error) {
    onError(error);
  }
}

/** Tell in the menu and in the window's title which section is shown. */
function markSection() {
  const { name: wanted, argument, query } = addressed();
  const name = own(SECTIONS, wanted) ? wanted : FIRST;
  const section = SECTIONS[name];
  if (wanted && name !== wanted) note(`There is no section “${wanted.slice(0, 40)}”. This is ${section.title}.`);
  for (const link of nav.querySelectorAll("a")) {
    if (link.dataset.section === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  byId("help").setAttribute("href", `/documentation/${own(EXPLAINED, name) ?? "how-to/use-the-dashboard"}`);
  document.title = `${section.title} · ${api?.loop} · ${NAME}`;
  return { section, argument, query };
}

/**
 * Clear the page: nothing of what was there can be used for what is to come.
 *
 * @param {string} title
 */
function wait(title) {
  main.setAttribute("aria-busy", "true");
  replace(main, ...loading(title));
  focusHeading();
}

/** @param {...Element} content */
function reveal(...content) {
  const hadFocus = main.contains(document.activeElement) || document.activeElement === document.body;
  replace(main, ...content);
  main.removeAttribute("aria-busy");
  if (hadFocus) focusHeading();
}

function tellWaiting() {
  const shown = main.querySelector(".loading");
  if (shown) write(shown, connection.state === "lost" ? "No answer yet. Trying again." : "Loading…");
}

/**
 * @param {unknown} error
 * @param {AbortSignal} signal
 */
function fail(error, signal) {
  if (signal.aborted || isLeaving(error) || !api) return;
  const retry = h("button", { type: "button", onclick: () => api && void show(api) }, "Try again");
  reveal(h("h1", { tabindex: "-1" }, "This could not be shown"), message(toldOf(error)), h("p", {}, retry));
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
