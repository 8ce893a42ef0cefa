#pragma once
/* A file as it is served: the open file, its precompressed variants, and the response fields of
 * each. Immutable once created, apart from the bytes that body.c keeps. Reference-counted, because
 * a response may still read a file that was evicted from the cache; used by one core. */

#include "base/list.h"
#include "base/slice.h"

#include <time.h>

enum { CODINGS = 3, VERSIONS_MAX = 1 + CODINGS };

struct static_coding {
    slice name;   /* name in Accept-Encoding and Content-Encoding */
    slice suffix; /* suffix of the precompressed file */
};

/* The codings we look for, best first. */
extern const struct static_coding static_codings[CODINGS];

/* A regular file that was just opened. */
struct static_source {
    int fd;
    const struct static_coding *coding; /* NULL: the file itself */
    uint64_t size;                      /* bytes */
    struct timespec modified;
};

enum { STATIC_FIELDS_MAX = 288 };

struct static_version {
    int fd;
    uint64_t size;   /* bytes, at the time it was opened */
    time_t modified; /* value of Last-Modified */
    slice etag;      /* in `fields`, quotes included; a strong entity-tag */
    /* Field lines with CRLF: the validators, then Accept-Ranges, then Content-Encoding and
     * Content-Type. A response uses them up to one of these offsets. */
    uint16_t validators_len, ranges_len, fields_len;
    char fields[STATIC_FIELDS_MAX];
    /* Owned by body.c, until the file is released. */
    char *bytes; /* the bytes in memory, or a mapping for the kernel to send from; or NULL */
    uint64_t *present_until; /* of a mapping: for each PAGES_PIECE, the io time until which its
                                pages count as in memory */
    bool is_mapped;
    bool only_copied; /* the kernel does not send its pages by reference */
    uint8_t requests; /* number of requests, up to 2 */
};

struct static_file {
    struct list by_use, by_age; /* links of the cache */
    struct static_file *next;
    uint64_t expires; /* io time */
    uint32_t hash;
    uint32_t refs;
    uint64_t dir;           /* number of the directory that the path is below, see find.h */
    slice path;             /* as requested */
    int n_versions;         /* the file itself, then precompressed variants, best first */
    slice codings[CODINGS]; /* codings of the precompressed variants */
    struct static_version version[];
};

/* Memory used by the files of this core. */
struct static_usage {
    unsigned maps;
    uint64_t kept; /* bytes kept in memory */
};

extern _Thread_local struct static_usage static_usage;

/* Creates a file from its open sources, the file itself first. Takes ownership of the descriptors
 * even if it fails. `name` determines the media type; `now` is wall-clock time. Returns a
 * reference, or NULL if out of memory. */
struct static_file *static_file_new(slice path, slice name, const struct static_source *source,
                                    int n, time_t now);

/* Releases a reference; the last one closes the descriptors. */
void static_file_release(struct static_file *f);
