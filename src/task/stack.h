#pragma once
/* Stack switching, including what the C++ runtime and the sanitizers must be told about it. */

#include "base/assert.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* What the C++ runtime keeps for each thread: the exceptions that are being handled (Itanium C++
 * ABI, 2.2.2). */
struct cxx_globals {
    void *caught;
    unsigned uncaught;
};

/* Part of the C++ runtime and the sanitizers. Weak: they are there if the program has them, however
 * the library was built. */
/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
extern struct cxx_globals *__cxa_get_globals(void) __attribute__((weak));
extern void __sanitizer_start_switch_fiber(void **save, const void *bottom, size_t size)
    __attribute__((weak));
extern void __sanitizer_finish_switch_fiber(void *save, const void **bottom, size_t *size)
    __attribute__((weak));
extern void *__tsan_get_current_fiber(void) __attribute__((weak));
extern void *__tsan_create_fiber(unsigned flags) __attribute__((weak));
extern void __tsan_destroy_fiber(void *fiber) __attribute__((weak));
extern void __tsan_switch_to_fiber(void *fiber, unsigned flags) __attribute__((weak));
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/* Those that must be told of a switch. */
enum { WATCHER_CXX = 1, WATCHER_ASAN = 2, WATCHER_TSAN = 4 };
extern _Atomic unsigned stack_watchers;

/* Looks for them. Before the first stack_prepare. */
void stack_find_watchers(void);

/* Looks for a C++ runtime that was loaded since the program began. Not on a core: the thread that
 * waits for it may hold the lock of the loader. */
void stack_find_loaded(void);

/* A function of its own: the address sanitizer would have the frame of one that is left for good
 * poison the stack. */
void stack_switch_cxx(struct cxx_globals *from, const struct cxx_globals *to);

static inline unsigned stack_has(unsigned watchers)
{
    return atomic_load_explicit(&stack_watchers, memory_order_relaxed) & watchers;
}

/* A stack that can be switched to. */
struct fiber_stack {
    void *sp;           /* stack pointer when it was last left */
    const void *bottom; /* lowest address; for the core's own stack, known after the first switch */
    size_t size;
    void *asan, *tsan;
    struct cxx_globals cxx; /* while it is not current */
};

/* Defined in switch_ARCH.S. */
void *fiber_switch(void **save_sp, void *to_sp, void *value);
void fiber_entry(void);

/* Layout of the frame that fiber_switch pops from a stack that has never run. */
#if defined(__x86_64__)
enum { FRAME_WORDS = 7, FRAME_RETURN = 6 };
#elif defined(__aarch64__)
enum { FRAME_WORDS = 20, FRAME_RETURN = 1 };
#else
#error "fibers are written for x86-64 and aarch64"
#endif

/* Inline where the thread sanitizer counts the calls and returns of each fiber; elsewhere out of
 * the way of programs that nobody watches. */
#if defined(__SANITIZE_THREAD__)
#define STACK_COUNTED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define STACK_COUNTED 1
#endif
#endif
#ifdef STACK_COUNTED
#define WATCHED_SWITCH __attribute__((always_inline)) static inline
#else
#define WATCHED_SWITCH __attribute__((noinline, cold, unused)) static
#endif

WATCHED_SWITCH void stack_switch_watched(struct fiber_stack *from, struct fiber_stack *to,
                                         void *value)
{
    if (stack_has(WATCHER_CXX)) stack_switch_cxx(&from->cxx, &to->cxx);
    if (stack_has(WATCHER_ASAN)) __sanitizer_start_switch_fiber(&from->asan, to->bottom, to->size);
    if (stack_has(WATCHER_TSAN)) {
        if (!from->tsan) from->tsan = __tsan_get_current_fiber();
        __tsan_switch_to_fiber(to->tsan, 0);
    }
    fiber_switch(&from->sp, to->sp, value);
    if (stack_has(WATCHER_ASAN)) __sanitizer_finish_switch_fiber(from->asan, NULL, NULL);
}

/* Makes `to` current. Returns when something switches back to `from`. */
static inline void stack_switch(struct fiber_stack *from, struct fiber_stack *to, void *value)
{
    if (LIKELY(!stack_has(UINT32_MAX)))
        fiber_switch(&from->sp, to->sp, value);
    else
        stack_switch_watched(from, to, value);
}

/* Must be the first call on a new stack; `from` is the stack it was entered from. */
static inline void stack_entered(struct fiber_stack *from)
{
    if (UNLIKELY(stack_has(WATCHER_ASAN)))
        __sanitizer_finish_switch_fiber(NULL, &from->bottom, &from->size);
}

/* Prepares a stack so that the first switch to it enters fiber_entry, correctly aligned. The zeros
 * above are for unwinders that look for a caller there instead of using the unwind information of
 * fiber_entry. */
static inline void stack_prepare(struct fiber_stack *s, void *top)
{
    int words = FRAME_WORDS + 2;
    void **sp = (void **)((uintptr_t)top & ~(uintptr_t)15) - words;
    for (int i = 0; i < words; i++) sp[i] = NULL;
    sp[FRAME_RETURN] = (void *)(uintptr_t)fiber_entry;
    s->sp = sp;
    if (stack_has(WATCHER_TSAN)) s->tsan = __tsan_create_fiber(0);
}

/* Tells the sanitizers that `s` will not be used again. `own` is the running stack. */
static inline void stack_forget(struct fiber_stack *s, struct fiber_stack *own)
{
    if (stack_has(WATCHER_ASAN)) {
        /* The sanitizer frees its data about a stack's locals only when the stack is left for
         * good. */
        __sanitizer_start_switch_fiber(&own->asan, s->bottom, s->size);
        __sanitizer_finish_switch_fiber(s->asan, NULL, NULL);
        __sanitizer_start_switch_fiber(NULL, own->bottom, own->size);
        __sanitizer_finish_switch_fiber(own->asan, NULL, NULL);
    }
    if (stack_has(WATCHER_TSAN)) __tsan_destroy_fiber(s->tsan);
}
