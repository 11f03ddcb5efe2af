/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Sessions that were signed out of before their time, and are not taken again: also by the next process, which has the
 * same key of sessions. */

#include "http/session.h"
#include "model/api-key.h"

/* Sessions of one API key that were signed out of and have not expired. With one more, that which expires first is
 * forgotten, and with it ends whatever of that key's was to expire no later: none is taken again because others were
 * signed out of, and nobody ends what is another key's. */
#define ENDED_SESSIONS_PER_KEY_MAX 64U

/* API keys of such sessions: as many as there are at a time. One more comes of keys that were revoked meanwhile: then
 * the key whose sessions are the first to have all expired is forgotten, and all sessions end that expire no later. */
#define ENDED_KEYS_MAX API_KEYS_MAX

typedef struct EndedSessions EndedSessions;

/**
 * ended_sessions_load() - those that are known to the folder
 * @folder:   where they are kept over restarts, borrowed; NULL: for the life of this process
 * @now_usec: CLOCK_REALTIME
 * @ret:      set on success only
 *
 * Context: blocks for the disk.
 * Return: 0; -EBADMSG or another errno where there is a list that cannot be read; -ENOMEM.
 */
int ended_sessions_load(const char *folder, usec_t now_usec, EndedSessions **ret) _must_check_;
EndedSessions *ended_sessions_free(EndedSessions *ended);
DEFINE_TRIVIAL_CLEANUP_FUNC(EndedSessions *, ended_sessions_free);

/**
 * ended_sessions_add() - end one
 *
 * Context: blocks for the disk.
 * Return: 0; 1 where that cannot be kept, and holds for the life of this process; -ENOMEM: it has not ended.
 */
int ended_sessions_add(EndedSessions *ended, const Session *session, usec_t now_usec) _must_check_;

bool ended_sessions_has(const EndedSessions *ended, const Session *session);

/* Forgets what there is in the folder. */
void ended_sessions_remove(const char *folder);
