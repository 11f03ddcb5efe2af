// SPDX-License-Identifier: LGPL-2.1-or-later
// The page as a whole: who is signed in, which view is shown, what is going on around it. Each view says what shall be
// there (render) and what happens on what a person does (actions, submits, inputs, by their names in the elements).

import * as api from "./api.js";
import { serverNow } from "./clock.js";
import { h, morph, say } from "./dom.js";
import { Live } from "./live.js";
import { Model } from "./model.js";
import { button, icon, logo } from "./parts.js";
import { ADDRESS_OF_CONNECTIONS, ADDRESS_OF_SYNCS, placeOf } from "./router.js";
import { Connections } from "./views/connections.js";
import { Nowhere } from "./views/nowhere.js";
import { SignIn } from "./views/sign-in.js";
import { Sync } from "./views/sync.js";
import { Syncs } from "./views/syncs.js";

const ENDED = "Your session has ended. Sign in again.";
const ELSEWHERE = "You have signed out in another tab.";
const SIGNED_IN = "signed-in"; // kept: which session there is, for all tabs; what it may, only the server knows
const OVER = "over"; // is kept in its place where nobody has signed out

const DRAW_MS = 16; // what changes within is drawn together
const TICK_MS = 1000; // so often what tells of time is told anew
const POLL_MS = 5000; // so often one asks who is not told by a stream
const RESUME_FIRST_MS = 500, RESUME_MAX_MS = 8000; // so often one asks for one's session where there is no answer
const RELOAD_MS = 60000; // what may have been missed

/** As it is kept. @param {api.Session} session */
const markOf = ({ name, user, expiresAt }) => JSON.stringify([name, user, expiresAt]);

/** @typedef {import("./live.js").LiveState | "polling" | "none"} LiveMark */
/**
 * @typedef {{title: string, render: () => Element, actions: Record<string, (element: HTMLElement, event: Event) => void>,
 *   submits?: Record<string, (form: HTMLFormElement) => void>, inputs?: Record<string, (field: HTMLInputElement) => void>,
 *   keys?: (event: KeyboardEvent) => void, opened?: (element: HTMLDetailsElement) => void, shown?: (root: Element) => void,
 *   event?: (event: api.SyncEvent) => void, refresh?: () => void, close?: () => void}} View
 */

class Page {
  constructor() {
    this.root = /** @type {HTMLElement} */ (document.getElementById("page"));
    /** @type {api.Session | null} */
    this.session = null;
    /** @type {string | null} of the session that is shown, or asked for */
    this.mark = null;
    /** @type {View | null} */
    this.view = null;
    /** @type {Model | null} */
    this.model = null;
    /** @type {Live | null} */
    this.live = null;
    /** @type {LiveMark} */
    this.liveState = "none";
    this.pending = false;
    this.pressed = false; // a click is under way: what is under it stays
    this.timers = /** @type {number[]} */ ([]);
    this.told = ""; // why one is still signed in
    this.leaves = false; // a sign-out is under way: that the session is over is no news
    this.changed = () => this.schedule();
  }

  // ---- What it offers to views

  /** Whether the key may. @param {"read" | "write" | "admin"} what */
  may(what) {
    return this.session?.scopes.includes(`sync:${what}`) ?? false;
  }

  // ---- Beginning and end of a session

  async start() {
    this.listen();
    api.whenSignedOut(() => this.session && !this.leaves && this.signedOut(ENDED));
    this.mark = localStorage.getItem(SIGNED_IN);
    if (!this.mark || this.mark === OVER) {
      this.signedOut("");
      return;
    }
    this.view = new Nowhere("not-yet");
    this.draw();
    await this.resume(RESUME_FIRST_MS);
  }

