/* usage: measure_life ENGINE CORES N: prints how long a server takes from torc_server_start to its
 * return, once it listens, and from torc_server_stop to the return of torc_server_join: medians and
 * extremes of N lives, with one request each in between; and what the last half of them has left.
 */

#include <torc.h>

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void on_hello(torc_req *rq, void *arg)
{
    (void)arg;
    torc_reply(rq, 200, NULL, TORC_S("hello"));
}

static bool ask(int port)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr = {htonl(INADDR_LOOPBACK)}};
    char answer[512] = "";
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0 &&
              write(fd, request, sizeof request - 1) > 0 && read(fd, answer, sizeof answer - 1) > 0;
    if (fd >= 0) close(fd);
    return ok && strncmp(answer, "HTTP/1.1 200 ", 13) == 0;
}

/* False, with a message, if anything fails. */
static bool live(const char *engine, const char *cores, double *start, double *stop)
{
    torc_server *s = torc_server_new("measure_life 1.0");
    if (!s || torc_server_set(s, "engine", engine) < 0 || torc_server_set(s, "cores", cores) < 0 ||
        torc_server_set(s, "listen", "127.0.0.1:0") < 0 ||
        torc_route(s, "GET", "/", on_hello, NULL) < 0) {
        fprintf(stderr, "measure_life: %s\n", s ? torc_server_error(s) : "out of memory");
        return false;
    }
    double t0 = now_ms();
    int err = torc_server_start(s);
    double t1 = now_ms();
    if (err < 0) fprintf(stderr, "measure_life: %s\n", torc_server_error(s));
    bool ok = err == 0 && ask(torc_server_port(s, 0));
    double t2 = now_ms();
    torc_server_stop(s);
    ok = ok && torc_server_join(s) == 0;
    *stop = now_ms() - t2;
    *start = t1 - t0;
    torc_server_free(s);
    return ok;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print(const char *what, double *ms, int n)
{
    qsort(ms, (size_t)n, sizeof *ms, compare);
    printf("%-16s median %6.2f ms, least %6.2f, most %6.2f\n", what, ms[n / 2], ms[0], ms[n - 1]);
}

static long resident_kib(void)
{
    long total, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f) return 0;
    if (fscanf(f, "%ld %ld", &total, &resident) != 2) resident = 0;
    fclose(f);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

int main(int argc, char **argv)
{
    int n = argc > 3 ? atoi(argv[3]) : 0;
    if (n < 1) {
        fprintf(stderr, "usage: measure_life ENGINE CORES N\n");
        return 2;
    }
    double *start = calloc((size_t)n, sizeof *start), *stop = calloc((size_t)n, sizeof *stop);
    long half = 0;
    bool ok = start && stop;
    for (int i = 0; i < n && ok; i++) {
        if (i == n / 2) half = resident_kib();
        ok = live(argv[1], argv[2], &start[i], &stop[i]);
    }
    if (ok) {
        print("start to return", start, n);
        print("stop to joined", stop, n);
        printf("resident memory  %ld KiB, of these in the last half %ld\n", resident_kib(),
               resident_kib() - half);
    }
    free(start);
    free(stop);
    return ok ? 0 : 1;
}
