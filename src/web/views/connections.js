// SPDX-License-Identifier: LGPL-2.1-or-later
// All connections: which syncs each of them carries, how it is, and its reconnection.

import * as api from "../api.js";
import { serverNow } from "../clock.js";
import { h, say } from "../dom.js";
import { count, plural } from "../format.js";
import { button, emptiness, failure, foreign, icon, longText, waiting, whenAndAt } from "../parts.js";
import { addressOfSync } from "../router.js";

/** @typedef {import("../api.js").Connection} Connection */

const SHOWN = 12; // syncs and accounts of one connection
const CARDS = 60; // at first, and with each step
const SEARCHED = 12; // so many can be looked through

/** @type {Record<string, string>} */
const LOOKS = { Active: "good", Expiring: "warn" };

const LOOKS_MS = [500, 1000, 2000]; // at a program that reconnects, of whose end no event tells

/** @type {Record<string, string>} */
const ENDS = {
  success: "Reconnected", failed: "Not reconnected", timeout: "Not reconnected in time",
  cancelled: "The reconnection was stopped", interrupted: "How the reconnection ended is not known",
};

/** How the program ended, in its own words where it had some. @param {Connection} c */
const endOf = (c) => `${ENDS[c.reconnectResult ?? ""] ?? "The program that reconnects it has ended"}${c.reconnectMessage ? `: ${c.reconnectMessage}` : "."}`;

/** What is left to tell of a program that has reconnected nothing. @param {Connection} c */
function failureOf(c) {
  const isOpen = c.status !== "Active" && c.reconnectResult && c.reconnectResult !== "success" && c.reconnectFinishedAt;
  return isOpen && (!c.since || Date.parse(isOpen) >= Date.parse(c.since)) ? endOf(c) : "";
}

/** @param {string[]} words */
const listed = (words) => [...words.slice(0, SHOWN).flatMap((word, i) => [i > 0 && ", ", foreign(word)]), words.length > SHOWN && ` and ${plural(words.length - SHOWN, "more", "more")}`];

/** What its card tells in the person's own time. @param {Connection} c @param {string | null} message */
export const tellsEnd = (c, message) => Boolean(c.consentExpiresAt && message?.includes(c.consentExpiresAt));

/** @param {string} status */
function connectionPill(status) {
  const look = LOOKS[status] ?? "bad";
  return h("span", { class: `pill ${look}` }, icon(look === "good" ? "check" : "warning"), status);
}

/**
 * One connection, as a card of its own or within a sync's.
 * @param {Connection} c
 * @param {{may: boolean, busy: boolean, told: string, isOpen: boolean, here?: string, said?: boolean}} state isOpen: all of its syncs were
 *   asked for; here: the sync whose page this is; said: what is wrong stands above already
 */
export function connectionCard(c, { may, busy, told, isOpen, here, said = false }) {
  const others = c.connectors.filter((name) => name !== here), rest = others.slice(SHOWN);
  /** @param {string[]} names */
  const links = (names) => names.map((name, i) => [i > 0 && ", ", h("a", { href: addressOfSync(name) }, name)]).flat();
  return h("section", { class: "card connection", "data-key": c.name, "aria-label": `Connection ${c.name}` },
    h("div", { class: "card-head" }, icon("link"), h("h2", null, c.name), connectionPill(c.status)),
    c.since && c.status !== "Active" && h("p", { class: "sub" }, "Since ", whenAndAt(c.since)),
    c.consentExpiresAt && h("p", { class: "sub" }, Date.parse(c.consentExpiresAt) > serverNow() ? "Consent ends " : "Consent ended ", whenAndAt(c.consentExpiresAt)),
    c.advice && !said && h("p", null, c.advice),
    c.message && !said && !tellsEnd(c, c.message) && longText(c.message, `${c.name}-message`),
    c.accounts.length > 0 && h("p", { class: "sub" }, "For ", listed(c.accounts)),
    others.length > 0 && h("p", { class: "sub names" }, here ? "Also carries " : "Carries ",
      links(others.slice(0, SHOWN))),
    rest.length > 0 && h("details", { class: "sub rest", "data-key": "rest", "data-connection": c.name }, h("summary", null, `and ${plural(rest.length, "more", "more")}`), isOpen && links(rest)),
    may && h("p", { class: "card-foot" }, button("reconnect", busy || c.reconnecting ? "Reconnecting…" : "Reconnect",
      { "data-name": c.name, disabled: busy || c.reconnecting, class: c.status === "Active" || said ? "button" : "button primary" })),
    h("p", { class: "told", role: "status" }, told || failureOf(c)));
}

/** What a card says and does about its reconnection, for each view that has cards. */
export class Reconnections {
  /** @param {() => void} changed @param {() => void} done */
  constructor(changed, done) {
    this.changed = changed;
    this.done = done;
    /** @type {Map<string, {busy: boolean, told: string}>} */
    this.states = new Map();
    /** @type {Map<string, number>} */
    this.timers = new Map(); // of the programs that are followed
    /** @type {Set<string>} */
    this.opened = new Set(); // of whose syncs all were asked for
    this.isClosed = false;
  }

  close() {
    this.isClosed = true;
    for (const timer of this.timers.values()) clearTimeout(timer);
  }

  /** @param {string} name */
  of(name) {
    return { ...(this.states.get(name) ?? { busy: false, told: "" }), isOpen: this.opened.has(name) };
  }

  /** @param {HTMLDetailsElement} details of a card */
  open({ dataset: { connection } }) {
    if (connection === undefined) return;
    this.opened.add(connection);
    this.changed();
  }

