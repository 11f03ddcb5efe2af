/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The shim's own settings: syncrun-http.conf and its drop-ins (syncrun-http.conf(5)). */

#include "base/conf.h"

/* Numbers are UINT_MAX, and spans USEC_INFINITY, where there shall be no limit. */
typedef struct HttpSettings {
        /* [Server] */
        usec_t idle_exit_usec;  /* with no connection, where systemd starts it again */
        usec_t keep_alive_usec; /* a connection may be silent so long between two requests */
        char **allow_origin;    /* for CORS; "*": all */
        char **trusted_proxy;   /* addresses whose X-Forwarded-For is believed */
        bool metrics_without_key;

        /* [Tokens] */
        char *token_keys_folder; /* NULL: credentials */
        char **token_issuer;
        char **token_audience;
        char *token_user_claim;
        usec_t token_leeway_usec;

        /* [Limits] */
        unsigned connections_max;
        unsigned connections_per_address_max;
        usec_t head_timeout_usec;   /* for all of a request's head */
        usec_t body_timeout_usec;   /* for all of its body */
        usec_t send_timeout_usec;   /* without a byte that the client took */
        usec_t answer_timeout_usec; /* for all of an answer */
        unsigned head_max_bytes;
        unsigned body_max_bytes;
        unsigned answers_max_bytes;   /* of all that are being sent */
        unsigned requests_per_minute; /* of one key */
        unsigned failures_per_minute; /* of one address: unknown keys */

        /* [Streams] */
        unsigned streams_max;
        unsigned streams_per_key_max;
        unsigned backlog_max_bytes;  /* not yet taken by one client */
        unsigned backlogs_max_bytes; /* by all */
} HttpSettings;

/* Every field at its default. */
void http_settings_init(HttpSettings *settings);
void http_settings_done(HttpSettings *settings);
#define _cleanup_http_settings_ _cleanup_(http_settings_done)

/**
 * http_settings_load() - find and read syncrun-http.conf with its drop-ins
 * @dirs: as settings_dirs()
 * @d:    what is wrong: those lines do not count; may be NULL
 * @ret:  set on success only; closed by http_settings_done()
 *
 * Context: blocks for reading files.
 * Return: 0; -ENOMEM.
 */
int http_settings_load(char *const *dirs, Diagnostics *d, HttpSettings *ret) _must_check_;
