/* What does not fit into the submission queue. Its owner is told nothing: it is submitted as soon
 * as the kernel takes it. */

#include "io/uring.h"

#include "base/clock.h"
#include "base/log.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { OWED_FIRST = 64, OWED_TRIES = 1000 };

#define TOLD_AFTER NS_PER_S
#define GIVE_UP    (10 * NS_PER_S) /* nothing has moved for so long */

/* The kernel may say "later" for long, so the core rests instead of asking all the time. */
static void rest(void)
{
    const struct timespec pause = {.tv_nsec = 1000 * 1000};
    nanosleep(&pause, NULL);
}

/* For a moment that is usual; after a while the operator should know why nothing moves, and in the
 * end it is a refusal. */
static bool is_hopeless(struct uring *u, int err)
{
    struct uring_later *l = &u->later;
    uint64_t now = clock_ns(), enters = counter_get(&u->io->stats.enters);
    if (enters - l->enters > 1 || l->since == 0) l->since = now;
    l->enters = enters;
    if (now - l->since >= TOLD_AFTER && l->told < l->since) {
        l->told = now;
        log_line("io_uring_enter fails again and again: %s", strerror(-err));
    }
    return now - l->since >= GIVE_UP;
}

/* EBADR: the completion queue was full, the kernel had no memory to keep what did not fit, and says
 * so once (io_uring_enter(2)). Nobody knows which operations have ended. */
void uring_enter_failed(struct uring *u, int err)
{
    bool refused = err != -ETIME && err != -EINTR;
    if (err == -EBADR && u->io->error == 0)
        log_line("the kernel has lost completions, as it had no memory to keep them");
    if (uring_may_retry(err)) {
        if (io_uring_cq_ready(&u->ring) > 0) return;
        refused = is_hopeless(u, err);
        rest();
    }
    if (refused && u->io->error == 0) u->io->error = err;
}

struct io_uring_sqe *uring_submit_early(struct uring *u)
{
    counter_add(&u->io->stats.sq_full, 1);
    counter_add(&u->io->stats.syscalls, 1);
    int err = io_uring_submit(&u->ring);
    if (err < 0 && !uring_may_retry(err)) uring_enter_failed(u, err);
    return io_uring_get_sqe(&u->ring);
}

/* ---- what belongs to no operation ---- */

static void prepare(struct uring *u, struct io_uring_sqe *sqe, const struct owed *o)
{
    uint64_t data = URING_IGNORE;
    switch (o->kind) {
    case OWED_CANCEL:
        io_uring_prep_cancel64(sqe, o->what, 0);
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
        break;
    case OWED_DISCARD:
        io_uring_prep_close_direct(sqe, (unsigned)o->what);
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
        break;
    case OWED_WAKE:
        io_uring_prep_read(sqe, u->io->wake_fd, &u->wake_count, sizeof u->wake_count, 0);
        data = URING_WAKE;
        break;
    }
    io_uring_sqe_set_data64(sqe, data);
}

static void keep(struct uring *u, const struct owed *o)
{
    if (u->n_owed == u->owed_room) {
        uint32_t room = u->owed_room ? u->owed_room * 2 : OWED_FIRST;
        struct owed *owed = realloc(u->owed, room * sizeof *owed);
        if (!owed) {
            u->io->error = -ENOMEM;
            return;
        }
        u->owed = owed;
        u->owed_room = room;
    }
    u->owed[u->n_owed++] = *o;
    u->blocked = true;
}

void uring_owe(struct uring *u, enum owed_kind kind, uint64_t what)
{
    struct owed o = {kind, what};
    struct io_uring_sqe *sqe = u->n_owed ? NULL : uring_get_sqe(u);
    for (int tries = 0; !sqe && !u->n_owed && tries < OWED_TRIES; tries++) {
        sched_yield();
        sqe = uring_get_sqe(u);
    }
    if (sqe)
        prepare(u, sqe, &o);
    else
        keep(u, &o);
}

bool uring_pay(struct uring *u)
{
    uint32_t n = 0;
    while (n < u->n_owed) {
        struct io_uring_sqe *sqe = uring_get_sqe(u);
        if (!sqe) break;
        prepare(u, sqe, &u->owed[n++]);
    }
    u->n_owed -= n;
    if (n && u->n_owed) memmove(u->owed, u->owed + n, u->n_owed * sizeof *u->owed);
    return u->n_owed == 0;
}
