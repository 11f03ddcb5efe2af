/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ACTIVATE_VERSION: items of a stream that did not come with its version are gone at the provider. But one whose line
 * could not be used did come: while there may be such a one nothing is removed, which the next run without bad lines
 * does. See intake.h. */

#include <stdio.h>

#include "base/log.h"
#include "worker/intake.h"

void intake_miss_items(Intake *intake, Stream *stream)
{
        if (stream)
                stream->misses_items = true;
        else
                intake->misses_items = true;
}

void intake_miss_items_of(Intake *intake, const Message *message)
{
        Stream *stream = NULL;

        if (message->type != MESSAGE_RECORD && message->type != MESSAGE_SCHEMA && message->type != MESSAGE_BATCH)
                return;
        if (streams_get(&intake->streams, message->stream, message->namespace_, &stream) < 0)
                stream = NULL;
        intake_miss_items(intake, stream);
}

static void say_kept(Intake *intake, Stream *stream)
{
        char text[STREAM_NAME_MAX + 256];

        if (stream->kept_versions)
                return;
        stream->kept_versions = true;
        (void) snprintf(text, sizeof(text),
                        "Items of stream %s that are gone at the provider are kept for now: they may be among the "
                        "lines that cannot be used. The next run without bad lines removes them.",
                        stream->name);
        log_relay_line(intake->relay, log_identifier(), 0, LOG_WARNING, text, strlen(text));
}

int intake_activate_version(Intake *intake, Stream *stream, int64_t version, JsonSlice line)
{
        int r;

        if (intake->misses_items || stream->misses_items) {
                say_kept(intake, stream);
                return 0;
        }
        r = destination_line(intake->destination, line);
        return r < 0 ? r : destination_activate_version(intake->destination, stream, version);
}
