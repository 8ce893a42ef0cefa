/* What an engine does in a process that its thread has forked: nothing. The process has the ring's
 * mapping, the epoll instance and the sockets in common with the other one. What it submitted would
 * overwrite what the other one submits; what it sent or cancelled would be the other one's. So an
 * operation that begins there never ends; nobody can wait for it, as the waits are refused. */

#include "base/child.h"
#include "io/engine.h"

#include <errno.h>

static void end(struct io *io, uint64_t timeout_ns)
{
    (void)io, (void)timeout_ns;
    child_end();
}

static void no_accept(struct io *io, struct io_accept *a)
{
    (void)io, (void)a;
}

static void no_sock(struct io *io, struct io_sock *s)
{
    (void)io, (void)s;
}

static void no_send(struct io *io, struct io_send *s)
{
    (void)io, (void)s;
}

static void no_call(struct io *io, struct io_call *c)
{
    (void)io, (void)c;
}

static void no_cancel(struct io *io, struct io_op *op)
{
    (void)io, (void)op;
}

static int no_sock_open(struct io *io, struct io_sock *s, bool accepted)
{
    (void)io, (void)s, (void)accepted;
    return -ECHILD;
}

static void no_discard(struct io *io, int fd)
{
    (void)io, (void)fd;
}

void io_forked(struct io *io)
{
    static struct io_engine forked;
    forked = *io->engine; /* what only reads stays */
    forked.wait = end;
    forked.accept = no_accept;
    forked.recv = forked.recv_into = forked.watch = no_sock;
    forked.send = forked.send_file = no_send;
    forked.call = no_call;
    forked.cancel = no_cancel;
    forked.sock_open = no_sock_open;
    forked.discard = no_discard;
    forked.peer = NULL;
    io->engine = &forked;
}
