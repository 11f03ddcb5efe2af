// SPDX-License-Identifier: LGPL-2.1-or-later
// What is left to send again, and what has come of it.

import assert from "node:assert/strict";

globalThis.navigator ??= { language: "en-GB" };
const { isAwaited, isOpen, isResendOf } = await import("../../src/web/views/deliveries.js");

const failed = { id: "1", kind: "records", runId: "r1", type: "records.synced", url: "https://one.example", succeeded: false, retryCount: 0 };
const taken = { ...failed, id: "2", succeeded: true, retryCount: 1 };
const news = { ...failed, id: "3", kind: "lifecycle", type: "sync.completed" };
const newsTaken = { ...news, id: "4", succeeded: true, retryCount: 1 };

assert.equal(isOpen(failed, []), true);
assert.equal(isOpen(taken, []), false);
assert.equal(isOpen(failed, [{ ...failed, retryCount: 1 }, newsTaken]), true);
assert.equal(isOpen(failed, [taken]), false);
assert.equal(isOpen(failed, [{ ...taken, runId: "r2", retryCount: 0 }]), false); // a later run brings what waited first
assert.equal(isOpen(news, [taken]), true);
assert.equal(isOpen(news, [newsTaken]), false);
for (const other of [{ runId: "r2" }, { type: "sync.failed" }, { url: "https://two.example" }]) assert.equal(isOpen(news, [{ ...newsTaken, ...other }]), true);
assert.equal(isOpen(news, [{ ...newsTaken, retryCount: 0 }]), true); // perhaps another endpoint's there

assert.equal(isResendOf({ ...taken, runId: "r2" }, failed), true);
assert.equal(isResendOf(taken, failed), false); // the run's own
assert.equal(isResendOf({ ...newsTaken, runId: "r2" }, failed), false);
assert.equal(isResendOf(newsTaken, news), true);
assert.equal(isResendOf({ ...newsTaken, runId: "r2" }, news), false);
assert.equal(isResendOf(taken, news), false);

const before = new Set(["1", "3"]), again = { ...failed, id: "5", runId: "r2" };
assert.equal(isAwaited("1", [failed], before, false), true);
assert.equal(isAwaited("1", [again, failed], before, false), false);
assert.equal(isAwaited("1", [again, failed], before, true), true); // the one that follows sends it once more
assert.equal(isAwaited("1", [{ ...taken, runId: "r2" }, again, failed], before, true), false);
assert.equal(isAwaited("1", [], before, true), false); // too old by now
assert.equal(isAwaited("3", [news], before, true), true);
assert.equal(isAwaited("3", [newsTaken, news], before, true), false); // no run brings it
