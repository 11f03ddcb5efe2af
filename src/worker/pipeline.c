/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See pipeline.h. */

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd-util.h"
#include "base/log.h"
#include "worker/pipeline.h"

/* Large pipes save turns; where the kernel grants none, the usual size does. */
#define PIPE_BYTES (1 * (int) MIB)

#define PROC_FD_PATH_MAX sizeof("/proc/self/fd/-2147483648")

typedef struct Stage {
        Pipeline *pipeline;
        Process *process;
        int output_fd;  /* its output's pipe, open for neither reading nor writing */
        bool told;      /* to stop, by us, before it ended */
        bool ended;     /* as far as we were told */
        bool unread;    /* nobody had its output open any more when it had ended */
        unsigned order; /* in which the stages ended, from 1; 0: not yet */
} Stage;

struct Pipeline {
        sd_event *event;
        PipelineCallbacks callbacks;
        Stage *stages;
        size_t n_stages;
        unsigned n_ended;
        unsigned n_ordered;
        int out_fd;
        bool output_ended;
        bool stopping; /* TERM was sent */
        bool abandoned;
        sd_event_source *timer;
};

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata);

static bool is_last(const Stage *stage)
{
        return stage + 1 == stage->pipeline->stages + stage->pipeline->n_stages;
}

static void arm(Pipeline *pipeline, usec_t usec)
{
        pipeline->timer = sd_event_source_disable_unref(pipeline->timer);
        (void) sd_event_add_time_relative(pipeline->event, &pipeline->timer, CLOCK_MONOTONIC, usec, 50 * USEC_PER_MSEC,
                                          on_timer, pipeline);
}

static void signal_running(Pipeline *pipeline, int signal_number)
{
        for (size_t i = 0; i < pipeline->n_stages; i++) {
                Stage *stage = pipeline->stages + i;

                if (stage->ended)
                        continue;
                stage->told = true;
                process_signal(stage->process, signal_number);
                process_signal(stage->process, SIGCONT); /* one that was stopped would not hear of it */
        }
}

bool pipeline_has_ended(const Pipeline *pipeline)
{
        return pipeline->n_ended == pipeline->n_stages;
}

void pipeline_stop(Pipeline *pipeline)
{
        if (pipeline_has_ended(pipeline))
                return;
        signal_running(pipeline, pipeline->stopping ? SIGKILL : SIGTERM);
        pipeline->stopping = true;
        arm(pipeline, PIPELINE_GRACE_USEC);
}

/* Whether anything could still write to the output; what was written may wait there for its reader. */
static bool is_held_open(const Pipeline *pipeline)
{
        struct pollfd poll_fd = { .fd = pipeline->out_fd };

        return poll(&poll_fd, 1, 0) <= 0 || !(poll_fd.revents & POLLHUP);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Pipeline *pipeline = userdata;

        if (!pipeline_has_ended(pipeline)) {
                pipeline_stop(pipeline);
                return 0;
        }
        if (!pipeline->output_ended && !pipeline->abandoned && is_held_open(pipeline)) {
                pipeline->abandoned = true;
                /* Whatever holds it open was left behind by one of them. */
                for (size_t i = 0; i < pipeline->n_stages; i++)
                        process_signal(pipeline->stages[i].process, SIGKILL);
                pipeline->callbacks.abandoned(pipeline->callbacks.userdata);
        }
        return 0;
}

void pipeline_output_ended(Pipeline *pipeline)
{
        pipeline->output_ended = true;
        if (pipeline_has_ended(pipeline))
                pipeline->timer = sd_event_source_disable_unref(pipeline->timer);
        else if (!pipeline->timer)
                arm(pipeline, PIPELINE_LINGER_USEC);
}

/* Whether the end of a stage leaves another without its reader, or without what it waits for. */
static bool ended_before_its_time(const Pipeline *pipeline, const Stage *stage)
{
        if (process_exit(stage->process)->status != 0)
                return true;
        for (const Stage *before = pipeline->stages; before < stage; before++)
                if (!before->ended)
                        return true;
        return false;
}

