#include "client/redis.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* More than the kernel takes at once, in pieces of many sizes, comes in order; more is added while
 * a part is still to be sent. */
static void test_order(void **state)
{
    enum { TOTAL = 3000000, PIECE = 9000 };
    struct redis_out out = {0};
    static char piece[PIECE], bytes[4096];
    size_t added = 0, seen = 0;
    int fd[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
    for (size_t i = 1; seen < TOTAL; i++) {
        size_t n = added < TOTAL ? 1 + i * 37 % PIECE : 0;
        if (n > TOTAL - added) n = TOTAL - added;
        for (size_t k = 0; k < n; k++) piece[k] = (char)((added + k) % 251);
        if (n > 0) assert_true(redis_out_add(&out, piece, n));
        added += n;
        assert_true(redis_out_send(&out, fd[0]));
        ssize_t got = read(fd[1], bytes, sizeof bytes);
        for (ssize_t k = 0; k < got; k++, seen++)
            if (bytes[k] != (char)(seen % 251)) fail_msg("wrong byte at %zu", seen);
    }
    assert_true(redis_out_is_empty(&out));
    close(fd[1]);
    assert_true(redis_out_add(&out, "a", 1));
    assert_false(redis_out_send(&out, fd[0])); /* and no SIGPIPE */
    close(fd[0]);
    redis_out_clear(&out);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
