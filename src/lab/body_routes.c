/* Routes that read a request body. */

#include "lab.h"
#include "params.h"

#include <inttypes.h>
#include <string.h>

enum {
    CHUNK = 4096,            /* bytes per read; on the stack, which may be as small as 16 KiB */
    LONG_BODY = 16 * 1024,   /* from here on the body is read in larger pieces, */
    LARGE_CHUNK = 256 * 1024 /* of this size */
};

static void upload(torc_req *rq, void *arg)
{
    (void)arg;
    char chunk[CHUNK], *buf = chunk;
    size_t size = sizeof chunk;
    int64_t total = 0;
    ssize_t n;
    while ((n = torc_body_read(rq, buf, size)) > 0) {
        total += n;
        if (total < LONG_BODY || size > CHUNK) continue;
        char *large = torc_alloc(rq, LARGE_CHUNK);
        if (!large) continue;
        buf = large;
        size = LARGE_CHUNK;
    }
    if (n == 0) torc_replyf(rq, 200, "%" PRId64, total);
}

static void echo(torc_req *rq, void *arg)
{
    (void)arg;
    char buf[CHUNK];
    torc_slice type = torc_header(rq, "content-type");
    int64_t length;
    char type_text[256] = "application/octet-stream";
    if (type.len > 0 && type.len < sizeof type_text) {
        memcpy(type_text, type.ptr, type.len);
        type_text[type.len] = '\0';
    }
    if (!param_whole(torc_header(rq, "content-length"), &length)) length = -1;
    ssize_t n = torc_body_read(rq, buf, sizeof buf);
    if (n < 0) return;
    if (torc_start(rq, 200, type_text, length) < 0) return;
    for (; n > 0; n = torc_body_read(rq, buf, sizeof buf))
        if (torc_write(rq, buf, (size_t)n) < 0) return;
}

const struct lab_route body_routes[] = {
    {"POST", "/upload", upload},
    {"POST", "/echo", echo},
    {0},
};
