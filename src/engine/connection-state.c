/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "engine/connection-state.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/attention-rules.h"
#include "engine/connector-table.h"
#include "engine/reconnect.h"
#include "engine/webhook-table.h"

/* What a connection is shown as. */
typedef struct Shown {
        ConnectionState state;
        usec_t since_usec;
        usec_t expires_usec; /* USEC_INFINITY: never */
        bool by_clock;       /* the consent's end says so, and nobody else */
        bool is_over;        /* the consent has ended, whatever else is said */
        usec_t next_usec;    /* when that changes; USEC_INFINITY: never */
} Shown;

bool connection_concerns(AttentionCategory category)
{
        return connection_state_by_category(category) != CONNECTION_ACTIVE;
}

/* The end of the consent. What the last reconnection said counts more than the file; an end in that before it was that
 * of the consent which it replaced. */
static usec_t consent_end(const ConnectionDefinition *definition, const ConnectionRecord *record)
{
        usec_t usec = record->consent_expires_usec;

        if (usec <= record->reconnected_usec)
                usec = definition ? point_in_time_usec(&definition->consent_expires) : USEC_INFINITY;
        return usec > record->reconnected_usec ? usec : USEC_INFINITY;
}

static Shown look(const ConnectionDefinition *definition, const ConnectionRecord *record, usec_t now)
{
        Shown shown = { .state = record->state, .since_usec = record->since_usec, .next_usec = USEC_INFINITY };
        ConnectionState by_clock = CONNECTION_ACTIVE;
        usec_t warning;

        shown.expires_usec = consent_end(definition, record);
        if (shown.expires_usec == USEC_INFINITY)
                return shown;
        warning = usec_sub(shown.expires_usec, definition ? definition->warning_usec : CONSENT_WARNING_DEFAULT_USEC);
        shown.is_over = now >= shown.expires_usec;
        if (shown.is_over)
                by_clock = CONNECTION_EXPIRED;
        else if (now >= warning)
                by_clock = CONNECTION_EXPIRING;
        shown.next_usec = by_clock == CONNECTION_EXPIRED ? USEC_INFINITY
                          : by_clock == CONNECTION_EXPIRING ? shown.expires_usec : warning;
        if (by_clock > record->state) {
                shown.state = by_clock;
                shown.since_usec = by_clock == CONNECTION_EXPIRED ? shown.expires_usec : warning;
                shown.by_clock = true;
        }
        return shown;
}

/* ---- Its connectors */

static const char *clock_words(ConnectionEntry *connection, const Shown *shown)
{
        char when[TIMESTAMP_TEXT_MAX];

        (void) snprintf(connection->words, sizeof(connection->words), "The consent %s %s.",
                        shown->is_over ? "ended" : "ends",
                        strna(timestamp_format_iso(when, sizeof(when), shown->expires_usec)));
        return connection->words;
}

/* What it makes its connectors say. */
typedef struct ConsentWord {
        AttentionCategory category; /* _ATTENTION_INVALID: nothing */
        const char *words;          /* NULL: none */
        usec_t since_usec;
} ConsentWord;

/* Its consent is over, and not because one of its connectors has said so, which that tells for itself. */
static ConsentWord consent_word(ConnectionEntry *connection, const Shown *shown)
{
        const ConnectionRecord *record = &connection->record;

        if (record->withdrawn)
                return (ConsentWord) { ATTENTION_CONSENT_WITHDRAWN, record->reason, record->since_usec };
        if (shown->is_over)
                return (ConsentWord) { ATTENTION_CONSENT_EXPIRED, clock_words(connection, shown),
                                       shown->expires_usec };
        return (ConsentWord) { .category = _ATTENTION_INVALID };
}

static ConsentWord consent_word_now(ConnectionEntry *connection)
{
        Shown shown = look(connection->definition, &connection->record,
                           engine_now(connection->engine, CLOCK_REALTIME));

        return consent_word(connection, &shown);
}

static int raise_consent(ConnectorEntry *c, const ConsentWord *word)
{
        if (word->category < 0 || !connector_is_wanted(c))
                return 0;
        return attention_raise_consent(&c->record.attention, word->category, word->words, word->since_usec);
}

static int tell(ConnectorEntry *c, AttentionCategory before, int flags)
{
        if (flags <= 0)
                return flags;
        connector_save(c, CONNECTOR_NEWS_ATTENTION);
        return webhooks_tell_consent(c, before);
}

