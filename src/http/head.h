/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whether the head of a request is one that everybody reads alike. What it asks for is not known here. */

#include "http/request.h"

/* Return: 0; an HTTP status: the head is too large, or has two meanings, as of where the body ends, or of who asks. */
unsigned head_check(const Request *request) _must_check_;
