/** What was changed in the loop: settings, policy, keys and models, by whom and when. */

import { h, replace } from "../lib/dom.js";
import { exportButtons } from "../lib/export.js";
import { changeTitle } from "../lib/marks.js";
import { card, empty, heading, pill, table, when } from "../lib/pieces.js";

/** @typedef {import("../sections.js").Page} Page */

const LEAD =
  "Each change of settings, policy, keys and models that somebody made by hand, or that automatic optimisation made. The newest 500 are kept.";

/** @param {Page} page */
export async function show({ api, root, signal }) {
  const { value } = await api.get("changes", {}, signal);
  replace(
    root,
    heading("Changes", LEAD, value.length ? [exportButtons("Changes", () => exported(value))] : []),
    value.length
      ? card("What was changed", table("Changes, newest first", ["When", "Who", "What", "From", "To"], value.flatMap(rowsOf)))
      : empty(
          "Nothing was changed yet",
          h(
            "p",
            {},
            "Changes of ",
            h("a", { href: "#/configuration" }, "settings"),
            ", ",
            h("a", { href: "#/policy" }, "policy"),
            " and models appear here.",
          ),
        ),
  );
}

/** @param {any} change */
function rowsOf({ changedAt, by, kind, members, isCertain }) {
  const doubt = isCertain ? null : [" ", pill("begun, not seen to be stored", "warn")];
  const shown = members.length ? members : [{ name: "", old: null, new: null }];
  return shown.map((/** @type {any} */ member) => [
    when(changedAt, { seconds: true }),
    by,
    h("span", {}, changeTitle(kind), member.name ? [": ", h("code", {}, member.name)] : null, doubt),
    told(member.old),
    told(member.new),
  ]);
}

/** @param {string | null} text */
function told(text) {
  return text === null ? h("span", { class: "faint" }, "–") : h("code", { class: "long" }, text);
}

/**
 * @param {any[]} changes
 * @returns {import("../lib/export.js").Table}
 */
function exported(changes) {
  const rows = changes.flatMap(({ changedAt, by, kind, members, isCertain }) =>
    members.map((/** @type {any} */ member) => [changedAt, by, kind, member.name, member.old, member.new, isCertain]),
  );
  return { heads: ["changedAt", "by", "kind", "name", "old", "new", "isCertain"], rows };
}
