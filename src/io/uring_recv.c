/* Receiving on io_uring: the recv streams, and the buffers that they take. */

#include "io/uring.h"

#include <errno.h>
#include <poll.h>

enum {
    RECV_SHARE = 8,   /* buffers per socket and turn, for fairness; where the kernel can limit it */
    RECV_CROWD = 256, /* sockets that are armed in a turn, while each gets one buffer */
};

/* ---- recv ---- */

/* Without a limit, one client that sends fast gets every buffer of the ring in one turn, before a
 * cancel takes effect. optlen is the limit of a multishot recv, in bytes, after which it ends.
 * While more sockets wait than there are buffers for, each gets one at a time. */
static void prepare_provided(struct uring *u, struct io_uring_sqe *sqe, struct io_sock *s)
{
    if (!uring_has(u, IO_MULTISHOT) || u->one_buffer) {
        io_uring_prep_recv(sqe, s->fd, NULL, u->io->bufs.size, 0);
        return;
    }
    io_uring_prep_recv_multishot(sqe, s->fd, NULL, 0, 0);
    if (u->no_recv_limit) return;
    sqe->optlen = RECV_SHARE * u->io->bufs.size;
    s->recv.engine_bits |= LIMITED;
}

void uring_prepare_recv(struct uring *u, struct io_uring_sqe *sqe, struct io_sock *s)
{
    struct buf_pool *p = &u->io->bufs;
    if (uring_has(u, IO_BUF_RING)) {
        prepare_provided(u, sqe, s);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = BUF_GROUP;
    } else if (s->recv.engine_bits & POLLING) {
        /* An idle connection must not hold a buffer, so one is taken only when bytes have
         * arrived. */
        io_uring_prep_poll_add(sqe, s->fd, POLLIN | POLLRDHUP);
    } else {
        io_uring_prep_recv(sqe, s->fd, buf_at(p, (uint32_t)s->recv.res), p->size, MSG_DONTWAIT);
    }
    uring_set_fixed_file(sqe, s);
}

static void await_turn(struct uring *u, struct io_sock *s)
{
    bool wants_little = s->recv.engine_bits & DRAINED;
    s->recv.engine_bits |= WAITING;
    list_push(wants_little ? &u->rearm_little : &u->rearm, &s->queue);
    u->n_rearm++;
}

/* The recv in the kernel has ended but the stream goes on: after a one-shot recv, CQ overflow, or
 * without a buffer. It is re-armed at the end of the turn, or of a later one. */
static void recv_rearm_later(struct uring *u, struct io_sock *s)
{
    if (s->recv.cancelling)
        io_complete(u->io, &s->recv, -ECANCELED, false);
    else
        await_turn(u, s);
}

/* Of one that is being cancelled. */
void uring_leave_queue(struct uring *u, struct io_sock *s)
{
    if (list_empty(&s->queue)) return; /* a watch, which waits for nothing */
    list_unlink(&s->queue);
    u->n_rearm--;
}

static void recv_no_buffer(struct uring *u, struct io_sock *s)
{
    counter_add(&u->io->stats.no_buffers, 1);
    u->out_of_buffers = true;
    recv_rearm_later(u, s);
}

static void arm(struct uring *u, struct io_sock *s)
{
    s->recv.engine_bits &= DRAINED;
    if (!uring_has(u, IO_BUF_RING)) s->recv.engine_bits |= POLLING;
    uring_push(u, &s->recv);
}

static void recv_data(struct uring *u, struct io_sock *s, uint32_t id, int n)
{
    bool all = (size_t)n < u->io->bufs.size;
    s->recv.engine_bits = (uint8_t)((s->recv.engine_bits & ~DRAINED) | (all ? DRAINED : 0));
    u->io->lease = buf_at(&u->io->bufs, id);
    io_complete(u->io, &s->recv, n, true);
    u->io->lease = NULL;
}

