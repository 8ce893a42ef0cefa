#include "files/body.h"

#include "http/pages.h"
#include "http/response.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

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
    struct pages_ahead ahead = {0};
    uint64_t n = 0;
    for (int got = 1; n < v->size && got > 0; n += got > 0 ? (uint64_t)got : 0)
        got = pages_read(rq, &ahead, v->fd, bytes + n, (uint32_t)(v->size - n), n, v->size - n);
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
    uint64_t *until = calloc((v->size + PAGES_PIECE - 1) / PAGES_PIECE, sizeof *until);
    void *p = until ? mmap(NULL, v->size, PROT_READ, MAP_SHARED, v->fd, 0) : MAP_FAILED;
    if (p == MAP_FAILED) {
        free(until);
        return;
    }
    v->bytes = p;
    v->present_until = until;
    v->is_mapped = true;
    static_usage.maps++;
}

/* Whether to hand its pages to the socket (--sendfile-from). */
static bool goes_by_reference(const torc_req *rq, const struct static_version *v)
{
    uint64_t from = rq->ctx->limits->sendfile_from;
    return from && v->size >= from && !v->only_copied;
}

/* Keeps the bytes from the second request on: a single response does not pay for it. A mapping does
 * where nothing is read from it but by the kernel. */
static void keep_bytes(torc_req *rq, struct static_version *v)
{
    bool by_reference = goes_by_reference(rq, v);
    if (v->requests == 2 || (++v->requests < 2 && !by_reference)) return;
    v->requests = 2;
    if (v->size <= IN_MEMORY_MAX && !by_reference)
        read_into_memory(rq, v);
    else
        map_file(v);
}

/* ---- sending ---- */

/* For so long, pages that were read count as in memory: the kernel may take them back. The cache
 * opens a file again sooner (--file-cache-ttl), but a client may still receive the old one. */
#define PRESENT_NS NS_PER_S

/* How many of those bytes are in memory, and part of the mapping: then no send makes the core wait
 * for the disk. */
static uint64_t count_present(const struct static_version *v, uint64_t from, uint64_t n,
                              uint64_t now)
{
    uint64_t i = from / PAGES_PIECE;
    while (i * PAGES_PIECE < from + n && v->present_until[i] > now) i++;
    uint64_t to = i * PAGES_PIECE;
    return to <= from ? 0 : to - from < n ? to - from : n;
}

/* The bytes up to `to` are, from the start of a page on. */
static void note_present(struct static_version *v, uint64_t from, uint64_t to, uint64_t now)
{
    uint64_t end = to == v->size ? to + PAGES_PIECE - 1 : to;
    for (uint64_t i = (from + PAGES_PIECE - 1) / PAGES_PIECE; i < end / PAGES_PIECE; i++)
        v->present_until[i] = now + PRESENT_NS;
}

/* How much is read from the disk at once. */
static uint64_t next_step(uint64_t before)
{
    enum { QUICK_NS = 2 * NS_PER_MS };
    return clock_ns() - before < QUICK_NS ? PAGES_QUICK : PAGES_PIECE;
}

/* Makes `n` bytes present, or the first *step of them, which it adapts to the disk, unless some of
 * the first are. Their count; 0 where the kernel cannot send them from the mapping. */
static uint64_t make_present(torc_req *rq, struct static_version *v, uint64_t from, uint64_t n,
                             uint64_t *step)
{
    if (!v->is_mapped) return 0;
    uint64_t now = rq->ctx->io->now;
    uint64_t present = count_present(v, from, n, now);
    if (present) return present;
    if (n > *step) n = *step;
    uint64_t start = pages_start(from), begun = clock_ns();
    struct pages_part part = {v->bytes + start, from + n - start, v->fd, start};
    int err = goes_by_reference(rq, v) ? pages_bring(rq, &part) : pages_populate(rq, &part);
    if (err < 0 && err != -EINVAL) return 0; /* that is before Linux 5.14 */
    note_present(v, start, from + n, now);
    *step = next_step(begun);
    return n;
}

/* Pieces end where those of other clients do, so that what one has noted serves all. */
static uint64_t piece(uint64_t from, uint64_t n)
{
    uint64_t room = PIECE - from % PIECE;
    return n < room ? n : room;
}

struct static_prepared static_body_prepare(torc_req *rq, struct static_version *v, uint64_t from,
                                           uint64_t n)
{
    struct static_prepared p = {.step = PAGES_PIECE};
    if (rq->head.method == HTTP_HEAD || n == 0) return p;
    keep_bytes(rq, v);
    p.bytes = make_present(rq, v, from, piece(from, n), &p.step);
    return p;
}

/* If the file is truncated meanwhile, a send from the mapping fails at pages beyond the new end,
 * but the rest of the last page reads as zeros. Therefore the last page of a body is read from the
 * file after all earlier bytes have been sent: if any of it is missing then, this is detected
 * before the body is complete. By reference it may be read before, as the send ends where the file
 * does. */
static int send_part(torc_req *rq, struct static_version *v, uint64_t from, uint64_t part,
                     uint64_t copied)
{
    struct file_place place = {v->fd, (uint32_t)copied, from};
    bool by_reference = goes_by_reference(rq, v);
    int left = response_write_ref(rq, slice_of(v->bytes + from, part + copied),
                                  by_reference ? &place : NULL);
    v->only_copied |= left > 0;
    if (left != -EFAULT) return left;
    pages_tell(rq->ctx, pages_why(v->fd, from + part + copied));
    return -EIO;
}

static int send_mapped(torc_req *rq, struct static_version *v, uint64_t from, uint64_t n,
                       struct static_prepared p)
{
    uint64_t end = from + n, last = pages_start(end - 1);
    while (from < last) {
        uint64_t part = p.bytes;
        if (!part) part = make_present(rq, v, from, piece(from, end - from), &p.step);
        if (part == 0) break;
        p.bytes = 0;
        if (part > last - from) part = last - from;
        uint64_t copied = goes_by_reference(rq, v) && from + part == last ? end - last : 0;
        int left = send_part(rq, v, from, part, copied);
        if (left < 0) return left;
        from += part + copied - (uint64_t)left;
    }
    return response_write_file(rq, v->fd, from, end - from);
}

int static_body_send(torc_req *rq, struct static_version *v, uint64_t from, uint64_t n,
                     const struct static_prepared *prepared)
{
    static const struct static_prepared unknown = {.step = PAGES_PIECE};
    if (!v->bytes || rq->head.method == HTTP_HEAD || n == 0)
        return response_write_file(rq, v->fd, from, n);
    if (v->is_mapped) return send_mapped(rq, v, from, n, prepared ? *prepared : unknown);
    return n <= COPY_MAX ? response_write(rq, v->bytes + from, n)
                         : response_write_ref(rq, slice_of(v->bytes + from, n), NULL);
}
