/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* News of syncs for the outside world: who wants them (endpoints), what they say (messages) and how sending one went
 * (attempts). Pure values; how they are sent is the engine's business. */

#include "model/run.h"

typedef enum WebhookType {
        WEBHOOK_SYNC_STARTED,
        WEBHOOK_SYNC_COMPLETED, /* succeeded, in part, or skipped: its status says which */
        WEBHOOK_SYNC_FAILED,
        WEBHOOK_SYNC_CANCELLED,
        WEBHOOK_SYNC_NEEDS_ATTENTION,
        WEBHOOK_SYNC_RECOVERED,
        WEBHOOK_TEST, /* to one endpoint, because somebody asked for it */
        _WEBHOOK_TYPE_MAX,
        _WEBHOOK_TYPE_INVALID = -EINVAL,
} WebhookType;
DECLARE_STRING_TABLE(webhook_type, WebhookType);

/* An endpoint chooses among those before it. */
#define WEBHOOK_TYPES_OF_SYNCS ((unsigned) WEBHOOK_TEST)

/* One sentence about it. */
const char *webhook_type_describe(WebhookType type) _const_;

/* A set of types is a bit for each; 0 is all. In text the words stand with blanks between them, "" for all.
 * Return: 0; -EINVAL (a word that no endpoint may choose); -ENOMEM. */
int webhook_types_from_words(char *const *words, unsigned *ret) _must_check_;
int webhook_types_from_text(const char *text, unsigned *ret) _must_check_;
int webhook_types_to_text(unsigned types, char **ret) _must_check_;

typedef enum WebhookDisabled {
        WEBHOOK_DISABLED_BY_HAND,
        WEBHOOK_DISABLED_FAILING, /* nothing was taken for DisableAfterSec= */
        WEBHOOK_DISABLED_GONE,    /* it answered 410 */
        _WEBHOOK_DISABLED_MAX,
        _WEBHOOK_DISABLED_INVALID = -EINVAL, /* it is enabled */
} WebhookDisabled;
DECLARE_STRING_TABLE(webhook_disabled, WebhookDisabled);

/* What is told of an endpoint. */
typedef enum WebhookChange {
        WEBHOOK_CHANGE_ADDED,
        WEBHOOK_CHANGE_UPDATED,
        WEBHOOK_CHANGE_REMOVED,
        WEBHOOK_CHANGE_DISABLED, /* by the service itself */
        _WEBHOOK_CHANGE_MAX,
        _WEBHOOK_CHANGE_INVALID = -EINVAL,
} WebhookChange;
DECLARE_STRING_TABLE(webhook_change, WebhookChange);

#define WEBHOOK_ENDPOINTS_MAX       64U    /* further ones are refused */
#define WEBHOOK_SECRETS_MAX         4U     /* that sign: with one more the oldest goes, before its time */
#define WEBHOOK_SECRET_OVERLAP_USEC USEC_PER_DAY /* how long one that was replaced still signs */
#define WEBHOOK_URL_MAX             2048U  /* bytes */
#define WEBHOOK_DESCRIPTION_MAX     1024U  /* bytes */
#define WEBHOOK_BODY_MAX            20000U /* bytes of a message: a run's metadata that makes it larger is left out */
#define WEBHOOK_ANSWER_MAX          1024U  /* bytes that are kept of an endpoint's answer */
#define WEBHOOK_ID_MAX              40U    /* "msg_" and the like, 32 digits, the closing NUL */

typedef struct WebhookSecret {
        char *text;
        usec_t expires_usec; /* CLOCK_REALTIME; 0: it is the current one */
} WebhookSecret;

