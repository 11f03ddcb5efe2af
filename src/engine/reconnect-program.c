/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ExecReconnect= of connections: begun, stopped, and what becomes of it. It is remembered from its beginning to its
 * end, so that each has an end, also where the daemon was away. */

#include <stdlib.h>

#include "base/json-util.h"
#include "base/log.h"
#include "engine/connection-state.h"
#include "engine/publication.h"
#include "engine/reconnect.h"

static bool is_running(const ConnectionRecord *record)
{
        return record->reconnect_begun_usec > 0 && record->reconnect_ended_usec == 0;
}

/* ---- Beginning */

typedef struct LaunchPublication {
        Publication publication;
        ConnectionEntry *connection;
} LaunchPublication;

static void launch(ConnectionEntry *connection)
{
        Engine *engine = connection->engine;
        int r;

        if (connection->abandoned)
                return; /* when that one has ended */
        r = launcher_start_task(engine->launcher, TASK_RECONNECT, connection->name);
        if (r < 0 && r != -EEXIST)
                reconnect_program_ended(engine, connection->name,
                                        &(TaskExit){ .result = RECONNECT_FAILED,
                                                     .status = "",
                                                     .reason = strerror(-r) });
}

static void on_launch_publication(Engine *engine, Publication *publication, int error)
{
        LaunchPublication *p = container_of(publication, LaunchPublication, publication);
        ConnectionEntry *connection = p->connection;

        free(p);
        if (error >= 0 && is_running(&connection->record))
                launch(connection);
}

int reconnect_program_begin(ConnectionEntry *connection, const char *requested_by)
{
        ConnectionRecord *record = &connection->record;
        LaunchPublication *p;

        if (is_running(record))
                return 0;
        p = calloc(1, sizeof(LaunchPublication));
        if (!p || free_and_strdup(&record->reconnect_requested_by, requested_by) < 0) {
                free(p);
                return -ENOMEM;
        }
        p->connection = connection;
        record->reconnect_begun_usec = engine_now(connection->engine, CLOCK_REALTIME);
        record->reconnect_ended_usec = 0;
        record->reconnect_result = _RECONNECT_RESULT_INVALID;
        record->reconnect_message = (free(record->reconnect_message), NULL);
        connection_changed(connection, 0);
        publication_queue(connection->engine, &p->publication, on_launch_publication);
        return 0;
}

/* ---- The end */

/* What the program's keeper said of it: {"result":"...","message":"...","consent_expires":usec}. */
typedef struct Said {
        ReconnectResult result;
        char *message;
        usec_t consent_expires_usec;
} Said;

static int read_status(const TaskExit *how, Said *ret)
{
        _cleanup_json_ struct json_object *object = NULL, *unused = NULL;
        struct json_object *result = NULL, *message = NULL, *expires = NULL;
        const char *text = how->reason;

        *ret = (Said) { .result = how->result };
        if (json_parse(how->status, strlen(how->status), &object) >= 0 &&
            json_object_is_type(object, json_type_object)) {
                (void) json_object_object_get_ex(object, "result", &result);
                (void) json_object_object_get_ex(object, "message", &message);
                (void) json_object_object_get_ex(object, "consent_expires", &expires);
        }
        /* It knows why better than the launcher does; whether it succeeded, the launcher knows. */
        if (how->result == RECONNECT_FAILED && json_object_is_type(result, json_type_string) &&
            reconnect_result_from_string(json_object_get_string(result)) == RECONNECT_TIMEOUT)
                ret->result = RECONNECT_TIMEOUT;
        if (json_object_is_type(message, json_type_string) && !isempty(json_object_get_string(message)))
                text = json_object_get_string(message);
        if (how->result == RECONNECT_SUCCESS && json_object_is_type(expires, json_type_int) &&
            json_object_get_int64(expires) > 0)
                ret->consent_expires_usec = (usec_t) json_object_get_int64(expires);
        if (isempty(text))
                return 0;
        ret->message = utf8_sanitize(text, strlen(text), RECONNECT_MESSAGE_MAX);
        return ret->message ? 0 : -ENOMEM;
}

