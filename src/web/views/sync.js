// SPDX-License-Identifier: LGPL-2.1-or-later
// One sync: what it needs, what it does now, what it did, and what a person may do with it.

import * as api from "../api.js";
import { h, say } from "../dom.js";
import { addressOfList } from "../filter.js";
import { button, emptiness, failure, icon, longText, pill, waiting, wordOfOutcome } from "../parts.js";
import { addressOfSync } from "../router.js";
import { feed } from "./activity.js";
import { connectionCard, Reconnections } from "./connections.js";
import { deliveryTable, isAwaited } from "./deliveries.js";
import { banner, charts, destinationCard, running, scheduleCard } from "./sync-parts.js";

/** @typedef {import("./sync-parts.js").Detail} Detail */
/** @typedef {import("./activity.js").More} More */
/** @typedef {"activity" | "deliveries"} Tab */

const DELIVERY_LOOKS_MS = [1000, 3000, 8000, 20000]; // after what may bring deliveries, of which no event tells
const DELIVERY_WATCH_MS = 1000, DELIVERY_IDLE_MS = 5000; // so often they are read that one looks at, while a run makes some and else
const RUN_LOOK_MS = 800; // so often the rows of a run that is under way are read anew

export class Sync {
  /**
   * @param {{changed: () => void, may: (what: "read" | "write" | "admin") => boolean, session: api.Session | null}} page
   * @param {import("../model.js").Model} model
   * @param {string} name @param {Tab} tab
   */
  constructor(page, model, name, tab) {
    this.page = page;
    this.model = model;
    this.name = name;
    this.tab = tab;
    this.title = name;
    /** @type {Detail | null} */
    this.detail = null;
    /** @type {(Error & {status?: number}) | null} */
    this.error = null;
    /** @type {api.Entry[] | Error | null} */
    this.entries = null;
    /** @type {api.Delivery[] | Error | null} */
    this.deliveries = null;
    /** @type {Map<string, More>} */
    this.more = new Map();
    /** @type {Map<string, import("./deliveries.js").Resending>} */
    this.resent = new Map();
    this.asked = 0; // counts requests, of which a later one may be answered first
    this.newest = { detail: 0, entries: 0, deliveries: 0 };
    this.busy = ""; // the action that is under way
    this.told = ""; // what came of the last one, where it failed
    this.cancelled = ""; // the run that was, which may take its time to end
    this.isClosed = false;
    this.lookTimer = this.deliveryTimer = 0;
    this.nextWatch = 0; // of performance.now()
    this.watch = setInterval(() => this.watchDeliveries(), DELIVERY_WATCH_MS);
    this.reconnections = new Reconnections(page.changed, () => this.refresh());
    this.actions = {
      "sync-now": () => void this.act("sync-now", () => api.syncNow(this.name), "Sync started"),
      "cancel": () => void this.act("cancel", () => this.cancel(this.activeRunId ?? "")),
      "full-resync": () => this.dialog?.showModal(),
      "dialog-no": () => this.dialog?.close(),
      "dialog-yes": () => {
        this.dialog?.close();
        this.act("full-resync", () => api.fullResync(this.detail?.id ?? ""), "Full resync started");
      },
      "reconnect": (/** @type {HTMLElement} */ e) => void this.reconnections.begin(e.dataset.name ?? ""),
      "resend": (/** @type {HTMLElement} */ e) => void this.resend(e.dataset.id ?? ""),
      "again": () => void this.refresh(),
    };
    this.refresh();
  }

  close() {
    this.isClosed = true;
    this.reconnections.close();
    clearTimeout(this.lookTimer);
    clearTimeout(this.deliveryTimer);
    clearInterval(this.watch);
  }

  get dialog() {
    return /** @type {HTMLDialogElement | null} */ (document.querySelector("dialog"));
  }

  /** What is known best: the list's knowledge is as new as the last event. */
  get activeRunId() {
    return this.model.connectors.get(this.name)?.activeRunId ?? this.detail?.activeRunId ?? null;
  }

  /** Whether a run can be started. */
  get isRunnable() {
    const known = this.model.connectors.get(this.name) ?? this.detail;
    return Boolean(known?.active && known.runnable);
  }

