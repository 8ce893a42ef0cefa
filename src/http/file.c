#include "http/file.h"

#include "http/request.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct torc_file {
    struct list link; /* in torc_req.files */
    int fd;
    int64_t size;
};

int torc_file_open(torc_req *rq, const char *path, torc_file **file)
{
    struct stat st;
    struct io_call call = {.open = {AT_FDCWD, path, IO_OPEN_ANYWHERE, &st}};
    struct torc_file *f = arena_alloc(&rq->arena, sizeof *f);
    if (!f) return -ENOMEM;
    int fd = scope_call(request_scope(rq), &call, IO_OPEN);
    if (fd < 0) return fd;
    if (!S_ISREG(st.st_mode)) {
        close(fd);
        return S_ISDIR(st.st_mode) ? -EISDIR : -EACCES;
    }
    f->fd = fd;
    f->size = st.st_size;
    list_init(&f->link);
    list_push(&rq->files, &f->link);
    *file = f;
    return 0;
}

int64_t torc_file_size(const torc_file *file)
{
    return file->size;
}

ssize_t torc_file_read(torc_req *rq, torc_file *file, void *buf, size_t size, int64_t offset)
{
    if (offset < 0) return -EINVAL;
    struct io_call call = {
        .read = {file->fd, buf, (uint32_t)(size < INT32_MAX ? size : INT32_MAX), (uint64_t)offset}};
    return scope_call(request_scope(rq), &call, IO_READ);
}

void torc_file_close(torc_req *rq, torc_file *file)
{
    (void)rq;
    list_unlink(&file->link);
    close(file->fd);
}

void file_close_all(torc_req *rq)
{
    while (!list_empty(&rq->files))
        torc_file_close(rq, container_of(rq->files.next, struct torc_file, link));
}
