// SPDX-License-Identifier: LGPL-2.1-or-later
// The way in: an API key, which is exchanged for a session and not kept. It is never part of an address, not even
// behind "#": addresses are remembered and passed on.

import * as api from "../api.js";
import { h } from "../dom.js";
import { icon, logo } from "../parts.js";

export class SignIn {
  /**
   * @param {{changed: () => void, signedIn: (session: api.Session) => void}} page
   * @param {string} reason why one has to sign in, if there is more to it than coming
   */
  constructor(page, reason) {
    this.page = page;
    this.reason = reason;
    this.title = "Sign in";
    this.wrong = "";
    this.busy = false;
    this.actions = {};
    this.submits = { "sign-in": (/** @type {HTMLFormElement} */ form) => this.submit(form) };
  }

  /** @param {HTMLFormElement} form */
  async submit(form) {
    const field = /** @type {HTMLInputElement} */ (form.elements.namedItem("key")), key = field.value.trim();
    this.wrong = "";
    if (!key) {
      this.wrong = "Enter a key.";
    } else {
      this.busy = true;
      this.page.changed();
      try {
        const session = await api.session.begin(key);
        field.value = "";
        this.page.signedIn(session);
        return;
      } catch (error) {
        const refusal = /** @type {api.Refusal} */ (error);
        this.wrong = refusal.status === 401 ? "This key is not valid. It may have been revoked."
          : refusal.status === 429 ? "Too many attempts. Wait a minute and try again." : `${refusal.message}.`;
      }
      this.busy = false;
    }
    this.page.changed();
    field.focus();
    field.select();
  }

  render() {
    return h("main", { class: "sign-in", id: "main" },
      h("form", { class: "card", "data-submit": "sign-in", novalidate: true },
        logo(),
        h("h1", null, "Sign in to syncrun"),
        this.reason && h("p", { class: "notice", role: "status" }, this.reason),
        h("label", { for: "key" }, "API key"),
        h("input", { id: "key", name: "key", type: "password", autocomplete: "off", autocapitalize: "off", spellcheck: "false",
          placeholder: "sk-…", required: true, autofocus: true, "aria-invalid": String(Boolean(this.wrong)), "aria-describedby": "key-help key-wrong" }),
        h("p", { id: "key-wrong", class: "wrong", role: "alert" }, this.wrong && [icon("warning"), this.wrong]),
        h("button", { type: "submit", class: "button primary wide", disabled: this.busy }, this.busy ? "Signing in…" : "Sign in"),
        h("div", { id: "key-help", class: "hint" }, h("p", null, "An administrator makes one: "),
          h("code", null, "syncrunctl key add NAME --scope sync:read,sync:write,sync:admin"),
          h("p", null, "For the syncs of one user: ", h("b", null, "--user ID"), " in place of ", h("b", null, "sync:admin"),
            ". A key with neither sees all syncs, but is not live: this page then looks every 5 seconds."))));
  }
}
