/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a caller can be refused, one row each: the errno that the engine returns, and what D-Bus, HTTP and the shell
 * make of it. The bus, the shim and the command line look here and nowhere else. */

#include "base/macros.h"

typedef struct Refusal {
        int error;            /* positive errno */
        const char *name;     /* D-Bus error name, without SYNCRUN_ERROR_PREFIX */
        unsigned http_status;
        int exit_status;      /* of syncrunctl */
        const char *sentence; /* for a person, when the place of refusal has no better words */
} Refusal;

/* The row of an errno (either sign); errnos without a row give the row of EIO, "Internal". Never NULL. */
const Refusal *refusal_by_errno(int error);

/* The row of a D-Bus error name with or without prefix, or NULL. */
const Refusal *refusal_by_name(const char *name);

size_t refusal_count(void);
const Refusal *refusal_at(size_t i);
