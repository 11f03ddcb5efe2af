// SPDX-License-Identifier: LGPL-2.1-or-later
// What was sent to the webhooks of a sync, newest first: one row an attempt.

import { h } from "../dom.js";
import { count, moment, span } from "../format.js";
import { button, emptiness, icon, when } from "../parts.js";

/** @typedef {import("../api.js").Delivery} Delivery */
/** @typedef {{told: string, failed: boolean, after?: Set<string>}} Resending after: the deliveries that were known before it */

/** @param {Delivery} d */
function result(d) {
  return h("span", { class: `mark ${d.succeeded ? "good" : "bad"}` }, icon(d.succeeded ? "check" : "cross"), d.statusCode ? String(d.statusCode) : "No answer");
}

/** @param {string} url */
function placeOf(url) {
  try {
    const { host, pathname } = new URL(url);
    return host + (pathname === "/" ? "" : pathname);
  } catch {
    return url;
  }
}

/** @param {Delivery} d @param {{may: boolean, told: Resending | undefined}} state */
function row(d, { may, told }) {
  const words = d.error ?? d.response;
  return h("tr", { "data-key": d.id },
    h("td", null, when(d.attemptedAt), h("span", { class: "sub" }, moment(d.attemptedAt))),
    h("td", null, result(d)),
    h("td", { class: "number", "data-label": "Response time" }, d.responseTimeMs < 1000 ? `${d.responseTimeMs} ms` : span(d.responseTimeMs)),
    h("td", { class: "number", "data-label": "Retries" }, count(d.retryCount)),
    h("td", null, h("span", { class: "type" }, d.type), h("span", { class: "sub" }, d.kind === "records" ? `${d.records === null ? "" : `${count(d.records)} `}records` : "lifecycle message")),
    h("td", null, h("span", { class: "url", title: d.url }, placeOf(d.url)),
      words && h("details", { class: "words", "data-key": "words" }, h("summary", null, d.error ? "Why it failed" : "What was answered"), h("p", null, words))),
    may && h("td", { class: "act" }, told && h("span", { class: told.failed ? "sub wrong" : "sub", role: "status" }, told.told),
      (!told || told.failed) && !d.succeeded && button("resend", "Resend", { class: "button small", "data-id": d.id, "aria-label": `Resend ${d.type} to ${placeOf(d.url)}` })));
}

/**
 * @param {Delivery[]} deliveries
 * @param {boolean} may send again
 * @param {Map<string, Resending>} told what came of it, by delivery
 */
export function deliveryTable(deliveries, may, told) {
  if (deliveries.length === 0) return emptiness("out", "Nothing was sent yet", "Each attempt to deliver to a webhook will be here.");
  return h("div", { class: "scroller card flush", role: "region", "aria-label": "Deliveries" },
    h("table", { class: "deliveries" },
      h("thead", null, h("tr", null, h("th", { scope: "col" }, "When"), h("th", { scope: "col" }, "Status code"),
        h("th", { scope: "col", class: "number" }, "Response time"), h("th", { scope: "col", class: "number" }, "Retries"),
        h("th", { scope: "col" }, "What"), h("th", { scope: "col" }, "To"), may && h("th", { scope: "col" }, h("span", { class: "unseen" }, "Action")))),
      h("tbody", null, deliveries.map((d) => row(d, { may, told: told.get(d.id) })))));
}
