#pragma once
/* A made-up program, to test the option parser apart from any real program. */

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
    uint32_t n_words; /* values of --word */
    char word[WORDS_MAX][16];
    uint32_t n_others; /* arguments that are not options */
    const char *other[WORDS_MAX];
};

extern struct values v;
extern const char *elsewhere; /* value of --max-connections */
extern struct option_set set;

int made_up_begin(void **state);
int made_up_end(void **state);

/* Resets every option to its default. */
void reset_options(void);

/* Parses a command line made of the given words, up to a NULL, and its config file. */
int command(const char *word, ...);

#define READ(...)  command(__VA_ARGS__, NULL)
#define VALID(...) assert_int_equal(READ(__VA_ARGS__), 0)
#define WRONG(message, ...)                                                                        \
    do {                                                                                           \
        reset_options();                                                                           \
        assert_int_equal(READ(__VA_ARGS__), -EINVAL);                                              \
        assert_string_equal(set.error, message);                                                   \
    } while (0)
