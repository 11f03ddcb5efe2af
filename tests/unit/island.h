/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A bus with the daemon on it, both in a thread of the test: an engine on a history of its own behind the real face,
 * and whoever connects to SYNCRUN_BUS_ADDRESS speaks with it. The connector bank has had a run, and each further one
 * ends well by itself. What the thread allocates does not count as the test's. */

#define ISLAND_USER "6f1ed002-ab5d-4f2b-9c3b-000000000001"

/* A connector of whose worker's calls the bus itself takes care. */
#define ISLAND_PLAYED "played"

void island_start(void);
void island_stop(void);
