/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The page's sessions as a whole: what signs them, and which were signed out of. Who may begin one, and what one may
 * do, is auth's business. */

#include "http/session.h"

typedef struct Sessions Sessions;

/**
 * sessions_load() - what there is of the process before this one
 * @folder: where it is kept, borrowed; NULL: for the life of this process
 *
 * Where it cannot be read which sessions have ended, all have.
 *
 * Context: blocks for the disk.
 * Return: 0; -ENOMEM; negative errno where the system has no randomness.
 */
int sessions_load(const char *folder, Sessions **ret) _must_check_;
Sessions *sessions_free(Sessions *sessions);

/**
 * sessions_begin() - a cookie for the page
 * @hash: the API key's
 * @ret:  its value, freed by the caller
 *
 * Return: 0; -ENOMEM; negative errno where the system has no randomness.
 */
int sessions_begin(const Sessions *sessions, const char *hash, char **ret, usec_t *ret_expires_usec) _must_check_;

/* What a cookie's value says. Return: 0; -EBADMSG (not signed by us); -ETIME (it has ended); -ENOMEM. */
int sessions_read(const Sessions *sessions, const char *text, Session *ret) _must_check_;

bool sessions_has_ended(const Sessions *sessions, const Session *session);

/**
 * sessions_end() - that it is not taken again
 *
 * Context: blocks for the disk.
 * Return: 0; -ENOMEM: it has not ended.
 */
int sessions_end(Sessions *sessions, const Session *session) _must_check_;
