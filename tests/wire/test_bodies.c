/* Who reads a body, on the engine in memory: one call at a time, from its beginning until it has
 * returned. */

#include "rig.h"

#include "../base/random.h"

#include "http/request.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#define HEAD    "--xyz\r\nContent-Disposition: form-data; name=a\r\n\r\n"
#define TAIL    "\r\n--xyz--"
#define CONTENT "0123456789abcdefghijklmnopqrstuvwxyz"

static char directory[] = "/tmp/torc-test-bodies-XXXXXX";
static struct rig rig;

/* What one fiber has read; the error is that of its last call. */
static struct {
    char bytes[1024];
    size_t n;
    int err;
} got;

static void keep(const void *bytes, size_t n)
{
    assert_true(n <= sizeof got.bytes - got.n);
    if (n) memcpy(got.bytes + got.n, bytes, n);
    got.n += n;
}

static int by_all(torc_req *rq, void *arg)
{
    torc_slice body;
    (void)arg;
    got.err = torc_body_all(rq, &body);
    keep(body.ptr, body.len);
    return 0;
}

static void keep_file(torc_req *rq, torc_file *file, int64_t size)
{
    assert_true(size <= (int64_t)(sizeof got.bytes - got.n));
    if (size == 0) return;
    assert_int_equal(torc_file_read(rq, file, got.bytes + got.n, (size_t)size, 0), size);
    got.n += (size_t)size;
}

static int by_file(torc_req *rq, void *arg)
{
    torc_file *file;
    int64_t size;
    (void)arg;
    assert_int_equal(torc_file_temp(rq, directory, &file), 0);
    got.err = torc_body_file(rq, file, &size);
    if (got.err == 0) keep_file(rq, file, size);
    return 0;
}

static int by_form(torc_req *rq, void *arg)
{
    (void)arg;
    got.err = torc_form_read(rq);
    torc_slice value = torc_form(rq, "a");
    keep(value.ptr, value.len);
    return 0;
}

static int by_part(torc_req *rq, void *arg)
{
    torc_part *part;
    torc_slice content;
    (void)arg;
    got.err = torc_multipart_next(rq, &part);
    if (got.err > 0) got.err = torc_part_all(rq, part, &content);
    if (got.err < 0) return 0;
    keep(content.ptr, content.len);
    got.err = torc_multipart_next(rq, &part);
    return 0;
}

/* ---- a call that comes when the body has come, and before its reader has resumed ---- */

static torc_task *reads, *between;
static struct wait *sleeper;
static ssize_t stolen; /* result of the other call */

static void sleep_between(torc_req *rq)
{
    struct wait w = {.what = "test"};
    sleeper = &w;
    assert_int_equal(wait_park(request_scope(rq), &w, NULL), 0);
    sleeper = NULL;
}

static int comes_between(torc_req *rq, void *arg)
{
    char buf[64];
    (void)arg;
    sleep_between(rq);
    stolen = torc_body_read(rq, buf, sizeof buf);
    return 0;
}

static int ends_group(torc_req *rq, void *arg)
{
    (void)arg;
    sleep_between(rq);
    return -ECANCELED;
}

/* Whether it is a GET, which wakes who sleeps. */
static bool wakes(torc_req *rq)
{
    if (!torc_slice_eq(torc_method(rq), TORC_S("GET"))) return false;
    wait_wake(sleeper, 0);
    torc_reply(rq, 204, NULL, TORC_S(""));
    return true;
}

/* A POST reads by two fibers, and gives a response that ends where it returns; a GET wakes the
 * second. */
static void two_fibers(torc_req *rq, void *arg)
{
    (void)arg;
    if (wakes(rq)) return;
    torc_group *g = torc_group_open(rq);
    assert_int_equal(torc_spawn(g, reads, NULL), 0);
    assert_int_equal(torc_spawn(g, between, NULL), 0);
    torc_group_join(g);
    torc_start(rq, 200, "text/plain", -1);
    torc_write(rq, "done", 4);
}

static void push_head(struct mem_client *m, const char *type, size_t length)
{
    char head[256];
    int n =
        snprintf(head, sizeof head,
                 "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
                 type, length);
    mem_push(m, head, (size_t)n);
}

/* What a client got whose connection has ended. */
static const char *take_out(struct mem_client *m)
{
    size_t n;
    const char *out = mem_out(m, &n);
    snprintf(rig.out, sizeof rig.out, "%.*s", (int)n, out);
    assert_true(mem_ended(m));
    mem_free(&rig.core.io, m);
    return rig.out;
}

