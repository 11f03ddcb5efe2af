/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a run's programs are given: command lines and paths with their specifiers expanded, an environment, a state
 * file. */

#include "model/command-line.h"
#include "model/connector.h"

#define STATE_FILE_NAME "state.json" /* in the state directory */

typedef struct Setup {
        char *state_directory;
        char *state_file;
        char *config_file;       /* NULL */
        char *working_directory; /* NULL */
        char *destination_path;  /* NULL */
        char *secret_file;       /* NULL */
        char ***commands;        /* n_commands: ExecPull=, then ExecTransform= in order */
        size_t n_commands;
        char **store_command; /* NULL */
        char **environment;
} Setup;

/**
 * setup_make() - prepare a run
 * @definition: of load state loaded
 * @accounts:   asked for in particular; NULL: all
 * @ret_why:    set where the return value is neither 0 nor -ENOMEM: what is wrong, for a person; freed by the caller
 *
 * Return: 0; -EINVAL (a specifier); -ENOMEM; errno of making the state directory.
 */
int setup_make(const ConnectorDefinition *definition, const char *run_id, bool full_resync, char *const *accounts,
               Setup *ret, char **ret_why) _must_check_;
void setup_done(Setup *setup);

/** setup_begin_anew() - the programs are told that everything is to be read again. Return: 0; -ENOMEM. */
int setup_begin_anew(Setup *setup) _must_check_;

/** setup_state_directory() - where a connector keeps its files: $STATE_DIRECTORY, or its place under the system's;
 * freed by the caller */
char *setup_state_directory(const char *connector) _must_check_;

/**
 * setup_write_state() - write the state file: the cursor, or an empty object
 * Context: blocks for the disk.
 * Return: 0; negative errno.
 */
int setup_write_state(const Setup *setup, const char *cursor) _must_check_;

/**
 * setup_write_config() - keep the settings that a connector has changed (Airbyte's CONTROL)
 * @config: JSON text
 *
 * They go into the file of Config=, or where that cannot be written, into config.json of the state directory, which
 * from then on stands for it for as long as it is the newer one.
 *
 * Context: blocks for the disk.
 * Return: 0; negative errno.
 */
int setup_write_config(const Setup *setup, const char *config, size_t size) _must_check_;
