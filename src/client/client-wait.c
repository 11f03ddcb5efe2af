/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "client/client-wait.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/names.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "client/client-bus.h"
#include "client/client.h"

#define SYSTEMD "org.freedesktop.systemd1"

/* How often PID 1 is asked for what becomes of the service, and how long not at first. */
#define LOOK_USEC (200 * USEC_PER_MSEC)

/* It has failed when it is seen so this many times running. Once may be an earlier failure, before the bus has had it
 * started anew. */
#define FAILED_LOOKS 5U

typedef struct Answer {
        bool given;
        int r;
        sd_bus_error *error; /* the caller's */
} Answer;

typedef struct Looks {
        bool useless; /* there is no systemd to be asked */
        bool told;
        unsigned n_failed;
} Looks;

static int new_ping(sd_bus *bus, sd_bus_message **ret)
{
        return sd_bus_message_new_method_call(bus, ret, SYNCRUN_BUS_NAME, SYNCRUN_PATH, "org.freedesktop.DBus.Peer",
                                              "Ping");
}

/* Return: 0; 1: somebody; negative errno. */
static int has_owner(sd_bus *bus, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r, owned;

        r = sd_bus_call_method(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                               "NameHasOwner", error, &reply, "s", SYNCRUN_BUS_NAME);
        if (r >= 0)
                r = sd_bus_message_read(reply, "b", &owned);
        return r < 0 ? r : owned;
}

static int ping(sd_bus *bus, sd_bus_error *error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = new_ping(bus, &m);
        if (r >= 0)
                r = sd_bus_call(bus, m, client_answer_usec(), error, NULL);
        return MIN(r, 0);
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        Answer *answer = userdata;

        answer->given = true;
        answer->r = -sd_bus_message_get_errno(m);
        if (answer->r < 0)
                (void) sd_bus_error_copy(answer->error, sd_bus_message_get_error(m));
        return 1;
}

/* Return: 0, also when there is none by then; negative errno. */
static int await_answer(sd_bus *bus, const Answer *answer, usec_t until_usec)
{
        usec_t now;
        int r;

        while (!answer->given && (now = now_usec(CLOCK_MONOTONIC)) < until_usec) {
                r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, until_usec - now);
                if (r < 0 && r != -EINTR)
                        return r;
        }
        return 0;
}

/* ---- What PID 1 says of it */

static int unit_property(sd_bus *bus, const char *path, const char *interface, const char *property,
                         sd_bus_message **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(bus, &m, SYSTEMD, path, "org.freedesktop.DBus.Properties", "Get");
        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, false);
        if (r >= 0)
                r = sd_bus_message_append(m, "ss", interface, property);
        return r < 0 ? r : sd_bus_call(bus, m, USEC_PER_SEC, NULL, ret);
}

static int daemon_property(sd_bus *bus, const char *interface, const char *property, sd_bus_message **ret)
{
        _cleanup_free_ char *path = NULL;
        int r;

        r = sd_bus_path_encode("/org/freedesktop/systemd1/unit", SYNCRUN_DAEMON_UNIT, &path);
        return r < 0 ? r : unit_property(bus, path, interface, property, ret);
}

/* The job is asked for first: one that ends in between has changed the state before. */
static int look_at_unit(sd_bus *bus, uint32_t *ret_job, char *ret_state, size_t size)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *job = NULL, *state = NULL;
        const char *text;
        int r;

        r = daemon_property(bus, SYSTEMD ".Unit", "Job", &job);
        if (r >= 0)
                r = sd_bus_message_read(job, "v", "(uo)", ret_job, NULL);
        if (r >= 0)
                r = daemon_property(bus, SYSTEMD ".Unit", "ActiveState", &state);
        if (r >= 0)
                r = sd_bus_message_read(state, "v", "s", &text);
        if (r < 0)
                return r;
        (void) snprintf(ret_state, size, "%s", text);
        return 0;
}

static char *unit_words(sd_bus *bus)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        const char *text;

        if (daemon_property(bus, SYSTEMD ".Service", "StatusText", &m) < 0 ||
            sd_bus_message_read(m, "v", "s", &text) < 0)
                return NULL;
        return strdup(text);
}

/* Return: whether it has failed for good. */
static bool look(const ServiceWait *wait, sd_bus *bus, Looks *looks)
{
        char state[sizeof("deactivating")];
        uint32_t job = 0;
        int r;

        if (looks->useless)
                return false;
        r = look_at_unit(bus, &job, state, sizeof(state));
        if (r == -ETIMEDOUT) /* as while it reads its units anew: it will answer another time */
                return false;
        if (r < 0) {
                log_debug_errno(r, "Could not ask systemd about " SYNCRUN_DAEMON_UNIT ": %m");
                looks->useless = true;
                return false;
        }
        looks->n_failed = job == 0 && streq(state, "failed") ? looks->n_failed + 1 : 0;
        if (looks->n_failed == 0 && !streq(state, "active") && !looks->told && wait->waits) {
                wait->waits(wait->userdata);
                looks->told = true;
        }
        return looks->n_failed >= FAILED_LOOKS;
}

/* By a connection of its own, on which nobody listens for anything: what comes over the other meanwhile waits. */
static int await_start(const ServiceWait *wait, sd_bus_error *error, char **ret_words)
{
        usec_t deadline_usec = usec_add(now_usec(CLOCK_MONOTONIC), client_answer_usec());
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
        Answer answer = { .error = error };
        Looks looks = {};
        int r;

        r = client_bus_open(&bus);
        if (r >= 0)
                r = new_ping(bus, &m);
        if (r >= 0)
                r = sd_bus_call_async(bus, &slot, m, on_answer, &answer, UINT64_MAX);
        while (r >= 0) {
                usec_t now = now_usec(CLOCK_MONOTONIC);

                r = await_answer(bus, &answer, MIN(deadline_usec, usec_add(now, LOOK_USEC)));
                if (r < 0 || answer.given)
                        break;
                if (now_usec(CLOCK_MONOTONIC) >= deadline_usec) {
                        r = -ETIMEDOUT;
                } else if (look(wait, bus, &looks)) {
                        *ret_words = unit_words(bus);
                        return -EHOSTDOWN;
                }
        }
        if (answer.given)
                return answer.r;
        return sd_bus_error_set_errno(error, r);
}

int service_await(const ServiceWait *wait, sd_bus_error *error, char **ret_words)
{
        int r;

        if (wait->is_remote)
                return ping(wait->bus, error);
        r = has_owner(wait->bus, error);
        if (r < 0)
                return r;
        return r > 0 ? ping(wait->bus, error) : await_start(wait, error, ret_words);
}
