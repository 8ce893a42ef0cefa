/* A request body that is read as a whole. */

#include "http/form.h"

#include <errno.h>

/* What torc_body_all has. It stays where a wait ends early, for the next call. */
struct begun_body {
    struct request_resource held;
    char *p;
    size_t len, cap;
};

static void release(struct request_resource *r)
{
    list_unlink(&r->link); /* its memory is the request's */
}

/* NULL without memory. */
static struct begun_body *begin(struct torc_req *rq)
{
    const uint64_t length = rq->head.content_length;
    struct begun_body *b = request_find_held(rq, release);
    if (b) return b;
    b = arena_alloc(&rq->arena, sizeof *b);
    if (!b) return NULL;
    *b = (struct begun_body){.cap = length ? (size_t)length : 4096};
    request_hold(rq, &b->held, release);
    return b;
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

/* Reads on to the end. */
static int read_all(struct torc_req *rq, struct begun_body *b)
{
    const uint64_t length = rq->head.content_length, most = rq->max_body;
    int err = b->p ? 0 : request_grow_body(rq, &b->p, 0, b->cap);
    while (err == 0) {
        if (b->len == b->cap) {
            if (length) return 0;
            /* Room for one byte beyond the limit, so that the read after the last one finds out. */
            size_t more = b->cap;
            if (b->cap <= most && most - b->cap < b->cap) more = (size_t)(most - b->cap) + 1;
            err = request_grow_body(rq, &b->p, b->cap, more);
            if (err < 0) break;
            b->cap += more;
        }
        ssize_t n = request_read_body(rq, b->p + b->len, b->cap - b->len);
        if (n <= 0) return (int)n;
        b->len += (size_t)n;
    }
    return err;
}

static int begin_and_read(struct torc_req *rq, slice *body)
{
    struct begun_body *b = begin(rq);
    int err = b ? read_all(rq, b) : request_fail_body(rq, -ENOMEM, 503);
    if (err < 0 && !request_reads_on(rq, err)) rq->body_err = err;
    if (err < 0) return err;
    release(&b->held);
    *body = slice_of(b->p, b->len);
    return 0;
}

int torc_body_all(torc_req *rq, torc_slice *body)
{
    *body = (slice){NULL, 0};
    int err = request_take_body(rq);
    if (err < 0) return err;
    if (rq->head.has_body)
        err = begin_and_read(rq, body);
    else
        *body = SLICE("");
    request_leave_body(rq);
    return err;
}
