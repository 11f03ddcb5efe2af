/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What goes out by itself: the engine's news as signals. Progress of a run is told at most four times a second, all
 * else at once; a property goes out when its value differs from the one that was told before. */

#define uthash_nonfatal_oom(element) ((element)->lost = true)
#include <utlist.h>

#include "base/log.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "bus/bus-private.h"
#include "bus/manager-webhooks.h"

const char *const standard_interfaces[STANDARD_INTERFACES] = {
        "org.freedesktop.DBus.Peer",
        "org.freedesktop.DBus.Introspectable",
        "org.freedesktop.DBus.Properties",
};
#define OBJECT_INTERFACES_MAX 2U /* of our own: Connector and Worker share a path */

/* What the outside knows of a run. */
typedef struct PublishedRun {
        char *id;
        usec_t told_usec; /* CLOCK_MONOTONIC: when properties went out last */
        bool dirty;       /* in the list of those with progress that is not told yet */
        bool lost;        /* there was no memory to put it into the table */
        struct PublishedRun *prev, *next;
        UT_hash_handle hh;
        uint64_t digests[];
} PublishedRun;

void emit_failed(int r, const char *what, const char *name)
{
        if (r < 0)
                (void) log_warning_errno(r, "Cannot tell the bus of %s '%s': %m", what, name);
}

/* ---- For all kinds of objects */

void emit_properties(Bus *bus, const BusObject *object, const PropertyTable *table, const char *id, const void *value,
                     uint64_t *digests)
{
        _cleanup_free_ char *path = NULL;
        char *names[PROPERTIES_MAX + 1];
        int r;

        assert(table->n_rows <= PROPERTIES_MAX);
        if (property_changes(table, value, digests, names) == 0 || !bus->published)
                return;
        r = sd_bus_path_encode(object->path, id, &path);
        if (r >= 0)
                r = sd_bus_emit_properties_changed_strv(bus->options.bus, path, object->interface, names);
        if (r < 0) /* nobody has heard of them */
                for (size_t i = 0; i < table->n_rows; i++)
                        digests[i] = PROPERTY_UNTOLD;
        emit_failed(r, "changes of", id);
}

void emit_object_added(Bus *bus, const BusObject *object, const char *id)
{
        _cleanup_free_ char *path = NULL;
        int r;

        if (!bus->published)
                return;
        r = sd_bus_path_encode(object->path, id, &path);
        if (r >= 0)
                r = sd_bus_emit_object_added(bus->options.bus, path);
        emit_failed(r, "the new object", id);
}

/* sd_bus_emit_object_removed() would need the object to be there still: this names the same interfaces when it has
 * gone. */
void emit_object_removed(Bus *bus, const BusObject *object, const char *id)
{
        char *interfaces[STANDARD_INTERFACES + OBJECT_INTERFACES_MAX + 1];
        _cleanup_free_ char *path = NULL;
        size_t n = 0;
        int r;

        if (!bus->published)
                return;
        for (size_t i = 0; i < STANDARD_INTERFACES; i++)
                interfaces[n++] = (char *) standard_interfaces[i];
        for (const BusObject *const *other = bus_objects; *other; other++)
                if (streq((*other)->path, object->path))
                        interfaces[n++] = (char *) (*other)->interface;
        interfaces[n] = NULL;
        r = sd_bus_path_encode(object->path, id, &path);
        if (r >= 0)
                r = sd_bus_emit_interfaces_removed_strv(bus->options.bus, path, interfaces);
        emit_failed(r, "the end of", id);
}

/* ---- Runs */

static PublishedRun *published_run_free(PublishedRun *run)
{
        if (!run)
                return NULL;
        free(run->id);
        free(run);
        return NULL;
}
DEFINE_TRIVIAL_CLEANUP_FUNC(PublishedRun *, published_run_free);

static PublishedRun *published_run_new(Bus *bus, const Run *run)
{
        _cleanup_(published_run_freep) PublishedRun *published =
                        calloc(1, sizeof(*published) + run_properties.n_rows * sizeof(uint64_t));
        char *names[PROPERTIES_MAX + 1];

        if (!published || !(published->id = strdup(run->id)))
                return NULL;
        (void) property_changes(&run_properties, run, published->digests, names);
        HASH_ADD_KEYPTR(hh, bus->runs, published->id, strlen(published->id), published);
        return published->lost ? NULL : TAKE_PTR(published);
}

static PublishedRun *published_run_find(Bus *bus, const char *id)
{
        PublishedRun *published;

        HASH_FIND_STR(bus->runs, id, published);
        return published;
}

