#include "client/redis.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- making ---- */

/* Before an outermost one, which a request may hold. */
struct root {
    _Alignas(max_align_t) struct torc_host_cleanup cleanup;
};

static struct root *root_of(torc_redis_reply *r)
{
    return (struct root *)(void *)((char *)r - sizeof(struct root));
}

static torc_redis_reply *allocate(bool is_root, size_t text)
{
    size_t size = sizeof(torc_redis_reply) + text + 1;
    if (!is_root) return calloc(1, size);
    struct root *root = calloc(1, sizeof *root + size);
    return root ? (torc_redis_reply *)(void *)(root + 1) : NULL;
}

static torc_redis_reply *create(bool is_root, enum torc_redis_type type, size_t text)
{
    torc_redis_reply *r = allocate(is_root, text);
    if (!r) return NULL;
    r->is_root = is_root;
    r->type = type;
    return r;
}

torc_redis_reply *redis_reply_nil(bool is_root)
{
    return create(is_root, TORC_REDIS_NIL, 0);
}

torc_redis_reply *redis_reply_integer(bool is_root, int64_t value)
{
    torc_redis_reply *r = create(is_root, TORC_REDIS_INTEGER, 0);
    if (r) r->integer = value;
    return r;
}

torc_redis_reply *redis_reply_text(bool is_root, enum torc_redis_type type, torc_slice text)
{
    torc_redis_reply *r = create(is_root, type, text.len);
    if (!r) return NULL;
    memcpy(r->text, text.ptr, text.len);
    r->n = text.len;
    return r;
}

torc_redis_reply *redis_reply_array(bool is_root, size_t n)
{
    torc_redis_reply **element = n > 0 ? calloc(n, sizeof(torc_redis_reply *)) : NULL;
    torc_redis_reply *r = n > 0 && !element ? NULL : create(is_root, TORC_REDIS_ARRAY, 0);
    if (!r) {
        free(element);
        return NULL;
    }
    r->element = element;
    r->n = n;
    return r;
}

/* ---- freeing ---- */

/* An array is filled in order: behind the first element that has not come there is none, and the
 * rest of what a server only announced is not looked at. What is left to free is a list, as the
 * stack of a fiber may be small. */
void redis_reply_free(torc_redis_reply *r)
{
    if (r) r->next = NULL;
    while (r) {
        torc_redis_reply *left = r->next;
        for (size_t i = 0; r->type == TORC_REDIS_ARRAY && i < r->n && r->element[i]; i++) {
            r->element[i]->next = left;
            left = r->element[i];
        }
        if (r->type == TORC_REDIS_ARRAY) free(r->element);
        free(r->is_root ? (void *)root_of(r) : r);
        r = left;
    }
}

/* ---- giving ---- */

static void on_request_end(struct torc_host_cleanup *c)
{
    struct root *root = container_of(c, struct root, cleanup);
    redis_reply_free((torc_redis_reply *)(void *)(root + 1));
}

int redis_reply_give(torc_req *rq, torc_redis_reply *r, int err, torc_redis_reply **out)
{
    if (!r) return err;
    if (r->type == TORC_REDIS_ERROR) err = -EREMOTEIO;
    if (!out) {
        redis_reply_free(r);
        return err;
    }
    root_of(r)->cleanup.fn = on_request_end;
    torc_host_hold(rq, &root_of(r)->cleanup);
    *out = r;
    return err;
}

void torc_redis_reply_free(torc_redis_reply *r)
{
    if (!r) return;
    torc_host_let_go(&root_of(r)->cleanup);
    redis_reply_free(r);
}

/* ---- looking ---- */

enum torc_redis_type torc_redis_type(const torc_redis_reply *r)
{
    return r ? r->type : TORC_REDIS_NIL;
}

torc_slice torc_redis_text(const torc_redis_reply *r)
{
    enum torc_redis_type type = torc_redis_type(r);
    if (type != TORC_REDIS_STATUS && type != TORC_REDIS_ERROR && type != TORC_REDIS_STRING)
        return (torc_slice){NULL, 0};
    return (torc_slice){r->text, r->n};
}

int64_t torc_redis_integer(const torc_redis_reply *r)
{
    return torc_redis_type(r) == TORC_REDIS_INTEGER ? r->integer : 0;
}

size_t torc_redis_elements(const torc_redis_reply *r)
{
    return torc_redis_type(r) == TORC_REDIS_ARRAY ? r->n : 0;
}

const torc_redis_reply *torc_redis_element(const torc_redis_reply *r, size_t i)
{
    return i < torc_redis_elements(r) ? r->element[i] : NULL;
}
