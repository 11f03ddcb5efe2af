/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How fast the worker takes lines in, of records of several sizes, all new and all unchanged, beside two others in the
 * same run: what SQLite does by itself with the same statements on the same file layout, and a Singer target in Python
 * (peer-target.py) that is given the same lines. Every measurement is a process of its own; rates are by processor
 * time, so that a busy machine tells the same ratios; of several rounds the median is shown. */

#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/string-util.h"
#include "worker/intake.h"
#include "worker/item-db.h"
#include "worker/line-reader.h"
#include "worker/worker.h"

#define ROUNDS_MAX 15U

/* A prime that divides no number of records: the order in which lines come that come in another. */
#define SHUFFLE_STRIDE 48271U

typedef enum Measure {
        MEASURE_PARSE,
        MEASURE_BARE_INSERT,
        MEASURE_BARE_LOOKUP,
        MEASURE_BARE_OTHER_ORDER,
        MEASURE_NEW,
        MEASURE_UNCHANGED,
        MEASURE_OTHER_ORDER,
        MEASURE_PEER_NEW,
        MEASURE_PEER_UNCHANGED,
        _MEASURE_MAX,
        _MEASURE_INVALID = -EINVAL,
} Measure;

/* What one process tells of itself. */
typedef struct Result {
        double seconds; /* of processor time */
        uint64_t memory_peak_bytes;
} Result;

/* The input: lines of one size, in a file and in memory, and the same in another order. */
typedef struct Input {
        size_t record_bytes;
        unsigned n_records;
        int fd;
        int shuffled_fd;
        char *text;
        JsonSlice *records; /* in text */
        char (*keys)[16];
} Input;

static const struct {
        size_t record_bytes;
        unsigned n_records;
} sizes[] = { { 100, 200000 }, { 1000, 100000 }, { 10000, 10000 } };

static char folder[] = "/tmp/syncrun-bench-XXXXXX";
static unsigned arg_rounds = 3;
static size_t arg_record_bytes; /* 0: all */
static const char *arg_peer;

static void check(int r, const char *what)
{
        if (r >= 0)
                return;
        (void) fprintf(stderr, "%s: %s\n", what, strerror(-r));
        exit(EXIT_FAILURE);
}

static double cpu_seconds(void)
{
        struct timespec t;

        (void) clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static char *path_of(const char *name)
{
        static char path[128];

        (void) snprintf(path, sizeof(path), "%s/%s", folder, name);
        return path;
}

static void remove_file(const char *name)
{
        static const char *const endings[] = { "", "-wal", "-shm", "-journal" };
        char path[160];

        for (size_t i = 0; i < ELEMENTSOF(endings); i++) {
                (void) snprintf(path, sizeof(path), "%s%s", path_of(name), endings[i]);
                (void) unlink(path);
        }
}

/* ---- Input */

/* Ids as providers have them: their order is not that in which they come. */
static unsigned id_of(unsigned n)
{
        return n * 2654435761U;
}

static size_t write_record(char *out, size_t size, size_t record_bytes, unsigned n)
{
        int written = snprintf(out, size, "{\"id\":\"tx-%010u\",\"amount\":\"%u.%02u\",\"booked\":\"2026-11-%02u\"",
                               id_of(n), n % 5000, n % 100, 1 + n % 28);

        if (record_bytes > 150)
                written += snprintf(out + written, size - written, ",\"tags\":[1,2,%u]", n);
        for (unsigned i = 0; written + 60 < (int) record_bytes; i++)
                written += snprintf(out + written, size - written, ",\"field_%02u\":\"text of caf\xc3\xa9 number %u\"",
                                    i, n % 97 + i);
        written += snprintf(out + written, size - written, ",\"last\":null}");
        return written;
}

/* Writes the lines in an order that @stride makes. Return: their file. */
static int write_lines(Input *input, const char *name, unsigned stride, size_t *ret_size)
{
        const size_t room = 2 * input->record_bytes + 256;
        _cleanup_free_ char *record = malloc(room);
        FILE *file = fopen(path_of(name), "w+e");
        size_t at = 0;

        check(file && record ? 0 : -errno, name);
        at += (size_t) fprintf(file,
                               "{\"type\":\"SCHEMA\",\"stream\":\"tx\",\"schema\":{},\"key_properties\":[\"id\"]}\n");
        for (unsigned i = 0; i < input->n_records; i++) {
                unsigned n = (unsigned) ((uint64_t) i * stride % input->n_records);
                size_t size = write_record(record, room, input->record_bytes, n);

                at += (size_t) fprintf(file, "{\"type\":\"RECORD\",\"stream\":\"tx\",\"record\":");
                input->records[n] = (JsonSlice){ (const char *) NULL + at, size };
                at += (size_t) fprintf(file, "%s,\"time_extracted\":\"2026-11-21T10:00:00Z\"}\n", record);
        }
        check(fflush(file) == 0 ? 0 : -errno, name);
        *ret_size = at;
        return fileno(file);
}

static void make_input(Input *input, size_t record_bytes, unsigned n_records)
{
        size_t size;

        *input = (Input){ .record_bytes = record_bytes, .n_records = n_records };
        input->records = calloc(n_records, sizeof(*input->records));
        input->keys = calloc(n_records, sizeof(*input->keys));
        check(input->records && input->keys ? 0 : -ENOMEM, "input");
        input->shuffled_fd = write_lines(input, "shuffled", SHUFFLE_STRIDE, &size);
        input->fd = write_lines(input, "lines", 1, &size);
        input->text = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, input->fd, 0);
        check(input->text != MAP_FAILED ? 0 : -errno, "input");
        for (unsigned n = 0; n < n_records; n++) {
                input->records[n].data = input->text + (input->records[n].data - (const char *) NULL);
                (void) snprintf(input->keys[n], sizeof(input->keys[n]), "tx-%010u", id_of(n));
        }
}

