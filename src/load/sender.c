#include "load/sender.h"

#include "base/clock.h"

#include <stdlib.h>

/* Fills the placeholders of `r` after the `len` bytes of those before it; false where it must wait
 * for the next send. */
static bool add_filled(struct sender *s, const struct request *r, struct filler *filler,
                       size_t *len)
{
    size_t room = request_room(r);
    if (*len + room > s->filled_cap) {
        char *more = *len ? NULL : realloc(s->filled, room * IO_SEND_IOV);
        if (!more) return false;
        s->filled = more;
        s->filled_cap = room * IO_SEND_IOV;
    }
    char *from = s->filled + *len, *end = request_fill(r, filler, from);
    *len += (size_t)(end - from);
    s->send.iov[s->send.count++] = (struct iovec){from, (size_t)(end - from)};
    return true;
}

/* Equal requests in a row become one piece, as far as there are copies. */
static void add_copy(struct io_send *send, const struct request *r)
{
    struct iovec *last = send->count ? &send->iov[send->count - 1] : NULL;
    if (last && last->iov_base == r->bytes.ptr && last->iov_len / r->bytes.len < r->copies)
        last->iov_len += r->bytes.len;
    else
        send->iov[send->count++] = (struct iovec){(void *)(uintptr_t)r->bytes.ptr, r->bytes.len};
}

bool sender_fill(struct sender *s, struct pipeline *p, const struct request *requests,
                 struct filler *filler)
{
    uint64_t now = clock_ns();
    size_t len = 0;
    s->send.count = 0;
    for (; p->sent != p->tail && s->send.count < IO_SEND_IOV; p->sent++) {
        struct pending *next = pipeline_at(p, p->sent);
        const struct request *r = &requests[next->request];
        if (r->bytes.ptr)
            add_copy(&s->send, r);
        else if (!add_filled(s, r, filler, &len))
            break;
        next->sent = now;
        if (!next->intended) next->intended = now;
    }
    return s->send.count > 0;
}

void sender_free(struct sender *s)
{
    free(s->filled);
}
