/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The connectors: reading their files, comparing with what is loaded, their records in the store, and what is told of
 * them. */

#include "engine/engine-internal.h"

typedef enum ConnectorNews {
        CONNECTOR_NEWS_ATTENTION = 1 << 0, /* attention was raised, changed or cleared */
} ConnectorNews;

/* Read all files and take over what is new, changed or gone. Return: 0; negative errno of reading. Context: blocks. */
int connector_table_load(Engine *engine) _must_check_;

/* Replace all records by those of the store. Return: 0; negative errno. Context: blocks. */
int connector_table_read_records(Engine *engine) _must_check_;

/* Put into the history what @definition, its file's, brings by itself: its record, where there is none, and its user.
 * Where the user is another than before, what is kept of the connector's past is forgotten.
 * Return: 0; 1 (attention was cleared by it); what store_put_connector() returns. */
int connector_remember(ConnectorEntry *c, const ConnectorDefinition *definition) _must_check_;

void connector_table_free(Engine *engine);

/* NULL where it has no file, even if a run of it is active. */
ConnectorEntry *connector_table_find(Engine *engine, const char *name);

/* By SetActive() and its file, whatever else keeps it from running. */
bool connector_is_wanted(const ConnectorEntry *c) _pure_;
bool connector_is_active(const ConnectorEntry *c) _pure_;

/* Return: 0; -ENOEXEC (bad setting); -EOPNOTSUPP (no ExecPull=). */
int connector_can_run(const ConnectorEntry *c) _pure_;

/* Has a file, is active, and can run: by itself, or when asked. */
bool connector_may_run(const ConnectorEntry *c) _pure_;

/* The connector's record goes to the disk, then it is published. */
void connector_save(ConnectorEntry *c, ConnectorNews news);

/* What those that were due together have put off until all were served: their runs come first. */
void connector_save_waiting(Engine *engine);

/* The published copy follows when all that was put so far is committed; the record too, where the schedule has changed
 * it. */
void connector_publish(ConnectorEntry *c, ConnectorNews news);

/* Its run has ended: without a file it goes. */
void connector_release(ConnectorEntry *c);
