#include "task/resolve.h"

#include "base/clock.h"
#include "base/slice.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

/* Bounds of the time that an answer is used, in seconds. */
enum { TTL_MIN = 1, TTL_MAX = 300, TTL_FAILED = 1 };

struct entry {
    struct list link; /* in resolver.entries */
    struct resolver *resolver;
    struct list waiters; /* fibers, while the lookup is under way */
    struct torc_job job;
    resolve_fn *lookup;
    bool pending; /* the lookup is under way; until it has ended, `answer` is the thread's */
    int error;    /* of the lookup */
    struct resolved answer;
    uint64_t expires; /* ns */
    char name[RESOLVE_NAME + 1];
};

struct waiter {
    struct wait wait;
    struct list link; /* in entry.waiters */
    struct sock_addr *out;
    unsigned max;
    uint16_t port;
};

/* ---- addresses ---- */

static void set_port(struct sock_addr *a, uint16_t port)
{
    if (a->sa.sa_family == AF_INET)
        a->in.sin_port = htons(port);
    else
        a->in6.sin6_port = htons(port);
}

static bool parse_address(const char *name, uint16_t port, struct sock_addr *out)
{
    *out = (struct sock_addr){.len = sizeof out->in};
    out->sa.sa_family = AF_INET;
    if (inet_pton(AF_INET, name, &out->in.sin_addr) != 1) {
        *out = (struct sock_addr){.len = sizeof out->in6};
        out->sa.sa_family = AF_INET6;
        if (inet_pton(AF_INET6, name, &out->in6.sin6_addr) != 1) return false;
    }
    set_port(out, port);
    return true;
}

static slice last_label(slice name)
{
    if (name.len && name.ptr[name.len - 1] == '.') name.len--;
    for (size_t i = name.len; i > 0; i--)
        if (name.ptr[i - 1] == '.') return slice_skip(name, i);
    return name;
}

/* No top-level domain is a number. The C library would take "127.1" and "0x7f.1" for addresses,
 * which who checks addresses does not expect. */
static bool is_number(slice label)
{
    const char *digits = "0123456789";
    if (label.len > 1 && label.ptr[0] == '0' && (label.ptr[1] | 0x20) == 'x') {
        label = slice_skip(label, 2);
        digits = "0123456789abcdefABCDEF";
    }
    for (size_t i = 0; i < label.len; i++)
        if (!strchr(digits, label.ptr[i])) return false;
    return true;
}

static bool is_name(slice name)
{
    if (name.len == 0 || name.len > RESOLVE_NAME) return false;
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] <= ' ' || name.ptr[i] > '~' || strchr("/:%[]", name.ptr[i])) return false;
    return !is_number(last_label(name));
}

/* The result for one that asked. */
static int give(const struct entry *e, uint16_t port, struct sock_addr *out, unsigned max)
{
    if (e->error < 0) return e->error;
    unsigned n = e->answer.count < max ? e->answer.count : max;
    for (unsigned i = 0; i < n; i++) {
        out[i] = e->answer.addr[i];
        set_port(&out[i], port);
    }
    return (int)n;
}

/* ---- the cache ---- */

static void forget(struct entry *e)
{
    list_unlink(&e->link);
    e->resolver->n_entries--;
    free(e);
}

static struct entry *find(struct resolver *r, slice name)
{
    for (struct list *l = r->entries.next; l != &r->entries; l = l->next) {
        struct entry *e = container_of(l, struct entry, link);
        if (!slice_ieq(slice_str(e->name), name)) continue;
        if (!e->pending && e->expires <= clock_ns()) {
            forget(e);
            return NULL;
        }
        list_unlink(l);
        list_push_front(&r->entries, l);
        return e;
    }
    return NULL;
}

/* False if a lookup is under way for every entry. */
static bool make_room(struct resolver *r)
{
    if (r->n_entries < RESOLVE_ENTRIES) return true;
    for (struct list *l = r->entries.prev; l != &r->entries; l = l->prev) {
        struct entry *e = container_of(l, struct entry, link);
        if (e->pending) continue;
        forget(e);
        return true;
    }
    return false;
}

