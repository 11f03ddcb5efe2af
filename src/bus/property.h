/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Properties as rows of a table: one reader serves the getter, and the comparison that finds out what has changed. */

#include <systemd/sd-bus.h>

#include "base/macros.h"
#include "base/names.h"
#include "model/run.h"

/* A value on its way to the wire. */
typedef struct PropertyValue {
        const char *text; /* "s", "o"; NULL is "" */
        char **list;      /* "as": a list made for this */
        bool own_strings; /* the strings of the list were made for this, too; else they are borrowed */
        uint64_t number;  /* "b", "u", "t" */
        double fraction;  /* "d" */
        /* Room for a text that is made: a path. */
        char buffer[sizeof(SYNCRUN_PATH_CONNECTION "/") + 3 * RUN_STORED_ID_MAX];
} PropertyValue;

typedef struct PropertyRow {
        const char *name;
        const char *type; /* "s", "o", "as", "b", "u", "t", "d" */
        size_t offset; /* where there is no function: of a char *, bool, unsigned, uint64_t or double in the object */
        int (*read)(const void *object, PropertyValue *ret); /* Return: 0; -ENOMEM */
} PropertyRow;

typedef struct PropertyTable {
        const PropertyRow *rows;
        size_t n_rows;
} PropertyTable;

/* A line of an X-macro, ROW(flag, name, type, offset[, read]), as an entry of a PropertyTable and of the vtable, whose
 * getter is property_get() of the same file. */
#define PROPERTY_TABLE_ENTRY(flag, name, type, ...) { name, type, __VA_ARGS__ },
#define PROPERTY_VTABLE_ENTRY(flag, name, type, ...) \
        SD_BUS_PROPERTY(name, type, property_get, 0, SD_BUS_VTABLE_PROPERTY_##flag),

/* Appends an "s", mended where it is what sd-bus refuses: a history written by an older version may have that. NULL
 * is "". Return: 0 or what sd-bus says. */
int text_append(sd_bus_message *m, const char *text);

/* Appends the value of property @name of @object. Return: 0; -ENOMEM; what sd-bus says. */
int property_append(const PropertyTable *table, const char *name, const void *object, sd_bus_message *reply);

/* Whether it is told with all others of its object; else (Accounts of a run) it has to be asked for. */
static inline bool property_goes_with_others(const PropertyRow *row)
{
        return row->type[0] != 'a' || row->type[1] != '(';
}

/* As property_append(), of a row that goes with others. */
int property_append_row(const PropertyRow *row, const void *object, sd_bus_message *reply);

/* Adds the bytes that all properties of @object take in a message, or more. Return: 0; -ENOMEM. */
int property_bytes(const PropertyTable *table, const void *object, uint64_t *n_bytes) _must_check_;

#define PROPERTY_UNTOLD 0U /* the digest of a property whose value is told next time, whatever it is */

/**
 * property_changes() - which properties differ from what they were at the last call
 * @digests:   table->n_rows words, PROPERTY_UNTOLD at first
 * @ret_names: room for table->n_rows + 1 pointers; closed by NULL; borrowed from the table
 *
 * What cannot be read for want of memory is taken for changed, now and at the next call.
 *
 * Return: how many.
 */
size_t property_changes(const PropertyTable *table, const void *object, uint64_t *digests, char **ret_names);
