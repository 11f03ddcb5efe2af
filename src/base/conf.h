/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Files in the syntax of systemd.syntax(7), as a list of assignments in order. What a key means is the business of the
 * room that owns it: it walks the list with a ConfItem table. */

#include "base/diagnostics.h"

#define CONF_FILE_MAX        (1 * MIB) /* bytes of one file */
#define CONF_ASSIGNMENTS_MAX 4096U     /* lines with a value, of a file and its drop-ins together */
#define CONF_DROPINS_MAX     128U      /* drop-in files of one object */

typedef struct ConfAssignment {
        char *file;    /* NULL where the settings came without a file (Worker.Attach) */
        unsigned line; /* first line of the assignment */
        char *section;
        char *key;
        char *value; /* white space cut off at both ends, continuation lines joined by a blank */
} ConfAssignment;

typedef struct Conf {
        ConfAssignment *items;
        size_t n_items;
} Conf;

void conf_done(Conf *conf);
#define _cleanup_conf_ _cleanup_(conf_done)

/* Appends one assignment. Return: 0; -E2BIG (CONF_ASSIGNMENTS_MAX); -ENOMEM. */
int conf_append(Conf *conf, const char *file, unsigned line, const char *section, const char *key, const char *value)
        _must_check_;

/**
 * conf_parse_text() - append the assignments of a text
 * @file: for messages; borrowed
 * @d:    wrong lines go here as warnings and are left out; may be NULL
 *
 * Return: 0; -E2BIG (too many assignments); -EBADMSG (not UTF-8, or a NUL); -ENOMEM. Both refusals are also in @d.
 */
int conf_parse_text(Conf *conf, const char *file, const char *text, size_t n, Diagnostics *d) _must_check_;

/**
 * conf_load_file() - append the assignments of one file
 *
 * Context: blocks for reading the file.
 * Return: as conf_parse_text(); -EFBIG (larger than CONF_FILE_MAX); -EISDIR; the errno of opening or reading.
 */
int conf_load_file(Conf *conf, const char *path, Diagnostics *d) _must_check_;

/**
 * conf_load_object() - a named object's file and its drop-ins, as systemd finds them
 * @dirs:   folders, most important first; the first that has @name wins, an empty file or link to /dev/null masks it
 * @name:   e.g. "bank.connector", "syncrun.conf"
 * @d:      warnings and errors; may be NULL
 *
 * Drop-ins NAME.d/ *.conf of all folders are appended in the order of their file names; of equal names the most important
 * folder's counts.
 *
 * Context: blocks for reading the files.
 * Return: 1 found; 0 there is no such file in any folder (drop-ins alone do not make an object), or it is masked;
 *         negative errno as conf_load_file().
 */
int conf_load_object(Conf *conf, char *const *dirs, const char *name, Diagnostics *d) _must_check_;

/**
 * conf_list_objects() - names with @suffix found in any of the folders, sorted, without doubles
 * @max:     most names to return
 * @ret:     strv of names without the suffix; set on success only; caller frees
 *
 * Return: 0; -E2BIG (more than @max); -ENOMEM; errno of reading a folder that exists.
 */
int conf_list_objects(char *const *dirs, const char *suffix, size_t max, char ***ret) _must_check_;

/* One key of a section: parse() stores @value at (char *) @object + @offset. An unknown key or section is a warning. */
typedef struct ConfItem {
        const char *section;
        const char *key;
        /* Return: 0; negative: the value is wrong, and the parser has not said why: a sentence is added to @d. */
        int (*parse)(const ConfAssignment *assignment, void *data, Diagnostics *d);
        size_t offset;
} ConfItem;

/**
 * conf_apply() - walk all assignments through a table
 * @items: closed by an entry whose section is NULL
 *
 * A value that does not parse is a warning and leaves the field as it was; keys that begin with "X-" and sections
 * "X-..." are for others and pass silently.
 *
 * Return: 0; -ENOMEM.
 */
int conf_apply(const Conf *conf, const ConfItem *items, void *object, Diagnostics *d) _must_check_;

/* Parsers for ConfItem. Lists are strv: a repeated key appends, an empty value resets. */
int conf_parse_string(const ConfAssignment *a, void *data, Diagnostics *d);       /* char *; empty resets to NULL */
int conf_parse_bool(const ConfAssignment *a, void *data, Diagnostics *d);         /* bool */
int conf_parse_unsigned(const ConfAssignment *a, void *data, Diagnostics *d);     /* unsigned */
int conf_parse_seconds(const ConfAssignment *a, void *data, Diagnostics *d);      /* usec_t; numbers are seconds */
int conf_parse_strv(const ConfAssignment *a, void *data, Diagnostics *d);         /* char **; one value a line */
