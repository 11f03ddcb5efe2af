/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* libcurl's transfers on the event loop: nothing waits but the loop itself. What is transferred is no business of this
 * file. */

#include <curl/curl.h>
#include <systemd/sd-event.h>

#include "base/macros.h"

typedef struct DeliveryLoop DeliveryLoop;

/* A transfer has ended; its handle has been removed. On the loop, never from within delivery_loop_add(). */
typedef void (*DeliveryLoopDone)(CURL *handle, CURLcode code, void *userdata);

/* @max_connections: that are kept open for later requests. Return: 0; -ENOMEM; -EIO. */
int delivery_loop_new(sd_event *event, unsigned max_connections, DeliveryLoopDone done, void *userdata,
                      DeliveryLoop **ret) _must_check_;

/* No handle is in it any more. */
DeliveryLoop *delivery_loop_free(DeliveryLoop *loop);
DEFINE_TRIVIAL_CLEANUP_FUNC(DeliveryLoop *, delivery_loop_free);

/* Begins. Return: 0; -ENOMEM; -EIO. */
int delivery_loop_add(DeliveryLoop *loop, CURL *handle) _must_check_;

/* Breaks off; done() is not called. */
void delivery_loop_remove(DeliveryLoop *loop, CURL *handle);
