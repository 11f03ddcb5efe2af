/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What PID 1 says of a unit, over Properties.GetAll() and PropertiesChanged; for launcher-unit.c. */

#include <systemd/sd-bus.h>

#include "model/run.h"

#define INVOCATION_TEXT_MAX 33U
#define JOB_PATH_SIZE       64U /* bytes, with the NUL; PID 1 numbers its jobs with 32 bits */

typedef struct UnitProperties {
        char active_state[16];
        char sub_state[24];
        char result[32];
        char invocation[INVOCATION_TEXT_MAX]; /* "" where it has none */
        char job[JOB_PATH_SIZE]; /* "/" where it has none */
        uint32_t main_pid;
        uint32_t uid; /* UINT32_MAX: none */
        int32_t exit_code; /* CLD_EXITED, ...; 0: has not ended */
        int32_t exit_status;
        uint64_t cpu_nsec;
        uint64_t memory_peak_bytes;
        uint64_t io_read_bytes;
        uint64_t io_write_bytes;
} UnitProperties;

#define UNIT_PROPERTIES_INIT                                                                                         \
        {                                                                                                            \
                .uid = UINT32_MAX, .cpu_nsec = UINT64_MAX, .memory_peak_bytes = COUNT_UNKNOWN,                       \
                .io_read_bytes = COUNT_UNKNOWN, .io_write_bytes = COUNT_UNKNOWN                                      \
        }

/**
 * unit_properties_read() - an a{sv} of properties; what it does not name stays as it was
 *
 * Return: 0 or more; negative errno for a message of another form.
 */
int unit_properties_read(sd_bus_message *m, UnitProperties *p) _must_check_;

/* Inactive or failed; not so before it was first heard of. */
bool unit_has_ended(const UnitProperties *p) _pure_;
