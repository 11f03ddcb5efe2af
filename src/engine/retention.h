/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Drives the deletion of what is past its time: small steps, in turns of the loop in which nothing else happens. */

#include "engine/engine-internal.h"

/* Begin, or begin anew because the limits have changed. */
void retention_start(Engine *engine);