  /** Whether another run begins as soon as the active one has ended. */
  get isFollowed() {
    return Boolean(this.activeRunId && this.detail?.followUp);
  }

  /** @param {Tab} tab */
  turn(tab) {
    this.tab = tab;
    if (tab === "deliveries") this.readDeliveries();
  }

  // ---- What is read

  async refresh() {
    await Promise.all([this.readDetail(), this.readActivity(), this.readDeliveries()]);
  }

  /** Whether the answer to that request is newer than what is shown. @param {keyof typeof this.newest} what @param {number} asked */
  isNews(what, asked) {
    if (asked < this.newest[what]) return false;
    this.newest[what] = asked;
    return true;
  }

  async readDetail() {
    const asked = ++this.asked;
    try {
      const detail = /** @type {Detail} */ (await this.model.see(this.name));
      if (!this.isNews("detail", asked)) return;
      this.detail = detail;
      this.error = null;
      this.reconnections.see(detail.connections);
      const run = this.activeRunId;
      if (run && !this.model.progressOf(run).isWhole) await this.readProgress(run);
    } catch (error) {
      if (!this.isNews("detail", asked)) return;
      this.error = /** @type {Error} */ (error);
    }
    this.page.changed();
  }

  /** How a run stands that began before one came here. @param {string} id */
  async readProgress(id) {
    const run = await api.getRun(id), progress = this.model.progressOf(id);
    if (progress.isWhole) return;
    progress.isWhole = true;
    progress.startedAt = run.startedAt;
    for (const event of run.events) progress.add(event);
  }

  async readActivity() {
    const asked = ++this.asked;
    try {
      const entries = await api.listActivity(this.name);
      if (!this.isNews("entries", asked)) return;
      this.entries = entries;
      for (const { id, outcome } of entries) if (outcome) this.complete(id);
    } catch (error) {
      this.entries ??= /** @type {Error} */ (error);
    }
    this.page.changed();
  }

  /** Whether they could be read. */
  async readDeliveries() {
    const asked = ++this.asked;
    let isRead = false;
    try {
      const deliveries = await api.listDeliveries(this.name);
      isRead = true;
      if (!this.isNews("deliveries", asked)) return isRead;
      this.deliveries = deliveries;
      for (const [id, { after }] of this.resent) if (after && !isAwaited(id, deliveries, after, this.isFollowed)) this.resent.delete(id);
    } catch (error) {
      this.deliveries ??= /** @type {Error} */ (error);
    }
    this.page.changed();
    return isRead;
  }

  async watchDeliveries() {
    if (this.tab !== "deliveries" || document.hidden || performance.now() < this.nextWatch) return;
    this.nextWatch = Infinity;
    const isRead = await this.readDeliveries();
    this.nextWatch = isRead && this.activeRunId ? 0 : performance.now() + DELIVERY_IDLE_MS;
  }

  /** Again and again for a while, and while a run may bring it; what has not come by then is no longer said to be on its way. @param {number} [look] */
  awaitDeliveries(look = 0) {
    clearTimeout(this.deliveryTimer);
    this.deliveryTimer = setTimeout(async () => {
      await this.readDeliveries();
      if (this.isClosed) return;
      if (look + 1 < DELIVERY_LOOKS_MS.length) {
        this.awaitDeliveries(look + 1);
      } else if (this.activeRunId && [...this.resent.values()].some(({ after }) => after)) {
        this.awaitDeliveries(look);
      } else {
        for (const [id, { after }] of this.resent) if (after) this.resent.delete(id);
        this.page.changed();
      }
    }, DELIVERY_LOOKS_MS[look]);
  }

  /** @param {HTMLDetailsElement} details what was opened */
  opened(details) {
    const { more: what, run: id } = details.dataset;
    this.reconnections.open(details);
    if (id && (what === "events" || what === "log")) this.readMore(id, what);
  }

  /** What is known stays until the news is there. @param {string} id @param {"events" | "log"} what */
  async readMore(id, what) {
    const known = this.more.get(id) ?? { ended: this.entries instanceof Array && this.entries.some((entry) => entry.id === id && entry.outcome) };
    this.more.set(id, known);
    known[what] ??= null;
    if (what === "events") known.news = [];
    this.page.changed();
    try {
      if (what === "events") known.events = newestFirst((await api.getRun(id)).events, known.news ?? []);
      else known.log = await api.getLog(id);
    } catch (error) {
      known[what] ??= /** @type {Error} */ (error);
    }
    this.page.changed();
  }

