/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Dictionaries of options, a{sv}, read by a table into a struct. */

#include <systemd/sd-bus.h>

#include "base/macros.h"

typedef enum OptionType {
        OPTION_BOOL,     /* bool */
        OPTION_TRISTATE, /* int: 0 or 1; left alone where it is not given */
        OPTION_STRING,   /* const char *, borrowed from the message */
        OPTION_STRV,     /* char **, the caller's to free */
        OPTION_UNSIGNED, /* unsigned, of any integer type on the wire */
        OPTION_UINT64,   /* uint64_t, of any integer type on the wire */
        OPTION_DOUBLE,   /* double */
} OptionType;

#define OPTION_ROWS_MAX 64U /* of one table: what has been given is remembered in a word of so many bits */

typedef struct OptionRow {
        const char *name;
        OptionType type;
        size_t offset;
} OptionRow;

/**
 * options_read() - read the a{sv} at which @m stands
 * @rows:      closed by a row without a name
 * @object:    fields of options that are not given keep what they have; on failure some may be set
 * @ret_given: bit i is set where rows[i] was given; may be NULL
 * @error:     names the option that is unknown, given twice, or of the wrong type
 *
 * Return: 0; a negative errno, with @error set.
 */
int options_read(sd_bus_message *m, const OptionRow *rows, void *object, uint64_t *ret_given,
                 sd_bus_error *error) _must_check_;
