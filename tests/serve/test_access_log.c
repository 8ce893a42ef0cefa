/* The access log: formats, buffers, and the file or pipe behind it. */

#include "serve/access_buffer.h"
#include "serve/access_log.h"

#include "base/slice.h"
#include "http/h1_parser.h"
#include "serve/access_file.h"
#include "serve/access_line.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define PEER "192.0.2.1:1234"

enum {
    TRIES = 6000, /* of 10 ms, for the writer thread to get there */
    PRODUCERS = 3,
    EACH = 12000, /* lines per producer */
};

static char why[256]; /* of access_log_open */

/* ---- requests without a connection ---- */

struct fixture {
    struct io io;
    struct http_context core;
    struct torc_req rq;
    struct h1_parser parser;
};

/* A request with this head that was answered with 200 after 1.5 ms. */
static void fixture_init(struct fixture *f, slice head)
{
    memset(f, 0, sizeof *f);
    f->core.io = &f->io;
    f->io.now = 10 * NS_PER_S;
    struct torc_req *rq = &f->rq;
    rq->ctx = &f->core;
    rq->arrived = f->io.now - 1500 * 1000;
    rq->response.status = 200;
    arena_init(&rq->arena, rq->inline_memory, sizeof rq->inline_memory, 1 << 20);
    static const struct head_limits limits = {HEAD_BYTES_MAX, HEAD_OWN_FIELDS};
    h1_parser_init(&f->parser, &rq->head, &rq->arena, rq->inline_text, sizeof rq->inline_text);
    h1_parse_head(&f->parser, &limits, head);
    rq->host = head_find(&rq->head, SLICE("host"));
}

static void fixture_free(struct fixture *f)
{
    arena_end(&f->rq.arena);
}

static void add(struct access_log *log, slice head)
{
    struct fixture f;
    fixture_init(&f, head);
    access_buffer_add(access_log_buffer(log, 0), &f.rq, PEER, 5, END_DONE, f.io.now);
    fixture_free(&f);
}

/* Adds a line with the target "/name/number". */
static void add_numbered(struct access_log_buffer *ring, unsigned name, unsigned number)
{
    struct fixture f;
    char head[80];
    int n = snprintf(head, sizeof head, "GET /%u/%u HTTP/1.1\r\nHost: a\r\n\r\n", name, number);
    fixture_init(&f, slice_of(head, (size_t)n));
    access_buffer_add(ring, &f.rq, PEER, 5, END_DONE, f.io.now);
    fixture_free(&f);
}

/* ---- files ---- */

static char dir[] = "/tmp/torc-test-log-XXXXXX";

static const char *in_dir(const char *name)
{
    static char path[4][80];
    static unsigned next;
    char *p = path[next++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}

static int make_dir(void **state)
{
    (void)state;
    setenv("TZ", "XXX-05:30", 1);
    tzset();
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    (void)state;
    return rmdir(dir);
}

static int remove_files(void **state)
{
    (void)state;
    static const char *const names[] = {"log", "old", "fifo", "link"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) unlink(in_dir(names[i]));
    return 0;
}

static char *read_all(const char *path, size_t *len)
{
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t cap = 32 << 20;
    char *text = malloc(cap + 1);
    assert_non_null(text);
    *len = fread(text, 1, cap, f);
    assert_true(*len < cap);
    text[*len] = '\0';
    fclose(f);
    return text;
}

static void assert_file(const char *path, const char *want)
{
    size_t len;
    char *text = read_all(path, &len);
    assert_string_equal(text, want);
    free(text);
}

static off_t size_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? st.st_size : -1;
}

/* Waits until the thread has written this much. If it never does, the checks that follow fail. */
static void await_size(const char *path, off_t size)
{
    for (int i = 0; i < TRIES && size_of(path) < size; i++) usleep(10000);
}

static struct access_log *open_log(const char *path, enum log_format format)
{
    struct access_log *log = access_log_open(path, format, 1, ACCESS_FLUSH_MS, why, sizeof why);
    assert_non_null(log);
    return log;
}

static void move_to(struct access_log *log, const char *path)
{
    struct access_move *to = access_move_new(path);
    assert_non_null(to);
    access_log_move(log, to);
}

/* Of the requests of line_of. */
static enum http_end how_it_ended;

