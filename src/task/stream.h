#pragma once
/* A connection that fibers read and write: a socket of a core, and the bytes that have come and not
 * been read. It outlives the scope that opened it; each call takes the scope that waits.
 *
 * Bytes are received while nobody reads, up to STREAM_UNREAD, and copied, so that a slow reader
 * holds no receive buffer. Beyond that the peer is slowed by flow control. The memory counts in
 * io->kept; while io->keep_less is set, a stream receives only when all has been read. */

#include "task/scope.h"

enum {
    STREAM_UNREAD = 32 * 1024, /* unread bytes at which receiving stops */
    STREAM_IOV = IO_SEND_IOV,
};

struct stream_reader;
struct stream_writer;

struct stream {
    struct io_sock sock;
    struct io *io;
    struct stream_reader *reader; /* a fiber in a call for bytes, or NULL */
    struct stream_writer *writer; /* a fiber in a call that sends or shuts down, or NULL */
    char *unread;                 /* malloc'ed; NULL if nothing is unread */
    size_t unread_at, unread_len, unread_cap;
    int read_error;       /* what a read returns once all is read; 0: none */
    int write_error;      /* likewise, at once */
    bool eof;             /* the peer has ended its stream */
    bool shut;            /* the sending side has been shut down */
    bool closing, closed; /* the owner has let go of it; its socket is closed */
    void *owner;          /* for whoever keeps it */
    struct io_task task;  /* closes it in stages */
    struct io_call call;  /* shutdown, close */
    struct io_send send;
    const void *sending_from; /* where the bytes of the send in flight began */
    /* Called on the core's own stack when bytes have come or the peer has ended while nobody reads;
     * may close it. NULL: nobody is told. */
    void (*notify)(struct stream *s);
};

/* Takes a connected socket over: 0, or negative errno, and the descriptor stays the caller's. */
int stream_adopt(struct io *io, int fd, struct stream **out);

/* Waits for bytes: a count; 0 at the peer's end of stream; -EPIPE after its reset; -EBUSY while
 * another fiber reads; -EBADF if another fiber closes the stream meanwhile; or the scope's error.
 */
ssize_t stream_read(struct scope *scope, struct stream *s, void *buf, size_t size);

/* Waits until the kernel has taken all bytes, at most STREAM_IOV pieces and INT32_MAX bytes. 0;
 * -EPIPE if the peer takes no more; -EBUSY while another fiber writes; the rest as stream_read. If
 * a write that has begun to leave fails, later ones return -EPIPE. */
int stream_send(struct scope *scope, struct stream *s, const struct iovec *iov, uint32_t n);

/* The same for one piece of any size. */
int stream_write(struct scope *scope, struct stream *s, const void *data, size_t size);

/* Waits until the sending side is shut down. 0, or the errors of stream_send. */
int stream_shutdown(struct scope *scope, struct stream *s);

/* Nothing has come since the last read, and the peer has not ended. */
static inline bool stream_is_quiet(const struct stream *s)
{
    return !s->unread_len && !s->eof && !s->read_error && !s->write_error;
}

/* The peer sends no more than what has come, so that no read waits. */
bool stream_has_ended(const struct stream *s);

/* Lets go of the stream: it must not be used afterwards. Fibers in a call on it return -EBADF,
 * even if they are woken already. Never waits; may be called anywhere on the core. Bytes that are
 * unread have the kernel reset the connection. */
void stream_close(struct stream *s);
