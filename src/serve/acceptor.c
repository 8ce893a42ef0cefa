#include "serve/acceptor.h"

#include "base/log.h"
#include "io/local.h"
#include "io/sock.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RETRY_NS   (100 * NS_PER_MS)
#define WARNING_NS (10 * NS_PER_S)
#define SEARCH_NS  (10 * NS_PER_MS)

/* At a drain: for how long at most connections are accepted, and how long each waits for room.
 * Between two requests they are closed within this time; those that have just come have a second
 * for their first request. */
#define DRAIN_NS      NS_PER_S
#define DRAIN_WAIT_NS (100 * NS_PER_MS)
#define DRAIN_LOOK_NS (100 * NS_PER_MS) /* after that time, where a connection holds its thread */

/* ---- starting and pausing ---- */

static bool is_full(const struct acceptor *a)
{
    return *a->n_open - *a->n_refused >= a->max_conns;
}

/* Whether what is queued there is to be accepted. */
static bool is_ours(const struct listener *l)
{
    return !(l->kept && l->acceptor->draining);
}

static void start_listener(struct listener *l)
{
    struct acceptor *a = l->acceptor;
    if (a->accepting && is_ours(l) && !io_busy(&l->accept.op)) io_accept_start(a->io, &l->accept);
}

static void start_accepting(struct acceptor *a)
{
    a->accepting = true;
    for (uint32_t i = 0; i < a->n_listeners; i++) start_listener(&a->listener[i]);
}

static void pause_accepting(struct acceptor *a)
{
    a->accepting = false;
    for (uint32_t i = 0; i < a->n_listeners; i++) io_cancel(a->io, &a->listener[i].accept.op);
}

/* Once it is paused, each listener may bring one more. */
static void update_accepting(struct acceptor *a)
{
    bool accept = a->n_waiting + a->n_listeners <= LISTEN_MAX && !a->closed;
    if (accept && !a->accepting)
        start_accepting(a);
    else if (!accept && a->accepting)
        pause_accepting(a);
}

static void set_single(struct acceptor *a, bool single)
{
    a->single = single;
    for (uint32_t i = 0; i < a->n_listeners; i++) {
        struct listener *l = &a->listener[i];
        l->accept.single = single;
        if (single) io_cancel(a->io, &l->accept.op); /* on_accept restarts it in the new mode */
    }
}

/* Whether `factor` batches would exceed the limit. */
static bool is_near_limit(const struct acceptor *a, uint32_t factor)
{
    return is_full(a) || a->max_conns - (*a->n_open - *a->n_refused) <= factor * a->batch;
}

/* ---- at the limit ---- */

static int take_first(struct acceptor *a)
{
    int fd = a->waiting[0];
    memmove(a->waiting, a->waiting + 1, --a->n_waiting * sizeof *a->waiting);
    return fd;
}

static void refuse_all(struct acceptor *a)
{
    a->overloaded = true;
    a->n_late += a->n_leaving;
    a->n_leaving = 0;
    while (a->n_waiting) a->refuse(a, take_first(a));
}

/* Every waiting client needs a connection to close. */
static void search_room(struct acceptor *a)
{
    uint64_t now = a->io->now, next = now + SEARCH_NS;
    while (a->n_waiting > a->n_leaving && a->make_room(a)) a->n_leaving++;
    if (!a->n_waiting) return;
    if (a->waits_until <= now || (a->overloaded && !a->n_leaving))
        refuse_all(a);
    else
        wheel_set(&a->io->wheel, &a->search, next < a->waits_until ? next : a->waits_until);
    update_accepting(a);
}

/* Closing is not enough where each core has its own descriptor table, with copies of the sockets.
 */
static void close_listeners(struct acceptor *a)
{
    if (a->closed) return;
    pause_accepting(a);
    a->closed = true;
    for (uint32_t i = 0; i < a->n_listeners; i++)
        if (!a->listener[i].kept) shutdown(a->listener[i].accept.listener, SHUT_RDWR);
}

/* Whether the accept queues hold connections. One that another thread has shut down holds none. */
static bool has_queued(const struct acceptor *a)
{
    struct pollfd p[LISTEN_MAX];
    uint32_t most = 0;
    for (uint32_t i = 0; i < a->n_listeners; i++)
        if (is_ours(&a->listener[i]))
            p[most++] = (struct pollfd){a->listener[i].accept.listener, POLLIN, 0};
    int n = poll(p, most, 0);
    for (uint32_t i = 0; n > 0 && i < most; i++)
        if ((p[i].revents & (POLLIN | POLLHUP)) == POLLIN) return true;
    return false;
}

/* The one whose listeners are those of all threads. */
static struct acceptor *owner_of(struct acceptor *a)
{
    return a->owner ? a->owner : a;
}

/* Where it is not known, at most the queue is full; from now on it takes one at a time beyond
 * those. */
