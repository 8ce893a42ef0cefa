#pragma once
/* Marks our own memory as inaccessible for the address sanitizer; a no-op in other builds. */

#if defined(__SANITIZE_ADDRESS__)
#define POISON_ENABLED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISON_ENABLED 1
#endif
#endif

#ifdef POISON_ENABLED
#include <sanitizer/asan_interface.h>
/* gcc assumes that a const pointer argument is read and warns about uninitialised memory; the asm
 * hides where the pointer comes from. */
#define POISON(p, n)                                                                               \
    do {                                                                                           \
        void *poison_at = (p);                                                                     \
        __asm__("" : "+r"(poison_at));                                                             \
        __asan_poison_memory_region(poison_at, n);                                                 \
    } while (0)
#define UNPOISON(p, n) __asan_unpoison_memory_region(p, n)
#else
#define POISON(p, n)   ((void)0)
#define UNPOISON(p, n) ((void)0)
#endif
