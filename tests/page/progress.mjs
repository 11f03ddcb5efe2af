// SPDX-License-Identifier: LGPL-2.1-or-later
// What is said of a run's pace, by a clock that the test sets.

import assert from "node:assert/strict";
import { session } from "../../src/web/api.js";
import { Progress } from "../../src/web/progress.js";

let now = Date.UTC(2026, 10, 22, 10, 0);
Date.now = () => now;
const begun = now;

/** @param {number} sec since the beginning @param {number} processed */
const event = (sec, processed, more = {}) => ({ event_id: `at-${sec}`, run_id: "r", status: "in_progress", stage: "fetching", items_processed: processed,
  items_total: 1000, progress: null, metadata: {}, timestamp: new Date(begun + sec * 1000).toISOString(), ...more });

const progress = new Progress("r");
assert.deepEqual([progress.stage, progress.fraction, progress.rate, progress.left], ["queued", null, null, null]);
for (let sec = 0; sec <= 10; sec++) {
  now = begun + sec * 1000;
  progress.add(event(sec, sec * 20));
}
assert.deepEqual([progress.stage, progress.fraction, progress.rate, progress.left], ["fetching", 0.2, 20, 40000]);

// Without news the rate becomes less, and then there is none.
now += 13000;
assert.deepEqual([progress.isStalled, progress.rate], [false, 10]);
now += 17000;
assert.equal(progress.isStalled, true);

// The past, read once more, is no news, whatever comes of it first.
for (const sec of [3, 10]) progress.add(event(sec, sec * 20));
assert.equal(progress.isStalled, true);
progress.add(event(40, 500));
assert.deepEqual([progress.isStalled, progress.fraction], [false, 0.5]);

// Its own word on how far it is counts before the counts; one who knows no total has a rate, and nothing left.
progress.add(event(41, 520, { progress: 0.9 }));
assert.equal(progress.fraction, 0.9);
progress.add(event(42, 540, { items_total: null }));
assert.deepEqual([progress.fraction, progress.left, progress.rate > 0], [null, null, true]);

// The rate is that of the last half minute.
const long = new Progress("r");
for (let sec = 0; sec <= 100; sec++) {
  now = begun + sec * 1000;
  long.add(event(sec, sec < 60 ? sec * 100 : 6000 + sec - 60));
}
assert.equal(long.rate, 1);

// What is counted anew, or by another stage, has a rate of its own.
const staged = new Progress("r");
const tell = (sec, processed, stage) => {
  now = begun + sec * 1000;
  staged.add(event(sec, processed, { stage }));
};
for (let sec = 0; sec < 5; sec++) tell(sec, sec * 20, "fetching");
assert.equal(staged.rate, 20);
for (let sec = 5; sec < 8; sec++) tell(sec, 80 + sec, "saving");
assert.equal(staged.rate, 1);
for (let sec = 8; sec < 12; sec++) tell(sec, (sec - 8) * 3, "saving");
assert.equal(staged.rate, 3);

// Who comes to a run that has stalled, or reads it once more, is told so: it counts when there was news, by the server's clock.
globalThis.fetch = async () => ({ ok: true, status: 200, headers: new Map([["Date", new Date(Date.now() + lead).toUTCString()]]), json: async () => ({}) });
let lead = 0;
for (const hour of [0, -400, 400]) {
  lead = hour * 3600000;
  now = begun + 10000 - lead;
  await session.get();
  for (const [silent, isStalled] of [[0, false], [23, false], [31, true]]) {
    now = begun + (10 + silent) * 1000 - lead;
    const reloaded = new Progress("r");
    for (let sec = 0; sec <= 10; sec++) reloaded.add(event(sec, sec * 20));
    assert.deepEqual([reloaded.isStalled, reloaded.rate], [isStalled, 200 / (10 + Math.max(0, silent - 3))]);
  }
}
