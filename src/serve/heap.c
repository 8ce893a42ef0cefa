#include "serve/heap.h"

#include <stdlib.h>

#ifdef __GLIBC__

#include "base/clock.h"

#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

#define PAUSE (5 * NS_PER_S)

enum { WORTH = 8 << 20 }; /* bytes: less is needed again soon */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards these */
static uint64_t looked_at;

/* The least since the last trim; bytes. What is free and was given back is counted as free by
 * mallinfo2(3), so it is not known how much of it has been used and freed again: then the process
 * has become larger. */
static size_t least_unused, least_size;

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

static void look(void)
{
    size_t unused = mallinfo2().fordblks, size = size_of_process();
    if (unused < least_unused) least_unused = unused;
    if (size == 0) size = least_size; /* it cannot be told */
    if (size < least_size) least_size = size;
    if (unused < WORTH || (unused - least_unused < WORTH && size - least_size < WORTH)) return;
    malloc_trim(0);
    least_unused = mallinfo2().fordblks;
    least_size = size_of_process();
}

void heap_trim(void)
{
    uint64_t now = clock_ns();
    if (pthread_mutex_trylock(&mutex) != 0) return;
    bool due = now - looked_at >= PAUSE;
    if (due) looked_at = now;
    if (due) look();
    pthread_mutex_unlock(&mutex);
}

#else

/* musl's allocator gives groups of pieces back by itself once all of them are free. */
void heap_trim(void) {}

#endif
