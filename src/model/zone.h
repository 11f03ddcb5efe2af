/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Time zones by name, without the C library's single process-wide zone. A zone that is in use is in memory once, for
 * all who opened it: that register is the one thing here that is not passed in.
 * Context of all: one thread at a time. */

#include "base/macros.h"
#include "model/zone-rule.h"

#define ZONE_FOLDER   "/usr/share/zoneinfo"
#define ZONE_NAME_MAX 255U

typedef struct Zone Zone;

/* Whether a name can be one of a file below ZONE_FOLDER: no way out of it, no absolute path. */
bool zone_name_is_valid(const char *name) _pure_;

/**
 * zone_open() - a zone of the IANA database
 * @name:     e.g. "Europe/Berlin"; case counts
 * @ret_zone: set on success only; caller gives it back with zone_unref()
 *
 * Context: blocks for the disk, unless the zone is already in use.
 * Return: 0; -EINVAL (no such name is possible); -ENOENT (no such zone, no zone file, or one that counts leap
 * seconds); -ENOMEM; the errno of open(2) or read(2).
 */
int zone_open(const char *name, Zone **ret_zone) _must_check_;

/**
 * zone_open_local() - the zone of this machine, or of $TZ where that is set; UTC if neither can be read
 * @ret_zone: set on success only; caller gives it back with zone_unref()
 *
 * Context: blocks for the disk, unless the zone is already in use.
 * Return: 0; -ENOMEM.
 */
int zone_open_local(Zone **ret_zone) _must_check_;

/**
 * zone_open_fixed() - a zone whose clocks are never changed
 * @abbreviation: 3…ZONE_ABBREVIATION_MAX bytes
 * @ret_zone:     set on success only; caller gives it back with zone_unref()
 *
 * Return: 0; -EINVAL; -ENOMEM.
 */
int zone_open_fixed(const char *abbreviation, int32_t offset_sec, Zone **ret_zone) _must_check_;

Zone *zone_ref(Zone *zone);
Zone *zone_unref(Zone *zone);
DEFINE_TRIVIAL_CLEANUP_FUNC(Zone *, zone_unref);

/**
 * zone_segment() - the stretch of unchanged clocks that a second lies in
 * @seconds:     since 1970-01-01T00:00:00 UTC, not after year 9999999
 * @ret_segment: always set; the abbreviation is borrowed until zone_reload_all() or zone_unref()
 */
void zone_segment(const Zone *zone, int64_t seconds, ZoneSegment *ret_segment);

/* What a zone last called its standard or daylight saving time. Return: 0; -ENOENT (never had any). */
int zone_latest(const Zone *zone, bool is_dst, ZoneSegment *ret_segment) _must_check_;

/**
 * zone_reload_all() - read the zones that are in use again, after /etc/localtime or the zone database has changed
 *
 * Whoever holds a zone sees its new content; one that cannot be read any more stays as it was.
 *
 * Context: blocks for the disk.
 * Return: 1 if any zone differs now, so that times must be computed again; 0 if none does; -ENOMEM (some may differ).
 */
int zone_reload_all(void) _must_check_;
