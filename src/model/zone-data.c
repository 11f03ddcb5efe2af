/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* TZif, RFC 8536: a block with 32-bit times, in newer versions followed by one with 64-bit times and a line with the
 * rule of all later times. Files may come from anyone who can set $TZ, so every count and index is checked. */

#include <stdlib.h>
#include <string.h>

#include "model/zone-data.h"

#define HEADER_SIZE      44U
#define TYPE_SIZE        6U
#define OFFSET_LIMIT_SEC (26 * 3600) /* RFC 8536 advises readers to expect no more */

typedef struct ZoneType {
        int32_t offset_sec;
        bool is_dst;
        uint8_t abbreviation; /* where in ZoneData.abbreviations it begins */
} ZoneType;

struct ZoneData {
        size_t n_changes;
        int64_t *changes;      /* ascending: from this second on … */
        uint8_t *change_types; /* … this type holds */
        size_t n_types;
        ZoneType *types; /* the first holds before the first change */
        size_t n_abbreviations;
        char *abbreviations; /* each ends with NUL, and so does the whole */
        bool has_rule;
        ZoneRule rule; /* after the last change */
};

ZoneData *zone_data_free(ZoneData *data)
{
        if (!data)
                return NULL;
        free(data->changes);
        free(data->change_types);
        free(data->types);
        free(data->abbreviations);
        free(data);
        return NULL;
}

int zone_data_from_rule(const ZoneRule *rule, ZoneData **ret_data)
{
        ZoneData *data = calloc(1, sizeof(ZoneData));

        if (!data)
                return -ENOMEM;
        data->has_rule = true;
        data->rule = *rule;
        *ret_data = data;
        return 0;
}

typedef struct Header {
        uint8_t version;
        size_t n_utc_flags, n_standard_flags, n_leaps, n_changes, n_types, n_abbreviations;
} Header;

/* What is left of the file. */
typedef struct Reader {
        const uint8_t *bytes;
        size_t size;
} Reader;

static const uint8_t *take(Reader *reader, size_t size)
{
        const uint8_t *bytes = reader->bytes;

        if (size > reader->size)
                return NULL;
        reader->bytes += size;
        reader->size -= size;
        return bytes;
}

static uint64_t read_big_endian(const uint8_t *bytes, size_t size)
{
        uint64_t value = 0;

        for (size_t i = 0; i < size; i++)
                value = value << 8 | bytes[i];
        return value;
}

static int64_t read_time(const uint8_t *bytes, size_t size)
{
        uint64_t value = read_big_endian(bytes, size);

        return size == 4 ? (int32_t) (uint32_t) value : (int64_t) value;
}

static int header_read(Reader *reader, Header *ret_header)
{
        const uint8_t *bytes = take(reader, HEADER_SIZE);

        if (!bytes || memcmp(bytes, "TZif", 4) != 0)
                return -EBADMSG;

        *ret_header = (Header){
                .version = bytes[4],
                .n_utc_flags = read_big_endian(bytes + 20, 4),
                .n_standard_flags = read_big_endian(bytes + 24, 4),
                .n_leaps = read_big_endian(bytes + 28, 4),
                .n_changes = read_big_endian(bytes + 32, 4),
                .n_types = read_big_endian(bytes + 36, 4),
                .n_abbreviations = read_big_endian(bytes + 40, 4),
        };
        return 0;
}

/* Counts have 32 bits, so these sums cannot overflow 64. */
static uint64_t block_size(const Header *header, size_t time_size)
{
        return (uint64_t) header->n_changes * (time_size + 1) + (uint64_t) header->n_types * TYPE_SIZE +
               header->n_abbreviations + (uint64_t) header->n_leaps * (time_size + 4) + header->n_standard_flags +
               header->n_utc_flags;
}

static int changes_read(ZoneData *data, const uint8_t *times, const uint8_t *types, size_t time_size)
{
        for (size_t i = 0; i < data->n_changes; i++) {
                data->changes[i] = read_time(times + i * time_size, time_size);
                data->change_types[i] = types[i];
                if (types[i] >= data->n_types || (i > 0 && data->changes[i] <= data->changes[i - 1]))
                        return -EBADMSG;
        }
        return 0;
}

static int types_read(ZoneData *data, const uint8_t *bytes)
{
        for (size_t i = 0; i < data->n_types; i++, bytes += TYPE_SIZE) {
                ZoneType *type = &data->types[i];

                *type = (ZoneType){
                        .offset_sec = (int32_t) read_time(bytes, 4),
                        .is_dst = bytes[4] != 0,
                        .abbreviation = bytes[5],
                };
                if (type->offset_sec <= -OFFSET_LIMIT_SEC || type->offset_sec >= OFFSET_LIMIT_SEC ||
                    type->abbreviation >= data->n_abbreviations ||
                    strlen(data->abbreviations + type->abbreviation) > ZONE_ABBREVIATION_MAX)
                        return -EBADMSG;
        }
        return 0;
}

