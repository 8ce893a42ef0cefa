/* Finds out what the kernel and the administrator allow, by trying rather than by version: as many
 * whole rings as will be open together, with all features that are wanted. Only where these are
 * refused each feature is tried alone. What the kernel lacks is found out once per process; what
 * the administrator allows, and limits, may change, and are tried at each start. */

#include "base/limit.h"
#include "io/file.h"
#include "io/uring.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Smaller rings would have to submit several times in a busy turn. */
enum { DEPTH_LEAST = 64 };

struct probe {
    struct io_config *config;
    struct uring *rings; /* config->rings, at least one */
    char *why;
    size_t size;
    int err;
};

/* Of this kernel, for all servers of the process: a bit per enum io_feature that it lacks, and what
 * else is known. Bits are only ever added. */
enum { KNOWS_OPCODES = 1u << IO_FEATURES, KNOWS_PEERS = 1u << (IO_FEATURES + 1) };
static _Atomic uint32_t kernel;

static void explain(struct probe *p, const char *call, int err)
{
    enum { SMALL_RING = 64 * 1024 }; /* what it maps at most */
    struct io_refusal r = uring_refusal(call, err, SMALL_RING);
    uring_explain(&r, err, p->why, p->size);
}

/* ---- features ---- */

static int try_ring(unsigned flags, struct io_uring *ring)
{
    int err, patience = URING_PATIENCE;
    do {
        struct io_uring_params p = {.flags = flags};
        err = uring_map(4, ring, &p);
    } while (err == -ENOMEM && uring_await_memory(&patience));
    return err;
}

static int try_flags(unsigned flags)
{
    struct io_uring ring;
    int err = try_ring(flags, &ring);
    if (err == 0) uring_unmap(&ring);
    return err;
}

static int try_buf_ring(struct io_uring *ring)
{
    int err = 0, patience = URING_PATIENCE;
    struct io_uring_buf_ring *br;
    do br = io_uring_setup_buf_ring(ring, 1, BUF_GROUP, 0, &err);
    while (!br && err == -ENOMEM && uring_await_memory(&patience));
    if (br) io_uring_free_buf_ring(ring, br, 1, BUF_GROUP);
    return br ? 0 : err;
}

static int try_direct(struct io_uring *ring)
{
    int err = io_uring_register_files_sparse(ring, 1);
    if (err >= 0) io_uring_unregister_files(ring);
    return err;
}

/* Whether a socket without a descriptor tells its peer's address (uring_peer.c), by another option.
 */
static bool tells_peers(struct io_uring *ring)
{
    int type = 0, patience = URING_PATIENCE, err,
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct io_uring_cqe *cqe;
    if (fd < 0) return false;
    io_uring_prep_cmd_sock(io_uring_get_sqe(ring), SOCKET_URING_OP_GETSOCKOPT, fd, SOL_SOCKET,
                           SO_TYPE, &type, sizeof type);
    do err = io_uring_submit_and_wait(ring, 1);
    while (err == -EINTR || (uring_may_retry(err) && uring_await_memory(&patience)));
    if (err >= 0 && io_uring_peek_cqe(ring, &cqe) == 0) io_uring_cqe_seen(ring, cqe);
    close(fd);
    return type == SOCK_STREAM;
}

static int try_iowq_cap(struct io_uring *ring)
{
    unsigned workers[2] = {0, 0};
    return io_uring_register_iowq_max_workers(ring, workers);
}

static int try_ring_fd(struct io_uring *ring)
{
    int err = io_uring_register_ring_fd(ring);
    if (err >= 0) io_uring_unregister_ring_fd(ring);
    return err;
}

/* Tries a feature of this number by an existing ring, or by a ring of its own. */
static int try_feature(enum io_feature f, struct io_uring *ring)
{
    switch (f) {
    case IO_SINGLE_ISSUER: return try_flags(IORING_SETUP_SINGLE_ISSUER);
    case IO_DEFER_TASKRUN:
        return try_flags(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                         IORING_SETUP_TASKRUN_FLAG);
    case IO_COOP_TASKRUN: return try_flags(IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG);
    case IO_NO_SQARRAY: return try_flags(IORING_SETUP_NO_SQARRAY);
    case IO_SUBMIT_ALL: return try_flags(IORING_SETUP_SUBMIT_ALL);
    case IO_RESTRICT: return try_flags(IORING_SETUP_R_DISABLED);
    case IO_BUF_RING: return try_buf_ring(ring);
    case IO_MULTISHOT: return 0; /* see look_at_opcodes */
    case IO_DIRECT: return try_direct(ring);
    case IO_IOWQ_CAP: return try_iowq_cap(ring);
    case IO_RING_FD: return try_ring_fd(ring);
    case IO_FEATURES: break;
    }
    return -EINVAL;
}

