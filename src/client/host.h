#pragma once
/* What a client library that owns its sockets, such as libpq, uses of the core that its requests
 * run on. The libraries beside libtorc (libtorc-pg) know this header and the public ones, nothing
 * else of torc. It is exported for them alone and changes with any version; see torc.h for the
 * public API.
 *
 * All of it belongs to the core's thread but torc_source_post. Callbacks run on the core's own
 * stack, which is large, never on that of a fiber. */

#include "base/list.h"
#include "torc.h"

#include <pthread.h>

struct torc_host;

/* ---- cores ----------------------------------------------------------------------------------- */

/* The core whose fiber is running. NULL, with the error in *err: -EPERM if the caller is no fiber
 * of the request, or what its waits return from now on. */
TORC_API struct torc_host *torc_host_of(torc_req *rq, int *err);

/* Nanoseconds of the monotonic clock, read once a turn. */
TORC_API uint64_t torc_host_now(const struct torc_host *h);

enum torc_host_cause { TORC_HOST_ABSENT, TORC_HOST_LOST, TORC_HOST_NOTICE };

/* Says a line to the operator: each text once in ten seconds, with how often it occurred. Of each
 * cause a core knows eight texts at a time. */
TORC_API void torc_host_warn(struct torc_host *h, enum torc_host_cause cause, const char *format,
                             ...) TORC_PRINTF(3, 4);

/* Part of what a library keeps on a core. `stop` is called again and again once no request is left
 * and the core is to end: it ends what is in flight and returns true when nothing is. `end` then
 * frees everything. */
struct torc_host_hook {
    bool (*stop)(struct torc_host_hook *hook);
    void (*end)(struct torc_host_hook *hook);
};

/* 0 or -ENOMEM. */
TORC_API int torc_host_add_hook(struct torc_host *h, struct torc_host_hook *hook);

/* Starts a thread of the library's own, which is not pinned as a core is, with every signal
 * blocked: they are the program's. The name has at most 15 bytes. 0 or an errno. */
TORC_API int torc_host_start_thread(pthread_t *thread, const char *name, void *(*fn)(void *arg),
                                    void *arg);

/* ---- waiting --------------------------------------------------------------------------------- */

/* A wait of the running fiber, on its stack. `leave` is called if the wait ends before
 * torc_host_wake, because the request is cancelled: nobody may wake it after that. */
struct torc_host_wait {
    void (*leave)(struct torc_host_wait *w);
    void *state; /* the host's */
};

/* Parks the fiber until torc_host_wake and returns the result given there, or the error that ended
 * the wait. Only after torc_host_of. If the request was cancelled since, `leave` is called at once.
 * `what` is shown to operators. */
TORC_API int torc_host_park(torc_req *rq, struct torc_host_wait *w, const char *what);

/* The fiber continues later in this turn. */
TORC_API void torc_host_wake(struct torc_host_wait *w, int result);

/* ---- addresses ------------------------------------------------------------------------------- */

enum { TORC_HOST_ADDRS = 8 };

struct torc_host_addr {
    _Alignas(8) char addr[112]; /* a struct sockaddr of any of the three families */
    unsigned len;
};

/* Whether `to` is a text that torc_connect takes: 0, or its error for one that it does not. */
TORC_API int torc_host_check(const char *to);

/* WAITS where `to` has a name that is not known yet. The number of addresses, the preferred one
 * first; or the errors of torc_connect that come before a socket. */
TORC_API int torc_host_find(torc_req *rq, const char *to,
                            struct torc_host_addr out[TORC_HOST_ADDRS]);

/* ---- requests -------------------------------------------------------------------------------- */

/* What a request holds of the library until its end. */
struct torc_host_cleanup {
    void (*fn)(struct torc_host_cleanup *c);
    void *state[4]; /* the host's */
};

/* `fn` is called on the handler's fiber when all fibers of the request have returned. */
TORC_API void torc_host_hold(torc_req *rq, struct torc_host_cleanup *c);

/* Not any more. */
TORC_API void torc_host_let_go(struct torc_host_cleanup *c);

/* ---- sources --------------------------------------------------------------------------------- */

/* Whatever a core is to tell the library of: readiness of a descriptor, a time, the end of the turn
 * and what another thread posts. A function that is never asked for may be NULL. */
struct torc_source;

struct torc_source_ops {
    void (*ready)(void *arg, int events); /* of poll(2), or negative errno */
    void (*alarm)(void *arg);
    void (*task)(void *arg);
    void (*posted)(void *arg);
};

/* NULL if out of memory. */
TORC_API struct torc_source *torc_source_new(struct torc_host *h, const struct torc_source_ops *ops,
                                             void *arg);

/* Nothing is called any more. Call it before the descriptor is closed. */
TORC_API void torc_source_free(struct torc_source *s);

/* Calls `ready` once when the descriptor has one of these events, or an error. Replaces what was
 * asked for before. */
TORC_API void torc_source_watch(struct torc_source *s, int fd, short events);

/* Calls `alarm` once, `ns` from now. Replaces the one before; UINT64_MAX: never. */
TORC_API void torc_source_alarm(struct torc_source *s, uint64_t ns);

/* Calls `task` once, later in this turn. */
TORC_API void torc_source_schedule(struct torc_source *s);

/* Thread-safe: calls `posted` on the core, soon. The source must not be freed meanwhile. */
TORC_API void torc_source_post(struct torc_source *s);
