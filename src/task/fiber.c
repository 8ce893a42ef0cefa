#include "task/fiber.h"

#include "base/assert.h"
#include "base/child.h"
#include "base/libc.h"
#include "task/stack.h"

#include <errno.h>

#ifdef TORC_VALGRIND
#include <valgrind/valgrind.h>
#else
#define VALGRIND_STACK_REGISTER(low, high) 0u
#define VALGRIND_STACK_DEREGISTER(id)      ((void)(id))
#endif

enum {
    COLOURS = 32,
    COLOUR_STEP = 64,  /* all within half a page, so a small handler's stack is in the other half */
    GUARD = 64 * 1024, /* larger than most frames, or they could step over it */
    TRIM_MAX = 128,    /* per call: the core serves nobody while it unmaps */
    DRAIN_PASSES = 8,
};

struct fiber {
    struct list link; /* in the pool's free list */
    struct fiber_stack stack;
    struct fiber_stack *return_to; /* who started or resumed it; runs when it parks */
    struct fiber *resumer;         /* the fiber of `return_to`; NULL on the core's own stack */
    void *owner;
    struct fiber_pool *pool;
    fiber_fn *fn;
    void *arg;
    void *map; /* guard and stack */
    size_t map_size;
    bool apart; /* its stack has a size of its own: it is not used again */
    unsigned valgrind_id;
    bool returned;
};

static size_t whole_pages(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (size + page - 1) & ~(page - 1);
}

static size_t guard_size(void)
{
    return whole_pages(GUARD);
}

static size_t map_size(size_t stack_size)
{
    return guard_size() + stack_size + whole_pages(COLOURS * COLOUR_STEP + sizeof(struct fiber));
}

void fiber_pool_init(struct fiber_pool *p, size_t stack_size, uint32_t max)
{
    stack_find_watchers();
    *p = (struct fiber_pool){
        .stack_size = whole_pages(stack_size), .max = max, .thread = pthread_self()};
    list_init(&p->free);
    list_init(&p->emptied[false]);
    list_init(&p->emptied[true]);
}

/* Called by fiber_entry on the fiber's own stack; never returns. NULL: see fiber_pool_forked. */
__attribute__((used, visibility("hidden"))) _Noreturn void fiber_main(struct fiber *f)
{
    if (UNLIKELY(!f)) child_end();
    stack_entered(f->return_to);
    for (;;) {
        f->fn(f->arg);
        f->returned = true;
        f->pool->running = f->resumer;
        stack_switch(&f->stack, f->return_to, NULL);
    }
}

COLD static struct fiber *fiber_new(struct fiber_pool *p, size_t stack_size)
{
    size_t guard = guard_size(), size = map_size(stack_size);
    char *map = mmap(NULL, size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (map == MAP_FAILED) return NULL;
    /* The guard is no mapping of its own where the kernel allows it: two mappings per stack could
     * exceed vm.max_map_count. */
    if (madvise(map, guard, MADV_GUARD_INSTALL) < 0 && mprotect(map, guard, PROT_NONE) < 0) {
        munmap(map, size);
        return NULL;
    }
    /* struct fiber is at the top of its stack. The tops are spread, otherwise those of thousands of
     * parked fibers would share a few sets of the cache. */
    size_t colour = p->n_created++ % COLOURS * COLOUR_STEP;
    struct fiber *f =
        (struct fiber *)((uintptr_t)(map + size - colour - sizeof *f) & ~(uintptr_t)63);
    *f = (struct fiber){.pool = p, .map = map, .map_size = size};
    list_init(&f->link);
    f->stack.bottom = map + guard;
    f->stack.size = (size_t)((char *)f - (map + guard));
    f->valgrind_id = VALGRIND_STACK_REGISTER(f->stack.bottom, (char *)f);
    stack_prepare(&f->stack, f);
    p->total++;
    return f;
}

/* Neighbouring stacks are one mapping, and to unmap one from its middle takes another, which the
 * kernel refuses at vm.max_map_count. False then: the fiber is as it was. */
static bool fiber_free(struct fiber *f)
{
    struct fiber_pool *p = f->pool;
    struct fiber_stack stack = f->stack;
    unsigned valgrind_id = f->valgrind_id;
    if (munmap(f->map, f->map_size) < 0) return false;
    VALGRIND_STACK_DEREGISTER(valgrind_id);
    stack_forget(&stack, p->running ? &p->running->stack : &p->core_stack);
    p->total--;
    return true;
}

/* Frees what is below the frame in which the fiber waits for its next function. */
COLD static void fiber_empty(struct fiber *f)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *low = (char *)f->map + guard_size();
    size_t unused = (size_t)((char *)f->stack.sp - low) & ~(page - 1);
    if (unused) madvise(low, unused, MADV_DONTNEED);
}

/* True if it is no more. */
static bool free_or_empty(struct fiber *f)
{
    struct fiber_pool *p = f->pool;
    if (LIKELY(fiber_free(f))) return true;
    fiber_empty(f);
    list_push(&p->emptied[f->apart], &f->link);
    p->n_emptied++;
    return false;
}

static struct fiber *pop_emptied(struct fiber_pool *p, bool apart)
{
    struct list *l = list_pop(&p->emptied[apart]);
    if (!l) return NULL;
    p->n_emptied--;
    return container_of(l, struct fiber, link);
}

