/* A request body into a file: one piece is received while the one before it is written. */

#include "http/file.h"
#include "http/status.h"
#include "task/background.h"

#include <errno.h>

/* A body of 20 MiB took 11.4 ms of CPU on io_uring and 12.6 on epoll, with pieces of 64 KiB 17.7
 * and 15.3, of 256 KiB 10.1 and 11.1. There are two in the memory of the request. */
enum { PIECE = 128 * 1024, LEAST_PIECE = 4 * 1024 };

struct body_file {
    torc_req *rq;
    struct scope *scope;
    torc_file *file;
    struct background write;
    size_t writing;   /* bytes of the piece that is being written, or 0 */
    const char *data; /* of that piece */
    int64_t written;
};

static void start_write(struct body_file *b, const char *data, size_t n)
{
    struct io_call call = {.write = {b->file->fd, (uint32_t)n, data, (uint64_t)b->written}};
    background_start(&b->write, b->scope, &call, IO_WRITE, false);
    b->data = data;
    b->writing = n;
}

/* What one write has left is written by others. */
static int finish_write(struct body_file *b)
{
    size_t n = b->writing;
    if (n == 0) return 0;
    b->writing = 0;
    ssize_t done = background_finish(&b->write);
    if (done < 0) return b->scope->cancelled ? b->scope->cancelled : (int)done;
    b->written += done;
    if (b->written > b->file->size) b->file->size = b->written;
    if ((size_t)done == n) return 0;
    n -= (size_t)done;
    done = torc_file_write(b->rq, b->file, b->data + done, n, b->written);
    if (done < 0) return (int)done;
    b->written += done;
    return 0;
}

/* Receives until `buf` is full or the body ends. A count or negative errno. */
static ssize_t receive(torc_req *rq, char *buf, size_t size)
{
    size_t n = 0;
    while (n < size) {
        ssize_t got = request_read_body(rq, buf + n, size - n);
        if (got < 0) return got;
        if (got == 0) break;
        n += (size_t)got;
    }
    return (ssize_t)n;
}

/* The first error of a write, or else of the body; both must have come to an end. */
static int copy(struct body_file *b, char *const buf[2], size_t size)
{
    for (int i = 0;; i ^= 1) {
        ssize_t n = receive(b->rq, buf[i], size);
        int err = finish_write(b);
        if (err < 0) return err;
        if (n <= 0) return (int)n;
        start_write(b, buf[i], (size_t)n);
    }
}

void file_fail_body(struct torc_req *rq, int err)
{
    http_warn(rq->ctx, WARN_FILE, "cannot write a body to a file: %s", strerror(-err));
    request_fail_body(rq, err, status_of_write(err));
}

static int begin_and_copy(struct torc_req *rq, struct torc_file *file, int64_t *size)
{
    uint64_t length = rq->head.content_length;
    size_t piece = length > 0 && length < PIECE ? (size_t)length : PIECE;
    struct body_file b = {.rq = rq, .scope = request_scope(rq), .file = file};
    ASSERT(b.scope); /* it has taken the body */
    char *buf = arena_alloc_aligned(&rq->arena, 2 * piece, 1);
    while (!buf && (piece /= 2) >= LEAST_PIECE) buf = arena_alloc_aligned(&rq->arena, 2 * piece, 1);
    if (!buf) return request_fail_body(rq, -ENOMEM, 503);
    int err = copy(&b, (char *const[]){buf, buf + piece}, piece);
    *size = b.written;
    if (err < 0 && !rq->body_failed && !b.scope->cancelled) file_fail_body(rq, err);
    return err;
}

int torc_body_file(torc_req *rq, torc_file *file, int64_t *size)
{
    *size = 0;
    int err = request_take_body(rq);
    if (err < 0) return err;
    if (!file->writable)
        err = -EBADF;
    else if (rq->head.has_body)
        err = rq->body_err = begin_and_copy(rq, file, size);
    request_leave_body(rq);
    return err;
}
