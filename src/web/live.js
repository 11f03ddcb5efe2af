// SPDX-License-Identifier: LGPL-2.1-or-later
// The one stream of the page: events as they are committed, each once, over every interruption. What an event means is
// not known here. We connect anew ourselves, after the last event that was seen: EventSource gives up where the server
// refuses for a moment, and after a machine has slept it may wait on a connection that is long gone.

/** @typedef {import("./api.js").SyncEvent} SyncEvent */
/** @typedef {"connecting" | "live" | "lost"} LiveState */

const RETRY_FIRST_MS = 250, RETRY_MAX_MS = 8000;
const WATCH_MS = 5000; // so often we look whether the machine has slept
const SLEPT_MS = 20000; // since the last look: it has
const SILENT_MS = 35000; // without a heartbeat, of which there is one every 15 seconds: the connection is dead
const HIDDEN_MS = 15000; // a page that nobody sees lets go: a browser has six connections to a server, for all its tabs

export class Live {
  /**
   * @param {string} path of the stream
   * @param {{event: (event: SyncEvent) => void, changed: () => void, state: (state: LiveState) => void}} callbacks
   *   changed: syncs have come, gone, or have other settings
   */
  constructor(path, callbacks) {
    this.path = path;
    this.callbacks = callbacks;
    /** @type {LiveState} */
    this.state = "connecting";
    this.lastId = "";
    this.retryMs = RETRY_FIRST_MS;
    this.lastLook = this.lastHeard = Date.now();
    this.hiddenSince = 0;
    /** @type {EventSource | null} */
    this.source = null;
    this.timer = 0;
    this.watch = setInterval(() => this.look(), WATCH_MS);
    this.wake = () => this.look(true);
    // A page that one has left may be kept, to come back to, and its connections with it.
    this.leave = () => this.letGo();
    document.addEventListener("visibilitychange", this.wake);
    addEventListener("online", this.wake);
    addEventListener("pageshow", this.wake);
    addEventListener("pagehide", this.leave);
    this.open();
  }

  /** @param {LiveState} state */
  become(state) {
    if (this.state === state) return;
    this.state = state;
    this.callbacks.state(state);
  }

  open() {
    const query = this.lastId ? `last_event_id=${this.lastId}` : "replay=1";
    const source = new EventSource(`${this.path}?${query}&heartbeat=event`);
    this.letGo();
    this.source = source;
    this.hear();
    source.onopen = () => {
      this.hear();
      this.retryMs = RETRY_FIRST_MS;
      this.become("live");
    };
    source.onerror = () => this.retry();
    source.addEventListener("heartbeat", ({ data }) => {
      this.hear();
      this.become(JSON.parse(data).available ? "live" : "lost"); // the server is there, whether or not it hears of anything
    });
    source.addEventListener("changed", () => this.callbacks.changed());
    source.addEventListener("sync.status", (message) => {
      this.hear();
      this.lastId = message.lastEventId || this.lastId;
      this.callbacks.event(JSON.parse(message.data));
    });
  }

  get isOpen() {
    return this.source?.readyState === EventSource.OPEN;
  }

  hear() {
    this.lastHeard = Date.now();
  }

  letGo() {
    clearTimeout(this.timer);
    this.timer = 0;
    this.source?.close();
    this.source = null;
  }

  retry() {
    this.letGo();
    this.become("lost");
    this.timer = setTimeout(() => this.open(), this.retryMs);
    this.retryMs = Math.min(this.retryMs * 2, RETRY_MAX_MS);
  }

  /** Whether the connection is still worth anything. @param {boolean} woken by the browser */
  look(woken = false) {
    const now = Date.now(), slept = now - this.lastLook > SLEPT_MS;
    this.lastLook = now;
    if (document.hidden) {
      this.hiddenSince ||= now;
      if (this.source && now - this.hiddenSince > HIDDEN_MS) {
        this.letGo();
        this.become("lost");
      }
      return;
    }
    this.hiddenSince = 0;
    const isDead = slept || now - this.lastHeard > SILENT_MS;
    if (isDead) this.become("lost");
    if (isDead || (woken && this.state !== "live") || (!this.source && !this.timer)) {
      this.retryMs = RETRY_FIRST_MS;
      this.open();
    }
  }

  close() {
    this.letGo();
    clearInterval(this.watch);
    document.removeEventListener("visibilitychange", this.wake);
    removeEventListener("online", this.wake);
    removeEventListener("pageshow", this.wake);
    removeEventListener("pagehide", this.leave);
  }
}
