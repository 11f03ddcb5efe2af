/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Sets of a connector's accounts, as runs and records have them: a JSON array of names, or NULL for all there are. */

#include "base/macros.h"
#include "model/run.h"

/**
 * account_set_names() - its names
 * @ret: NULL for all, and for none; freed by strv_free()
 *
 * Return: 0; -EBADMSG (the history has something else there); -ENOMEM.
 */
int account_set_names(const char *set, char ***ret) _must_check_;

/* Those of a run's accounts for which that holds. Return: 1 and the set, freed by the caller; 0 (there are none);
 * -ENOMEM. */
int account_set_of(const Run *run, bool (*is_one)(const Account *account), char **ret) _must_check_;

/* Whether it is one of them; not, where the history has something else there. */
bool account_set_has(const char *set, const char *name);

/* Whether each of @b is one of @a. Return: 1; 0; negative errno of reading JSON. */
int account_set_contains(const char *a, const char *b) _must_check_;

/**
 * account_set_join() - those of both
 * @ret: NULL for all, also where both are more than ACCOUNTS_PER_RUN_MAX or ACCOUNTS_BYTES_MAX; freed by the caller
 *
 * Return: 0; -ENOMEM; negative errno of reading JSON.
 */
int account_set_join(const char *a, const char *b, char **ret) _must_check_;

/* Those of @a that are of @b, too. @ret: NULL for all; freed by the caller. Return: 1; 0 (there are none, and @ret is
 * untouched); -ENOMEM; negative errno of reading JSON. */
int account_set_intersect(const char *a, const char *b, char **ret) _must_check_;

/**
 * account_set_remove() - those of @a that are none of @b
 * @ret: NULL for all; freed by the caller. Of all, without some that are named, all stay.
 *
 * Return: 1; 0 (none is left, and @ret is untouched); -ENOMEM; negative errno of reading JSON.
 */
int account_set_remove(const char *a, const char *b, char **ret) _must_check_;
