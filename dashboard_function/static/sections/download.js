/** A range of the log as a file: fetched piece by piece, and put together in the browser. */

import { remember } from "../lib/address.js";
import { h, replace, write } from "../lib/dom.js";
import { field, form, select } from "../lib/form.js";
import { count, counted } from "../lib/format.js";
import { message } from "../lib/notes.js";
import { own } from "../lib/own.js";
import { button, card, download } from "../lib/pieces.js";
import { rangeFields } from "../lib/range.js";

/** @typedef {import("../sections.js").Page} Page */

/** More than that goes by the command line. */
const MOST_BYTES = 1024 * 1024 * 1024;
const MEGABYTE = 1024 * 1024;

/** @type {Record<string, { words: string, query: Record<string, string>, ending: string, type: string }>} */
const FORMATS = {
  dsjson: { words: "JSON lines (dsjson)", query: { format: "dsjson" }, ending: "jsonl", type: "application/x-ndjson" },
  csv: { words: "CSV", query: { format: "csv" }, ending: "csv", type: "text/csv" },
  spreadsheet: {
    words: "CSV for spreadsheets: no text is a formula",
    query: { format: "csv", spreadsheet: "true" },
    ending: "csv",
    type: "text/csv",
  },
};

/**
 * What is chosen is in the address.
 *
 * @param {Page} page
 * @param {{ since: Date, until: Date }} logged
 */
export function downloadCard({ api, query, signal }, logged) {
  const range = rangeFields(logged, chosenRange(query));
  const asked = query.get("format");
  const format = field({
    name: "format",
    label: "Format",
    control: select(
      Object.entries(FORMATS).map(([name, { words }]) => /** @type {[string, string]} */ ([name, words])),
      asked && own(FORMATS, asked) ? asked : "dsjson",
    ),
    hint: "JSON lines are what the command export writes and import reads. CSV has a row for each event or slot.",
  });
  const looked = () => {
    const { startTime, endTime } = range.value();
    return { since: startTime, until: endTime, format: format.control.value };
  };
  let before = looked();
  const chosen = () => {
    const now = looked();
    remember("log", { before, now });
    before = now;
  };
  const progress = h("div", { role: "status" });
  const submit = async () => {
    chosen();
    const { startTime: since, endTime: until } = range.value();
    const kind = FORMATS[format.control.value];
    const stopping = new AbortController();
    const told = h("span", {}, "The first events are on their way.");
    replace(
      progress,
      h(
        "p",
        { class: "actions" },
        told,
        button("Stop", async () => stopping.abort(), { class: "small" }),
      ),
    );
    try {
      const file = await fetched(api, { since, until, ...kind.query }, AbortSignal.any([signal, stopping.signal]), (events, bytes) =>
        write(told, `${counted(events, "event")}, ${count(Math.ceil(bytes / MEGABYTE))} MB.`),
      );
      download(new Blob(file.parts, { type: kind.type }), `${api.loop}-${day(since)}-${day(until)}.${kind.ending}`);
      replace(progress, file.isCut ? tooMuch(file.events) : message(`${counted(file.events, "event")} downloaded.`, "good"));
    } catch (error) {
      replace(progress, stopping.signal.aborted ? message("Stopped. No file was written.") : null);
      if (!stopping.signal.aborted) throw error;
    }
  };
  const content = form({
    content: [range.element, format.element],
    fields: () => [{ ...range.fields[0], name: "since" }, { ...range.fields[1], name: "until" }, format],
    submit,
    action: "Download",
  });
  content.addEventListener("change", chosen);
  return card("Download", h("p", {}, "Events with their rewards, once their reward wait time is over."), content, progress);
}

/**
 * Fetch piece after piece.
 *
 * @param {import("../lib/api.js").Api} api
 * @param {Record<string, string>} query
 * @param {AbortSignal} signal
 * @param {(events: number, bytes: number) => void} tell
 */
async function fetched(api, query, signal, tell) {
  const parts = [];
  let [events, bytes] = [0, 0];
  let next = "";
  do {
    const piece = await api.piece("log/lines", next ? { ...query, cursor: next } : query, signal);
    parts.push(piece.content);
    events += piece.events;
    bytes += piece.content.size;
    next = piece.next;
    tell(events, bytes);
  } while (next && bytes < MOST_BYTES);
  return { parts, events, isCut: next !== "" };
}

/** @param {number} events */
function tooMuch(events) {
  return message(
    `The file has the first ${counted(events, "event")} of this range, 1 GB. Choose a shorter range for the rest, or use the command line: python -m cli export.`,
    "warn",
  );
}

/** @param {URLSearchParams} query */
function chosenRange(query) {
  const [since, until] = [new Date(query.get("since") ?? ""), new Date(query.get("until") ?? "")];
  return until > since ? { since, until } : null;
}

/** @param {string} moment */
function day(moment) {
  return moment.slice(0, 10);
}
