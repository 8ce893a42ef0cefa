#include "load/input.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int input_read(const char *path, slice *out)
{
    FILE *f = fopen(path, "re");
    if (!f) return -errno;
    size_t len = 0, cap = 4096, got = 1;
    char *bytes = NULL, *more = NULL;
    /* To the end of the file rather than by its size: a pipe has none. */
    while (got > 0 && len < INPUT_MAX) {
        more = realloc(bytes, cap *= 2);
        if (!more) break;
        bytes = more;
        while (len < cap && (got = fread(bytes + len, 1, cap - len, f)) > 0) len += got;
    }
    bool whole = more && feof(f) && !ferror(f);
    int err = !more ? ENOMEM : ferror(f) ? errno : EFBIG;
    fclose(f);
    if (!whole) {
        free(bytes);
        return -err;
    }
    *out = slice_of(bytes, len);
    return 0;
}
