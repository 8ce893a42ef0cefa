#include "io/buf.h"

#include "base/assert.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void buffers_are_separate(void **state)
{
    (void)state;
    static const struct {
        uint32_t count, size;
    } cases[] = {{1, 1}, {2, 64}, {8, 100}, {64, 4096}, {256, 16384}, {32768, 64}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf_pool p;
        uint32_t n = cases[i].count, size = cases[i].size;
        assert_int_equal(buf_pool_init(&p, n, size), 0);
        assert_int_equal(p.n_free, n);
        assert_int_equal(buf_in_ring(&p), 0);
        assert_int_equal((uintptr_t)buf_at(&p, 0) % 64, 0);
        assert_int_equal(p.stride / 64 % 2, 1);
        assert_true(p.stride % 64 == 0 && p.stride >= size);
        for (uint32_t id = 0; id < n; id++) memset(buf_at(&p, id), (int)(id % 251), size);
        for (uint32_t id = 0; id < n; id++)
            for (uint32_t k = 0; k<size; k += size> 64 ? 63 : 1)
                if ((unsigned char)buf_at(&p, id)[k] != id % 251) fail_msg("buffer %u", id);
        buf_pool_free(&p);
    }
}

static uint32_t published[8];
static unsigned n_published;

static void note(void *ctx, uint32_t id)
{
    assert_ptr_equal(ctx, published);
    published[n_published++] = id;
}

static void life_cycle_in_the_ring(void **state)
{
    (void)state;
    static const uint32_t order[] = {3, 0, 2};
    struct buf_pool p;
    buf_pool_init(&p, 4, 100);
    for (int i = 0; i < 4; i++) assert_in_range(buf_move_to_ring(&p), 0, 3);
    assert_int_equal(buf_move_to_ring(&p), -1);
    assert_int_equal(p.n_free, 0);
    for (int round = 0; round < 3; round++) {
        n_published = 0;
        for (unsigned i = 0; i < 3; i++) {
            buf_lease(&p, order[i]);
            assert_int_equal(buf_in_ring(&p), 3 - i);
        }
        for (unsigned i = 0; i < 3; i++) buf_release(&p, order[i]);
        assert_int_equal(buf_in_ring(&p), 1); /* released buffers are not in the ring yet */
        buf_return_all(&p, note, published);
        assert_int_equal(n_published, 3);
        assert_memory_equal(published, order, sizeof order);
        assert_int_equal(buf_in_ring(&p), 4);
        buf_return_all(&p, note, published);
        assert_int_equal(n_published, 3);
    }
    buf_pool_free(&p);
}

static void get_and_put(void **state)
{
    (void)state;
    struct buf_pool p;
    int id[4];
    buf_pool_init(&p, 4, 100);
    for (int i = 0; i < 4; i++) {
        id[i] = buf_get(&p);
        assert_in_range(id[i], 0, 3);
        for (int k = 0; k < i; k++) assert_int_not_equal(id[i], id[k]);
    }
    assert_int_equal(buf_get(&p), -1);
    assert_int_equal(p.n_free, 0);
    buf_put(&p, (uint32_t)id[1]);
    buf_put(&p, (uint32_t)id[2]);
    assert_int_equal(buf_get(&p), id[2]); /* the last one put is the first one out */
    assert_int_equal(buf_get(&p), id[1]);
    for (int i = 0; i < 4; i++) buf_put(&p, (uint32_t)id[i]);
    assert_int_equal(p.n_free, 4);
    assert_int_equal(buf_in_ring(&p), 0);
    buf_pool_free(&p);
}

static void init_fails_without_memory(void **state)
{
    (void)state;
    struct buf_pool p;
    assert_int_equal(buf_pool_init(&p, 32768, 0xfffff000u), -12 /* ENOMEM */);
}

static struct buf_pool broken;

static void lease_leased(void)
{
    buf_lease(&broken, 1);
    buf_lease(&broken, 1);
}

static void lease_returning(void)
{
    buf_lease(&broken, 1);
    buf_release(&broken, 1);
    buf_lease(&broken, 1);
}

static void lease_out_of_range(void)
{
    buf_lease(&broken, 4);
}

static void release_unleased(void)
{
    buf_release(&broken, 0);
}

static void release_twice(void)
{
    buf_lease(&broken, 0);
    buf_release(&broken, 0);
    buf_release(&broken, 0);
}

static void put_unleased(void)
{
    buf_put(&broken, 0);
}

static void free_leased(void)
{
    buf_lease(&broken, 0);
    buf_pool_free(&broken);
}

static void free_returning(void)
{
    buf_lease(&broken, 0);
    buf_release(&broken, 0);
    buf_pool_free(&broken);
}

static void odd_count(void)
{
    struct buf_pool p;
    buf_pool_init(&p, 3, 100);
}

static void wrong_transitions_abort(void **state)
{
    (void)state;
    static void (*const steps[])(void) = {
        lease_leased, lease_returning, lease_out_of_range, release_unleased, release_twice,
        put_unleased, free_leased,     odd_count,          free_returning,
    };
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        int status;
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            signal(SIGABRT, SIG_DFL);
            close(STDERR_FILENO);
            buf_pool_init(&broken, 4, 100);
            steps[i]();
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGABRT);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffers_are_separate),
        cmocka_unit_test(life_cycle_in_the_ring),
        cmocka_unit_test(get_and_put),
        cmocka_unit_test(init_fails_without_memory),
        cmocka_unit_test(wrong_transitions_abort),
    };
    return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
