/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/name-cursor.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/checksum.h"

static uint32_t checksum(NameCursor kind, const char *name)
{
        static const char *const kinds[] = {
                [NAME_CURSOR_CONNECTORS] = "syncrun connectors 1",
                [NAME_CURSOR_CONNECTIONS] = "syncrun connections 1",
        };
        static_assert(ELEMENTSOF(kinds) == _NAME_CURSOR_MAX, "each has its own");

        return fnv1a(fnv1a(FNV1A_INIT, kinds[kind], strlen(kinds[kind])), name, strlen(name));
}

char *name_cursor_format(char buf[static NAME_CURSOR_TEXT_MAX], NameCursor kind, const char *name)
{
        (void) snprintf(buf, NAME_CURSOR_TEXT_MAX, "%s.%08" PRIx32, name, checksum(kind, name));
        return buf;
}

int name_cursor_parse(const char *text, NameCursor kind, char ret[static CONNECTOR_NAME_MAX + 1])
{
        char name[CONNECTOR_NAME_MAX + 1], again[NAME_CURSOR_TEXT_MAX];
        size_t n = strcspn(text, ".");

        if (n > CONNECTOR_NAME_MAX)
                return -EINVAL;
        memcpy(name, text, n);
        name[n] = '\0';
        if (!connector_name_is_valid(name) || !streq(name_cursor_format(again, kind, name), text))
                return -EINVAL;
        memcpy(ret, name, n + 1);
        return 0;
}
