/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Dictionaries of options. What the options mean is the business of the methods that have them. */

#include "bus/option.h"

#include <limits.h>

#include "base/string-util.h"
#include "bus/bus-error.h"

/* An integer of any width: clients in scripting languages send what they have. Return: 1; 0 (no integer, or negative);
 * errno. */
static int read_integer(sd_bus_message *m, char type, uint64_t *ret)
{
        union {
                uint8_t y;
                int16_t n;
                uint16_t q;
                int32_t i;
                uint32_t u;
                int64_t x;
                uint64_t t;
        } v;
        int64_t number;
        int r;

        if (!strchr("ynqiuxt", type))
                return 0;
        r = sd_bus_message_read_basic(m, type, &v);
        if (r < 0)
                return r;
        switch (type) {
        case 't':
                *ret = v.t;
                return 1;
        case 'y':
                number = v.y;
                break;
        case 'n':
                number = v.n;
                break;
        case 'q':
                number = v.q;
                break;
        case 'i':
                number = v.i;
                break;
        case 'u':
                number = v.u;
                break;
        default:
                number = v.x;
        }
        *ret = (uint64_t) number;
        return number >= 0;
}

static int read_boolean(sd_bus_message *m, const char *signature, int *ret)
{
        int r;

        if (!streq(signature, "b"))
                return 0;
        r = sd_bus_message_read_basic(m, 'b', ret);
        return r < 0 ? r : 1;
}

/* Return: 1; 0 (the value is not of the option's type); negative errno. */
static int read_value(sd_bus_message *m, const OptionRow *row, const char *signature, void *field)
{
        uint64_t number;
        int boolean, r;

        switch (row->type) {
        case OPTION_BOOL:
                r = read_boolean(m, signature, &boolean);
                if (r > 0)
                        *(bool *) field = boolean;
                return r;
        case OPTION_TRISTATE:
                return read_boolean(m, signature, field);
        case OPTION_STRING:
                if (!streq(signature, "s"))
                        return 0;
                r = sd_bus_message_read_basic(m, 's', field);
                return r < 0 ? r : 1;
        case OPTION_STRV:
                if (!streq(signature, "as"))
                        return 0;
                r = sd_bus_message_read_strv(m, field);
                return r < 0 ? r : 1;
        case OPTION_UNSIGNED:
                r = read_integer(m, signature[0], &number);
                if (r > 0 && number > UINT_MAX)
                        return 0;
                if (r > 0)
                        *(unsigned *) field = (unsigned) number;
                return r;
        case OPTION_UINT64:
                return read_integer(m, signature[0], field);
        case OPTION_DOUBLE:
                if (!streq(signature, "d"))
                        return 0;
                r = sd_bus_message_read_basic(m, 'd', field);
                return r < 0 ? r : 1;
        }
        return 0;
}

static int refuse_unknown(const OptionRow *rows, const char *name, sd_bus_error *error)
{
        _cleanup_strv_free_ char **names = NULL;
        _cleanup_free_ char *there = NULL;

        for (size_t i = 0; rows[i].name; i++)
                if (strv_extend(&names, rows[i].name) < 0)
                        return bus_refuse(error, -ENOMEM);
        there = strv_join(names, ", ");
        if (!there)
                return bus_refuse(error, -ENOMEM);
        return bus_refuse_text(error, -EINVAL, "There is no option '%s' here; there are: %s.", name, there);
}

static int read_option(sd_bus_message *m, const OptionRow *rows, void *object, uint64_t *given, sd_bus_error *error)
{
        const char *name, *signature;
        size_t i = 0;
        int r;

        r = sd_bus_message_read_basic(m, 's', &name);
        if (r < 0)
                return bus_refuse(error, r);
        while (rows[i].name && !streq(rows[i].name, name))
                i++;
        if (!rows[i].name)
                return refuse_unknown(rows, name, error);
        assert(i < OPTION_ROWS_MAX);
        if (*given & UINT64_C(1) << i)
                return bus_refuse_text(error, -EINVAL, "Option '%s' is given twice.", name);
        *given |= UINT64_C(1) << i;

        r = sd_bus_message_peek_type(m, NULL, &signature);
        if (r < 0)
                return bus_refuse(error, r);
        r = sd_bus_message_enter_container(m, 'v', signature);
        if (r < 0)
                return bus_refuse(error, r);
        r = read_value(m, &rows[i], signature, (char *) object + rows[i].offset);
        if (r < 0)
                return bus_refuse(error, r);
        if (r == 0)
                return bus_refuse_text(error, -EINVAL,
                                       "Option '%s' has a value of the wrong type ('%s') or out of range.", name,
                                       signature);
        r = sd_bus_message_exit_container(m);
        return r < 0 ? bus_refuse(error, r) : 0;
}

int options_read(sd_bus_message *m, const OptionRow *rows, void *object, uint64_t *ret_given, sd_bus_error *error)
{
        uint64_t given = 0;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return bus_refuse(error, r);
        for (;;) {
                r = sd_bus_message_enter_container(m, 'e', "sv");
                if (r < 0)
                        return bus_refuse(error, r);
                if (r == 0)
                        break;
                r = read_option(m, rows, object, &given, error);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return bus_refuse(error, r);
        }
        r = sd_bus_message_exit_container(m);
        if (r < 0)
                return bus_refuse(error, r);
        if (ret_given)
                *ret_given = given;
        return 0;
}
