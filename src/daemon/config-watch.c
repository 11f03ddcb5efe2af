/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/config-watch.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/string-util.h"
#include "base/time-util.h"

#define EVENTS_OF_FOLDER                                                                                     \
        (IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF | \
         IN_MOVE_SELF)
#define EVENTS_OF_PARENT (IN_CREATE | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)

/* One folder that is watched. */
typedef struct Folder {
        ConfigWatch *watch;
        char *path;
        char *awaited; /* the name that is to appear in it, where the folder itself is not of interest; else NULL */
        sd_event_source *source;
        struct Folder *next;
} Folder;

struct ConfigWatch {
        sd_event *event;
        char **dirs;
        Folder *folders;
        sd_event_source *timer;
        usec_t first_usec; /* of the changes that were not told of yet; 0: none */
        void (*changed)(void *userdata);
        void *userdata;
};

static Folder *folder_free(Folder *folder)
{
        if (!folder)
                return NULL;
        sd_event_source_disable_unref(folder->source);
        free(folder->path);
        free(folder->awaited);
        free(folder);
        return NULL;
}
DEFINE_TRIVIAL_CLEANUP_FUNC(Folder *, folder_free);

static void free_folders(Folder *folder)
{
        while (folder) {
                Folder *next = folder->next;

                folder_free(folder);
                folder = next;
        }
}

static void schedule(ConfigWatch *watch)
{
        usec_t now = now_usec(CLOCK_MONOTONIC);
        int r;

        if (watch->first_usec == 0)
                watch->first_usec = now;
        r = sd_event_source_set_time(watch->timer,
                                     MIN(now + CONFIG_WATCH_QUIET_USEC, watch->first_usec + CONFIG_WATCH_LIMIT_USEC));
        if (r >= 0)
                r = sd_event_source_set_enabled(watch->timer, SD_EVENT_ONESHOT);
        if (r < 0)
                (void) log_warning_errno(r, "Cannot wait for changes of configuration to settle: %m");
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        ConfigWatch *watch = userdata;

        watch->first_usec = 0;
        watch->changed(watch->userdata);
        return 0;
}

/* A new file is of interest when it has been written, unless it was there under another name before. */
static bool is_file_being_written(const Folder *folder, const struct inotify_event *event)
{
        _cleanup_free_ char *path = NULL;
        struct stat st;

        if (!(event->mask & IN_CREATE) || (event->mask & IN_ISDIR))
                return false;
        path = asprintf_or_null("%s/%s", folder->path, event->name);
        return path && lstat(path, &st) >= 0 && S_ISREG(st.st_mode) && st.st_nlink == 1;
}

static bool is_configuration(const char *name)
{
        return name[0] != '.' && (endswith(name, ".connector") || endswith(name, ".connection") ||
                                  endswith(name, ".conf") || endswith(name, ".d"));
}

static int on_inotify(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
        Folder *folder = userdata;

        if (event->mask & IN_IGNORED)
                return 0;
        if (event->len > 0 && folder->awaited && !streq(event->name, folder->awaited))
                return 0;
        if (event->len > 0 && !folder->awaited &&
            (!is_configuration(event->name) || is_file_being_written(folder, event)))
                return 0;
        schedule(folder->watch);
        return 0;
}

/* Return: 0; -EACCES: it is to be awaited; -ENOMEM. */
static int add_folder(ConfigWatch *watch, const char *path, const char *awaited)
{
        _cleanup_(folder_freep) Folder *folder = calloc(1, sizeof(*folder));
        int r;

        if (!folder || !(folder->path = strdup(path)) || (awaited && !(folder->awaited = strdup(awaited))))
                return -ENOMEM;
        folder->watch = watch;
        r = sd_event_add_inotify(watch->event, &folder->source, path,
                                 (awaited ? EVENTS_OF_PARENT : EVENTS_OF_FOLDER) | IN_ONLYDIR, on_inotify, folder);
        if (r == -ENOMEM || r == -EACCES)
                return r;
        if (r < 0) {
                if (r != -ENOENT)
                        (void) log_warning_errno(r, "Cannot watch %s; 'systemctl reload' reads it nevertheless: %m",
                                                 path);
                return 0;
        }
        folder->next = watch->folders;
        watch->folders = TAKE_PTR(folder);
        return 0;
}

