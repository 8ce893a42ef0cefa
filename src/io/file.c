#include "io/file.h"
#include "io/nonblock.h"
#include "io/walk.h"

#include "base/libc.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <string.h>

#ifndef RESOLVE_CACHED /* Linux 5.12 */
#define RESOLVE_CACHED 0x20
#endif

/* O_NONBLOCK, because opening a FIFO would wait for a writer. */
enum {
    COMMON_FLAGS = O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
    OPEN_FLAGS = O_RDONLY | COMMON_FLAGS,
};

const struct open_how *file_how(const struct io_call *c)
{
    static const struct open_how anywhere = {.flags = OPEN_FLAGS};
    static const struct open_how beneath = {
        .flags = OPEN_FLAGS,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    static const struct open_how directory = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC};
    switch ((enum io_open)c->open.how) {
    case IO_OPEN_BENEATH: return &beneath;
    case IO_OPEN_DIRECTORY: return &directory;
    default: return &anywhere;
    }
}

int file_create_flags(const struct io_call *c)
{
    return c->create.flags | O_RDWR | COMMON_FLAGS;
}

unsigned file_rename_flags(const struct io_call *c)
{
    return c->name.replace ? 0 : RENAME_NOREPLACE;
}

/* A filter may refuse both calls at any time. The file is served all the same. */
static void tell_nonblock(int err)
{
    static _Atomic bool told;
    if (!atomic_exchange(&told, true))
        log_line("files stay non-blocking: the system refuses fcntl(2) and ioctl(2): %s",
                 strerror(-err));
}

/* fstat directly: the attributes of an open file are in memory, and a ring would pass the call to a
 * kernel thread. */
int file_opened(struct stat *st, int fd)
{
    if (fd < 0) return fd;
    int err = fstat(fd, st) < 0 ? -errno : 0;
    if (err == 0) {
        /* With O_NONBLOCK set on a file, io_uring would assume that reads never block, whatever the
         * file system. */
        int refused = S_ISREG(st->st_mode) ? nonblock_set(fd, false) : 0;
        if (refused < 0) tell_nonblock(refused);
        return fd;
    }
    close(fd);
    return err;
}

/* ---- where openat2 may be refused ---- */

bool file_openat2_refused(int fd)
{
    int plain = open(FILE_PROBE_PATH, O_PATH | O_CLOEXEC);
    if (plain >= 0) close(plain);
    if (fd >= 0) close(fd);
    return fd < 0 && plain >= 0;
}

static int open_by_openat2(const struct io_call *c, uint64_t resolve)
{
    struct open_how how = *file_how(c);
    how.resolve |= resolve;
    long fd = syscall(SYS_openat2, c->open.dirfd, c->open.path, &how, sizeof how);
    return fd < 0 ? -errno : (int)fd;
}

void file_probe(struct io_config *config)
{
    struct io_call c = {
        .open = {.dirfd = AT_FDCWD, .path = FILE_PROBE_PATH, .how = IO_OPEN_BENEATH}};
    config->walk = file_openat2_refused(open_by_openat2(&c, 0));
}

/* Also walks where the probe did not ask the system call, but the ring. */
static int open_file(const struct io *io, const struct io_call *c)
{
    int fd;
    if (c->open.how != IO_OPEN_BENEATH) {
        fd = openat(c->open.dirfd, c->open.path, (int)file_how(c)->flags);
        return fd < 0 ? -errno : fd;
    }
    fd = io->config.walk ? -ENOSYS : open_by_openat2(c, 0);
    return fd == -ENOSYS || fd == -EPERM ? walk_open(c->open.dirfd, c->open.path, OPEN_FLAGS) : fd;
}

int file_open_here(const struct io *io, const struct io_call *c)
{
    return file_opened(c->open.stat, open_file(io, c));
}

int file_open_cached(const struct io *io, const struct io_call *c)
{
    int fd = io->config.walk ? -ENOSYS : open_by_openat2(c, RESOLVE_CACHED);
    bool untold = fd == -ENOSYS || fd == -EPERM || fd == -EINVAL;
    return untold ? -EOPNOTSUPP : file_opened(c->open.stat, fd);
}

static int create_file(const struct io_call *c)
{
    int fd = open(c->create.path, file_create_flags(c), (mode_t)c->create.mode);
    return fd < 0 ? -errno : fd;
}

int file_call(const struct io *io, const struct io_call *c)
{
    long res;
    switch ((enum io_kind)c->op.kind) {
    case IO_OPEN: return file_open_here(io, c);
    case IO_CREATE: return file_opened(c->create.stat, create_file(c));
    case IO_STATX:
        res = statx(c->statx.dirfd, c->statx.path, c->statx.flags, STATX_BASIC_STATS, c->statx.out);
        break;
    case IO_READ: res = pread(c->read.fd, c->read.buf, c->read.size, (off_t)c->read.offset); break;
    case IO_WRITE:
        res = pwrite(c->write.fd, c->write.buf, c->write.size, (off_t)c->write.offset);
        break;
    case IO_SYNC: res = fsync(c->sync.fd); break;
    case IO_LINK:
        res = linkat(AT_FDCWD, c->name.from, AT_FDCWD, c->name.to, AT_SYMLINK_FOLLOW);
        break;
    case IO_RENAME:
        res = syscall(SYS_renameat2, AT_FDCWD, c->name.from, AT_FDCWD, c->name.to,
                      file_rename_flags(c));
        break;
    case IO_UNLINK: res = unlink(c->unlink.path); break;
    case IO_CLOSE: res = close(c->close.fd); break;
    case IO_POPULATE: res = madvise(c->populate.addr, c->populate.size, MADV_POPULATE_READ); break;
    default: return -EINVAL;
    }
    return res < 0 ? -errno : (int)res;
}
