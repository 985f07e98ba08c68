// Formats of values: money, times (in UTC), durations and counts.

const money = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD" });
const dayAndYear = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  year: "numeric",
  timeZone: "UTC",
});
const dayOnly = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });

export const usd = (amount) => money.format(amount);
export const moment = (wire) => Date.parse(wire);
export const day = (ms) => dayAndYear.format(ms);
export const shortDay = (ms) => dayOnly.format(ms);
export const time = (ms) => new Date(ms).toISOString().slice(11, 19);
export const minute = (ms) => new Date(ms).toISOString().slice(11, 16);
export const price = (wire) => Number(String(wire).replace(/[^\d.]/g, ""));
/** Return typed text as a number if it is one, else unchanged, for the server to reject; null if it is empty. */
export function number(typed) {
  const trimmed = typed.trim();
  if (trimmed === "") return null;
  return Number.isFinite(Number(trimmed)) ? Number(trimmed) : trimmed;
}

export const count = (n, one, many = `${one}s`) => `${n} ${n === 1 ? one : many}`;

/** Return a duration as digits: 0:07, 1:20, 2:00:00. */
export function stopwatch(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  const two = (n) => String(n).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** Return a duration with its unit: 30 s, 2 min, 1.5 h. A value that is not a number is unchanged. */
export function span(seconds) {
  if (typeof seconds !== "number") return String(seconds);
  const short = (n) => String(Math.round(n * 10) / 10);
  if (seconds < 60) return `${short(seconds)} s`;
  return seconds < 3600 ? `${short(seconds / 60)} min` : `${short(seconds / 3600)} h`;
}
