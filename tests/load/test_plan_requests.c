/* The command line: the requests that options and URLs make. */

#include "plan_reading.h"

#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>

static char dir[] = "/tmp/torc-plan-XXXXXX";

static const char *path_of(const char *name)
{
    static char path[2][128];
    static int turn;
    char *p = path[turn ^= 1];
    snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}

static char *file_of(const char *name, const char *bytes, size_t n)
{
    char *path = (char *)(uintptr_t)path_of(name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
    return path;
}

static void methods_and_fields_are_sent(void **state)
{
    (void)state;
    GOOD("--method", "DELETE", "--header", "A: b", "--header", "C:d", URL);
    assert_true(sends(0, "DELETE /x HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nA: b\r\nC:d\r\n\r\n"));
    BAD("--method takes a name such as PUT, not \"\"", "--method", "", URL);
    BAD("--method takes a name such as PUT, not \"GET /\"", "--method", "GET /", URL);
    BAD("--method takes a name such as PUT, not \"GET??\"", "--method", "GET\r\n", URL);
    BAD("--method takes a name such as PUT, but no value was given", URL, "--method");
    BAD("--header takes 'Name: value', not \"x\"", "--header", "x", URL);
    BAD("--header takes 'Name: value', not \": x\"", "--header", ": x", URL);
    BAD("--header takes 'Name: value', not \"a: b??c: d\"", "--header", "a: b\r\nc: d", URL);
    BAD("--header takes 'Name: value', but no value was given", URL, "--header");

    char *many[ARGS] = {0};
    int n = 0;
    for (int i = 0; i < PLAN_HEADERS; i++) {
        many[n++] = (char *)(uintptr_t) "--header";
        many[n++] = (char *)(uintptr_t) "a:b";
    }
    many[n++] = (char *)(uintptr_t)URL;
    assert_int_equal(read_list(many), 0);
    many[n++] = (char *)(uintptr_t) "--header=a:b";
    assert_int_equal(read_list(many), -1);
    assert_string_equal(said, "torc-load: --header: 64 at most\n");
}

/* Of RFC 9110: names are tokens (5.6.2), values have no control characters (5.5). */
static void malformed_names_and_values_are_refused(void **state)
{
    (void)state;
    GOOD("--method", "M-SEARCH", "--header", "X!#$%&'*+-.^_`|~9: \ta\xff \t", URL);
    GOOD("--header", "A:", URL);
    BAD("--method takes a name such as PUT, not \"G(T\"", "--method", "G(T", URL);
    BAD("--method takes a name such as PUT, not \"GET:\"", "--method", "GET:", URL);
    BAD("--method CONNECT: proxies are not supported", "--method", "CONNECT", URL);
    BAD("--header takes 'Name: value', not \"A : b\"", "--header", "A : b", URL);
    BAD("--header takes 'Name: value', not \" A: b\"", "--header", " A: b", URL);
    BAD("--header takes 'Name: value', not \"A b: c\"", "--header", "A b: c", URL);
    BAD("--header takes 'Name: value', not \"A/b: c\"", "--header", "A/b: c", URL);
    BAD("--header takes 'Name: value', not \"{seq:1}: c\"", "--header", "{seq:1}: c", URL);
    BAD("--header takes 'Name: value', not \"A: b?c\"", "--header",
        "A: b\x01"
        "c",
        URL);
    BAD("--header takes 'Name: value', not \"A: b?c\"", "--header",
        "A: b\x7f"
        "c",
        URL);
    BAD("--header takes 'Name: value', not \"A: b?c\"", "--header", "A: b\nc", URL);
}

#define ON_PURPOSE " (a request that is wrong on purpose: --template)"

static void contradicting_fields_are_refused(void **state)
{
    (void)state;
    BAD("--header Transfer-Encoding: for a body in chunks, give --chunked" ON_PURPOSE, "--body",
        "x", "--header", "Transfer-Encoding: chunked", URL);
    BAD("--header transfer-encoding: for a body in chunks, give --chunked" ON_PURPOSE, "--header",
        "transfer-encoding: gzip", URL);
    BAD("--header Content-Length: it is sent where there is a body" ON_PURPOSE, "--body", "x",
        "--chunked", "--header", "Content-Length: 1", URL);
    BAD("--header content-length: it is sent where there is a body" ON_PURPOSE, "--header",
        "content-length: 1", "--body", "x", URL);
    BAD("--header HOST: it is given twice" ON_PURPOSE, "--header", "Host: a", "--header", "HOST: b",
        URL);
    BAD("--header Connection: it takes close or keep-alive" ON_PURPOSE, "--header",
        "Connection: Upgrade", URL);
    BAD("--header Connection: it is given twice" ON_PURPOSE, "--header", "Connection: close",
        "--header", "Connection: keep-alive", URL);
    BAD("--header Upgrade: no other protocol is spoken" ON_PURPOSE, "--header", "Upgrade: h2c",
        URL);
    BAD("--header Expect: it needs a body" ON_PURPOSE, "--header", "Expect: 100-continue", URL);
    BAD("--header Expect: it takes 100-continue" ON_PURPOSE, "--header", "Expect: x", "--body", "x",
        URL);
    GOOD("--header", "Host: other", "--header", "Connection: Close ", "--header",
         "Expect: 100-Continue", "--body", "x", URL);
    assert_true(sends(0, "POST /x HTTP/1.1\r\nHost: other\r\nConnection: Close \r\nExpect: "
                         "100-Continue\r\nContent-Length: 1\r\n\r\nx"));
}

static void bodies_are_sent(void **state)
{
    char *file = file_of("body", "a\0b", 3);
    (void)state;
    GOOD("--body", "hi", URL);
    assert_true(
        sends(0, "POST /x HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Length: 2\r\n\r\nhi"));
    GOOD("--body", "", "--method", "PUT", URL);
    assert_true(sends(0, "PUT /x HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Length: 0\r\n\r\n"));
    GOOD("--body-size", "3", URL);
    assert_true(
        sends(0, "POST /x HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Length: 3\r\n\r\nxxx"));
    GOOD("--body-size", "20m", URL);
    assert_true(plan.request[0].bytes.len > 20 << 20);
    GOOD("--body-file", file, URL);
    static const char want[] =
        "POST /x HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Length: 3\r\n\r\na\0b";
    assert_true(slice_eq(plan.request[0].bytes, SLICE(want)));
    GOOD("--body", "hi", "--chunked", URL);
    assert_true(sends(0, "POST /x HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nTransfer-Encoding: "
                         "chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"));
    BAD("--chunked needs a body", "--chunked", URL);
    BAD("--body: the body is already given", "--body-size", "1", "--body", "x", URL);
    BAD("--body-size: the body is already given", "--body", "x", "--body-size", "1", URL);
    BAD("--body-size takes bytes, such as 4096 or 20m, at most 1g, not \"1025m\"", "--body-size",
        "1025m", URL);
    BAD("--body-size takes bytes, such as 4096 or 20m, at most 1g, not \"-1\"", "--body-size", "-1",
        URL);
    BAD("--body-size takes bytes, such as 4096 or 20m, at most 1g, not \"\"", "--body-size", "",
        URL);
    BAD("--body-file: cannot read /nowhere/x: No such file or directory", "--body-file",
        "/nowhere/x", URL);
    BAD("--body-file: cannot read /: Is a directory", "--body-file", "/", URL);
    BAD("a chunked body cannot have placeholders: its chunks have fixed sizes", "--chunked",
        "--body", "{seq:1}", URL);
    BAD("\"{seq:}\" is not {rand:MIN:MAX} or {seq:START}", "--body", "{seq:}", URL);
}

static void templates_are_sent(void **state)
{
    char *a = file_of("a", "GET /{seq:0} HTTP/1.1\r\n\r\n", 25), *empty = file_of("empty", "", 0);
    (void)state;
    GOOD("--template", a, "--template", a, URL, "http://127.0.0.1:8080/unused");
    assert_int_equal(plan.n_requests, 2);
    assert_int_equal(plan.n_sequences, 2);
    assert_int_equal(plan.request[1].head.part[1].number, 1);
    assert_int_equal(READ("--template", empty, URL), -1);
    assert_non_null(strstr(said, "/empty is empty\n"));
    BAD("--template: cannot read /nowhere/x: No such file or directory", "--template", "/nowhere/x",
        URL);
    BAD("--template is a whole request: --method, --header and --body do not apply", "--template",
        a, "--body", "x", URL);
    BAD("--template is a whole request: --method, --header and --body do not apply", "--template",
        a, "--header", "a:b", URL);
    BAD("--template is a whole request: --method, --header and --body do not apply", "--template",
        a, "--method", "GET", URL);
    char *bad = file_of("bad", "{rand:2:1}", 10);
    BAD("--template: \"{rand:2:1}\" is not {rand:MIN:MAX} or {seq:START}", "--template", bad, URL);
}

static void expected_bodies_are_read(void **state)
{
    char *file = file_of("want", "x\0y", 3);
    (void)state;
    GOOD("--expect-body", "", URL);
    assert_non_null(plan.expect_body.ptr);
    assert_int_equal(plan.expect_body.len, 0);
    GOOD("--expect-body-file", file, URL);
    assert_true(slice_eq(plan.expect_body, SLICE("x\0y")));
    BAD("--expect-body-file: cannot read /nowhere/x: No such file or directory",
        "--expect-body-file", "/nowhere/x", URL);
}

/* ---- URLs ---- */

static uint16_t port(void)
{
    return ntohs(plan.addr.sa.sa_family == AF_INET6 ? plan.addr.in6.sin6_port
                                                    : plan.addr.in.sin_port);
}

static void urls_name_host_and_target(void **state)
{
    (void)state;
    GOOD("http://127.0.0.1");
    assert_int_equal(port(), 80);
    assert_true(sends(0, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"));
    GOOD("HTTP://127.0.0.1:/a");
    assert_int_equal(port(), 80);
    GOOD("http://127.0.0.1:65535/a/b?c=d&e={rand:1:1}#fragment");
    assert_int_equal(port(), 65535);
    assert_int_equal(plan.request[0].head.n, 4);
    assert_true(slice_eq(plan.request[0].head.part[0].text, SLICE("GET /a/b?c=d&e=")));
    GOOD("http://127.0.0.1/#f");
    assert_true(sends(0, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"));
    GOOD("http://127.0.0.1#f");
    assert_true(sends(0, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"));
    GOOD("http://[::1]:81/a");
    assert_int_equal(plan.addr.sa.sa_family, AF_INET6);
    assert_int_equal(port(), 81);
    assert_true(sends(0, "GET /a HTTP/1.1\r\nHost: [::1]:81\r\n\r\n"));
    GOOD("http://[::1]");
    assert_int_equal(plan.addr.sa.sa_family, AF_INET6);
    assert_int_equal(port(), 80);
    assert_true(sends(0, "GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n"));
    static char *const links[] = {"http://[fe80::1%lo]:81/a", "http://[fe80::1%25lo]:81/a"};
    for (int i = 0; i < 2; i++) {
        GOOD(links[i]);
        assert_int_equal(plan.addr.in6.sin6_scope_id, if_nametoindex("lo"));
        assert_true(sends(0, "GET /a HTTP/1.1\r\nHost: [fe80::1]:81\r\n\r\n"));
    }
    GOOD("http://127.0.0.1:1/");
    assert_int_equal(plan.n_addrs, 1);
    GOOD("http://localhost:1/");
    assert_true(plan.n_addrs >= 1);
    assert_int_equal(plan.addr.sa.sa_family, plan.addrs[0].sa.sa_family);
    assert_true(sends(0, "GET / HTTP/1.1\r\nHost: localhost:1\r\n\r\n"));
}

static void unix_sockets_are_servers(void **state)
{
    (void)state;
    GOOD("unix:/run/a.sock");
    assert_string_equal(plan.addr.path, "/run/a.sock");
    assert_true(sends(0, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    GOOD("unix:a:/b?c#d", "unix:a:/e");
    assert_string_equal(plan.addr.path, "a");
    assert_true(sends(0, "GET /b?c HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    assert_true(sends(1, "GET /e HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    BAD("unix: is not the path of a Unix socket", "unix:");
    BAD("unix: is not the path of a Unix socket", "unix::/a");
    char text[130] = "unix:/run/";
    memset(text + 10, 'a', 102);
    GOOD(text);
    text[112] = 'a';
    BAD("unix:/run/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...: the path of a Unix socket may have at most "
        "107 "
        "bytes, not 108",
        text);
    BAD("\"unix:/b:/a\": all URLs must name the same server", "unix:/a", "unix:/b:/a");
    BAD("\"unix:/a:b\": put a / before the target", "unix:/a:b");
    BAD("\"unix:/a:/b c\" has a character that must be percent-encoded", "unix:/a:/b c");
}

static void wrong_urls_are_rejected(void **state)
{
    (void)state;
    BAD("\"https://a/\": TLS is not supported, only http://", "https://a/");
    BAD("\"HTTPS://a\": TLS is not supported, only http://", "HTTPS://a");
    BAD("\"https:a\" is not a URL such as http://127.0.0.1:8080/path", "https:a");
    BAD("\"127.0.0.1:80\" is not a URL such as http://127.0.0.1:8080/path", "127.0.0.1:80");
    BAD("\"\" is not a URL such as http://127.0.0.1:8080/path", "");
    BAD("\"http://\" has no host", "http://");
    BAD("\"http:///a\" has no host", "http:///a");
    BAD("\":80\" has no host", "http://:80/a");
    BAD("\"http://me@127.0.0.1/\": user names are not supported", "http://me@127.0.0.1/");
    BAD("\"http://127.0.0.1?a\": put a / before the ?", "http://127.0.0.1?a");
    BAD("\"http://127.0.0.1/a b\" has a character that must be percent-encoded",
        "http://127.0.0.1/a b");
    BAD("\"http://127.0.0.1/a??X: y\" has a character that must be percent-encoded",
        "http://127.0.0.1/a\r\nX: y");
    BAD("127.0.0.1:0: invalid port", "http://127.0.0.1:0/");
    BAD("127.0.0.1:65536: invalid port", "http://127.0.0.1:65536/");
    BAD("127.0.0.1:x: invalid port", "http://127.0.0.1:x/");
    BAD("127.0.0.1:-1: invalid port", "http://127.0.0.1:-1/");
    BAD("::1: an IPv6 address needs brackets", "http://::1/");
    BAD("fe80::1:80: an IPv6 address needs brackets", "http://fe80::1:80/");
    assert_int_equal(READ("http://[::1/"), -1);
    assert_int_equal(READ("http://[]/"), -1);
    assert_int_equal(READ("http://[::1]x/"), -1);
}

static void several_urls_name_one_server(void **state)
{
    (void)state;
    GOOD("http://127.0.0.1:8080/a", "--quiet", "http://127.0.0.1:8080/b");
    assert_int_equal(plan.n_requests, 2);
    assert_true(plan.quiet);
    assert_true(sends(1, "GET /b HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"));
    BAD("\"http://127.0.0.1:8081/b\": all URLs must name the same server",
        "http://127.0.0.1:8080/a", "http://127.0.0.1:8081/b");
    BAD("\"http://127.0.0.2:8080/\": all URLs must name the same server", "http://127.0.0.1:8080/a",
        "http://127.0.0.2:8080/");
    char *many[ARGS] = {0};
    for (int i = 0; i < PLAN_REQUESTS; i++) many[i] = (char *)(uintptr_t)URL;
    assert_int_equal(read_list(many), 0);
    assert_int_equal(plan.n_requests, PLAN_REQUESTS);
    many[PLAN_REQUESTS] = (char *)(uintptr_t)URL;
    assert_int_equal(read_list(many), -1);
    assert_string_equal(said, "torc-load: 64 URLs at most\n");
}

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    static const char *const names[] = {"body", "a", "empty", "bad", "want"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) unlink(path_of(names[i]));
    return rmdir(dir);
}

/* Of the leak sanitizer: what plan_read allocates is never freed. */
void __lsan_disable(void) __attribute__((weak));

int main(void)
{
    if (__lsan_disable) __lsan_disable();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(methods_and_fields_are_sent),
        cmocka_unit_test(malformed_names_and_values_are_refused),
        cmocka_unit_test(contradicting_fields_are_refused),
        cmocka_unit_test(bodies_are_sent),
        cmocka_unit_test(templates_are_sent),
        cmocka_unit_test(expected_bodies_are_read),
        cmocka_unit_test(urls_name_host_and_target),
        cmocka_unit_test(unix_sockets_are_servers),
        cmocka_unit_test(wrong_urls_are_rejected),
        cmocka_unit_test(several_urls_name_one_server),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
