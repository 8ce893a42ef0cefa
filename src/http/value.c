/* What a program keeps with a request. */

#include "http/request.h"

#include <errno.h>

struct value {
    struct value *next;
    const void *key;
    void *value;
};

static struct value *find(const struct torc_req *rq, const void *key)
{
    struct value *v = rq->values;
    while (v && v->key != key) v = v->next;
    return v;
}

int torc_set(torc_req *rq, const void *key, void *value)
{
    struct value *v = find(rq, key);
    if (!v) {
        v = torc_alloc(rq, sizeof *v);
        if (!v) return -ENOMEM;
        *v = (struct value){.next = rq->values, .key = key};
        rq->values = v;
    }
    v->value = value;
    return 0;
}

void *torc_get(const torc_req *rq, const void *key)
{
    const struct value *v = find(rq, key);
    return v ? v->value : NULL;
}
