/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The store as the loop sees it: opening and closing, the queue's near end, and what the writer tells. What is written
 * and read stands in the file of its noun. */

#include "store/store.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/fd-util.h"
#include "base/log.h"
#include "base/string-util.h"
#include "store/migrate.h"
#include "store/store-private.h"

static const char *why_not(int error)
{
        switch (-error) {
        case EUCLEAN:
                return "it is damaged, or not a history of syncrun. Keep a copy; then put a backup in its place, try "
                       "sqlite3's '.recover', or move it away to begin anew";
        case EBUSY:
                return "another process uses it: perhaps syncrund runs already";
        case ENOSPC:
                return "there is no room on its disk. Make room; the service goes on by itself";
        case EDQUOT:
                return "the quota on its disk is used up. Make room, or raise it; the service goes on by itself";
        case EFBIG:
                return "it may not grow. Raise what limits a file's size, as LimitFSIZE=, or the disk does; the "
                       "service goes on by itself";
        case EROFS:
                return "its disk is read-only. Mount it writable; the service goes on by itself";
        case EACCES:
        case EPERM:
                return "access is denied. It and its folder must belong to the service's user";
        case EOPNOTSUPP:
                return "its disk takes no write-ahead log. Put it on a local one";
        case ENOENT:
                return "its folder does not exist";
        default:
                return NULL;
        }
}

char *store_refusal(const char *path, int error)
{
        const char *why = why_not(error);

        return asprintf_or_null("%s cannot be opened: %s.", path, why ? why : strerror(-error));
}

const char *store_error_text(int error)
{
        switch (-error) {
        case EIDRM:
                return "Its file was removed";
        case ESTALE:
                return "Its file was replaced, or its log or index removed";
        default:
                return strerror(abs(error));
        }
}

static void set_why(char **ret_why, const char *path, int error, unsigned version)
{
        if (!ret_why)
                return;
        if (error == -EPROTONOSUPPORT)
                *ret_why = asprintf_or_null(
                                "%s has version %u, made by a newer syncrun; this one knows up to version %u. "
                                "It was not touched. Install the newer syncrun, or move the file away to "
                                "begin anew.",
                                path, version, STORE_SCHEMA_VERSION);
        else
                *ret_why = store_refusal(path, error);
}

