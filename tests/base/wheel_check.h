#pragma once
/* Shared by the wheel tests: the wheel, and a check of its internal state. */

#include "base/assert.h"
#include "base/wheel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define TICK (1ull << WHEEL_TICK_BITS)

static struct wheel w;

/* When a timer may fire: the start of the first tick at or after its deadline. */
static uint64_t tick_start(uint64_t deadline)
{
    uint64_t up;
    if (__builtin_add_overflow(deadline, TICK - 1, &up)) return WHEEL_NEVER - 1;
    return up & ~(TICK - 1);
}

/* Checks that `occupied` has a bit for each slot with timers, and that each timer is in the right
 * slot ahead of the wheel's tick. */
static void check_slots(void)
{
    uint32_t linked = 0;
    for (struct list *n = w.due.next; n != &w.due; n = n->next) linked++;
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        unsigned shift = level * WHEEL_SLOT_BITS;
        for (unsigned i = 0; i < WHEEL_SLOTS; i++) {
            struct list *head = &w.slot[level][i];
            assert_int_equal(w.occupied[level] >> i & 1, !list_empty(head));
            for (struct list *n = head->next; n != head; n = n->next, linked++) {
                struct wheel_timer *t = container_of(n, struct wheel_timer, link);
                uint64_t tick = ((t->slotted - 1) >> WHEEL_TICK_BITS) + 1;
                assert_true(t->slotted <= t->deadline);
                assert_true(tick > w.tick);
                assert_int_equal(tick >> shift & (WHEEL_SLOTS - 1), i);
                assert_true(tick >> shift >> WHEEL_SLOT_BITS == w.tick >> shift >> WHEEL_SLOT_BITS);
            }
        }
    }
    assert_int_equal(linked, w.armed);
}
