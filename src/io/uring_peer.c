/* The address of a socket's peer, where the socket is in the ring's table and has no descriptor to
 * ask: by the ring, as an option of the socket (SO_PEERNAME, Linux 6.7). The kernel answers while
 * it takes the submission, so that nobody waits. */

#include "io/sock.h"
#include "io/uring.h"

enum { SUBMIT_TRIES = 16 };

/* Other operations leave as well, which is not the work of who asks. */
static bool submit_all(struct uring *u)
{
    bool code = io_leave_code(u->io), refused = false;
    for (int i = 0; i < SUBMIT_TRIES && io_uring_sq_ready(&u->ring) > 0 && !refused; i++) {
        counter_add(&u->io->stats.syscalls, 1);
        int err = io_uring_submit(&u->ring);
        refused = err < 0 && err != -EINTR && !uring_may_retry(err);
    }
    io_return_to_code(u->io, code);
    return io_uring_sq_ready(&u->ring) == 0;
}

/* The first `len` bytes of the address, of which there must be as many: the family is AF_UNSPEC if
 * not. */
static void ask(struct uring *u, const struct io_sock *s, struct sock_addr *out, socklen_t len)
{
    *out = (struct sock_addr){.len = len};
    struct io_uring_sqe *sqe = uring_get_sqe(u);
    if (!sqe) return;
    io_uring_prep_cmd_sock(sqe, SOCKET_URING_OP_GETSOCKOPT, s->fd, SOL_SOCKET, SO_PEERNAME,
                           &out->sa, (int)len);
    uring_set_fixed_file(sqe, s);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(sqe, URING_IGNORE);
    if (submit_all(u)) return;
    io_uring_prep_cancel64(sqe, UINT64_MAX, 0); /* of nothing: it must not write here later */
    io_uring_sqe_set_data64(sqe, URING_IGNORE);
}

bool uring_peer(struct io *io, const struct io_sock *s, struct sock_addr *out)
{
    struct uring *u = io->state;
    ask(u, s, out, sizeof out->in);
    if (out->sa.sa_family == AF_INET6) ask(u, s, out, sizeof out->in6);
    if (out->sa.sa_family == AF_UNSPEC) ask(u, s, out, sizeof out->sa.sa_family); /* AF_UNIX */
    return out->sa.sa_family != AF_UNSPEC;
}
