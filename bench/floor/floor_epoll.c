/*
 * The epoll control: one thread, edge-triggered, each connection registered once and for all, a
 * short receive means the socket is dry, one send per readable event.
 */
#include "floor.h"

#include <errno.h>
#include <sys/epoll.h>

enum { EVENTS_PER_WAIT = 256 };

struct floor {
    int epoll, listener;
    const char *answers;
    uint8_t *matched; /* by descriptor; see floor_count */
    char bytes[FLOOR_RECV_BYTES] __attribute__((aligned(64)));
};

static void accept_all(struct floor *floor)
{
    int fd;
    while ((fd = accept4(floor->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.fd = fd};
        floor->matched[fd] = 0;
        floor_check(epoll_ctl(floor->epoll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
    }
    if (errno != EAGAIN && errno != ECONNABORTED) perror("floor: accept4");
}

/* False when the connection is over. An answer that does not fit the socket's buffer is the end of
 * its connection: the traffic this is made for always reads. */
static bool answer(struct floor *floor, int fd)
{
    ssize_t got;
    do {
        got = recv(fd, floor->bytes, sizeof floor->bytes, 0);
        if (got <= 0) return got < 0 && errno == EAGAIN;
        size_t length =
            floor_count(&floor->matched[fd], floor->bytes, (size_t)got) * FLOOR_ANSWER_BYTES;
        if (length > 0 && send(fd, floor->answers, length, MSG_NOSIGNAL) != (ssize_t)length)
            return false;
    } while (got == sizeof floor->bytes);
    return true;
}

int main(int argc, char **argv)
{
    struct floor_options options = floor_parse(argc, argv);
    static struct floor floor;
    floor.answers = floor_answers();
    floor.listener = floor_start(&options, "epoll", SOCK_NONBLOCK);
    floor.matched = calloc((size_t)sysconf(_SC_OPEN_MAX), 1);
    floor.epoll = epoll_create1(EPOLL_CLOEXEC);
    floor_check(floor.matched ? floor.epoll : -1, "epoll_create1");
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = floor.listener};
    floor_check(epoll_ctl(floor.epoll, EPOLL_CTL_ADD, floor.listener, &event), "epoll_ctl");

    for (;;) {
        struct epoll_event events[EVENTS_PER_WAIT];
        int count = epoll_wait(floor.epoll, events, EVENTS_PER_WAIT, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == floor.listener)
                accept_all(&floor);
            else if (!answer(&floor, fd))
                close(fd);
        }
    }
}
