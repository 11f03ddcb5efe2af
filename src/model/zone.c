/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The register of zones in use, and where a zone's content is found. What a zone file means stands in zone-data. */

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd-util.h"
#include "base/string-util.h"
#include "model/zone-data.h"
#include "model/zone.h"

#define LOCAL_ZONE_FILE "/etc/localtime"

struct Zone {
        unsigned n_refs;
        bool in_register;
        char *name; /* NULL: in the register the local zone, else a fixed one */
        ZoneData *data;
        Zone *next; /* in the register */
};

static Zone *zones_in_use;

bool zone_name_is_valid(const char *name)
{
        size_t length = strlen(name);

        if (length == 0 || length > ZONE_NAME_MAX || name[0] == '/' || name[length - 1] == '/' || strstr(name, "//"))
                return false;

        for (const char *p = name; *p != '\0'; p++)
                if (!isalnum((unsigned char) *p) && !strchr("-_+/", *p)) /* no dot, so no ".." */
                        return false;
        return true;
}

static int load_file(const char *path, ZoneData **ret_data)
{
        _cleanup_free_ char *bytes = NULL;
        size_t size;
        int r;

        r = read_file(path, ZONE_FILE_LIMIT_BYTES, &bytes, &size);
        if (r >= 0)
                r = zone_data_parse(bytes, size, ret_data);

        switch (r) {
        case -ENOTDIR: /* "Europe/Berlin/Mitte" */
        case -EISDIR:  /* "Europe" */
        case -ENXIO:
        case -EFBIG:
        case -EBADMSG:
        case -EOPNOTSUPP:
                return -ENOENT;
        default:
                return r;
        }
}

static int load_named(const char *name, ZoneData **ret_data)
{
        char path[sizeof ZONE_FOLDER "/" + ZONE_NAME_MAX];

        if (!zone_name_is_valid(name))
                return -EINVAL;
        (void) stpcpy(stpcpy(path, ZONE_FOLDER "/"), name);
        return load_file(path, ret_data);
}

static int load_rule(const char *text, ZoneData **ret_data)
{
        ZoneRule rule;
        int r;

        r = zone_rule_parse(text, &rule);
        if (r < 0)
                return r;
        return zone_data_from_rule(&rule, ret_data);
}

/* $TZ as the C library reads it: a file, or a POSIX rule; set but empty is UTC. */
static int load_local(ZoneData **ret_data)
{
        const char *tz = getenv("TZ");
        int r;

        if (!tz)
                r = load_file(LOCAL_ZONE_FILE, ret_data);
        else {
                tz += tz[0] == ':';
                r = tz[0] == '/' ? load_file(tz, ret_data) : load_named(tz, ret_data);
                if (r < 0 && r != -ENOMEM)
                        r = load_rule(tz, ret_data);
        }
        if (r < 0 && r != -ENOMEM)
                r = load_rule("UTC0", ret_data);
        return r;
}

static int load(const char *name, ZoneData **ret_data)
{
        return name ? load_named(name, ret_data) : load_local(ret_data);
}

static int zone_new(const char *name, ZoneData *data, Zone **ret_zone)
{
        _cleanup_free_ Zone *zone = calloc(1, sizeof(Zone));
        _cleanup_free_ char *copy = NULL;

        if (!zone)
                return -ENOMEM;
        if (name) {
                copy = strdup(name);
                if (!copy)
                        return -ENOMEM;
        }

        zone->n_refs = 1;
        zone->name = TAKE_PTR(copy);
        zone->data = data;
        *ret_zone = TAKE_PTR(zone);
        return 0;
}

/* A NULL name is the local zone. */
static int open_registered(const char *name, Zone **ret_zone)
{
        _cleanup_(zone_data_freep) ZoneData *data = NULL;
        Zone *zone;
        int r;

        for (zone = zones_in_use; zone; zone = zone->next)
                if (streq_null(zone->name, name)) {
                        *ret_zone = zone_ref(zone);
                        return 0;
                }

        r = load(name, &data);
        if (r < 0)
                return r;
        r = zone_new(name, data, &zone);
        if (r < 0)
                return r;

        TAKE_PTR(data);
        zone->in_register = true;
        zone->next = zones_in_use;
        zones_in_use = zone;
        *ret_zone = zone;
        return 0;
}

int zone_open(const char *name, Zone **ret_zone)
{
        return zone_name_is_valid(name) ? open_registered(name, ret_zone) : -EINVAL;
}

int zone_open_local(Zone **ret_zone)
{
        return open_registered(NULL, ret_zone);
}

int zone_open_fixed(const char *abbreviation, int32_t offset_sec, Zone **ret_zone)
{
        _cleanup_(zone_data_freep) ZoneData *data = NULL;
        ZoneRule rule = { .standard_offset_sec = offset_sec };
        size_t length = strlen(abbreviation);
        int r;

        if (length < 3 || length > ZONE_ABBREVIATION_MAX)
                return -EINVAL;
        memcpy(rule.standard_name, abbreviation, length);

        r = zone_data_from_rule(&rule, &data);
        if (r < 0)
                return r;
        r = zone_new(NULL, data, ret_zone);
        if (r < 0)
                return r;
        TAKE_PTR(data);
        return 0;
}

Zone *zone_ref(Zone *zone)
{
        zone->n_refs++;
        return zone;
}

Zone *zone_unref(Zone *zone)
{
        if (!zone || --zone->n_refs > 0)
                return NULL;

        for (Zone **p = &zones_in_use; zone->in_register && *p; p = &(*p)->next)
                if (*p == zone) {
                        *p = zone->next;
                        break;
                }
        zone_data_free(zone->data);
        free(zone->name);
        free(zone);
        return NULL;
}

void zone_segment(const Zone *zone, int64_t seconds, ZoneSegment *ret_segment)
{
        zone_data_segment(zone->data, seconds, ret_segment);
}

int zone_latest(const Zone *zone, bool is_dst, ZoneSegment *ret_segment)
{
        return zone_data_latest(zone->data, is_dst, ret_segment);
}

int zone_reload_all(void)
{
        int changed = 0;

        for (Zone *zone = zones_in_use; zone; zone = zone->next) {
                _cleanup_(zone_data_freep) ZoneData *data = NULL;
                int r;

                r = load(zone->name, &data);
                if (r == -ENOMEM)
                        return r;
                if (r < 0 || zone_data_equal(data, zone->data))
                        continue;

                zone_data_free(zone->data);
                zone->data = TAKE_PTR(data);
                changed = 1;
        }
        return changed;
}
