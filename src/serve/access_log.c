#include "serve/access_log.h"

#include "base/counter.h"
#include "base/log.h"
#include "serve/access_line.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum {
    DRAIN_MS = 50,
    PIPE_PIECE = 4096, /* what never blocks once poll says that there is room, pipe(7) */
};

/* What a reader of the log that does not read may hold up the end. */
#define CLOSE_NS   (2 * NS_PER_S)
#define WARNING_NS (10 * NS_PER_S)

struct access_log_ring {
    /* Of its core. Positions count bytes ever written and wrap around ACCESS_RING. */
    _Alignas(64) _Atomic size_t tail; /* behind the last whole line */
    uint64_t dropped;                 /* lines that did not fit */
    enum log_format format;
    char *bytes;
    uint64_t time_until; /* io time until which `time` is right */
    uint32_t time_len;
    char time[ACCESS_TIME_MAX];

    /* Of the writing thread. */
    _Alignas(64) _Atomic size_t head; /* the first byte that is not in the file */
    uint64_t lost;                    /* lines that the file did not take */
};

struct access_log {
    char *path; /* NULL for stdout */
    int fd;
    int wake_fd;
    bool regular;         /* a file, to which a write does not wait for a reader */
    bool torn;            /* the last line in the file is not whole */
    uint64_t quiet_until; /* ns; after a complaint */
    uint64_t give_up;     /* ns; when closing */
    _Atomic bool reopen, closing;
    pthread_t thread;
    uint32_t n_rings;
    struct access_log_ring *rings;
};

/* ---- adding ---- */

static void refresh_time(struct access_log_ring *r, uint64_t now)
{
    struct timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    r->time_len = access_time(r->format, wall.tv_sec, r->time);
    r->time_until = now + NS_PER_S - (uint64_t)wall.tv_nsec;
}

void access_log_add(struct access_log_ring *r, const struct torc_req *rq, const char *peer,
                    uint64_t bytes_sent)
{
    struct access_entry e = access_entry_of(rq, peer, bytes_sent);
    size_t most = access_line_most(&e);
    size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    size_t used = tail - atomic_load_explicit(&r->head, memory_order_acquire);
    if (most > ACCESS_RING - used) {
        counter_add(&r->dropped, 1);
        return;
    }
    uint64_t now = rq->ctx->io->now;
    if (now >= r->time_until) refresh_time(r, now);
    size_t end = access_line_put(r->bytes, tail, r->format, &e, slice_of(r->time, r->time_len));
    ASSERT(end - tail <= most);
    atomic_store_explicit(&r->tail, end, memory_order_release);
}

uint64_t access_log_dropped(const struct access_log_ring *r)
{
    return counter_get(&r->dropped) + counter_get(&r->lost);
}

/* ---- the writing thread ---- */

static int open_file(const struct access_log *log)
{
    if (!log->path) return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
    /* A pipe without a reader is an error (ENXIO), not something to wait for. */
    int fd =
        open(log->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
    if (fd >= 0) fcntl(fd, F_SETFL, O_APPEND);
    return fd;
}

static void use_file(struct access_log *log, int fd)
{
    struct stat st;
    log->fd = fd;
    log->regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    log->torn = false;
}

static void reopen(struct access_log *log)
{
    if (!log->path) return;
    int fd = open_file(log);
    if (fd < 0) {
        log_line("access log %s cannot be opened anew, the old file goes on: %s", log->path,
                 strerror(errno));
        return;
    }
    close(log->fd);
    use_file(log, fd);
}

/* Waits for a reader; false once the log has been closing for long enough. */
static bool wait_room(struct access_log *log)
{
    struct pollfd p = {log->fd, POLLOUT, 0};
    do {
        if (!atomic_load_explicit(&log->closing, memory_order_acquire)) continue;
        uint64_t now = clock_ns();
        if (!log->give_up) log->give_up = now + CLOSE_NS;
        if (now >= log->give_up) return false;
    } while (poll(&p, 1, DRAIN_MS) <= 0);
    return true;
}

/* A count or negative errno, -ETIMEDOUT where the reader does not read. */
static ssize_t write_some(struct access_log *log, struct iovec *iov, int count)
{
    if (!log->regular) {
        if (!wait_room(log)) return -ETIMEDOUT;
        count = 1;
        if (iov[0].iov_len > PIPE_PIECE) iov[0].iov_len = PIPE_PIECE;
    }
    ssize_t n = writev(log->fd, iov, count);
    return n < 0 ? -errno : n;
}

static uint64_t count_lines(const struct access_log_ring *r, size_t from, size_t to)
{
    uint64_t n = 0;
    for (; from != to; from++) n += r->bytes[from % ACCESS_RING] == '\n';
    return n;
}

static void give_away(struct access_log *log, struct access_log_ring *r, size_t head, size_t tail,
                      int err)
{
    uint64_t now = clock_ns();
    if (now >= log->quiet_until) {
        log->quiet_until = now + WARNING_NS;
        log_line("access log %s: %s; lines are dropped", log->path ? log->path : "on stdout",
                 strerror(-err));
    }
    counter_add(&r->lost, count_lines(r, head, tail));
    atomic_store_explicit(&r->head, tail, memory_order_release);
}

static void drain_ring(struct access_log *log, struct access_log_ring *r)
{
    size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    size_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);
    bool inside = false; /* a line of which the file has a part */
    while (head != tail) {
        size_t at = head % ACCESS_RING, n = tail - head;
        size_t first = n < ACCESS_RING - at ? n : ACCESS_RING - at;
        struct iovec lines[2] = {{r->bytes + at, first}, {r->bytes, n - first}};
        struct iovec end = {"\n", 1};
        ssize_t done = write_some(log, log->torn ? &end : lines, !log->torn && n > first ? 2 : 1);
        if (done == -EINTR || done == -EAGAIN) continue;
        if (done < 0) {
            log->torn |= inside;
            give_away(log, r, head, tail, (int)done);
            return;
        }
        if (log->torn) {
            log->torn = false;
            continue;
        }
        head += (size_t)done;
        inside = r->bytes[(head - 1) % ACCESS_RING] != '\n';
        atomic_store_explicit(&r->head, head, memory_order_release);
    }
}

