/* The clients of the wire cases, interrupted at many positions and in every way. */

#include "broken.h"
#include "case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { PLACES = 12, LONG_INPUT = 20000 };

static struct lab_core rig;
static struct case_file file;

/* Position, split and engine behaviour of the n-th run, each derived from a different part of n. */
static struct broken choose(unsigned n, size_t len)
{
    static const size_t pace[] = {0, 0, 1, 50, 3000};
    struct broken b = {.at = len * (n % (PLACES + 1)) / PLACES,
                       .split = split_nth(n % SPLITS, 2000)};
    b.turns = 1 + (unsigned)split_random(&b.split) % 6;
    b.mem.share = n % 4;
    b.mem.late = n / 4 % 2;
    b.mem.pace = pace[n % ARRAY_LEN(pace)] * (len > LONG_INPUT ? 100 : 1);
    return b;
}

static void test_event(void **state)
{
    enum broken_event event = (enum broken_event)(uintptr_t)*state;
    unsigned n = 0;
    for (size_t i = 0; i < file.n; i++) {
        const struct wire_case *c = &file.list[i];
        struct bytes in = {0};
        for (unsigned s = 0; s < c->n_steps; s++)
            if (c->step[s].kind == STEP_IN) bytes_add(&in, bytes_slice(&c->step[s].bytes));
        for (unsigned place = 0; place <= PLACES; place++) {
            struct bytes out = {0};
            struct broken how = choose(n++, in.len);
            how.event = event;
            const char *problem = broken_run(&rig, bytes_slice(&in), how, &out);
            free(out.ptr);
            if (problem) fail_msg("line %d, at byte %zu: %s", c->line, how.at, problem);
        }
        free(in.ptr);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s CASES\n", argv[0]);
        return 2;
    }
    case_file_read(&file, argv[1]);
    lab_core_open(&rig);
    struct CMUnitTest tests[BROKEN_EVENTS];
    for (uintptr_t e = 0; e < BROKEN_EVENTS; e++)
        tests[e] = (struct CMUnitTest){
            .name = broken_names[e], .test_func = test_event, .initial_state = (void *)e};
    int failed = cmocka_run_group_tests_name(argv[1], tests, NULL, NULL);
    lab_core_close(&rig);
    case_file_free(&file);
    return failed ? 1 : 0;
}
