/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The process: its loop, its settings, when it begins and when it ends. */

#include "http/http-arguments.h"

/* Runs until it is told to end, or idle. Return: 0; negative errno, logged. */
int service_run(const HttpArguments *arguments);
