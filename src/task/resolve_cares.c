/* Lookups by c-ares, which tells how long an answer may be used. It reads /etc/hosts and
 * /etc/resolv.conf for each lookup, so that a change of them is seen. */

#include "task/resolve.h"

#include <ares.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>

enum {
    SOCKETS = 32,
    CHECK_MS = 100, /* how soon a lookup notices that it was cancelled */
};

/* One lookup, on the stack of its thread. */
struct lookup {
    struct pollfd fd[SOCKETS]; /* that c-ares waits for */
    nfds_t n;
    struct resolved *out;
    int result;
    bool done;
};

static int result_of(int status)
{
    switch (status) {
    case ARES_SUCCESS: return 0;
    case ARES_ENOTFOUND:
    case ARES_ENODATA: return -ENOENT;
    case ARES_EBADNAME: return -EINVAL;
    case ARES_ENOMEM: return -ENOMEM;
    default: return -EAGAIN; /* servers do not respond, or cannot answer */
    }
}

/* ---- callbacks of c-ares ---- */

static void on_socket(void *data, ares_socket_t fd, int readable, int writable)
{
    struct lookup *l = data;
    nfds_t i = 0;
    while (i < l->n && l->fd[i].fd != fd) i++;
    if (i == SOCKETS) return; /* served when its time is up */
    if (i == l->n) l->n++;
    l->fd[i] = (struct pollfd){fd, (short)((readable ? POLLIN : 0) | (writable ? POLLOUT : 0)), 0};
    if (!l->fd[i].events) l->fd[i] = l->fd[--l->n];
}

static void add(struct resolved *out, const struct ares_addrinfo_node *n)
{
    struct sock_addr *a = &out->addr[out->count];
    if (out->count == RESOLVE_ADDRS || n->ai_addrlen > sizeof a->in6) return;
    *a = (struct sock_addr){.len = n->ai_addrlen};
    memcpy(&a->sa, n->ai_addr, n->ai_addrlen);
    out->count++;
}

static void limit_ttl(struct resolved *out, int ttl)
{
    if (ttl < 0) ttl = 0;
    if ((uint32_t)ttl < out->ttl) out->ttl = (uint32_t)ttl;
}

static void on_answer(void *data, int status, int timeouts, struct ares_addrinfo *info)
{
    struct lookup *l = data;
    (void)timeouts;
    l->done = true;
    l->result = result_of(status);
    l->out->count = 0;
    l->out->ttl = UINT32_MAX;
    if (!info) return;
    for (const struct ares_addrinfo_node *n = info->nodes; n; n = n->ai_next) {
        add(l->out, n);
        limit_ttl(l->out, n->ai_ttl);
    }
    for (const struct ares_addrinfo_cname *n = info->cnames; n; n = n->next)
        limit_ttl(l->out, n->ttl);
    ares_freeaddrinfo(info);
}

/* ---- waiting ---- */

static void process(ares_channel channel, struct lookup *l)
{
    struct pollfd ready[SOCKETS];
    nfds_t n = l->n; /* the calls below change the list */
    memcpy(ready, l->fd, n * sizeof *ready);
    for (nfds_t i = 0; i < n; i++) {
        if (!ready[i].revents) continue;
        bool in = ready[i].revents & ~POLLOUT, out = ready[i].revents & POLLOUT;
        ares_process_fd(channel, in ? ready[i].fd : ARES_SOCKET_BAD,
                        out ? ready[i].fd : ARES_SOCKET_BAD);
    }
    ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD); /* timeouts */
}

static void wait_for_answer(ares_channel channel, struct lookup *l, const struct torc_job *j)
{
    struct timeval most = {.tv_usec = CHECK_MS * 1000}, left;
    while (!l->done && !j->cancelled) {
        struct timeval *next = ares_timeout(channel, &most, &left);
        poll(l->fd, l->n, (int)(next->tv_sec * 1000 + (next->tv_usec + 999) / 1000));
        process(channel, l);
    }
    if (!l->done) ares_cancel(channel);
}

int resolve_at(struct torc_job *j, const char *servers, const char *name, struct resolved *out)
{
    struct lookup l = {.out = out, .result = -EAGAIN};
    struct ares_options options = {.sock_state_cb = on_socket, .sock_state_cb_data = &l};
    const struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    ares_channel channel;
    int err = ares_init_options(&channel, &options, ARES_OPT_SOCK_STATE_CB);
    if (err != ARES_SUCCESS) return result_of(err);
    if (servers) err = ares_set_servers_ports_csv(channel, servers);
    if (err == ARES_SUCCESS) {
        ares_getaddrinfo(channel, name, NULL, &hints, on_answer, &l);
        wait_for_answer(channel, &l, j);
    }
    ares_destroy(channel);
    return err == ARES_SUCCESS ? l.result : result_of(err);
}

int resolve_system(struct torc_job *j, const char *name, struct resolved *out)
{
    return resolve_at(j, NULL, name, out);
}
