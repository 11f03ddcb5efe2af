/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "client/client-connection.h"

#include <stdlib.h>

#include "base/names.h"
#include "base/string-util.h"

int client_next_reconnected(sd_bus_message *answer, ClientReconnected *ret)
{
        const char *contents, *path;
        int already_active, r;
        char type;

        r = sd_bus_message_peek_type(answer, &type, &contents);
        if (r > 0 && type == 'a')
                r = sd_bus_message_enter_container(answer, 'a', "(ssob)");
        if (r >= 0)
                r = sd_bus_message_read(answer, "(ssob)", &ret->connector, &ret->run_id, &path, &already_active);
        if (r > 0)
                ret->already_active = already_active;
        return r < 0 ? r : r > 0;
}

int client_reconnecting(sd_bus_message *answer)
{
        int reconnecting, r;

        r = sd_bus_message_exit_container(answer);
        if (r >= 0)
                r = sd_bus_message_read(answer, "b", &reconnecting);
        return r < 0 ? r : reconnecting;
}

void client_reconnect_end_done(ClientReconnectEnd *end)
{
        sd_bus_slot_unref(end->slot);
        free(end->result);
        free(end->message);
        *end = (ClientReconnectEnd) {};
}

static int on_finished(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        ClientReconnectEnd *end = userdata;
        const char *result, *message;
        int r;

        r = sd_bus_message_read(m, "ss", &result, &message);
        if (r >= 0)
                r = free_and_strdup(&end->result, result);
        if (r >= 0)
                r = free_and_strdup(&end->message, message);
        end->finished = r >= 0;
        return r;
}

int client_listen_reconnect(Client *client, const char *connection, ClientReconnectEnd *end, ClientError *e)
{
        _cleanup_free_ char *path = NULL;
        int r;

        r = sd_bus_path_encode(SYNCRUN_PATH_CONNECTION, connection, &path);
        if (r >= 0)
                r = sd_bus_match_signal(client_bus(client), &end->slot, SYNCRUN_BUS_NAME, path,
                                        SYNCRUN_IFACE_CONNECTION, "ReconnectFinished", on_finished, end);
        if (r < 0)
                e->message = strdup(strerror(-r));
        return MIN(r, 0);
}

int client_await_reconnect(Client *client, ClientReconnectEnd *end)
{
        sd_bus *bus = client_bus(client);
        int r = 0;

        while (r >= 0 && !end->finished) {
                r = sd_bus_process(bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(bus, UINT64_MAX);
                if (r == -EINTR)
                        r = 0;
        }
        return MIN(r, 0);
}
