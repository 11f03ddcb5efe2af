/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Any text where the history has JSON that is read again: sets of accounts, and the list of a worker's deliveries, which
 * is kept as it came. A damaged history is refused, and what is taken keeps the laws of sets. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/string-util.h"
#include "engine/account-set.h"
#include "model/delivery.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
        if (!holds)
                abort();
}

static void check_sets(const char *a, const char *b)
{
        char *joined = NULL, *left = NULL, **names = NULL;
        int r;

        r = account_set_join(a, b, &joined);
        if (r < 0) {
                check(r == -EBADMSG || r == -E2BIG);
                return;
        }
        check(account_set_contains(joined, a) == 1 && account_set_contains(joined, b) == 1);
        check(account_set_names(joined, &names) == 0);
        r = account_set_remove(joined, b, &left);
        check(r >= 0);
        if (r > 0)
                check(account_set_contains(joined, left) == 1);
        else
                check(account_set_contains(b, joined) == 1);
        strv_free(names);
        free(joined);
        free(left);
}

static void check_deliveries(const char *text, size_t size)
{
        DeliveryAttempt *attempts, *again = NULL;
        Buffer buffer = {};
        size_t n, n_again = 0;

        if (delivery_attempts_parse(text, size, &attempts, &n) < 0)
                return;
        check(n <= DELIVERIES_REPORT_MAX);
        delivery_attempts_write(attempts, n, &buffer);
        check(!buffer.failed && delivery_attempts_parse(buffer.data, buffer.size, &again, &n_again) == 0 && n_again == n);
        buffer_done(&buffer);
        delivery_attempts_free(again, n_again);
        delivery_attempts_free(attempts, n);
}

/* Two texts, a line each. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *text = strndup((const char *) data, size), *second;

        check(text);
        check_deliveries(text, strlen(text));
        second = strchr(text, '\n');
        if (second) {
                *second = 0;
                check_sets(text, second + 1);
        }
        free(text);
        return 0;
}
