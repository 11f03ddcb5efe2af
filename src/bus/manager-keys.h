/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The manager's methods about API keys, for its vtable. Their userdata is the Bus. */

#include <systemd/sd-bus.h>

int method_add_api_key(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_describe_api_keys(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_revoke_api_key(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_check_api_key(sd_bus_message *m, void *userdata, sd_bus_error *error);
