/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "unit/expect.h"

#include "unit/failing-alloc.h"

#include <sqlite3.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALLOCATIONS_MAX 400000U /* of one function: it does not come to an end */

static atomic_uint countdown; /* 0: none fails */
static atomic_bool reached;
static _Thread_local unsigned paused;
static atomic_bool counts_sqlite;
static atomic_bool counts_one; /* those of one thread */
static pthread_t counted;

void alloc_fail_at(unsigned n)
{
        atomic_store(&reached, false);
        atomic_store(&countdown, n);
}

bool alloc_end(void)
{
        atomic_store(&countdown, 0);
        return atomic_load(&reached);
}

void alloc_pause(void)
{
        paused++;
}

void alloc_resume(void)
{
        paused--;
}

void alloc_count_here(void)
{
        counted = pthread_self();
        atomic_store(&counts_one, true);
}

static bool fails(void)
{
        unsigned n = atomic_load(&countdown);

        if (paused > 0 || (atomic_load(&counts_one) && !pthread_equal(pthread_self(), counted)))
                return false;
        while (n > 0 && !atomic_compare_exchange_weak(&countdown, &n, n - 1))
                continue;
        if (n != 1)
                return false;
        atomic_store(&reached, true);
        errno = ENOMEM;
        return true;
}

#define DEFINE_WRAP(type, name, parameters, arguments)        \
        type __real_##name parameters;                        \
        type __wrap_##name parameters;                        \
        type __wrap_##name parameters                         \
        {                                                     \
                return fails() ? 0 : __real_##name arguments; \
        }

DEFINE_WRAP(void *, malloc, (size_t n), (n))
DEFINE_WRAP(void *, calloc, (size_t n, size_t size), (n, size))
DEFINE_WRAP(void *, realloc, (void *p, size_t n), (p, n))
DEFINE_WRAP(void *, reallocarray, (void *p, size_t n, size_t size), (p, n, size))
DEFINE_WRAP(char *, strdup, (const char *s), (s))
DEFINE_WRAP(char *, strndup, (const char *s, size_t n), (s, n))

int __real_vasprintf(char **ret, const char *format, va_list ap);
int __wrap_vasprintf(char **ret, const char *format, va_list ap);

int __wrap_vasprintf(char **ret, const char *format, va_list ap)
{
        return fails() ? -1 : __real_vasprintf(ret, format, ap);
}

/* ---- SQLite */

static sqlite3_mem_methods usual;

static void *sqlite_malloc(int n)
{
        return atomic_load(&counts_sqlite) && fails() ? NULL : usual.xMalloc(n);
}

static void *sqlite_realloc(void *p, int n)
{
        return atomic_load(&counts_sqlite) && fails() ? NULL : usual.xRealloc(p, n);
}

void alloc_count_sqlite(bool count)
{
        atomic_store(&counts_sqlite, count);
}

void alloc_include_sqlite(void)
{
        static sqlite3_mem_methods methods;

        if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &usual) != SQLITE_OK)
                abort();
        methods = usual;
        methods.xMalloc = sqlite_malloc;
        methods.xRealloc = sqlite_realloc;
        if (sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) != SQLITE_OK)
                abort();
}

void fail_allocations(const char *what, int (*f)(void), unsigned stride)
{
        for (unsigned n = 1; n < ALLOCATIONS_MAX; n += stride) {
                bool failed;
                int r;

                alloc_fail_at(n);
                r = f();
                failed = alloc_end();
                if (r < 0 && r != -ENOMEM)
                        print_error("%s, allocation %u: %s\n", what, n, strerror(-r));
                assert_true(r >= 0 || (r == -ENOMEM && failed));
                if (!failed)
                        return;
        }
        print_error("%s does not come to an end.\n", what);
        assert_true(false);
}
