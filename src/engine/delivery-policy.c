/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "engine/delivery-policy.h"

#include "base/time-util.h"

#define JITTER 0.2 /* of a delay, to either side */

#define HTTP_GONE              410U
#define HTTP_TOO_MANY_REQUESTS 429U
#define HTTP_BAD_GATEWAY       502U
#define HTTP_GATEWAY_TIMEOUT   504U

static bool is_throttling(const DeliveryOutcome *outcome)
{
        return outcome->timed_out || outcome->http_status == HTTP_TOO_MANY_REQUESTS ||
               outcome->http_status == HTTP_BAD_GATEWAY || outcome->http_status == HTTP_GATEWAY_TIMEOUT;
}

DeliveryVerdict delivery_judge(const Settings *settings, const DeliveryOutcome *outcome, unsigned n_before,
                               double random)
{
        unsigned status = outcome->http_status;
        usec_t base;

        if (delivery_outcome_is_good(outcome))
                return (DeliveryVerdict) { .state = DELIVERY_SUCCEEDED };
        if (outcome->abort || status == HTTP_GONE || n_before >= settings->n_webhook_retries)
                return (DeliveryVerdict) {
                        .state = DELIVERY_FAILED,
                        .gone = status == HTTP_GONE,
                        /* No longer for this message, but for those that come after it. */
                        .pause_usec = MIN(outcome->retry_after_usec, delivery_longest_delay(settings)),
                };
        base = settings->webhook_retries[n_before];
        if (is_throttling(outcome))
                base = MAX(base, DELIVERY_THROTTLE_USEC);
        if (outcome->retry_after_usec > 0) {
                usec_t delay = CLAMP(outcome->retry_after_usec, base, 2 * base);

                return (DeliveryVerdict) { .state = DELIVERY_PENDING, .delay_usec = delay, .pause_usec = delay };
        }
        return (DeliveryVerdict) {
                .state = DELIVERY_PENDING,
                .delay_usec = (usec_t) ((double) base * (1.0 - JITTER + 2.0 * JITTER * random)),
        };
}

usec_t delivery_pause(unsigned n_failures)
{
        usec_t pause = DELIVERY_PAUSE_USEC;

        if (n_failures < 2)
                return 0;
        for (unsigned i = 2; i < n_failures && pause < DELIVERY_PAUSE_MAX_USEC; i++)
                pause *= 2;
        return MIN(pause, DELIVERY_PAUSE_MAX_USEC);
}

usec_t delivery_longest_delay(const Settings *settings)
{
        usec_t longest = DELIVERY_THROTTLE_USEC;

        for (size_t i = 0; i < settings->n_webhook_retries; i++)
                longest = MAX(longest, settings->webhook_retries[i]);
        return 2 * longest;
}
