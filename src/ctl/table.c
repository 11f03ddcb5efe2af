/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/table.h"

#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/string-util.h"
#include "ctl/text.h"
#include "model/run.h"

#define COLUMN_WIDTH_MIN 6U  /* a column is not cut below this */
#define NO_COLUMN        UINT_MAX /* instead of a width: it is not shown */
#define NAME_WIDTH_MIN   36U /* nor the first, so that a run's id, or a name, can be taken from it */

typedef struct Cell {
        Colour colour;
        char *text;
} Cell;

struct Table {
        const char *titles[TABLE_COLUMNS_MAX]; /* borrowed: literals */
        bool right[TABLE_COLUMNS_MAX];
        unsigned yielding[TABLE_COLUMNS_MAX];
        unsigned n_yielding;
        unsigned n_columns;
        Cell *cells; /* row by row */
        size_t n_cells;
        size_t n_allocated;
        bool failed;
};

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

void table_yield(Table *table, unsigned column)
{
        assert(table->n_yielding < TABLE_COLUMNS_MAX);
        table->yielding[table->n_yielding++] = column;
}

void table_add(Table *table, Colour c, const char *text)
{
        Cell cell = { .colour = isempty(text) ? COLOUR_GREY : c, .text = text_line(strna(text)) };

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

void table_add_count(Table *table, uint64_t count)
{
        if (count == COUNT_UNKNOWN)
                table_add(table, COLOUR_NORMAL, NULL);
        else
                table_add_format(table, COLOUR_NORMAL, "%" PRIu64, count);
}

size_t table_rows(const Table *table)
{
        return table->n_cells / table->n_columns;
}

static unsigned width_min(unsigned column)
{
        return column == 0 ? NAME_WIDTH_MIN : COLUMN_WIDTH_MIN;
}

/* The column with the most to spare, TABLE_COLUMNS_MAX where none has any. */
static unsigned find_widest(const unsigned *widths, unsigned n)
{
        unsigned widest = TABLE_COLUMNS_MAX;

        for (unsigned i = 0; i < n; i++)
                if (widths[i] != NO_COLUMN && widths[i] > width_min(i) &&
                    (widest == TABLE_COLUMNS_MAX || widths[i] > widths[widest]))
                        widest = i;
        return widest;
}

/* Return: the number of columns up to the last that is shown; those at the right that find no room are not. */
static unsigned measure(const Table *table, bool legend, unsigned widths[static TABLE_COLUMNS_MAX])
{
        unsigned available = terminal_width(), total = 0, n = table->n_columns, widest;

        for (unsigned i = 0; i < n; i++)
                widths[i] = legend ? text_width(table->titles[i]) : 0;
        for (size_t i = 0; i < table->n_cells; i++) {
                unsigned *width = &widths[i % n];

                *width = MAX(*width, text_width(table->cells[i].text));
        }
        for (unsigned i = 0; i < n; i++)
                total += widths[i] + (i > 0);
        for (unsigned i = 0; total > available && i < table->n_yielding; i++) {
                total -= widths[table->yielding[i]] + 1;
                widths[table->yielding[i]] = NO_COLUMN;
        }
        while (n > 1 && widths[n - 1] == NO_COLUMN)
                n--;
        while (total > available) {
                widest = find_widest(widths, n);
                if (widest != TABLE_COLUMNS_MAX) {
                        widths[widest]--;
                        total--;
                } else if (n > 1) {
                        n--;
                        total -= widths[n] == NO_COLUMN ? 0 : widths[n] + 1;
                } else {
                        break;
                }
        }
        return n;
}

static void print_cell(const Table *table, unsigned column, bool last, const char *on, const char *text,
                       unsigned width)
{
        unsigned used;

        if (width == NO_COLUMN)
                return;
        used = MIN(text_width(text), width);
        if (column > 0)
                (void) putchar(' ');
        if (table->right[column])
                (void) printf("%*s", (int) (width - used), "");
        (void) fputs(on, stdout);
        used = text_print(stdout, text, width);
        if (on[0])
                (void) fputs(colour(COLOUR_NORMAL), stdout);
        if (!last && !table->right[column])
                (void) printf("%*s", (int) (width - used), "");
}

int table_print(const Table *table, bool legend)
{
        unsigned widths[TABLE_COLUMNS_MAX], n;

        if (table->failed)
                return -ENOMEM;
        n = measure(table, legend, widths);
        for (unsigned i = 0; legend && i < n; i++)
                print_cell(table, i, i + 1 == n, colour(COLOUR_BOLD), table->titles[i], widths[i]);
        if (legend)
                (void) putchar('\n');
        for (size_t i = 0; i < table->n_cells; i++) {
                unsigned column = (unsigned) (i % table->n_columns);
                const Cell *cell = &table->cells[i];

                if (column >= n)
                        continue;
                print_cell(table, column, column + 1 == n, cell->colour == COLOUR_NORMAL ? "" : colour(cell->colour),
                           cell->text, widths[column]);
                if (column + 1 == n)
                        (void) putchar('\n');
        }
        return 0;
}