  /** What was opened while the run was under way is read once more at its end. @param {string} id */
  complete(id) {
    const known = this.more.get(id);
    if (!known || known.ended) return;
    known.ended = true;
    if (known.events !== undefined) this.readMore(id, "events");
    if (known.log !== undefined) this.readMore(id, "log");
  }

  /** @param {api.SyncEvent} event */
  event(event) {
    if (event.metadata.connector !== this.name) return;
    const known = this.more.get(event.run_id);
    known?.news?.push(event);
    if (known?.events instanceof Array) known.events = newestFirst(known.events.toReversed(), [event]);
    if (event.status === "in_progress") {
      if (this.entries instanceof Array && !this.entries.some((entry) => entry.id === event.run_id)) this.readActivity();
      else this.lookTimer ||= setTimeout(() => {
        this.lookTimer = 0;
        this.readActivity();
      }, RUN_LOOK_MS);
    } else {
      say(`Run of ${this.name}: ${wordOfOutcome(event.metadata.outcome ?? OUTCOME_OF[event.status] ?? event.status)}`);
      this.told = "";
      this.refresh();
      this.awaitDeliveries();
    }
  }

  // ---- What is done

  /** @param {string} what @param {() => Promise<any>} call @param {string} [done] what is said; nothing where an event says it */
  async act(what, call, done) {
    this.busy = what;
    this.told = "";
    this.page.changed();
    try {
      await call();
      if (done) say(done);
      await this.readDetail();
      this.readActivity();
    } catch (error) {
      this.told = `${/** @type {Error} */ (error).message}.`;
    }
    this.busy = "";
    this.page.changed();
  }

  /** @param {string} id of a run */
  async cancel(id) {
    await api.cancelRun(id);
    this.cancelled = id;
  }

  /** @param {string} id */
  async resend(id) {
    const after = new Set(this.deliveries instanceof Array ? this.deliveries.map((d) => d.id) : []);
    this.resent.set(id, { told: "Sending…", failed: false });
    this.page.changed();
    try {
      await api.resendDelivery(this.name, id);
      this.resent.set(id, { told: "On its way", failed: false, after });
      await this.readDetail();
      say(this.isFollowed ? "The delivery is sent after this run" : "The delivery is on its way");
      this.awaitDeliveries();
    } catch (error) {
      this.resent.set(id, { told: `Not sent: ${/** @type {Error} */ (error).message}.`, failed: true });
    }
    this.page.changed();
  }

  // ---- What there is

  render() {
    return h("main", { id: "main", class: "sync", tabindex: "-1" },
      h("nav", { class: "crumbs", "aria-label": "Way back" }, h("a", { href: addressOfList() }, icon("back"), "Syncs")),
      this.content());
  }

  content() {
    const c = this.detail;
    if (!c) {
      if (this.error?.status === 404) return [h("h1", { class: "unseen", tabindex: "-1" }, this.name), emptiness("search", "There is no such sync", `“${this.name}” is not there, or this key may not see it.`)];
      return [h("h1", { tabindex: "-1" }, this.name), this.error ? failure(this.error, "This sync") : waiting(6, this.name)];
    }
    const may = this.page.may("write"), run = this.activeRunId, newest = this.entries instanceof Array ? this.entries[0] : null;
    const known = /** @type {Detail} */ ({ ...c, ...this.model.connectors.get(this.name) });
    return [
      this.heading(known, may, run),
      this.error && h("p", { class: "notice bad", role: "alert" }, `What is shown may be old: ${this.error.message}.`),
      banner(known, may, this.reconnections),
      run && running(this.model.progressOf(run), newest?.id === run ? newest.startedAt : null),
      h("div", { class: "cards", "data-key": "cards" },
        c.connections.map((connection) => connectionCard(connection, { may, here: this.name, said: Boolean(known.attention), ...this.reconnections.of(connection.name) })),
        destinationCard(c), scheduleCard(known, run)),
      this.entries instanceof Array && charts(known.outcomes ?? [], this.entries),
      this.tabs(),
      h("div", { "data-key": this.tab }, this.tab === "deliveries" ? this.deliveryTab(may) : this.activityTab()),
      may && this.confirmation(),
    ];
  }

