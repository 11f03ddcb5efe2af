/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* File descriptors and whole files. */

#include "base/macros.h"

/* Closes if it is open, keeps errno; always -EBADF, for `fd = safe_close(fd)`. */
int safe_close(int fd);

static inline void closep(int *fd)
{
        (void) safe_close(*fd);
}
#define _cleanup_close_ _cleanup_(closep)

/**
 * read_file() - a whole regular file
 * @limit_bytes: larger files are refused, whatever their stat says
 * @ret_text:    set on success only; closed by a NUL that does not count; caller frees
 * @ret_size:    may be NULL
 *
 * Context: blocks for the disk.
 * Return: 0; -EFBIG; -EISDIR; -ENOMEM; the errno of open(2) or read(2).
 */
int read_file(const char *path, size_t limit_bytes, char **ret_text, size_t *ret_size) _must_check_;

/**
 * write_file_atomic() - replace a file's content: whole and synced, or not at all
 * @mode: permissions of the new file
 *
 * Context: blocks for the disk.
 * Return: 0; negative errno.
 */
int write_file_atomic(const char *path, const void *data, size_t size, mode_t mode) _must_check_;

/* All of the bytes, over short writes and EINTR. Context: blocks. Return: 0; negative errno. */
int write_all(int fd, const void *data, size_t size) _must_check_;

/* Creates @path and its missing parents. Return: 0 (also if it was there); negative errno. */
int mkdir_p(const char *path, mode_t mode) _must_check_;
