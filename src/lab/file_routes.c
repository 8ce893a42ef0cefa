/* Routes that read files. */

#include "lab.h"
#include "params.h"

#include <inttypes.h>

enum {
    FILE_READ = 4096, /* bytes of one read; on the stack, which may be as small as 16 KiB */
    FILE_READS_MAX = 100,
};

/* One read of /file, of a group or of a sequence. */
struct file_read {
    torc_file *file;
    int64_t offset;
    ssize_t got;
};

static int read_one(torc_req *rq, void *arg)
{
    struct file_read *r = arg;
    char buf[FILE_READ];
    r->got = torc_file_read(rq, r->file, buf, sizeof buf, r->offset);
    return r->got < 0 ? (int)r->got : 0;
}

/* Reads this program's own file, which is there wherever the program runs. */
static void file(torc_req *rq, void *arg)
{
    (void)arg;
    int64_t n, total = 0;
    bool together;
    torc_file *f;
    if (!param_number(rq, TORC_S("n"), torc_query_param(rq, "n"), 1, FILE_READS_MAX, &n) ||
        !param_mode(rq, &together))
        return;
    struct file_read *reads = torc_alloc(rq, sizeof *reads * (size_t)n);
    if (!reads || torc_file_open(rq, "/proc/self/exe", &f) < 0) return;
    int64_t blocks = torc_file_size(f) / FILE_READ;
    torc_group *g = together ? torc_group_open(rq) : NULL;
    int err = together && !g ? -1 : 0;
    for (int64_t i = 0; i < n && err == 0; i++) {
        reads[i] = (struct file_read){f, i % blocks * FILE_READ, 0};
        err = together ? torc_spawn(g, read_one, &reads[i]) : read_one(rq, &reads[i]);
    }
    if (g) {
        int joined = torc_group_join(g);
        if (err == 0) err = joined;
    }
    torc_file_close(rq, f);
    if (err < 0) return;
    for (int64_t i = 0; i < n; i++) total += reads[i].got;
    torc_replyf(rq, 200, "%" PRId64, total);
}

const struct lab_route file_routes[] = {
    {"GET", "/file", file},
    {0},
};
