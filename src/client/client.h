/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The daemon as its clients see it: one connection, one function a method. Blocking calls, for programs that have
 * nothing else to do meanwhile; programs with a loop take the bus from client_bus(). The worker's own calls are in
 * client/worker-proxy. */

#include <systemd/sd-bus.h>

#include "base/refusal.h"
#include "model/api-key.h"

typedef struct Client Client;

/* Why a call did not succeed, in words for a person. */
typedef struct ClientError {
        int error;              /* negative errno, by the refusal's row where there is one */
        const Refusal *refusal; /* NULL: not one of ours */
        int exit_status;        /* what syncrunctl ends with for it */
        char *message; /* the daemon's words, or what to do about the connection: see client_error_text() */
} ClientError;

void client_error_done(ClientError *e);
#define _cleanup_client_error_ _cleanup_(client_error_done)

#define CLIENT_EXIT_UNREACHABLE 69 /* EX_UNAVAILABLE: the bus, or the service behind it */

/* How long the service may take to say that it is there: longer than dbus-daemon waits for its start (25 s).
 * SYSTEMD_BUS_TIMEOUT in the environment says otherwise, as to all of systemd's tools. */
#define CLIENT_ANSWER_USEC (30 * USEC_PER_SEC)
usec_t client_answer_usec(void);

/* It did not within that time: fills @e. Return: -ETIMEDOUT. */
int client_fail_unanswered(ClientError *e);

/* Its message; where there was no memory to keep that, that. */
const char *client_error_text(const ClientError *e) _pure_;

/* The exit status that syncrunctl gives for it, never 0. */
int client_error_exit_status(const ClientError *e) _pure_;

/**
 * client_open() - connect to SYNCRUN_BUS_ADDRESS, to a host over ssh, or to the system bus
 * @host: [USER@]HOST for ssh, or NULL
 * @e:    filled on failure
 * @ret:  set on success only; closed by client_free()
 *
 * Context: blocks. Polkit may ask the person for a password during later calls.
 * Return: 0; negative errno.
 */
int client_open(const char *host, Client **ret, ClientError *e) _must_check_;

Client *client_free(Client *client);
DEFINE_TRIVIAL_CLEANUP_FUNC(Client *, client_free);

sd_bus *client_bus(Client *client); /* borrowed */

typedef void (*ClientWaitsCallback)(void *userdata);

/* Called once while a call waits for the service to be started, so that a person can be told. NULL: nobody is. */
void client_on_waits(Client *client, ClientWaitsCallback callback, void *userdata);

/* One entry of an a{sv}. */
typedef struct ClientOption {
        const char *name;
        char type;       /* 's' 't' 'u' 'b', or 'a' for an array of strings */
        bool even_empty; /* an empty list is sent, too */
        union {
                const char *s;
                uint64_t t;
                uint32_t u;
                bool b;
                char *const *as;
        };
} ClientOption;

/* Appends an a{sv}; entries of type 's' with NULL and 'a' with an empty list are left out, unless they are even_empty.
 * Return: 0; negative errno. */
int client_append_options(sd_bus_message *m, const ClientOption *options, size_t n) _must_check_;

/* ---- Methods of Manager, Connector and Connection. Each blocks for the answer, which means "committed to disk".
 * Return: 0; negative errno with @e filled. */

typedef struct ClientStarted {
        char *run_id;
        char *path;
        bool already_active;
        bool full_resync;         /* the run is one */
        bool follow_up_pending;   /* remembered: becomes the next run */
        bool full_resync_pending; /* and that is a full resync */
        bool full_resync_owed;    /* of accounts that the run does not resync */
} ClientStarted;

void client_started_done(ClientStarted *started);

int client_start_run(Client *client, const char *connector, const ClientOption *options, size_t n, ClientStarted *ret,
                     ClientError *e) _must_check_;
int client_cancel_run(Client *client, const char *run_id, ClientError *e) _must_check_;
int client_set_active(Client *client, const char *connector, bool active, ClientError *e) _must_check_;

/* A method of Manager that takes a word and options. @ret: the answer, unref'd by the caller; may be NULL. */
int client_call_manager(Client *client, const char *member, const char *word, const ClientOption *options, size_t n,
                        sd_bus_message **ret, ClientError *e) _must_check_;

/* @ret: the caller erases it. */
int client_add_api_key(Client *client, const char *name, const ClientOption *options, size_t n, ApiKeyText *ret,
                       ClientError *e) _must_check_;
int client_revoke_api_key(Client *client, const char *name, ClientError *e) _must_check_;

/* A method about one webhook endpoint: words, perhaps a time, options; each answers with a text first, or nothing. */
typedef struct ClientWebhookCall {
        const char *member;
        const char *words[2]; /* NULL: not that many */
        bool with_since;
        uint64_t since_usec;
        const ClientOption *options;
        size_t n_options;
} ClientWebhookCall;

/* @ret_text: set on success only; freed by the caller; NULL where it is not wanted. */
int client_call_webhook(Client *client, const ClientWebhookCall *what, char **ret_text, ClientError *e) _must_check_;

int client_reload(Client *client, ClientError *e) _must_check_;

/* A property of Manager that is a string. @ret: freed by the caller; set on success only. */
int client_get_text(Client *client, const char *property, char **ret, ClientError *e) _must_check_;

/**
 * client_describe() - a bulk read of Manager
 * @member:   "DescribeRuns", "DescribeEvents", "DescribeConnectors", "DescribeConnections", "DescribeUsers",
 *            "DescribeApiKeys", "DescribeWebhook..."
 * @filter:   n entries; may be NULL
 * @ret_json: set on success only; freed by the caller
 */
int client_describe(Client *client, const char *member, const ClientOption *filter, size_t n, char **ret_json,
                    ClientError *e) _must_check_;

/* ---- News. @json is the event; all strings are borrowed. */
typedef void (*ClientEventCallback)(uint64_t seq, const char *user_id, const char *run_id, const char *json,
                                    void *userdata);

/**
 * client_watch_events() - be told of every event that is committed from now on
 * @ret_slot: ends the watch when it is freed
 *
 * Context: blocks for the bus's answer; the callback is called by sd_bus_process() or the loop the bus is attached to.
 */
int client_watch_events(Client *client, ClientEventCallback callback, void *userdata, sd_bus_slot **ret_slot,
                        ClientError *e) _must_check_;
