/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of this room share, and no other room sees. */

#include <uthash.h>

#include "base/names.h"
#include "bus/bus.h"
#include "bus/property.h"
#include "bus/turns.h"

/* Bytes of one reply of a Describe...() method: more is refused with LimitExceeded, and the caller asks for fewer
 * rows. */
#define DESCRIBE_BYTES_MAX (16 * MIB)

/* Bytes of JSON in one EventsCommitted signal; the events of a larger commit go out in several, in order. */
#define EVENTS_SIGNAL_BYTES_MAX (256 * KIB)

struct Bus {
        BusOptions options;
        EngineObserver observer;
        Engine *engine; /* NULL until published */
        bool published;
        sd_bus_slot **slots; /* of the vtables; NULL-terminated */
        size_t n_slots;

        EngineStatus status; /* as it was told last */
        uint64_t last_seq;   /* of the newest committed event */

        struct PublishedRun *runs;
        struct PublishedRun *dirty_runs; /* have progress that is not told yet */
        sd_event_source *progress_timer;
        struct PublishedConnector *connectors;
        struct PublishedConnection *connections;
        sd_event_source *settings_timer; /* armed: connectors have changed, which is not told yet */

        struct Pending *pendings;
        struct SenderUser *sender_users;
        struct Sender *senders;
        Turns newcomers;               /* calls of senders of whom the bus driver is asked who they are */
        Turns claimants;               /* calls of senders of whom PID 1 is asked whether they are the HTTP shim */
        struct AccessQuery *questions; /* calls about which polkit is asked */
        uint64_t n_questions;          /* that polkit has been asked */

        Turns readers; /* users that ask for what is large */
        struct Read *reads;
        sd_bus_message *reading; /* the one that is being answered; borrowed */
        sd_event_source *reads_idle, *reads_timer;
        sd_bus_slot *departures; /* while more than one waits: of those that leave the bus */

        struct WorkerCheck *worker_checks;
        unsigned n_worker_checks_begun;
        struct TrustedWorker *trusted_workers;
};

/* ---- The objects: one file each. */

typedef struct BusObject {
        const char *path; /* the object, or the prefix of all of its kind */
        const char *interface;
        const sd_bus_vtable *vtable;
        sd_bus_object_find_t find;          /* NULL: one object at path */
        sd_bus_node_enumerator_t enumerate; /* NULL: none, or another interface's does it */
} BusObject;

extern const BusObject manager_object;
extern const BusObject connector_object;
extern const BusObject worker_object;
extern const BusObject run_object;
extern const BusObject connection_object;
extern const BusObject log_control_object;

/* sd-bus gives these to each object. */
#define STANDARD_INTERFACES 3U
extern const char *const standard_interfaces[STANDARD_INTERFACES];

/* All of them; closed by NULL. */
extern const BusObject *const bus_objects[];

/* The Bus of the vtable whose handler is being called. */
Bus *bus_current(sd_bus *bus);

/* Collects the paths for a node enumerator. Return: 0 or -ENOMEM. */
int node_list_add(char ***nodes, const char *prefix, const char *id);

/* The object's name out of a path below @prefix; caller frees. Return: 1; 0 (another path); -ENOMEM. */
int object_name(const char *path, const char *prefix, char **ret);

/* Whom a call is for that both the object and the manager have: the object at the call's path, or else the first
 * argument. Caller frees. Return: 0; negative errno, told in @error. */
int object_of_call(sd_bus_message *m, const char *prefix, char **ret, sd_bus_error *error);

/* Of two interfaces at the same path. */
int connector_find(sd_bus *b, const char *path, const char *interface, void *userdata, void **ret,
                   sd_bus_error *error);

extern const PropertyTable run_properties;
extern const PropertyTable connector_properties;
extern const PropertyTable connection_properties;

/* GetManagedObjects(), bounded and in its turn. @ret_slots: room for two. Return: 0 or what sd-bus says. */
int managed_objects_publish(Bus *bus, sd_bus_slot **ret_slots) _must_check_;
int method_managed_objects(sd_bus_message *m, void *userdata, sd_bus_error *error);

/* ---- Methods that more than one object has. */

/* StartRun() of the manager and Start() of a connector. */
int method_start_run(sd_bus_message *m, void *userdata, sd_bus_error *error);

/* Manager.CancelRun(), CancelRunWithOptions() and Run.Cancel(). */
int method_cancel_run(sd_bus_message *m, void *userdata, sd_bus_error *error);

/* Manager.ReconnectConnection() and Connection.Reconnect(). */
int method_reconnect(sd_bus_message *m, void *userdata, sd_bus_error *error);

/* ---- Calls that wait for the engine (call.c). */

typedef struct Pending {
        Bus *bus;
        sd_bus_message *message;
        struct Pending *prev, *next;
} Pending;

/* How many there may be is the engine's to say. Return: 0; -ENOMEM. */
int pending_new(Bus *bus, sd_bus_message *m, Pending **ret) _must_check_;
Pending *pending_free(Pending *pending);
DEFINE_TRIVIAL_CLEANUP_FUNC(Pending *, pending_free);

/* An EngineReply with the Pending as userdata: answers without arguments, or with the refusal; frees it. */
void pending_reply(int error, void *userdata);

/* Sends the refusal and frees. */
void pending_refuse(Pending *pending, int error);

/* The answer was sent, or is refused for what @r says; frees. */
void pending_answered(Pending *pending, int r);

#define PROPERTIES_MAX 63U /* of one object */

/* ---- What goes out by itself (emit.c, emit-connectors.c). */

/* PropertiesChanged with what differs from @digests, which are brought up to date. */
void emit_properties(Bus *bus, const BusObject *object, const PropertyTable *table, const char *id, const void *value,
                     uint64_t *digests);
void emit_object_added(Bus *bus, const BusObject *object, const char *id);
void emit_object_removed(Bus *bus, const BusObject *object, const char *id); /* may have gone already */

void emit_init(Bus *bus);
void emit_done(Bus *bus);

/* A "(tsss)". Return: 0 or what sd-bus says. */
int event_append(sd_bus_message *m, uint64_t seq, const char *user_id, const char *run_id, const char *json);
void emit_failed(int r, const char *what, const char *name); /* logged where r < 0 */

void connector_signals_init(EngineObserver *observer);
int connectors_publish(Bus *bus) _must_check_;
void connectors_forget(Bus *bus);
int emit_publish(Bus *bus) _must_check_; /* what is there now has been seen */

/* A connection that the outside knows of; it has no object of its own in the engine. */
typedef struct PublishedConnection {
        Bus *bus;
        char *name;
        bool lost; /* there was no memory to put it into the table */
        UT_hash_handle hh;
        uint64_t digests[];
} PublishedConnection;

PublishedConnection *published_connection_find(Bus *bus, const char *name);

/* Answers with the JSON that a describing function of the engine returned, or refuses; frees it. */
int reply_json(sd_bus_message *m, int r, char *json, sd_bus_error *error);

void workers_free(Bus *bus);
