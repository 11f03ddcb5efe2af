/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See client-queue.h. Shares take turns, one call each. A share has a line of its large calls and one of the others,
 * since those do not wait for another large one. */

#include "client/client-queue.h"

#include <utlist.h>

static void list_turn(ClientQueue *queue, ClientShare *share)
{
        if (share->listed)
                return;
        DL_APPEND(queue->turns, share);
        share->listed = true;
}

static void unlist_turn(ClientQueue *queue, ClientShare *share)
{
        if (!share->listed)
                return;
        DL_DELETE(queue->turns, share);
        share->listed = false;
}

static ClientLine *line_of(ClientQueue *queue, ClientCall *call)
{
        return call->asks_alone ? &queue->alone : call->is_large ? &call->share->large : &call->share->small;
}

void client_queue_enter(ClientQueue *queue, ClientCall *call)
{
        ClientLine *line = line_of(queue, call);

        DL_APPEND2(line->calls, call, prev_waiting, next_waiting);
        call->waits = true;
        if (!call->asks_alone)
                list_turn(queue, call->share);
}

void client_queue_leave(ClientQueue *queue, ClientCall *call)
{
        ClientLine *line = line_of(queue, call);

        if (!call->waits)
                return;
        DL_DELETE2(line->calls, call, prev_waiting, next_waiting);
        call->waits = false;
        if (!call->share->small.calls && !call->share->large.calls)
                unlist_turn(queue, call->share);
}

static bool share_has_room(const ClientShare *share, bool is_large)
{
        return !share->is_limited ||
               (share->n_sent < CLIENT_SENT_SHARE_MAX && (!is_large || share->n_sent_large < CLIENT_SENT_LARGE_MAX));
}

bool client_queue_has_room(const ClientQueue *queue, const ClientCall *call)
{
        if (call->asks_alone)
                return queue->n_sent_alone < CLIENT_SENT_ALONE_MAX;
        return queue->n_sent < CLIENT_SENT_MAX && share_has_room(call->share, call->is_large);
}

static ClientCall *next_of_line(const ClientLine *line, usec_t now)
{
        bool is_long = now - line->calls->begun_usec >= CLIENT_PATIENCE_USEC;

        return is_long && line->newest_next ? line->calls->prev_waiting : line->calls;
}

/* The lines take turns, too: neither waits until the other is empty. */
static ClientCall *next_of_share(const ClientShare *share, usec_t now)
{
        bool small = share->small.calls && share_has_room(share, false);
        bool large = share->large.calls && share_has_room(share, true);

        if (!small && !large)
                return NULL;
        return next_of_line(large && (share->large_next || !small) ? &share->large : &share->small, now);
}

ClientCall *client_queue_next(const ClientQueue *queue, usec_t now)
{
        ClientShare *share;
        ClientCall *call;

        if (queue->alone.calls && client_queue_has_room(queue, queue->alone.calls))
                return queue->alone.calls;
        if (queue->n_sent >= CLIENT_SENT_MAX)
                return NULL;
        DL_FOREACH(queue->turns, share) {
                call = next_of_share(share, now);
                if (call)
                        return call;
        }
        return NULL;
}

ClientCall *client_queue_oldest(ClientQueue *queue, ClientCall *call)
{
        return line_of(queue, call)->calls;
}

void client_queue_sent(ClientQueue *queue, ClientCall *call)
{
        ClientLine *line = line_of(queue, call);
        ClientShare *share = call->share;

        client_queue_leave(queue, call);
        line->newest_next = !line->newest_next;
        if (call->asks_alone) {
                queue->n_sent_alone++;
                return;
        }
        queue->n_sent++;
        share->n_sent++;
        share->n_sent_large += call->is_large;
        share->large_next = !call->is_large;
        if (share->listed) {
                unlist_turn(queue, share);
                list_turn(queue, share);
        }
}

void client_queue_unsent(ClientQueue *queue, ClientCall *call)
{
        if (call->asks_alone) {
                queue->n_sent_alone--;
                return;
        }
        queue->n_sent--;
        call->share->n_sent--;
        call->share->n_sent_large -= call->is_large;
}