/* It needs a person now, or no longer. */
static int tell_member(ConnectorEntry *c, const ConsentWord *word)
{
        AttentionCategory before = c->record.attention.category;
        int r;

        if (word->category < 0 && attention_is_of_consent(&c->record.attention))
                r = attention_clear(&c->record.attention);
        else
                r = raise_consent(c, word);
        return tell(c, before, r);
}

static void tell_members(ConnectionEntry *connection, const Shown *shown)
{
        const ConsentWord word = consent_word(connection, shown);
        ConnectorEntry *c;

        DL_FOREACH(connection->members, c) {
                int r = tell_member(c, &word);

                if (r < 0) {
                        engine_break(connection->engine, r);
                        return;
                }
        }
}

int connection_tell(ConnectorEntry *c)
{
        ConsentWord word;

        if (!c->connection)
                return 0;
        word = consent_word_now(c->connection);
        return tell_member(c, &word);
}

int connection_raise(ConnectorEntry *c)
{
        ConsentWord word;

        if (!c->connection)
                return 0;
        word = consent_word_now(c->connection);
        return raise_consent(c, &word);
}

int connection_left(ConnectorEntry *c)
{
        AttentionCategory before = c->record.attention.category;

        c->recovered_in_vain = false;
        c->published.engine->owes_runs = true; /* perhaps: it waits for that one no longer */
        return connection_concerns(before) ? tell(c, before, attention_clear(&c->record.attention)) : 0;
}

/* Those whose Connection= went while the daemon was away. */
static int tell_unconnected(Engine *engine)
{
        const ConsentWord none = { .category = _ATTENTION_INVALID };
        ConnectorEntry *c, *next;
        int r = 0;

        HASH_ITER(hh, engine->connectors, c, next)
                if (r >= 0 && c->has_file && !c->connection)
                        r = tell_member(c, &none);
        return r;
}

/* ---- The timer */

static void update_all(Engine *engine);

static int on_consent_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        Engine *engine = userdata;

        if (engine->broken >= 0)
                update_all(engine);
        return 0;
}

static void arm(Engine *engine, usec_t usec)
{
        int r;

        engine->connections_due_usec = usec;
        r = engine_set_timer(engine, &engine->connections_timer, CLOCK_REALTIME, usec, TIMER_ACCURACY_USEC,
                             on_consent_timer, engine);
        if (r < 0)
                engine_break(engine, r);
}

static void show(ConnectionEntry *connection, ConnectionState state)
{
        if (connection->record.shown != state)
                connection->engine->owes_runs = true; /* perhaps: some wait while it is lost */
        connection->record.shown = state;
}

/* Of one that nobody has told of yet. */
static bool is_told(const ConnectionEntry *connection, const Shown *shown)
{
        return shown->state == connection->record.shown;
}

/* Whether its connectors waited for what is there now: it is active again, or it is lost still, and its consent, which
 * was over, is not. */
static bool ends_need(ConnectionEntry *connection, const Shown *shown)
{
        ConnectorEntry *c;

        if (connection->record.shown < CONNECTION_LOST)
                return false;
        if (shown->state < CONNECTION_LOST)
                return true;
        if (consent_word(connection, shown).category >= 0)
                return false;
        DL_FOREACH(connection->members, c)
                if (attention_is_of_consent(&c->record.attention))
                        return true;
        return false;
}

/* By the clock, or by files. @changed: its record is another, too. */
static int update(ConnectionEntry *connection, const Shown *shown, bool changed)
{
        bool told = is_told(connection, shown);
        int r = 0;

        if (ends_need(connection, shown)) {
                r = reconnect_waiting(connection);
                changed = true;
        }
        show(connection, shown->state);
        tell_members(connection, shown);
        if (!told || changed)
                connection_save(connection, told ? 0 : CONNECTION_NEWS_STATE);
        return r;
}

static int settle(ConnectionEntry *connection);

/* The clock was set back: nothing has happened later than now, or all runs until then would count as before it.
 * Return: whether it was. */
static bool bring_back(ConnectionRecord *record, usec_t now)
{
        bool ahead = record->since_usec > now || record->renewed_usec > now;

        record->since_usec = MIN(record->since_usec, now);
        record->renewed_usec = MIN(record->renewed_usec, now);
        return ahead;
}

