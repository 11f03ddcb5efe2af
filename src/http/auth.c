/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "http/auth.h"

#include <stdlib.h>

#define uthash_nonfatal_oom(element) ((element)->lost = true)
#include <uthash.h>

#include "base/log.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "http/app.h"
#include "http/backend.h"
#include "http/failures.h"

typedef struct PrincipalLinks {
        Principal *principal;
        bool lost;
        ClientCall *recheck;
        UT_hash_handle hh;
} PrincipalLinks;

struct Auth {
        App *app;
        void (*revoked)(App *app, Principal *principal);
        PrincipalLinks *known; /* by hash, in the order in which they came; each has a reference */
        Failures *failures;
};

/* ---- Principals */

Principal *principal_ref(Principal *principal)
{
        principal->n_ref++;
        return principal;
}

Principal *principal_unref(Principal *principal)
{
        if (!principal || --principal->n_ref > 0)
                return NULL;
        free(principal->name);
        free(principal);
        return NULL;
}

bool principal_may(const Principal *principal, ApiScope scope)
{
        return principal->scopes & API_SCOPE_BIT(scope);
}

bool principal_is_valid(const Principal *principal)
{
        return principal->links;
}

bool principal_sees(const Principal *principal, const char *user_id)
{
        return principal->user_id[0] == '\0' || streq(principal->user_id, user_id);
}

static PrincipalLinks *find(Auth *auth, const char *hash)
{
        PrincipalLinks *links;

        HASH_FIND_STR(auth->known, hash, links);
        return links;
}

/* Whoever still has it keeps it; nobody new gets it. */
static void forget(Auth *auth, PrincipalLinks *links)
{
        HASH_DELETE(hh, auth->known, links);
        client_call_cancel(links->recheck);
        links->principal->links = NULL;
        principal_unref(links->principal);
        free(links);
}

static void drop_key(Auth *auth, PrincipalLinks *links)
{
        Principal *principal = principal_ref(links->principal);

        forget(auth, links);
        log_info("The key '%s' is not valid any more.", principal->name);
        auth->revoked(auth->app, principal);
        principal_unref(principal);
}

/* Makes room: the oldest that nothing but this table holds. */
static void evict(Auth *auth)
{
        PrincipalLinks *links, *next;

        if (HASH_COUNT(auth->known) < PRINCIPALS_MAX)
                return;
        HASH_ITER(hh, auth->known, links, next) {
                if (links->principal->n_ref > 1)
                        continue;
                forget(auth, links);
                return;
        }
}

static int remember(Auth *auth, Principal *principal)
{
        PrincipalLinks *links = calloc(1, sizeof(*links));

        if (!links)
                return -ENOMEM;
        evict(auth);
        links->principal = principal;
        HASH_ADD_KEYPTR(hh, auth->known, principal->hash, strlen(principal->hash), links);
        if (links->lost) {
                free(links);
                return -ENOMEM;
        }
        principal->links = links;
        (void) principal_ref(principal);
        return 0;
}

/* name, scopes, user; the daemon's scopes are at least one. */
static int read_key(sd_bus_message *reply, Principal *principal)
{
        _cleanup_strv_free_ char **scopes = NULL;
        char bound_to[UUID_TEXT_MAX] = "";
        const char *name, *user_id;
        unsigned granted;
        int r;

        r = sd_bus_message_read(reply, "s", &name);
        if (r >= 0)
                r = sd_bus_message_read_strv(reply, &scopes);
        if (r >= 0)
                r = sd_bus_message_read(reply, "s", &user_id);
        if (r < 0)
                return r;
        r = api_scopes_from_words(scopes, NULL, &granted);
        if (r < 0)
                return r;
        if (!isempty(user_id) && uuid_normalize(user_id, bound_to) < 0)
                return -EBADMSG;
        if (free_and_strdup(&principal->name, name) < 0)
                return -ENOMEM;
        principal->scopes = granted;
        memcpy(principal->user_id, bound_to, sizeof(bound_to));
        principal->fresh = true;
        return 0;
}

/* ---- The key of a request */

/* The key, borrowed from its header; NULL if there is none. */
static const char *find_key(const Request *request)
{
        const char *authorization = request_header(request, "Authorization"), *key;
        size_t n = strlen("Bearer ");

        if (authorization && strncasecmp(authorization, "Bearer ", n) == 0)
                return authorization + n + strspn(authorization + n, " ");
        key = request_header(request, "X-API-Key");
        return key ?: request_header(request, "X-Open-Wearables-API-Key");
}

/* -EINVAL for what no key looks like: the daemon need not be asked. */
static int hash_key(const char *key, char ret[static SHA256_HEX_MAX])
{
        uint8_t hash[SHA256_SIZE];
        int r;

        if (!api_key_text_is_valid(key))
                return -EINVAL;
        r = api_key_hash(key, hash);
        if (r < 0)
                return r;
        hex_encode(hash, sizeof(hash), ret);
        return 0;
}

