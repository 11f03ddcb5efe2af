/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See worker-proxy.h. */

#include <stdlib.h>
#include <systemd/sd-bus.h>

#include "base/log.h"
#include "base/names.h"
#include "base/refusal.h"
#include "base/string-util.h"
#include "client/client-bus.h"
#include "client/worker-proxy.h"

/* How long an answer may take before the call is sent again: the daemon answers after its commit. */
#define CALL_TIMEOUT_USEC (30 * USEC_PER_SEC)

/* Pause before a call is sent again; doubled each time up to the second. */
#define RETRY_USEC     (100 * USEC_PER_MSEC)
#define RETRY_MAX_USEC (5 * USEC_PER_SEC)

#define BUS_GONE_WORDS "the bus is gone, and has not come back for too long"

struct WorkerProxy {
        usec_t patience_usec;
        usec_t gone_usec; /* of CLOCK_MONOTONIC: since when the bus cannot be opened; 0: it could be */
        sd_event *event;
        sd_bus *bus;
        char *path;
        WorkerReply reply;
        void *userdata;

        WorkerMethod method; /* of the call under way; _WORKER_METHOD_INVALID: none */
        char *run_id;
        uint64_t sequence;
        char *text;
        sd_bus_slot *slot;
        sd_bus_slot *lost_slot;
        sd_event_source *retry_source; /* of the call under way, or looks for the bus when there is none */
        usec_t retry_usec;
        bool away;
        int failure; /* of a call that could not be sent: its reply, which comes from the loop */
        const char *failure_words;
};

static const char *const member_table[_WORKER_METHOD_MAX] = {
        [WORKER_ATTACH] = "Attach", [WORKER_REPORT] = "Report", [WORKER_SAVE_CURSOR] = "SaveCursor",
        [WORKER_FINISH] = "Finish", [WORKER_SETTLE] = "Settle", [WORKER_REPORT_DELIVERIES] = "ReportDeliveries",
};

static int send_call(WorkerProxy *proxy, const char **ret_words);
static int try_later(WorkerProxy *proxy);
static int on_bus_lost(sd_bus_message *m, void *userdata, sd_bus_error *error);

void worker_attachment_done(WorkerAttachment *attachment)
{
        free(attachment->run_id);
        conf_done(&attachment->settings);
        free(attachment->cursor);
        strv_free(attachment->accounts);
        free(attachment->rules.ca_file);
        *attachment = (WorkerAttachment){};
}

