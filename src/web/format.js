// SPDX-License-Identifier: LGPL-2.1-or-later
// Times, spans and numbers in words, for the person's language and time zone.

import { serverNow } from "./clock.js";

const SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR;

// The page speaks English, so its times and numbers do, too; of its kinds the person's own, and always with 24 hours.
const LOCALE = navigator.language?.startsWith("en") ? navigator.language : "en-GB", hourCycle = "h23";

const relative = new Intl.RelativeTimeFormat(LOCALE, { numeric: "auto", style: "short" });
const atMinute = new Intl.DateTimeFormat(LOCALE, { dateStyle: "medium", timeStyle: "short", hourCycle });
const atSecond = new Intl.DateTimeFormat(LOCALE, { timeStyle: "medium", hourCycle });
const date = new Intl.DateTimeFormat(LOCALE, { day: "numeric", month: "short", year: "numeric" });
const weekday = new Intl.DateTimeFormat(LOCALE, { weekday: "long", day: "numeric", month: "long" });
const weekdayOfYear = new Intl.DateTimeFormat(LOCALE, { weekday: "long", day: "numeric", month: "long", year: "numeric" });
const exact = new Intl.DateTimeFormat(LOCALE, { dateStyle: "full", timeStyle: "long", hourCycle });
const whole = new Intl.NumberFormat(LOCALE);
const short = new Intl.NumberFormat(LOCALE, { notation: "compact", maximumFractionDigits: 1 });

/** Midnights between then and now, in the person's zone; after now they count the other way. @param {string} iso @param {number} now */
function daysUntil(iso, now) {
  /** @param {number} time */
  const midnight = (time) => new Date(time).setHours(0, 0, 0, 0);
  return Math.round((midnight(Date.parse(iso)) - midnight(now)) / DAY);
}

/** "5 min. ago", "in 2 hr.", from a day on as the calendar has it, and beyond a month the date. @param {string} iso @param {number} [now] */
export function ago(iso, now = serverNow()) {
  const ms = Date.parse(iso) - now, size = Math.abs(ms);
  if (size < 10 * SECOND) return ms > 0 ? "in a moment" : "just now";
  if (size < MINUTE) return relative.format(Math.trunc(ms / SECOND), "second");
  if (size < HOUR) return relative.format(Math.trunc(ms / MINUTE), "minute");
  if (size < DAY) return relative.format(Math.trunc(ms / HOUR), "hour");
  if (size < 30 * DAY) return relative.format(daysUntil(iso, now), "day");
  return date.format(new Date(iso));
}

/** The exact time, for where one points at. @param {string} iso */
export const exactly = (iso) => exact.format(new Date(iso));

/** "11:45:30". @param {string} iso */
export const clock = (iso) => atSecond.format(new Date(iso));

/** The day, in words: "Today", "Sunday 22 November". @param {string} iso @param {number} [now] */
export function dayOf(iso, now = serverNow()) {
  const days = daysUntil(iso, now), then = new Date(iso);
  if (days === 0) return "Today";
  if (days === -1) return "Yesterday";
  return (then.getFullYear() === new Date(now).getFullYear() ? weekday : weekdayOfYear).format(then);
}

/** "22 Nov 2026, 11:45". @param {string} iso */
export const moment = (iso) => atMinute.format(new Date(iso));

/** "0.4 s", "12 s", "3 min 20 s", "2 h 5 min", "4 d 1 h". @param {number} ms */
export function span(ms) {
  if (ms < 10 * SECOND) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s`;
  const [large, small, unit, part] = ms < HOUR ? [MINUTE, SECOND, "min", "s"] : ms < DAY ? [HOUR, MINUTE, "h", "min"] : [DAY, HOUR, "d", "h"];
  const n = Math.floor(ms / large), rest = Math.floor((ms % large) / small);
  return rest ? `${n} ${unit} ${rest} ${part}` : `${n} ${unit}`;
}

/** In one unit: "0", "30 s", "1.5 min". @param {number} ms */
export function briefSpan(ms) {
  const [size, unit] = ms < MINUTE ? [SECOND, "s"] : ms < HOUR ? [MINUTE, "min"] : ms < DAY ? [HOUR, "h"] : [DAY, "d"];
  return ms === 0 ? "0" : `${Math.round((10 * ms) / size) / 10} ${unit}`;
}

/** "1,234". @param {number} n */
export const count = (n) => whole.format(n);

/** "1.2K". @param {number} n */
export const brief = (n) => (Math.abs(n) < 10000 ? whole.format(n) : short.format(n));

/** "1,234", and what is too long for a column in short. @param {number} n */
export const figure = (n) => (n < 1e8 ? whole.format(n) : short.format(n));

/** "1 run", "2 runs". @param {number} n @param {string} one @param {string} [many] */
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;
