/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See ended-sessions.h. The file has lines "KEY SESSION SECONDS": the hash of an API key, the id of one of its
 * sessions, and when that expires. SESSION is "all" for those of a key that expire no later, and so is KEY for those
 * of all keys. */

#include "http/ended-sessions.h"

#include <inttypes.h>
#include <stdio.h>
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
#define LINE_BYTES 128U /* and more than any line has */
#define ALL        "all"

typedef struct Ended {
        char id[SESSION_ID_TEXT_MAX];
        usec_t expires_usec;
} Ended;

/* Sessions of one API key. */
typedef struct EndedKey {
        char hash[SHA256_HEX_MAX];
        usec_t all_until_usec; /* whatever expires no later has ended */
        unsigned n;
        Ended sessions[ENDED_SESSIONS_PER_KEY_MAX + 1]; /* one is being added */
        bool lost;
        UT_hash_handle hh;
} EndedKey;

struct EndedSessions {
        char *path; /* NULL: nowhere */
        EndedKey *keys;
        usec_t all_until_usec; /* the same, of all keys */
};

static void forget(EndedSessions *ended, EndedKey *key)
{
        HASH_DELETE(hh, ended->keys, key);
        free(key);
}

EndedSessions *ended_sessions_free(EndedSessions *ended)
{
        if (!ended)
                return NULL;
        while (ended->keys)
                forget(ended, ended->keys);
        free(ended->path);
        free(ended);
        return NULL;
}

static EndedKey *find(const EndedSessions *ended, const char *hash)
{
        EndedKey *key;

        HASH_FIND_STR(ended->keys, hash, key);
        return key;
}

bool ended_sessions_has(const EndedSessions *ended, const Session *session)
{
        const EndedKey *key = find(ended, session->hash);

        if (session->expires_usec <= MAX(ended->all_until_usec, key ? key->all_until_usec : 0))
                return true;
        for (unsigned i = 0; key && i < key->n; i++)
                if (streq(key->sessions[i].id, session->id))
                        return true;
        return false;
}

/* ---- Room */

/* Those that expire no later need not be known one by one. */
static void drop_until(EndedKey *key, usec_t usec)
{
        unsigned n = 0;

        for (unsigned i = 0; i < key->n; i++)
                if (key->sessions[i].expires_usec > usec)
                        key->sessions[n++] = key->sessions[i];
        key->n = n;
}

static usec_t first_usec(const EndedKey *key)
{
        usec_t usec = USEC_INFINITY;

        for (unsigned i = 0; i < key->n; i++)
                usec = MIN(usec, key->sessions[i].expires_usec);
        return usec;
}

static usec_t last_usec(const EndedKey *key)
{
        usec_t usec = key->all_until_usec;

        for (unsigned i = 0; i < key->n; i++)
                usec = MAX(usec, key->sessions[i].expires_usec);
        return usec;
}

static void drop_expired(EndedSessions *ended, usec_t now_usec)
{
        EndedKey *key, *next;

        HASH_ITER(hh, ended->keys, key, next) {
                drop_until(key, now_usec);
                if (last_usec(key) <= now_usec)
                        forget(ended, key);
        }
}

/* The key whose sessions are the first to have all expired. */
static void drop_key(EndedSessions *ended)
{
        EndedKey *first = ended->keys;

        for (EndedKey *key = first->hh.next; key; key = key->hh.next)
                if (last_usec(key) < last_usec(first))
                        first = key;
        ended->all_until_usec = MAX(ended->all_until_usec, last_usec(first));
        forget(ended, first);
}

static int find_or_add(EndedSessions *ended, const char *hash, EndedKey **ret)
{
        EndedKey *key = find(ended, hash);

        if (!key) {
                key = calloc(1, sizeof(*key));
                if (!key)
                        return -ENOMEM;
                (void) snprintf(key->hash, sizeof(key->hash), "%s", hash);
                HASH_ADD_STR(ended->keys, hash, key);
                if (key->lost) {
                        free(key);
                        return -ENOMEM;
                }
        }
        *ret = key;
        return 0;
}

