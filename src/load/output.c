#include "load/output.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int cannot_write(const char *path)
{
    fprintf(stderr, "torc-load: cannot write %s: %s\n", path, strerror(errno));
    return -1;
}

/* As with --json /dev/stdout; devices such as /dev/null take any number of reports. */
static bool is_stdout(int fd)
{
    struct stat s, t;
    return fstat(fd, &s) == 0 && fstat(STDOUT_FILENO, &t) == 0 && s.st_dev == t.st_dev &&
           s.st_ino == t.st_ino && (!S_ISCHR(s.st_mode) || isatty(fd));
}

int output_open(struct output *o, const char *path)
{
    *o = (struct output){.path = path};
    if (!path) return 0;
    if (strcmp(path, "-") == 0) {
        o->file = stdout;
        return 0;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    o->created = fd >= 0;
    if (fd < 0 && errno == EEXIST) fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) return cannot_write(path);
    if (is_stdout(fd)) {
        close(fd);
        o->file = stdout;
        return 0;
    }
    o->file = fdopen(fd, "w");
    if (o->file) return 0;
    close(fd);
    return cannot_write(path);
}

void output_drop(struct output *o)
{
    if (o->file && o->file != stdout) fclose(o->file);
    if (o->created) unlink(o->path);
    *o = (struct output){0};
}

bool output_same(const struct output *a, const struct output *b)
{
    struct stat s, t;
    if (a->file == stdout && b->file == stdout) return true;
    return a->file && b->file && fstat(fileno(a->file), &s) == 0 &&
           fstat(fileno(b->file), &t) == 0 && S_ISREG(s.st_mode) && s.st_dev == t.st_dev &&
           s.st_ino == t.st_ino;
}

FILE *output_begin(const struct output *o)
{
    /* Fails where there is nothing to truncate, as in a pipe. */
    int err = o->file == stdout ? 0 : ftruncate(fileno(o->file), 0);
    (void)err;
    return o->file;
}

int output_end(struct output *o)
{
    bool bad = fflush(o->file) != 0 || ferror(o->file);
    if (o->file != stdout && fclose(o->file) != 0) bad = true;
    o->file = NULL;
    return bad ? cannot_write(o->path) : 0;
}
