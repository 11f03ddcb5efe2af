/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The files of the page, read once when the server starts. How they are asked for is the routes' business. */

#include "http/request.h"

/* What there is beyond these limits is left out, and said. */
#define PAGE_FILES_MAX      64U
#define PAGE_FILE_MAX_BYTES (256 * KIB)

/* A folder within, as it stands before the names of its files. There are no others. */
#define PAGE_VIEWS "views/"

typedef struct PageFile {
        char *name;       /* "app.js", "views/syncs.js" */
        const char *type; /* static */
        char *data;
        size_t size;
        char *gzip; /* the same compressed; NULL where that does not pay */
        size_t gzip_size;
        char tag[ETAG_TEXT_MAX];
} PageFile;

typedef struct Page {
        PageFile files[PAGE_FILES_MAX];
        size_t n_files;
        PageFile openapi; /* the document, which is none of its files */
} Page;

/**
 * page_load() - read the page
 * @folder: NULL: where it is installed
 * @ret:    set on success only; may have no files
 *
 * Files whose suffix is none of the web's are passed over; what cannot be read is logged and left out.
 *
 * Context: blocks for the disk.
 * Return: 0; -ENOMEM.
 */
int page_load(const char *folder, Page **ret) _must_check_;
Page *page_free(Page *page);
DEFINE_TRIVIAL_CLEANUP_FUNC(Page *, page_free);

/* @prefix: "" or PAGE_VIEWS. Return: NULL where there is none of that name. */
const PageFile *page_find(const Page *page, const char *prefix, const char *name) _pure_;
