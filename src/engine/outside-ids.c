/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "engine/outside-ids.h"

#include "engine/run-record.h"

/* Return: 1 there is a run from outside of that id, of that user; 0; negative errno. */
static int is_own(Engine *engine, const char *run_id, const char *user_id)
{
        const EngineRun *r = engine_run_find(engine, run_id);
        _cleanup_(run_freep) Run *stored = NULL;
        const Run *run;
        int k;

        if (!r) {
                k = store_get_run(engine->store, run_id, false, &stored);
                if (k < 0)
                        return k == -ESRCH ? 0 : k;
        }
        run = r ? r->run : stored;
        return !run->connector && streq_null(run->user_id, user_id);
}

static int name(Engine *engine, const char *for_user, OutsideEvent *event)
{
        _cleanup_free_ char *qualified = NULL;
        int k;

        k = is_own(engine, event->run_id, event->user_id);
        if (k != 0)
                return MIN(k, 0);
        qualified = asprintf_or_null("%s" RUN_ID_USER_MARK "%s", event->run_id, event->user_id);
        if (!qualified)
                return -ENOMEM;
        if (!for_user) {
                k = is_own(engine, qualified, event->user_id);
                if (k <= 0)
                        return k;
        }
        free(event->run_id);
        event->run_id = TAKE_PTR(qualified);
        return 0;
}

int engine_name_outside_runs(Engine *engine, const char *for_user, OutsideEvent *events, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                int k;

                if (for_user && !streq(events[i].user_id, for_user))
                        return -ENODEV;
                k = name(engine, for_user, &events[i]);
                if (k < 0)
                        return k;
        }
        return 0;
}
