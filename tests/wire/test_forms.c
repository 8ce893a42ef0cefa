/* Forms of both types, on the engine in memory: what handlers read of them, however the bytes come.
 */

#include "rig.h"

#include "../base/random.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

static struct rig rig;

static char text[32 * 1024]; /* what a handler read, as text */
static size_t text_len;
static int result;   /* and what ended it */
static size_t step;  /* bytes that a handler reads at once; 0: torc_part_all */
static bool hurried; /* every call is made in a group with a deadline first */
static int n_late;   /* of these, those that it ended */

static void note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    text_len += (size_t)vsnprintf(text + text_len, sizeof text - text_len, format, args);
    va_end(args);
    assert_true(text_len < sizeof text);
}

static void note_slice(const char *what, torc_slice s)
{
    if (s.ptr)
        note("%s=[%.*s]", what, (int)s.len, s.ptr);
    else
        note("%s=-", what);
}

/* ---- calls that wait ---- */

enum { IN_CALL = INT_MAX };

struct call {
    torc_part *part;
    torc_slice all;
    char buf[1024];
    ssize_t result;
};

static int call_form(torc_req *rq, void *arg)
{
    ((struct call *)arg)->result = torc_form_read(rq);
    return 0;
}

static int call_body(torc_req *rq, void *arg)
{
    struct call *c = arg;
    c->result = torc_body_all(rq, &c->all);
    return 0;
}

static int call_next(torc_req *rq, void *arg)
{
    struct call *c = arg;
    c->result = torc_multipart_next(rq, &c->part);
    return 0;
}

static int call_read(torc_req *rq, void *arg)
{
    struct call *c = arg;
    c->result = torc_part_read(rq, c->part, c->buf, step);
    return 0;
}

static int call_all(torc_req *rq, void *arg)
{
    struct call *c = arg;
    c->result = torc_part_all(rq, c->part, &c->all);
    return 0;
}

/* A deadline of a group ends a wait, but not the request: the call is repeated without one. Nor is
 * anything lost to one that comes meanwhile. */
static ssize_t call(torc_req *rq, torc_task *fn, struct call *c)
{
    if (hurried) {
        struct call other = {.part = c->part};
        torc_group *g = torc_group_open(rq);
        c->result = IN_CALL;
        assert_int_equal(torc_group_deadline(g, 10), 0);
        assert_int_equal(torc_spawn(g, fn, c), 0);
        if (c->result == IN_CALL) {
            fn(rq, &other);
            assert_int_equal(other.result, -EBUSY);
        }
        assert_int_equal(torc_group_join(g), 0);
        if (c->result != -ETIME) return c->result;
        n_late++;
    }
    fn(rq, c);
    return c->result;
}

/* ---- urlencoded ---- */

static void reads_form(torc_req *rq, void *arg)
{
    torc_slice name, value;
    struct call c;
    (void)arg;
    text_len = 0;
    text[0] = '\0';
    if (hurried) call(rq, call_form, &c);
    for (size_t at = 0; torc_form_next(rq, &at, &name, &value);) {
        note_slice("", name);
        note_slice("", value);
    }
    note_slice(" a", torc_form(rq, "a"));
    result = torc_form_read(rq);
    if (result == 0) torc_reply(rq, 204, NULL, TORC_S(""));
}

static void post_form(const char *type, const char *body)
{
    char request[4096];
    snprintf(request, sizeof request,
             "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n%s",
             type, strlen(body), body);
    ask_handler(&rig, reads_form, NULL, request);
}

