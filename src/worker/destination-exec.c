/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A program that takes the messages on its stdin: a Singer target, or any other. The STATE messages, or their bare
 * values, that it gives back on its stdout are the states whose records it has stored; PROGRESS lines with added,
 * updated and deduped say what became of the records (absolute counts; with "account", of that account), which are
 * counted as added until it says so. It gets the messages that carry data, as the pipeline wrote them. That it ends
 * before its input does, or before it has read all of it, ends the run. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/fd-util.h"
#include "base/log.h"
#include "base/string-util.h"
#include "worker/destination.h"
#include "worker/line-reader.h"
#include "worker/process.h"

/* So much may wait for the program before the pipeline is held up (and one line more). */
#define PENDING_LIMIT_BYTES MIB

/* Waiting lines are written when there are so many bytes, and at the end of a loop's turn. */
#define WRITE_BYTES (64 * KIB)

/* What a turn of the loop reads of the program's output at most. */
#define READS_PER_TURN 16

/* A program that keeps running after its input has ended is told to end after this time, and killed after twice it. It
 * may have to write all that it was given. */
#define END_TIMEOUT_USEC (10 * USEC_PER_MINUTE)

typedef struct ExecDestination {
        Destination destination; /* first */
        Process *process;
        int in_fd;  /* its stdin */
        int out_fd; /* its stdout */
        int rest_fd; /* the reading end of its stdin, from when nothing more comes: what it leaves unread */
        sd_event_source *in_source;
        sd_event_source *out_source;
        sd_event_source *turn_source;
        sd_event_source *end_source;
        LineReader *reader;
        Buffer pending;
        size_t written; /* of pending */
        bool closed;    /* it has closed its stdin before all was written */
        bool finishing; /* no more will come: close its stdin when all is written */
        bool told;      /* it counts by itself */
        bool ended;     /* the callback was called */
        bool end_warned;
        bool long_line_told;
        JsonIndex index; /* of a line of its output */
} ExecDestination;

static ExecDestination *exec_destination(Destination *destination)
{
        return container_of(destination, ExecDestination, destination);
}

static size_t n_pending(const ExecDestination *d)
{
        return d->pending.size - d->written;
}

static void call_ended(ExecDestination *d, int r)
{
        if (d->ended)
                return;
        d->ended = true;
        d->destination.callbacks.ended(r, d->destination.callbacks.userdata);
}