static void run_clean(Bus *bus, PublishedRun *published)
{
        if (!published->dirty)
                return;
        DL_DELETE(bus->dirty_runs, published);
        published->dirty = false;
}

static void run_forget(Bus *bus, PublishedRun *published)
{
        run_clean(bus, published);
        HASH_DEL(bus->runs, published);
        published_run_free(published);
}

static void run_tell(Bus *bus, PublishedRun *published, const Run *run, usec_t now)
{
        run_clean(bus, published);
        published->told_usec = now;
        emit_properties(bus, &run_object, &run_properties, run->id, run, published->digests);
}

static void arm_progress_timer(Bus *bus)
{
        usec_t next = USEC_INFINITY;
        PublishedRun *published;
        int r;

        DL_FOREACH(bus->dirty_runs, published)
                next = MIN(next, published->told_usec + PROGRESS_INTERVAL_USEC);
        if (next == USEC_INFINITY)
                return;
        r = sd_event_source_set_time(bus->progress_timer, next);
        if (r >= 0)
                r = sd_event_source_set_enabled(bus->progress_timer, SD_EVENT_ONESHOT);
        emit_failed(r, "progress of", bus->dirty_runs->id);
}

static int on_progress_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        usec_t now = now_usec(CLOCK_MONOTONIC);
        PublishedRun *published, *next;
        Bus *bus = userdata;

        DL_FOREACH_SAFE(bus->dirty_runs, published, next) {
                const Run *run = engine_find_run(bus->engine, published->id);

                if (published->told_usec + PROGRESS_INTERVAL_USEC > now)
                        continue;
                if (run)
                        run_tell(bus, published, run, now);
                else
                        run_clean(bus, published);
        }
        arm_progress_timer(bus);
        return 0;
}

static void tell_connector_of(Bus *bus, const Run *run)
{
        Connector *connector = run->connector ? engine_find_connector(bus->engine, run->connector) : NULL;

        if (connector)
                bus->observer.connector_changed(connector, bus);
}

static void on_run_added(const Run *run, void *userdata)
{
        _cleanup_free_ char *path = NULL;
        Bus *bus = userdata;
        int r;

        if (!bus->published || published_run_find(bus, run->id))
                return;
        if (!published_run_new(bus, run)) {
                (void) log_oom();
                return;
        }
        emit_object_added(bus, &run_object, run->id);
        r = sd_bus_path_encode(SYNCRUN_PATH_RUN, run->id, &path);
        if (r >= 0)
                r = sd_bus_emit_signal(bus->options.bus, SYNCRUN_PATH, SYNCRUN_IFACE_MANAGER, "RunNew", "so", run->id,
                                       path);
        emit_failed(r, "the new run", run->id);
        tell_connector_of(bus, run);
}

static void on_run_changed(const Run *run, RunChange changes, void *userdata)
{
        usec_t now = now_usec(CLOCK_MONOTONIC);
        PublishedRun *published;
        Bus *bus = userdata;

        if (!bus->published)
                return;
        published = published_run_find(bus, run->id);
        if (!published) {
                on_run_added(run, bus);
                return;
        }
        if ((changes & RUN_CHANGE_STATE) || published->told_usec + PROGRESS_INTERVAL_USEC <= now)
                run_tell(bus, published, run, now);
        else if (!published->dirty) {
                published->dirty = true;
                DL_APPEND(bus->dirty_runs, published);
                arm_progress_timer(bus);
        }
        if (changes & RUN_CHANGE_STATE)
                tell_connector_of(bus, run);
}

static void on_run_removed(const char *run_id, const char *connector, void *userdata)
{
        _cleanup_free_ char *path = NULL;
        PublishedRun *published;
        Bus *bus = userdata;
        int r;

        published = published_run_find(bus, run_id);
        if (!published)
                return;
        emit_object_removed(bus, &run_object, run_id);
        r = sd_bus_path_encode(SYNCRUN_PATH_RUN, run_id, &path);
        if (r >= 0)
                r = sd_bus_emit_signal(bus->options.bus, SYNCRUN_PATH, SYNCRUN_IFACE_MANAGER, "RunRemoved", "so",
                                       run_id, path);
        emit_failed(r, "the end of run", run_id);
        run_forget(bus, published);
}

/* ---- Events */

