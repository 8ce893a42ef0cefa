#include "client/redis.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ARRAYS_DEEP = 8 }; /* arrays in each other; an innermost element is the ninth level */

/* hiredis 1.0 has elements as size_t. */
#if HIREDIS_MAJOR >= 1
typedef size_t elements_type;
#else
typedef int elements_type;
#endif

static const enum torc_redis_type type_of[] = {
    [REDIS_REPLY_STRING] = TORC_REDIS_STRING,   [REDIS_REPLY_ARRAY] = TORC_REDIS_ARRAY,
    [REDIS_REPLY_INTEGER] = TORC_REDIS_INTEGER, [REDIS_REPLY_NIL] = TORC_REDIS_NIL,
    [REDIS_REPLY_STATUS] = TORC_REDIS_STATUS,   [REDIS_REPLY_ERROR] = TORC_REDIS_ERROR,
};

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

/* hiredis takes NULL for a lack of memory; redis_reply_error tells the two apart. */
static void *refuse(const redisReadTask *task)
{
    *(bool *)task->privdata = true;
    return NULL;
}

/* Part of its parent from now on. NULL if out of memory, or of a type of another protocol. */
static torc_redis_reply *create(const redisReadTask *task, size_t text)
{
    if (task->type < 0 || (size_t)task->type >= ARRAY_LEN(type_of)) return refuse(task);
    torc_redis_reply *r = allocate(!task->parent, text);
    if (!r) return NULL;
    r->is_root = !task->parent;
    r->type = type_of[task->type];
    if (task->parent) {
        torc_redis_reply *parent = task->parent->obj;
        parent->element[task->idx] = r;
    }
    return r;
}

static void *create_string(const redisReadTask *task, char *text, size_t len)
{
    torc_redis_reply *r = create(task, len);
    if (!r) return NULL;
    memcpy(r->text, text, len);
    r->n = len;
    return r;
}

/* hiredis before 1.0 refuses those itself; redis_reply_free recurses. */
static bool is_too_deep(const redisReadTask *task)
{
    int depth = 0;
    while ((task = task->parent)) depth++;
    return depth >= ARRAYS_DEEP;
}

static void *create_array(const redisReadTask *task, elements_type n)
{
    if (is_too_deep(task)) return refuse(task);
    torc_redis_reply **element = n > 0 ? calloc((size_t)n, sizeof(torc_redis_reply *)) : NULL;
    if (n > 0 && !element) return NULL;
    torc_redis_reply *r = create(task, 0);
    if (!r) {
        free(element);
        return NULL;
    }
    r->element = element;
    r->n = (size_t)n;
    return r;
}

static void *create_integer(const redisReadTask *task, long long value)
{
    torc_redis_reply *r = create(task, 0);
    if (r) r->integer = value;
    return r;
}

/* Of a string or an array: one of a type of its own is of another protocol. */
static void *create_nil(const redisReadTask *task)
{
    if (task->type == REDIS_REPLY_NIL) return refuse(task);
    torc_redis_reply *r = create(task, 0);
    if (r) r->type = TORC_REDIS_NIL; /* of a null array, too */
    return r;
}

static void free_object(void *object)
{
    redis_reply_free(object);
}

/* Of another protocol, which no server speaks unasked; without these hiredis would make up
 * pointers. */
#if HIREDIS_MAJOR >= 1
static void *refuse_double(const redisReadTask *task, double value, char *text, size_t len)
{
    (void)value, (void)text, (void)len;
    return refuse(task);
}

static void *refuse_bool(const redisReadTask *task, int value)
{
    (void)value;
    return refuse(task);
}
#endif

void redis_reply_functions(redisReader *reader, bool *refused)
{
    static redisReplyObjectFunctions functions = {
        .createString = create_string,
        .createArray = create_array,
        .createInteger = create_integer,
        .createNil = create_nil,
        .freeObject = free_object,
#if HIREDIS_MAJOR >= 1
        .createDouble = refuse_double,
        .createBool = refuse_bool,
#endif
    };
    reader->fn = &functions;
    reader->privdata = refused;
}

int redis_reply_error(const redisReader *reader)
{
    bool refused = *(const bool *)reader->privdata;
    return reader->err == REDIS_ERR_OOM && !refused ? -ENOMEM : -EPROTO;
}

/* An array is filled in order: behind the first element that has not come there is none, and the
 * rest of what a server only announced is not looked at. Not deeper than ARRAYS_DEEP. */
void redis_reply_free(torc_redis_reply *r)
{
    if (!r) return;
    if (r->type == TORC_REDIS_ARRAY) {
        for (size_t i = 0; i < r->n && r->element[i]; i++) redis_reply_free(r->element[i]);
        free(r->element);
    }
    free(r->is_root ? (void *)root_of(r) : r);
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