  /** The session that there was; only a server that answers can say that it is over. @param {number} ms until it is asked again */
  async resume(ms) {
    try {
      const session = await api.session.get();
      this.signedIn(session);
    } catch (error) {
      const refusal = /** @type {api.Refusal} */ (error);
      if (refusal.status === 401) {
        this.signedOut(ENDED);
        return;
      }
      this.view = new Nowhere("no-server", `${refusal.message}.`);
      this.draw();
      this.timers = [setTimeout(() => this.resume(Math.min(2 * ms, RESUME_MAX_MS)), ms)];
    }
  }

  /** @param {api.Session} session */
  signedIn(session) {
    const wasSignIn = this.view instanceof SignIn;
    this.quit();
    this.session = session;
    this.mark = markOf(session);
    localStorage.setItem(SIGNED_IN, this.mark);
    this.model = new Model(this.changed);
    this.liveState = "none";
    if (this.may("read")) {
      this.load(this.model);
      this.follow(session, this.model);
    }
    const left = session.expiresAt ? Date.parse(session.expiresAt) - serverNow() : Infinity;
    this.timers.push(setInterval(this.changed, TICK_MS), setInterval(() => this.refresh(), RELOAD_MS));
    if (left < Infinity) this.timers.push(setTimeout(() => this.signedOut(ENDED), Math.max(0, left)));
    this.show(wasSignIn);
  }

  /** What was of a session is over. */
  quit() {
    this.live?.close();
    this.model?.close();
    this.view?.close?.();
    this.stopTimers();
    this.told = "";
    this.leaves = false;
    this.live = this.session = this.model = this.view = null;
  }

  /** All tabs have one session: another one's sign-in or sign-out is this one's, too. @param {string | null} mark */
  async hearOfTab(mark) {
    if (this.leaves) return;
    if (mark === null) {
      if (this.session) this.signedOut(ELSEWHERE);
    } else if (mark !== (this.session ? this.mark : OVER)) {
      await this.check();
    }
  }

  /** Whether the session is still the one that there is. */
  async check() {
    const before = this.session;
    try {
      const session = await api.session.get();
      if (this.session !== before) return;
      if (!before || markOf(session) !== this.mark) this.signedIn(session);
    } catch (error) {
      if (/** @type {api.Refusal} */ (error).status === 401 && before && this.session === before) this.signedOut(ENDED);
    }
  }

  /** @param {api.Session} session @param {Model} model */
  follow(session, model) {
    const path = session.user ? `api/v1/users/${session.user}/sync/stream` : "api/v1/sync/stream";
    this.timers.push(setInterval(() => document.hidden || this.live?.isOpen || this.poll(model), POLL_MS));
    if (!session.user && !this.may("admin")) {
      this.liveState = "polling";
      return;
    }
    this.liveState = "connecting";
    this.live = new Live(path, { event: (event) => this.onEvent(event), changed: () => this.refresh(), state: (state) => this.onLive(state) });
  }

  /** @param {string} reason */
  signedOut(reason) {
    if (reason === ENDED && localStorage.getItem(SIGNED_IN) === this.mark) localStorage.setItem(SIGNED_IN, OVER);
    this.mark = null;
    this.quit();
    this.view = new SignIn(this, reason);
    this.draw();
    this.root.querySelector("input")?.focus();
  }

  stopTimers() {
    this.timers.forEach(clearTimeout);
    this.timers = [];
  }

  /** A session that may still be open is not said to be over. */
  async signOut() {
    this.told = "";
    this.leaves = true;
    try {
      await api.session.end();
    } catch (error) {
      const refusal = /** @type {api.Refusal} */ (error);
      this.leaves = false;
      if (refusal.status !== 401) {
        this.told = `Not signed out: ${refusal.message}. The session is still open.`;
        this.changed();
        return;
      }
    }
    localStorage.removeItem(SIGNED_IN);
    this.signedOut("");
  }

  // ---- News

  /** @param {api.SyncEvent} event */
  onEvent(event) {
    this.model?.apply(event);
    this.view?.event?.(event);
  }

