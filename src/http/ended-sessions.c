/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See ended-sessions.h. The file has a line "all SECONDS": what expires no later has ended; and one "ID SECONDS" for
 * each session, with when it expires. */

#include "http/ended-sessions.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define uthash_nonfatal_oom(element) ((element)->lost = true)
#include <uthash.h>

#include "base/buffer.h"
#include "base/fd-util.h"
#include "base/string-util.h"
#include "base/time-util.h"

#define LIST_FILE  "sessions-ended"
#define LINE_BYTES 64U /* and more than any line has */
#define ALL        "all"

typedef struct EndedSession {
        char id[SESSION_ID_TEXT_MAX];
        usec_t expires_usec;
        bool lost;
        UT_hash_handle hh;
} EndedSession;

struct EndedSessions {
        char *path; /* NULL: nowhere */
        EndedSession *table;
        usec_t all_until_usec; /* whatever expires no later has ended */
};

static void forget(EndedSessions *ended, EndedSession *one)
{
        HASH_DELETE(hh, ended->table, one);
        free(one);
}

EndedSessions *ended_sessions_free(EndedSessions *ended)
{
        if (!ended)
                return NULL;
        while (ended->table)
                forget(ended, ended->table);
        free(ended->path);
        free(ended);
        return NULL;
}

static EndedSession *find(const EndedSessions *ended, const char *id)
{
        EndedSession *one;

        HASH_FIND_STR(ended->table, id, one);
        return one;
}

bool ended_sessions_has(const EndedSessions *ended, const Session *session)
{
        return session->expires_usec <= ended->all_until_usec || find(ended, session->id);
}

static int insert(EndedSessions *ended, const char *id, usec_t expires_usec)
{
        EndedSession *one = calloc(1, sizeof(*one));

        if (!one)
                return -ENOMEM;
        memcpy(one->id, id, sizeof(one->id));
        one->expires_usec = expires_usec;
        HASH_ADD_STR(ended->table, id, one);
        if (one->lost) {
                free(one);
                return -ENOMEM;
        }
        return 0;
}

/* Makes room: of those that have expired, and, where there are none, of that which does so first. */
static void make_room(EndedSessions *ended, usec_t now_usec)
{
        EndedSession *one, *next, *first = NULL;

        HASH_ITER(hh, ended->table, one, next) {
                if (one->expires_usec <= now_usec)
                        forget(ended, one);
                else if (!first || one->expires_usec < first->expires_usec)
                        first = one;
        }
        if (HASH_COUNT(ended->table) <= ENDED_SESSIONS_MAX)
                return;
        ended->all_until_usec = MAX(ended->all_until_usec, first->expires_usec);
        forget(ended, first);
}

/* ---- The file */

static int save(const EndedSessions *ended)
{
        _cleanup_buffer_ Buffer text = {};

        if (!ended->path)
                return 0;
        buffer_append_format(&text, ALL " %" PRIu64 "\n", ended->all_until_usec / USEC_PER_SEC);
        for (const EndedSession *one = ended->table; one; one = one->hh.next)
                buffer_append_format(&text, "%s %" PRIu64 "\n", one->id, one->expires_usec / USEC_PER_SEC);
        return text.failed ? -ENOMEM : write_file_atomic(ended->path, text.data, text.size, S_IRUSR | S_IWUSR);
}

static int read_line(EndedSessions *ended, char *line, usec_t now_usec)
{
        char *blank = strchr(line, ' ');
        uint64_t sec;

        if (!blank || parse_uint64(blank + 1, &sec) < 0 || sec > UINT64_MAX / USEC_PER_SEC)
                return -EBADMSG;
        *blank = '\0';
        if (streq(line, ALL)) {
                ended->all_until_usec = sec * USEC_PER_SEC;
                return 0;
        }
        if (strlen(line) != SESSION_ID_TEXT_MAX - 1)
                return -EBADMSG;
        return sec * USEC_PER_SEC <= now_usec || find(ended, line) ? 0 : insert(ended, line, sec * USEC_PER_SEC);
}

static int load(EndedSessions *ended, usec_t now_usec)
{
        _cleanup_free_ char *text = NULL;
        bool has_all = false;
        int r;

        r = read_file(ended->path, (ENDED_SESSIONS_MAX + 1) * LINE_BYTES, &text, NULL);
        if (r < 0)
                return r == -ENOENT || r == -ENOTDIR ? 0 : r;
        for (char *line = text, *end; *line; line = end + 1) {
                end = strchr(line, '\n');
                if (!end)
                        return -EBADMSG;
                *end = '\0';
                has_all |= startswith(line, ALL " ") != NULL;
                r = read_line(ended, line, now_usec);
                if (r < 0)
                        return r;
        }
        return has_all ? 0 : -EBADMSG;
}

int ended_sessions_load(const char *folder, usec_t now_usec, EndedSessions **ret)
{
        _cleanup_(ended_sessions_freep) EndedSessions *ended = calloc(1, sizeof(*ended));
        int r = 0;

        if (!ended)
                return -ENOMEM;
        if (folder) {
                ended->path = asprintf_or_null("%s/" LIST_FILE, folder);
                r = ended->path ? load(ended, now_usec) : -ENOMEM;
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(ended);
        return 0;
}

int ended_sessions_add(EndedSessions *ended, const Session *session, usec_t now_usec)
{
        int r;

        if (ended_sessions_has(ended, session))
                return 0;
        r = insert(ended, session->id, session->expires_usec);
        if (r < 0)
                return r;
        make_room(ended, now_usec);
        return save(ended) < 0 ? 1 : 0;
}

void ended_sessions_remove(const char *folder)
{
        _cleanup_free_ char *path = asprintf_or_null("%s/" LIST_FILE, folder);

        if (path)
                (void) unlink(path);
}
