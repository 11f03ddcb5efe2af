/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* How fast the worker takes lines of 1 KB in, beside what SQLite does by itself on the same file layout: the same rows
 * put in, and looked up by key, with nothing else done. One process, one thread; rates are by processor time, so that
 * a busy machine tells the same ratios. The goal: more than 100,000 unchanged records a second; new ones near SQLite's
 * own rate. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/string-util.h"
#include "worker/intake.h"
#include "worker/item-db.h"
#include "worker/line-reader.h"
#include "worker/worker.h"

#define N_RECORDS    100000U
#define RECORD_BYTES 1000U

static char folder[] = "/tmp/syncrun-bench-XXXXXX";

static double cpu_seconds(void)
{
        struct timespec t;

        (void) clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
        return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static void check(int r, const char *what)
{
        if (r >= 0)
                return;
        (void) fprintf(stderr, "%s: %s\n", what, strerror(-r));
        exit(EXIT_FAILURE);
}

static double show(const char *what, double seconds, double beside)
{
        double rate = N_RECORDS / seconds;

        printf("%-44s %9.0f records/s", what, rate);
        if (beside > 0)
                printf("  %5.2f of bare SQLite", rate / beside);
        printf("\n");
        (void) fflush(stdout);
        return rate;
}

/* Keys in an order that is not that of the index, as providers' ids are. */
static unsigned id_of(unsigned n)
{
        return n * 2654435761U;
}

static size_t write_record(char *out, size_t size, unsigned n)
{
        int written = snprintf(
                        out, size,
                        "{\"id\":\"tx-%010u\",\"amount\":\"%u.%02u\",\"booked\":\"2026-11-%02u\",\"tags\":[1,2,%u],",
                        id_of(n), n % 5000, n % 100, 1 + n % 28, n);

        for (unsigned i = 0; written < (int) RECORD_BYTES - 60; i++)
                written += snprintf(out + written, size - written, "\"field_%02u\":\"text of caf\xc3\xa9 number %u\",",
                                    i, n % 97 + i);
        written += snprintf(out + written, size - written, "\"last\":null}");
        return written;
}

/* All lines, as a file that is then read as a pipe would be. */
static int make_lines(void)
{
        _cleanup_free_ char *path = asprintf_or_null("%s/lines", folder);
        char record[2 * RECORD_BYTES];
        FILE *file = fopen(path, "w+e");

        check(file ? 0 : -errno, path);
        (void) fprintf(file, "{\"type\":\"SCHEMA\",\"stream\":\"transactions\",\"schema\":{},\"key_properties\":["
                             "\"id\"]}\n");
        for (unsigned n = 0; n < N_RECORDS; n++) {
                (void) write_record(record, sizeof(record), n);
                (void) fprintf(file,
                               "{\"type\":\"RECORD\",\"stream\":\"transactions\",\"record\":%s,\"time_extracted\":"
                               "\"2026-11-21\"}\n",
                               record);
        }
        check(fflush(file) == 0 ? 0 : -errno, path);
        return fileno(file);
}

static double bench_parse(int fd)
{
        static JsonIndex json_index;
        LineReader *reader;
        Message message;
        const char *why;
        Line line;

        (void) lseek(fd, 0, SEEK_SET);
        check(line_reader_new(fd, &reader), "reader");
        double began = cpu_seconds();
        while (line_reader_fill(reader) > 0)
                while (line_reader_next(reader, &line) > 0)
                        check(message_parse((JsonSlice){ line.data, line.size }, &json_index, &why, &message),
                              "parse");
        double took = cpu_seconds() - began;
        line_reader_free(reader);
        return took;
}

/* One run of the lines through the intake into a file; *ret_counts is what became of them. */
static double bench_worker(int fd, const char *path, const char *run_id, Counts *ret_counts)
{
        Intake *intake = malloc(sizeof(*intake));
        sd_event *event = NULL;
        Destination *destination = NULL;
        LogRelay *relay;
        LineReader *reader;
        uint64_t committed = 0;
        Line line;

        check(sd_event_new(&event), "event");
        check(intake_init(intake, "bench", NULL), "intake");
        check(log_relay_new("bench", run_id, NULL, &relay), "relay");
        DestinationContext context = {
                .type = DESTINATION_SQLITE,
                .run_id = run_id,
                .path = path,
                .ledger = &intake->ledger,
                .streams = &intake->streams,
                .event = event,
        };
        check(destination_open(&context, NULL, &destination), path);
        intake->destination = destination;
        intake->relay = relay;
        (void) lseek(fd, 0, SEEK_SET);
        check(line_reader_new(fd, &reader), "reader");

        double began = cpu_seconds();
        while (line_reader_fill(reader) > 0)
                while (line_reader_next(reader, &line) > 0) {
                        check(intake_line(intake, (JsonSlice){ line.data, line.size }), "line");
                        if (intake->ledger.total.discovered - committed >= BATCH_RECORDS_MAX) {
                                check(destination_commit(destination), "commit");
                                committed = intake->ledger.total.discovered;
                        }
                }
        check(destination_finish(destination), "finish");
        double took = cpu_seconds() - began;

        *ret_counts = intake->ledger.total_durable;
        line_reader_free(reader);
        destination_free(destination);
        log_relay_free(relay);
        intake_done(intake);
        free(intake);
        sd_event_unref(event);
        return took;
}

/* The statements that the destination uses, and nothing around them. */
static double bench_sqlite(const char *path, bool insert)
{
        char record[2 * RECORD_BYTES], key[32];
        sqlite3_stmt *statement;
        ItemDb db;

        check(item_db_open(&db, path), path);
        double began = cpu_seconds(), making = 0;
        check(item_db_do(&db, ITEM_BEGIN), "begin");
        for (unsigned n = 0; n < N_RECORDS; n++) {
                double before = cpu_seconds();
                size_t size = insert ? write_record(record, sizeof(record), n) : 0;
                int key_size = snprintf(key, sizeof(key), "tx-%010u", id_of(n));

                making += cpu_seconds() - before;
                check(item_db_statement(&db, insert ? ITEM_ADD : ITEM_FIND, &statement), "statement");
                (void) sqlite3_bind_int64(statement, 1, 1);
                (void) sqlite3_bind_text(statement, 2, key, key_size, SQLITE_STATIC);
                if (insert) {
                        (void) sqlite3_bind_null(statement, 3);
                        (void) sqlite3_bind_null(statement, 4);
                        (void) sqlite3_bind_int64(statement, 5, 1763766000000000);
                        (void) sqlite3_bind_int64(statement, 6, 1);
                        (void) sqlite3_bind_text(statement, 7, record, (int) size, SQLITE_STATIC);
                }
                check(sqlite3_step(statement) == (insert ? SQLITE_DONE : SQLITE_ROW) ? 0 : -EIO, "step");
                (void) sqlite3_reset(statement);
                if (n % BATCH_RECORDS_MAX == BATCH_RECORDS_MAX - 1) {
                        check(item_db_do(&db, ITEM_COMMIT), "commit");
                        check(item_db_do(&db, ITEM_BEGIN), "begin");
                }
        }
        check(item_db_do(&db, ITEM_COMMIT), "commit");
        double took = cpu_seconds() - began - making;
        item_db_close(&db);
        return took;
}

static void expect(const Counts *counts, uint64_t added, uint64_t deduped)
{
        if (counts->discovered == N_RECORDS && counts->added == added && counts->updated == 0 &&
            counts->deduped == deduped)
                return;
        (void) fprintf(stderr, "counts are wrong\n");
        exit(EXIT_FAILURE);
}

static void clean_up(void)
{
        static const char *const names[] = { "lines",    "bare.db",      "bare.db-wal", "bare.db-shm",
                                             "items.db", "items.db-wal", "items.db-shm" };
        char path[64];

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                (void) snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
                (void) unlink(path);
        }
        (void) rmdir(folder);
}

int main(void)
{
        _cleanup_free_ char *bare = NULL, *items = NULL;
        double bare_insert, bare_lookup;
        Counts counts;

        check(mkdtemp(folder) ? 0 : -errno, folder);
        (void) atexit(clean_up);
        bare = asprintf_or_null("%s/bare.db", folder);
        items = asprintf_or_null("%s/items.db", folder);
        int fd = make_lines();

        printf("%u records of about %u bytes, keys in random order, rates by processor time\n", N_RECORDS,
               RECORD_BYTES);
        (void) show("lines read and messages parsed", bench_parse(fd), 0);
        bare_insert = show("SQLite alone: rows inserted", bench_sqlite(bare, true), 0);
        bare_lookup = show("SQLite alone: rows looked up", bench_sqlite(bare, false), 0);
        (void) show("worker: all new", bench_worker(fd, items, "run-1", &counts), bare_insert);
        expect(&counts, N_RECORDS, 0);
        (void) show("worker: all unchanged", bench_worker(fd, items, "run-2", &counts), bare_lookup);
        expect(&counts, 0, N_RECORDS);
        return EXIT_SUCCESS;
}
