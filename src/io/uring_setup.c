/* Probes the kernel's io_uring by trying each feature rather than by version, and sets up a
 * ring. */

#include "io/uring.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static bool wanted(const struct io_config *c, enum io_feature f)
{
    return c->features & 1u << f;
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

/* ---- probe ---- */

static int try_ring(unsigned flags, struct io_uring *ring)
{
    struct io_uring_params p = {.flags = flags};
    return io_uring_queue_init_params(4, ring, &p);
}

static bool flags_work(unsigned flags)
{
    struct io_uring ring;
    if (try_ring(flags, &ring) < 0) return false;
    io_uring_queue_exit(&ring);
    return true;
}

static bool buf_ring_works(struct io_uring *ring)
{
    int err;
    struct io_uring_buf_ring *br = io_uring_setup_buf_ring(ring, 1, BUF_GROUP, 0, &err);
    if (br) io_uring_free_buf_ring(ring, br, 1, BUF_GROUP);
    return br != NULL;
}

static bool direct_works(struct io_uring *ring, const struct io_uring_probe *probe)
{
    /* Kernel-chosen slots came in 5.19 together with this opcode; no flag reports them. */
    if (!io_uring_opcode_supported(probe, IORING_OP_SOCKET)) return false;
    if (io_uring_register_files_sparse(ring, 1) < 0) return false;
    io_uring_unregister_files(ring);
    return true;
}

static void explain_refusal(int err, char *why, size_t size)
{
    int disabled = 0;
    FILE *f = fopen("/proc/sys/kernel/io_uring_disabled", "re");
    if (f) {
        if (fscanf(f, "%d", &disabled) != 1) disabled = 0;
        fclose(f);
    }
    if (err == -ENOSYS)
        snprintf(why, size,
                 "this kernel has no io_uring, or a seccomp profile hides it "
                 "(needs Linux 5.11 or newer and a profile that allows io_uring_setup)");
    else if (err == -EPERM && disabled)
        snprintf(why, size,
                 "io_uring is switched off: kernel.io_uring_disabled=%d "
                 "(sysctl -w kernel.io_uring_disabled=0)",
                 disabled);
    else if (err == -EPERM || err == -EACCES)
        snprintf(why, size,
                 "io_uring_setup is not permitted, as by a container's seccomp profile "
                 "(allow io_uring_setup, io_uring_enter and io_uring_register)");
    else if (err == -ENOMEM)
        snprintf(why, size, "no memory for a ring: the locked-memory limit is too low (ulimit -l)");
    else
        snprintf(why, size, "io_uring_setup failed: %s", strerror(-err));
}

static void drop_feature(struct io_config *c, enum io_feature f, char *why, size_t size)
{
    c->features &= ~(1u << f);
    size_t n = strlen(why);
    snprintf(why + n, size - n, "%s%s", n ? ", " : "", io_feature_names[f]);
}

int uring_probe(struct io_config *c, char *why, size_t size)
{
    static const struct {
        enum io_feature feature;
        unsigned flags;
    } by_flag[] = {
        {IO_SINGLE_ISSUER, IORING_SETUP_SINGLE_ISSUER},
        {IO_DEFER_TASKRUN,
         IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG},
        {IO_COOP_TASKRUN, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG},
        {IO_NO_SQARRAY, IORING_SETUP_NO_SQARRAY},
        {IO_SUBMIT_ALL, IORING_SETUP_SUBMIT_ALL},
        {IO_RESTRICT, IORING_SETUP_R_DISABLED},
    };
    struct io_uring ring;
    why[0] = '\0';
    int err = try_ring(0, &ring);
    if (err < 0) {
        explain_refusal(err, why, size);
        return err;
    }
    struct io_uring_probe *probe = io_uring_get_probe_ring(&ring);
    if (!probe || !(ring.features & IORING_FEAT_EXT_ARG) ||
        !io_uring_opcode_supported(probe, IORING_OP_SHUTDOWN)) {
        snprintf(why, size, "this kernel's io_uring is too old (needs Linux 5.11 or newer)");
        io_uring_free_probe(probe);
        io_uring_queue_exit(&ring);
        return -ENOSYS;
    }
    for (size_t i = 0; i < ARRAY_LEN(by_flag); i++)
        if (wanted(c, by_flag[i].feature) && !flags_work(by_flag[i].flags))
            drop_feature(c, by_flag[i].feature, why, size);
    /* Multishot recv came in 6.0 together with this opcode; no flag reports it. */
    bool recv_multi = io_uring_opcode_supported(probe, IORING_OP_SEND_ZC);
    if (wanted(c, IO_BUF_RING) && !buf_ring_works(&ring)) drop_feature(c, IO_BUF_RING, why, size);
    if (wanted(c, IO_MULTISHOT) && !recv_multi) drop_feature(c, IO_MULTISHOT, why, size);
    if (wanted(c, IO_DIRECT) && !direct_works(&ring, probe)) drop_feature(c, IO_DIRECT, why, size);
    unsigned workers[2] = {0, 0};
    if (wanted(c, IO_IOWQ_CAP) && io_uring_register_iowq_max_workers(&ring, workers) < 0)
        drop_feature(c, IO_IOWQ_CAP, why, size);
    if (wanted(c, IO_RING_FD)) {
        if (io_uring_register_ring_fd(&ring) < 0)
            drop_feature(c, IO_RING_FD, why, size);
        else
            io_uring_unregister_ring_fd(&ring);
    }
    io_uring_free_probe(probe);
    io_uring_queue_exit(&ring);
    return 0;
}

/* ---- set-up ---- */

/* Restricts the ring to what a server needs. It answers the objection that io_uring bypasses
 * seccomp filters. */
static int restrict_ring(struct io_uring *ring, bool direct)
{
    static const unsigned char ops[] = {
        IORING_OP_ACCEPT,  IORING_OP_RECV,      IORING_OP_SEND,     IORING_OP_SENDMSG,
        IORING_OP_CONNECT, IORING_OP_OPENAT2,   IORING_OP_STATX,    IORING_OP_READ,
        IORING_OP_CLOSE,   IORING_OP_SHUTDOWN,  IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL,
        IORING_OP_MADVISE, IORING_OP_URING_CMD, /* last: used for direct descriptors only, which
                                                   came in the same version, 5.19 */
    };
    static const unsigned char registers[] = {
        IORING_REGISTER_RING_FDS,
        IORING_UNREGISTER_RING_FDS,
        IORING_UNREGISTER_PBUF_RING,
    };
    struct io_uring_restriction r[ARRAY_LEN(ops) + ARRAY_LEN(registers) + 1] = {0};
    unsigned n = 0;
    for (size_t i = 0; i < ARRAY_LEN(ops) - !direct; i++, n++) {
        r[n].opcode = IORING_RESTRICTION_SQE_OP;
        r[n].sqe_op = ops[i];
    }
    for (size_t i = 0; i < ARRAY_LEN(registers); i++, n++) {
        r[n].opcode = IORING_RESTRICTION_REGISTER_OP;
        r[n].register_op = registers[i];
    }
    r[n].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
    r[n++].sqe_flags = IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS;
    return io_uring_register_restrictions(ring, r, n);
}

static int create_ring(struct uring *u, const struct io_config *c)
{
    struct io_uring_params p = {.flags = setup_flags(c) | IORING_SETUP_CQSIZE};
    /* One SQE arms a stream with any number of completions, so the CQ is sized by the connections
     * that may become ready together, not by the SQ depth. */
    p.cq_entries = c->cq_depth;
    if (!p.cq_entries) p.cq_entries = c->depth * 8 > 4096 ? c->depth * 8 : 4096;
    if (p.cq_entries < c->depth) p.cq_entries = c->depth;
    return io_uring_queue_init_params(c->depth, &u->ring, &p);
}

static int configure(struct uring *u, const struct io_config *c)
{
    int err = 0;
    if (wanted(c, IO_DIRECT)) {
        err = io_uring_register_files_sparse(&u->ring, c->max_sockets);
        if (err < 0) return err;
        u->direct = true;
    }
    if (wanted(c, IO_BUF_RING)) {
        u->buf_ring = io_uring_setup_buf_ring(&u->ring, u->io->bufs.count, BUF_GROUP, 0, &err);
        if (!u->buf_ring) return err;
    }
    if (wanted(c, IO_IOWQ_CAP)) {
        unsigned workers[2] = {c->iowq_bounded, c->iowq_unbounded};
        err = io_uring_register_iowq_max_workers(&u->ring, workers);
        if (err < 0) return err;
    }
    if (wanted(c, IO_RESTRICT)) {
        err = restrict_ring(&u->ring, u->direct);
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

int uring_setup(struct uring *u, const struct io_config *config)
{
    struct io_config c = *config;
    int err = create_ring(u, &c);
    /* Only -ENOMEM makes a smaller ring the right answer; the stats show the resulting depth. */
    while (err == -ENOMEM && c.depth > 8) {
        c.depth /= 2;
        c.cq_depth = c.depth * 8;
        err = create_ring(u, &c);
    }
    if (err < 0) return err;
    if (setup_flags(&c) & IORING_SETUP_DEFER_TASKRUN)
        c.features &= ~(1u << IO_COOP_TASKRUN);
    else
        c.features &= ~(1u << IO_DEFER_TASKRUN);
    if (!wanted(&c, IO_BUF_RING)) c.features &= ~(1u << IO_MULTISHOT);
    u->features = c.features;
    err = configure(u, &c);
    if (err < 0) {
        if (u->buf_ring)
            io_uring_free_buf_ring(&u->ring, u->buf_ring, u->io->bufs.count, BUF_GROUP);
        io_uring_queue_exit(&u->ring);
    }
    return err;
}
