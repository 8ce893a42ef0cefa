#pragma once
/* A small scripted server on threads of this process, for tests of clients. The path of a request
 * says how it is answered; see upstream.c. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

enum { UPSTREAM_BIG = 2 << 20 };

struct upstream {
    int listener;
    uint16_t port;
    pthread_t thread;
    atomic_uint connections, requests, running;
    atomic_uint held;   /* requests of /held that wait */
    atomic_bool let_go; /* answers them */
    atomic_uint here;   /* requests of /meet, and the most that were there at once */
    atomic_uint most;
};

/* Listens on 127.0.0.1, at `port` or, if that is 0, at one of the system's choice. */
void upstream_start(struct upstream *u, uint16_t port);

/* Waits until so many requests of /held wait. */
void upstream_await_held(const struct upstream *u, unsigned n);

/* Waits until every connection has been closed by the other side, if not by this one. */
void upstream_stop(struct upstream *u);
