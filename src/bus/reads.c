/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bus/reads.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#include "base/log.h"
#include "base/string-util.h"
#include "bus/access.h"
#include "bus/bus-error.h"
#include "bus/bus-private.h"
#include "bus/manager-describe.h"

/* Beside a flood of other calls, too, one answer is made each time that so much has passed, if the bus has taken the
 * last one. */
#define TURN_USEC (20 * USEC_PER_MSEC)

/* Until it is looked again at what the bus had not taken. */
#define UNSENT_USEC (2 * USEC_PER_MSEC)

/* When a caller leaves the bus. */
#define DEPARTURE                                                                                                 \
        "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',member='NameOwnerChanged'," \
        "arg2=''"

static const struct {
        const char *member;
        sd_bus_message_handler_t handler;
} large_reads[] = {
        { "DescribeRuns", method_describe_runs },
        { "DescribeEvents", method_describe_events },
        { "DescribeBytes", method_describe_bytes },
        { "DescribeConnectors", method_describe_connectors },
        { "DescribeConnections", method_describe_connections },
        { "DescribeUsers", method_describe_users },
        { "ListEvents", method_list_events },
        { "GetManagedObjects", method_managed_objects },
};

typedef struct Read {
        Turn turn;
        Bus *bus;
        sd_bus_message *message;
        struct Read *prev, *next; /* of all, as they came */
} Read;

static Read *read_free(Read *read)
{
        if (!read)
                return NULL;
        turn_leave(&read->turn);
        DL_DELETE(read->bus->reads, read);
        sd_bus_message_unref(read->message);
        free(read);
        return NULL;
}
DEFINE_TRIVIAL_CLEANUP_FUNC(Read *, read_free);

static void make_answer(Bus *bus, sd_bus_message *m)
{
        _cleanup_bus_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        size_t i = 0;
        int r;

        while (!streq(large_reads[i].member, sd_bus_message_get_member(m)))
                i++;
        r = sd_bus_message_rewind(m, true);
        bus->reading = m;
        if (r >= 0)
                r = large_reads[i].handler(m, bus, &error);
        bus->reading = NULL;
        bus_finish_call(m, r, &error);
}

/* When there is nothing else to do, or after a while. */
static void wait_for_turn(Bus *bus, bool is_sending)
{
        int r;

        r = sd_event_source_set_enabled(bus->reads_idle, is_sending ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
        if (r >= 0)
                r = sd_event_source_set_time_relative(bus->reads_timer, is_sending ? UNSENT_USEC : TURN_USEC);
        if (r >= 0)
                r = sd_event_source_set_enabled(bus->reads_timer, SD_EVENT_ONESHOT);
        if (r < 0)
                log_debug_errno(r, "Could not wait for the turn of large answers: %m");
}

static void end_waiting(Bus *bus)
{
        (void) sd_event_source_set_enabled(bus->reads_idle, SD_EVENT_OFF);
        (void) sd_event_source_set_enabled(bus->reads_timer, SD_EVENT_OFF);
        bus->departures = sd_bus_slot_unref(bus->departures);
}

/* The first call of the user in line, who then stands at its end. */
static void take_turn(Bus *bus)
{
        uint64_t n_unsent = 0;
        TurnTaker *user;
        Read *read;

        /* What is made waits in memory until the bus has taken it. */
        if (sd_bus_get_n_queued_write(bus->options.bus, &n_unsent) >= 0 && n_unsent > 0) {
                wait_for_turn(bus, true);
                return;
        }
        user = turns_begin(&bus->readers);
        if (user) {
                turn_taker_again(user);
                read = container_of(user->first, Read, turn);
                make_answer(bus, read->message);
                read_free(read);
        }
        if (bus->readers.n > 0)
                wait_for_turn(bus, false);
        else
                end_waiting(bus);
}

static int on_idle(sd_event_source *source, void *userdata)
{
        take_turn(userdata);
        return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        take_turn(userdata);
        return 0;
}

static int on_departure(sd_bus_message *m, void *userdata, sd_bus_error *unused)
{
        Read *read, *next;
        Bus *bus = userdata;
        const char *name;

        if (sd_bus_message_read(m, "s", &name) < 0)
                return 0;
        DL_FOREACH_SAFE(bus->reads, read, next)
        if (streq(sd_bus_message_get_sender(read->message), name))
                read_free(read);
        return 0;
}

static int read_new(Bus *bus, sd_bus_message *m, uid_t uid)
{
        _cleanup_(read_freep) Read *read = calloc(1, sizeof(*read));
        char user[sizeof("4294967295")];
        Turn *displaced;
        int r;

        if (!read)
                return -ENOMEM;
        read->bus = bus;
        read->message = sd_bus_message_ref(m);
        DL_APPEND(bus->reads, read);
        (void) snprintf(user, sizeof(user), "%u", (unsigned) uid);
        r = turns_add(&bus->readers, user, &read->turn, &displaced);
        if (r < 0)
                return r;
        TAKE_PTR(read);
        if (displaced) {
                Read *other = container_of(displaced, Read, turn);

                bus_reply_refusal(other->message, -ENOBUFS);
                read_free(other);
        }
        return 0;
}

/* An AccessGranted. */
static int read_wait(Bus *bus, sd_bus_message *m, const Caller *caller, sd_bus_error *error)
{
        int r;

        r = read_new(bus, m, caller->uid);
        if (r < 0)
                return bus_refuse(error, r);
        if (bus->readers.n == 1)
                wait_for_turn(bus, false);
        /* One that is alone is answered at once, whether its caller is still there or not. */
        else if (!bus->departures) {
                r = sd_bus_add_match_async(bus->options.bus, &bus->departures, DEPARTURE, on_departure, NULL, bus);
                if (r < 0)
                        log_debug_errno(r, "Could not watch for callers that leave: %m");
        }
        return 1;
}

int read_waits(Bus *bus, sd_bus_message *m, sd_bus_error *error)
{
        return bus->reading == m ? 0 : access_identify(bus, m, read_wait, error);
}

int reads_publish(Bus *bus)
{
        sd_event *event = bus->options.event;
        int r;

        bus->readers = (Turns){ .userdata = bus, .share = READS_PER_USER_MAX, .max = READS_MAX };
        r = sd_event_add_defer(event, &bus->reads_idle, on_idle, bus);
        if (r >= 0)
                r = sd_event_source_set_priority(bus->reads_idle, SD_EVENT_PRIORITY_IDLE);
        if (r >= 0)
                r = sd_event_source_set_enabled(bus->reads_idle, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_time(event, &bus->reads_timer, CLOCK_MONOTONIC, 0, USEC_PER_MSEC, on_timer, bus);
        if (r >= 0)
                r = sd_event_source_set_enabled(bus->reads_timer, SD_EVENT_OFF);
        return r < 0 ? r : 0;
}

void reads_free(Bus *bus)
{
        while (bus->reads)
                read_free(bus->reads);
        sd_event_source_unref(bus->reads_idle);
        sd_event_source_unref(bus->reads_timer);
        sd_bus_slot_unref(bus->departures);
}