static void free_input(Input *input)
{
        free(input->records);
        free(input->keys);
        remove_file("lines");
        remove_file("shuffled");
}

/* ---- What is measured */

static double run_parse(const Input *input)
{
        static JsonIndex json_index;
        LineReader *reader;
        Message message;
        const char *why;
        Line line;

        check(line_reader_new(input->fd, &reader), "reader");
        double began = cpu_seconds();
        while (line_reader_fill(reader) > 0)
                while (line_reader_next(reader, &line) > 0)
                        check(message_parse((JsonSlice){ line.data, line.size }, &json_index, &why, &message),
                              "parse");
        double took = cpu_seconds() - began;
        line_reader_free(reader);
        return took;
}

static int bare_insert(sqlite3_stmt *statement, JsonSlice record)
{
        (void) sqlite3_bind_null(statement, 3);
        (void) sqlite3_bind_null(statement, 4);
        (void) sqlite3_bind_int64(statement, 5, 1763766000000000);
        (void) sqlite3_bind_int64(statement, 6, 1);
        (void) sqlite3_bind_text(statement, 7, record.data, (int) record.size, SQLITE_STATIC);
        return sqlite3_step(statement) == SQLITE_DONE ? 0 : -EIO;
}

/* Every column is read, as whoever compares must; the content is not looked at. */
static int bare_lookup(sqlite3_stmt *statement, JsonSlice record)
{
        if (sqlite3_step(statement) != SQLITE_ROW)
                return -EIO;
        if (sqlite3_column_int64(statement, 0) == 0 || sqlite3_column_int64(statement, 1) == 0 ||
            sqlite3_column_type(statement, 2) != SQLITE_NULL || !sqlite3_column_blob(statement, 3))
                return -EIO;
        return (size_t) sqlite3_column_bytes(statement, 3) == record.size ? 0 : -EIO;
}

/* The statements that the destination uses, and nothing around them. */
static double run_sqlite(const Input *input, ItemStatement number, unsigned stride)
{
        sqlite3_stmt *statement;
        ItemDb db;

        check(item_db_open(&db, path_of("bare.db"), NULL), "bare.db");
        double began = cpu_seconds();
        check(item_db_do(&db, ITEM_BEGIN), "begin");
        for (unsigned i = 0; i < input->n_records; i++) {
                unsigned n = (unsigned) ((uint64_t) i * stride % input->n_records);

                check(item_db_statement(&db, number, &statement), "statement");
                (void) sqlite3_bind_int64(statement, 1, 1);
                (void) sqlite3_bind_text(statement, 2, input->keys[n], (int) strlen(input->keys[n]), SQLITE_STATIC);
                check(number == ITEM_ADD ? bare_insert(statement, input->records[n])
                                         : bare_lookup(statement, input->records[n]),
                      "row");
                (void) sqlite3_reset(statement);
                if (i % BATCH_RECORDS_MAX == BATCH_RECORDS_MAX - 1) {
                        check(item_db_do(&db, ITEM_COMMIT), "commit");
                        check(item_db_do(&db, ITEM_BEGIN), "begin");
                }
        }
        check(item_db_do(&db, ITEM_COMMIT), "commit");
        double took = cpu_seconds() - began;
        item_db_close(&db);
        return took;
}

