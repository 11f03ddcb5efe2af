// SPDX-License-Identifier: LGPL-2.1-or-later
// The last runs of a sync at a glance: one bar each, the newest at the right; its look is the outcome, its height how
// long it took beside the others.

import { outcomeBar } from "./bars.js";
import { h, s } from "./dom.js";
import { ago, plural, span } from "./format.js";
import { wordOfOutcome } from "./parts.js";

const RUNS = 30, STEP = 7, BAR = 5, HEIGHT = 28, LEAST = 5, NONE = 2;

/** "Last 30 runs: 27 success, 3 failed". @param {import("./api.js").Mark[]} marks newest first */
function inWords(marks) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const mark of marks) {
    const word = wordOfOutcome(mark.outcome).toLowerCase();
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return `Last ${plural(marks.length, "run")}: ${[...counts].map(([word, n]) => `${n} ${word}`).join(", ")}`;
}

/** @param {import("./api.js").Mark[] | undefined} marks newest first; undefined: not known yet */
export function strip(marks) {
  if (!marks) return h("div", { class: "strip bone", "aria-hidden": "true" });
  if (marks.length === 0) return h("span", { class: "quiet" }, "No runs yet");
  const longest = Math.sqrt(Math.max(1, ...marks.map((mark) => mark.durationMs ?? 0)));
  return s("svg", { class: "strip", viewBox: `0 0 ${RUNS * STEP - (STEP - BAR)} ${HEIGHT}`, role: "img", "aria-label": inWords(marks) },
    Array.from({ length: RUNS - marks.length }, (_, i) => s("rect", { class: "none", x: i * STEP, y: HEIGHT - NONE, width: BAR, height: NONE, rx: 1 })),
    marks.slice(0, RUNS).map((mark, i) => {
      const height = LEAST + ((HEIGHT - LEAST) * Math.sqrt(mark.durationMs ?? 0)) / longest;
      const words = [wordOfOutcome(mark.outcome), mark.durationMs === null ? "" : span(mark.durationMs), mark.startedAt ? ago(mark.startedAt) : ""];
      return outcomeBar(mark.outcome, { x: (RUNS - 1 - i) * STEP, bottom: HEIGHT, width: BAR, height }, s("title", null, words.filter(Boolean).join(", ")));
    }));
}
