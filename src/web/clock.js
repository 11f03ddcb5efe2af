// SPDX-License-Identifier: LGPL-2.1-or-later
// What time it is: as the server has it, where this machine's clock is wrong. How long something takes is no business of
// it: that is told by one clock alone.

const SMALL_MS = 5000; // a server tells whole seconds, and takes its time to

let lead = 0; // of the server's clock before this one

/** The server has told its time. @param {number} time NaN: it has not */
export function serverTold(time) {
  const ms = time - Date.now();
  lead = Math.abs(ms) > SMALL_MS ? ms : 0;
}

export const serverNow = () => Date.now() + lead;
