/** The loop's log: from when to when, and its deletion. */

import { confirmed } from "../lib/dialog.js";
import { h, replace } from "../lib/dom.js";
import { count, duration } from "../lib/format.js";
import { message, note } from "../lib/notes.js";
import { button, card, empty, facts, heading, when } from "../lib/pieces.js";

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
      const text = `All that is logged up to now is deleted for good, what waits to be learned included. The counters and the model stay: it knows ${count(ofEvents)} events. They cannot be learned again, so a later change of what rewards are begins without them. Evaluations of that time cannot be made any more.`;
      if (!(await confirmed({ title: "Delete the log?", text, action: "Delete", typed: api.loop }))) return;
      await api.remove("personalizer/logs");
      note("The log is deleted.");
      await show(page);
    },
    { class: "danger" },
  );
  const days = configuration.logRetentionDays;
  const kept = days === -1 ? "for ever" : `for ${days} ${days === 1 ? "day" : "days"}`;
  const settings = facts([
    ["Kept", kept],
    ["Mirrored", mirrored(loop.mirror)],
    ["Change it", h("a", { href: "#/configuration" }, "Configuration")],
  ]);
  replace(
    root,
    heading(
      "Log",
      "What was ranked, shown and rewarded, joined and kept as JSON lines: what evaluations are made of, and models can be rebuilt from.",
    ),
    dateRange
      ? h(
          "div",
          { class: "columns" },
          card(
            "What is logged",
            facts([
              ["From", when(dateRange.from)],
              ["Until", when(dateRange.to)],
              ["That is", duration((Date.parse(dateRange.to) - Date.parse(dateRange.from)) / 1000)],
            ]),
          ),
          card("How long it stays", settings),
        )
      : empty(
          "Nothing is logged",
          h("p", {}, "Every Rank call is logged once it is answered. ", h("a", { href: "#/overview" }, "Send the first one.")),
          settings,
        ),
    dateRange
      ? card(
          "Delete",
          h("p", {}, "For a person's wish to be forgotten, or to begin with a clean log."),
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
