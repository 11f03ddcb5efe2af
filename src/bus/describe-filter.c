/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bus/describe-filter.h"

#include "base/string-util.h"
#include "bus/bus-error.h"

int filter_read(sd_bus_message *m, const OptionRow *rows, const uint8_t *views, void *object, const char *const *word,
                View *ret_view, sd_bus_error *error)
{
        View view = VIEW_SYNCRUN;
        uint64_t given;
        int r;

        r = options_read(m, rows, object, &given, error);
        if (r < 0)
                return r;
        if (*word)
                view = view_from_string(*word);
        if (view < 0)
                return bus_refuse_text(error, -EINVAL, "view: there is no '%s'.", *word);
        for (size_t i = 0; rows[i].name; i++)
                if (given & UINT64_C(1) << i && !(views[i] & 1U << view))
                        return bus_refuse_text(error, -EINVAL, "%s: does not go with the view '%s'.", rows[i].name,
                                               view_to_string(view));
        *ret_view = view;
        return 0;
}

int filter_limit(const char *option, unsigned *limit, const LimitRange *range, sd_bus_error *error)
{
        if (*limit == LIMIT_USUAL)
                *limit = range->usual;
        if (*limit >= 1 && *limit <= range->max)
                return 0;
        return bus_refuse_text(error, -EINVAL, "%s: 1 to %u, not %u.", option, range->max, *limit);
}

int filter_view(View view, unsigned views, sd_bus_error *error)
{
        if (views & 1U << view)
                return 0;
        return bus_refuse_text(error, -EINVAL, "view: '%s' has none of these.", view_to_string(view));
}

int filter_refuse_page(View view, sd_bus_error *error)
{
        if (view == VIEW_REPO || view == VIEW_REDBARK)
                return bus_refuse_text(error, -EINVAL, "cursor: this is not what a page before gave as nextCursor.");
        return bus_refuse_text(error, -EINVAL, "page: this is not what a page before gave as next.");
}

int filter_user(const char **user, char buf[static UUID_TEXT_MAX], sd_bus_error *error)
{
        if (!*user)
                return 0;
        if (uuid_normalize(*user, buf) < 0)
                return bus_refuse_text(error, -EINVAL, "user: '%s' is not a UUID.", *user);
        *user = buf;
        return 0;
}

int filter_user_is_known(Bus *bus, const char *user, sd_bus_error *error)
{
        int r = store_user_exists(engine_store(bus->engine), user);

        return r > 0 ? 0 : bus_refuse(error, r < 0 ? r : -ENODEV);
}

Connector *describe_find_connector(Bus *bus, const char *name, const char *user_id)
{
        char id[UUID_TEXT_MAX];
        Connector *connector = uuid_normalize(name, id) >= 0 ? engine_find_connector_by_id(bus->engine, id)
                                                             : engine_find_connector(bus->engine, name);

        return connector && user_id && !streq_null(connector->definition->user_id, user_id) ? NULL : connector;
}
