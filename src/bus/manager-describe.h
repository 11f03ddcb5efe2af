/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The manager's Describe...() methods, ListEvents() and WatchChanges(), for its vtable. Their userdata is the Bus. */

#include <systemd/sd-bus.h>

int method_describe_runs(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_describe_events(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_describe_bytes(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_describe_connectors(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_describe_connections(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_watch_changes(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_list_events(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_describe_statistics(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_describe_users(sd_bus_message *m, void *userdata, sd_bus_error *error);