/* The lock is not one of SQLite's, so that others may read and back up. */
static int lock_file(Store *store, const char *path)
{
        store->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
        if (store->lock_fd < 0)
                return -errno;
        if (flock(store->lock_fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? -EBUSY : -errno;
        return 0;
}

/* SQLite removes the log when the last connection closes in order. */
static int was_stopped_uncleanly(const char *path)
{
        _cleanup_free_ char *log = asprintf_or_null("%s-wal", path);

        if (!log)
                return -ENOMEM;
        return access(log, F_OK) == 0;
}

/* Return: 1: it is sound; 0: not; negative errno. */
static int quick_check(Db *db)
{
        static const char sql[] = "PRAGMA quick_check(1)";
        _cleanup_query_ Query query = query_begin(db, sql);
        const char *result;
        int r;

        r = query_step(&query);
        if (r < 0)
                return r;
        result = r > 0 ? query_get_borrowed(&query) : NULL;
        if (result && streq(result, "ok"))
                return 1;
        log_debug("quick_check: %s", strna(result));
        return 0;
}

/* SQLite calls a page bad, too, for which there was no memory just then: damage is what is found twice. */
static int check_integrity(Db *db)
{
        int r = quick_check(db);

        if (r == 0)
                r = quick_check(db);
        return r == 0 ? -EUCLEAN : MIN(r, 0);
}

/* Everything that can speak against a file, before anything is changed in it. */
static int examine(Store *store, const char *path, unsigned *ret_version)
{
        _cleanup_(db_closep) Db *db = NULL;
        int r, unclean;

        r = migrate_examine_header(store->lock_fd, STORE_SCHEMA_VERSION, ret_version);
        if (r < 0)
                return r;
        unclean = was_stopped_uncleanly(path);
        if (unclean < 0)
                return unclean;
        r = db_open(path, DB_EXAMINE, &db);
        if (r < 0)
                return r;
        r = migrate_examine(db, STORE_SCHEMA_VERSION, ret_version);
        if (r < 0 || !unclean)
                return r;
        log_debug("%s was not closed in order: checking it.", path);
        return check_integrity(db);
}

static int load_number(Store *store, const char *sql, uint64_t *ret)
{
        _cleanup_query_ Query query = query_begin(store->reader, sql);
        uint64_t number;
        int r;

        r = query_step(&query);
        if (r < 0)
                return r;
        number = query_get_uint(&query);
        r = query_error(&query);
        if (r >= 0)
                *ret = number;
        return r;
}

static int load_last_seq(Store *store)
{
        return load_number(store,
                           "SELECT max(ifnull((SELECT max(seq) FROM events), 0),"
                           " (SELECT value FROM meta WHERE name = 'last_seq'))",
                           &store->last_seq);
}

static int load_history(Store *store)
{
        return load_number(store, "SELECT value FROM meta WHERE name = 'history'", &store->history);
}

static int on_turn_end(sd_event_source *source, void *userdata)
{
        Store *store = userdata;
        Write *first = store->turn_first, *last = store->turn_last;

        store->turn_first = store->turn_last = NULL;
        store_turn_runs_clear(store);
        if (first) {
                last->ends_turn = true;
                store->handed = last->ticket;
                writer_put(store->writer, first, last);
        }
        return 0;
}

static void drop_turn(Store *store)
{
        store_turn_runs_clear(store);
        write_list_free(store->turn_first);
        store->turn_first = store->turn_last = NULL;
}

static int on_news(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        Store *store = userdata;
        WriterNews news;
        uint64_t n;

        (void) !read(fd, &n, sizeof(n));
        writer_take_news(store->writer, &news);
        if (news.committed > store->committed) {
                store->committed = news.committed;
                store->retain_more = news.retain_more;
                store->callbacks.committed(news.committed, store->userdata);
        }
        if (news.error < 0) {
                drop_turn(store);
                store->failed = true;
                store->callbacks.failed(news.error, store->userdata);
        }
        if (news.recovered) {
                drop_turn(store);
                writer_resume(store->writer);
                store->committed = store->handed = store->ticket;
                store->failed = store->retain_more = false;
                store->callbacks.recovered(store->userdata);
        }
        return 0;
}

static int apply_nothing(Write *write, Db *db, Retention *retention)
{
        return 0;
}

static void free_nothing(Write *write)
{
}

static int on_place_event(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
        static const WriteType type = { .apply = apply_nothing, .free = free_nothing, .keeps_runs = true };
        Store *store = userdata;
        Write *write;

        if (place_check(&store->place) >= 0 || store_may_put(store) < 0)
                return 0;
        /* The commit finds the same, and says so. */
        write = calloc(1, sizeof(Write));
        if (!write)
                return 0;
        write->type = &type;
        (void) !store_put(store, write);
        return 0;
}

/* So that it is noticed while nothing is written, too. Without it (no inotify watch is left) the next commit does. */
static void watch_place(Store *store)
{
        const char *const paths[] = { store->place.database, store->place.log, store->place.index };

        for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
                int r = sd_event_add_inotify(store->event, &store->place_sources[i], paths[i],
                                             IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF, on_place_event, store);

                /* A reader who is root sets the owner of log and index anew at each opening: what else waits for an
                 * idle loop shall have its turn, too. */
                if (r >= 0)
                        r = sd_event_source_set_priority(store->place_sources[i], SD_EVENT_PRIORITY_IDLE);
                if (r < 0)
                        log_debug_errno(r, "Could not watch %s: %m", paths[i]);
        }
}

static int add_sources(Store *store)
{
        int r;

        store->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (store->event_fd < 0)
                return -errno;
        r = sd_event_add_io(store->event, &store->news_source, store->event_fd, EPOLLIN, on_news, store);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(store->news_source, "store-news");
        /* At the same priority a deferred source that is always armed again keeps sd-event from looking at
         * descriptors. */
        r = sd_event_source_set_priority(store->news_source, SD_EVENT_PRIORITY_NORMAL - 1);
        if (r < 0)
                return r;
        r = sd_event_add_defer(store->event, &store->turn_source, on_turn_end, store);
        if (r < 0)
                return r;
        (void) sd_event_source_set_description(store->turn_source, "store-turn");
        return sd_event_source_set_enabled(store->turn_source, SD_EVENT_OFF);
}

static int open_all(Store *store, const StoreOptions *options, unsigned *ret_version)
{
        _cleanup_(db_closep) Db *db = NULL;
        WriterOptions writer_options;
        int r;

        r = lock_file(store, options->path);
        if (r < 0)
                return r;
        r = examine(store, options->path, ret_version);
        if (r < 0)
                return r;
        store->is_new = *ret_version == 0;
        r = db_open(options->path, DB_WRITE, &db);
        if (r < 0)
                return r;
        r = migrate(db, store_migrations, n_store_migrations);
        if (r < 0)
                return r;
        r = db_open(options->path, DB_READ, &store->reader);
        if (r < 0)
                return r;
        r = load_last_seq(store);
        if (r >= 0)
                r = load_history(store);
        if (r < 0)
                return r;
        r = place_init(&store->place, options->path, store->lock_fd);
        if (r >= 0)
                r = add_sources(store);
        if (r < 0)
                return r;
        watch_place(store);
        r = changes_new(&store->changes);
        if (r < 0)
                return r;
        writer_options = (WriterOptions){
                .retry_usec = options->retry_usec > 0 ? options->retry_usec : STORE_RETRY_USEC,
                .log_limit_bytes = options->log_limit_bytes,
                .event_fd = store->event_fd,
                .changes = store->changes,
                .place = &store->place,
        };
        r = writer_start(db, &writer_options, &store->writer);
        if (r < 0)
                return r;
        (void) TAKE_PTR(db);
        return 0;
}

int store_open(sd_event *event, const StoreOptions *options, const StoreCallbacks *callbacks, void *userdata,
               char **ret_why, Store **ret)
{
        _cleanup_(store_closep) Store *store = malloc(sizeof(Store));
        unsigned version = 0;
        int r;

        if (!store)
                return -ENOMEM;
        *store = (Store){
                .event = sd_event_ref(event),
                .callbacks = *callbacks,
                .userdata = userdata,
                .lock_fd = -EBADF,
                .event_fd = -EBADF,
        };
        r = open_all(store, options, &version);
        if (r < 0) {
                set_why(ret_why, options->path, r, version);
                return r;
        }
        *ret = TAKE_PTR(store);
        return 0;
}

Store *store_close(Store *store)
{
        if (!store)
                return NULL;
        if (store->writer)
                (void) on_turn_end(NULL, store);
        /* The last to close is the writer's connection: it tidies the log away. */
        db_close(store->reader);
        writer_stop(store->writer);
        place_done(&store->place);
        changes_free(store->changes);
        for (size_t i = 0; i < ELEMENTSOF(store->place_sources); i++)
                sd_event_source_disable_unref(store->place_sources[i]);
        sd_event_source_disable_unref(store->turn_source);
        sd_event_source_disable_unref(store->news_source);
        safe_close(store->event_fd);
        safe_close(store->lock_fd);
        sd_event_unref(store->event);
        free(store);
        return NULL;
}

Changes *store_changes(Store *store)
{
        return store->changes;
}

int store_may_put(const Store *store)
{
        if (store->failed || store->abandoned)
                return -EROFS;
        return store->ticket - store->committed >= STORE_QUEUE_MAX ? -ENOBUFS : 0;
}

int store_put(Store *store, Write *write)
{
        int r;

        r = store_may_put(store);
        if (r >= 0)
                r = sd_event_source_set_enabled(store->turn_source, SD_EVENT_ONESHOT);
        if (r < 0) {
                store_write_free(write);
                return r;
        }
        if (!write->type->keeps_runs)
                store_turn_runs_clear(store);
        write->ticket = ++store->ticket;
        if (store->turn_last)
                store->turn_last->next = write;
        else
                store->turn_first = write;
        store->turn_last = write;
        return 0;
}

void store_abandon(Store *store)
{
        drop_turn(store);
        store->ticket = store->handed;
        store->abandoned = true;
}

void store_resume(Store *store)
{
        store->abandoned = false;
}

uint64_t store_ticket(const Store *store)
{
        return store->ticket;
}

bool store_is_new(const Store *store)
{
        return store->is_new;
}

uint64_t store_last_seq(Store *store)
{
        return store->last_seq;
}

uint64_t store_history(const Store *store)
{
        return store->history;
}

bool store_retain_more(const Store *store)
{
        return store->retain_more;
}

void store_statistics(const Store *store, StoreStatistics *ret)
{
        WriterStatistics statistics;

        writer_statistics(store->writer, &statistics);
        *ret = (StoreStatistics){
                .commits = statistics.commits,
                .writes = statistics.writes,
                .wal_bytes = statistics.log_bytes,
                .last_commit_usec = statistics.last_commit_usec,
                .n_waiting = store->ticket - store->committed,
                .messages_lost = statistics.messages_lost,
        };
}

int store_array_grow(void **p_array, size_t *p_allocated, size_t n, size_t size)
{
        size_t allocate;
        void *longer;

        if (n < *p_allocated)
                return 0;
        allocate = MAX(*p_allocated * 2, (size_t) 16);
        longer = reallocarray(*p_array, allocate, size);
        if (!longer)
                return -ENOMEM;
        *p_array = longer;
        *p_allocated = allocate;
        return 0;
}

void store_array_reverse(void *array, size_t n, size_t size)
{
        for (size_t i = 0; i < n / 2; i++) {
                char *a = (char *) array + i * size, *b = (char *) array + (n - 1 - i) * size;

                for (size_t k = 0; k < size; k++) {
                        char byte = a[k];

                        a[k] = b[k];
                        b[k] = byte;
                }
        }
}

int64_t store_find_key(Db *db, const char *sql, const char *text)
{
        _cleanup_query_ Query query = query_begin(db, sql);
        int r;

        query_bind_text(&query, text);
        r = query_step(&query);
        return r > 0 ? query_get_int(&query) : r;
}
