/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Enums with words. A table is `static const char *const NAME_table[_MAX]`; the enum ends in `_MAX,
 * _INVALID = -EINVAL`. DECLARE_STRING_TABLE goes into the header:
 *   const char *NAME_to_string(type value)     the word, NULL if out of range; static
 *   type NAME_from_string(const char *word)    the value, _INVALID (-EINVAL) for NULL or an unknown word */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/macros.h"

#define DECLARE_STRING_TABLE(name, type)                                                                             \
        const char *name##_to_string(type value) _const_;                                                            \
        type name##_from_string(const char *word) _pure_

#define DEFINE_STRING_TABLE(name, type, max)                                                                         \
        static_assert(ELEMENTSOF(name##_table) == (size_t) (max), "one word for each " #type);                       \
        const char *name##_to_string(type value)                                                                     \
        {                                                                                                            \
                return (int) value >= 0 && (int) value < (int) (max) ? name##_table[value] : NULL;                   \
        }                                                                                                            \
        type name##_from_string(const char *word)                                                                    \
        {                                                                                                            \
                for (int i = 0; word && i < (int) (max); i++)                                                        \
                        if (name##_table[i] && name##_table[i][0] == word[0] && strcmp(name##_table[i], word) == 0)  \
                                return (type) i;                                                                     \
                return (type) -EINVAL;                                                                               \
        }                                                                                                            \
        struct CONCATENATE(string_table_, name)