static int insert(EndedSessions *ended, const char *hash, const char *id, usec_t expires_usec)
{
        EndedKey *key;
        Ended *one;

        if (!find(ended, hash) && HASH_COUNT(ended->keys) >= ENDED_KEYS_MAX)
                drop_key(ended);
        if (find_or_add(ended, hash, &key) < 0)
                return -ENOMEM;
        one = &key->sessions[key->n++];
        (void) snprintf(one->id, sizeof(one->id), "%s", id);
        one->expires_usec = expires_usec;
        if (key->n > ENDED_SESSIONS_PER_KEY_MAX) {
                key->all_until_usec = MAX(key->all_until_usec, first_usec(key));
                drop_until(key, key->all_until_usec);
        }
        return 0;
}

/* ---- The file */

static void append(Buffer *text, const char *key, const char *session, usec_t usec)
{
        buffer_append_format(text, "%s %s %" PRIu64 "\n", key, session, usec / USEC_PER_SEC);
}

static int save(const EndedSessions *ended)
{
        _cleanup_buffer_ Buffer text = {};

        if (!ended->path)
                return 0;
        append(&text, ALL, ALL, ended->all_until_usec);
        for (const EndedKey *key = ended->keys; key; key = key->hh.next) {
                if (key->all_until_usec > 0)
                        append(&text, key->hash, ALL, key->all_until_usec);
                for (unsigned i = 0; i < key->n; i++)
                        append(&text, key->hash, key->sessions[i].id, key->sessions[i].expires_usec);
        }
        return text.failed ? -ENOMEM : write_file_atomic(ended->path, text.data, text.size, S_IRUSR | S_IWUSR);
}

static int take(EndedSessions *ended, const char *hash, const char *id, usec_t usec)
{
        EndedKey *key;
        int r;

        if (streq(hash, ALL)) {
                ended->all_until_usec = usec;
                return streq(id, ALL) ? 0 : -EBADMSG;
        }
        if (strlen(hash) != SHA256_HEX_MAX - 1)
                return -EBADMSG;
        if (streq(id, ALL)) {
                r = find_or_add(ended, hash, &key);
                if (r >= 0)
                        key->all_until_usec = usec;
                return r;
        }
        return strlen(id) == SESSION_ID_TEXT_MAX - 1 ? insert(ended, hash, id, usec) : -EBADMSG;
}

static int read_line(EndedSessions *ended, char *line)
{
        char *id = strchr(line, ' '), *seconds = id ? strchr(id + 1, ' ') : NULL;
        uint64_t sec;

        if (!seconds || parse_uint64(seconds + 1, &sec) < 0 || sec > UINT64_MAX / USEC_PER_SEC)
                return -EBADMSG;
        *id++ = *seconds = '\0';
        return take(ended, line, id, sec * USEC_PER_SEC);
}

static int load(EndedSessions *ended, usec_t now_usec)
{
        _cleanup_free_ char *text = NULL;
        bool has_all = false;
        int r;

        r = read_file(ended->path, (1 + ENDED_KEYS_MAX * (1 + ENDED_SESSIONS_PER_KEY_MAX)) * LINE_BYTES, &text, NULL);
        if (r < 0)
                return r == -ENOENT || r == -ENOTDIR ? 0 : r;
        for (char *line = text, *end; *line; line = end + 1) {
                end = strchr(line, '\n');
                if (!end)
                        return -EBADMSG;
                *end = '\0';
                has_all |= startswith(line, ALL " " ALL " ") != NULL;
                r = read_line(ended, line);
                if (r < 0)
                        return r;
        }
        drop_expired(ended, now_usec);
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
        drop_expired(ended, now_usec);
        r = insert(ended, session->hash, session->id, session->expires_usec);
        if (r < 0)
                return r;
        return save(ended) < 0 ? 1 : 0;
}

void ended_sessions_remove(const char *folder)
{
        _cleanup_free_ char *path = asprintf_or_null("%s/" LIST_FILE, folder);

        if (path)
                (void) unlink(path);
}
