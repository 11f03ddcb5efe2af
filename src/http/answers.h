/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Answers of the daemon's that are kept, for as long as nothing has been committed since. Which they are is the
 * routes' business: those that depend on the history alone. */

#include "http/request.h"

typedef struct Answers Answers;

int answers_new(App *app, Answers **ret) _must_check_;
Answers *answers_free(Answers *answers);

/* As backend_describe(), large or not, where nothing but runs and events of the history make the answer; it is taken
 * from those that are kept where the daemon would give the same. */
void answers_describe(Request *request, const char *member, const ClientOption *options, size_t n,
                      bool is_large);

/* How many requests were answered with what was kept. */
uint64_t answers_given(const Answers *answers) _pure_;

/* ---- News of the daemon */
void answers_daemon_returned(Answers *answers);
void answers_daemon_lost(Answers *answers);
