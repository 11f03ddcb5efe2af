/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Attempts to deliver, of both kinds, as a connector's page lists them. Those of webhook endpoints are written in
 * attempt-store.c; those that workers tell of are written here. */

#include "model/delivery.h"
#include "store/store.h"

/* Attempts of one connector's destination that are kept: the newest ones, for as long as webhook messages are. */
#define RECORD_ATTEMPTS_PER_CONNECTOR_MAX 200U

/* Those of one call. The connector was put before. Ones that are there already are left as they are.
 * Return: 0; -EROFS; -ENOBUFS; -ENOMEM. */
int store_put_record_attempts(Store *store, const char *connector, const char *run_id,
                              const DeliveryAttempt *attempts, size_t n) _must_check_;

/* What the receiver of the connector's records has answered is forgotten: it may repeat what it was sent.
 * Return: 0; -EROFS; -ENOBUFS; -ENOMEM. */
int store_put_forget_answers(Store *store, const char *connector) _must_check_;

/* Of both kinds, in one list. */
#define DELIVERIES_PAGE_MAX 200U

/**
 * store_list_deliveries() - the newest attempts, newest first
 * @connector: its name
 * @user_id:   only what is about this user; NULL: anybody
 * @limit:     1..DELIVERIES_PAGE_MAX
 * @ret:       freed by delivery_attempts_free()
 *
 * Context: blocks for an indexed read.
 * Return: 0; -EINVAL (limit); negative errno of reading.
 */
int store_list_deliveries(Store *store, const char *connector, const char *user_id, unsigned limit,
                          DeliveryAttempt **ret, size_t *ret_n) _must_check_;

typedef struct FoundDelivery {
        DeliveryKind kind;
        bool succeeded;
        char *endpoint_id; /* DELIVERY_LIFECYCLE */
        char *message_id;
} FoundDelivery;

void found_delivery_done(FoundDelivery *found);

/* An attempt of this connector, by its id; @user_id as above. Return: 1; 0 (there is none); negative errno. */
int store_find_delivery(Store *store, const char *connector, const char *user_id, const char *id,
                        FoundDelivery *ret) _must_check_;
