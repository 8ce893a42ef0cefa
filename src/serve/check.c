#include "serve/check.h"

#include "base/json.h"
#include "serve/access_file.h"
#include "serve/mount.h"
#include "serve/running.h"
#include "serve/server_state.h"
#include "serve/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static void print_cores(const struct options *o)
{
    printf("cores        %u (CPU", o->n_cpus);
    for (uint32_t i = 0; i < o->n_cpus; i++) printf("%s%u", i ? "," : " ", o->cpu[i]);
    printf(")%s\n", o->pin ? ", pinned" : "");
}

static void print_engine(const struct io *io)
{
    const struct io_config *c = &io->config;
    printf("engine       %s\n", io_engine_name(io->engine));
    if (io_engine_has_ring(io->engine)) {
        printf("ring         submission queue %u, completion queue %u\n", c->depth, c->cq_depth);
        printf("features    ");
        for (int f = 0; f < IO_FEATURES; f++)
            if (c->features & 1u << f) printf(" %s", io_feature_names[f]);
        printf("\n");
    }
    printf("buffers      %u of %u bytes per core\n", c->buffers, c->buffer_size);
    printf("files        opened by %s\n", c->walk ? "a walk: openat2 is refused" : "openat2");
}

static void print_addresses(const struct options *o)
{
    char text[SOCK_ADDR_TEXT];
    for (uint32_t i = 0; i < o->n_listen; i++) {
        sock_addr_format(&o->listen[i], text);
        printf("listen       %s\n", text);
    }
    if (o->has_admin) {
        sock_addr_format(&o->admin, text);
        printf("admin        %s\n", text);
    }
}

static void print_running(const struct running *r, const struct sock_addr *admin)
{
    char text[SOCK_ADDR_TEXT], was[SETTINGS_SHOWN], here[SETTINGS_SHOWN];
    uint32_t restart = 0;
    sock_addr_format(admin, text);
    if (!r->reached) {
        printf("running      no server tells its settings at %s\n", text);
        return;
    }
    for (uint32_t i = 0; i < r->n_changes; i++) {
        const struct running_change *c = &r->change[i];
        restart += c->restart;
        printf("%s %s: %s in the server at %s, %s here\n",
               c->restart ? "restart     " : "reload      ", c->option->name,
               settings_shown(c->was, was), text, settings_shown(c->option->text, here));
    }
    if (restart)
        printf("running      a reload would be refused; settings that need a restart: %u\n",
               restart);
    else
        printf("running      settings that a reload would change: %u\n", r->n_changes);
}

static void print_text(const struct torc_server *s, const struct io *io, const struct running *r)
{
    const struct options *o = s->options;
    char shown[SETTINGS_SHOWN];
    printf("options are valid\n");
    print_engine(io);
    print_cores(o);
    printf("allocator    %s\n", loop_has_jemalloc() ? "jemalloc" : "the C library's");
    printf("connections  at most %u per %s\n", o->limits.max_conns,
           io_holds_thread(s->engine) ? "thread" : "core");
    print_addresses(o);
    printf("root         %s\n", settings_shown(o->root, shown));
    if (o->access_log) printf("access log   %s\n", settings_shown(o->access_log, shown));
    if (r) print_running(r, &o->admin);
}

/* Within the descriptor limit, as a server with that engine would reduce its connections to it. */
static uint32_t max_sockets(const struct options *o)
{
    struct rlimit limit;
    uint32_t most = o->limits.max_conns + ACCEPTOR_SPARE;
    bool exceeds = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < most;
    return exceeds ? (uint32_t)limit.rlim_cur : most;
}

/* Opens the engine of one core as the server would. If that fails, returns NULL and sets `why`. */
static struct io *open_core(const struct options *o, const struct io_engine *engine,
                            uint32_t features, char *why, size_t size)
{
    struct io_config config = o->io;
    config.max_sockets = max_sockets(o);
    config.features = features;
    if (io_probe(engine, &config, why, size) < 0) return NULL;
    struct io *io = malloc(sizeof *io);
    int err = io ? io_open(io, engine, &config) : -ENOMEM;
    if (err == 0) return io;
    if (io)
        io_explain(io, err, why, size);
    else
        snprintf(why, size, "out of memory");
    free(io);
    return NULL;
}

static void close_core(struct io *io)
{
    if (io) io_close(io);
    free(io);
}

/* ---- JSON ---- */

