/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "base/shared-text.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

typedef struct SharedText {
        atomic_uint n_sharers; /* beside the first */
        char text[];
} SharedText;

static SharedText *of(char *text)
{
        return (SharedText *) (void *) (text - offsetof(SharedText, text));
}

char *shared_text_new(const char *text)
{
        size_t size = strlen(text) + 1;
        SharedText *shared = malloc(sizeof(SharedText) + size);

        if (!shared)
                return NULL;
        atomic_init(&shared->n_sharers, 0);
        return memcpy(shared->text, text, size);
}

char *shared_text_share(char *text)
{
        atomic_fetch_add(&of(text)->n_sharers, 1);
        return text;
}

char *shared_text_free(char *text)
{
        if (text && atomic_fetch_sub(&of(text)->n_sharers, 1) == 0)
                free(of(text));
        return NULL;
}