/* The line for this request, from a log of its own. Checks the time and removes it. */
static char *line_of(slice head, enum log_format format, const char *peer, int status,
                     uint64_t bytes)
{
    const char *path = in_dir("log");
    struct fixture f;
    size_t len;
    time_t from = time(NULL);
    unlink(path);
    struct access_log *log = open_log(path, format);
    fixture_init(&f, head);
    f.rq.response.status = status;
    access_buffer_add(access_log_buffer(log, 0), &f.rq, peer, bytes, how_it_ended, f.io.now);
    fixture_free(&f);
    access_log_close(log);
    char *text = read_all(path, &len);
    assert_true(len > 0 && text[len - 1] == '\n' && strchr(text, '\n') == text + len - 1);

    struct tm t = {0};
    char *at = strstr(text, format == LOG_JSON ? "{\"time\":\"" : " [");
    assert_non_null(at);
    at += format == LOG_JSON ? 9 : 2;
    const char *end = strptime(at, format == LOG_JSON ? "%Y-%m-%dT%T%z" : "%d/%b/%Y:%T %z", &t);
    assert_non_null(end);
    assert_int_equal(*end, format == LOG_JSON ? '"' : ']');
    assert_int_equal(t.tm_gmtoff, 5 * 3600 + 30 * 60);
    time_t logged = timegm(&t) - (5 * 3600 + 30 * 60);
    struct timespec now; /* time(2) may be some ms behind the clock of the log */
    clock_gettime(CLOCK_REALTIME, &now);
    assert_true(logged >= from && logged <= now.tv_sec);
    memmove(at, end, strlen(end) + 1);
    return text;
}

static void assert_line(const char *want, slice head, enum log_format format, const char *peer,
                        int status, uint64_t bytes)
{
    char *line = line_of(head, format, peer, status, bytes);
    assert_string_equal(line, want);
    free(line);
}

/* ---- formats ---- */

static const char usual_head[] = "GET /a?b=c HTTP/1.1\r\nHost: h:80\r\nReferer: http://r/\r\n"
                                 "User-Agent: x (y)\r\n\r\n";
static const slice usual = {usual_head, sizeof usual_head - 1};

static void combined_format(void **state)
{
    (void)state;
    assert_line("192.0.2.1 - - [] \"GET /a?b=c HTTP/1.1\" 200 1234 \"http://r/\" \"x (y)\"\n",
                usual, LOG_COMBINED, PEER, 200, 1234);
    static const char *const same[] = {"[2001:db8::1]:80", "[2001:db8::1]"};
    for (size_t i = 0; i < ARRAY_LEN(same); i++)
        assert_line("2001:db8::1 - - [] \"HEAD / HTTP/1.0\" 304 - \"-\" \"-\"\n",
                    SLICE("HEAD / HTTP/1.0\r\n\r\n"), LOG_COMBINED, same[i], 304, 0);
    static const char *const others[][2] = {{"192.0.2.1", "192.0.2.1"}, {"unix:", "unix:"}};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        char want[80];
        snprintf(want, sizeof want, "%s - - [] \"HEAD / HTTP/1.0\" 304 - \"-\" \"-\"\n",
                 others[i][1]);
        assert_line(want, SLICE("HEAD / HTTP/1.0\r\n\r\n"), LOG_COMBINED, others[i][0], 304, 0);
    }
    assert_line("- - - [] \"GET / HTTP/1.1\" 200 18446744073709551615 \"\" \"-\"\n",
                SLICE("GET / HTTP/1.1\r\nReferer:\r\n\r\n"), LOG_COMBINED, "-", 200, UINT64_MAX);
}

static void json_format(void **state)
{
    (void)state;
    assert_line(
        "{\"time\":\"\",\"peer\":\"192.0.2.1:1234\",\"method\":\"GET\",\"target\":\"/a?b=c\","
        "\"version\":\"HTTP/1.1\",\"status\":200,\"bytes\":1234,\"end\":\"done\","
        "\"duration_us\":1500,"
        "\"host\":\"h:80\",\"referer\":\"http://r/\",\"user_agent\":\"x (y)\"}\n",
        usual, LOG_JSON, PEER, 200, 1234);
    assert_line("{\"time\":\"\",\"peer\":null,\"method\":\"POST\",\"target\":\"/\","
                "\"version\":\"HTTP/1.0\",\"status\":500,\"bytes\":0,\"end\":\"done\","
                "\"duration_us\":1500,"
                "\"host\":null,\"referer\":null,\"user_agent\":\"\"}\n",
                SLICE("POST / HTTP/1.0\r\nUser-Agent: \r\n\r\n"), LOG_JSON, "-", 500, 0);
}

/* For a head that the parser rejected, the line has what is known. */
static void rejected_heads_log_what_is_known(void **state)
{
    (void)state;
    assert_line("192.0.2.1 - - [] \"-\" 400 5 \"-\" \"-\"\n", SLICE("\x16\x03\x01 hello"),
                LOG_COMBINED, PEER, 400, 5);
    assert_line("192.0.2.1 - - [] \"GET /a\" 505 5 \"-\" \"-\"\n", SLICE("GET /a HTTP/x"),
                LOG_COMBINED, PEER, 505, 5);
    assert_line("192.0.2.1 - - [] \"PUT /a HTTP/1.1\" 400 5 \"-\" \"u\"\n",
                SLICE("PUT /a HTTP/1.1\r\nUser-Agent: u\r\nX Y: z\r\n\r\n"), LOG_COMBINED, PEER,
                400, 5);
    assert_line("{\"time\":\"\",\"peer\":\"192.0.2.1:1234\",\"method\":null,\"target\":null,"
                "\"version\":null,\"status\":400,\"bytes\":5,\"end\":\"done\","
                "\"duration_us\":1500,"
                "\"host\":null,\"referer\":null,\"user_agent\":null}\n",
                SLICE("\r\nG@T"), LOG_JSON, PEER, 400, 5);
}

