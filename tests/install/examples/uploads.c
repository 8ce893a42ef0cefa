/* Uploads of any size, streamed to disk, with their progress at another route.
 *
 *   cc uploads.c $(pkg-config --cflags --libs torc) -o uploads && mkdir -p files && ./uploads
 *   curl -F file=@film.mp4 -F file=@cover.jpg localhost:8080/files    # a form, as browsers send it
 *   curl -T film.mp4 localhost:8080/files/film.mp4
 *   curl localhost:8080/progress                # meanwhile: name, bytes so far
 *   curl localhost:8080/files/film.mp4 -O
 *
 * A file has its name only once it is complete and on the storage. An upload that is broken off
 * leaves nothing behind, nor does a server that is killed. */

#include <torc.h>

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { PIECE = 16 * 1024, SHOWN = 100 /* uploads that /progress tells of at most */ };

struct upload { /* in progress, on the stack of its handler */
    struct upload *next;
    const char *name;
    int64_t written;
};

static const char *dir; /* --dir */
static struct upload *uploads;
static pthread_mutex_t lock =
    PTHREAD_MUTEX_INITIALIZER; /* is never held across a call that WAITS */

static void begin(struct upload *u)
{
    pthread_mutex_lock(&lock);
    u->next = uploads;
    uploads = u;
    pthread_mutex_unlock(&lock);
}

static void progressed(struct upload *u, ssize_t by)
{
    pthread_mutex_lock(&lock);
    u->written += by;
    pthread_mutex_unlock(&lock);
}

static void end(const struct upload *u)
{
    struct upload **at = &uploads;
    pthread_mutex_lock(&lock);
    while (*at != u) at = &(*at)->next;
    *at = u->next;
    pthread_mutex_unlock(&lock);
}

/* A name that a client gives may lead anywhere. */
static bool is_name(const char *name)
{
    return name && *name && *name != '.' && strlen(name) <= 100 && !strpbrk(name, "/\\\" \r\n");
}

/* Copies a part, or the body, to the file. 0 or the first error. */
static int receive(torc_req *rq, torc_part *part, torc_file *file, struct upload *u)
{
    char piece[PIECE];
    for (;;) {
        ssize_t n = part ? torc_part_read(rq, part, piece, sizeof piece)
                         : torc_body_read(rq, piece, sizeof piece);
        if (n > 0) n = torc_file_write(rq, file, piece, (size_t)n, u->written);
        if (n <= 0) return (int)n;
        progressed(u, n);
    }
}

/* Returns the bytes that were stored of a part, or of the body, or -1: then torc's response is the
 * one that fits, such as 408 or 413, unless it is given here. */
static int64_t store(torc_req *rq, torc_part *part, torc_slice called)
{
    struct upload u = {NULL, torc_cstr(rq, called), 0};
    char path[4096];
    torc_file *file; /* closed as the handler returns, and gone then if it has no name */
    if (!is_name(u.name)) {
        torc_replyf(rq, 400, "not a name for a file\n");
        return -1;
    }
    snprintf(path, sizeof path, "%s/%s", dir ? dir : "files", u.name);
    begin(&u);
    int err = torc_file_temp(rq, dir ? dir : "files", &file);
    if (err == 0) err = receive(rq, part, file, &u);
    if (err == 0) err = torc_file_sync(rq, file);
    if (err == 0) err = torc_file_link(rq, file, path, true);
    end(&u);
    if (err == -ENOSPC || err == -EDQUOT || err == -EFBIG) torc_reply_error(rq, 507);
    return err == 0 ? u.written : -1;
}

/* POST /files: a form, of which each part with a name of a file is one. */
static void post_files(torc_req *rq, void *arg)
{
    torc_part *part;
    int more, files = 0;
    (void)arg;
    while ((more = torc_multipart_next(rq, &part)) > 0) {
        if (!torc_part_filename(part).ptr) continue;
        if (store(rq, part, torc_part_filename(part)) < 0) return;
        files++;
    }
    if (more == 0) torc_replyf(rq, 201, "%d files\n", files);
}

/* PUT /files/NAME */
static void put_file(torc_req *rq, void *arg)
{
    (void)arg;
    int64_t size = store(rq, NULL, torc_param(rq, "name"));
    if (size >= 0) torc_replyf(rq, 201, "%" PRId64 " bytes\n", size);
}

/* GET /files/NAME */
static void get_file(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply_file(rq, dir ? dir : "files", torc_param(rq, "name"));
}

/* GET /progress: a line for each upload. */
static void progress(torc_req *rq, void *arg)
{
    char text[SHOWN * 128];
    size_t used = 0;
    (void)arg;
    pthread_mutex_lock(&lock);
    for (struct upload *u = uploads; u && used + 128 < sizeof text; u = u->next)
        used += (size_t)snprintf(text + used, 128, "%s %" PRId64 "\n", u->name, u->written);
    pthread_mutex_unlock(&lock);
    torc_replyf(rq, 200, "%.*s", (int)used, text);
}

int main(int argc, char **argv)
{
    static const torc_route_limits limits = {.max_body = 1 << 30};
    torc_server *s = torc_server_new("uploads 1.0");
    if (!s ||
        torc_server_option(s, "dir", "DIR", "where the files are (default: files)", &dir) < 0 ||
        torc_route(s, "POST", "/files", post_files, NULL) < 0 ||
        torc_route_limit(s, "POST", "/files", &limits) < 0 ||
        torc_route(s, "PUT", "/files/:name", put_file, NULL) < 0 ||
        torc_route_limit(s, "PUT", "/files/:name", &limits) < 0 ||
        torc_route(s, "GET", "/files/:name", get_file, NULL) < 0 ||
        torc_route(s, "GET", "/progress", progress, NULL) < 0) {
        fprintf(stderr, "uploads: %s\n", s ? torc_server_error(s) : "out of memory");
        return 1;
    }
    int status = torc_server_main(s, argc, argv);
    torc_server_free(s);
    return status;
}
