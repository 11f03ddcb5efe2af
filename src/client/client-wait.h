/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Waiting for a service that is not there yet, as long as it may still come. For client.c alone. */

#include <systemd/sd-bus.h>

#include "base/macros.h"

typedef struct ServiceWait {
        sd_bus *bus;
        bool is_remote;             /* the bus is another machine's: there is no second connection to it */
        void (*waits)(void *state); /* called once, when the service is being started; NULL */
        void *userdata;             /* of @waits */
} ServiceWait;

/**
 * service_await() - let the bus start the service, once, and wait for its answer
 * @error:     set where it does not answer
 * @ret_words: set where it has failed to start, if there is memory: what it said of that; freed by the caller
 *
 * Context: blocks, at most for client_answer_usec(). Nothing else that comes over the bus is acted on meanwhile.
 * Return: 0: it answers; -EHOSTDOWN: it could not be started; -ETIMEDOUT; another negative errno, as of @error.
 */
int service_await(const ServiceWait *wait, sd_bus_error *error, char **ret_words) _must_check_;
