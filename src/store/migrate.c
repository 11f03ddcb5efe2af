/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "store/migrate.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store/query.h"
#include "store/schema-17.h"
#include "store/schema.h"

const Migration store_migrations[] = {
        { 1, schema_v1 },
        { 2, schema_v2 },
        { 3, schema_v3 },
        { 4, schema_v4 },
        { 5, schema_v5 },
        { 6, schema_v6 },
        { 7, schema_v7 },
        { 8, schema_v8 },
        { 9, schema_v9 },
        { 10, schema_v10 },
        { 11, schema_v11 },
        { 12, schema_v12 },
        { 13, schema_v13 },
        { 14, schema_v14 },
        { 15, schema_v15 },
        { 16, schema_v16 },
        { 17, schema_v17 },
        { 18, schema_v18 },
        { 19, schema_v19 },
        { 20, schema_v20 },
};
const size_t n_store_migrations = ELEMENTSOF(store_migrations);

/* From "The Database Header" in sqlite.org/fileformat2.html. */
#define HEADER_SIZE               100
#define HEADER_USER_VERSION_AT    60
#define HEADER_APPLICATION_ID_AT  68

static uint32_t read_be32(const uint8_t *p)
{
        return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 | (uint32_t) p[2] << 8 | p[3];
}

/* An unfinished creation has neither number. */
static int judge(uint32_t application_id, unsigned version, unsigned newest)
{
        if (application_id != STORE_APPLICATION_ID && (application_id != 0 || version != 0))
                return -EUCLEAN;
        return version > newest ? -EPROTONOSUPPORT : 0;
}

int migrate_examine_header(int fd, unsigned newest, unsigned *ret_version)
{
        static const char magic[16] = "SQLite format 3";
        uint8_t header[HEADER_SIZE];
        unsigned version;
        ssize_t n;
        int r;

        n = pread(fd, header, sizeof(header), 0);
        if (n < 0)
                return -errno;
        if (n == 0)
                return 0;
        if (n < HEADER_SIZE || memcmp(header, magic, sizeof(magic)) != 0)
                return -EUCLEAN;
        version = read_be32(header + HEADER_USER_VERSION_AT);
        r = judge(read_be32(header + HEADER_APPLICATION_ID_AT), version, newest);
        if (r == -EPROTONOSUPPORT)
                *ret_version = version;
        return r;
}

static int get_number(Db *db, const char *sql, int64_t *ret)
{
        _cleanup_query_ Query query = query_begin(db, sql);
        int r;

        r = query_step(&query);
        if (r < 0)
                return r;
        *ret = r > 0 ? query_get_int(&query) : 0;
        return 0;
}

static int get_version(Db *db, unsigned *ret)
{
        static const char sql[] = "PRAGMA user_version";
        int64_t version;
        int r;

        r = get_number(db, sql, &version);
        if (r < 0)
                return r;
        *ret = (unsigned) version;
        return 0;
}

int migrate_examine(Db *db, unsigned newest, unsigned *ret_version)
{
        static const char id_sql[] = "PRAGMA application_id", tables_sql[] = "SELECT count(*) FROM sqlite_schema";
        int64_t application_id, n_tables;
        unsigned version;
        int r;

        r = get_version(db, &version);
        if (r < 0)
                return r;
        r = get_number(db, id_sql, &application_id);
        if (r < 0)
                return r;
        r = get_number(db, tables_sql, &n_tables);
        if (r < 0)
                return r;
        *ret_version = version;
        if (version == 0 && n_tables > 0)
                return -EUCLEAN;
        return judge((uint32_t) application_id, version, newest);
}

static int apply(Db *db, const Migration *migration)
{
        char set_version[64];
        int r;

        (void) snprintf(set_version, sizeof(set_version), "PRAGMA user_version = %u", migration->version);
        r = db_begin(db);
        if (r < 0)
                return r;
        r = db_execute(db, migration->sql);
        if (r >= 0)
                r = db_execute(db, set_version);
        if (r >= 0)
                r = db_commit(db);
        if (r < 0)
                db_rollback(db);
        return r;
}

int migrate(Db *db, const Migration *migrations, size_t n)
{
        unsigned version;
        int r;

        r = get_version(db, &version);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                if (migrations[i].version <= version)
                        continue;
                r = apply(db, &migrations[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}
