#include "io/cached.h"

#include "base/libc.h"
#include "io/engine.h"

#include <errno.h>
#include <fcntl.h>

bool io_calls_hold(const struct io *io)
{
    return io->engine->calls_hold;
}

/* Files of a tmpfs are in memory, but do not support RWF_NOWAIT. Only they can have seals, and to
 * ask for these never waits, while fstatfs does on a network. */
static bool is_in_memory(int fd)
{
    return fcntl(fd, F_GET_SEALS) >= 0;
}

int io_read_cached(struct io *io, const struct io_call *c)
{
    struct iovec v = {c->read.buf, c->read.size};
    counter_add(&io->stats.syscalls, 1);
    ssize_t n = preadv2(c->read.fd, &v, 1, (off_t)c->read.offset, RWF_NOWAIT);
    if (n >= 0) return (int)n;
    int err = -errno;
    if (err != -EOPNOTSUPP) return err;
    counter_add(&io->stats.syscalls, 1);
    if (!is_in_memory(c->read.fd)) return err;
    n = pread(c->read.fd, c->read.buf, c->read.size, (off_t)c->read.offset);
    return n < 0 ? -errno : (int)n;
}
