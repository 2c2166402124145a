/** Light or dark: as the system has it, until somebody picks one here. */
const KEPT = "dlkd-theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set();

export function theme() {
  const kept = localStorage.getItem(KEPT);
  return kept ?? (system.matches ? "dark" : "light");
}

export function toggle() {
  localStorage.setItem(KEPT, theme() === "dark" ? "light" : "dark");
  apply();
}

export function apply() {
  document.documentElement.dataset.theme = theme();
  for (const tell of listeners) tell();
}

/** Calls back when the colours have changed, until the returned function is called. */
export function onTheme(tell) {
  listeners.add(tell);
  return () => listeners.delete(tell);
}

/** The value of a custom property as it is now: what charts, which are no CSS, are drawn with. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

system.addEventListener("change", apply);
