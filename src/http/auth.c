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
#include "http/session-cookie.h"
#include "http/sessions.h"
#include "http/token-holders.h"

/* A daemon that was away is asked about the keys of open streams again after so long. */
#define RECHECK_USEC (1 * USEC_PER_SEC)

/* A key that the daemon has said to be valid. */
typedef struct KnownKey {
        Auth *auth;
        char hash[SHA256_HEX_MAX];
        Principal *principal; /* a reference */
        bool fresh;           /* the daemon has not gone away since it told of the key */
        bool lost;
        usec_t told_usec;    /* CLOCK_MONOTONIC: when the daemon was last told that it is used */
        ClientCall *recheck; /* which tells it, too */
        UT_hash_handle hh;
} KnownKey;

struct Auth {
        App *app;
        void (*revoked)(App *app);
        KnownKey *known; /* by hash, in the order in which they came */
        Failures *failures;
        Sessions *sessions;
        sd_event_source *retry;   /* of rechecks */
        sd_event_source *telling; /* that the keys of open streams are in use */
        TokenHolders *tokens;
};

/* ---- Known keys */

bool auth_is_valid(const Principal *principal)
{
        const Principal *key = principal->of ?: principal;
        bool holds = key->token_key ? !key->token_key->gone : key->known != NULL;

        if (holds && principal->of)
                holds = !sessions_has_ended(key->known->auth->sessions, &principal->session);
        return holds && principal->expires_usec > now_usec(CLOCK_REALTIME);
}

static KnownKey *find(Auth *auth, const char *hash)
{
        KnownKey *known;

        HASH_FIND_STR(auth->known, hash, known);
        return known;
}

/* Whoever still has it keeps it; nobody new gets it. */
static void forget(Auth *auth, KnownKey *known)
{
        HASH_DELETE(hh, auth->known, known);
        client_call_cancel(known->recheck);
        known->principal->known = NULL;
        principal_unref(known->principal);
        free(known);
}

static void drop_key(Auth *auth, KnownKey *known)
{
        forget(auth, known);
        auth->revoked(auth->app);
}

static void drop_revoked(Auth *auth, KnownKey *known)
{
        log_info("The key '%s' is not valid any more.", known->principal->name);
        drop_key(auth, known);
}

static void drop_unchecked(Auth *auth, KnownKey *known)
{
        log_warning("Whether the key '%s' is still valid cannot be found out: its streams end.",
                    known->principal->name);
        drop_key(auth, known);
}

/* Makes room: the oldest that nothing but this table holds. */
static void evict(Auth *auth)
{
        KnownKey *known, *next;

        if (HASH_COUNT(auth->known) < PRINCIPALS_MAX)
                return;
        HASH_ITER(hh, auth->known, known, next) {
                if (known->principal->n_ref > 1)
                        continue;
                forget(auth, known);
                return;
        }
}

/* Takes over the reference. */
static int remember(Auth *auth, const char *hash, Principal *principal, KnownKey **ret)
{
        KnownKey *known = calloc(1, sizeof(*known));

        if (!known)
                return -ENOMEM;
        evict(auth);
        known->auth = auth;
        known->principal = principal;
        memcpy(known->hash, hash, sizeof(known->hash));
        HASH_ADD_STR(auth->known, hash, known);
        if (known->lost) {
                free(known);
                return -ENOMEM;
        }
        principal->known = known;
        *ret = known;
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
        return 0;
}

/* What the daemon has said of a key, known or not. */
static int learn(Auth *auth, const char *hash, sd_bus_message *reply, KnownKey **ret)
{
        _cleanup_(principal_unrefp) Principal *principal = NULL;
        KnownKey *known = find(auth, hash);
        int r;

        if (!known) {
                principal = principal_new();
                if (!principal)
                        return -ENOMEM;
        }
        r = read_key(reply, known ? known->principal : principal);
        if (r >= 0 && !known) {
                r = remember(auth, hash, principal, &known);
                if (r >= 0)
                        TAKE_PTR(principal);
        }
        if (r < 0)
                return r;
        known->fresh = true;
        known->told_usec = now_usec(CLOCK_MONOTONIC);
        *ret = known;
        return 0;
}

