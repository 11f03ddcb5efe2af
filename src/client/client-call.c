/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "client/client-call.h"

#include <stdlib.h>

#include "base/names.h"
#include "base/string-util.h"

ClientShare *client_share_new(void)
{
        ClientShare *share = calloc(1, sizeof(*share));

        if (!share)
                return NULL;
        share->n_ref = 1;
        share->is_limited = true;
        return share;
}

ClientShare *client_share_ref(ClientShare *share)
{
        share->n_ref++;
        return share;
}

ClientShare *client_share_unref(ClientShare *share)
{
        if (share && --share->n_ref == 0)
                free(share);
        return NULL;
}

ClientCall *client_call_free(ClientCall *call)
{
        if (!call)
                return NULL;
        for (size_t i = 0; i < call->n_options; i++) {
                if (call->options[i].type == 's')
                        free((char *) call->options[i].s);
                else if (call->options[i].type == 'a')
                        strv_free((char **) call->options[i].as);
                free((char *) call->options[i].name);
        }
        free(call->options);
        free(call->path);
        free(call->interface);
        free(call->member);
        free(call->text);
        free(call->second_text);
        client_share_unref(call->share);
        sd_bus_slot_unref(call->slot);
        free(call);
        return NULL;
}

/* A bus carries no noncharacters, and JSON's strings may have them. NULL: out of memory. */
static char *copy_text(const char *s)
{
        _cleanup_free_ char *copy = NULL;
        const char *mended = utf8_mended(s, &copy);

        return copy ? TAKE_PTR(copy) : mended ? strdup(mended) : NULL;
}

static int copy_list(char *const *from, char ***ret)
{
        _cleanup_strv_free_ char **list = NULL;
        int r;

        r = strv_copy(from, &list);
        if (r < 0)
                return r;
        for (char **s = list; s && *s; s++) {
                char *text = copy_text(*s);

                if (!text)
                        return -ENOMEM;
                free(*s);
                *s = text;
        }
        *ret = TAKE_PTR(list);
        return 0;
}

static int copy_option(const ClientOption *from, ClientOption *to)
{
        *to = *from;
        to->name = strdup(from->name);
        if (from->type == 's') {
                to->s = from->s ? copy_text(from->s) : NULL;
                if (from->s && !to->s)
                        return -ENOMEM;
        } else if (from->type == 'a') {
                char **copy;

                to->as = NULL;
                if (copy_list(from->as, &copy) < 0)
                        return -ENOMEM;
                to->as = copy;
        }
        return to->name ? 0 : -ENOMEM;
}

int client_call_new(const ClientRequest *request, ClientShare *share, ClientCall **ret)
{
        _cleanup_(client_call_freep) ClientCall *call = calloc(1, sizeof(*call));

        if (!call)
                return -ENOMEM;
        call->path = strdup(request->path ?: SYNCRUN_PATH);
        call->interface = strdup(request->interface ?: SYNCRUN_IFACE_MANAGER);
        call->member = strdup(request->member);
        call->text = request->text ? copy_text(request->text) : NULL;
        call->second_text = request->second_text ? copy_text(request->second_text) : NULL;
        call->with_number = request->number;
        call->number = request->number ? *request->number : 0;
        call->dictionary = request->dictionary;
        call->share = client_share_ref(share);
        call->is_large = request->is_large;
        call->repeatable = request->repeatable;
        call->asks_alone = request->asks_alone;
        call->is_wanted = request->is_wanted;
        if (!call->path || !call->interface || !call->member || (request->text && !call->text) ||
            (request->second_text && !call->second_text))
                return -ENOMEM;
        call->options = calloc(MAX(request->n_options, 1U), sizeof(ClientOption));
        if (!call->options)
                return -ENOMEM;
        for (size_t i = 0; i < request->n_options; i++) {
                int r = copy_option(&request->options[i], &call->options[i]);

                call->n_options++;
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(call);
        return 0;
}
