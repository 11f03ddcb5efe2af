// SPDX-License-Identifier: LGPL-2.1-or-later
// All syncs, one row each: how it is, when it ran and will run, and how its last runs went. Thousands of rows stay quick,
// since only those that can be seen are in the page, and only their strips are asked for.

import { serverNow } from "../clock.js";
import { h, say } from "../dom.js";
import { brief, plural } from "../format.js";
import { Filter, ORDERS, STATUSES } from "../filter.js";
import { button, emptiness, failure, icon, notRunnable, outcomeMark, pill, waiting, when } from "../parts.js";
import { stageWord } from "../progress.js";
import { addressOfSync } from "../router.js";
import { strip } from "../strip.js";
import { bringIntoSight, rowsInSight } from "../virtual.js";

/** @typedef {import("../api.js").Connector} Connector */

const STRIPS_AFTER_MS = 120; // of standing still
const SAY_AFTER_MS = 700;
const COLUMNS = ["Sync", "Provider", "User", "Status", "Last run", "Last 30 runs", "Next run"];

/** Where one was in the list when one left it. */
let lastScroll = 0;

export class Syncs {
  /** @param {{changed: () => void}} page @param {import("../model.js").Model} model */
  constructor(page, model) {
    this.page = page;
    this.model = model;
    this.title = "Syncs";
    this.filter = new Filter();
    this.top = 0; // of the list in the window, when last looked
    this.height = 60; // of a row
    /** @type {Connector[]} */
    this.rows = [];
    /** @type {Connector[]} what the filter lets through but for the status */
    this.narrowed = [];
    /** @type {string[]} */
    this.providers = [];
    /** @type {Map<string, number>} by status, "" for all */
    this.counts = new Map();
    this.rowsOf = "";
    this.range = { first: 0, end: 0 };
    this.nextFocus = -1; // the row that gets the focus when it is drawn
    this.stripTimer = this.sayTimer = 0;
    this.onScroll = () => this.scroll();
    addEventListener("scroll", this.onScroll, { passive: true });
    addEventListener("resize", this.onScroll);
    this.actions = {
      "status": (/** @type {HTMLElement} */ e) => this.choose(() => { this.filter.status = e.dataset.status ?? ""; }),
      "clear": () => this.choose(() => this.filter.clear(), { fields: true }),
      "again": () => void this.model.load(),
    };
    this.inputs = {
      search: (/** @type {HTMLInputElement} */ f) => this.choose(() => { this.filter.words = f.value; }, { isStep: false }),
      provider: (/** @type {HTMLInputElement} */ f) => this.choose(() => { this.filter.provider = f.value; }),
      order: (/** @type {HTMLInputElement} */ f) => this.choose(() => { this.filter.order = f.value; }),
    };
  }

  close() {
    lastScroll = scrollY;
    removeEventListener("scroll", this.onScroll);
    removeEventListener("resize", this.onScroll);
    clearTimeout(this.stripTimer);
    clearTimeout(this.sayTimer);
  }

  scrolled() {
    return lastScroll;
  }

  // ---- The filter

  /** @param {() => void} change @param {{fields?: boolean, isStep?: boolean}} [how] fields: those of the form shall show it, too */
  choose(change, { fields = false, isStep = true } = {}) {
    change();
    this.filter.keep(isStep);
    if (fields) this.showFilter();
    this.tell();
  }

  /** One went back, forward, or to an address that says it otherwise. */
  readAddress() {
    if (!this.filter.read()) return;
    this.showFilter();
    this.tell();
  }

  tell() {
    this.page.changed();
    clearTimeout(this.sayTimer);
    this.sayTimer = setTimeout(() => say(`${plural(this.rows.length, "sync", "syncs")} shown`), SAY_AFTER_MS);
  }

  showFilter() {
    for (const [name, value] of [["search", this.filter.words], ["provider", this.filter.provider], ["order", this.filter.order]]) {
      const field = /** @type {HTMLInputElement | null} */ (document.querySelector(`main [name=${name}]`));
      if (field) field.value = value;
    }
  }