static int block_read(Reader *reader, const Header *header, size_t time_size, ZoneData *data)
{
        const uint8_t *times, *change_types, *types, *abbreviations;
        int r;

        if (block_size(header, time_size) > reader->size || header->n_types == 0 || header->n_abbreviations == 0)
                return -EBADMSG;
        if (header->n_leaps > 0)
                return -EOPNOTSUPP;

        times = take(reader, header->n_changes * time_size);
        change_types = take(reader, header->n_changes);
        types = take(reader, header->n_types * TYPE_SIZE);
        abbreviations = take(reader, header->n_abbreviations);
        (void) take(reader, header->n_standard_flags + header->n_utc_flags);

        data->n_changes = header->n_changes;
        data->n_types = header->n_types;
        data->n_abbreviations = header->n_abbreviations;
        data->changes = calloc(MAX(data->n_changes, (size_t) 1), sizeof *data->changes);
        data->change_types = calloc(MAX(data->n_changes, (size_t) 1), sizeof *data->change_types);
        data->types = calloc(data->n_types, sizeof *data->types);
        data->abbreviations = malloc(data->n_abbreviations);
        if (!data->changes || !data->change_types || !data->types || !data->abbreviations)
                return -ENOMEM;

        memcpy(data->abbreviations, abbreviations, data->n_abbreviations);
        if (data->abbreviations[data->n_abbreviations - 1] != '\0')
                return -EBADMSG;
        r = types_read(data, types);
        if (r < 0)
                return r;
        return changes_read(data, times, change_types, time_size);
}

/* "\nCET-1CEST,M3.5.0,M10.5.0/3\n"; an empty line says that nothing is known of later times. */
static int footer_read(const Reader *reader, ZoneData *data)
{
        const char *line = (const char *) reader->bytes + 1, *end;
        char text[128] = {};
        size_t length;
        int r;

        if (reader->size < 2 || reader->bytes[0] != '\n')
                return -EBADMSG;
        end = memchr(line, '\n', reader->size - 1);
        if (!end)
                return -EBADMSG;
        length = (size_t) (end - line);
        if (length == 0)
                return 0;
        if (length >= sizeof text)
                return -EBADMSG;

        memcpy(text, line, length);
        r = zone_rule_parse(text, &data->rule);
        if (r < 0)
                return -EBADMSG;
        data->has_rule = true;
        return 0;
}

int zone_data_parse(const void *bytes, size_t size, ZoneData **ret_data)
{
        _cleanup_(zone_data_freep) ZoneData *data = NULL;
        Reader reader = { bytes, size };
        Header header;
        int r;

        if (size > ZONE_FILE_LIMIT_BYTES)
                return -EFBIG;
        data = calloc(1, sizeof(ZoneData));
        if (!data)
                return -ENOMEM;

        r = header_read(&reader, &header);
        if (r < 0)
                return r;
        if (header.version == 0)
                r = block_read(&reader, &header, 4, data);
        else {
                uint64_t skip = block_size(&header, 4);

                if (skip > reader.size)
                        return -EBADMSG;
                (void) take(&reader, (size_t) skip);
                r = header_read(&reader, &header);
                if (r < 0)
                        return r;
                r = block_read(&reader, &header, 8, data);
                if (r >= 0)
                        r = footer_read(&reader, data);
        }
        if (r < 0)
                return r;

        *ret_data = TAKE_PTR(data);
        return 0;
}

bool zone_data_equal(const ZoneData *a, const ZoneData *b)
{
        if (a->n_changes != b->n_changes || a->n_types != b->n_types || a->n_abbreviations != b->n_abbreviations ||
            a->has_rule != b->has_rule || (a->has_rule && memcmp(&a->rule, &b->rule, sizeof a->rule) != 0))
                return false;

        for (size_t i = 0; i < a->n_changes; i++)
                if (a->changes[i] != b->changes[i] || a->change_types[i] != b->change_types[i])
                        return false;
        for (size_t i = 0; i < a->n_types; i++)
                if (a->types[i].offset_sec != b->types[i].offset_sec || a->types[i].is_dst != b->types[i].is_dst ||
                    a->types[i].abbreviation != b->types[i].abbreviation)
                        return false;
        return a->n_abbreviations == 0 || memcmp(a->abbreviations, b->abbreviations, a->n_abbreviations) == 0;
}

static void segment_of_type(const ZoneData *data, size_t type, int64_t end_sec, ZoneSegment *ret_segment)
{
        *ret_segment = (ZoneSegment){
                .end_sec = end_sec,
                .offset_sec = data->types[type].offset_sec,
                .is_dst = data->types[type].is_dst,
                .abbreviation = data->abbreviations + data->types[type].abbreviation,
        };
}

/* How many changes have taken place by a second. */
static size_t changes_until(const ZoneData *data, int64_t seconds)
{
        size_t low = 0, high = data->n_changes;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (data->changes[middle] <= seconds)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

void zone_data_segment(const ZoneData *data, int64_t seconds, ZoneSegment *ret_segment)
{
        size_t n = changes_until(data, seconds);

        if (n == data->n_changes && data->has_rule)
                zone_rule_segment(&data->rule, seconds, ret_segment);
        else
                segment_of_type(data, n > 0 ? data->change_types[n - 1] : 0,
                                n < data->n_changes ? data->changes[n] : INT64_MAX, ret_segment);
}

int zone_data_latest(const ZoneData *data, bool is_dst, ZoneSegment *ret_segment)
{
        const ZoneRule *rule = &data->rule;

        if (data->has_rule && (!is_dst || rule->dst_name[0] != '\0')) {
                *ret_segment = (ZoneSegment){
                        .end_sec = INT64_MAX,
                        .offset_sec = is_dst ? rule->dst_offset_sec : rule->standard_offset_sec,
                        .is_dst = is_dst,
                        .abbreviation = is_dst ? rule->dst_name : rule->standard_name,
                };
                return 0;
        }

        for (size_t i = data->n_changes; i-- > 0;)
                if (data->types[data->change_types[i]].is_dst == is_dst) {
                        segment_of_type(data, data->change_types[i], INT64_MAX, ret_segment);
                        return 0;
                }
        if (data->n_types > 0 && data->types[0].is_dst == is_dst) {
                segment_of_type(data, 0, INT64_MAX, ret_segment);
                return 0;
        }
        return -ENOENT;
}