/* A POST whose body comes in up to three steps; with the second one, `from` and `to`, comes a GET,
 * before it in the same turn. `limits` may be NULL. */
static void read_in_turn(torc_handler *handler, const char *type, const char *body, size_t from,
                         size_t to, const struct http_limits *limits)
{
    static const char get[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    size_t length = strlen(body);
    memset(&got, 0, sizeof got);
    rig_open(&rig, handler, NULL);
    if (limits) {
        rig.core.limits.body_timeout = limits->body_timeout;
        rig.core.limits.request_memory = limits->request_memory;
        rig.core.limits.body_memory = limits->body_memory;
    }
    struct mem_client *other = mem_connect(&rig.core.io);
    rig_run(&rig);
    struct mem_client *m = mem_connect(&rig.core.io);
    push_head(m, type, length);
    if (from) mem_push(m, body, from);
    rig_run(&rig);
    assert_non_null(sleeper);
    mem_push(other, get, sizeof get - 1);
    mem_push(m, body + from, to - from);
    rig_run(&rig);
    assert_null(sleeper);
    if (to < length) mem_push(m, body + to, length - to);
    mem_push_end(other);
    mem_push_end(m);
    rig_run(&rig);
    take_out(m);
    assert_true(mem_ended(other));
    mem_free(&rig.core.io, other);
    rig_close(&rig);
}

/* The second fiber is woken, and after it, in the same turn, the first. */
static void read_by_two(torc_task *fn, const char *type, const char *body, size_t from, size_t to)
{
    reads = fn;
    read_in_turn(two_fibers, type, body, from, to, NULL);
    must_have(rig.out, "\r\n\r\n4\r\ndone\r\n0\r\n\r\n");
}

static void no_call_comes_between(void **state)
{
    static const struct {
        torc_task *fn;
        const char *type, *body, *read;
    } cases[] = {
        {by_all, "text/plain", CONTENT, CONTENT},
        {by_file, "text/plain", CONTENT, CONTENT},
        {by_form, "application/x-www-form-urlencoded", "a=" CONTENT, CONTENT},
        {by_part, "multipart/form-data; boundary=xyz", HEAD CONTENT TAIL, CONTENT},
    };
    (void)state;
    between = comes_between;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t cut = 1; cut < strlen(cases[i].body); cut++) {
            read_by_two(cases[i].fn, cases[i].type, cases[i].body, 0, cut);
            assert_int_equal(stolen, -EBUSY);
            assert_int_equal(got.err, 0);
            assert_int_equal(got.n, strlen(cases[i].read));
            assert_memory_equal(got.bytes, cases[i].read, got.n);
        }
}

static int by_part_file(torc_req *rq, void *arg)
{
    torc_part *part;
    torc_file *file;
    int64_t size;
    (void)arg;
    assert_int_equal(torc_file_temp(rq, directory, &file), 0);
    got.err = torc_multipart_next(rq, &part);
    if (got.err > 0) got.err = torc_part_file(rq, part, file, &size);
    return 0;
}

/* A group that ends what it does with the body ends no more than that: the response of the handler
 * is whole. */
static void a_group_fails_no_body(void **state)
{
    static torc_task *const tasks[] = {by_file, by_part, by_part_file};
    static const char body[] = HEAD CONTENT TAIL;
    const size_t length = sizeof body - 1;
    (void)state;
    between = ends_group;
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++)
        for (size_t from = 0; from < length; from++) {
            read_by_two(tasks[i], "multipart/form-data; boundary=xyz", body, from, length);
            if (got.err) assert_int_equal(got.err, -ECANCELED); /* 0: no wait was left */
        }
}

/* ---- calls that come after one that failed ---- */

static int by_read(torc_req *rq, void *arg)
{
    char buf[64];
    (void)arg;
    got.err = (int)torc_body_read(rq, buf, sizeof buf);
    return 0;
}

static int first_err;

