/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bus/sender.h"

#include <utlist.h>

#define uthash_nonfatal_oom(element) ((element)->lost = true)
#include "base/log.h"
#include "base/string-util.h"
#include "bus/bus-private.h"

typedef struct SenderUser {
        uid_t uid;
        unsigned n;
        struct Sender *oldest; /* by when they asked last */
        bool lost;             /* there was no memory to put it into the table */
        UT_hash_handle hh;
} SenderUser;

typedef struct Sender {
        char *name;
        Caller caller;
        SenderUser *user;
        bool lost;
        UT_hash_handle hh;
        struct Sender *prev, *next; /* of the same user */
} Sender;

static Sender *sender_free(Sender *sender)
{
        if (!sender)
                return NULL;
        free(sender->name);
        free(sender);
        return NULL;
}
DEFINE_TRIVIAL_CLEANUP_FUNC(Sender *, sender_free);

static void user_release(Bus *bus, SenderUser *user)
{
        if (user->n > 0)
                return;
        HASH_DEL(bus->sender_users, user);
        free(user);
}

static SenderUser *user_get(Bus *bus, uid_t uid)
{
        SenderUser *user;

        HASH_FIND(hh, bus->sender_users, &uid, sizeof(uid), user);
        if (user)
                return user;
        user = calloc(1, sizeof(*user));
        if (!user)
                return NULL;
        user->uid = uid;
        HASH_ADD(hh, bus->sender_users, uid, sizeof(uid), user);
        if (!user->lost)
                return user;
        free(user);
        return NULL;
}

static void sender_forget(Bus *bus, Sender *sender)
{
        SenderUser *user = sender->user;

        DL_DELETE(user->oldest, sender);
        user->n--;
        user_release(bus, user);
        HASH_DEL(bus->senders, sender);
        sender_free(sender);
}

/* Whoever comes with ever new names drives out names of that user alone. */
static void forget_one(Bus *bus)
{
        SenderUser *most = bus->sender_users, *user, *next;

        HASH_ITER(hh, bus->sender_users, user, next)
                if (user->n > most->n)
                        most = user;
        sender_forget(bus, most->oldest);
}

const Caller *sender_find(Bus *bus, const char *name)
{
        Sender *sender;

        HASH_FIND_STR(bus->senders, name, sender);
        if (!sender)
                return NULL;
        DL_DELETE(sender->user->oldest, sender);
        DL_APPEND(sender->user->oldest, sender);
        return &sender->caller;
}

void sender_set_shim(Bus *bus, const char *name, bool is_shim)
{
        Sender *sender;

        HASH_FIND_STR(bus->senders, name, sender);
        if (sender)
                sender->caller.is_shim = is_shim;
}

static int sender_remember(Bus *bus, const char *name, const Caller *caller)
{
        _cleanup_(sender_freep) Sender *sender = calloc(1, sizeof(*sender));
        SenderUser *user;

        if (!sender)
                return -ENOMEM;
        sender->caller = *caller;
        sender->name = strdup(name);
        if (!sender->name)
                return -ENOMEM;
        HASH_ADD_KEYPTR(hh, bus->senders, sender->name, strlen(sender->name), sender);
        if (sender->lost)
                return -ENOMEM;
        user = user_get(bus, caller->uid);
        if (!user) {
                HASH_DEL(bus->senders, sender);
                return -ENOMEM;
        }
        sender->user = user;
        user->n++;
        DL_APPEND(user->oldest, sender);
        TAKE_PTR(sender);
        if (HASH_COUNT(bus->senders) > SENDERS_MAX)
                forget_one(bus);
        return 0;
}

int sender_ask(Bus *bus, const char *name, sd_bus_message_handler_t callback, void *userdata, sd_bus_slot **ret_slot)
{
        int r;

        r = sd_bus_call_method_async(bus->options.bus, ret_slot, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                     "org.freedesktop.DBus", "GetConnectionCredentials", callback, userdata, "s",
                                     name);
        return r >= 0 ? 0 : r == -ENOMEM ? r : -EAGAIN;
}

/* One member of a{sv}. Return: 1 read; 0 it is another one, which was skipped; negative errno. */
static int read_number(sd_bus_message *m, const char *name, const char *wanted, uint32_t *ret)
{
        return streq(name, wanted) ? sd_bus_message_read(m, "v", "u", ret) : 0;
}

static int read_credentials(sd_bus_message *m, Caller *ret)
{
        uint32_t uid = UINT32_MAX, pid = 0;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                const char *name;

                r = sd_bus_message_read_basic(m, 's', &name);
                if (r >= 0)
                        r = read_number(m, name, "UnixUserID", &uid);
                if (r == 0)
                        r = read_number(m, name, "ProcessID", &pid);
                if (r == 0)
                        r = sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        if (r < 0)
                return r;
        if (uid == UINT32_MAX)
                return -EACCES;
        *ret = (Caller){ .uid = uid, .pid = (pid_t) pid, .is_shim = -1 };
        return 0;
}

/* Only that there is no such name says something about the caller; all else is the bus's trouble, and passes. */
static int read_refusal(const char *name, const sd_bus_error *error)
{
        log_debug("The bus does not tell about %s: %s: %s", name, error->name, error->message);
        return sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER) ? -EACCES : -EAGAIN;
}

int sender_read(Bus *bus, const char *name, sd_bus_message *reply, Caller *ret)
{
        Caller caller;
        int r;

        if (sd_bus_message_is_method_error(reply, NULL))
                return read_refusal(name, sd_bus_message_get_error(reply));
        r = read_credentials(reply, &caller);
        if (r < 0)
                return r == -ENOMEM || r == -EACCES ? r : -EAGAIN;
        if (!sender_find(bus, name)) {
                r = sender_remember(bus, name, &caller);
                if (r < 0)
                        return r;
        }
        *ret = caller;
        return 0;
}

void senders_free(Bus *bus)
{
        Sender *sender, *next;

        HASH_ITER(hh, bus->senders, sender, next)
                sender_forget(bus, sender);
}