static bool is_folder(const char *path)
{
        struct stat st;

        return stat(path, &st) >= 0 && S_ISDIR(st.st_mode);
}

/* Each link on the way to a folder may be made to lead elsewhere, where there are other files. */
static int watch_links(ConfigWatch *watch, const char *dir)
{
        _cleanup_free_ char *path = strdup(dir);
        struct stat st;
        char *name;
        int r = 0;

        if (!path)
                return -ENOMEM;
        while (r >= 0 && (name = strrchr(path, '/')) && name != path) {
                bool is_link = lstat(path, &st) >= 0 && S_ISLNK(st.st_mode);

                *name++ = '\0';
                if (is_link)
                        r = add_folder(watch, path, name);
                if (r == -EACCES)
                        r = 0;
        }
        return r;
}

/* Watches the nearest folder above that exists, and may be read, for the name below it. */
static int await_folder(ConfigWatch *watch, const char *dir)
{
        _cleanup_free_ char *path = strdup(dir);
        char *name;
        int r;

        if (!path)
                return -ENOMEM;
        while ((name = strrchr(path, '/'))) {
                *name++ = '\0';
                if (isempty(name))
                        continue;
                if (!is_folder(path[0] ? path : "/"))
                        continue;
                r = add_folder(watch, path[0] ? path : "/", name);
                if (r != -EACCES)
                        return r;
        }
        return 0;
}

static int add_dropin_folders(ConfigWatch *watch, const char *dir)
{
        DIR *d = opendir(dir);
        struct dirent *entry;
        int r = 0;

        while (d && r >= 0 && (entry = readdir(d))) {
                _cleanup_free_ char *path = NULL;

                if (entry->d_name[0] == '.' || !endswith(entry->d_name, ".d"))
                        continue;
                path = asprintf_or_null("%s/%s", dir, entry->d_name);
                if (!path)
                        r = -ENOMEM;
                else if (is_folder(path))
                        r = add_folder(watch, path, NULL);
                if (r == -EACCES) /* which is told when it is read; its folder is watched */
                        r = 0;
        }
        if (d)
                (void) closedir(d);
        return r;
}

int config_watch_refresh(ConfigWatch *watch)
{
        Folder *before = TAKE_PTR(watch->folders);
        int r = 0;

        STRV_FOREACH(dir, watch->dirs) {
                r = watch_links(watch, *dir);
                if (r >= 0)
                        r = is_folder(*dir) ? add_folder(watch, *dir, NULL) : -EACCES;
                if (r >= 0)
                        r = add_dropin_folders(watch, *dir);
                else if (r == -EACCES)
                        r = await_folder(watch, *dir);
                if (r < 0) { /* those of before are better than a part */
                        free_folders(watch->folders);
                        watch->folders = before;
                        return r;
                }
        }
        free_folders(before);
        return 0;
}

int config_watch_new(sd_event *event, char *const *dirs, void (*changed)(void *userdata), void *userdata,
                     ConfigWatch **ret)
{
        _cleanup_(config_watch_freep) ConfigWatch *watch = calloc(1, sizeof(*watch));
        int r;

        if (!watch)
                return -ENOMEM;
        watch->event = sd_event_ref(event);
        watch->changed = changed;
        watch->userdata = userdata;
        r = strv_copy(dirs, &watch->dirs);
        if (r >= 0)
                r = sd_event_add_time(event, &watch->timer, CLOCK_MONOTONIC, 0, 10 * USEC_PER_MSEC, on_timer, watch);
        if (r >= 0)
                r = sd_event_source_set_enabled(watch->timer, SD_EVENT_OFF);
        if (r >= 0)
                r = config_watch_refresh(watch);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(watch);
        return 0;
}

ConfigWatch *config_watch_free(ConfigWatch *watch)
{
        if (!watch)
                return NULL;
        free_folders(watch->folders);
        sd_event_source_disable_unref(watch->timer);
        strv_free(watch->dirs);
        sd_event_unref(watch->event);
        free(watch);
        return NULL;
}
