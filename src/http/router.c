#include "http/router.h"

#include "http/target.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { KNOWN = 1 << HTTP_METHODS }; /* a bit of `allow`: other methods of the path are 405 */

/* A tree with one node per segment. A trailing slash is an empty static segment. */
struct node {
    struct node *next;    /* next sibling; static ones sorted by sorts_before */
    struct node *statics; /* first child of each kind */
    struct node *param;
    struct node *rest; /* never has children */
    slice path;        /* the pattern up to this node, normalized; allocated with the node */
    slice text;        /* its last segment, without ':' or '*' */
    bool is_static;    /* no parameter in `path` */
    uint32_t allow;    /* methods as in struct route_match; 0 if no route ends here */
    struct route route[HTTP_METHODS];
};

/* A hash key of a static path: static routes match first, so a hit with the right method is the
 * result. For paths of up to 16 bytes, the key contains the whole path. */
struct key {
    uint64_t head, tail;
};
struct entry {
    struct key key;
    slice path;
    const struct node *node; /* NULL: unused entry */
};

struct router {
    struct node root;                  /* represents the part before the first slash */
    size_t n_nodes, n_static, n_bytes; /* counts of nodes below the root; n_bytes of their paths */
    struct entry *index; /* open addressing, at most half full; NULL until router_freeze */
    unsigned shift;      /* shift from a 64-bit hash to an index */
    size_t mask;
    void *block; /* mapping of nodes (except the root), index and paths, once frozen */
    size_t block_size;
    bool frozen;
};

static struct key key_of(slice s)
{
    struct key k = {0, 0};
    if (s.len >= 8) {
        memcpy(&k.head, s.ptr, 8);
        memcpy(&k.tail, s.ptr + s.len - 8, 8);
    } else if (s.len >= 4) {
        memcpy(&k.head, s.ptr, 4);
        memcpy(&k.tail, s.ptr + s.len - 4, 4);
    } else if (s.len) {
        k.head = (unsigned char)s.ptr[0];
        k.tail = (uint64_t)(unsigned char)s.ptr[s.len / 2] << 8 | (unsigned char)s.ptr[s.len - 1];
    }
    return k;
}

static size_t slot_of(const struct router *r, struct key k, size_t len)
{
    uint64_t h = (k.head ^ (k.tail << 23 | k.tail >> 41) ^ len) * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(h >> r->shift);
}

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

/* ---- finding ---- */

static bool serves(const struct node *node, enum http_method m, struct route_match *out)
{
    out->allow |= node->allow;
    if (LIKELY(node->route[m].fn != NULL))
        out->route = &node->route[m];
    else if (m == HTTP_HEAD && node->route[HTTP_GET].fn)
        out->route = &node->route[HTTP_GET];
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
    return m == HTTP_OPTIONS ? out->allow : out->allow & KNOWN;
}

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
                return "a segment contains a character that is not allowed in a path";
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

/* Finds or creates the child of `parent` for the last segment of `path`. */
static int child_for(struct router *r, struct node *parent, slice path, slice segment,
                     struct node **out, const char **why)
{
    char kind = segment.len ? segment.ptr[0] : 0;
    bool is_param = kind == ':' || kind == '*';
    struct node **at = &parent->statics;
    if (is_param) {
        at = kind == ':' ? &parent->param : &parent->rest;
        segment = slice_skip(segment, 1);
        if (*at && !slice_eq((*at)->text, segment))
            return reject(why, -EINVAL, "another route names this parameter differently");
    } else {
        while (*at && sorts_before((*at)->text, segment)) at = &(*at)->next;
    }
    if (!*at || !slice_eq((*at)->text, segment)) {
        struct node *created = node_new(path, segment.len);
        if (!created) return reject(why, -ENOMEM, "out of memory");
        created->is_static = parent->is_static && !is_param;
        created->next = *at;
        *at = created;
        r->n_nodes++;
        r->n_static += created->is_static;
        r->n_bytes += path.len;
    }
    *out = *at;
    return 0;
}

/* The last node of a pattern, which is found or created. */
static int node_for(struct router *r, slice pattern, struct node **out, const char **why)
{
    char *normal = malloc(pattern.len);
    if (!normal) return reject(why, -ENOMEM, "out of memory");
    pattern = slice_of(normal, path_normalize(pattern, normal));
    *out = &r->root;
    slice rest = slice_skip(pattern, 1), segment;
    int rc = 0;
    while (rc == 0 && slice_cut(&rest, '/', &segment)) {
        slice path = slice_of(normal, (size_t)(segment.ptr - normal) + segment.len);
        rc = child_for(r, *out, path, segment, out, why);
    }
    free(normal);
    return rc;
}

int router_add(struct router *r, enum http_method m, slice pattern, torc_handler *fn, void *arg,
               const char **why)
{
    if (r->frozen) return reject(why, -EBUSY, "the routes are frozen");
    if ((unsigned)m >= HTTP_METHODS) return reject(why, -EINVAL, "no such method");
    if (!fn) return reject(why, -EINVAL, "a route needs a handler");
    const char *fault = malformed(pattern);
    if (fault) return reject(why, -EINVAL, fault);

    /* A contradiction is found at an existing node, before any is created. */
    struct node *node;
    int rc = node_for(r, pattern, &node, why);
    if (rc) return rc;
    if (node->route[m].fn)
        return reject(why, -EEXIST, "this method and pattern already have a route");
    node->route[m] = (struct route){fn, arg};
    node->allow |= 1u << m | 1u << HTTP_OPTIONS;
    if (m == HTTP_GET) node->allow |= 1u << HTTP_HEAD;
    char before = node->path.ptr[node->path.len - node->text.len - 1];
    if (before != '*') node->allow |= KNOWN;
    return 0;
}

/* The node among `n`, its later siblings and all their children that has the route. */
static const struct node *node_of(const struct node *n, const struct route *route)
{
    for (; n; n = n->next) {
        if (route >= n->route && route < n->route + HTTP_METHODS) return n;
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
    const struct node *n = node_of(&r->root, route);
    return n ? n->path : (slice){NULL, 0};
}

int router_claim(struct router *r, slice pattern)
{
    struct node *node;
    int err = node_for(r, pattern, &node, NULL);
    if (err) return err;
    ASSERT(node->allow && !r->frozen);
    node->allow |= KNOWN;
    return 0;
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
