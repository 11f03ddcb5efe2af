/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What becomes of a request whose sender is known, or is not: it is let in to its route or refused, in the words of
 * its surface, counted and logged. In this order: 401, 429, 403. */

#include "http/auth.h"
#include "http/metrics.h"

/* Whether it is let in, as far as its sender and how often he asks go; else it is answered. */
bool admission_check(Request *request, AuthResult result) _must_check_;

/* Lets it in to its route, if that is for its sender; a large body may come before that. An AuthDone. */
void admission_enter(Request *request, AuthResult result);

/* What it was let in with is not valid any more: in the words of that. */
void admission_refuse_ended(Request *request);

/* Its body has come: its key may not be valid any more. */
void admission_enter_again(Request *request);

/* Counts a refusal, and logs it: each reason once a minute for each key, and for each address that guesses. */
void admission_note(Request *request, RefusalReason reason);

/* Whether a browser sends it of its own page; else, or where it came with a session and without the page's own header,
 * it is answered. For requests that change something. */
bool admission_check_page(Request *request) _must_check_;
