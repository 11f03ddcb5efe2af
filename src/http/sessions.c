/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "http/sessions.h"

#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/string-util.h"
#include "base/time-util.h"
#include "http/ended-sessions.h"

struct Sessions {
        SessionKey key;
        EndedSessions *ended;
};

static int load(Sessions *sessions, const char *folder)
{
        usec_t now = now_usec(CLOCK_REALTIME);
        bool lost;
        int r;

        r = ended_sessions_load(folder, now, &sessions->ended);
        lost = r < 0 && r != -ENOMEM;
        if (lost) {
                (void) log_warning_errno(r, "It cannot be read which sessions have ended, so that all have: %m");
                ended_sessions_remove(folder);
                r = ended_sessions_load(folder, now, &sessions->ended);
                if (r < 0)
                        r = ended_sessions_load(NULL, now, &sessions->ended);
        }
        if (r < 0)
                return r;
        r = lost ? session_key_renew(folder, &sessions->key) : session_key_load(folder, &sessions->key);
        if (r > 0)
                log_warning("The key of sessions cannot be kept: they end with this process.");
        return MIN(r, 0);
}

int sessions_load(const char *folder, Sessions **ret)
{
        Sessions *sessions = calloc(1, sizeof(*sessions));
        int r;

        if (!sessions)
                return -ENOMEM;
        r = load(sessions, folder);
        if (r < 0) {
                sessions_free(sessions);
                return r;
        }
        *ret = sessions;
        return 0;
}

Sessions *sessions_free(Sessions *sessions)
{
        if (!sessions)
                return NULL;
        ended_sessions_free(sessions->ended);
        explicit_bzero(&sessions->key, sizeof(sessions->key));
        free(sessions);
        return NULL;
}

int sessions_begin(const Sessions *sessions, const char *hash, char **ret, usec_t *ret_expires_usec)
{
        char text[SESSION_TEXT_MAX];
        Session session;
        int r;

        r = session_begin(hash, now_usec(CLOCK_REALTIME), &session);
        if (r >= 0)
                r = session_write(&sessions->key, &session, text);
        if (r < 0)
                return r;
        *ret = strdup(text);
        if (!*ret)
                return -ENOMEM;
        *ret_expires_usec = session.expires_usec;
        return 0;
}

int sessions_read(const Sessions *sessions, const char *text, Session *ret)
{
        Session session;
        int r;

        r = session_read(&sessions->key, text, now_usec(CLOCK_REALTIME), &session);
        if (r < 0)
                return r;
        if (sessions_has_ended(sessions, &session))
                return -ETIME;
        *ret = session;
        return 0;
}

bool sessions_has_ended(const Sessions *sessions, const Session *session)
{
        return ended_sessions_has(sessions->ended, session);
}

int sessions_end(Sessions *sessions, const Session *session)
{
        int r = ended_sessions_add(sessions->ended, session, now_usec(CLOCK_REALTIME));

        if (r > 0)
                log_warning("A session that was signed out of cannot be noted: it holds again when this program was "
                            "started anew.");
        return MIN(r, 0);
}
