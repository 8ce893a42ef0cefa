/* A server for test_burst.c, as programs build theirs: without jemalloc. It tells which threads
 * look at the whole heap. */

#include <torc.h>

#ifdef __GLIBC__

#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

/* In place of the C library's. */
struct mallinfo2 mallinfo2(void)
{
    char name[16] = "";
    struct mallinfo2 (*real)(void) = (struct mallinfo2(*)(void))dlsym(RTLD_NEXT, "mallinfo2");
    pthread_getname_np(pthread_self(), name, sizeof name);
    dprintf(STDERR_FILENO, "the heap is looked at by %s\n", name);
    return real();
}

#endif

static void plaintext(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply(rq, 200, "text/plain", TORC_S("Hello, World!"));
}

static void echo(torc_req *rq, void *arg)
{
    torc_slice body;
    (void)arg;
    if (torc_body_all(rq, &body) == 0) torc_reply(rq, 200, NULL, body);
}

int main(int argc, char **argv)
{
    torc_server *s = torc_server_new("burst");
    if (!s || torc_route(s, "GET", "/plaintext", plaintext, NULL) < 0 ||
        torc_route(s, "POST", "/echo", echo, NULL) < 0)
        return 1;
    int status = torc_server_main(s, argc, argv);
    torc_server_free(s);
    return status;
}
