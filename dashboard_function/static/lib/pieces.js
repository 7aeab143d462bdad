/** Small pieces that several pages and sections are put together of. */

import { h } from "./dom.js";
import { localTime, utcTime } from "./format.js";
import { busy } from "./form.js";
import { failed, note } from "./notes.js";

/** @typedef {import("./dom.js").Child} Child */

/** So many columns fit on a phone. */
const NARROW = 3;

/**
 * A section's heading, what it is for, and what can be done in it.
 *
 * @param {Child} title
 * @param {Child} [lead]
 * @param {Child[]} [actions]
 */
export function heading(title, lead, actions = []) {
  return h(
    "header",
    { class: "head" },
    h("div", {}, h("h1", { tabindex: "-1" }, title), actions.length ? h("div", { class: "actions" }, actions) : null),
    lead ? h("p", { class: "lead" }, lead) : null,
  );
}

/**
 * @param {string} title
 * @param {...(Child | Child[])} content
 */
export function card(title, ...content) {
  return h("section", { class: "card" }, h("header", {}, h("h2", {}, title)), ...content);
}

/**
 * What stands where something is on its way: its title is there at once, and nothing of what was there before.
 *
 * @param {string} title
 */
export function loading(title) {
  return [h("header", { class: "head" }, h("h1", { tabindex: "-1" }, title)), loadingPart()];
}

/** What stands where a part of a page is on its way. */
export function loadingPart() {
  return h("p", { class: "loading faint", role: "status" }, "Loading…");
}

/**
 * What stands where there is nothing yet: why, and what to do next.
 *
 * @param {string} title
 * @param {...Child} content
 */
export function empty(title, ...content) {
  return h("div", { class: "empty" }, h("h2", {}, title), content);
}

/**
 * A moment in local time; the tooltip has it in UTC.
 *
 * @param {string | null | undefined} at
 * @param {{ seconds?: boolean }} [options]
 */
export function when(at, { seconds = false } = {}) {
  if (!at || at.startsWith("0001-")) return h("span", { class: "faint" }, "–");
  return h("time", { datetime: at, title: utcTime(at) }, localTime(at, { seconds }));
}

/**
 * @param {string} text
 * @param {"good" | "warn" | "bad" | "info" | ""} [kind]
 */
export function pill(text, kind = "") {
  return h("span", { class: `pill ${kind}` }, text);
}

/**
 * Names and values.
 *
 * @param {[string, Child][]} entries
 */
export function facts(entries) {
  return h(
    "dl",
    { class: "facts" },
    entries.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
  );
}

/**
 * Text to take along, with a button that copies it.
 *
 * @param {string} text
 * @param {string} label what it is
 */
export function snippet(text, label) {
  return h(
    "div",
    { class: "snippet" },
    h("pre", { tabindex: "0", role: "region", "aria-label": label }, h("code", {}, text)),
    button(
      "Copy",
      async () => {
        await navigator.clipboard.writeText(text);
        note("Copied.");
      },
      { class: "small", "aria-label": `Copy: ${label}` },
    ),
  );
}

/**
 * A button that cannot be used again until its work is done; what fails is said, and stays to be read.
 *
 * @param {Child} text
 * @param {() => Promise<unknown> | void} work
 * @param {Record<string, unknown>} [attributes]
 */
export function button(text, work, attributes = {}) {
  const made = h("button", { type: "button", ...attributes }, text);
  made.addEventListener(
    "click",
    () =>
      void busy(made, async () => {
        try {
          await work();
        } catch (error) {
          failed(error, made.textContent ?? "");
        }
      }),
  );
  return made;
}

/**
 * Buttons of which one is chosen.
 *
 * @template {string} Name
 * @param {string} label
 * @param {[Name, string][]} options
 * @param {Name} chosen
 * @param {(name: Name) => void} onChange
 */
export function segments(label, options, chosen, onChange) {
  const buttons = options.map(([name, text]) =>
    h(
      "button",
      {
        type: "button",
        "aria-pressed": String(name === chosen),
        onclick: () => {
          buttons.forEach((each, number) => each.setAttribute("aria-pressed", String(options[number][0] === name)));
          onChange(name);
        },
      },
      text,
    ),
  );
  return h("div", { class: "segments", role: "group", "aria-label": label }, buttons);
}

/**
 * A table. One with many columns becomes a list of its rows where the screen is narrow; roles keep it a table for screen readers then.
 *
 * @param {string} caption read aloud only
 * @param {string[]} heads see `columnHead`
 * @param {Child[][]} rows the first cell names the row
 */
export function table(caption, heads, rows) {
  const labels = heads.map((head) => head.replace(/^#/, ""));
  const row = (/** @type {Child[]} */ [first, ...others]) =>
    h(
      "tr",
      { role: "row" },
      h("th", { scope: "row", role: "rowheader" }, first),
      others.map((cell, number) => dataCell(cell, labels[number + 1])),
    );
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h(
      "table",
      { class: heads.length > NARROW ? `wide${heads.at(-1) ? "" : " acting"}` : null, role: "table" },
      h("caption", { class: "unseen" }, caption),
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads.map(columnHead))),
      h("tbody", { role: "rowgroup" }, rows.map(row)),
    ),
  );
}

/** A number, which stands at the right of its column. @param {Child} text */
export function amount(text) {
  return h("span", { class: "number" }, text);
}

/** @param {string} head one that begins with `#` heads numbers; an empty one, what can be done with the row */
function columnHead(head) {
  if (!head) return h("td", { role: "cell" });
  const isNumber = head.startsWith("#");
  return h("th", { scope: "col", role: "columnheader", class: isNumber ? "number" : null }, isNumber ? head.slice(1) : head);
}

/**
 * @param {Child} cell
 * @param {string} label
 */
function dataCell(cell, label) {
  const isNumber = cell instanceof HTMLElement && cell.classList.contains("number");
  return h("td", { role: "cell", class: isNumber ? "number" : null, "data-label": label || null }, cell);
}

/**
 * Hand a file to the reader.
 *
 * @param {Blob} content
 * @param {string} name
 */
export function download(content, name) {
  const address = URL.createObjectURL(content);
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