int worker_proxy_new(sd_event *event, const char *connector, WorkerReply reply, void *userdata, WorkerProxy **ret)
{
        _cleanup_(worker_proxy_freep) WorkerProxy *proxy = calloc(1, sizeof(*proxy));

        if (!proxy)
                return -ENOMEM;
        proxy->method = _WORKER_METHOD_INVALID;
        proxy->patience_usec = WORKER_BUS_GONE_USEC;
        proxy->event = sd_event_ref(event);
        proxy->reply = reply;
        proxy->userdata = userdata;
        if (sd_bus_path_encode(SYNCRUN_PATH_CONNECTOR, connector, &proxy->path) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(proxy);
        return 0;
}

static void close_bus(WorkerProxy *proxy)
{
        proxy->slot = sd_bus_slot_unref(proxy->slot);
        proxy->lost_slot = sd_bus_slot_unref(proxy->lost_slot);
        if (proxy->bus) {
                (void) sd_bus_detach_event(proxy->bus);
                proxy->bus = sd_bus_close_unref(proxy->bus);
        }
}

static void end_call(WorkerProxy *proxy)
{
        proxy->slot = sd_bus_slot_unref(proxy->slot);
        proxy->retry_source = sd_event_source_disable_unref(proxy->retry_source);
        free(proxy->run_id);
        free(proxy->text);
        proxy->run_id = proxy->text = NULL;
        proxy->method = _WORKER_METHOD_INVALID;
        proxy->away = false;
}

WorkerProxy *worker_proxy_free(WorkerProxy *proxy)
{
        if (!proxy)
                return NULL;
        end_call(proxy);
        close_bus(proxy);
        sd_event_unref(proxy->event);
        free(proxy->path);
        free(proxy);
        return NULL;
}

static void give_reply(WorkerProxy *proxy, int r, const char *error, WorkerAttachment *attachment)
{
        WorkerMethod method = proxy->method;

        end_call(proxy);
        proxy->reply(method, r, error, attachment, proxy->userdata);
}

static int open_bus(WorkerProxy *proxy)
{
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        int r;

        if (proxy->bus)
                return 0;
        r = client_bus_open(&bus);
        if (r >= 0)
                r = sd_bus_match_signal(bus, &proxy->lost_slot, "org.freedesktop.DBus.Local",
                                        "/org/freedesktop/DBus/Local", "org.freedesktop.DBus.Local", "Disconnected",
                                        on_bus_lost, proxy);
        if (r >= 0)
                r = sd_bus_attach_event(bus, proxy->event, SD_EVENT_PRIORITY_NORMAL);
        if (r < 0) {
                proxy->lost_slot = sd_bus_slot_unref(proxy->lost_slot);
                return r;
        }
        proxy->bus = TAKE_PTR(bus);
        return 0;
}

/* Looked at where the bus could not be opened. */
static bool bus_is_gone_for_good(WorkerProxy *proxy)
{
        usec_t now;

        if (sd_event_now(proxy->event, CLOCK_MONOTONIC, &now) < 0)
                return false;
        if (proxy->gone_usec == 0)
                proxy->gone_usec = now;
        return now - proxy->gone_usec >= proxy->patience_usec;
}

/* There is no call under way: only whether the bus comes back is looked at. */
static void look_for_bus(WorkerProxy *proxy)
{
        int r;

        close_bus(proxy);
        r = open_bus(proxy);
        if (r >= 0)
                proxy->gone_usec = 0;
        else if (bus_is_gone_for_good(proxy))
                give_reply(proxy, -EHOSTUNREACH, BUS_GONE_WORDS, NULL);
        else if ((r = try_later(proxy)) < 0)
                log_debug_errno(r, "The bus is not looked for: %m");
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
        WorkerProxy *proxy = userdata;
        const char *words;
        int r;

        proxy->retry_source = sd_event_source_disable_unref(proxy->retry_source);
        if (!worker_proxy_is_busy(proxy))
                look_for_bus(proxy);
        else if ((r = send_call(proxy, &words)) < 0)
                give_reply(proxy, r, words, NULL);
        return 0;
}

static int try_later(WorkerProxy *proxy)
{
        usec_t usec = proxy->retry_usec;

        proxy->retry_usec = MIN(usec * 2, (usec_t) RETRY_MAX_USEC);
        return sd_event_add_time_relative(proxy->event, &proxy->retry_source, CLOCK_MONOTONIC, usec, USEC_PER_MSEC,
                                          on_retry, proxy);
}

/* Sends the same call again after a pause. Return: 0 or the loop's errno. */
static int retry_later(WorkerProxy *proxy, const char *why)
{
        proxy->slot = sd_bus_slot_unref(proxy->slot);
        if (!proxy->away)
                log_debug("The daemon is away (%s), trying again.", why);
        proxy->away = true;
        return MIN(try_later(proxy), 0);
}

/* A call that is under way hears of it by itself. A run that has nothing to say, perhaps for ever, has to be told. */
static int on_bus_lost(sd_bus_message *m, void *userdata, sd_bus_error *unused)
{
        WorkerProxy *proxy = userdata;
        int r = 0;

        if (!worker_proxy_is_busy(proxy)) {
                proxy->retry_usec = RETRY_USEC;
                r = try_later(proxy);
        }
        return MIN(r, 0);
}

/* Refusals that are about the daemon's state and not about us. */
static bool is_passing(const Refusal *refusal)
{
        return refusal && (refusal->error == EROFS || refusal->error == ESHUTDOWN || refusal->error == ENOMEM ||
                           refusal->error == ENOBUFS || refusal->error == EAGAIN);
}

static int read_settings(sd_bus_message *m, Conf *conf)
{
        const char *section, *key, *value;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "(sss)");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(m, "(sss)", &section, &key, &value)) > 0) {
                r = conf_append(conf, NULL, 0, section, key, value);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* What it is not known for is passed over. */
static int read_rule(sd_bus_message *m, const char *name, WebhookRules *rules)
{
        const struct {
                const char *name;
                bool *field;
        } flags[] = {
                { "webhook_allow_http", &rules->allow_http },
                { "webhook_allow_literals", &rules->allow_literals },
        };
        _cleanup_free_ char *why = NULL;
        const char *text;
        int r, flag;

        for (size_t i = 0; i < ELEMENTSOF(flags); i++)
                if (streq(name, flags[i].name)) {
                        r = sd_bus_message_read(m, "v", "b", &flag);
                        if (r >= 0)
                                *flags[i].field = flag;
                        return r;
                }
        if (streq(name, "webhook_timeout_usec"))
                return sd_bus_message_read(m, "v", "t", &rules->timeout_usec);
        if (!streq(name, "webhook_ca_file") && !streq(name, "webhook_private_networks"))
                return sd_bus_message_skip(m, "v");
        r = sd_bus_message_read(m, "v", "s", &text);
        if (r < 0)
                return r;
        if (streq(name, "webhook_ca_file"))
                return MIN(free_and_strdup(&rules->ca_file, text), 0);
        return networks_add(&rules->private_networks, text, &why);
}

static int read_options(sd_bus_message *m, WorkerAttachment *attachment)
{
        const char *name;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &name);
                if (r < 0)
                        return r;
                if (streq(name, "accounts")) {
                        r = sd_bus_message_enter_container(m, 'v', "as");
                        if (r >= 0)
                                r = sd_bus_message_read_strv(m, &attachment->accounts);
                        if (r >= 0)
                                r = sd_bus_message_exit_container(m);
                } else
                        r = read_rule(m, name, &attachment->rules);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_attachment(sd_bus_message *m, WorkerAttachment *attachment)
{
        const char *run_id, *cursor;
        int full_resync, r;

        attachment->rules.timeout_usec = WEBHOOK_TIMEOUT_USEC;
        r = sd_bus_message_read(m, "stb", &run_id, &attachment->sequence, &full_resync);
        if (r < 0)
                return r;
        attachment->full_resync = full_resync;
        r = read_settings(m, &attachment->settings);
        if (r >= 0)
                r = sd_bus_message_read(m, "s", &cursor);
        if (r >= 0)
                r = read_options(m, attachment);
        if (r < 0)
                return r;
        attachment->run_id = strdup(run_id);
        attachment->cursor = strdup(cursor);
        return attachment->run_id && attachment->cursor ? 0 : -ENOMEM;
}

static void handle_attachment(WorkerProxy *proxy, sd_bus_message *m)
{
        WorkerAttachment attachment = {};
        int r = read_attachment(m, &attachment);

        if (r == -ENOMEM) /* it may be asked for again */
                r = retry_later(proxy, strerror(ENOMEM));
        else if (r >= 0)
                give_reply(proxy, 0, NULL, &attachment);
        if (r < 0)
                give_reply(proxy, r, "the daemon's answer to Attach() cannot be read", NULL);
        worker_attachment_done(&attachment);
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *unused)
{
        WorkerProxy *proxy = userdata;
        const sd_bus_error *error = sd_bus_message_get_error(m);
        int r;

        if (error) {
                const Refusal *refusal = refusal_by_name(error->name);

                if (client_error_is_absence(error) || is_passing(refusal)) {
                        r = retry_later(proxy, error->name);
                        if (r < 0)
                                give_reply(proxy, r, strerror(-r), NULL);
                } else
                        give_reply(proxy, refusal ? -refusal->error : -sd_bus_error_get_errno(error),
                                   error->message ?: error->name, NULL);
                return 0;
        }
        if (proxy->method == WORKER_ATTACH)
                handle_attachment(proxy, m);
        else
                give_reply(proxy, 0, NULL, NULL);
        return 0;
}

static int append_arguments(WorkerProxy *proxy, sd_bus_message *m)
{
        if (proxy->method == WORKER_ATTACH)
                return 0;
        if (proxy->method == WORKER_SETTLE)
                return sd_bus_message_append(m, "ss", proxy->run_id, proxy->text);
        return sd_bus_message_append(m, "sts", proxy->run_id, proxy->sequence, proxy->text);
}

/* Gives no reply: worker_proxy_call()'s caller is not ready for one yet. Return: 0: there will be a reply; negative
 * errno and words for it: there will be none. */
static int send_call(WorkerProxy *proxy, const char **ret_words)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        if (proxy->bus && !sd_bus_is_open(proxy->bus))
                close_bus(proxy);
        r = open_bus(proxy);
        if (r >= 0)
                proxy->gone_usec = 0;
        else if (bus_is_gone_for_good(proxy)) {
                *ret_words = BUS_GONE_WORDS;
                return -EHOSTUNREACH;
        }
        if (r >= 0)
                r = sd_bus_message_new_method_call(proxy->bus, &m, SYNCRUN_BUS_NAME, proxy->path, SYNCRUN_IFACE_WORKER,
                                                   member_table[proxy->method]);
        if (r >= 0)
                r = append_arguments(proxy, m);
        if (r == -EINVAL) {
                *ret_words = "the text is not valid UTF-8";
                return r;
        }
        if (r >= 0)
                r = sd_bus_call_async(proxy->bus, &proxy->slot, m, on_reply, proxy, CALL_TIMEOUT_USEC);
        if (r < 0)
                r = retry_later(proxy, strerror(-r));
        if (r < 0)
                *ret_words = strerror(-r);
        return MIN(r, 0);
}

