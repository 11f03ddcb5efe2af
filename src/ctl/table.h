/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Tables for people: columns as wide as their content, the widest one cut where the terminal ends, colours by cell. */

#include "ctl/terminal.h"

#define TABLE_COLUMNS_MAX 16U

typedef struct Table Table;

/* @titles: NULL-terminated. Return: the table, freed by table_free(); NULL when out of memory. */
Table *table_new(const char *const *titles);
Table *table_free(Table *table);
DEFINE_TRIVIAL_CLEANUP_FUNC(Table *, table_free);

/* Numbers stand at the right. */
void table_align_right(Table *table, unsigned column);

/* What tells least: where the terminal is too narrow this goes, in the order of the calls, before any other is cut. */
void table_yield(Table *table, unsigned column);

/* Appends a cell (a copy made fit for one line; NULL and "" show as "-"); a row is full when it has a cell for each
 * title. Lack of memory is remembered and reported by table_print(). */
void table_add(Table *table, Colour c, const char *text);
void table_add_format(Table *table, Colour c, const char *format, ...) _printf_(3, 4);
void table_add_count(Table *table, uint64_t count); /* COUNT_UNKNOWN shows as "-" */

size_t table_rows(const Table *table) _pure_;

/**
 * table_print() - write it to standard output
 * @legend: with a line of titles above
 *
 * As wide as the terminal at most: what table_yield() named is left out, then the widest columns are cut, and those at
 * the right left out that find no room even then.
 *
 * Return: 0; -ENOMEM (also if an earlier table_add() had failed).
 */
int table_print(const Table *table, bool legend) _must_check_;