static uint32_t n_free(const struct fiber_pool *p)
{
    return p->total - p->in_use - p->n_emptied;
}

/* The switch to the core's stack enters another one, in fiber_main; that gets no fiber then. */
void fiber_pool_forked(struct fiber_pool *p)
{
    p->thread = 0;
    if (!p->running) return;
    struct fiber *f = fiber_new(p, p->stack_size);
    if (f)
        p->core_stack = f->stack;
    else
        child_end();
}

/* One that is between others may be unmapped after them. */
void fiber_pool_drain(struct fiber_pool *p)
{
    uint32_t left = p->total;
    ASSERT(p->in_use == 0);
    for (int i = 0; i < DRAIN_PASSES && left > 0; i++) {
        struct list all;
        list_move(&p->free, &all);
        list_splice(&p->emptied[false], &all);
        list_splice(&p->emptied[true], &all);
        p->n_emptied = left = 0;
        for (struct list *l; (l = list_pop(&all));)
            left += !free_or_empty(container_of(l, struct fiber, link));
    }
    ASSERT(p->total == left);
    p->min_free = p->surplus = 0;
}

/* Unmaps those that could not be before. Where one still cannot, nor can most others: the next time
 * begins with another one. */
COLD static void free_emptied(struct fiber_pool *p, bool apart)
{
    struct fiber *f;
    for (uint32_t left = TRIM_MAX; left > 0 && (f = pop_emptied(p, apart)); left--)
        if (!free_or_empty(f)) return;
}

/* What has been emptied has no memory to give back: it is tried once, and no reason to come again
 * soon. */
static void begin_trim(struct fiber_pool *p)
{
    if (UNLIKELY(p->n_emptied)) {
        free_emptied(p, false);
        free_emptied(p, true);
    }
    p->surplus = p->min_free / 2;
}

bool fiber_pool_trim(struct fiber_pool *p)
{
    ASSERT(!p->running);
    if (p->surplus == 0) begin_trim(p);
    if (p->surplus > p->min_free) p->surplus = p->min_free;
    uint32_t n = p->surplus < TRIM_MAX ? p->surplus : TRIM_MAX;
    p->surplus -= n;
    for (; n > 0 && !list_empty(&p->free); n--) {
        struct list *coldest = p->free.prev;
        list_unlink(coldest);
        free_or_empty(container_of(coldest, struct fiber, link));
    }
    p->min_free = n_free(p);
    return p->surplus > 0;
}

static void switch_to(struct fiber_pool *p, struct fiber *f)
{
    f->resumer = p->running;
    f->return_to = f->resumer ? &f->resumer->stack : &p->core_stack;
    p->running = f;
    stack_switch(f->return_to, &f->stack, f);
    if (!f->returned) return;
    f->returned = false;
    p->in_use--;
    if (UNLIKELY(f->apart))
        free_or_empty(f);
    else
        list_push_front(&p->free, &f->link);
}

static void start(struct fiber_pool *p, struct fiber *f, fiber_fn *fn, void *arg, void *owner)
{
    p->in_use++;
    if (n_free(p) < p->min_free) p->min_free = n_free(p);
    f->fn = fn;
    f->arg = arg;
    f->owner = owner;
    switch_to(p, f);
}

int fiber_start_for(struct fiber_pool *p, fiber_fn *fn, void *arg, void *owner)
{
    if (UNLIKELY(p->in_use >= p->max)) return -EAGAIN;
    struct list *l = list_pop(&p->free);
    struct fiber *f = l ? container_of(l, struct fiber, link) : NULL;
    if (UNLIKELY(!f)) {
        f = pop_emptied(p, false);
        if (!f) f = fiber_new(p, p->stack_size);
        if (!f) return -ENOMEM;
    }
    start(p, f, fn, arg, owner);
    return 0;
}

int fiber_start_apart(struct fiber_pool *p, size_t stack_size, fiber_fn *fn, void *arg, void *owner)
{
    if (p->in_use >= p->max) return -EAGAIN;
    struct fiber *f = fiber_new(p, whole_pages(stack_size));
    if (!f) return -ENOMEM;
    f->apart = true;
    start(p, f, fn, arg, owner);
    return 0;
}

void fiber_park(struct fiber_pool *p)
{
    struct fiber *f = p->running;
    ASSERT(f);
    p->running = f->resumer;
    stack_switch(&f->stack, f->return_to, NULL);
}

void *fiber_owner(const struct fiber_pool *p)
{
    return p->running->owner;
}

bool fiber_is_outermost(const struct fiber_pool *p)
{
    return !p->running->resumer;
}

bool fiber_may_park(const struct fiber_pool *p)
{
    return pthread_equal(p->thread, pthread_self()) && p->running;
}

bool fiber_overflowed(const struct fiber_pool *p, const void *address, struct fiber_overflow *out)
{
    const struct fiber *f = p->running;
    const char *guard = f ? f->map : NULL, *at = address;
    if (!f || at < guard || at >= guard + guard_size()) return false;
    *out = (struct fiber_overflow){f->owner, f->map_size - map_size(0), f->apart};
    return true;
}

void fiber_resume(struct fiber_pool *p, struct fiber *f)
{
    ASSERT(!p->running);
    switch_to(p, f);
}
