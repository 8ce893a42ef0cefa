/* A server that keeps what it is sent: handlers that write and send files, as test_files.c needs
 * them. --dir DIR is where; what a call returned is the response, or a line of stderr where there
 * is no client to tell. */

#include <torc.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *dir;

static char *in_dir(torc_req *rq, torc_slice name)
{
    size_t room = strlen(dir) + name.len + 2;
    char *path = torc_alloc(rq, room);
    if (path) snprintf(path, room, "%s/%.*s", dir, (int)name.len, name.ptr);
    return path;
}

static int64_t number(torc_req *rq, const char *name)
{
    torc_slice text = torc_query_param(rq, name);
    char digits[32];
    snprintf(digits, sizeof digits, "%.*s", (int)text.len, text.ptr ? text.ptr : "");
    return strtoll(digits, NULL, 10);
}

static void say(const char *what, int64_t value)
{
    fprintf(stderr, "handler: %s %" PRId64 "\n", what, value);
}

/* A complete upload gets its name; any other leaves nothing. */
static void upload(torc_req *rq, void *arg)
{
    torc_file *file;
    int64_t size;
    (void)arg;
    int err = torc_file_temp(rq, dir, &file);
    if (err < 0) {
        torc_replyf(rq, 500, "temp %d", err);
        return;
    }
    say("receives", number(rq, "n"));
    if (number(rq, "deadline")) torc_deadline(rq, (unsigned)number(rq, "deadline"));
    err = torc_body_file(rq, file, &size);
    if (err < 0) say("received", err);
    if (err < 0) return;
    err = torc_file_sync(rq, file);
    if (err == 0)
        err = torc_file_link(rq, file, in_dir(rq, torc_param(rq, "name")), number(rq, "replace"));
    if (err < 0 && number(rq, "else")) {
        say("link", err);
        err = torc_file_link(rq, file, in_dir(rq, TORC_S("else")), false);
    }
    torc_replyf(rq, err < 0 ? 409 : 201, "%d %" PRId64 " %" PRId64, err, size,
                torc_file_size(file));
}

struct part_file {
    torc_part *part;
    torc_file *file;
    int64_t size;
    int err;
};

static int write_part(torc_req *rq, void *arg)
{
    struct part_file *p = arg;
    p->err = torc_part_file(rq, p->part, p->file, &p->size);
    return 0;
}

/* The one part of a form into a file, while another call tries as well. */
static void upload_part(torc_req *rq, void *arg)
{
    struct part_file p = {0}, other;
    (void)arg;
    int err = torc_multipart_next(rq, &p.part);
    if (err != 1 || torc_file_temp(rq, dir, &p.file) < 0) return;
    other = p;
    if (torc_file_temp(rq, dir, &other.file) < 0) return;
    torc_group *g = torc_group_open(rq);
    if (!g || torc_spawn(g, write_part, &p) < 0 || torc_spawn(g, write_part, &other) < 0) return;
    torc_group_join(g);
    if (p.err < 0) return;
    err = torc_file_link(rq, p.file, in_dir(rq, torc_param(rq, "name")), false);
    torc_replyf(rq, 201, "%d %" PRId64 ", %d %" PRId64, err, p.size, other.err, other.size);
}

/* Creates a file and writes the body at an offset. */
static void create(torc_req *rq, void *arg)
{
    torc_slice body;
    torc_file *file;
    (void)arg;
    int flags = (number(rq, "excl") ? O_EXCL : 0) | (number(rq, "trunc") ? O_TRUNC : 0);
    int err = torc_file_create(rq, in_dir(rq, torc_param(rq, "name")), flags, 0640, &file);
    if (err < 0) {
        torc_replyf(rq, 409, "%d", err);
        return;
    }
    if (torc_body_all(rq, &body) < 0) return;
    ssize_t n = torc_file_write(rq, file, body.ptr, body.len, number(rq, "offset"));
    torc_file_close(rq, file);
    torc_replyf(rq, 200, "%zd", n);
}

