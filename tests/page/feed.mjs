// SPDX-License-Identifier: LGPL-2.1-or-later
// Why a run ran, and who wanted it so, in words for people.

import assert from "node:assert/strict";

globalThis.navigator ??= { language: "en-GB" };
const { messageOf, reasonOf } = await import("../../src/web/views/activity.js");

for (const [trigger, requestedBy, words] of [
  ["schedule", null, "On schedule"],
  ["manual", "uid:1000", "Started by hand"],
  ["remote", "key:phone", "Started by phone"],
  ["remote", "token:auth0|a:b", "Started by auth0|a:b"],
  ["remote", null, "Started from outside"],
  ["reconnect", "key:phone", "Reconnected by phone"],
  ["reconnect", null, "After a reconnection"],
  ["retry", "key:phone", "Retry"], // it is the service's own
  ["constructor", "key:phone", "constructor"],
]) assert.equal(reasonOf({ trigger, requestedBy }), words);

for (const [message, words] of [
  ["Cancelled by key:phone", "Cancelled by phone"], ["Cancelled by uid:0", "Cancelled by hand"], ["Sync cancelled", "Sync cancelled"],
]) assert.equal(messageOf({ outcome: "cancelled", message }), words);
assert.equal(messageOf({ outcome: "succeeded", message: "Cancelled by key:phone" }), "Cancelled by key:phone");
