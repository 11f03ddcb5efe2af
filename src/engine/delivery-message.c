/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "engine/delivery-message.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/string-util.h"
#include "model/signature.h"

int delivery_message_request(const WebhookRules *rules, const WebhookEndpoint *endpoint, const char *message_id,
                             char *body, usec_t now_usec, DeliveryRequest **ret)
{
        const char *secrets[WEBHOOK_SECRETS_MAX];
        _cleanup_free_ char *signature = NULL;
        char seconds[24];
        size_t n = 0;
        int r;

        for (size_t i = 0; i < endpoint->n_secrets; i++)
                if (endpoint->secrets[i].expires_usec == 0 || endpoint->secrets[i].expires_usec > now_usec)
                        secrets[n++] = endpoint->secrets[i].text;
        r = signature_make(secrets, n, message_id, now_usec / USEC_PER_SEC, body, strlen(body), &signature);
        if (r < 0)
                return r;
        (void) snprintf(seconds, sizeof(seconds), "%" PRIu64, now_usec / USEC_PER_SEC);

        /* Those of Standard Webhooks, and the names that Svix gives the same. */
        const DeliveryHeader headers[] = {
                { "webhook-id", message_id }, { "webhook-timestamp", seconds }, { "webhook-signature", signature },
                { "svix-id", message_id },    { "svix-timestamp", seconds },    { "svix-signature", signature },
        };

        return delivery_request_new(rules, endpoint->url, headers, ELEMENTSOF(headers), body, ret);
}
