/* A server before it starts, and what it tells of itself: the public API but for its life cycle. */

#include "base/cond.h"
#include "base/stdio.h"
#include "http/tick.h"
#include "serve/life.h"
#include "serve/mount.h"
#include "serve/program_metrics.h"
#include "serve/reload.h"
#include "serve/routing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- set-up ---- */

torc_server *torc_server_new(const char *name)
{
    stdio_reserve();
    struct torc_server *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    s->name = strdup(name);
    s->set = options_new();
    bool routes = routing_init(s);
    signals_init(&s->signals);
    pthread_mutex_init(&s->mutex, NULL);
    cond_init_monotonic(&s->changed);
    pthread_cond_init(&s->over, NULL);
    if (!s->name || !s->set || !routes) {
        torc_server_free(s);
        return NULL;
    }
    return s;
}

void torc_server_free(torc_server *s)
{
    if (!s) return;
    if (!life_end(s)) return;
    free(s->name);
    free(s->about);
    reload_free(s);
    options_free(s->used);
    options_free(s->set);
    routing_end(s);
    router_free(s->admin_router);
    free(s->addresses);
    mounts_free(s);
    signals_free(&s->signals);
    pthread_mutex_destroy(&s->mutex);
    pthread_cond_destroy(&s->changed);
    pthread_cond_destroy(&s->over);
    free(s->ticks);
    free(s->hooks);
    program_metrics_free(s);
    measures_end(&s->measures);
    free(s->cores);
    free(s->admin_descriptors);
    free(s->state);
    free(s);
}

const char *torc_server_error(const torc_server *s)
{
    return s->error;
}

int server_fail(struct torc_server *s, int err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(s->error, sizeof s->error, format, args);
    va_end(args);
    return err;
}

int server_printed(struct torc_server *s)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return 1;
    return server_fail(s, -EIO, "cannot write to stdout: %s", strerror(errno));
}

static int fail_started(struct torc_server *s, const char *what)
{
    return server_fail(s, -EBUSY, "%s before the server starts", what);
}

/* What only the command line can ask for, which a program may do without. It may name the config
 * file, for those who run it to choose another, until that is read. */
static int check_command(struct torc_server *s, const char *option)
{
    bool negated;
    const struct option *o = option_find(s->set, slice_str(option), &negated);
    if (!o || !o->command) return 0;
    if (strcmp(o->name, "config") != 0)
        return server_fail(s, -EINVAL, "%s can only be given on the command line", o->name);
    return s->has_read ? server_fail(s, -EBUSY, "config must be set before it is read") : 0;
}

int torc_server_set(torc_server *s, const char *option, const char *value)
{
    if (s->phase != SERVER_SETUP) return fail_started(s, "options must be set");
    struct option_set *base = s->reload.base;
    int err = check_command(s, option);
    if (err < 0) return err;
    err = base ? options_set(base, option, value) : 0;
    if (err < 0) return server_fail(s, err, "%s", options_error(base));
    if (option_level(s->set, option) > LEVEL_PROGRAM) return 0; /* that wins */
    err = options_set(s->set, option, value);
    return err < 0 ? server_fail(s, err, "%s", options_error(s->set)) : 0;
}

int torc_server_option(torc_server *s, const char *name, const char *takes, const char *help,
                       const char **value)
{
    if (s->has_read) return server_fail(s, -EBUSY, "options must be declared before they are read");
    if (s->phase != SERVER_SETUP) return fail_started(s, "options must be declared");
    if (!value) return server_fail(s, -EINVAL, "option %s: a place for its value is missing", name);
    int err = options_add(s->set, name, takes, help, value);
    const char *why = err == -EEXIST ? "there is one of that name" : strerror(-err);
    return err < 0 ? server_fail(s, err, "option %s: %s", name, why) : 0;
}

int torc_server_about(torc_server *s, const char *text)
{
    if (s->phase != SERVER_SETUP) return fail_started(s, "the description must be set");
    char *about = strdup(text);
    if (!about) return server_fail(s, -ENOMEM, "out of memory");
    free(s->about);
    s->about = about;
    return 0;
}

int torc_every(torc_server *s, unsigned ms, torc_handler *fn, void *arg)
{
    if (s->phase != SERVER_SETUP) return fail_started(s, "what runs every so often must be added");
    if (ms == 0) return server_fail(s, -EINVAL, "a period is at least a millisecond");
    if (!fn) return server_fail(s, -EINVAL, "what runs every so often is missing");
    struct tick_plan *ticks = realloc(s->ticks, (s->n_ticks + 1) * sizeof *ticks);
    if (!ticks) return server_fail(s, -ENOMEM, "out of memory");
    ticks[s->n_ticks++] = (struct tick_plan){ms * NS_PER_MS, {.fn = fn, .arg = arg}};
    s->ticks = ticks;
    return 0;
}

int torc_server_each_core(torc_server *s, torc_task *start, torc_handler *stop, void *arg)
{
    if (s->phase != SERVER_SETUP) return fail_started(s, "what runs on each core must be added");
    struct core_hook *hooks = realloc(s->hooks, (s->n_hooks + 1) * sizeof *hooks);
    if (!hooks) return server_fail(s, -ENOMEM, "out of memory");
    hooks[s->n_hooks++] = (struct core_hook){start, stop, arg};
    s->hooks = hooks;
    return 0;
}

/* ---- addresses ---- */

/* The index in s->addresses, or -1. Another thread may start the server meanwhile. */
static int index_of(const struct torc_server *s, unsigned listener)
{
    if (!s->addresses) return -1;
    const struct options *o = s->options;
    if (listener == TORC_ADMIN) return o->has_admin ? (int)o->n_listen : -1;
    return listener < o->n_listen ? (int)listener : -1;
}

int torc_server_port(const torc_server *s, unsigned listener)
{
    int i = index_of(s, listener);
    if (i < 0) return -EINVAL;
    const struct sock_addr *a =
        listener == TORC_ADMIN ? &s->options->admin : &s->options->listen[i];
    if (a->sa.sa_family != AF_INET && a->sa.sa_family != AF_INET6) return -EINVAL;
    return ntohs(a->in.sin_port); /* where that of IPv6 is, too */
}

const char *torc_server_address(const torc_server *s, unsigned listener)
{
    int i = index_of(s, listener);
    return i < 0 ? NULL : s->addresses[i];
}