static int on_failure(sd_event_source *source, void *userdata)
{
        WorkerProxy *proxy = userdata;

        give_reply(proxy, proxy->failure, proxy->failure_words, NULL);
        return 0;
}

void worker_proxy_set_patience(WorkerProxy *proxy, usec_t usec)
{
        proxy->patience_usec = usec;
}

int worker_proxy_call(WorkerProxy *proxy, WorkerMethod method, const char *run_id, uint64_t sequence, const char *text)
{
        int r;

        if (worker_proxy_is_busy(proxy))
                return -EBUSY;
        if (method != WORKER_ATTACH) {
                proxy->run_id = strdup(run_id);
                proxy->text = strdup(text);
                if (!proxy->run_id || !proxy->text) {
                        end_call(proxy);
                        return -ENOMEM;
                }
        }
        proxy->retry_source = sd_event_source_disable_unref(proxy->retry_source);
        proxy->method = method;
        proxy->sequence = sequence;
        proxy->retry_usec = RETRY_USEC;
        proxy->failure = send_call(proxy, &proxy->failure_words);
        if (proxy->failure >= 0)
                return 0;
        r = sd_event_add_defer(proxy->event, &proxy->retry_source, on_failure, proxy);
        if (r < 0)
                end_call(proxy);
        return MIN(r, 0);
}

bool worker_proxy_is_busy(const WorkerProxy *proxy)
{
        return proxy->method != _WORKER_METHOD_INVALID;
}

bool worker_proxy_is_away(const WorkerProxy *proxy)
{
        return proxy->away;
}
