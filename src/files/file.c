#include "files/file.h"

#include "files/mime.h"
#include "http/fields/date.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

const struct static_coding static_codings[CODINGS] = {
    {SLICE("br"), SLICE(".br")},
    {SLICE("zstd"), SLICE(".zst")},
    {SLICE("gzip"), SLICE(".gz")},
};

__attribute__((format(printf, 2, 3))) static void add(struct static_version *v, const char *format,
                                                      ...)
{
    size_t room = sizeof v->fields - v->fields_len;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(v->fields + v->fields_len, room, format, args);
    va_end(args);
    ASSERT(n >= 0 && (size_t)n < room); /* built from our own types and codings, and numbers */
    v->fields_len += (uint16_t)n;
}

/* A precompressed variant is a separate representation, so its tag differs from the file's even if
 * time and size do not (RFC 9110, 8.8.3.3). */
static void add_etag(struct static_version *v, const struct static_source *s)
{
    uint64_t ns = (uint64_t)s->modified.tv_sec * 1000000000u + (uint64_t)s->modified.tv_nsec;
    add(v, "ETag: ");
    size_t from = v->fields_len;
    add(v, "\"%llx-%llx%s%s\"", (unsigned long long)ns, (unsigned long long)s->size,
        s->coding ? "-" : "", s->coding ? s->coding->suffix.ptr + 1 : "");
    v->etag = slice_of(v->fields + from, v->fields_len - from);
    add(v, "\r\n");
}

static void describe(struct static_version *v, const struct static_source *s, slice name, bool vary,
                     time_t now)
{
    slice type = mime_type(name), coding = s->coding ? s->coding->name : mime_coding(name);
    *v = (struct static_version){.fd = s->fd, .size = s->size, .modified = s->modified.tv_sec};
    /* Never later than the response itself (RFC 9110, 8.8.2.1). */
    if (v->modified > now) v->modified = now;
    if (v->modified < 0) v->modified = 0;
    char date[HTTP_DATE_LEN];
    http_date_format(v->modified, date);

    add_etag(v, s);
    add(v, "Last-Modified: %.*s\r\n", HTTP_DATE_LEN, date);
    if (vary) add(v, "Vary: Accept-Encoding\r\n");
    v->validators_len = v->fields_len;
    add(v, "Accept-Ranges: bytes\r\n");
    v->ranges_len = v->fields_len;
    if (coding.len) add(v, "Content-Encoding: %s\r\n", coding.ptr);
    add(v, "Content-Type: %.*s\r\n", (int)type.len, type.ptr);
}

struct static_file *static_file_new(slice path, slice name, const struct static_source *source,
                                    int n, time_t now)
{
    ASSERT(n >= 1 && n <= VERSIONS_MAX && !source[0].coding);
    size_t size = sizeof(struct static_file) + (size_t)n * sizeof(struct static_version);
    struct static_file *f = malloc(size + path.len);
    if (!f) {
        for (int i = 0; i < n; i++) close(source[i].fd);
        return NULL;
    }
    *f = (struct static_file){.refs = 1, .n_versions = n};
    list_init(&f->by_use);
    list_init(&f->by_age);
    if (path.len) memcpy((char *)f + size, path.ptr, path.len);
    f->path = slice_of((char *)f + size, path.len);
    for (int i = 0; i < n; i++) describe(&f->version[i], &source[i], name, n > 1, now);
    for (int i = 1; i < n; i++) f->codings[i - 1] = source[i].coding->name;
    return f;
}

_Thread_local struct static_usage static_usage;

static void release_bytes(struct static_version *v)
{
    if (!v->bytes) return;
    if (v->is_mapped) {
        munmap(v->bytes, v->size);
        free(v->present_until);
        static_usage.maps--;
    } else {
        free(v->bytes);
        static_usage.kept -= v->size;
    }
}

void static_file_release(struct static_file *f)
{
    ASSERT(f->refs > 0);
    if (--f->refs > 0) return;
    for (int i = 0; i < f->n_versions; i++) {
        release_bytes(&f->version[i]);
        close(f->version[i].fd);
    }
    free(f);
}
