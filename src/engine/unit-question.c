/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See unit-question.h. */

#include "engine/unit-question.h"

#include <stdlib.h>
#include <utlist.h>

#include "config.h"

#include "base/names.h"
#include "base/string-util.h"
#include "engine/launcher-impl.h"

struct UnitQuestion {
        UnitQuestions *questions;
        QueuedCall *call;
        LauncherVerifyCallback verify_cb; /* this, or the next */
        LauncherUsageCallback usage_cb;
        uid_t uid;
        char *path;
        bool shutdown;
        void *userdata;
        UnitQuestion *prev, *next;
};

void unit_usage(const UnitProperties *p, WorkerExit *how)
{
        how->cpu_usec = p->cpu_nsec == UINT64_MAX ? COUNT_UNKNOWN : p->cpu_nsec / NSEC_PER_USEC;
        how->memory_peak_bytes = p->memory_peak_bytes;
        how->io_read_bytes = p->io_read_bytes;
        how->io_write_bytes = p->io_write_bytes;
}

static void question_free(UnitQuestion *question)
{
        DL_DELETE(question->questions->list, question);
        queued_call_forget(question->call);
        free(question->path);
        free(question);
}

static void on_reply(int error, sd_bus_message *reply, void *userdata)
{
        UnitQuestion *question = userdata;
        UnitProperties p = UNIT_PROPERTIES_INIT;
        WorkerExit usage = WORKER_EXIT_INIT;
        int r;

        question->call = NULL;
        r = pid1_read_properties(error, reply, &p);
        if (question->usage_cb) {
                if (r >= 0)
                        unit_usage(&p, &usage);
                usage.shutdown = question->shutdown;
                question->usage_cb(&usage, question->userdata);
        } else {
                if (r < 0)
                        r = r == -ENOMEM ? r : -EAGAIN;
                else if (p.uid == UINT32_MAX || p.uid != question->uid)
                        r = -EACCES;
                question->verify_cb(r, question->userdata);
        }
        question_free(question);
}

static int ask_service(UnitQuestion *question)
{
        return pid1_get_all(question->questions->pid1, question->path, SYSTEMD_IFACE_SERVICE, on_reply, question,
                            &question->call);
}

/* A worker may be quicker to say that it was stopped than PID 1: so it is asked first why. */
static void on_system_state(int error, sd_bus_message *reply, void *userdata)
{
        UnitQuestion *question = userdata;
        int r;

        question->call = NULL;
        question->shutdown = pid1_is_stopping(error, reply);
        r = ask_service(question);
        if (r < 0)
                on_reply(r, NULL, question);
}

static int ask(UnitQuestions *questions, const char *connector, const UnitQuestion *question)
{
        _cleanup_free_ char *name = asprintf_or_null(SYNCRUN_UNIT_PREFIX "%s" SYNCRUN_UNIT_SUFFIX, connector);
        _cleanup_free_ UnitQuestion *copy = malloc(sizeof(UnitQuestion));
        int r;

        if (!name || !copy)
                return -ENOMEM;
        *copy = *question;
        copy->questions = questions;
        r = sd_bus_path_encode(SYSTEMD_PATH_UNIT, name, &copy->path);
        if (r < 0)
                return r;
        r = question->usage_cb ? pid1_get_system_state(questions->pid1, on_system_state, copy, &copy->call)
                               : ask_service(copy);
        if (r < 0) {
                free(copy->path);
                return r;
        }
        DL_APPEND(questions->list, copy);
        TAKE_PTR(copy);
        return 0;
}

int unit_question_verify(UnitQuestions *questions, const char *connector, uid_t uid, LauncherVerifyCallback cb,
                         void *userdata)
{
        return ask(questions, connector, &(UnitQuestion){ .verify_cb = cb, .uid = uid, .userdata = userdata });
}

int unit_question_usage(UnitQuestions *questions, const char *connector, LauncherUsageCallback cb, void *userdata)
{
        return ask(questions, connector, &(UnitQuestion){ .usage_cb = cb, .userdata = userdata });
}

void unit_questions_done(UnitQuestions *questions)
{
        while (questions->list)
                question_free(questions->list);
}

/* As StateDirectory= of the unit says. */
char *unit_question_state_directory(const Launcher *base, const char *connector)
{
        return asprintf_or_null(SYNCRUN_LOCALSTATEDIR "/lib/syncrun-connector/%s", connector);
}
