#pragma once
/* Text that is written into a buffer whose owner empties it, or gives another, when it is full.
 * Nothing is allocated. */

#include "base/decimal.h"
#include "base/slice.h"

#include <stdio.h>

struct writer {
    char *at, *end;                 /* the room that is left */
    void (*full)(struct writer *w); /* makes room; called where there is none */
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

/* At most WRITER_PRINT bytes; what is longer is cut off. */
enum { WRITER_PRINT = 511 };
void writer_printf(struct writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* One to a file, whose errors are the file's to tell. */
struct file_writer {
    struct writer out;
    FILE *file;
    char buf[4096];
};

void file_writer_begin(struct file_writer *w, FILE *file);

/* Hands the rest to the file, without flushing it. */
void file_writer_end(struct file_writer *w);
