/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whether the unit of a run, or of a connection's program, can use what a file names: it is of another user, and does
 * not see all of the machine. What a file means is not known here. */

#include "base/diagnostics.h"
#include "client/client-system.h"

/* What is checked, and where it stands. All but @view is borrowed. */
typedef struct UnitCheck {
        bool applies; /* not where runs are child processes of the daemon */
        const char *unit;
        const char *file;
        ClientUnitView view;
        Diagnostics *diagnostics;
} UnitCheck;

/**
 * unit_check_begin() - ask systemd what the unit sees
 *
 * Where it cannot be asked, or the unit is not installed, the unit is taken as it comes.
 *
 * Context: blocks for systemd's answers.
 */
void unit_check_begin(UnitCheck *check, const char *unit, const char *file, Diagnostics *d);
void unit_check_done(UnitCheck *check);
#define _cleanup_unit_check_ _cleanup_(unit_check_done)

/* A warning for each path among the words of a command line that the unit does not see. @words: may be NULL. */
void unit_check_words(UnitCheck *check, const char *key, char *const *words);

/* The same of one path; NULL, or one that begins with a specifier, is none. */
void unit_check_path(UnitCheck *check, const char *key, const char *path);

/* A file that the unit is to write. */
void unit_check_written(UnitCheck *check, const char *key, const char *path);

/* A program that is there, by its absolute path: its interpreter, where its links lead to, and whether another user
 * may run it. */
void unit_check_program(UnitCheck *check, const char *key, const char *path);

/**
 * daemon_may_read() - whether the daemon's user may read a file or folder of the configuration
 * @path: NULL, or one outside the folders of the configuration: yes
 *
 * Told only to root, who may ask as that user; it is yes for all others, on a private bus, and where there is no such
 * user.
 *
 * Context: blocks for a child process.
 */
bool daemon_may_read(const char *path);
#define DAEMON_MAY_NOT_READ \
        "User " SYNCRUN_USER " may not read it: 'chmod o+r' for a file, 'chmod o+rx' for a folder and those above it."

/**
 * daemon_find_unreadable() - the first of an object's files that daemon_may_read() denies: its own, or a drop-in
 * @dirs: where files are looked for
 * @file: name of the object's file
 * @ret:  set where there is one; caller frees
 *
 * Context: blocks for reading folders, and for a child process for each file.
 * Return: 1 there is one; 0; -ENOMEM.
 */
int daemon_find_unreadable(char *const *dirs, const char *file, char **ret) _must_check_;
