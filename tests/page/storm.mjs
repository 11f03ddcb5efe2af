// SPDX-License-Identifier: LGPL-2.1-or-later
// What cannot be had is asked for ever later, whoever wants it how often.

import assert from "node:assert/strict";
import { mock } from "node:test";

mock.timers.enable({ apis: ["setTimeout"] });
let asked = 0, fails = true;
globalThis.fetch = async (path) => {
  asked++;
  if (fails) throw new TypeError("offline");
  return { ok: true, status: 200, headers: new Map(), json: async () => ({ connector: { name: decodeURIComponent(path.split("/").at(-1).split("?")[0]), lastRun: null, outcomes: [] } }) };
};
const { Model } = await import("../../src/web/model.js");

const settled = async () => {
  for (let i = 0; i < 50; i++) await new Promise((done) => setImmediate(done));
};
const names = Array.from({ length: 20 }, (_, i) => `sync-${i}`);
let model = new Model(() => {
  if (fails) for (const name of names) model.want(name); // as a list does whenever it is drawn
});
const inTheNext = async (ms) => {
  const before = asked;
  for (let t = 0; t < ms; t += 100) {
    mock.timers.tick(100);
    await settled();
  }
  return asked - before;
};

model.note();
await settled();
assert.equal(asked, 4); // as many as are asked at once
assert.equal(await inTheNext(900), 0);
assert.ok(await inTheNext(60000) <= 4 * 7); // after 1, 2, 4, 8, 16 and 30 seconds
fails = false;
await inTheNext(60000);
assert.deepEqual([...model.connectors.keys()].sort(), [...names].sort()); // once it can be had, all of it
const all = asked;
assert.equal(await inTheNext(60000), 0);
model.want("sync-1");
await settled();
assert.equal(asked, all + 1); // without a pause

fails = true;
model.want("sync-1");
await settled();
model.close();
const last = asked;
assert.equal(await inTheNext(120000), 0);
model.want("sync-1");
assert.equal(asked, last);
