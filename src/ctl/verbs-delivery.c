/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Verbs about deliveries: what came of sending a connector's records, and news of its runs. */

#include <inttypes.h>

#include "base/string-util.h"
#include "base/time-util.h"
#include "ctl/ctl.h"
#include "model/run.h"

#define DELIVERIES_SHOWN 50U
#define DELIVERIES_MAX   200U /* as many as one answer holds */

static void add_row(Table *table, struct json_object *delivery)
{
        bool succeeded = json_flag(delivery, "succeeded");
        char when[TIMESPAN_TEXT_MAX];

        table_add(table, COLOUR_NORMAL, relative_text(when, json_time(delivery, "attemptedAt")));
        table_add(table, COLOUR_BOLD, json_text(delivery, "id"));
        table_add(table, COLOUR_NORMAL, json_text(delivery, "kind"));
        table_add(table, COLOUR_NORMAL, json_text(delivery, "type"));
        table_add_count(table, json_count(delivery, "statusCode"));
        table_add_format(table, COLOUR_NORMAL, "%" PRIu64 "ms", json_count(delivery, "responseTimeMs"));
        table_add_count(table, json_count(delivery, "retryCount"));
        table_add_count(table, json_count(delivery, "records"));
        table_add(table, succeeded ? COLOUR_GREEN : COLOUR_RED,
                  succeeded ? "delivered" : json_text(delivery, "error"));
}

int verb_deliveries(Ctl *ctl, int argc, char **argv)
{
        static const char *const titles[] = { "WHEN", "DELIVERY", "KIND",    "TYPE",   "HTTP",
                                              "TOOK", "RETRY",    "RECORDS", "RESULT", NULL };
        const ClientOption filter[] = {
                { "connector", 's', .s = argv[1] },
                { "limit", 'u', .u = MIN(option_lines(&ctl->options, DELIVERIES_SHOWN), DELIVERIES_MAX) },
        };
        _cleanup_json_ struct json_object *answer = NULL;
        _cleanup_(table_freep) Table *table = NULL;
        struct json_object *delivery;
        int status;

        status = ctl_describe(ctl, "DescribeDeliveries", filter, ELEMENTSOF(filter), &answer);
        if (status != 0 || !answer)
                return status;
        table = table_new(titles);
        if (!table)
                return ctl_oom();
        for (size_t i = 0; (delivery = json_element(answer, "deliveries", i)); i++)
                add_row(table, delivery);
        if (table_print(table, ctl->options.legend) < 0)
                return ctl_oom();
        if (table_rows(table) == 0)
                ctl_hint(ctl, "Nothing of %s was sent to a webhook.", argv[1]);
        return 0;
}

int verb_redeliver(Ctl *ctl, int argc, char **argv)
{
        int worst = 0;

        for (int i = 2; i < argc; i++) {
                const ClientWebhookCall what = { .member = "ResendDelivery", .words = { argv[1], argv[i] } };
                _cleanup_client_error_ ClientError e = {};
                Client *client;
                int status;

                status = ctl_client(ctl, &client);
                if (status == 0 && client_call_webhook(client, &what, NULL, &e) < 0)
                        status = ctl_fail(&e, "%s", argv[i]);
                worst = MAX(worst, status);
        }
        return worst;
}
