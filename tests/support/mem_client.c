#include "mem_state.h"

#include <string.h>

void mem_configure(struct io *io, const struct mem_config *config)
{
    mem_of(io)->config = *config;
}

bool mem_run(struct io *io, unsigned turns)
{
    struct mem *mem = mem_of(io);
    for (mem->idle = false; !mem->idle && turns > 0; turns--) io_turn(io);
    return mem->idle;
}

struct mem_client *mem_connect(struct io *io)
{
    struct mem *mem = mem_of(io);
    uint32_t fd = 0;
    while (fd < mem->n_clients && mem->client[fd]) fd++;
    if (fd == mem->cap_clients) {
        mem->cap_clients = fd ? fd * 2 : 16;
        mem->client = realloc(mem->client, mem->cap_clients * sizeof *mem->client);
        ASSERT(mem->client);
    }
    if (fd == mem->n_clients) mem->n_clients++;
    struct mem_client *m = mem->client[fd] = calloc(1, sizeof *m);
    ASSERT(m);
    return m;
}

static void push(struct mem_client *m, struct piece *p)
{
    p->next = NULL;
    m->waiting += p->len * p->times;
    if (m->last)
        m->last->next = p;
    else
        m->first = p;
    m->last = p;
}

void mem_push(struct mem_client *m, const void *bytes, size_t n)
{
    ASSERT(!m->end);
    if (n == 0) return;
    struct piece *p = malloc(sizeof *p + n);
    ASSERT(p);
    *p = (struct piece){.bytes = p->own, .len = n, .times = 1};
    memcpy(p->own, bytes, n);
    push(m, p);
}

void mem_repeat(struct mem_client *m, const void *bytes, size_t n, uint64_t times)
{
    m->drop_out = true;
    if (n == 0 || times == 0) return;
    struct piece *p = malloc(sizeof *p);
    ASSERT(p);
    *p = (struct piece){.bytes = bytes, .len = n, .times = times, .borrowed = true};
    push(m, p);
}

void mem_push_end(struct mem_client *m)
{
    m->end = true;
}

void mem_reset(struct mem_client *m)
{
    m->reset = true;
}

void mem_set_window(struct mem_client *m, size_t bytes)
{
    m->windowed = true;
    m->window = bytes;
}

const char *mem_out(const struct mem_client *m, size_t *n)
{
    *n = m->out_len;
    return m->out;
}

bool mem_ended(const struct mem_client *m)
{
    return m->shut || m->closed;
}

bool mem_closed(const struct mem_client *m)
{
    return m->closed;
}

size_t mem_waiting(const struct mem_client *m)
{
    return m->waiting;
}

void mem_free(struct io *io, struct mem_client *m)
{
    struct mem *mem = mem_of(io);
    ASSERT(m->closed);
    for (uint32_t i = 0; i < mem->n_clients; i++)
        if (mem->client[i] == m) mem->client[i] = NULL;
    while (m->first) mem_free_piece(m);
    free(m->out);
    free(m);
}
