/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "http/page.h"

#include <dirent.h>
#include <stdlib.h>

#include "base/fd-util.h"
#include "base/log.h"
#include "base/string-util.h"
#include "config.h"
#include "http/gzip.h"
#include "http/openapi.h"
#include "http/respond.h"

static const struct {
        const char *suffix;
        const char *type;
} types[] = {
        { ".html", "text/html; charset=utf-8" },
        { ".css", "text/css; charset=utf-8" },
        { ".js", "text/javascript; charset=utf-8" },
        { ".svg", "image/svg+xml" },
};

static const char *type_of(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(types); i++)
                if (name[0] != '.' && endswith(name, types[i].suffix))
                        return types[i].type;
        return NULL;
}

static void page_file_done(PageFile *file)
{
        free(file->name);
        free(file->data);
        free(file->gzip);
        *file = (PageFile){};
}

Page *page_free(Page *page)
{
        if (!page)
                return NULL;
        for (size_t i = 0; i < page->n_files; i++)
                page_file_done(&page->files[i]);
        page_file_done(&page->openapi);
        free(page);
        return NULL;
}

const PageFile *page_find(const Page *page, const char *prefix, const char *name)
{
        for (size_t i = 0; i < page->n_files; i++) {
                const char *rest = startswith(page->files[i].name, prefix);

                if (rest && streq(rest, name))
                        return &page->files[i];
        }
        return NULL;
}

/* What each answer with it needs, once. Return: 0; -ENOMEM. */
static int prepare(PageFile *file)
{
        if (respond_tag(file->data, file->size, file->tag) < 0)
                return -ENOMEM;
        if (file->size < GZIP_MIN_BYTES)
                return 0;
        return gzip_text(file->data, file->size, GZIP_LEVEL_BEST, &file->gzip, &file->gzip_size) == -ENOMEM ? -ENOMEM
                                                                                                            : 0;
}

static int add_openapi(Page *page)
{
        page->openapi.type = TYPE_JSON;
        page->openapi.data = strndup(openapi_json, openapi_json_size);
        page->openapi.size = openapi_json_size;
        return page->openapi.data ? prepare(&page->openapi) : -ENOMEM;
}

/* Return: 0, also where it is left out; -ENOMEM. */
static int add_file(Page *page, const char *folder, const char *prefix, const char *name, const char *type)
{
        _cleanup_(page_file_done) PageFile file = { .type = type };
        _cleanup_free_ char *path = asprintf_or_null("%s/%s%s", folder, prefix, name);
        int r;

        file.name = asprintf_or_null("%s%s", prefix, name);
        if (!path || !file.name)
                return -ENOMEM;
        if (page->n_files == PAGE_FILES_MAX) {
                log_warning("The page has more than %u files: %s is left out.", PAGE_FILES_MAX, path);
                return 0;
        }
        r = read_file(path, PAGE_FILE_MAX_BYTES, &file.data, &file.size);
        if (r == -ENOMEM)
                return r;
        if (r < 0) {
                (void) log_warning_errno(r, "Cannot read %s, it is left out of the page: %m", path);
                return 0;
        }
        r = prepare(&file);
        if (r < 0)
                return r;
        page->files[page->n_files++] = file;
        file = (PageFile){};
        return 0;
}

static void closedirp(DIR **dir)
{
        if (*dir)
                (void) closedir(*dir);
}

/* Return: 1; 0 there is no such folder; -ENOMEM. */
static int add_folder(Page *page, const char *folder, const char *prefix)
{
        _cleanup_free_ char *path = asprintf_or_null("%s/%s", folder, prefix);
        _cleanup_(closedirp) DIR *dir = NULL;
        struct dirent *entry;

        if (!path)
                return -ENOMEM;
        dir = opendir(path);
        if (!dir)
                return errno == ENOMEM ? -ENOMEM : 0;
        while ((entry = readdir(dir))) {
                const char *type = type_of(entry->d_name);
                int r;

                if (!type)
                        continue;
                r = add_file(page, folder, prefix, entry->d_name, type);
                if (r < 0)
                        return r;
        }
        return 1;
}

int page_load(const char *folder, Page **ret)
{
        _cleanup_(page_freep) Page *page = calloc(1, sizeof(Page));
        int r;

        if (!page)
                return -ENOMEM;
        folder = folder ?: SYNCRUN_PKGDATADIR "/web";
        r = add_openapi(page);
        if (r >= 0)
                r = add_folder(page, folder, "");
        if (r > 0)
                r = add_folder(page, folder, PAGE_VIEWS);
        if (r < 0)
                return r;
        if (page->n_files == 0)
                log_notice("There is no page at %s.", folder);
        *ret = TAKE_PTR(page);
        return 0;
}
