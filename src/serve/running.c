#include "serve/running.h"

#include "base/config_line.h"
#include "serve/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { ANSWER_MAX = 1 << 20, WAIT_SECONDS = 10 };

/* ---- asking ---- */
/* The engine that --check has opened interrupts calls of its thread, and with a time limit the
 * kernel does not restart them by itself. */

static int open_admin(const struct sock_addr *admin)
{
    const struct timeval wait = {.tv_sec = WAIT_SECONDS};
    int fd = socket(admin->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait); /* for connect, too */
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    int err;
    do err = connect(fd, &admin->sa, admin->len);
    while (err < 0 && errno == EINTR);
    if (err == 0) return fd;
    close(fd);
    return -1;
}

/* The whole answer, malloc'ed, or NULL. */
static char *read_answer(int fd)
{
    size_t n = 0;
    ssize_t got = 1;
    char *text = malloc(ANSWER_MAX + 1);
    while (text && n < ANSWER_MAX && got != 0) {
        got = read(fd, text + n, ANSWER_MAX - n);
        if (got < 0 && errno != EINTR) break;
        n += got > 0 ? (size_t)got : 0;
    }
    if (text) text[n] = '\0';
    if (got == 0) return text;
    free(text);
    return NULL;
}

static char *ask(const struct sock_addr *admin)
{
    static const char request[] = "GET /settings HTTP/1.0\r\n\r\n";
    int fd = open_admin(admin);
    if (fd < 0) return NULL;
    char *text = send(fd, request, sizeof request - 1, MSG_NOSIGNAL) > 0 ? read_answer(fd) : NULL;
    close(fd);
    return text;
}

/* ---- comparing ---- */

/* Several values of an option are joined, as in option.text: `add` is moved behind the others. */
static void join(char **value, char *add)
{
    size_t n = *value ? strlen(*value) : 0;
    if (!*value) *value = add;
    if (n == 0) return;
    (*value)[n] = ' ';
    memmove(*value + n + 1, add, strlen(add) + 1);
}

/* Cuts `text` into values by option. */
static void read_settings(const struct option_set *s, char *text, char *value[])
{
    for (char *line, *found, *rest = text; (line = strsep(&rest, "\n"));) {
        slice name;
        if (config_line_split(line, &name, &found) || !found) continue;
        for (size_t i = 0; i < s->count; i++)
            if (slice_eq(slice_str(s->list[i].name), name)) join(&value[i], found);
    }
}

void running_compare(struct running *r, const struct option_set *s, const struct sock_addr *admin)
{
    char *value[OPTIONS_MAX] = {0};
    *r = (struct running){.text = ask(admin)};
    char *body = r->text ? strstr(r->text, "\r\n\r\n") : NULL;
    r->reached = body && strncmp(r->text, "HTTP/1.1 200 ", 13) == 0;
    if (!r->reached) return;
    read_settings(s, body + 4, value);
    for (size_t i = 0; i < s->count; i++) {
        const struct option *o = &s->list[i];
        bool restart = !settings_may_change(o, value[i]);
        if (settings_has(o) && !settings_same(value[i], o->text))
            r->change[r->n_changes++] = (struct running_change){o, value[i], restart};
    }
}

void running_free(struct running *r)
{
    free(r->text);
}
