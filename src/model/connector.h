/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A connector as its file defines it (interfaces.md section 1). What happens to it (runs, cursor, attention) is the
 * engine's. */

#include "base/conf.h"
#include "model/calendar.h"
#include "model/run.h"

#define CONNECTORS_MAX     200000U /* loaded connectors; further files are refused with an error */
#define CALENDAR_SPECS_MAX 64U     /* OnCalendar= lines of one connector */
#define TRANSFORMS_MAX     16U     /* ExecTransform= lines of one connector */
#define ENVIRONMENT_MAX    256U    /* variables of one connector */
#define KEY_STREAMS_MAX    256U    /* streams that KeyProperties= of one connector names */
#define KEY_FIELDS_MAX     32U     /* fields of one stream's key */

#define EVERY_MIN_USEC USEC_PER_SEC /* Every= is at least this, so that a connector cannot keep the machine busy */

#define CONNECTOR_HEADER_PREFIX_MAX     64U /* bytes */
#define CONNECTOR_HEADER_PREFIX_DEFAULT "X-Syncrun"
#define CONNECTOR_EVENT_TYPE_MAX        64U /* bytes */
#define CONNECTOR_EVENT_TYPE_DEFAULT    "records.synced"
#define CONNECTOR_DISABLE_AFTER_DEFAULT 5U

/* Path= of Type=sqlite and Type=webhook, and WorkingDirectory=, where the file says none. */
#define CONNECTOR_PATH_DEFAULT              "%S/items.db"
#define CONNECTOR_WORKING_DIRECTORY_DEFAULT "%S"

typedef enum OverlapPolicy {
        OVERLAP_SKIP,  /* due while a run is active: recorded as a skipped run */
        OVERLAP_QUEUE, /* runs once more when the active run has ended */
        _OVERLAP_MAX,
        _OVERLAP_INVALID = -EINVAL,
} OverlapPolicy;
DECLARE_STRING_TABLE(overlap_policy, OverlapPolicy);

typedef enum DestinationType {
        DESTINATION_SQLITE,
        DESTINATION_EXEC,
        DESTINATION_WEBHOOK,
        _DESTINATION_MAX,
        _DESTINATION_INVALID = -EINVAL,
} DestinationType;
DECLARE_STRING_TABLE(destination_type, DestinationType);

typedef enum LoadState {
        LOAD_LOADED,
        LOAD_BAD_SETTING, /* visible, cannot run; the reason is in the definition's diagnostics */
        _LOAD_STATE_MAX,
        _LOAD_STATE_INVALID = -EINVAL,
} LoadState;
DECLARE_STRING_TABLE(load_state, LoadState);

typedef struct CalendarItem {
        char *text; /* as written */
        CalendarSpec *spec;
} CalendarItem;

typedef struct ConnectorDefinition {
        unsigned n_ref; /* a run in progress keeps the definition that it began with */
        char *name;
        LoadState load_state;
        char *load_error; /* with LOAD_BAD_SETTING: "FILE:LINE: KEY=: text" */
        Conf conf;        /* the assignments it was made from, for Worker.Attach */
        char *path;       /* the file that won; NULL when made from assignments alone */

        /* [Connector] */
        char *description;
        char *provider;   /* NAME where the file says none */
        RunSource source;
        char *user_id;    /* normalized; NULL */
        char *connection; /* NULL */
        bool enabled;

        /* [Schedule] */
        CalendarItem *calendars;
        size_t n_calendars;
        usec_t every_usec; /* 0: none */
        usec_t randomized_delay_usec;
        bool persistent;
        OverlapPolicy overlap;

        /* [Run] */
        usec_t timeout_usec;       /* USEC_INFINITY: none */
        usec_t stall_timeout_usec; /* USEC_INFINITY: none */
        unsigned retry_max;
        usec_t retry_usec;
        usec_t retry_max_usec;
        unsigned notify_after;

        /* [Pipeline]; specifiers are checked, not expanded, in all of it (model/command-line.h) */
        char **exec_pull;        /* words; NULL: runs happen elsewhere and are reported (not with source pull) */
        char ***exec_transforms; /* n_transforms lists of words */
        size_t n_transforms;
        char **environment;      /* NAME=VALUE, each NAME once */
        char *working_directory; /* never NULL */
        char *config_file;       /* NULL: "%c" is empty */

        /* [Destination]; specifiers as above, but for the URL and the keys */
        DestinationType destination;
        char *destination_path; /* DESTINATION_SQLITE, and where DESTINATION_WEBHOOK keeps its items: never NULL */
        char **exec_store;      /* DESTINATION_EXEC: never NULL */
        char *url;              /* DESTINATION_WEBHOOK: never NULL, https or http; whether that is allowed is not
                                 * known here */
        char *secret_file;      /* NULL: deliveries are not signed */
        char *header_prefix;    /* of those that say so; NULL: CONNECTOR_HEADER_PREFIX_DEFAULT */
        char *event_type;       /* NULL: CONNECTOR_EVENT_TYPE_DEFAULT */
        unsigned disable_after; /* runs in a row that could not deliver; 0: never */
        char **key_properties;  /* "stream:field,field": one entry a stream, no blanks around ":" and "," */
} ConnectorDefinition;

/**
 * connector_definition_parse() - make a definition of assignments
 * @name: valid by connector_name_is_valid()
 * @conf: taken over (emptied) on success
 * @path: the main file, or NULL; for messages
 * @d:    what is wrong; may be NULL
 * @ret:  one reference; set on success only
 *
 * A definition is made even where the connector cannot run: load_state and load_error say so. That is where a value is
 * wrong (or missing) that no default can stand for without doing what was not meant: Provider=, Source=, User=,
 * Enabled=, OnCalendar=, Every=, and all of [Pipeline] and [Destination] but Environment=. Where a default can, a
 * wrong value is a warning and the default holds. Two exceptions to "never NULL" above: with LOAD_BAD_SETTING anything
 * may be missing, and a connector without ExecPull= needs no destination.
 *
 * Return: 0; -ENOMEM.
 */
int connector_definition_parse(const char *name, Conf *conf, const char *path, Diagnostics *d,
                               ConnectorDefinition **ret) _must_check_;

/**
 * connector_definition_load() - find, read and parse NAME.connector with its drop-ins
 * @dirs: folders, most important first
 *
 * Context: blocks for reading files.
 * Return: 0; -ENOENT (no such file, or masked); -ENOMEM. A file that cannot be read gives a definition with
 * LOAD_BAD_SETTING.
 */
int connector_definition_load(char *const *dirs, const char *name, Diagnostics *d,
                              ConnectorDefinition **ret) _must_check_;

ConnectorDefinition *connector_definition_ref(ConnectorDefinition *definition);
ConnectorDefinition *connector_definition_unref(ConnectorDefinition *definition); /* accepts NULL; returns NULL */
DEFINE_TRIVIAL_CLEANUP_FUNC(ConnectorDefinition *, connector_definition_unref);

/* Same assignments and load state: a reload has nothing to do. Files count where both definitions were made from
 * some. */
bool connector_definition_equal(const ConnectorDefinition *a, const ConnectorDefinition *b) _pure_;

/**
 * connector_dirs() - the folders of connector files: "connectors" below each of settings_dirs()
 *
 * Return: 0; -ENOMEM. The list is the caller's to free.
 */
int connector_dirs(char ***ret) _must_check_;