static void recv_cqe_provided(struct uring *u, struct io_sock *s, int res, unsigned flags)
{
    struct buf_pool *p = &u->io->bufs;
    /* The id is valid only if the flag is set: a completion at the end of the stream would read as
     * buffer 0. */
    if (flags & IORING_CQE_F_BUFFER) {
        uint32_t id = flags >> IORING_CQE_BUFFER_SHIFT;
        buf_lease(p, id);
        if (res > 0) recv_data(u, s, id, res);
        buf_release(p, id);
    }
    if (flags & IORING_CQE_F_MORE) return;
    if (u->one_buffer && res > 0 && s->recv.engine_bits & DRAINED && !s->recv.cancelling)
        arm(u, s); /* it takes no buffer until more comes */
    else if (res == -EINVAL && s->recv.engine_bits & LIMITED) {
        u->no_recv_limit = true;
        recv_rearm_later(u, s);
    } else if (res > 0 || res == -EINTR)
        recv_rearm_later(u, s);
    else if (res == -ENOBUFS)
        recv_no_buffer(u, s);
    else
        io_complete(u->io, &s->recv, res, false);
}

/* Without provided buffers: poll, take a buffer, recv, poll again. */
static void recv_cqe_polled(struct uring *u, struct io_sock *s, int res)
{
    struct buf_pool *p = &u->io->bufs;
    if (s->recv.engine_bits & POLLING) {
        s->recv.engine_bits &= (uint8_t)~POLLING;
        if (res < 0 || s->recv.cancelling) {
            io_complete(u->io, &s->recv, s->recv.cancelling ? -ECANCELED : res, false);
            return;
        }
        int id = buf_get(p);
        if (id < 0) {
            recv_no_buffer(u, s);
            return;
        }
        s->recv.res = id;
        uring_push(u, &s->recv);
        return;
    }
    uint32_t id = (uint32_t)s->recv.res;
    if (res > 0) recv_data(u, s, id, res);
    buf_put(p, id);
    if (res > 0 || res == -EAGAIN || res == -EINTR)
        recv_rearm_later(u, s);
    else
        io_complete(u->io, &s->recv, res, false);
}

void uring_recv_cqe(struct uring *u, struct io_sock *s, int res, unsigned flags)
{
    if (uring_has(u, IO_BUF_RING))
        recv_cqe_provided(u, s, res, flags);
    else
        recv_cqe_polled(u, s, res);
}

/* It does not overtake those that wait for a buffer. */
void uring_recv(struct io *io, struct io_sock *s)
{
    struct uring *u = io->state;
    if (UNLIKELY(u->one_buffer))
        await_turn(u, s);
    else
        arm(u, s);
}

/* ---- into memory of the caller ---- */

/* A socket's own link is free, for it waits for no buffer; the operation's may be used in the
 * backlog. It is no link from then on, until it is set again. */
void uring_recv_into(struct io *io, struct io_sock *s)
{
    s->into = s->recv.into;
    uring_push(io->state, &s->recv);
}

/* Without MSG_WAITALL, which would hide how fast the bytes come. */
void uring_prepare_into(struct io_uring_sqe *sqe, const struct io_sock *s)
{
    io_uring_prep_recv(sqe, s->fd, s->into, (size_t)s->recv.res, 0);
    uring_set_fixed_file(sqe, s);
}

void uring_into_cqe(struct uring *u, struct io_sock *s, int res)
{
    if (res == -EINTR && !s->recv.cancelling)
        uring_push(u, &s->recv);
    else
        io_complete(u->io, &s->recv, res == -EINTR ? -ECANCELED : res, false);
}

/* ---- watch ---- */

/* The kernel adds POLLERR and POLLHUP, which come with a reset, and POLLRDHUP, asked for or not.
 * Where the end of the stream does not count, a multishot poll reports it once and goes on. */
void uring_prepare_watch(struct io_uring_sqe *sqe, const struct io_sock *s)
{
    if (s->recv.res)
        io_uring_prep_poll_add(sqe, s->fd, POLLRDHUP);
    else
        io_uring_prep_poll_multishot(sqe, s->fd, 0);
    uring_set_fixed_file(sqe, s);
}

