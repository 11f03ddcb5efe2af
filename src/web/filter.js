// SPDX-License-Identifier: LGPL-2.1-or-later
// Which syncs one wants to see, and in which order. It stands in the address, so that it can be passed on.

/** @typedef {import("./api.js").Connector} Connector */

export const STATUSES = ["Needs attention", "Syncing", "Active", "Inactive"];

/** By a number, and then by name. @type {Record<string, {word: string, number: (c: Connector) => number}>} */
export const ORDERS = {
  attention: { word: "Attention first", number: (c) => (c.status === "Needs attention" ? 0 : 1) },
  name: { word: "Name", number: () => 0 },
  last: { word: "Last run", number: (c) => -timeOf(c.lastRun?.finishedAt, 0) },
  next: { word: "Next run", number: (c) => (c.active ? timeOf(c.nextRunAt, Infinity) : Infinity) },
};

/** @param {string | null | undefined} iso @param {number} none where there is no time */
const timeOf = (iso, none) => (iso ? Date.parse(iso) : none);

/** The list as one left it. */
let listAddress = "#/";

export const addressOfList = () => listAddress;

export class Filter {
  constructor() {
    this.words = this.status = this.provider = "";
    this.order = "attention";
    this.read();
  }

  /** From the address; whether it says anything new. */
  read() {
    const before = this.address;
    const query = new URLSearchParams(location.hash.split("?")[1] ?? "");
    const status = query.get("status") ?? "", order = query.get("order") ?? "";
    this.words = query.get("q") ?? "";
    this.status = STATUSES.includes(status) ? status : "";
    this.provider = query.get("provider") ?? "";
    this.order = Object.hasOwn(ORDERS, order) ? order : "attention";
    listAddress = this.address;
    return listAddress !== before;
  }

  get address() {
    const query = new URLSearchParams();
    if (this.words) query.set("q", this.words);
    if (this.status) query.set("status", this.status);
    if (this.provider) query.set("provider", this.provider);
    if (this.order !== "attention") query.set("order", this.order);
    return query.size ? `#/?${query}` : "#/";
  }

  /** Writes itself into the address. @param {boolean} isStep whether one can go back to how it was */
  keep(isStep) {
    listAddress = this.address;
    if (isStep) history.pushState(null, "", listAddress);
    else history.replaceState(history.state, "", listAddress);
  }

  clear() {
    this.words = this.status = this.provider = "";
  }

  /** All but the status: what is counted for each of them. @param {Connector[]} connectors */
  narrow(connectors) {
    const words = this.words.toLowerCase().split(/\s+/).filter(Boolean);
    return connectors.filter((c) => {
      if (this.provider && c.provider !== this.provider) return false;
      if (words.length === 0) return true;
      const all = `${c.name} ${c.description ?? ""} ${c.provider} ${c.userId ?? ""} ${c.connection ?? ""}`.toLowerCase();
      return words.every((word) => all.includes(word));
    });
  }

  /** @param {Connector[]} connectors */
  sorted(connectors) {
    const { number } = ORDERS[this.order];
    return connectors.map((c) => ({ c, n: number(c) }))
      .sort((a, b) => (a.n < b.n ? -1 : a.n > b.n ? 1 : a.c.name < b.c.name ? -1 : 1))
      .map(({ c }) => c);
  }
}
