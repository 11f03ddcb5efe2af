/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Runs ExecReconnect= of a connection, for `syncrun-worker --reconnect`, and tells how it went. */

#include "base/macros.h"

/**
 * reconnect_connection() - read the connection's file, run its program, and wait for it
 *
 * A line "consent-expires=TIME" of the program's standard output says when the new consent ends, its last other line
 * is for a person. What came of it goes out as one line of JSON, to standard output and as STATUS= of sd_notify(3):
 * {"result":"success|failed|timeout|cancelled","message":"...","consent_expires":USEC}. TERM and INT, blocked by the
 * caller, end the program.
 *
 * Context: blocks until the program has ended.
 * Return: 0 it has succeeded; negative errno, logged here, for all else.
 */
int reconnect_connection(const char *name) _must_check_;
