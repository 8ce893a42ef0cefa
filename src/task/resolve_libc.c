/* Lookups by the C library. It does not tell how long an answer may be used, nor can it be told to
 * end: one that is not waited for any more lasts as long as /etc/resolv.conf lets it. */

#include "task/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>

enum { TTL = 5 }; /* seconds */

static int result_of(int status, int err)
{
    switch (status) {
    case 0: return 0;
    case EAI_NONAME:
#ifdef EAI_NODATA
    case EAI_NODATA:
#endif
        return -ENOENT;
    case EAI_MEMORY: return -ENOMEM;
    case EAI_SYSTEM: return err > 0 ? -err : -EAGAIN;
    default: return -EAGAIN; /* servers do not respond, or cannot answer */
    }
}

static void add(struct resolved *out, const struct addrinfo *i)
{
    struct sock_addr *a = &out->addr[out->count];
    if (out->count == RESOLVE_ADDRS || i->ai_addrlen > sizeof a->in6) return;
    *a = (struct sock_addr){.len = i->ai_addrlen};
    memcpy(&a->sa, i->ai_addr, i->ai_addrlen);
    out->count++;
}

int resolve_system(struct torc_job *j, const char *name, struct resolved *out)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    (void)j;
    out->count = 0;
    out->ttl = TTL;
    int err = getaddrinfo(name, NULL, &hints, &found);
    if (err) return result_of(err, errno);
    for (const struct addrinfo *i = found; i; i = i->ai_next) add(out, i);
    freeaddrinfo(found);
    return 0;
}
