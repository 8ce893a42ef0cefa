#include "client.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { BUFFER = 4096 }; /* small at first: some tests have thousands of clients */

/* ---- the connection ---- */

int client_try_open(struct client *c, const struct server_addr *addr, const struct tcp_how *how)
{
    assert_true(addr->len > 0);
    int fd = tcp_try_connect(&addr->sa, addr->len, how);
    *c = (struct client){.fd = fd < 0 ? -1 : fd};
    return fd < 0 ? fd : 0;
}

void client_open_to(struct client *c, const struct server_addr *addr, const struct tcp_how *how)
{
    int err = client_try_open(c, addr, how);
    if (err < 0) print_error("connect: %s\n", strerror(-err));
    assert_int_equal(err, 0);
}

void client_open(struct client *c, const struct server *s)
{
    client_open_to(c, &s->addr, NULL);
}

void client_open_admin(struct client *c, const struct server *s)
{
    client_open_to(c, &s->admin, NULL);
}

void client_open_from(struct client *c, const struct server *s, const char *source)
{
    client_open_to(c, &s->addr, &(struct tcp_how){.source = source});
}

void client_close(struct client *c)
{
    if (c->fd >= 0) close(c->fd);
    free(c->mem);
    *c = (struct client){.fd = -1};
}

void client_reset(struct client *c)
{
    tcp_reset(c->fd);
    c->fd = -1;
    client_close(c);
}

void client_shut(struct client *c)
{
    tcp_shut(c->fd);
}

/* ---- sending ---- */

bool client_try_send(struct client *c, const void *data, size_t n)
{
    return tcp_try_send(c->fd, data, n);
}

void client_send(struct client *c, const void *data, size_t n)
{
    assert_true(client_try_send(c, data, n));
}

void client_sendf(struct client *c, const char *format, ...)
{
    va_list args;
    char *text;
    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    assert_true(n >= 0);
    client_send(c, text, (size_t)n);
    free(text);
}

bool client_send_some(struct client *c, const char *data, size_t n, size_t *at)
{
    while (*at < n) {
        ssize_t put = send(c->fd, data + *at, n - *at, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) {
            assert_true(errno == EAGAIN);
            return false;
        }
        *at += (size_t)put;
    }
    return true;
}

void client_send_zeros(struct client *c, size_t n)
{
    static const char zeros[16384];
    for (size_t part; n > 0; n -= part) {
        part = n < sizeof zeros ? n : sizeof zeros;
        client_send(c, zeros, part);
    }
}

void client_ask(struct client *c, const char *method, const char *path, const char *fields)
{
    client_sendf(c, "%s %s HTTP/1.1\r\nHost: test\r\n%s\r\n", method, path, fields);
}

/* ---- receiving ---- */

ssize_t client_more(struct client *c)
{
    if (c->len && c->buf != c->mem) memmove(c->mem, c->buf, c->len);
    if (c->cap - c->len <= c->cap / 2) {
        c->cap = c->cap ? 2 * c->cap : BUFFER;
        c->mem = realloc(c->mem, c->cap);
        assert_non_null(c->mem);
    }
    c->buf = c->mem;
    ssize_t n = tcp_try_receive(c->fd, c->buf + c->len, c->cap - c->len);
    c->failed = n < 0 ? (int)n : 0;
    if (n < 0) return n;
    c->len += (size_t)n;
    c->received += (uint64_t)n;
    return n;
}

static void take(struct client *c, void *out, size_t n)
{
    assert_true(n <= c->len);
    if (out && n) memcpy(out, c->buf, n);
    c->len -= n;
    if (n) c->buf += n;
}

static bool fill(struct client *c, size_t n)
{
    while (c->len < n)
        if (client_more(c) <= 0) return false;
    return true;
}

void client_read(struct client *c, void *out, size_t n)
{
    assert_true(fill(c, n));
    take(c, out, n);
}

bool client_read_all(struct client *c)
{
    ssize_t n;
    while ((n = client_more(c)) > 0) continue;
    return n == 0;
}

void client_expect_end(struct client *c)
{
    ssize_t n = c->len ? (ssize_t)c->len : client_more(c);
    if (n > 0) print_error("unexpected: %.*s\n", (int)c->len, c->buf);
    assert_int_equal(n, 0);
}

void client_await_close(struct client *c)
{
    ssize_t n;
    do c->len = 0;
    while ((n = client_more(c)) > 0);
    if (n < 0 && n != -ECONNRESET && n != -EPIPE) print_error("recv: %s\n", strerror((int)-n));
    assert_true(n == 0 || n == -ECONNRESET || n == -EPIPE);
}

/* ---- a response ---- */

/* Bytes up to and including the first `mark`; 0 if the stream ends before. */
static size_t find(struct client *c, const char *mark)
{
    size_t len = strlen(mark), from = 0;
    for (;;) {
        char *at = c->len >= len ? memmem(c->buf + from, c->len - from, mark, len) : NULL;
        if (at) return (size_t)(at - c->buf) + len;
        from = c->len >= len ? c->len - len + 1 : 0;
        if (client_more(c) <= 0) return 0;
    }
}

char *reply_field(const struct reply *r, const char *name)
{
    size_t len = strlen(name);
    if (!r->head) return NULL;
    for (const char *line = strstr(r->head, "\r\n") + 2; *line; line = strstr(line, "\r\n") + 2) {
        if (strncasecmp(line, name, len) != 0 || line[len] != ':') continue;
        const char *value = line + len + 1;
        while (*value == ' ' || *value == '\t') value++;
        return strndup(value, (size_t)(strstr(value, "\r\n") - value));
    }
    return NULL;
}

