// SPDX-License-Identifier: LGPL-2.1-or-later
// What is known of all syncs: read once, then kept up by events. What it looks like is the views' business.

import * as api from "./api.js";
import { Progress } from "./progress.js";

/** @typedef {import("./api.js").Connector} Connector */
/** @typedef {import("./api.js").SyncEvent} SyncEvent */

const FIRST_PAGE = 60; // with their strips; those of the others are asked for when they are seen
const PAGE = 200;
const AT_ONCE = 4; // requests about single connectors
const PAUSE_FIRST_MS = 1000, PAUSE_MAX_MS = 30000; // after one that failed

export class Model {
  /** @param {() => void} changed */
  constructor(changed) {
    this.changed = changed;
    /** @type {Map<string, Connector>} */
    this.connectors = new Map();
    /** @type {Map<string, Progress>} by run */
    this.progress = new Map();
    /** @type {"none" | "some" | "all"} of the connectors that are known */
    this.loaded = "none";
    /** @type {Error | null} */
    this.error = null;
    this.version = 0; // of the connectors
    this.clock = 0; // counts requests and news
    /** @type {Map<string, number>} by connector, when it was last heard of, or asked for with success */
    this.asOf = new Map();
    /** @type {Set<string>} */
    this.wanted = new Set();
    this.underWay = 0;
    this.pauseMs = this.pauseTimer = 0;
    this.loading = false;
    this.again = false;
  }

  close() {
    clearTimeout(this.pauseTimer);
    this.pauseTimer = -1; // nothing is asked for any more
  }

  note() {
    this.version++;
    this.changed();
  }

  /** Reads all, page by page: what is there is seen at once. Asked for meanwhile, it begins anew. */
  async load() {
    this.again = this.loading;
    if (this.loading) return;
    this.loading = true;
    const seen = new Set(), begun = ++this.clock;
    try {
      let cursor = null;
      do {
        const first = seen.size === 0, asked = ++this.clock;
        const page = await api.listConnectors({ cursor, outcomes: first ? 30 : 0, limit: first ? FIRST_PAGE : PAGE });
        for (const connector of page.connectors) {
          seen.add(connector.name);
          this.put(connector, asked);
        }
        cursor = page.nextCursor;
        this.error = null;
        if (this.loaded === "none") this.loaded = "some";
        this.note();
      } while (cursor);
      for (const name of [...this.connectors.keys()]) if (!seen.has(name)) this.remove(name, begun);
      this.loaded = "all";
    } catch (error) {
      this.error = /** @type {Error} */ (error);
    }
    this.loading = false;
    this.note();
    if (this.again && !this.error) await this.load();
  }

  /** Whether an answer to what was asked then is the newest that is known. @param {string} name @param {number} asked */
  isNews(name, asked) {
    return asked >= (this.asOf.get(name) ?? 0);
  }

  /** @param {string} name @param {number} asked */
  remove(name, asked) {
    if (!this.isNews(name, asked)) return;
    this.connectors.delete(name);
    this.asOf.delete(name);
  }

  /**
   * A strip that is known is kept where the news has none, while the last run is the same. An answer that something else
   * has overtaken is no news: where that was an event, what it asked for is still to come.
   * @param {Connector} connector @param {number} asked
   */
  put(connector, asked) {
    if (!this.isNews(connector.name, asked)) return;
    this.asOf.set(connector.name, asked);
    const known = this.connectors.get(connector.name);
    if (!connector.outcomes && known?.outcomes && known.lastRun?.id === connector.lastRun?.id) connector.outcomes = known.outcomes;
    this.connectors.set(connector.name, connector);
    for (const id of this.progress.keys()) {
      if (this.progress.get(id)?.event?.metadata.connector === connector.name && id !== connector.activeRunId) this.progress.delete(id);
    }
  }

  /** Something has happened to it: no answer to what was asked before counts any more. @param {string} name */
  hear(name) {
    this.asOf.set(name, ++this.clock);
    this.want(name);
  }

  /** Asks for a connector anew, with its strip. @param {string} name */
  want(name) {
    this.wanted.add(name);
    this.work();
  }

  work() {
    for (const name of this.wanted) {
      if (this.pauseTimer || this.underWay === AT_ONCE) return;
      this.wanted.delete(name);
      this.underWay++;
      const asked = ++this.clock;
      api.getConnector(name).then(
        (connector) => {
          this.pauseMs = 0;
          this.put(connector, asked);
        },
        (error) => (error.status === 404 ? this.remove(name, asked) : this.putOff(name)),
      ).finally(() => {
        this.underWay--;
        this.note();
        this.work();
      });
    }
  }

  /** Where one cannot be had, another cannot either: all are asked for later, and ever later. @param {string} name */
  putOff(name) {
    this.wanted.add(name);
    if (this.pauseTimer) return;
    this.pauseMs = Math.min(2 * this.pauseMs || PAUSE_FIRST_MS, PAUSE_MAX_MS);
    this.pauseTimer = setTimeout(() => {
      this.pauseTimer = 0;
      this.work();
    }, this.pauseMs);
  }

  /** @param {SyncEvent} event */
  apply(event) {
    const name = event.metadata.connector, connector = this.connectors.get(name);
    if (typeof name !== "string") return; // of a sync that runs elsewhere
    if (event.status !== "in_progress") {
      this.progress.delete(event.run_id);
      this.hear(name);
    } else if (!connector) {
      this.hear(name);
    } else if (connector.activeRunId === event.run_id || !connector.lastRun || event.run_id > connector.lastRun.id) { // ids grow with time
      const begins = connector.activeRunId !== event.run_id;
      if (begins) this.hear(name);
      connector.activeRunId = event.run_id;
      if (connector.status === "Active") connector.status = "Syncing";
      this.progressOf(event.run_id).add(event);
      if (begins) this.note();
      else this.changed(); // how far a run is changes neither order nor numbers
    } else if (event.run_id !== connector.lastRun.id) { // long over, or begun after the clock was set back: that is to be asked
      this.progressOf(event.run_id).add(event);
      this.want(name);
    }
  }

  /** How the runs stand, for who is not told of it. @param {string | null} user */
  async loadProgress(user) {
    const names = new Map([...this.connectors.values()].map((c) => [c.activeRunId, c.name]));
    for (const run of await api.listRunning(user)) {
      const connector = names.get(run.run_id);
      if (!connector) continue; // it has ended, or runs elsewhere
      const progress = this.progressOf(run.run_id);
      progress.startedAt ??= run.started_at;
      progress.add({ ...run, event_id: `${run.run_id} ${run.last_update}`, timestamp: run.last_update, metadata: { connector } });
    }
    this.changed();
  }

  /** @param {string} runId */
  progressOf(runId) {
    let progress = this.progress.get(runId);
    if (!progress) this.progress.set(runId, (progress = new Progress(runId)));
    return progress;
  }

  /** Until all that was asked for is there. For the views' first sight of a connector. @param {string} name */
  async see(name) {
    const asked = ++this.clock, connector = await api.getConnector(name);
    this.put(connector, asked);
    this.note();
    return connector;
  }
}
