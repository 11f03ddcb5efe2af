/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A text that is kept in several places, of any thread, and changed in none. It is read as any other string. */

#include "base/macros.h"

/* A copy of @text. Return: the text, freed by shared_text_free(); NULL when out of memory. */
char *shared_text_new(const char *text) _must_check_;

/* One more that frees it. Return: @text. */
char *shared_text_share(char *text);

/* NULL is fine; returns NULL. */
char *shared_text_free(char *text);
DEFINE_TRIVIAL_CLEANUP_FUNC(char *, shared_text_free);