int event_append(sd_bus_message *m, uint64_t seq, const char *user_id, const char *run_id, const char *json)
{
        int r;

        r = sd_bus_message_open_container(m, 'r', "tsss");
        if (r >= 0)
                r = sd_bus_message_append(m, "tss", seq, strempty(user_id), run_id);
        if (r >= 0)
                r = text_append(m, json);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* As many events as one signal takes. Return: how many, at least 1; negative errno. */
static ssize_t send_events(Bus *bus, const CommittedEvent *events, size_t n)
{
        sd_bus_message *m = NULL;
        size_t bytes = 0, i = 0;
        int r;

        r = sd_bus_message_new_signal(bus->options.bus, &m, SYNCRUN_PATH, SYNCRUN_IFACE_MANAGER, "EventsCommitted");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(tsss)");
        for (; r >= 0 && i < n; i++) {
                bytes += strlen(events[i].json);
                if (i > 0 && bytes > EVENTS_SIGNAL_BYTES_MAX)
                        break;
                r = event_append(m, events[i].seq, events[i].user_id, events[i].run_id, events[i].json);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = sd_bus_send(bus->options.bus, m, NULL);
        sd_bus_message_unref(m);
        return r < 0 ? r : (ssize_t) i;
}

static void on_events_committed(const CommittedEvent *events, size_t n, void *userdata)
{
        Bus *bus = userdata;

        if (n == 0)
                return;
        bus->last_seq = events[n - 1].seq;
        while (bus->published && n > 0) {
                ssize_t sent = send_events(bus, events, n);

                if (sent < 0) {
                        emit_failed((int) sent, "events of run", events[0].run_id);
                        return;
                }
                events += sent;
                n -= (size_t) sent;
        }
}

/* ---- The manager */

static void on_api_key_revoked(const char *name, void *userdata)
{
        Bus *bus = userdata;

        if (bus->published)
                emit_failed(sd_bus_emit_signal(bus->options.bus, SYNCRUN_PATH, SYNCRUN_IFACE_MANAGER, "ApiKeyRevoked",
                                               "s", name),
                            "the revocation of key", name);
}

static void on_status_changed(void *userdata)
{
        char *names[6];
        EngineStatus now;
        Bus *bus = userdata;
        size_t n = 0;

        if (bus->published) {
                engine_status(bus->engine, &now);
                if (now.n_connectors != bus->status.n_connectors)
                        names[n++] = (char *) "NConnectors";
                if (now.n_active_runs != bus->status.n_active_runs)
                        names[n++] = (char *) "NActiveRuns";
                if (now.n_queued_runs != bus->status.n_queued_runs)
                        names[n++] = (char *) "NQueuedRuns";
                if (now.n_attention != bus->status.n_attention)
                        names[n++] = (char *) "NAttention";
                if (now.storage_error != bus->status.storage_error)
                        names[n++] = (char *) "StorageError";
                names[n] = NULL;
                bus->status = now;
                if (n > 0)
                        emit_failed(sd_bus_emit_properties_changed_strv(bus->options.bus, SYNCRUN_PATH,
                                                                        SYNCRUN_IFACE_MANAGER, names),
                                    "changes of", SYNCRUN_PATH);
        }
        if (bus->options.status_changed)
                bus->options.status_changed(bus->options.userdata);
}

void emit_init(Bus *bus)
{
        bus->observer = (EngineObserver) {
                .run_added = on_run_added,
                .run_changed = on_run_changed,
                .run_removed = on_run_removed,
                .events_committed = on_events_committed,
                .api_key_revoked = on_api_key_revoked,
                .status_changed = on_status_changed,
                .userdata = bus,
        };
        connector_signals_init(&bus->observer);
        webhook_signals_init(&bus->observer);
}

int emit_publish(Bus *bus)
{
        const Run *run = NULL;
        int r;

        r = sd_event_add_time(bus->options.event, &bus->progress_timer, CLOCK_MONOTONIC, 0, USEC_PER_MSEC,
                              on_progress_timer, bus);
        if (r >= 0)
                r = sd_event_source_set_enabled(bus->progress_timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        bus->last_seq = store_last_seq(engine_store(bus->engine));
        engine_status(bus->engine, &bus->status);
        r = connectors_publish(bus);
        if (r < 0)
                return r;
        while ((run = engine_next_run(bus->engine, run)))
                if (!published_run_new(bus, run))
                        return -ENOMEM;
        bus->published = true;
        return 0;
}

void emit_done(Bus *bus)
{
        PublishedRun *run, *next_run;

        bus->progress_timer = sd_event_source_unref(bus->progress_timer);
        HASH_ITER(hh, bus->runs, run, next_run)
                run_forget(bus, run);
        connectors_forget(bus);
}