/* The rest of the body comes between the first call and the others. */
static void reads_again(torc_req *rq, void *arg)
{
    static torc_task *const tasks[] = {by_all, by_file, by_read, by_form, by_part};
    torc_slice type = torc_header(rq, "Content-Type");
    (void)arg;
    if (wakes(rq)) return;
    reads(rq, NULL);
    first_err = got.err;
    sleep_between(rq);
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++) {
        if (tasks[i] == by_form && type.ptr[0] != 'a') continue; /* application/... */
        if (tasks[i] == by_part && type.ptr[0] != 'm') continue;
        tasks[i](rq, NULL);
        assert_int_equal(got.err, first_err);
    }
    assert_int_equal(got.n, 0);
}

static void an_error_that_loses_bytes_stays(void **state)
{
    static const struct http_limits hurry = {.body_timeout = NS_PER_MS, .request_memory = 1 << 20},
                                    little = {.body_timeout = NS_PER_S, .request_memory = 600};
    static const char type[] = "multipart/form-data; boundary=xyz";
    static const char form[] = "application/x-www-form-urlencoded";
    static torc_task *const whole[] = {by_all, by_file};
    char large[2000];
    (void)state;
    for (int i = 0; i < 2; i++) {
        reads = whole[i];
        read_in_turn(reads_again, form, "a=" CONTENT, 10, sizeof "a=" CONTENT - 1, &hurry);
        must_have(rig.out, " 408 ");
        assert_int_equal(first_err, -ETIMEDOUT);
        read_in_turn(reads_again, type, HEAD CONTENT TAIL, 10, sizeof HEAD CONTENT TAIL - 1,
                     &hurry);
        assert_int_equal(first_err, -ETIMEDOUT);
    }
    reads = by_all;
    memset(large, 'x', sizeof large);
    large[sizeof large - 1] = '\0';
    read_in_turn(reads_again, form, large, 0, 100, &little);
    must_have(rig.out, " 413 ");
    assert_int_equal(first_err, -EMSGSIZE);
}

/* ---- calls that come while a part is written to a file ---- */

enum { LONG = 100 * 1000 }; /* several times what is written at once */
enum { IN_CALL = INT_MAX };

static char content[LONG];

struct to_file {
    torc_part *part;
    torc_file *file;
    int64_t size;
    int err;
};

static int writes(torc_req *rq, void *arg)
{
    struct to_file *w = arg;
    w->err = IN_CALL;
    w->err = torc_part_file(rq, w->part, w->file, &w->size);
    return 0;
}

static void open_for(struct to_file *w, torc_req *rq, torc_part *part)
{
    *w = (struct to_file){.part = part};
    assert_int_equal(torc_file_temp(rq, directory, &w->file), 0);
}

/* A form whose one part has the first `n` bytes of `content`; returns what the client gets. */
static const char *post_part(torc_handler *handler, void *arg, size_t n)
{
    static char body[sizeof HEAD + LONG + sizeof TAIL];
    size_t at = (size_t)sprintf(body, HEAD);
    memcpy(body + at, content, n);
    at += n;
    at += (size_t)sprintf(body + at, TAIL);
    rig_open(&rig, handler, arg);
    rig.core.limits.max_body = sizeof body;
    rig.core.limits.request_memory = LONG;
    rig.core.limits.body_memory = false;
    struct mem_client *m = mem_connect(&rig.core.io);
    push_head(m, "multipart/form-data; boundary=xyz", at);
    mem_push(m, body, at);
    mem_push_end(m);
    rig_run(&rig);
    const char *out = take_out(m);
    rig_close(&rig);
    return out;
}

static int fails(torc_req *rq, void *arg)
{
    (void)rq, (void)arg;
    return -ECANCELED;
}

static void two_files(torc_req *rq, void *arg)
{
    static char back[LONG + 1];
    struct to_file first, second = {0};
    torc_part *part, *none;
    torc_slice all;
    size_t length = *(size_t *)arg;
    assert_int_equal(torc_multipart_next(rq, &part), 1);
    open_for(&first, rq, part);
    open_for(&second, rq, part);
    torc_group *g = torc_group_open(rq);
    assert_int_equal(torc_spawn(g, writes, &first), 0);
    assert_int_equal(first.err, IN_CALL);
    for (; first.err == IN_CALL; torc_sleep(rq, 0)) {
        writes(rq, &second);
        assert_int_equal(second.err, -EBUSY);
        assert_int_equal(second.size, 0);
        assert_int_equal(torc_part_read(rq, part, back, sizeof back), -EBUSY);
        assert_int_equal(torc_part_all(rq, part, &all), -EBUSY);
        assert_int_equal(torc_multipart_next(rq, &none), -EBUSY);
        assert_int_equal(torc_body_read(rq, back, sizeof back), -EBUSY);
    }
    assert_int_equal(torc_group_join(g), 0);
    assert_int_equal(first.err, 0);
    assert_int_equal(first.size, length);
    assert_int_equal(torc_file_read(rq, first.file, back, sizeof back, 0), length);
    assert_memory_equal(back, content, length);
    assert_int_equal(torc_multipart_next(rq, &part), 0);
    torc_reply(rq, 204, NULL, TORC_S(""));
}

