/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reading files in the syntax of systemd.syntax(7) and finding them with their drop-ins. What the assignments mean is
 * not known here: conf-apply.c walks them through its caller's table. */

#include "base/conf.h"

#include <dirent.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/fd-util.h"
#include "base/string-util.h"

/* In bytes as in systemd: a sign of an editor that marks UTF-8. */
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

void conf_done(Conf *conf)
{
        for (size_t i = 0; i < conf->n_items; i++)
                free(conf->items[i].section); /* the first of the piece that holds them all */
        free(conf->items);
        *conf = (Conf){};
}

int conf_append(Conf *conf, const char *file, unsigned line, const char *section, const char *key, const char *value)
{
        size_t n = conf->n_items, section_size = strlen(section) + 1, key_size = strlen(key) + 1;
        size_t value_size = strlen(value) + 1, file_size = file ? strlen(file) + 1 : 0;
        ConfAssignment *a;
        char *text;

        if (n >= CONF_ASSIGNMENTS_MAX)
                return -E2BIG;
        if (n == 0 || (n >= 8 && (n & (n - 1)) == 0)) { /* full: grows at powers of two */
                ConfAssignment *longer = reallocarray(conf->items, MAX(n * 2, (size_t) 8), sizeof(ConfAssignment));

                if (!longer)
                        return -ENOMEM;
                conf->items = longer;
        }
        text = malloc(section_size + key_size + value_size + file_size);
        if (!text)
                return -ENOMEM;
        a = &conf->items[conf->n_items++];
        *a = (ConfAssignment){ .line = line, .section = text };
        text = mempcpy(text, section, section_size);
        a->key = text;
        text = mempcpy(text, key, key_size);
        a->value = text;
        text = mempcpy(text, value, value_size);
        if (file)
                a->file = memcpy(text, file, file_size);
        return 0;
}

typedef struct Reading {
        Conf *conf;
        Diagnostics *d;
        const char *file;
        char *section; /* NULL before the first header, and after one that cannot be read */
        bool told;     /* that assignments outside of a section are ignored: once for each such place is enough */
} Reading;

static int read_header(Reading *reading, char *text, unsigned line)
{
        size_t n = strlen(text);

        free(reading->section);
        reading->section = NULL;
        reading->told = true;
        if (n < 3 || text[n - 1] != ']' || strcspn(text, "\"'\\\t\r\x7f") < n) {
                diagnostics_add(reading->d, DIAGNOSTIC_WARNING, reading->file, line, NULL,
                                "'%s' is no section header, as '[Name]' would be: ignored up to the next header.",
                                text);
                return 0;
        }
        reading->section = strndup(text + 1, n - 2);
        return reading->section ? 0 : -ENOMEM;
}

static int read_assignment(Reading *reading, char *text, unsigned line)
{
        char *equals = strchr(text, '='), *key;
        int r;

        if (!reading->section) {
                if (!reading->told)
                        diagnostics_add(reading->d, DIAGNOSTIC_WARNING, reading->file, line, NULL,
                                        "This stands before the first section header and is ignored.");
                reading->told = true;
                return 0;
        }
        if (!equals || equals == text) {
                diagnostics_add(reading->d, DIAGNOSTIC_WARNING, reading->file, line, NULL,
                                "'%.*s' is ignored: 'Key=value' would be right.", 64, text);
                return 0;
        }
        *equals = '\0';
        key = strstrip(text);
        r = conf_append(reading->conf, reading->file, line, reading->section, key, strstrip(equals + 1));
        if (r == -E2BIG)
                diagnostics_add(reading->d, DIAGNOSTIC_ERROR, reading->file, line, key,
                                "There are more than %u settings; this one and all after it are not read.",
                                CONF_ASSIGNMENTS_MAX);
        return r;
}

/* One line, with those that continue it joined. */
static int read_line(Reading *reading, char *text, size_t n, unsigned line)
{
        if (!utf8_is_valid(text, n)) {
                diagnostics_add(reading->d, DIAGNOSTIC_WARNING, reading->file, line, NULL,
                                "The line is not in UTF-8, or has a Unicode noncharacter, and is ignored.");
                return 0;
        }
        text = strstrip(text);
        if (text[0] == '\0')
                return 0;
        return text[0] == '[' ? read_header(reading, text, line) : read_assignment(reading, text, line);
}

/* An odd number of backslashes ends a line that goes on in the next. */
static bool is_continued(const char *line, size_t n)
{
        size_t backslashes = 0;

        while (backslashes < n && line[n - 1 - backslashes] == '\\')
                backslashes++;
        return backslashes % 2 == 1;
}

