#pragma once
/* Text output into a buffer. When the buffer is full, a callback of its owner empties or replaces
 * it. Nothing is allocated. */

#include "base/decimal.h"
#include "base/slice.h"

#include <stdio.h>

struct writer {
    char *at, *end;                 /* free part of the buffer */
    void (*full)(struct writer *w); /* makes room; called when there is none */
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

/* Writes at most WRITER_PRINT bytes and truncates the rest. */
enum { WRITER_PRINT = 511 };
void writer_printf(struct writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A writer to a stdio stream. Errors are left in the stream; check ferror(). */
struct file_writer {
    struct writer out;
    FILE *file;
    char buf[4096];
};

void file_writer_begin(struct file_writer *w, FILE *file);

/* Writes the buffered rest to the stream; does not flush the stream. */
void file_writer_end(struct file_writer *w);
