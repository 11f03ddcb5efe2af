/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bus/polkit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "bus/bus-private.h"
#include "model/settings.h"

#define POLKIT_NAME             "org.freedesktop.PolicyKit1"
#define POLKIT_PATH             "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_IFACE            "org.freedesktop.PolicyKit1.Authority"
#define POLKIT_FLAG_INTERACTION 1U

#define CANCELLATION_ID_MAX sizeof("syncrun-18446744073709551615")

struct PolkitQuestion {
        sd_bus *bus;
        char *sender;
        char cancellation_id[CANCELLATION_ID_MAX]; /* among all questions of ours */
        bool asked;                                /* and not answered */
        PolkitCallback callback;
        void *userdata;
        sd_bus_slot *answer, *departure, *presence;
        sd_event_source *timer;
};

static int append_details(sd_bus_message *call, const AccessSubject *subject)
{
        int r;

        r = sd_bus_message_open_container(call, 'a', "{ss}");
        if (r >= 0 && subject->connector)
                r = sd_bus_message_append(call, "{ss}", "connector", subject->connector);
        if (r >= 0 && subject->run)
                r = sd_bus_message_append(call, "{ss}", "run", subject->run);
        return r < 0 ? r : sd_bus_message_close_container(call);
}

static int call_new(const PolkitQuestion *question, const char *action, const AccessSubject *subject, bool interactive,
                    sd_bus_message **ret)
{
        sd_bus_message *call;
        int r;

        r = sd_bus_message_new_method_call(question->bus, &call, POLKIT_NAME, POLKIT_PATH, POLKIT_IFACE,
                                           "CheckAuthorization");
        if (r < 0)
                return r;
        r = sd_bus_message_append(call, "(sa{sv})s", "system-bus-name", 1, "name", "s", question->sender, action);
        if (r >= 0)
                r = append_details(call, subject);
        if (r >= 0)
                r = sd_bus_message_append(call, "us", interactive ? POLKIT_FLAG_INTERACTION : 0U,
                                          question->cancellation_id);
        if (r < 0) {
                sd_bus_message_unref(call);
                return r;
        }
        *ret = call;
        return 0;
}

/* Nobody waits for what it says to that. */
static void take_back(PolkitQuestion *question)
{
        sd_bus_message *call = NULL;
        int r;

        question->asked = false;
        r = sd_bus_message_new_method_call(question->bus, &call, POLKIT_NAME, POLKIT_PATH, POLKIT_IFACE,
                                           "CancelCheckAuthorization");
        if (r >= 0)
                r = sd_bus_message_set_auto_start(call, false);
        if (r >= 0)
                r = sd_bus_message_append(call, "s", question->cancellation_id);
        if (r >= 0)
                r = sd_bus_send(question->bus, call, NULL);
        sd_bus_message_unref(call);
        if (r < 0)
                (void) log_debug_errno(r, "A question to polkit cannot be taken back: %m");
}

/* The last thing that is done with a question: the callback frees it. */
static void conclude(PolkitQuestion *question, PolkitAnswer answer)
{
        if (question->asked)
                take_back(question);
        question->callback(answer, question->userdata);
}

static PolkitAnswer read_answer(sd_bus_message *reply)
{
        int authorized, challenge, r;

        if (sd_bus_message_is_method_error(reply, NULL)) {
                const sd_bus_error *error = sd_bus_message_get_error(reply);

                /* Whatever keeps polkit from answering, the answer is not yes. */
                log_debug("polkit does not answer: %s: %s", error->name, error->message);
                return sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
                                                       sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER) ||
                                                       sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY)
                                       ? POLKIT_MISSING
                                       : POLKIT_NO;
        }
        r = sd_bus_message_enter_container(reply, 'r', "bba{ss}");
        if (r >= 0)
                r = sd_bus_message_read(reply, "bb", &authorized, &challenge);
        if (r < 0) {
                (void) log_debug_errno(r, "polkit's answer cannot be read: %m");
                return POLKIT_NO;
        }
        return authorized ? POLKIT_YES : challenge ? POLKIT_CHALLENGE : POLKIT_NO;
}

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *unused)
{
        PolkitQuestion *question = userdata;

        question->asked = false;
        conclude(question, read_answer(reply));
        return 0;
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
        conclude(userdata, POLKIT_TIMEOUT);
        return 0;
}

