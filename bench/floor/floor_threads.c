/*
 * The control of the classic model: 256 threads, each of which takes a connection and serves it to
 * its end with blocking calls, an accept, then a recv and a send per request. The kernel wakes one
 * of the threads that wait in accept.
 */
#include "floor.h"

#include <errno.h>
#include <pthread.h>

enum { THREADS = 256, STACK_BYTES = 64 * 1024 };

static const char *answers;
static int listener;

static bool send_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        if (sent < 0) return false;
        bytes += sent;
        length -= (size_t)sent;
    }
    return true;
}

static void serve_connection(int fd)
{
    char bytes[FLOOR_RECV_BYTES];
    uint8_t matched = 0;
    ssize_t got;
    while ((got = recv(fd, bytes, sizeof bytes, 0)) > 0) {
        unsigned owed = floor_count(&matched, bytes, (size_t)got);
        if (owed && !send_all(fd, answers, (size_t)owed * FLOOR_ANSWER_BYTES)) return;
    }
}

static void *serve(void *unused)
{
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 && errno != ECONNABORTED && errno != EINTR) perror("floor: accept4");
        if (fd < 0) continue;
        serve_connection(fd);
        close(fd);
    }
    return unused;
}

int main(int argc, char **argv)
{
    struct floor_options options = floor_parse(argc, argv);
    pthread_attr_t small;
    pthread_t thread;
    answers = floor_answers();
    listener = floor_start(&options, 0);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, STACK_BYTES);
    for (int i = 1; i < THREADS; i++)
        floor_check(-pthread_create(&thread, &small, serve, NULL), "pthread_create");
    floor_ready(&options, "threads");
    serve(NULL);
}
