/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Channels: streams with the same filter. How they are found, and what a filter lets through. */

#include <stdlib.h>
#include <utlist.h>

#define uthash_nonfatal_oom(element) ((element)->lost = true)
#include <uthash.h>

#include "base/json-util.h"
#include "base/string-util.h"
#include "http/sse-internal.h"

#define NO_FILTER "\t" /* in a channel's key */

static bool is_wide(const SseFilter *filter)
{
        return !filter->user_id || filter->provider || filter->connector;
}

/* Of a user alone it is the user's id, which events come with. */
static char *channel_key(const SseFilter *filter)
{
        if (!is_wide(filter))
                return strdup(filter->user_id);
        /* No query can have a control character in it that would make two filters one. */
        return asprintf_or_null("%s\n%s\n%s", filter->user_id ?: NO_FILTER, filter->provider ?: NO_FILTER,
                                filter->connector ?: NO_FILTER);
}

static SseChannel *channel_free(SseChannel *channel)
{
        if (!channel)
                return NULL;
        free(channel->key);
        free(channel->user_id);
        free(channel->provider);
        free(channel->connector);
        sse_text_unref(channel->text);
        free(channel);
        return NULL;
}
DEFINE_TRIVIAL_CLEANUP_FUNC(SseChannel *, channel_free);

static int copy_filter(const SseFilter *filter, SseChannel *channel)
{
        if (free_and_strdup(&channel->user_id, filter->user_id) < 0 ||
            free_and_strdup(&channel->provider, filter->provider) < 0 ||
            free_and_strdup(&channel->connector, filter->connector) < 0)
                return -ENOMEM;
        return 0;
}

int sse_channel_get(SseHub *hub, const SseFilter *filter, SseChannel **ret)
{
        _cleanup_(channel_freep) SseChannel *channel = NULL;
        _cleanup_free_ char *key = channel_key(filter);

        if (!key)
                return -ENOMEM;
        HASH_FIND_STR(hub->channels, key, *ret);
        if (*ret)
                return 0;
        channel = calloc(1, sizeof(*channel));
        if (!channel || copy_filter(filter, channel) < 0)
                return -ENOMEM;
        channel->hub = hub;
        channel->is_wide = is_wide(filter);
        channel->key = TAKE_PTR(key);
        HASH_ADD_KEYPTR(hh, hub->channels, channel->key, strlen(channel->key), channel);
        if (channel->lost)
                return -ENOMEM;
        if (channel->is_wide)
                DL_APPEND2(hub->wide, channel, wide_prev, wide_next);
        *ret = TAKE_PTR(channel);
        return 0;
}

SseChannel *sse_channel_of_user(SseHub *hub, const char *user_id)
{
        SseChannel *channel;

        HASH_FIND_STR(hub->channels, user_id, channel);
        return channel;
}

void sse_channel_set_clean(SseChannel *channel)
{
        if (channel->is_dirty)
                DL_DELETE2(channel->hub->dirty, channel, dirty_prev, dirty_next);
        channel->is_dirty = false;
        channel->n_events = 0;
}

void sse_channel_release(SseChannel *channel)
{
        SseHub *hub = channel->hub;

        if (channel->streams || channel->ahead || channel->behind)
                return;
        sse_channel_set_clean(channel);
        HASH_DELETE(hh, hub->channels, channel);
        if (channel->is_wide)
                DL_DELETE2(hub->wide, channel, wide_prev, wide_next);
        channel_free(channel);
}

bool sse_filter_matches_parsed(const SseFilter *filter, const char *json, struct json_object **event)
{
        struct json_object *metadata = NULL;
        const char *value = NULL;

        if (!filter->provider && !filter->connector)
                return true;
        if (!*event && json_parse(json, strlen(json), event) < 0)
                return false;
        if (filter->provider && (json_get_string(*event, "provider", &value) <= 0 || !streq(value, filter->provider)))
                return false;
        if (!filter->connector)
                return true;
        return json_get_object(*event, "metadata", &metadata) > 0 &&
               json_get_string(metadata, "connector", &value) > 0 && streq(value, filter->connector);
}

bool sse_filter_matches(const SseFilter *filter, const char *json)
{
        _cleanup_json_ struct json_object *event = NULL;

        return sse_filter_matches_parsed(filter, json, &event);
}
