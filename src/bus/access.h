/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who may call what: one table of all methods, and the way to an answer. Never blocks the loop. */

#include <systemd/sd-bus.h>

#include "bus/bus.h"

/* Questions to polkit that wait for an answer, about callers of one uid (whatever number of connections it has) and
 * about all. More are refused with QueueFull. The bus itself lets a connection wait for 128 answers, and the launcher
 * and the workers' checks need some of them. */
#define ACCESS_QUESTIONS_PER_USER_MAX 16U
#define ACCESS_QUESTIONS_MAX          48U

/* Calls that wait until it is known who makes them, of one sender and of all; and as many until it is known whether
 * that is the HTTP shim, which may come with CLIENT_SENT_MAX and CLIENT_SENT_ALONE_MAX at once. One above a sender's
 * share is refused with QueueFull; one above the whole takes the place of the newest call of the sender that has the
 * most, unless that has no more than the new one's. Who is known waits for nobody and counts nowhere. */
#define ACCESS_WAITING_PER_SENDER_MAX 120U
#define ACCESS_WAITING_MAX            1024U

/* Senders that the bus driver, and as many that PID 1, is being asked about: others wait in line. */
#define ACCESS_LOOKUPS_AT_ONCE_MAX 16U

/* What the HTTP shim may do without being asked about at polkit. */
typedef enum ShimAccess {
        SHIM_AS_OTHERS,
        SHIM_ON_BEHALF, /* for one of its clients: with on_behalf_of, which nobody else may say */
        SHIM_ALONE,     /* nobody else may */
} ShimAccess;

typedef struct AccessRow {
        const char *interface;
        const char *member;
        const char *action;      /* of polkit; NULL: everyone may, or (org.syncrun1.Worker) the worker alone */
        const char *action_full; /* instead, for a full resync, or a lifecycle delivery; NULL: the same */
        ShimAccess shim;
} AccessRow;

/* Every method of every interface has a row; closed by a row without an interface. */
extern const AccessRow access_table[];

/* NULL: there is no such row, and nobody may. */
const AccessRow *access_find(const char *interface, const char *member);

/* Who calls, as the bus vouches for it. */
typedef struct Caller {
        uid_t uid;
        pid_t pid;   /* 0: the bus does not tell */
        int is_shim; /* 1 yes, 0 no, -1 nobody has asked yet */
} Caller;

/* What polkit's rules may look at; NULL: none. Borrowed. */
typedef struct AccessSubject {
        const char *connector;
        const char *run;
        bool full_resync;
        bool lifecycle; /* a delivery to a webhook endpoint */
        bool on_behalf; /* the call has on_behalf_of */
} AccessSubject;

/* A handler that runs once the caller is known and allowed to call. The message stands at its beginning. Objects are
 * looked up here, not before: they may have gone meanwhile. */
typedef int (*AccessGranted)(Bus *bus, sd_bus_message *m, const Caller *caller, sd_bus_error *error);

/**
 * access_ask() - call @granted when the caller of @m may, else answer with NotAllowed
 *
 * Root and the daemon's own user pass. Who calls on another's behalf has to be the HTTP shim, by its uid, and passes
 * then; others are asked about at polkit, with interaction where the call allows it.
 *
 * Return: what a method handler returns.
 */
int access_ask(Bus *bus, sd_bus_message *m, const AccessSubject *subject, AccessGranted granted, sd_bus_error *error);

/**
 * access_identify() - call @granted when it is known who calls; everybody may
 *
 * Return: what a method handler returns.
 */
int access_identify(Bus *bus, sd_bus_message *m, AccessGranted granted, sd_bus_error *error);

void access_init(Bus *bus);
void access_free(Bus *bus);
