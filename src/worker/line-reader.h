/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Lines from a pipe or file, in memory that does not grow with their number: one buffer, reused, as large as the
 * longest line so far and never larger than LINE_MAX_BYTES. What is in a line, the bytes NUL and CR included, is not
 * looked at. */

#include "base/macros.h"

/* A line may have this many bytes, its newline (or CR LF) not counted. A longer one is passed over, never stored
 * whole. */
#define LINE_MAX_BYTES (16U * MIB)
#define LINE_TOO_LONG  "longer than 16 MiB" /* why one cannot be used */

/* So much of a line that is too long is kept, to show it. */
#define LINE_HEAD_BYTES 256U

typedef struct LineReader LineReader;

typedef struct Line {
        const char *data; /* borrowed until the next call on the reader; without newline; not NUL-terminated */
        size_t size;
        bool too_long; /* data is only the head */
} Line;

/* Reads as read(2) does, but returns a negative errno on failure. */
typedef ssize_t (*LineSource)(void *userdata, void *buffer, size_t size);

/**
 * line_reader_new() - read lines from @fd
 * @fd: borrowed; may be non-blocking
 * @ret_reader: set on success only; caller frees with line_reader_free()
 *
 * Return: 0; -ENOMEM.
 */
int line_reader_new(int fd, LineReader **ret_reader) _must_check_;

/** line_reader_new_source() - likewise, of bytes that @source gives; @userdata is borrowed */
int line_reader_new_source(LineSource source, void *userdata, LineReader **ret_reader) _must_check_;

LineReader *line_reader_free(LineReader *reader);
DEFINE_TRIVIAL_CLEANUP_FUNC(LineReader *, line_reader_free);

/**
 * line_reader_fill() - read once from the descriptor or source
 *
 * Context: blocks if the descriptor does. Invalidates lines handed out before.
 * Return: 1 if bytes came; 0 at the end of input; -EAGAIN; -ENOMEM; another errno of read() or the source.
 */
int line_reader_fill(LineReader *reader) _must_check_;

/**
 * line_reader_next() - the next line that is complete, or the rest of the input after its end
 * @ret_line: set on success only
 *
 * Return: 1 if there was one; 0 if more input is needed, or if all was read.
 */
int line_reader_next(LineReader *reader, Line *ret_line);

/** line_reader_ended() - whether line_reader_fill() has seen the end of input */
bool line_reader_ended(const LineReader *reader) _pure_;

/** line_reader_bytes() - bytes read so far */
uint64_t line_reader_bytes(const LineReader *reader) _pure_;
