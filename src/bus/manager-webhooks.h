/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The manager's methods and signals about webhooks. */

#include "bus/bus-private.h"

/* Any of them: which it is stands in the message. Its userdata is the Bus. */
int method_webhook(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_describe_webhook_event_types(sd_bus_message *m, void *userdata, sd_bus_error *error);

/* Sets the callbacks that send the signals. */
void webhook_signals_init(EngineObserver *observer);
