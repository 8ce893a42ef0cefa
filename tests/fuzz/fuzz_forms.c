/* A libFuzzer target: any bytes as the body of a form, in pieces of any size, read in steps of any
 * size. Beside what the sanitizers and assertions see, the same bytes must give the same parts.
 *
 * Input: 1 byte for the pieces, 1 for the steps, and the body. */

#include "../wire/lab_core.h"
#include "http/router.h"
#include "http/trial.h"

#include <stdio.h>
#include <stdlib.h>

static struct lab_core lab;
static struct router *router;
static size_t step;  /* bytes that the handler reads at once; 0: all of a part */
static uint64_t sum; /* of the parts that were whole */
static int result;

static uint64_t add(uint64_t h, slice s)
{
    h = (h ^ (s.ptr != NULL)) * 0x100000001b3;
    for (size_t i = 0; i < s.len; i++) h = (h ^ (unsigned char)s.ptr[i]) * 0x100000001b3;
    return h;
}

static int read_content(torc_req *rq, torc_part *part, uint64_t *h)
{
    char buf[256];
    torc_slice all;
    ssize_t n = step ? 1 : torc_part_all(rq, part, &all);
    if (!step && n == 0) *h = add(*h, all);
    if (!step) return (int)n;
    uint64_t content = *h;
    content = (content ^ true) * 0x100000001b3;
    while ((n = torc_part_read(rq, part, buf, step)) > 0)
        for (ssize_t i = 0; i < n; i++) content = (content ^ (unsigned char)buf[i]) * 0x100000001b3;
    *h = content;
    return (int)n;
}

static void reads_parts(torc_req *rq, void *arg)
{
    torc_part *part;
    (void)arg;
    sum = 0;
    while ((result = torc_multipart_next(rq, &part)) > 0) {
        uint64_t h = add(add(add(sum, torc_part_name(part)), torc_part_filename(part)),
                         torc_part_type(part));
        h = add(h, torc_part_header(part, "x"));
        result = read_content(rq, part, &h);
        if (result < 0) return;
        sum = h;
    }
}

static void reads_fields(torc_req *rq, void *arg)
{
    torc_slice name, value;
    (void)arg;
    sum = 0;
    for (size_t at = 0; torc_form_next(rq, &at, &name, &value);) sum = add(add(sum, name), value);
    result = torc_form_read(rq);
}

static void run(const char *path, slice body, size_t piece)
{
    char head[200];
    bool parts = path[1] == 'm';
    snprintf(head, sizeof head,
             "POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n", path,
             parts ? "multipart/form-data; boundary=x" : "application/x-www-form-urlencoded",
             body.len);
    struct trial t = {0};
    trial_begin(&t, &lab.http, slice_str(head), body, piece);
    while (!t.returned) mem_run(&lab.io, 1000);
    trial_end(&t);
    trial_text_free(&t.lines);
    trial_text_free(&t.content);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    lab_core_open(&lab);
    router = router_new();
    int err = router_add(router, HTTP_POST, SLICE("/m"), reads_parts, NULL, NULL);
    if (err == 0) err = router_add(router, HTTP_POST, SLICE("/f"), reads_fields, NULL, NULL);
    ASSERT(err == 0);
    router_freeze(router);
    lab.http.router = router;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    slice body = slice_of((const char *)data + 2, size - 2);
    for (int i = 0; i < 2; i++) {
        const char *path = i ? "/m" : "/f";
        step = 0;
        run(path, body, 0);
        uint64_t whole = sum;
        int before = result;
        step = data[1];
        run(path, body, data[0]);
        ASSERT(result == before && sum == whole);
    }
    return 0;
}
