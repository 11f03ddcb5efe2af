// SPDX-License-Identifier: LGPL-2.1-or-later
// The Activity Feed: one entry a run, one row an account; its events and its last log lines when they are asked for.

import { h } from "../dom.js";
import { clock, count, dayOf, exactly, figure, moment, plural, span } from "../format.js";
import { emptiness, foreign, longText, lookOfOutcome, olderLine, outcomeMark, waiting, when, wordOfOutcome } from "../parts.js";
import { stageWord } from "../progress.js";

/** @typedef {import("../api.js").Entry} Entry */
/** @typedef {import("../api.js").SyncEvent} SyncEvent */

/**
 * @typedef {{timestamp: string, priority: number, identifier: string, pid: number | null, message: string}} Line
 * @typedef {{ended?: boolean, events?: SyncEvent[] | Error | null, news?: SyncEvent[], log?: {available: boolean, reason: string | null, lines: Line[]} | Error | null}} More
 *   of a run; null: asked for; ended: whether that was after its end; news: events since they were asked for
 */

const ROWS_SHOWN = 10;
const STRIP_MAX = 30; // outcomes that are known
const ERROR_PRIORITY = 3, WARNING_PRIORITY = 4; // of syslog

/** @type {Record<string, string>} */
const REASONS = {
  "schedule": "On schedule", "manual": "Started by hand", "retry": "Retry", "catch-up": "Catching up on a missed time",
  "reconnect": "After a reconnection", "remote": "Started from outside",
};

/** @type {Record<string, string>} */
const ACCOUNT_OUTCOMES = { "Success": "succeeded", "Failed": "failed", "No data": "skipped" };

/** The same of a person, or of a program that has a key. @type {Record<string, string>} */
const BY = { manual: "Started", remote: "Started", reconnect: "Reconnected" };

/** "phone" of "key:phone"; "" of users of the machine, who have numbers here. @param {string | null} who */
const nameOf = (who) => (who && !who.startsWith("uid:") ? who.slice(who.indexOf(":") + 1) : "");

/** Why it ran, and who wanted it so. @param {Entry} entry */
export function reasonOf(entry) {
  const word = Object.hasOwn(REASONS, entry.trigger) ? REASONS[entry.trigger] : entry.trigger, name = nameOf(entry.requestedBy);
  if (!name || !Object.hasOwn(BY, entry.trigger)) return word;
  return `${BY[entry.trigger]} by ${name}`;
}

/** What is said twice: how it ended, and what it has brought, stand above. */
const REPEATS = /^Sync (failed|cancelled|skipped|completed · \d+ new, \d+ updated)$/;

/** The words of its end, where they say more than its marks; an error is in the provider's. @param {Entry} entry @returns {{error: string, message: string}} */
export function wordsOf({ outcome, errorMessage, message }) {
  const text = errorMessage ?? message ?? "", who = outcome === "cancelled" && text.match(/^Cancelled by ((?:key|token|uid):.+)/)?.[1];
  if (who) return { error: "", message: `Cancelled by ${nameOf(who) || "hand"}` };
  if (REPEATS.test(text)) return { error: "", message: "" };
  return errorMessage ? { error: errorMessage, message: "" } : { error: "", message: text };
}

/** @param {Entry} entry @param {import("../api.js").AccountRow} row */
function account(entry, row) {
  return [
    h("tr", { "data-key": `row ${row.account}` },
      h("th", { scope: "row", dir: "auto" }, row.account),
      h("td", null, row.status ? outcomeMark(ACCOUNT_OUTCOMES[row.status] ?? null, row.status) : outcomeMark(null)),
      Object.entries({ Added: row.added, Updated: row.updated, Deduped: row.deduped })
        .map(([word, n]) => h("td", { class: n ? "number" : "number quiet", "data-label": word, title: n >= 1e8 && count(n) }, figure(n))),
      h("td", { class: "number", "data-label": "Duration" }, row.durationMs === null ? "–" : span(row.durationMs))),
    row.errorMessage && row.errorMessage !== entry.errorMessage && h("tr", { class: "why-failed", "data-key": `why ${row.account}` },
      h("td", { colspan: 6 }, longText(row.errorMessage, "words"))),
  ];
}

/** Many rows are shown when they are asked for. @param {Entry} entry */
function accounts(entry) {
  if (entry.accounts.length <= ROWS_SHOWN) return accountTable(entry);
  const failed = entry.accounts.filter((row) => row.status === "Failed").length;
  return h("details", { class: "all-accounts", "data-key": "accounts" },
    h("summary", null, plural(entry.accounts.length + entry.accountsOmitted, "account"), failed > 0 && h("span", { class: "mark bad" }, `${count(failed)} failed`)),
    accountTable(entry));
}

/** @param {Entry} entry */
function accountTable(entry) {
  return h("div", { class: "scroller", "data-key": "table", role: "group", "aria-label": "Accounts" },
    h("table", { class: "accounts" },
      h("thead", null, h("tr", null, ["Account", "Status"].map((word) => h("th", { scope: "col" }, word)),
        ["Added", "Updated", "Deduped", "Duration"].map((word) => h("th", { scope: "col", class: "number" }, word)))),
      h("tbody", null, entry.accounts.flatMap((row) => account(entry, row)))),
    entry.accountsOmitted > 0 && h("p", { class: "sub omitted" }, `and ${plural(entry.accountsOmitted, "more account", "more accounts")}`));
}