static int update_each(Engine *engine)
{
        usec_t now = engine_now(engine, CLOCK_REALTIME), due = USEC_INFINITY;
        ConnectionEntry *connection, *next;

        HASH_ITER(hh, engine->connections, connection, next) {
                bool changed;
                Shown shown;
                int r;

                if (!connection->definition && !connection->members)
                        continue;
                r = settle(connection);
                if (r < 0)
                        return r;
                changed = bring_back(&connection->record, now) || r > 0;
                shown = look(connection->definition, &connection->record, now);
                due = MIN(due, shown.next_usec);
                r = update(connection, &shown, changed);
                if (r < 0)
                        return r;
        }
        arm(engine, due);
        return 0;
}

static void update_all(Engine *engine)
{
        int r = update_each(engine);

        if (r < 0)
                engine_break(engine, r);
}

void connection_changed(ConnectionEntry *connection, ConnectionNews news)
{
        Engine *engine = connection->engine;
        Shown shown = look(connection->definition, &connection->record, engine_now(engine, CLOCK_REALTIME));

        if (!is_told(connection, &shown))
                news |= CONNECTION_NEWS_STATE;
        show(connection, shown.state);
        tell_members(connection, &shown);
        connection_save(connection, news);
        if (shown.next_usec < engine->connections_due_usec)
                arm(engine, shown.next_usec);
}

void connection_state_clock_changed(Engine *engine)
{
        update_all(engine);
}

/* ---- What is said of it */

int connection_set_state(ConnectionEntry *connection, ConnectionState state, const char *reason, const char *run_id)
{
        ConnectionRecord *record = &connection->record;
        _cleanup_free_ char *text = NULL;

        if (!isempty(reason)) {
                text = utf8_sanitize(reason, strlen(reason), CONNECTION_REASON_MAX);
                if (!text)
                        return -ENOMEM;
        }
        if (free_and_strdup(&record->run_id, run_id) < 0)
                return -ENOMEM;
        free(record->reason);
        record->reason = TAKE_PTR(text);
        if (record->state != state)
                record->since_usec = engine_now(connection->engine, CLOCK_REALTIME);
        record->state = state;
        return 0;
}

bool connection_is_same_of_run(const EngineRun *r)
{
        const ConnectionEntry *connection = r->connector->connection;

        return streq_null(r->definition->connection, connection ? connection->name : NULL);
}

bool connection_is_of_run(const EngineRun *r)
{
        return !r->outlived && connection_is_same_of_run(r);
}

bool connection_is_lost_again(const ConnectionEntry *connection)
{
        const ConnectionRecord *record = &connection->record;

        return record->shown >= CONNECTION_LOST &&
               (record->shown != record->state || record->since_usec > record->renewed_usec);
}

static int recovered(ConnectionEntry *connection, ConnectorEntry *c, const Run *run)
{
        int r;

        c->recovered_in_vain = false;
        /* One that began before it was lost says nothing. */
        if (connection->record.state == CONNECTION_ACTIVE ||
            (run->started_usec ?: run->created_usec) < connection->record.since_usec)
                return 0;
        r = connection_set_state(connection, CONNECTION_ACTIVE, NULL, run->id);
        if (r < 0)
                return r;
        connection_changed(connection, 0);
        return connection->record.shown < CONNECTION_LOST ? reconnect_others(connection, c) : 0;
}

/* Whether the run shows that it works. */
static bool shows_recovery(const ConnectorEntry *c, const Run *run, const char *met)
{
        const Attention *attention = &c->record.attention;

        if (connection_concerns(attention->category) && streq_null(attention->run_id, run->id))
                return false;
        if (!run->only_accounts)
                return run->outcome == RUN_SUCCEEDED || met;
        return met && streq_null(c->connection->record.run_id, met);
}

int connection_run_ended(ConnectorEntry *c, const Run *run, const char *met)
{
        const Attention *attention = &c->record.attention;
        ConnectionEntry *connection = c->connection;
        int r;

        if (!connection || connection->record.withdrawn)
                return 0;
        if (shows_recovery(c, run, met))
                return recovered(connection, c, run);
        if (!connection_concerns(attention->category) || !streq_null(attention->run_id, run->id))
                return 0;
        r = connection_set_state(connection, connection_state_by_category(attention->category), attention->message,
                                 run->id);
        if (r < 0)
                return r;
        connection_changed(connection, 0);
        return 0;
}

