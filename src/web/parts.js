// SPDX-License-Identifier: LGPL-2.1-or-later
// What several views show: icons, pills, times, buttons, and what stands where there is nothing else to see.

import { h, s } from "./dom.js";
import { ago, exactly, moment } from "./format.js";

/** @typedef {import("./dom.js").Child} Child */

/** Strokes on a field of 16 by 16. */
const PATHS = {
  check: "M3.5 8.5l3 3 6-7",
  cross: "M4.5 4.5l7 7M11.5 4.5l-7 7",
  half: "M3.5 8.5l3 3 6-7M2.5 14h11",
  stop: "M5 5h6v6H5z",
  skip: "M4.5 4l4.5 4-4.5 4M11.5 4v8",
  clock: "M8 2.2a5.8 5.8 0 1 0 0 11.6A5.8 5.8 0 0 0 8 2.2zM8 5v3.2l2 1.3",
  sync: "M3 7a5.2 5.2 0 0 1 9.3-2.3M13 9a5.2 5.2 0 0 1-9.3 2.3M12.8 2v3h-3M3.2 14v-3h3",
  pause: "M6 4.5v7M10 4.5v7",
  warning: "M8 2.6l6 10.6H2L8 2.6zM8 6.6v3M8 11.4v.1",
  search: "M7 2.8a4.2 4.2 0 1 0 0 8.4 4.2 4.2 0 0 0 0-8.4zM10.2 10.2l3.2 3.2",
  back: "M9.5 3.5L5 8l4.5 4.5",
  link: "M6.6 9.4a2.6 2.6 0 0 0 3.7 0l2-2a2.6 2.6 0 0 0-3.7-3.7l-.9.9M9.4 6.6a2.6 2.6 0 0 0-3.7 0l-2 2a2.6 2.6 0 0 0 3.7 3.7l.9-.9",
  box: "M2.5 5L8 2.2 13.5 5v6L8 13.8 2.5 11V5zM2.5 5L8 7.8 13.5 5M8 7.8v6",
  key: "M5.6 6.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6zM7.6 7l5.2-5.2M10.6 4l2 2",
  down: "M4 6l4 4 4-4",
  out: "M6.5 2.8H3.2v10.4h3.3M10 4.8L13.2 8 10 11.2M13 8H6.4",
};

/** @param {keyof typeof PATHS} name decoration: what it says is also said in words */
export function icon(name) {
  return s("svg", { class: `icon icon-${name}`, viewBox: "0 0 16 16", "aria-hidden": "true" }, s("path", { d: PATHS[name] }));
}

export function logo() {
  return s("svg", { class: "logo", viewBox: "0 0 32 32", "aria-hidden": "true" }, s("rect", { width: 32, height: 32, rx: 8 }),
    s("path", { d: "M9.2 14.2A7.2 7.2 0 0 1 22 11.6M22.8 17.8A7.2 7.2 0 0 1 10 20.4M22.9 7.6v4.7h-4.7M9.1 24.4v-4.7h4.7" }));
}

/** @type {Record<string, [string, keyof typeof PATHS]>} */
const SYNC_LOOKS = {
  "Active": ["good", "check"],
  "Inactive": ["idle", "pause"],
  "Syncing": ["busy", "sync"],
  "Needs attention": ["bad", "warning"],
};

/** A sync's status. @param {string} status */
export function pill(status) {
  const [look, name] = SYNC_LOOKS[status] ?? ["idle", "clock"];
  return h("span", { class: `pill ${look}` }, icon(name), status);
}

/** @type {Record<string, [string, keyof typeof PATHS, string]>} */
const OUTCOME_LOOKS = {
  succeeded: ["good", "check", "Success"],
  partial: ["warn", "half", "Partial"],
  failed: ["bad", "cross", "Failed"],
  cancelled: ["idle", "stop", "Cancelled"],
  skipped: ["idle", "skip", "Skipped"],
  running: ["busy", "sync", "Running"],
};

/** How a run ended; null: it has not. @param {string | null} outcome */
export const lookOfOutcome = (outcome) => (OUTCOME_LOOKS[outcome ?? "running"] ?? OUTCOME_LOOKS.skipped)[0];

/** @param {string | null} outcome */
export const wordOfOutcome = (outcome) => OUTCOME_LOOKS[outcome ?? "running"]?.[2] ?? String(outcome);

/** @param {string | null} outcome @param {Child} [word] */
export function outcomeMark(outcome, word = wordOfOutcome(outcome)) {
  const [look, name] = OUTCOME_LOOKS[outcome ?? "running"] ?? OUTCOME_LOOKS.skipped;
  return h("span", { class: `mark ${look}` }, icon(name), word);
}

/** How long ago or ahead, with the exact time where one points at. @param {string | null} iso @param {string} [none] */
export function when(iso, none = "–") {
  return iso ? h("time", { datetime: iso, title: exactly(iso) }, ago(iso)) : h("span", { class: "quiet" }, none);
}

/** The same, and when that was; where it was so long ago that only the day would be said, that is said once. @param {string} iso */
export function whenAndAt(iso) {
  const at = moment(iso);
  return at.startsWith(ago(iso)) ? [h("time", { datetime: iso, title: exactly(iso) }, at)] : [when(iso), `, ${at}`];
}

/** In place of the next run of a sync of which none can be started. @param {import("./api.js").Connector} c */
export const notRunnable = (c) => (c.attention ? "Cannot run" : "Elsewhere");

/**
 * @param {string} action of the view
 * @param {Child | Child[]} content
 * @param {import("./dom.js").Attributes} [attributes]
 */
export function button(action, content, attributes = {}) {
  return h("button", { type: "button", class: "button", "data-action": action, ...attributes }, content);
}

/** Where there is nothing to see, and why. @param {keyof typeof PATHS} name @param {string} title @param {...Child} text */
export function emptiness(name, title, ...text) {
  return h("div", { class: "emptiness" }, icon(name), h("h2", null, title), h("p", null, ...text));
}

/** What was asked for and did not come. @param {Error & {status?: number}} error @param {string} what */
export function failure(error, what) {
  if (error.status === 403) return emptiness("key", "This key may not see that", `${what}: ${error.message}.`);
  return h("div", { class: "emptiness", role: "alert" }, icon("warning"), h("h2", null, `${what} cannot be read`),
    h("p", null, `${error.message}.`), button("again", "Try again"));
}

/** Grey lines in place of what is coming. @param {number} n @param {string} what */
export function waiting(n, what) {
  return h("div", { class: "waiting", role: "status" }, h("span", { class: "unseen" }, `Loading ${what}`),
    Array.from({ length: n }, () => h("div", { class: "bone", "aria-hidden": "true" })));
}

/** Words of others within a line: in which direction they are read changes nothing beside them. @param {string} text */
export const foreign = (text) => h("bdi", null, text);

/** Text that may be very long: its beginning, and all of it when asked for. @param {string} text @param {string} key @param {string} [look] */
export function longText(text, key, look = "words") {
  if (text.length <= 280) return h("p", { class: look, dir: "auto" }, text);
  const begin = text.slice(0, 240).replace(/[\ud800-\udbff]$/, ""); // no half of a letter
  return h("details", { class: `${look} long`, "data-key": key }, h("summary", null, h("span", { class: "more", dir: "auto" }, `${begin}…`), h("span", { class: "less" }, "Show less")), h("p", { tabindex: 0, dir: "auto" }, text));
}

/** Below a list that ends before all has been told. */
export const olderLine = () => h("p", { class: "sub omitted", "data-key": "older" }, "Older ones are not shown here.");
