#pragma once
/* A scope groups the waits of the fibers that run in it. Scopes form a tree: the root is a request,
 * a group is a child. Cancelling one, because the client has gone, the server stops, a deadline has
 * passed or a sibling has failed, ends every wait in it and below it, never above. */

#include "io/io.h"
#include "task/fiber.h"

struct scope {
    struct io *io;
    struct fiber_pool *fibers;
    void *user;           /* the request it belongs to, or NULL */
    const void *label;    /* names what runs in it (fiber_set_label) */
    struct list waits;    /* waits of parked fibers */
    struct list children; /* attached scopes */
    int cancelled;        /* 0, or the negative errno that every wait returns from then on */
    bool timed;           /* the fields of the deadline are in use */
    bool apart;           /* what runs in it is no request's: io.code does not run meanwhile */

    struct scope *parent; /* NULL for a root */
    struct list sibling;  /* in parent->children while it is attached */
    void (*childless)(
        struct scope *s); /* the last child was detached; may be NULL. Not of a root */

    uint64_t deadline; /* ns */
    struct wheel_timer timer;
};

/* One wait of one fiber, on that fiber's stack. */
struct wait {
    struct list link;
    struct scope *scope;
    struct fiber *fiber;
    struct io_task resume; /* resumes the fiber, later in this turn, from the core's own stack */
    void (*cancel)(struct wait *w); /* ends the wait early, now or by a completion */
    const char *what;               /* what it waits for, in a word or two; set by the caller */
    int result;
    bool woken;
};

/* Told, of each scope of a fiber pool that is not apart, when its fibers wait: `user` is the
 * scope's. */
struct scope_watch {
    /* A fiber is about to be suspended. `last`: the core leaves the scope's code. */
    void (*parks)(void *user, const char *what, bool last);
    void (*resumes)(void *user); /* one is about to be resumed */
    void (*left)(void *user);    /* that one has been suspended again, or has returned */
};

/* A root. */
void scope_init(struct scope *s, struct io *io, struct fiber_pool *fibers, void *user);

/* A child, not attached yet. */
void scope_init_child(struct scope *s, struct scope *parent);

/* Makes a child part of the tree, while fibers run in it: from now on what cancels its parent
 * cancels it, and its deadline counts. Returns its `cancelled`. */
int scope_attach(struct scope *s);

static inline bool scope_is_attached(const struct scope *s)
{
    return !list_empty(&s->sibling);
}

/* Takes a scope in which no fiber runs out of the tree, and stops its clock. For a root, only the
 * latter. */
void scope_detach(struct scope *s);

/* Cancels the scope with -ETIME when `deadline` (ns, of clock_ns) has passed; replaces an earlier
 * one. */
void scope_set_deadline(struct scope *s, uint64_t deadline);

/* Every wait in the scope and below, pending or future, returns `err`; a call that has already
 * completed keeps its result. Only the first call has an effect. */
void scope_cancel(struct scope *s, int err);

/* The scope that the running fiber was started in; NULL off the fibers of `p`. Any thread. */
struct scope *scope_running(const struct fiber_pool *p);

/* Whether a wait must not begin: the scope's error, or -EPERM outside the fibers of its core, as on
 * another thread, or if `s` is NULL. */
int scope_refuses(const struct scope *s);

/* Parks the running fiber until wait_wake and returns the result given there. Arrange for the wake
 * before the call, and set w->what. `cancel` may be NULL: then cancelling the scope does not end
 * the wait. */
int wait_park(struct scope *s, struct wait *w, void (*cancel)(struct wait *w));

/* Resumes the fiber with `result` later in this turn. It never runs the fiber at once, so any code
 * on the core may call it. If called twice, the first result counts. */
void wait_wake(struct wait *w, int result);

/* Likewise, but this result counts for as long as the fiber has not resumed. */
void wait_overrule(struct wait *w, int result);

/* Parks for at least `ns`; WHEEL_NEVER: until cancelled. 0 or the scope's error. */
int scope_sleep(struct scope *s, uint64_t ns);

/* What a fiber that waits for such a call is shown to wait for. */
const char *scope_call_name(enum io_kind kind);

/* Submits a copy of the call and parks until its final completion. Returns its result, or the
 * scope's error if it was cancelled before it completed. The memory the call points to must stay
 * valid until this returns. */
int scope_call(struct scope *s, const struct io_call *c, enum io_kind kind);