/* The worst that its connectors' runs say. */
static const Attention *worst_attention(const ConnectionEntry *connection)
{
        ConnectionState worst = CONNECTION_ACTIVE;
        const Attention *found = NULL;
        ConnectorEntry *c;

        DL_FOREACH(connection->members, c) {
                const Attention *attention = &c->record.attention;

                if (!attention_is_of_consent(attention) && connection_state_by_category(attention->category) > worst) {
                        worst = connection_state_by_category(attention->category);
                        found = attention;
                }
        }
        return found;
}

/* Whether the connector is there still whose run has said it; also where the history does not know any more. */
static int is_said_still(ConnectionEntry *connection)
{
        const char *run_id = connection->record.run_id;
        _cleanup_(run_freep) Run *run = NULL;
        ConnectorEntry *c;
        int r;

        if (!run_id)
                return false;
        r = store_get_run(connection->engine->store, run_id, false, &run);
        if (r < 0)
                return r == -ESRCH ? true : r;
        DL_FOREACH(connection->members, c)
                if (streq_null(c->name, run->connector) && streq_null(c->record.user_id, run->user_id))
                        return true;
        return false;
}

/* Connectors that are gone, or another user's now, say nothing any more; a connection of which the history knows
 * nothing is what its connectors say. Return: 1 (it is another); 0; negative errno. */
static int settle(ConnectionEntry *connection)
{
        const Attention *worst = worst_attention(connection);
        ConnectionRecord *record = &connection->record;
        int r;

        if (record->withdrawn || (connection->stored ? worst || record->state == CONNECTION_ACTIVE : !worst))
                return 0;
        r = connection->stored ? is_said_still(connection) : 0;
        if (r != 0)
                return MIN(r, 0);
        r = connection_set_state(connection, worst ? connection_state_by_category(worst->category) : CONNECTION_ACTIVE,
                                 worst ? worst->message : NULL, worst ? worst->run_id : NULL);
        if (r < 0)
                return r;
        if (worst)
                record->since_usec = worst->since_usec;
        return 1;
}

void connection_state_settle_all(Engine *engine)
{
        int r = update_each(engine);

        if (r >= 0)
                r = tell_unconnected(engine);
        if (r < 0)
                engine_break(engine, r);
}

/* ---- Looking */

int engine_find_connection(Engine *engine, const char *name, Connection *ret)
{
        ConnectionEntry *connection = connection_table_find(engine, name);
        Shown shown;

        if (!connection)
                return -ENOLINK;
        shown = look(connection->definition, &connection->published, engine_now(engine, CLOCK_REALTIME));
        *ret = (Connection) {
                .name = connection->name,
                .definition = connection->definition,
                .record = &connection->published,
                .state = shown.state,
                .reason = shown.by_clock ? clock_words(connection, &shown) : connection->published.reason,
                .since_usec = shown.since_usec,
                .consent_expires_usec = shown.expires_usec,
        };
        return 0;
}

/* Nobody else has a part in it. */
static bool is_wholly_of(const ConnectionEntry *connection, const char *user_id)
{
        ConnectorEntry *c;

        if (connection->definition && connection->definition->user_id)
                return streq(connection->definition->user_id, user_id);
        DL_FOREACH(connection->members, c)
                if (!streq_null(c->definition->user_id, user_id))
                        return false;
        return connection->members;
}

int engine_find_connection_of(Engine *engine, const char *name, const char *user_id, Connection *ret)
{
        ConnectionEntry *connection = connection_table_find(engine, name);
        const Connector *c = NULL;
        Connection found = { .consent_expires_usec = USEC_INFINITY };

        if (!connection || !user_id || is_wholly_of(connection, user_id))
                return engine_find_connection(engine, name, ret);
        found.name = connection->name;
        while ((c = engine_next_of_connection(engine, name, c))) {
                const Attention *attention = &c->record.attention;

                if (!streq_null(c->definition->user_id, user_id))
                        continue;
                found.has_part = true;
                if (connection_state_by_category(attention->category) <= found.state)
                        continue;
                found.state = connection_state_by_category(attention->category);
                found.reason = attention->message;
                found.since_usec = attention->since_usec;
        }
        if (!found.has_part)
                return -ENOLINK;
        *ret = found;
        return 0;
}
