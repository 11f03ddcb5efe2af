/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Any text as a page token: what is taken is a place, whose token is that text; and each place comes back. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/string-util.h"
#include "store/page-token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
        if (!holds)
                abort();
}

static void check_place(const uint8_t *data, size_t size)
{
        char token[PAGE_TOKEN_TEXT_MAX], again[PAGE_TOKEN_TEXT_MAX];
        PagePlace place = {}, read;

        memcpy(&place, data, MIN(size, sizeof(place)));
        place.created_usec &= INT64_MAX;
        place.row &= INT64_MAX;
        check(page_token_parse(page_token_format(token, &place), &read) == 0);
        check(read.created_usec == place.created_usec && read.row == place.row);
        for (size_t i = 0; i < strlen(token); i++) {
                memcpy(again, token, sizeof(again));
                again[i] = again[i] == '0' ? '1' : '0';
                check(page_token_parse(again, &read) < 0);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *text = strndup((const char *) data, size);
        char again[PAGE_TOKEN_TEXT_MAX];
        PagePlace place;

        check(text);
        if (page_token_parse(text, &place) >= 0)
                check(streq(page_token_format(again, &place), text));
        check_place(data, size);
        free(text);
        return 0;
}
