// SPDX-License-Identifier: LGPL-2.1-or-later
// Why a run ran, and who wanted it so, in words for people.

import assert from "node:assert/strict";

globalThis.navigator ??= { language: "en-GB" };
const { reasonOf, wordsOf } = await import("../../src/web/views/activity.js");

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

for (const [outcome, errorMessage, message, error, words] of [
  ["cancelled", "Cancelled by key:phone", null, "", "Cancelled by phone"],
  ["cancelled", null, "Cancelled by uid:0", "", "Cancelled by hand"],
  ["cancelled", "Sync cancelled", null, "", ""],
  ["succeeded", null, "Sync completed · 3 new, 0 updated", "", ""], // the numbers stand beside it
  ["succeeded", null, "Sync completed · 3 new, 0 updated, 2 lines were not understood", "", "Sync completed · 3 new, 0 updated, 2 lines were not understood"],
  ["succeeded", null, "Cancelled by key:phone", "", "Cancelled by key:phone"],
  ["failed", "HTTP 503", "Sync failed", "HTTP 503", ""],
  ["failed", "Sync failed", null, "", ""],
  [null, null, null, "", ""],
]) assert.deepEqual(wordsOf({ outcome, errorMessage, message }), { error, message: words });
