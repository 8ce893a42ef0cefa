/* A program in C whose handlers are in a library that it loads: thrower.cc, in C++. */

#include <torc.h>

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>

typedef int add_fn(torc_server *s);

int main(int argc, char **argv)
{
    torc_server *s = torc_server_new("loader 1.0");
    void *library = dlopen(MODULE, RTLD_NOW | RTLD_LOCAL);
    add_fn *add_routes = library ? (add_fn *)(uintptr_t)dlsym(library, "add_routes") : NULL;
    if (!add_routes) fprintf(stderr, "loader: %s\n", dlerror());
    if (!s || !add_routes || add_routes(s) < 0) return 100;
    int status = torc_server_main(s, argc, argv);
    torc_server_free(s);
    return status;
}
