/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The records of Singer BATCH files, for destinations that do not take the message itself. What cannot be read ends
 * the run, for the states that follow cover it. See intake.h. */

#include <stdlib.h>

#include "base/json-util.h"
#include "base/string-util.h"
#include "worker/intake.h"

/* Keeps what came before, and says what is wrong. */
static int fail(Intake *intake, int r, AttentionCategory category, const char *words)
{
        Destination *destination = intake->destination;
        int commit = r == -ENOMEM ? 0 : destination_commit(destination);

        if (commit < 0)
                return commit;
        destination->category = category;
        return destination_error(destination, r, "%s", strna(words));
}

int intake_begin_batch(Intake *intake, const Message *message)
{
        _cleanup_free_ char *error = NULL;
        int r;

        r = streams_get(&intake->streams, message->stream, message->namespace_, &intake->batch_stream);
        if (r == -E2BIG)
                return fail(intake, r, ATTENTION_DATA_ERROR,
                            "a BATCH of one stream too many, or with too long a name");
        if (r < 0)
                return r;
        r = batch_new(message, intake->destination->context.working_directory, &intake->batch, &error);
        return r == -EOPNOTSUPP ? fail(intake, r, ATTENTION_CONFIGURATION_ERROR, error) : r;
}

static JsonSlice trim(JsonSlice text)
{
        while (text.size > 0 && strchr(" \t\r", text.data[text.size - 1]) && text.data[text.size - 1])
                text.size--;
        while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
                text.data++;
                text.size--;
        }
        return text;
}

/* One record. Return: 0; -EBADMSG, and why; negative errno. */
static int take_record(Intake *intake, JsonSlice object, const char **ret_why)
{
        JsonSlice known = destination_expected(intake->destination);
        Message message = {
                .type = MESSAGE_RECORD,
                .dialect = MESSAGE_DIALECT_SINGER,
                .payload = object,
                .payload_member = JSON_PARENT_NONE,
        };
        DestinationRecord record = {
                .stream = intake->batch_stream,
                .account = &intake->ledger.rest,
                .message = &message,
                .index = &intake->index,
        };
        JsonFault fault;
        int r;

        if (known.size != object.size || memcmp(known.data, object.data, object.size) != 0) {
                if (json_scan(object, JSON_DEPTH_MAX, NULL, &fault, NULL) < 0) {
                        *ret_why = json_fault_to_string(fault);
                        return -EBADMSG;
                }
                if (json_slice_kind(object) != JSON_KIND_OBJECT) {
                        *ret_why = "not an object";
                        return -EBADMSG;
                }
        }
        intake->n_by_type[MESSAGE_RECORD]++;
        r = destination_record(intake->destination, &record);
        if (r == -EBADMSG)
                *ret_why = strna(intake->destination->error);
        return r;
}

static int take_line(Intake *intake, const Line *line)
{
        JsonSlice text = trim((JsonSlice){ line->data, line->size });
        const char *why = NULL;
        int r;

        if (text.size == 0)
                return 0;
        intake->n_lines++;
        if (line->too_long) {
                intake_bad_line(intake, text, LINE_TOO_LONG);
                intake_miss_items(intake, intake->batch_stream);
                return 0;
        }
        r = take_record(intake, text, &why);
        if (r != -EBADMSG)
                return r;
        intake_bad_line(intake, text, why);
        intake_miss_items(intake, intake->batch_stream);
        (void) destination_error(intake->destination, 0, "%s", "");
        return 0;
}

int intake_take_batch(Intake *intake, size_t *ret_bytes)
{
        AttentionCategory category = _ATTENTION_INVALID;
        Line line;
        int r;

        r = batch_next(intake->batch, &line);
        if (r > 0) {
                *ret_bytes = line.size;
                r = take_line(intake, &line);
                return r < 0 ? r : 1;
        }
        if (r < 0) {
                if (r == -EBADMSG)
                        category = ATTENTION_DATA_ERROR;
                else if (r == -EOPNOTSUPP)
                        category = ATTENTION_CONFIGURATION_ERROR;
                r = fail(intake, r, category, batch_error(intake->batch));
        }
        intake->batch = batch_free(intake->batch);
        return r;
}
