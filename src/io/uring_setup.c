/* Sets up a ring. */

#include "io/uring.h"

#include <errno.h>
#include <stdatomic.h>
#include <time.h>

static bool wanted(const struct io_config *c, enum io_feature f)
{
    return c->features & 1u << f;
}

/* A ring that was closed a moment ago still counts as locked memory: the kernel frees it later. */
bool uring_await_memory(int *patience)
{
    const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
    if (*patience == 0) return false;
    --*patience;
    nanosleep(&pause, NULL);
    return true;
}

static unsigned setup_flags(const struct io_config *c)
{
    unsigned flags = IORING_SETUP_CLAMP;
    if (wanted(c, IO_SINGLE_ISSUER)) flags |= IORING_SETUP_SINGLE_ISSUER;
    if (wanted(c, IO_DEFER_TASKRUN) && wanted(c, IO_SINGLE_ISSUER))
        flags |= IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
    else if (wanted(c, IO_COOP_TASKRUN))
        flags |= IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
    if (wanted(c, IO_NO_SQARRAY)) flags |= IORING_SETUP_NO_SQARRAY;
    if (wanted(c, IO_SUBMIT_ALL)) flags |= IORING_SETUP_SUBMIT_ALL;
    if (wanted(c, IO_RESTRICT)) flags |= IORING_SETUP_R_DISABLED;
    return flags;
}

/* Restricts the ring to what a server needs. It answers the objection that io_uring bypasses
 * seccomp filters. */
static int restrict_ring(struct io_uring *ring, uint32_t features)
{
    static const struct {
        unsigned char opcode;
        uint32_t with; /* features without which it is not used, or not known to the kernel */
    } ops[] = {
        {IORING_OP_ACCEPT, 0},   {IORING_OP_RECV, 0},
        {IORING_OP_SEND, 0},     {IORING_OP_SENDMSG, 0},
        {IORING_OP_CONNECT, 0},  {IORING_OP_OPENAT, 0},
        {IORING_OP_OPENAT2, 0},  {IORING_OP_STATX, 0},
        {IORING_OP_READ, 0},     {IORING_OP_WRITE, 0},
        {IORING_OP_FSYNC, 0},    {IORING_OP_RENAMEAT, 0},
        {IORING_OP_UNLINKAT, 0}, {IORING_OP_LINKAT, 0},
        {IORING_OP_CLOSE, 0},    {IORING_OP_SHUTDOWN, 0},
        {IORING_OP_POLL_ADD, 0}, {IORING_OP_ASYNC_CANCEL, 0},
        {IORING_OP_MADVISE, 0},  {IORING_OP_URING_CMD, 1u << IO_DIRECT}, /* both 5.19 */
    };
    static const unsigned char registers[] = {
        IORING_REGISTER_RING_FDS,
        IORING_UNREGISTER_RING_FDS,
        IORING_UNREGISTER_PBUF_RING,
    };
    struct io_uring_restriction r[ARRAY_LEN(ops) + ARRAY_LEN(registers) + 1] = {0};
    unsigned n = 0;
    for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
        if (ops[i].with & ~features) continue;
        r[n].opcode = IORING_RESTRICTION_SQE_OP;
        r[n++].sqe_op = ops[i].opcode;
    }
    for (size_t i = 0; i < ARRAY_LEN(registers); i++, n++) {
        r[n].opcode = IORING_RESTRICTION_REGISTER_OP;
        r[n].register_op = registers[i];
    }
    r[n].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
    r[n++].sqe_flags =
        IOSQE_FIXED_FILE | IOSQE_ASYNC | IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS;
    return io_uring_register_restrictions(ring, r, n);
}

/* More than the memory of a ring that the process maps. */
static size_t mapped_most(const struct io_config *c, uint32_t buffers)
{
    size_t sq = (size_t)c->depth * 2, cq = (size_t)c->cq_depth * 2;
    if (!cq) cq = sq * 8 > 8192 ? sq * 8 : 8192;
    return sq * sizeof(struct io_uring_sqe) + cq * sizeof(struct io_uring_cqe) +
           (size_t)buffers * sizeof(struct io_uring_buf);
}

