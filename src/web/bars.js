// SPDX-License-Identifier: LGPL-2.1-or-later
// How a run's bar looks in strips and charts. Colour is never the only sign of its outcome: a success is a whole bar, a
// partial one is hollow above, a failed one is an exclamation mark, a cancelled one is hollow, a skipped one a dot.

import { s } from "./dom.js";
import { lookOfOutcome } from "./parts.js";

const ROUND = 1.5;

/** The outline of a box. @param {number} x @param {number} y @param {number} width @param {number} height @param {number} [round] */
function box(x, y, width, height, round = ROUND) {
  const r = Math.max(0, Math.min(round, width / 2, height / 2)), [w, h] = [width - 2 * r, height - 2 * r];
  return `M${x + r} ${y}h${w}q${r} 0 ${r} ${r}v${h}q0 ${r} ${-r} ${r}h${-w}q${-r} 0 ${-r} ${-r}v${-h}q0 ${-r} ${r} ${-r}z`;
}

/** @param {string | null} outcome @param {number} x @param {number} y @param {number} width @param {number} height */
function outlineOf(outcome, x, y, width, height) {
  const line = Math.max(1, Math.min(2, width / 4)), bottom = y + height, dot = Math.min(width, 5);
  /** @param {number} to where the hollow ends */
  const hollow = (to) => box(x + line, y + line, width - 2 * line, to - y - line, ROUND / 2);
  switch (outcome) {
    case "partial":
      return box(x, y, width, height) + (height > 4 * line ? hollow(y + height / 2) : "");
    case "cancelled":
      return box(x, y, width, height) + (height > 3 * line ? hollow(bottom - line) : "");
    case "failed":
      return box(x, bottom - dot, width, dot) + (height > dot + 2 ? box(x, y, width, height - dot - 2) : "");
    case "skipped":
      return box(x + width / 2 - dot / 2, bottom - dot, dot, dot, dot / 2);
    default:
      return box(x, y, width, height);
  }
}

/**
 * @param {string | null} outcome of the run; null: it has not ended
 * @param {{x: number, bottom: number, width: number, height: number}} where
 * @param {...(Node | null)} children
 */
export function outcomeBar(outcome, { x, bottom, width, height }, ...children) {
  const least = outcome === "failed" ? 10 : 5, tall = Math.max(least, height);
  return s("path", { class: `mark-bar ${lookOfOutcome(outcome)}`, "fill-rule": "evenodd", d: outlineOf(outcome, x, Math.round(10 * (bottom - tall)) / 10, width, Math.round(10 * tall) / 10) }, children);
}
