/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "http/start.h"

#include <microhttpd.h>

#include "base/string-util.h"
#include "http/auth.h"
#include "http/backend.h"
#include "http/surface.h"

/* result: a{sv} with body s */
static int read_body(sd_bus_message *reply, const char **ret)
{
        const char *name;
        int r;

        r = sd_bus_message_enter_container(reply, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "sv")) > 0) {
                r = sd_bus_message_read(reply, "s", &name);
                if (r >= 0)
                        r = streq(name, "body") ? sd_bus_message_read(reply, "v", "s", ret)
                                                : sd_bus_message_skip(reply, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(reply);
        }
        return r < 0 ? r : sd_bus_message_exit_container(reply);
}

static void on_started(Request *request, const ClientAnswer *answer)
{
        const char *id, *path, *body = NULL;
        int already_active, r;

        if (answer->error < 0) {
                backend_refuse(request, answer);
                return;
        }
        r = sd_bus_message_read(answer->reply, "sob", &id, &path, &already_active);
        if (r >= 0)
                r = read_body(answer->reply, &body);
        if (r < 0 || !body) {
                surface_refuse(request, MHD_HTTP_BAD_GATEWAY, "The answer cannot be read");
                return;
        }
        request_add_header(request, MHD_HTTP_HEADER_LOCATION, "/v1/sync-runs/%s", id);
        request_answer_message(request, already_active ? MHD_HTTP_ACCEPTED : MHD_HTTP_CREATED, answer->reply, body);
}

void start_run(Request *request, const char *connector, bool full_resync)
{
        const char *user_id = request->principal->user_id;
        const ClientOption options[] = {
                { .name = "on_behalf_of", .type = 's', .s = request->principal->name },
                { .name = "user", .type = 's', .s = user_id[0] ? user_id : NULL },
                { .name = "view", .type = 's', .s = "repo" },
                { .name = "full_resync", .type = 'b', .b = full_resync },
        };

        backend_call(request,
                     &(ClientRequest){
                                     .member = "StartRun",
                                     .text = connector,
                                     .dictionary = true,
                                     .options = options,
                                     .n_options = ELEMENTSOF(options),
                     },
                     on_started);
}
