/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the strings of a checked text say; see json-scan.h. */

#include <string.h>

#include "worker/json-scan.h"

static unsigned hex_digit(char c)
{
        return c <= '9' ? (unsigned) (c - '0') : (unsigned) ((c | 0x20) - 'a' + 10);
}

unsigned json_escape_read(const char *digits)
{
        unsigned unit = 0;

        for (unsigned i = 0; i < 4; i++)
                unit = unit << 4 | hex_digit(digits[i]);
        return unit;
}

unsigned json_utf8_write(uint32_t code, char *out)
{
        if (code < 0x80) {
                out[0] = (char) code;
                return 1;
        }
        if (code < 0x800) {
                out[0] = (char) (0xc0 | code >> 6);
                out[1] = (char) (0x80 | (code & 0x3f));
                return 2;
        }
        if (code < 0x10000) {
                out[0] = (char) (0xe0 | code >> 12);
                out[1] = (char) (0x80 | (code >> 6 & 0x3f));
                out[2] = (char) (0x80 | (code & 0x3f));
                return 3;
        }
        out[0] = (char) (0xf0 | code >> 18);
        out[1] = (char) (0x80 | (code >> 12 & 0x3f));
        out[2] = (char) (0x80 | (code >> 6 & 0x3f));
        out[3] = (char) (0x80 | (code & 0x3f));
        return 4;
}

/* A \u escape, with its second half where it has one; moves *i behind it. */
static unsigned decode_unicode(JsonSlice string, size_t *i, char *out)
{
        const char *digits = string.data + *i + 2;
        uint32_t code = json_escape_read(digits);

        *i += 6;
        if ((code & 0xfc00) == 0xd800 && string.size - *i >= 6 && digits[4] == '\\' && digits[5] == 'u') {
                unsigned low = json_escape_read(digits + 6);

                if ((low & 0xfc00) == 0xdc00) {
                        *i += 6;
                        return json_utf8_write(0x10000 + ((code & 0x3ff) << 10) + (low & 0x3ff), out);
                }
        }
        return json_utf8_write((code & 0xf800) == 0xd800 ? 0xfffd : code, out);
}

size_t json_string_decode(JsonSlice string, char *out)
{
        static const char plain[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
        size_t written = 0;

        /* a name cannot begin with a quote: there it would be escaped */
        if (string.size >= 2 && string.data[0] == '"')
                string = (JsonSlice){ string.data + 1, string.size - 2 };

        for (size_t i = 0; i < string.size;) {
                const char *backslash = memchr(string.data + i, '\\', string.size - i);
                size_t run = (backslash ? backslash : string.data + string.size) - (string.data + i);

                memcpy(out + written, string.data + i, run);
                written += run;
                i += run;
                if (!backslash)
                        break;
                if (string.data[i + 1] == 'u') {
                        written += decode_unicode(string, &i, out + written);
                        continue;
                }
                out[written++] = meant[strchr(plain, string.data[i + 1]) - plain];
                i += 2;
        }
        out[written] = 0;
        return written;
}