static const char *call_of(enum io_feature f)
{
    bool registers = f == IO_BUF_RING || f == IO_DIRECT || f == IO_IOWQ_CAP || f == IO_RING_FD;
    return registers ? "io_uring_register" : "io_uring_setup";
}

/* A feature that is refused for want of memory or permission is not one that the kernel lacks. */
static int try_features(struct probe *p, struct io_uring *ring)
{
    uint32_t wanted = p->config->features & ~atomic_load(&kernel);
    for (int f = 0; f < IO_FEATURES; f++) {
        int err = wanted & 1u << f ? try_feature((enum io_feature)f, ring) : 0;
        if (err >= 0) continue;
        if (err == -ENOMEM || err == -EMFILE || err == -ENFILE || uring_not_permitted(err)) {
            explain(p, call_of((enum io_feature)f), err);
            return err;
        }
        atomic_fetch_or(&kernel, 1u << f);
    }
    return 0;
}

/* What no flag reports and no ring is refused for, but came together with an opcode. Without
 * IORING_FEAT_CQE_SKIP no operation could be cancelled: the kernel refuses the cancel's flag. */
static int look_at_opcodes(struct probe *p, const struct io_uring *ring,
                           const struct io_uring_probe *ops)
{
    uint32_t found = KNOWS_OPCODES;
    if (!(ring->features & IORING_FEAT_CQE_SKIP)) {
        snprintf(p->why, p->size, "this kernel's io_uring is too old (needs Linux 5.17 or newer)");
        return -ENOSYS;
    }
    /* Slots that the kernel chooses, 5.19; multishot recv, 6.0. */
    if (!io_uring_opcode_supported(ops, IORING_OP_SOCKET)) found |= 1u << IO_DIRECT;
    if (!io_uring_opcode_supported(ops, IORING_OP_SEND_ZC)) found |= 1u << IO_MULTISHOT;
    atomic_fetch_or(&kernel, found);
    return 0;
}

/* Without memory of its own: an allocator takes more than it is asked for, and where that fails one
 * cannot tell which limit it was. */
static int get_opcodes(struct probe *p, struct io_uring *ring)
{
    enum { OPCODES = 256 };
    union {
        struct io_uring_probe probe;
        char room[sizeof(struct io_uring_probe) + OPCODES * sizeof(struct io_uring_probe_op)];
    } ops = {.room = {0}};
    int err = io_uring_register_probe(ring, &ops.probe, OPCODES);
    if (err == 0 || err == -EINVAL) return look_at_opcodes(p, ring, &ops.probe);
    explain(p, "io_uring_register", err);
    return err;
}

static int try_with_ring(struct probe *p, int (*try)(struct probe *p, struct io_uring *ring))
{
    struct io_uring ring;
    int err = try_ring(0, &ring);
    if (err < 0) {
        explain(p, "io_uring_setup", err);
        return err;
    }
    err = try(p, &ring);
    uring_unmap(&ring);
    return err;
}

static bool is_direct(const struct probe *p)
{
    return p->config->features & ~atomic_load(&kernel) & 1u << IO_DIRECT;
}

static int ask_kernel(struct probe *p, struct io_uring *ring)
{
    int err = get_opcodes(p, ring);
    if (err == 0 && is_direct(p) && p->config->peers && tells_peers(ring))
        atomic_fetch_or(&kernel, KNOWS_PEERS);
    return err;
}

/* Leaves out what the kernel lacks, and names it; `asked`: what was asked for. */
static void drop_features(struct probe *p, uint32_t asked)
{
    uint32_t known = atomic_load(&kernel), lacking = asked & known;
    size_t n = 0;
    p->why[0] = '\0';
    for (int f = 0; f < IO_FEATURES; f++) {
        if (!(lacking & 1u << f)) continue;
        snprintf(p->why + n, p->size - n, "%s%s", n ? ", " : "", io_feature_names[f]);
        n = strlen(p->why);
    }
    p->config->features = asked & ~known;
    if (p->config->peers && !(known & KNOWS_PEERS))
        p->config->features &= ~(1u << IO_DIRECT); /* no loss that needs to be told */
}

static int probe_kernel(struct probe *p)
{
    uint32_t known = atomic_load(&kernel);
    bool done =
        known & KNOWS_OPCODES && (known & KNOWS_PEERS || !p->config->peers || !is_direct(p));
    return done ? 0 : try_with_ring(p, ask_kernel);
}

/* ---- whole rings ---- */

/* Submits what was prepared and waits for one completion, as a turn does. */
static int run_one(struct uring *u, int *res)
{
    struct __kernel_timespec second = {.tv_sec = 1};
    struct io_uring_cqe *cqe;
    int err, patience = URING_PATIENCE;
    do err = io_uring_submit_and_wait_timeout(&u->ring, &cqe, 1, &second, NULL);
    while (err == -EINTR || (uring_may_retry(err) && uring_await_memory(&patience)));
    if (err < 0) return err;
    *res = cqe->res;
    io_uring_cq_advance(&u->ring, 1);
    return 0;
}

