// SPDX-License-Identifier: LGPL-2.1-or-later
// Which rows of a long list can be seen. Only those are in the page, between two empty blocks as high as the others.

const BEYOND = 8; // rows before and behind what is seen

/**
 * @param {number} n rows in all
 * @param {number} height of one
 * @param {number} top of the list in the window: negative where one has scrolled beyond its beginning
 * @returns {{first: number, end: number}}
 */
export function rowsInSight(n, height, top) {
  const first = Math.max(0, Math.min(n, Math.floor(-top / height) - BEYOND));
  return { first, end: Math.min(n, first + Math.ceil(innerHeight / height) + 2 * BEYOND) };
}

/**
 * Scrolls as little as need be for a row to be seen.
 * @param {number} row
 * @param {number} height
 * @param {number} top of the list in the window
 * @param {number} covered by what stays at the top of the window
 */
export function bringIntoSight(row, height, top, covered) {
  const begin = top + row * height, end = begin + height;
  if (begin < covered) scrollBy(0, begin - covered);
  else if (end > innerHeight) scrollBy(0, end - innerHeight + height / 2);
}
