/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Attempts to deliver something of a connector, of both kinds: listed, and asked for once more. What engine.h says of
 * asking holds here, too. */

#include "engine/engine.h"
#include "model/delivery.h"
#include "store/delivery-store.h"

/**
 * engine_describe_deliveries() - {"deliveries":[...]}, newest first
 * @user_id:  only what is about this user; NULL: anybody
 * @limit:    1..DELIVERIES_PAGE_MAX
 * @ret_json: set on success only; freed by the caller
 *
 * Return: 0; -EINVAL (limit); -ENOMEM; negative errno of reading.
 */
int engine_describe_deliveries(Engine *engine, const Connector *connector, const char *user_id, unsigned limit,
                               char **ret_json) _must_check_;

/* Of which kind an attempt is. Return: a DeliveryKind; -ENOMSG (there is none); negative errno of reading. */
int engine_delivery_kind(Engine *engine, const Connector *connector, const char *user_id,
                         const char *id) _must_check_;

/**
 * engine_resend_delivery() - what an attempt was for is sent once more
 * @options: of the run that sends records
 *
 * News of a run go to their endpoint again. Records that were not taken are sent by a run, which is started, or
 * follows the active one where that has begun: its worker may have given up. Those that were taken, only by a full
 * resync.
 *
 * Refusals: -ENOMSG (no such attempt of this connector, or no longer); -EEXIST (records that were taken); those of
 * engine_resend_webhook() and engine_start_run().
 */
int engine_resend_delivery(Engine *engine, const Connector *connector, const char *user_id, const char *id,
                           const StartOptions *options, EngineReply reply, void *userdata) _must_check_;
