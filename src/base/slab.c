#include "base/slab.h"

#include "base/log.h"

#include <stdlib.h>

enum {
    LINE = 64,
    PAGE = 4096,
    BLOCK_BYTES_MIN = 64 * 1024, /* unless `max` objects fit into less */
    BLOCK_OBJECTS_MIN = 8,
    OBJECT_MIN = 16,
};

/* Occupies the first cache line of its block; the objects follow. */
struct slab_block {
    struct list link;   /* in slab.blocks */
    uint32_t count;     /* objects made */
    uint32_t n_sorted;  /* of these, free and found by the trim under way */
    void *first, *last; /* the found ones, linked like slab.free */
};

static_assert(sizeof(struct slab_block) <= LINE, "objects start at the second line");

void slab_init(struct slab *s, const char *name, size_t size, uint32_t max)
{
    ASSERT(size > 0);
    size_t stride, block = BLOCK_BYTES_MIN;
    if (size <= LINE)
        for (stride = OBJECT_MIN; stride < size;) stride *= 2;
    else
        stride = ((size + LINE - 1) / LINE | 1) * LINE;
    while ((block - LINE) / stride < BLOCK_OBJECTS_MIN) block *= 2;
    while (block > PAGE && (block / 2 - LINE) / stride >= max) block /= 2;
    *s = (struct slab){
        .size = stride,
        .max = max,
        .per_block = (uint32_t)((block - LINE) / stride),
        .block_size = block,
        .name = name,
    };
    list_init(&s->blocks);
}

static void *next_of(const struct slab *s, void *obj)
{
    (void)s;
    UNPOISON(obj, s->size);
    void *next = *(void **)obj;
    POISON(obj, s->size);
    return next;
}

static void set_next(const struct slab *s, void *obj, void *next)
{
    (void)s;
    UNPOISON(obj, s->size);
    *(void **)obj = next;
    POISON(obj, s->size);
}

/* ---- returning memory ---- */

/* Blocks are aligned to their size. */
static struct slab_block *block_of(const struct slab *s, void *obj)
{
    return (struct slab_block *)((uintptr_t)obj & ~(uintptr_t)(s->block_size - 1));
}

static void block_free(struct slab *s, struct slab_block *b)
{
    if (s->n_fresh && block_of(s, s->fresh) == b) s->n_fresh = 0;
    list_unlink(&b->link);
    s->total -= b->count;
    free(b);
}

/* Moves one free object to its block, and frees the block if it was the last one in use. */
static void sort_one(struct slab *s)
{
    void *obj = s->unsorted;
    struct slab_block *b = block_of(s, obj);
    s->unsorted = next_of(s, obj);
    if (b->n_sorted == 0) b->last = obj;
    set_next(s, obj, b->n_sorted ? b->first : NULL);
    b->first = obj;
    if (++b->n_sorted == b->count) block_free(s, b);
}

/* Ends the trim: what the blocks still in use have free is available again. */
static void end_trim(struct slab *s)
{
    while (s->unsorted) {
        void *obj = s->unsorted;
        s->unsorted = next_of(s, obj);
        set_next(s, obj, s->free);
        s->free = obj;
    }
    for (struct list *l = s->blocks.next; l != &s->blocks; l = l->next) {
        struct slab_block *b = container_of(l, struct slab_block, link);
        if (b->n_sorted == 0) continue;
        set_next(s, b->last, s->free);
        s->free = b->first;
        b->n_sorted = 0;
    }
    s->sorting = false;
}

static bool is_mostly_idle(const struct slab *s, size_t keep)
{
    return s->total * s->size > keep && s->in_use < s->total / 2;
}

bool slab_trim(struct slab *s, size_t keep, uint32_t most)
{
    if (!s->sorting) {
        s->idle_trims = is_mostly_idle(s, keep) ? s->idle_trims + 1 : 0;
        if (s->idle_trims < 2) return false;
        s->idle_trims = 0;
        s->sorting = true;
        s->unsorted = s->free;
        s->free = NULL;
    }
    for (; s->unsorted && most > 0; most--) sort_one(s);
    if (s->unsorted) return true;
    end_trim(s);
    return false;
}

/* ---- growing ---- */

static bool add_block(struct slab *s)
{
    uint32_t n = s->max - s->total;
    if (n > s->per_block) n = s->per_block;
    if (n == 0) return false;
    struct slab_block *b = aligned_alloc(s->block_size, s->block_size);
    if (!b) return false;
    *b = (struct slab_block){0};
    list_push(&s->blocks, &b->link);
    s->fresh = (char *)b + LINE;
    s->n_fresh = n;
    POISON(s->fresh, n * s->size);
    return true;
}

/* Objects for a page or so: a small user of the slab touches no more of the block. */
static bool make_objects(struct slab *s)
{
    uint32_t n = s->size < PAGE ? (uint32_t)(PAGE / s->size) : 1;
    if (s->n_fresh == 0 && !add_block(s)) return false;
    if (n > s->n_fresh) n = s->n_fresh;
    block_of(s, s->fresh)->count += n;
    s->total += n;
    s->n_fresh -= n;
    s->fresh += n * s->size;
    for (char *obj = s->fresh; n > 0; n--) {
        obj -= s->size;
        set_next(s, obj, s->free);
        s->free = obj;
    }
    return true;
}

bool slab_grow(struct slab *s)
{
    if (s->sorting) end_trim(s);
    return s->free || make_objects(s);
}

void slab_drain(struct slab *s)
{
    if (s->in_use != 0) log_line("%u objects of slab \"%s\" are still in use", s->in_use, s->name);
    ASSERT(s->in_use == 0);
    for (struct list *l = s->blocks.next, *next; l != &s->blocks; l = next) {
        next = l->next;
        free(container_of(l, struct slab_block, link));
    }
    list_init(&s->blocks);
    s->free = s->unsorted = NULL;
    s->sorting = false;
    s->total = s->n_fresh = 0;
}
