/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon's own settings: syncrun.conf and its drop-ins (syncrun.conf(5)). */

#include "base/conf.h"
#include "base/string-table.h"
#include "model/network.h"

/* How runs are started. */
typedef enum LauncherType {
        LAUNCHER_AUTO,  /* unit where systemd is PID 1 and we are on the system bus, else child */
        LAUNCHER_UNIT,  /* as syncrun@NAME.service */
        LAUNCHER_CHILD, /* syncrun-worker as our child process */
        _LAUNCHER_TYPE_MAX,
        _LAUNCHER_TYPE_INVALID = -EINVAL,
} LauncherType;
DECLARE_STRING_TABLE(launcher_type, LauncherType);

#define WEBHOOK_TIMEOUT_USEC (15 * USEC_PER_SEC) /* TimeoutSec=, where nothing is said */
#define WEBHOOK_RETRIES_MAX  20U /* words of RetrySec= */

/* What holds for every request that sends something out, to webhooks and by connectors of Type=webhook. */
typedef struct WebhookRules {
        usec_t timeout_usec; /* of one request, from its beginning to the end of the answer */
        bool allow_http;
        bool allow_literals; /* addresses in URLs */
        Networks private_networks; /* beside what is public */
        char *ca_file; /* NULL: the system's authorities */
} WebhookRules;

/* Numbers are UINT_MAX, and spans USEC_INFINITY, where there shall be no limit. */
typedef struct Settings {
        /* [Daemon] */
        unsigned max_concurrent_runs;              /* of all connectors; others wait in the queue */
        unsigned max_concurrent_runs_per_provider;
        unsigned max_queued_runs;                  /* further StartRun() are refused, further scheduled runs skipped */
        usec_t authorization_timeout_usec;         /* for how long a person may think about polkit's question */
        LauncherType launcher;
        char *state_directory;                     /* never NULL; $STATE_DIRECTORY wins over the file */

        /* [History]; a run goes when it is too old, or its connector has too many newer ones */
        usec_t events_max_age_usec;
        unsigned events_max_per_user;              /* the oldest go first */
        usec_t runs_max_age_usec;                  /* of all runs but the failed and the skipped */
        unsigned runs_max_per_connector;
        usec_t failed_runs_max_age_usec;           /* failed and partial: they are looked at longer */
        unsigned failed_runs_max_per_connector;
        usec_t skipped_runs_max_age_usec;          /* skipped: they must not push out the runs that took place */
        unsigned skipped_runs_max_per_connector;

        /* [Activity]: the feed of one connector */
        unsigned activity_max_runs;
        unsigned activity_max_account_rows; /* of all its runs; the newest run is shown in any case */

        /* [Reports] */
        usec_t silence_timeout_usec; /* a run reported from outside that says nothing for so long has failed */
        unsigned max_open_runs;      /* reported runs that have not ended; further ones are refused */
        unsigned max_users;          /* when so many are known, reports of others are refused */

        /* [Webhooks] */
        unsigned webhook_max_requests;              /* under way at the same time */
        unsigned webhook_max_requests_per_endpoint;
        usec_t webhook_retries[WEBHOOK_RETRIES_MAX]; /* delays after a failure, one after the other */
        size_t n_webhook_retries;
        usec_t webhook_disable_after_usec;          /* an endpoint that takes nothing for so long is disabled */
        WebhookRules webhook_rules;
        usec_t webhook_messages_max_age_usec;
        unsigned webhook_messages_max;              /* the oldest go first, whether sent or not */
} Settings;

/* Every field at its default but state_directory, which is NULL. */
void settings_init(Settings *settings);
void settings_done(Settings *settings);
#define _cleanup_settings_ _cleanup_(settings_done)

/**
 * settings_apply() - the defaults, with assignments and the environment over them
 * @ret: set on success only; closed by settings_done()
 *
 * Wrong values are warnings in @d, and their defaults hold.
 *
 * Return: 0; -ENOMEM.
 */
int settings_apply(const Conf *conf, Diagnostics *d, Settings *ret) _must_check_;

/**
 * settings_load() - find and read syncrun.conf with its drop-ins (which count also where there is no main file)
 * @dirs: as settings_dirs(); most important first
 * @d:    what is wrong; may be NULL. A file that cannot be read is an error in it, and what could be read counts.
 * @ret:  set on success only; closed by settings_done()
 *
 * Context: blocks for reading files.
 * Return: 0; -ENOMEM.
 */
int settings_load(char *const *dirs, Diagnostics *d, Settings *ret) _must_check_;

/**
 * settings_dirs() - where configuration is looked for: SYNCRUN_CONFIG_DIRS, or /etc/syncrun, /run/syncrun,
 * /usr/lib/syncrun
 *
 * Return: 0; -ENOMEM. The list is the caller's to free.
 */
int settings_dirs(char ***ret) _must_check_;

/* The folder @name below each of settings_dirs(). Return: 0; -ENOMEM. The list is the caller's to free. */
int settings_dirs_below(const char *name, char ***ret) _must_check_;
