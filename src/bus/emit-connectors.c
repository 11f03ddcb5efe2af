/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What goes out by itself about connectors and connections: objects that come and go, their properties, attention. */

#define uthash_nonfatal_oom(element) ((element)->lost = true)
#include <utlist.h>

#include "base/log.h"
#include "base/string-util.h"
#include "bus/bus-private.h"

/* Of all that are switched on or off, or read anew, within so long one signal tells. */
#define SETTINGS_INTERVAL_USEC (200 * USEC_PER_MSEC)

/* What the outside knows of a connector. */
typedef struct PublishedConnector {
        char *name;
        ConnectorDefinition *definition; /* a reference */
        bool active;
        char *connection; /* NULL: none */
        bool lost;
        UT_hash_handle hh;
        uint64_t digests[];
} PublishedConnector;

static PublishedConnector *published_connector_free(PublishedConnector *connector)
{
        if (!connector)
                return NULL;
        free(connector->name);
        connector_definition_unref(connector->definition);
        free(connector->connection);
        free(connector);
        return NULL;
}
DEFINE_TRIVIAL_CLEANUP_FUNC(PublishedConnector *, published_connector_free);

static PublishedConnector *published_connector_new(Bus *bus, const Connector *connector)
{
        _cleanup_(published_connector_freep) PublishedConnector *published =
                        calloc(1, sizeof(*published) + connector_properties.n_rows * sizeof(uint64_t));
        char *names[PROPERTIES_MAX + 1];

        if (!published || !(published->name = strdup(connector->definition->name)))
                return NULL;
        published->definition = connector_definition_ref(connector->definition);
        published->active = connector->active;
        (void) property_changes(&connector_properties, connector, published->digests, names);
        HASH_ADD_KEYPTR(hh, bus->connectors, published->name, strlen(published->name), published);
        return published->lost ? NULL : TAKE_PTR(published);
}

static PublishedConnector *published_connector_find(Bus *bus, const char *name)
{
        PublishedConnector *published;

        HASH_FIND_STR(bus->connectors, name, published);
        return published;
}

PublishedConnection *published_connection_find(Bus *bus, const char *name)
{
        PublishedConnection *published;

        HASH_FIND_STR(bus->connections, name, published);
        return published;
}

static PublishedConnection *published_connection_free(PublishedConnection *connection)
{
        if (!connection)
                return NULL;
        free(connection->name);
        free(connection);
        return NULL;
}
DEFINE_TRIVIAL_CLEANUP_FUNC(PublishedConnection *, published_connection_free);

static PublishedConnection *published_connection_new(Bus *bus, const char *name)
{
        _cleanup_(published_connection_freep) PublishedConnection *published =
                        calloc(1, sizeof(*published) + connection_properties.n_rows * sizeof(uint64_t));
        char *names[PROPERTIES_MAX + 1];

        if (!published || !(published->name = strdup(name)))
                return NULL;
        published->bus = bus;
        (void) property_changes(&connection_properties, published, published->digests, names);
        HASH_ADD_KEYPTR(hh, bus->connections, published->name, strlen(published->name), published);
        return published->lost ? NULL : TAKE_PTR(published);
}

static void tell_connection(Bus *bus, const char *name)
{
        PublishedConnection *published = published_connection_find(bus, name);
        Connection connection;
        bool exists = engine_find_connection(bus->engine, name, &connection) >= 0;

        if (exists && published)
                emit_properties(bus, &connection_object, &connection_properties, name, published, published->digests);
        else if (exists) {
                if (published_connection_new(bus, name))
                        emit_object_added(bus, &connection_object, name);
                else
                        (void) log_oom();
        } else if (published) {
                emit_object_removed(bus, &connection_object, name);
                HASH_DEL(bus->connections, published);
                published_connection_free(published);
        }
}

/* Which connectors it has is told with them; of all else the engine tells. */
static void update_connection(Bus *bus, PublishedConnector *published, const char *connection)
{
        _cleanup_free_ char *before = NULL;

        if (streq_null(published->connection, connection))
                return;
        before = TAKE_PTR(published->connection);
        if (free_and_strdup(&published->connection, connection) < 0)
                (void) log_oom();
        if (before)
                tell_connection(bus, before);
        if (published->connection)
                tell_connection(bus, published->connection);
}

static void on_connection_changed(const char *name, void *userdata)
{
        Bus *bus = userdata;

        if (bus->published)
                tell_connection(bus, name);
}

static int on_settings_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Bus *bus = userdata;

        emit_failed(sd_bus_emit_signal(bus->options.bus, SYNCRUN_PATH, SYNCRUN_IFACE_MANAGER, "ConnectorsChanged",
                                       NULL),
                    "changed", "connectors");
        return 0;
}

static void tell_settings(Bus *bus)
{
        int r = sd_event_source_get_enabled(bus->settings_timer, NULL);

        if (r == 0)
                r = sd_event_source_set_time_relative(bus->settings_timer, SETTINGS_INTERVAL_USEC);
        if (r == 0)
                r = sd_event_source_set_enabled(bus->settings_timer, SD_EVENT_ONESHOT);
        if (r < 0)
                (void) log_debug_errno(r, "Cannot time what is told of connectors: %m");
}

