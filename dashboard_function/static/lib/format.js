/** Numbers and times in words that are the same everywhere on the pages. */

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const LOCAL = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
const LOCAL_SECONDS = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const DAY = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium" });
const DURATION = /^P(?:(\d+(?:\.\d+)?)D)?(?:T(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?$/;
const UTC = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium", timeZone: "UTC" });
const TOLD_IN_UTC = /\b(\d{4}-\d\d-\d\d) (\d\d:\d\d)(:\d\d)? UTC\b/g;
const NOTHING = "–";
/** A number and its unit stay on one line. */
const JOINED = "\u00a0";
/** Below it a number has one decimal; what is more would be written as 10.0. */
const ONE_DECIMAL = 9.95;

/** @typedef {number | null | undefined} Maybe what is not known, or is no number, is written as a dash */

/**
 * @param {Maybe} value
 * @returns {value is number}
 */
function isKnown(value) {
  return Number.isFinite(value);
}

/** @param {Maybe} value */
export function count(value) {
  if (!isKnown(value)) return NOTHING;
  return Math.abs(value) < 1e6 ? WHOLE.format(value) : SHORT.format(value);
}

/**
 * A number of things: `1 visit`, `2 visits`.
 *
 * @param {Maybe} value
 * @param {string} one
 * @param {string} [many]
 */
export function counted(value, one, many = `${one}s`) {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/**
 * A reward, or a difference of two: a true minus sign, three decimals.
 *
 * @param {Maybe} value
 */
export function reward(value) {
  return decimal(value, 3);
}

/**
 * @param {Maybe} value
 * @param {number} digits
 */
export function decimal(value, digits) {
  if (!isKnown(value)) return NOTHING;
  return (Object.is(value, -0) ? 0 : value)
    .toFixed(digits)
    .replace("-", "−")
    .replace(/^−(0\.?0*)$/, "$1");
}

/**
 * How much more something is than another: by itself, and in per cent of the other where that is positive.
 *
 * @param {number} value
 * @param {number} other
 */
export function difference(value, other) {
  const more = value - other;
  const sign = (/** @type {string} */ text) => (/[1-9]/.test(text) && !text.startsWith("−") ? `+${text}` : text);
  const share = other > 0 ? ` (${sign(`${decimal((100 * more) / other, 1)}%`)})` : "";
  return `${sign(reward(more))}${share}`;
}

/** @param {[number, number] | null | undefined} interval */
export function interval(interval) {
  return interval ? `${reward(interval[0])} to ${reward(interval[1])}` : NOTHING;
}

/** @param {Maybe} value between 0 and 1 */
export function percent(value) {
  if (!isKnown(value)) return NOTHING;
  const hundredths = value * 100;
  return `${decimal(hundredths, hundredths !== 0 && Math.abs(hundredths) < ONE_DECIMAL ? 1 : 0)}%`;
}

/** @param {Maybe} value */
export function milliseconds(value) {
  if (!isKnown(value)) return NOTHING;
  return value < 999.5 ? `${decimal(value, value < ONE_DECIMAL ? 1 : 0)}${JOINED}ms` : duration(value / 1000);
}

/**
 * A span of time in its two largest units: `2 h 5 min`.
 *
 * @param {Maybe} seconds
 */
export function duration(seconds) {
  if (!isKnown(seconds)) return NOTHING;
  if (seconds < 59.5) return `${decimal(seconds, Number.isInteger(seconds) || seconds >= ONE_DECIMAL ? 0 : 1)}${JOINED}s`;
  const units = [
    ["d", 86_400],
    ["h", 3_600],
    ["min", 60],
    ["s", 1],
  ];
  const parts = [];
  let rest = Math.round(seconds);
  for (const [name, size] of /** @type {[string, number][]} */ (units)) {
    const whole = Math.floor(rest / size);
    rest -= whole * size;
    if (whole) parts.push(`${whole}${JOINED}${name}`);
    else if (parts.length) break;
  }
  return parts.slice(0, 2).join(" ");
}

/**
 * Read an ISO 8601 duration of days, hours, minutes and seconds; null for anything else.
 *
 * @param {string} text
 */
export function secondsOf(text) {
  const found = DURATION.exec(text.trim());
  if (!found || !/\d/.test(text)) return null;
  const [days, hours, minutes, seconds] = found.slice(1).map((part) => Number(part ?? 0));
  return days * 86_400 + hours * 3_600 + minutes * 60 + seconds;
}

/**
 * @param {string | number | Date} at
 * @param {{ seconds?: boolean }} [options]
 */
export function localTime(at, { seconds = false } = {}) {
  return (seconds ? LOCAL_SECONDS : LOCAL).format(new Date(at));
}

/** @param {Date} at */
export function localDay(at) {
  return DAY.format(at);
}

/** @param {string | number | Date} at */
export function utcTime(at) {
  return `${UTC.format(new Date(at))} UTC`;
}

/**
 * A sentence of the service's as the page writes it: its times are local ones, and its per cent stand at their number.
 *
 * @param {string} text
 */
export function told(text) {
  return text
    .replace(TOLD_IN_UTC, (_, day, minute, seconds) => localTime(`${day}T${minute}${seconds ?? ""}Z`, { seconds: Boolean(seconds) }))
    .replace(/(\d) %/g, "$1%");
}

/**
 * How long ago, in words.
 *
 * @param {Maybe} seconds
 */
export function ago(seconds) {
  if (!isKnown(seconds)) return NOTHING;
  return seconds < 2 ? "just now" : `${duration(Math.floor(seconds))} ago`;
}
