/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Users that become known by reports: how many may, counting those that are on their way to the disk. Which users
 * there are is the store's to say; when they go is store/retain.c's. */

#include "base/uuid.h"
#include "engine/engine.h"

typedef struct NewUser NewUser;

/* @id is as uuid_normalize() makes it. Return: 1; 0; negative errno. */
int user_is_known(Engine *engine, const char *id) _must_check_;

/* Whether so many more may become known. Return: 0; -E2BIG (Settings.max_users); other negative errno. */
int users_have_room(Engine *engine, size_t n) _must_check_;

/* Known already: nothing happens. Return: 0; negative errno. */
int user_make_known(Engine *engine, const char *id, usec_t now_usec) _must_check_;

void new_users_done(Engine *engine);
