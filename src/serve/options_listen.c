/* Options that say where connections come from. */

#include "io/local.h"
#include "serve/inherited.h"
#include "serve/options_table.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <unistd.h>

static int add_address(struct option_set *s, const struct option *o, const struct sock_addr *addr,
                       int given)
{
    struct options *to = options_get(s);
    if (to->n_listen == LISTEN_MAX)
        return option_fail(s, "%s%s can be given at most %d times", option_dashes(s), o->name,
                           LISTEN_MAX);
    to->given[to->n_listen] = given;
    to->listen[to->n_listen++] = *addr;
    return 0;
}

/* A socket that the process was started with. */
static int add_given(struct option_set *s, const struct option *o, int fd)
{
    struct sock_addr addr;
    char local[SOCK_ADDR_TEXT];
    int err = inherited_describe(fd, &addr, local);
    if (err < 0)
        return option_fail(s, "%s%s: descriptor %d is no listening socket: %s", option_dashes(s),
                           o->name, fd, strerror(-err));
    if (addr.sa.sa_family != AF_UNIX) return add_address(s, o, &addr, fd);
    const char *kept = option_keep(s, local + strlen("unix:"));
    if (!kept) return option_no_memory(s);
    addr.path = kept;
    return add_address(s, o, &addr, fd);
}

int options_listen_inherited(struct option_set *s, const struct option *o)
{
    unsigned n = inherited_count();
    uint64_t other = inherited_other();
    int err = 0;
    if (n == 0 && other)
        return option_fail(s,
                           "%s%s systemd: the sockets of LISTEN_FDS are for the process %" PRIu64
                           " (LISTEN_PID), not for this one, %d",
                           option_dashes(s), o->name, other, (int)getpid());
    if (n == 0)
        return option_fail(s, "%s%s systemd: this process was given no socket (LISTEN_FDS)",
                           option_dashes(s), o->name);
    for (unsigned i = 0; i < n && err == 0; i++) err = add_given(s, o, INHERITED_FIRST + (int)i);
    return err;
}

static bool parse_descriptor(const char *text, int *fd)
{
    uint64_t n;
    if (strncmp(text, "fd:", 3) != 0 || !slice_u64(slice_str(text + 3), &n) || n > INT_MAX)
        return false;
    *fd = (int)n;
    return true;
}

static int fail_long(struct option_set *s, const struct option *o, const char *text)
{
    return option_fail(s,
                       "%s%s %.40s...: the path of a Unix socket may have at most %d bytes, not "
                       "%zu",
                       option_dashes(s), o->name, text, LOCAL_PATH_MAX,
                       strlen(text) - strlen("unix:"));
}

int options_fail_address(struct option_set *s, const struct option *o, const char *text)
{
    struct sock_addr addr;
    char numbered[SOCK_ADDR_TEXT];
    const char *zone = strchr(text, '%'), *end = zone ? strchr(zone, ']') : NULL;
    if (!end || end == zone + 1) return option_not_valid(s, o, text);
    /* It is the name that is wrong where a number is right. */
    snprintf(numbered, sizeof numbered, "%.*s%%1%s", (int)(zone - text), text, end);
    if (!sock_addr_parse(numbered, &addr)) return option_not_valid(s, o, text);
    return option_fail(s, "%s%s %.80s: there is no network interface %.*s", option_dashes(s),
                       o->name, text, (int)(end - zone - 1), zone + 1);
}

int options_add_listen(struct option_set *s, const struct option *o, const char *text)
{
    struct sock_addr addr;
    int fd;
    if (o->level < s->level) options_get(s)->n_listen = 0; /* a higher level replaces the list */
    if (strcmp(text, "systemd") == 0) return options_listen_inherited(s, o);
    if (parse_descriptor(text, &fd)) return add_given(s, o, fd);
    const char *kept = option_keep(s, text);
    if (!kept) return option_no_memory(s);
    int err = local_parse(kept, &addr);
    if (err == -ENAMETOOLONG) return fail_long(s, o, text);
    if (err < 0 && !sock_addr_parse(text, &addr)) return options_fail_address(s, o, text);
    return add_address(s, o, &addr, -1);
}

int options_set_socket_mode(struct option_set *s, const struct option *o, const char *text)
{
    uint32_t mode = 0;
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++) {
        if (n > 4 || text[i] < '0' || text[i] > '7') return option_not_valid(s, o, text);
        mode = mode * 8 + (uint32_t)(text[i] - '0');
    }
    if (mode == 0 || mode > 0777) return option_not_valid(s, o, text);
    options_get(s)->socket_mode = mode;
    return 0;
}

/* ---- proxies ---- */

int options_add_proxy(struct option_set *s, const struct option *o, const char *text)
{
    struct networks *to = &options_get(s)->limits.proxies.trusted;
    struct network one;
    if (!network_parse(slice_str(text), &one)) return option_not_valid(s, o, text);
    if (o->level < s->level) to->n = 0; /* a higher level replaces the list */
    if (to->n == NETWORKS_MAX)
        return option_fail(s, "%s%s can be given at most %d times", option_dashes(s), o->name,
                           NETWORKS_MAX);
    to->list[to->n++] = one;
    return 0;
}

int options_set_proxy_field(struct option_set *s, const struct option *o, const char *text)
{
    bool forwarded = strcmp(text, "forwarded") == 0;
    if (!forwarded && strcmp(text, "x-forwarded-for") != 0) return option_not_valid(s, o, text);
    options_get(s)->limits.proxies.forwarded = forwarded;
    return 0;
}
