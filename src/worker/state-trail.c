/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See state-trail.h. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "worker/json-canonical.h"
#include "worker/state-trail.h"

void state_trail_done(StateTrail *trail)
{
        free(trail->digests);
        *trail = (StateTrail){};
}

static int digest_value(JsonSlice value, uint8_t ret[static SHA256_SIZE])
{
        _cleanup_buffer_ Buffer text = {};

        json_canonical_append(&text, value);
        return text.failed ? -ENOMEM : sha256(text.data, text.size, ret);
}

int state_trail_add(StateTrail *trail, JsonSlice value)
{
        if (!trail->digests)
                trail->digests = calloc(STATE_TRAIL_MAX, sizeof(*trail->digests));
        if (!trail->digests)
                return -ENOMEM;
        return digest_value(value, trail->digests[trail->n++ % STATE_TRAIL_MAX]);
}

int state_trail_has(const StateTrail *trail, JsonSlice value)
{
        uint8_t digest[SHA256_SIZE];
        int r;

        if (trail->n == 0)
                return 0;
        r = digest_value(value, digest);
        for (uint64_t i = 0; r >= 0 && i < MIN(trail->n, (uint64_t) STATE_TRAIL_MAX); i++)
                if (memcmp(trail->digests[i], digest, sizeof(digest)) == 0)
                        return 1;
        return r;
}
