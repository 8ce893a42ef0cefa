#include "files/static.h"

#include "files/body.h"
#include "files/find.h"
#include "files/select.h"
#include "http/response.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

struct static_root {
    char *dir;
    uint32_t n_cores;
    struct static_core core[];
};

/* ---- life ---- */

static int init_cores(struct static_root *root, const struct file_cache_limits *limits,
                      uint32_t cores)
{
    for (; root->n_cores < cores; root->n_cores++) {
        int err = static_core_init(&root->core[root->n_cores], limits);
        if (err < 0) return err;
    }
    return 0;
}

/* Cores open the root again and again; this is to fail early. */
static bool can_open(const char *dir)
{
    int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) close(fd);
    return fd >= 0;
}

struct static_root *static_open(const char *dir, const struct file_cache_limits *limits,
                                uint32_t cores)
{
    if (!can_open(dir)) return NULL;
    struct static_root *root = aligned_alloc(64, sizeof *root + cores * sizeof(struct static_core));
    if (!root) return NULL;
    *root = (struct static_root){.dir = strdup(dir)};
    int err = root->dir ? init_cores(root, limits, cores) : -ENOMEM;
    if (err < 0) {
        static_close(root);
        errno = -err;
        return NULL;
    }
    return root;
}

void static_close(struct static_root *root)
{
    for (uint32_t i = 0; i < root->n_cores; i++) static_core_free(&root->core[i]);
    free(root->dir);
    free(root);
}

/* ---- responses ---- */

/* Uses `lines` as the response's fields without a copy: torc_start copies them to the output. */
static int start(torc_req *rq, int status, slice lines, const char *type, slice content_range,
                 uint64_t length)
{
    struct response *r = &rq->response;
    r->fields = (char *)(uintptr_t)lines.ptr;
    r->fields_len = r->fields_cap = (uint32_t)lines.len;
    int err = 0;
    if (content_range.len) err = response_field(rq, SLICE("Content-Range"), content_range);
    if (err == 0) err = torc_start(rq, status, type, (int64_t)length);
    r->fields = NULL;
    r->fields_len = r->fields_cap = 0;
    return err;
}

static void send_whole(torc_req *rq, struct static_version *v)
{
    static_body_prepare(rq, v, 0);
    if (start(rq, 200, slice_of(v->fields, v->fields_len), NULL, SLICE(""), v->size) == 0)
        static_body_send(rq, v, 0, v->size);
}

static void send_range(torc_req *rq, struct static_version *v, const struct http_range *range)
{
    char text[80];
    uint64_t length = range->to - range->from + 1;
    static_body_prepare(rq, v, range->from);
    int n = snprintf(text, sizeof text, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, range->from,
                     range->to, v->size);
    if (start(rq, 206, slice_of(v->fields, v->fields_len), NULL, slice_of(text, (size_t)n),
              length) == 0)
        static_body_send(rq, v, range->from, length);
}

/* ---- several ranges: multipart/byteranges (RFC 9110, 14.6) ---- */

enum { BOUNDARY_LEN = 32, PART_HEAD_MAX = STATIC_FIELDS_MAX + 160 };

/* Each part repeats the fields that describe its bytes: the parts are ranges of the coded
 * representation, while the multipart body itself is not coded. */
static size_t part_head(char *out, const char *boundary, const struct static_version *v,
                        const struct http_range *range)
{
    int n =
        snprintf(out, PART_HEAD_MAX,
                 "\r\n--%s\r\n%.*sContent-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n\r\n",
                 boundary, v->fields_len - v->ranges_len, v->fields + v->ranges_len, range->from,
                 range->to, v->size);
    ASSERT(n > 0 && n < PART_HEAD_MAX);
    return (size_t)n;
}

/* Random, so that no file can contain it on purpose. */
static bool make_boundary(char out[BOUNDARY_LEN + 1])
{
    unsigned char random[BOUNDARY_LEN / 2];
    if (getrandom(random, sizeof random, GRND_NONBLOCK) != sizeof random) return false;
    for (size_t i = 0; i < sizeof random; i++) snprintf(out + 2 * i, 3, "%02x", random[i]);
    return true;
}

static void send_ranges(torc_req *rq, struct static_version *v, const struct http_range *range,
                        int n)
{
    static const char type_before[] = "multipart/byteranges; boundary=";
    char boundary[BOUNDARY_LEN + 1], head[PART_HEAD_MAX], tail[BOUNDARY_LEN + 9];
    char *type = torc_alloc(rq, sizeof type_before + BOUNDARY_LEN);
    if (!type || !make_boundary(boundary)) {
        send_whole(rq, v); /* a server may ignore the Range field */
        return;
    }
    snprintf(type, sizeof type_before + BOUNDARY_LEN, "%s%s", type_before, boundary);
    size_t tail_len = (size_t)snprintf(tail, sizeof tail, "\r\n--%s--\r\n", boundary);
    uint64_t length = tail_len;
    for (int i = 0; i < n; i++)
        length += part_head(head, boundary, v, &range[i]) + range[i].to - range[i].from + 1;

    int err = start(rq, 206, slice_of(v->fields, v->ranges_len), type, SLICE(""), length);
    for (int i = 0; i < n && err == 0; i++) {
        err = torc_write(rq, head, part_head(head, boundary, v, &range[i]));
        if (err == 0) err = static_body_send(rq, v, range[i].from, range[i].to - range[i].from + 1);
    }
    if (err == 0) torc_write(rq, tail, tail_len);
}

/* ---- the handler ---- */

/* A Location of "//host" or "/\host" would lead to another host. */
void static_redirect(torc_req *rq, void *arg)
{
    (void)arg;
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
    response_error(rq, set ? 301 : 503);
}

static void respond_unsatisfiable(torc_req *rq, const struct static_version *v)
{
    char text[40];
    int n = snprintf(text, sizeof text, "bytes */%" PRIu64, v->size);
    response_field(rq, SLICE("Content-Range"), slice_of(text, (size_t)n));
    response_error(rq, 416);
}

static void send_file(torc_req *rq, struct static_file *f)
{
    struct selection selection;
    struct http_range range[RANGES_MAX];
    int n = 0;
    select_read(rq, &selection);
    struct static_version *v = select_version(&selection, f);
    int status = select_status(&selection, v, rq->head.method == HTTP_GET, range, &n);
    switch (status) {
    case 200: send_whole(rq, v); break;
    case 206:
        if (n == 1)
            send_range(rq, v, range);
        else
            send_ranges(rq, v, range, n);
        break;
    case 304: start(rq, 304, slice_of(v->fields, v->validators_len), NULL, SLICE(""), 0); break;
    case 416: respond_unsatisfiable(rq, v); break;
    default: response_error(rq, status);
    }
}

void static_serve(torc_req *rq, void *arg)
{
    struct static_root *root = arg;
    ASSERT(torc_core(rq) < root->n_cores);
    struct static_file *file;
    slice path = torc_param(rq, "path");
    if (!path.ptr) { /* malformed escape, or out of memory */
        response_error(rq, rq->failed ? rq->failed : 400);
        return;
    }
    int status = static_find(rq, &root->core[torc_core(rq)], root->dir, path, &file);
    if (status == 0) {
        send_file(rq, file);
        static_file_release(file);
    } else if (status == 301) {
        static_redirect(rq, NULL);
    } else if (status > 0) {
        response_error(rq, status);
    }
}
