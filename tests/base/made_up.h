#pragma once
/* A made-up program, for tests of what the options of all programs have in common. */

#include "base/clock.h"
#include "base/option.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { WORDS_MAX = 4 };

struct values {
    uint32_t depth, cq_depth, twice;
    uint64_t seed, buffer_size, idle_timeout;
    bool pin, check, help;
    const char *root, *config;
    uint32_t bits;
    uint32_t n_words; /* of --word */
    char word[WORDS_MAX][16];
    uint32_t n_others; /* what is not an option */
    const char *other[WORDS_MAX];
};

extern struct values v;
extern const char *elsewhere; /* of --max-connections */
extern struct option_set set;

int made_up_begin(void **state);
int made_up_end(void **state);

/* Every default again. */
void renew(void);

/* Reads the command line of the words that follow, up to a NULL, and its config file. */
int command(const char *word, ...);

#define READ(...)  command(__VA_ARGS__, NULL)
#define VALID(...) assert_int_equal(READ(__VA_ARGS__), 0)
#define WRONG(message, ...)                                                                        \
    do {                                                                                           \
        renew();                                                                                   \
        assert_int_equal(READ(__VA_ARGS__), -EINVAL);                                              \
        assert_string_equal(set.error, message);                                                   \
    } while (0)