/* All lines through the intake into the destination, in batches as worker-input.c makes them. */
static void take_lines(Intake *intake, LineReader *reader)
{
        uint64_t n_committed = 0, n_bytes = 0;
        Line line;

        while (line_reader_fill(reader) > 0)
                while (line_reader_next(reader, &line) > 0) {
                        check(intake_line(intake, (JsonSlice){ line.data, line.size }), "line");
                        n_bytes += line.size;
                        if (intake->ledger.total.discovered - n_committed < BATCH_RECORDS_MAX &&
                            n_bytes < BATCH_BYTES_MAX)
                                continue;
                        check(destination_commit(intake->destination), "commit");
                        n_committed = intake->ledger.total.discovered;
                        n_bytes = 0;
                }
        check(destination_finish(intake->destination), "finish");
}

static double run_worker(const Input *input, Measure measure)
{
        static Intake intake;
        sd_event *event = NULL;
        LogRelay *relay;
        LineReader *reader;
        const char *run_id = asprintf_or_null("run-%d", measure);
        int fd = measure == MEASURE_OTHER_ORDER ? input->shuffled_fd : input->fd;

        check(sd_event_new(&event), "event");
        check(intake_init(&intake, "bench", NULL), "intake");
        check(log_relay_new("bench", run_id, NULL, &relay), "relay");
        DestinationContext context = {
                .type = DESTINATION_SQLITE,
                .run_id = run_id,
                .path = path_of("items.db"),
                .ledger = &intake.ledger,
                .streams = &intake.streams,
                .event = event,
        };
        check(destination_open(&context, NULL, &intake.destination), "items.db");
        intake.relay = relay;
        check(line_reader_new(fd, &reader), "reader");

        double began = cpu_seconds();
        take_lines(&intake, reader);
        double took = cpu_seconds() - began;

        const Counts *counts = &intake.ledger.total_durable;
        if (counts->discovered != input->n_records || counts->updated != 0 ||
            (measure == MEASURE_NEW ? counts->added : counts->deduped) != input->n_records)
                check(-EUCLEAN, "counts");
        line_reader_free(reader);
        destination_free(intake.destination);
        log_relay_free(relay);
        intake_done(&intake);
        sd_event_unref(event);
        return took;
}

/* The whole of its process counts, the start of Python included. */
static _noreturn_ void become_peer(const Input *input)
{
        int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

        check(dup2(input->fd, STDIN_FILENO) < 0 || dup2(null_fd, STDOUT_FILENO) < 0 ? -errno : 0, "peer");
        (void) execl("/usr/bin/python3", "python3", arg_peer, path_of("peer.db"), (char *) NULL);
        check(-errno, "python3");
        _exit(EXIT_FAILURE);
}

static double run(Measure measure, const Input *input)
{
        switch (measure) {
        case MEASURE_PARSE:
                return run_parse(input);
        case MEASURE_BARE_INSERT:
                return run_sqlite(input, ITEM_ADD, 1);
        case MEASURE_BARE_LOOKUP:
                return run_sqlite(input, ITEM_FIND, 1);
        case MEASURE_BARE_OTHER_ORDER:
                return run_sqlite(input, ITEM_FIND, SHUFFLE_STRIDE);
        case MEASURE_NEW:
        case MEASURE_UNCHANGED:
        case MEASURE_OTHER_ORDER:
                return run_worker(input, measure);
        default:
                become_peer(input);
        }
}

/* ---- Measuring */

static Result measure_once(Measure measure, const Input *input)
{
        double *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        struct rusage usage = {};
        Result result = {};
        int status = 0;

        check(shared != MAP_FAILED && lseek(input->fd, 0, SEEK_SET) == 0 && lseek(input->shuffled_fd, 0, SEEK_SET) == 0
                              ? 0
                              : -errno,
              "measure");
        (void) fflush(stdout);
        pid_t pid = fork();
        check(pid < 0 ? -errno : 0, "fork");
        if (pid == 0) {
                *shared = run(measure, input);
                _exit(EXIT_SUCCESS);
        }
        check(wait4(pid, &status, 0, &usage) == pid && status == 0 ? 0 : -EPIPE, "measured process");
        result.seconds = *shared;
        if (measure == MEASURE_PEER_NEW || measure == MEASURE_PEER_UNCHANGED)
                result.seconds = (double) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                                 (double) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
        result.memory_peak_bytes = (uint64_t) usage.ru_maxrss * KIB;
        (void) munmap(shared, sizeof(*shared));
        return result;
}

