#include "files/body.h"

#include "http/response.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    KEPT_MAX = 64 * 1024, /* bytes of a file that is kept in memory; larger ones are mapped */
    COPY_MAX = 7 * 1024,  /* of a body that leaves with its head in one piece: cheaper than two that
                             are gathered */
    PIECE =
        1024 *
        1024, /* of one send: less is more sends, and more would hold the core up for too long */
    MAPS_MAX = 128, /* of a core: the kernel allows a process 65,530 (vm.max_map_count) */
};

#define KEPT_TOTAL (16ull << 20) /* bytes, of a core */

/* Above, page tables would take more memory than they are worth: 2 MiB for each GiB. */
#define MAP_MAX (1ull << 30)

/* ---- holding ---- */

static void keep(torc_req *rq, struct static_version *v)
{
    if (v->size == 0 || static_held.kept + v->size > KEPT_TOTAL) return;
    char *bytes = malloc(v->size);
    if (!bytes) return;
    static_held.kept += v->size; /* before others of this core go on */
    uint64_t n = 0;
    for (int got = 1; n < v->size && got > 0; n += got > 0 ? (uint64_t)got : 0) {
        struct io_call call = {.read = {v->fd, bytes + n, (uint32_t)(v->size - n), n}};
        got = scope_call(&rq->scope, &call, IO_READ);
    }
    if (n == v->size) {
        v->bytes = bytes;
        return;
    }
    static_held.kept -= v->size;
    free(bytes);
}

static void map(struct static_version *v)
{
    if (v->size > MAP_MAX || static_held.maps == MAPS_MAX) return;
    void *p = mmap(NULL, v->size, PROT_READ, MAP_SHARED, v->fd, 0);
    if (p == MAP_FAILED) return;
    v->bytes = p;
    v->is_mapped = true;
    static_held.maps++;
}

/* Either costs more than one answer saves, so the first of an entry is read. */
static void hold(torc_req *rq, struct static_version *v)
{
    if (v->asked == 2 || ++v->asked < 2) return;
    if (v->size <= KEPT_MAX)
        keep(rq, v);
    else
        map(v);
}

/* ---- sending ---- */

static uint64_t page_start(uint64_t at)
{
    static _Thread_local uint64_t size;
    if (!size) size = (uint64_t)sysconf(_SC_PAGESIZE);
    return at & ~(size - 1);
}

/* Whether the kernel can send these bytes from the mapping at once. They get their pages first,
 * through the ring, so that no send waits for the disk while the core's other connections wait for
 * it. */
static bool can_lend(torc_req *rq, struct static_version *v, uint64_t from, uint64_t n)
{
    if (!v->is_mapped) return false;
    if (from + n <= v->populated) return true;
    uint64_t start = page_start(from);
    struct io_call call = {.populate = {v->bytes + start, (uint32_t)(from + n - start)}};
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
    if (rq->head.method == HTTP_HEAD) return;
    hold(rq, v);
    can_lend(rq, v, from, piece(v->size - from));
}

/* Of a file that is cut meanwhile, pages behind its new end make the send fail, but the rest of the
 * page that it ends in reads as zeros. So the last page of a body is read, once all before it has
 * left: where any of it is missing by then, that comes to light before the body is whole. */
static int send_mapped(torc_req *rq, struct static_version *v, uint64_t from, uint64_t n)
{
    uint64_t last = page_start(from + n - 1);
    while (from < last) {
        uint64_t part = piece(last - from);
        if (!can_lend(rq, v, from, part)) break;
        int err = response_write_ref(rq, v->bytes + from, part);
        if (err < 0) return err;
        from += part;
        n -= part;
    }
    return response_write_file(rq, v->fd, from, n);
}

int static_body_send(torc_req *rq, struct static_version *v, uint64_t from, uint64_t n)
{
    if (!v->bytes || rq->head.method == HTTP_HEAD || n == 0)
        return response_write_file(rq, v->fd, from, n);
    if (v->is_mapped) return send_mapped(rq, v, from, n);
    return n <= COPY_MAX ? torc_write(rq, v->bytes + from, n)
                         : response_write_ref(rq, v->bytes + from, n);
}
