/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The engine's bulk reads, each one JSON text: Describe...() of the bus. What is committed is what is shown.
 *
 * Context of all: blocks for indexed reads. Return: 0; -EINVAL (limit or page of the filter); -ENOMEM; errno of
 * reading.
 * @ret_json is set on success only and freed by the caller. */

#include "engine/engine.h"
#include "engine/page-select.h"

/* {"runs":[...],"next":"..."|null} */
int engine_describe_runs(Engine *engine, const RunFilter *filter, char **ret_json) _must_check_;

/* The run with its accounts. Also -ESRCH. */
int engine_describe_run(Engine *engine, const char *run_id, char **ret_json) _must_check_;

/* {"events":[{"seq":1,"event":{...}}],"first":1,"last":9,"next":7|null}; first and last of those that are kept; next:
 * EventPage's. Events past their age are left out, whether they were deleted already or not. */
int engine_describe_events(Engine *engine, const EventFilter *filter, char **ret_json) _must_check_;

/* What the person does about the run's category; NULL: nothing. @buf: for a text that names the connector. */
const char *engine_run_advice(Engine *engine, const Run *run, char buf[static ATTENTION_ADVICE_MAX]);

/* Narrows @filter to events within EventsMaxAgeSec=, whether older ones were deleted already or not. @ret_first: the
 * lowest number of those that are kept, or last + 1. */
int engine_keep_young(Engine *engine, EventFilter *filter, uint64_t *ret_first) _must_check_;

/* Of connectors or connections in one answer. */
#define CONNECTORS_PAGE_MAX 1000U

typedef struct ConnectorFilter {
        const char *name; /* or id (UUID); NULL: any */
        const char *user_id;
        const char *provider;
        const char *connection;
        int attention;    /* 1 those that need it, 0 those that do not, -1 any */
        const char *page; /* only names behind this one; NULL: from the first */
        unsigned limit;   /* 1..CONNECTORS_PAGE_MAX */
} ConnectorFilter;
/* clang-format off */
#define CONNECTOR_FILTER_INIT { .attention = -1, .limit = CONNECTORS_PAGE_MAX }
/* clang-format on */

/* A page of connectors or connections ends when it has so many bytes, so that the loop is not held up for long. */
#define DESCRIBE_PAGE_BYTES (1 * MIB)

/* {"connectors":[...],"next":"NAME"|null}, sorted by name. */
int engine_describe_connectors(Engine *engine, const ConnectorFilter *filter, char **ret_json) _must_check_;

/* One of them. Also -ENXIO. */
int engine_describe_connector(Engine *engine, const char *name, char **ret_json) _must_check_;

typedef struct ConnectionFilter {
        const char *name; /* NULL: any */
        const char *provider;
        const char *user_id;
        const char *page; /* only names behind this one; NULL: from the first */
        unsigned limit;   /* 1..CONNECTORS_PAGE_MAX; where more than one is asked for */
} ConnectionFilter;

/* Whether the connection, or one of its connectors, fits; for a user, what is that user's. */
bool connection_matches(Engine *engine, const char *name, const ConnectionFilter *filter);

/* The names of a page of those that match, and one more, sorted. @ret: freed by page_select_done(). Return: 0;
 * -ENOMEM. */
int connections_select(Engine *engine, const ConnectionFilter *filter, PageSelect *ret) _must_check_;

/* {"connections":[...],"next":"NAME"|null}, sorted by name; those that match. */
int engine_describe_connections(Engine *engine, const ConnectionFilter *filter, char **ret_json) _must_check_;

/* One of them. Also -ENOLINK. */
int engine_describe_connection(Engine *engine, const char *name, char **ret_json) _must_check_;

/* {"users":[...],"next":"ID"|null}, by id. @after_id: NULL begins. */
int engine_describe_users(Engine *engine, const char *after_id, unsigned limit, char **ret_json) _must_check_;
