/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/table.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <wchar.h>

#include "base/string-util.h"

#define COLUMN_WIDTH_MIN 8U /* a column is not cut below this */

typedef struct Cell {
        Colour colour;
        char *text;
} Cell;

struct Table {
        const char *titles[TABLE_COLUMNS_MAX]; /* borrowed: literals */
        bool right[TABLE_COLUMNS_MAX];
        unsigned n_columns;
        Cell *cells; /* row by row */
        size_t n_cells;
        size_t n_allocated;
        bool failed;
};

unsigned text_width(const char *s)
{
        mbstate_t state = {};
        unsigned width = 0;
        wchar_t c;

        while (*s) {
                size_t n = mbrtowc(&c, s, MB_CUR_MAX, &state);
                int w;

                if (n == 0 || n > MB_CUR_MAX) { /* not in the locale's encoding: a column a byte */
                        state = (mbstate_t) {};
                        width++;
                        s++;
                        continue;
                }
                w = wcwidth(c);
                width += w > 0 ? (unsigned) w : 0;
                s += n;
        }
        return width;
}

Table *table_new(const char *const *titles)
{
        Table *table = calloc(1, sizeof(Table));

        if (!table)
                return NULL;
        for (; titles[table->n_columns]; table->n_columns++) {
                assert(table->n_columns < TABLE_COLUMNS_MAX);
                table->titles[table->n_columns] = titles[table->n_columns];
        }
        return table;
}

Table *table_free(Table *table)
{
        if (!table)
                return NULL;
        for (size_t i = 0; i < table->n_cells; i++)
                free(table->cells[i].text);
        free(table->cells);
        free(table);
        return NULL;
}

void table_align_right(Table *table, unsigned column)
{
        table->right[column] = true;
}

void table_add(Table *table, Colour c, const char *text)
{
        Cell cell = { .colour = isempty(text) ? COLOUR_GREY : c, .text = strdup(strna(text)) };

        if (table->n_cells >= table->n_allocated) {
                size_t n = table->n_allocated * 2 + 64;
                Cell *longer = reallocarray(table->cells, n, sizeof(Cell));

                if (longer) {
                        table->cells = longer;
                        table->n_allocated = n;
                }
        }
        if (!cell.text || table->n_cells >= table->n_allocated) {
                free(cell.text);
                table->failed = true;
                return;
        }
        table->cells[table->n_cells++] = cell;
}

void table_add_format(Table *table, Colour c, const char *format, ...)
{
        _cleanup_free_ char *text = NULL;
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r < 0) {
                text = NULL;
                table->failed = true;
        }
        table_add(table, c, text);
}

size_t table_rows(const Table *table)
{
        return table->n_cells / table->n_columns;
}

static void measure(const Table *table, bool legend, unsigned widths[static TABLE_COLUMNS_MAX])
{
        unsigned available = terminal_width(), total = 0;

        for (unsigned i = 0; i < table->n_columns; i++)
                widths[i] = legend ? text_width(table->titles[i]) : 0;
        for (size_t i = 0; i < table->n_cells; i++) {
                unsigned *width = &widths[i % table->n_columns];

                *width = MAX(*width, text_width(table->cells[i].text));
        }
        for (unsigned i = 0; i < table->n_columns; i++)
                total += widths[i] + (i > 0);
        while (total > available) {
                unsigned widest = 0;

                for (unsigned i = 1; i < table->n_columns; i++)
                        if (widths[i] > widths[widest])
                                widest = i;
                if (widths[widest] <= COLUMN_WIDTH_MIN)
                        break;
                widths[widest]--;
                total--;
        }
}

/* Text cut to a width, with "…" in the place of what is missing. */
static void print_cut(const char *text, unsigned width)
{
        mbstate_t state = {};
        unsigned used = 0;
        wchar_t c;

        while (*text) {
                size_t n = mbrtowc(&c, text, MB_CUR_MAX, &state);
                unsigned w;

                if (n == 0 || n > MB_CUR_MAX) {
                        state = (mbstate_t) {};
                        n = 1;
                        w = 1;
                } else {
                        w = (unsigned) MAX(wcwidth(c), 0);
                }
                if (used + w > width - 1)
                        break;
                (void) fwrite(text, 1, n, stdout);
                used += w;
                text += n;
        }
        (void) fputs(MB_CUR_MAX > 1 ? "…" : ".", stdout);
        for (used++; used < width; used++)
                (void) putchar(' ');
}

static void print_cell(const Table *table, unsigned column, const char *on, const char *text, unsigned width)
{
        unsigned used = text_width(text), padding = used < width ? width - used : 0;
        bool last = column + 1 == table->n_columns;

        if (column > 0)
                (void) putchar(' ');
        (void) fputs(on, stdout);
        if (used > width) {
                print_cut(text, width);
        } else {
                if (table->right[column])
                        (void) printf("%*s", (int) padding, "");
                (void) fputs(text, stdout);
        }
        if (on[0])
                (void) fputs(colour(COLOUR_NORMAL), stdout);
        if (!last && !table->right[column])
                (void) printf("%*s", (int) padding, "");
}

int table_print(const Table *table, bool legend)
{
        unsigned widths[TABLE_COLUMNS_MAX];

        if (table->failed)
                return -ENOMEM;
        measure(table, legend, widths);
        if (legend) {
                for (unsigned i = 0; i < table->n_columns; i++)
                        print_cell(table, i, colour(COLOUR_BOLD), table->titles[i], widths[i]);
                (void) putchar('\n');
        }
        for (size_t i = 0; i < table->n_cells; i++) {
                unsigned column = (unsigned) (i % table->n_columns);
                const Cell *cell = &table->cells[i];

                print_cell(table, column, cell->colour == COLOUR_NORMAL ? "" : colour(cell->colour), cell->text,
                           widths[column]);
                if (column + 1 == table->n_columns)
                        (void) putchar('\n');
        }
        return 0;
}
