/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Where webhooks may be sent. A URL is looked at when somebody gives it and before each attempt; what counts in the
 * end is the address that is really connected to, whatever the name server has said before. */

#include <sys/socket.h>

#include "model/settings.h"

/**
 * delivery_check_url() - whether an endpoint may have this URL
 * @ret_why: set with -EINVAL: a sentence; freed by the caller; may be NULL
 *
 * Return: 0; -EINVAL; -ENOMEM.
 */
int delivery_check_url(const WebhookRules *rules, const char *url, char **ret_why) _must_check_;

/* Whether a connection to this address may be made. @private: those that may be beside what is public. */
bool delivery_address_is_allowed(const Networks *private, const struct sockaddr *address);

/* An address that everybody on the internet means the same host by; those that are mapped into IPv6 are looked at as
 * what they stand for. */
bool address_is_public(const struct sockaddr *address);