  /** @param {import("./live.js").LiveState} state */
  onLive(state) {
    this.sayLive(state);
    if (state === "lost" && !this.leaves) this.check();
    this.liveState = state;
    if (state === "live") this.refresh();
    this.changed();
  }

  /** @param {LiveMark} state */
  sayLive(state) {
    if (state === this.liveState) return;
    if (state === "lost") say("Not live: nothing is heard of the syncs");
    else if (this.liveState === "lost") say(state === "live" ? "Live again" : "The server answers again");
  }

  /** All syncs, and how far their runs are. @param {Model} model */
  async load(model) {
    await model.load();
    if (!model.error && this.session) await model.loadProgress(this.session.user).catch(() => {}); // of which events tell, too
  }

  /** What no stream tells of; without an answer until it is asked anew what is shown may be old. @param {Model} model */
  async poll(model) {
    if (model.loading) {
      this.polled("lost");
      return;
    }
    this.view?.refresh?.();
    await this.load(model);
    if (this.model === model) this.polled(model.error ? "lost" : "polling");
  }

  /** Where there is a stream, it alone says whether one is live. @param {"lost" | "polling"} state */
  polled(state) {
    if (this.live) return;
    this.sayLive(state);
    this.liveState = state;
    this.changed();
  }

  refresh() {
    if (!this.session || !this.may("read")) return;
    this.model?.load();
    this.view?.refresh?.();
  }

  // ---- Places

  /** @param {boolean} [isAnother] whether something else was there before */
  show(isAnother = this.view !== null) {
    if (!this.session || !this.model) return;
    const place = placeOf(location.hash);
    if (place.view === "sync" && this.view instanceof Sync && this.view.name === place.name) {
      this.view.turn(place.tab);
    } else if (place.view === "syncs" && this.view instanceof Syncs) {
      this.view.readAddress();
    } else {
      this.view?.close?.();
      this.view = !this.may("read") ? new Nowhere("no-scope")
        : place.view === "syncs" ? new Syncs(this, this.model)
        : place.view === "connections" ? new Connections(this)
        : place.view === "sync" ? new Sync(this, this.model, place.name, place.tab) : new Nowhere("no-place");
      this.draw();
      scrollTo(0, this.view instanceof Syncs ? this.view.scrolled() : 0);
      if (isAnother) this.focusHeading();
    }
    this.draw();
  }

  // ---- Drawing

  /** Soon; what changes together is drawn together. */
  schedule() {
    if (this.pending) return;
    this.pending = true;
    setTimeout(() => this.pressed || this.draw(), DRAW_MS);
  }

  draw() {
    this.pending = false;
    const view = this.view;
    if (!view) return;
    const title = `${view.title} · syncrun`;
    if (document.title !== title) document.title = title;
    const had = document.activeElement, isOurs = had !== this.root && this.root.contains(had);
    const around = /** @type {HTMLElement | null | undefined} */ (had?.parentElement?.closest("#main [tabindex='-1']"));
    morph(this.root, this.session ? h("div", { id: "page" }, this.head(), this.told && h("p", { class: "notice bad aside", role: "alert" }, this.told), view.render()) : h("div", { id: "page" }, view.render()));
    view.shown?.(this.root);
    this.markScrollers();
    if (!isOurs || !(had instanceof HTMLElement) || document.activeElement !== document.body) return;
    if (had.isConnected) had.focus({ preventScroll: true });
    else if (around?.isConnected) around.focus({ preventScroll: true });
    else this.focusHeading();
  }

  /** Keys reach what scrolls, and stop nowhere else. */
  markScrollers() {
    for (const element of this.root.querySelectorAll(".scroller")) {
      const scrolls = element.scrollWidth > element.clientWidth || element.scrollHeight > element.clientHeight + 1;
      if (scrolls && element.checkVisibility()) element.setAttribute("tabindex", "0");
      else element.removeAttribute("tabindex");
    }
  }

  /** Where one goes on from who came to another view, or whose element is gone. */
  focusHeading() {
    /** @type {HTMLElement | null} */ (this.root.querySelector("main h1"))?.focus({ preventScroll: true });
  }

