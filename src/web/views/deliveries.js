// SPDX-License-Identifier: LGPL-2.1-or-later
// What was sent to the webhooks of a sync, newest first: one row an attempt.

import { h } from "../dom.js";
import { count, moment, plural, span } from "../format.js";
import { button, emptiness, icon, olderLine, when } from "../parts.js";

/** @typedef {import("../api.js").Delivery} Delivery */
/** @typedef {{told: string, failed: boolean, after?: Set<string>}} Resending after: the deliveries that were known before it */

const DELIVERIES_MAX = 50; // that the server tells of: there may be more

/** @param {Delivery} d */
function result(d) {
  return h("span", { class: `mark ${d.succeeded ? "good" : "bad"}` }, icon(d.succeeded ? "check" : "cross"), d.statusCode ? String(d.statusCode) : "No answer");
}

/** Whether both were for the same news, whose attempts say neither their message nor their endpoint. @param {Delivery} a @param {Delivery} b */
const isSameNews = (a, b) => a.kind === "lifecycle" && b.kind === "lifecycle" && a.runId === b.runId && a.type === b.type && a.url === b.url;

/** Whether that attempt may be what a resend has brought: records are sent again by a run. @param {Delivery} d @param {Delivery} before */
export function isResendOf(d, before) {
  return before.kind === "records" ? d.kind === "records" && d.runId !== before.runId : isSameNews(d, before);
}

/**
 * Whether there is something left to send again. Records are sent in their order: with later ones taken, these were, too.
 * @param {Delivery} d @param {Delivery[]} later
 */
export function isOpen(d, later) {
  return !d.succeeded && !later.some((other) => other.succeeded && (d.kind === "records" ? other.kind === "records" : isSameNews(d, other) && other.retryCount > d.retryCount));
}

/**
 * Whether what a resend was for is still to come.
 * @param {string} id of the delivery @param {Delivery[]} deliveries newest first
 * @param {Set<string>} after the deliveries that were known before it @param {boolean} follows a run is to follow the active one
 */
export function isAwaited(id, deliveries, after, follows) {
  const i = deliveries.findIndex((other) => other.id === id), d = deliveries[i];
  if (!d || (d.kind === "records" && !isOpen(d, deliveries.slice(0, i)))) return false;
  return (d.kind === "records" && follows) || !deliveries.some((other) => !after.has(other.id) && isResendOf(other, d));
}

/** @param {string} url */
function hostOf(url) {
  try {
    const { host, pathname } = new URL(url);
    return host + (pathname === "/" ? "" : pathname);
  } catch {
    return url;
  }
}

/**
 * @param {Delivery} d
 * @param {{acts: boolean, may: boolean, isNext: boolean, told: Resending | undefined}} state acts: there is a column for it; isNext: the run that follows sends it
 */
function row(d, { acts, may, isNext, told }) {
  const words = d.error ?? d.response, said = isNext ? "After this run" : told?.told, failed = told?.failed && !isNext;
  return h("tr", { "data-key": d.id },
    h("td", null, when(d.attemptedAt), h("span", { class: "sub" }, moment(d.attemptedAt))),
    h("td", null, result(d)),
    h("td", { class: "number", "data-label": "Response time" }, d.responseTimeMs < 1000 ? `${d.responseTimeMs} ms` : span(d.responseTimeMs)),
    h("td", { class: "number", "data-label": "Retries" }, count(d.retryCount)),
    h("td", null, h("span", { class: "type" }, d.type), h("span", { class: "sub" }, d.kind !== "records" ? "lifecycle message" : d.records === null ? "records" : plural(d.records, "record"))),
    h("td", null, h("span", { class: "url", title: d.url }, hostOf(d.url)),
      words && h("details", { class: "words", "data-key": "words" }, h("summary", null, d.error ? "Why it failed" : "What was answered"), h("p", null, words))),
    acts && h("td", { class: "act", tabindex: "-1" }, said && h("span", { class: failed ? "sub wrong" : "sub", role: told ? "status" : null }, said),
      (!said || failed) && may && button("resend", "Resend", { class: "button small", "data-id": d.id, "aria-label": `Resend ${d.type} to ${hostOf(d.url)}` })));
}

/**
 * @param {Delivery[]} deliveries
 * @param {Record<Delivery["kind"], boolean>} may send again
 * @param {Map<string, Resending>} told what came of it, by delivery
 * @param {boolean} follows a run is to follow the active one, which sends all records that are open
 */
export function deliveryTable(deliveries, may, told, follows) {
  const acts = may.records || may.lifecycle;
  /** @param {Delivery} d @param {number} i */
  const stateOf = (d, i) => {
    const open = isOpen(d, deliveries.slice(0, i));
    return { acts, may: open && may[d.kind], isNext: open && follows && d.kind === "records", told: told.get(d.id) };
  };
  if (deliveries.length === 0) return emptiness("out", "Nothing was sent yet", "Each attempt to deliver to a webhook will be here.");
  return h("div", { class: "scroller card flush", role: "region", "aria-label": "Deliveries" },
    h("table", { class: "deliveries" },
      h("thead", null, h("tr", null, h("th", { scope: "col" }, "When"), h("th", { scope: "col" }, "Status code"),
        h("th", { scope: "col", class: "number" }, "Response time"), h("th", { scope: "col", class: "number" }, "Retries"),
        h("th", { scope: "col" }, "What"), h("th", { scope: "col" }, "To"), acts && h("th", { scope: "col" }, h("span", { class: "unseen" }, "Action")))),
      h("tbody", null, deliveries.map((d, i) => row(d, stateOf(d, i))))),
    deliveries.length >= DELIVERIES_MAX && olderLine());
}
