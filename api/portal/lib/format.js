/** Formatting of numbers and times. A missing value is shown as a dash. */
export const MISSING_TEXT = "–";
const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB"];
const TIME_UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

export const isMissing = (value) => value === null || value === undefined || Number.isNaN(value);

export const formatPercent = (fraction, digits = 2) =>
  isMissing(fraction) ? MISSING_TEXT : `${(100 * fraction).toFixed(digits)} %`;

export function formatBytes(size) {
  if (isMissing(size)) return MISSING_TEXT;
  const power = Math.min(Math.floor(Math.log10(Math.max(size, 1)) / 3), BYTE_UNITS.length - 1);
  const value = size / 1000 ** power;
  const digits = power && value < 100 ? value.toPrecision(3) : Math.round(value);
  return `${digits} ${BYTE_UNITS[power]}`;
}

/** Format a large number with a unit: 1234567 becomes "1.23 M". */
export function formatCount(value) {
  if (isMissing(value)) return MISSING_TEXT;
  const magnitude = Math.abs(value);
  for (const [unit, size] of [["G", 1e9], ["M", 1e6], ["k", 1e3]]) {
    const threshold = size > 1e3 ? size : 10 * size; // below 10 k all digits are shown
    if (magnitude >= threshold) return `${(value / size).toPrecision(3)} ${unit}`;
  }
  return formatInteger(value);
}

export const formatInteger = (value) =>
  isMissing(value) ? MISSING_TEXT : Math.round(value).toLocaleString("en");

export function formatNumber(value, digits = 4) {
  if (isMissing(value)) return MISSING_TEXT;
  const magnitude = Math.abs(value);
  if (value !== 0 && (magnitude < 1e-3 || magnitude >= 1e6)) return value.toExponential(2);
  return String(Number(value.toPrecision(digits)));
}

export const formatMilliseconds = (value) =>
  isMissing(value) ? MISSING_TEXT : `${formatNumber(value, 3)} ms`;

/** Format a duration in seconds with its two largest units: 3700 becomes "1 h 1 min". */
export function formatDuration(seconds) {
  if (isMissing(seconds)) return MISSING_TEXT;
  let remaining = Math.max(0, Math.round(seconds));
  const parts = [];
  for (const [unit, size] of TIME_UNITS) {
    const amount = Math.floor(remaining / size);
    remaining -= amount * size;
    if (amount || (unit === "s" && !parts.length)) parts.push(`${amount} ${unit}`);
  }
  return parts.slice(0, 2).join(" ");
}

/** Format the time between two moments, or until now if `end` is missing. */
export function formatElapsed(start, end) {
  if (!start) return MISSING_TEXT;
  return formatDuration(((end ? new Date(end) : new Date()) - new Date(start)) / 1000);
}

export function formatTimeAgo(time) {
  if (!time) return MISSING_TEXT;
  const seconds = (Date.now() - new Date(time)) / 1000;
  if (seconds < 45) return "just now";
  const [unit, size] = TIME_UNITS.find(([, unitSeconds]) => seconds >= unitSeconds);
  return `${Math.round(seconds / size)} ${unit} ago`;
}

export const formatTime = (time) =>
  time ? new Date(time).toLocaleTimeString("en-GB") : MISSING_TEXT;

export const formatDate = (time) =>
  time ? new Date(time).toLocaleDateString("en-GB", { dateStyle: "medium" }) : MISSING_TEXT;

export const formatDateTime = (time) =>
  time
    ? new Date(time).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" })
    : MISSING_TEXT;