/* Asserts that every line ends with CRLF, has no control bytes, and, except for the first, is a
 * field. */
static void check_head(const char *head)
{
    assert_int_equal(strncmp(head, "HTTP/1.1 ", 9), 0);
    assert_true(isdigit((unsigned char)head[9]) && isdigit((unsigned char)head[10]) &&
                isdigit((unsigned char)head[11]) && head[12] == ' ');
    for (const char *line = head, *end; *line; line = end + 2) {
        end = strstr(line, "\r\n");
        assert_non_null(end);
        for (const char *c = line; c < end; c++)
            assert_true((unsigned char)*c >= ' ' || *c == '\t');
        if (line != head && end != line) {
            const char *colon = memchr(line, ':', (size_t)(end - line));
            assert_non_null(colon);
            assert_true(colon > line && !memchr(line, ' ', (size_t)(colon - line)));
        }
    }
}

static void add_body(struct client *c, struct reply *r, size_t n)
{
    r->body = realloc(r->body, r->body_len + n + 1);
    assert_non_null(r->body);
    take(c, r->body + r->body_len, n);
    r->body_len += n;
    r->body[r->body_len] = '\0';
}

static bool read_chunks(struct client *c, struct reply *r)
{
    for (;;) {
        size_t line = find(c, "\r\n");
        if (!line) return false;
        char *end;
        assert_true(isxdigit((unsigned char)c->buf[0]));
        size_t size = strtoul(c->buf, &end, 16);
        assert_int_equal(end - c->buf, line - 2);
        if (!fill(c, line + size + 2)) return false;
        take(c, NULL, line);
        add_body(c, r, size);
        assert_int_equal(memcmp(c->buf, "\r\n", 2), 0);
        take(c, NULL, 2);
        if (size == 0) return true;
    }
}

static bool read_body(struct client *c, const char *method, struct reply *r)
{
    char *length = reply_field(r, "Content-Length"), *coding = reply_field(r, "Transfer-Encoding");
    char *connection = reply_field(r, "Connection");
    bool none =
        strcmp(method, "HEAD") == 0 || r->status < 200 || r->status == 204 || r->status == 304;
    bool whole = true;
    r->closes = connection && strcasecmp(connection, "close") == 0;
    r->chunked = coding != NULL;
    assert_false(length && coding);
    r->body = calloc(1, 1);
    if (coding) assert_string_equal(coding, "chunked");
    if (none) {
        whole = true;
    } else if (coding) {
        whole = read_chunks(c, r);
    } else if (length) {
        size_t n = strtoull(length, NULL, 10);
        whole = fill(c, n);
        if (whole) add_body(c, r, n);
    } else {
        r->closes = true;
        whole = client_read_all(c);
        if (whole) add_body(c, r, c->len);
    }
    free(length);
    free(coding);
    free(connection);
    return whole;
}

bool client_try_reply(struct client *c, const char *method, struct reply *r)
{
    reply_free(r);
    size_t n = find(c, "\r\n\r\n");
    if (!n) return false;
    r->head = calloc(1, n + 1);
    assert_non_null(r->head);
    take(c, r->head, n);
    assert_int_equal(strlen(r->head), n);
    check_head(r->head);
    r->head[n - 2] = '\0'; /* without the empty line */
    r->status = atoi(r->head + 9);
    return read_body(c, method, r);
}

void client_reply(struct client *c, const char *method, struct reply *r)
{
    bool whole = client_try_reply(c, method, r);
    if (!whole)
        print_error("incomplete response, then %s: %s%.*s\n",
                    c->failed ? strerror(-c->failed) : "the end", r->head ? r->head : "",
                    (int)c->len, c->buf);
    assert_true(whole);
}

void client_get(struct client *c, const char *path, int status, struct reply *r)
{
    client_ask(c, "GET", path, "");
    client_reply(c, "GET", r);
    reply_expect(r, path, status);
}

void client_fetch(const struct server_addr *addr, const char *path, struct reply *r)
{
    struct client c;
    client_open_to(&c, addr, NULL);
    client_ask(&c, "GET", path, "Connection: close\r\n");
    client_reply(&c, "GET", r);
    assert_true(r->closes);
    client_expect_end(&c);
    client_close(&c);
}

void client_expect(const struct server_addr *addr, const char *path, int status, const char *body)
{
    struct reply r = {0};
    client_fetch(addr, path, &r);
    reply_expect(&r, path, status);
    if (body) assert_string_equal(r.body, body);
    reply_free(&r);
}

void client_expect_refused(const struct server *s)
{
    struct client c;
    struct reply r = {0};
    client_open(&c, s);
    client_get(&c, "/plaintext", 503, &r);
    assert_true(r.closes);
    reply_retry_after(&r);
    client_expect_end(&c);
    client_close(&c);
    reply_free(&r);
}

int reply_retry_after(const struct reply *r)
{
    char *after = reply_field(r, "Retry-After"), *end;
    assert_non_null(after);
    long n = strtol(after, &end, 10);
    assert_true(end > after && *end == '\0' && n > 0);
    free(after);
    return (int)n;
}

void reply_expect(const struct reply *r, const char *what, int status)
{
    if (r->status != status) print_error("%s: %s%s\n", what, r->head, r->body);
    assert_int_equal(r->status, status);
}

void reply_free(struct reply *r)
{
    free(r->head);
    free(r->body);
    *r = (struct reply){0};
}
