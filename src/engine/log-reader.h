/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A run's newest log lines out of this machine's journal. A journal on a slow disk may keep its reader waiting, so
 * that it is read by a child, journalctl, which is watched and bounded. Who may see the lines is not decided here. */

#include "engine/engine.h"

#define LOG_READS_MAX      4U                  /* at a time; more are refused */
#define LOG_READ_USEC      (5 * USEC_PER_SEC) /* one may take so long; then what there is so far is told */
#define LOG_READ_BYTES_MAX (512 * KIB)         /* of journalctl's output; older lines are left out */
#define LOG_LINES_DEFAULT  100U
#define LOG_LINES_MAX      500U
#define LOG_MESSAGE_MAX    (4 * KIB) /* bytes of one line; the rest is cut */

/**
 * LogReadCallback - is given what came of it, once
 * @json: {"available":true,"reason":null,"lines":[{"timestamp","priority","identifier","pid","message"}]}, oldest
 *        first; where the journal cannot be read available is false, and reason says why; NULL on failure; borrowed
 */
typedef void (*LogReadCallback)(int error, const char *json, void *userdata);

/**
 * log_read() - begin to read
 * @lines: 1 to LOG_LINES_MAX
 *
 * Return: 0, and @callback is called from the loop, unless the engine is freed before; -ENOBUFS (LOG_READS_MAX);
 * -ENOMEM; errno of the event loop.
 */
int log_read(Engine *engine, const Run *run, unsigned lines, LogReadCallback callback, void *userdata) _must_check_;

/* Ends all that are under way, without an answer. */
void log_reads_end(Engine *engine);
