/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "http/farewell.h"

#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "base/fd-util.h"
#include "base/log.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "http/respond.h"
#include "http/surface.h"

typedef struct Farewell Farewell;
struct Farewell {
        Farewells *all;
        Farewell *prev, *next;
        int fd;
        sd_event_source *source;
        usec_t until_usec;
};

struct Farewells {
        sd_event *event;
        const HttpSettings *settings;
        Farewell *list; /* the oldest first */
        unsigned n;
        sd_event_source *timer;
};

static void farewell_end(Farewell *f)
{
        DL_DELETE(f->all->list, f);
        f->all->n--;
        sd_event_source_disable_unref(f->source);
        (void) safe_close(f->fd);
        free(f);
}

static int on_readable(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        char dropped[4096];
        ssize_t n;

        n = recv(fd, dropped, sizeof(dropped), MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
                farewell_end(userdata);
        return 0;
}

static void arm(Farewells *all)
{
        int r = 0;

        if (all->list)
                r = sd_event_source_set_time(all->timer, all->list->until_usec);
        if (r >= 0)
                r = sd_event_source_set_enabled(all->timer, all->list ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
        if (r < 0)
                (void) log_debug_errno(r, "Cannot wait for the end of a connection: %m");
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Farewells *all = userdata;
        Farewell *f, *next;

        DL_FOREACH_SAFE(all->list, f, next)
        if (f->until_usec <= usec)
                farewell_end(f);
        arm(all);
        return 0;
}

int farewells_new(sd_event *event, const HttpSettings *settings, Farewells **ret)
{
        _cleanup_(farewells_freep) Farewells *all = calloc(1, sizeof(*all));
        int r;

        if (!all)
                return -ENOMEM;
        all->event = sd_event_ref(event);
        all->settings = settings;
        r = sd_event_add_time(event, &all->timer, CLOCK_MONOTONIC, 0, 100 * USEC_PER_MSEC, on_timer, all);
        if (r >= 0)
                r = sd_event_source_set_enabled(all->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(all);
        return 0;
}

Farewells *farewells_free(Farewells *all)
{
        if (!all)
                return NULL;
        while (all->list)
                farewell_end(all->list);
        sd_event_source_disable_unref(all->timer);
        sd_event_unref(all->event);
        free(all);
        return NULL;
}

char *farewell_write(unsigned status, const Request *request, const HttpSettings *settings)
{
        _cleanup_free_ char *cors = respond_cors_lines(request, settings);
        const char *reason = MHD_get_reason_phrase_for(status);
        const char *key = request ? surface_error_key(request) : NULL;
        bool is_head = request && request->begun && request->method == HTTP_HEAD;
        char body[FAREWELL_BODY_MAX], retry[64] = "", date[HTTP_DATE_TEXT_MAX];
        int size;

        /* Where it is not known yet which surface was meant, in the words of both. */
        if (key)
                size = snprintf(body, sizeof(body), "{\"%s\":\"%s\"}", key, reason);
        else
                size = snprintf(body, sizeof(body), "{\"error\":\"%s\",\"detail\":\"%s\"}", reason, reason);
        if (status == MHD_HTTP_SERVICE_UNAVAILABLE || status == MHD_HTTP_TOO_MANY_REQUESTS)
                (void) snprintf(retry, sizeof(retry), "Retry-After: " RETRY_AFTER_SEC "\r\n");
        return asprintf_or_null("HTTP/1.1 %u %s\r\nDate: %s\r\nConnection: close\r\n"
                                "X-Content-Type-Options: nosniff\r\n%s%sContent-Type: application/json\r\n"
                                "Content-Length: %d\r\n\r\n%s",
                                status, reason, respond_date(date), retry, strempty(cors), size,
                                is_head ? "" : body);
}

void farewell_say(Farewells *all, int fd, unsigned status, const Request *request)
{
        _cleanup_free_ char *text = farewell_write(status, request, all->settings);

        farewell_say_text(all, fd, strempty(text), strlen(strempty(text)));
}

void farewell_say_text(Farewells *all, int fd, const char *text, size_t size)
{
        Farewell *f;

        (void) send(fd, text, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        (void) shutdown(fd, SHUT_WR);
        f = all->n < FAREWELLS_MAX ? calloc(1, sizeof(*f)) : NULL;
        if (!f) {
                (void) safe_close(fd);
                return;
        }
        f->all = all;
        f->fd = fd;
        f->until_usec = now_usec(CLOCK_MONOTONIC) + FAREWELL_USEC;
        DL_APPEND(all->list, f);
        all->n++;
        if (sd_event_add_io(all->event, &f->source, fd, EPOLLIN | EPOLLRDHUP, on_readable, f) < 0)
                farewell_end(f);
        arm(all);
}
