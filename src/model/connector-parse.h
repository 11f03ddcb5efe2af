/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between connector.c and connector-parse.c; for nobody else. */

#include "model/connector.h"

void connector_clear_calendars(ConnectorDefinition *definition);
void connector_clear_transforms(ConnectorDefinition *definition);

/* As connector_definition_parse(), with errors of reading the files already in @own, which no other definition
 * shares. */
int connector_definition_make(const char *name, Conf *conf, const char *path, Diagnostics *own,
                              ConnectorDefinition **ret) _must_check_;
