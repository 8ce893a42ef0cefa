#include "base/recorder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int recorder_init(struct recorder *r, size_t n)
{
    size_t size = RECORDS_MIN;
    while (size < n) size *= 2;
    *r = (struct recorder){.records = calloc(size, sizeof *r->records), .mask = size - 1};
    if (!r->records) return -ENOMEM;
    r->next = r->records;
    r->end = r->records + size;
    return 0;
}

void recorder_free(struct recorder *r)
{
    free(r->records);
    r->records = NULL;
}

/* The words of an open record are set before RECORD_AT. */
static void copy_one(const struct record *from, struct record *to)
{
    for (unsigned i = 0; i < RECORD_WORDS; i++) to->word[i] = record_get(from, i);
}

size_t recorder_copy(const struct recorder *r, struct record *out, uint64_t *first)
{
    uint64_t end = __atomic_load_n(&r->written, __ATOMIC_ACQUIRE);
    uint64_t begin = end > r->mask ? end - r->mask : 0;
    for (uint64_t i = begin; i <= end; i++) copy_one(&r->records[i & r->mask], &out[i - begin]);
    /* Those that were overwritten meanwhile, and the one that is being overwritten. */
    uint64_t now = __atomic_load_n(&r->written, __ATOMIC_ACQUIRE);
    uint64_t lost = now > r->mask && now - r->mask > begin ? now - r->mask - begin : 0;
    if (now == end && record_is_open(&out[end - begin])) end++;
    *first = begin + lost;
    if (lost >= end - begin) return 0;
    memmove(out, out + lost, (size_t)(end - begin - lost) * sizeof *out);
    return (size_t)(end - begin - lost);
}
