/* Routes that read files. */

#include "each.h"
#include "lab.h"
#include "params.h"

#include <errno.h>
#include <inttypes.h>

enum {
    READ_SIZE = 4096, /* on the stack, which may be as small as 16 KiB */
    READS_MAX = 100,
};

/* One of the reads of /file. */
struct file_read {
    torc_file *file;
    int64_t offset;
    ssize_t got;
};

static int read_one(torc_req *rq, void *arg)
{
    struct file_read *r = arg;
    char buf[READ_SIZE];
    r->got = torc_file_read(rq, r->file, buf, sizeof buf, r->offset);
    return r->got < 0 ? (int)r->got : 0;
}

/* Reads the program's executable, a file that always exists. */
static void file(torc_req *rq, void *arg)
{
    (void)arg;
    int64_t n, total = 0;
    bool concurrent;
    torc_file *f;
    if (!param_number(rq, TORC_S("n"), torc_query_param(rq, "n"), 1, READS_MAX, &n) ||
        !param_mode(rq, &concurrent))
        return;
    struct file_read *reads = torc_alloc(rq, sizeof *reads * (size_t)n);
    if (!reads || torc_file_open(rq, "/proc/self/exe", &f) < 0) return;
    int64_t blocks = torc_file_size(f) / READ_SIZE;
    for (int64_t i = 0; i < n; i++) reads[i] = (struct file_read){f, i % blocks * READ_SIZE, 0};
    int err = each(rq, concurrent, read_one, reads, sizeof *reads, n);
    torc_file_close(rq, f);
    if (err == -EUSERS) each_no_room(rq);
    if (err < 0) return;
    for (int64_t i = 0; i < n; i++) total += reads[i].got;
    torc_replyf(rq, 200, "%" PRId64, total);
}

const struct lab_route file_routes[] = {
    {"GET", "/file", file},
    {0},
};