static void forms_are_decoded(void **state)
{
    static const struct {
        const char *body, *want;
    } cases[] = {
        {"", " a=-"},
        {"a=1", "=[a]=[1] a=[1]"},
        {"b=2&a=x+y%26%3d&a=3&&", "=[b]=[2]=[a]=[x y&=]=[a]=[3] a=[x y&=]"},
        {"a", "=[a]=[] a=[]"},
        {"=v&%61=ok", "=[]=[v]=[a]=[ok] a=[ok]"},
        {"%zz=1&b=%4&a=2", "=-=[1]=[b]=-=[a]=[2] a=[2]"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        post_form("Application/X-WWW-Form-Urlencoded; charset=utf-8", cases[i].body);
        assert_int_equal(result, 0);
        must_have(rig.out, " 204 ");
        if (strcmp(text, cases[i].want) != 0)
            fail_msg("%s: %s, not %s", cases[i].body, text, cases[i].want);
    }
    ask_handler(&rig, reads_form, NULL, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_string_equal(text, " a=-");
    assert_int_equal(result, 0);
}

static void forms_fail_as_a_whole(void **state)
{
    static char many[2 * 1001 + 1];
    (void)state;
    for (size_t i = 0; i < 1001; i++) memcpy(many + 2 * i, "a&", 2);
    post_form("application/json", "a=1");
    assert_int_equal(result, -EINVAL);
    must_have(rig.out, " 415 ");
    assert_string_equal(text, " a=-");
    post_form("application/x-www-form-urlencoded", many);
    assert_int_equal(result, -EMSGSIZE);
    must_have(rig.out, " 413 ");
    assert_string_equal(text, " a=-");
    many[2000] = '\0';
    post_form("application/x-www-form-urlencoded", many);
    assert_int_equal(result, 0);
    ask_handler(&rig, reads_form, NULL,
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                "Content-Length: 10\r\n\r\na=1");
    assert_int_equal(result, -EPIPE);
    must_have(rig.out, " 400 ");
}

/* ---- multipart ---- */

static int read_content(torc_req *rq, struct call *c)
{
    ssize_t n;
    note("{");
    if (step == 0) {
        n = call(rq, call_all, c);
        if (n == 0) note("%.*s}", (int)c->all.len, c->all.ptr);
        return (int)n;
    }
    while ((n = call(rq, call_read, c)) > 0) note("%.*s", (int)n, c->buf);
    if (n < 0) return (int)n;
    note("}");
    return (int)torc_part_read(rq, c->part, c->buf, step); /* the end stays */
}

static void reads_parts(torc_req *rq, void *arg)
{
    struct call c;
    torc_part *part, *before = NULL;
    bool skips = arg;
    char byte;
    text_len = 0;
    text[0] = '\0';
    while ((result = (int)call(rq, call_next, &c)) > 0) {
        part = c.part;
        if (before) assert_int_equal(torc_part_read(rq, before, &byte, 1), -EINVAL);
        before = part;
        note_slice("n", torc_part_name(part));
        note_slice(" f", torc_part_filename(part));
        note_slice(" t", torc_part_type(part));
        if (!skips && (result = read_content(rq, &c)) < 0) break;
        note("\n");
    }
    assert_int_equal(torc_multipart_next(rq, &part), result); /* and stays so */
    assert_null(part);
    if (result == 0) torc_reply(rq, 204, NULL, TORC_S(""));
}

#define PART(fields, content) "--xyz\r\n" fields "\r\n\r\n" content "\r\n"
#define NAMED(name)           "Content-Disposition: form-data; name=" name

static const char usual[] = "a preamble\r\n--xy not yet\r\n" PART(NAMED("\"a\""), "1")
    PART("content-type: text/plain;x=y\r\n" NAMED("b; filename=\"x \\\"y\\\" c:\\dir\\f.txt\""),
         "line\r\n--xy\r\n\r--xyz\r\n-\r\n--xyx")
        PART(NAMED("c ; FileName=\"\""), "") "--xyz \t\r\nX-Other: 1\r\n" NAMED(
            "\"\xc3\xa4;\"") "\r\n\r\n\r\n\r\n--xyz--\r\nan epilogue\r\n--xyz\r\n";

/* A part without a body: its head ends with the line end of the next delimiter. */
#define BARE(fields) "--xyz\r\n" fields "\r\n\r\n"

static const char bare[] = BARE(NAMED("a")) BARE(NAMED("b") "\r\nX: y") PART(NAMED("c"), "\r\n--xy")
    BARE(NAMED("d")) PART(NAMED("e"), "--xy") PART(NAMED("f"), "\r\n") PART(NAMED("g"), "-")
        BARE(NAMED("h")) "--xyz--";

static const char bare_parts[] = "n=[a] f=- t=-{}\nn=[b] f=- t=-{}\nn=[c] f=- t=-{\r\n--xy}\n"
                                 "n=[d] f=- t=-{}\nn=[e] f=- t=-{--xy}\n"
                                 "n=[f] f=- t=-{\r\n}\nn=[g] f=- t=-{-}\n"
                                 "n=[h] f=- t=-{}\n";

static const char usual_parts[] =
    "n=[a] f=- t=-{1}\n"
    "n=[b] f=[x \"y\" c:\\dir\\f.txt] t=[text/plain;x=y]{line\r\n--xy\r\n\r--xyz\r\n-\r\n--xyx}\n"
    "n=[c] f=[] t=-{}\n"
    "n=[\xc3\xa4;] f=- t=-{\r\n}\n";

static size_t make_request(char *to, size_t size, const char *type, slice body)
{
    int n = snprintf(
        to, size, "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
        type, body.len);
    assert_true((size_t)n + body.len <= size);
    memcpy(to + n, body.ptr, body.len);
    return (size_t)n + body.len;
}

static void post_parts(const char *type, slice body, bool skips)
{
    static char request[64 * 1024];
    size_t n = make_request(request, sizeof request, type, body);
    rig_open(&rig, reads_parts, skips ? &rig : NULL);
    rig_send(&rig, slice_of(request, n));
    rig_close(&rig);
}

#define TYPE "multipart/form-data; boundary=xyz"

static void parts_are_read(void **state)
{
    static const size_t steps[] = {0, 1, 2, 7, 1000};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        step = steps[i];
        post_parts(TYPE, SLICE(usual), false);
        assert_int_equal(result, 0);
        assert_string_equal(text, usual_parts);
        must_have(rig.out, " 204 ");
    }
    post_parts("Multipart/Form-Data; charset=x; BOUNDARY=\"xyz\" ", SLICE(usual), false);
    assert_string_equal(text, usual_parts);
    post_parts(TYPE, SLICE(usual), true);
    assert_string_equal(text, "n=[a] f=- t=-\n"
                              "n=[b] f=[x \"y\" c:\\dir\\f.txt] t=[text/plain;x=y]\n"
                              "n=[c] f=[] t=-\nn=[\xc3\xa4;] f=- t=-\n");
}

/* Sends a request in two pieces, or the second byte by byte, with all the time there is between. */
static void send_cut(torc_handler *handler, slice request, size_t cut)
{
    rig_open(&rig, handler, NULL);
    struct mem_client *m = mem_connect(&rig.core.io);
    mem_push(m, request.ptr, cut);
    mem_run(&rig.core.io, 1000);
    for (size_t at = cut; at < request.len;) {
        size_t piece = cut % 3 ? request.len - at : 1;
        mem_push(m, request.ptr + at, piece);
        mem_run(&rig.core.io, 1000);
        at += piece;
    }
    mem_push_end(m);
    rig_run(&rig);
    mem_free(&rig.core.io, m);
    rig_close(&rig);
}

/* The same parts wherever the bytes are cut. */
static void read_cut(const char *sent, size_t size, const char *parts)
{
    static char request[4096];
    size_t n = make_request(request, sizeof request, TYPE, slice_of(sent, size));
    size_t body = n - size;
    for (size_t cut = body; cut < n; cut++) {
        step = cut % 5;
        send_cut(reads_parts, slice_of(request, n), cut);
        if (result != 0 || strcmp(text, parts) != 0)
            fail_msg("cut at %zu: %d\n%s", cut - body, result, text);
    }
}

static void parts_are_read_however_they_come(void **state)
{
    (void)state;
    read_cut(usual, sizeof usual - 1, usual_parts);
    read_cut(bare, sizeof bare - 1, bare_parts);
}

static void reads_whole(torc_req *rq, void *arg)
{
    struct call c;
    (void)arg;
    text_len = 0;
    text[0] = '\0';
    result = (int)call(rq, call_body, &c);
    if (result == 0) note_slice("", c.all);
    torc_reply(rq, 204, NULL, TORC_S(""));
}

/* Nothing is lost where a call ended early. */
static void a_deadline_of_a_group_ends_no_body(void **state)
{
    static const char form[] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n"
                               "Content-Type: application/x-www-form-urlencoded\r\n\r\na=12&b=3";
    static const char chunked[] = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                                  "3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n";
    (void)state;
    hurried = true;
    n_late = 0;
    read_cut(usual, sizeof usual - 1, usual_parts);
    read_cut(bare, sizeof bare - 1, bare_parts);
    assert_true(n_late >= (int)(sizeof usual + sizeof bare - 2));
    n_late = 0;
    for (size_t left = 1; left <= 8; left++) {
        send_cut(reads_form, SLICE(form), sizeof form - 1 - left);
        assert_int_equal(result, 0);
        assert_string_equal(text, "=[a]=[12]=[b]=[3] a=[12]");
        send_cut(reads_whole, SLICE(form), sizeof form - 1 - left);
        assert_int_equal(result, 0);
        assert_string_equal(text, "=[a=12&b=3]");
    }
    assert_int_equal(n_late, 16);
    for (size_t left = 1; left <= 21; left++) {
        send_cut(reads_whole, SLICE(chunked), sizeof chunked - 1 - left);
        assert_int_equal(result, 0);
        assert_string_equal(text, "=[abcdef]");
    }
    assert_int_equal(n_late, 16 + 21);
    hurried = false;
}

static void parts_may_have_no_body(void **state)
{
    static const size_t steps[] = {0, 1, 2, 1000};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        step = steps[i];
        post_parts(TYPE, SLICE(bare), false);
        assert_int_equal(result, 0);
        assert_string_equal(text, bare_parts);
    }
    post_parts(TYPE, SLICE(bare), true);
    assert_int_equal(result, 0);
    assert_string_equal(text, "n=[a] f=- t=-\nn=[b] f=- t=-\nn=[c] f=- t=-\nn=[d] f=- t=-\n"
                              "n=[e] f=- t=-\nn=[f] f=- t=-\nn=[g] f=- t=-\nn=[h] f=- t=-\n");
}

