/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Asking polkit about a caller of ours. What the answer is for is access.c's business. */

#include <systemd/sd-bus.h>

#include "bus/access.h"

typedef enum PolkitAnswer {
        POLKIT_NO,
        POLKIT_YES,
        POLKIT_CHALLENGE, /* a person could be asked, but the call does not allow it */
        POLKIT_MISSING,   /* there is no polkit */
        POLKIT_TIMEOUT,   /* nobody answered in time */
        POLKIT_GONE,      /* the caller has left the bus: there is nobody to answer */
} PolkitAnswer;

typedef struct PolkitQuestion PolkitQuestion;
typedef void (*PolkitCallback)(PolkitAnswer answer, void *userdata);

/**
 * polkit_ask() - may the sender of @m do @action?
 * @ret: freed by polkit_question_free(), also within the callback
 *
 * The callback is called once, after AuthorizationTimeoutSec= at the latest. A person is asked only where the call
 * allows interaction. A question that nobody waits for any longer is taken back at polkit, so that its dialog goes.
 *
 * Return: 0; negative errno.
 */
int polkit_ask(Bus *bus, sd_bus_message *m, const char *action, const AccessSubject *subject, PolkitCallback callback,
               void *userdata, PolkitQuestion **ret) _must_check_;

/* Takes it back where it is not answered yet. */
PolkitQuestion *polkit_question_free(PolkitQuestion *question);
DEFINE_TRIVIAL_CLEANUP_FUNC(PolkitQuestion *, polkit_question_free);
