/*
 * The epoll control: one thread, edge-triggered, each connection registered once and for all, a
 * short receive means the socket is dry unless the event says that it has ended, one send per
 * readable event.
 *
 * A turn receives from every socket that is ready and then answers them all. That costs 2 % less
 * than to answer each at once: the kernel's code for receiving, and then that for sending, stays in
 * the instruction cache. Level-triggered events, epoll_wait without waiting after a busy turn,
 * smaller batches and a nap that lets more events gather made no difference or were worse.
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

/* Receives until the socket is dry, or to its end where the event says that there is one. Returns
 * whether that came, and the answers that the connection is owed. */
static bool receive(struct floor *floor, const struct epoll_event *event, unsigned *owed)
{
    int fd = event->data.fd;
    ssize_t got;
    do {
        got = recv(fd, floor->bytes, sizeof floor->bytes, 0);
        if (got <= 0) return got == 0 || errno != EAGAIN;
        *owed += floor_count(&floor->matched[fd], floor->bytes, (size_t)got);
    } while (got == sizeof floor->bytes || event->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
    return false;
}

/* What does not fit the socket's buffer ends its connection: the traffic this is made for reads. */
static void answer(struct floor *floor, int fd, unsigned owed)
{
    while (owed > 0) {
        unsigned now = owed < FLOOR_ANSWERS_MAX ? owed : FLOOR_ANSWERS_MAX;
        size_t length = (size_t)now * FLOOR_ANSWER_BYTES;
        if (send(fd, floor->answers, length, MSG_NOSIGNAL) != (ssize_t)length) {
            shutdown(fd, SHUT_RDWR);
            return;
        }
        owed -= now;
    }
}

int main(int argc, char **argv)
{
    struct floor_options options = floor_parse(argc, argv);
    static struct floor floor;
    floor.answers = floor_answers();
    floor.listener = floor_start(&options, SOCK_NONBLOCK);
    floor.matched = calloc((size_t)sysconf(_SC_OPEN_MAX), 1);
    floor.epoll = epoll_create1(EPOLL_CLOEXEC);
    floor_check(floor.matched ? floor.epoll : -1, "epoll_create1");
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.fd = floor.listener};
    floor_check(epoll_ctl(floor.epoll, EPOLL_CTL_ADD, floor.listener, &event), "epoll_ctl");
    floor_ready(&options, "epoll");

    for (;;) {
        struct epoll_event events[EVENTS_PER_WAIT];
        int count = epoll_wait(floor.epoll, events, EVENTS_PER_WAIT, -1);
        unsigned owed[EVENTS_PER_WAIT];
        bool ended[EVENTS_PER_WAIT];
        for (int i = 0; i < count; i++) {
            owed[i] = 0;
            ended[i] = false;
            if (events[i].data.fd == floor.listener)
                accept_all(&floor);
            else
                ended[i] = receive(&floor, &events[i], &owed[i]);
        }
        for (int i = 0; i < count; i++) {
            if (owed[i] > 0) answer(&floor, events[i].data.fd, owed[i]);
            if (ended[i]) close(events[i].data.fd);
        }
    }
}
