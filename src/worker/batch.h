/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The files that a Singer BATCH message names, line by line: jsonl, plain or compressed with gzip, of this machine.
 * They are read as the connector itself may read them, for both are the same user in the same sandbox; memory does not
 * grow with them. What a line means is not looked at. */

#include "worker/line-reader.h"
#include "worker/message.h"

typedef struct Batch Batch;

/**
 * batch_new() - take the manifest of a message
 * @message: a MESSAGE_BATCH; its manifest is copied
 * @folder:  where paths that are not absolute begin; borrowed; NULL: our own working directory
 * @ret:     set on success only; caller frees with batch_free()
 * @ret_error: set where the return value is -EOPNOTSUPP: what cannot be read, for a person; caller frees
 *
 * Return: 0; -EOPNOTSUPP (another format or compression); -ENOMEM.
 */
int batch_new(const Message *message, const char *folder, Batch **ret, char **ret_error) _must_check_;

Batch *batch_free(Batch *batch);
DEFINE_TRIVIAL_CLEANUP_FUNC(Batch *, batch_free);

/**
 * batch_next() - the next line of the files, in the order of the manifest
 * @ret_line: set where the return value is 1; borrowed until the next call
 *
 * Context: blocks for the disk.
 * Return: 1; 0 when all files were read; -EOPNOTSUPP (no file of this machine); -EBADMSG (no regular file, or no
 * gzip); -ENOMEM; an errno of open() or read(). batch_error() says what is wrong with which file.
 */
int batch_next(Batch *batch, Line *ret_line) _must_check_;

/** batch_error() - the words for what batch_next() returned; NULL; borrowed */
const char *batch_error(const Batch *batch) _pure_;

/** batch_file() - the path of the file that the last line came from; borrowed */
const char *batch_file(const Batch *batch) _pure_;

/** batch_line() - the number of the last line in its file, from 1 */
uint64_t batch_line(const Batch *batch) _pure_;
