/** Failures in words: what happened, and what a reader can do about it. */

import { NoAnswer, Refusal } from "./api.js";

/**
 * What an error says to a reader.
 *
 * @param {unknown} error
 */
export function textOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/**
 * What an error says, in whole sentences, and what to do about it.
 *
 * @param {unknown} error
 */
export function toldOf(error) {
  return [sentence(textOf(error)), todoOf(error)].filter(Boolean).join(" ");
}

/** @param {string} text */
export function sentence(text) {
  return text && `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;
}

/**
 * What to do about it; empty where nothing can be said beyond the error's own text.
 *
 * @param {unknown} error
 */
export function todoOf(error) {
  if (error instanceof NoAnswer)
    return error.isChange
      ? "It is not known whether it was done. Look at the present state before you try again."
      : "Check that it runs and that this computer reaches it. Then try again.";
  if (!(error instanceof Refusal)) return "";
  const { status, retryAfter, requestId } = error;
  if (status === 401) return "Sign in again, then repeat it.";
  if (status === 404) return "It may have been deleted meanwhile. Open the section again to see what is there.";
  if (status === 412) return "Somebody else changed it meanwhile. Open the section again to see the present state.";
  if (status === 429 || status === 503) return `Wait ${retryAfter ? `${retryAfter} s` : "some seconds"}, then try again.`;
  if (status >= 500) return `Try again. If it stays so, look into the service's log${requestId ? ` for the request ${requestId}` : ""}.`;
  return "";
}

/**
 * Whether it only says that the reader has left, which nobody has to be told.
 *
 * @param {unknown} error
 */
export function isLeaving(error) {
  return error instanceof DOMException && error.name === "AbortError";
}
