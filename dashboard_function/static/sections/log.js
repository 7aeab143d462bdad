/** The loop's log: from when to when, and its deletion. */

import { confirmed } from "../lib/dialog.js";
import { h, replace } from "../lib/dom.js";
import { counted, duration } from "../lib/format.js";
import { message, note } from "../lib/notes.js";
import { button, card, empty, facts, heading, when } from "../lib/pieces.js";
import { downloadCard } from "./download.js";

/** @typedef {import("../sections.js").Page} Page */

/** @param {Page} page */
export async function show(page) {
  const { api, root, signal } = page;
  const [{ dateRange }, configuration, { loop }] = await Promise.all([
    api.get("personalizer/logs/properties", {}, signal),
    api.get("personalizer/configurations/service", {}, signal),
    api.get("personalizer/status", {}, signal),
  ]);
  const remove = button(
    "Delete the log…",
    async () => {
      const { ofEvents } = await api.post("personalizer/configurations/preview", {});
      const { loop } = await api.get("personalizer/status", {}, signal);
      const unfinished = loop.anew
        ? " The model is being learned again now. It begins again without this log, so what it learned is lost as well: wait until it is ready."
        : "";
      const text = `Everything that is logged up to now is deleted for good, also events that wait to be learned. The counters and the model stay.${unfinished} The model knows ${counted(ofEvents, "event")}, which cannot be learned again: if a setting changes what a reward means, the new model begins without them. Evaluations of that time are no longer possible.`;
      if (!(await confirmed({ title: "Delete the log?", text, action: "Delete", typed: api.loop }, signal))) return;
      await api.remove("personalizer/logs");
      note("The log is deleted.");
      await show(page);
    },
    { class: "danger" },
  );
  const days = configuration.logRetentionDays;
  const kept = days === -1 ? "for ever" : `for ${counted(days, "day")}`;
  const settings = facts([
    ["Kept", kept],
    ["Mirrored", mirrored(loop.mirror)],
    ["Change it", h("a", { href: "#/configuration" }, "Configuration")],
  ]);
  replace(
    root,
    heading(
      "Log",
      "The log holds each decision with its reward, as a JSON line. Evaluations are made from it, and models can be rebuilt from it.",
    ),
    dateRange
      ? h(
          "div",
          { class: "columns" },
          card(
            "Logged events",
            facts([
              ["From", when(dateRange.from)],
              ["Until", when(dateRange.to)],
              ["Length", duration((Date.parse(dateRange.to) - Date.parse(dateRange.from)) / 1000)],
            ]),
          ),
          card("Retention and mirror", settings),
        )
      : empty(
          "Nothing is logged",
          h("p", {}, "Every answered Rank call is logged. ", h("a", { href: "#/overview" }, "Send the first one.")),
          settings,
        ),
    dateRange ? downloadCard(page, { since: new Date(dateRange.from), until: new Date(dateRange.to) }) : null,
    dateRange
      ? card(
          "Delete",
          h("p", {}, "Use this if a person wants their data deleted, or to begin with an empty log."),
          h("div", { class: "actions" }, remove),
        )
      : null,
  );
}

const MIRROR = {
  waiting: "nothing copied yet",
  working: "yes",
  failing: "it fails",
  expired: "no: the signature has expired",
};

/** @param {{ state: keyof typeof MIRROR, lastSuccessAt: string | null, error: string | null, nextTryAt: string | null } | null} mirror */
function mirrored(mirror) {
  if (!mirror) return "no";
  return h(
    "div",
    {},
    MIRROR[mirror.state],
    mirror.lastSuccessAt ? h("span", {}, ". Last copy: ", when(mirror.lastSuccessAt)) : null,
    mirror.nextTryAt ? h("span", {}, ". Next try: ", when(mirror.nextTryAt)) : null,
    mirror.error ? message(mirror.error, "bad") : null,
  );
}
