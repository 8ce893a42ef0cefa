#pragma once
/* Opening a file whose name is in memory, and reading what of it is, without a wait for a disk; and
 * who would have to wait for the rest. */

#include "io/io.h"

/* Whether a call on a file keeps the core from its other connections until it is done, so that what
 * may take long is better done by another thread. */
bool io_calls_hold(const struct io *io);

/* Does what IO_OPEN would, at once, if no disk has to be asked where the name leads
 * (RESOLVE_CACHED, Linux 5.12); a file system that asks somebody else for the file itself still
 * does. -EAGAIN: one has; -EOPNOTSUPP: the kernel does not tell. */
int io_open_cached(struct io *io, const struct io_call *c);

/* Does what IO_OPEN would, by a thread that may wait for the disk; any thread may call it. */
int io_open_here(const struct io *io, const struct io_call *c);

/* Does what IO_READ would, at once, if the bytes are in memory: their count, which may be less than
 * asked for, 0 at the end of the file, or negative errno. -EAGAIN: they are not; -EOPNOTSUPP: the
 * file system does not tell. */
int io_read_cached(struct io *io, const struct io_call *c);

/* Whether these bytes of a file, all of which it has, are in memory. Takes a fifth of a millisecond
 * per MiB, on a machine that sends one in as much. False, too, where the file system does not tell.
 */
bool io_is_cached(struct io *io, int fd, uint64_t offset, size_t size);
