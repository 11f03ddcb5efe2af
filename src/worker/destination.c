/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See destination.h. */

#include <stdio.h>
#include <stdlib.h>

#include "base/string-util.h"
#include "worker/destination.h"

static const DestinationOps *ops_of(DestinationType type)
{
        switch (type) {
        case DESTINATION_SQLITE:
                return &destination_sqlite_ops;
        case DESTINATION_EXEC:
                return &destination_exec_ops;
        case DESTINATION_WEBHOOK:
                return &destination_webhook_ops;
        default:
                return NULL;
        }
}

int destination_open(const DestinationContext *context, const DestinationCallbacks *callbacks, Destination **ret)
{
        const DestinationOps *ops = ops_of(context->type);
        Destination *destination;

        if (!ops)
                return -EOPNOTSUPP;
        destination = calloc(1, ops->size);
        if (!destination)
                return -ENOMEM;
        destination->ops = ops;
        destination->context = *context;
        destination->category = _ATTENTION_INVALID;
        if (callbacks)
                destination->callbacks = *callbacks;
        *ret = destination;
        return ops->open(destination);
}

Destination *destination_free(Destination *destination)
{
        if (!destination)
                return NULL;
        destination->ops->done(destination);
        free(destination->error);
        free(destination);
        return NULL;
}

int destination_error(Destination *destination, int r, const char *format, ...)
{
        char *text = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);
        free(destination->error);
        destination->error = text;
        return r;
}

int destination_schema(Destination *destination, Stream *stream)
{
        return destination->ops->schema ? destination->ops->schema(destination, stream) : 0;
}

JsonSlice destination_expected(Destination *destination)
{
        return destination->ops->expected ? destination->ops->expected(destination) : (JsonSlice){};
}

int destination_record(Destination *destination, const DestinationRecord *record)
{
        return destination->ops->record(destination, record);
}

int destination_activate_version(Destination *destination, Stream *stream, int64_t version)
{
        return destination->ops->activate_version ? destination->ops->activate_version(destination, stream, version)
                                                  : 0;
}

int destination_work(Destination *destination)
{
        return destination->ops->work ? destination->ops->work(destination) : 0;
}

int destination_line(Destination *destination, JsonSlice line)
{
        return destination->ops->line ? destination->ops->line(destination, line) : 0;
}

bool destination_is_full(const Destination *destination)
{
        return destination->ops->is_full && destination->ops->is_full(destination);
}

int destination_cover(Destination *destination, const char *digests)
{
        return destination->ops->cover ? destination->ops->cover(destination, digests) : 0;
}

int destination_commit(Destination *destination)
{
        return destination->ops->commit(destination);
}

int destination_finish(Destination *destination)
{
        return destination->ops->finish(destination);
}

void destination_cancel(Destination *destination)
{
        if (destination->ops->cancel)
                destination->ops->cancel(destination);
}

int destination_settled(Destination *destination, const char *run_id)
{
        return destination->ops->settled ? destination->ops->settled(destination, run_id) : 0;
}

int destination_next_unsettled(Destination *destination, char **ret_run_id, Ledger *ret_ledger)
{
        return destination->ops->next_unsettled ? destination->ops->next_unsettled(destination, ret_run_id, ret_ledger)
                                                : 0;
}

int destination_next_attempts(Destination *destination, char **ret_run_id, char **ret_json)
{
        return destination->ops->next_attempts ? destination->ops->next_attempts(destination, ret_run_id, ret_json)
                                               : 0;
}

int destination_attempts_told(Destination *destination, const char *run_id)
{
        return destination->ops->attempts_told ? destination->ops->attempts_told(destination, run_id) : 0;
}