/* All was written: how much of it was read is known when it has ended. Only the pipe's own ends keep what is in it. */
static void keep_rest(ExecDestination *d)
{
        char path[sizeof("/proc/self/fd/-2147483648")];

        if (d->in_fd < 0 || d->rest_fd >= 0)
                return;
        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", d->in_fd);
        d->rest_fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

static bool has_left_unread(const ExecDestination *d)
{
        int left = 0;

        return d->rest_fd >= 0 && ioctl(d->rest_fd, FIONREAD, &left) >= 0 && left > 0;
}

static void close_input(ExecDestination *d)
{
        d->in_source = sd_event_source_disable_unref(d->in_source);
        d->turn_source = sd_event_source_disable_unref(d->turn_source);
        d->in_fd = safe_close(d->in_fd);
}

/* Writes what the pipe takes. Return: 0; -EPIPE, after which its exit is awaited. */
static int write_pending(ExecDestination *d)
{
        bool was_full = n_pending(d) > PENDING_LIMIT_BYTES;

        while (d->in_fd >= 0 && n_pending(d) > 0) {
                ssize_t n = write(d->in_fd, d->pending.data + d->written, n_pending(d));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        break;
                if (n < 0) {
                        d->closed = true;
                        close_input(d);
                        return -EPIPE;
                }
                d->written += (size_t) n;
        }
        if (n_pending(d) == 0) {
                if (d->pending.allocated > 4 * PENDING_LIMIT_BYTES)
                        buffer_done(&d->pending); /* a very long line was there */
                else
                        buffer_reset(&d->pending);
                d->written = 0;
                if (d->finishing) {
                        keep_rest(d);
                        close_input(d);
                }
        }
        if (d->in_source)
                (void) sd_event_source_set_enabled(d->in_source, n_pending(d) > 0 ? SD_EVENT_ON : SD_EVENT_OFF);
        if (was_full && n_pending(d) <= PENDING_LIMIT_BYTES)
                d->destination.callbacks.drained(d->destination.callbacks.userdata);
        return 0;
}

static int on_writable(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        (void) write_pending(userdata);
        return 0;
}

static int on_turn(sd_event_source *source, void *userdata)
{
        (void) write_pending(userdata);
        return 0;
}

static void handle_output(ExecDestination *d, JsonSlice line)
{
        const DestinationCallbacks *callbacks = &d->destination.callbacks;
        Message message;
        const char *why;

        if (line.size == 0 || message_parse(line, &d->index, &why, &message) < 0)
                return; /* programs print what they like */
        if (message.type == MESSAGE_STATE || message.type == MESSAGE_UNKNOWN)
                callbacks->state(line, callbacks->userdata);
        else if (message.type == MESSAGE_PROGRESS &&
                 (message.counts.added != COUNT_UNKNOWN || message.counts.updated != COUNT_UNKNOWN ||
                  message.counts.deduped != COUNT_UNKNOWN)) {
                d->told = true;
                callbacks->counts(&message, callbacks->userdata);
        }
}

/* Once a run: what it says in such lines is not a state, or is one that is lost. */
static void tell_long_line(ExecDestination *d)
{
        const char *name = process_name(d->process);
        _cleanup_free_ char *text = NULL;

        if (d->long_line_told)
                return;
        text = asprintf_or_null("A line of %s cannot be used (" LINE_TOO_LONG "), nor any other such", name);
        if (!text)
                return;
        log_relay_line(d->destination.context.relay, log_identifier(), 0, LOG_WARNING, text, strlen(text));
        d->long_line_told = true;
}

static void read_output(ExecDestination *d, unsigned n_reads)
{
        Line line;

        for (unsigned i = 0; i < n_reads && d->out_fd >= 0; i++) {
                int r = line_reader_fill(d->reader);

                while (line_reader_next(d->reader, &line) > 0)
                        if (line.too_long)
                                tell_long_line(d);
                        else
                                handle_output(d, (JsonSlice) { line.data, line.size });
                if (r == -EAGAIN)
                        return;
                if (r < 0) /* a state or counts that it has told are lost, perhaps */
                        call_ended(d, destination_error(&d->destination, r, "the output of %s cannot be read: %s",
                                                        process_name(d->process), strerror(-r)));
                if (r <= 0) {
                        d->out_source = sd_event_source_disable_unref(d->out_source);
                        d->out_fd = safe_close(d->out_fd);
                }
        }
}

/* What it had written when it ended. A process that it left behind may write for ever. */
static void read_rest(ExecDestination *d)
{
        uint64_t end;
        int left = 0;

        if (d->out_fd < 0 || ioctl(d->out_fd, FIONREAD, &left) < 0)
                return;
        end = line_reader_bytes(d->reader) + (uint64_t) left;
        while (d->out_fd >= 0 && line_reader_bytes(d->reader) < end)
                read_output(d, 1);
        read_output(d, 1); /* the end, where that was all: the last line may lack its newline */
}

static int on_output(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        read_output(userdata, READS_PER_TURN);
        return 0;
}

/* Why it ended; where its words are missing, how. */
static int exit_error(ExecDestination *d)
{
        const ProcessExit *how = process_exit(d->process);
        const char *name = process_name(d->process), *words = process_error(d->process);

        if (how->status == 77) /* EX_NOPERM */
                d->destination.category = ATTENTION_DESTINATION_AUTH_EXPIRED;
        else if (how->status == 78) /* EX_CONFIG */
                d->destination.category = ATTENTION_CONFIGURATION_ERROR;
        if (how->status == 0)
                return destination_error(&d->destination, -EPIPE, "%s ended before its input did", name);
        if (words)
                return destination_error(&d->destination, -EPIPE, "%s", words);
        if (how->signal > 0)
                return destination_error(&d->destination, -EPIPE, "%s was killed by signal %d", name, how->signal);
        return destination_error(&d->destination, -EPIPE, "%s ended with status %d", name, how->status);
}

static void on_exit_of_program(Process *process, void *userdata)
{
        ExecDestination *d = userdata;
        bool all_taken = d->finishing && d->in_fd < 0 && !d->closed && !has_left_unread(d);
        bool success = process_exit(process)->status == 0;

        read_rest(d);
        d->end_source = sd_event_source_disable_unref(d->end_source);
        close_input(d);
        call_ended(d, all_taken && success ? 0 : exit_error(d));
}

static int make_pipe(int *ret_ours, int *ret_theirs, bool ours_reads)
{
        int ends[2];

        if (pipe2(ends, O_CLOEXEC) < 0)
                return -errno;
        *ret_ours = ends[ours_reads ? 0 : 1];
        *ret_theirs = ends[ours_reads ? 1 : 0];
        if (fcntl(*ret_ours, F_SETFL, O_NONBLOCK) < 0)
                return -errno;
        return 0;
}

static int watch(ExecDestination *d)
{
        sd_event *event = d->destination.context.event;
        int r;

        r = line_reader_new(d->out_fd, &d->reader);
        if (r >= 0)
                r = sd_event_add_io(event, &d->in_source, d->in_fd, EPOLLOUT, on_writable, d);
        if (r >= 0)
                r = sd_event_source_set_enabled(d->in_source, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_io(event, &d->out_source, d->out_fd, EPOLLIN, on_output, d);
        if (r >= 0)
                r = sd_event_add_defer(event, &d->turn_source, on_turn, d);
        if (r >= 0)
                r = sd_event_source_set_enabled(d->turn_source, SD_EVENT_OFF);
        return r;
}

static int exec_open(Destination *destination)
{
        ExecDestination *d = exec_destination(destination);
        const DestinationContext *context = &destination->context;
        _cleanup_close_ int their_in = -EBADF, their_out = -EBADF;
        int r;

        d->in_fd = d->out_fd = d->rest_fd = -EBADF;
        if (!context->event)
                return 0;
        r = make_pipe(&d->in_fd, &their_in, false);
        if (r >= 0)
                r = make_pipe(&d->out_fd, &their_out, true);
        if (r < 0)
                return r;

        ProcessSpec spec = {
                .argv = context->command,
                .environment = context->environment,
                .working_directory = context->working_directory,
                .stdin_fd = their_in,
                .stdout_fd = their_out,
                .relay = context->relay,
                .on_exit = on_exit_of_program,
                .userdata = d,
        };
        r = process_spawn(context->event, &spec, &d->process);
        if (r < 0) {
                destination->category = ATTENTION_CONFIGURATION_ERROR;
                return destination_error(destination, r, "cannot run %s: %s%s", context->command[0], strerror(-r),
                                         process_hint(r));
        }
        return watch(d);
}

static int exec_line(Destination *destination, JsonSlice line)
{
        ExecDestination *d = exec_destination(destination);

        if (d->in_fd < 0)
                return 0; /* it has closed its stdin: the run fails when it has ended, in its own words */
        buffer_append(&d->pending, line.data, line.size);
        buffer_append_char(&d->pending, '\n');
        if (d->pending.failed)
                return -ENOMEM;
        if (n_pending(d) >= WRITE_BYTES) {
                (void) write_pending(d);
                return 0;
        }
        return sd_event_source_set_enabled(d->turn_source, SD_EVENT_ONESHOT);
}

static int exec_record(Destination *destination, const DestinationRecord *record)
{
        ExecDestination *d = exec_destination(destination);

        ledger_add(destination->context.ledger, record->account, 1, d->told ? LEDGER_NONE : LEDGER_ADDED);
        return 0;
}

static bool exec_is_full(const Destination *destination)
{
        return n_pending(container_of(destination, ExecDestination, destination)) > PENDING_LIMIT_BYTES;
}

static int exec_commit(Destination *destination)
{
        ledger_commit(destination->context.ledger);
        return 0;
}

static int on_end_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
        ExecDestination *d = userdata;

        process_signal(d->process, d->end_warned ? SIGKILL : SIGTERM);
        d->end_warned = true;
        (void) sd_event_source_set_time_relative(source, END_TIMEOUT_USEC);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int exec_finish(Destination *destination)
{
        ExecDestination *d = exec_destination(destination);
        int r;

        d->finishing = true;
        if (d->ended)
                return 1;
        r = sd_event_add_time_relative(destination->context.event, &d->end_source, CLOCK_MONOTONIC, END_TIMEOUT_USEC,
                                       USEC_PER_SEC, on_end_timeout, d);
        if (r < 0)
                return r;
        (void) write_pending(d);
        return 1;
}

/* It may finish what it has; it is killed when the run is told. */
static void exec_cancel(Destination *destination)
{
        ExecDestination *d = exec_destination(destination);

        d->ended = true;
        close_input(d);
        process_signal(d->process, SIGTERM);
}

static void exec_done(Destination *destination)
{
        ExecDestination *d = exec_destination(destination);

        close_input(d);
        d->out_source = sd_event_source_disable_unref(d->out_source);
        d->end_source = sd_event_source_disable_unref(d->end_source);
        d->out_fd = safe_close(d->out_fd);
        d->rest_fd = safe_close(d->rest_fd);
        process_free(d->process);
        line_reader_free(d->reader);
        buffer_done(&d->pending);
}

const DestinationOps destination_exec_ops = {
        .type = DESTINATION_EXEC,
        .returns_states = true,
        .size = sizeof(ExecDestination),
        .open = exec_open,
        .record = exec_record,
        .line = exec_line,
        .is_full = exec_is_full,
        .commit = exec_commit,
        .finish = exec_finish,
        .cancel = exec_cancel,
        .done = exec_done,
};
