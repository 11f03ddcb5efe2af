/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/view-open-wearables.h"

#include "model/event.h"

void view_wearables_run(JsonWriter *w, const Run *run)
{
        json_open_object(w, NULL);
        event_write_standing(w, run);
        json_write_timestamp(w, "started_at", run->started_usec);
        json_write_timestamp(w, "ended_at", sync_status_is_terminal(event_status(run)) ? run->finished_usec : 0);
        json_write_timestamp(w, "last_update", run->updated_usec);
        json_close_object(w);
}
