/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Put between syncrund's rooms by the linker: a disk that takes its time and, in the hasty build, replies, signals and
 * launches that do not wait for it. The campaign must notice the second, and not be misled by the first. */

#include <unistd.h>

#include "store/db.h"
#include "store/store.h"

#define COMMIT_TAKES_USEC 10000U

int __real_db_commit(Db *db);
int __wrap_db_commit(Db *db);

int __wrap_db_commit(Db *db)
{
        (void) usleep(COMMIT_TAKES_USEC);
        return __real_db_commit(db);
}

#if HASTY
uint64_t __real_store_ticket(const Store *store);
uint64_t __wrap_store_ticket(const Store *store);

/* The engine takes everything that was put for committed. */
uint64_t __wrap_store_ticket(const Store *store)
{
        StoreStatistics statistics;

        store_statistics(store, &statistics);
        return __real_store_ticket(store) - statistics.n_waiting;
}
#endif
