/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Endpoints, messages and attempts as values. What a message says stands in webhook-body.c. */

#include "model/webhook.h"

#include "base/string-util.h"
#include "model/signature.h"

static const char *const webhook_type_table[] = {
        [WEBHOOK_SYNC_STARTED] = "sync.started",
        [WEBHOOK_SYNC_COMPLETED] = "sync.completed",
        [WEBHOOK_SYNC_FAILED] = "sync.failed",
        [WEBHOOK_SYNC_CANCELLED] = "sync.cancelled",
        [WEBHOOK_SYNC_NEEDS_ATTENTION] = "sync.needs_attention",
        [WEBHOOK_SYNC_RECOVERED] = "sync.recovered",
        [WEBHOOK_TEST] = "webhook.test",
};
DEFINE_STRING_TABLE(webhook_type, WebhookType, _WEBHOOK_TYPE_MAX);

static const char *const description_table[] = {
        [WEBHOOK_SYNC_STARTED] = "A sync run has started.",
        [WEBHOOK_SYNC_COMPLETED] = "A sync run has ended well, in part, or was skipped.",
        [WEBHOOK_SYNC_FAILED] = "A sync run has failed.",
        [WEBHOOK_SYNC_CANCELLED] = "A sync run was cancelled.",
        [WEBHOOK_SYNC_NEEDS_ATTENTION] = "A sync needs a person, and why.",
        [WEBHOOK_SYNC_RECOVERED] = "A sync that needed a person works again.",
        [WEBHOOK_TEST] = "Somebody tries the endpoint out.",
};
static_assert(ELEMENTSOF(description_table) == _WEBHOOK_TYPE_MAX, "one sentence for each WebhookType");

static const char *const webhook_disabled_table[] = {
        [WEBHOOK_DISABLED_BY_HAND] = "by-hand",
        [WEBHOOK_DISABLED_FAILING] = "failing",
        [WEBHOOK_DISABLED_GONE] = "gone",
};
DEFINE_STRING_TABLE(webhook_disabled, WebhookDisabled, _WEBHOOK_DISABLED_MAX);

static const char *const webhook_change_table[] = {
        [WEBHOOK_CHANGE_ADDED] = "added",
        [WEBHOOK_CHANGE_UPDATED] = "updated",
        [WEBHOOK_CHANGE_REMOVED] = "removed",
        [WEBHOOK_CHANGE_DISABLED] = "disabled",
};
DEFINE_STRING_TABLE(webhook_change, WebhookChange, _WEBHOOK_CHANGE_MAX);

static const char *const delivery_state_table[] = {
        [DELIVERY_WAITING] = "waiting",
        [DELIVERY_PENDING] = "pending",
        [DELIVERY_SUCCEEDED] = "succeeded",
        [DELIVERY_FAILED] = "failed",
        [DELIVERY_HELD] = "held",
};
DEFINE_STRING_TABLE(delivery_state, DeliveryState, _DELIVERY_STATE_MAX);

const char *webhook_type_describe(WebhookType type)
{
        return type >= 0 && type < _WEBHOOK_TYPE_MAX ? description_table[type] : NULL;
}

/* ---- Sets of types */

int webhook_types_from_words(char *const *words, unsigned *ret)
{
        unsigned types = 0;

        STRV_FOREACH(word, words) {
                WebhookType type = webhook_type_from_string(*word);

                if (type < 0 || (unsigned) type >= WEBHOOK_TYPES_OF_SYNCS)
                        return -EINVAL;
                types |= 1U << type;
        }
        *ret = types;
        return 0;
}

int webhook_types_from_text(const char *text, unsigned *ret)
{
        _cleanup_strv_free_ char **words = NULL;
        int r;

        r = strv_split(strempty(text), " ", &words);
        return r < 0 ? r : webhook_types_from_words(words, ret);
}

int webhook_types_to_text(unsigned types, char **ret)
{
        _cleanup_buffer_ Buffer text = {};

        for (unsigned i = 0; i < WEBHOOK_TYPES_OF_SYNCS; i++)
                if (types & 1U << i)
                        buffer_append_format(&text, "%s%s", text.size > 0 ? " " : "", webhook_type_table[i]);
        return buffer_take(&text, ret);
}

/* ---- Endpoints */

static void secret_done(WebhookSecret *secret)
{
        if (secret->text)
                explicit_bzero(secret->text, strlen(secret->text));
        free(secret->text);
        *secret = (WebhookSecret) {};
}

