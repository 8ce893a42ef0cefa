/* A minimal program that uses the library: it replies to GET /hello/NAME. Built by meson.build, or:
 *   cc hello.c $(pkg-config --cflags --libs torc) -o hello
 *   cc hello.c -static $(pkg-config --static --cflags --libs torc) -o hello */

#include <torc.h>

#include <stdio.h>

static void hello(torc_req *rq, void *arg)
{
    const char *greeting = arg;
    torc_slice name = torc_param(rq, "name");
    if (torc_sleep(rq, 10) < 0) return; /* the core serves other requests meanwhile */
    torc_replyf(rq, 200, "%s, %.*s!\n", greeting, (int)name.len, name.ptr);
}

int main(int argc, char **argv)
{
    torc_server *s = torc_server_new("hello 1.0");
    if (!s || torc_route(s, "GET", "/hello/:name", hello, "Hello") < 0) {
        fprintf(stderr, "hello: %s\n", s ? torc_server_error(s) : "out of memory");
        return 1;
    }
    int status = torc_server_main(s, argc, argv);
    torc_server_free(s);
    return status;
}