void uring_watch_cqe(struct uring *u, struct io_sock *s, int res, unsigned flags)
{
    struct io_op *op = &s->recv;
    if (res > 0 && res & (POLLERR | POLLHUP)) op->engine_bits |= BROKEN;
    if (flags & IORING_CQE_F_MORE) {
        if (op->engine_bits & BROKEN) io_cancel(u->io, op);
    } else if (op->engine_bits & BROKEN) {
        io_complete(u->io, op, -ECONNRESET, false);
    } else if (op->cancelling) {
        io_complete(u->io, op, -ECANCELED, false);
    } else if (res < 0) {
        op->engine_bits |= WAITING;
        list_init(&s->queue); /* a receive into memory may have left its address there */
    } else if (op->res) {
        io_complete(u->io, op, -ESHUTDOWN, false);
    } else {
        uring_push_again(u, op);
    }
}

/* ---- buffers, once per turn ---- */

static void provide_one(void *ctx, uint32_t id)
{
    struct uring *u = ctx;
    struct buf_pool *p = &u->io->bufs;
    io_uring_buf_ring_add(u->buf_ring, buf_at(p, id), p->size, (unsigned short)id,
                          io_uring_buf_ring_mask(p->count), (int)u->n_provided++);
}

/* The kernel uses buffers in the order in which they were added, so it cycles through all that the
 * ring holds. The ring therefore holds only as many as the busiest turn so far needed, and the
 * others cost neither memory nor cache. */
static void fill_ring(struct uring *u)
{
    struct buf_pool *p = &u->io->bufs;
    if (u->out_of_buffers && u->ring_target < p->count) u->ring_target *= 2;
    u->out_of_buffers = false;
    for (int id; buf_in_ring(p) < u->ring_target && (id = buf_move_to_ring(p)) >= 0;)
        provide_one(u, (uint32_t)id);
}

static uint32_t buffers_available(const struct uring *u)
{
    return u->buf_ring ? buf_in_ring(&u->io->bufs) : u->io->bufs.n_free;
}

/* Below this mark no socket is re-armed: it would run out of buffers again at once. */
static uint32_t low_water(const struct uring *u)
{
    return u->ring_target / 4 ? u->ring_target / 4 : 1;
}

/* A completion that overflowed the CQ may hold a buffer that is counted as available. But what the
 * core has to do may keep the CQ overflowing for as long as it likes: some go on, as few as do not
 * do so themselves. */
static uint32_t share_in_overflow(const struct uring *u, uint32_t n)
{
    uint32_t share = u->ring.cq.ring_entries / 4;
    return n < share ? n : share;
}

/* How many are re-armed of those that may be. If that were all of a crowd, and each took its share,
 * most would find no buffer, and who wants little would wait behind who sends much. What is left
 * over is for those that are armed already. */
static uint32_t share_buffers(struct uring *u, uint32_t n, bool ran_out)
{
    u->one_buffer =
        (u->one_buffer || (ran_out && uring_has(u, IO_MULTISHOT))) && u->n_rearm > n / RECV_SHARE;
    if (!u->one_buffer) return n;
    u->out_of_buffers = true;
    n -= n / 4;
    return n < RECV_CROWD ? n : RECV_CROWD;
}

/* Who has read all, and found no buffer when more came, has every other place. */
static struct io_sock *next_to_arm(struct uring *u)
{
    bool little = list_empty(&u->rearm) || (u->little_next && !list_empty(&u->rearm_little));
    struct list *l = list_pop(little ? &u->rearm_little : &u->rearm);
    if (!l) return NULL;
    u->little_next = !little;
    u->n_rearm--;
    return container_of(l, struct io_sock, queue);
}

void uring_recycle_buffers(struct uring *u)
{
    bool ran_out = u->out_of_buffers;
    if (u->buf_ring) {
        u->n_provided = 0;
        buf_return_all(&u->io->bufs, provide_one, u);
        fill_ring(u);
        if (u->n_provided) io_uring_buf_ring_advance(u->buf_ring, (int)u->n_provided);
    }
    uint32_t available = buffers_available(u), n = share_buffers(u, available, ran_out);
    if (available < low_water(u)) return;
    if (UNLIKELY(io_uring_cq_has_overflow(&u->ring))) n = share_in_overflow(u, n);
    for (struct io_sock *s; n > 0 && (s = next_to_arm(u)); n--) {
        counter_add(&u->io->stats.rearmed, 1);
        arm(u, s);
    }
}

bool uring_can_arm_more(const struct uring *u)
{
    return u->n_rearm > 0 && buffers_available(u) >= low_water(u);
}
