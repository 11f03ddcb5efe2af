/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What has happened since the daemon began, in numbers that are kept as it happens: asking for them reads nothing. */

#include "engine/engine.h"
#include "model/delivery.h"

/* Bounds of the histogram of how long runs took; one more bucket has those that took longer. */
#define STATISTICS_BOUNDS 10U

typedef struct Statistics {
        usec_t since_usec; /* CLOCK_REALTIME */
        uint64_t runs[_RUN_OUTCOME_MAX];
        uint64_t durations[STATISTICS_BOUNDS + 1];
        usec_t duration_usec; /* of all of them */
        Counts items;
        uint64_t n_events;
        /* Requests of webhooks: messages about syncs, and records of destinations. */
        uint64_t messages_delivered, messages_refused;
        uint64_t messages_lost;      /* deleted before they were sent, for each endpoint */
        uint64_t messages_lost_told; /* ... that the journal has */
        usec_t lost_told_usec;       /* CLOCK_BOOTTIME of that; 0: never */
        uint64_t records_delivered, records_refused;
} Statistics;

/* A run has ended, and that is on disk. */
void statistics_count_run(Statistics *statistics, const Run *run);

/* A worker has told of requests with records. */
void statistics_count_records(Statistics *statistics, const DeliveryAttempt *attempts, size_t n);

/**
 * engine_describe_statistics() - {"since":...,"connectors":...,"runs":{...},...}
 *
 * Return: 0; -ENOMEM.
 */
int engine_describe_statistics(const Engine *engine, char **ret_json) _must_check_;