/* Methods that the parser does not know are well-formed all the same (RFC 9110, 9.1). */
static void unknown_methods_are_logged(void **state)
{
    static const struct {
        slice head;
        const char *line;
    } cases[] = {
        {{"BREW /a?b HTTP/1.1\r\nHost: h\r\n", 29}, "BREW /a?b HTTP/1.1"},
        {{"\r\nget /a HTTP/1.0\r\n", 19}, "get /a HTTP/1.0"},
        {{"GETS \"\\ HTTP/1.1\r\n", 18}, "GETS \\x22\\x5c HTTP/1.1"},
        {{"BREW /a HTTP/1.1", 16}, "-"},
        {{"BREW  HTTP/1.1\r\n", 16}, "-"},
        {{"BREW /a b HTTP/1.1\r\n", 20}, "-"},
        {{"BREW /a HTTP/2.0\r\n", 18}, "-"},
        {{"BREW /a HTTP/1.2\r\n", 18}, "-"},
        {{"BREW\r\n", 6}, "-"},
        {{"BREW \r\n", 7}, "-"},
        {{"B@EW /a HTTP/1.1\r\n", 18}, "-"},
        {{"BREW-FOR-THE-WHOLE-OF-THE-COMPANY /a HTTP/1.1\r\n", 47}, "-"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char want[120];
        assert_int_equal(strlen(cases[i].head.ptr), cases[i].head.len);
        snprintf(want, sizeof want, "192.0.2.1 - - [] \"%s\" 501 5 \"-\" \"-\"\n", cases[i].line);
        assert_line(want, cases[i].head, LOG_COMBINED, PEER, 501, 5);
    }
}

/* The combined format has a word at the end where the request was aborted, the JSON format always.
 */
static void aborted_requests_have_a_word(void **state)
{
    (void)state;
    how_it_ended = END_CLIENT;
    assert_line("192.0.2.1 - - [] \"GET /a?b=c HTTP/1.1\" 200 77 \"http://r/\" \"x (y)\" client\n",
                usual, LOG_COMBINED, PEER, 200, 77);
    assert_line("192.0.2.1 - - [] \"-\" 499 - \"-\" \"-\" client\n", SLICE("GE"), LOG_COMBINED,
                PEER, 0, 0);
    how_it_ended = END_TIMEOUT;
    assert_line("192.0.2.1 - - [] \"GET / HTTP/1.1\" 200 5 \"-\" \"-\" timeout\n",
                SLICE("GET / HTTP/1.1\r\n\r\n"), LOG_COMBINED, PEER, 200, 5);
    how_it_ended = END_SERVER;
    assert_line("{\"time\":\"\",\"peer\":\"192.0.2.1:1234\",\"method\":\"GET\",\"target\":\"/\","
                "\"version\":\"HTTP/1.1\",\"status\":499,\"bytes\":0,\"end\":\"server\","
                "\"duration_us\":1500,"
                "\"host\":null,\"referer\":null,\"user_agent\":null}\n",
                SLICE("GET / HTTP/1.1\r\n\r\n"), LOG_JSON, PEER, 0, 0);
    how_it_ended = END_DONE;
}

static unsigned hex(const char *p)
{
    char digits[3] = {p[0], p[1], '\0'};
    return (unsigned)strtoul(digits, NULL, 16);
}

/* Decodes the quoted value at *at and moves *at after its closing quote. Returns its length. */
static size_t decode(const char **at, enum log_format format, char *out)
{
    size_t n = 0;
    const char *p = *at;
    for (; *p != '"'; n++) {
        assert_true(*p >= ' ' && *p <= '~');
        if (*p != '\\') {
            out[n] = *p++;
        } else if (format == LOG_JSON && p[1] != 'u') {
            assert_true(p[1] == '"' || p[1] == '\\');
            out[n] = p[1];
            p += 2;
        } else {
            const char *prefix = format == LOG_JSON ? "\\u00" : "\\x";
            /* A byte that is not valid UTF-8. */
            if (format == LOG_JSON && p[2] == 'f') prefix = "\\uf0";
            assert_memory_equal(p, prefix, strlen(prefix));
            out[n] = (char)hex(p + strlen(prefix));
            if (format == LOG_JSON) assert_int_equal(p[2] == 'f', (out[n] & 0x80) != 0);
            p += strlen(prefix) + 2;
        }
    }
    *at = p + 1;
    return n;
}

/* No byte ends the value or the line, and all can be recovered. */
static void every_byte_can_be_recovered(void **state)
{
    (void)state;
    char all[256], got[1024];
    for (unsigned i = 0; i < 256; i++) all[i] = (char)i;
    for (enum log_format format = LOG_COMBINED; format <= LOG_JSON; format++) {
        struct fixture f;
        size_t len;
        const char *path = in_dir("log");
        unlink(path);
        struct access_log *log = open_log(path, format);
        fixture_init(&f, SLICE("GET / HTTP/1.1\r\n\r\n"));
        char text[10 + 256] = "user-agent";
        memcpy(text + 10, all, 256);
        f.rq.head.text = text;
        f.rq.head.target_len = 0;
        f.rq.head.n_fields = 1;
        f.rq.head.own_field[0] = (struct head_field){0, 10, 10, 256};
        access_buffer_add(access_log_buffer(log, 0), &f.rq, PEER, 5, END_DONE, f.io.now);
        fixture_free(&f);
        access_log_close(log);
        char *line = read_all(path, &len);
        const char *at = strstr(line, format == LOG_JSON ? "\"user_agent\":\"" : "5 \"-\" \"");
        assert_non_null(at);
        at += format == LOG_JSON ? 14 : 7;
        assert_int_equal(decode(&at, format, got), 256);
        assert_memory_equal(got, all, 256);
        assert_string_equal(at, format == LOG_JSON ? "}\n" : "\n");
        free(line);
    }
}

static void largest_head_fits_one_line(void **state)
{
    (void)state;
    static char head[16 * 1024], got[sizeof head * 8];
    static const char start[] = "GET / HTTP/1.1\r\nHost: h\r\nUser-Agent: ";
    memset(head, 0xff, sizeof head);
    memcpy(head, start, sizeof start - 1);
    memcpy(head + sizeof head - 4, "\r\n\r\n", 4);
    char *line = line_of(slice_of(head, sizeof head), LOG_JSON, PEER, 200, 5);
    const char *at = strstr(line, "\"user_agent\":\"");
    assert_non_null(at);
    at += 14;
    size_t n = sizeof head - (sizeof start - 1) - 4;
    assert_int_equal(decode(&at, LOG_JSON, got), n);
    assert_memory_equal(got, head + sizeof start - 1, n);
    assert_string_equal(at, "}\n");
    free(line);
}

/* ---- many lines ---- */

/* Asserts that all lines are whole, and in order for each producer. Returns their number. */
static unsigned check_lines(const char *text, size_t len)
{
    unsigned lines = 0;
    int last[PRODUCERS];
    for (int i = 0; i < PRODUCERS; i++) last[i] = -1;
    for (const char *at = text; at < text + len; lines++) {
        unsigned name, number;
        int end = 0;
        assert_memory_equal(at, "192.0.2.1 - - [", 15);
        const char *line_end = strchr(at, '\n');
        char rest[200]; /* sscanf looks for the end of all of its input */
        assert_non_null(line_end);
        const char *time_end = memchr(at, ']', (size_t)(line_end - at));
        assert_non_null(time_end);
        size_t n = (size_t)(line_end - time_end);
        assert_true(n < sizeof rest);
        memcpy(rest, time_end, n);
        rest[n] = '\0';
        assert_int_equal(
            sscanf(rest, "] \"GET /%u/%u HTTP/1.1\" 200 5 \"-\" \"-\"%n", &name, &number, &end), 2);
        assert_true(end > 0 && (size_t)end == n && name < PRODUCERS && (int)number > last[name]);
        last[name] = (int)number;
        at = line_end + 1;
    }
    return lines;
}

static unsigned lines_in(const char *path)
{
    size_t len;
    char *text = read_all(path, &len);
    unsigned lines = check_lines(text, len);
    free(text);
    return lines;
}

struct producer {
    pthread_t thread;
    struct access_log_buffer *ring;
    unsigned name;
};

static void *produce(void *arg)
{
    struct producer *p = arg;
    for (unsigned i = 0; i < EACH; i++) {
        add_numbered(p->ring, p->name, i);
        if (i % 1000 == 999) usleep(1000);
    }
    return NULL;
}

static void concurrent_producers_write_whole_lines(void **state)
{
    (void)state;
    struct producer p[PRODUCERS];
    struct access_log *log =
        access_log_open(in_dir("log"), LOG_COMBINED, PRODUCERS, ACCESS_FLUSH_MS, why, sizeof why);
    assert_non_null(log);
    for (unsigned i = 0; i < PRODUCERS; i++) {
        p[i] = (struct producer){.ring = access_log_buffer(log, i), .name = i};
        assert_int_equal(pthread_create(&p[i].thread, NULL, produce, &p[i]), 0);
    }
    /* Reads the counters meanwhile, as the admin core does. */
    for (unsigned i = 0; i < 100; i++)
        assert_true(access_buffer_dropped(p[i % PRODUCERS].ring) <= EACH);
    uint64_t dropped = 0;
    for (unsigned i = 0; i < PRODUCERS; i++) {
        pthread_join(p[i].thread, NULL);
        dropped += access_buffer_dropped(p[i].ring);
    }
    access_log_close(log);
    unsigned lines = lines_in(in_dir("log"));
    assert_int_equal(lines + dropped, PRODUCERS * EACH);
    assert_true(lines > EACH);
}

/* Fills the buffer several times; nothing is lost as long as it has room. */
static void buffer_wraps_around(void **state)
{
    (void)state;
    enum { FIRST = 100000, LAST = 300000, BATCH = 20000 };
    const char *path = in_dir("log");
    struct access_log *log = open_log(path, LOG_COMBINED);
    struct access_log_buffer *ring = access_log_buffer(log, 0);
    unsigned number = FIRST;
    add_numbered(ring, 0, number++);
    await_size(path, 1);
    off_t line = size_of(path);
    while (number < LAST) {
        do add_numbered(ring, 0, number++);
        while (number % BATCH);
        await_size(path, line * (number - FIRST));
    }
    assert_int_equal(access_buffer_dropped(ring), 0);
    access_log_close(log);
    assert_true(size_of(path) > 3 * ACCESS_BUFFER_SIZE);
    assert_int_equal(lines_in(path), LAST - FIRST);
}

/* A burst larger than the buffer. The core wakes the thread, which would sleep for ever. */
static void thread_is_woken_before_the_buffer_is_full(void **state)
{
    (void)state;
    const char *path = in_dir("log");
    struct access_log *log = access_log_open(path, LOG_COMBINED, 1, -1, why, sizeof why);
    assert_non_null(log);
    struct access_log_buffer *ring = access_log_buffer(log, 0);
    unsigned number = 100000;
    add_numbered(ring, 0, number++);
    assert_int_equal(size_of(path), 0);
    access_log_reopen(log); /* writes the line */
    await_size(path, 1);
    off_t line = size_of(path);
    while (line * (number - 100000) < 3 * ACCESS_BUFFER_SIZE) {
        add_numbered(ring, 0, number++);
        off_t added = line * (number - 100000);
        /* All but the last quarter is written without further lines. */
        if (number % 1000 == 0) await_size(path, added - ACCESS_BUFFER_SIZE / 4 - line);
    }
    assert_true(size_of(path) > 2 * ACCESS_BUFFER_SIZE);
    assert_int_equal(access_buffer_dropped(ring), 0);
    access_log_close(log);
    assert_int_equal(lines_in(path), number - 100000);
}

struct sink {
    int fd;
    char *text;
    size_t len;
};

static void *read_slowly(void *arg)
{
    struct sink *s = arg;
    ssize_t n;
    /* An odd size, so that the writes at the other end are partial. */
    while ((n = read(s->fd, s->text + s->len, 1009)) > 0) s->len += (size_t)n;
    return NULL;
}

/* A log that writes to a FIFO; *fd is the end to read from. */
static struct access_log *open_fifo(int *fd)
{
    const char *path = in_dir("fifo");
    assert_int_equal(mkfifo(path, 0600), 0);
    *fd = open(path, O_RDONLY | O_NONBLOCK);
    assert_true(*fd >= 0);
    return open_log(path, LOG_COMBINED);
}

/* Stderr goes to a memory file. */
static int capture_stderr(int *saved)
{
    int fd = memfd_create("stderr", MFD_CLOEXEC);
    assert_true(fd >= 0);
    *saved = dup(STDERR_FILENO);
    dup2(fd, STDERR_FILENO);
    return fd;
}

static const char *captured(int fd)
{
    static char text[4096];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

/* The lines that messages call lost. */
static uint64_t lost_in(const char *text)
{
    static const char before[] = "/fifo: ";
    uint64_t sum = 0;
    while ((text = strstr(text, before))) {
        char *end;
        text += sizeof before - 1;
        sum += strtoull(text, &end, 10);
        assert_int_equal(strncmp(end, " lines lost: ", 13), 0);
    }
    return sum;
}

/* Lines that are lost are told: the first ones soon, the rest, within ten seconds, at the end. */
static void stalled_disk_is_told(void **state)
{
    (void)state;
    int fd, saved, err = capture_stderr(&saved);
    struct access_log *log = open_fifo(&fd);
    struct access_log_buffer *ring = access_log_buffer(log, 0);
    unsigned added = 0;
    while (access_buffer_dropped(ring) < 10 && added < 200000) add_numbered(ring, 0, added++);
    for (int i = 0; i < TRIES && lost_in(captured(err)) == 0; i++) usleep(10000);
    uint64_t first = lost_in(captured(err));
    for (unsigned more = 0; more < 1000; more++) add_numbered(ring, 0, added++);
    uint64_t dropped = access_buffer_dropped(ring);
    access_log_close(log); /* those in the buffer are lost, too */
    const char *text = captured(err);
    uint64_t all = lost_in(text);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(err);
    assert_in_range(first, 1, 10);
    assert_true(dropped >= 1010);
    assert_non_null(strstr(text, "it does not take them fast enough\n"));
    close(fd);
    assert_true(all > dropped && all <= added);
}

static _Atomic int slow_to_close = -1; /* a descriptor */
static sem_t closing, may_close;

int __real_close(int fd);
int __wrap_close(int fd);

int __wrap_close(int fd)
{
    if (fd == slow_to_close) {
        slow_to_close = -1;
        sem_post(&closing);
        sem_wait(&may_close);
    }
    return __real_close(fd);
}

/* The close of a file may write what the system has kept of it, as over a network. */
static void disk_of_the_file_before_is_named(void **state)
{
    (void)state;
    int saved, err = capture_stderr(&saved);
    sem_init(&closing, 0, 0);
    sem_init(&may_close, 0, 0);
    struct access_log *log = open_log(in_dir("old"), LOG_COMBINED);
    slow_to_close = access_log_descriptor(log);
    move_to(log, in_dir("log"));
    sem_wait(&closing);
    bool closed = access_log_close(log);
    dup2(saved, STDERR_FILENO);
    close(saved);
    sem_post(&may_close);
    assert_false(closed);
    assert_non_null(strstr(captured(err), "/old: the disk does not answer"));
    close(err);
}

/* A reader that does not read blocks nobody; lines without room are counted. */
static void full_buffer_drops_and_counts_lines(void **state)
{
    (void)state;
    pthread_t reader;
    unsigned added = 0;
    struct sink s = {.text = malloc(32 << 20)};
    assert_non_null(s.text);
    struct access_log *log = open_fifo(&s.fd);
    struct access_log_buffer *ring = access_log_buffer(log, 0);
    while (access_buffer_dropped(ring) < 10 && added < 200000) add_numbered(ring, 0, added++);
    assert_true(added < 200000);
    assert_true(added > 5000);

    assert_int_equal(fcntl(s.fd, F_SETFL, 0), 0);
    assert_int_equal(pthread_create(&reader, NULL, read_slowly, &s), 0);
    /* The buffer stays full; free space is reused at once. */
    for (unsigned more = 0; more < 20000; more++) {
        add_numbered(ring, 0, added++);
        if (more % 100 == 99) usleep(100);
    }
    uint64_t dropped = access_buffer_dropped(ring);
    access_log_close(log);
    pthread_join(reader, NULL);
    close(s.fd);
    assert_int_equal(check_lines(s.text, s.len) + dropped, added);
    free(s.text);
}

static void close_does_not_wait_for_a_stuck_reader(void **state)
{
    (void)state;
    int fd;
    struct access_log *log = open_fifo(&fd);
    for (unsigned i = 0; i < 5000; i++) add_numbered(access_log_buffer(log, 0), 0, i);
    access_log_close(log);
    close(fd);
}

/* Nor does another file, which gets the lines that the pipe has not taken. */
static void leaves_a_stuck_reader_for_another_file(void **state)
{
    enum { N = 5000 };
    (void)state;
    struct sink s = {.text = calloc(1, 1 << 20)};
    assert_non_null(s.text);
    struct access_log *log = open_fifo(&s.fd);
    struct access_log_buffer *ring = access_log_buffer(log, 0);
    for (unsigned i = 0; i < N; i++) add_numbered(ring, 0, i);
    usleep(100000); /* likely, its thread waits for the reader */
    move_to(log, in_dir("log"));
    await_size(in_dir("log"), 1000);
    add_numbered(ring, 0, N);
    uint64_t lost = access_buffer_dropped(ring);
    access_log_close(log);
    read_slowly(&s);
    close(s.fd);
    while (s.len && s.text[s.len - 1] != '\n') s.len--; /* a line that the pipe has in part */
    s.text[s.len] = '\0';
    assert_int_equal(check_lines(s.text, s.len) + lines_in(in_dir("log")) + lost, N + 1);
    free(s.text);
}

static void lines_are_counted_when_the_reader_is_gone(void **state)
{
    (void)state;
    int fd;
    struct access_log *log = open_fifo(&fd);
    close(fd);
    add(log, usual);
    for (int i = 0; i < TRIES && access_buffer_dropped(access_log_buffer(log, 0)) < 1; i++)
        usleep(10000);
    assert_int_equal(access_buffer_dropped(access_log_buffer(log, 0)), 1);
    access_log_close(log);
}

/* ---- the file ---- */

static void appends_to_an_existing_file(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct access_log *log = open_log(in_dir("log"), LOG_COMBINED);
        add_numbered(access_log_buffer(log, 0), 0, i);
        access_log_close(log);
    }
    assert_int_equal(lines_in(in_dir("log")), 2);
}

static void writes_to_stdout(void **state)
{
    (void)state;
    fflush(stdout);
    int saved = dup(STDOUT_FILENO), fd = open(in_dir("log"), O_WRONLY | O_CREAT, 0600);
    assert_true(saved >= 0 && fd >= 0);
    dup2(fd, STDOUT_FILENO);
    struct access_log *log =
        access_log_open("-", LOG_COMBINED, 1, ACCESS_FLUSH_MS, why, sizeof why);
    if (log) {
        add_numbered(access_log_buffer(log, 0), 0, 0);
        access_log_reopen(log); /* no effect on stdout */
        add_numbered(access_log_buffer(log, 0), 0, 1);
        access_log_close(log);
    }
    bool still_open = fcntl(STDOUT_FILENO, F_GETFD) >= 0;
    dup2(saved, STDOUT_FILENO);
    close(saved);
    close(fd);
    assert_non_null(log);
    assert_true(still_open);
    assert_int_equal(lines_in(in_dir("log")), 2);
}

static void failure_to_open_sets_errno(void **state)
{
    (void)state;
    errno = 0;
    assert_null(access_log_open("/no/such/dir/log", LOG_JSON, 2, ACCESS_FLUSH_MS, why, sizeof why));
    assert_int_equal(errno, ENOENT);
    assert_string_equal(why,
                        "cannot open --access-log /no/such/dir/log: No such file or directory");
    assert_null(access_log_open(dir, LOG_JSON, 2, ACCESS_FLUSH_MS, why, sizeof why));
    assert_int_equal(errno, EISDIR);
}

static void rotation_separates_old_and_new_lines(void **state)
{
    (void)state;
    size_t len;
    struct access_log *log = open_log(in_dir("log"), LOG_COMBINED);
    add_numbered(access_log_buffer(log, 0), 0, 0);
    await_size(in_dir("log"), 1);
    assert_int_equal(rename(in_dir("log"), in_dir("old")), 0);
    add_numbered(access_log_buffer(log, 0), 0, 1);
    access_log_reopen(log);
    await_size(in_dir("log"), 0);
    add_numbered(access_log_buffer(log, 0), 0, 2);
    access_log_close(log);
    /* Lines from before the rotation are in the old file. */
    assert_int_equal(lines_in(in_dir("old")), 2);
    assert_int_equal(lines_in(in_dir("log")), 1);
    char *text = read_all(in_dir("log"), &len);
    assert_non_null(strstr(text, "/0/2 "));
    free(text);
}

/* The file that it moves to is renamed before its thread, which waits for a reader, has come to
 * that: the new one of that name gets what follows. */
static void rotation_of_a_file_that_it_moves_to(void **state)
{
    (void)state;
    int reader;
    size_t len;
    struct access_log *log = open_fifo(&reader);
    struct access_log_buffer *ring = access_log_buffer(log, 0);
    for (unsigned i = 0; i < 5000; i++) add_numbered(ring, 0, i);
    usleep(100000); /* likely, it waits */
    move_to(log, in_dir("log"));
    assert_int_equal(rename(in_dir("log"), in_dir("old")), 0);
    access_log_reopen(log);
    await_size(in_dir("log"), 0);
    assert_true(size_of(in_dir("log")) >= 0);
    access_log_flush(log);
    add_numbered(ring, 1, 0);
    access_log_close(log);
    close(reader);
    char *text = read_all(in_dir("log"), &len);
    assert_non_null(strstr(text, "/1/0 "));
    free(text);
}

/* Its thread, which would sleep for ever, has been woken for both at once. */
static void close_follows_a_rotation(void **state)
{
    (void)state;
    struct access_log *log = access_log_open(in_dir("log"), LOG_COMBINED, 1, -1, why, sizeof why);
    assert_non_null(log);
    access_log_reopen(log);
    access_log_close(log);
}

static void flush_does_not_wait_for_the_time(void **state)
{
    (void)state;
    struct access_log *log = access_log_open(in_dir("log"), LOG_COMBINED, 1, -1, why, sizeof why);
    assert_non_null(log);
    add_numbered(access_log_buffer(log, 0), 0, 0);
    access_log_flush(log);
    assert_int_equal(lines_in(in_dir("log")), 1);
    access_log_flush(log);
    access_log_close(log);
}

static void failed_reopen_keeps_the_old_file(void **state)
{
    (void)state;
    assert_int_equal(symlink(in_dir("old"), in_dir("link")), 0);
    struct access_log *log = open_log(in_dir("link"), LOG_COMBINED);
    unlink(in_dir("link"));
    assert_int_equal(symlink("/no/such/dir/log", in_dir("link")), 0);
    access_log_reopen(log);
    add_numbered(access_log_buffer(log, 0), 0, 0);
    access_log_close(log);
    assert_int_equal(lines_in(in_dir("old")), 1);
}

/* Lines that a full disk does not take are counted; after a reopen logging continues. */
static void full_disk_drops_and_counts_lines(void **state)
{
    (void)state;
    assert_int_equal(symlink("/dev/full", in_dir("link")), 0);
    struct access_log *log = open_log(in_dir("link"), LOG_COMBINED);
    struct access_log_buffer *ring = access_log_buffer(log, 0);
    for (unsigned i = 0; i < 3; i++) add_numbered(ring, 0, i);
    for (int i = 0; i < TRIES && access_buffer_dropped(ring) < 3; i++) usleep(10000);
    assert_int_equal(access_buffer_dropped(ring), 3);
    unlink(in_dir("link"));
    assert_int_equal(symlink(in_dir("old"), in_dir("link")), 0);
    access_log_reopen(log);
    await_size(in_dir("old"), 0);
    add_numbered(ring, 0, 3);
    await_size(in_dir("old"), 1);
    assert_int_equal(access_buffer_dropped(ring), 3);
    access_log_close(log);
    assert_int_equal(lines_in(in_dir("old")), 1);
}

/* A partly written line counts as dropped, and a line end is added before the next one. */
static void partial_line_is_terminated(void **state)
{
    (void)state;
    struct rlimit saved, limit;
    size_t len;
    const char *path = in_dir("log");
    struct access_log *log = open_log(path, LOG_COMBINED);
    struct access_log_buffer *ring = access_log_buffer(log, 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &saved), 0);
    limit = (struct rlimit){120, saved.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    for (unsigned i = 0; i < 3; i++) add_numbered(ring, 0, i);
    for (int i = 0; i < TRIES && access_buffer_dropped(ring) < 2; i++) usleep(10000);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &saved), 0);
    assert_int_equal(access_buffer_dropped(ring), 2);
    assert_int_equal(size_of(path), 120);
    add_numbered(ring, 0, 3);
    access_log_close(log);
    char *text = read_all(path, &len), *line = text;
    for (int i = 0; i < 2; i++) {
        line = strchr(line, '\n');
        assert_non_null(line);
        line++;
    }
    assert_int_equal(line - text, 121);
    assert_int_equal(check_lines(line, strlen(line)), 1);
    assert_non_null(strstr(line, "/0/3 "));
    free(text);
}

