/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who asks, and what he may: an API key's holder, a page's session that was begun with one, or a token's subject. How
 * that was found out is auth's business. */

#include "base/uuid.h"
#include "client/client-async.h"
#include "http/quiet-log.h"
#include "http/session.h"
#include "http/token-bucket.h"
#include "http/token.h"
#include "model/api-key.h"

/* What requests and streams are counted by: shared by all that count together. */
typedef struct Allowance {
        unsigned n_ref;
        TokenBucket requests;
        unsigned n_streams;
        ClientShare *calls; /* what is asked of the daemon for them */
        QuietLog log;       /* of its refusals, by their reasons */
} Allowance;

Allowance *allowance_new(void) _must_check_;
Allowance *allowance_unref(Allowance *allowance);

typedef struct Principal {
        unsigned n_ref;
        char *name;                  /* for the record and the log */
        unsigned scopes;             /* API_SCOPE_BIT each */
        char user_id[UUID_TEXT_MAX]; /* "": sees all users */
        usec_t expires_usec;         /* CLOCK_REALTIME; USEC_INFINITY: never */
        Allowance *allowance;        /* a reference */
        struct Principal *of;        /* a session's key: a reference; NULL: this is no session */
        Session session;             /* where it is one */
        struct KnownKey *known;      /* auth.c's, of a key that is valid */
        TokenKey *token_key;         /* a reference: what a token was signed with */
} Principal;

/* Return: one with a reference and an allowance of its own, that never ends; NULL when out of memory. */
Principal *principal_new(void) _must_check_;

/* A session of a key, which has what the key has. Return: it, with a reference; NULL when out of memory. */
Principal *principal_new_session(Principal *key, const Session *session) _must_check_;

/* A session of a key that is not known, which may do nothing but end. Return: it, with a reference; NULL when out of
 * memory. */
Principal *principal_new_lone_session(const Session *session) _must_check_;

/* The subject of a token. @allowance: a reference is taken. */
Principal *principal_new_subject(const Token *token, Allowance *allowance) _must_check_;

Principal *principal_ref(Principal *principal);
Principal *principal_unref(Principal *principal);
DEFINE_TRIVIAL_CLEANUP_FUNC(Principal *, principal_unref);

bool principal_may(const Principal *principal, ApiScope scope) _pure_;

/* Whether it may know of a user. @user_id: lower case. */
bool principal_sees(const Principal *principal, const char *user_id) _pure_;
