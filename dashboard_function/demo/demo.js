/** The demo: signing in, and the page behind it. */

import { Refusal, opened } from "/dashboard/lib/api.js";
import { byId, replace } from "/dashboard/lib/dom.js";
import { toldOf } from "/dashboard/lib/failures.js";
import { forget, keep, kept } from "/dashboard/lib/kept.js";
import { failed } from "/dashboard/lib/notes.js";
import { loading } from "/dashboard/lib/pieces.js";
import { givenSignIn, keyOfAddress, signedIn } from "/dashboard/lib/sign-in.js";
import { carry } from "/dashboard/lib/switching.js";
import { furnishThemeButton } from "/dashboard/lib/theme.js";
import { Loop } from "./loop.js";
import { play } from "./play.js";

const LOOP = "demo";
const main = byId("main");
let leaving = new AbortController();
/** @type {import("/dashboard/lib/api.js").Api | null} */
let signedInto = null;

furnishThemeButton(byId("theme"));
byId("leave").addEventListener("click", () => (forget(), void begin(null)));
carry(/** @type {HTMLAnchorElement} */ (byId("dashboard")), "/dashboard", () => signedInto);
byId("skip").addEventListener("click", (event) => (event.preventDefault(), main.focus()));
addEventListener("hashchange", () => {
  const given = keyOfAddress();
  if (given) void begin(given);
});
void begin(givenSignIn());

/**
 * Sign in, by a link if there is a key in it.
 *
 * @param {{ key: string, loop: string } | null} given
 * @param {string} [reason] why nobody is in any more
 * @param {string} [loop] what is signed in to
 */
async function begin(given, reason, loop = given?.loop ?? new URLSearchParams(location.search).get("loop") ?? LOOP) {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  byId("leave").hidden = true;
  signedInto = null;
  let api = null;
  try {
    if (given) wait();
    api = given ? await opened(given.key, given.loop) : null;
  } catch (error) {
    reason = error instanceof Refusal && error.status === 401 ? "The key of this link does not open the loop." : toldOf(error);
  }
  if (signal.aborted) return;
  main.removeAttribute("aria-busy");
  const lead = "Pick a reader, see which story the loop shows them and why, and watch it learn.";
  api ??= await signedIn(main, { title: "See it learn", lead, reason, loop });
  if (signal.aborted) return;
  byId("leave").hidden = false;
  signedInto = api;
  if (kept()) keep(api.signIn());
  const { loop: name } = api;
  play({ loop: new Loop(api), root: main, signal, onError: (error) => fail(error, signal, name) });
}

/** Nothing of what was there can be used for what is to come. */
function wait() {
  main.setAttribute("aria-busy", "true");
  replace(main, ...loading("Signing in"));
}

/**
 * @param {unknown} error
 * @param {AbortSignal} signal
 * @param {string} loop
 */
function fail(error, signal, loop) {
  if (signal.aborted) return;
  if (error instanceof Refusal && error.status === 401)
    void begin(null, "The key does not open this loop any more. It may have been regenerated.", loop);
  else failed(error);
}
