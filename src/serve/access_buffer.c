#include "serve/access_buffer.h"

#include "base/counter.h"
#include "base/emit.h"

#include <errno.h>
#include <time.h>

/* Bytes in a buffer from which on the thread is woken. */
enum { WAKE_SIZE = ACCESS_BUFFER_SIZE / 4 };

void access_wake(int fd)
{
    uint64_t one = 1;
    int saved = errno;
    ssize_t n = emit(fd, &one, sizeof one);
    (void)n;
    errno = saved;
}

static void refresh_time(struct access_log_buffer *b, uint64_t now)
{
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    b->time_len = access_time(b->format, wall.tv_sec, b->time);
    b->time_until = now + NS_PER_S - (uint64_t)wall.tv_nsec;
}

void access_buffer_add(struct access_log_buffer *b, const struct torc_req *rq, const char *peer,
                       uint64_t bytes_sent, enum http_end end, uint64_t now)
{
    struct access_entry e = access_entry_from(rq, peer, bytes_sent, end, now);
    size_t bound = access_line_bound(&e);
    size_t tail = atomic_load_explicit(&b->tail, memory_order_relaxed);
    size_t head = atomic_load_explicit(&b->head, memory_order_acquire);
    if (bound > ACCESS_BUFFER_SIZE - (tail - head)) {
        counter_add(&b->dropped, 1);
        return;
    }
    if (now >= b->time_until) refresh_time(b, now);
    size_t line_end =
        access_line_write(b->bytes, tail, b->format, &e, slice_of(b->time, b->time_len));
    ASSERT(line_end - tail <= bound);
    atomic_store_explicit(&b->tail, line_end, memory_order_release);
    /* Once per fill: a system call for each line would cost more than the line. */
    if (line_end - head >= WAKE_SIZE && !atomic_load_explicit(&b->woken, memory_order_relaxed)) {
        atomic_store_explicit(&b->woken, true, memory_order_relaxed);
        access_wake(b->wake_fd);
    }
}

uint64_t access_buffer_dropped(const struct access_log_buffer *b)
{
    return counter_get(&b->dropped) + counter_get(&b->lost);
}
