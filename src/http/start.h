/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A run that a remote client asks for. */

#include "http/request.h"

/* Starts a run of a connector (name or id), on behalf of the request's key; answers as Repo does: 201 for a new run,
 * 202 for the one that is active already. */
void start_run(Request *request, const char *connector, bool full_resync);
