#include "serve/access_log.h"

#include "base/counter.h"
#include "base/latch.h"
#include "base/limit.h"
#include "base/log.h"
#include "serve/access_buffer.h"
#include "serve/access_file.h"
#include "serve/access_line.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
    STUCK_INTERVAL_MS = 50,      /* between two looks whether the log is closing */
    PIPE_WRITE_MAX = 4096,       /* does not block once poll reports POLLOUT, pipe(7) */
    FILE_WRITE_MAX = 256 * 1024, /* so that a slow disk is seen to take something */
    POLL_REFUSED = 1,
};

/* How long a reader that does not read its pipe can delay access_log_close, and access_log_flush.
 */
#define CLOSE_TIMEOUT_NS (2 * NS_PER_S)
#define WARNING_NS       (10 * NS_PER_S)

/* How long a disk that takes nothing can delay access_log_close: longer, as a pipe's writer ends by
 * itself. */
#define DISK_TIMEOUT_NS (2 * CLOSE_TIMEOUT_NS)
#define SETTLE_NS       (NS_PER_S / 2)

struct access_log {
    char *path; /* NULL for stdout; other threads read it with `naming` held */
    pthread_mutex_t naming;
    int fd;
    int wake_fd, flush_ms;
    bool regular;            /* a regular file, to which writes do not wait for a reader */
    bool partial_line;       /* the file ends within a line, after a failed write */
    bool leaving;            /* another file takes its place next */
    int write_error;         /* of the last failed write since the last warning; or 0 */
    uint64_t reported;       /* lost lines that were warned of */
    uint64_t next_warning;   /* ns; no warning before */
    uint64_t close_deadline; /* ns; set while closing */
    _Atomic bool reopen, closing;
    struct access_move *_Atomic move; /* for its thread to take; or NULL */
    pthread_t thread;
    struct latch end; /* of the thread */
    uint32_t n_buffers;
    struct access_log_buffer *buffers;
};

int access_log_descriptor(const struct access_log *log)
{
    return log->fd;
}

/* ---- the writer thread ---- */

/* In place of the one before, if any. */
static void use_file(struct access_log *log, int fd)
{
    if (!access_file_same(log->fd, fd)) log->partial_line = false;
    if (log->fd >= 0) close(log->fd);
    log->fd = fd;
    log->regular = access_file_regular(fd);
}

static void reopen(struct access_log *log)
{
    if (!log->path) return;
    int fd = access_file_open(log->path);
    if (fd < 0) {
        log_line("cannot reopen access log %s: %s; continuing with the old file", log->path,
                 strerror(errno));
        return;
    }
    use_file(log, fd);
}

/* The old file is closed under its name: its disk may hold that up. */
static void move_to(struct access_log *log, struct access_move *m)
{
    char *old = log->path;
    use_file(log, m->fd);
    pthread_mutex_lock(&log->naming);
    log->path = m->path;
    pthread_mutex_unlock(&log->naming);
    m->path = old;
    m->fd = -1;
    access_move_free(m);
}

/* Says how many lines were lost since it was last said. */
static void warn_of_losses(struct access_log *log, uint64_t now)
{
    uint64_t lost = 0;
    for (uint32_t i = 0; i < log->n_buffers; i++) lost += access_buffer_dropped(&log->buffers[i]);
    if (lost == log->reported || now < log->next_warning) return;
    log_line("access log %s: %" PRIu64 " lines lost: %s", log->path ? log->path : "on stdout",
             lost - log->reported,
             log->write_error ? strerror(log->write_error) : "it does not take them fast enough");
    log->reported = lost;
    log->next_warning = now + WARNING_NS;
    log->write_error = 0;
}

/* Whether another file is to take the place of this one. */
static bool is_leaving(const struct access_log *log)
{
    return log->leaving || atomic_load(&log->move) || (log->path && atomic_load(&log->reopen));
}

