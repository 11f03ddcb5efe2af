/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "client/client-system.h"

#include <stdlib.h>

#include "base/names.h"
#include "base/string-util.h"

#define SYSTEMD      "org.freedesktop.systemd1"
#define SYSTEMD_PATH "/org/freedesktop/systemd1"
#define SERVICE      SYSTEMD ".Service"
#define POLKIT       "org.freedesktop.PolicyKit1"
#define POLKIT_PATH  "/org/freedesktop/PolicyKit1/Authority"

/* @ret: freed by the caller. */
static int load_unit(Client *client, const char *unit, char **ret)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *path;
        int r;

        r = sd_bus_call_method(client_bus(client), SYSTEMD, SYSTEMD_PATH, SYSTEMD ".Manager", "LoadUnit", &error,
                               &reply, "s", unit);
        if (r >= 0)
                r = sd_bus_message_read(reply, "o", &path);
        if (r < 0)
                return r;
        *ret = strdup(path);
        return *ret ? 0 : -ENOMEM;
}

static int read_text(Client *client, const char *path, const char *interface, const char *property, char **ret)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

        return MIN(sd_bus_get_property_string(client_bus(client), SYSTEMD, path, interface, property, &error, ret), 0);
}

int client_unit_text(Client *client, const char *unit, const char *interface, const char *property, char **ret)
{
        _cleanup_free_ char *whole = asprintf_or_null(SYSTEMD ".%s", interface), *path = NULL;
        int r;

        if (!whole)
                return -ENOMEM;
        r = load_unit(client, unit, &path);
        return r < 0 ? r : read_text(client, path, whole, property, ret);
}

/* ---- What a unit sees */

void client_unit_view_done(ClientUnitView *view)
{
        view->shown = strv_free(view->shown);
        view->writable = strv_free(view->writable);
}

static int read_flag(Client *client, const char *path, const char *property, bool *ret)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r, value;

        r = sd_bus_get_property_trivial(client_bus(client), SYSTEMD, path, SERVICE, property, &error, 'b', &value);
        if (r >= 0)
                *ret = value;
        return MIN(r, 0);
}

/* @also: gets them, too; NULL. */
static int read_bound(Client *client, const char *path, const char *property, char ***shown, char ***also)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        const char *from, *to;
        int r;

        r = sd_bus_get_property(client_bus(client), SYSTEMD, path, SERVICE, property, &error, &m, "a(ssbt)");
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "(ssbt)");
        while (r >= 0 && (r = sd_bus_message_read(m, "(ssbt)", &from, &to, NULL, NULL)) > 0) {
                r = strv_extend(shown, to);
                if (r >= 0 && also)
                        r = strv_extend(also, to);
        }
        return r;
}

static int read_writable(Client *client, const char *path, char ***writable)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_strv_free_ char **list = NULL;
        int r;

        r = sd_bus_get_property_strv(client_bus(client), SYSTEMD, path, SERVICE, "ReadWritePaths", &error, &list);
        STRV_FOREACH(item, list) {
                if (r >= 0)
                        r = strv_extend(writable, *item + strspn(*item, "-+"));
        }
        return MIN(r, 0);
}

int client_unit_view(Client *client, const char *unit, ClientUnitView *ret)
{
        _cleanup_free_ char *path = NULL, *state = NULL, *home = NULL;
        _cleanup_client_unit_view_ ClientUnitView view = {};
        int r;

        r = load_unit(client, unit, &path);
        if (r >= 0)
                r = read_text(client, path, SYSTEMD ".Unit", "LoadState", &state);
        if (r >= 0 && !streq(state, "loaded"))
                return -ENOENT;
        if (r >= 0)
                r = read_text(client, path, SERVICE, "ProtectHome", &home);
        if (r >= 0)
                r = read_flag(client, path, "PrivateTmp", &view.tmp_hidden);
        if (r >= 0)
                r = read_flag(client, path, "PrivateDevices", &view.devices_hidden);
        if (r >= 0)
                r = read_bound(client, path, "BindReadOnlyPaths", &view.shown, NULL);
        if (r >= 0)
                r = read_bound(client, path, "BindPaths", &view.shown, &view.writable);
        if (r >= 0)
                r = read_writable(client, path, &view.writable);
        if (r < 0)
                return r;
        view.home_hidden = streq(home, "yes") || streq(home, "tmpfs");
        *ret = view;
        view = (ClientUnitView) {};
        return 0;
}

int client_count_actions(Client *client, char **ret_why)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const char *name;
        int n = 0, r;

        r = sd_bus_call_method(client_bus(client), POLKIT, POLKIT_PATH, POLKIT ".Authority", "EnumerateActions",
                               &error, &reply, "s", "");
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "(ssssssuuua{ss})");
        while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'r', "ssssssuuua{ss}")) > 0) {
                r = sd_bus_message_read(reply, "s", &name);
                if (r >= 0 && startswith(name, SYNCRUN_BUS_NAME "."))
                        n++;
                if (r >= 0)
                        r = sd_bus_message_skip(reply, "sssssuuua{ss}");
                if (r >= 0)
                        r = sd_bus_message_exit_container(reply);
        }
        if (r < 0)
                *ret_why = strdup(error.message ?: strerror(-r));
        return r < 0 ? r : n;
}

int client_daemon_uid(Client *client, uid_t *ret)
{
        _cleanup_(sd_bus_creds_unrefp) sd_bus_creds *creds = NULL;
        int r;

        r = sd_bus_get_name_creds(client_bus(client), SYNCRUN_BUS_NAME, SD_BUS_CREDS_EUID, &creds);
        return r < 0 ? r : sd_bus_creds_get_euid(creds, ret);
}
