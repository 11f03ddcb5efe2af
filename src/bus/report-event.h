/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Manager.ReportEvent() and ReportEvents(): events of syncs that run elsewhere. Their userdata is the Bus. */

#include <systemd/sd-bus.h>

#include "base/macros.h"

#define REPORTED_EVENTS_MAX       1000U     /* of one ReportEvents() */
#define REPORTED_EVENTS_BYTES_MAX (4 * MIB) /* of its JSON */

int method_report_event(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_report_events(sd_bus_message *m, void *userdata, sd_bus_error *error);