/* Asks the pipe itself. Without /proc, a reader that has ended is one that is gone. */
static bool is_unread(const Stage *stage)
{
        _cleanup_close_ int fd = -EBADF;
        char path[PROC_FD_PATH_MAX];

        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", stage->output_fd);
        fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
                return !is_last(stage) && stage[1].ended;

        struct pollfd poll_fd = { .fd = fd };
        return poll(&poll_fd, 1, 0) > 0 && (poll_fd.revents & POLLERR);
}

/* Gives a stage that has ended its place in the order. Those before it which have ended as well, though we were not
 * told yet, come first: the end of one of them is the end of this one's input. */
static void put_in_order(Stage *stage)
{
        Pipeline *pipeline = stage->pipeline;

        for (Stage *before = pipeline->stages; before < stage; before++)
                if (before->order == 0 && process_is_dead(before->process))
                        before->order = ++pipeline->n_ordered;
        if (stage->order == 0)
                stage->order = ++pipeline->n_ordered;
}

static void on_stage_exit(Process *process, void *userdata)
{
        Stage *stage = userdata;
        Pipeline *pipeline = stage->pipeline;

        stage->ended = true;
        stage->unread = is_unread(stage); /* before anybody hears of it and goes on */
        log_debug("%s has ended.", process_name(process));
        put_in_order(stage);
        pipeline->n_ended++;
        if (pipeline_has_ended(pipeline)) {
                pipeline->timer = sd_event_source_disable_unref(pipeline->timer);
                if (!pipeline->output_ended)
                        arm(pipeline, PIPELINE_ORPHAN_USEC);
                pipeline->callbacks.ended(pipeline->callbacks.userdata);
                return;
        }
        if (!pipeline->stopping && ended_before_its_time(pipeline, stage))
                arm(pipeline, PIPELINE_GRACE_USEC);
}

/* Starts one stage that reads @in_fd. Return: as process_spawn(), and the reading end of its output. */
static int start_stage(Pipeline *pipeline, const PipelineSpec *spec, size_t i, int in_fd, int *ret_out_fd)
{
        _cleanup_close_ int read_end = -EBADF, write_end = -EBADF, output_fd = -EBADF;
        Stage *stage = pipeline->stages + i;
        char path[PROC_FD_PATH_MAX];
        int ends[2], r;

        if (pipe2(ends, O_CLOEXEC) < 0)
                return -errno;
        read_end = ends[0];
        write_end = ends[1];
        (void) fcntl(read_end, F_SETPIPE_SZ, PIPE_BYTES);

        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", write_end);
        output_fd = open(path, O_PATH | O_CLOEXEC);

        ProcessSpec process_spec = {
                .argv = spec->commands[i],
                .environment = spec->environment,
                .working_directory = spec->working_directory,
                .stdin_fd = in_fd,
                .stdout_fd = write_end,
                .relay = spec->relay,
                .on_exit = on_stage_exit,
                .userdata = stage,
        };
        stage->pipeline = pipeline;
        r = process_spawn(pipeline->event, &process_spec, &stage->process);
        if (r < 0)
                return r;
        pipeline->n_stages++;
        stage->output_fd = TAKE_FD(output_fd);
        *ret_out_fd = TAKE_FD(read_end);
        return 0;
}

