#pragma once
/* The words of a command line, as arguments of a function of tests. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { ARGS_MAX = 24 };

/* argv is the program's name, `first`, which may be NULL, and `more` up to a NULL. Returns argc. */
static inline int collect_words(char *argv[ARGS_MAX], const char *program, const char *first,
                                va_list more)
{
    int argc = 0;
    argv[argc++] = (char *)(uintptr_t)program;
    for (const char *word = first; word; word = va_arg(more, const char *)) {
        assert_true(argc < ARGS_MAX);
        argv[argc++] = (char *)(uintptr_t)word;
    }
    return argc;
}
