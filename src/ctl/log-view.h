/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Log lines of runs as people read them. */

#include "ctl/ctl.h"
#include "model/log-match.h"

#define STATUS_LOG_LINES 10U /* without --lines= */

typedef struct LogView {
        const Ctl *ctl;
        struct json_object *array; /* collects the lines instead of printing them; NULL */
} LogView;

/* A JournalEntryCallback, given a LogView. */
void log_view_entry(struct json_object *entry, void *userdata);

/**
 * log_view_match() - which lines are a run's
 * @id:        of the run
 * @connector: NULL: as @run has it
 * @run:       as the service describes it; NULL: it does not; borrowed while the match is used
 */
LogMatch log_view_match(Ctl *ctl, const char *id, const char *connector, struct json_object *run);

/* Why there may be none of a run in this machine's journal: a sentence. */
const char *log_view_why_none(struct json_object *run);

/* The last lines of a run, behind an empty line. Return: 0; an exit status > 0 with the error printed. */
int log_view_print_run(Ctl *ctl, struct json_object *run);
