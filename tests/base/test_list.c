#include "base/list.h"

#include "base/assert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct item {
    char name;
    struct list link;
    struct fifo_node node;
};

static struct item items[8];

static int setup(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(items); i++) {
        items[i].name = (char)('a' + i);
        list_init(&items[i].link);
    }
    return 0;
}

static void push(struct list *l, const char *names)
{
    for (; *names; names++) list_push(l, &items[*names - 'a'].link);
}

/* Checks both directions, so that a wrong back link shows. */
static void list_is(const struct list *l, const char *names)
{
    const struct list *at = l;
    for (const char *n = names; *n; n++) {
        at = at->next;
        assert_ptr_not_equal(at, l);
        assert_int_equal(container_of(at, struct item, link)->name, *n);
    }
    assert_ptr_equal(at->next, l);
    for (size_t i = strlen(names); i > 0; i--, at = at->prev)
        assert_int_equal(container_of(at, struct item, link)->name, names[i - 1]);
    assert_ptr_equal(at, l);
    assert_int_equal(list_empty(l), *names == 0);
}

static void push_and_pop(void **state)
{
    (void)state;
    struct list l;
    list_init(&l);
    list_is(&l, "");
    assert_null(list_pop(&l));
    push(&l, "abc");
    list_is(&l, "abc");
    assert_ptr_equal(list_pop(&l), &items[0].link);
    assert_true(list_empty(&items[0].link));
    list_is(&l, "bc");
    push(&l, "a");
    list_is(&l, "bca");
}

static void unlink_anywhere(void **state)
{
    (void)state;
    struct list l;
    list_init(&l);
    push(&l, "abcde");
    list_unlink(&items[2].link);
    list_is(&l, "abde");
    list_unlink(&items[0].link);
    list_is(&l, "bde");
    list_unlink(&items[4].link);
    list_is(&l, "bd");
    list_unlink(&items[4].link); /* in no list: no effect */
    list_is(&l, "bd");
    list_unlink(&items[1].link);
    list_unlink(&items[3].link);
    list_is(&l, "");
}

static void splice_and_move(void **state)
{
    (void)state;
    struct list a, b, c;
    list_init(&a);
    list_init(&b);
    list_splice(&a, &b);
    list_is(&a, "");
    list_is(&b, "");
    push(&a, "ab");
    list_splice(&a, &b);
    list_is(&a, "");
    list_is(&b, "ab");
    push(&a, "c");
    list_splice(&a, &b);
    list_is(&b, "abc");
    list_splice(&a, &b);
    list_is(&b, "abc");

    memset(&c, 0xff, sizeof(c));
    list_move(&b, &c);
    list_is(&b, "");
    list_is(&c, "abc");
    memset(&a, 0xff, sizeof(a));
    list_move(&b, &a);
    list_is(&a, "");
}

static void fifo_order(void **state)
{
    (void)state;
    struct fifo f = {0};
    assert_null(fifo_pop(&f));
    for (int round = 0; round < 3; round++) {
        fifo_push(&f, &items[0].node);
        assert_ptr_equal(fifo_pop(&f), &items[0].node);
        assert_null(fifo_pop(&f));
        for (int i = 0; i < 4; i++) fifo_push(&f, &items[i].node);
        assert_ptr_equal(fifo_pop(&f), &items[0].node);
        fifo_push(&f, &items[0].node);
        for (int i = 1; i < 5; i++) assert_ptr_equal(fifo_pop(&f), &items[i % 4].node);
        assert_null(fifo_pop(&f));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(push_and_pop, setup),
        cmocka_unit_test_setup(unlink_anywhere, setup),
        cmocka_unit_test_setup(splice_and_move, setup),
        cmocka_unit_test_setup(fifo_order, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
