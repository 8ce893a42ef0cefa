#include "base/cpus.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

void cpus_mask_get(struct cpus_mask *m)
{
    *m = (struct cpus_mask){0};
    m->known = sched_getaffinity(0, sizeof m->set, m->set) == 0;
}

void cpus_mask_apply(const struct cpus_mask *m)
{
    if (m->known) sched_setaffinity(0, sizeof m->set, m->set);
}

static _Thread_local const struct cpus_mask *before_pin; /* NULL: it is not pinned */

bool cpus_pin(const uint16_t *cpu, uint32_t n, struct cpus_mask *before)
{
    struct cpus_mask wanted = {.known = true};
    if (!before_pin) cpus_mask_get(before);
    before_pin = before;
    for (uint32_t i = 0; i < n; i++) CPU_SET_S(cpu[i], sizeof wanted.set, wanted.set);
    return sched_setaffinity(0, sizeof wanted.set, wanted.set) == 0;
}

void cpus_unpin(void)
{
    if (before_pin) cpus_mask_apply(before_pin);
}

void cpus_unpin_started(pthread_t thread)
{
    if (before_pin && before_pin->known)
        pthread_setaffinity_np(thread, sizeof before_pin->set, before_pin->set);
}

uint32_t cpus_usable(uint16_t cpu[CPUS_MAX])
{
    struct cpus_mask m;
    uint32_t n = 0;
    cpus_mask_get(&m);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    for (uint32_t i = 0; i < 8 * sizeof m.set && n < CPUS_MAX; i++)
        if (m.known ? CPU_ISSET_S(i, sizeof m.set, m.set) : i < (uint32_t)online)
            cpu[n++] = (uint16_t)i;
    if (n == 0) cpu[n++] = 0;
    return n;
}

static bool has_cpu(const uint16_t *cpu, uint32_t n, uint64_t want)
{
    for (uint32_t i = 0; i < n; i++)
        if (cpu[i] == want) return true;
    return false;
}

int cpus_parse(const char *text, uint16_t cpu[CPUS_MAX], char *why, size_t size)
{
    uint16_t usable[CPUS_MAX];
    uint32_t have = cpus_usable(usable), n = 0;
    uint64_t from, to;
    slice rest = slice_str(text), part, first;
    bool all = slice_eq(rest, SLICE("all"));
    if (all || slice_u64(rest, &to)) {
        if (all) to = have;
        if (to > have) {
            snprintf(why, size, "this process may use %u CPU%s", have, have == 1 ? "" : "s");
            return -1;
        }
        memcpy(cpu, usable, to * sizeof *usable);
        return (int)to;
    }
    while (slice_cut(&rest, ',', &part)) {
        bool range = slice_cut(&part, '-', &first) && part.ptr;
        if (!slice_u64(first, &from)) return 0;
        to = from;
        if (range && (!slice_u64(part, &to) || to < from)) return 0;
        for (uint64_t c = from; c <= to; c++) {
            bool usable_one = has_cpu(usable, have, c);
            if (!usable_one || has_cpu(cpu, n, c)) {
                snprintf(why, size,
                         usable_one ? "names CPU %" PRIu64 " twice"
                                    : "this process may not use CPU %" PRIu64,
                         c);
                return -1;
            }
            cpu[n++] = (uint16_t)c;
        }
    }
    return (int)n;
}
