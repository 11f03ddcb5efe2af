/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bus/property.h"

#include <stdlib.h>

#include "base/string-util.h"

static void property_value_done(PropertyValue *value)
{
        if (value->own_strings)
                strv_free(value->list);
        else
                free(value->list);
}

static void read_field(const PropertyRow *row, const void *object, PropertyValue *ret)
{
        const void *field = (const char *) object + row->offset;

        switch (row->type[0]) {
        case 's':
                ret->text = *(char *const *) field;
                break;
        case 'b':
                ret->number = *(const bool *) field;
                break;
        case 'u':
                ret->number = *(const unsigned *) field;
                break;
        case 't':
                ret->number = *(const uint64_t *) field;
                break;
        case 'd':
                ret->fraction = *(const double *) field;
                break;
        default:
                assert(false);
        }
}

static int read_row(const PropertyRow *row, const void *object, PropertyValue *ret)
{
        if (row->read)
                return row->read(object, ret);
        read_field(row, object, ret);
        return 0;
}

int text_append(sd_bus_message *m, const char *text)
{
        _cleanup_free_ char *copy = NULL;
        const char *mended = utf8_mended(strempty(text), &copy);

        return mended ? sd_bus_message_append_basic(m, 's', mended) : -ENOMEM;
}

static int list_append(sd_bus_message *m, char *const *list)
{
        int r = sd_bus_message_open_container(m, 'a', "s");

        STRV_FOREACH(item, list)
                if (r >= 0)
                        r = text_append(m, *item);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int property_append_row(const PropertyRow *row, const void *object, sd_bus_message *reply)
{
        _cleanup_(property_value_done) PropertyValue value = { 0 };
        int r;

        r = read_row(row, object, &value);
        if (r < 0)
                return r;
        switch (row->type[0]) {
        case 'a':
                return list_append(reply, value.list);
        case 'b':
                return sd_bus_message_append(reply, "b", (int) value.number);
        case 'u':
                return sd_bus_message_append(reply, "u", (uint32_t) value.number);
        case 't':
                return sd_bus_message_append(reply, "t", value.number);
        case 'd':
                return sd_bus_message_append(reply, "d", value.fraction);
        case 's':
                return text_append(reply, value.text);
        default:
                return sd_bus_message_append_basic(reply, row->type[0], strempty(value.text));
        }
}

int property_append(const PropertyTable *table, const char *name, const void *object, sd_bus_message *reply)
{
        size_t i = 0;

        while (i < table->n_rows && !streq(table->rows[i].name, name))
                i++;
        return i < table->n_rows ? property_append_row(&table->rows[i], object, reply) : -ENOENT;
}

int property_bytes(const PropertyTable *table, const void *object, uint64_t *n_bytes)
{
        enum { PROPERTY_BYTES = 32, ITEM_BYTES = 8 }; /* beside the text: lengths, type, padding, a number */

        for (size_t i = 0; i < table->n_rows; i++) {
                _cleanup_(property_value_done) PropertyValue value = { 0 };
                int r;

                r = read_row(&table->rows[i], object, &value);
                if (r < 0)
                        return r;
                *n_bytes += PROPERTY_BYTES + strlen(table->rows[i].name) + strlen(strempty(value.text));
                STRV_FOREACH(item, value.list)
                        *n_bytes += ITEM_BYTES + strlen(*item);
        }
        return 0;
}

/* FNV-1a, 64 bits: a change that it misses is one of 2^64. */
static uint64_t digest_bytes(uint64_t hash, const void *data, size_t n)
{
        for (size_t i = 0; i < n; i++)
                hash = (hash ^ ((const uint8_t *) data)[i]) * UINT64_C(0x100000001b3);
        return hash;
}

static uint64_t digest(const PropertyValue *value)
{
        const char *text = strempty(value->text);
        uint64_t hash = UINT64_C(0xcbf29ce484222325);

        hash = digest_bytes(hash, text, strlen(text));
        STRV_FOREACH(item, value->list)
                hash = digest_bytes(hash, *item, strlen(*item) + 1);
        hash = digest_bytes(hash, &value->number, sizeof(value->number));
        return digest_bytes(hash, &value->fraction, sizeof(value->fraction));
}

size_t property_changes(const PropertyTable *table, const void *object, uint64_t *digests, char **ret_names)
{
        size_t n = 0;

        for (size_t i = 0; i < table->n_rows; i++) {
                _cleanup_(property_value_done) PropertyValue value = { 0 };
                uint64_t now = PROPERTY_UNTOLD;

                if (read_row(&table->rows[i], object, &value) >= 0)
                        now = digest(&value);
                if (now == digests[i] && now != PROPERTY_UNTOLD)
                        continue;
                digests[i] = now;
                ret_names[n++] = (char *) table->rows[i].name;
        }
        ret_names[n] = NULL;
        return n;
}