/* Submitting may be refused where a ring is allowed. This operation completes at once: there is
 * nothing to cancel. */
static int try_enter(struct uring *u)
{
    int res;
    struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);
    io_uring_prep_cancel64(sqe, 1, 0);
    int err = run_one(u, &res);
    if (err < 0) u->refused = (struct io_refusal){"io_uring_enter", ""};
    return err;
}

/* Opens by the ring: seccomp does not see it, so the system call may be refused where this is not,
 * and the other way round. */
static void probe_open(struct uring *u, struct io_config *config)
{
    struct io_call c = {
        .open = {.dirfd = AT_FDCWD, .path = FILE_PROBE_PATH, .how = IO_OPEN_BENEATH}};
    struct open_how how = *file_how(&c);
    int fd;
    io_uring_prep_openat2(io_uring_get_sqe(&u->ring), AT_FDCWD, FILE_PROBE_PATH, &how);
    if (run_one(u, &fd) < 0 || fd == -ECANCELED || fd == -EINTR) return; /* it was not tried */
    config->walk = file_openat2_refused(fd);
}

static uint32_t power_of_two(uint32_t n)
{
    return n <= 1 ? 1 : 1u << (32 - __builtin_clz(n - 1));
}

static uint32_t rings_of(const struct io_config *c)
{
    return c->rings ? c->rings : 1;
}

static int open_all(struct uring *u, const struct io_config *c, uint32_t *n,
                    struct io_refusal *refused)
{
    for (*n = 0; *n < rings_of(c); ++*n) {
        memset(&u[*n], 0, sizeof *u);
        int err = uring_setup(&u[*n], c, power_of_two(c->buffers));
        *refused = u[*n].refused;
        if (err < 0) return err;
    }
    int err = try_enter(&u[0]);
    *refused = u[0].refused;
    return err;
}

/* Opens as many rings as will be open together, in the size that they will have: the locked memory
 * is counted for all. */
static int try_all(struct probe *p, struct io_config *c)
{
    uint32_t n = 0;
    struct io_refusal refused;
    int err = open_all(p->rings, c, &n, &refused);
    if (err == 0) probe_open(&p->rings[0], p->config);
    if (err < 0) uring_explain(&refused, err, p->why, p->size);
    if (err == -ENOMEM) p->config->scarce = uring_scarce(&refused); /* a smaller ring may do */
    while (n > 0) uring_end(&p->rings[--n]);
    return err;
}

static int probe_rings(struct probe *p)
{
    struct io_config c = *p->config;
    c.max_sockets = 1; /* not locked memory */
    if (!c.depth) c.depth = 1;
    int err = try_all(p, &c);
    while (err == -ENOMEM && c.depth > DEPTH_LEAST) {
        c.depth /= 2;
        if (!c.cq_depth || c.cq_depth > c.depth * 8) c.cq_depth = c.depth * 8;
        err = try_all(p, &c);
    }
    if (err == 0 && c.depth < p->config->depth) {
        p->config->depth = c.depth;
        p->config->cq_depth = c.cq_depth;
    }
    return err;
}

static void *probe_all(void *arg)
{
    struct probe *p = arg;
    uint32_t asked = p->config->features;
    p->err = probe_kernel(p);
    if (p->err < 0) return NULL;
    drop_features(p, asked);
    p->err = probe_rings(p);
    if (p->err < 0 && p->err != -ENOMEM) {
        p->err = try_with_ring(p, try_features);
        if (p->err < 0) return NULL;
        drop_features(p, asked);
        p->err = probe_rings(p);
    }
    if (p->err == 0) drop_features(p, asked); /* names them again */
    return NULL;
}

static void run_probe(struct probe *p)
{
    sigset_t all, found;
    pthread_t thread;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &found);
    int err = pthread_create(&thread, NULL, probe_all, p);
    pthread_sigmask(SIG_SETMASK, &found, NULL);
    if (err == 0)
        pthread_join(thread, NULL);
    else
        probe_all(p);
}

/* On a thread of its own: the kernel wakes the one that used a ring some time after that was
 * closed, and some calls that wait then end with EINTR, such as epoll_wait(2). The caller's thread
 * is the program's. It allocates: jemalloc 5.3 ends a process that lacks the memory for a thread's
 * first allocation. */
int uring_probe(struct io_config *config, char *why, size_t size)
{
    struct uring *rings = calloc(rings_of(config), sizeof *rings);
    struct probe p = {.config = config, .rings = rings, .why = why, .size = size};
    if (!rings) {
        struct io_refusal r = {"malloc", limit_of_memory(rings_of(config) * sizeof *rings)};
        uring_explain(&r, -ENOMEM, why, size);
        return -ENOMEM;
    }
    run_probe(&p);
    free(rings);
    return p.err;
}
