/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/text.h"

#include <langinfo.h>
#include <stdlib.h>
#include <wchar.h>

#include "base/string-util.h"

static bool locale_is_utf8(void)
{
        return streq(nl_langinfo(CODESET), "UTF-8");
}

const char *glyph(Glyph g)
{
        static const char *const glyphs[_GLYPH_MAX][2] = {
                [GLYPH_BULLET] = { "*", "●" },   [GLYPH_DOT] = { "-", "·" },       [GLYPH_ELLIPSIS] = { ".", "…" },
                [GLYPH_BAR_FULL] = { "#", "█" }, [GLYPH_BAR_EMPTY] = { ".", "░" },
        };

        return glyphs[g][locale_is_utf8()];
}

/* Bytes of the colour sequence that begins here, 0 if none does. */
static size_t sequence_size(const char *s)
{
        size_t n;

        if (s[0] != '\x1b' || s[1] != '[')
                return 0;
        n = 2 + strspn(s + 2, "0123456789;");
        return s[n] == 'm' ? n + 1 : 0;
}

/* The bytes of the next character; its columns in @ret. */
static size_t next_character(const char *s, unsigned *ret)
{
        mbstate_t state = {};
        size_t n = sequence_size(s);
        wchar_t c;
        int width;

        if (n > 0) {
                *ret = 0;
                return n;
        }
        n = mbrtowc(&c, s, MB_CUR_MAX, &state);
        if (n == 0 || n > MB_CUR_MAX) { /* not in the locale's encoding */
                *ret = 1;
                return 1;
        }
        width = wcwidth(c);
        *ret = width > 0 ? (unsigned) width : 0;
        return n;
}

unsigned text_width(const char *s)
{
        unsigned width = 0, w;

        for (; *s; width += w)
                s += next_character(s, &w);
        return width;
}

unsigned text_print(FILE *out, const char *s, unsigned width)
{
        bool cut = text_width(s) > width;
        unsigned used = 0, room = cut ? width - MIN(width, 1U) : width, w;
        bool shown = !cut;

        for (size_t n; *s; s += n) {
                n = next_character(s, &w);
                if (w > room - used) {
                        if (!shown && width > 0) {
                                (void) fputs(glyph(GLYPH_ELLIPSIS), out);
                                used++;
                        }
                        shown = true;
                        room = used;
                } else if (w == 0 && shown && cut && sequence_size(s) == 0) {
                        continue; /* an accent behind the cut */
                } else {
                        (void) fwrite(s, 1, n, out);
                        used += w;
                }
        }
        return used;
}

char *text_line(const char *s)
{
        char *line = utf8_sanitize(strempty(s), strlen(strempty(s)), LINE_BYTES_MAX);

        for (char *p = line; p && *p; p++)
                if (*p == '\n' || *p == '\t')
                        *p = ' ';
        return line;
}
