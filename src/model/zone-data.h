/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a time zone's file says (TZif, RFC 8536). Where files are, and which zone is the local one, is not known here.
 */

#include "base/macros.h"
#include "model/zone-rule.h"

/* Files with leap seconds (the "right/" ones) are refused: no clock here counts them. The largest file of the zone
 * database has some 3.5 KiB. */
#define ZONE_FILE_LIMIT_BYTES (64 * KIB)

typedef struct ZoneData ZoneData;

/**
 * zone_data_parse() - read a zone file
 * @bytes:    at most ZONE_FILE_LIMIT_BYTES, borrowed for the call
 * @ret_data: set on success only; caller frees with zone_data_free()
 *
 * Return: 0; -EBADMSG (not a zone file, or a broken one); -EOPNOTSUPP (counts leap seconds); -EFBIG; -ENOMEM.
 */
int zone_data_parse(const void *bytes, size_t size, ZoneData **ret_data) _must_check_;

/**
 * zone_data_from_rule() - a zone that has always followed one rule
 * @ret_data: set on success only; caller frees with zone_data_free()
 *
 * Return: 0; -ENOMEM.
 */
int zone_data_from_rule(const ZoneRule *rule, ZoneData **ret_data) _must_check_;

ZoneData *zone_data_free(ZoneData *data);
DEFINE_TRIVIAL_CLEANUP_FUNC(ZoneData *, zone_data_free);

/* Whether two zones say the same of every second. */
bool zone_data_equal(const ZoneData *a, const ZoneData *b) _pure_;

/**
 * zone_data_segment() - the stretch of unchanged clocks that a second lies in
 * @seconds:     since 1970-01-01T00:00:00 UTC, not after year 9999999
 * @ret_segment: always set; the abbreviation is borrowed from @data
 */
void zone_data_segment(const ZoneData *data, int64_t seconds, ZoneSegment *ret_segment);

/**
 * zone_data_latest() - what a zone last called its standard or daylight saving time
 * @ret_segment: set on success only; where it ends is not told (INT64_MAX); the abbreviation is borrowed from @data
 *
 * Return: 0; -ENOENT (never had any).
 */
int zone_data_latest(const ZoneData *data, bool is_dst, ZoneSegment *ret_segment) _must_check_;
