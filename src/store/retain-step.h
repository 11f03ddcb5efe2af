/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One step of retention, between retain.c and the files that have its phases. */

#include "store/retain.h"
#include "store/store-private.h"

typedef struct Step {
        Retention *retention;
        const RetentionPolicy *policy;
        Db *db;
        usec_t now_usec;
        size_t budget;   /* rows that it may still touch */
        uint64_t n_lost; /* see retention_take_lost() */
} Step;

/* Deletes the row that @sql is about. Return: 0; negative errno. */
int retain_delete_row(Step *step, const char *sql, int64_t row) _must_check_;

/* Phases. Return: 1: it is done; 0: the step is used up; negative errno. */
int retain_webhook_messages(Step *step) _must_check_;
int retain_record_attempts(Step *step) _must_check_;
