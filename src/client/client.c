/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "client/client.h"

#include <stdlib.h>
#include <string.h>

#include "base/bus-guard.h"
#include "base/names.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "client/client-bus.h"
#include "client/client-wait.h"

/* A reply may wait for a password to be typed, and for a slow disk: of a service that has shown to be there. */
#define CALL_TIMEOUT_USEC (120 * USEC_PER_SEC)

#define UNANSWERED                                                                                            \
        "The sync service does not answer. 'systemctl status syncrund' says what it does; 'systemctl restart " \
        "syncrund' starts it anew, and running syncs go on."

#define NOT_STARTED "The sync service could not be started."
#define LOOK_FURTHER                                                                                         \
        " 'systemctl status syncrund', 'journalctl -xu syncrund' and 'syncrunctl doctor' say what is wrong; " \
        "when it is mended: 'systemctl restart syncrund'."

struct Client {
        sd_bus *bus;
        char *host; /* NULL: this machine */
        bool answers; /* the service has shown to be there */
        ClientWaitsCallback waits;
        void *waits_userdata;
};

typedef struct EventWatch {
        ClientEventCallback callback;
        void *userdata;
} EventWatch;

void client_error_done(ClientError *e)
{
        free(e->message);
        *e = (ClientError) {};
}

int client_error_exit_status(const ClientError *e)
{
        return e->exit_status ?: EXIT_FAILURE;
}

const char *client_error_text(const ClientError *e)
{
        return e->message ?: refusal_by_errno(ENOMEM)->sentence;
}

#define EXIT_NOT_ALLOWED 77 /* EX_NOPERM, as the refusal "NotAllowed" */

/* What a person can do about errors that come not from the daemon but from the way to it. */
static const struct {
        const char *name;
        int exit_status;
        const char *advice;
} bus_advice[] = {
        { SD_BUS_ERROR_SERVICE_UNKNOWN, CLIENT_EXIT_UNREACHABLE,
          "The sync service is not running and is not installed for activation. Try 'systemctl start syncrund'." },
        { SD_BUS_ERROR_NAME_HAS_NO_OWNER, CLIENT_EXIT_UNREACHABLE,
          "The sync service is not running. Try 'systemctl start syncrund'." },
        { SD_BUS_ERROR_NO_REPLY, CLIENT_EXIT_UNREACHABLE,
          "The sync service ended before it had answered. 'systemctl status syncrund' says why." },
        { SD_BUS_ERROR_TIMEOUT, CLIENT_EXIT_UNREACHABLE, UNANSWERED },
        { BUS_ERROR_ACTIVATION_TIMED_OUT, CLIENT_EXIT_UNREACHABLE, NOT_STARTED LOOK_FURTHER },
        { "org.freedesktop.systemd1.LoadFailed", CLIENT_EXIT_UNREACHABLE, NOT_STARTED LOOK_FURTHER },
        { SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, EXIT_NOT_ALLOWED,
          "This needs an administrator's permission, and there is nobody to ask. Try again with sudo." },
        { SD_BUS_ERROR_ACCESS_DENIED, EXIT_NOT_ALLOWED, "You are not permitted to do this. Try again with sudo." },
};

/* Fills in what is known of a failure. @message is copied. */
static int fail_with(ClientError *e, int r, const Refusal *refusal, int exit_status, const char *message)
{
        client_error_done(e);
        e->refusal = refusal;
        e->error = r;
        e->exit_status = exit_status;
        e->message = strdup(message);
        return r;
}

static int fail_refused(ClientError *e, const Refusal *refusal, const char *message)
{
        return fail_with(e, -refusal->error, refusal, refusal->exit_status, message ?: refusal->sentence);
}

