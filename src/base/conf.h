/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Files in the syntax of systemd.syntax(7), as a list of assignments in order. What a key means is the business of the
 * room that owns it: it walks the list with a ConfItem table. */

#include "base/buffer.h"
#include "base/diagnostics.h"

#define CONF_FILE_MAX        (1 * MIB) /* bytes of one file, and so of one line */
#define CONF_ASSIGNMENTS_MAX 4096U     /* lines with a value, of a file and its drop-ins together */
#define CONF_DROPINS_MAX     128U      /* drop-in files of one object */

typedef struct ConfAssignment {
        char *file;    /* NULL where the settings came without a file (Worker.Attach) */
        unsigned line; /* first line of the assignment */
        char *section;
        char *key;
        char *value; /* white space cut off at both ends, continuation lines joined by a blank */
} ConfAssignment; /* its strings share one piece of memory */

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
 * @file: for messages; borrowed, may be NULL
 * @d:    wrong lines go here as warnings and are left out; may be NULL
 *
 * What follows a section header that cannot be read is left out up to the next header.
 *
 * Return: 0; -E2BIG (too many assignments); -EBADMSG (holds a NUL, so it is no text); -ENOMEM. The first two refusals
 * are also in @d, as errors; what stood before is kept.
 */
int conf_parse_text(Conf *conf, const char *file, const char *text, size_t n, Diagnostics *d) _must_check_;

/**
 * conf_load_file() - append the assignments of one file
 *
 * Context: blocks for reading the file.
 * Return: 1; 0 if the file is empty (or /dev/null); as conf_parse_text(); -EFBIG (larger than CONF_FILE_MAX); -EISDIR;
 * the errno of opening or reading. Each is also in @d, as an error, but -ENOENT and -ENOMEM.
 */
int conf_load_file(Conf *conf, const char *path, Diagnostics *d) _must_check_;

/**
 * conf_load_dropins() - append the drop-ins NAME.d/ *.conf of all folders in the order of their file names
 * @dirs: folders, most important first: of equal file names the first folder's counts; if it is empty or a link to
 *        /dev/null, none
 * @name: e.g. "bank.connector", "syncrun.conf"
 *
 * Context: blocks for reading the files.
 * Return: 0; -E2BIG (more than CONF_DROPINS_MAX, or as conf_parse_text()); negative errno as conf_load_file(), or of
 * reading a folder that exists. Each is also in @d.
 */
int conf_load_dropins(Conf *conf, char *const *dirs, const char *name, Diagnostics *d) _must_check_;

/**
 * conf_load_object() - a named object's file and its drop-ins, as systemd finds them
 * @dirs:     folders, most important first; the first that has @name wins, an empty file or link to /dev/null masks it
 * @d:        warnings and errors; may be NULL
 * @ret_path: the file that won, set where there is one, also if it cannot be read; caller frees; may be NULL
 *
 * Context: blocks for reading the files.
 * Return: 1 found; 0 there is no such file in any folder (drop-ins alone do not make an object), or it is masked;
 *         negative errno as conf_load_file() and conf_load_dropins().
 */
int conf_load_object(Conf *conf, char *const *dirs, const char *name, Diagnostics *d, char **ret_path) _must_check_;

/**
 * conf_check_folders() - whether each folder that is there can be read
 * @ret: the first that cannot, borrowed from @dirs; set with an error only
 *
 * Context: blocks for opening the folders.
 * Return: 0; errno of opening a folder that exists.
 */
int conf_check_folders(char *const *dirs, const char **ret) _must_check_;

/**
 * conf_list_objects() - names with @suffix found in any of the folders, sorted, without doubles
 * @max:     most names to return
 * @ret:     strv of names without the suffix; set on success only; caller frees
 *
 * Context: blocks for reading the folders.
 * Return: 0; -E2BIG (more than @max); -ENOMEM; errno of reading a folder that exists.
 */
int conf_list_objects(char *const *dirs, const char *suffix, size_t max, char ***ret) _must_check_;

/**
 * ConfParser - stores the value of an assignment
 * @data:    where the item says
 * @ret_why: set on failure (but -ENOMEM) and where the return is 1: a sentence without "FILE:LINE: KEY=", which says
 *           what would be right; freed by the caller
 *
 * Return: 0 stored; 1 stored, with a warning; -ENOMEM; any other negative errno: not stored.
 */
typedef int (*ConfParser)(const ConfAssignment *assignment, void *data, char **ret_why);

/* One key of a section: its value goes to (char *) object + @offset. */
typedef struct ConfItem {
        const char *section;
        const char *key;
        ConfParser parse;
        size_t offset;
        DiagnosticSeverity severity; /* of a value that does not parse */
} ConfItem;

/**
 * conf_apply() - walk all assignments through a table
 * @items: closed by an entry whose section is NULL
 *
 * A value that does not parse is told of and leaves the field as it was. An unknown key or section is a warning; keys
 * that begin with "X-" and sections "X-..." are for others and pass silently.
 *
 * Return: 0; -ENOMEM.
 */
int conf_apply(const Conf *conf, const ConfItem *items, void *object, Diagnostics *d) _must_check_;

/* The last assignment of a key, for messages about the whole; NULL if there is none; borrowed. */
const ConfAssignment *conf_find(const Conf *conf, const char *section, const char *key) _pure_;

/* The same assignments in the same order, wherever they stand. */
bool conf_equal(const Conf *a, const Conf *b) _pure_;

/* Parsers, with the type that @data points to. Lists are strv: a repeated key appends, an empty value resets. */
int conf_parse_string(const ConfAssignment *a, void *data, char **ret_why);   /* char *; empty resets to NULL */
int conf_parse_bool(const ConfAssignment *a, void *data, char **ret_why);     /* bool */
int conf_parse_unsigned(const ConfAssignment *a, void *data, char **ret_why); /* unsigned */
int conf_parse_count(const ConfAssignment *a, void *data, char **ret_why);    /* unsigned from 1; infinity: UINT_MAX */
int conf_parse_seconds(const ConfAssignment *a, void *data, char **ret_why);  /* usec_t; not infinity */
int conf_parse_timeout(const ConfAssignment *a, void *data, char **ret_why);  /* usec_t; 0 as in systemd: infinity */
int conf_parse_path(const ConfAssignment *a, void *data, char **ret_why);     /* char *, absolute; or as a string */
int conf_parse_strv(const ConfAssignment *a, void *data, char **ret_why);     /* char **; one value a line */

/* Defines a parser for the words of a string table. */
#define DEFINE_CONF_PARSE_TABLE(parser, name, type, max)                                                             \
        static int parser(const ConfAssignment *a, void *data, char **ret_why)                                       \
        {                                                                                                            \
                _cleanup_buffer_ Buffer why = {};                                                                    \
                type value = name##_from_string(a->value);                                                           \
                                                                                                                     \
                if ((int) value >= 0) {                                                                              \
                        *(type *) data = value;                                                                      \
                        return 0;                                                                                    \
                }                                                                                                    \
                buffer_append_format(&why, "'%s' is none of ", a->value);                                            \
                for (int i = 0; i < (int) (max); i++)                                                                \
                        buffer_append_format(&why, "%s%s", i > 0 ? ", " : "", name##_to_string((type) i));           \
                buffer_append_char(&why, '.');                                                                       \
                return buffer_take(&why, ret_why) < 0 ? -ENOMEM : -EINVAL;                                           \
        }                                                                                                            \
        struct CONCATENATE(conf_parse_table_, parser)
