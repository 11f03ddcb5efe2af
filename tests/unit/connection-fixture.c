/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "unit/expect.h"

#include "unit/connection-fixture.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/fd-util.h"

void fixture_write_connection(EngineFixture *f, const char *text)
{
        _cleanup_free_ char *path = asprintf_or_null("%s/acme.connection", f->config_dirs[0]);

        if (text)
                expect_ok(write_file_atomic(path, text, strlen(text), 0600));
        else
                expect_ok(-unlink(path));
}

void fixture_load_connection(EngineFixture *f, const char *text)
{
        fixture_write_connection(f, text);
        expect_ok(engine_reload(f->engine, &f->settings));
        fixture_settle(f);
}

Connection fixture_acme(EngineFixture *f)
{
        Connection connection;

        expect_ok(engine_find_connection(f->engine, "acme", &connection));
        return connection;
}

void fixture_step_to(EngineFixture *f, usec_t usec)
{
        fixture_set_clock(usec);
        engine_clock_changed(f->engine);
        fixture_settle(f);
}

void fixture_fail_run(EngineFixture *f, const char *connector, AttentionCategory category)
{
        RunReport report = report_category(category);
        char id[RUN_ID_MAX + 1];

        fixture_whole_run(f, connector, &report, id);
        fixture_settle(f);
}

void fixture_succeed_run(EngineFixture *f, const char *connector)
{
        RunReport report = report_success();
        char id[RUN_ID_MAX + 1];

        fixture_whole_run(f, connector, &report, id);
        fixture_settle(f);
}

void fixture_open_two(EngineFixture *f)
{
        fixture_set_clock(NOON);
        fixture_write_connector(f, "bank", SHARED);
        fixture_write_connector(f, "mail", SHARED);
        fixture_open(f);
}

void fixture_reconnect(EngineFixture *f)
{
        Answer a = {};

        expect_ok(fixture_ask_reconnect(f, "acme", &a));
        fixture_run_until(f, a.n > 0);
        expect_ok(a.error);
        fixture_settle(f);
}

void fixture_withdraw(EngineFixture *f, bool delete_items)
{
        const WithdrawWish wish = { .requested_by = "uid:7", .delete_items = delete_items };
        Answer a = {};

        expect_ok(engine_withdraw_consent(f->engine, "acme", &wish, on_answer, &a));
        fixture_run_until(f, a.n > 0);
        expect_ok(a.error);
        fixture_settle(f);
}