static void malformed_parts_are_refused(void **state)
{
    static const struct {
        const char *body;
        int result, status;
    } cases[] = {
        {"", -EBADMSG, 400},
        {"--xyz", -EBADMSG, 400},
        {"--xyz-", -EBADMSG, 400},
        {"--xyz\r", -EBADMSG, 400},
        {"--xyz--", 0, 204},
        {"--xyz--more", 0, 204},
        {"text--xyz--", -EBADMSG, 400},
        {"--xyz\r\n\r\ncontent\r\n--xyz--", -EBADMSG, 400},
        {"--xyz\r\nX: y\r\n\r\n\r\n--xyz--", -EBADMSG, 400},
        {PART("Content-Disposition: form-data", "1") "--xyz--", -EBADMSG, 400},
        {PART("Content-Disposition: attachment; name=a", "1") "--xyz--", -EBADMSG, 400},
        {PART(NAMED("\"a"), "1") "--xyz--", -EBADMSG, 400},
        {PART(NAMED("\"a\" b"), "1") "--xyz--", -EBADMSG, 400},
        {PART(NAMED("a") "\r\n" NAMED("b"), "1") "--xyz--", -EBADMSG, 400},
        {PART(NAMED("a") "\r\n folded", "1") "--xyz--", -EBADMSG, 400},
        {PART(NAMED("a\x01"), "1") "--xyz--", -EBADMSG, 400},
        {PART(NAMED("a") "\nX: y", "1") "--xyz--", -EBADMSG, 400},
        {"--xyz\r\n" NAMED("a") "\r\n--xyz--", -EBADMSG, 400},
        {"--xyzz\r\n" NAMED("a") "\r\n\r\n\r\n--xyz--", -EBADMSG, 400},
        {"--xyz\n" NAMED("a") "\n\n1\n--xyz--", -EBADMSG, 400},
        {PART(NAMED("a"), "1"), -EBADMSG, 400},
        {PART(NAMED("a"), "1") "--xyz", -EBADMSG, 400},
        {PART(NAMED("a"), "1") "--xyz\r\n" NAMED("b"), -EBADMSG, 400},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char status[8];
        step = i % 3;
        post_parts(TYPE, slice_str(cases[i].body), i % 2);
        snprintf(status, sizeof status, " %d ", cases[i].status);
        if (result != cases[i].result || !strstr(rig.out, status))
            fail_msg("case %zu: %d, %.20s", i, result, rig.out);
    }
}

