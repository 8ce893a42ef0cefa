/* The hosts of conninfo, where one gives no answer. libpq goes on with the next by itself only
 * where it cannot connect to one. */

#include "client/pg.h"

#include "base/slice.h"

#include <stdlib.h>
#include <string.h>

/* ---- lists with commas ---- */

static size_t count(const char *list)
{
    size_t n = *list != '\0';
    for (; *list; list++) n += *list == ',';
    return n;
}

static slice part(const char *list, size_t i)
{
    for (; i > 0; i--) list += strcspn(list, ",") + 1;
    return slice_of(list, strcspn(list, ","));
}

static void erase(char *list, size_t i)
{
    slice gone = part(list, i);
    char *at = list + (gone.ptr - list);
    const char *rest = at + gone.len;
    if (*rest)
        rest++;
    else if (at > list)
        at--; /* the comma before the last */
    memmove(at, rest, strlen(rest) + 1);
}

/* ---- hosts ---- */

static PQconninfoOption *find(PQconninfoOption *all, const char *keyword)
{
    while (all->keyword && strcmp(all->keyword, keyword) != 0) all++;
    return all;
}

static const char *value_of(PQconninfoOption *all, const char *keyword)
{
    const char *value = find(all, keyword)->val;
    return value ? value : "";
}

/* Of `n` hosts, the one that libpq calls like this; n if there is none. */
static size_t find_host(PQconninfoOption *all, size_t n, const char *host, const char *port)
{
    const char *hosts = value_of(all, "host"), *addrs = value_of(all, "hostaddr");
    const char *ports = value_of(all, "port");
    for (size_t i = 0; i < n; i++) {
        slice h = *hosts ? part(hosts, i) : slice_of(NULL, 0);
        slice p = count(ports) == n ? part(ports, i) : slice_str(port);
        if (h.len == 0 && *addrs) h = part(addrs, i);
        if (slice_eq(h, slice_str(host)) && (p.len == 0 || slice_eq(p, slice_str(port)))) return i;
    }
    return n;
}

/* Those that are of fewer than all are of each. */
static void erase_host(PQconninfoOption *all, size_t n, size_t i)
{
    static const char *const lists[] = {"host", "hostaddr", "port"};
    for (size_t k = 0; k < ARRAY_LEN(lists); k++) {
        PQconninfoOption *o = find(all, lists[k]);
        if (o->val && count(o->val) == n) erase(o->val, i);
    }
}

static PGconn *start(const PQconninfoOption *all)
{
    size_t n = 0;
    while (all[n].keyword) n++;
    const char **keys = calloc(2 * (n + 1), sizeof *keys);
    if (!keys) return NULL;
    const char **values = keys + n + 1;
    for (size_t i = 0; i < n; i++) {
        keys[i] = all[i].keyword;
        values[i] = all[i].val;
    }
    PGconn *pg = PQconnectStartParams(keys, values, 0);
    free(keys);
    return pg;
}

PGconn *pg_hosts_rest(PGconn *pg)
{
    PQconninfoOption *all = PQconninfo(pg);
    PGconn *rest = NULL;
    if (!all) return NULL;
    const char *list = value_of(all, "hostaddr");
    size_t n = count(*list ? list : value_of(all, "host"));
    size_t i = find_host(all, n, PQhost(pg), PQport(pg));
    if (n > 1 && i < n) {
        erase_host(all, n, i);
        rest = start(all);
    }
    PQconninfoFree(all);
    if (PQstatus(rest) != CONNECTION_BAD) return rest;
    PQfinish(rest);
    return NULL;
}
