/* A stack that any thread pushes to and that the core takes whole: no lock, and no node is ever
 * compared with one that was freed meanwhile (the ABA problem). */

#include "io/inbox.h"

#include <errno.h>
#include <sched.h>

enum { TURN_POSTS = 64 }; /* that run in a turn; completions and timers come in between */

static struct io_post closed;

static int push(struct io_inbox *inbox, struct io_post *p, struct io_post **before)
{
    *before = atomic_load_explicit(&inbox->newest, memory_order_relaxed);
    do {
        if (*before == &closed) return -ESHUTDOWN;
        p->next = *before;
    } while (!atomic_compare_exchange_weak_explicit(&inbox->newest, before, p, memory_order_release,
                                                    memory_order_relaxed));
    return 0;
}

int io_post(struct io *io, struct io_post *p)
{
    struct io_inbox *inbox = &io->inbox;
    struct io_post *before;
    if (atomic_exchange(&p->queued, true)) return 0;
    /* The core may run `p` and end before the wake: it then waits for this thread. */
    atomic_fetch_add(&inbox->posters, 1);
    int err = push(inbox, p, &before);
    if (err < 0)
        atomic_store(&p->queued, false);
    else if (!before)
        io_wake(io);
    atomic_fetch_sub(&inbox->posters, 1);
    return err;
}

/* The newest is the first; it becomes the last of io->posts. */
static void append(struct io *io, struct io_post *p)
{
    struct io_post **end = &io->posts, *after = NULL;
    while (*end) end = &(*end)->next;
    while (p) {
        struct io_post *next = p->next;
        p->next = after;
        after = p;
        p = next;
    }
    *end = after;
}

void inbox_take(struct io *io)
{
    struct io_post *p = atomic_load_explicit(&io->inbox.newest, memory_order_relaxed);
    if (io->posts || !p || p == &closed) return; /* inbox_run comes to the rest */
    append(io, atomic_exchange_explicit(&io->inbox.newest, NULL, memory_order_acquire));
}

void inbox_run(struct io *io)
{
    for (int n = 0; io->posts && n < TURN_POSTS; n++) {
        struct io_post *p = io->posts;
        io->posts = p->next;
        counter_add(&io->stats.posts, 1);
        atomic_exchange(&p->queued, false); /* from here on it may be posted again */
        p->fn(p);
        if (!io->posts) inbox_take(io);
    }
}

bool io_close_inbox(struct io *io)
{
    if (atomic_load_explicit(&io->inbox.newest, memory_order_relaxed) != &closed)
        append(io, atomic_exchange(&io->inbox.newest, &closed));
    if (io->posts) return false;
    while (atomic_load(&io->inbox.posters)) sched_yield();
    return true;
}
