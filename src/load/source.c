#include "load/source.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The last 32 bits of an address, which a range counts up. */
static uint8_t *tail(struct sock_addr *a)
{
    if (a->sa.sa_family == AF_INET) return (uint8_t *)&a->in.sin_addr;
    return (uint8_t *)&a->in6.sin6_addr + 12;
}

static uint32_t number(struct sock_addr *a)
{
    uint32_t word;
    memcpy(&word, tail(a), sizeof word);
    return ntohl(word);
}

static bool alike_before_tail(const struct sock_addr *a, const struct sock_addr *b)
{
    return a->sa.sa_family == b->sa.sa_family &&
           (a->sa.sa_family == AF_INET || memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr, 12) == 0);
}

static bool parse(const char *text, size_t len, struct sock_addr *out)
{
    char word[INET6_ADDRSTRLEN];
    *out = (struct sock_addr){0};
    if (len >= sizeof word) return false;
    memcpy(word, text, len);
    word[len] = '\0';
    if (inet_pton(AF_INET, word, &out->in.sin_addr) == 1) {
        out->in.sin_family = AF_INET;
        out->len = sizeof out->in;
        return true;
    }
    out->in6.sin6_family = AF_INET6;
    out->len = sizeof out->in6;
    return inet_pton(AF_INET6, word, &out->in6.sin6_addr) == 1;
}

bool source_parse(const char *text, struct source *out)
{
    const char *dash = strchr(text, '-'), *end = text + strlen(text);
    struct sock_addr first, last;
    if (!parse(text, (size_t)((dash ? dash : end) - text), &first)) return false;
    if (!parse(dash ? dash + 1 : text, (size_t)(dash ? end - dash - 1 : end - text), &last))
        return false;
    uint32_t low = number(&first), high = number(&last);
    if (high < low || high - low >= SOURCES_MAX) return false;
    *out = (struct source){first, high - low + 1};
    return alike_before_tail(&first, &last);
}

static struct sock_addr address(const struct source *s, uint32_t n)
{
    struct sock_addr a = s->first;
    uint32_t word = htonl(number(&a) + n % s->count);
    memcpy(tail(&a), &word, sizeof word);
    return a;
}

int source_bind(const struct source *s, int fd, uint32_t n)
{
    int one = 1;
    if (s->count == 0) return 0;
    struct sock_addr a = address(s, n);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    return bind(fd, &a.sa, a.len) < 0 ? -errno : 0;
}

uint32_t source_reaches(const struct source *s, struct sock_addr *addrs, uint32_t n)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++)
        if (s->count == 0 || addrs[i].sa.sa_family == s->first.sa.sa_family)
            addrs[kept++] = addrs[i];
    return kept;
}

int source_check(const struct source *s, char which[SOCK_ADDR_TEXT])
{
    int err = 0;
    for (uint32_t n = 0; n < s->count && err == 0; n += s->count > 1 ? s->count - 1 : 1) {
        struct sock_addr a = address(s, n);
        int fd = socket(a.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        inet_ntop(a.sa.sa_family,
                  a.sa.sa_family == AF_INET ? (void *)&a.in.sin_addr : (void *)&a.in6.sin6_addr,
                  which, SOCK_ADDR_TEXT);
        if (fd < 0) return -errno;
        err = source_bind(s, fd, n);
        close(fd);
    }
    return err;
}
