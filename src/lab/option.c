#include "option.h"

#include "params.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { HOST_MAX = 253, SHOWN = 200 };

bool option_is_secret(const char *value)
{
    return strchr(value, '@') || strcasestr(value, "pass");
}

int option_wrong(const char *name, const char *takes, const char *value)
{
    if (option_is_secret(value))
        fprintf(stderr, "torc: --%s takes %s, without a user or a password\n", name, takes);
    else
        fprintf(stderr, "torc: --%s takes %s, not \"%.*s\"\n", name, takes, SHOWN, value);
    return -EINVAL;
}

int option_failed(const char *name, int err)
{
    fprintf(stderr, "torc: --%s: %s\n", name, strerror(err));
    return -err;
}

int option_number(const char *name, const char *value, int64_t min, int64_t max, int64_t *out)
{
    char takes[80];
    int64_t n;
    if (!value) return 0;
    if (!param_whole((torc_slice){value, strlen(value)}, &n) || n < min || n > max) {
        snprintf(takes, sizeof takes, "a whole number from %" PRId64 " to %" PRId64, min, max);
        return option_wrong(name, takes, value);
    }
    *out = n;
    return 0;
}

/* ---- hosts of URLs ---- */

/* "[" IPv6address "]" */
static size_t address_len(const char *s)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    const char *end = strchr(s, ']');
    size_t n = end ? (size_t)(end - s) - 1 : sizeof text;
    if (n >= sizeof text) return 0;
    memcpy(text, s + 1, n);
    text[n] = '\0';
    return inet_pton(AF_INET6, text, &address) == 1 ? n + 2 : 0;
}

static size_t name_len(const char *s)
{
    size_t n = 0;
    while (isalnum((unsigned char)s[n]) || (s[n] && strchr("-._~", s[n]))) n++;
    return n <= HOST_MAX ? n : 0;
}

/* ":" PORT, or nothing; -1 for a colon and something else. */
static int port_len(const char *s)
{
    int64_t port;
    size_t n = 0;
    if (s[0] != ':') return 0;
    while (isdigit((unsigned char)s[1 + n])) n++;
    bool ok = param_whole((torc_slice){s + 1, n}, &port) && port > 0 && port <= UINT16_MAX;
    return ok ? (int)n + 1 : -1;
}

size_t option_host(const char *text)
{
    size_t n = text[0] == '[' ? address_len(text) : name_len(text);
    int port = n > 0 ? port_len(text + n) : -1;
    return port < 0 ? 0 : n + (size_t)port;
}
