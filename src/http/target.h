/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A request's target, taken apart: what stands between the method and HTTP/1.1. Pure; what the path means is not
 * known here. */

#include "base/macros.h"

#define TARGET_SEGMENTS_MAX   16U /* of the path; longer ones name nothing here */
#define TARGET_PARAMETERS_MAX 64U /* of the query; more are refused */

typedef struct TargetParameter {
        char *name;
        char *value; /* "" where there is no "=" */
} TargetParameter;

typedef struct Target {
        char *segments[TARGET_SEGMENTS_MAX]; /* of the path, decoded; "/" has none, "/a/" has "a" and "" */
        size_t n_segments;
        TargetParameter *parameters; /* decoded, in the order of the query */
        size_t n_parameters;
        bool is_server; /* "*" */
} Target;

void target_done(Target *target);
#define _cleanup_target_ _cleanup_(target_done)

/**
 * target_parse() - take a target apart
 * @text: as it stands in the request: "/path?query", "http://host/path?query", or "*"
 * @ret:  set on success only; closed by target_done()
 *
 * Escapes must be whole and their text valid UTF-8 without NUL or other control characters; "+" is a blank in the
 * query.
 *
 * Return: 0; -EINVAL; -E2BIG (TARGET_SEGMENTS_MAX, TARGET_PARAMETERS_MAX); -ENOMEM.
 */
int target_parse(const char *text, Target *ret) _must_check_;

/* The value of the last parameter of that name, as Open Wearables takes it; NULL if there is none; borrowed. */
const char *target_get(const Target *target, const char *name) _pure_;
