/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An engine with two connectors, bank and mail, that share the connection acme. */

#include "unit/engine-fixture.h"

#define NOON   UINT64_C(1798804800000000) /* 2027-01-01T12:00:00Z */
#define SHARED CONNECTOR("[Connector]\nConnection=acme\n")

/* Of a connection's file: a consent that is over at NOON, and one that is not. */
#define ENDED     "[Connection]\nConsentExpires=2027-01-01T11:00:00Z\n"
#define NOT_ENDED "[Connection]\nConsentExpires=2028-01-01T12:00:00Z\n"

/* The file acme.connection; @text NULL: it goes. The engine has read it, or not yet. */
void fixture_load_connection(EngineFixture *f, const char *text);
void fixture_write_connection(EngineFixture *f, const char *text);

Connection fixture_acme(EngineFixture *f);
#define expect_state(f, expected) assert_string_equal(connection_state_to_string(fixture_acme(f).state), expected)

/* The clock is set, and the engine told. */
void fixture_step_to(EngineFixture *f, usec_t usec);

/* Whole runs, with what follows from their end. */
void fixture_fail_run(EngineFixture *f, const char *connector, AttentionCategory category);
void fixture_succeed_run(EngineFixture *f, const char *connector);

void fixture_open_two(EngineFixture *f); /* at NOON */
void fixture_reconnect(EngineFixture *f);
void fixture_withdraw(EngineFixture *f, bool delete_items); /* by uid:7 */
