/* Runs every case of one file whole, byte by byte and split at random, with torc-lab's connections
 * in memory ("mem") or against a live torc-lab on an engine. */

#include "exchange.h"

#include <stdio.h>

const slice probe_in = SLICE("GET /pipeline?probe HTTP/1.1\r\nHost: probe\r\n"
                             "Connection: close\r\n\r\n");
const slice probe_out = SLICE("HTTP/1.1 200 OK\r\nServer: torc\r\nDate: *\r\n"
                              "Content-Type: text/plain\r\nContent-Length: 2\r\n"
                              "Connection: close\r\n\r\nok");

/* Inputs up to this size are split as finely as requested throughout. Each piece costs a live
 * server two context switches. */
enum { DENSE_MEM = 20000, DENSE_LIVE = 2000 };

static bool in_memory;
static struct lab_core lab;
static struct server server;

static bool judge(const struct wire_case *c, const struct split *split, const struct outcome *o)
{
    struct bytes want = {0}, got = {0};
    bytes_add(&want, bytes_slice(&c->out));
    if (c->open) bytes_add(&want, probe_out);
    answer_normalise(c, bytes_slice(&o->raw), &got);
    const char *problem = o->problem;
    if (!problem && !o->closed) problem = "the server left the connection open";
    bool same = slice_eq(bytes_slice(&want), bytes_slice(&got));
    if (!same || problem) {
        printf("# line %d, %s: %s\n", c->line, split->name,
               problem ? problem : "other bytes came out");
        if (!same) {
            printf("#  expected%s:\n", c->open ? ", with a probe's answer" : "");
            answer_print(bytes_slice(&want), "#    ");
            printf("#  came:\n");
            answer_print(bytes_slice(&got), "#    ");
        }
    }
    free(want.ptr);
    free(got.ptr);
    return same && !problem;
}

static void test_case(void **state)
{
    const struct wire_case *c = *state;
    bool right = true;
    for (unsigned i = 0; i < SPLITS && right; i++) {
        struct split split = split_nth(i, in_memory ? DENSE_MEM : DENSE_LIVE);
        struct outcome o;
        if (in_memory)
            exchange_mem(&lab, c, split, &o);
        else
            exchange_live(&server.addr, c, split, &o);
        right = judge(c, &split, &o);
        free(o.raw.ptr);
    }
    assert_true(right);
}

static int set_up(void **state)
{
    char max_body[16];
    (void)state;
    if (in_memory) {
        lab_core_open(&lab);
        return 0;
    }
    exchange_live_prepare();
    snprintf(max_body, sizeof max_body, "%d", LAB_CORE_MAX_BODY);
    server_start(&server, "--max-body", max_body);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (in_memory)
        lab_core_close(&lab);
    else
        server_stop(&server);
    return 0;
}

int main(int argc, char **argv)
{
    in_memory = argc == 3 && strcmp(argv[2], "mem") == 0;
    if (!in_memory && argc != 4) {
        fprintf(stderr, "usage: %s CASES mem | PROGRAM ENGINE\n", argv[0]);
        return 2;
    }
    if (!in_memory) server_choose(3, (char *[]){argv[0], argv[2], argv[3]});
    struct case_file file;
    case_file_read(&file, argv[1]);
    struct CMUnitTest *tests = calloc(file.n, sizeof *tests);
    assert_true(tests && file.n > 0);
    for (size_t i = 0; i < file.n; i++)
        tests[i] = (struct CMUnitTest){
            .name = file.list[i].name, .test_func = test_case, .initial_state = &file.list[i]};
    int failed = _cmocka_run_group_tests(argv[1], tests, file.n, set_up, tear_down);
    free(tests);
    case_file_free(&file);
    return failed ? 1 : 0;
}
