#include "serve/check.h"

#include "base/log.h"
#include "serve/server_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    printf("buffers      %u of %u bytes on each core\n", c->buffers, c->buffer_size);
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

int server_check(struct torc_server *s)
{
    const struct options *o = s->options;
    struct io_config config = o->io;
    struct io *io = malloc(sizeof *io);
    config.max_sockets = o->limits.max_conns + LISTEN_MAX;
    int err = io ? io_open(io, s->engine, &config) : -ENOMEM;
    if (err < 0) {
        log_line("a core cannot start its %s engine: %s", io_engine_name(s->engine),
                 strerror(-err));
        free(io);
        return 1;
    }
    printf("options are valid\n");
    print_engine(io);
    print_cores(o);
    printf("allocator    %s\n", loop_has_jemalloc() ? "jemalloc" : "the C library's");
    printf("connections  at most %u on each core\n", o->limits.max_conns);
    print_addresses(o);
    printf("root         %s\n", o->root ? o->root : "none");
    if (o->access_log) printf("access log   %s\n", o->access_log);
    io_close(io);
    free(io);
    return 0;
}