static int read_lines(Reading *reading, const char *text, size_t n)
{
        _cleanup_buffer_ Buffer joined = {};
        unsigned line = 0, first_line = 0;
        const char *end = text + n;
        int r;

        for (const char *next; text < end; text = next) {
                const char *newline = memchr(text, '\n', (size_t) (end - text));
                size_t length = (size_t) ((newline ? newline : end) - text), blanks = 0;
                bool continued;

                next = newline ? newline + 1 : end;
                line++;
                if (length > 0 && text[length - 1] == '\r')
                        length--;
                while (blanks < length && strchr(WHITESPACE, text[blanks]))
                        blanks++;
                if (blanks < length && (text[blanks] == '#' || text[blanks] == ';'))
                        continue; /* within a continued line too */

                continued = is_continued(text, length);
                if (first_line == 0)
                        first_line = line;
                buffer_append(&joined, text, length - continued);
                if (continued)
                        buffer_append_char(&joined, ' ');
                if (joined.failed)
                        return -ENOMEM;
                if (continued && next < end)
                        continue;
                if (joined.size > 0) {
                        r = read_line(reading, joined.data, joined.size, first_line);
                        if (r < 0)
                                return r;
                }
                buffer_reset(&joined);
                first_line = 0;
        }
        /* A comment may have been the end of a continued line. */
        return joined.size > 0 ? read_line(reading, joined.data, joined.size, first_line) : 0;
}

int conf_parse_text(Conf *conf, const char *file, const char *text, size_t n, Diagnostics *d)
{
        Reading reading = { .conf = conf, .d = d, .file = file };
        int r;

        if (n > 0 && memchr(text, '\0', n)) {
                diagnostics_add(d, DIAGNOSTIC_ERROR, file, 0, NULL, "This is no text: it holds a NUL byte.");
                return -EBADMSG;
        }
        if (n >= strlen(BYTE_ORDER_MARK) && memcmp(text, BYTE_ORDER_MARK, strlen(BYTE_ORDER_MARK)) == 0) {
                text += strlen(BYTE_ORDER_MARK);
                n -= strlen(BYTE_ORDER_MARK);
        }
        r = read_lines(&reading, text, n);
        free(reading.section);
        return r;
}

int conf_load_file(Conf *conf, const char *path, Diagnostics *d)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        r = read_file(path, CONF_FILE_MAX, &text, &size);
        if (r == -EFBIG)
                diagnostics_add(d, DIAGNOSTIC_ERROR, path, 0, NULL, "The file is larger than %llu bytes.",
                                CONF_FILE_MAX);
        else if (r == -EINVAL)
                diagnostics_add(d, DIAGNOSTIC_ERROR, path, 0, NULL, "This is no regular file.");
        else if (r < 0 && r != -ENOENT && r != -ENOMEM)
                diagnostics_add(d, DIAGNOSTIC_ERROR, path, 0, NULL, "The file cannot be read: %s.", strerror(-r));
        if (r < 0)
                return r;
        r = conf_parse_text(conf, path, text, size, d);
        return r < 0 ? r : size > 0;
}

/* A file name and which of the folders it was found in: the lower rank is the more important. */
typedef struct Found {
        char *name;
        unsigned rank;
} Found;

typedef struct FoundList {
        Found *items;
        size_t n_items;
} FoundList;

static void found_list_done(FoundList *list)
{
        for (size_t i = 0; i < list->n_items; i++)
                free(list->items[i].name);
        free(list->items);
}

static int found_list_add(FoundList *list, char *name, unsigned rank)
{
        size_t n = list->n_items;

        if (!name)
                return -ENOMEM;
        if (n == 0 || (n >= 16 && (n & (n - 1)) == 0)) {
                Found *longer = reallocarray(list->items, MAX(n * 2, (size_t) 16), sizeof(Found));

                if (!longer) {
                        free(name);
                        return -ENOMEM;
                }
                list->items = longer;
        }
        list->items[list->n_items++] = (Found){ name, rank };
        return 0;
}

static int compare_found(const void *a, const void *b)
{
        const Found *x = a, *y = b;
        int c = strcmp(x->name, y->name);

        return c != 0 ? c : x->rank < y->rank ? -1 : x->rank > y->rank;
}

/* Sorts by name and leaves of equal names the most important one. */
static void found_list_settle(FoundList *list)
{
        size_t n = 0;

        if (list->n_items == 0)
                return;
        qsort(list->items, list->n_items, sizeof(Found), compare_found);
        for (size_t i = 1; i < list->n_items; i++)
                if (streq(list->items[n].name, list->items[i].name))
                        free(list->items[i].name);
                else
                        list->items[++n] = list->items[i];
        list->n_items = n + 1;
}

