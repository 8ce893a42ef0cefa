#pragma once
/* Sends a part of a file by reference: sendfile(2) hands the file's own pages to the socket, and
 * nothing is copied here. For io_send_file_start, of all engines. */

#include "io/engine.h"

/* engine_bits of a send, besides those of its engine: it goes by reference. */
enum { IO_BY_FILE = 128 };

static inline bool is_by_file(const struct io_send *s)
{
    return s->op.engine_bits & IO_BY_FILE;
}

/* Sends what the socket takes, without waiting. 0 if that was all; -EAGAIN until the socket, which
 * is full, is writable; -EINPROGRESS after IO_SEND_SHARE bytes, the socket may take more; or why
 * the send ends, see io_send_file_start. */
int by_file_send(struct io *io, struct io_send *s);
