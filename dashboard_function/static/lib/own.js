/** Looking things up by names that others give. */

/**
 * Give what a table has of its own under a name, and nothing that every object has: `constructor`, `toString`, `__proto__`.
 *
 * @template Value
 * @param {Record<string, Value>} table
 * @param {string} name
 * @returns {Value | undefined}
 */
export function own(table, name) {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}
