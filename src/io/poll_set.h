#pragma once
/* The descriptors of one poll(2), and what each is of. */

#include <poll.h>
#include <stdint.h>

struct poll_target {
    void *ptr;
    int kind; /* of the caller's */
};

/* Entries are looked at in their order. */
struct poll_set {
    struct pollfd *fds;
    struct poll_target *targets;
    uint32_t n, room;
};

/* Makes an empty one with room for some, so that a thread that starts has what most need. 0 or
 * -ENOMEM. */
int poll_set_init(struct poll_set *p);

/* 0 or -ENOMEM. */
int poll_set_add(struct poll_set *p, int fd, int events, void *ptr, int kind);

/* Waits at most `timeout_ns` (UINT64_MAX: for ever) and sets the entries' revents. How many have
 * any, or negative errno. */
int poll_set_wait(struct poll_set *p, uint64_t timeout_ns);

void poll_set_free(struct poll_set *p);