static int fail(ClientError *e, const sd_bus_error *error, int r)
{
        const char *message = error && error->message ? error->message : strerror(-r);
        const Refusal *refusal = refusal_by_name(error ? error->name : NULL);

        if (!error && r == -ENOMEM)
                return fail_refused(e, refusal_by_errno(ENOMEM), NULL);
        if (refusal)
                return fail_refused(e, refusal, message);
        for (size_t i = 0; error && i < ELEMENTSOF(bus_advice); i++)
                if (sd_bus_error_has_name(error, bus_advice[i].name))
                        return fail_with(e, r, NULL, bus_advice[i].exit_status, bus_advice[i].advice);
        return fail_with(e, r, NULL, EXIT_FAILURE, message);
}

usec_t client_answer_usec(void)
{
        const char *text = secure_getenv("SYSTEMD_BUS_TIMEOUT");
        usec_t usec;

        return text && timespan_parse(text, USEC_PER_SEC, &usec) >= 0 && usec > 0 ? usec : CLIENT_ANSWER_USEC;
}

int client_fail_unanswered(ClientError *e)
{
        return fail_with(e, -ETIMEDOUT, NULL, CLIENT_EXIT_UNREACHABLE, UNANSWERED);
}

static int fail_to_connect(ClientError *e, const char *host, int r)
{
        const char *address = strempty(getenv(SYNCRUN_ENV_BUS_ADDRESS));
        _cleanup_free_ char *message = NULL;

        if (r == -ENOMEM)
                return fail(e, NULL, r);
        if (host)
                message = asprintf_or_null(
                                "Could not reach the system bus of %s: %s. Does 'ssh %s' work, and is systemd "
                                "installed there?",
                                host, strerror(-r), host);
        else
                message = asprintf_or_null("Could not connect to the %s%s: %s. Is D-Bus running?",
                                           isempty(address) ? "system bus" : "bus at ", address, strerror(-r));
        return fail_with(e, r, NULL, CLIENT_EXIT_UNREACHABLE, message ?: strerror(ENOMEM));
}

int client_open(const char *host, Client **ret, ClientError *e)
{
        _cleanup_(client_freep) Client *client = calloc(1, sizeof(Client));
        int r;

        if (!client)
                return fail(e, NULL, -ENOMEM);
        if (host) {
                client->host = strdup(host);
                r = client->host ? sd_bus_open_system_remote(&client->bus, host) : -ENOMEM;
                if (r >= 0)
                        r = bus_guard(client->bus);
        } else
                r = client_bus_open(&client->bus);
        if (r < 0)
                return fail_to_connect(e, host, r);
        (void) sd_bus_set_method_call_timeout(client->bus, CALL_TIMEOUT_USEC);
        (void) sd_bus_set_allow_interactive_authorization(client->bus, true);
        *ret = TAKE_PTR(client);
        return 0;
}

Client *client_free(Client *client)
{
        if (!client)
                return NULL;
        sd_bus_flush_close_unref(client->bus);
        free(client->host);
        free(client);
        return NULL;
}

sd_bus *client_bus(Client *client)
{
        return client->bus;
}

static int append_option(sd_bus_message *m, const ClientOption *o)
{
        int r;

        if ((o->type == 's' && !o->s) || (o->type == 'a' && !o->even_empty && strv_length(o->as) == 0))
                return 0;
        if (o->type != 'a') {
                const char type[] = { o->type, '\0' };

                return o->type == 's'   ? sd_bus_message_append(m, "{sv}", o->name, type, o->s)
                       : o->type == 't' ? sd_bus_message_append(m, "{sv}", o->name, type, o->t)
                       : o->type == 'u' ? sd_bus_message_append(m, "{sv}", o->name, type, o->u)
                                        : sd_bus_message_append(m, "{sv}", o->name, type, (int) o->b);
        }
        if ((r = sd_bus_message_open_container(m, 'e', "sv")) < 0 ||
            (r = sd_bus_message_append(m, "s", o->name)) < 0 ||
            (r = sd_bus_message_open_container(m, 'v', "as")) < 0 ||
            (r = sd_bus_message_append_strv(m, (char **) o->as)) < 0 || (r = sd_bus_message_close_container(m)) < 0)
                return r;
        return sd_bus_message_close_container(m);
}

