/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "store/page-token.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "base/string-util.h"

/* Of the places and of what they are places in. */
static uint32_t checksum(const PagePlace *place)
{
        static const char kind[] = "syncrun runs 1";
        const uint64_t places[] = { htole64(place->created_usec), htole64(place->row) };

        return fnv1a(fnv1a(FNV1A_INIT, kind, sizeof(kind)), places, sizeof(places));
}

char *page_token_format(char buf[static PAGE_TOKEN_TEXT_MAX], const PagePlace *place)
{
        (void) snprintf(buf, PAGE_TOKEN_TEXT_MAX, "%016" PRIx64 "%016" PRIx64 "%08" PRIx32, place->created_usec,
                        place->row, checksum(place));
        return buf;
}

int page_token_parse(const char *text, PagePlace *ret)
{
        char first[17], second[17], again[PAGE_TOKEN_TEXT_MAX];
        PagePlace place;

        if (strlen(text) != PAGE_TOKEN_TEXT_MAX - 1 || text[strspn(text, "0123456789abcdef")] != '\0')
                return -EINVAL;
        (void) snprintf(first, sizeof(first), "%.16s", text);
        (void) snprintf(second, sizeof(second), "%.16s", text + 16);
        place = (PagePlace) { strtoull(first, NULL, 16), strtoull(second, NULL, 16) };
        if (!streq(page_token_format(again, &place), text) || place.created_usec > INT64_MAX || place.row > INT64_MAX)
                return -EINVAL;
        *ret = place;
        return 0;
}
