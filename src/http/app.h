/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the handlers of requests share. */

#include <systemd/sd-event.h>

#include "client/client-async.h"
#include "http/http-settings.h"
#include "http/quiet-log.h"

struct App {
        sd_event *event;
        HttpSettings settings;
        ClientAsync *client;
        struct Server *server;
        struct Auth *auth;
        struct SseHub *hub;
        struct Answers *answers;
        struct Health *health;
        struct Metrics *metrics;
        struct Page *page;
        QuietLog refusal_log; /* of clients that nothing is kept of */
        void (*idle_changed)(struct App *app);
        bool stopping; /* requests that still come are refused */
};
