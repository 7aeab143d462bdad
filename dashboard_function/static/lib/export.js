/** The data behind what is shown, as files: CSV for spreadsheets, JSON for programs. */

import { h } from "./dom.js";
import { button, download } from "./pieces.js";

/** @typedef {string | number | boolean | null | undefined} Cell */
/** @typedef {{ heads: string[], rows: Cell[][] }} Table */

/** What a spreadsheet would take for a formula. */
const FORMULA = /^[=+\-@\t\r]/;
const QUOTED = /[",\r\n]/;

/**
 * Write a table as RFC 4180 has it. A text that a spreadsheet would run as a formula gets an apostrophe before it.
 *
 * @param {Table} table
 */
export function csv({ heads, rows }) {
  return [heads, ...rows].map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

/**
 * Write it as a list of objects.
 *
 * @param {Table} table
 */
export function json({ heads, rows }) {
  const named = rows.map((row) => Object.fromEntries(heads.map((head, at) => [head, row[at] ?? null])));
  return `${JSON.stringify(named, null, 2)}\n`;
}

/**
 * Put records of the API into a table: a column for each member, and what is nested as JSON text.
 *
 * @param {Record<string, any>[]} records
 * @returns {Table}
 */
export function ofRecords(records) {
  const heads = [...new Set(records.flatMap((each) => Object.keys(each)))];
  const cell = (/** @type {any} */ value) => (value !== null && typeof value === "object" ? JSON.stringify(value) : value);
  return { heads, rows: records.map((each) => heads.map((head) => cell(each[head]))) };
}

/**
 * Two buttons that hand out what is shown.
 *
 * @param {string} name of the files, and of what is in them
 * @param {() => Table} read
 */
export function exportButtons(name, read) {
  const file = name.toLowerCase().replace(/[^a-z0-9]+/g, "-");
  const made = (/** @type {string} */ kind, /** @type {string} */ type, /** @type {(table: Table) => string} */ write) =>
    button(kind, () => download(new Blob([write(read())], { type }), `${file}.${kind.toLowerCase()}`), {
      class: "small",
      "aria-label": `${name} as ${kind}`,
    });
  return h(
    "div",
    { class: "actions export", role: "group", "aria-label": `Download: ${name}` },
    made("CSV", "text/csv", csv),
    made("JSON", "application/json", json),
  );
}

/** @param {Cell} value */
function cell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "string") return String(value);
  const text = FORMULA.test(value) ? `'${value}` : value;
  return QUOTED.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
