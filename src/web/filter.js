// SPDX-License-Identifier: LGPL-2.1-or-later
// Which syncs one wants to see, and in which order. It stands in the address, so that it can be passed on.

/** @typedef {import("./api.js").Connector} Connector */

export const STATUSES = ["Needs attention", "Syncing", "Active", "Inactive"];

/** @type {Record<string, {word: string, compare: (a: Connector, b: Connector) => number}>} */
export const ORDERS = {
  attention: { word: "Needs attention first", compare: (a, b) => rank(a) - rank(b) },
  name: { word: "Name", compare: () => 0 },
  last: { word: "Last run", compare: (a, b) => text(b.lastRun?.finishedAt).localeCompare(text(a.lastRun?.finishedAt)) },
  next: { word: "Next run", compare: (a, b) => text(a.nextRunAt, "~").localeCompare(text(b.nextRunAt, "~")) },
};

/** @param {string | null | undefined} value @param {string} [none] */
const text = (value, none = "") => value ?? none;

/** @param {Connector} connector */
const rank = (connector) => (connector.status === "Needs attention" ? 0 : 1);

export class Filter {
  constructor() {
    const query = new URLSearchParams(location.hash.split("?")[1] ?? "");
    const status = query.get("status") ?? "", order = query.get("order") ?? "";
    this.words = query.get("q") ?? "";
    this.status = STATUSES.includes(status) ? status : "";
    this.provider = query.get("provider") ?? "";
    this.order = order in ORDERS ? order : "attention";
  }

  /** Writes itself into the address. */
  keep() {
    const query = new URLSearchParams();
    if (this.words) query.set("q", this.words);
    if (this.status) query.set("status", this.status);
    if (this.provider) query.set("provider", this.provider);
    if (this.order !== "attention") query.set("order", this.order);
    history.replaceState(history.state, "", query.size ? `#/?${query}` : "#/");
  }

  get narrows() {
    return Boolean(this.words.trim() || this.status || this.provider);
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
    const { compare } = ORDERS[this.order];
    return connectors.sort((a, b) => compare(a, b) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  }
}
