/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "http/kept.h"

#include <stdlib.h>
#include <string.h>

#define uthash_nonfatal_oom(element) ((element)->lost = true)
#include <uthash.h>

typedef struct KeptEntry {
        Kept kept;
        bool lost;
        UT_hash_handle hh;
        char key[];
} KeptEntry;

static void free_entry(KeptAnswers *all, KeptEntry *entry)
{
        all->n_bytes -= entry->kept.size;
        sd_bus_message_unref(entry->kept.message);
        free(entry);
}

static void drop(KeptAnswers *all, KeptEntry *entry)
{
        HASH_DELETE(hh, all->entries, entry);
        free_entry(all, entry);
}

void kept_drop_all(KeptAnswers *all)
{
        while (all->entries)
                drop(all, all->entries);
}

static void make_room(KeptAnswers *all, size_t size)
{
        while (all->entries &&
               (HASH_COUNT(all->entries) >= ANSWERS_MAX || all->n_bytes + size > ANSWERS_MAX_BYTES))
                drop(all, all->entries);
}

void kept_put(KeptAnswers *all, const char *key, const Kept *kept)
{
        size_t size = strlen(key) + 1;
        KeptEntry *entry, *before;

        HASH_FIND_STR(all->entries, key, before);
        if (before)
                drop(all, before);
        if (kept->size > ANSWERS_MAX_BYTES)
                return;
        entry = calloc(1, sizeof(*entry) + size);
        if (!entry)
                return;
        entry->kept = *kept;
        memcpy(entry->key, key, size);
        make_room(all, kept->size);
        entry->kept.message = sd_bus_message_ref(kept->message);
        all->n_bytes += kept->size;
        HASH_ADD_STR(all->entries, key, entry);
        if (entry->lost)
                free_entry(all, entry);
}

const Kept *kept_find(const KeptAnswers *all, const char *key)
{
        KeptEntry *entry;

        HASH_FIND_STR(all->entries, key, entry);
        return entry ? &entry->kept : NULL;
}
