/* The making of a router: routes are added, then frozen. */

#include "http/route_tree.h"
#include "http/router.h"
#include "http/target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

/* ---- adding ---- */

static int reject(const char **why, int error, const char *text)
{
    if (why) *why = text;
    return error;
}

static bool is_name(slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
        if (!letter && (i == 0 || c < '0' || c > '9')) return false;
    }
    return s.len > 0;
}

/* What is wrong with a pattern, or NULL. */
static const char *malformed(slice pattern)
{
    if (pattern.len == 0 || pattern.ptr[0] != '/') return "a pattern begins with '/'";
    slice rest = slice_skip(pattern, 1), segment, names[ROUTE_PARAMS];
    unsigned segments = 0, n = 0;
    while (slice_cut(&rest, '/', &segment)) {
        if (++segments > ROUTE_SEGMENTS) return "a pattern has at most 32 segments";
        if (segment.len == 0 && rest.ptr) return "a segment is empty";
        for (size_t i = 0; i < segment.len; i++) {
            char c = segment.ptr[i];
            if (c <= ' ' || c > '~' || c == '?' || c == '#')
                return "a segment contains a character that is not allowed in a path unless "
                       "escaped";
        }
        if (segment.len == 0 || (segment.ptr[0] != ':' && segment.ptr[0] != '*')) continue;

        if (segment.ptr[0] == '*' && rest.ptr) return "'*' is allowed in the last segment only";
        slice name = slice_skip(segment, 1);
        if (!is_name(name)) return "the name of a parameter consists of letters, digits and '_'";
        if (n == ROUTE_PARAMS) return "a pattern has at most 8 parameters";
        for (unsigned i = 0; i < n; i++)
            if (slice_eq(names[i], name)) return "two parameters have the same name";
        names[n++] = name;
    }
    return NULL;
}

static struct node *node_new(slice path, size_t text_len)
{
    struct node *node = calloc(1, sizeof *node + path.len);
    if (!node) return NULL;
    memcpy(node + 1, path.ptr, path.len);
    node->path = slice_of((const char *)(node + 1), path.len);
    node->text = slice_skip(node->path, path.len - text_len);
    return node;
}

/* By length first, so that a search can stop early. */
static bool sorts_before(slice a, slice b)
{
    if (a.len != b.len) return a.len < b.len;
    return a.len && memcmp(a.ptr, b.ptr, a.len) < 0;
}

/* The methods that a route answers, as in struct route_match. */
static uint32_t methods_of(int m)
{
    if (m == ROUTE_ANY_METHOD) return HTTP_METHODS_ALL;
    uint32_t head = m == HTTP_GET ? 1u << HTTP_HEAD : 0;
    return head | 1u << m | 1u << HTTP_OPTIONS;
}

/* A pattern that is there already has another name for the parameter at the end of `path`. */
static int reject_name(struct router *r, const char **why, slice path)
{
    snprintf(r->conflict, sizeof r->conflict, "another route has %.*s%s there",
             (int)(path.len < 100 ? path.len : 100), path.ptr, path.len > 100 ? "..." : "");
    return reject(why, -EINVAL, r->conflict);
}

/* Finds or creates the child of `parent` for the last segment of `path`; *first is set where the
 * first is linked that is created. */
static int child_for(struct router *r, struct node *parent, slice path, slice segment,
                     struct node **out, struct node ***first, const char **why)
{
    char kind = segment.len ? segment.ptr[0] : 0;
    bool is_param = kind == ':' || kind == '*';
    struct node **at = &parent->statics;
    if (is_param) {
        at = kind == ':' ? &parent->param : &parent->rest;
        segment = slice_skip(segment, 1);
        if (*at && !slice_eq((*at)->text, segment)) return reject_name(r, why, (*at)->path);
    } else {
        while (*at && sorts_before((*at)->text, segment)) at = &(*at)->next;
    }
    if (!*at || !slice_eq((*at)->text, segment)) {
        struct node *created = node_new(path, segment.len);
        if (!created) return reject(why, -ENOMEM, "out of memory");
        created->is_static = parent->is_static && !is_param;
        created->next = *at;
        *at = created;
        if (!*first) *first = at;
        r->n_nodes++;
        r->n_static += created->is_static;
        r->n_bytes += path.len;
    }
    *out = *at;
    return 0;
}

