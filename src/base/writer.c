#include "base/writer.h"

#include "base/radix.h"

#include <stdarg.h>

void writer_printf(struct writer *w, const char *format, ...)
{
    char text[WRITER_PRINTF_MAX + 1];
    struct radix radix;
    va_list args;
    radix_begin(&radix);
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    radix_end(&radix);
    if (n > 0) writer_put(w, text, n < WRITER_PRINTF_MAX ? (size_t)n : WRITER_PRINTF_MAX);
}

static void write_out(struct writer *out)
{
    struct file_writer *w = container_of(out, struct file_writer, out);
    fwrite(w->buf, 1, (size_t)(out->at - w->buf), w->file);
    out->at = w->buf;
}

void file_writer_begin(struct file_writer *w, FILE *file)
{
    w->out = (struct writer){w->buf, w->buf + sizeof w->buf, write_out};
    w->file = file;
}

void file_writer_end(struct file_writer *w)
{
    write_out(&w->out);
}
