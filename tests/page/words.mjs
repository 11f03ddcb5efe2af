// SPDX-License-Identifier: LGPL-2.1-or-later
// Times in words, at the borders between them, for persons of several languages.

import assert from "node:assert/strict";

const zone = 345 * 60000; // of the test
const at = (...parts) => Date.UTC(...parts) - zone;
const now = at(2026, 10, 22, 9, 0), iso = (time) => new Date(time).toISOString();

/** @param {string} language */
async function wordsFor(language) {
  Object.defineProperty(globalThis, "navigator", { value: { language }, configurable: true });
  return import(`../../src/web/format.js?${language}`);
}

for (const language of ["en-GB", "en-US", "de-DE"]) {
  const { ago, clock, dayOf, exactly, moment } = await wordsFor(language);
  const minutes = (n) => ago(iso(now - n * 60000), now).replace(".", "");
  assert.match(minutes(59.9), /^59 mins? ago$/);
  assert.match(minutes(60), /^1 hr ago$/);
  assert.match(minutes(23.99 * 60), /^23 hrs? ago$/);
  // As the headings have it: 34 hours before nine o'clock was the day before, and 35 hours as well; 34 more minutes were not.
  for (const [time, word, day] of [
    [at(2026, 10, 21, 8, 0), "yesterday", "Yesterday"], [at(2026, 10, 21, 0, 1), "yesterday", "Yesterday"], [at(2026, 10, 20, 23, 59), "2 days ago", "Friday"],
  ]) {
    assert.equal(ago(iso(time), now), word);
    assert.ok(dayOf(iso(time), now).startsWith(day), dayOf(iso(time), now));
  }
  assert.equal(dayOf(iso(now), now), "Today");
  const midnight = iso(at(2026, 10, 22, 0, 5));
  assert.match(clock(midnight), /^00:05:00$/);
  for (const text of [moment(midnight), exactly(midnight)]) assert.ok(/00:05/.test(text) && /Nov/.test(text), text);
}