  /** @param {Detail} c @param {boolean} may @param {string | null} run */
  heading(c, may, run) {
    const off = !c.active || !c.runnable, why = !c.active ? "This sync is not active" : c.loadState !== "loaded" ? "The file of this sync cannot be used" : off ? "The runs of this sync are not started here" : run ? "This sync is running" : null;
    return h("div", { class: "heading", "data-key": "heading" },
      h("div", null, h("h1", { tabindex: "-1" }, c.name, " ", pill(c.status)), c.description && longText(c.description, "description", "lead")),
      may && h("div", { class: "acts" },
        run && button("cancel", this.busy === "cancel" || this.cancelled === run ? "Cancelling…" : "Cancel run", { disabled: Boolean(this.busy) || this.cancelled === run, class: "button danger" }),
        button("full-resync", "Full resync…", { disabled: Boolean(off || run || this.busy), title: why }),
        button("sync-now", [icon("sync"), this.busy === "sync-now" ? "Starting…" : "Sync now"],
          { disabled: Boolean(off || run || this.busy), title: why, class: "button primary" })),
      h("p", { class: "told wrong", role: "alert" }, this.told));
  }

  tabs() {
    const sends = this.detail?.destinationType === "webhook" || (this.deliveries instanceof Array && this.deliveries.length > 0);
    if (!sends && this.tab === "activity") return h("h2", { class: "section", "data-key": "tabs" }, "Activity");
    /** @param {Tab} tab @param {string} word */
    const to = (tab, word) => h("a", { href: addressOfSync(this.name, tab), "aria-current": this.tab === tab ? "page" : null }, word);
    return h("nav", { class: "tabs", "data-key": "tabs", "aria-label": "Of this sync" }, to("activity", "Activity"), to("deliveries", "Deliveries"));
  }

  activityTab() {
    if (!this.entries) return waiting(4, "activity");
    return this.entries instanceof Array ? feed(this.entries, this.more, this.model.connectors.get(this.name)?.outcomes ?? this.detail?.outcomes ?? []) : failure(this.entries, "The activity");
  }

  /** @param {boolean} may */
  deliveryTab(may) {
    if (!this.deliveries) return waiting(4, "deliveries");
    return this.deliveries instanceof Array ? deliveryTable(this.deliveries, this.mayResend(may), this.resent, this.isFollowed) : failure(this.deliveries, "The deliveries");
  }

  /** News of runs are resent by who may manage webhooks, records by a run. @param {boolean} may @returns {Record<api.Delivery["kind"], boolean>} */
  mayResend(may) {
    return { records: may && this.isRunnable, lifecycle: may && this.page.may("admin") && !this.page.session?.user };
  }

  confirmation() {
    return h("dialog", { "data-key": "dialog", "aria-labelledby": "dialog-title", "aria-describedby": "dialog-text" },
      h("h2", { id: "dialog-title" }, `Fetch everything of ${this.name} again?`),
      h("p", { id: "dialog-text" }, "A full resync forgets how far the sync has come and reads every item anew. What is known is updated, and not doubled. It may take long, and count against the provider's limits."),
      h("div", { class: "dialog-acts" }, button("dialog-no", "Keep as it is", { autofocus: true }), button("dialog-yes", "Full resync", { class: "button danger solid" })));
  }
}

/** Of both, each once. @param {api.SyncEvent[]} some oldest first @param {api.SyncEvent[]} others oldest first, and later where the time is the same */
function newestFirst(some, others) {
  const byId = new Map([...some, ...others].map((event) => [event.event_id, event]));
  return [...byId.values()].sort((a, b) => Date.parse(a.timestamp) - Date.parse(b.timestamp)).reverse();
}

/** @type {Record<string, string>} events' words for outcomes */
const OUTCOME_OF = { success: "succeeded", partial: "partial", failed: "failed", cancelled: "cancelled", skipped: "skipped" };
