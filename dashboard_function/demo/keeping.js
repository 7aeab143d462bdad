/** What a tab keeps of a play, so that a reload does not end it. The key is not among it. */

/**
 * The chance that comes next, what everybody likes, the curve, and how many of a crowd have yet to come.
 *
 * @typedef {{
 *   seed: number, liked: [string, [string, string]][], curve: import("./curve.js").Drawn, left: number,
 * }} Play
 */

const NAME = "demo-play-1";

/**
 * @param {string} loop
 * @param {Play} play
 */
export function keep(loop, play) {
  try {
    sessionStorage.setItem(`${NAME} ${loop}`, JSON.stringify(play));
  } catch {
    // a browser may forbid it or have no room left: then a reload begins a new play
  }
}

/**
 * @param {string} loop
 * @returns {Play | null}
 */
export function kept(loop) {
  try {
    return JSON.parse(sessionStorage.getItem(`${NAME} ${loop}`) ?? "null");
  } catch {
    return null;
  }
}