/* Without it the question ends with its time. */
static int on_watched(sd_bus_message *reply, void *userdata, sd_bus_error *unused)
{
        if (sd_bus_message_is_method_error(reply, NULL))
                log_debug("The bus does not tell who leaves: %s", sd_bus_message_get_error(reply)->message);
        return 0;
}

static int on_departure(sd_bus_message *signal, void *userdata, sd_bus_error *unused)
{
        const char *name, *before, *after;

        if (sd_bus_message_read(signal, "sss", &name, &before, &after) >= 0 && isempty(after))
                conclude(userdata, POLKIT_GONE);
        return 0;
}

/* It may have left before its departure was listened for. */
static int on_presence(sd_bus_message *reply, void *userdata, sd_bus_error *unused)
{
        int here = true;

        if (!sd_bus_message_is_method_error(reply, NULL) && sd_bus_message_read(reply, "b", &here) >= 0 && !here)
                conclude(userdata, POLKIT_GONE);
        return 0;
}

/* The bus driver answers in order: who is here by the second answer will be missed by the signal. */
static int watch_sender(PolkitQuestion *question)
{
        _cleanup_free_ char *match = asprintf_or_null("type='signal',sender='org.freedesktop.DBus',"
                                                      "path='/org/freedesktop/DBus',"
                                                      "interface='org.freedesktop.DBus',"
                                                      "member='NameOwnerChanged',arg0='%s'",
                                                      question->sender);
        int r;

        if (!match)
                return -ENOMEM;
        r = sd_bus_add_match_async(question->bus, &question->departure, match, on_departure, on_watched, question);
        if (r < 0)
                return r;
        return sd_bus_call_method_async(question->bus, &question->presence, "org.freedesktop.DBus",
                                        "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner", on_presence,
                                        question, "s", question->sender);
}

int polkit_ask(Bus *bus, sd_bus_message *m, const char *action, const AccessSubject *subject, PolkitCallback callback,
               void *userdata, PolkitQuestion **ret)
{
        usec_t timeout_usec = engine_settings(bus->engine)->authorization_timeout_usec;
        _cleanup_(polkit_question_freep) PolkitQuestion *question = calloc(1, sizeof(*question));
        bool interactive = sd_bus_message_get_allow_interactive_authorization(m) > 0;
        sd_bus_message *call;
        int r;

        if (!question)
                return -ENOMEM;
        question->bus = sd_bus_ref(bus->options.bus);
        question->callback = callback;
        question->userdata = userdata;
        (void) snprintf(question->cancellation_id, sizeof(question->cancellation_id), "syncrun-%" PRIu64,
                        ++bus->n_questions);
        question->sender = strdup(sd_bus_message_get_sender(m));
        if (!question->sender)
                return -ENOMEM;
        r = watch_sender(question);
        if (r >= 0 && timeout_usec != USEC_INFINITY)
                r = sd_event_add_time_relative(bus->options.event, &question->timer, CLOCK_MONOTONIC, timeout_usec,
                                               USEC_PER_MSEC, on_timeout, question);
        if (r >= 0)
                r = call_new(question, action, subject, interactive, &call);
        if (r < 0)
                return r;
        r = sd_bus_call_async(question->bus, &question->answer, call, on_answer, question, UINT64_MAX);
        sd_bus_message_unref(call);
        if (r < 0)
                return r;
        question->asked = true;
        *ret = TAKE_PTR(question);
        return 0;
}

PolkitQuestion *polkit_question_free(PolkitQuestion *question)
{
        if (!question)
                return NULL;
        if (question->asked)
                take_back(question);
        sd_bus_slot_unref(question->answer);
        sd_bus_slot_unref(question->departure);
        sd_bus_slot_unref(question->presence);
        sd_event_source_disable_unref(question->timer);
        sd_bus_unref(question->bus);
        free(question->sender);
        free(question);
        return NULL;
}
