/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who comes with a token: its subject, what his requests are counted by, and tokens that were verified before. How a
 * token is verified is token's business, and what becomes of one that is not, auth's. */

#include "base/digest.h"
#include "http/http-settings.h"
#include "http/principal.h"

/* Subjects of tokens whose requests are counted, beyond those with open streams; of more, the oldest begin anew. */
#define SUBJECTS_MAX 4096U

/* Tokens that are not verified once more; of more, the oldest are. */
#define TOKENS_MAX 4096U

typedef struct TokenHolders TokenHolders;

/**
 * token_holders_new() - read the keys of the settings' folder, or of credentials that the unit has
 * @settings: borrowed for its life
 * @gone:     called after keys went
 *
 * Context: blocks for the disk, here and when the keys change.
 * Return: 0; negative errno.
 */
int token_holders_new(sd_event *event, const HttpSettings *settings, void (*gone)(void *userdata), void *userdata,
                      TokenHolders **ret) _must_check_;
TokenHolders *token_holders_free(TokenHolders *holders);

/**
 * token_holders_find() - whether a token was verified before
 * @ret_hash: for token_holders_verify(), where it was not
 * @ret:      with 1: a reference to its holder
 *
 * Return: 1; 0: it was not; -ETIME: it has expired since; -ENOMEM.
 */
int token_holders_find(TokenHolders *holders, const char *text, uint8_t ret_hash[static SHA256_SIZE],
                       Principal **ret) _must_check_;

/**
 * token_holders_verify() - verify a token, and remember it until it expires or its key goes
 * @ret: a reference to its holder
 *
 * Return: as token_read().
 */
int token_holders_verify(TokenHolders *holders, const char *text, const uint8_t hash[static SHA256_SIZE],
                         Principal **ret, const char **ret_why) _must_check_;
