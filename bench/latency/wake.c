/* How long an event takes to wake a handler, beside what an eventfd takes to wake a thread.
 *
 *   wake [CPU CPU [WAKES]]
 *
 * The first CPU (0) waits, the second (1) signals. Blocks of both kinds take turns, each of WAKES
 * (500), so that what disturbs the machine disturbs both. TORC_ENGINE names the engine. */
#include <torc.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
    BLOCKS = 20,
    WAKES_MAX = 10000,
    IDLE_US = 100,  /* before a signal: the waiter sleeps by then */
    FIRST_MS = 100, /* until the handler starts */
};

enum kind { EVENT, EVENTFD, KINDS };

static torc_event *event;
static torc_server *server;
static int fd;
static int cpus[2] = {0, 1};
static _Atomic uint64_t woken_at; /* ns; 0: not yet */
static atomic_bool waits;
static int wakes = 500;                          /* of one block */
static uint32_t took[KINDS][BLOCKS * WAKES_MAX]; /* ns */

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) == 0) return;
    perror("wake: sched_setaffinity");
    exit(2);
}

/* On a fiber of the core, until the server drains. */
static void await_events(torc_req *rq, void *arg)
{
    uint64_t seen = torc_event_count(event);
    (void)arg;
    atomic_store(&waits, true);
    while (!torc_draining(rq) && torc_event_wait(rq, event, &seen) == 0)
        atomic_store(&woken_at, now_ns());
}

static void *await_eventfd(void *arg)
{
    uint64_t n;
    (void)arg;
    pin(cpus[0]);
    while (read(fd, &n, sizeof n) == sizeof n && n == 1) atomic_store(&woken_at, now_ns());
    return NULL;
}

static void signal_by(enum kind kind, uint64_t n)
{
    if (kind == EVENT)
        torc_event_signal(event);
    else if (write(fd, &n, sizeof n) != sizeof n)
        abort();
}

static uint32_t measure(enum kind kind)
{
    uint64_t from = now_ns(), at;
    while (now_ns() - from < IDLE_US * 1000u) {
    }
    atomic_store(&woken_at, 0);
    from = now_ns();
    signal_by(kind, 1);
    while ((at = atomic_load(&woken_at)) == 0) {
    }
    return (uint32_t)(at - from);
}

static void *signal_all(void *arg)
{
    pthread_t waiter;
    (void)arg;
    pin(cpus[1]);
    pthread_create(&waiter, NULL, await_eventfd, NULL);
    while (!atomic_load(&waits)) usleep(FIRST_MS * 1000);
    usleep(FIRST_MS * 1000);
    for (int b = 0; b < BLOCKS * KINDS; b++)
        for (int i = 0; i < wakes; i++)
            took[b % KINDS][b / KINDS * wakes + i] = measure((enum kind)(b % KINDS));
    signal_by(EVENTFD, 2);
    pthread_join(waiter, NULL);
    torc_server_stop(server);
    return NULL;
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static double quantile(enum kind kind, int percent)
{
    qsort(took[kind], (size_t)BLOCKS * (size_t)wakes, sizeof took[kind][0], by_size);
    return took[kind][BLOCKS * wakes * percent / 100] / 1e3;
}

static void report(void)
{
    double p50 = quantile(EVENT, 50), bare = quantile(EVENTFD, 50);
    printf("event    p50 %.2f us  p99 %.2f us\n", p50, quantile(EVENT, 99));
    printf("eventfd  p50 %.2f us  p99 %.2f us\n", bare, quantile(EVENTFD, 99));
    printf("event / eventfd  %.2f\n", p50 / bare);
}

static void parse(int argc, char **argv)
{
    if (argc >= 3) cpus[0] = atoi(argv[1]), cpus[1] = atoi(argv[2]);
    if (argc == 4) wakes = atoi(argv[3]);
    if (argc != 2 && argc <= 4 && cpus[0] != cpus[1] && wakes > 0 && wakes <= WAKES_MAX) return;
    fprintf(stderr, "usage: wake [CPU CPU [WAKES]]: two CPUs, at most %d wakes\n", WAKES_MAX);
    exit(2);
}

int main(int argc, char **argv)
{
    char *engine = getenv("TORC_ENGINE"), core[32];
    pthread_t signaller;
    parse(argc, argv);
    snprintf(core, sizeof core, "%d-%d", cpus[0], cpus[0]);
    server = torc_server_new("wake");
    event = torc_event_new();
    fd = eventfd(0, 0);
    if (!server || !event || fd < 0 || torc_server_set(server, "cores", core) < 0 ||
        torc_server_set(server, "listen", "127.0.0.1:0") < 0 ||
        (engine && torc_server_set(server, "engine", engine) < 0) ||
        torc_every(server, FIRST_MS, await_events, NULL) < 0) {
        fprintf(stderr, "wake: %s\n", server ? torc_server_error(server) : "out of memory");
        return 2;
    }
    pthread_create(&signaller, NULL, signal_all, NULL);
    int status = torc_server_main(server, 1, argv);
    pthread_join(signaller, NULL);
    if (status == 0) report();
    torc_server_free(server);
    torc_event_free(event);
    return status;
}
