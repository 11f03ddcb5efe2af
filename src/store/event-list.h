/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How lists of events are read: each goes along one index, chosen by the filter. For event-store.c and its test. */

#include "store/store-private.h"

typedef enum EventLead {
        EVENT_LEAD_RUN,
        EVENT_LEAD_USER,
        EVENT_LEAD_SEQ,
        _EVENT_LEAD_MAX,
} EventLead;

/* Static SQL with the parameters: after, before, and but for SEQ the led key. */
const char *event_lead_sql(EventLead lead, bool newest_first) _const_;

/* Where to begin in each of a connector's newest runs, which are then read by EVENT_LEAD_RUN: static SQL with the
 * parameters after, before, the connector, and how many runs. */
const char *event_heads_sql(bool newest_first) _const_;

/* How runs are read by their newest event. For news-list.c and the test. */
typedef enum NewsLead {
        NEWS_LEAD_USER,
        NEWS_LEAD_TIME,
        NEWS_LEAD_ACTIVE,
        _NEWS_LEAD_MAX,
} NewsLead;

/* Static SQL with the parameters: since, and for USER the user. */
const char *news_lead_sql(NewsLead lead) _const_;

/* A run, by its newest event. */
typedef struct NewsRun {
        int64_t row;
        usec_t updated_usec;
        uint64_t seq;
} NewsRun;

/* The first that fit, that with the newest event first; the array is the caller's. Return: 0; negative errno. */
int news_find_runs(Db *db, const NewsFilter *filter, NewsRun **ret, size_t *ret_n) _must_check_;
