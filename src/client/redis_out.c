/* Bytes on their way to the server, in one piece: what is asked for in one turn leaves in one
 * write. */

#include "client/redis.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { KEPT = 16 * 1024 }; /* bytes of the buffer while it is empty */

bool redis_out_add(struct redis_out *o, const char *bytes, size_t n)
{
    if (o->size - o->end < n) {
        size_t left = o->end - o->begin;
        if (left > 0) memmove(o->bytes, o->bytes + o->begin, left);
        o->begin = 0;
        o->end = left;
    }
    if (o->size - o->end < n) {
        size_t size = o->end + n > 2 * o->size ? o->end + n : 2 * o->size;
        char *more = realloc(o->bytes, size);
        if (!more) return false;
        o->bytes = more;
        o->size = size;
    }
    memcpy(o->bytes + o->end, bytes, n);
    o->end += n;
    return true;
}

bool redis_out_send(struct redis_out *o, int fd)
{
    while (o->begin < o->end) {
        ssize_t n = send(fd, o->bytes + o->begin, o->end - o->begin, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno == EAGAIN;
        o->begin += (size_t)n;
    }
    o->begin = o->end = 0;
    if (o->size > KEPT) redis_out_clear(o);
    return true;
}

void redis_out_clear(struct redis_out *o)
{
    free(o->bytes);
    *o = (struct redis_out){0};
}
