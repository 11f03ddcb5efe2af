/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The engine's journal entries: structured fields and a message id for each kind (C28). Written after the commit of
 * what they tell of. */

#include "engine/engine-internal.h"

typedef enum RunLogEntry {
        RUN_LOG_NONE,
        RUN_LOG_QUEUED,
        RUN_LOG_STARTED,
        RUN_LOG_ENDED, /* by its outcome: failed is an error, partial a warning, the rest info */
        RUN_LOG_LOST,  /* ended because its worker was gone without a word */
        _RUN_LOG_ENTRY_MAX,
        _RUN_LOG_ENTRY_INVALID = -EINVAL,
} RunLogEntry;

void run_log(const Run *run, RunLogEntry entry);

/* The provider wants to be asked again at a time that is not believed. */
void run_log_far_retry(const Run *run, usec_t ahead_usec);

/* The record says when and which attempt. */
void run_log_retry(const Run *run, const ConnectorRecord *record, usec_t now_usec);

/* The settings have changed: what the record promises comes earlier, or, without a time, not at all. */
void run_log_retry_reviewed(const ConnectorDefinition *definition, const ConnectorRecord *record, usec_t now_usec);

/* Attention was raised or cleared. */
void attention_log(const Connector *connector);

/* What is wrong with a connector's file; where it @is_news, also that it was loaded. */
void connector_log(const ConnectorDefinition *definition, const Diagnostics *d, bool is_news);
void connector_log_removed(const char *name);

/* The same of a connection's file; the state that it is shown in; a program that reconnected it. */
void connection_log(const ConnectionDefinition *definition, const Diagnostics *d, bool is_news);
void connection_log_state(Engine *engine, const char *name);
void connection_log_reconnect(const ConnectionRecord *record);

/* The items of a connector were deleted; @why: not yet, and why; else NULL. */
void deletion_log(const char *connector, const char *why);

/* A key was @added or revoked, by whom. */
void api_key_log(const ApiKey *key, const char *requested_by, bool added);

/* The service has disabled it; an attempt was made (at debug). */
void webhook_log_disabled(const WebhookEndpoint *endpoint);

/* What an attempt says that people should hear of. */
typedef enum WebhookAttemptNews {
        WEBHOOK_NEWS_FAILING = 1 << 0,  /* the endpoint has begun to fail */
        WEBHOOK_NEWS_WORKS = 1 << 1,    /* ... works again */
        WEBHOOK_NEWS_GIVEN_UP = 1 << 2, /* it was the message's last */
} WebhookAttemptNews;
void webhook_log_attempt(const WebhookAttempt *attempt, WebhookAttemptNews news);

/* So many times a message was deleted that an endpoint had not been told of. */
void webhook_log_lost(uint64_t n);

/* A folder of configuration; @error of reading it. */
void files_log_unread(const char *folder, int error);
void files_log_read_again(void);

void store_log_failed(int error);
void store_log_recovered(void);
void store_log_new(const char *path);

/* The clock was set: why a time may be run twice, or late. */
void clock_log(int64_t step_usec, int64_t slept_usec);
