/* Runs a fuzz target without libFuzzer: with the files that are given, or with some random bytes.
 * With it the targets are built and run by any compiler, and a finding can be looked at. */

#include "../base/random.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUTS = 300, SIZE_MAX_OF_FILE = 1 << 20 };

/* In memory of exactly their size. */
static void run_copy(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy) abort();
    for (size_t i = 0; i < size; i++) copy[i] = bytes[i];
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static int run_file(const char *path)
{
    FILE *f = fopen(path, "rbe");
    uint8_t *bytes = malloc(SIZE_MAX_OF_FILE);
    if (!f || !bytes) {
        perror(path);
        return 1;
    }
    run_copy(bytes, fread(bytes, 1, SIZE_MAX_OF_FILE, f));
    free(bytes);
    fclose(f);
    return 0;
}

/* What targets read: line ends, delimiters, names, and anything. */
static size_t make_up(uint8_t *out, size_t most)
{
    static const char *const words[] = {
        "\r\n",
        "--x",
        "\r\n--x\r\n",
        "--",
        "Content-Disposition: form-data; name=\"a\"",
        "\r\n\r\n",
        "a=1&b=%20",
        "GET / HTTP/1.1\r\nHost: a\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n",
        "Transfer-Encoding: chunked\r\n",
        "3\r\nabc\r\n0\r\n\r\n",
        "&",
        "=",
        "%",
        ";"};
    size_t n = 0, parts = random_below(12);
    for (int i = 0; i < 4; i++) out[n++] = (uint8_t)random_below(256);
    for (size_t i = 0; i < parts; i++) {
        const char *word = words[random_below(sizeof words / sizeof *words)];
        while (*word && n < most) out[n++] = (uint8_t)*word++;
        if (random_below(4) == 0 && n < most) out[n++] = (uint8_t)random_below(256);
    }
    return n;
}

int main(int argc, char **argv)
{
    uint8_t bytes[2048];
    int failed = 0;
    LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; i++) failed |= run_file(argv[i]);
    for (int i = 0; i < INPUTS && argc < 2; i++) run_copy(bytes, make_up(bytes, sizeof bytes));
    return failed;
}