/* Not what runs change. */
static void update_settings(Bus *bus, PublishedConnector *published, const Connector *connector)
{
        if (published->definition == connector->definition && published->active == connector->active)
                return;
        connector_definition_unref(published->definition);
        published->definition = connector_definition_ref(connector->definition);
        published->active = connector->active;
        tell_settings(bus);
}

static void on_connector_added(const Connector *connector, void *userdata)
{
        const char *name = connector->definition->name;
        PublishedConnector *published;
        Bus *bus = userdata;

        if (!bus->published || published_connector_find(bus, name))
                return;
        published = published_connector_new(bus, connector);
        if (!published) {
                (void) log_oom();
                return;
        }
        emit_object_added(bus, &connector_object, name);
        tell_settings(bus);
        update_connection(bus, published, connector->definition->connection);
}

static void on_connector_changed(const Connector *connector, void *userdata)
{
        const char *name = connector->definition->name;
        PublishedConnector *published;
        Bus *bus = userdata;

        if (!bus->published)
                return;
        published = published_connector_find(bus, name);
        if (!published) {
                on_connector_added(connector, bus);
                return;
        }
        emit_properties(bus, &connector_object, &connector_properties, name, connector, published->digests);
        update_settings(bus, published, connector);
        update_connection(bus, published, connector->definition->connection);
}

static void on_connector_removed(const char *name, void *userdata)
{
        PublishedConnector *published;
        Bus *bus = userdata;

        published = published_connector_find(bus, name);
        if (!published)
                return;
        emit_object_removed(bus, &connector_object, name);
        tell_settings(bus);
        update_connection(bus, published, NULL);
        HASH_DEL(bus->connectors, published);
        published_connector_free(published);
}

static void on_attention_changed(const Connector *connector, void *userdata)
{
        const Attention *attention = &connector->record.attention;
        const char *category = attention_category_to_string(attention->category);
        const char *name = connector->definition->name;
        _cleanup_free_ char *path = NULL;
        Bus *bus = userdata;
        int r;

        if (!bus->published)
                return;
        on_connector_changed(connector, bus);
        r = sd_bus_path_encode(SYNCRUN_PATH_CONNECTOR, name, &path);
        if (r >= 0)
                r = sd_bus_emit_signal(bus->options.bus, SYNCRUN_PATH, SYNCRUN_IFACE_MANAGER, "AttentionChanged",
                                       "soss", name, path, strempty(category),
                                       category ? strempty(attention->message) : "");
        emit_failed(r, "the attention for", name);
}

static void on_connection_reconnected(const ConnectionRecord *record, void *userdata)
{
        _cleanup_free_ char *path = NULL;
        Bus *bus = userdata;
        int r;

        if (!bus->published || !published_connection_find(bus, record->name))
                return;
        r = sd_bus_path_encode(SYNCRUN_PATH_CONNECTION, record->name, &path);
        if (r >= 0)
                r = sd_bus_emit_signal(bus->options.bus, path, SYNCRUN_IFACE_CONNECTION, "ReconnectFinished", "ss",
                                       strempty(reconnect_result_to_string(record->reconnect_result)),
                                       strempty(record->reconnect_message));
        emit_failed(r, "the reconnection of", record->name);
}

/* ---- All of them */

void connector_signals_init(EngineObserver *observer)
{
        observer->attention_changed = on_attention_changed;
        observer->connector_added = on_connector_added;
        observer->connector_changed = on_connector_changed;
        observer->connector_removed = on_connector_removed;
        observer->connection_changed = on_connection_changed;
        observer->connection_reconnected = on_connection_reconnected;
}

int connectors_publish(Bus *bus)
{
        Connector *connector = NULL;
        const char *name = NULL;
        int r;

        r = sd_event_add_time(bus->options.event, &bus->settings_timer, CLOCK_MONOTONIC, 0, USEC_PER_MSEC,
                              on_settings_timer, bus);
        if (r >= 0)
                r = sd_event_source_set_enabled(bus->settings_timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        while ((connector = engine_next_connector(bus->engine, connector))) {
                PublishedConnector *published = published_connector_new(bus, connector);

                if (!published)
                        return -ENOMEM;
                update_connection(bus, published, connector->definition->connection);
        }
        while ((name = engine_next_connection(bus->engine, name)))
                tell_connection(bus, name);
        return 0;
}

void connectors_forget(Bus *bus)
{
        PublishedConnection *connection, *next_connection;
        PublishedConnector *connector, *next_connector;

        bus->settings_timer = sd_event_source_disable_unref(bus->settings_timer);
        HASH_ITER(hh, bus->connectors, connector, next_connector) {
                HASH_DEL(bus->connectors, connector);
                published_connector_free(connector);
        }
        HASH_ITER(hh, bus->connections, connection, next_connection) {
                HASH_DEL(bus->connections, connection);
                published_connection_free(connection);
        }
}
