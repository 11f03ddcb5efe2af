// SPDX-License-Identifier: LGPL-2.1-or-later
// Bars over the last runs, oldest at the left, and the same as a table for those who do not see them.

import { outcomeBar } from "./bars.js";
import { h, s } from "./dom.js";
import { wordOfOutcome } from "./parts.js";

/**
 * @typedef {{look?: string, outcome?: string | null, value: number}} Part of a bar, from below
 * @typedef {{label: string, words: string, parts: Part[], cells: (string | number)[]}} Bar label: when; words: what one sees
 *   where one points; cells: of its row in the table
 */

const WIDTH = 480, HEIGHT = 132, BOTTOM = 8, TOP = 14, SLOTS = 25, GAP = 3;
const LEAST = 2; // at the top of the axis
const LETTER = 10.5, MARGIN = 14; // of the axis' labels, also where they are large

/** A round number not below this one. @param {number} n */
function roundUp(n) {
  const step = 10 ** Math.floor(Math.log10(n));
  return [1, 2, 2.5, 5, 10].map((factor) => factor * step).find((round) => round >= n * 0.999) ?? n;
}

/**
 * @param {{title: string, bars: Bar[], columns: string[], axis: (value: number) => string,
 *   legend?: [string, string][], outcomes?: (string | null)[], round?: (n: number) => number, note?: string}} options
 *   outcomes: that the legend explains; axis: how a value is told; columns: of the table; round: to a number that looks well there
 */
export function chart({ title, bars, columns, axis, legend = [], outcomes = [], round = roundUp, note = "" }) {
  const most = round(Math.max(LEAST, ...bars.map((bar) => bar.parts.reduce((sum, part) => sum + part.value, 0))));
  const steps = [0, most / 2, most], left = MARGIN + LETTER * Math.max(...steps.map((value) => axis(value).length));
  const slot = (WIDTH - left) / SLOTS, inner = HEIGHT - TOP - BOTTOM;
  /** @param {number} value */
  const y = (value) => HEIGHT - BOTTOM - (inner * value) / most;
  return h("section", { class: "card chart", "aria-label": title },
    h("div", { class: "card-head" }, h("h2", null, title),
      outcomes.length > 1 && h("ul", { class: "legend" }, outcomes.map((outcome) => h("li", null,
        s("svg", { class: "sample", viewBox: "0 0 6 14", "aria-hidden": "true" }, outcomeBar(outcome, { x: 0, bottom: 14, width: 6, height: 14 })), wordOfOutcome(outcome)))),
      legend.length > 0 && h("ul", { class: "legend" }, legend.map(([look, word]) => h("li", { class: look }, word)))),
    s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" },
      steps.map((value) => s("g", { class: "grid" },
        s("line", { x1: left, x2: WIDTH, y1: y(value), y2: y(value) }),
        s("text", { x: 0, y: y(value) + 4 }, axis(value)))),
      bars.slice(-SLOTS).map((bar, i, shown) => {
        const x = left + (SLOTS - shown.length + i) * slot + GAP / 2;
        let below = 0;
        return s("g", { class: "bar" }, s("title", null, bar.words), s("rect", { class: "ground", x, y: TOP, width: slot - GAP, height: inner }),
          bar.parts.map((part) => {
            const from = below;
            below += part.value;
            const height = Math.max(part.value > 0 ? 1.5 : 0, y(from) - y(below));
            if (part.outcome !== undefined) return outcomeBar(part.outcome, { x, bottom: HEIGHT - BOTTOM, width: slot - GAP, height });
            return s("rect", { class: part.look, x, y: y(from) - height, width: slot - GAP, height, rx: 1.5 });
          }));
      })),
    note && h("p", { class: "sub" }, note),
    h("details", { class: "as-table", "data-key": `${title}-table` }, h("summary", null, "As a table"),
      h("div", { class: "scroller", role: "region", "aria-label": `${title}, as a table` },
        h("table", null, h("thead", null, h("tr", null, columns.map((word) => h("th", { scope: "col" }, word)))),
          h("tbody", null, [...bars].reverse().map((bar) => h("tr", null, h("th", { scope: "row" }, bar.label), bar.cells.map((cell) => h("td", null, cell)))))))));
}
