/* A request body that is read as a whole. */

#include "http/form.h"

#include <errno.h>

/* What torc_body_all had when its wait ended early, for the next call. */
struct begun_body {
    struct request_resource held;
    char *p;
    size_t len, cap;
};

static void release(struct request_resource *r)
{
    list_unlink(&r->link); /* its memory is the request's */
}

/* Returns `err`. */
static int keep(struct torc_req *rq, const struct begun_body *b, int err)
{
    struct begun_body *kept = arena_alloc(&rq->arena, sizeof *kept);
    if (!kept) return request_fail_body(rq, -ENOMEM, 503);
    *kept = *b;
    request_hold(rq, &kept->held, release);
    return err;
}

static int begin(struct torc_req *rq, struct begun_body *b)
{
    struct begun_body *kept = request_find_held(rq, release);
    if (!kept) return request_grow_body(rq, &b->p, 0, b->cap);
    release(&kept->held);
    *b = *kept;
    return 0;
}

int request_grow_body(struct torc_req *rq, char **p, size_t size, size_t more)
{
    enum { BLOCK_HEAD = 64 };
    struct arena *a = &rq->arena;
    size_t own = rq->ctx->limits->body_memory ? size + more + BLOCK_HEAD : 0;
    size_t used = a->used;
    bool fits = own || size + more <= a->limit - used;
    a->limit += own;
    char *grown = arena_extend(a, *p, size, more);
    a->limit -= own - (own ? a->used - used : 0);
    if (grown) {
        *p = grown;
        return 0;
    }
    return fits ? request_fail_body(rq, -ENOMEM, 503) : request_fail_body(rq, -EMSGSIZE, 413);
}

int torc_body_all(torc_req *rq, torc_slice *body)
{
    const uint64_t length = rq->head.content_length, most = rq->head.has_body ? rq->max_body : 0;
    struct begun_body b = {.cap = length ? (size_t)length : 4096};
    *body = (slice){NULL, 0};
    int err = scope_refuses(request_scope(rq));
    if (err == 0 && !rq->head.has_body) {
        *body = SLICE("");
        return 0;
    }
    if (err == 0) err = begin(rq, &b);
    if (err < 0) return err;
    for (;;) {
        if (b.len == b.cap) {
            if (length) break;
            /* Room for one byte beyond the limit, so that the read after the last one finds out. */
            size_t more = b.cap;
            if (b.cap <= most && most - b.cap < b.cap) more = (size_t)(most - b.cap) + 1;
            err = request_grow_body(rq, &b.p, b.cap, more);
            if (err < 0) return err;
            b.cap += more;
        }
        ssize_t n = torc_body_read(rq, b.p + b.len, b.cap - b.len);
        if (n < 0) return request_reads_on(rq, n) ? keep(rq, &b, (int)n) : (int)n;
        if (n == 0) break;
        b.len += (size_t)n;
    }
    *body = slice_of(b.p, b.len);
    return 0;
}
