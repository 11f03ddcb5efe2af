// SPDX-License-Identifier: LGPL-2.1-or-later
// Where in the page one is: the fragment of its address, so that every view has an address and the server one page.

/**
 * @typedef {{view: "syncs"} | {view: "connections"} | {view: "nowhere"}
 *   | {view: "sync", name: string, tab: "activity" | "deliveries"}} Place
 */

/** @param {string} fragment of an address, with its "#" @returns {Place} */
export function placeOf(fragment) {
  const [path] = fragment.replace(/^#/, "").split("?");
  let parts;
  try {
    parts = path.split("/").filter(Boolean).map(decodeURIComponent);
  } catch {
    return { view: "nowhere" };
  }
  if (parts.length === 0 || (parts.length === 1 && parts[0] === "syncs")) return { view: "syncs" };
  if (parts.length === 1 && parts[0] === "connections") return { view: "connections" };
  if (parts[0] === "syncs" && parts.length === 2) return { view: "sync", name: parts[1], tab: "activity" };
  if (parts[0] === "syncs" && parts.length === 3 && parts[2] === "deliveries") {
    return { view: "sync", name: parts[1], tab: "deliveries" };
  }
  return { view: "nowhere" };
}

/** @param {string} name @param {"activity" | "deliveries"} [tab] */
export function addressOfSync(name, tab = "activity") {
  return `#/syncs/${encodeURIComponent(name)}${tab === "activity" ? "" : `/${tab}`}`;
}

export const ADDRESS_OF_SYNCS = "#/";
export const ADDRESS_OF_CONNECTIONS = "#/connections";
