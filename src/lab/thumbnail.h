#pragma once
/* A smaller copy of a JPEG image. */

#include <stddef.h>

enum { THUMBNAIL_MEGAPIXELS = 50 };

struct thumbnail {
    const char *in;
    size_t in_size;
    int width; /* wanted; a smaller image keeps its own */
    unsigned char *out;
    unsigned long out_size;
};

/* Sets t->out, which thumbnail_free frees, whatever this returns. 0; -EBADMSG if `in` is no such
 * image, -ENOMEM. Takes milliseconds per megapixel. */
int thumbnail_make(struct thumbnail *t);

void thumbnail_free(struct thumbnail *t);
