/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A page of memory that the daemon writes and anybody may map: by it a reader of the history knows, without asking,
 * whether an answer of before is still what it would be answered now. How answers are kept is the readers' business.
 *
 * The page is a memfd that is sealed against all writing but the daemon's. Beside it there is a pipe that nobody
 * writes to: it hangs up when the daemon has gone, however it went, and with it the page has nothing to say any more.
 */

#include "base/macros.h"

typedef struct Changes Changes;

/* Return: 0; -ENOMEM; errno of the kernel's. */
int changes_new(Changes **ret) _must_check_;
Changes *changes_free(Changes *changes);
DEFINE_TRIVIAL_CLEANUP_FUNC(Changes *, changes_free);

/* Around each commit, on the thread that makes it: in between nobody can say which state a read of the history sees.
 */
void changes_begin(Changes *changes);
void changes_end(Changes *changes);

/* How long events are shown; USEC_INFINITY: always. */
void changes_set_events_max_age(Changes *changes, usec_t usec);

/* What readers get. Borrowed. */
int changes_page_fd(const Changes *changes) _pure_;
int changes_life_fd(const Changes *changes) _pure_;

/* ---- Readers */

typedef struct ChangesReader ChangesReader;

typedef struct ChangesState {
        uint64_t version; /* grows; as long as it does not, what is committed is the same */
        usec_t events_max_age_usec;
} ChangesState;

/* @page_fd, @life_fd: borrowed. Return: 0; -EBADMSG: this is no such page; -ENOMEM; errno of the kernel's. */
int changes_reader_new(int page_fd, int life_fd, ChangesReader **ret) _must_check_;
ChangesReader *changes_reader_free(ChangesReader *reader);

/* Return: whether it can be said; false while a commit is under way, and when the daemon has gone. */
bool changes_read(const ChangesReader *reader, ChangesState *ret) _must_check_;
