#include "http/file.h"

#include "base/child.h"
#include "http/response.h"
#include "task/background.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MODE = 0666, /* less the process's umask, as of open(2) in most programs */
    NAME_TRIES = 8,
    LARGEST_CALL = 1 << 30, /* bytes; more would not fit an int */
};

/* The thread's own table of descriptors, see --private-descriptors. */
#define BY_FD "/proc/thread-self/fd"

/* ---- opening ---- */

static struct torc_file *new_file(torc_req *rq, bool writable)
{
    struct torc_file *f = arena_alloc(&rq->arena, sizeof *f);
    if (f) *f = (struct torc_file){.rq = rq, .fd = -1, .writable = writable};
    return f;
}

/* For the operator, where the handler does not respond after it. */
static int note(torc_req *rq, const char *call, int err)
{
    if (err < 0 && !rq->response.status) {
        rq->response.error = err;
        rq->response.of = call;
    }
    return err;
}

static void release(struct request_resource *r)
{
    struct torc_file *f = container_of(r, struct torc_file, held);
    torc_file_close(f->rq, f);
}

/* Takes what IO_OPEN or IO_CREATE returned. */
static int take_fd(torc_req *rq, struct torc_file *f, int fd, const struct stat *st)
{
    if (fd < 0) return fd;
    if (!S_ISREG(st->st_mode)) {
        close(fd);
        return S_ISDIR(st->st_mode) ? -EISDIR : -EACCES;
    }
    f->fd = fd;
    f->size = st->st_size;
    request_hold(rq, &f->held, release);
    return 0;
}

int torc_file_open(torc_req *rq, const char *path, torc_file **file)
{
    struct stat st;
    struct io_call call = {.open = {AT_FDCWD, IO_OPEN_ANYWHERE, path, &st}};
    struct torc_file *f = new_file(rq, false);
    if (!f) return -ENOMEM;
    int err = take_fd(rq, f, scope_call(request_scope(rq), &call, IO_OPEN), &st);
    if (err == 0) *file = f;
    return note(rq, "torc_file_open", err);
}

static int create(torc_req *rq, struct torc_file *f, const char *path, int flags, unsigned mode)
{
    struct stat st;
    struct io_call call = {.create = {path, flags, mode, &st}};
    return take_fd(rq, f, scope_call(request_scope(rq), &call, IO_CREATE), &st);
}

int torc_file_create(torc_req *rq, const char *path, int flags, unsigned mode, torc_file **file)
{
    if (flags & ~(O_EXCL | O_TRUNC) || mode > 07777) return -EINVAL;
    struct torc_file *f = new_file(rq, true);
    if (!f) return -ENOMEM;
    int err = create(rq, f, path, O_CREAT | flags, mode);
    if (err == 0) *file = f;
    return note(rq, "torc_file_create", err);
}

/* ---- temporary files ---- */

/* A name that nobody uses, in the directory `in`, which ends with a slash or is empty. It begins
 * with a dot, so that static files do not show it. It need not be random: one that is taken is
 * tried again. NULL without memory. */
static char *unique_name(torc_req *rq, slice in)
{
    uint64_t random;
    size_t room = in.len + sizeof ".torc-0123456789abcdef";
    char *name = arena_alloc_aligned(&rq->arena, room, 1);
    if (!name) return NULL;
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        random = clock_ns() * 0x9E3779B97F4A7C15;
    snprintf(name, room, "%.*s.torc-%016llx", (int)in.len, in.ptr ? in.ptr : "",
             (unsigned long long)random);
    return name;
}

/* Not in a process that was forked: the file is the server's. */
static void remove_name(torc_req *rq, const char *path)
{
    if (child_here) return;
    struct io_call call = {.unlink = {path}};
    if (background_call(request_scope(rq), &call, IO_UNLINK) == -EPERM) unlink(path);
}

/* Where the file system has no files without a name, as NFS. */
static int create_named(torc_req *rq, struct torc_file *f, const char *dir)
{
    size_t n = strlen(dir);
    char *in = arena_alloc_aligned(&rq->arena, n + 2, 1);
    if (!in) return -ENOMEM;
    snprintf(in, n + 2, "%s/", dir);
    int err = -EEXIST;
    for (int i = 0; i < NAME_TRIES && err == -EEXIST; i++) {
        char *name = unique_name(rq, slice_of(in, n + 1));
        if (!name) return -ENOMEM;
        err = create(rq, f, name, O_CREAT | O_EXCL, MODE);
        if (err == 0) f->own_name = name;
        if (err < 0 && err != -EEXIST)
            remove_name(rq, name); /* a cancelled call may have made it */
    }
    return err;
}

/* Whether torc_file_link finds a file without a name, as it does not where there is no /proc. */
static bool finds_nameless(void)
{
    return access(BY_FD, X_OK) == 0;
}

int torc_file_temp(torc_req *rq, const char *dir, torc_file **file)
{
    struct torc_file *f = new_file(rq, true);
    if (!f) return -ENOMEM;
    int err = finds_nameless() ? create(rq, f, dir, O_TMPFILE, MODE) : -EOPNOTSUPP;
    if (err == -EOPNOTSUPP || err == -EISDIR) err = create_named(rq, f, dir);
    if (err < 0) return note(rq, "torc_file_temp", err);
    f->temporary = true;
    *file = f;
    return 0;
}

