/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How files become definitions, whatever they define: what is found is told, also where nothing came of it. */

#include "base/conf.h"
#include "base/diagnostics.h"

/* What differs between the kinds. */
typedef struct DefinitionType {
        const char *suffix; /* of the files, with its dot */
        /* Errors of reading the files are in @own already; @ret is as definition_parse() has it. */
        int (*make)(const char *name, Conf *conf, const char *path, Diagnostics *own, void *ret);
} DefinitionType;

/**
 * definition_parse() - make a definition of settings that were read
 * @type: which kind
 * @name: name of the object
 * @conf: taken over on success
 * @path: where it was read; may be NULL
 * @d: gets warnings and errors
 * @ret: pointer to the kind's pointer
 *
 * Return: what @type->make returns.
 */
int definition_parse(const DefinitionType *type, const char *name, Conf *conf, const char *path, Diagnostics *d,
                     void *ret) _must_check_;

/**
 * definition_load() - read an object's file and drop-ins and make a definition of them
 * @type: which kind
 * @dirs: where files are looked for
 * @name: name of the object
 * @d: gets warnings and errors
 * @ret: pointer to the kind's pointer
 *
 * Return: what @type->make returns; -ENOENT there is no such file; -ENOMEM.
 *
 * Context: Reads files.
 */
int definition_load(const DefinitionType *type, char *const *dirs, const char *name, Diagnostics *d,
                    void *ret) _must_check_;
