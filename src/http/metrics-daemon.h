/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the daemon counts, as text of OpenMetrics. */

#include "base/buffer.h"

/* @statistics: what DescribeStatistics() answered; NULL: the daemon did not answer. Return: 0; -ENOMEM; -EBADMSG. */
int metrics_write_daemon(const char *statistics, Buffer *out) _must_check_;

/* ---- Families of metrics, for all who write them. */
void metrics_write_head(Buffer *out, const char *name, const char *type, const char *help);
void metrics_write_counter(Buffer *out, const char *name, const char *help, uint64_t value);
void metrics_write_gauge(Buffer *out, const char *name, const char *help, uint64_t value);
