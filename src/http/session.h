/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Sessions of the page: what its cookie says, and the key that signs it. A session is nothing but the API key that it
 * was begun with, for some hours: the daemon is asked about that one as ever. Nothing of it is kept here but that
 * it was ended before its time, see ended-sessions.h. */

#include "base/digest.h"

#define SESSION_COOKIE    "syncrun_session"
#define SESSION_USEC      (12 * USEC_PER_HOUR)
#define SESSION_KEY_BYTES 32U
#define SESSION_ID_BYTES  8U
#define SESSION_TEXT_MAX  (sizeof("v2..18446744073709551615..") + 2 * SESSION_ID_BYTES + 4 * SHA256_SIZE)

#define SESSION_ID_TEXT_MAX (2 * SESSION_ID_BYTES + 1)

typedef struct SessionKey {
        uint8_t bytes[SESSION_KEY_BYTES];
} SessionKey;

typedef struct Session {
        char hash[SHA256_HEX_MAX];    /* of the API key */
        usec_t expires_usec;          /* CLOCK_REALTIME, whole seconds */
        char id[SESSION_ID_TEXT_MAX]; /* of those of a key, by which one is ended */
} Session;

/**
 * session_key_load() - the key that signs, made where there is none
 * @folder: where it is kept over restarts; NULL: it is for the life of this process
 *
 * What is no key there is replaced. Context: blocks for the disk.
 * Return: 0; 1 if it cannot be kept; negative errno where the system has no randomness.
 */
int session_key_load(const char *folder, SessionKey *ret) _must_check_;

/* The same with a new one in any case: all sessions end. */
int session_key_renew(const char *folder, SessionKey *ret) _must_check_;

/* A new one of that key, for SESSION_USEC. @hash: the key's. Return: 0; negative errno where the system has no
 * randomness. */
int session_begin(const char *hash, usec_t now_usec, Session *ret) _must_check_;

/* The cookie's value. Return: 0; -ENOMEM. */
int session_write(const SessionKey *key, const Session *session, char ret[static SESSION_TEXT_MAX]) _must_check_;

/**
 * session_read() - what a cookie's value says
 * @now_usec: CLOCK_REALTIME
 *
 * Return: 0; -EBADMSG (not signed by us); -ETIME (it has ended, or was made in what is the future now); -ENOMEM.
 */
int session_read(const SessionKey *key, const char *text, usec_t now_usec, Session *ret) _must_check_;
