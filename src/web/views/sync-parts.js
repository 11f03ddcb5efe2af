// SPDX-License-Identifier: LGPL-2.1-or-later
// The parts of one sync's page that stand above its feed: what needs attention, what runs now, where things come from
// and go to, how the last runs went.

import { serverNow } from "../clock.js";
import { h } from "../dom.js";
import { brief, briefSpan, count, exactly, moment, plural, span } from "../format.js";
import { chart } from "../chart.js";
import { button, icon, longText, notRunnable, when, whenAndAt, wordOfOutcome } from "../parts.js";
import { stageWord } from "../progress.js";
import { tellsEnd } from "./connections.js";

/** @typedef {import("../api.js").Entry} Entry */
/** @typedef {import("../progress.js").Progress} Progress */
/**
 * @typedef {import("../api.js").Connector & {destination: {type: string, target: string | null, state: string, failures: number}, schedule: string[],
 *   everyMs: number | null, consecutiveFailures: number, followUp: string | null, loadState: string, loadError: string | null, settingsPath?: string | null,
 *   connections: import("../api.js").Connection[]}} Detail
 */

const RECONNECTABLE = ["connection_lost", "consent_expired", "consent_withdrawn"];
const IN_THE_SETTINGS = ["configuration_error", "destination_deleted", "destination_auth_expired"];
const OUTCOMES = ["succeeded", "partial", "failed", "cancelled", "skipped"];
const STAGES = ["queued", "fetching", "processing", "saving"];
const CHART_RUNS = 25; // as many as the feed has

/** The commands for who sits at the machine. @param {Detail} c @param {string} category */
function commands(c, category) {
  if (c.loadState !== "loaded") return [`syncrunctl verify ${c.settingsPath ?? "FILE"}`, "syncrunctl reload"];
  if (RECONNECTABLE.includes(category) && c.connections.length > 0) return c.connections.map(({ name }) => `syncrunctl reconnect ${name}`);
  return [`syncrunctl log ${c.name}`, `syncrunctl ${c.active ? "start" : "enable"} ${c.name}`];
}

/** No connection is lost where there is none. @param {Detail} c @param {import("../api.js").Attention} attention */
const titleOf = (c, { category, title }) => (category === "connection_lost" && c.connections.length === 0 ? "The sync fails" : title);

/** @param {import("../api.js").Connection} connection @param {import("./connections.js").Reconnections} reconnections */
function reconnectButton({ name, reconnecting }, reconnections) {
  const busy = reconnecting || reconnections.of(name).busy, word = busy ? "Reconnecting…" : "Reconnect";
  return button("reconnect", word, { class: "button primary", "data-name": name, "aria-label": `${word} ${name}`, disabled: busy });
}

/**
 * What is wrong, what to do about it, and the way to do it.
 * @param {Detail} c @param {boolean} may @param {import("./connections.js").Reconnections} reconnections
 */
export function banner(c, may, reconnections) {
  const attention = c.attention;
  if (!attention) return null;
  const runnable = c.active && c.runnable;
  return h("section", { class: "banner", "data-key": "banner", "aria-labelledby": "attention" }, icon("warning"),
    h("div", null,
      h("h2", { id: "attention" }, h("span", { class: "unseen" }, "Needs attention: "), titleOf(c, attention)),
      h("p", null, attention.advice),
      attention.message && !c.connections.some((connection) => tellsEnd(connection, attention.message)) && longText(attention.message, "attention-message"),
      IN_THE_SETTINGS.includes(attention.category) && c.settingsPath && h("p", null, "Settings: ", h("code", { class: "path" }, c.settingsPath)),
      attention.since && h("p", { class: "sub" }, "Since ", whenAndAt(attention.since), c.consecutiveFailures > 1 && `, with failures in ${plural(c.consecutiveFailures, "run")} in a row`),
      h("details", { class: "sub machine", "data-key": "machine" }, h("summary", null, "On the machine"),
        commands(c, attention.category).map((line) => h("code", { class: "path" }, line)))),
    may && h("div", { class: "banner-acts" },
      RECONNECTABLE.includes(attention.category) && c.connections.map((connection) => reconnectButton(connection, reconnections)),
      runnable && !c.activeRunId && button("sync-now", "Retry now"),
      c.connections.map(({ name }) => h("p", { class: "told" }, reconnections.of(name).told))));
}

/** @param {string} stage */
function steps(stage) {
  const at = stage === "started" ? 0 : STAGES.indexOf(stage), words = [stage === "queued" ? "queued" : "started", ...STAGES.slice(1)];
  return h("ol", { class: "steps" }, words.map((word, i) => h("li", { class: i < at ? "done" : i === at ? "here" : "", "aria-current": i === at ? "step" : null }, stageWord(word))));
}

/** The run that is under way. @param {Progress} progress @param {string | null} startedAt */
export function running(progress, startedAt) {
  progress.startedAt ??= startedAt;
  const { event, fraction, rate, left, isStalled, silence } = progress, begun = progress.startedAt;
  const facts = [
    event && event.items_processed !== null && (event.items_total ? `${count(event.items_processed)} of ${count(event.items_total)} items` : plural(event.items_processed, "item")),
    isStalled && h("span", { class: "mark warn" }, icon("warning"), `no news for ${span(silence)}`),
    !isStalled && rate !== null && `${rate < 10 ? rate.toFixed(1) : brief(Math.round(rate))} items/s`,
    !isStalled && left !== null && left > 500 && `about ${span(Math.ceil(left / 1000) * 1000).replace(".0 s", " s")} left`,
    begun && `running for ${span(Math.max(0, serverNow() - Date.parse(begun)))}`,
  ].filter(Boolean);
  return h("section", { class: "card running", "data-key": "running", "aria-label": "Running now" },
    h("div", { class: "running-head" }, steps(progress.stage), fraction !== null && h("b", { class: "percent" }, `${Math.floor(fraction * 100)} %`)),
    h("progress", { max: 1, value: fraction, "aria-label": "Progress" }),
    h("p", { class: "facts" }, facts.map((fact) => h("span", null, fact))),
    event?.message && longText(event.message, "running-message", "sub message"));
}

