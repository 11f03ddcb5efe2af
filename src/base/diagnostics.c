/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "base/diagnostics.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/names.h"
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

/* Takes @item over. */
static void add_item(Diagnostics *d, Diagnostic *item)
{
        size_t limit = item->severity == DIAGNOSTIC_ERROR ? 2 * DIAGNOSTICS_MAX : DIAGNOSTICS_MAX;
        Diagnostic *longer = NULL;

        if (item->text && d->n_items < limit)
                longer = reallocarray(d->items, d->n_items + 1, sizeof(Diagnostic));
        if (!longer) {
                d->n_dropped++;
                d->lost |= !item->text || d->n_items < limit;
                diagnostic_done(item);
                return;
        }
        d->items = longer;
        d->items[d->n_items++] = *item;
}

/* Values and file names of others are quoted in there: what comes out can be logged and sent over the bus. */
static int set_text(char **p, const char *text)
{
        if (text)
                *p = utf8_sanitize(text, strlen(text), DIAGNOSTIC_TEXT_MAX);
        return text && !*p ? -ENOMEM : 0;
}

void diagnostics_add(Diagnostics *d, DiagnosticSeverity severity, const char *file, unsigned line, const char *key,
                     const char *format, ...)
{
        Diagnostic item = { .severity = severity, .line = line };
        _cleanup_free_ char *text = NULL;
        va_list ap;
        int r;

        if (!d)
                return;
        if (severity == DIAGNOSTIC_ERROR)
                d->n_errors++;

        va_start(ap, format);
        r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r < 0)
                text = NULL;
        if (set_text(&item.file, file) < 0 || set_text(&item.key, key) < 0 || set_text(&item.text, text) < 0)
                item.text = NULL;
        add_item(d, &item);
}

void diagnostics_move(Diagnostics *to, Diagnostics *from)
{
        for (size_t i = 0; to && i < from->n_items; i++)
                add_item(to, &from->items[i]);
        if (to) {
                to->n_dropped += from->n_dropped;
                to->n_errors += from->n_errors;
                to->lost |= from->lost;
                from->n_items = 0;
        }
        diagnostics_done(from);
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

void diagnostics_log(const Diagnostics *d)
{
        for (size_t i = 0; i < d->n_items; i++) {
                const Diagnostic *item = &d->items[i];
                _cleanup_free_ char *text = diagnostic_format(item);
                char line[sizeof("4294967295")];
                const LogField fields[] = {
                        { FIELD_CONFIG_FILE, item->file },
                        { FIELD_CONFIG_LINE, item->line > 0 ? line : NULL },
                };

                (void) snprintf(line, sizeof(line), "%u", item->line);
                log_fields(item->severity == DIAGNOSTIC_ERROR ? LOG_ERR : LOG_WARNING, MSG_CONFIG_WARNING, fields,
                           ELEMENTSOF(fields), "%s", strempty(text));
        }
}
