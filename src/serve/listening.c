#include "serve/listening.h"

#include "base/log.h"
#include "io/local.h"
#include "serve/inherited.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define TAKEN_RETRY_NS NS_PER_S

static int fail_listen(struct torc_server *s, const struct sock_addr *addr, int err)
{
    char text[SOCK_ADDR_TEXT];
    sock_addr_format(addr, text);
    return server_fail(s, err, "cannot listen on %s: %s", text, strerror(-err));
}

static int is_taken(const struct sock_addr *addr)
{
    return addr->path ? local_taken(addr) : sock_taken(addr);
}

/* The kernel closes the sockets of a ring some time after its process has ended, so one that was
 * killed and started again finds its own addresses taken for a moment. */
static int check_unused(struct torc_server *s, const struct sock_addr *addr)
{
    const struct timespec pause = {.tv_nsec = 10 * NS_PER_MS};
    uint64_t until = clock_ns() + TAKEN_RETRY_NS;
    int err;
    while ((err = is_taken(addr)) < 0 && clock_ns() < until) nanosleep(&pause, NULL);
    return err < 0 ? fail_listen(s, addr, err) : 0;
}

/* With SO_REUSEPORT, another server on the same address would silently share the clients. */
static int check_all_unused(struct torc_server *s)
{
    const struct options *o = s->options;
    int err = 0;
    for (uint32_t l = 0; l < o->n_listen && err == 0; l++)
        if (o->given[l] < 0) err = check_unused(s, &o->listen[l]);
    return err == 0 && o->has_admin ? check_unused(s, &o->admin) : err;
}

/* `given`: the descriptor of a socket that the process was started with, or -1. */
static int add_listener(struct torc_server *s, struct core *c, struct sock_addr *addr, int given)
{
    int fd = given, err = 0;
    if (given < 0)
        fd = io_listen(s->engine, addr, s->options->backlog);
    else
        err = sock_adopt(given);
    if (fd < 0 || err < 0) return fail_listen(s, addr, fd < 0 ? fd : err);
    err = sock_keep_alive(fd, &s->options->keepalive);
    if (err < 0) log_line("cannot set TCP keep-alive: %s; continuing without", strerror(-err));
    struct listener *l = acceptor_add_listener(&c->acceptor, fd);
    l->kept = given >= 0;
    if (l->kept) l->queue = sock_backlog(fd); /* as long as who opened it has made it */
    return 0;
}

/* Threads that serve one connection each take it from one queue. */
static int add_listeners(struct torc_server *s, struct core *c)
{
    struct options *o = s->options;
    if (io_holds_thread(s->engine) && c != s->cores) {
        acceptor_share_listeners(&c->acceptor, &s->cores[0].acceptor);
        return 0;
    }
    int err = 0;
    for (uint32_t l = 0; l < o->n_listen && err == 0; l++) {
        /* There is no SO_REUSEPORT for Unix sockets, and one that was given is one. */
        bool one = o->listen[l].sa.sa_family == AF_UNIX || o->given[l] >= 0;
        if (one && c != s->cores)
            acceptor_add_shared(&c->acceptor, &s->cores[0].acceptor.listener[l]);
        else
            err = add_listener(s, c, &o->listen[l], o->given[l]);
    }
    return err;
}

int listening_open(struct torc_server *s)
{
    struct options *o = s->options;
    inherited_tell(o->given, o->n_listen);
    int err = check_all_unused(s);
    for (uint32_t i = 0; i < s->n_cores && err == 0; i++) err = add_listeners(s, &s->cores[i]);
    if (err < 0 || !o->has_admin) return err;
    return add_listener(s, &s->cores[s->n_cores], &o->admin, -1);
}

/* A socket that was given may be shut down by another process that has it; one of our own by
 * whoever may destroy sockets, as ss -K does. It cannot be opened again: its address could be
 * another then, and a Unix socket stays shut. Who watches over the server can start it with
 * another. */
void listening_lost(struct core *c, uint32_t listener)
{
    struct torc_server *s = c->server;
    const struct options *o = s->options;
    bool admin = c->index == s->n_cores;
    char text[SOCK_ADDR_TEXT];
    if (s->is_ending || signals_stop_asked(&s->signals)) return; /* by a core that has ended */
    if (atomic_exchange(&s->lost_listener, true)) return;        /* another core has told */
    sock_addr_format(admin ? &o->admin : &o->listen[listener], text);
    log_line("the listening socket %s was shut down from outside; the server ends", text);
    signals_ask(&s->signals, ASKED_STOP);
}
