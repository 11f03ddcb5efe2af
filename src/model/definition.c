/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/definition.h"

#include <errno.h>
#include <stdlib.h>

#include "base/string-util.h"

int definition_parse(const DefinitionType *type, const char *name, Conf *conf, const char *path, Diagnostics *d,
                     void *ret)
{
        Diagnostics own = {};
        int r;

        r = type->make(name, conf, path, &own, ret);
        diagnostics_move(d, &own);
        return r;
}

int definition_load(const DefinitionType *type, char *const *dirs, const char *name, Diagnostics *d, void *ret)
{
        _cleanup_free_ char *file = asprintf_or_null("%s%s", name, type->suffix), *path = NULL;
        _cleanup_conf_ Conf conf = {};
        Diagnostics own = {};
        int r;

        if (!file)
                return -ENOMEM;
        r = conf_load_object(&conf, dirs, file, &own, &path);
        if (r == 0)
                r = -ENOENT;
        else if (r != -ENOMEM) /* others are errors in @own by now */
                r = type->make(name, &conf, path, &own, ret);
        diagnostics_move(d, &own);
        return r;
}
