#pragma once
/* A path as it is served: the open file, its precompressed twins, and what a response says of each.
 * Made in one go; what it says is unchanged after. References are counted, because a response may
 * still read a file that the cache has let go of; one core uses it. */

#include "base/list.h"
#include "base/slice.h"

#include <time.h>

enum { TWINS = 3, VERSIONS_MAX = 1 + TWINS };

struct static_coding {
    slice name;   /* in Accept-Encoding and Content-Encoding */
    slice suffix; /* of the twin's file name */
};

/* Ours, best first. */
extern const struct static_coding static_codings[TWINS];

/* A regular file that has just been opened. */
struct static_source {
    int fd;
    const struct static_coding *coding; /* NULL: the file itself */
    uint64_t size;                      /* bytes */
    struct timespec modified;
};

enum { STATIC_FIELDS_MAX = 288 };

struct static_version {
    int fd;
    uint64_t size;   /* bytes, when it was opened */
    time_t modified; /* as Last-Modified says it */
    slice etag;      /* in `fields`, quotes included; strong */
    /* Field lines with their line ends: the validators, then Accept-Ranges, then what describes the
     * bytes (Content-Encoding, Content-Type). A response takes them up to one of these places. */
    uint16_t validators_len, ranges_len, fields_len;
    char fields[STATIC_FIELDS_MAX];
    /* What body.c holds of it, up to its release. */
    char *bytes; /* the file, kept in memory or mapped for the kernel to send from; or NULL */
    uint64_t populated; /* bytes from the start of a mapping that have their pages */
    bool is_mapped;
    uint8_t asked; /* times, up to 2 */
};

struct static_file {
    struct list by_use, by_age; /* the cache's */
    struct static_file *next;
    uint64_t expires; /* io time */
    uint32_t hash;
    uint32_t refs;
    slice path;           /* as asked for */
    int n_versions;       /* the file itself, then its twins, best first */
    slice codings[TWINS]; /* of the twins */
    struct static_version version[];
};

/* What the files of this core hold of their bytes. */
struct static_held {
    unsigned maps;
    uint64_t kept; /* bytes in memory */
};

extern _Thread_local struct static_held static_held;

/* Takes over the descriptors of the sources, the file itself first, whatever comes of it. `name` is
 * what tells the type; `now` is wall time. The reference is the caller's. NULL when memory is
 * out. */
struct static_file *static_file_new(slice path, slice name, const struct static_source *source,
                                    int n, time_t now);

/* Gives a reference back; the last one closes the descriptors. */
void static_file_release(struct static_file *f);
