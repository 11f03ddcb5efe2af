/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* openapi.json, as the build puts it into the program. */

#include <stddef.h>

extern const char openapi_json[];
extern const size_t openapi_json_size;
