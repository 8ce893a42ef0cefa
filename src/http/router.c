#include "http/router.h"

#include "http/route_tree.h"
#include "http/target.h"

#include <stdlib.h>
#include <sys/mman.h>

/* ---- finding ---- */

static const struct node *index_find(const struct router *r, slice path)
{
    struct key k = key_of(path);
    for (size_t i = slot_of(r, k, path.len);; i = (i + 1) & r->mask) {
        const struct entry *e = &r->index[i];
        if (!e->node) return NULL;
        if (e->path.len == path.len && e->key.head == k.head && e->key.tail == k.tail &&
            (path.len <= 16 || slice_eq(e->path, path)))
            return e->node;
    }
}

static bool serves(const struct node *node, enum http_method m, struct route_match *out)
{
    out->allow |= node->allow;
    if (LIKELY(node->route[m].fn != NULL))
        out->route = &node->route[m];
    else if (m == HTTP_HEAD && node->route[HTTP_GET].fn)
        out->route = &node->route[HTTP_GET];
    else if (node->any.fn)
        out->route = &node->any;
    return out->route != NULL;
}

static void set_param(struct route_match *out, const struct node *node, slice value)
{
    out->param[out->n].name = node->text;
    out->param[out->n].value = value;
    out->n++;
}

/* The static node of a segment among siblings. Only what was sent with escapes may have to be
 * normalized first. */
static const struct node *find_static(const struct node *first, slice segment)
{
    for (const struct node *c = first; c && c->text.len <= segment.len; c = c->next)
        if (c->text.len == segment.len && (!segment.len || c->text.ptr[0] == segment.ptr[0]) &&
            slice_eq(c->text, segment))
            return c;
    if (!first || segment.len < 3 || !memchr(segment.ptr, '%', segment.len)) return NULL;
    for (const struct node *c = first; c && c->text.len <= segment.len; c = c->next)
        if (path_equals(segment, c->text)) return c;
    return NULL;
}

/* `s` starts with a segment. The recursion is at most ROUTE_SEGMENTS deep. */
static bool find(const struct node *node, enum http_method m, slice s, struct route_match *out)
{
    const char *slash = s.len ? memchr(s.ptr, '/', s.len) : NULL;
    slice segment = slash ? slice_of(s.ptr, (size_t)(slash - s.ptr)) : s;
    slice after = slash ? slice_skip(s, segment.len + 1) : (slice){NULL, 0};

    const struct node *same = find_static(node->statics, segment);
    if (same && (slash ? find(same, m, after, out) : serves(same, m, out))) return true;
    if (node->param && segment.len) {
        uint32_t n = out->n;
        set_param(out, node->param, segment);
        if (slash ? find(node->param, m, after, out) : serves(node->param, m, out)) return true;
        out->n = n;
    }
    if (node->rest && serves(node->rest, m, out)) {
        set_param(out, node->rest, s);
        return true;
    }
    return false;
}

bool router_find(const struct router *r, enum http_method m, slice path, struct route_match *out)
{
    ASSERT((unsigned)m < HTTP_METHODS);
    out->route = NULL;
    out->allow = 0;
    out->n = 0;
    if (LIKELY(r->index != NULL)) {
        const struct node *node = index_find(r, path);
        if (node && serves(node, m, out)) return true;
    }
    if (path.len == 0 || path.ptr[0] != '/') return false;
    if (find(&r->root, m, slice_skip(path, 1), out)) return true;
    if (m == HTTP_OPTIONS ? out->allow : out->allow & KNOWN) return true;
    if (!r->fallback.fn) return false;
    /* The path is checked as parameters are: as one whose name nobody can ask for. */
    out->route = &r->fallback;
    out->n = 1;
    out->param[0].name = SLICE("\0");
    out->param[0].value = path;
    return true;
}

bool router_knows(const struct router *r, enum http_method m)
{
    return m <= HTTP_OPTIONS || r->methods & 1u << m;
}

uint32_t router_methods(const struct router *r)
{
    return r->methods | HTTP_METHODS_ANY;
}

const struct route *router_refusal(const struct router *r)
{
    return r->refusal.fn ? &r->refusal : NULL;
}

/* ---- messages ---- */

/* The node among `n`, its later siblings and all their children that has the route. */
static const struct node *node_of(const struct node *n, const struct route *route)
{
    for (; n; n = n->next) {
        bool own = route >= n->route && route < n->route + HTTP_METHODS;
        if (own || route == &n->any) return n;
        const struct node *children[] = {n->statics, n->param, n->rest};
        for (size_t i = 0; i < ARRAY_LEN(children); i++) {
            const struct node *found = node_of(children[i], route);
            if (found) return found;
        }
    }
    return NULL;
}

slice router_pattern(const struct router *r, const struct route *route)
{
    if (route == &r->fallback || route == &r->refusal) return ROUTE_ANYTHING;
    const struct node *n = node_of(&r->root, route);
    return n ? n->path : (slice){NULL, 0};
}

/* ---- life ---- */

struct router *router_new(void)
{
    struct router *r = calloc(1, sizeof *r);
    if (r) r->root.is_static = true;
    return r;
}

static void free_below(struct node *node)
{
    for (struct node *c = node->statics, *next; c; c = next) {
        next = c->next;
        free_below(c);
        free(c);
    }
    if (node->param) free_below(node->param);
    free(node->param);
    free(node->rest);
}

void router_free(struct router *r)
{
    if (!r) return;
    if (r->block)
        munmap(r->block, r->block_size);
    else
        free_below(&r->root);
    free(r);
}