/* `io` is NULL if the engine is unavailable. */
static void put_engine(struct json *j, const struct io_engine *engine, const struct io *io,
                       const char *why)
{
    json_begin(j, io_engine_name(engine), '{');
    json_put_bool(j, "available", io);
    json_put_string(j, "reason", io ? "" : why);
    if (io_engine_has_ring(engine)) {
        json_put_u64(j, "depth", io ? io->config.depth : 0);
        json_put_u64(j, "cq_depth", io ? io->config.cq_depth : 0);
        json_begin(j, "features", '{');
        for (int f = 0; f < IO_FEATURES; f++)
            json_put_bool(j, io_feature_names[f], io && io->config.features & 1u << f);
        json_end(j, '}');
    }
    json_end(j, '}');
}

/* An engine other than the chosen one is probed with all its features. */
static void put_engines(struct json *j, const struct torc_server *s, const struct io *chosen)
{
    json_begin(j, "engines", '{');
    for (const struct io_engine *const *e = io_engines; *e; e++) {
        char why[512] = "";
        if (*e == s->engine) {
            put_engine(j, *e, chosen, why);
            continue;
        }
        struct io *io = open_core(s->options, *e, (1u << IO_FEATURES) - 1, why, sizeof why);
        put_engine(j, *e, io, why);
        close_core(io);
    }
    json_end(j, '}');
}

static void put_address(struct json *j, const char *key, const struct sock_addr *addr)
{
    char text[SOCK_ADDR_TEXT];
    sock_addr_format(addr, text);
    json_put_string(j, key, text);
}

static void put_addresses(struct json *j, const struct options *o)
{
    json_begin(j, "listen", '[');
    for (uint32_t i = 0; i < o->n_listen; i++) put_address(j, NULL, &o->listen[i]);
    json_end(j, ']');
    if (o->has_admin)
        put_address(j, "admin", &o->admin);
    else
        json_put_null(j, "admin");
}

/* `r` is NULL if no server was asked. */
static void put_running(struct json *j, const struct running *r)
{
    if (!r || !r->reached) {
        json_put_null(j, "running");
        return;
    }
    json_begin(j, "running", '[');
    for (uint32_t i = 0; i < r->n_changes; i++) {
        const struct running_change *c = &r->change[i];
        json_begin(j, NULL, '{');
        json_put_string(j, "option", c->option->name);
        json_put_string(j, "running", c->was);
        json_put_string(j, "here", c->option->text);
        json_put_bool(j, "restart", c->restart);
        json_end(j, '}');
    }
    json_end(j, ']');
}

static void print_json(const struct torc_server *s, const struct io *io, const struct running *r)
{
    const struct options *o = s->options;
    struct file_writer file;
    struct json *j = &(struct json){&file.out, false};
    file_writer_begin(&file, stdout);
    json_begin(j, NULL, '{');
    json_put_string(j, "version", TORC_VERSION);
    json_put_string(j, "engine", io_engine_name(s->engine));
    put_engines(j, s, io);
    json_put_bool(j, "openat2", !io->config.walk);
    json_put_u64(j, "buffers", io->config.buffers);
    json_put_u64(j, "buffer_size", io->config.buffer_size);
    json_begin(j, "cores", '[');
    for (uint32_t i = 0; i < o->n_cpus; i++) json_put_u64(j, NULL, o->cpu[i]);
    json_end(j, ']');
    json_put_bool(j, "pinned", o->pin);
    json_put_string(j, "allocator", loop_has_jemalloc() ? "jemalloc" : "C library");
    json_put_u64(j, "max_connections", o->limits.max_conns);
    put_addresses(j, o);
    json_put_string(j, "root", o->root);
    json_put_string(j, "access_log", o->access_log);
    put_running(j, r);
    json_end(j, '}');
    writer_char(j->out, '\n');
    file_writer_end(&file);
}

/* Port 0 is no server's. */
static bool ask_running(const struct torc_server *s, struct running *r)
{
    const struct options *o = s->options;
    if (!o->has_admin || !o->admin.in.sin_port) return false;
    running_compare(r, s->used, &o->admin);
    return true;
}

/* What a start opens besides. */
static int check_files(struct torc_server *s)
{
    const char *log = s->options->access_log;
    int err = mounts_check(s);
    if (err == 0 && log && (err = access_file_check(access_file_path(log))) < 0)
        return server_fail(s, err, "cannot open --access-log %s: %s", log, strerror(-err));
    return err;
}

int server_check(struct torc_server *s)
{
    char why[512];
    struct running running = {0};
    int err = check_files(s);
    if (err < 0) return err;
    struct io *io = open_core(s->options, s->engine, s->options->io.features, why, sizeof why);
    if (!io) return server_fail(s, -EIO, "%s", why);
    const struct running *r = ask_running(s, &running) ? &running : NULL;
    if (s->options->json)
        print_json(s, io, r);
    else
        print_text(s, io, r);
    running_free(&running);
    close_core(io);
    return server_printed(s);
}
