/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whether the head of a request is one that everybody reads alike. What it asks for is not known here. */

#include "http/request.h"

/**
 * head_check() - look at a head as a whole
 * @method:  as libmicrohttpd gives it, as @target and @version
 *
 * Return: 0; an HTTP status: the head is too large, or has two meanings, as of where the body ends, or of who asks, or
 * has a NUL in it, behind which others may read on.
 */
unsigned head_check(const Request *request, const char *method, const char *target,
                    const char *version) _must_check_;
