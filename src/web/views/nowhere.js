// SPDX-License-Identifier: LGPL-2.1-or-later
// Where there is no view: no such address, a key that may see nothing, or a server that does not say who one is.

import { h } from "../dom.js";
import { emptiness, waiting } from "../parts.js";
import { addressOfList } from "../filter.js";

/** @type {Record<string, string>} */
const TITLES = { "no-scope": "No permission", "no-place": "Not found", "no-server": "Trying again", "not-yet": "Loading" };

export class Nowhere {
  /** @param {"no-place" | "no-scope" | "no-server" | "not-yet"} why @param {string} [words] of the server */
  constructor(why, words = "") {
    this.why = why;
    this.words = words;
    this.title = TITLES[why];
    this.actions = {};
  }

  render() {
    return h("main", { id: "main", tabindex: "-1" }, h("h1", { class: "unseen", tabindex: "-1" }, this.title), this.content());
  }

  content() {
    switch (this.why) {
      case "no-scope":
        return emptiness("key", "This key may not look at syncs", "It lacks the scope ", h("code", null, "sync:read"), ". Sign out, and in again with another key.");
      case "no-server":
        return h("div", { role: "status" }, emptiness("sync", "Trying again…", `${this.words} This page goes on by itself as soon as there is an answer.`));
      case "not-yet":
        return waiting(6, "the page");
      default:
        return emptiness("search", "There is nothing at this address", h("a", { href: addressOfList() }, "All syncs"));
    }
  }
}