/* Waits for room in the pipe. 0, or POLL_REFUSED: that is left to the write; -ETIMEDOUT if the log
 * is closing and CLOSE_TIMEOUT_NS has passed; -ECANCELED if there is no room and the log goes on in
 * another file. */
static int wait_writable(struct access_log *log)
{
    struct pollfd p = {log->fd, POLLOUT, 0};
    int n;
    do {
        uint64_t now = clock_ns();
        warn_of_losses(log, now);
        if (atomic_load_explicit(&log->closing, memory_order_acquire)) {
            if (!log->close_deadline) log->close_deadline = now + CLOSE_TIMEOUT_NS;
            if (now >= log->close_deadline) return -ETIMEDOUT;
        }
        n = poll(&p, 1, STUCK_INTERVAL_MS);
        if (n == 0 && is_leaving(log)) return -ECANCELED;
    } while (n == 0 || (n < 0 && errno == EINTR));
    return n < 0 ? POLL_REFUSED : 0;
}

/* After a write that found no room: who shares the pipe may have made it non-blocking. -EAGAIN, to
 * try again; or as above. */
static int wait_unpolled(const struct access_log *log)
{
    static const struct timespec pause = {0, STUCK_INTERVAL_MS * NS_PER_MS};
    nanosleep(&pause, NULL);
    return is_leaving(log) ? -ECANCELED : -EAGAIN;
}

/* A count or negative errno, which is that of wait_writable if the reader of a pipe does not read.
 */
static ssize_t write_some(struct access_log *log, const char *bytes, size_t size)
{
    size_t most = log->regular ? FILE_WRITE_MAX : PIPE_WRITE_MAX;
    int room = log->regular ? 0 : wait_writable(log);
    if (room < 0) return room;
    ssize_t n = write(log->fd, bytes, size < most ? size : most);
    if (n < 0 && errno == EAGAIN && room == POLL_REFUSED) return wait_unpolled(log);
    return n < 0 ? -errno : n;
}

static void drop_lines(struct access_log *log, struct access_log_buffer *b, size_t head,
                       size_t tail, int err)
{
    log->write_error = -err;
    counter_add(&b->lost, access_line_count(b->bytes, head, tail));
    atomic_store_explicit(&b->head, tail, memory_order_release);
}

/* The next file takes the lines from the next whole one on: the rest of a line that this one has in
 * part is lost. */
static void leave_lines(struct access_log *log, struct access_log_buffer *b, size_t head,
                        bool mid_line)
{
    size_t next = head;
    while (mid_line && b->bytes[next++ % ACCESS_BUFFER_SIZE] != '\n') continue;
    if (mid_line) drop_lines(log, b, head, next, -EPIPE);
    log->partial_line |= mid_line;
}

static void write_buffered(struct access_log *log, struct access_log_buffer *b)
{
    size_t head = atomic_load_explicit(&b->head, memory_order_relaxed);
    atomic_store_explicit(&b->woken, false, memory_order_relaxed);
    size_t tail = atomic_load_explicit(&b->tail, memory_order_acquire);
    bool mid_line = false; /* the file has a part of the current line */
    while (head != tail) {
        size_t at = head % ACCESS_BUFFER_SIZE, n = tail - head;
        size_t first = n < ACCESS_BUFFER_SIZE - at ? n : ACCESS_BUFFER_SIZE - at;
        bool partial = log->partial_line;
        ssize_t done = partial ? write_some(log, "\n", 1) : write_some(log, b->bytes + at, first);
        if (done == -EINTR || done == -EAGAIN) continue;
        if (done == -ECANCELED) {
            leave_lines(log, b, head, mid_line);
            return;
        }
        if (done < 0) {
            log->partial_line |= mid_line;
            drop_lines(log, b, head, tail, (int)done);
            return;
        }
        if (partial) {
            log->partial_line = false;
            continue;
        }
        head += (size_t)done;
        mid_line = b->bytes[(head - 1) % ACCESS_BUFFER_SIZE] != '\n';
        atomic_store_explicit(&b->head, head, memory_order_release);
    }
}

