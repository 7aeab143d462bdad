/** The address behind the `#`: a section, what is shown in it, and how it is looked at. So every view is a link. */

/** @typedef {{ name: string, argument: string, query: URLSearchParams }} Address */

/**
 * Read an address such as `#/events/ID?action=a`.
 *
 * @param {string} [hash]
 * @returns {Address}
 */
export function addressed(hash = location.hash) {
  const [path, ...rest] = hash.split("?");
  const [, name = "", argument = ""] = path.split("/");
  return { name, argument: decoded(argument), query: new URLSearchParams(rest.join("?")) };
}

/**
 * Write the address of a view. A member that is null or empty is left out.
 *
 * @param {string} name
 * @param {string} argument
 * @param {Record<string, string | null | undefined>} [query]
 */
export function written(name, argument = "", query = {}) {
  const known = Object.entries(query).flatMap(([member, value]) => (value ? [[member, value]] : []));
  const path = argument ? `#/${name}/${encodeURIComponent(argument)}` : `#/${name}`;
  return known.length ? `${path}?${new URLSearchParams(known)}` : path;
}

/**
 * Put the view that is looked at into the address. The button Back leads to the one before it.
 *
 * @param {string} name
 * @param {{ before: Record<string, string | null | undefined>, now: Record<string, string | null | undefined>, argument?: string }} queries
 */
export function remember(name, { before, now, argument = "" }) {
  const [old, next] = [written(name, argument, before), written(name, argument, now)];
  if (next === old) return;
  history.replaceState(null, "", old);
  history.pushState(null, "", next);
}

/** What cannot be decoded stays as it is. @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
