/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "delivery/delivery-loop.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/time-util.h"

#define TIMER_ACCURACY_USEC USEC_PER_MSEC

struct DeliveryLoop {
        sd_event *event;
        CURLM *multi;
        sd_event_source *timer;
        DeliveryLoopDone done;
        void *userdata;
};

static void tell_done(DeliveryLoop *loop)
{
        CURLMsg *message;
        int n;

        while ((message = curl_multi_info_read(loop->multi, &n))) {
                CURL *handle = message->easy_handle;
                CURLcode code = message->data.result;

                if (message->msg != CURLMSG_DONE)
                        continue;
                (void) curl_multi_remove_handle(loop->multi, handle);
                loop->done(handle, code, loop->userdata);
        }
}

static void act(DeliveryLoop *loop, curl_socket_t fd, int what)
{
        int n;

        (void) curl_multi_socket_action(loop->multi, fd, what, &n);
        tell_done(loop);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        int what = 0;

        if (revents & (EPOLLIN | EPOLLHUP))
                what |= CURL_CSELECT_IN;
        if (revents & EPOLLOUT)
                what |= CURL_CSELECT_OUT;
        if (revents & EPOLLERR)
                what |= CURL_CSELECT_ERR;
        act(userdata, fd, what);
        return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        act(userdata, CURL_SOCKET_TIMEOUT, 0);
        return 0;
}

/* ---- What libcurl asks for */

static int on_want_socket(CURL *handle, curl_socket_t fd, int what, void *userdata, void *assigned)
{
        DeliveryLoop *loop = userdata;
        sd_event_source *source = assigned;
        uint32_t events = (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0);
        int r;

        if (what == CURL_POLL_REMOVE) {
                sd_event_source_disable_unref(source);
                (void) curl_multi_assign(loop->multi, fd, NULL);
                return 0;
        }
        if (source)
                r = sd_event_source_set_io_events(source, events);
        else {
                r = sd_event_add_io(loop->event, &source, fd, events, on_io, loop);
                if (r >= 0)
                        (void) curl_multi_assign(loop->multi, fd, source);
        }
        if (r < 0)
                log_debug_errno(r, "Cannot watch a webhook's connection, its request will time out: %m");
        return 0;
}

static int on_want_timer(CURLM *multi, long timeout_msec, void *userdata)
{
        DeliveryLoop *loop = userdata;
        usec_t when;
        int r;

        if (timeout_msec < 0) {
                (void) sd_event_source_set_enabled(loop->timer, SD_EVENT_OFF);
                return 0;
        }
        when = usec_add(now_usec(CLOCK_MONOTONIC), (usec_t) timeout_msec * USEC_PER_MSEC);
        r = sd_event_source_set_time(loop->timer, when);
        if (r >= 0)
                r = sd_event_source_set_enabled(loop->timer, SD_EVENT_ONESHOT);
        return r < 0 ? -1 : 0;
}

/* ---- From outside */

static int open_multi(DeliveryLoop *loop, unsigned max_connections)
{
        if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
                return -EIO;
        loop->multi = curl_multi_init();
        if (!loop->multi)
                return -ENOMEM;
        if (curl_multi_setopt(loop->multi, CURLMOPT_SOCKETFUNCTION, on_want_socket) != CURLM_OK ||
            curl_multi_setopt(loop->multi, CURLMOPT_SOCKETDATA, loop) != CURLM_OK ||
            curl_multi_setopt(loop->multi, CURLMOPT_TIMERFUNCTION, on_want_timer) != CURLM_OK ||
            curl_multi_setopt(loop->multi, CURLMOPT_TIMERDATA, loop) != CURLM_OK ||
            curl_multi_setopt(loop->multi, CURLMOPT_MAXCONNECTS, (long) max_connections) != CURLM_OK)
                return -EIO;
        return 0;
}

int delivery_loop_new(sd_event *event, unsigned max_connections, DeliveryLoopDone done, void *userdata,
                      DeliveryLoop **ret)
{
        _cleanup_(delivery_loop_freep) DeliveryLoop *loop = calloc(1, sizeof(DeliveryLoop));
        int r;

        if (!loop)
                return -ENOMEM;
        loop->event = sd_event_ref(event);
        loop->done = done;
        loop->userdata = userdata;
        r = sd_event_add_time(event, &loop->timer, CLOCK_MONOTONIC, 0, TIMER_ACCURACY_USEC, on_timer, loop);
        if (r >= 0)
                r = sd_event_source_set_enabled(loop->timer, SD_EVENT_OFF);
        if (r >= 0)
                r = open_multi(loop, max_connections);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(loop);
        return 0;
}

DeliveryLoop *delivery_loop_free(DeliveryLoop *loop)
{
        if (!loop)
                return NULL;
        (void) curl_multi_cleanup(loop->multi);
        sd_event_source_disable_unref(loop->timer);
        sd_event_unref(loop->event);
        free(loop);
        return NULL;
}

int delivery_loop_add(DeliveryLoop *loop, CURL *handle)
{
        CURLMcode code = curl_multi_add_handle(loop->multi, handle);

        return code == CURLM_OK ? 0 : code == CURLM_OUT_OF_MEMORY ? -ENOMEM : -EIO;
}

void delivery_loop_remove(DeliveryLoop *loop, CURL *handle)
{
        (void) curl_multi_remove_handle(loop->multi, handle);
}
