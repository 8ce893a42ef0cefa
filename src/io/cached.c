#include "io/cached.h"

#include "base/libc.h"
#include "io/engine.h"
#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

bool io_calls_hold(const struct io *io)
{
    return io->engine->calls_hold;
}

int io_open_cached(struct io *io, const struct io_call *c)
{
    counter_add(&io->stats.syscalls, 1);
    return file_open_cached(io, c);
}

int io_open_here(const struct io *io, const struct io_call *c)
{
    return file_open_here(io, c);
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

/* They are read for the answer alone, in pieces that stay in the CPU's cache: mincore(2) and
 * cachestat(2) tell only who may write to the file. */
bool io_is_cached(struct io *io, int fd, uint64_t offset, size_t size)
{
    enum { PIECE = 16 * 1024, PIECES = 16 };
    struct iovec v[PIECES];
    if (!io->scrap && !(io->scrap = malloc(PIECE))) return false;
    while (size > 0) {
        int n = 0;
        size_t asked = 0;
        for (; n < PIECES && asked < size; asked += v[n++].iov_len)
            v[n] = (struct iovec){io->scrap, size - asked < PIECE ? size - asked : PIECE};
        counter_add(&io->stats.syscalls, 1);
        ssize_t got = preadv2(fd, v, n, (off_t)offset, RWF_NOWAIT);
        if (got <= 0) return got < 0 && errno == EOPNOTSUPP && is_in_memory(fd);
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    return true;
}