static int compare_results(const void *a, const void *b)
{
        const Result *x = a, *y = b;

        return (x->seconds > y->seconds) - (x->seconds < y->seconds);
}

static void show(const Input *input, const char *what, Result result, Result beside, Result peer)
{
        printf("%6zu  %-30s %9.0f", input->record_bytes, what, input->n_records / result.seconds);
        if (beside.seconds > 0)
                printf("  %11.2f", beside.seconds / result.seconds);
        if (peer.seconds > 0)
                printf("  %11.1f", peer.seconds / result.seconds);
        printf("\n");
        (void) fflush(stdout);
}

static void bench_size(size_t record_bytes, unsigned n_records)
{
        Result results[_MEASURE_MAX][ROUNDS_MAX], *median[_MEASURE_MAX];
        const Result none = {};
        Input input;

        make_input(&input, record_bytes, n_records);
        for (unsigned round = 0; round < arg_rounds; round++) {
                for (Measure i = 0; i < (arg_peer ? _MEASURE_MAX : MEASURE_PEER_NEW); i++)
                        results[i][round] = measure_once(i, &input);
                remove_file("bare.db");
                remove_file("items.db");
                remove_file("peer.db");
        }
        for (Measure i = 0; i < _MEASURE_MAX; i++) {
                if (!arg_peer && i >= MEASURE_PEER_NEW)
                        results[i][arg_rounds / 2] = none;
                else
                        qsort(results[i], arg_rounds, sizeof(Result), compare_results);
                median[i] = &results[i][arg_rounds / 2];
        }

        show(&input, "lines read, messages parsed", *median[MEASURE_PARSE], none, none);
        show(&input, "SQLite alone, rows inserted", *median[MEASURE_BARE_INSERT], none, none);
        show(&input, "SQLite alone, rows looked up", *median[MEASURE_BARE_LOOKUP], none, none);
        show(&input, "SQLite alone, in another order", *median[MEASURE_BARE_OTHER_ORDER], none, none);
        if (arg_peer) {
                show(&input, "Python target, all new", *median[MEASURE_PEER_NEW], none, none);
                show(&input, "Python target, all unchanged", *median[MEASURE_PEER_UNCHANGED], none, none);
        }
        show(&input, "worker, all new", *median[MEASURE_NEW], *median[MEASURE_BARE_INSERT], *median[MEASURE_PEER_NEW]);
        show(&input, "worker, all unchanged", *median[MEASURE_UNCHANGED], *median[MEASURE_BARE_LOOKUP],
             *median[MEASURE_PEER_UNCHANGED]);
        show(&input, "worker, in another order", *median[MEASURE_OTHER_ORDER], *median[MEASURE_BARE_OTHER_ORDER],
             *median[MEASURE_PEER_UNCHANGED]);
        printf("%6zu  memory of the worker's process: %.0f MB, %.0f MB, %.0f MB\n", record_bytes,
               (double) median[MEASURE_NEW]->memory_peak_bytes / 1e6,
               (double) median[MEASURE_UNCHANGED]->memory_peak_bytes / 1e6,
               (double) median[MEASURE_OTHER_ORDER]->memory_peak_bytes / 1e6);
        free_input(&input);
}

static void clean_up(void)
{
        (void) rmdir(folder);
}

int main(int argc, char *argv[])
{
        static const struct option options[] = {
                { "rounds", required_argument, NULL, 'r' },
                { "bytes", required_argument, NULL, 'b' },
                {},
        };
        uint64_t number;
        int c;

        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                check(c == '?' ? -EINVAL : parse_uint64(optarg, &number),
                      "bench-worker [--rounds=N] [--bytes=N] [PEER]");
                if (c == 'r')
                        arg_rounds = (unsigned) MAX(MIN(number, (uint64_t) ROUNDS_MAX), (uint64_t) 1);
                else
                        arg_record_bytes = number;
        }
        arg_peer = argv[optind];

        check(mkdtemp(folder) ? 0 : -errno, folder);
        (void) atexit(clean_up);
        printf("%6s  %-30s %9s  %11s  %11s\n", "bytes", "", "records/s", "of SQLite's", "of Python's");
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++)
                if (arg_record_bytes == 0 || arg_record_bytes == sizes[i].record_bytes)
                        bench_size(sizes[i].record_bytes, sizes[i].n_records);
        return EXIT_SUCCESS;
}