/* Times are CLOCK_REALTIME, 0 is "not". */
typedef struct WebhookEndpoint {
        char *id;
        char *url;
        char *description; /* NULL */
        unsigned types;    /* 0: all */
        char *user_id;     /* only what is about this user; NULL: about anybody */
        WebhookDisabled disabled;
        usec_t disabled_usec;
        usec_t failing_usec; /* since when nothing was taken, but for times in which there was nothing to send */
        usec_t failed_usec;  /* of the last failure since then */
        usec_t created_usec;
        usec_t updated_usec;
        WebhookSecret secrets[WEBHOOK_SECRETS_MAX]; /* the current one first */
        size_t n_secrets;
} WebhookEndpoint;

void webhook_endpoint_done(WebhookEndpoint *endpoint);
int webhook_endpoint_copy(const WebhookEndpoint *endpoint, WebhookEndpoint *ret) _must_check_; /* deep; 0; -ENOMEM */

bool webhook_endpoint_wants(const WebhookEndpoint *endpoint, WebhookType type, const char *user_id) _pure_;

/* A new secret takes the place of the current one, which signs until @old_expires_usec (0: no more). Those that have
 * expired at @now_usec go. Return: 0; errno of getrandom(2); -ENOMEM. */
int webhook_endpoint_rotate(WebhookEndpoint *endpoint, usec_t now_usec, usec_t old_expires_usec) _must_check_;

/* What is said, to each endpoint the same bytes. */
typedef struct WebhookMessage {
        char *id; /* msg_..., the same at each attempt: to tell a repeated one by */
        WebhookType type;
        char *user_id; /* NULL */
        char *run_id;  /* NULL */
        char *connector; /* that it is about, where there is no run; NULL */
        usec_t run_created_usec; /* tells runs from outside apart that were given the same id; 0 */
        usec_t created_usec;
        char *body;
} WebhookMessage;

void webhook_message_done(WebhookMessage *message);

#define WEBHOOK_ENDPOINT_PREFIX "ep_"

/* @prefix and 32 random digits that sort by time. Return: 0; errno of getrandom(2). */
int webhook_id_new(const char *prefix, usec_t now_usec, char ret[static WEBHOOK_ID_MAX]) _must_check_;

/**
 * webhook_message_of_run() - {type, timestamp, data} of a run as it stands (C31)
 * @type: started, completed, failed or cancelled
 * @ret:  set on success only; closed by webhook_message_done()
 *
 * Return: 0; -ENOMEM; errno of getrandom(2).
 */
int webhook_message_of_run(WebhookType type, const Run *run, usec_t now_usec, WebhookMessage *ret) _must_check_;

/* ... of a connector's attention, which @run has raised (needs_attention, with @advice) or cleared (recovered). @run:
 * one without an id where that was its connection's consent. */
int webhook_message_of_attention(WebhookType type, const Run *run, const Attention *attention, const char *advice,
                                 usec_t now_usec, WebhookMessage *ret) _must_check_;

int webhook_message_of_test(const char *endpoint_id, usec_t now_usec, WebhookMessage *ret) _must_check_;

typedef enum DeliveryState {
        DELIVERY_WAITING, /* for an earlier message of its run, or of its connector's attention */
        DELIVERY_PENDING, /* has a time */
        DELIVERY_SUCCEEDED,
        DELIVERY_FAILED,
        DELIVERY_HELD, /* its endpoint was disabled */
        _DELIVERY_STATE_MAX,
        _DELIVERY_STATE_INVALID = -EINVAL,
} DeliveryState;
DECLARE_STRING_TABLE(delivery_state, DeliveryState);

/* One request, and what came of it. */
typedef struct WebhookAttempt {
        char *id;
        char *endpoint_id;
        char *message_id;
        char *url;
        bool succeeded;
        bool manual;          /* somebody asked for it */
        bool outdated;        /* the endpoint has another URL by now: it does not count. Not in the history */
        unsigned http_status; /* 0: no answer */
        usec_t started_usec;  /* CLOCK_REALTIME */
        usec_t duration_usec;
        unsigned n_before; /* attempts at the same before this one */
        char *error;  /* why it failed; NULL */
        char *answer; /* the beginning of what came back; NULL */
} WebhookAttempt;

void webhook_attempt_done(WebhookAttempt *attempt);
