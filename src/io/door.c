#include "io/door.h"

#include "io/io.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct door {
    struct list link;
    struct list line; /* who waits and does not lead, the last to come first */
    struct door_place *leader;
    _Atomic uint64_t rests_until; /* ns */
    int listener;
    unsigned users;
};

/* Taken twice per connection, for a few instructions each. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct list doors = {&doors, &doors};

static struct door *find(int listener)
{
    for (struct list *l = doors.next; l != &doors; l = l->next) {
        struct door *d = container_of(l, struct door, link);
        if (d->listener == listener) return d;
    }
    struct door *d = calloc(1, sizeof *d);
    if (!d) return NULL;
    d->listener = listener;
    list_init(&d->line);
    list_push(&doors, &d->link);
    return d;
}

int door_open(struct door_place *p, struct io *io, int listener)
{
    *p = (struct door_place){.io = io};
    list_init(&p->link);
    pthread_mutex_lock(&lock);
    p->door = find(listener);
    if (p->door) p->door->users++;
    pthread_mutex_unlock(&lock);
    return p->door ? 0 : -ENOMEM;
}

static void lead(struct door *d, struct door_place *p)
{
    d->leader = p;
    if (p) atomic_store_explicit(&p->leads, true, memory_order_release);
}

void door_wait(struct door_place *p)
{
    struct door *d = p->door;
    if (p->waits) return;
    p->waits = true;
    pthread_mutex_lock(&lock);
    if (d->leader)
        list_push_front(&d->line, &p->link);
    else
        lead(d, p);
    pthread_mutex_unlock(&lock);
}

/* The next is woken under the lock, as it cannot end before it has left in turn. */
void door_leave(struct door_place *p)
{
    struct door *d = p->door;
    if (!p->waits) return;
    p->waits = false;
    pthread_mutex_lock(&lock);
    if (d->leader == p) {
        struct list *next = list_pop(&d->line);
        lead(d, next ? container_of(next, struct door_place, link) : NULL);
        if (d->leader) io_wake(d->leader->io);
    } else {
        list_unlink(&p->link);
    }
    atomic_store_explicit(&p->leads, false, memory_order_relaxed);
    pthread_mutex_unlock(&lock);
}

bool door_is_attended(int listener)
{
    bool attended = false;
    pthread_mutex_lock(&lock);
    for (struct list *l = doors.next; l != &doors; l = l->next) {
        struct door *d = container_of(l, struct door, link);
        if (d->listener == listener) attended = d->leader && d->rests_until == 0;
    }
    pthread_mutex_unlock(&lock);
    return attended;
}

void door_rest(struct door_place *p, uint64_t until)
{
    atomic_store(&p->door->rests_until, until);
}

void door_end_rest(struct door_place *p)
{
    struct door *d = p->door;
    if (LIKELY(atomic_load_explicit(&d->rests_until, memory_order_relaxed) == 0)) return;
    pthread_mutex_lock(&lock);
    atomic_store(&d->rests_until, 0);
    if (d->leader) io_wake(d->leader->io);
    pthread_mutex_unlock(&lock);
}

uint64_t door_rests_until(const struct door_place *p)
{
    return atomic_load_explicit(&p->door->rests_until, memory_order_relaxed);
}

void door_close(struct door_place *p)
{
    struct door *d = p->door;
    door_leave(p);
    pthread_mutex_lock(&lock);
    if (--d->users == 0) {
        list_unlink(&d->link);
        free(d);
    }
    pthread_mutex_unlock(&lock);
}