static int call_name(torc_req *rq, enum io_kind kind, const char *from, const char *to,
                     bool replace)
{
    struct io_call call = {.name = {from, to, replace}};
    return scope_call(request_scope(rq), &call, kind);
}

/* A name from which the file can then be renamed over `path`: link(2) replaces nothing. A name that
 * could not replace `path` is kept, as a file without one takes a name only once. */
static int link_and_replace(torc_req *rq, struct torc_file *f, const char *by_fd, const char *path)
{
    const char *slash = strrchr(path, '/');
    slice in = slice_of(path, slash ? (size_t)(slash - path) + 1 : 0);
    int err = -EEXIST;
    for (int i = 0; i < NAME_TRIES && err == -EEXIST; i++) {
        char *name = unique_name(rq, in);
        if (!name) return -ENOMEM;
        err = call_name(rq, IO_LINK, by_fd, name, false);
        if (err == -EEXIST) continue;
        if (err < 0) {
            remove_name(rq, name); /* a cancelled call may have made it */
            return err;
        }
        f->own_name = name;
        return call_name(rq, IO_RENAME, name, path, true);
    }
    return err;
}

static int link_unnamed(torc_req *rq, struct torc_file *f, const char *path, bool replace)
{
    char by_fd[48];
    snprintf(by_fd, sizeof by_fd, BY_FD "/%d", f->fd);
    int err = call_name(rq, IO_LINK, by_fd, path, false);
    return err == -EEXIST && replace ? link_and_replace(rq, f, by_fd, path) : err;
}

static int rename_named(torc_req *rq, const struct torc_file *f, const char *path, bool replace)
{
    int err = call_name(rq, IO_RENAME, f->own_name, path, replace);
    if (err != -EINVAL || replace) return err;
    /* A file system that cannot rename without replacing, as NFS. */
    err = call_name(rq, IO_LINK, f->own_name, path, false);
    if (err == 0) remove_name(rq, f->own_name);
    return err;
}

int torc_file_link(torc_req *rq, torc_file *file, const char *path, bool replace)
{
    if (!file->temporary) return -EINVAL;
    int err = file->own_name ? rename_named(rq, file, path, replace)
                             : link_unnamed(rq, file, path, replace);
    if (err < 0) return note(rq, "torc_file_link", err);
    file->temporary = false;
    file->own_name = NULL;
    return 0;
}

/* ---- use ---- */

int64_t torc_file_size(const torc_file *file)
{
    return file->size;
}

static uint32_t call_size(size_t size)
{
    return (uint32_t)(size < LARGEST_CALL ? size : LARGEST_CALL);
}

ssize_t torc_file_read(torc_req *rq, torc_file *file, void *buf, size_t size, int64_t offset)
{
    if (offset < 0) return -EINVAL;
    struct io_call call = {.read = {file->fd, call_size(size), buf, (uint64_t)offset}};
    return scope_call(request_scope(rq), &call, IO_READ);
}

ssize_t torc_file_write(torc_req *rq, torc_file *file, const void *data, size_t size,
                        int64_t offset)
{
    if (offset < 0 || size > (size_t)(INT64_MAX - offset)) return -EINVAL;
    if (!file->writable) return -EBADF; /* of some files the kernel says ESPIPE */
    for (size_t done = 0; done < size;) {
        struct io_call call = {.write = {file->fd, call_size(size - done),
                                         (const char *)data + done, (uint64_t)offset + done}};
        int n = scope_call(request_scope(rq), &call, IO_WRITE);
        if (n <= 0) return n < 0 ? n : -EIO;
        done += (size_t)n;
        if (offset + (int64_t)done > file->size) file->size = offset + (int64_t)done;
    }
    return (ssize_t)size;
}

int torc_file_sync(torc_req *rq, torc_file *file)
{
    struct io_call call = {.sync = {file->fd}};
    return scope_call(request_scope(rq), &call, IO_SYNC);
}

/* A file may have grown since it was opened. Its size is in memory, so this does not wait. */
static bool has_bytes(struct torc_file *f, int64_t offset, int64_t size)
{
    struct stat st;
    if (size <= f->size - offset) return true;
    if (fstat(f->fd, &st) < 0) return false;
    f->size = st.st_size;
    return size <= f->size - offset;
}

int torc_send_file(torc_req *rq, torc_file *file, int64_t offset, int64_t size)
{
    uint64_t before = 0;
    int err = scope_refuses(request_scope(rq));
    if (err == 0 && (offset < 0 || size < 0 || !has_bytes(file, offset, size))) err = -EINVAL;
    if (err == 0) err = response_write_begin(rq, &before);
    if (err < 0) return err;
    err = response_write_file(rq, file->fd, (uint64_t)offset, (uint64_t)size);
    return response_write_end(rq, before, (uint64_t)size, err);
}

/* To close what was written may take long: a file system on a network writes then, and the bytes of
 * a file without a name are freed. */
void torc_file_close(torc_req *rq, torc_file *file)
{
    struct io_call call = {.close = {file->fd}};
    list_unlink(&file->held.link);
    if (!file->writable || background_call(request_scope(rq), &call, IO_CLOSE) == -EPERM)
        close(file->fd);
    if (file->temporary && file->own_name) remove_name(rq, file->own_name);
}