/* ---- Known keys once more */

static int arm(sd_event_source *timer, usec_t usec)
{
        int r = sd_event_source_set_time_relative(timer, usec);

        return r < 0 ? r : sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

/* A stream goes on where the daemon is away, and where it says that the key holds; never because it could not be
 * asked. Where the key holds without asking, its use was to be told, which is no reason to end anything. */
static void on_rechecked(const ClientAnswer *answer, void *userdata)
{
        KnownKey *known = userdata;
        int r;

        known->recheck = NULL;
        if (answer->error == 0)
                known->fresh = read_key(answer->reply, known->principal) >= 0;
        if (answer->error == -ENOKEY)
                drop_revoked(known->auth, known);
        else if (known->fresh)
                return;
        else if (answer->error == -EHOSTUNREACH && !answer->refusal) {
                r = arm(known->auth->retry, RECHECK_USEC);
                if (r < 0)
                        (void) log_debug_errno(r, "Cannot wait for the daemon: %m");
        } else
                drop_unchecked(known->auth, known);
}

/* Asks the daemon whether it holds, and so tells of its use; who asked is not waiting. */
static int recheck(KnownKey *known)
{
        const ClientRequest request = {
                .member = "CheckApiKey",
                .text = known->hash,
                .repeatable = true,
                .asks_alone = true,
        };

        if (known->recheck)
                return 0;
        known->told_usec = now_usec(CLOCK_MONOTONIC);
        return client_async_call(known->auth->app->client, &request, on_rechecked, known, &known->recheck);
}

static void tell_again(KnownKey *known)
{
        if (now_usec(CLOCK_MONOTONIC) - known->told_usec >= API_KEY_TELL_USEC)
                (void) recheck(known);
}

/* Whoever was granted something may have opened a stream, and a stream is a use as long as it lasts. */
static void begin_telling(Auth *auth)
{
        int r = sd_event_source_get_enabled(auth->telling, NULL);

        if (r == 0)
                r = arm(auth->telling, API_KEY_TELL_USEC);
        if (r < 0)
                (void) log_debug_errno(r, "The use of streams is not told: %m");
}

static int on_telling_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Auth *auth = userdata;
        KnownKey *known, *next;

        HASH_ITER(hh, auth->known, known, next) {
                if (known->principal->allowance->n_streams == 0)
                        continue;
                (void) recheck(known);
                begin_telling(auth);
        }
        return 0;
}

/* ---- The key of a request */

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

/* What is asked of the daemon: one for each request that waits. */
typedef struct Check {
        AuthDone done;
        bool is_session;
        Session session; /* or what has the hash of a key alone */
} Check;

static void fail(Auth *auth, Request *request, AuthResult result, AuthDone done)
{
        usec_t now = now_usec(CLOCK_MONOTONIC);

        if (failures_are_many(auth->failures, &request->peer, now)) {
                done(request, AUTH_TOO_MANY);
                return;
        }
        (void) failures_add(auth->failures, &request->peer, now);
        done(request, result);
}

static void refuse_memory(Request *request)
{
        backend_refuse(request, &(ClientAnswer){ .error = -ENOMEM });
}

static void grant(Request *request, const KnownKey *known, const Check *check)
{
        request->principal = check->is_session ? principal_new_session(known->principal, &check->session)
                                               : principal_ref(known->principal);
        if (!request->principal) {
                refuse_memory(request);
                return;
        }
        begin_telling(known->auth);
        check->done(request, AUTH_GRANTED);
}

