/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the filters of the bulk reads have in common: the view, which of the options go with it, limits, users,
 * connectors. */

#include "base/uuid.h"
#include "bus/bus-private.h"
#include "bus/option.h"
#include "model/view.h"

/* Views that an option goes with, or that a method has. */
#define IN_SYNCRUN        (1U << VIEW_SYNCRUN)
#define IN_REPO           (1U << VIEW_REPO)
#define IN_OPEN_WEARABLES (1U << VIEW_OPEN_WEARABLES)
#define IN_REDBARK        (1U << VIEW_REDBARK)
#define IN_ALL            (IN_SYNCRUN | IN_REPO | IN_OPEN_WEARABLES | IN_REDBARK)

/* An option of a bulk read; a table of them is an OptionRow table and a table of views beside it. */
#define FILTER_ROW(name, type, field, views) { name, OPTION_##type, offsetof(FILTER_OF, field) },
#define FILTER_VIEWS(name, type, field, views) views,

/**
 * filter_read() - read the a{sv} at which @m stands, as options_read() does
 * @views:    for each row, the views that it goes with
 * @word:     where the option "view" is read to
 * @ret_view: what it says; VIEW_SYNCRUN where it is not given
 *
 * Return: 0; a negative errno, with @error set.
 */
int filter_read(sd_bus_message *m, const OptionRow *rows, const uint8_t *views, void *object, const char *const *word,
                View *ret_view, sd_bus_error *error) _must_check_;

typedef struct LimitRange {
        unsigned usual; /* where the caller says nothing */
        unsigned max;
} LimitRange;

/* LIMIT_USUAL stands in *@limit until the option was given. Return: 0; -EINVAL, with @error naming number and
 * range. */
#define LIMIT_USUAL UINT32_MAX
int filter_limit(const char *option, unsigned *limit, const LimitRange *range, sd_bus_error *error) _must_check_;

/* The view must be one of @views. Return: 0; -EINVAL, with @error set. */
int filter_view(View view, unsigned views, sd_bus_error *error) _must_check_;

/* @user, if there is one, in its lower-case form. Return: 0; -EINVAL, with @error set. */
int filter_user(const char **user, char buf[static UUID_TEXT_MAX], sd_bus_error *error) _must_check_;

/* A user that somebody named before. Return: 0; a negative errno, with @error set: -ENODEV. */
int filter_user_is_known(Bus *bus, const char *user, sd_bus_error *error) _must_check_;

/* The value of a word of a table. Return: 0; -EINVAL, with @error set. */
#define filter_word(table, name, word, ret, error)                                                                   \
        ({                                                                                                           \
                const char *_word = (word);                                                                          \
                int _r = 0;                                                                                          \
                if (_word) {                                                                                         \
                        *(ret) = table##_from_string(_word);                                                         \
                        if (*(ret) < 0)                                                                              \
                                _r = bus_refuse_text(error, -EINVAL, name ": there is no '%s'.", _word);             \
                }                                                                                                    \
                _r;                                                                                                  \
        })

/* A page that is none, in the words of the view. Return: -EINVAL, with @error set. */
int filter_refuse_page(View view, sd_bus_error *error);

/* By name or id (UUID); with @user_id only if it is that person's. NULL for "none". */
Connector *describe_find_connector(Bus *bus, const char *name, const char *user_id);
