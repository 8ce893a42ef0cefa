/* A libFuzzer target: any bytes, cut anywhere, with a client that may go away or not read, against
 * torc-lab's connections in memory. Beside what the sanitizers and assertions see, the connection
 * must end, leave nothing behind, and answer the same bytes with the same bytes however they were
 * cut.
 *
 * Input: 4 bytes that choose how, and what the client sends. */

#include "../wire/answer.h"
#include "../wire/broken.h"

#include <stdio.h>

static struct lab_core lab;

static struct broken read_how(const uint8_t *data, size_t size)
{
    static const size_t pace[] = {0, 0, 1, 10, 100, 1000, 5000, 50000};
    struct broken how = {
        .mem = {.share = data[0] & 3, .late = data[0] & 4, .pace = pace[data[0] >> 3 & 7]},
        .split = split_nth(data[1] % SPLITS, 2000),
        .event = data[2] % BROKEN_EVENTS,
        .at = size * data[3] / 256,
        .turns = 1 + data[2] / BROKEN_EVENTS % 8,
    };
    how.split.seed = data[1];
    return how;
}

/* Where two limits or errors are met by the same bytes, which is told first depends on the cut; and
 * how much of a body came back before it was refused. */
static bool comparable(slice out)
{
    static const char *const unsure[] = {" 408 ", " 413 ", " 414 ", " 431 "};
    for (size_t i = 0; i < ARRAY_LEN(unsure) && out.len; i++)
        if (memmem(out.ptr, out.len, unsure[i], 5)) return false;
    return true;
}

static void compare(slice a, slice b)
{
    static const struct wire_case loose = {.loose_continue = true, .loose_chunks = true};
    struct bytes x = {0}, y = {0};
    if (comparable(a) && comparable(b)) {
        answer_normalise(&loose, a, &x);
        answer_normalise(&loose, b, &y);
        if (!slice_eq(bytes_slice(&x), bytes_slice(&y))) {
            printf("whole:\n");
            answer_print(bytes_slice(&x), "  ");
            printf("cut:\n");
            answer_print(bytes_slice(&y), "  ");
            fflush(stdout);
            ASSERT(!"the same bytes, cut otherwise, were answered otherwise");
        }
    }
    free(x.ptr);
    free(y.ptr);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    lab_core_open(&lab);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes cut = {0}, whole = {0};
    if (size < 4) return 0;
    slice in = slice_of((const char *)data + 4, size - 4);
    struct broken how = read_how(data, in.len), plain = {.event = BROKEN_END, .turns = 1};
    ASSERT(!broken_run(&lab, in, how, &cut));
    if (how.event == BROKEN_END) {
        ASSERT(!broken_run(&lab, in, plain, &whole));
        compare(bytes_slice(&whole), bytes_slice(&cut));
    }
    free(cut.ptr);
    free(whole.ptr);
    return 0;
}
