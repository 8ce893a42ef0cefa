#include "base/recorder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int recorder_init(struct recorder *r, size_t n)
{
    size_t size = RECORDS_MIN;
    while (size < n) size *= 2;
    *r = (struct recorder){.records = calloc(size, sizeof *r->records), .mask = size - 1};
    return r->records ? 0 : -ENOMEM;
}

void recorder_free(struct recorder *r)
{
    free(r->records);
    r->records = NULL;
}

static void copy_one(const struct record *from, struct record *to)
{
    to->at = __atomic_load_n(&from->at, __ATOMIC_ACQUIRE);
    to->what = __atomic_load_n(&from->what, __ATOMIC_ACQUIRE);
    to->a = __atomic_load_n(&from->a, __ATOMIC_ACQUIRE);
    to->b = __atomic_load_n(&from->b, __ATOMIC_ACQUIRE);
}

size_t recorder_copy(const struct recorder *r, struct record *out)
{
    uint64_t end = __atomic_load_n(&r->written, __ATOMIC_ACQUIRE);
    uint64_t begin = end > r->mask ? end - r->mask : 0;
    for (uint64_t i = begin; i < end; i++) copy_one(&r->records[i & r->mask], &out[i - begin]);
    /* Those that were overwritten meanwhile, and the one that is being overwritten. */
    uint64_t now = __atomic_load_n(&r->written, __ATOMIC_ACQUIRE);
    uint64_t lost = now > r->mask && now - r->mask > begin ? now - r->mask - begin : 0;
    if (lost >= end - begin) return 0;
    memmove(out, out + lost, (size_t)(end - begin - lost) * sizeof *out);
    return (size_t)(end - begin - lost);
}