void reconnect_program_ended(Engine *engine, const char *name, const TaskExit *how)
{
        ConnectionEntry *connection = NULL;
        ConnectionRecord *record;
        Said said;
        int r;

        HASH_FIND_STR(engine->connections, name, connection);
        if (connection && connection->abandoned) {
                connection->abandoned = false;
                if (is_running(&connection->record)) /* another one was asked for since */
                        launch(connection);
                return;
        }
        if (!connection || engine->broken < 0 || !is_running(&connection->record))
                return;
        record = &connection->record;
        r = read_status(how, &said);
        if (r < 0) {
                engine_break(engine, r);
                return;
        }
        record->reconnect_ended_usec = MAX(engine_now(engine, CLOCK_REALTIME), record->reconnect_begun_usec);
        record->reconnect_result = said.result;
        free(record->reconnect_message);
        record->reconnect_message = said.message;
        if (said.result == RECONNECT_SUCCESS)
                r = reconnect_succeeded(connection, said.consent_expires_usec, record->reconnect_requested_by);
        else
                connection_changed(connection, CONNECTION_NEWS_RECONNECT);
        if (r < 0)
                engine_break(engine, r);
}

/* Its end is awaited without being of interest: nothing else may be begun in its place before. */
static void stop(ConnectionEntry *connection)
{
        int r = launcher_stop_task(connection->engine->launcher, TASK_RECONNECT, connection->name);

        connection->abandoned = r != -ENOENT;
        if (r < 0 && r != -ENOENT)
                log_debug_errno(r, "The program that reconnects %s cannot be stopped: %m", connection->name);
}

/* The daemon may have ended before it could stop what a withdrawal had ended. */
static void stop_abandoned(ConnectionEntry *connection)
{
        const ConnectionRecord *record = &connection->record;
        int r;

        if (!record->withdrawn || record->reconnect_result != RECONNECT_CANCELLED)
                return;
        r = launcher_adopt_task(connection->engine->launcher, TASK_RECONNECT, connection->name);
        if (r >= 0 || r == -EEXIST)
                stop(connection);
}

int reconnect_program_abandon(ConnectionEntry *connection)
{
        ConnectionRecord *record = &connection->record;

        if (!is_running(record)) {
                connection_changed(connection, 0);
                return 0;
        }
        if (free_and_strdup(&record->reconnect_message, "The consent was withdrawn.") < 0)
                return -ENOMEM;
        record->reconnect_ended_usec = MAX(engine_now(connection->engine, CLOCK_REALTIME),
                                           record->reconnect_begun_usec);
        record->reconnect_result = RECONNECT_CANCELLED;
        connection_changed(connection, CONNECTION_NEWS_RECONNECT);
        stop(connection);
        return 0;
}

void reconnect_programs_resume(Engine *engine)
{
        ConnectionEntry *connection, *next;
        int r;

        HASH_ITER(hh, engine->connections, connection, next) {
                if (!is_running(&connection->record)) {
                        stop_abandoned(connection);
                        continue;
                }
                connection->abandoned = false;
                r = launcher_adopt_task(engine->launcher, TASK_RECONNECT, connection->name);
                if (r < 0 && r != -EEXIST) {
                        log_debug_errno(r, "Could not look for the program that reconnects %s: %m", connection->name);
                        reconnect_program_ended(engine, connection->name,
                                                &(TaskExit){ .result = RECONNECT_INTERRUPTED,
                                                             .status = "",
                                                             .reason = "The service was not there when it ended." });
                }
        }
}

/* ---- Stopping */

int engine_cancel_reconnect(Engine *engine, const char *name, const char *user_id, EngineReply reply, void *userdata)
{
        ConnectionEntry *connection = connection_table_find(engine, name);
        _cleanup_(reply_freep) Reply *answer = NULL;
        int r;

        if (!connection || !connection_has_part(connection, user_id))
                return -ENOLINK;
        if (!is_running(&connection->record))
                return -EALREADY;
        r = reply_new(engine, reply, userdata, &answer);
        if (r >= 0)
                r = launcher_stop_task(engine->launcher, TASK_RECONNECT, name);
        if (r == -ENOENT)
                return -EALREADY; /* it has not begun yet, or has just ended */
        if (r < 0)
                return r;
        reply_queue(engine, TAKE_PTR(answer), 0);
        return 0;
}