/* Until it is time to write, or the thread is woken. Where that is refused, it looks now and then.
 */
static void wait_woken(const struct access_log *log)
{
    static const struct timespec pause = {0, ACCESS_FLUSH_MS * NS_PER_MS};
    struct pollfd p = {log->wake_fd, POLLIN, 0};
    uint64_t wakes;
    int n = poll(&p, 1, log->flush_ms);
    if (n < 0 || (n > 0 && read(log->wake_fd, &wakes, sizeof wakes) < 0)) nanosleep(&pause, NULL);
}

static void release(struct access_log *log)
{
    for (uint32_t i = 0; log->buffers && i < log->n_buffers; i++) free(log->buffers[i].bytes);
    free(log->buffers);
    if (log->fd >= 0) close(log->fd);
    if (log->wake_fd >= 0) close(log->wake_fd);
    access_move_free(atomic_load(&log->move));
    latch_free(&log->end);
    pthread_mutex_destroy(&log->naming);
    free(log->path);
    free(log);
}

static void *run(void *arg)
{
    struct access_log *log = arg;
    pthread_setname_np(pthread_self(), "torc-log");
    for (bool last = false, closing = false; !last;) {
        if (!closing) wait_woken(log);
        closing = atomic_load_explicit(&log->closing, memory_order_acquire);
        bool reopening = atomic_exchange_explicit(&log->reopen, false, memory_order_acquire);
        struct access_move *move = atomic_exchange(&log->move, NULL);
        log->leaving = move || (reopening && log->path);
        last = closing && !log->leaving;
        for (uint32_t i = 0; i < log->n_buffers; i++) write_buffered(log, &log->buffers[i]);
        if (last) log->next_warning = 0;
        warn_of_losses(log, clock_ns());
        /* Lines from before a rotation are in the old file. It may have been one of the file that
         * the log moves to, after that was opened. */
        if (move) move_to(log, move);
        if (reopening) reopen(log);
        log->leaving = false;
    }
    close(log->fd); /* a disk may hold that up, too */
    log->fd = -1;
    if (!latch_end(&log->end)) release(log);
    return NULL;
}

/* ---- opening and closing ---- */

static bool create_buffers(struct access_log *log, enum log_format format)
{
    size_t size = log->n_buffers * sizeof *log->buffers;
    log->buffers = aligned_alloc(_Alignof(struct access_log_buffer), size);
    if (!log->buffers) return false;
    memset(log->buffers, 0, size);
    for (uint32_t i = 0; i < log->n_buffers; i++) {
        log->buffers[i].format = format;
        log->buffers[i].wake_fd = log->wake_fd;
        log->buffers[i].bytes = malloc(ACCESS_BUFFER_SIZE);
        if (!log->buffers[i].bytes) return false;
    }
    return true;
}

/* The thread blocks all signals: the program handles its own elsewhere, and SIGPIPE and SIGXFSZ of
 * a write are reported as errors here. */
static int start_thread(struct access_log *log)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = pthread_create(&log->thread, NULL, run, log);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return err;
}

/* The reason that access_log_open gives. */
struct reason {
    char *text;
    size_t size;
};

/* Says what is refused, which need not be the file. */
static int fail(const struct reason *why, const char *what, int err)
{
    const char *limit = err == ENOMEM ? limit_of_memory(ACCESS_BUFFER_SIZE) : limit_of_thread(err);
    snprintf(why->text, why->size, "the access log cannot %s: %s%s", what, strerror(err), limit);
    return err;
}

/* 0, or an errno and its reason. */
static int open_all(struct access_log *log, enum log_format format, const char *path,
                    const struct reason *why)
{
    if (access_file_path(path) && !(log->path = strdup(path)))
        return fail(why, "get memory", ENOMEM);
    log->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (log->wake_fd < 0) return fail(why, "open an eventfd", errno);
    if (!create_buffers(log, format)) return fail(why, "get memory", ENOMEM);
    int fd = access_file_open(log->path);
    if (fd < 0) {
        int err = errno;
        snprintf(why->text, why->size, "cannot open --access-log %s: %s", path, strerror(err));
        return err;
    }
    use_file(log, fd);
    int err = start_thread(log);
    return err ? fail(why, "start its thread", err) : 0;
}

