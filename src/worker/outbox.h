/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Items that are still to be delivered, in the file of the items themselves (tables outbox and delivery of
 * item-db.h), and requests made of them, in Redbark's envelope. All of it happens in the transactions of whoever
 * calls; nothing is sent here. */

#include "model/delivery.h"
#include "worker/item-db.h"

#define OUTBOX_RECORDS_MAX 500U      /* in one request */
#define OUTBOX_BYTES_MAX   (4 * MIB) /* of its records; a single one that is larger goes alone */

/* The version of the envelope that we speak. */
#define OUTBOX_API_VERSION "2026-11-22"

typedef struct OutboxEnvelope {
        const char *type;
        const char *run_id;
        usec_t now_usec; /* CLOCK_REALTIME */
        unsigned chunk;  /* number of the request in this run, from 1 */
} OutboxEnvelope;

/* A request that may have been sent: the same bytes each time. */
typedef struct OutboxDelivery {
        int64_t key;
        char *id;
        char *body;
        uint64_t n_records;
} OutboxDelivery;

void outbox_delivery_done(OutboxDelivery *delivery);

/* All return what item_db_errno() gives, and -ENOMEM. */

/** outbox_add() - an item waits. Return: 1; 0 (it waited already). */
int outbox_add(ItemDb *db, int64_t item, int64_t stream_id, bool is_new) _must_check_;

/** outbox_count() - how many wait that are in no request yet */
int outbox_count(ItemDb *db, uint64_t *ret) _must_check_;

/**
 * outbox_freeze() - make a request of those that have waited longest, of one stream
 *
 * Return: how many records it has; 0 (none waits); negative errno, also of getrandom(2).
 */
int outbox_freeze(ItemDb *db, const OutboxEnvelope *envelope) _must_check_;

/** outbox_first() - the oldest request that is not known to have been taken. @ret: closed by outbox_delivery_done().
 * Return: 1; 0 (there is none). */
int outbox_first(ItemDb *db, OutboxDelivery *ret) _must_check_;

/** outbox_delivered() - the request was taken: forget it */
int outbox_delivered(ItemDb *db, int64_t delivery) _must_check_;

/* Attempts that are kept until the daemon has them: the newest ones, as many as it keeps of a connector. */
#define OUTBOX_ATTEMPTS_MAX 200U

/** outbox_note_attempt() - what came of a request, until the daemon is known to have it */
int outbox_note_attempt(ItemDb *db, const char *run_id, const DeliveryAttempt *attempt) _must_check_;

/**
 * outbox_untold_attempts() - attempts that the daemon may not have
 * @run_id:     of no interest: it is told of as it goes
 * @ret_run_id: whose they are; freed by the caller, as is @ret_json, for delivery_attempts_parse()
 * @ret_last:   for outbox_forget_attempts()
 *
 * Return: 1; 0 (there are none, or no outbox).
 */
int outbox_untold_attempts(ItemDb *db, const char *run_id, char **ret_run_id, char **ret_json,
                           int64_t *ret_last) _must_check_;

/** outbox_forget_attempts() - the daemon has those of this run up to @last */
int outbox_forget_attempts(ItemDb *db, const char *run_id, int64_t last) _must_check_;

/** outbox_return() - the request was refused: its items wait again, each as it is then */
int outbox_return(ItemDb *db, int64_t delivery) _must_check_;
