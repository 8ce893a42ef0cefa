/* Lookups by c-ares, from a name server of the test's own on loopback. */

#include "task/resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { HEAD = 12, TYPE_A = 1, TYPE_CNAME = 5, TYPE_AAAA = 28, MESSAGE = 512 };

/* ---- the name server ---- */

static int server_fd;
static char server_text[32]; /* as c-ares takes it */
static pthread_t server;
static _Atomic bool asked; /* for silent.test */

struct message {
    uint8_t byte[MESSAGE];
    size_t len;
};

static void put16(struct message *m, unsigned v)
{
    m->byte[m->len++] = (uint8_t)(v >> 8);
    m->byte[m->len++] = (uint8_t)v;
}

/* A resource record of the name at `name` (RFC 1035, 4.1.3 and 4.1.4); returns where its data is.
 */
static size_t put_record(struct message *m, size_t name, unsigned type, unsigned ttl,
                         const void *data, size_t size)
{
    put16(m, 0xc000 | (unsigned)name);
    put16(m, type);
    put16(m, 1);
    put16(m, ttl >> 16);
    put16(m, ttl & 0xffff);
    put16(m, (unsigned)size);
    memcpy(m->byte + m->len, data, size);
    m->len += size;
    return m->len - size;
}

/* Appends the answers to the question, of a name that begins with `label`. Returns their number. */
static unsigned put_answers(struct message *m, const char *label, unsigned type)
{
    static const uint8_t one[] = {192, 0, 2, 1}, two[] = {192, 0, 2, 2};
    static const uint8_t six[16] = {0x20, 1, 0xd, 0xb8, [15] = 1};
    static const uint8_t host[] = "\4host\4test";
    if (strcmp(label, "alias") == 0 && type == TYPE_A) {
        size_t at = put_record(m, HEAD, TYPE_CNAME, 3, host, sizeof host);
        put_record(m, at, TYPE_A, 50, one, sizeof one);
        return 2;
    }
    if (strcmp(label, "host") == 0 && type == TYPE_A) {
        put_record(m, HEAD, TYPE_A, 70, one, sizeof one);
        put_record(m, HEAD, TYPE_A, 90, two, sizeof two);
        return 2;
    }
    if (strcmp(label, "six") == 0 && type == TYPE_AAAA) {
        put_record(m, HEAD, TYPE_AAAA, 20, six, sizeof six);
        return 1;
    }
    return 0;
}

/* Turns a query into its response. False to say nothing. */
static bool respond(struct message *m)
{
    char label[64] = "";
    size_t end = HEAD;
    if (m->len < HEAD + 6) return false;
    memcpy(label, m->byte + HEAD + 1, m->byte[HEAD] & 63);
    while (m->byte[end]) end += m->byte[end] + 1u;
    unsigned type = m->byte[end + 2];
    if (strcmp(label, "silent") == 0) {
        asked = true;
        return false;
    }
    m->len = end + 5;
    m->byte[2] = 0x81; /* a response; recursion was desired and is available */
    m->byte[3] = strcmp(label, "none") == 0 ? 0x83 : strcmp(label, "broken") == 0 ? 0x82 : 0x80;
    memset(m->byte + 6, 0, 6);
    m->byte[7] = (uint8_t)put_answers(m, label, type);
    return true;
}

static void *serve(void *arg)
{
    for (;;) {
        struct message m;
        struct sockaddr_in from;
        socklen_t from_len = sizeof from;
        ssize_t n =
            recvfrom(server_fd, m.byte, sizeof m.byte, 0, (struct sockaddr *)&from, &from_len);
        if (n <= 0) return arg; /* an empty message ends it */
        m.len = (size_t)n;
        if (respond(&m)) sendto(server_fd, m.byte, m.len, 0, (struct sockaddr *)&from, from_len);
    }
}

static int start_server(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof a;
    (void)state;
    server_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (server_fd < 0 || bind(server_fd, (struct sockaddr *)&a, len) < 0) return -1;
    if (getsockname(server_fd, (struct sockaddr *)&a, &len) < 0) return -1;
    snprintf(server_text, sizeof server_text, "127.0.0.1:%u", ntohs(a.sin_port));
    return pthread_create(&server, NULL, serve, NULL);
}

static int stop_server(void **state)
{
    struct sockaddr_in a;
    socklen_t len = sizeof a;
    (void)state;
    getsockname(server_fd, (struct sockaddr *)&a, &len);
    sendto(server_fd, "", 0, 0, (struct sockaddr *)&a, len);
    pthread_join(server, NULL);
    return close(server_fd);
}

/* ---- */

static int look_up(const char *name, struct resolved *out)
{
    struct torc_job j = {0};
    return resolve_at(&j, server_text, name, out);
}

static void assert_addr(const struct sock_addr *a, const char *want)
{
    char text[SOCK_ADDR_TEXT];
    sock_addr_format(a, text);
    assert_string_equal(text, want);
}

static void the_shortest_lifetime_counts(void **state)
{
    struct resolved r;
    (void)state;
    assert_int_equal(look_up("host.test", &r), 0);
    assert_int_equal(r.count, 2);
    assert_addr(&r.addr[0], "192.0.2.1:0");
    assert_addr(&r.addr[1], "192.0.2.2:0");
    assert_int_equal(r.ttl, 70);
}

static void an_alias_limits_the_lifetime(void **state)
{
    struct resolved r;
    (void)state;
    assert_int_equal(look_up("alias.test", &r), 0);
    assert_int_equal(r.count, 1);
    assert_addr(&r.addr[0], "192.0.2.1:0");
    assert_int_equal(r.ttl, 3);
}

static void an_address_of_ipv6_alone(void **state)
{
    struct resolved r;
    (void)state;
    assert_int_equal(look_up("six.test", &r), 0);
    assert_int_equal(r.count, 1);
    assert_addr(&r.addr[0], "[2001:db8::1]:0");
    assert_int_equal(r.ttl, 20);
}

static void failures(void **state)
{
    struct resolved r;
    (void)state;
    assert_int_equal(look_up("none.test", &r), -ENOENT);
    assert_int_equal(look_up("empty.test", &r), -ENOENT); /* it exists, without addresses */
    assert_int_equal(look_up("broken.test", &r), -EAGAIN);
    struct torc_job j = {0};
    assert_true(resolve_at(&j, "not an address", "host.test", &r) < 0);
}

static void *cancel(void *arg)
{
    struct torc_job *j = arg;
    while (!asked) usleep(100);
    j->cancelled = true;
    return NULL;
}

/* It would ask again and again, for longer than a test may take. */
static void a_cancelled_lookup_ends(void **state)
{
    struct torc_job j = {0};
    struct resolved r;
    pthread_t t;
    (void)state;
    assert_int_equal(pthread_create(&t, NULL, cancel, &j), 0);
    assert_int_equal(resolve_at(&j, server_text, "silent.test", &r), -EAGAIN);
    pthread_join(t, NULL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shortest_lifetime_counts),
        cmocka_unit_test(an_alias_limits_the_lifetime),
        cmocka_unit_test(an_address_of_ipv6_alone),
        cmocka_unit_test(failures),
        cmocka_unit_test(a_cancelled_lookup_ends),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
