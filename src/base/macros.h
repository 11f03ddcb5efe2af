/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The attributes and small macros that every file uses, and nothing that needs a function. */

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define _cleanup_(f)        __attribute__((cleanup(f)))
#define _printf_(a, b)      __attribute__((format(printf, a, b)))
#define _pure_              __attribute__((pure))
#define _const_             __attribute__((const))
#define _must_check_        __attribute__((warn_unused_result))
#define _unused_            __attribute__((unused))
#define _noreturn_          __attribute__((noreturn))
#define _likely_(x)         (__builtin_expect(!!(x), 1))
#define _unlikely_(x)       (__builtin_expect(!!(x), 0))

#define ELEMENTSOF(x)       (sizeof(x) / sizeof((x)[0]))
#define UNIQUE_(name)       CONCATENATE(name, __COUNTER__)
#define MIN(a, b)           COMPARE_(a, b, <, UNIQUE_(_a), UNIQUE_(_b))
#define MAX(a, b)           COMPARE_(a, b, >, UNIQUE_(_a), UNIQUE_(_b))
#define COMPARE_(a, b, op, ua, ub)                                                                                   \
        ({                                                                                                           \
                __typeof__(a) ua = (a);                                                                              \
                __typeof__(b) ub = (b);                                                                              \
                ua op ub ? ua : ub;                                                                                  \
        })
#define CLAMP(x, low, high) MAX((low), MIN((x), (high)))
#define STRINGIFY_(x)       #x
#define STRINGIFY(x)        STRINGIFY_(x)
#define CONCATENATE_(a, b)  a##b
#define CONCATENATE(a, b)   CONCATENATE_(a, b)
#define container_of(ptr, type, member) ((type *) ((char *) (ptr) - offsetof(type, member)))

/* Hands a pointer on and forgets it here, so that the cleanup attribute does not free what the caller now owns. */
#define TAKE_PTR(ptr)                                                                                                \
        ({                                                                                                           \
                __typeof__(ptr) *_pptr = &(ptr);                                                                     \
                __typeof__(ptr) _taken = *_pptr;                                                                     \
                *_pptr = NULL;                                                                                       \
                _taken;                                                                                              \
        })
#define TAKE_FD(fd)                                                                                                  \
        ({                                                                                                           \
                int *_pfd = &(fd);                                                                                   \
                int _taken = *_pfd;                                                                                  \
                *_pfd = -EBADF;                                                                                      \
                _taken;                                                                                              \
        })

/* Defines void funcp(type *p), for _cleanup_(funcp) on a variable of a pointer type. */
#define DEFINE_TRIVIAL_CLEANUP_FUNC(type, func)                                                                      \
        static inline void func##p(type *p)                                                                          \
        {                                                                                                            \
                if (*p)                                                                                              \
                        *p = (__typeof__(*p)) (func(*p), NULL);                                                      \
        }                                                                                                            \
        struct CONCATENATE(trivial_cleanup_, func)

static inline void freep(void *p)
{
        __builtin_free(*(void **) p);
}
#define _cleanup_free_ _cleanup_(freep)

typedef uint64_t usec_t;
#define USEC_INFINITY   ((usec_t) UINT64_MAX)
#define USEC_PER_MSEC   ((usec_t) 1000ULL)
#define USEC_PER_SEC    ((usec_t) 1000000ULL)
#define USEC_PER_MINUTE (60ULL * USEC_PER_SEC)
#define USEC_PER_HOUR   (60ULL * USEC_PER_MINUTE)
#define USEC_PER_DAY    (24ULL * USEC_PER_HOUR)
#define NSEC_PER_USEC   1000ULL
#define KIB             1024ULL
#define MIB             (1024ULL * KIB)