int client_append_options(sd_bus_message *m, const ClientOption *options, size_t n)
{
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = append_option(m, &options[i]);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int new_call(Client *client, const char *path, const char *interface, const char *member, sd_bus_message **ret,
                    ClientError *e)
{
        int r;

        r = sd_bus_message_new_method_call(client->bus, ret, SYNCRUN_BUS_NAME, path, interface, member);
        if (r >= 0)
                r = sd_bus_message_set_allow_interactive_authorization(*ret, true);
        return r < 0 ? fail(e, NULL, r) : 0;
}

void client_on_waits(Client *client, ClientWaitsCallback callback, void *userdata)
{
        client->waits = callback;
        client->waits_userdata = userdata;
}

static int fail_not_started(ClientError *e, const char *words)
{
        _cleanup_free_ char *message = NULL;

        if (!isempty(words))
                message = asprintf_or_null(NOT_STARTED " It says: %s" LOOK_FURTHER, words);
        return fail_with(e, -EHOSTDOWN, NULL, CLIENT_EXIT_UNREACHABLE, message ?: NOT_STARTED LOOK_FURTHER);
}

/* Waits for any answer at all, which also starts the service, so that a call that may wait for a person does not wait
 * for a service that hangs. What else can go wrong shows with the call itself. */
static int wait_for_service(Client *client, ClientError *e)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_free_ char *words = NULL;
        int r;

        if (client->answers)
                return 0;
        r = service_await(
                        &(ServiceWait) {
                                        .bus = client->bus,
                                        .is_remote = client->host,
                                        .waits = client->waits,
                                        .userdata = client->waits_userdata,
                        },
                        &error, &words);
        if (r == -EHOSTDOWN && !sd_bus_error_is_set(&error))
                return fail_not_started(e, words);
        /* The call would have it started once more. */
        if (r < 0 && (sd_bus_error_has_name(&error, SD_BUS_ERROR_TIMEOUT) ||
                      sd_bus_error_has_name(&error, BUS_ERROR_ACTIVATION_TIMED_OUT)))
                return fail(e, &error, r);
        client->answers = r >= 0;
        return 0;
}

/* @none: errno of the refusal that "no such object" is; 0 where the object is always there. @reply may be NULL. */
static int call_object(Client *client, sd_bus_message *m, int none, sd_bus_message **reply, ClientError *e)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = wait_for_service(client, e);
        if (r < 0)
                return r;
        r = sd_bus_call(client->bus, m, 0, &error, reply);
        if (r >= 0)
                return 0;
        if (none > 0 && (sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_OBJECT) ||
                         sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_METHOD)))
                return fail_refused(e, refusal_by_errno(none), NULL);
        /* ssh connects in the background: that it could not shows at the first call. */
        return sd_bus_is_open(client->bus) <= 0 ? fail_to_connect(e, client->host, r) : fail(e, &error, r);
}

static int call(Client *client, sd_bus_message *m, sd_bus_message **reply, ClientError *e)
{
        return call_object(client, m, 0, reply, e);
}

void client_started_done(ClientStarted *started)
{
        free(started->run_id);
        free(started->path);
        *started = (ClientStarted) {};
}

static int read_started(sd_bus_message *reply, ClientStarted *started)
{
        const struct {
                const char *key;
                bool *value;
        } results[] = {
                { "full_resync", &started->full_resync },
                { "follow_up_pending", &started->follow_up_pending },
                { "full_resync_pending", &started->full_resync_pending },
                { "full_resync_owed", &started->full_resync_owed },
        };
        const char *id, *path, *key;
        int already_active, value, r;

        r = sd_bus_message_read(reply, "sob", &id, &path, &already_active);
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "sv")) > 0) {
                bool *known = NULL;

                r = sd_bus_message_read(reply, "s", &key);
                for (size_t i = 0; r >= 0 && i < ELEMENTSOF(results); i++)
                        if (streq(key, results[i].key))
                                known = results[i].value;
                if (r >= 0)
                        r = known ? sd_bus_message_read(reply, "v", "b", &value) : sd_bus_message_skip(reply, "v");
                if (r >= 0 && known)
                        *known = value;
                if (r >= 0)
                        r = sd_bus_message_exit_container(reply);
        }
        if (r < 0)
                return r;
        started->run_id = strdup(id);
        started->path = strdup(path);
        started->already_active = already_active;
        return started->run_id && started->path ? 0 : -ENOMEM;
}

