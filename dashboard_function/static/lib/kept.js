/** A sign-in that a tab keeps, if somebody wants that: until the tab is closed, or they sign out. Otherwise nothing is kept. */

/** @typedef {{ key: string, loop: string }} SignIn */

const NAME = "sign-in-1";

/** @param {SignIn} signIn */
export function keep({ key, loop }) {
  try {
    sessionStorage.setItem(NAME, JSON.stringify({ key, loop }));
  } catch {
    // a browser may forbid it: then a reload asks for the key
  }
}

/** @returns {SignIn | null} */
export function kept() {
  try {
    const { key, loop } = JSON.parse(sessionStorage.getItem(NAME) ?? "{}");
    return typeof key === "string" && typeof loop === "string" ? { key, loop } : null;
  } catch {
    return null;
  }
}

export function forget() {
  try {
    sessionStorage.removeItem(NAME);
  } catch {
    // what may not be kept was not kept
  }
}
