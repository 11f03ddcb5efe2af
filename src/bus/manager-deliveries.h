/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The manager's methods about deliveries. For manager-object.c alone. */

#include <systemd/sd-bus.h>

int method_describe_deliveries(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_resend_delivery(sd_bus_message *m, void *userdata, sd_bus_error *error);
