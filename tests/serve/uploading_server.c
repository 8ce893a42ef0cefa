/* A server for test_uploading.c: handlers that read long bodies in various ways. Byte `at` of each
 * body is known, see pattern.h. What ends a read is told on stderr. */

#include "pattern.h"

#include <torc.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 64, GUARD_BYTE = 0x55, DEADLINE_MS = 40 };

struct reading {
    torc_req *rq;
    char *buf;
    size_t size;
    int64_t got, wrong; /* bytes */
    ssize_t end;        /* of the last read */
};

static int64_t parameter(torc_req *rq, const char *name, int64_t other)
{
    torc_slice value = torc_query_param(rq, name);
    char text[24] = "";
    if (value.len == 0 || value.len >= sizeof text) return other;
    memcpy(text, value.ptr, value.len);
    return atoll(text);
}

static bool begin(struct reading *r, torc_req *rq)
{
    *r = (struct reading){.rq = rq, .size = (size_t)parameter(rq, "buf", 64 * 1024)};
    r->buf = torc_alloc(rq, r->size + GUARD);
    if (r->buf) memset(r->buf, GUARD_BYTE, r->size + GUARD);
    return r->buf;
}

static bool read_some(struct reading *r, size_t size)
{
    ssize_t n = r->end = torc_body_read(r->rq, r->buf, size);
    for (ssize_t i = 0; i < n; i++)
        r->wrong += (uint8_t)r->buf[i] != pattern((uint64_t)(r->got + i));
    for (size_t i = 0; i < GUARD; i++) r->wrong += r->buf[r->size + i] != GUARD_BYTE;
    if (n > 0) r->got += n;
    return n > 0;
}

static void finish(struct reading *r)
{
    if (r->end < 0)
        fprintf(stderr, "read %lld, then %zd\n", (long long)r->got, r->end);
    else
        torc_replyf(r->rq, 200, "%lld %lld", (long long)r->got, (long long)r->wrong);
}

static void check(torc_req *rq, void *arg)
{
    struct reading r;
    (void)arg;
    if (!begin(&r, rq)) return;
    while (read_some(&r, r.size)) continue;
    finish(&r);
}

/* Large and small reads in turn. */
static void mixed(torc_req *rq, void *arg)
{
    struct reading r;
    (void)arg;
    if (!begin(&r, rq)) return;
    for (int i = 0; read_some(&r, i % 3 == 2 ? 100 : r.size); i++) continue;
    finish(&r);
}

static int read_on(torc_req *rq, void *arg)
{
    struct reading *r = arg;
    (void)rq;
    while (read_some(r, r->size)) continue;
    return 0;
}

/* Deadlines end reads, and others go on. */
static void deadlines(torc_req *rq, void *arg)
{
    struct reading r;
    int ended = 0;
    (void)arg;
    if (!begin(&r, rq)) return;
    do {
        torc_group *g = torc_group_open(rq);
        if (!g || torc_group_deadline(g, DEADLINE_MS) < 0 || torc_spawn(g, read_on, &r) < 0) return;
        torc_group_join(g);
        ended += r.end < 0;
        fprintf(stderr, "ended %d\n", ended);
    } while (r.end == -ETIME);
    finish(&r);
}

/* Begins to read, then waits for something else. */
static void waits(torc_req *rq, void *arg)
{
    struct reading r;
    (void)arg;
    if (!begin(&r, rq)) return;
    if (parameter(rq, "gone", 0)) torc_cancel_when_gone(rq);
    while (r.got < 100000 && read_some(&r, r.size)) continue;
    fprintf(stderr, "waits\n");
    int err = torc_sleep(rq, 100000);
    fprintf(stderr, "waited, %d\n", err);
}

static void leaves(torc_req *rq, void *arg)
{
    struct reading r;
    (void)arg;
    if (begin(&r, rq) && read_some(&r, r.size) && read_some(&r, r.size))
        torc_replyf(rq, 200, "enough");
}

static void to_file(torc_req *rq, void *arg)
{
    struct reading r;
    torc_file *file;
    int64_t size, at = 0;
    ssize_t n;
    (void)arg;
    if (!begin(&r, rq) || torc_file_temp(rq, "/tmp", &file) < 0) return;
    int err = torc_body_file(rq, file, &size);
    fprintf(stderr, "file %d\n", err);
    if (err < 0) return;
    while ((n = torc_file_read(rq, file, r.buf, r.size, at)) > 0) {
        for (ssize_t i = 0; i < n; i++) r.wrong += (uint8_t)r.buf[i] != pattern((uint64_t)(at + i));
        at += n;
    }
    torc_replyf(rq, 200, "%lld %lld", (long long)at, (long long)(r.wrong + (at != size)));
}

static void next(torc_req *rq, void *arg)
{
    (void)arg;
    torc_replyf(rq, 200, "next");
}

int main(int argc, char **argv)
{
    torc_server *s = torc_server_new("uploading 1.0");
    const struct {
        const char *method, *pattern;
        torc_handler *fn;
    } routes[] = {
        {"POST", "/check", check}, {"POST", "/mixed", mixed},   {"POST", "/deadlines", deadlines},
        {"POST", "/waits", waits}, {"POST", "/leaves", leaves}, {"POST", "/file", to_file},
        {"GET", "/next", next},
    };
    int err = s ? 0 : -1;
    for (size_t i = 0; i < sizeof routes / sizeof *routes && err == 0; i++)
        err = torc_route(s, routes[i].method, routes[i].pattern, routes[i].fn, NULL);
    if (err < 0) {
        fprintf(stderr, "uploading_server: %s\n", s ? torc_server_error(s) : "out of memory");
        return 1;
    }
    int status = torc_server_main(s, argc, argv);
    torc_server_free(s);
    return status;
}
