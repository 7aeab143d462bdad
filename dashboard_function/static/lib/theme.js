/** Light and dark: as the system wishes, until the reader says otherwise. It is not remembered, as nothing is. */

export const themeChanged = new EventTarget();

const systemIsDark = matchMedia("(prefers-color-scheme: dark)");
systemIsDark.addEventListener("change", tell);
matchMedia("(forced-colors: active)").addEventListener("change", tell);

export function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : systemIsDark.matches;
}

/**
 * Make a button one that changes between the two.
 *
 * @param {HTMLElement} button
 */
export function furnishThemeButton(button) {
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    tell();
  });
  themeChanged.addEventListener("change", () => button.setAttribute("aria-pressed", String(isDark())));
  tell();
}

/**
 * Give the colour that a custom property of the style has in the present theme, as a canvas understands it.
 *
 * @param {string} name
 */
export function colour(name) {
  const probe = document.createElement("i");
  probe.className = "probe";
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function tell() {
  themeChanged.dispatchEvent(new Event("change"));
}