static void *run(void *arg)
{
    struct access_log *log = arg;
    struct pollfd wake = {log->wake_fd, POLLIN, 0};
    uint64_t wakes;
    pthread_setname_np(pthread_self(), "torc-log");
    for (bool last = false; !last;) {
        if (poll(&wake, 1, DRAIN_MS) > 0 && read(log->wake_fd, &wakes, sizeof wakes) < 0) continue;
        last = atomic_load_explicit(&log->closing, memory_order_acquire);
        bool anew = atomic_exchange_explicit(&log->reopen, false, memory_order_acquire);
        for (uint32_t i = 0; i < log->n_rings; i++) drain_ring(log, &log->rings[i]);
        if (anew) reopen(log);
    }
    return NULL;
}

/* ---- life ---- */

static void wake(struct access_log *log)
{
    uint64_t one = 1;
    int saved = errno;
    ssize_t n = write(log->wake_fd, &one, sizeof one);
    (void)n;
    errno = saved;
}

static void release(struct access_log *log)
{
    for (uint32_t i = 0; log->rings && i < log->n_rings; i++) free(log->rings[i].bytes);
    free(log->rings);
    if (log->fd >= 0) close(log->fd);
    if (log->wake_fd >= 0) close(log->wake_fd);
    free(log->path);
    free(log);
}

static bool make_rings(struct access_log *log, enum log_format format)
{
    size_t size = log->n_rings * sizeof *log->rings;
    log->rings = aligned_alloc(_Alignof(struct access_log_ring), size);
    if (!log->rings) return false;
    memset(log->rings, 0, size);
    for (uint32_t i = 0; i < log->n_rings; i++) {
        log->rings[i].format = format;
        log->rings[i].bytes = malloc(ACCESS_RING);
        if (!log->rings[i].bytes) return false;
    }
    return true;
}

/* Signals are the program's to take, on threads of its own; among them those that a write to a
 * closed pipe or past a size limit raises, which here are errors. */
static int start_thread(struct access_log *log)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = pthread_create(&log->thread, NULL, run, log);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return err;
}

struct access_log *access_log_open(const char *path, enum log_format format, uint32_t rings)
{
    struct access_log *log = calloc(1, sizeof *log);
    if (!log) return NULL;
    bool to_file = strcmp(path, "-") != 0;
    log->n_rings = rings;
    log->fd = log->wake_fd = -1;
    log->path = to_file ? strdup(path) : NULL;
    int err = (to_file && !log->path) || !make_rings(log, format) ? ENOMEM : 0;
    if (!err && (log->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0) err = errno;
    if (!err && (log->fd = open_file(log)) < 0) err = errno;
    if (!err) {
        use_file(log, log->fd);
        err = start_thread(log);
    }
    if (err) {
        release(log);
        errno = err;
        return NULL;
    }
    return log;
}

struct access_log_ring *access_log_ring(struct access_log *log, uint32_t index)
{
    ASSERT(index < log->n_rings);
    return &log->rings[index];
}

void access_log_reopen(struct access_log *log)
{
    atomic_store_explicit(&log->reopen, true, memory_order_release);
    wake(log);
}

void access_log_close(struct access_log *log)
{
    atomic_store_explicit(&log->closing, true, memory_order_release);
    wake(log);
    pthread_join(log->thread, NULL);
    release(log);
}
