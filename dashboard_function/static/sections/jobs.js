/** What evaluations and feature importances have in common: both are asked for, wait, run and are over. */

import { confirmed } from "../lib/dialog.js";
import { h, renew } from "../lib/dom.js";
import { exportButtons, ofRecords } from "../lib/export.js";
import { told } from "../lib/format.js";
import { message, note } from "../lib/notes.js";
import { own } from "../lib/own.js";
import { button, pill, table, when } from "../lib/pieces.js";

/** @typedef {import("../lib/api.js").Api} Api */
/** @typedef {{ path: string, place: string, one: string, many: string }} Kind */

export const JOB_MS = 3_000;
const PAGE_SIZE = 25;

/** @type {Record<string, { kind: "good" | "warn" | "bad" | "info" | "", words: string, isOver: boolean, told?: string }>} */
const STATUS = {
  NotSubmitted: {
    kind: "",
    words: "waiting",
    isOver: false,
    told: "It waits for its turn. You can leave this page and come back.",
  },
  Running: {
    kind: "info",
    words: "running",
    isOver: false,
    told: "The log is being read. This takes seconds for thousands of events and minutes for millions. You can leave this page and come back.",
  },
  Succeeded: { kind: "good", words: "done", isOver: true },
  Failed: {
    kind: "bad",
    words: "failed",
    isOver: true,
    told: "It could not be finished. The app's log has the reason. You can start it again.",
  },
  Timeout: { kind: "bad", words: "took too long", isOver: true, told: "It took too long. Try a shorter range or fewer policies." },
  Canceled: { kind: "warn", words: "canceled", isOver: true },
  OptimalPolicyApplied: { kind: "good", words: "done, better policy applied", isOver: true },
  OnlinePolicyRetained: { kind: "good", words: "done, policy kept", isOver: true },
};

/** @param {{ status: string }} job */
export function isOver(job) {
  return own(STATUS, job.status)?.isOver ?? false;
}

/** @param {{ status: string }} job */
export function statusPill(job) {
  const { words, kind } = own(STATUS, job.status) ?? { words: job.status, kind: "" };
  return pill(words, kind);
}

/**
 * What there is to say of its status, beside the pill.
 *
 * @param {{ status: string, description?: string }} job
 */
export function statusText(job) {
  const status = own(STATUS, job.status);
  const texts = [status?.told, job.description && told(job.description)].filter(Boolean);
  return texts.map((text) => message(/** @type {string} */ (text), status?.kind === "bad" ? "bad" : "info"));
}

/**
 * Read the newest of a listing, so many at most; tells as well whether there are more.
 *
 * @param {Api} api
 * @param {Kind} kind
 * @param {number} pages
 * @param {AbortSignal} signal
 */
async function listed(api, { path }, pages, signal) {
  const { value } = await api.get(path, { top: pages * PAGE_SIZE + 1, maxpagesize: pages * PAGE_SIZE + 1 }, signal);
  return { jobs: value.slice(0, pages * PAGE_SIZE), isCut: value.length > pages * PAGE_SIZE };
}

/**
 * The newest of a kind, with what can be done to them: the element, and a function that asks for them again.
 *
 * @param {{ api: Api, signal: AbortSignal }} page
 * @param {Kind} kind
 * @param {{ nothingYet?: () => Element | null, around?: (...parts: (Element | null)[]) => Element }} [options]
 */
export function listing({ api, signal }, kind, { nothingYet = () => null, around = untitled } = {}) {
  const content = h("div");
  let pages = 1;
  const remove = async (/** @type {any} */ job) => {
    if (await removed(api, kind, job, signal)) await update();
  };
  const update = async () => {
    const { jobs, isCut } = await listed(api, kind, pages, signal);
    const more = () => (isCut ? button("Show more", () => ((pages += 1), update())) : null);
    const exported = () => exportButtons(kind.many, () => ofRecords(jobs));
    renew(content, [jobs, isCut], () => (jobs.length ? around(jobTable(jobs, kind, remove), more(), exported()) : nothingYet()));
  };
  return { content, update };
}

/** @param {(Element | null)[]} parts */
function untitled(...parts) {
  return h("div", { class: "card" }, ...parts);
}

/**
 * @param {any[]} jobs
 * @param {Kind} kind
 * @param {(job: any) => Promise<void>} remove
 */
function jobTable(jobs, { place, many }, remove) {
  return table(
    `${many}, newest first`,
    ["Name", "From", "Until", "Asked for", "Status", ""],
    jobs.map((job) => [
      h("a", { href: `#/${place}/${encodeURIComponent(job.id)}` }, job.name),
      when(job.startTime),
      when(job.endTime),
      when(job.creationTime),
      h("span", { class: "pills" }, statusPill(job), job.evaluationType === "Auto" ? pill("automatic") : null),
      h(
        "div",
        { class: "actions" },
        button("Delete", () => remove(job), { class: "small plain warned", "aria-label": `Delete ${job.name}` }),
      ),
    ]),
  );
}

/**
 * Delete one, if that is meant; tells whether it was.
 *
 * @param {Api} api
 * @param {Kind} kind
 * @param {any} job
 * @param {AbortSignal} signal
 */
export async function removed(api, { path, one }, job, signal) {
  const question = {
    title: `Delete this ${one}?`,
    text: `“${job.name}” and its results are deleted. The log stays as it is.`,
    action: "Delete",
  };
  if (!(await confirmed(question, signal))) return false;
  await api.remove(`${path}/${encodeURIComponent(job.id)}`);
  note("Deleted.");
  return true;
}