static DIR *closedir_or_null(DIR *dir)
{
        if (dir)
                (void) closedir(dir);
        return NULL;
}
DEFINE_TRIVIAL_CLEANUP_FUNC(DIR *, closedir_or_null);

/* Adds the files of a folder, and where @folders is set its folders, that have a name before @suffix, without it; a
 * folder that is not there has none. */
static int list_folder(const char *path, const char *suffix, bool folders, unsigned rank, FoundList *list)
{
        _cleanup_(closedir_or_nullp) DIR *dir = opendir(path);
        struct dirent *entry;
        int r;

        if (!dir)
                return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
        while ((errno = 0, entry = readdir(dir))) {
                if (entry->d_name[0] == '.' || (entry->d_type == DT_DIR && !folders) ||
                    !endswith(entry->d_name, suffix))
                        continue;
                r = found_list_add(list, strndup(entry->d_name, strlen(entry->d_name) - strlen(suffix)), rank);
                if (r < 0)
                        return r;
        }
        return -errno;
}

int conf_load_dropins(Conf *conf, char *const *dirs, const char *name, Diagnostics *d)
{
        _cleanup_(found_list_done) FoundList list = {};
        unsigned rank = 0;
        int r;

        STRV_FOREACH(dir, dirs) {
                _cleanup_free_ char *path = asprintf_or_null("%s/%s.d", *dir, name);

                r = path ? list_folder(path, ".conf", false, rank++, &list) : -ENOMEM;
                if (r < 0 && r != -ENOMEM)
                        diagnostics_add(d, DIAGNOSTIC_ERROR, path, 0, NULL, "The folder cannot be read: %s.",
                                        strerror(-r));
                if (r < 0)
                        return r;
        }
        found_list_settle(&list);
        for (size_t i = 0; i < list.n_items; i++) {
                const Found *found = &list.items[i];
                _cleanup_free_ char *path = asprintf_or_null("%s/%s.d/%s.conf", dirs[found->rank], name, found->name);

                if (!path)
                        return -ENOMEM;
                if (i >= CONF_DROPINS_MAX) {
                        diagnostics_add(d, DIAGNOSTIC_ERROR, path, 0, NULL,
                                        "There are more than %u drop-ins; this one and all after it are not read.",
                                        CONF_DROPINS_MAX);
                        return -E2BIG;
                }
                r = conf_load_file(conf, path, d);
                if (r < 0 && r != -ENOENT) /* a link to nothing, or gone since */
                        return r;
        }
        return 0;
}

int conf_load_object(Conf *conf, char *const *dirs, const char *name, Diagnostics *d, char **ret_path)
{
        int r = 0;

        STRV_FOREACH(dir, dirs) {
                _cleanup_free_ char *path = asprintf_or_null("%s/%s", *dir, name);

                if (!path)
                        return -ENOMEM;
                r = conf_load_file(conf, path, d);
                if (r == -ENOENT) {
                        r = 0;
                        continue;
                }
                if (ret_path)
                        *ret_path = TAKE_PTR(path);
                break;
        }
        if (r <= 0)
                return r;
        r = conf_load_dropins(conf, dirs, name, d);
        return r < 0 ? r : 1;
}

int conf_check_folders(char *const *dirs, const char **ret)
{
        STRV_FOREACH(path, dirs) {
                _cleanup_(closedir_or_nullp) DIR *dir = opendir(*path);

                if (!dir && errno != ENOENT && errno != ENOTDIR) {
                        *ret = *path;
                        return -errno;
                }
        }
        return 0;
}

int conf_list_objects(char *const *dirs, const char *suffix, size_t max, char ***ret)
{
        _cleanup_(found_list_done) FoundList list = {};
        unsigned rank = 0;
        char **names;
        int r;

        STRV_FOREACH(dir, dirs) {
                /* A folder of such a name is somebody's mistake, which is told when it is read. */
                r = list_folder(*dir, suffix, true, rank++, &list);
                if (r < 0)
                        return r;
        }
        found_list_settle(&list);
        if (list.n_items > max)
                return -E2BIG;
        names = calloc(list.n_items + 1, sizeof(char *));
        if (!names)
                return -ENOMEM;
        for (size_t i = 0; i < list.n_items; i++)
                names[i] = TAKE_PTR(list.items[i].name);
        *ret = names;
        return 0;
}

bool conf_equal(const Conf *a, const Conf *b)
{
        if (a->n_items != b->n_items)
                return false;
        for (size_t i = 0; i < a->n_items; i++)
                if (!streq(a->items[i].section, b->items[i].section) || !streq(a->items[i].key, b->items[i].key) ||
                    !streq(a->items[i].value, b->items[i].value))
                        return false;
        return true;
}