/* Removes a node and what is below it, where each has one child at most. */
static void remove_from(struct router *r, struct node **at)
{
    struct node *n = *at, *child;
    for (*at = n->next; n; n = child) {
        child = n->statics ? n->statics : n->param ? n->param : n->rest;
        r->n_nodes--;
        r->n_static -= n->is_static;
        r->n_bytes -= n->path.len;
        free(n);
    }
}

/* The last node of a pattern, which is found or created. Without memory for all of them none is. */
static int node_for(struct router *r, slice pattern, struct node **out, const char **why)
{
    char *normal = malloc(pattern.len);
    if (!normal) return reject(why, -ENOMEM, "out of memory");
    pattern = slice_of(normal, path_normalize(pattern, normal));
    *out = &r->root;
    slice rest = slice_skip(pattern, 1), segment;
    struct node **first = NULL;
    int rc = 0;
    while (rc == 0 && slice_cut(&rest, '/', &segment)) {
        slice path = slice_of(normal, (size_t)(segment.ptr - normal) + segment.len);
        rc = child_for(r, *out, path, segment, out, &first, why);
    }
    if (rc && first) remove_from(r, first);
    free(normal);
    return rc;
}

int router_add(struct router *r, int m, slice pattern, torc_handler *fn, void *arg,
               const char **why)
{
    if (r->frozen) return reject(why, -EBUSY, "the routes are frozen");
    if (m != ROUTE_ANY_METHOD && (unsigned)m >= HTTP_METHODS)
        return reject(why, -EINVAL, "no such method");
    if (!fn) return reject(why, -EINVAL, "a route needs a handler");
    const char *fault = malformed(pattern);
    if (fault) return reject(why, -EINVAL, fault);

    /* A contradiction is found at an existing node, before any is created. */
    struct node *node;
    int rc = node_for(r, pattern, &node, why);
    if (rc) return rc;
    struct route *route = m == ROUTE_ANY_METHOD ? &node->any : &node->route[m];
    if (route->fn) return reject(why, -EEXIST, "this method and pattern already have a route");
    *route = (struct route){.fn = fn, .arg = arg};
    node->allow |= methods_of(m);
    r->methods |= methods_of(m);
    char before = node->path.ptr[node->path.len - node->text.len - 1];
    if (before != '*') node->allow |= KNOWN;
    return 0;
}

int router_set_fallback(struct router *r, torc_handler *fn, void *arg)
{
    if (!fn) return -EINVAL;
    if (r->fallback.fn) return -EEXIST;
    r->fallback = (struct route){.fn = fn, .arg = arg};
    r->methods = HTTP_METHODS_ALL;
    return 0;
}

void router_set_refusal(struct router *r, torc_handler *fn, void *arg)
{
    r->refusal = (struct route){.fn = fn, .arg = arg};
}

typedef int route_fn(struct route *route, slice pattern, void *arg);

static int each_below(struct node *n, route_fn *fn, void *arg)
{
    int err = 0;
    for (; n && err == 0; n = n->next) {
        for (int m = 0; m < HTTP_METHODS && err == 0; m++)
            if (n->route[m].fn) err = fn(&n->route[m], n->path, arg);
        if (n->any.fn && err == 0) err = fn(&n->any, n->path, arg);
        struct node *children[] = {n->statics, n->param, n->rest};
        for (size_t i = 0; i < ARRAY_LEN(children) && err == 0; i++)
            err = each_below(children[i], fn, arg);
    }
    return err;
}

