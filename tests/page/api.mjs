// SPDX-License-Identifier: LGPL-2.1-or-later
// Requests that get no answer, none that ends, or one from a server that has another time.

import assert from "node:assert/strict";
import { session } from "../../src/web/api.js";
import { serverNow } from "../../src/web/clock.js";

const late = new DOMException("", "TimeoutError"), answer = { ok: true, status: 200, headers: new Map(), json: async () => ({}) };
/** @type {{signal: AbortSignal}[]} */
const asked = [];
const refuses = (words) => assert.rejects(session.get(), (error) => error.status === 0 && error.message === words);

globalThis.fetch = async (path, options) => {
  asked.push(options);
  throw late;
};
await refuses("The server does not answer");
assert.ok(asked[0].signal instanceof AbortSignal); // each has its time
globalThis.fetch = async () => {
  throw new TypeError("refused");
};
await refuses("The server cannot be reached");
globalThis.fetch = async () => ({ ...answer, json: async () => {
  throw late;
} });
await refuses("The server does not answer");

const day = 86400000, inTwoDays = new Date(Date.now() + 2 * day).toUTCString();
globalThis.fetch = async () => ({ ...answer, headers: new Map([["Date", inTwoDays]]) });
await session.get();
assert.ok(Math.abs(serverNow() - Date.now() - 2 * day) < 60000);
globalThis.fetch = async () => answer;
await session.get();
assert.ok(Math.abs(serverNow() - Date.now()) < 60000);