  /** Worked out anew only when something has changed. */
  find() {
    const { words, status, provider, order } = this.filter, of = JSON.stringify([this.model.version, words, status, provider, order]);
    if (of === this.rowsOf) return;
    this.rowsOf = of;
    this.narrowed = this.filter.narrow([...this.model.connectors.values()]);
    this.rows = this.filter.sorted(this.narrowed.filter((c) => !status || c.status === status));
    this.providers = [...new Set([...this.model.connectors.values()].map((c) => c.provider))].sort();
    this.counts = new Map([["", this.narrowed.length]]);
    for (const c of this.narrowed) this.counts.set(c.status, (this.counts.get(c.status) ?? 0) + 1);
  }

  // ---- What there is

  render() {
    this.find();
    return h("main", { id: "main", class: "syncs", tabindex: "-1" }, h("h1", { tabindex: "-1" }, "Syncs"), this.content());
  }

  content() {
    const { model } = this;
    if (model.loaded === "none") return model.error ? failure(model.error, "The list of syncs") : waiting(8, "syncs");
    if (model.connectors.size === 0) {
      return emptiness("sync", "No syncs yet", "A sync is a file: ", h("code", null, "/etc/syncrun/connectors/NAME.connector"),
        ". It appears here as soon as it is there.");
    }
    return [
      model.error && h("p", { class: "notice bad", role: "alert" }, `The list may be old: ${model.error.message}. `, button("again", "Try again", { class: "button plain" })),
      this.toolbar(),
      this.rows.length ? this.table() : emptiness("search", "No sync fits", button("clear", "Show all syncs")),
    ];
  }

  toolbar() {
    const { filter, providers } = this;
    /** @param {string} status */
    const chip = (status) => h("button", { type: "button", class: "chip", "data-action": "status", "data-status": status, "aria-pressed": String(filter.status === status) },
      status || "All", " ", h("span", { class: "n" }, brief(this.counts.get(status) ?? 0)));
    return h("div", { class: "toolbar", role: "search" },
      h("div", { class: "chips", role: "group", "aria-label": "Status" }, chip(""), STATUSES.map(chip)),
      h("div", { class: "fields" },
        h("label", { class: "search" }, icon("search"), h("span", { class: "unseen" }, "Search"),
          h("input", { type: "search", name: "search", placeholder: "Search", autocomplete: "off", spellcheck: "false", value: filter.words })),
        providers.length > 1 && this.choice("provider", "Provider", [["", "All providers"], ...providers.map((p) => [p, p])], filter.provider),
        this.choice("order", "Order", Object.entries(ORDERS).map(([name, { word }]) => [name, word]), filter.order)));
  }

  /** @param {string} name @param {string} label @param {string[][]} choices @param {string} chosen */
  choice(name, label, choices, chosen) {
    return h("label", { class: "choice" }, h("span", { class: "unseen" }, label),
      h("select", { name }, choices.map(([value, word]) => h("option", { value, selected: value === chosen }, word))), icon("down"));
  }

  table() {
    const { first, end } = (this.range = rowsInSight(this.rows.length, this.height, this.top));
    return h("div", { class: "table", role: "table", "aria-label": "Syncs", "aria-rowcount": this.rows.length + 1 },
      h("div", { class: "row head", role: "row", "aria-rowindex": 1 }, COLUMNS.map((word) => h("div", { role: "columnheader" }, word))),
      h("div", { class: "rows", role: "rowgroup" },
        h("div", { class: "space", "aria-hidden": "true", "data-key": " before" }),
        this.rows.slice(first, end).map((connector, i) => this.row(connector, first + i)),
        h("div", { class: "space", "aria-hidden": "true", "data-key": " behind" })));
  }

  /** @param {Connector} c @param {number} i */
  row(c, i) {
    return h("div", { class: "row", role: "row", "aria-rowindex": i + 2, "data-key": c.name },
      h("div", { role: "cell", class: "cell-name" }, h("a", { href: addressOfSync(c.name), "data-row": i }, c.name),
        c.description && h("span", { class: "sub", title: c.description }, c.description)),
      h("div", { role: "cell", class: "cell-provider" }, c.provider),
      h("div", { role: "cell", class: "cell-user" }, c.userId ? h("span", { class: "id", title: c.userId }, c.userId.slice(0, 8)) : h("span", { class: "quiet" }, "–")),
      h("div", { role: "cell", class: "cell-status" }, pill(c.status)),
      h("div", { role: "cell", class: "cell-last" }, this.lastRun(c)),
      h("div", { role: "cell", class: "cell-strip" }, strip(c.outcomes)),
      h("div", { role: "cell", class: "cell-next" }, this.nextRun(c)));
  }

