/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Endpoints, messages and attempts in a store. */

#include "store/webhook-store.h"
#include "unit/store-fixture.h"

char *copy_text(const char *s); /* NULL for NULL; the caller frees */

void put_endpoint(StoreFixture *f, const char *id, unsigned types, const char *user_id, bool disabled);
void put_message(StoreFixture *f, const char *id, WebhookType type, const char *user_id, const char *run_id,
                 usec_t time_usec);
void put_message_of(StoreFixture *f, const char *id, WebhookType type, const char *connector, const char *run_id,
                    usec_t time_usec);

/* What is pending for an endpoint, "msg_1 msg_2", earliest first. */
void check_due(StoreFixture *f, const char *endpoint_id, const char *expected);

/* An attempt of what is due first. */
void attempt(StoreFixture *f, const char *endpoint_id, const char *id, DeliveryState state, usec_t due_usec);
