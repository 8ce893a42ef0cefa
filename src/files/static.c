#include "files/static.h"

#include "files/find.h"
#include "files/send.h"
#include "http/response.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct static_files {
    uint32_t n_cores;
    struct static_core core[];
};

/* ---- life ---- */

struct static_files *static_open(const struct file_cache_limits *limits, uint32_t cores)
{
    struct static_files *files =
        aligned_alloc(64, sizeof(struct static_files) + cores * sizeof(struct static_core));
    if (!files) return NULL;
    for (files->n_cores = 0; files->n_cores < cores; files->n_cores++) {
        if (static_core_init(&files->core[files->n_cores], limits) == 0) continue;
        static_close(files);
        return NULL;
    }
    return files;
}

void static_close(struct static_files *files)
{
    for (uint32_t i = 0; i < files->n_cores; i++) static_core_free(&files->core[i]);
    free(files);
}

struct static_core *static_core_of(struct static_files *files, uint32_t i)
{
    ASSERT(i < files->n_cores);
    return &files->core[i];
}

int static_check(const char *dir)
{
    int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return -errno;
    int below = openat(fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC); /* may it be searched? */
    int err = below < 0 ? -errno : 0;
    if (below >= 0) close(below);
    close(fd);
    return err;
}

/* ---- responses ---- */

/* A Location of "//host" or "/\host" would lead to another host. */
static int redirect(torc_req *rq)
{
    slice path = torc_path(rq), query = torc_query(rq);
    while (path.len > 1 && (path.ptr[1] == '/' || path.ptr[1] == '\\')) path = slice_skip(path, 1);
    size_t room = path.len + query.len + 4;
    char *location = torc_alloc(rq, room);
    int n = 0;
    if (location)
        n = snprintf(location, room, "/%.*s/%s%.*s", (int)path.len - 1, path.ptr + 1,
                     query.ptr ? "?" : "", (int)query.len, query.ptr ? query.ptr : "");
    bool set = n && torc_set_header(rq, SLICE("Location"), slice_of(location, (size_t)n)) == 0;
    if (!set) http_warn(rq->ctx, WARN_NO_MEMORY, "no memory for a redirect; 503");
    return response_error(rq, set ? 301 : 503);
}

void static_redirect(torc_req *rq, void *arg)
{
    (void)arg;
    redirect(rq);
}

/* Whether the request's own path ends with `path`, so that a slash after it means the directory. */
static bool is_end_of_target(torc_req *rq, slice path)
{
    slice raw = torc_path(rq);
    char *decoded = arena_alloc_aligned(&rq->arena, raw.len, 1);
    int n = decoded ? percent_decode(raw, decoded, false) : -1;
    if (n < 0 || (size_t)n < path.len) return false;
    return slice_eq(slice_of(decoded + ((size_t)n - path.len), path.len), path);
}

int static_reply(torc_req *rq, const char *dir, slice path)
{
    struct static_file *file;
    if (!path.ptr) return response_error(rq, rq->failed == 503 ? 503 : 400);
    int status = static_find(rq, dir, path, &file);
    if (status < 0) return status;
    if (rq->response.status) { /* another fiber has begun one meanwhile */
        if (status == 0) static_file_release(file);
        return -EALREADY;
    }
    if (status == 301) return is_end_of_target(rq, path) ? redirect(rq) : response_error(rq, 404);
    if (status > 0) return response_error(rq, status);
    int err = static_send(rq, file);
    /* It may have been truncated: the next request looks. */
    if (err == -EIO) static_forget(rq->ctx->files, file);
    static_file_release(file);
    return err;
}

void static_serve(torc_req *rq, void *arg)
{
    static_reply(rq, arg, torc_param(rq, "path"));
}

int torc_reply_file(torc_req *rq, const char *dir, torc_slice path)
{
    int refused = scope_refuses(request_scope(rq));
    if (refused) return refused;
    if (rq->response.status) return -EALREADY;
    int err = static_reply(rq, dir, path);
    return err == 0 && rq->response.streamed ? torc_end(rq) : err;
}
