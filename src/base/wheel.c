#include "base/wheel.h"

#include "base/assert.h"

static_assert(WHEEL_LEVELS * WHEEL_SLOT_BITS + WHEEL_TICK_BITS > 64, "every deadline has a slot");

/* The first tick that begins at or after the deadline. */
static uint64_t tick_of(uint64_t deadline)
{
    return (deadline >> WHEEL_TICK_BITS) + ((deadline & ((1u << WHEEL_TICK_BITS) - 1)) != 0);
}

/* The highest digit in which two different ticks differ. */
static unsigned level_of(uint64_t a, uint64_t b)
{
    return (63 - (unsigned)__builtin_clzll(a ^ b)) / WHEEL_SLOT_BITS;
}

static unsigned digit_of(uint64_t tick, unsigned level)
{
    return tick >> (level * WHEEL_SLOT_BITS) & (WHEEL_SLOTS - 1);
}

void wheel_init(struct wheel *w, uint64_t now)
{
    w->tick = now >> WHEEL_TICK_BITS;
    w->armed = 0;
    list_init(&w->due);
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        w->occupied[level] = 0;
        for (unsigned i = 0; i < WHEEL_SLOTS; i++) list_init(&w->slot[level][i]);
    }
}

static void link_timer(struct wheel *w, struct wheel_timer *t)
{
    uint64_t tick = tick_of(t->deadline);
    t->slotted = t->deadline;
    if (tick <= w->tick) {
        list_push(&w->due, &t->link);
        return;
    }
    unsigned level = level_of(tick, w->tick), digit = digit_of(tick, level);
    list_push(&w->slot[level][digit], &t->link);
    w->occupied[level] |= 1ull << digit;
}

static void unlink_timer(struct wheel *w, struct wheel_timer *t)
{
    uint64_t tick = tick_of(t->slotted);
    list_unlink(&t->link);
    if (tick <= w->tick) return;
    unsigned level = level_of(tick, w->tick), digit = digit_of(tick, level);
    if (list_empty(&w->slot[level][digit])) w->occupied[level] &= ~(1ull << digit);
}

void wheel_place(struct wheel *w, struct wheel_timer *t, uint64_t deadline)
{
    wheel_clear(w, t);
    if (deadline == WHEEL_NEVER) return;
    t->deadline = deadline;
    link_timer(w, t);
    w->armed++;
}

void wheel_clear(struct wheel *w, struct wheel_timer *t)
{
    if (!wheel_is_armed(t)) return;
    unlink_timer(w, t);
    t->deadline = t->slotted = WHEEL_NEVER;
    w->armed--;
}

/* Moves the timers of the slots in the bit set `digits` to `to`. */
static void take_slots(struct wheel *w, unsigned level, uint64_t digits, struct list *to)
{
    digits &= w->occupied[level];
    w->occupied[level] ^= digits;
    for (; digits; digits &= digits - 1) list_splice(&w->slot[level][__builtin_ctzll(digits)], to);
}

/* Advances the wheel to `tick` in one step of any length. Below the highest digit that changes,
 * every slot is passed; on that digit's level, the slots up to the new digit are reached. The last
 * of them may hold timers of later ticks, and any slot may hold postponed timers, so the caller
 * checks each timer. */
static void step(struct wheel *w, uint64_t tick, struct list *reached)
{
    unsigned top = level_of(tick, w->tick);
    for (unsigned level = 0; level < top; level++) take_slots(w, level, UINT64_MAX, reached);
    take_slots(w, top, UINT64_MAX >> (WHEEL_SLOTS - 1 - digit_of(tick, top)), reached);
    w->tick = tick;
}

void wheel_run(struct wheel *w, uint64_t now, unsigned max)
{
    struct list reached;
    list_move(&w->due, &reached);
    uint64_t tick = now >> WHEEL_TICK_BITS;
    if (tick > w->tick) step(w, tick, &reached);

    /* While a timer waits for its turn it is linked in `reached` as in a slot, so a callback may
     * postpone, move or disarm it. */
    for (struct list *node; max > 0 && (node = list_pop(&reached));) {
        struct wheel_timer *t = container_of(node, struct wheel_timer, link);
        if (tick_of(t->deadline) > w->tick) {
            link_timer(w, t);
            continue;
        }
        t->deadline = t->slotted = WHEEL_NEVER;
        w->armed--;
        t->fn(t);
        max--;
    }
    list_splice(&w->due, &reached);
    list_move(&reached, &w->due);
}

uint64_t wheel_next(const struct wheel *w)
{
    if (!list_empty(&w->due)) return 0;
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        if (!w->occupied[level]) continue;
        unsigned shift = level * WHEEL_SLOT_BITS;
        uint64_t window = w->tick >> shift >> WHEEL_SLOT_BITS << WHEEL_SLOT_BITS;
        uint64_t tick = (window | (unsigned)__builtin_ctzll(w->occupied[level])) << shift;
        /* A tick after the last ns of 64 bits cannot be expressed, and is never reached. */
        return tick > WHEEL_NEVER >> WHEEL_TICK_BITS ? WHEEL_NEVER - 1 : tick << WHEEL_TICK_BITS;
    }
    return WHEEL_NEVER;
}
