#include "serve/heap.h"

#ifdef __GLIBC__

#include "base/clock.h"

#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define PAUSE     (5 * NS_PER_S)
#define PAUSE_MAX (32 * PAUSE)

enum { WORTH = 8 << 20 /* bytes: less is needed again soon */, REST = 100 /* times a look */ };

/* Bytes of memory that the process has; 0 if it cannot be told. */
static size_t size_of_process(void)
{
    char text[128];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0) close(fd);
    if (n <= 0) return 0;
    text[n] = '\0';
    char *resident = text;
    strtoul(text, &resident, 10);
    return strtoul(resident, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
}

/* ---- when to look ---- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards these; held but for moments */
static uint64_t looked_at, glanced_at;
static uint64_t pause_ns = PAUSE; /* until a look without a cause */
static uint64_t rest_ns;          /* after the last look, in any case */
static size_t least_size;         /* since the last look; bytes */
static size_t held, most_held;    /* by all cores: now, and the most since the last look */
static bool caused;               /* the last look, not just by its time */

/* Once a second is enough. */
static bool has_grown(uint64_t now)
{
    if (now - glanced_at < NS_PER_S) return false;
    glanced_at = now;
    size_t size = size_of_process();
    if (size && size < least_size) least_size = size;
    return size >= least_size + WORTH;
}

bool heap_is_due(struct heap_share *share, uint64_t now, size_t held_now)
{
    if (pthread_mutex_trylock(&mutex) != 0) return false;
    held += held_now - share->held;
    share->held = held_now;
    if (held > most_held) most_held = held;
    uint64_t since = now > looked_at ? now - looked_at : 0; /* cores read the clock apart */
    bool due = false;
    if (since >= PAUSE && since >= rest_ns) {
        caused = has_grown(now) || most_held - held >= WORTH;
        due = caused || since >= pause_ns;
    }
    if (due) {
        looked_at = now;
        most_held = held;
    }
    pthread_mutex_unlock(&mutex);
    return due;
}

/* A look that finds nothing while the process grows is one at a burst, whose end nothing may tell:
 * so the next comes soon. */
static void note(bool trimmed, uint64_t took)
{
    size_t size = size_of_process();
    pthread_mutex_lock(&mutex);
    least_size = size;
    rest_ns = took * REST;
    pause_ns = trimmed || caused ? PAUSE : pause_ns * 2;
    if (pause_ns > PAUSE_MAX) pause_ns = PAUSE_MAX;
    pthread_mutex_unlock(&mutex);
}

/* ---- looking ---- */

/* Of one thread at a time: several servers may ask. */
static pthread_mutex_t looking = PTHREAD_MUTEX_INITIALIZER;

/* Bytes that the process has beside what is in use of its heap: the least since the last trim. What
 * there is more by now is free and was not given back, which mallinfo2(3) does not tell from what
 * was. */
static ssize_t least_beside;

static ssize_t beside(size_t in_use)
{
    return (ssize_t)size_of_process() - (ssize_t)in_use;
}

static size_t in_use(const struct mallinfo2 *info)
{
    return info->uordblks + info->hblkhd;
}

static bool trim(void)
{
    struct mallinfo2 info = mallinfo2();
    size_t before = in_use(&info);
    ssize_t now = beside(before);
    if (now < least_beside) least_beside = now;
    if (info.fordblks < WORTH || now - least_beside < WORTH) return false;
    malloc_trim(0);
    info = mallinfo2();
    size_t after = in_use(&info);
    /* What others have freed meanwhile may not have been given back. */
    least_beside = beside(before > after ? before : after);
    return true;
}

/* Not by the clock: a machine that stands still costs nothing. */
static uint64_t cpu_time(void)
{
    struct timespec ts = {0};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

void heap_look(void)
{
    if (pthread_mutex_trylock(&looking) != 0) return;
    uint64_t before = cpu_time();
    bool trimmed = trim();
    note(trimmed, cpu_time() - before);
    pthread_mutex_unlock(&looking);
}

#else

/* musl's allocator gives groups of pieces back by itself once all of them are free. */
bool heap_is_due(struct heap_share *share, uint64_t now, size_t held_now)
{
    (void)share;
    (void)now;
    (void)held_now;
    return false;
}

void heap_look(void) {}

#endif
