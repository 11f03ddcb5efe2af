/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who asks: the key or session of a request, as the daemon knows it, or its token. The key itself is never kept, nor
 * logged. What a route wants of it is the routes' business. */

#include "http/failures.h"
#include "http/principal.h"
#include "http/request.h"
#include "http/route.h"

/* Known keys that are kept, beyond those with open streams. */
#define PRINCIPALS_MAX 1024U

/* Addresses with unknown keys that are kept; of more, the oldest are forgotten. */
#define FAILURES_MAX 4096U

typedef struct Auth Auth;

typedef enum AuthResult {
        AUTH_GRANTED, /* request->principal is set */
        AUTH_MISSING, /* there is no key */
        AUTH_UNKNOWN,
        AUTH_EXPIRED,   /* a session that has ended */
        AUTH_BAD_TOKEN, /* request->why says more */
        AUTH_OLD_TOKEN, /* it has expired */
        AUTH_TOO_MANY,  /* unknown ones from its address */
        AUTH_AMBIGUOUS, /* there is more than one */
} AuthResult;

typedef void (*AuthDone)(Request *request, AuthResult result);

/**
 * auth_new() - keys of requests
 * @revoked: called when something that was valid is not any more, or nobody can say whether it is
 *
 * Context: blocks for the disk, where the keys of sessions and tokens are.
 * Return: 0; negative errno.
 */
int auth_new(App *app, void (*revoked)(App *app), Auth **ret) _must_check_;
Auth *auth_free(Auth *auth);

/* ---- Both call @done, from within or later, unless the daemon does not say: then the request is answered. */

/* By what the request's headers have. */
void auth_check(Auth *auth, Request *request, AuthDone done);

/* By an API key that came in another way. @key: borrowed for the call. */
void auth_check_key(Auth *auth, Request *request, const char *key, AuthDone done);

/**
 * auth_begin_session() - a cookie for the page
 * @key:     the principal of an API key
 * @ret:     its value, freed by the caller
 *
 * Return: 0; -ENOMEM.
 */
int auth_begin_session(Auth *auth, const Principal *key, char **ret, usec_t *ret_expires_usec) _must_check_;

/**
 * auth_end_session() - that a session which was signed out of is not taken again, and its streams end
 * @principal: whose request it is; of who came with a key, nothing ends
 *
 * Context: blocks for the disk.
 * Return: 0; -ENOMEM: it has not ended.
 */
int auth_end_session(Auth *auth, const Principal *principal) _must_check_;

/* Whether what it was granted for holds still. */
bool auth_is_valid(const Principal *principal);

/* ---- What the daemon tells */
void auth_key_revoked(Auth *auth, const char *name);
void auth_daemon_lost(Auth *auth);

/* Asks again about the keys of streams that are open. What the daemon does not grant anew, for whatever reason, ends;
 * one that is away is asked again and again. */
void auth_daemon_returned(Auth *auth);

/* What is known of the guesses of this request's address; NULL: there were none. */
Guesses *auth_guesses(Auth *auth, const Request *request);
