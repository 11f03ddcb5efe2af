/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "base/refusal.h"

#include "base/names.h"
#include "base/string-util.h"

static const Refusal refusals[] = {
        { EINVAL, "InvalidArgument", 422, 2, "An argument is not valid." },
        { EBADMSG, "InvalidMessage", 400, 2, "The message is not well-formed." },
        { ENXIO, "NoSuchConnector", 404, 4, "There is no such connector. See 'syncrunctl list'." },
        { ESRCH, "NoSuchRun", 404, 4, "There is no such run. See 'syncrunctl runs'." },
        { ENOLINK, "NoSuchConnection", 404, 4, "There is no such connection. See 'syncrunctl connections'." },
        { EHOSTUNREACH, "NoSuchEndpoint", 404, 4,
          "There is no such webhook endpoint. See 'syncrunctl webhook list'." },
        { ENOMSG, "NoSuchMessage", 404, 4, "There is no such message. See 'syncrunctl webhook messages'." },
        { ENETDOWN, "EndpointDisabled", 409, 5,
          "The webhook endpoint is disabled. 'syncrunctl webhook update' enables it." },
        { ENODEV, "NoSuchUser", 404, 4, "There is no such user. See 'syncrunctl users'." },
        { ENOKEY, "NoSuchKey", 401, 4, "There is no such API key. See 'syncrunctl key list'." },
        { EHOSTDOWN, "ConnectorInactive", 409, 5,
          "The connector is inactive. Where the consent of its connection was withdrawn, 'syncrunctl reconnect' makes "
          "it active, else 'syncrunctl enable'." },
        { ENOEXEC, "BadSetting", 409, 6,
          "The connector's file has an error. 'syncrunctl status' with its name says what is wrong, 'syncrunctl "
          "verify' in which line." },
        { EALREADY, "RunFinished", 409, 5, "The run has ended already." },
        { ESTALE, "EventAfterEnd", 409, 5, "The run has ended; it takes no more events." },
        { EEXIST, "AlreadyExists", 409, 5, "This exists already." },
        { ETIME, "AuthorizationTimeout", 504, 77, "Nobody gave the permission in time. Try again." },
        { EACCES, "NotAllowed", 403, 77, "The caller may not do this." },
        { E2BIG, "LimitExceeded", 413, 2, "A documented limit is exceeded." },
        { ENOBUFS, "QueueFull", 429, 75, "Too much is waiting already. Try again later." },
        { EAGAIN, "TryAgain", 503, 75, "It could not be found out who calls. Try again in a moment." },
        { EROFS, "StorageUnavailable", 503, 75,
          "The history cannot be written. 'systemctl status syncrund' says why." },
        { ESHUTDOWN, "ShuttingDown", 503, 75, "The service is stopping. Try again in a moment." },
        { EOPNOTSUPP, "NotSupported", 501, 3, "This is not supported here." },
        { ENOMEM, "NoMemory", 500, 71, "Out of memory." },
        { EIO, "Internal", 500, 1, "Something went wrong inside. The journal says what: 'journalctl -u syncrund'." },
};

const Refusal *refusal_by_errno(int error)
{
        if (error < 0)
                error = -error;
        for (size_t i = 0; i < ELEMENTSOF(refusals); i++)
                if (refusals[i].error == error)
                        return &refusals[i];
        return &refusals[ELEMENTSOF(refusals) - 1];
}

const Refusal *refusal_by_name(const char *name)
{
        const char *rest = name ? startswith(name, SYNCRUN_ERROR_PREFIX) : NULL;

        if (rest)
                name = rest;
        for (size_t i = 0; name && i < ELEMENTSOF(refusals); i++)
                if (streq(refusals[i].name, name))
                        return &refusals[i];
        return NULL;
}

size_t refusal_count(void)
{
        return ELEMENTSOF(refusals);
}

const Refusal *refusal_at(size_t i)
{
        return i < ELEMENTSOF(refusals) ? &refusals[i] : NULL;
}