static void other_types_are_refused(void **state)
{
    static const struct {
        const char *type;
        int status;
    } cases[] = {
        {"application/x-www-form-urlencoded", 415},
        {"multipart/mixed; boundary=xyz", 415},
        {"", 415},
        {"multipart/form-data", 400},
        {"multipart/form-data; boundary=", 400},
        {"multipart/form-data; boundary=\"a \"", 400},
        {"multipart/form-data; boundary=a@b", 400},
        {"multipart/form-data; boundary=\"xyz", 400},
        {"multipart/form-data; "
         "boundary=01234567890123456789012345678901234567890123456789012345678901234567890",
         400},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char status[8];
        post_parts(cases[i].type, SLICE(usual), false);
        snprintf(status, sizeof status, " %d ", cases[i].status);
        assert_int_equal(result, -EINVAL);
        if (!strstr(rig.out, status)) fail_msg("%s: %.20s", cases[i].type, rig.out);
    }
}

/* A head that is as large as may be, one byte more, and one without an end. */
static void heads_are_bounded(void **state)
{
    enum { MOST = 8 * 1024 };
    static char body[40 * 1024];
    (void)state;
    step = 0;
    for (int i = 0; i < 3; i++) {
        size_t fill = i == 2 ? 30 * 1024 : (size_t)(MOST - 2 - 2 - (int)sizeof(NAMED("")) + 1 + i);
        memset(body, 'n', sizeof body);
        size_t at = (size_t)snprintf(body, sizeof body, "--xyz\r\n" NAMED(""));
        body[at] = 'n'; /* it was the NUL */
        at += fill;
        if (i < 2) at += (size_t)snprintf(body + at, sizeof body - at, "\r\n\r\n1\r\n--xyz--");
        post_parts(TYPE, slice_of(body, at), false);
        assert_int_equal(result, i ? -EMSGSIZE : 0);
        must_have(rig.out, i ? " 413 " : " 204 ");
    }
}

