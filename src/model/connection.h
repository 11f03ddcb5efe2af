/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A connection, what connectors with the same Connection= share: as its file defines it, the states that it can be in,
 * and what follows from its consent's end. What happens to it is the engine's. */

#include "model/calendar.h"
#include "model/connector.h"

#define CONNECTIONS_MAX          100000U /* loaded connection files; further ones are refused with an error */
#define CONNECTION_ACCOUNTS_MAX  1000U   /* names in Accounts= of one connection */
#define RECONNECT_MESSAGE_MAX    512U    /* bytes of what a program says that reconnects it; longer text is cut */
#define CONNECTION_REASON_MAX    1024U   /* bytes of why it is in its state; longer text is cut */

#define CONSENT_WARNING_DEFAULT_USEC    (30 * USEC_PER_DAY)
#define RECONNECT_TIMEOUT_DEFAULT_USEC  (15 * USEC_PER_MINUTE)

/* In the order of how bad it is. */
typedef enum ConnectionState {
        CONNECTION_ACTIVE,
        CONNECTION_EXPIRING,  /* active, but its consent ends soon */
        CONNECTION_LOST,
        CONNECTION_EXPIRED,
        CONNECTION_WITHDRAWN,
        _CONNECTION_STATE_MAX,
        _CONNECTION_STATE_INVALID = -EINVAL,
} ConnectionState;
DECLARE_STRING_TABLE(connection_state, ConnectionState);

/* What a run's category says of its connection; CONNECTION_ACTIVE: nothing. */
ConnectionState connection_state_by_category(AttentionCategory category) _const_;

/* The category under which a state is shown where categories are; _ATTENTION_INVALID: active or expiring. */
AttentionCategory connection_state_category(ConnectionState state) _const_;

/* How a Reconnect() that ran a program went. */
typedef enum ReconnectResult {
        RECONNECT_SUCCESS,
        RECONNECT_FAILED,      /* the program failed, or could not be started */
        RECONNECT_TIMEOUT,     /* TimeoutSec= was over */
        RECONNECT_CANCELLED,   /* somebody stopped it */
        RECONNECT_INTERRUPTED, /* the daemon was not there when it ended */
        _RECONNECT_RESULT_MAX,
        _RECONNECT_RESULT_INVALID = -EINVAL,
} ReconnectResult;
DECLARE_STRING_TABLE(reconnect_result, ReconnectResult);

/* A point in time as a person wrote it: one without a zone moves with the machine's. */
typedef struct PointInTime {
        usec_t usec;        /* where @spec is NULL; USEC_INFINITY: none */
        CalendarSpec *spec; /* elapses once */
} PointInTime;

#define POINT_IN_TIME_INIT { .usec = USEC_INFINITY }

/**
 * point_in_time_parse() - read a point in time
 * @text: RFC 3339 ("2027-01-31T12:00:00Z"), or a calendar event that elapses once: "2027-01-31" (when the day begins),
 *        "2027-01-31 12:00", "2027-01-31 12:00 Europe/Berlin"
 * @ret:  set on success only; freed by point_in_time_done()
 *
 * Return: 0; -EINVAL (none of these, or it elapses more than once, or never); -ENOMEM; as calendar_spec_parse().
 */
int point_in_time_parse(const char *text, PointInTime *ret) _must_check_;
void point_in_time_done(PointInTime *point);

/* CLOCK_REALTIME; USEC_INFINITY: none. */
usec_t point_in_time_usec(const PointInTime *point) _pure_;

typedef struct ConnectionDefinition {
        unsigned n_ref;
        char *name;
        LoadState load_state;
        char *load_error; /* with LOAD_BAD_SETTING: "FILE:LINE: KEY=: text" */
        Conf conf;
        char *path;       /* the file that won; NULL when made from assignments alone */

        /* [Connection] */
        char *description;
        char *provider; /* NAME where the file says none */
        char *user_id;  /* normalized; NULL */
        char **accounts;
        PointInTime consent_expires;
        usec_t warning_usec; /* this long before its end, the consent is expiring */

        /* [Reconnect] */
        char **exec_reconnect;   /* words, with specifiers; NULL: a person reconnects elsewhere and says so */
        char **environment;
        usec_t timeout_usec;     /* USEC_INFINITY: none */
} ConnectionDefinition;

/**
 * connection_definition_parse() - make a definition of assignments
 *
 * As connector_definition_parse(). Provider=, User=, ConsentExpires= and ExecReconnect= that are wrong give
 * LOAD_BAD_SETTING; where another value is wrong, the default holds.
 *
 * Return: 0; -ENOMEM.
 */
int connection_definition_parse(const char *name, Conf *conf, const char *path, Diagnostics *d,
                                ConnectionDefinition **ret) _must_check_;

/* NAME.connection with its drop-ins; as connector_definition_load(). Return: 0; -ENOENT; -ENOMEM. */
int connection_definition_load(char *const *dirs, const char *name, Diagnostics *d,
                               ConnectionDefinition **ret) _must_check_;

ConnectionDefinition *connection_definition_ref(ConnectionDefinition *definition);
ConnectionDefinition *connection_definition_unref(ConnectionDefinition *definition); /* accepts NULL; returns NULL */
DEFINE_TRIVIAL_CLEANUP_FUNC(ConnectionDefinition *, connection_definition_unref);

/* As connector_definition_equal(). */
bool connection_definition_equal(const ConnectionDefinition *a, const ConnectionDefinition *b) _pure_;

/* The folders of connection files: "connections" below each of settings_dirs(). Return: 0; -ENOMEM. */
int connection_dirs(char ***ret) _must_check_;
