/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <systemd/sd-bus.h>

int method_describe_log(sd_bus_message *m, void *userdata, sd_bus_error *error);