  /** @param {Connector} c */
  lastRun(c) {
    const progress = c.activeRunId ? this.model.progress.get(c.activeRunId) : null, fraction = progress?.fraction;
    if (progress) return [h("span", { class: "mark busy" }, icon("sync"), stageWord(progress.stage)), fraction !== null && fraction !== undefined && h("span", { class: "sub" }, `${Math.floor(fraction * 100)} %`)];
    if (c.activeRunId) return h("span", { class: "mark busy" }, icon("sync"), "Running");
    if (!c.lastRun) return h("span", { class: "quiet" }, "Never");
    return [outcomeMark(c.lastRun.outcome), h("span", { class: "sub" }, when(c.lastRun.finishedAt))];
  }

  /** @param {Connector} c */
  nextRun(c) {
    if (!c.active) return h("span", { class: "quiet" }, "Off");
    if (!c.runnable) return h("span", { class: "quiet" }, notRunnable(c));
    if (!c.nextRunAt) return h("span", { class: "quiet" }, c.activeRunId ? "Known after this run" : "On demand"); // of one that runs it is not said whether there will be one
    return Date.parse(c.nextRunAt) <= serverNow() ? "Due" : when(c.nextRunAt);
  }

  // ---- Rows that come and go

  /** @param {Element} root */
  shown(root) {
    const rows = root.querySelector(".rows"), [before, behind] = /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll(".rows > .space"));
    if (!rows) return;
    this.giveFocus(rows, this.nextFocus);
    this.nextFocus = -1;
    const height = rows.children[1]?.getBoundingClientRect().height;
    if (height > 1) this.height = height;
    before.style.height = `${this.range.first * this.height}px`;
    behind.style.height = `${(this.rows.length - this.range.end) * this.height}px`;
    this.top = rows.getBoundingClientRect().top;
    clearTimeout(this.stripTimer);
    this.stripTimer = setTimeout(() => this.wantStrips(), STRIPS_AFTER_MS);
    const { first, end } = rowsInSight(this.rows.length, this.height, this.top);
    if (first !== this.range.first || end !== this.range.end) this.page.changed();
  }

  scroll() {
    const rows = document.querySelector(".rows");
    if (!rows) return;
    this.top = rows.getBoundingClientRect().top;
    const { first, end } = rowsInSight(this.rows.length, this.height, this.top);
    if (first !== this.range.first || end !== this.range.end) this.page.changed();
  }

  wantStrips() {
    for (const c of this.rows.slice(this.range.first, this.range.end)) if (!c.outcomes) this.model.want(c.name);
  }

  // ---- Keys

  /** @param {KeyboardEvent} event */
  keys(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && target instanceof HTMLInputElement && target.name === "search") {
      this.choose(() => { this.filter.words = ""; }, { fields: true });
    } else if (target.dataset.row !== undefined || (target instanceof HTMLInputElement && event.key === "ArrowDown")) {
      this.moveTo(event, target.dataset.row === undefined ? -1 : Number(target.dataset.row));
    }
  }

  /** @param {KeyboardEvent} event @param {number} row that has the focus */
  moveTo(event, row) {
    const last = this.rows.length - 1, page = Math.max(1, Math.floor(innerHeight / this.height) - 3);
    const to = { ArrowDown: row + 1, ArrowUp: row - 1, PageDown: row + page, PageUp: row - page, Home: 0, End: last }[event.key];
    if (to === undefined || last < 0) return;
    event.preventDefault();
    const wanted = Math.max(0, Math.min(last, to)), rows = document.querySelector(".rows"), head = document.querySelector(".row.head");
    if (!rows) return;
    bringIntoSight(wanted, this.height, rows.getBoundingClientRect().top, head?.getBoundingClientRect().bottom ?? 0);
    this.nextFocus = this.giveFocus(rows, wanted) ? -1 : wanted;
    this.scroll();
  }

  /** Whether that row is there. @param {Element} rows @param {number} row */
  giveFocus(rows, row) {
    const link = /** @type {HTMLElement | null} */ (rows.querySelector(`[data-row="${row}"]`));
    link?.focus({ preventScroll: true });
    return link !== null;
  }
}
