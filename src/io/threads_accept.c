/* The accept streams of the engine threads. With config.one_connection, threads share a listener,
 * and one of them waits for it (door.h). */

#include "io/door.h"
#include "io/readiness.h"
#include "io/threads.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { ACCEPT_SHARE = 64 };

/* How long a door rests when no connection can be accepted, as when descriptors have run out. */
#define REST_NS (100 * NS_PER_MS)

/* An accept stream. */
struct entrance {
    struct list link;
    struct io_accept *accept;
    struct door_place place; /* with config.one_connection */
};

static struct entrance *entrance_of(struct list *l)
{
    return container_of(l, struct entrance, link);
}

void threads_accept(struct io *io, struct io_accept *a)
{
    struct entrance *e = calloc(1, sizeof *e);
    int err = e ? 0 : -ENOMEM;
    if (e && io->config.one_connection) err = door_open(&e->place, io, a->listener);
    if (err < 0) {
        free(e);
        ready_finish(io, &a->op, err);
        return;
    }
    e->accept = a;
    list_push(&threads_of(io)->entrances, &e->link);
}

static void close_entrance(struct io *io, struct entrance *e)
{
    if (io->config.one_connection) door_close(&e->place);
    list_unlink(&e->link);
    free(e);
}

void threads_cancel_accept(struct io *io, struct io_accept *a)
{
    struct threads *t = threads_of(io);
    for (struct list *l = t->entrances.next; l != &t->entrances; l = l->next) {
        struct entrance *e = entrance_of(l);
        if (e->accept != a) continue;
        close_entrance(io, e);
        break;
    }
    ready_finish(io, &a->op, -ECANCELED);
}

/* ---- waiting ---- */

/* Whether this thread waits for the listener now; else *again may move to when it is to look. */
static bool attends(struct io *io, struct entrance *e, uint64_t *again)
{
    if (!io->config.one_connection) return true;
    if (threads_of(io)->n_accepted > 0) {
        door_leave(&e->place);
        return false;
    }
    door_wait(&e->place);
    if (!door_leads(&e->place)) return false;
    uint64_t rests = door_rests_until(&e->place);
    if (LIKELY(rests == 0)) return true;
    if (rests <= io->turn_end) {
        door_rest(&e->place, 0);
        return true;
    }
    if (rests < *again) *again = rests;
    return false;
}

uint64_t threads_poll_entrances(struct io *io)
{
    struct threads *t = threads_of(io);
    uint64_t again = WHEEL_NEVER;
    for (struct list *l = t->entrances.next; l != &t->entrances; l = l->next) {
        struct entrance *e = entrance_of(l);
        if (attends(io, e, &again)) threads_poll(io, e->accept->listener, POLLIN, e, OF_ENTRANCE);
    }
    return again;
}

void threads_leave_doors(struct io *io)
{
    struct threads *t = threads_of(io);
    if (!io->config.one_connection) return;
    for (struct list *l = t->entrances.next; l != &t->entrances; l = l->next)
        door_leave(&entrance_of(l)->place);
}

bool io_is_attended(int listener)
{
    return door_is_attended(listener);
}

/* ---- accepting ---- */

static bool is_entrance(struct threads *t, const void *entrance)
{
    for (struct list *l = t->entrances.next; l != &t->entrances; l = l->next)
        if (entrance_of(l) == entrance) return true;
    return false;
}

/* -EINVAL: another thread has shut the listener down. */
static void fail(struct io *io, struct entrance *e, int err)
{
    struct io_accept *a = e->accept;
    if (io->config.one_connection && err != -EINVAL) door_rest(&e->place, io->now + REST_NS);
    close_entrance(io, e);
    io_complete(io, &a->op, err, false);
}

void threads_entrance_ready(struct io *io, void *entrance)
{
    struct entrance *e = entrance;
    if (!is_entrance(threads_of(io), e)) return;
    struct io_accept *a = e->accept;
    bool one = io->config.one_connection;
    for (int share = one ? 1 : ACCEPT_SHARE; share > 0 && !a->op.cancelling; share--) {
        if (one && threads_of(io)->n_accepted > 0) return; /* from another listener */
        counter_add(&io->stats.syscalls, 1);
        int fd = accept4(a->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            counter_add(&io->stats.cqes, 1);
            threads_of(io)->n_accepted++;
            io_complete(io, &a->op, fd, true);
            continue;
        }
        if (errno == EAGAIN) return;
        if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO) continue;
        fail(io, e, -errno);
        return;
    }
}

/* A descriptor is free again, which a door may rest for the want of. */
void threads_closed(struct io *io)
{
    struct threads *t = threads_of(io);
    t->n_accepted--;
    if (!io->config.one_connection) return;
    for (struct list *l = t->entrances.next; l != &t->entrances; l = l->next)
        door_end_rest(&entrance_of(l)->place);
}

void threads_discard(struct io *io, int fd)
{
    counter_add(&io->stats.syscalls, 1);
    close(fd);
    threads_closed(io);
}