/** @type {Record<string, string>} */
const DESTINATIONS = { sqlite: "SQLite database", exec: "Program", webhook: "Webhook" };

/** What the settings call %S is the sync's own folder. @param {string} target */
function placeOfTarget(target) {
  const own = target.startsWith("%S/");
  return [h("code", { class: "path", title: target }, own ? target.slice(3) : target), own && h("span", { class: "sub" }, "in the state folder of this sync")];
}

/** @param {Detail} c */
export function destinationCard(c) {
  const { type, target, state, failures } = c.destination;
  return h("section", { class: "card", "aria-label": "Destination" },
    h("div", { class: "card-head" }, icon("box"), h("h2", null, "Destination"),
      state !== "active" && h("span", { class: "pill bad" }, icon("warning"), state === "disabled" ? "Switched off" : "Failing")),
    h("dl", null, h("dt", null, "Kind"), h("dd", null, DESTINATIONS[type] ?? type), target && [h("dt", null, "Target"), h("dd", null, placeOfTarget(target))]),
    failures > 0 && h("p", { class: "sub" }, `${plural(failures, "run")} in a row could not deliver.`));
}

/** @type {Record<string, string>} */
const SOURCES = {
  pull: "asked by this machine", webhook: "sends by itself", sdk: "sent by an app", backfill: "of the past", xml_import: "from a file", linked_account: "of a linked account",
};

/** @param {Detail} c @param {string | null} run that is under way: until its end there may be no next one */
export function scheduleCard(c, run) {
  const every = c.everyMs ? [`every ${span(c.everyMs)}`] : [], times = [...c.schedule, ...every];
  const none = run && (times.length > 0 || c.followUp) ? "After this run" : "On demand";
  return h("section", { class: "card", "aria-label": "Schedule" },
    h("div", { class: "card-head" }, icon("clock"), h("h2", null, "Schedule")),
    h("dl", null,
      h("dt", null, "Next run"), h("dd", null, !c.active ? "Off" : !c.runnable ? notRunnable(c) : run && c.followUp ? none : c.nextRunAt ? [when(c.nextRunAt), h("span", { class: "sub" }, moment(c.nextRunAt))] : none),
      times.length > 0 && [h("dt", null, "When"), h("dd", null, times.map((time) => h("code", { class: "path" }, time)))],
      h("dt", null, "Provider"), h("dd", null, c.provider, h("span", { class: "sub" }, SOURCES[c.source] ?? c.source)),
      c.userId && [h("dt", null, "User"), h("dd", null, h("span", { class: "id", title: c.userId }, c.userId))]));
}

/** A span that is a round number of its unit. @param {number} ms */
function roundSpan(ms) {
  const steps = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 43200, 86400];
  return (steps.find((seconds) => seconds * 1000 >= ms) ?? Math.ceil(ms / 86400000) * 86400) * 1000;
}

/**
 * @param {import("../api.js").Mark[]} marks of the last runs, newest first
 * @param {Entry[]} entries the same in full, of which there may be less: where there are many accounts, the feed ends sooner
 */
export function charts(marks, entries) {
  const ended = marks.slice(0, CHART_RUNS).filter((mark) => mark.outcome).reverse(), byId = new Map(entries.map((entry) => [entry.id, entry]));
  if (ended.length < 2) return null;
  const full = ended.flatMap((mark) => byId.get(mark.id) ?? []);
  /** @param {string | null | undefined} time */
  const label = (time) => (time ? exactly(time) : "–");
  /** What never began took no time. @param {number | null} ms */
  const took = (ms) => (ms === null ? "–" : span(ms));
  return h("div", { class: "charts", "data-key": "charts" },
    chart({
      title: "Duration", axis: briefSpan, round: roundSpan, columns: ["Run", "Outcome", "Duration"],
      outcomes: OUTCOMES.filter((outcome) => ended.some((e) => e.outcome === outcome)),
      bars: ended.map(({ id, outcome, startedAt, durationMs }) => {
        const at = label(startedAt ?? byId.get(id)?.createdAt);
        return { label: at, words: `${wordOfOutcome(outcome)}, ${took(durationMs)}, ${at}`, parts: [{ outcome, value: durationMs ?? 0 }], cells: [wordOfOutcome(outcome), took(durationMs)] };
      }),
    }),
    full.length > 0 && chart({
      title: "Items", axis: brief, columns: ["Run", "Added", "Updated", "Deduped"],
      legend: [["added", "Added"], ["updated", "Updated"], ["deduped", "Deduped"]],
      note: byId.has(ended[0].id) ? "" : `Of the newest ${full.length === 1 ? "run" : plural(full.length, "run")}: with so many accounts, older ones are too long to be read here.`,
      bars: full.map((e) => {
        const at = label(e.startedAt ?? e.createdAt);
        return {
          label: at, words: `${count(e.added)} added, ${count(e.updated)} updated, ${count(e.deduped)} deduped, ${at}`,
          parts: [{ look: "added", value: e.added }, { look: "updated", value: e.updated }, { look: "deduped", value: e.deduped }],
          cells: [count(e.added), count(e.updated), count(e.deduped)],
        };
      }),
    }));
}