void webhook_endpoint_done(WebhookEndpoint *endpoint)
{
        free(endpoint->id);
        free(endpoint->url);
        free(endpoint->description);
        free(endpoint->user_id);
        for (size_t i = 0; i < endpoint->n_secrets; i++)
                secret_done(&endpoint->secrets[i]);
        *endpoint = (WebhookEndpoint) { .disabled = _WEBHOOK_DISABLED_INVALID };
}

int webhook_endpoint_copy(const WebhookEndpoint *endpoint, WebhookEndpoint *ret)
{
        WebhookEndpoint copy = *endpoint;
        bool failed;

        copy.id = copy.url = copy.description = copy.user_id = NULL;
        for (size_t i = 0; i < copy.n_secrets; i++)
                copy.secrets[i].text = NULL;
        failed = free_and_strdup(&copy.id, endpoint->id) < 0 || free_and_strdup(&copy.url, endpoint->url) < 0 ||
                 free_and_strdup(&copy.description, endpoint->description) < 0 ||
                 free_and_strdup(&copy.user_id, endpoint->user_id) < 0;
        for (size_t i = 0; !failed && i < copy.n_secrets; i++)
                failed = free_and_strdup(&copy.secrets[i].text, endpoint->secrets[i].text) < 0;
        if (failed) {
                webhook_endpoint_done(&copy);
                return -ENOMEM;
        }
        *ret = copy;
        return 0;
}

bool webhook_endpoint_wants(const WebhookEndpoint *endpoint, WebhookType type, const char *user_id)
{
        return (endpoint->types == 0 || endpoint->types & 1U << type) &&
               (!endpoint->user_id || streq_null(endpoint->user_id, user_id));
}

/* Drops those that sign no more; the current one, which is the first, stays. */
static void drop_expired(WebhookEndpoint *endpoint, usec_t now_usec)
{
        size_t n = 0;

        for (size_t i = 0; i < endpoint->n_secrets; i++) {
                WebhookSecret *secret = &endpoint->secrets[i];

                if (secret->expires_usec > 0 && secret->expires_usec <= now_usec)
                        secret_done(secret);
                else
                        endpoint->secrets[n++] = *secret;
        }
        endpoint->n_secrets = n;
}

int webhook_endpoint_rotate(WebhookEndpoint *endpoint, usec_t now_usec, usec_t old_expires_usec)
{
        char text[SIGNATURE_SECRET_TEXT_MAX];
        char *copy;
        int r;

        r = signature_secret_new(text);
        if (r < 0)
                return r;
        copy = strdup(text);
        explicit_bzero(text, sizeof(text));
        if (!copy)
                return -ENOMEM;
        for (size_t i = 0; i < endpoint->n_secrets; i++) {
                usec_t *expires = &endpoint->secrets[i].expires_usec;

                /* Where the replaced one signs no more, those before it do not either. */
                *expires = old_expires_usec == 0 ? now_usec : *expires == 0 ? old_expires_usec : *expires;
        }
        drop_expired(endpoint, now_usec);
        if (endpoint->n_secrets == WEBHOOK_SECRETS_MAX)
                secret_done(&endpoint->secrets[--endpoint->n_secrets]);
        (void) memmove(endpoint->secrets + 1, endpoint->secrets, endpoint->n_secrets * sizeof(WebhookSecret));
        endpoint->secrets[0] = (WebhookSecret) { .text = copy };
        endpoint->n_secrets++;
        return 0;
}

/* ---- Messages and attempts */

void webhook_message_done(WebhookMessage *message)
{
        free(message->id);
        free(message->user_id);
        free(message->run_id);
        free(message->connector);
        free(message->body);
        *message = (WebhookMessage) { .type = _WEBHOOK_TYPE_INVALID };
}

void webhook_attempt_done(WebhookAttempt *attempt)
{
        free(attempt->id);
        free(attempt->endpoint_id);
        free(attempt->message_id);
        free(attempt->url);
        free(attempt->error);
        free(attempt->answer);
        *attempt = (WebhookAttempt) {};
}

int webhook_id_new(const char *prefix, usec_t now_usec, char ret[static WEBHOOK_ID_MAX])
{
        char uuid[UUID_TEXT_MAX], *p;
        int r;

        assert(strlen(prefix) + 32 < WEBHOOK_ID_MAX);
        r = uuid_new_v7(now_usec, uuid);
        if (r < 0)
                return r;
        p = stpcpy(ret, prefix);
        for (const char *digit = uuid; *digit; digit++)
                if (*digit != '-')
                        *p++ = *digit;
        *p = '\0';
        return 0;
}
