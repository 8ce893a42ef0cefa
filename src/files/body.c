#include "files/body.h"

#include "http/response.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    IN_MEMORY_MAX = 64 * 1024, /* bytes of a file kept in memory; larger ones are mapped */
    COPY_MAX = 7 * 1024,       /* bytes: up to here one copy is cheaper than a gathered send */
    PIECE = 1024 * 1024,       /* bytes per send; more would block the core for too long */
    MAPS_MAX = 128,            /* per core; vm.max_map_count is 65,530 per process by default */
};

#define IN_MEMORY_TOTAL (16ull << 20) /* bytes per core */

/* Larger files are not mapped: page tables take 2 MiB per GiB. */
#define MAP_MAX (1ull << 30)

/* ---- keeping bytes ---- */

static void read_into_memory(torc_req *rq, struct static_version *v)
{
    if (v->size == 0 || static_usage.kept + v->size > IN_MEMORY_TOTAL) return;
    char *bytes = malloc(v->size);
    if (!bytes) return;
    static_usage.kept += v->size; /* reserved before other fibers of this core run */
    uint64_t n = 0;
    for (int got = 1; n < v->size && got > 0; n += got > 0 ? (uint64_t)got : 0) {
        struct io_call call = {.read = {v->fd, (uint32_t)(v->size - n), bytes + n, n}};
        got = scope_call(request_scope(rq), &call, IO_READ);
    }
    if (n == v->size) {
        v->bytes = bytes;
        return;
    }
    static_usage.kept -= v->size;
    free(bytes);
}

static void map_file(struct static_version *v)
{
    if (v->size > MAP_MAX || static_usage.maps == MAPS_MAX) return;
    void *p = mmap(NULL, v->size, PROT_READ, MAP_SHARED, v->fd, 0);
    if (p == MAP_FAILED) return;
    v->bytes = p;
    v->is_mapped = true;
    static_usage.maps++;
}

/* Keeps the bytes from the second request on: a single response does not pay for it. */
static void keep_bytes(torc_req *rq, struct static_version *v)
{
    if (v->requests == 2 || ++v->requests < 2) return;
    if (v->size <= IN_MEMORY_MAX)
        read_into_memory(rq, v);
    else
        map_file(v);
}

/* ---- sending ---- */

static uint64_t page_start(uint64_t at)
{
    static _Thread_local uint64_t size;
    if (!size) size = (uint64_t)sysconf(_SC_PAGESIZE);
    return at & ~(size - 1);
}

/* Whether the kernel can send these bytes from the mapping at once. IO_POPULATE faults their pages
 * in first, so that no send blocks the core on a disk read. */
static bool populate_pages(torc_req *rq, struct static_version *v, uint64_t from, uint64_t n)
{
    if (!v->is_mapped) return false;
    if (from + n <= v->populated) return true;
    uint64_t start = page_start(from);
    struct io_call call = {.populate = {v->bytes + start, (uint32_t)(from + n - start)}};
    int err = scope_call(request_scope(rq), &call, IO_POPULATE);
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
    keep_bytes(rq, v);
    populate_pages(rq, v, from, piece(v->size - from));
}

/* If the file is truncated meanwhile, a send fails at pages beyond the new end, but the rest of the
 * last page reads as zeros. Therefore the last page of a body is read from the file after all
 * earlier bytes have been sent: if any of it is missing then, this is detected before the body is
 * complete. */
static int send_mapped(torc_req *rq, struct static_version *v, uint64_t from, uint64_t n)
{
    uint64_t last = page_start(from + n - 1);
    while (from < last) {
        uint64_t part = piece(last - from);
        if (!populate_pages(rq, v, from, part)) break;
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