static void thread_blocks_signals(void **state)
{
    (void)state;
    sigset_t set, saved;
    struct timespec wait = {10, 0};
    struct access_log *log = open_log(in_dir("log"), LOG_COMBINED);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, &saved);
    kill(getpid(), SIGTERM);
    int got = sigtimedwait(&set, NULL, &wait);
    pthread_sigmask(SIG_SETMASK, &saved, NULL);
    assert_int_equal(got, SIGTERM);
    access_log_close(log);
    assert_file(in_dir("log"), "");
}

/* Opening a FIFO for writing would otherwise block until it has a reader. */
static void fifo_without_reader_cannot_be_opened(void **state)
{
    (void)state;
    const char *path = in_dir("fifo");
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_null(access_log_open(path, LOG_COMBINED, 1, ACCESS_FLUSH_MS, why, sizeof why));
    assert_int_equal(errno, ENXIO);
    unlink(path);
}

#define TEST(name) cmocka_unit_test_teardown(name, remove_files)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(fifo_without_reader_cannot_be_opened),
        TEST(combined_format),
        TEST(json_format),
        TEST(rejected_heads_log_what_is_known),
        TEST(unknown_methods_are_logged),
        TEST(aborted_requests_have_a_word),
        TEST(every_byte_can_be_recovered),
        TEST(largest_head_fits_one_line),
        TEST(concurrent_producers_write_whole_lines),
        TEST(buffer_wraps_around),
        TEST(thread_is_woken_before_the_buffer_is_full),
        TEST(stalled_disk_is_told),
        TEST(disk_of_the_file_before_is_named),
        TEST(full_buffer_drops_and_counts_lines),
        TEST(close_does_not_wait_for_a_stuck_reader),
        TEST(leaves_a_stuck_reader_for_another_file),
        TEST(lines_are_counted_when_the_reader_is_gone),
        TEST(appends_to_an_existing_file),
        TEST(writes_to_stdout),
        TEST(failure_to_open_sets_errno),
        TEST(rotation_separates_old_and_new_lines),
        TEST(rotation_of_a_file_that_it_moves_to),
        TEST(close_follows_a_rotation),
        TEST(flush_does_not_wait_for_the_time),
        TEST(failed_reopen_keeps_the_old_file),
        TEST(full_disk_drops_and_counts_lines),
        TEST(partial_line_is_terminated),
        TEST(thread_blocks_signals),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
