#include "task/stack.h"

#include <dlfcn.h>

/* A program that is linked statically may have no dlopen. */
#pragma weak dlopen
#pragma weak dlsym

_Atomic unsigned stack_watchers;
stack_cxx_fn *_Atomic stack_cxx_globals;

/* A C++ runtime that came with a library which the program has loaded (dlopen(3)) is not in the
 * scope of weak symbols. It stays loaded from here on. */
static stack_cxx_fn *find_loaded(const char *name)
{
    void *library = dlopen ? dlopen(name, RTLD_LAZY | RTLD_NOLOAD) : NULL;
    return library && dlsym ? (stack_cxx_fn *)(uintptr_t)dlsym(library, "__cxa_get_globals") : NULL;
}

static stack_cxx_fn *find_cxx(void)
{
    stack_cxx_fn *found = __cxa_get_globals;
    if (!found) found = find_loaded("libstdc++.so.6");
    return found ? found : find_loaded("libc++abi.so.1");
}

void stack_find_watchers(void)
{
    stack_cxx_fn *cxx = find_cxx();
    unsigned found = (cxx ? WATCHER_CXX : 0) | (__sanitizer_start_switch_fiber ? WATCHER_ASAN : 0) |
                     (__tsan_switch_to_fiber ? WATCHER_TSAN : 0);
    atomic_store_explicit(&stack_cxx_globals, cxx, memory_order_relaxed);
    atomic_store_explicit(&stack_watchers, found, memory_order_relaxed);
}