int client_start_run(Client *client, const char *connector, const ClientOption *options, size_t n, ClientStarted *ret,
                     ClientError *e)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_(client_started_done) ClientStarted started = {};
        int r;

        r = new_call(client, SYNCRUN_PATH, SYNCRUN_IFACE_MANAGER, "StartRun", &m, e);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "s", connector);
        if (r >= 0)
                r = client_append_options(m, options, n);
        if (r < 0)
                return fail(e, NULL, r);
        r = call(client, m, &reply, e);
        if (r < 0)
                return r;
        r = read_started(reply, &started);
        if (r < 0)
                return fail(e, NULL, r);
        *ret = started;
        started = (ClientStarted) {};
        return 0;
}

int client_cancel_run(Client *client, const char *run_id, ClientError *e)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = new_call(client, SYNCRUN_PATH, SYNCRUN_IFACE_MANAGER, "CancelRun", &m, e);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "s", run_id);
        return r < 0 ? fail(e, NULL, r) : call(client, m, NULL, e);
}

static int read_key(sd_bus_message *reply, ApiKeyText *ret)
{
        const char *text;
        int r;

        r = sd_bus_message_sensitive(reply);
        if (r >= 0)
                r = sd_bus_message_read(reply, "s", &text);
        if (r < 0)
                return r;
        if (!api_key_text_is_valid(text))
                return -EBADMSG;
        (void) memcpy(ret->text, text, sizeof(ret->text));
        return 0;
}

int client_add_api_key(Client *client, const char *name, const ClientOption *options, size_t n, ApiKeyText *ret,
                       ClientError *e)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        int r;

        r = new_call(client, SYNCRUN_PATH, SYNCRUN_IFACE_MANAGER, "AddApiKey", &m, e);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "s", name);
        if (r >= 0)
                r = client_append_options(m, options, n);
        if (r < 0)
                return fail(e, NULL, r);
        r = call(client, m, &reply, e);
        if (r < 0)
                return r;
        r = read_key(reply, ret);
        return r < 0 ? fail(e, NULL, r) : 0;
}

int client_revoke_api_key(Client *client, const char *name, ClientError *e)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = new_call(client, SYNCRUN_PATH, SYNCRUN_IFACE_MANAGER, "RevokeApiKey", &m, e);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "s", name);
        return r < 0 ? fail(e, NULL, r) : call(client, m, NULL, e);
}

static int append_webhook_call(sd_bus_message *m, const ClientWebhookCall *what)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(what->words) && what->words[i]; i++)
                r = sd_bus_message_append(m, "s", what->words[i]);
        if (r >= 0 && what->with_since)
                r = sd_bus_message_append(m, "t", what->since_usec);
        return r < 0 ? r : client_append_options(m, what->options, what->n_options);
}

static int read_text(sd_bus_message *reply, char **ret)
{
        const char *text;
        char *copy;
        int r;

        r = sd_bus_message_read(reply, "s", &text);
        if (r < 0)
                return r;
        copy = strdup(text);
        if (!copy)
                return -ENOMEM;
        *ret = copy;
        return 0;
}

int client_call_webhook(Client *client, const ClientWebhookCall *what, char **ret_text, ClientError *e)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        int r;

        r = new_call(client, SYNCRUN_PATH, SYNCRUN_IFACE_MANAGER, what->member, &m, e);
        if (r < 0)
                return r;
        r = append_webhook_call(m, what);
        if (r < 0)
                return fail(e, NULL, r);
        r = call(client, m, &reply, e);
        if (r < 0 || !ret_text)
                return r;
        r = read_text(reply, ret_text);
        return r < 0 ? fail(e, NULL, r) : 0;
}

