#pragma once
/* Writes text into a buffer. When it is full, its owner empties it or provides another one; nothing
 * is allocated here. */

#include "base/decimal.h"
#include "base/slice.h"

#include <stdio.h>

struct writer {
    char *at, *end;                 /* the free space */
    void (*full)(struct writer *w); /* called when there is none; makes some */
};

static inline void writer_char(struct writer *w, char c)
{
    if (w->at == w->end) w->full(w);
    *w->at++ = c;
}

static inline void writer_put(struct writer *w, const char *p, size_t n)
{
    for (size_t room; n > (room = (size_t)(w->end - w->at)); p += room, n -= room) {
        memcpy(w->at, p, room);
        w->at = w->end;
        w->full(w);
    }
    memcpy(w->at, p, n);
    w->at += n;
}

static inline void writer_text(struct writer *w, const char *text)
{
    writer_put(w, text, strlen(text));
}

static inline void writer_u64(struct writer *w, uint64_t v)
{
    char digits[DECIMAL_MAX];
    writer_put(w, digits, (size_t)(decimal_put(digits, v) - digits));
}

enum { WRITER_PRINTF_MAX = 511 }; /* bytes; longer output is truncated */
void writer_printf(struct writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A writer to a file; the caller checks ferror. */
struct file_writer {
    struct writer out;
    FILE *file;
    char buf[4096];
};

void file_writer_begin(struct file_writer *w, FILE *file);

/* Writes what is buffered here to the FILE, without flushing that. */
void file_writer_end(struct file_writer *w);