/* What calls return that must fail. */
static void refused(torc_req *rq, void *arg)
{
    torc_file *readable, *file;
    int64_t size;
    (void)arg;
    char *path = in_dir(rq, TORC_S("readable"));
    int flags = torc_file_create(rq, path, O_APPEND, 0600, &file);
    if (torc_file_create(rq, path, 0, 0600, &file) < 0 || torc_file_open(rq, path, &readable) < 0)
        return;
    torc_replyf(rq, 200, "%d %zd %zd %zd %d %d %d %d", flags,
                torc_file_write(rq, readable, "x", 1, 0), torc_file_write(rq, file, "x", 1, -1),
                torc_file_write(rq, file, "x", 0, 0), torc_file_link(rq, file, path, true),
                torc_body_file(rq, readable, &size), torc_send_file(rq, file, 0, 0),
                torc_file_create(rq, "/dev/null", 0, 0600, &file));
}

/* A part of a file between two letters. */
static void part(torc_req *rq, void *arg)
{
    torc_file *file;
    (void)arg;
    int64_t offset = number(rq, "offset"), size = number(rq, "size");
    int err = torc_file_open(rq, in_dir(rq, torc_param(rq, "name")), &file);
    if (err < 0) {
        torc_replyf(rq, 404, "%d", err);
        return;
    }
    if (torc_start(rq, 200, "text/plain", number(rq, "chunked") ? -1 : size + 2) < 0) return;
    torc_write(rq, "<", 1);
    err = torc_send_file(rq, file, offset, size);
    if (err < 0) say("sent", err);
    torc_write(rq, ">", 1);
}

struct race {
    torc_file *file;
    int sent;
};

static int send_all(torc_req *rq, void *arg)
{
    struct race *r = arg;
    r->sent = torc_send_file(rq, r->file, 0, torc_file_size(r->file));
    return 0;
}

/* While one fiber sends a file, another's output must not get into it. */
static void race(torc_req *rq, void *arg)
{
    struct race r = {0};
    (void)arg;
    if (torc_file_open(rq, in_dir(rq, torc_param(rq, "name")), &r.file) < 0) return;
    torc_group *g = torc_group_open(rq);
    if (!g || torc_start(rq, 200, "text/plain", -1) < 0) return;
    int err = torc_spawn(g, send_all, &r);
    say("wrote meanwhile", torc_write(rq, "x", 1));
    say("ended meanwhile", torc_end(rq));
    torc_group_join(g);
    if (err == 0 && r.sent == 0) torc_end(rq);
}

static int reply_all(torc_req *rq, void *arg)
{
    (void)arg;
    return torc_reply_file(rq, dir, torc_param(rq, "name"));
}

/* The same for a file that is sent as static files are: from memory or from a mapping. */
static void race_reply(torc_req *rq, void *arg)
{
    (void)arg;
    int err;
    torc_group *g = torc_group_open(rq);
    if (!g || torc_spawn(g, reply_all, NULL) < 0) return;
    do {
        torc_sleep(rq, 1);
        err = torc_write(rq, "x", 1);
    } while (err == -EINVAL); /* not begun yet */
    say("wrote meanwhile", err);
    say("ended meanwhile", torc_end(rq));
    torc_group_join(g);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *method, *path;
        torc_handler *fn;
    } routes[] = {
        {"PUT", "/upload/:name", upload},
        {"PUT", "/create/:name", create},
        {"PUT", "/part/:name", upload_part},
        {"PUT", "/refused", refused},
        {"GET", "/part/:name", part},
        {"GET", "/race/:name", race},
        {"GET", "/race-reply/:name", race_reply},
    };
    torc_server *s = torc_server_new("files 1.0");
    if (!s || torc_server_option(s, "dir", "DIR", "where files are kept", &dir) < 0) return 1;
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        if (torc_route(s, routes[i].method, routes[i].path, routes[i].fn, NULL) < 0) return 1;
    int status = torc_server_main(s, argc, argv);
    torc_server_free(s);
    return status;
}
