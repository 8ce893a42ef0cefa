/* Uploads, streamed to disk, with their progress at another route.
 *
 *   cc uploads.c $(pkg-config --cflags --libs torc) -o uploads && mkdir -p files && ./uploads
 *   curl -T film.mp4 localhost:8080/files/film.mp4
 *   curl localhost:8080/progress                # meanwhile: name, bytes so far, bytes in all
 *   curl localhost:8080/files/film.mp4 -O
 *
 * A file has its name only once it is complete and on the storage. An upload that is broken off
 * leaves nothing behind, nor does a server that is killed. */

#include <torc.h>

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PIECE = 64 * 1024,
    NAME_MAX_LEN = 100,
    SHOWN = 100, /* uploads that /progress tells of at most */
};

struct upload {
    struct upload *next;
    char name[NAME_MAX_LEN + 1];
    char length[24]; /* as the client says, or "?" */
    int64_t written;
};

static struct {
    const char *dir;      /* --dir */
    pthread_mutex_t lock; /* is never held across a call that WAITS */
    struct upload *first; /* in progress, each in the memory of its request */
} app = {.lock = PTHREAD_MUTEX_INITIALIZER};

static const char *directory(void)
{
    return app.dir ? app.dir : "files";
}

static void begin(struct upload *u)
{
    pthread_mutex_lock(&app.lock);
    u->next = app.first;
    app.first = u;
    pthread_mutex_unlock(&app.lock);
}

static void progressed(struct upload *u, int64_t written)
{
    pthread_mutex_lock(&app.lock);
    u->written = written;
    pthread_mutex_unlock(&app.lock);
}

static void end(struct upload *u)
{
    pthread_mutex_lock(&app.lock);
    struct upload **at = &app.first;
    while (*at != u) at = &(*at)->next;
    *at = u->next;
    pthread_mutex_unlock(&app.lock);
}

/* A parameter is decoded, so it may have a slash in it. */
static bool copy_name(char *to, torc_slice from)
{
    if (from.len == 0 || from.len > NAME_MAX_LEN || from.ptr[0] == '.') return false;
    for (size_t i = 0; i < from.len; i++) {
        unsigned char c = (unsigned char)from.ptr[i];
        if (c <= ' ' || c == 0x7f || strchr("/\"\\", c)) return false;
    }
    memcpy(to, from.ptr, from.len);
    to[from.len] = 0;
    return true;
}

/* Copies the body to the file. 0 or the first error. */
static int receive(torc_req *rq, torc_file *file, struct upload *u)
{
    int64_t at = 0;
    char *piece = torc_alloc(rq, PIECE);
    if (!piece) return -ENOMEM;
    for (;;) {
        ssize_t got = torc_body_read(rq, piece, PIECE);
        if (got <= 0) return (int)got;
        ssize_t put = torc_file_write(rq, file, piece, (size_t)got, at);
        if (put < 0) return (int)put;
        at += got;
        progressed(u, at);
    }
}

static int store(torc_req *rq, struct upload *u)
{
    char path[4096];
    torc_file *file;
    int err;
    if (snprintf(path, sizeof path, "%s/%s", directory(), u->name) >= (int)sizeof path)
        return -ENAMETOOLONG;
    /* A return closes the file, which is gone then: it has no name yet. */
    if ((err = torc_file_temp(rq, directory(), &file)) < 0) return err;
    if ((err = receive(rq, file, u)) < 0) return err;
    if ((err = torc_file_sync(rq, file)) < 0) return err;
    return torc_file_link(rq, file, path, true);
}

/* PUT /files/NAME */
static void put_file(torc_req *rq, void *arg)
{
    (void)arg;
    torc_slice length = torc_header(rq, "Content-Length");
    struct upload *u = torc_alloc(rq, sizeof *u);
    if (!u) return;
    memset(u, 0, sizeof *u);
    if (!copy_name(u->name, torc_param(rq, "name"))) {
        torc_replyf(rq, 400, "not a name for a file\n");
        return;
    }
    snprintf(u->length, sizeof u->length, "%.*s", length.ptr ? (int)length.len : 1,
             length.ptr ? length.ptr : "?");
    begin(u);
    int err = store(rq, u);
    end(u);
    if (err == 0)
        torc_replyf(rq, 201, "%" PRId64 " bytes\n", u->written);
    else if (err == -ENOSPC || err == -EDQUOT || err == -EFBIG)
        torc_reply_error(rq, 507);
    /* Otherwise torc sends what fits the failure, such as 408 or 413, or 500. */
}

/* GET /files/NAME */
static void get_file(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply_file(rq, directory(), torc_param(rq, "name"));
}

/* GET /progress: a line for each upload. */
static void progress(torc_req *rq, void *arg)
{
    (void)arg;
    size_t room = SHOWN * (sizeof(struct upload) + 24), used = 0;
    char *text = torc_alloc(rq, room);
    if (!text) return;
    pthread_mutex_lock(&app.lock);
    int left = SHOWN;
    for (struct upload *u = app.first; u && left > 0; u = u->next, left--)
        used += (size_t)snprintf(text + used, room - used, "%s %" PRId64 " %s\n", u->name,
                                 u->written, u->length);
    pthread_mutex_unlock(&app.lock);
    torc_reply(rq, 200, "text/plain", (torc_slice){text, used});
}

int main(int argc, char **argv)
{
    torc_server *s = torc_server_new("uploads 1.0");
    if (!s ||
        torc_server_option(s, "dir", "DIR", "where the files are (default: files)", &app.dir) < 0 ||
        torc_server_set(s, "max-body", "1g") < 0 ||
        torc_route(s, "PUT", "/files/:name", put_file, NULL) < 0 ||
        torc_route(s, "GET", "/files/:name", get_file, NULL) < 0 ||
        torc_route(s, "GET", "/progress", progress, NULL) < 0) {
        fprintf(stderr, "uploads: %s\n", s ? torc_server_error(s) : "out of memory");
        torc_server_free(s);
        return 1;
    }
    int status = torc_server_main(s, argc, argv);
    torc_server_free(s);
    return status;
}
