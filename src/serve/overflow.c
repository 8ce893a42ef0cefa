#include "serve/overflow.h"

#include "base/decimal.h"
#include "base/log.h"
#include "http/request.h"
#include "task/offload.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#ifdef __GLIBC__
#define RAISE "start the process under a higher ulimit -s"
#else
#define RAISE "link the program with a larger -z stack-size"
#endif

enum { HANDLER_STACK = 64 * 1024 }; /* bytes; a signal frame takes up to some 12 KiB of it */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards n_servers */
static unsigned n_servers;
static struct sigaction found;

/* What is known of this thread. */
static _Thread_local struct {
    const struct http_context *ctx;   /* of a core */
    void *memory;                     /* of its stack for signal handlers, if that is ours */
    const char *guard, *bottom, *top; /* of its own stack, from the lowest address on */
    const char *runs;                 /* see overflow_running */
} here;

static void find_own_stack(void)
{
    pthread_attr_t attr;
    void *bottom;
    size_t size, guard;
    if (pthread_getattr_np(pthread_self(), &attr) != 0) return;
    if (pthread_attr_getstack(&attr, &bottom, &size) == 0 &&
        pthread_attr_getguardsize(&attr, &guard) == 0) {
        here.bottom = bottom;
        here.guard = here.bottom - guard;
        here.top = here.bottom + size;
    }
    pthread_attr_destroy(&attr);
}

void overflow_begin(const struct http_context *ctx)
{
    stack_t present;
    here.ctx = ctx;
    find_own_stack();
    if (sigaltstack(NULL, &present) < 0 || !(present.ss_flags & SS_DISABLE)) return;
    here.memory = malloc(HANDLER_STACK);
    stack_t own = {.ss_sp = here.memory, .ss_size = HANDLER_STACK};
    if (here.memory) sigaltstack(&own, NULL);
}

void overflow_end(void)
{
    const stack_t none = {.ss_flags = SS_DISABLE};
    stack_t present;
    void *memory = here.memory;
    memset(&here, 0, sizeof here);
    if (!memory) return;
    if (sigaltstack(NULL, &present) == 0 && present.ss_sp == memory) sigaltstack(&none, NULL);
    free(memory);
}

void overflow_running(const char *what)
{
    here.runs = what;
}

static char *put(char *p, const char *text)
{
    while (*text) *p++ = *text++;
    return p;
}

/* Async-signal-safe, as all that follows: no stdio, no allocation. The process ends in any case,
 * whether somebody reads that or not. */
static void say(const char *line, const char *end)
{
    log_write(line, (size_t)(end - line));
}

static void tell_of_handler(const struct torc_req *rq, const struct fiber_overflow *of)
{
    char line[256 + REQUEST_ROUTE], route[REQUEST_ROUTE], *p = line;
    request_route(rq, route);
    p = put(p, "torc: stack overflow in the handler of ");
    p = put(p, route);
    p = put(p, ": its stack has ");
    p = decimal_put(p, of->stack_size / 1024);
    p = put(p, " KiB (raise ");
    p = put(p, of->apart ? "the stack_size of torc_route_limit" : "--stack-size");
    p = put(p, ", or keep large objects off the stack)\n");
    say(line, p);
}

/* Writes what the thread runs, if that is known. */
static char *put_running(char *p)
{
    char name[OFFLOAD_NAME];
    const struct torc_job *j = offload_running();
    if (!j && !here.runs) return p;
    if (j) offload_describe(j, name);
    p = put(p, " in ");
    return put(p, j ? name : here.runs);
}

static void tell_of_thread(void)
{
    char line[320 + OFFLOAD_NAME], name[16] = "", *p = line;
    prctl(PR_GET_NAME, name);
    p = put(p, "torc: stack overflow");
    p = put_running(p);
    p = put(p, ": the stack of its thread, ");
    p = put(p, name);
    p = put(p, ", has ");
    p = decimal_put(p, (uint64_t)(here.top - here.bottom) / 1024);
    p = put(p, " KiB (" RAISE ", or keep large objects off the stack)\n");
    say(line, p);
}

static char *put_hex(char *p, uintptr_t n)
{
    int shift = 60;
    p = put(p, "0x");
    while (shift > 0 && n >> shift == 0) shift -= 4;
    for (; shift >= 0; shift -= 4) *p++ = "0123456789abcdef"[n >> shift & 15];
    return p;
}

/* No overflow. Of a thread that is not torc's nothing is known. */
static void tell_of_fault(const char *address)
{
    char line[160 + REQUEST_ROUTE + OFFLOAD_NAME], route[REQUEST_ROUTE], *p = line;
    const struct scope *s = here.ctx ? scope_running(&here.ctx->fibers) : NULL;
    if (!here.bottom) return;
    p = put(p, "torc: SIGSEGV at the address ");
    p = put_hex(p, (uintptr_t)address);
    if (s && s->user) {
        request_route(s->user, route);
        p = put(p, " in the handler of ");
        p = put(p, route);
    } else {
        p = put_running(p);
    }
    p = put(p, "\n");
    say(line, p);
}

static void tell(const char *address)
{
    struct fiber_overflow of = {0};
    bool on_fiber = here.ctx && fiber_overflowed(&here.ctx->fibers, address, &of);
    const struct scope *s = of.owner;
    if (on_fiber && s && s->user)
        tell_of_handler(s->user, &of);
    else if (address >= here.guard && address < here.bottom)
        tell_of_thread();
    else
        tell_of_fault(address);
}

/* A fault comes again on return. What a process has sent does not, so it is sent again; it waits
 * until this handler returns. */
static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)context;
    bool is_sent = info->si_code <= 0;
    if (!is_sent) tell(info->si_addr);
    sigaction(number, &found, NULL);
    if (is_sent) raise(number);
}

void overflow_watch(void)
{
    struct sigaction ours = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&ours.sa_mask);
    pthread_mutex_lock(&mutex);
    if (n_servers++ == 0) sigaction(SIGSEGV, &ours, &found);
    pthread_mutex_unlock(&mutex);
}

void overflow_unwatch(void)
{
    struct sigaction now;
    pthread_mutex_lock(&mutex);
    if (--n_servers == 0 && sigaction(SIGSEGV, NULL, &now) == 0 && now.sa_sigaction == on_fault)
        sigaction(SIGSEGV, &found, NULL);
    pthread_mutex_unlock(&mutex);
}
