#include "base/siphash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Of eight bytes, the reference implementation's key 00 01 … 0f and message 00 01 … 07. */
static void it_is_that_of_the_paper(void **state)
{
    (void)state;
    const struct siphash_key key = {{0x0706050403020100, 0x0f0e0d0c0b0a0908}};
    assert_true(siphash_word(&key, 0x0706050403020100) == 0x93f5f5799a932462);
}

static void it_depends_on_the_key(void **state)
{
    (void)state;
    const struct siphash_key a = {{1, 2}}, b = {{1, 3}}, c = {{0, 2}};
    assert_true(siphash_word(&a, 7) != siphash_word(&b, 7));
    assert_true(siphash_word(&a, 7) != siphash_word(&c, 7));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_that_of_the_paper),
        cmocka_unit_test(it_depends_on_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
