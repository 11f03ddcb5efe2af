// SPDX-License-Identifier: LGPL-2.1-or-later
// How a run gets on: what its events say, and how fast, which they do not say.

import { serverNow } from "./clock.js";

/** @typedef {import("./api.js").SyncEvent} SyncEvent */
/** @typedef {{time: number, stage: string, processed: number}} Sample */

const WINDOW_MS = 30000; // the rate is that of the last so many
const SAMPLES_MAX = 64;
const RATE_MIN_MS = 1000; // of less one says nothing

const QUIET_MS = 3000; // of silence are usual; more of it makes the rate less
const STALLED_MS = 30000;

const STAGES = {
  queued: "Queued", started: "Starting", fetching: "Fetching", processing: "Processing", saving: "Saving",
  completed: "Completed", failed: "Failed", cancelled: "Cancelled",
};

/** @param {string} stage */
export const stageWord = (stage) => STAGES[/** @type {keyof typeof STAGES} */ (stage)] ?? stage;

export class Progress {
  /** @param {string} runId */
  constructor(runId) {
    this.runId = runId;
    /** @type {SyncEvent | null} */
    this.event = null;
    /** @type {string | null} */
    this.startedAt = null;
    /** @type {Sample[]} */
    this.samples = [];
    this.isWhole = false; // its past is known, too
    this.heardAt = Date.now(); // by our clock, not the server's: when there was news, not when it was read
  }

  /** @param {SyncEvent} event */
  add(event) {
    if (this.event?.event_id === event.event_id) return; // read, and told of: no news
    const time = Date.parse(event.timestamp);
    if (!this.event || Date.parse(this.event.timestamp) <= time) {
      this.event = event;
      this.heardAt = Date.now() - Math.max(0, serverNow() - time);
    }
    if (event.stage !== "queued") this.startedAt ??= event.timestamp;
    if (event.items_processed !== null) this.sample({ time, stage: event.stage, processed: event.items_processed });
  }

  /** In the order of time, whichever is told of first: the stream's newest comes before the past. @param {Sample} sample */
  sample(sample) {
    const at = this.samples.findLastIndex(({ time }) => time <= sample.time) + 1;
    this.samples.splice(at, 0, sample);
    const newest = /** @type {{time: number}} */ (this.samples.at(-1)).time;
    while (this.samples.length > SAMPLES_MAX || (this.samples.length > 2 && newest - this.samples[0].time > WINDOW_MS)) this.samples.shift();
  }

  /** A run that has begun is not queued any more. */
  get stage() {
    const stage = this.event?.stage ?? "queued";
    return stage === "queued" && this.startedAt ? "started" : stage;
  }

  /** Milliseconds without news. */
  get silence() {
    return Date.now() - this.heardAt;
  }

  get isStalled() {
    return this.silence >= STALLED_MS;
  }

  /** 0 to 1; null where nobody can say. */
  get fraction() {
    const event = this.event;
    if (!event) return null;
    if (event.progress !== null) return event.progress;
    if (event.items_total && event.items_processed !== null) return Math.min(1, event.items_processed / event.items_total);
    return null;
  }

  /** Where what goes on now begins: what another stage did, or what was counted before it began anew, is no part of it. */
  get beginning() {
    let i = this.samples.length - 1;
    while (i > 0 && this.samples[i - 1].stage === this.samples[i].stage && this.samples[i - 1].processed <= this.samples[i].processed) i--;
    return this.samples[i];
  }

  /** Items a second; null while it cannot be known. */
  get rate() {
    const first = this.beginning, last = this.samples.at(-1);
    if (!first || !last || last.time - first.time < RATE_MIN_MS || last.processed <= first.processed) return null;
    return ((last.processed - first.processed) * 1000) / (last.time - first.time + Math.max(0, this.silence - QUIET_MS));
  }

  /** Milliseconds; null while it cannot be known. */
  get left() {
    const event = this.event, rate = this.rate;
    if (!event || !rate || event.items_processed === null || !event.items_total) return null;
    return (Math.max(0, event.items_total - event.items_processed) * 1000) / rate;
  }
}
