/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Networks, as an administrator names them: AllowPrivateAddresses= of syncrun.conf(5). Which addresses are public, and
 * what is done with others, is no business of this file. */

#include "base/macros.h"

#define NETWORKS_MAX       64U /* that one setting may name */
#define NETWORK_IPV4_START 12U /* an IPv4 address is the last four bytes, behind ::ffff: */
#define NETWORK_IPV4_BITS  (8U * NETWORK_IPV4_START)

typedef struct Network {
        uint8_t bytes[16]; /* 0 beyond the bits */
        unsigned bits;
} Network;

/* Of values alone: to be copied as it is. */
typedef struct Networks {
        Network items[NETWORKS_MAX];
        size_t n;
} Networks;

/**
 * networks_add() - "10.0.0.0/8 fd00::/8 10.1.2.3 localhost link-local", with blanks between
 * @networks: as it was on failure
 * @ret_why:  set on failure but -ENOMEM: a sentence; freed by the caller
 *
 * Return: 0; -EINVAL (a word is no network); -E2BIG (more than NETWORKS_MAX); -ENOMEM.
 */
int networks_add(Networks *networks, const char *text, char **ret_why) _must_check_;

/* All addresses that there are, as networks_add() reads them. */
#define NETWORKS_ALL "0.0.0.0/0 ::/0"

/* What networks_add() reads as the same. Return: 0; -ENOMEM. */
int networks_to_text(const Networks *networks, char **ret) _must_check_;

/* @address has as many bytes as the network has bits for. */
bool network_has(const Network *network, const uint8_t *address);

/* @address: 16 bytes, IPv4 behind ::ffff:, which no network of IPv6 has that is larger than all of IPv4. */
bool networks_have(const Networks *networks, const uint8_t *address);
