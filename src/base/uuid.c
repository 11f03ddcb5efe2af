/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "base/uuid.h"

#include <ctype.h>
#include <string.h>
#include <sys/random.h>

static void format(const uint8_t b[static 16], char ret[static UUID_TEXT_MAX])
{
        static const char hex[] = "0123456789abcdef";
        char *p = ret;

        for (int i = 0; i < 16; i++) {
                if (i == 4 || i == 6 || i == 8 || i == 10)
                        *p++ = '-';
                *p++ = hex[b[i] >> 4];
                *p++ = hex[b[i] & 0xf];
        }
        *p = '\0';
}

/* Asked of the kernel for many at a time. Each id is handed out once, and what is left of it is in no dump worth more
 * than the ids themselves: they are no secrets. Who forks executes another program, or makes none. */
static int new_random(uint8_t b[static 16], unsigned version)
{
        static _Thread_local uint8_t pool[16 * 16];
        static _Thread_local size_t n_left;

        if (n_left == 0) {
                if (getrandom(pool, sizeof(pool), 0) != (ssize_t) sizeof(pool))
                        return -errno;
                n_left = sizeof(pool);
        }
        n_left -= 16;
        memcpy(b, pool + n_left, 16);
        b[6] = (uint8_t) ((b[6] & 0x0f) | version << 4);
        b[8] = (b[8] & 0x3f) | 0x80;
        return 0;
}

int uuid_new_v4(char ret[static UUID_TEXT_MAX])
{
        uint8_t b[16];
        int r;

        r = new_random(b, 4);
        if (r < 0)
                return r;
        format(b, ret);
        return 0;
}

int uuid_new_v7(usec_t now, char ret[static UUID_TEXT_MAX])
{
        uint64_t msec = now / USEC_PER_MSEC;
        uint32_t fraction = (uint32_t) (now % USEC_PER_MSEC * 4096 / USEC_PER_MSEC);
        uint8_t b[16];
        int r;

        r = new_random(b, 7);
        if (r < 0)
                return r;
        for (int i = 0; i < 6; i++)
                b[i] = (uint8_t) (msec >> (40 - 8 * i));
        b[6] = (uint8_t) (0x70 | fraction >> 8);
        b[7] = (uint8_t) fraction;
        format(b, ret);
        return 0;
}

bool uuid_is_valid(const char *s)
{
        if (!s || strlen(s) != UUID_TEXT_MAX - 1)
                return false;
        for (size_t i = 0; s[i]; i++) {
                bool dash = i == 8 || i == 13 || i == 18 || i == 23;

                if (dash ? s[i] != '-' : !isxdigit((unsigned char) s[i]))
                        return false;
        }
        return true;
}

int uuid_normalize(const char *s, char ret[static UUID_TEXT_MAX])
{
        if (!uuid_is_valid(s))
                return -EINVAL;
        for (size_t i = 0; i < UUID_TEXT_MAX; i++)
                ret[i] = (char) tolower((unsigned char) s[i]);
        return 0;
}