struct access_log *access_log_open(const char *path, enum log_format format, uint32_t cores,
                                   int flush_ms, char *why, size_t size)
{
    const struct reason reason = {why, size};
    struct access_log *log = calloc(1, sizeof *log);
    if (!log) {
        errno = fail(&reason, "get memory", ENOMEM);
        return NULL;
    }
    log->n_buffers = cores;
    log->flush_ms = flush_ms;
    log->fd = log->wake_fd = -1;
    latch_init(&log->end);
    pthread_mutex_init(&log->naming, NULL);
    int err = open_all(log, format, path, &reason);
    if (err) {
        release(log);
        errno = err;
        return NULL;
    }
    return log;
}

struct access_log_buffer *access_log_buffer(struct access_log *log, uint32_t index)
{
    ASSERT(index < log->n_buffers);
    return &log->buffers[index];
}

void access_log_reopen(struct access_log *log)
{
    atomic_store_explicit(&log->reopen, true, memory_order_release);
    access_wake(log->wake_fd);
}

void access_log_move(struct access_log *log, struct access_move *to)
{
    access_move_free(atomic_exchange(&log->move, to));
    access_wake(log->wake_fd);
}

/* Bytes that are not yet in the file. */
static size_t unwritten(const struct access_log *log)
{
    size_t n = 0;
    for (uint32_t i = 0; i < log->n_buffers; i++)
        n += atomic_load(&log->buffers[i].tail) - atomic_load(&log->buffers[i].head);
    return n;
}

void access_log_flush(struct access_log *log)
{
    const struct timespec pause = {0, NS_PER_MS};
    uint64_t until = clock_ns() + CLOSE_TIMEOUT_NS;
    access_wake(log->wake_fd);
    while (unwritten(log) > 0 && clock_ns() < until) nanosleep(&pause, NULL);
}

static uint64_t count_unwritten(const struct access_log *log)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < log->n_buffers; i++) {
        const struct access_log_buffer *b = &log->buffers[i];
        n += access_line_count(b->bytes, atomic_load(&b->head), atomic_load(&b->tail));
    }
    return n;
}

/* Whether its thread is held by a disk that takes nothing: for so long, and a little longer, should
 * it have been the machine that stood still. */
static bool is_stuck(struct access_log *log)
{
    size_t left = unwritten(log);
    if (latch_await(&log->end, clock_ns() + DISK_TIMEOUT_NS) || unwritten(log) < left) return false;
    return !latch_await(&log->end, clock_ns() + SETTLE_NS) && unwritten(log) == left;
}

/* What its end without the log is told with: the name is of the file that holds it up, which need
 * not be what the options say by now. */
static void describe_loss(struct access_log *log, char *text, size_t size)
{
    pthread_mutex_lock(&log->naming);
    snprintf(text, size,
             "access log %s: the disk does not answer; stopping without it, lines lost: %" PRIu64,
             log->path ? log->path : "on stdout", count_unwritten(log));
    pthread_mutex_unlock(&log->naming);
}

bool access_log_close(struct access_log *log)
{
    pthread_t thread = log->thread;
    atomic_store_explicit(&log->closing, true, memory_order_release);
    access_wake(log->wake_fd);
    while (!latch_is_done(&log->end)) {
        if (!is_stuck(log)) continue;
        char loss[PATH_MAX + 100];
        describe_loss(log, loss, sizeof loss);
        if (!latch_leave(&log->end)) break;
        log_line("%s", loss);
        pthread_detach(thread); /* it releases the log, if ever */
        return false;
    }
    pthread_join(thread, NULL);
    release(log);
    return true;
}
