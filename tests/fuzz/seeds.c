/* seeds DIR FILE...: writes what the clients of wire cases send, each case as a seed for
 * fuzz_h1. */

#include "../wire/case.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    unsigned n = 0;
    for (int i = 2; i < argc; i++) {
        struct case_file f;
        case_file_read(&f, argv[i]);
        for (size_t k = 0; k < f.n; k++) {
            char path[512];
            struct bytes in = {0};
            snprintf(path, sizeof path, "%s/%u", argv[1], n++);
            bytes_add(&in, slice_of((char[]){(char)n, (char)(n / 7), (char)(n / 3), (char)n}, 4));
            for (unsigned s = 0; s < f.list[k].n_steps; s++)
                if (f.list[k].step[s].kind == STEP_IN)
                    bytes_add(&in, bytes_slice(&f.list[k].step[s].bytes));
            FILE *out = fopen(path, "we");
            if (!out || fwrite(in.ptr, 1, in.len, out) != in.len || fclose(out) != 0) {
                perror(path);
                return 1;
            }
            free(in.ptr);
        }
        case_file_free(&f);
    }
    return 0;
}
