/** Names that nobody else has made: also where the page came over plain HTTP, where browsers lack `randomUUID`. */

/** Thirty-two hexadecimal digits. */
export function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
