/** Numbers and moments as people read them. A value that is not there is a dash. */
const NONE = "–";
const UNITS = ["B", "kB", "MB", "GB", "TB"];
const PARTS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

const missing = (value) => value === null || value === undefined || Number.isNaN(value);

export const percent = (share, digits = 2) => (missing(share) ? NONE : `${(100 * share).toFixed(digits)} %`);

export function bytes(size) {
  if (missing(size)) return NONE;
  const power = Math.min(Math.floor(Math.log10(Math.max(size, 1)) / 3), UNITS.length - 1);
  const value = size / 1000 ** power;
  return `${power && value < 100 ? value.toPrecision(3) : Math.round(value)} ${UNITS[power]}`;
}

/** 1234567 as 1.23 M. */
export function count(value) {
  if (missing(value)) return NONE;
  for (const [unit, size] of [["G", 1e9], ["M", 1e6], ["k", 1e3]]) {
    if (Math.abs(value) >= 10 * size || (Math.abs(value) >= size && size > 1e3)) return `${(value / size).toPrecision(3)} ${unit}`;
  }
  return whole(value);
}

export const whole = (value) => (missing(value) ? NONE : Math.round(value).toLocaleString("en"));

export function plain(value, digits = 4) {
  if (missing(value)) return NONE;
  if (value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e6)) return value.toExponential(2);
  return String(Number(value.toPrecision(digits)));
}

export const milliseconds = (value) => (missing(value) ? NONE : `${plain(value, 3)} ms`);

/** 3700 seconds as 1 h 1 min: the two greatest parts. */
export function duration(seconds) {
  if (missing(seconds)) return NONE;
  let rest = Math.max(0, Math.round(seconds));
  const words = [];
  for (const [unit, size] of PARTS) {
    const amount = Math.floor(rest / size);
    rest -= amount * size;
    if (amount || (unit === "s" && !words.length)) words.push(`${amount} ${unit}`);
  }
  return words.slice(0, 2).join(" ");
}

export const between = (from, to) => (from ? duration(((to ? new Date(to) : new Date()) - new Date(from)) / 1000) : NONE);

export function ago(moment) {
  if (!moment) return NONE;
  const seconds = (Date.now() - new Date(moment)) / 1000;
  if (seconds < 45) return "just now";
  const [unit, size] = PARTS.find(([, parts]) => seconds >= parts) ?? PARTS[3];
  return `${Math.round(seconds / size)} ${unit} ago`;
}

export const clock = (moment) => (moment ? new Date(moment).toLocaleTimeString("en-GB") : NONE);

export const day = (moment) => (moment ? new Date(moment).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" }) : NONE);

/** The end of an id, where the whole would be noise. */
export const brief = (id) => (id ? `…${id.slice(-6)}` : NONE);