/* liburing maps and unmaps by system calls that the thread sanitizer does not see. Two threads that
 * know nothing of each other may get the same addresses, one after the other: this tells their
 * order. */
static void note_mapping(void)
{
    static _Atomic uint32_t mappings;
    atomic_fetch_add(&mappings, 1);
}

int uring_map(unsigned depth, struct io_uring *ring, struct io_uring_params *p)
{
    int err = io_uring_queue_init_params(depth, ring, p);
    note_mapping();
    return err;
}

void uring_unmap(struct io_uring *ring)
{
    note_mapping();
    io_uring_queue_exit(ring);
}

static int create_ring(struct uring *u, const struct io_config *c, int *patience)
{
    struct io_uring_params p = {.flags = setup_flags(c) | IORING_SETUP_CQSIZE}, filled;
    int err;
    /* One SQE arms a stream with any number of completions, so the CQ is sized by the connections
     * that may become ready together, not by the SQ depth. */
    p.cq_entries = c->cq_depth;
    if (!p.cq_entries) p.cq_entries = c->depth * 8 > 4096 ? c->depth * 8 : 4096;
    if (p.cq_entries < c->depth) p.cq_entries = c->depth;
    do {
        filled = p;
        err = uring_map(c->depth, &u->ring, &filled);
    } while (err == -ENOMEM && uring_await_memory(patience));
    return err;
}

static int create_buf_ring(struct uring *u, uint32_t buffers, int *patience)
{
    int err = 0;
    do u->buf_ring = io_uring_setup_buf_ring(&u->ring, buffers, BUF_GROUP, 0, &err);
    while (!u->buf_ring && err == -ENOMEM && uring_await_memory(patience));
    note_mapping();
    u->buf_ring_entries = buffers;
    return u->buf_ring ? 0 : err;
}

static int configure(struct uring *u, const struct io_config *c, uint32_t buffers, int *patience)
{
    int err = 0;
    if (wanted(c, IO_DIRECT)) {
        err = io_uring_register_files_sparse(&u->ring, c->max_sockets);
        if (err < 0) return err;
        u->direct = true;
    }
    if (wanted(c, IO_BUF_RING)) {
        err = create_buf_ring(u, buffers, patience);
        if (err < 0) return err;
    }
    if (wanted(c, IO_IOWQ_CAP)) {
        unsigned workers[2] = {c->iowq_bounded, c->iowq_unbounded};
        err = io_uring_register_iowq_max_workers(&u->ring, workers);
        if (err < 0) return err;
    }
    if (wanted(c, IO_RESTRICT)) {
        err = restrict_ring(&u->ring, c->features);
        if (err < 0) return err;
        err = io_uring_enable_rings(&u->ring);
        if (err < 0) return err;
    }
    if (wanted(c, IO_RING_FD)) {
        err = io_uring_register_ring_fd(&u->ring);
        if (err < 0) return err;
    }
    return 0;
}

int uring_setup(struct uring *u, const struct io_config *config, uint32_t buffers)
{
    struct io_config c = *config;
    int patience = URING_PATIENCE;
    int err = create_ring(u, &c, &patience);
    if (err < 0) {
        u->refused = uring_refusal("io_uring_setup", err, mapped_most(&c, buffers));
        return err;
    }
    if (setup_flags(&c) & IORING_SETUP_DEFER_TASKRUN)
        c.features &= ~(1u << IO_COOP_TASKRUN);
    else
        c.features &= ~(1u << IO_DEFER_TASKRUN);
    if (!wanted(&c, IO_BUF_RING)) c.features &= ~(1u << IO_MULTISHOT);
    u->features = c.features;
    err = configure(u, &c, buffers, &patience);
    if (err == 0) return 0;
    u->refused = uring_refusal("io_uring_register", err, mapped_most(&c, buffers));
    uring_end(u);
    return err;
}

void uring_end(struct uring *u)
{
    note_mapping();
    if (u->buf_ring) io_uring_free_buf_ring(&u->ring, u->buf_ring, u->buf_ring_entries, BUF_GROUP);
    u->buf_ring = NULL;
    uring_unmap(&u->ring);
}
