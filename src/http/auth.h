/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who asks: the key of a request, as the daemon knows it. The key itself is never kept, nor logged. What a route wants
 * of it is the routes' business. */

#include "base/uuid.h"
#include "http/request.h"
#include "http/route.h"
#include "http/token-bucket.h"

/* Known keys that are kept, beyond those with open streams. */
#define PRINCIPALS_MAX 1024U

/* Addresses with unknown keys that are kept; of more, the oldest are forgotten. */
#define FAILURES_MAX 4096U

typedef struct Auth Auth;

struct Principal {
        Auth *auth;
        unsigned n_ref;
        char hash[SHA256_HEX_MAX]; /* of the key */
        char *name;
        unsigned scopes;             /* API_SCOPE_BIT each */
        char user_id[UUID_TEXT_MAX]; /* "": sees all users */
        bool fresh;                  /* the daemon has not gone away since it told of the key */
        unsigned n_streams;
        TokenBucket bucket;
        struct PrincipalLinks *links; /* auth.c's */
};

typedef enum AuthResult {
        AUTH_GRANTED, /* request->principal is set */
        AUTH_MISSING, /* there is no key */
        AUTH_UNKNOWN,
        AUTH_TOO_MANY, /* unknown ones from its address: this one was not looked at */
} AuthResult;

typedef void (*AuthDone)(Request *request, AuthResult result);

/**
 * auth_new() - keys of requests
 * @revoked: called for each known key that is not valid any more
 *
 * Return: 0; -ENOMEM.
 */
int auth_new(App *app, void (*revoked)(App *app, Principal *principal), Auth **ret) _must_check_;
Auth *auth_free(Auth *auth);

/* Calls @done, from within or later, unless the daemon does not say: then the request is answered. */
void auth_check(Auth *auth, Request *request, AuthDone done);

bool principal_may(const Principal *principal, ApiScope scope) _pure_;

/* Whether its key has not been revoked. */
bool principal_is_valid(const Principal *principal) _pure_;

/* Whether it may know of a user. @user_id: lower case. */
bool principal_sees(const Principal *principal, const char *user_id) _pure_;

Principal *principal_ref(Principal *principal);
Principal *principal_unref(Principal *principal);

/* ---- What the daemon tells */
void auth_key_revoked(Auth *auth, const char *name);
void auth_daemon_lost(Auth *auth);

/* Asks again about the keys of streams that are open. */
void auth_daemon_returned(Auth *auth);

/* Seconds until another unknown key of this request's address is looked at. */
unsigned auth_retry_sec(Auth *auth, const Request *request);
