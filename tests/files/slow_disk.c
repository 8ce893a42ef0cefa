#define _GNU_SOURCE
#include "slow_disk.h"

#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* cmocka needs them first */
#include <setjmp.h>

#include <cmocka.h>

enum {
    REQUEST = FUSE_MIN_READ_BUFFER + 4096,
    READ_MAX = 128 * 1024,
    HELD_MAX = 1024,
    FIRST_NODE = FUSE_ROOT_ID + 1, /* of file "0" */
    LONG = 3600,                   /* s for which the kernel may keep names and attributes */
};

struct held {
    uint64_t unique, node; /* 0: of a name */
    uint32_t written;      /* bytes; 0: a read */
    struct fuse_read_in in;
    char name[256];
};

static struct {
    int fd;
    char *path;
    pthread_t thread;
    pthread_mutex_t mutex; /* guards what follows */
    enum disk_mode mode;
    uint64_t released; /* node whose reads do not wait */
    struct held held[HELD_MAX];
    unsigned n_held;
} disk = {.fd = -1, .mutex = PTHREAD_MUTEX_INITIALIZER};

/* ---- answers ---- */

static void answer(uint64_t unique, int error, const void *data, size_t n)
{
    struct fuse_out_header out = {(uint32_t)(sizeof out + n), error, unique};
    struct iovec v[] = {{&out, sizeof out}, {(void *)(uintptr_t)data, n}};
    ssize_t done = writev(disk.fd, v, n ? 2 : 1);
    (void)done; /* ENOENT: the request was interrupted */
}

static struct fuse_attr attributes(uint64_t node)
{
    bool root = node == FUSE_ROOT_ID;
    return (struct fuse_attr){.ino = node,
                              .size = root ? 0 : DISK_SIZE,
                              .mtime = 784111777,
                              .mode = root ? S_IFDIR | 0755 : S_IFREG | 0644,
                              .nlink = 1,
                              .blksize = 4096};
}

static void answer_read(uint64_t unique, const struct fuse_read_in *in)
{
    static char data[READ_MAX];
    size_t n = in->offset < DISK_SIZE ? DISK_SIZE - (size_t)in->offset : 0;
    if (n > in->size) n = in->size;
    if (n > READ_MAX) n = READ_MAX;
    for (size_t i = 0; i < n; i++) data[i] = files_byte((size_t)in->offset + i);
    bool fails = disk.mode == DISK_FAILS && in->offset + in->size > DISK_SIZE / 2;
    answer(unique, fails ? -EIO : 0, data, fails ? 0 : n);
}

static bool is_waiting(enum disk_mode mode)
{
    return mode == DISK_WAITS || mode == DISK_HIDES;
}

static void take_read(uint64_t unique, uint64_t node, const struct fuse_read_in *in)
{
    pthread_mutex_lock(&disk.mutex);
    if (is_waiting(disk.mode) && node != disk.released && disk.n_held < HELD_MAX)
        disk.held[disk.n_held++] = (struct held){.unique = unique, .node = node, .in = *in};
    else
        answer_read(unique, in);
    pthread_mutex_unlock(&disk.mutex);
}

/* What is written is not kept. */
static void answer_write(uint64_t unique, uint32_t n)
{
    struct fuse_write_out out = {.size = n};
    answer(unique, 0, &out, sizeof out);
}

static void take_write(uint64_t unique, uint64_t node, const struct fuse_write_in *in)
{
    pthread_mutex_lock(&disk.mutex);
    if (is_waiting(disk.mode) && disk.n_held < HELD_MAX)
        disk.held[disk.n_held++] =
            (struct held){.unique = unique, .node = node, .written = in->size};
    else
        answer_write(unique, in->size);
    pthread_mutex_unlock(&disk.mutex);
}

static void answer_lookup(uint64_t unique, const char *name)
{
    char *end;
    unsigned long number = strtoul(name, &end, 10);
    if (*end || end == name || number >= DISK_FILES) {
        answer(unique, -ENOENT, NULL, 0);
        return;
    }
    uint64_t node = FIRST_NODE + number;
    struct fuse_entry_out out = {.nodeid = node,
                                 .entry_valid = number < DISK_FRESH ? LONG : 0,
                                 .attr_valid = LONG,
                                 .attr = attributes(node)};
    answer(unique, 0, &out, sizeof out);
}

static void take_lookup(uint64_t unique, const char *name)
{
    pthread_mutex_lock(&disk.mutex);
    if (disk.mode == DISK_HIDES && disk.n_held < HELD_MAX) {
        struct held *h = &disk.held[disk.n_held++];
        *h = (struct held){.unique = unique};
        snprintf(h->name, sizeof h->name, "%.*s", (int)sizeof h->name - 1, name);
    } else {
        answer_lookup(unique, name);
    }
    pthread_mutex_unlock(&disk.mutex);
}

static void answer_held(const struct held *h)
{
    if (h->written)
        answer_write(h->unique, h->written);
    else if (h->node)
        answer_read(h->unique, &h->in);
    else
        answer_lookup(h->unique, h->name);
}

