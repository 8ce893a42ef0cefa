#include "serve/overflow.h"

#include "base/decimal.h"
#include "base/emit.h"
#include "http/request.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

enum { HANDLER_STACK = 64 * 1024 }; /* bytes; a signal frame takes up to some 12 KiB of it */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards n_servers */
static unsigned n_servers;
static struct sigaction found;
static _Thread_local const struct http_context *context_here;

void overflow_begin(struct overflow_stack *s, const struct http_context *ctx)
{
    stack_t found;
    context_here = ctx;
    if (sigaltstack(NULL, &found) < 0 || !(found.ss_flags & SS_DISABLE)) return;
    s->memory = malloc(HANDLER_STACK);
    stack_t own = {.ss_sp = s->memory, .ss_size = HANDLER_STACK};
    if (s->memory) sigaltstack(&own, NULL);
}

void overflow_end(struct overflow_stack *s)
{
    const stack_t none = {.ss_flags = SS_DISABLE};
    context_here = NULL;
    if (!s->memory) return;
    sigaltstack(&none, NULL);
    free(s->memory);
}

static char *put(char *p, const char *text)
{
    while (*text) *p++ = *text++;
    return p;
}

/* Async-signal-safe: no stdio, no allocation. */
static void tell(const struct torc_req *rq)
{
    char line[256 + REQUEST_ROUTE], route[REQUEST_ROUTE], *p = line;
    request_route(rq, route);
    p = put(p, "torc: stack overflow in the handler of ");
    p = put(p, route);
    p = put(p, ": its stack has ");
    p = decimal_put(p, context_here->fibers.stack_size / 1024);
    p = put(p, " KiB (raise --stack-size, or keep large objects off the stack)\n");
    ssize_t n = emit(STDERR_FILENO, line, (size_t)(p - line));
    (void)n;
}

/* A fault comes again on return. What a process has sent does not, so it is sent again; it waits
 * until this handler returns. */
static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)context;
    bool is_sent = info->si_code <= 0;
    const struct http_context *ctx = is_sent ? NULL : context_here;
    const struct scope *s = ctx ? fiber_overflowed(&ctx->fibers, info->si_addr) : NULL;
    if (s && s->user) tell(s->user);
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