/** @param {More["events"]} events newest first */
function eventList(events) {
  if (!events) return waiting(2, "events");
  if (events instanceof Error) return h("p", { class: "wrong", role: "alert" }, `The events cannot be read: ${events.message}.`);
  if (events.length === 0) return h("p", { class: "quiet" }, "Its events are no longer kept.");
  return h("ol", { class: "events" }, events.map((event) => {
    const items = event.items_processed !== null && `${count(event.items_processed)}${event.items_total ? ` of ${count(event.items_total)}` : ""} items`;
    const words = [event.message && foreign(event.message), items, event.error && foreign(event.error)].filter(Boolean).flatMap((word, i) => [i > 0 && " · ", word]);
    return h("li", { "data-key": event.event_id },
      h("time", { datetime: event.timestamp, title: exactly(event.timestamp) }, clock(event.timestamp)),
      h("span", { class: "stage" }, stageWord(event.stage)),
      words.length > 0 && h("span", { class: "what" }, words));
  }), events.at(-1)?.stage !== "queued" && h("li", { class: "quiet", "data-key": "older" }, "Older ones are not shown here."));
}

/** @param {More["log"]} log */
function logLines(log) {
  if (!log) return waiting(3, "log lines");
  if (log instanceof Error) return h("p", { class: "wrong", role: "alert" }, `The log cannot be read: ${log.message}.`);
  if (!log.available) return h("p", { class: "quiet" }, `The journal cannot be read here: ${log.reason ?? "no reason is known"}.`);
  if (log.lines.length === 0) return h("p", { class: "quiet" }, "The journal has no lines of this run.");
  return h("div", { class: "log", tabindex: 0, role: "log", "aria-live": "off", "aria-label": "Log lines" }, log.lines.map((line) => h("p", {
    class: line.priority <= ERROR_PRIORITY ? "bad" : line.priority === WARNING_PRIORITY ? "warn" : "",
  }, h("time", { datetime: line.timestamp, title: exactly(line.timestamp) }, clock(line.timestamp)), " ",
  h("span", { class: "from" }, line.identifier), " ", line.message)));
}

/** When exactly, also for those who cannot point at it. @param {Entry} entry */
function times(entry) {
  return h("p", { class: "sub times" }, `Began ${exactly(entry.startedAt ?? entry.createdAt)}`, entry.finishedAt && `, ended ${exactly(entry.finishedAt)}`);
}

/** @param {Entry} entry @param {More} more */
function entryOf(entry, more) {
  const look = lookOfOutcome(entry.outcome), startedAt = entry.startedAt ?? entry.createdAt, words = wordsOf(entry);
  const totals = [[entry.added, "added"], [entry.updated, "updated"], [entry.deduped, "deduped"]];
  return h("article", { class: `entry ${look}`, "data-key": entry.id, "aria-label": `${wordOfOutcome(entry.outcome)}, ${moment(startedAt)}` },
    h("div", { class: "entry-head" },
      h("h3", null, outcomeMark(entry.outcome)),
      h("span", { class: "why" }, reasonOf(entry), entry.reason && [": ", foreign(entry.reason)], entry.fullResync && h("span", { class: "tag" }, "Full resync")),
      h("span", { class: "totals" }, totals.map(([n, word]) => h("span", { class: n ? "" : "quiet" }, h("b", null, count(Number(n))), ` ${word}`))),
      h("span", { class: "duration", title: "Duration" }, entry.durationMs === null ? "" : span(entry.durationMs)),
      h("span", { class: "at" }, when(startedAt))),
    words.error && longText(words.error, `${entry.id}-error`),
    words.message && longText(words.message, `${entry.id}-message`, "sub message"),
    entry.accounts.length > 0 && accounts(entry),
    h("div", { class: "entry-foot", "data-key": "foot" },
      h("details", { "data-key": "events", "data-more": "events", "data-run": entry.id }, h("summary", null, "Events"), times(entry), more.events !== undefined && eventList(more.events)),
      h("details", { "data-key": "log", "data-more": "log", "data-run": entry.id }, h("summary", null, "Log"), more.log !== undefined && logLines(more.log))));
}

/**
 * @param {Entry[]} entries newest first
 * @param {Map<string, More>} more by run
 * @param {import("../api.js").Mark[]} outcomes of its last runs, newest first: where the feed ends before them there are older ones
 */
export function feed(entries, more, outcomes) {
  if (entries.length === 0) return emptiness("clock", "No runs yet", "The first run will be here, with a row for each account.");
  let day = "";
  return h("div", { class: "feed" }, entries.map((entry) => {
    const its = dayOf(entry.startedAt ?? entry.createdAt), heading = its !== day && h("h2", { class: "day", "data-key": `day ${its}` }, its);
    day = its;
    return [heading, entryOf(entry, more.get(entry.id) ?? {})];
  }).flat(), hasOlder(entries, outcomes) && olderLine());
}

/** Whether there are runs before the first of these, as far as one can know. @param {Entry[]} entries @param {import("../api.js").Mark[]} outcomes */
export function hasOlder(entries, outcomes) {
  const oldest = outcomes.at(-1);
  return entries.length > STRIP_MAX || Boolean(oldest && !entries.some(({ id }) => id === oldest.id));
}
