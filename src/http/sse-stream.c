/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "http/sse-stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/fd-util.h"
#include "base/time-util.h"

int sse_stream_new(int fd, int epoll_fd, bool is_chunked, SseStream **ret)
{
        _cleanup_close_ int socket = fd;
        struct epoll_event event = { .events = EPOLLRDHUP };
        SseStream *stream;
        int one = 1;

        stream = calloc(1, sizeof(*stream));
        if (!stream)
                return -ENOMEM;
        event.data.ptr = stream;
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, socket, &event) < 0) {
                free(stream);
                return -errno;
        }
        /* Not of AF_UNIX. */
        (void) setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        stream->fd = TAKE_FD(socket);
        stream->is_chunked = is_chunked;
        *ret = stream;
        return 0;
}

SseStream *sse_stream_free(SseStream *stream)
{
        if (!stream)
                return NULL;
        for (unsigned i = 0; i < stream->n_queue; i++)
                sse_text_unref(stream->queue[i]);
        free(stream->queue);
        sd_event_source_disable_unref(stream->expiry);
        (void) safe_close(stream->fd);
        principal_unref(stream->principal);
        free(stream);
        return NULL;
}

static int arm(SseStream *stream, int epoll_fd, bool on)
{
        struct epoll_event event = { .events = EPOLLRDHUP | (on ? EPOLLOUT : 0), .data.ptr = stream };

        if (stream->is_armed == on)
                return 0;
        if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, stream->fd, &event) < 0)
                return -errno;
        stream->is_armed = on;
        return 0;
}

/* Return: how many bytes were taken; negative errno. */
static ssize_t send_some(const SseStream *stream, const char *data, size_t size)
{
        ssize_t n;

        do
                n = send(stream->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        return n >= 0 ? n : errno == EAGAIN ? 0 : -errno;
}

static uint32_t now_sec(void)
{
        return (uint32_t) (now_usec(CLOCK_MONOTONIC) / USEC_PER_SEC);
}

bool sse_stream_is_stuck(const SseStream *stream, usec_t timeout_usec)
{
        return stream->n_queue > 0 && (now_sec() - stream->stuck_since_sec) * USEC_PER_SEC >= timeout_usec;
}

static int enqueue(SseStream *stream, int epoll_fd, SseText *text, size_t size, SseBacklog *backlog, bool is_reserved)
{
        SseText **queue;
        int r;

        r = sse_text_hold(text, &backlog->held_bytes, is_reserved ? SIZE_MAX : backlog->all_max_bytes);
        if (r < 0)
                return r;
        queue = reallocarray(stream->queue, stream->n_queue + 1, sizeof(SseText *));
        if (!queue)
                return -ENOMEM;
        stream->queue = queue;
        if (stream->n_queue == 0)
                stream->stuck_since_sec = now_sec();
        stream->queue[stream->n_queue++] = sse_text_ref(text);
        stream->backlog_bytes += size;
        return arm(stream, epoll_fd, true);
}

int sse_stream_write(SseStream *stream, int epoll_fd, SseText *text, SseBacklog *backlog, bool is_reserved)
{
        const char *data;
        size_t size;
        ssize_t n;

        data = sse_text_data(text, stream->is_chunked, &size);
        if (stream->n_queue > 0)
                return !is_reserved && stream->backlog_bytes + size > backlog->each_max_bytes
                                       ? -ENOBUFS
                                       : enqueue(stream, epoll_fd, text, size, backlog, is_reserved);
        n = send_some(stream, data, size);
        if (n < 0 || (size_t) n == size)
                return n < 0 ? (int) n : 0;
        stream->offset = (size_t) n;
        return enqueue(stream, epoll_fd, text, size - (size_t) n, backlog, is_reserved);
}

int sse_stream_flush(SseStream *stream, int epoll_fd)
{
        unsigned done = 0;
        int r = 0;

        while (done < stream->n_queue) {
                const char *data;
                size_t size;
                ssize_t n;

                data = sse_text_data(stream->queue[done], stream->is_chunked, &size);
                n = send_some(stream, data + stream->offset, size - stream->offset);
                if (n < 0) {
                        r = (int) n;
                        break;
                }
                if (n > 0)
                        stream->stuck_since_sec = now_sec();
                stream->offset += (size_t) n;
                stream->backlog_bytes -= (size_t) n;
                if (stream->offset < size)
                        break;
                stream->offset = 0;
                sse_text_unref(stream->queue[done++]);
        }
        stream->n_queue -= done;
        memmove(stream->queue, stream->queue + done, stream->n_queue * sizeof(SseText *));
        if (r < 0 || stream->n_queue > 0)
                return r;
        /* An idle stream shall cost little. */
        free(stream->queue);
        stream->queue = NULL;
        return arm(stream, epoll_fd, false);
}

void sse_stream_say_end(SseStream *stream)
{
        if (stream->is_chunked && stream->n_queue == 0)
                (void) send_some(stream, SSE_LAST_CHUNK, strlen(SSE_LAST_CHUNK));
}
