#pragma once
/* Reads command lines into a plan, and checks the plan or the message. */

#include "load/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define URL "http://127.0.0.1:8080/x"

enum { ARGS = 160 };

static struct plan plan;
static char said[16384];

/* plan_read with stdout and stderr captured in `said`. */
static inline int read_list(char *const *words)
{
    char *argv[ARGS + 2] = {(char *)(uintptr_t) "torc-load"};
    int argc = 1, saved[2];
    while (*words) argv[argc++] = *words++;
    int memory = memfd_create("said", MFD_CLOEXEC);
    assert_true(memory >= 0);
    fflush(NULL);
    for (int i = 0; i < 2; i++) {
        saved[i] = dup(i + 1);
        dup2(memory, i + 1);
    }
    int status = plan_read(&plan, argc, argv);
    fflush(NULL);
    for (int i = 0; i < 2; i++) {
        dup2(saved[i], i + 1);
        close(saved[i]);
    }
    ssize_t n = pread(memory, said, sizeof said - 1, 0);
    said[n > 0 ? n : 0] = '\0';
    close(memory);
    return status;
}

#define READ(...) read_list((char *[]){__VA_ARGS__, NULL})

#define GOOD(...)                                                                                  \
    do {                                                                                           \
        if (READ(__VA_ARGS__) != 0) fail_msg("%s", said);                                          \
        assert_string_equal(said, "");                                                             \
    } while (0)

/* One line, to the letter. */
#define BAD(line, ...)                                                                             \
    do {                                                                                           \
        assert_int_equal(READ(__VA_ARGS__), -1);                                                   \
        assert_string_equal(said, "torc-load: " line "\n");                                        \
    } while (0)

static inline bool sends(uint32_t i, const char *want)
{
    return i < plan.n_requests && slice_eq(plan.request[i].bytes, slice_str(want));
}
