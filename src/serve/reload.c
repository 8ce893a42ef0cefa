#include "serve/reload.h"

#include "base/counter.h"
#include "base/log.h"
#include "http/visitor.h"
#include "serve/access_file.h"
#include "serve/connections.h"
#include "serve/effect.h"
#include "serve/settings.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* The program may write to argv later, as to show another title. */
int reload_prepare(struct torc_server *s, int argc, char **argv)
{
    struct reload *r = &s->reload;
    r->base = options_copy(s->set);
    r->argv = calloc((size_t)argc + 1, sizeof *r->argv);
    if (!r->base || !r->argv) return -ENOMEM;
    for (r->argc = 0; r->argc < argc; r->argc++) {
        r->argv[r->argc] = (char *)(uintptr_t)option_keep(r->base, argv[r->argc]);
        if (!r->argv[r->argc]) return -ENOMEM;
    }
    return 0;
}

void reload_end(struct torc_server *s)
{
    struct reload *r = &s->reload;
    access_move_free(r->log);
    options_free(r->next);
    if (s->now != s->used) options_free(s->now);
    r->log = NULL;
    r->next = NULL;
    s->now = s->used;
}

void reload_free(struct torc_server *s)
{
    struct reload *r = &s->reload;
    reload_end(s);
    options_free(r->base);
    free(r->argv);
}

/* ---- checking: each function logs why it returns false ---- */

static bool read_options(struct torc_server *s, struct option_set *next)
{
    const char *path = s->options->config;
    struct stat st;
    /* A pipe has been read; waiting for one would keep the server from draining. */
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        log_line("reload refused: %s is not a regular file", path);
        return false;
    }
    int err = options_read(next, s->reload.argc, s->reload.argv);
    if (err == 0) err = options_settle(next);
    if (err == 0) return true;
    log_line("reload refused: %s", options_error(next));
    return false;
}

static bool check_option(const struct torc_server *s, const struct option *o, const char *was)
{
    char line[16] = "", from[SETTINGS_SHOWN], to[SETTINGS_SHOWN];
    if (settings_may_change(o, was)) return true;
    if (o->line) snprintf(line, sizeof line, ":%u", o->line);
    if (!settings_has(o)) {
        log_line("reload refused: %s%s: %s cannot change without a restart", s->options->config,
                 line, o->name);
        return false;
    }
    log_line("reload refused: %s%s: %s cannot change from %s to %s without a restart",
             s->options->config, line, o->name, settings_shown(was, from),
             settings_shown(o->text, to));
    return false;
}

/* All changes that are refused are named. */
static bool check_changes(const struct torc_server *s, const struct option_set *next)
{
    bool allowed = true;
    for (size_t i = 0; i < next->count; i++) {
        const struct option *o = &next->list[i];
        const char *was = s->now->list[i].text;
        if (!settings_same(was, o->text)) allowed &= check_option(s, o, was);
    }
    return allowed;
}

static bool check_connections(struct torc_server *s, struct options *o)
{
    if (connections_again(s, o, &s->reload.admin_limits)) return true;
    log_line("reload refused: %s: max-connections cannot exceed %u without a restart",
             s->options->config, s->room);
    return false;
}

static bool check_root(const struct options *o)
{
    int err = o->root ? static_check(o->root) : 0;
    if (err < 0) log_line("reload refused: cannot open --root %s: %s", o->root, strerror(-err));
    return err == 0;
}

/* ---- what is needed, before anything changes ---- */

static bool open_log(struct torc_server *s, const struct options *o)
{
    const char *was = options_get(s->now)->access_log;
    if (settings_same(was, o->access_log)) return true;
    s->reload.log = access_move_new(o->access_log);
    if (!s->reload.log)
        log_line("reload refused: cannot open --access-log %s: %s", o->access_log, strerror(errno));
    return s->reload.log != NULL;
}

static bool make_roots(struct torc_server *s, const struct options *o)
{
    bool made = true;
    for (uint32_t i = 0; i < s->n_cores && o->root; i++) {
        s->cores[i].change.root = core_root_new(o->root);
        made &= s->cores[i].change.root != NULL;
    }
    if (!made) log_line("reload refused: out of memory");
    return made;
}

static void drop_roots(struct torc_server *s)
{
    for (uint32_t i = 0; i < s->n_cores; i++) {
        core_root_release(s->cores[i].change.root);
        s->cores[i].change.root = NULL;
    }
}

static bool check(struct torc_server *s, struct option_set *next)
{
    struct options *o = options_get(next);
    if (!read_options(s, next) || !check_changes(s, next)) return false;
    options_divide(o);
    if (!check_connections(s, o) || !check_root(o) || !open_log(s, o)) return false;
    if (make_roots(s, o)) {
        effect_log(next, s->engine);
        return true;
    }
    drop_roots(s);
    return false;
}

/* ---- the cores ---- */

static void leave(struct torc_server *s)
{
    if (atomic_fetch_sub(&s->reload.n_left, 1) == 1) signals_ask(&s->signals, ASKED_TAKEN);
}