int pipeline_start(sd_event *event, const PipelineSpec *spec, const PipelineCallbacks *callbacks, Pipeline **ret,
                   size_t *ret_failed)
{
        _cleanup_(pipeline_freep) Pipeline *pipeline = calloc(1, sizeof(*pipeline));
        _cleanup_close_ int in_fd = -EBADF;
        int out_fd = -EBADF, r;

        if (!pipeline)
                return -ENOMEM;
        pipeline->out_fd = -EBADF;
        pipeline->event = sd_event_ref(event);
        pipeline->callbacks = *callbacks;
        pipeline->stages = calloc(spec->n_commands, sizeof(*pipeline->stages));
        if (!pipeline->stages)
                return -ENOMEM;
        for (size_t i = 0; i < spec->n_commands; i++) {
                r = start_stage(pipeline, spec, i, in_fd, &out_fd);
                if (r < 0) {
                        *ret_failed = i;
                        return r;
                }
                (void) safe_close(in_fd);
                in_fd = out_fd;
        }
        if (fcntl(in_fd, F_SETFL, O_NONBLOCK) < 0)
                return -errno;
        pipeline->out_fd = TAKE_FD(in_fd);
        *ret = TAKE_PTR(pipeline);
        return 0;
}

Pipeline *pipeline_free(Pipeline *pipeline)
{
        if (!pipeline)
                return NULL;
        pipeline->timer = sd_event_source_disable_unref(pipeline->timer);
        for (size_t i = 0; i < pipeline->n_stages; i++) {
                process_free(pipeline->stages[i].process);
                (void) safe_close(pipeline->stages[i].output_fd);
        }
        (void) safe_close(pipeline->out_fd);
        sd_event_unref(pipeline->event);
        free(pipeline->stages);
        free(pipeline);
        return NULL;
}

int pipeline_fd(const Pipeline *pipeline)
{
        return pipeline->out_fd;
}

/* Whether a stage failed because the next one read no more: it was killed by SIGPIPE, or its words are those of
 * EPIPE. */
static bool has_lost_its_reader(const Stage *stage)
{
        const char *words = process_error(stage->process);

        if (is_last(stage) || !stage->unread)
                return false;
        return process_exit(stage->process)->signal == SIGPIPE || (words && strcasestr(words, "broken pipe"));
}

/* A smaller rank is blamed before a larger one; 0 is no failure. */
static unsigned blame_rank(const Stage *stage)
{
        if (!stage->ended || process_exit(stage->process)->status == 0)
                return 0;
        if (stage->told)
                return 3;
        return has_lost_its_reader(stage) || process_exit(stage->process)->signal == SIGPIPE ? 2 : 1;
}

/* Of two that lost their readers the later one did so first. */
static bool is_blamed_before(const Stage *a, const Stage *b)
{
        unsigned rank = blame_rank(a);

        if (rank != blame_rank(b))
                return rank < blame_rank(b);
        return rank == 2 ? a > b : a->order < b->order;
}

bool pipeline_failure(const Pipeline *pipeline, PipelineFailure *ret)
{
        const Stage *blamed = NULL;

        for (size_t i = 0; i < pipeline->n_stages; i++) {
                const Stage *stage = pipeline->stages + i;

                if (blame_rank(stage) > 0 && (!blamed || is_blamed_before(stage, blamed)))
                        blamed = stage;
        }
        if (!blamed)
                return false;
        *ret = (PipelineFailure){
                .program = process_name(blamed->process),
                .words = process_error(blamed->process),
                .reader = has_lost_its_reader(blamed) ? process_name(blamed[1].process) : NULL,
                .status = process_exit(blamed->process)->status,
                .signal = process_exit(blamed->process)->signal,
        };
        return true;
}

const char *pipeline_critical(const Pipeline *pipeline)
{
        const char *words = NULL;

        for (size_t i = 0; i < pipeline->n_stages && !words; i++)
                words = process_critical(pipeline->stages[i].process);
        return words;
}

void pipeline_usage(const Pipeline *pipeline, uint64_t *ret_cpu_usec, uint64_t *ret_memory_peak_bytes)
{
        *ret_cpu_usec = *ret_memory_peak_bytes = 0;
        for (size_t i = 0; i < pipeline->n_stages; i++) {
                const ProcessExit *how = process_exit(pipeline->stages[i].process);

                *ret_cpu_usec += how->cpu_usec;
                *ret_memory_peak_bytes = MAX(*ret_memory_peak_bytes, how->memory_peak_bytes);
        }
}
