/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What waits for its commit: replies, news, journal entries, the launch of a worker. Each is queued with the number of
 * the last write before it, and performed, in order, when that write is on disk; when the commit fails, it is dropped,
 * and replies become refusals. */

#include "engine/engine-internal.h"

/* @error: 0 it is committed; negative: it never will be. Frees @p. */
typedef void (*PublicationHandler)(Engine *engine, Publication *p, int error);

/* The first member of each kind of publication. */
struct Publication {
        Publication *next;
        uint64_t ticket;
        PublicationHandler handler;
};

/* Queue behind what has been put into the store so far. Performed on the loop, never from here. */
void publication_queue(Engine *engine, Publication *p, PublicationHandler handler);

/* A commit was announced. */
void publications_committed(Engine *engine, uint64_t ticket);

/* Perform what is committed; then, if @error is not 0, drop the rest with it. */
void publications_flush(Engine *engine, int error);

/* Something can be told already: in the next turn of the loop, not from within the call that queued it. */
void publications_wake(Engine *engine);

/**
 * publish_event() - put an event into the store and tell of it when it is committed
 * @event: closed by the caller
 *
 * Return: 0; -ENOMEM; -EROFS.
 */
int publish_event(Engine *engine, const Run *run, Event *event) _must_check_;

/* An event that is in the store already and has not been told of. Return: 0; -ENOMEM. */
int publish_stored_event(Engine *engine, const StoredEvent *event) _must_check_;

/* ---- Replies. Made before anything is changed, so that lack of memory is a refusal. */

typedef struct Reply {
        Publication publication;
        EngineReply reply;
        void *userdata;
        int error;
        struct Reply *next; /* for their owner, until they are queued */
} Reply;

/* Return: 0; -EROFS (broken); -ENOBUFS (PENDING_REPLIES_MAX); -ENOMEM. */
int reply_new(Engine *engine, EngineReply reply, void *userdata, Reply **ret) _must_check_;
int reply_new_always(EngineReply reply, void *userdata, Reply **ret) _must_check_; /* 0 or -ENOMEM */
Reply *reply_free(Reply *reply);
DEFINE_TRIVIAL_CLEANUP_FUNC(Reply *, reply_free);

/* Answer when all that was put so far is committed; taken over. @error: what to say then. */
void reply_queue(Engine *engine, Reply *reply, int error);

/* BACKLOG_MAX writes wait for their commit: nothing new is begun until the disk has caught up. */
bool engine_is_congested(const Engine *engine) _pure_;

/* Whether a call may be taken at all. Return: 0; -EROFS; -ENOBUFS. */
int engine_accepts(const Engine *engine) _must_check_;
