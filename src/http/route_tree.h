#pragma once
/* The routes of a router; shared by router.c, which finds them, and router_add.c, which adds them.
 */

#include "base/slice.h"
#include "http/method.h"
#include "http/route.h"

#define ROUTE_ANYTHING SLICE("/*") /* the pattern of the two that stand for none */

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
    struct route any; /* of the methods without one */
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
    uint32_t methods;               /* as in struct route_match: those that some route has */
    struct route fallback, refusal; /* without a handler: none */
    char conflict[160];             /* the last one, in words */
};

static inline struct key key_of(slice s)
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

static inline size_t slot_of(const struct router *r, struct key k, size_t len)
{
    uint64_t h = (k.head ^ (k.tail << 23 | k.tail >> 41) ^ len) * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(h >> r->shift);
}
