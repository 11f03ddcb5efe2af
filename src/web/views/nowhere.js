// SPDX-License-Identifier: LGPL-2.1-or-later
// Where there is no view: no such address, or a key that may see nothing.

import { h } from "../dom.js";
import { emptiness } from "../parts.js";
import { ADDRESS_OF_SYNCS } from "../router.js";

export class Nowhere {
  /** @param {"no-place" | "no-scope"} why */
  constructor(why) {
    this.why = why;
    this.title = why === "no-scope" ? "No permission" : "Not found";
    this.actions = {};
  }

  render() {
    return h("main", { id: "main", tabindex: "-1" }, h("h1", { class: "unseen" }, this.title), this.why === "no-scope"
      ? emptiness("key", "This key may not look at syncs", "It lacks the scope ", h("code", null, "sync:read"), ". Sign out, and in again with another key.")
      : emptiness("search", "There is nothing at this address", h("a", { href: ADDRESS_OF_SYNCS }, "All syncs")));
  }
}
