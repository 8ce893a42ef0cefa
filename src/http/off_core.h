#pragma once
/* Calls on files that may wait for a disk, made by a thread of a pool where they would hold the
 * core. Each core reads few pieces at once, and whoever needs another waits in turn: the threads
 * are few, and shared by all cores. */

#include <stdbool.h>

struct http_context;
struct offload;
struct torc_req;

enum { OFF_CORE_WHAT = 16 }; /* length of `what` at most */

void off_core_open(struct http_context *ctx);

/* Whether a call on a file holds the core, and with it other connections, and this pool could make
 * it; `pool` may be NULL. */
bool off_core_helps(const struct torc_req *rq, const struct offload *pool);

/* WAITS for a turn, which a ring's own workers need, too. 0, then off_core_end must follow; or the
 * scope's error. */
int off_core_begin(struct torc_req *rq);

void off_core_end(struct torc_req *rq);

/* WAITS until a thread of the pool has called fn(arg), whatever happens meanwhile. `what` it is,
 * for those who look at requests that wait. The result of `fn`; the scope's error if that came
 * first; -ENOSYS or -EAGAIN if the pool takes no job. */
int off_core_call(struct torc_req *rq, struct offload *pool, const char *what, int (*fn)(void *arg),
                  void *arg);
