#include "io/by_file.h"

#include "base/pipe_signal.h"
#include "io/nonblock.h"

#include <errno.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

/* sendfile(2) takes no flags: whether it waits is up to the socket, which is shared with nobody
 * meanwhile, and SIGPIPE is raised (splice_to_socket in fs/splice.c), also where a part was sent
 * before that is its result. One that cannot be kept from waiting would hold the core. */
static ssize_t send_pages(struct io *io, struct io_send *s, size_t most)
{
    int fd = s->sock->fd;
    off_t offset = (off_t)s->file.offset;
    size_t len = io_send_piece(s, s->at + 1, most).len;
    struct pipe_signal signal;
    bool blocks = io->engine->blocking_sockets;
    if (blocks) {
        counter_add(&io->stats.syscalls, 2);
        if (nonblock_set(fd, true) < 0) return -EOPNOTSUPP;
    }
    pipe_signal_hold(&signal);
    ssize_t n = sendfile(fd, s->file.fd, &offset, len);
    int err = n < 0 ? errno : 0;
    pipe_signal_release(&signal, err == EPIPE || (n >= 0 && (size_t)n < len));
    if (blocks) nonblock_set(fd, false);
    counter_add(&io->stats.syscalls, 1);
    if (n > 0) s->file.offset += (uint64_t)n;
    return n < 0 ? -err : n;
}

/* Those before the file's go in the same segment as its first ones. */
static ssize_t send_bytes(struct io *io, struct io_send *s, size_t most)
{
    bool before = s->at < s->file.at;
    uint32_t end = before ? s->file.at : s->count;
    struct io_piece p = io_send_piece(s, end, most);
    struct iovec first = {s->iov[s->at].iov_base, p.len};
    struct msghdr m = {.msg_iov = p.count == 1 ? &first : s->iov + s->at, .msg_iovlen = p.count};
    counter_add(&io->stats.syscalls, 1);
    ssize_t n = sendmsg(s->sock->fd, &m, io_send_more(s, p) | MSG_NOSIGNAL | MSG_DONTWAIT);
    return n < 0 ? -errno : n;
}

/* Of sendfile(2), or of a filter of system calls: not of the socket. */
static bool is_refusal(int err)
{
    return err == -EINVAL || err == -EOPNOTSUPP || err == -ENOSYS || err == -EPERM ||
           err == -EACCES || err == -EBADF || err == -ESPIPE || err == -ENOMEM;
}

/* Of the connection (tcp(7), ip(7)), or what ICMP has told of one that timed out (icmp(7)). */
static bool is_of_socket(int err)
{
    return err == -EPIPE || err == -ECONNRESET || err == -ECONNABORTED || err == -ETIMEDOUT ||
           err == -ENETDOWN || err == -ENOBUFS || err == -EHOSTUNREACH || err == -ENETUNREACH ||
           err == -ECONNREFUSED || err == -EHOSTDOWN || err == -ENONET || err == -ENOPROTOOPT;
}

/* 0: the file has become shorter. What else is not of the socket is of the file, or its disk. */
static int failed(int err, bool in_file)
{
    if (!in_file || is_of_socket(err)) return err;
    return is_refusal(err) ? -EOPNOTSUPP : -EFAULT;
}

int by_file_send(struct io *io, struct io_send *s)
{
    for (size_t left = IO_SEND_SHARE; left > 0;) {
        bool in_file = s->at == s->file.at;
        bool code = io_leave_code(io);
        ssize_t n = in_file ? send_pages(io, s, left) : send_bytes(io, s, left);
        io_return_to_code(io, code);
        if (n > 0) {
            if (io_send_advance(s, (size_t)n)) return 0;
            left -= (size_t)n;
        } else if (n == -EAGAIN) {
            return -EAGAIN;
        } else if (n != -EINTR) {
            return failed((int)n, in_file);
        }
    }
    return -EINPROGRESS;
}
