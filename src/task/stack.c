#include "task/stack.h"

#include <dlfcn.h>

/* A program that is linked statically may have no dlopen. */
#pragma weak dlopen
#pragma weak dlsym

_Atomic unsigned stack_watchers;

/* __cxa_get_globals, of the runtime that was found. */
typedef struct cxx_globals *cxx_fn(void);
static cxx_fn *_Atomic cxx_globals;

static void found(cxx_fn *fn)
{
    if (!fn) return;
    atomic_store(&cxx_globals, fn);
    atomic_fetch_or(&stack_watchers, WATCHER_CXX);
}

void stack_find_watchers(void)
{
    found(__cxa_get_globals);
    atomic_fetch_or(&stack_watchers, (__sanitizer_start_switch_fiber ? WATCHER_ASAN : 0) |
                                         (__tsan_switch_to_fiber ? WATCHER_TSAN : 0));
}

/* A runtime that came with a library which the program has loaded (dlopen(3)) is not in the scope
 * of weak symbols. It stays loaded from here on. */
void stack_find_loaded(void)
{
    static const char *const names[] = {"libstdc++.so.6", "libc++abi.so.1"};
    for (size_t i = 0; i < ARRAY_LEN(names) && !atomic_load(&cxx_globals) && dlopen && dlsym; i++) {
        void *library = dlopen(names[i], RTLD_LAZY | RTLD_NOLOAD);
        if (library) found((cxx_fn *)(uintptr_t)dlsym(library, "__cxa_get_globals"));
    }
}

/* A core that runs already may see the watcher before the function: then its fibers have no
 * exceptions yet. */
void stack_switch_cxx(struct cxx_globals *from, const struct cxx_globals *to)
{
    cxx_fn *fn = atomic_load_explicit(&cxx_globals, memory_order_relaxed);
    if (!fn) return;
    struct cxx_globals *current = fn();
    *from = *current;
    *current = *to;
}
