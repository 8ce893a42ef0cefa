#pragma once
/* Stack switching, including what the sanitizers and valgrind must be told about it. */

#include <stddef.h>
#include <stdint.h>

#if defined(__SANITIZE_ADDRESS__)
#define FIBER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FIBER_ASAN 1
#endif
#endif

#if defined(__SANITIZE_THREAD__)
#define FIBER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define FIBER_TSAN 1
#endif
#endif

#ifdef FIBER_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef FIBER_TSAN
#include <sanitizer/tsan_interface.h>
#endif

/* A stack that can be switched to. */
struct fiber_stack {
    void *sp;           /* stack pointer when it was last left */
    const void *bottom; /* lowest address; for the core's own stack, known after the first switch */
    size_t size;
    void *asan, *tsan;
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

/* Makes `to` current. Returns when something switches back to `from`. */
static inline void stack_switch(struct fiber_stack *from, struct fiber_stack *to, void *value)
{
#ifdef FIBER_ASAN
    __sanitizer_start_switch_fiber(&from->asan, to->bottom, to->size);
#endif
#ifdef FIBER_TSAN
    if (!from->tsan) from->tsan = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(to->tsan, 0);
#endif
    fiber_switch(&from->sp, to->sp, value);
#ifdef FIBER_ASAN
    __sanitizer_finish_switch_fiber(from->asan, NULL, NULL);
#endif
}

/* Must be the first call on a new stack; `from` is the stack it was entered from. */
static inline void stack_entered(struct fiber_stack *from)
{
#ifdef FIBER_ASAN
    __sanitizer_finish_switch_fiber(NULL, &from->bottom, &from->size);
#else
    (void)from;
#endif
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
#ifdef FIBER_TSAN
    s->tsan = __tsan_create_fiber(0);
#endif
}

/* Tells the sanitizers that `s` will not be used again. `own` is the running stack. */
static inline void stack_forget(struct fiber_stack *s, struct fiber_stack *own)
{
#ifdef FIBER_ASAN
    /* The sanitizer frees its data about a stack's locals only when the stack is left for good. */
    __sanitizer_start_switch_fiber(&own->asan, s->bottom, s->size);
    __sanitizer_finish_switch_fiber(s->asan, NULL, NULL);
    __sanitizer_start_switch_fiber(NULL, own->bottom, own->size);
    __sanitizer_finish_switch_fiber(own->asan, NULL, NULL);
#endif
#ifdef FIBER_TSAN
    __tsan_destroy_fiber(s->tsan);
#endif
    (void)s, (void)own;
}