static void a_part_is_written_by_one_call(void **state)
{
    static size_t lengths[] = {1000, LONG}; /* the first has come when it is read */
    (void)state;
    for (size_t i = 0; i < LONG; i++) content[i] = "\r\n--xyz"[random_below(6)];
    for (int i = 0; i < 2; i++) must_have(post_part(two_files, &lengths[i], lengths[i]), " 204 ");
}

/* What is refused at once takes nothing of the part, and needs no memory. */
static void to_no_file(torc_req *rq, void *arg)
{
    struct to_file w;
    char name[64], back[10];
    (void)arg;
    assert_int_equal(torc_multipart_next(rq, &w.part), 1);
    snprintf(name, sizeof name, "%s/file", directory);
    int fd = open(name, O_CREAT | O_WRONLY, 0600);
    assert_int_equal(torc_file_open(rq, name, &w.file), 0);
    close(fd);
    unlink(name);
    size_t used = rq->arena.used;
    writes(rq, &w);
    assert_int_equal(w.err, -EBADF);
    assert_int_equal(rq->arena.used, used);
    assert_int_equal(torc_part_read(rq, w.part, back, sizeof back), sizeof back);
    assert_memory_equal(back, content, sizeof back);
    torc_reply(rq, 204, NULL, TORC_S(""));
}

static void a_file_that_cannot_be_written_takes_nothing(void **state)
{
    (void)state;
    must_have(post_part(to_no_file, NULL, 1000), " 204 ");
    must_have(post_part(to_no_file, NULL, LONG), " 204 ");
}

/* ---- a part that does not fit into the memory of its request ---- */

static void try_part(torc_req *rq, torc_part *part, int err)
{
    torc_slice all;
    struct to_file w;
    char byte;
    assert_int_equal(torc_part_all(rq, part, &all), err);
    assert_null(all.ptr);
    assert_int_equal(torc_part_read(rq, part, &byte, 1), err);
    open_for(&w, rq, part);
    writes(rq, &w);
    assert_int_equal(w.err, err);
    assert_int_equal(w.size, 0);
}

/* It needs more memory than there is. */
static void too_large(torc_req *rq, void *arg)
{
    torc_part *part;
    (void)arg;
    assert_int_equal(torc_multipart_next(rq, &part), 1);
    for (int i = 0; i < 2; i++) try_part(rq, part, -EMSGSIZE);
    assert_int_equal(torc_multipart_next(rq, &part), 0);
}

/* A group ends the call that writes it. */
static void partly_written(torc_req *rq, void *arg)
{
    struct to_file w;
    torc_part *part;
    (void)arg;
    assert_int_equal(torc_multipart_next(rq, &part), 1);
    open_for(&w, rq, part);
    torc_group *g = torc_group_open(rq);
    assert_int_equal(torc_spawn(g, writes, &w), 0);
    assert_int_equal(w.err, IN_CALL);
    assert_int_equal(torc_spawn(g, fails, NULL), 0);
    assert_int_equal(torc_group_join(g), -ECANCELED);
    assert_int_equal(w.err, -ECANCELED);
    try_part(rq, part, -ECANCELED);
    assert_int_equal(torc_multipart_next(rq, &part), 0);
    torc_reply(rq, 204, NULL, TORC_S(""));
}

static void an_error_that_loses_a_part_stays_for_it(void **state)
{
    (void)state;
    must_have(post_part(too_large, NULL, LONG), " 413 ");
    must_have(post_part(partly_written, NULL, LONG), " 204 ");
}

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
    (void)state;
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_call_comes_between),
        cmocka_unit_test(a_group_fails_no_body),
        cmocka_unit_test(an_error_that_loses_bytes_stays),
        cmocka_unit_test(a_part_is_written_by_one_call),
        cmocka_unit_test(an_error_that_loses_a_part_stays_for_it),
        cmocka_unit_test(a_file_that_cannot_be_written_takes_nothing),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