static void on_taken(struct core *c)
{
    leave(c->server);
}

static void start_changes(struct torc_server *s, struct option_set *next)
{
    struct reload *r = &s->reload;
    r->next = next;
    atomic_store(&r->n_left, s->n_all + 1);
    for (uint32_t i = 0; i < s->n_all; i++) {
        struct core *c = &s->cores[i];
        c->change.limits = i == s->n_cores ? &r->admin_limits : &options_get(next)->limits;
        c->change.done = on_taken;
        if (!core_start_change(c)) leave(s);
    }
    leave(s);
}

static void refuse_all(struct torc_server *s)
{
    struct reload *r = &s->reload;
    access_move_free(r->log);
    r->log = NULL;
    counter_add(&r->n_refused, 1);
    log_line("the settings stay as they were");
}

/* Whatever disk it waits for, the control thread can end the server meanwhile. */
static void *read_and_check(void *arg)
{
    struct torc_server *s = arg;
    struct reload *r = &s->reload;
    struct option_set *next = options_copy(r->base);
    if (!next) log_line("reload refused: out of memory");
    bool good = next && check(s, next);
    if (!good) options_free(next);
    r->checked = good ? next : NULL;
    signals_ask(&s->signals, ASKED_CHECKED);
    latch_end(&r->end);
    return NULL;
}

void reload_begin(struct torc_server *s)
{
    struct reload *r = &s->reload;
    if (!s->options->config || !r->base) return;
    latch_init(&r->end);
    r->checks = true;
    r->has_thread = pthread_create(&r->thread, NULL, read_and_check, s) == 0;
    if (!r->has_thread) read_and_check(s); /* no more threads are allowed */
}

/* The checks are done. */
static struct option_set *take_checked(struct reload *r)
{
    if (r->has_thread) pthread_join(r->thread, NULL);
    struct option_set *next = r->checked;
    latch_free(&r->end);
    r->checks = false;
    r->checked = NULL;
    return next;
}

void reload_go_on(struct torc_server *s)
{
    struct reload *r = &s->reload;
    struct option_set *next = take_checked(r);
    if (!next) {
        refuse_all(s);
        return;
    }
    if (options_get(next)->stall_warn) server_want_backtraces(s);
    start_changes(s, next);
}

bool reload_await(struct torc_server *s, uint64_t deadline)
{
    struct reload *r = &s->reload;
    if (!r->checks) return true;
    if (!latch_await(&r->end, deadline)) return false;
    options_free(take_checked(r));
    return true;
}

void reload_detach(struct torc_server *s)
{
    if (s->reload.checks && s->reload.has_thread) pthread_detach(s->reload.thread);
}

/* ---- what is not of a core ---- */

static void keep_alive(const struct acceptor *a, const struct sock_keepalive *k)
{
    int err = 0;
    for (uint32_t i = 0; i < a->n_listeners && !a->owner && err == 0; i++)
        err = sock_keep_alive(a->listener[i].accept.listener, k);
    if (err < 0) log_line("cannot set TCP keep-alive: %s; continuing without", strerror(-err));
}

static void watch_stalls(struct torc_server *s, uint64_t limit)
{
    if (options_get(s->now)->stall_warn == limit) return;
    stall_stop(&s->stalls);
    if (limit) stall_start(&s->stalls, s->cores, s->n_cores, limit, &s->backtraces);
}

static void move_log(struct torc_server *s)
{
    struct access_move *to = s->reload.log;
    s->reload.log = NULL;
    if (to) access_log_move(s->log, to);
}

static uint32_t log_changes(const struct option_set *was, const struct option_set *now)
{
    uint32_t n = 0;
    char shown[2][SETTINGS_SHOWN];
    for (size_t i = 0; i < now->count; i++) {
        const char *from = was->list[i].text, *to = now->list[i].text;
        if (settings_same(from, to)) continue;
        log_line("%s changed from %s to %s", now->list[i].name, settings_shown(from, shown[0]),
                 settings_shown(to, shown[1]));
        n++;
    }
    return n;
}

static void use(struct torc_server *s, struct option_set *next)
{
    struct option_set *was = s->now;
    pthread_mutex_lock(&s->mutex);
    s->now = next;
    pthread_mutex_unlock(&s->mutex);
    if (was != s->used) options_free(was);
}

void reload_finish(struct torc_server *s)
{
    struct reload *r = &s->reload;
    struct option_set *next = r->next;
    const struct options *o = options_get(next);
    for (uint32_t i = 0; i < s->n_all; i++) keep_alive(&s->cores[i].acceptor, &o->keepalive);
    watch_stalls(s, o->stall_warn);
    move_log(s);
    uint32_t n = log_changes(s->now, next);
    r->next = NULL;
    use(s, next);
    counter_add(&r->n_loaded, 1);
    log_line("reloaded %s; settings changed: %u", s->options->config, n);
}
