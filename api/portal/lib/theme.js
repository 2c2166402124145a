/** Light and dark theme: follows the system until the user picks one. */
const STORAGE_KEY = "dlkd-theme";
const systemDarkMode = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set();

export function currentTheme() {
  return localStorage.getItem(STORAGE_KEY) ?? (systemDarkMode.matches ? "dark" : "light");
}

export function toggleTheme() {
  localStorage.setItem(STORAGE_KEY, currentTheme() === "dark" ? "light" : "dark");
  applyTheme();
}

export function applyTheme() {
  document.documentElement.dataset.theme = currentTheme();
  for (const listener of listeners) listener();
}

/** Call `listener` after every theme change, until the returned function is called. */
export function onThemeChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Return the current value of a CSS custom property, for charts, which CSS cannot style. */
export function cssColor(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

systemDarkMode.addEventListener("change", applyTheme);
