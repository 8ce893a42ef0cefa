#pragma once
/* Assertions that stay on in release builds. They check our own invariants. An error that the
 * kernel, a peer or a handler can cause is a result to handle, never an assertion. */

#include <assert.h>

_Noreturn void assert_fail(const char *expr, const char *file, int line);

#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* What the path of a request calls rarely. Compiled into its caller, its arrays and the variables
 * whose address it takes would have the stack checked at each of the caller's calls. */
#define COLD __attribute__((noinline, cold))

#define ASSERT(expr)                                                                               \
    do {                                                                                           \
        if (UNLIKELY(!(expr))) assert_fail(#expr, __FILE__, __LINE__);                             \
    } while (0)

/* For expensive checks: on in debug builds only. */
#ifdef NDEBUG
#define DEBUG_ASSERT(expr) ((void)0)
#else
#define DEBUG_ASSERT(expr) ASSERT(expr)
#endif

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define ARRAY_LEN(a)                    (sizeof(a) / sizeof((a)[0]))
