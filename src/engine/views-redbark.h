/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Bulk reads in Redbark's words: connectors, one of them, its activity, connections; each the whole body of an HTTP
 * answer, see model/view-redbark.
 *
 * Context and Return as in engine/describe.h. */

#include "engine/describe.h"

typedef struct RedbarkFilter {
        ConnectorFilter connectors; /* name is not looked at */
        unsigned n_outcomes;        /* runs in the strip of each, 0..REDBARK_OUTCOMES_MAX */
        unsigned limit;             /* 1..REDBARK_CONNECTORS_MAX */
        const char *page;           /* where the page before ended; NULL: the first */
        bool without_paths;         /* of this machine's files */
} RedbarkFilter;

/* {"connectors":[...],"nextCursor":"..."|null}, sorted by name. */
int engine_view_redbark_connectors(Engine *engine, const RedbarkFilter *filter, char **ret_json) _must_check_;

/* {"connector":{...}} with its connections and its destination. Of @filter: the user, whose runs are told of (NULL:
 * all), n_outcomes and without_paths. */
int engine_view_redbark_connector(Engine *engine, const Connector *connector, const RedbarkFilter *filter,
                                  char **ret_json) _must_check_;

/**
 * engine_view_redbark_activity() - {"activity":[...]}: its newest runs, each with a row for each account
 * @user_id: whose runs; NULL: all, also those of users that the connector had before
 * @limit:   1..engine_activity_max()
 *
 * It ends before the run whose rows would be more than are left of MaxAccountRows=. The newest run is shown in
 * any case, with as many rows as there may be.
 */
int engine_view_redbark_activity(Engine *engine, const Connector *connector, const char *user_id, unsigned limit,
                                 char **ret_json) _must_check_;
unsigned engine_activity_max(const Engine *engine) _pure_;

/* {"connections":[...],"nextCursor":"..."|null}, sorted by name; with a name in @filter {"connection":{...}}, or
 * -ENOLINK. A user sees what that user's own connectors say of it. */
int engine_view_redbark_connections(Engine *engine, const ConnectionFilter *filter, char **ret_json) _must_check_;
