// SPDX-License-Identifier: LGPL-2.1-or-later
// Answers that come after news that is newer than they are: no browser is as slow as that when one wants it to be.

import assert from "node:assert/strict";

/** @type {{path: string, answer: (body: object) => void}[]} */
const asked = [];
globalThis.fetch = (path) => new Promise((resolve) => {
  asked.push({ path, answer: (body) => resolve({ ok: true, status: 200, headers: new Map(), json: async () => structuredClone(body) }) });
});
const { Model } = await import("../../src/web/model.js");

const settled = () => new Promise((done) => setImmediate(done));
const running = { id: "1", name: "one", provider: "x", status: "Syncing", active: true, activeRunId: "r1", lastRun: null, attention: null };
const ended = { ...running, status: "Active", activeRunId: null, lastRun: { id: "r1", status: "success", outcome: "succeeded", finishedAt: "2026-11-22T10:00:00Z" }, outcomes: [] };
const event = (status) => ({ event_id: status, run_id: "r1", status, stage: "completed", items_processed: null, items_total: null, progress: null,
  metadata: { connector: "one" }, timestamp: "2026-11-22T10:00:00Z" });
const listOf = (...connectors) => ({ connectors, nextCursor: null });

// The list was asked for before the end of the run, and is answered after it.
const model = new Model(() => {});
const loaded = model.load();
model.apply(event("success"));
const [list, single] = asked.splice(0);
single.answer({ connector: ended });
await settled();
assert.equal(model.connectors.get("one").status, "Active");
list.answer(listOf(running));
await loaded;
assert.deepEqual([model.connectors.get("one").status, model.connectors.get("one").activeRunId], ["Active", null]);

// The same where the answer about the sync itself comes last.
model.apply({ ...event("in_progress"), run_id: "r2" });
model.apply({ ...event("success"), run_id: "r2" });
const [first, second] = asked.splice(0);
second.answer({ connector: { ...ended, lastRun: { ...ended.lastRun, id: "r2" } } });
await settled();
first.answer({ connector: { ...running, activeRunId: "r2" } });
await settled();
assert.deepEqual([model.connectors.get("one").status, model.connectors.get("one").lastRun.id], ["Active", "r2"]);

// What has come since the list was asked for is not gone, since it is not in the list.
const again = model.load();
model.apply({ ...event("in_progress"), run_id: "r3", metadata: { connector: "two" } });
const [older, two] = asked.splice(0);
two.answer({ connector: { ...running, name: "two", activeRunId: "r3" } });
await settled();
older.answer(listOf(ended));
await again;
assert.deepEqual([...model.connectors.keys()].sort(), ["one", "two"]);

// Later ones count again.
const last = model.load();
asked.splice(0)[0].answer(listOf({ ...ended, status: "Inactive", active: false }));
await last;
assert.deepEqual([...model.connectors.values()].map((c) => c.status), ["Inactive"]);

// After the clock was set back the ids of new runs are less than that of the last. What has long ended is not under way.
const back = new Model(() => {});
const late = { ...ended, lastRun: { ...ended.lastRun, id: "r9" } };
back.put(late, 0);
for (const activeRunId of ["r8", null]) {
  back.apply({ ...event("in_progress"), run_id: "r8" });
  assert.equal(asked.length, 1);
  asked.splice(0)[0].answer({ connector: { ...late, activeRunId } });
  await settled();
  assert.deepEqual([back.connectors.get("one").activeRunId, back.progress.has("r8")], [activeRunId, activeRunId === "r8"]);
  if (activeRunId) {
    back.apply({ ...event("in_progress"), event_id: "next", run_id: "r8", stage: "saving", timestamp: "2026-11-22T10:00:05Z" });
    assert.deepEqual([back.progress.get("r8").stage, asked.length], ["saving", 0]);
    back.put(late, ++back.clock);
  }
}
back.apply({ ...event("in_progress"), run_id: "r9" }); // told once more
assert.equal(asked.length, 0);
