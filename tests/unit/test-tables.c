/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Every enum that has words: each value has one, and the word leads back to it. tests/style/check_tables.py sees to it
 * that no table is missing here. */

#include "engine/engine.h"
#include "http/metrics.h"
#include "http/request.h"
#include "http/token-keys.h"
#include "model/api-key.h"
#include "model/attention.h"
#include "model/connector.h"
#include "model/run.h"
#include "model/settings.h"
#include "model/view-redbark.h"
#include "model/view-repo.h"
#include "model/view.h"
#include "model/delivery.h"
#include "model/webhook.h"
#include "unit/expect.h"
#include "worker/intake.h"
#include "worker/json-scan.h"
#include "worker/message.h"
#include "worker/stream.h"

#define DEFINE_TEST(name, type, max)                                                                                 \
        static void test_##name(void **state)                                                                        \
        {                                                                                                            \
                for (int i = 0; i < (int) (max); i++) {                                                              \
                        const char *word = name##_to_string((type) i);                                               \
                                                                                                                     \
                        assert_non_null(word);                                                                       \
                        assert_true(word[0] != '\0');                                                                \
                        assert_int_equal((int) name##_from_string(word), i);                                         \
                }                                                                                                    \
                assert_null(name##_to_string(max));                                                                  \
                assert_null(name##_to_string((type) -1));                                                            \
                assert_null(name##_to_string((type) -EINVAL));                                                       \
                assert_int_equal((int) name##_from_string(NULL), -EINVAL);                                           \
                assert_int_equal((int) name##_from_string(""), -EINVAL);                                             \
                assert_int_equal((int) name##_from_string("no such word"), -EINVAL);                                 \
        }

/* name, enum, its _MAX */
#define FOR_EACH_TABLE(TABLE)                                                                                        \
        TABLE(account_status, AccountStatus, _ACCOUNT_STATUS_MAX)                                                    \
        TABLE(api_scope, ApiScope, _API_SCOPE_MAX)                                                                   \
        TABLE(attention_category, AttentionCategory, _ATTENTION_MAX)                                                 \
        TABLE(connection_state, ConnectionState, _CONNECTION_STATE_MAX)                                              \
        TABLE(delivery_kind, DeliveryKind, _DELIVERY_KIND_MAX)                                                      \
        TABLE(delivery_state, DeliveryState, _DELIVERY_STATE_MAX)                                                    \
        TABLE(destination_type, DestinationType, _DESTINATION_MAX)                                                   \
        TABLE(failure_type, FailureType, _FAILURE_TYPE_MAX)                                                          \
        TABLE(http_method, HttpMethod, _HTTP_METHOD_MAX)                                                            \
        TABLE(json_fault, JsonFault, _JSON_FAULT_MAX)                                                                \
        TABLE(key_source, KeySource, _KEY_SOURCE_MAX)                                                                \
        TABLE(launcher_type, LauncherType, _LAUNCHER_TYPE_MAX)                                                       \
        TABLE(load_state, LoadState, _LOAD_STATE_MAX)                                                                \
        TABLE(message_dialect, MessageDialect, _MESSAGE_DIALECT_MAX)                                                 \
        TABLE(message_type, MessageType, _MESSAGE_TYPE_MAX)                                                          \
        TABLE(overlap_policy, OverlapPolicy, _OVERLAP_MAX)                                                           \
        TABLE(reconnect_result, ReconnectResult, _RECONNECT_RESULT_MAX)                                              \
        TABLE(redbark_run_status, RedbarkRunStatus, _REDBARK_RUN_STATUS_MAX)                                         \
        TABLE(redbark_sync_status, RedbarkSyncStatus, _REDBARK_SYNC_STATUS_MAX)                                      \
        TABLE(repo_status, RepoStatus, _REPO_STATUS_MAX)                                                             \
        TABLE(run_outcome, RunOutcome, _RUN_OUTCOME_MAX)                                                             \
        TABLE(run_source, RunSource, _RUN_SOURCE_MAX)                                                                \
        TABLE(refusal_reason, RefusalReason, _REFUSAL_REASON_MAX)                                                    \
        TABLE(run_state, RunState, _RUN_STATE_MAX)                                                                   \
        TABLE(run_trigger, RunTrigger, _RUN_TRIGGER_MAX)                                                             \
        TABLE(sync_stage, SyncStage, _SYNC_STAGE_MAX)                                                                \
        TABLE(sync_status, SyncStatus, _SYNC_STATUS_MAX)                                                             \
        TABLE(token_algorithm, TokenAlgorithm, _TOKEN_ALGORITHM_MAX)                                                 \
        TABLE(trace_type, TraceType, _TRACE_TYPE_MAX)                                                                \
        TABLE(view, View, _VIEW_MAX)                                                                                 \
        TABLE(webhook_change, WebhookChange, _WEBHOOK_CHANGE_MAX)                                                    \
        TABLE(webhook_disabled, WebhookDisabled, _WEBHOOK_DISABLED_MAX)                                              \
        TABLE(webhook_type, WebhookType, _WEBHOOK_TYPE_MAX)

FOR_EACH_TABLE(DEFINE_TEST)

#define UNIT_TEST(name, type, max) cmocka_unit_test(test_##name),

int main(void)
{
        const struct CMUnitTest tests[] = { FOR_EACH_TABLE(UNIT_TEST) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
