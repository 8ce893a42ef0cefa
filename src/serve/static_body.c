#include "serve/static_body.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum {
    PAGE = 4096,        /* or a part of the machine's */
    PIECE = 256 * 1024, /* of one send: more would leave the caches before it is received, less is more
                         * sends */
    MAP_MIN = 1024,     /* below, nothing is gained */
    MAPS_MAX = 128,     /* of a core: the kernel allows a process 65,530 (vm.max_map_count) */
};

/* Above, page tables would take more memory than they are worth: 2 MiB for each GiB. */
#define MAP_MAX (1ull << 30)

static _Thread_local unsigned maps;

/* Making a mapping and its end cost more than a copy, so the first answer of an entry is read. */
static void map(struct static_version *v)
{
    if (v->asked == 2 || ++v->asked < 2) return;
    if (v->size < MAP_MIN || v->size > MAP_MAX || maps == MAPS_MAX) return;
    void *p = mmap(NULL, v->size, PROT_READ, MAP_SHARED, v->fd, 0);
    if (p == MAP_FAILED) return;
    v->mapped = p;
    maps++;
}

void static_body_unmap(struct static_version *v)
{
    if (!v->mapped) return;
    munmap(v->mapped, v->size);
    maps--;
}

/* What lies behind a file's end in its last page reads as zeros, so its size is looked at again, once a
 * turn; asked for directly, as the ring would hand the question to a kernel thread. */
static bool still_whole(struct static_version *v, uint64_t now)
{
    struct stat st;
    if (v->checked == now) return true;
    if (fstat(v->fd, &st) < 0 || (uint64_t)st.st_size < v->size) return false;
    v->checked = now;
    return true;
}

/* Whether the kernel can send these bytes from the mapping at once. They get their pages first, through
 * the ring, so that no send waits for the disk while the core's other connections wait for it. */
static bool can_lend(torc_req *rq, struct static_version *v, uint64_t from, uint64_t n)
{
    if (!v->mapped || !still_whole(v, rq->core->io->now)) return false;
    if (from + n <= v->populated) return true;
    uint64_t start = from / PAGE * PAGE;
    struct io_call call = {.populate = {v->mapped + start, (uint32_t)(from + n - start)}};
    int err = scope_call(&rq->scope, &call, IO_POPULATE);
    if (err == -EINVAL) /* before Linux 5.14 */
        v->populated = v->size;
    else if (err < 0)
        return false;
    else if (start <= v->populated && from + n > v->populated)
        v->populated = from + n;
    return true;
}

static uint64_t piece(uint64_t n)
{
    return n < PIECE ? n : PIECE;
}

void static_body_prepare(torc_req *rq, struct static_version *v, uint64_t from)
{
    if (rq->method == HTTP_HEAD) return;
    map(v);
    can_lend(rq, v, from, piece(v->size - from));
}

int static_body_send(torc_req *rq, struct static_version *v, uint64_t from, uint64_t n)
{
    while (n > 0) {
        uint64_t part = piece(n);
        if (rq->method == HTTP_HEAD || !can_lend(rq, v, from, part))
            return response_file(rq, v->fd, from, n);
        int err = response_lend(rq, v->mapped + from, part);
        if (err < 0) return err;
        from += part;
        n -= part;
    }
    return 0;
}
