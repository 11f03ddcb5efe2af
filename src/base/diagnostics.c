/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "base/diagnostics.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/string-util.h"

static void diagnostic_done(Diagnostic *d)
{
        free(d->file);
        free(d->key);
        free(d->text);
}

void diagnostics_done(Diagnostics *d)
{
        for (size_t i = 0; i < d->n_items; i++)
                diagnostic_done(&d->items[i]);
        free(d->items);
        *d = (Diagnostics) {};
}

void diagnostics_add(Diagnostics *d, DiagnosticSeverity severity, const char *file, unsigned line, const char *key,
                     const char *format, ...)
{
        Diagnostic item = { .severity = severity, .line = line }, *longer;
        va_list ap;
        int r;

        if (!d)
                return;
        if (severity == DIAGNOSTIC_ERROR)
                d->n_errors++;
        if (d->n_items >= DIAGNOSTICS_MAX)
                goto drop;

        va_start(ap, format);
        r = vasprintf(&item.text, format, ap);
        va_end(ap);
        if (r < 0) {
                item.text = NULL;
                goto drop;
        }
        if (free_and_strdup(&item.file, file) < 0 || free_and_strdup(&item.key, key) < 0)
                goto drop;
        longer = reallocarray(d->items, d->n_items + 1, sizeof(Diagnostic));
        if (!longer)
                goto drop;
        d->items = longer;
        d->items[d->n_items++] = item;
        return;

drop:
        d->n_dropped++;
        diagnostic_done(&item);
}

char *diagnostic_format(const Diagnostic *d)
{
        char line[16] = "";

        if (d->line > 0)
                (void) snprintf(line, sizeof(line), ":%u", d->line);
        return asprintf_or_null("%s%s%s%s%s%s", strempty(d->file), line, d->file ? ": " : "", strempty(d->key),
                                d->key ? "=: " : "", d->text);
}

const Diagnostic *diagnostics_first(const Diagnostics *d)
{
        for (size_t i = 0; i < d->n_items; i++)
                if (d->items[i].severity == DIAGNOSTIC_ERROR)
                        return &d->items[i];
        return d->n_items > 0 ? &d->items[0] : NULL;
}
