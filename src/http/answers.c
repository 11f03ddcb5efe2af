/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See answers.h. An answer that was asked for while the history was of one version, and comes while that is the newest
 * one that is known of, is what everybody is told until there is another: see model/changes.h. Events also leave
 * answers by their age, without a commit; an answer is kept until the first of its own does. */

#include "http/answers.h"

#include <inttypes.h>
#include <microhttpd.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/time-util.h"
#include "http/app.h"
#include "http/backend.h"
#include "http/kept.h"
#include "http/respond.h"
#include "model/changes.h"

struct Answers {
        App *app;
        ChangesReader *reader; /* NULL: nothing can be kept */
        ClientCall *call;
        ChangesState state; /* of all that is kept */
        KeptAnswers kept;
        uint64_t n_given;
};

/* What is known when an answer is asked for: request->state. */
typedef struct Asked {
        ChangesState state;
        usec_t usec; /* CLOCK_REALTIME */
        char key[];
} Asked;

static bool same_state(const ChangesState *a, const ChangesState *b)
{
        return a->version == b->version && a->events_max_age_usec == b->events_max_age_usec;
}

/* ---- Keeping */

/* When the first of the answer's events is too old; what metadata says beside may only bring that forward. */
static usec_t events_hold_until(const char *text, usec_t max_age_usec)
{
        static const char mark[] = "\"timestamp\":\"";
        usec_t oldest = USEC_INFINITY, usec;

        while ((text = strstr(text, mark))) {
                char time[TIMESTAMP_TEXT_MAX] = "";

                text += strlen(mark);
                memcpy(time, text, MIN(strcspn(text, "\""), sizeof(time) - 1));
                if (timestamp_parse_iso(time, &usec) < 0)
                        return 0;
                oldest = MIN(oldest, usec);
        }
        return usec_add(oldest, max_age_usec);
}

/* Answers are of the newest version that was asked in: those of older ones are of no use to anybody. */
static void keep(Answers *answers, const Asked *asked, sd_bus_message *reply, const char *text)
{
        Kept kept = {
                .message = reply,
                .text = text,
                .size = strlen(text),
                .from_usec = asked->usec,
                .until_usec = events_hold_until(text, asked->state.events_max_age_usec),
        };

        if (asked->state.version < answers->state.version)
                return;
        if (!same_state(&asked->state, &answers->state))
                kept_drop_all(&answers->kept);
        answers->state = asked->state;
        if (respond_tag(text, kept.size, kept.tag) >= 0)
                kept_put(&answers->kept, asked->key, &kept);
}

/* ---- Asking */

static Asked *asked_new(const ChangesState *state, const char *member, const ClientOption *options, size_t n)
{
        _cleanup_buffer_ Buffer key = {};
        Asked *asked;

        buffer_append_string(&key, member);
        for (size_t i = 0; i < n; i++)
                /* No query has a control character in it that would make two of them one. */
                switch (options[i].type) {
                case 's':
                        if (options[i].s)
                                buffer_append_format(&key, "\n%s=%s", options[i].name, options[i].s);
                        break;
                case 't':
                        buffer_append_format(&key, "\n%s=%" PRIu64, options[i].name, options[i].t);
                        break;
                case 'u':
                        buffer_append_format(&key, "\n%s=%" PRIu32, options[i].name, options[i].u);
                        break;
                default:
                        return NULL;
                }
        asked = key.failed ? NULL : malloc(sizeof(*asked) + key.size + 1);
        if (!asked)
                return NULL;
        asked->state = *state;
        asked->usec = now_usec(CLOCK_REALTIME);
        memcpy(asked->key, key.data, key.size + 1);
        return asked;
}

/* The answer, if it is kept and holds. */
static const Kept *find(Answers *answers, const Asked *asked)
{
        const Kept *kept;

        if (!same_state(&asked->state, &answers->state))
                return NULL;
        kept = kept_find(&answers->kept, asked->key);
        return kept && asked->usec >= kept->from_usec && asked->usec <= kept->until_usec ? kept : NULL;
}

static void on_described(Request *request, const ClientAnswer *answer)
{
        const char *text;

        if (answer->error < 0)
                backend_refuse(request, answer);
        else if (backend_read_text(answer->reply, &text) < 0)
                backend_refuse_reply(request);
        else {
                keep(request->app->answers, request->state, answer->reply, text);
                request_answer_message(request, MHD_HTTP_OK, answer->reply, text);
        }
}

void answers_describe(Request *request, const char *member, const ClientOption *options, size_t n, bool is_large)
{
        ClientRequest call = backend_describes(member, options, n);
        Answers *answers = request->app->answers;
        const Kept *kept;
        ChangesState state;
        Asked *asked;

        call.is_large = is_large;
        asked = answers->reader && changes_read(answers->reader, &state) ? asked_new(&state, member, options, n)
                                                                         : NULL;
        if (!asked) {
                backend_call(request, &call, backend_pass);
                return;
        }
        request->state = asked;
        kept = find(answers, asked);
        if (!kept) {
                backend_call(request, &call, on_described);
                return;
        }
        answers->n_given++;
        memcpy(request->answer.tag, kept->tag, sizeof(kept->tag));
        request_answer_message(request, MHD_HTTP_OK, kept->message, kept->text);
}

uint64_t answers_given(const Answers *answers)
{
        return answers->n_given;
}

/* ---- The daemon */

static void on_watching(const ClientAnswer *answer, void *userdata)
{
        Answers *answers = userdata;
        int page, life, r = answer->error;

        answers->call = NULL;
        if (r >= 0)
                r = sd_bus_message_read(answer->reply, "hh", &page, &life);
        if (r >= 0)
                r = changes_reader_new(page, life, &answers->reader);
        if (r < 0)
                (void) log_debug_errno(r, "No answers are kept: %m");
}

void answers_daemon_returned(Answers *answers)
{
        int r;

        r = client_async_call(answers->app->client, &(ClientRequest){ .member = "WatchChanges" }, on_watching, answers,
                              &answers->call);
        if (r < 0)
                (void) log_debug_errno(r, "No answers are kept: %m");
}

void answers_daemon_lost(Answers *answers)
{
        answers->call = client_call_cancel(answers->call);
        answers->reader = changes_reader_free(answers->reader);
        /* The next daemon begins to count anew. */
        kept_drop_all(&answers->kept);
        answers->state = (ChangesState){};
}

int answers_new(App *app, Answers **ret)
{
        Answers *answers = calloc(1, sizeof(*answers));

        if (!answers)
                return -ENOMEM;
        answers->app = app;
        *ret = answers;
        return 0;
}

Answers *answers_free(Answers *answers)
{
        if (!answers)
                return NULL;
        answers_daemon_lost(answers);
        free(answers);
        return NULL;
}