/* A session ends whatever the daemon says of its key, or does not. */
static void grant_end(Auth *auth, Request *request, const Check *check)
{
        const KnownKey *known = find(auth, check->session.hash);

        request->principal = known ? principal_new_session(known->principal, &check->session)
                                   : principal_new_lone_session(&check->session);
        if (request->principal)
                check->done(request, AUTH_GRANTED);
        else
                refuse_memory(request);
}

static void on_checked(Request *request, const ClientAnswer *answer)
{
        _cleanup_free_ Check *check = TAKE_PTR(request->state);
        Auth *auth = request->app->auth;
        KnownKey *known = find(auth, check->session.hash);

        if (answer->error == -ENOKEY) {
                if (known)
                        drop_revoked(auth, known);
                /* A session whose key is gone is not a guess. */
                if (check->is_session)
                        check->done(request, AUTH_EXPIRED);
                else
                        fail(auth, request, AUTH_UNKNOWN, check->done);
        } else if (answer->error < 0)
                backend_refuse(request, answer);
        else if (learn(auth, check->session.hash, answer->reply, &known) < 0)
                refuse_memory(request);
        else
                grant(request, known, check);
}

/* @check: copied. */
static void ask(Auth *auth, Request *request, const Check *check)
{
        KnownKey *known = find(auth, check->session.hash);

        if (known && known->fresh) {
                tell_again(known);
                grant(request, known, check);
                return;
        }
        if (!known && !check->is_session &&
            failures_are_many(auth->failures, &request->peer, now_usec(CLOCK_MONOTONIC))) {
                check->done(request, AUTH_TOO_MANY);
                return;
        }
        request->state = malloc(sizeof(*check));
        if (!request->state) {
                refuse_memory(request);
                return;
        }
        memcpy(request->state, check, sizeof(*check));
        backend_call(request,
                     &(ClientRequest){
                                     .member = "CheckApiKey",
                                     .text = check->session.hash,
                                     .repeatable = true,
                                     .asks_alone = request->route->asks_alone,
                     },
                     on_checked);
}

void auth_check_key(Auth *auth, Request *request, const char *key, AuthDone done)
{
        Check check = { .done = done };

        if (hash_key(key, check.session.hash) >= 0)
                ask(auth, request, &check);
        else
                fail(auth, request, AUTH_UNKNOWN, done);
}

static void check_session(Auth *auth, Request *request, const char *cookie, AuthDone done)
{
        Check check = { .done = done, .is_session = true };
        int r;

        request->by_cookie = true;
        r = sessions_read(auth->sessions, cookie, &check.session);
        if (r == -ENOMEM)
                refuse_memory(request);
        else if (r == -ETIME)
                done(request, AUTH_EXPIRED);
        else if (r < 0)
                fail(auth, request, AUTH_UNKNOWN, done);
        else if (request->route->ends_session)
                grant_end(auth, request, &check);
        else
                ask(auth, request, &check);
}

/* The daemon knows nothing of tokens. One that was seen before costs nothing; who guesses, no signature is checked
 * for. */
static void check_token(Auth *auth, Request *request, const char *text, AuthDone done)
{
        uint8_t hash[SHA256_SIZE];
        int r;

        r = token_holders_find(auth->tokens, text, hash, &request->principal);
        if (r == 0 && failures_are_many(auth->failures, &request->peer, now_usec(CLOCK_MONOTONIC))) {
                done(request, AUTH_TOO_MANY);
                return;
        }
        if (r == 0)
                r = token_holders_verify(auth->tokens, text, hash, &request->principal, &request->why);
        if (r == -EBADMSG) {
                log_debug("A token from %s is refused: %s.", request->peer.text, request->why);
                fail(auth, request, AUTH_BAD_TOKEN, done);
        } else if (r == -ETIME)
                done(request, AUTH_OLD_TOKEN);
        else if (r < 0)
                refuse_memory(request);
        else
                done(request, AUTH_GRANTED);
}

