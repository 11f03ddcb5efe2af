/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What follows from an attempt to send a webhook message. Pure: clock and chance are passed in. */

#include "delivery/delivery-request.h"
#include "model/settings.h"
#include "model/webhook.h"

/* After "too many requests" and after silence an endpoint gets at least this much time. */
#define DELIVERY_THROTTLE_USEC USEC_PER_MINUTE

/* An endpoint that fails time after time is left alone between attempts, whichever message they are for: this long,
 * doubled with each failure after the second. */
#define DELIVERY_PAUSE_USEC     USEC_PER_SEC
#define DELIVERY_PAUSE_MAX_USEC USEC_PER_MINUTE

typedef struct DeliveryVerdict {
        DeliveryState state;  /* succeeded, pending or failed */
        usec_t delay_usec;    /* of the next attempt, when pending */
        usec_t pause_usec;    /* that the whole endpoint is to be left alone; 0: not */
        bool gone;            /* the endpoint says that it does not exist any more */
} DeliveryVerdict;

/**
 * delivery_judge() - what to do after an attempt
 * @n_before: attempts of this delivery before this one
 * @random:   [0, 1), for the jitter
 */
DeliveryVerdict delivery_judge(const Settings *settings, const DeliveryOutcome *outcome, unsigned n_before,
                               double random);

/* @n_failures: in a row. */
usec_t delivery_pause(unsigned n_failures) _const_;

/* The longest time that a delivery may have to wait for its next attempt. */
usec_t delivery_longest_delay(const Settings *settings) _pure_;
