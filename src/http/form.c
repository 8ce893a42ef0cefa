/* Bodies of the type application/x-www-form-urlencoded: read as a whole at first use, and decoded
 * in place. */

#include "http/form.h"

#include <errno.h>

enum { PAIRS_MAX = 1000 };

struct pair {
    slice name, value; /* absent if malformed */
};

enum { UNREAD = 1 };

struct form {
    struct request_resource held;
    int err; /* negative, 0 or UNREAD */
    uint32_t n, cap;
    struct pair *pair;
};

void *request_find_held(const struct torc_req *rq, void (*release)(struct request_resource *r))
{
    for (struct list *l = rq->resources.next; l != &rq->resources; l = l->next) {
        struct request_resource *r = container_of(l, struct request_resource, link);
        if (r->release == release) return r;
    }
    return NULL;
}

bool request_has_type(const struct torc_req *rq, slice type, slice *parameters)
{
    slice name, rest = head_find(&rq->head, SLICE("content-type"));
    if (!slice_cut(&rest, ';', &name)) return false;
    *parameters = rest;
    return slice_ieq(slice_trim(name), type);
}

static void release(struct request_resource *r)
{
    list_unlink(&r->link); /* its memory is the request's */
}

/* Nothing of the body was read: a handler may do so otherwise, or need none of it. */
static int refuse_type(struct torc_req *rq)
{
    rq->failed = 415;
    return -EINVAL;
}

/* In its own memory. */
static slice decode(slice raw)
{
    if (raw.len == 0) return SLICE("");
    char *text = (char *)(uintptr_t)raw.ptr;
    int n = percent_decode(raw, text, true);
    return n < 0 ? (slice){NULL, 0} : slice_of(text, (size_t)n);
}

static int add(struct torc_req *rq, struct form *f, slice name, slice value)
{
    if (f->n == PAIRS_MAX) return request_fail_body(rq, -EMSGSIZE, 413);
    if (f->n == f->cap) {
        uint32_t cap = f->cap ? 2 * f->cap : 8;
        struct pair *grown = arena_alloc(&rq->arena, cap * sizeof *grown);
        if (!grown) return request_fail_body(rq, -ENOMEM, 503);
        if (f->n) memcpy(grown, f->pair, f->n * sizeof *grown);
        f->pair = grown;
        f->cap = cap;
    }
    f->pair[f->n++] = (struct pair){decode(name), value.ptr ? decode(value) : SLICE("")};
    return 0;
}

static int read_pairs(struct torc_req *rq, struct form *f)
{
    slice body, name, value, none;
    if (!request_has_type(rq, SLICE("application/x-www-form-urlencoded"), &none))
        return rq->head.has_body ? refuse_type(rq) : 0;
    int err = torc_body_all(rq, &body);
    while (err == 0 && query_next(&body, &name, &value)) err = add(rq, f, name, value);
    if (err < 0) f->n = 0;
    return err;
}

static struct form *form_of(torc_req *rq, int *err)
{
    struct form *f = request_find_held(rq, release);
    bool unread = !f || f->err == UNREAD;
    *err = unread ? scope_refuses(request_scope(rq)) : f->err;
    if (!unread || *err < 0) return f;
    if (!f) {
        f = arena_alloc(&rq->arena, sizeof *f);
        if (!f) {
            *err = request_fail_body(rq, -ENOMEM, 503);
            return NULL;
        }
        *f = (struct form){.err = UNREAD};
        request_hold(rq, &f->held, release);
    }
    *err = read_pairs(rq, f);
    f->err = *err < 0 && request_reads_on(rq, *err) ? UNREAD : *err;
    return f;
}

int torc_form_read(torc_req *rq)
{
    int err;
    form_of(rq, &err);
    return err;
}

bool torc_form_next(torc_req *rq, size_t *at, torc_slice *name, torc_slice *value)
{
    int err;
    const struct form *f = form_of(rq, &err);
    if (err < 0 || !f || *at >= f->n) return false;
    *name = f->pair[*at].name;
    *value = f->pair[*at].value;
    ++*at;
    return true;
}

torc_slice torc_form(torc_req *rq, const char *name)
{
    slice want = slice_str(name), n, v;
    for (size_t at = 0; torc_form_next(rq, &at, &n, &v);)
        if (n.ptr && slice_eq(n, want)) return v;
    return (slice){NULL, 0};
}