static uint32_t count_queued(const struct listener *l)
{
    int fd = l->accept.listener;
    if (!l->local) return sock_queued(fd);
    uint32_t n = local_queued(fd);
    if (n != UINT32_MAX) return n;
    listen(fd, 0);
    return l->queue + 1;
}

/* Where a connection holds its thread, what was queued when the drain began is accepted as threads
 * become free. The first of the threads to drain counts it. */
static void count_owed(struct acceptor *a)
{
    uint32_t n = 1, unknown = 0;
    if (!a->io->config.one_connection) return;
    for (uint32_t i = 0; i < a->n_listeners; i++)
        if (is_ours(&a->listener[i])) n += count_queued(&a->listener[i]);
    atomic_compare_exchange_strong(&owner_of(a)->owed, &unknown, n);
}

static void count_drained(struct acceptor *a)
{
    _Atomic uint32_t *owed = &owner_of(a)->owed;
    uint32_t n = atomic_load(owed);
    while (n > 1 && !atomic_compare_exchange_weak(owed, &n, n - 1)) {
    }
}

/* The kernel resets what is queued when the listening socket closes. */
static void go_on_draining(struct acceptor *a)
{
    uint64_t now = a->io->now;
    if (a->closed) return;
    bool early = now < a->drains_until;
    if ((early || atomic_load(&owner_of(a)->owed) > 1) && has_queued(a))
        wheel_set(&a->io->wheel, &a->search, now + (early ? SEARCH_NS : DRAIN_LOOK_NS));
    else
        close_listeners(a);
}

static void on_search(struct wheel_timer *t)
{
    struct acceptor *a = container_of(t, struct acceptor, search);
    search_room(a);
    if (a->draining) go_on_draining(a);
}

/* Not at once: a connection may be closing anyway, and bytes may be on their way. */
static void wait_for_room(struct acceptor *a, int fd)
{
    if (a->n_waiting == 0) a->waits_until = a->io->now + a->admit_timeout;
    a->waiting[a->n_waiting++] = fd;
    if (!wheel_is_armed(&a->search)) wheel_set(&a->io->wheel, &a->search, a->io->now + SEARCH_NS);
}

/* ---- accepting ---- */

static void admit(struct acceptor *a, int fd)
{
    if (!is_full(a) && !a->n_waiting)
        a->admit(a, fd);
    else if (a->n_waiting < LISTEN_MAX)
        wait_for_room(a, fd);
    else
        io_discard(a->io, fd);
    update_accepting(a);
    if (!a->single && is_near_limit(a, 1)) set_single(a, true);
}

static void on_retry(struct wheel_timer *t)
{
    start_listener(container_of(t, struct listener, retry));
}

/* Of all threads that share the listener, one. */
static bool may_warn(struct listener *l)
{
    uint64_t now = l->acceptor->io->now, last = atomic_load(l->warned_at);
    if (last && now < last + WARNING_NS) return false;
    return atomic_compare_exchange_strong(l->warned_at, &last, now);
}

static void schedule_retry(struct listener *l, int err)
{
    struct acceptor *a = l->acceptor;
    struct io *io = a->io;
    counter_add(&a->failures, 1);
    if (may_warn(l)) {
        bool descriptors = err == -EMFILE || err == -ENFILE;
        log_line("core %u cannot accept: %s; %u connections are open%s", a->core, strerror(-err),
                 *a->n_open, descriptors ? " (raise the descriptor limit with ulimit -n)" : "");
    }
    if (a->make_room(a)) a->n_leaving++; /* a close has the accept retried at once */
    wheel_set(&io->wheel, &l->retry, io->now + RETRY_NS);
}

static void on_accept(struct io *io, struct io_op *op, int res, bool more)
{
    struct listener *l =
        container_of(container_of(op, struct io_accept, op), struct listener, accept);
    struct acceptor *a = l->acceptor;
    if (res >= 0) {
        if (a->draining) count_drained(a);
        if (a->stopped)
            io_discard(io, res);
        else
            admit(a, res);
        return;
    }
    if (more || a->closed) return;
    if (res == -EINVAL)
        a->lost(a, (uint32_t)(l - a->listener));
    else if (res == -ECANCELED)
        start_listener(l); /* paused and already resumed, or switching to single mode */
    else
        schedule_retry(l, res);
}

/* ---- interface ---- */

struct listener *acceptor_add_listener(struct acceptor *a, int fd)
{
    ASSERT(a->n_listeners < LISTEN_MAX);
    struct listener *l = &a->listener[a->n_listeners++];
    l->acceptor = a;
    l->queue = a->backlog;
    l->accept = (struct io_accept){.op = {.fn = on_accept}, .listener = fd};
    l->warned_at = &l->own_warning;
    l->local = sock_is_local(fd);
    wheel_timer_init(&l->retry, on_retry);
    return l;
}

void acceptor_add_shared(struct acceptor *a, struct listener *of)
{
    struct listener *l = acceptor_add_listener(a, of->accept.listener);
    l->warned_at = &of->own_warning;
    l->queue = of->queue;
    l->shared = true;
    l->kept = of->kept;
}