/* One who sends two of them may mean either, and so may who reads them on the way. */
void auth_check(Auth *auth, Request *request, AuthDone done)
{
        const char *bearer = request_bearer(request), *cookie = session_cookie_get(request);
        const char *plain = request_header(request, "X-API-Key");
        const char *other = request_header(request, "X-Open-Wearables-API-Key");

        if (!!bearer + !!plain + !!other + !!cookie > 1)
                done(request, AUTH_AMBIGUOUS);
        else if (bearer && token_is_likely(bearer))
                check_token(auth, request, bearer, done);
        else if (bearer || plain || other)
                auth_check_key(auth, request, bearer ?: plain ?: other, done);
        else if (cookie)
                check_session(auth, request, cookie, done);
        else
                done(request, AUTH_MISSING);
}

int auth_begin_session(Auth *auth, const Principal *key, char **ret, usec_t *ret_expires_usec)
{
        return sessions_begin(auth->sessions, key->known->hash, ret, ret_expires_usec);
}

int auth_end_session(Auth *auth, const Principal *principal)
{
        int r;

        if (principal->session.id[0] == '\0')
                return 0;
        r = sessions_end(auth->sessions, &principal->session);
        if (r >= 0)
                auth->revoked(auth->app);
        return r;
}

Guesses *auth_guesses(Auth *auth, const Request *request)
{
        return failures_find(auth->failures, &request->peer);
}

/* ---- News of keys */

void auth_key_revoked(Auth *auth, const char *name)
{
        KnownKey *known, *next;

        HASH_ITER(hh, auth->known, known, next)
                if (streq(known->principal->name, name))
                        drop_revoked(auth, known);
}

void auth_daemon_lost(Auth *auth)
{
        KnownKey *known, *next;

        HASH_ITER(hh, auth->known, known, next)
                known->fresh = false;
}

void auth_daemon_returned(Auth *auth)
{
        KnownKey *known, *next;

        HASH_ITER(hh, auth->known, known, next) {
                if (known->fresh || known->principal->allowance->n_streams == 0)
                        continue;
                if (recheck(known) < 0)
                        drop_unchecked(auth, known);
        }
}

static int on_recheck_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        auth_daemon_returned(userdata);
        return 0;
}

/* ---- The whole */

static void on_token_keys_gone(void *userdata)
{
        Auth *auth = userdata;

        auth->revoked(auth->app);
}

/* Not armed. */
static int add_timer(sd_event *event, sd_event_source **ret, usec_t accuracy_usec, sd_event_time_handler_t callback,
                     Auth *auth)
{
        int r = sd_event_add_time(event, ret, CLOCK_MONOTONIC, 0, accuracy_usec, callback, auth);

        return r < 0 ? r : sd_event_source_set_enabled(*ret, SD_EVENT_OFF);
}

int auth_new(App *app, void (*revoked)(App *app), Auth **ret)
{
        Auth *auth = calloc(1, sizeof(*auth));
        int r;

        if (!auth)
                return -ENOMEM;
        auth->app = app;
        auth->revoked = revoked;
        r = sessions_load(getenv("RUNTIME_DIRECTORY"), &auth->sessions);
        if (r >= 0)
                r = token_holders_new(app->event, &app->settings, on_token_keys_gone, auth, &auth->tokens);
        if (r >= 0)
                r = failures_new(FAILURES_MAX, app->settings.failures_per_minute, &auth->failures);
        if (r >= 0)
                r = add_timer(app->event, &auth->retry, RECHECK_USEC / 10, on_recheck_timer, auth);
        if (r >= 0)
                r = add_timer(app->event, &auth->telling, USEC_PER_SEC, on_telling_timer, auth);
        if (r < 0) {
                auth_free(auth);
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
        token_holders_free(auth->tokens);
        failures_free(auth->failures);
        sessions_free(auth->sessions);
        sd_event_source_disable_unref(auth->retry);
        sd_event_source_disable_unref(auth->telling);
        free(auth);
        return NULL;
}