int router_each(struct router *r, route_fn *fn, void *arg)
{
    ASSERT(!r->frozen);
    int err = each_below(&r->root, fn, arg);
    if (err == 0 && r->fallback.fn) err = fn(&r->fallback, ROUTE_ANYTHING, arg);
    return err == 0 && r->refusal.fn ? fn(&r->refusal, ROUTE_ANYTHING, arg) : err;
}

static struct node *child_of(const struct node *parent, slice segment)
{
    char kind = segment.len ? segment.ptr[0] : 0;
    if (kind == ':' || kind == '*') {
        struct node *n = kind == ':' ? parent->param : parent->rest;
        return n && slice_eq(n->text, slice_skip(segment, 1)) ? n : NULL;
    }
    struct node *n = parent->statics;
    while (n && !path_equals(segment, n->text)) n = n->next;
    return n;
}

/* The last node of a pattern, if it is there. */
static struct node *find_node(struct router *r, slice pattern)
{
    struct node *n = &r->root;
    slice rest = slice_skip(pattern, 1), segment;
    while (n && slice_cut(&rest, '/', &segment)) n = child_of(n, segment);
    return n;
}

struct route *router_added(struct router *r, int m, slice pattern)
{
    ASSERT(!r->frozen);
    bool known = m == ROUTE_ANY_METHOD || (unsigned)m < HTTP_METHODS;
    struct node *node = known && !malformed(pattern) ? find_node(r, pattern) : NULL;
    if (!node) return NULL;
    struct route *route = m == ROUTE_ANY_METHOD ? &node->any : &node->route[m];
    return route->fn ? route : NULL;
}

void router_claim(struct router *r, slice pattern)
{
    struct node *node = find_node(r, pattern);
    ASSERT(node && node->allow && !r->frozen);
    node->allow |= KNOWN;
}

/* ---- freezing ---- */

/* The unused rest of the block. */
struct room {
    struct node *nodes;
    char *bytes;
};

static void index_add(struct router *r, const struct node *node)
{
    struct key k = key_of(node->path);
    size_t i = slot_of(r, k, node->path.len);
    while (r->index[i].node) i = (i + 1) & r->mask;
    r->index[i] = (struct entry){k, node->path, node};
}

static struct node *move(struct router *r, struct room *room, struct node *old)
{
    struct node *node = room->nodes++;
    *node = *old;
    node->path.ptr = memcpy(room->bytes, old->path.ptr, old->path.len);
    node->text.ptr = node->path.ptr + (old->path.len - old->text.len);
    room->bytes += old->path.len;
    free(old);
    if (node->is_static && node->allow) index_add(r, node);
    return node;
}

/* Children are adjacent, static ones first, followed by their descendants. */
static void move_children(struct router *r, struct room *room, struct node *node)
{
    for (struct node **at = &node->statics; *at; at = &(*at)->next) *at = move(r, room, *at);
    if (node->param) node->param = move(r, room, node->param);
    if (node->rest) node->rest = move(r, room, node->rest);
    for (struct node *c = node->statics; c; c = c->next) move_children(r, room, c);
    if (node->param) move_children(r, room, node->param);
}

void router_freeze(struct router *r)
{
    if (r->frozen) return;
    r->frozen = true;

    unsigned bits = 1;
    while ((size_t)1 << bits < r->n_static * 2) bits++;
    size_t slots = (size_t)1 << bits, index_size = slots * sizeof(struct entry);
    size_t size = r->n_nodes * sizeof(struct node) + index_size + r->n_bytes;
    char *block = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED) return;

    r->block = block;
    r->block_size = size;
    r->shift = 64 - bits;
    r->mask = slots - 1;
    r->index = (struct entry *)block;
    struct node *nodes = (struct node *)(block + index_size);
    struct room room = {nodes, (char *)(nodes + r->n_nodes)};
    move_children(r, &room, &r->root);
    ASSERT(room.bytes == block + size);
    (void)mprotect(block, size, PROT_READ); /* only a safety measure */
}