void acceptor_share_listeners(struct acceptor *a, struct acceptor *owner)
{
    a->owner = owner;
    for (uint32_t i = 0; i < owner->n_listeners; i++) acceptor_add_shared(a, &owner->listener[i]);
}

void acceptor_start(struct acceptor *a, struct io *io, const uint32_t *n_open,
                    const uint32_t *n_refused)
{
    a->io = io;
    a->n_open = n_open;
    a->n_refused = n_refused;
    wheel_timer_init(&a->search, on_search);
    /* All of each queue, which holds one more than listen(2) was told. */
    a->batch = 0;
    for (uint32_t i = 0; i < a->n_listeners; i++) a->batch += a->listener[i].queue + UINT64_C(1);
    if (is_near_limit(a, 1)) set_single(a, true);
    start_accepting(a);
}

/* An accept from a Unix socket that was shut down waits, or finds nothing: only poll(2) tells. */
void acceptor_check(struct acceptor *a)
{
    for (uint32_t i = 0; i < a->n_listeners && !a->draining && !a->closed; i++) {
        struct pollfd p = {a->listener[i].accept.listener, POLLRDHUP, 0};
        if (!a->listener[i].local || poll(&p, 1, 0) <= 0) continue;
        if (p.revents & POLLRDHUP) a->lost(a, i); /* else it was closed: io_check tells that */
    }
}

static void retry_now(struct acceptor *a)
{
    for (uint32_t i = 0; i < a->n_listeners; i++) {
        struct listener *l = &a->listener[i];
        if (!wheel_is_armed(&l->retry)) continue;
        wheel_clear(&a->io->wheel, &l->retry);
        start_listener(l);
    }
}

static void count_evicted(struct acceptor *a)
{
    if (a->n_late)
        a->n_late--;
    else if (a->n_leaving)
        a->n_leaving--;
}

void acceptor_conn_closed(struct acceptor *a, bool evicted)
{
    if (evicted) count_evicted(a);
    if (!is_full(a) && a->n_waiting) {
        a->admit(a, take_first(a));
        a->waits_until = a->io->now + a->admit_timeout;
    } else if (*a->n_open - *a->n_refused < a->max_conns - a->max_conns / 16) {
        a->overloaded = false;
    }
    if (a->closed) return;
    if (a->single && !is_near_limit(a, 2)) set_single(a, false);
    update_accepting(a);
    retry_now(a);
}

void acceptor_set_limits(struct acceptor *a, uint32_t max_conns, uint64_t admit_timeout)
{
    a->max_conns = max_conns;
    if (a->draining || a->closed) return;
    a->admit_timeout = admit_timeout;
    while (a->n_waiting && !is_full(a)) a->admit(a, take_first(a));
    if (!is_full(a)) a->overloaded = false;
    bool single = is_near_limit(a, a->single ? 2 : 1);
    if (single != a->single) set_single(a, single);
    update_accepting(a);
}

void acceptor_drain(struct acceptor *a)
{
    uint64_t now = a->io->now;
    a->draining = true;
    for (uint32_t i = 0; i < a->n_listeners; i++)
        if (a->listener[i].kept) io_cancel(a->io, &a->listener[i].accept.op);
    count_owed(a);
    a->drains_until = now + DRAIN_NS;
    if (a->admit_timeout > DRAIN_WAIT_NS) a->admit_timeout = DRAIN_WAIT_NS;
    if (a->waits_until > now + a->admit_timeout) a->waits_until = now + a->admit_timeout;
    go_on_draining(a);
}

void acceptor_stop(struct acceptor *a)
{
    if (a->stopped) return;
    close_listeners(a);
    a->stopped = true;
    wheel_clear(&a->io->wheel, &a->search);
    while (a->n_waiting) io_discard(a->io, take_first(a));
}

/* What is queued at a listener for which a thread waits is about to be accepted. */
static bool is_attended(const struct acceptor *a)
{
    for (uint32_t i = 0; i < a->n_listeners; i++)
        if (!io_is_attended(a->listener[i].accept.listener)) return false;
    return true;
}

bool acceptor_is_awaited(const struct acceptor *a)
{
    return *a->n_open > 0 && !a->closed && has_queued(a) && !is_attended(a);
}

bool acceptor_idle(const struct acceptor *a)
{
    if (!a->closed || a->n_waiting) return false;
    for (uint32_t i = 0; i < a->n_listeners; i++)
        if (io_busy(&a->listener[i].accept.op)) return false;
    return true;
}

void acceptor_close(struct acceptor *a, bool leave_kept)
{
    /* Copies in a table of the core were closed when its thread ended. */
    for (uint32_t i = 0; i < a->n_listeners; i++) {
        const struct listener *l = &a->listener[i];
        if (!l->shared && !(l->kept && leave_kept)) close(l->accept.listener);
    }
}
