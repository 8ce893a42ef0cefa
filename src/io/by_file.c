#include "io/by_file.h"

#include "base/pipe_signal.h"
#include "io/nonblock.h"

#include <sys/sendfile.h>

/* sendfile(2) takes no flags: whether it waits is up to the socket, which is shared with nobody
 * meanwhile, and SIGPIPE is raised (splice_to_socket in fs/splice.c). One that cannot be kept from
 * waiting would hold the core. */
static ssize_t send_now(struct io *io, struct io_send *s)
{
    int fd = s->sock->fd;
    off_t offset = (off_t)s->file.offset;
    struct pipe_signal signal;
    bool blocks = io->engine->blocking_sockets;
    if (blocks) {
        counter_add(&io->stats.syscalls, 2);
        int refused = nonblock_set(fd, true);
        if (refused < 0) return refused;
    }
    pipe_signal_hold(&signal);
    ssize_t n = sendfile(fd, s->file.fd, &offset, s->iov[s->at].iov_len);
    int err = n < 0 ? errno : 0;
    pipe_signal_release(&signal, err == EPIPE);
    if (blocks) nonblock_set(fd, false);
    counter_add(&io->stats.syscalls, 1);
    return n < 0 ? -err : n;
}

/* A file that is too short gives nothing, and some file systems refuse: then the kernel says what
 * is wrong when it sends from the mapping, if anything is. */
enum by_file by_file_send(struct io *io, struct io_send *s)
{
    ssize_t n;
    do {
        bool code = io_leave_code(io);
        n = send_now(io, s);
        io_return_to_code(io, code);
        if (n == -EAGAIN) return BY_FILE_WAITS;
        if (n > 0) s->file.offset += (uint64_t)n;
        if (n > 0 && io_send_advance(s, (size_t)n)) return BY_FILE_DONE;
    } while (n > 0 || n == -EINTR);
    s->op.engine_bits &= (uint8_t)~IO_BY_FILE;
    return BY_FILE_NOT;
}