/* What is asked of the daemon: one for each request that waits, and its hash. */
typedef struct Check {
        AuthDone done;
        char hash[SHA256_HEX_MAX];
} Check;

static void fail(Auth *auth, Request *request, AuthDone done)
{
        failures_add(auth->failures, &request->peer, now_usec(CLOCK_MONOTONIC));
        log_info("A key that is not valid was used from %s.", request->peer.text);
        done(request, AUTH_UNKNOWN);
}

static void on_checked(Request *request, const ClientAnswer *answer)
{
        _cleanup_free_ Check *check = TAKE_PTR(request->state);
        Auth *auth = request->app->auth;
        PrincipalLinks *links = find(auth, check->hash);
        Principal *principal;

        if (answer->error == -ENOKEY) {
                if (links)
                        drop_key(auth, links);
                fail(auth, request, check->done);
                return;
        }
        if (answer->error < 0) {
                backend_refuse(request, answer);
                return;
        }
        principal = links ? principal_ref(links->principal) : calloc(1, sizeof(*principal));
        if (principal && !links) {
                principal->n_ref = 1;
                principal->auth = auth;
                memcpy(principal->hash, check->hash, sizeof(check->hash));
        }
        if (!principal || read_key(answer->reply, principal) < 0 || (!links && remember(auth, principal) < 0)) {
                principal_unref(principal);
                backend_refuse(request, &(ClientAnswer){ .error = -ENOMEM });
                return;
        }
        request->principal = principal;
        check->done(request, AUTH_GRANTED);
}

void auth_check(Auth *auth, Request *request, AuthDone done)
{
        const char *key = find_key(request);
        PrincipalLinks *links;
        Check *check;

        if (!key) {
                done(request, AUTH_MISSING);
                return;
        }
        check = calloc(1, sizeof(*check));
        if (!check) {
                backend_refuse(request, &(ClientAnswer){ .error = -ENOMEM });
                return;
        }
        request->state = check;
        check->done = done;
        links = hash_key(key, check->hash) >= 0 ? find(auth, check->hash) : NULL;
        if (links && links->principal->fresh) {
                request->principal = principal_ref(links->principal);
                free(TAKE_PTR(request->state));
                done(request, AUTH_GRANTED);
                return;
        }
        if (!links && failures_are_many(auth->failures, &request->peer, now_usec(CLOCK_MONOTONIC))) {
                done(request, AUTH_TOO_MANY);
                return;
        }
        if (check->hash[0] == '\0') {
                fail(auth, request, done);
                return;
        }
        backend_call(request, &(ClientRequest){ .member = "CheckApiKey", .text = check->hash, .repeatable = true },
                     on_checked);
}

unsigned auth_retry_sec(Auth *auth, const Request *request)
{
        return failures_retry_sec(auth->failures, &request->peer, now_usec(CLOCK_MONOTONIC));
}

/* ---- News of keys */

void auth_key_revoked(Auth *auth, const char *name)
{
        PrincipalLinks *links, *next;

        HASH_ITER(hh, auth->known, links, next)
                if (streq(links->principal->name, name))
                        drop_key(auth, links);
}

void auth_daemon_lost(Auth *auth)
{
        PrincipalLinks *links, *next;

        HASH_ITER(hh, auth->known, links, next)
                links->principal->fresh = false;
}

static void on_rechecked(const ClientAnswer *answer, void *userdata)
{
        PrincipalLinks *links = userdata;

        links->recheck = NULL;
        if (answer->error == 0)
                (void) read_key(answer->reply, links->principal);
        else if (answer->error == -ENOKEY)
                drop_key(links->principal->auth, links);
}

void auth_daemon_returned(Auth *auth)
{
        PrincipalLinks *links, *next;

        HASH_ITER(hh, auth->known, links, next) {
                ClientRequest request = { .member = "CheckApiKey",
                                          .text = links->principal->hash,
                                          .repeatable = true };

                if (links->principal->fresh || links->principal->n_streams == 0 || links->recheck)
                        continue;
                if (client_async_call(auth->app->client, &request, on_rechecked, links, &links->recheck) < 0)
                        log_debug("Cannot ask about a key again.");
        }
}

int auth_new(App *app, void (*revoked)(App *app, Principal *principal), Auth **ret)
{
        Auth *auth = calloc(1, sizeof(*auth));
        int r;

        if (!auth)
                return -ENOMEM;
        auth->app = app;
        auth->revoked = revoked;
        r = failures_new(FAILURES_MAX, app->settings.failures_per_minute, &auth->failures);
        if (r < 0) {
                free(auth);
                return r;
        }
        *ret = auth;
        return 0;
}

Auth *auth_free(Auth *auth)
{
        if (!auth)
                return NULL;
        while (auth->known)
                forget(auth, auth->known);
        failures_free(auth->failures);
        free(auth);
        return NULL;
}
