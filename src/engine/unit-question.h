/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What others ask the launcher about a unit, and PID 1 answers: whose it is, what it has used, and whether the machine
 * goes down; for launcher-unit.c. */

#include "engine/launcher.h"
#include "engine/pid1.h"

typedef struct UnitQuestion UnitQuestion;

/* Asked and not answered. */
typedef struct UnitQuestions {
        Pid1 *pid1;
        UnitQuestion *list;
} UnitQuestions;

/* See launcher_verify() and launcher_usage(). Return: 0; -ENOMEM; errno of sending. */
int unit_question_verify(UnitQuestions *questions, const char *connector, uid_t uid, LauncherVerifyCallback cb,
                         void *userdata) _must_check_;
int unit_question_usage(UnitQuestions *questions, const char *connector, LauncherUsageCallback cb,
                        void *userdata) _must_check_;

/* Where its state is; see launcher_state_directory(). */
char *unit_question_state_directory(const Launcher *launcher, const char *connector);

/* All are forgotten. */
void unit_questions_done(UnitQuestions *questions);

/* What @p says of the unit's resources. */
void unit_usage(const UnitProperties *p, WorkerExit *how);