  /** @param {string} name @param {string} told @param {boolean} busy */
  tell(name, told, busy) {
    this.states.set(name, { busy, told });
    this.changed();
  }

  /** It is over. @param {string} name @param {string} told */
  end(name, told) {
    this.tell(name, told, false);
    say(told);
    this.done();
  }

  /** @param {string} name */
  async begin(name) {
    this.tell(name, "", true);
    try {
      const { syncRuns: { length }, reconnecting } = await api.reconnect(name);
      if (reconnecting) this.follow(name);
      else this.end(name, length === 0 ? "Reconnected: no sync had to be started." : `Reconnected: ${plural(length, "sync")} started.`);
    } catch (error) {
      this.end(name, `Not reconnected: ${/** @type {Error} */ (error).message}.`);
    }
  }

  /** Programs that somebody else has begun, or this page before it was loaded anew. @param {Connection[]} connections */
  see(connections) {
    for (const { name, reconnecting } of connections) if (reconnecting && !this.of(name).busy) this.follow(name);
  }

  /** @param {string} name @param {number} looks that have been taken */
  follow(name, looks = 0) {
    if (this.isClosed) return;
    if (looks === 0) this.tell(name, "The program that reconnects it has begun.", true);
    this.timers.set(name, setTimeout(() => void this.look(name, looks + 1), LOOKS_MS[Math.min(looks, LOOKS_MS.length - 1)]));
  }

  /** @param {string} name @param {number} looks */
  async look(name, looks) {
    let told;
    try {
      const connection = await api.getConnection(name);
      told = connection.reconnecting ? "" : endOf(connection);
    } catch (error) {
      const { status, message } = /** @type {Error & {status: number}} */ (error);
      // Where the server is away for a moment, the program is not.
      told = status === 0 || status === 429 || status >= 500 ? "" : `How the reconnection ended is not known: ${message}.`;
    }
    if (this.isClosed) return;
    if (told) this.end(name, told);
    else this.follow(name, looks);
  }
}

export class Connections {
  /** @param {{changed: () => void, may: (what: "read" | "write") => boolean}} page */
  constructor(page) {
    this.page = page;
    this.title = "Connections";
    /** @type {Connection[] | null} */
    this.connections = null;
    /** @type {Error | null} */
    this.error = null;
    this.reconnections = new Reconnections(page.changed, () => this.refresh());
    this.actions = {
      "reconnect": (/** @type {HTMLElement} */ e) => void this.reconnections.begin(e.dataset.name ?? ""),
      "again": () => void this.refresh(),
      "more": () => {
        this.atMost += CARDS;
        page.changed();
      },
    };
    this.words = ""; // that are searched for
    this.atMost = CARDS;
    this.inputs = {
      search: (/** @type {HTMLInputElement} */ field) => {
        this.words = field.value;
        this.atMost = CARDS;
        page.changed();
      },
    };
    this.refresh();
  }

  close() {
    this.reconnections.close();
  }

  /** @param {HTMLDetailsElement} details */
  opened(details) {
    this.reconnections.open(details);
  }

  async refresh() {
    try {
      const worst = (/** @type {Connection} */ c) => (c.status === "Active" ? 1 : 0);
      this.connections = (await api.listConnections()).sort((a, b) => worst(a) - worst(b));
      this.error = null;
      this.reconnections.see(this.connections);
    } catch (error) {
      this.error = /** @type {Error} */ (error);
    }
    this.page.changed();
  }

  /** @param {import("../api.js").SyncEvent} event */
  event(event) {
    if (event.status !== "in_progress") this.refresh();
  }

  render() {
    return h("main", { id: "main", tabindex: "-1" }, h("h1", { tabindex: "-1" }, "Connections"), this.content());
  }

  content() {
    if (!this.connections) return this.error ? failure(this.error, "The list of connections") : waiting(4, "connections");
    if (this.connections.length === 0) {
      return emptiness("link", "No connections", "Syncs that share an account at a provider name it with ", h("code", null, "Connection="), ".");
    }
    const may = this.page.may("write"), words = this.words.toLowerCase().split(/\s+/).filter(Boolean);
    const fitting = words.length === 0 ? this.connections : this.connections.filter((c) => words.every((word) => [c.name, c.status, ...c.connectors, ...c.accounts].some((text) => text.toLowerCase().includes(word))));
    const rest = fitting.length - this.atMost;
    return [
      this.error && h("p", { class: "notice bad", role: "alert" }, `What is shown may be old: ${this.error.message}.`),
      this.connections.length > SEARCHED && h("div", { class: "toolbar", role: "search" },
        h("p", { class: "sub", role: "status" }, words.length > 0 ? `${count(fitting.length)} of ${plural(this.connections.length, "connection")}` : plural(this.connections.length, "connection")),
        h("div", { class: "fields" }, h("label", { class: "search" }, icon("search"), h("span", { class: "unseen" }, "Search"),
          h("input", { type: "search", name: "search", placeholder: "Search", autocomplete: "off", spellcheck: "false" })))),
      fitting.length === 0 && emptiness("search", "No connection fits"),
      h("div", { class: "cards loose", "data-key": "cards" }, fitting.slice(0, this.atMost).map((c) => connectionCard(c, { may, ...this.reconnections.of(c.name) }))),
      rest > 0 && h("p", { class: "more-cards" }, button("more", `Show ${plural(Math.min(rest, CARDS), "more", "more")} of ${count(rest)}`)),
    ];
  }
}