int client_reload(Client *client, ClientError *e)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = new_call(client, SYNCRUN_PATH, SYNCRUN_IFACE_MANAGER, "Reload", &m, e);
        return r < 0 ? r : call(client, m, NULL, e);
}

/* A call of an object named by a connector's or connection's name. */
static int new_object_call(Client *client, const char *prefix, const char *name, const char *interface,
                           const char *member, sd_bus_message **ret, ClientError *e)
{
        _cleanup_free_ char *path = NULL;
        int r;

        r = sd_bus_path_encode(prefix, name, &path);
        if (r < 0)
                return fail(e, NULL, r);
        return new_call(client, path, interface, member, ret, e);
}

int client_set_active(Client *client, const char *connector, bool active, ClientError *e)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = new_object_call(client, SYNCRUN_PATH_CONNECTOR, connector, SYNCRUN_IFACE_CONNECTOR, "SetActive", &m, e);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "b", (int) active);
        return r < 0 ? fail(e, NULL, r) : call_object(client, m, ENXIO, NULL, e);
}

int client_call_manager(Client *client, const char *member, const char *word, const ClientOption *options, size_t n,
                        sd_bus_message **ret, ClientError *e)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = new_call(client, SYNCRUN_PATH, SYNCRUN_IFACE_MANAGER, member, &m, e);
        if (r < 0)
                return r;
        r = sd_bus_message_append_basic(m, 's', word);
        if (r >= 0)
                r = client_append_options(m, options, n);
        return r < 0 ? fail(e, NULL, r) : call(client, m, ret, e);
}

int client_get_text(Client *client, const char *property, char **ret, ClientError *e)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = wait_for_service(client, e);
        if (r < 0)
                return r;
        r = sd_bus_get_property_string(client->bus, SYNCRUN_BUS_NAME, SYNCRUN_PATH, SYNCRUN_IFACE_MANAGER, property,
                                       &error, ret);
        return r < 0 ? fail(e, &error, r) : 0;
}

int client_describe(Client *client, const char *member, const ClientOption *filter, size_t n, char **ret_json,
                    ClientError *e)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        const char *json;
        int r;

        r = new_call(client, SYNCRUN_PATH, SYNCRUN_IFACE_MANAGER, member, &m, e);
        if (r < 0)
                return r;
        r = client_append_options(m, filter, n);
        if (r < 0)
                return fail(e, NULL, r);
        r = call(client, m, &reply, e);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "s", &json);
        if (r < 0)
                return fail(e, NULL, r);
        *ret_json = strdup(json);
        return *ret_json ? 0 : fail(e, NULL, -ENOMEM);
}

static int on_events(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        EventWatch *watch = userdata;
        const char *user_id, *run_id, *json;
        uint64_t seq;

        if (sd_bus_message_enter_container(m, 'a', "(tsss)") < 0)
                return 0;
        while (sd_bus_message_read(m, "(tsss)", &seq, &user_id, &run_id, &json) > 0)
                watch->callback(seq, user_id, run_id, json, watch->userdata);
        return 0;
}

int client_watch_events(Client *client, ClientEventCallback callback, void *userdata, sd_bus_slot **ret_slot,
                        ClientError *e)
{
        _cleanup_free_ EventWatch *watch = malloc(sizeof(EventWatch));
        sd_bus_slot *slot;
        int r;

        if (!watch)
                return fail(e, NULL, -ENOMEM);
        *watch = (EventWatch) { .callback = callback, .userdata = userdata };
        r = sd_bus_match_signal(client->bus, &slot, SYNCRUN_BUS_NAME, SYNCRUN_PATH, SYNCRUN_IFACE_MANAGER,
                                "EventsCommitted", on_events, watch);
        if (r < 0)
                return fail(e, NULL, r);
        (void) sd_bus_slot_set_destroy_callback(slot, free);
        TAKE_PTR(watch);
        *ret_slot = slot;
        return 0;
}