/* ---- lookups ---- */

static int look_up(struct torc_job *j, void *arg)
{
    struct entry *e = arg;
    return e->lookup(j, e->name, &e->answer);
}

static uint64_t lifetime(const struct entry *e)
{
    uint32_t s = e->error < 0 ? TTL_FAILED : e->answer.ttl;
    return (s < TTL_MIN ? TTL_MIN : s > TTL_MAX ? TTL_MAX : s) * NS_PER_S;
}

static void on_done(struct torc_job *j)
{
    struct entry *e = container_of(j, struct entry, job);
    e->pending = false;
    e->error = j->result < 0 ? j->result : e->answer.count == 0 ? -ENOENT : 0;
    e->expires = clock_ns() + lifetime(e);
    if (e->error < 0) counter_add(&e->resolver->stats.failures, 1);
    for (struct list *l; (l = list_pop(&e->waiters));) {
        struct waiter *w = container_of(l, struct waiter, link);
        wait_wake(&w->wait, give(e, w->port, w->out, w->max));
    }
}

/* The core has ended. */
static void on_orphaned(struct torc_job *j)
{
    free(container_of(j, struct entry, job));
}

/* An entry whose lookup is under way. 0 or negative errno. */
static int begin(struct resolver *r, slice name, struct entry **out)
{
    if (!make_room(r)) return -EAGAIN;
    struct entry *e = calloc(1, sizeof *e);
    if (!e) return -ENOMEM;
    e->resolver = r;
    e->lookup = r->lookup;
    e->pending = true;
    memcpy(e->name, name.ptr, name.len);
    list_init(&e->waiters);
    e->job = (struct torc_job){.fn = look_up, .arg = e, .done = on_done, .orphaned = on_orphaned};
    int err = offload_start(r->pool, &e->job, r->io);
    if (err < 0) {
        free(e);
        return err;
    }
    counter_add(&r->stats.lookups, 1);
    list_push_front(&r->entries, &e->link);
    r->n_entries++;
    *out = e;
    return 0;
}

/* The lookup goes on: whoever asks next finds its answer. */
static void cancel(struct wait *w)
{
    list_unlink(&container_of(w, struct waiter, wait)->link);
    wait_wake(w, w->scope->cancelled);
}

/* ---- interface ---- */

int resolve(struct scope *s, struct resolver *r, const char *name, uint16_t port,
            struct sock_addr *out, unsigned max)
{
    slice key = slice_str(name);
    int err = scope_refuses(s);
    if (err < 0 || max == 0) return err;
    if (parse_address(name, port, out)) return 1;
    if (!is_name(key)) return -EINVAL;
    struct entry *e = find(r, key);
    if (e && !e->pending) {
        counter_add(&r->stats.cached, 1);
        return give(e, port, out, max);
    }
    if (!e && (err = begin(r, key, &e)) < 0) return err;
    struct waiter w = {.wait.what = "name", .out = out, .max = max, .port = port};
    list_init(&w.link);
    list_push(&e->waiters, &w.link);
    return wait_park(s, &w.wait, cancel);
}

void resolver_init(struct resolver *r, struct io *io, struct offload *pool, resolve_fn *lookup)
{
    *r = (struct resolver){.io = io, .pool = pool, .lookup = lookup};
    list_init(&r->entries);
}

/* Whether a thread still uses the entry, and will free it. */
static bool is_in_use(struct entry *e)
{
    return e->pending && !offload_cancel(&e->job) && offload_leave(&e->job);
}

void resolver_end(struct resolver *r)
{
    for (struct list *l = r->entries.next, *next; l != &r->entries; l = next) {
        struct entry *e = container_of(l, struct entry, link);
        next = l->next;
        ASSERT(list_empty(&e->waiters));
        if (!is_in_use(e)) free(e);
    }
    list_init(&r->entries);
    r->n_entries = 0;
}