static void parts_are_counted(void **state)
{
    enum { MOST = 1000 };
    static const char one[] = PART(NAMED("a"), "");
    static char body[(MOST + 1) * sizeof one + 16];
    (void)state;
    for (size_t n = MOST; n <= MOST + 1; n++) {
        size_t at = 0;
        for (size_t i = 0; i < n; i++) at += (size_t)sprintf(body + at, "%s", one);
        at += (size_t)sprintf(body + at, "--xyz--");
        post_parts(TYPE, slice_of(body, at), true);
        assert_int_equal(result, n > MOST ? -EMSGSIZE : 0);
    }
}

/* ---- to a file ---- */

static char directory[] = "/tmp/torc-test-forms-XXXXXX";

static void keeps_file(torc_req *rq, void *arg)
{
    torc_part *part;
    torc_file *file;
    int64_t size;
    (void)arg;
    while ((result = torc_multipart_next(rq, &part)) > 0) {
        if (!torc_part_filename(part).ptr) continue;
        if ((result = torc_file_temp(rq, directory, &file)) < 0) return;
        if ((result = torc_part_file(rq, part, file, &size)) < 0) return;
        torc_file_link(rq, file, torc_cstr(rq, TORC_S("kept")), true);
        torc_replyf(rq, 201, "%lld", (long long)size);
    }
}

static void parts_become_files(void **state)
{
    enum { SIZE = 50000 };
    static char body[SIZE + 1024], request[SIZE + 2048], back[SIZE + 1];
    (void)state;
    assert_non_null(mkdtemp(directory));
    assert_int_equal(chdir(directory), 0);
    size_t at = (size_t)sprintf(
               body, PART(NAMED("a"), "1") "--xyz\r\n" NAMED("f; filename=x") "\r\n\r\n"),
           from = at;
    for (size_t i = 0; i < SIZE; i++) body[at++] = "\r\n--xyz"[random_below(6)];
    at += (size_t)sprintf(body + at, "\r\n--xyz--");
    size_t n = make_request(request, sizeof request, TYPE, slice_of(body, at));
    rig_open(&rig, keeps_file, NULL);
    rig_send(&rig, slice_of(request, n));
    rig_close(&rig);
    must_have(rig.out, " 201 ");
    must_have(rig.out, "\r\n\r\n50000");
    int fd = open("kept", O_RDONLY);
    assert_int_equal(read(fd, back, sizeof back), SIZE);
    assert_memory_equal(back, body + from, SIZE);
    close(fd);
    unlink("kept");
    assert_int_equal(rmdir(directory), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_are_decoded),
        cmocka_unit_test(forms_fail_as_a_whole),
        cmocka_unit_test(parts_are_read),
        cmocka_unit_test(parts_are_read_however_they_come),
        cmocka_unit_test(a_deadline_of_a_group_ends_no_body),
        cmocka_unit_test(parts_may_have_no_body),
        cmocka_unit_test(malformed_parts_are_refused),
        cmocka_unit_test(other_types_are_refused),
        cmocka_unit_test(heads_are_bounded),
        cmocka_unit_test(parts_are_counted),
        cmocka_unit_test(parts_become_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