  /** From the press of a button to its click nothing is drawn: what came meanwhile is, after it. @param {boolean} pressed */
  press(pressed) {
    if (this.pressed === pressed) return;
    this.pressed = pressed;
    if (!pressed && this.pending) setTimeout(() => this.draw());
  }

  head() {
    const place = placeOf(location.hash).view;
    /** @param {string} address @param {string} word @param {boolean} here */
    const to = (address, word, here) => h("a", { href: address, "aria-current": here ? "page" : null }, word);
    return h("header", { class: "top" },
      h("a", { class: "skip", href: "#main", "data-action": "skip" }, "Skip to content"),
      h("a", { class: "brand", href: ADDRESS_OF_SYNCS }, logo(), "syncrun"),
      this.may("read") && h("nav", { "aria-label": "Main" }, to(ADDRESS_OF_SYNCS, "Syncs", place === "syncs" || place === "sync"),
        to(ADDRESS_OF_CONNECTIONS, "Connections", place === "connections")),
      this.liveMark(),
      h("div", { class: "who" }, h("span", { class: "who-name", title: this.whoInWords() }, icon("key"), this.session?.name),
        button("sign-out", [icon("out"), h("span", null, "Sign out")], { class: "button plain", "aria-label": "Sign out" })));
  }

  whoInWords() {
    const session = /** @type {api.Session} */ (this.session);
    return `Signed in with the key “${session.name}”: ${session.scopes.join(", ")}${session.user ? `, of user ${session.user}` : ""}`;
  }

  liveMark() {
    if (this.liveState === "none") return null; // nothing is shown that could be old
    const [word, title] = {
      live: ["Live", "What happens is seen at once"],
      connecting: ["Connecting…", "The stream of events is being opened"],
      lost: ["Not live", "Nothing is heard of the syncs at the moment; what is shown may be old"],
      polling: ["Every 5 s", "This key is not told of events: it has neither sync:admin nor a user of its own"],
    }[this.liveState];
    return h("span", { class: `live is-${this.liveState}`, title }, h("span", { class: "dot", "aria-hidden": "true" }), word);
  }

  // ---- What people do

  listen() {
    addEventListener("storage", ({ key, newValue }) => key === SIGNED_IN && this.hearOfTab(newValue));
    addEventListener("hashchange", () => location.hash === "#main" || this.show());
    this.root.addEventListener("click", (event) => {
      const element = /** @type {Element} */ (event.target).closest("[data-action]");
      if (!(element instanceof HTMLElement) || element.getAttribute("aria-disabled") === "true") return;
      const action = /** @type {string} */ (element.dataset.action);
      if (action === "sign-out") this.signOut();
      else if (action === "skip") {
        event.preventDefault();
        document.getElementById("main")?.focus();
      } else this.view?.actions[action]?.(element, event);
    });
    this.root.addEventListener("submit", (event) => {
      const form = /** @type {HTMLFormElement} */ (event.target);
      event.preventDefault();
      this.view?.submits?.[form.dataset.submit ?? ""]?.(form);
    });
    this.root.addEventListener("input", (event) => {
      const field = /** @type {HTMLInputElement} */ (event.target);
      this.view?.inputs?.[field.name]?.(field);
    });
    addEventListener("resize", () => this.markScrollers());
    this.root.addEventListener("toggle", (event) => {
      this.markScrollers();
      if (event.target instanceof HTMLDetailsElement && event.target.open) this.view?.opened?.(event.target);
    }, true);
    addEventListener("keydown", (event) => this.view?.keys?.(event));
    this.root.addEventListener("pointerdown", () => this.press(true));
    for (const name of ["pointerup", "pointercancel", "dragend", "blur"]) addEventListener(name, () => this.press(false));
    addEventListener("pointermove", (event) => event.buttons || this.press(false)); // no end is told of what began on a scroll bar
  }
}

new Page().start();
