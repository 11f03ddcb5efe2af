/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The live display: a line for each run, drawn over itself. What happens to the runs is progress.c's business. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/string-util.h"
#include "base/time-util.h"
#include "ctl/progress-internal.h"

#define BAR_WIDTH       24U /* gives way to the numbers where the terminal is narrow */
#define BAR_WIDTH_MIN   4U
#define PERCENT_WIDTH   5U
#define STAGE_WIDTH     10
#define RATE_AFTER_USEC (USEC_PER_SEC / 2) /* a rate of less time would jump */

/* Items a second since we look, and from that the time left. */
static void write_rate(FILE *out, const ProgressEntry *entry)
{
        usec_t passed = usec_sub(now_usec(CLOCK_MONOTONIC), entry->begun_usec);
        char text[TIMESPAN_TEXT_MAX];
        double rate = 0;

        if (entry->processed != COUNT_UNKNOWN && passed >= RATE_AFTER_USEC &&
            entry->processed > entry->processed_at_begin)
                rate = (double) (entry->processed - entry->processed_at_begin) * (double) USEC_PER_SEC /
                       (double) passed;
        if (rate > 0)
                (void) fprintf(out, " %s %.0f/s", glyph(GLYPH_DOT), rate);
        if (rate > 0 && entry->total != COUNT_UNKNOWN && entry->total > entry->processed) {
                usec_t left = (usec_t) ((double) (entry->total - entry->processed) / rate * (double) USEC_PER_SEC);

                (void) fprintf(out, " %s %s left", glyph(GLYPH_DOT),
                               timespan_format(text, sizeof(text), left,
                                               left >= 2 * USEC_PER_DAY ? USEC_PER_DAY
                                               : left >= USEC_PER_HOUR  ? USEC_PER_MINUTE
                                                                        : USEC_PER_SEC));
        } else if (passed >= USEC_PER_SEC)
                (void) fprintf(out, " %s %s", glyph(GLYPH_DOT),
                               timespan_format(text, sizeof(text), passed, USEC_PER_SEC));
}

/* @width: of the bar alone, which is not drawn where little is left for it. */
static void write_bar(FILE *out, const ProgressEntry *entry, unsigned width)
{
        double fraction = entry->progress;
        unsigned full;

        if (fraction < 0 && entry->processed != COUNT_UNKNOWN && entry->total != COUNT_UNKNOWN && entry->total > 0)
                fraction = MIN((double) entry->processed / (double) entry->total, 1.0);
        if (fraction < 0)
                return;
        full = (unsigned) (fraction * width + 0.5);
        if (width >= BAR_WIDTH_MIN) {
                (void) fputs(colour(COLOUR_BLUE), out);
                for (unsigned i = 0; i < width; i++)
                        (void) fputs(glyph(i < full ? GLYPH_BAR_FULL : GLYPH_BAR_EMPTY), out);
                (void) fprintf(out, "%s ", colour(COLOUR_NORMAL));
        }
        (void) fprintf(out, "%3.0f%% ", fraction * 100);
}

/* What stands at the right of the bar; freed by the caller, NULL when out of memory. */
static char *numbers(const ProgressEntry *entry)
{
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);

        if (!out)
                return NULL;
        if (entry->processed != COUNT_UNKNOWN) {
                (void) fprintf(out, "%" PRIu64, entry->processed);
                if (entry->total != COUNT_UNKNOWN)
                        (void) fprintf(out, "/%" PRIu64, entry->total);
        }
        write_rate(out, entry);
        if (fclose(out) == 0)
                return text;
        free(text);
        return NULL;
}

/* One line, cut where the terminal ends, the bar before the numbers: a longer one would break, and could not be
 * written over. */
static void draw_entry(const Progress *p, const ProgressEntry *entry)
{
        _cleanup_free_ char *line = NULL, *tail = numbers(entry);
        unsigned width = terminal_width() - 1, others = p->name_width + STAGE_WIDTH + PERCENT_WIDTH + 3;
        size_t size;
        FILE *out = open_memstream(&line, &size);

        if (!out)
                return;
        others += text_width(strempty(tail));
        (void) fprintf(out, "%s%-*s%s %-*s ", colour(COLOUR_BOLD), (int) p->name_width, entry->connector,
                       colour(COLOUR_NORMAL), STAGE_WIDTH,
                       !entry->run_id    ? "queued"
                       : entry->stopping ? "stopping"
                                         : strempty(sync_stage_to_string(entry->stage)));
        write_bar(out, entry, MIN(BAR_WIDTH, width > others ? width - others : 0));
        (void) fputs(strempty(tail), out);
        if (fclose(out) == 0)
                (void) text_print(stdout, line, width);
        (void) fputs("\x1b[K\n", stdout);
}

static void erase(Progress *p)
{
        if (p->n_drawn > 0)
                (void) printf("\x1b[%uA\r\x1b[J", p->n_drawn);
        p->n_drawn = 0;
}

void progress_draw(Progress *p)
{
        unsigned room = MAX(terminal_height(), 3U) - 2;
        size_t hidden = 0;

        if (!p->live)
                return;
        if (p->n_drawn > 0)
                (void) printf("\x1b[%uA\r", p->n_drawn);
        p->n_drawn = 0;
        for (size_t i = 0; i < p->n_entries; i++) {
                if (p->entries[i].ended)
                        continue;
                if (p->n_drawn >= room) {
                        hidden++;
                        continue;
                }
                draw_entry(p, &p->entries[i]);
                p->n_drawn++;
        }
        if (hidden > 0) {
                (void) printf("%sand %zu more%s\x1b[K\n", colour(COLOUR_GREY), hidden, colour(COLOUR_NORMAL));
                p->n_drawn++;
        }
        (void) printf("\x1b[J");
        (void) fflush(stdout);
}

void progress_print(Progress *p, const SyncView *view)
{
        if (p->silent)
                return;
        erase(p);
        sync_view_print(view);
        progress_draw(p);
        (void) fflush(stdout);
}