static void answer_attributes(uint64_t unique, uint64_t node)
{
    struct fuse_attr_out out = {.attr_valid = LONG, .attr = attributes(node)};
    answer(unique, 0, &out, sizeof out);
}

static void answer_init(uint64_t unique, const struct fuse_init_in *in)
{
    struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION,
                                .minor = FUSE_KERNEL_MINOR_VERSION,
                                .max_readahead = in->max_readahead,
                                .flags = in->flags & FUSE_ASYNC_READ,
                                .max_background = 64,
                                .congestion_threshold = 64,
                                .max_write = 4096};
    answer(unique, 0, &out, sizeof out);
}

/* Each test opens its files with none of their pages in memory, unless it reads them twice. */
static void take(const struct fuse_in_header *in, const void *arg)
{
    static const struct fuse_open_out opened = {.open_flags = 0};
    switch (in->opcode) {
    case FUSE_INIT: answer_init(in->unique, arg); break;
    case FUSE_LOOKUP: take_lookup(in->unique, arg); break;
    case FUSE_GETATTR: answer_attributes(in->unique, in->nodeid); break;
    case FUSE_OPEN:
    case FUSE_OPENDIR: answer(in->unique, 0, &opened, sizeof opened); break;
    case FUSE_READ: take_read(in->unique, in->nodeid, arg); break;
    case FUSE_WRITE: take_write(in->unique, in->nodeid, arg); break;
    case FUSE_FLUSH:
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR: answer(in->unique, 0, NULL, 0); break;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT: break; /* without an answer */
    default: answer(in->unique, -ENOSYS, NULL, 0);
    }
}

static void *serve(void *arg)
{
    static _Alignas(8) char request[REQUEST];
    (void)arg;
    for (;;) {
        ssize_t n = read(disk.fd, request, sizeof request);
        if (n < 0 && errno == ENODEV) return NULL; /* unmounted */
        if (n >= (ssize_t)sizeof(struct fuse_in_header))
            take((const struct fuse_in_header *)(void *)request,
                 request + sizeof(struct fuse_in_header));
        else if (errno != EINTR && errno != ENOENT && errno != EAGAIN)
            return NULL;
    }
}

/* ---- life ---- */

static void put(const char *path, const char *format, ...)
{
    va_list args;
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return;
    va_start(args, format);
    vdprintf(fd, format, args);
    va_end(args);
    close(fd);
}

/* Where mounts are allowed, and nobody else sees them. */
static bool enter_namespace(void)
{
    unsigned uid = geteuid(), gid = getegid();
    if (unshare(CLONE_NEWNS) < 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) return false;
        put("/proc/self/setgroups", "deny");
        put("/proc/self/uid_map", "%u %u 1", uid, uid);
        put("/proc/self/gid_map", "%u %u 1", gid, gid);
    }
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

bool slow_disk_open(const char *path)
{
    char options[128];
    if (!enter_namespace()) return false;
    disk.fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (disk.fd < 0) return false;
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=%u,group_id=%u,allow_other",
             disk.fd, (unsigned)geteuid(), (unsigned)getegid());
    if (mount("torc-test", path, "fuse", MS_NOSUID | MS_NODEV, options) < 0) {
        close(disk.fd);
        disk.fd = -1;
        return false;
    }
    disk.path = strdup(path);
    assert_non_null(disk.path);
    assert_int_equal(pthread_create(&disk.thread, NULL, serve, NULL), 0);
    return true;
}

void slow_disk_set(enum disk_mode mode)
{
    pthread_mutex_lock(&disk.mutex);
    disk.mode = mode;
    disk.released = 0;
    for (unsigned i = 0; !is_waiting(mode) && i < disk.n_held; i++) answer_held(&disk.held[i]);
    if (!is_waiting(mode)) disk.n_held = 0;
    pthread_mutex_unlock(&disk.mutex);
}

void slow_disk_release(unsigned file)
{
    unsigned n = 0;
    pthread_mutex_lock(&disk.mutex);
    disk.released = FIRST_NODE + file;
    for (unsigned i = 0; i < disk.n_held; i++) {
        if (disk.held[i].node == disk.released)
            answer_held(&disk.held[i]);
        else
            disk.held[n++] = disk.held[i];
    }
    disk.n_held = n;
    pthread_mutex_unlock(&disk.mutex);
}

bool slow_disk_waits_for(unsigned file)
{
    bool found = false;
    pthread_mutex_lock(&disk.mutex);
    for (unsigned i = 0; i < disk.n_held; i++) found |= disk.held[i].node == FIRST_NODE + file;
    pthread_mutex_unlock(&disk.mutex);
    return found;
}

unsigned slow_disk_waiting(void)
{
    pthread_mutex_lock(&disk.mutex);
    unsigned n = disk.n_held;
    pthread_mutex_unlock(&disk.mutex);
    return n;
}

void slow_disk_close(void)
{
    if (disk.fd < 0) return;
    slow_disk_set(DISK_SERVES);
    umount2(disk.path, MNT_DETACH);
    pthread_join(disk.thread, NULL);
    close(disk.fd);
    disk.fd = -1;
    free(disk.path);
}
