/* The server's options: values, messages, precedence and help. */

#include "serve/options.h"

#include "base/clock.h"
#include "base/config_file.h"
#include "base/slice.h"
#include "base/words.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#define ALL_FEATURES ((1u << IO_FEATURES) - 1)

static struct option_set *set;
static struct options *o;

/* Starts over with every default. */
static void reset(void)
{
    options_free(set);
    set = options_new();
    assert_non_null(set);
    o = options_get(set);
}

static int before(void **state)
{
    (void)state;
    reset();
    return 0;
}

static int after(void **state)
{
    (void)state;
    options_free(set);
    set = NULL;
    return 0;
}

/* Reads a command line of these words, up to a NULL. */
static int read_command(const char *word, ...)
{
    char *argv[ARGS_MAX] = {NULL};
    va_list more;
    va_start(more, word);
    int argc = collect_words(argv, "torc", word, more);
    va_end(more);
    int err = options_read(set, argc, argv);
    return err < 0 || options_get(set)->help || options_get(set)->version ? err
                                                                          : options_settle(set);
}

#define READ(...)  read_command(__VA_ARGS__, NULL)
#define VALID(...) assert_int_equal(READ(__VA_ARGS__), 0)
#define WRONG(message, ...)                                                                        \
    do {                                                                                           \
        reset();                                                                                   \
        assert_int_equal(READ(__VA_ARGS__), -EINVAL);                                              \
        assert_string_equal(options_error(set), message);                                          \
    } while (0)

static void assert_addr(const struct sock_addr *a, const char *want)
{
    char text[SOCK_ADDR_TEXT];
    sock_addr_format(a, text);
    assert_string_equal(text, want);
}

/* The engines that are built in, as messages list them. */
static const char *engine_list(void)
{
    static char text[64];
    text[0] = '\0';
    for (const struct io_engine *const *e = io_engines; *e; e++) {
        if (text[0]) strcat(text, ", ");
        strcat(text, io_engine_name(*e));
    }
    return text;
}

/* ---- config files ---- */

static void assert_config_error(const char *text, const char *message)
{
    char want[300];
    write_config(text);
    reset();
    assert_int_equal(READ("--config", config_path), -EINVAL);
    snprintf(want, sizeof want, "%s:%s", config_path, message);
    assert_string_equal(options_error(set), want);
}

/* ---- defaults and values ---- */

static void defaults(void **state)
{
    (void)state;
    cpu_set_t mask;
    assert_string_equal(options_error(set), "");
    assert_int_equal(read_command(NULL), 0);
    assert_null(o->engine);
    assert_int_equal(sched_getaffinity(0, sizeof mask, &mask), 0);
    assert_int_equal(o->n_cpus, CPU_COUNT(&mask));
    assert_true(o->pin);
    assert_int_equal(o->n_listen, 1);
    assert_addr(&o->listen[0], "127.0.0.1:8080");
    assert_int_equal(o->limits.proxies.trusted.n, 0);
    assert_false(o->limits.proxies.forwarded);
    assert_int_equal(o->backlog, 4096);
    assert_false(o->has_admin);
    assert_null(o->root);
    assert_null(o->config);
    assert_false(o->check || o->json || o->version || o->help);
    assert_null(o->access_log);
    assert_int_equal(o->access_log_format, LOG_COMBINED);
    assert_int_equal(o->limits.drain_timeout, 10 * NS_PER_S);
    assert_int_equal(o->file_cache_ttl, NS_PER_S);
    assert_int_equal(o->file_cache, 512);
    assert_int_equal(o->limits.sendfile_from, 0);
    assert_int_equal(o->io.depth, 512);
    assert_int_equal(o->io.cq_depth, 0);
    assert_int_equal(o->io.buffers, 1024);
    assert_int_equal(o->io.buffer_size, 4096);
    assert_int_equal(o->io.iowq_bounded, 4);
    assert_int_equal(o->io.iowq_unbounded, 4);
    assert_int_equal(o->io.features, ALL_FEATURES);
    assert_int_equal(o->limits.admit_timeout, 1 * NS_PER_S);
    assert_int_equal(o->limits.header_timeout, 10 * NS_PER_S);
    assert_int_equal(o->limits.idle_timeout, 60 * NS_PER_S);
    assert_int_equal(o->limits.body_timeout, 30 * NS_PER_S);
    assert_int_equal(o->limits.write_timeout, 30 * NS_PER_S);
    assert_int_equal(o->limits.max_body, 64 << 20);
    assert_int_equal(o->limits.write_buffer, 64 << 10);
    assert_int_equal(o->limits.buffer_memory, 128 << 20);
    assert_int_equal(o->limits.read_buffer, 32 << 10);
    assert_int_equal(o->limits.request_memory, 1 << 20);
    assert_true(o->limits.body_memory);
    assert_int_equal(o->limits.head.bytes, 16 << 10);
    assert_int_equal(o->limits.head.fields, 100);
    assert_int_equal(o->limits.stack_size, 64 << 10);
    assert_int_equal(o->limits.max_requests, 16384);
    assert_int_equal(o->limits.queue, 1024);
    assert_int_equal(o->limits.min_body_rate, 240);
    assert_int_equal(o->limits.body_grace, 30 * NS_PER_S);
    assert_int_equal(o->limits.min_read_rate, 240);
    assert_int_equal(o->limits.read_grace, 30 * NS_PER_S);
    assert_int_equal(o->limits.queue_timeout, NS_PER_S);
    assert_string_equal(o->server_name, "torc");
    assert_false(o->named);
}

static void values_are_stored(void **state)
{
    (void)state;
    VALID("--backlog", "7", "--admin", "[::1]:9", "--root", "/", "--access-log", "-", "--depth=1",
          "--cq-depth=65536", "--buffers=1000", "--buffer-size=64", "--iowq-workers=9", "--check",
          "--json");
    assert_int_equal(o->backlog, 7);
    assert_true(o->has_admin);
    assert_addr(&o->admin, "[::1]:9");
    assert_string_equal(o->root, "/");
    assert_string_equal(o->access_log, "-");
    assert_int_equal(o->io.depth, 1);
    assert_int_equal(o->io.cq_depth, 65536);
    assert_int_equal(o->io.buffers, 1024);
    assert_int_equal(o->io.buffer_size, 64);
    assert_int_equal(o->io.iowq_bounded, 9);
    assert_int_equal(o->io.iowq_unbounded, 9);
    assert_true(o->check && o->json);
    VALID("--admit-timeout=5ms", "--header-timeout=1ms", "--idle-timeout=2ms", "--body-timeout=3ms",
          "--write-timeout=4ms", "--drain-timeout=0", "--max-body=0", "--request-memory=5k",
          "--write-buffer=6k", "--read-buffer=7k", "--stack-size=16k", "--max-requests=8",
          "--file-cache=9", "--file-cache-ttl=0", "--sendfile-from=1m", "--access-log-format=json");
    assert_int_equal(o->limits.admit_timeout, 5 * NS_PER_MS);
    assert_int_equal(o->limits.header_timeout, 1 * NS_PER_MS);
    assert_int_equal(o->limits.idle_timeout, 2 * NS_PER_MS);
    assert_int_equal(o->limits.body_timeout, 3 * NS_PER_MS);
    assert_int_equal(o->limits.write_timeout, 4 * NS_PER_MS);
    assert_int_equal(o->limits.drain_timeout, 0);
    assert_int_equal(o->limits.max_body, 0);
    assert_int_equal(o->limits.request_memory, 5 << 10);
    assert_false(o->limits.body_memory);
    VALID("--max-header-bytes=64k", "--max-header-fields=1000");
    assert_int_equal(o->limits.head.bytes, 64 << 10);
    assert_int_equal(o->limits.head.fields, 1000);
    VALID("--max-header-bytes=1k", "--max-header-fields=1");
    assert_int_equal(o->limits.head.bytes, 1 << 10);
    assert_int_equal(o->limits.head.fields, 1);
    assert_int_equal(o->limits.write_buffer, 6 << 10);
    assert_int_equal(o->limits.read_buffer, 7 << 10);
    assert_int_equal(o->limits.stack_size, 16 << 10);
    assert_int_equal(o->limits.max_requests, 8);
    VALID("--queue=0", "--queue-timeout=5ms");
    assert_int_equal(o->limits.queue, 0);
    assert_int_equal(o->limits.queue_timeout, 5 * NS_PER_MS);
    assert_int_equal(o->file_cache, 9);
    assert_int_equal(o->file_cache_ttl, 0);
    assert_int_equal(o->limits.sendfile_from, 1 << 20);
    assert_int_equal(o->access_log_format, LOG_JSON);
}

static void unix_sockets_are_files(void **state)
{
    (void)state;
    VALID("--listen", "unix:/run/a.sock", "--listen=unix:b", "--listen=127.0.0.1:0",
          "--socket-mode=660");
    assert_int_equal(o->n_listen, 3);
    assert_addr(&o->listen[0], "unix:/run/a.sock");
    assert_addr(&o->listen[1], "unix:b");
    assert_int_equal(o->listen[1].mode, 0660);
    assert_int_equal(o->given[0], -1);
    WRONG("--listen unix:/a overlaps another --listen", "--listen", "unix:/a", "--listen",
          "unix:/a");
    WRONG("--socket-mode takes an octal mode from 1 to 777, such as 660, not \"888\"",
          "--socket-mode=888");
    WRONG("--socket-mode takes an octal mode from 1 to 777, such as 660, not \"1777\"",
          "--socket-mode=1777");
    WRONG("--listen: descriptor 999 is no listening socket: Bad file descriptor", "--listen",
          "fd:999");
    WRONG("--listen systemd: this process was given no socket (LISTEN_FDS)", "--listen=systemd");
    char want[120];
    setenv("LISTEN_FDS", "1", 1);
    setenv("LISTEN_PID", "1", 1); /* as in a child of the process that systemd has started */
    snprintf(want, sizeof want,
             "--listen systemd: the sockets of LISTEN_FDS are for the process 1 (LISTEN_PID), not "
             "for this one, %d",
             (int)getpid());
    WRONG(want, "--listen=systemd");
    VALID("--listen=127.0.0.1:0");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_PID");
    WRONG("--proxy-protocol needs --trust-proxy: who may send its header", "--proxy-protocol");
    VALID("--proxy-protocol", "--trust-proxy=::1");
}

static void proxies_are_networks(void **state)
{
    struct sock_addr addr;
    (void)state;
    VALID("--trust-proxy=10.0.0.0/8", "--trust-proxy", "unix:", "--proxy-field=forwarded");
    assert_int_equal(o->limits.proxies.trusted.n, 2);
    assert_true(network_addr_parse(SLICE("10.1.2.3:4"), &addr));
    assert_true(networks_have(&o->limits.proxies.trusted, &addr));
    assert_true(o->limits.proxies.forwarded);
    WRONG("--trust-proxy takes an address or a network, such as 192.0.2.1, 10.0.0.0/8, fd00::/8 or "
          "unix:, not \"10.0.0.1/8\"",
          "--trust-proxy=10.0.0.1/8");
    WRONG("--proxy-field takes x-forwarded-for or forwarded, not \"via\"", "--proxy-field=via");
}

static void the_server_has_a_name(void **state)
{
    char name[130];
    (void)state;
    VALID("--server-name=web/1.0 (x)");
    assert_true(o->named);
    assert_int_equal(o->server_line_len, strlen("Server: web/1.0 (x)\r\n"));
    assert_memory_equal(o->server_line, "Server: web/1.0 (x)\r\n", o->server_line_len);
    reset();
    VALID("--server-name=none");
    assert_true(o->named);
    assert_int_equal(o->server_line_len, 0);
    reset();
    VALID("--server-name=torc");
    assert_false(o->named);
    memset(name, 'n', sizeof name);
    name[128] = '\0';
    VALID("--server-name", name);
    assert_int_equal(o->server_line_len, 128 + strlen("Server: \r\n"));
    static const char *const wrong[] = {"", " a", "a ", "a\r\nb", "\xc3\xa4"};
    name[128] = 'n';
    name[129] = '\0';
    assert_int_equal(READ("--server-name", name), -EINVAL);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        reset();
        assert_int_equal(READ("--server-name", wrong[i]), -EINVAL);
        assert_non_null(strstr(options_error(set), "up to 128 printable characters"));
    }
}

static void work_threads_follow_the_cores(void **state)
{
    (void)state;
    assert_int_equal(o->work_queue, 1024);
    o->n_cpus = 1;
    assert_int_equal(options_work_threads(o), 2);
    o->n_cpus = 7;
    assert_int_equal(options_work_threads(o), 7);
    VALID("--work-threads=3", "--work-queue=4");
    assert_int_equal(options_work_threads(o), 3);
    assert_int_equal(o->work_queue, 4);
    VALID("--work-threads=0");
    assert_int_equal(options_work_threads(o), 0);
}

static void clients_are_divided_among_the_cores(void **state)
{
    (void)state;
    assert_int_equal(o->limits.conns_per_client, 0);
    assert_int_equal(o->rate, 0);
    assert_int_equal(o->limits.connection_age, 0);
    assert_int_equal(o->limits.connection_requests, 0);
    VALID("--max-connections-per-client=10", "--rate-limit=100", "--rate-burst=7",
          "--max-connection-age=5m", "--max-connection-requests=1000");
    assert_int_equal(o->limits.connection_age, 300 * NS_PER_S);
    assert_int_equal(o->limits.connection_requests, 1000);
    o->n_cpus = 3;
    options_divide(o);
    assert_int_equal(o->limits.conns_per_client, 4);
    assert_int_equal(o->limits.rate.interval, 30 * NS_PER_MS);
    assert_int_equal(o->limits.rate.window, 3 * 30 * NS_PER_MS);
    static const struct {
        const char *text;
        uint64_t interval;
    } rates[] = {{"0", 0},
                 {"5", NS_PER_S / 5},
                 {"5/s", NS_PER_S / 5},
                 {"5/m", 12 * NS_PER_S},
                 {"1/h", 3600 * NS_PER_S},
                 {"1000000000/s", 1}};
    for (size_t i = 0; i < ARRAY_LEN(rates); i++) {
        reset();
        VALID("--rate-limit", rates[i].text);
        o->n_cpus = 1;
        options_divide(o);
        assert_int_equal(o->limits.rate.interval, rates[i].interval);
        assert_int_equal(o->limits.rate.window, rates[i].interval * o->rate);
    }
}

static void keepalive_has_defaults(void **state)
{
    (void)state;
    VALID("--pin");
    assert_int_equal(o->keepalive.idle, 60 * NS_PER_S);
    assert_int_equal(o->keepalive.interval, 10 * NS_PER_S);
    assert_int_equal(o->keepalive.probes, 6);
    assert_int_equal(o->keepalive.user_timeout, 120 * NS_PER_S);
    reset();
    VALID("--write-timeout=1h", "--tcp-keepalive=1001ms", "--tcp-keepalive-probes=9");
    assert_int_equal(o->keepalive.idle, 2 * NS_PER_S);
    assert_int_equal(o->keepalive.probes, 9);
    assert_int_equal(o->keepalive.user_timeout, 3600 * NS_PER_S);
    reset();
    VALID("--tcp-user-timeout=0", "--tcp-keepalive=0");
    assert_int_equal(o->keepalive.idle, 0);
    assert_int_equal(o->keepalive.user_timeout, 0);
}

static void buffers_round_up(void **state)
{
    (void)state;
    static const uint32_t pairs[][2] = {{1, 1},       {2, 2},         {3, 4},
                                        {1025, 2048}, {16385, 32768}, {32768, 32768}};
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        char text[12];
        snprintf(text, sizeof text, "%u", pairs[i][0]);
        assert_int_equal(options_set(set, "buffers", text), 0);
        assert_int_equal(o->io.buffers, pairs[i][1]);
    }
}

static void feature_flags(void **state)
{
    (void)state;
    for (unsigned f = 0; f < IO_FEATURES; f++) {
        const char *name = io_feature_names[f];
        /* A feature named "no-X" is switched on by --no-X and off by --X. */
        bool inverted = strncmp(name, "no-", 3) == 0;
        char on[40], off[40], off_value[40];
        snprintf(on, sizeof on, "--%s", name);
        snprintf(off, sizeof off, "--%s%s", inverted ? "" : "no-", inverted ? name + 3 : name);
        snprintf(off_value, sizeof off_value, "--%s=no", name);
        reset();
        VALID(off);
        assert_int_equal(o->io.features, ALL_FEATURES & ~(1u << f));
        VALID(on);
        assert_int_equal(o->io.features, ALL_FEATURES);
        VALID(off_value);
        assert_int_equal(o->io.features, ALL_FEATURES & ~(1u << f));
        assert_int_equal(options_set(set, name, "yes"), 0);
        assert_int_equal(o->io.features, ALL_FEATURES);
        assert_int_equal(options_set(set, name, "no"), 0);
        assert_int_equal(o->io.features, ALL_FEATURES & ~(1u << f));
    }
}

static void engine_names(void **state)
{
    (void)state;
    char want[160];
    for (const struct io_engine *const *e = io_engines; *e; e++) {
        VALID("--engine", io_engine_name(*e));
        assert_string_equal(o->engine, io_engine_name(*e));
    }
    snprintf(want, sizeof want, "--engine takes one of %s, not \"kqueue\"", engine_list());
    WRONG(want, "--engine=kqueue");
    assert_null(o->engine);
#ifndef TORC_IO_URING
    snprintf(want, sizeof want, "--engine takes one of %s: io_uring is not built in",
             engine_list());
    WRONG(want, "--engine=io_uring");
#endif
}

static void listen_can_be_repeated(void **state)
{
    (void)state;
    VALID("--listen", "127.0.0.1:0", "--listen=[::1]:80", "--listen", "*:81");
    assert_int_equal(o->n_listen, 3);
    assert_addr(&o->listen[0], "127.0.0.1:0");
    assert_addr(&o->listen[1], "[::1]:80");
    assert_addr(&o->listen[2], "[::]:81");

    for (int i = 0; i < LISTEN_MAX; i++) {
        if (i == 0) reset();
        assert_int_equal(options_set(set, "listen", "127.0.0.1:1"), 0);
        assert_int_equal(o->n_listen, i + 1);
    }
    assert_int_equal(options_set(set, "listen", "127.0.0.1:1"), -EINVAL);
    assert_string_equal(options_error(set), "listen can be given at most 16 times");
    assert_int_equal(o->n_listen, LISTEN_MAX);
}

/* ---- values that depend on the machine ---- */

static void max_connections_follows_the_descriptor_limit(void **state)
{
    (void)state;
    struct rlimit saved, limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &saved), 0);
    assert_true(saved.rlim_max >= 300);
    static const uint32_t cases[][2] = {{300, 236}, {129, 65}, {128, 65}, {100, 51}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        limit = (struct rlimit){cases[i][0], saved.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        reset();
        assert_int_equal(o->limits.max_conns, cases[i][1]);
        assert_int_equal(o->io.max_sockets, cases[i][1]);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &saved), 0);
    VALID("--max-connections=70");
    assert_int_equal(o->limits.max_conns, 70);
    assert_int_equal(o->io.max_sockets, 70);
    VALID("--max-connections=1000000");
    assert_int_equal(o->limits.max_conns, 1000000);
    rlim_t hard = saved.rlim_max < 1000000 ? saved.rlim_max : 1000000;
    assert_int_equal(o->io.max_sockets, hard);
}

static void cores_by_number_or_list(void **state)
{
    (void)state;
    cpu_set_t saved, one;
    char text[40], want[120];
    uint16_t cpu[CPUS_MAX];
    uint32_t n = 0;
    assert_int_equal(sched_getaffinity(0, sizeof saved, &saved), 0);
    for (unsigned i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &saved)) cpu[n++] = (uint16_t)i;

    VALID("--cores", "1");
    assert_int_equal(o->n_cpus, 1);
    assert_int_equal(o->cpu[0], cpu[0]);
    VALID("--cores", "all");
    assert_int_equal(o->n_cpus, n);
    assert_memory_equal(o->cpu, cpu, n * sizeof *cpu);
    snprintf(text, sizeof text, "--cores=%u-%u", cpu[n - 1], cpu[n - 1]);
    VALID(text);
    assert_int_equal(o->n_cpus, 1);
    assert_int_equal(o->cpu[0], cpu[n - 1]);
    if (n > 1) {
        snprintf(text, sizeof text, "--cores=%u,%u", cpu[1], cpu[0]);
        VALID(text);
        assert_int_equal(o->n_cpus, 2);
        assert_int_equal(o->cpu[0], cpu[1]);
        assert_int_equal(o->cpu[1], cpu[0]);
    }
    snprintf(text, sizeof text, "--cores=%u,%u", cpu[0], cpu[0]);
    snprintf(want, sizeof want, "--cores %s: names CPU %u twice", text + 8, cpu[0]);
    WRONG(want, text);

    CPU_ZERO(&one);
    CPU_SET(cpu[n - 1], &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    reset();
    assert_int_equal(o->n_cpus, 1);
    assert_int_equal(o->cpu[0], cpu[n - 1]);
    WRONG("--cores 2: this process may use 1 CPU", "--cores", "2");
    snprintf(text, sizeof text, "%u-%u", cpu[n - 1], cpu[n - 1] + 1);
    snprintf(want, sizeof want, "--cores %s: this process may not use CPU %u", text,
             cpu[n - 1] + 1);
    WRONG(want, "--cores", text);
    assert_int_equal(o->n_cpus, 1);
    assert_int_equal(sched_setaffinity(0, sizeof saved, &saved), 0);

    static const char *const bad[] = {
        "0",   "x",    "1-",    "-1", ",",   "1,",   ",1",
        "1-0", "0--1", "0-0-0", "1 ", "0x1", "0,,0", "99999999999999999999"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        reset();
        snprintf(text, sizeof text, "--cores=%s", bad[i]);
        assert_int_equal(READ(text), -EINVAL);
        assert_int_equal(o->n_cpus, n);
    }
}

/* ---- messages ---- */

static void wrong_values_are_explained(void **state)
{
    static const char *const wrong_rates[] = {"x", "-1", "5/", "5/d", "/s", "1000000001", "5 /s"};
    char want[200];
    (void)state;
    WRONG("--depth takes a number from 1 to 32768, not \"abc\"", "--depth", "abc");
    WRONG("--depth takes a number from 1 to 32768, not \"4294967297\"", "--depth=4294967297");
    WRONG("--buffer-size takes a size from 64 to 1m, such as 4096, 16k or 1m, not \"63\"",
          "--buffer-size", "63");
    WRONG("--stack-size takes a size from 16k to 64m, such as 16k or 1m, not \"15k\"",
          "--stack-size=15k");
    WRONG("--idle-timeout takes a time from 1ms to 24h with a unit, such as 500ms, 10s or 2m, "
          "not \"10\"",
          "--idle-timeout=10");
    WRONG("--max-header-bytes takes a size from 1k to 64k, such as 4096 or 16k, not \"65537\"",
          "--max-header-bytes=65537");
    WRONG("--max-header-bytes takes a size from 1k to 64k, such as 4096 or 16k, not \"1023\"",
          "--max-header-bytes=1023");
    WRONG("--max-header-fields takes a number from 1 to 1000, not \"0\"", "--max-header-fields=0");
    WRONG("--work-threads takes a number from 0 to 1024, not \"1025\"", "--work-threads=1025");
    WRONG("--work-queue takes a number from 1 to 1000000, not \"0\"", "--work-queue=0");
    WRONG("--max-header-fields takes a number from 1 to 1000, not \"1001\"",
          "--max-header-fields=1001");
    WRONG("--admit-timeout takes a time from 1ms to 24h with a unit, such as 500ms, 10s or 2m, "
          "not \"0\"",
          "--admit-timeout=0");
    WRONG("--header-timeout takes a time from 1ms to 24h with a unit, such as 500ms, 10s or 2m, "
          "not \"0\"",
          "--header-timeout=0");
    WRONG("--file-cache-ttl takes a time from 0 to 1s with a unit, such as 500ms, 10s or 2m, not "
          "\"1001ms\"",
          "--file-cache-ttl=1001ms");
    WRONG("--sendfile-from takes a size from 0 to 1024g, such as 4096, 16k or 1m, not \"1025g\"",
          "--sendfile-from=1025g");
    WRONG("--admin needs an address of its own: it overlaps --listen 127.0.0.1:9", "--listen",
          "127.0.0.1:9", "--admin", "127.0.0.1:9");
    WRONG("--admin needs an address of its own: it overlaps --listen 0.0.0.0:9", "--listen",
          "0.0.0.0:9", "--admin", "127.0.0.1:9");
    WRONG("--admin needs an address of its own: it overlaps --listen [::]:9", "--listen", "*:9",
          "--admin", "127.0.0.1:9");
    WRONG("--admin needs an address of its own: it overlaps --listen 0.0.0.0:9", "--listen",
          "0.0.0.0:9", "--admin", "[::ffff:127.0.0.1]:9");
    WRONG("--listen 127.0.0.1:9 overlaps another --listen", "--listen", "127.0.0.1:9", "--listen",
          "127.0.0.1:9");
    reset();
    VALID("--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0");
    reset();
    VALID("--listen", "127.0.0.1:9", "--listen", "127.0.0.2:9", "--admin", "[::1]:9");
    reset();
    VALID("--listen", "[::]:9", "--listen", "0.0.0.0:9", "--listen", "[::]:8");
    assert_true(o->listen[0].v6_only);
    assert_false(o->listen[2].v6_only);
    reset();
    VALID("--listen", "127.0.0.1:9", "--admin", "[::]:9");
    assert_true(o->admin.v6_only);
    WRONG("--listen 0.0.0.0:9 overlaps another --listen", "--listen", "*:9", "--listen",
          "0.0.0.0:9");
    WRONG("--listen [::1]:9 overlaps another --listen", "--listen", "[::]:9", "--listen",
          "0.0.0.0:9", "--listen", "[::1]:9");
    reset();
    WRONG(
        "--listen takes ADDR:PORT, such as 127.0.0.1:8080, [::1]:8080 or *:80; or unix:PATH, fd:N "
        "or systemd, not \"8080\"",
        "--listen", "8080");
    WRONG("--listen [fe80::1%nosuch]:80: there is no network interface nosuch", "--listen",
          "[fe80::1%nosuch]:80");
    WRONG("--admin [fe80::1%nosuch]:80: there is no network interface nosuch", "--admin",
          "[fe80::1%nosuch]:80");
    WRONG(
        "--listen takes ADDR:PORT, such as 127.0.0.1:8080, [::1]:8080 or *:80; or unix:PATH, fd:N "
        "or systemd, not \"[fe80::1%nosuch]\"",
        "--listen", "[fe80::1%nosuch]");
    WRONG("--access-log-format takes combined or json, not \"jsonl\"", "--access-log-format=jsonl");
    WRONG("--max-connections takes a number from 0 to 1000000, not \"1000001\"",
          "--max-connections=1000001");
    for (size_t i = 0; i < ARRAY_LEN(wrong_rates); i++) {
        snprintf(want, sizeof want,
                 "--rate-limit takes a number from 1 to 1000000000 a second, minute or hour, such "
                 "as 100, 100/s or 600/m, or 0, not \"%s\"",
                 wrong_rates[i]);
        WRONG(want, "--rate-limit", wrong_rates[i]);
    }
    WRONG("--body-grace takes a time from 1ms to 24h with a unit, such as 500ms, 10s or 2m, not "
          "\"0\"",
          "--body-grace=0");
    WRONG("--read-grace takes a time from 1ms to 24h with a unit, such as 500ms, 10s or 2m, not "
          "\"0\"",
          "--read-grace=0");
    WRONG("--queue takes a number from 0 to 1000000, not \"-1\"", "--queue=-1");
    WRONG("--queue-timeout takes a time from 1ms to 24h with a unit, such as 500ms, 10s or 2m, "
          "not \"0\"",
          "--queue-timeout=0");
    WRONG("--max-connections-per-client takes a number from 0 to 1000000, not \"-1\"",
          "--max-connections-per-client=-1");
    WRONG("--tcp-keepalive-probes takes a number from 1 to 127, not \"0\"",
          "--tcp-keepalive-probes=0");
    WRONG("--root takes a directory, but no value was given", "--root");
    WRONG("--root takes a directory; /no/such/dir: No such file or directory",
          "--root=/no/such/dir");
    WRONG("--root takes a directory; /dev/null is not one", "--root=/dev/null");
    char long_value[5000] = "--root=";
    memset(long_value + 7, 'x', sizeof long_value - 8);
    reset();
    assert_int_equal(READ(long_value), -EINVAL);
    assert_true(strlen(options_error(set)) < 300);
}

static void unknown_options_are_rejected(void **state)
{
    (void)state;
    WRONG("unknown option --max-conn, did you mean --max-connections? (see --help)", "--max-conn");
    WRONG("unknown option --no-dierct, did you mean --no-direct? (see --help)", "--no-dierct");
    WRONG("unknown option --port: use --listen (see --help)", "--port", "8080");
    WRONG("unknown option -p: use --listen (see --help)", "-p8080");
    WRONG("unknown option --conns: use --max-connections (see --help)", "--conns=9");
    WRONG("unknown option --cert: TLS is not supported", "--cert=x");
    WRONG("unknown option --max-conns, did you mean --max-connections? (see --help)",
          "--max-conns");
    WRONG("unexpected argument \"x\" (see --help)", "x");
    WRONG("unexpected argument \"password...\" (see --help)", "password=secret");
    WRONG("to serve a directory, use --root /", "/");
    WRONG("unexpected argument \"\" (see --help)", "");
    WRONG("unexpected argument \"no\" (see --help)", "--pin", "no");
    WRONG("unexpected argument \"--help\" (see --help)", "--", "--help");
    VALID("--");
    WRONG("unexpected argument \"-\" (see --help)", "-");
}

static void program_sets_options(void **state)
{
    (void)state;
    assert_int_equal(options_set(set, "depth", "16"), 0);
    assert_int_equal(o->io.depth, 16);
    assert_int_equal(options_set(set, "no-pin", NULL), 0);
    assert_false(o->pin);
    assert_int_equal(options_set(set, "depth", "x"), -EINVAL);
    assert_string_equal(options_error(set), "depth takes a number from 1 to 32768, not \"x\"");
    assert_int_equal(o->io.depth, 16);
    assert_int_equal(options_set(set, "dept", "16"), -EINVAL);
    assert_string_equal(options_error(set),
                        "unknown option dept, did you mean depth? (see --help)");
    assert_int_equal(options_set(set, "port", "16"), -EINVAL);
    assert_string_equal(options_error(set), "unknown option port: use listen (see --help)");

    /* Strings are copied. */
    char root[] = "/";
    assert_int_equal(options_set(set, "root", root), 0);
    root[0] = 'x';
    assert_string_equal(o->root, "/");
}

/* ---- precedence and the config file ---- */

static void config_file_sets_options(void **state)
{
    (void)state;
    write_config("# comment\n\n  \t\ndepth = 8\ncq-depth=16# not a comment here\n");
    reset();
    assert_int_equal(READ("--config", config_path), -EINVAL);
    write_config("# comment\n\n  \t\n \tdepth = 8 # eight\t\r\ncq-depth=16\n"
                 "pin = no\nno-direct = yes\nsqarray = yes\nmultishot =no\naccess-log = /a b#c\n"
                 "listen=127.0.0.1:1\nlisten=127.0.0.1:2\nbacklog = 3");
    reset();
    VALID("--config", config_path);
    assert_int_equal(o->io.depth, 8);
    assert_int_equal(o->io.cq_depth, 16);
    assert_false(o->pin);
    assert_int_equal(o->io.features,
                     ALL_FEATURES & ~(1u << IO_DIRECT | 1u << IO_NO_SQARRAY | 1u << IO_MULTISHOT));
    assert_string_equal(o->access_log, "/a b#c");
    assert_int_equal(o->n_listen, 2);
    assert_addr(&o->listen[1], "127.0.0.1:2");
    assert_int_equal(o->backlog, 3);
}

static void root_of_a_config_file(void **state)
{
    (void)state;
    assert_config_error("depth = 8\nroot = /no/such/dir\n",
                        "2: root takes a directory; /no/such/dir: No such file or directory");
    assert_config_error("root = /dev/null\n", "1: root takes a directory; /dev/null is not one");
    reset();
    VALID("--config", config_path, "--root=/");
}

static void command_line_wins_over_config_over_program(void **state)
{
    (void)state;
    write_config("depth = 2\ncq-depth = 2\nlisten = 127.0.0.1:2\n");
    assert_int_equal(options_set(set, "depth", "1"), 0);
    assert_int_equal(options_set(set, "cq-depth", "1"), 0);
    assert_int_equal(options_set(set, "buffers", "1"), 0);
    assert_int_equal(options_set(set, "listen", "127.0.0.1:1"), 0);
    assert_int_equal(o->n_listen, 1);
    VALID("--depth=3", "--config", config_path);
    assert_int_equal(o->io.depth, 3);
    assert_int_equal(o->io.cq_depth, 2);
    assert_int_equal(o->io.buffers, 1);
    assert_int_equal(o->n_listen, 1);
    assert_addr(&o->listen[0], "127.0.0.1:2");

    reset();
    VALID("--listen=127.0.0.1:3", "--config", config_path, "--listen=127.0.0.1:4");
    assert_int_equal(o->n_listen, 2);
    assert_addr(&o->listen[0], "127.0.0.1:3");
    assert_addr(&o->listen[1], "127.0.0.1:4");

    /* The program can name a file, and the command line another one. */
    reset();
    assert_int_equal(options_set(set, "config", config_path), 0);
    assert_int_equal(read_command(NULL), 0);
    assert_int_equal(o->io.depth, 2);
    reset();
    assert_int_equal(options_set(set, "config", "/no/such/file"), 0);
    VALID("--config", config_path);
    assert_int_equal(o->io.depth, 2);
}

static void config_errors_name_the_line(void **state)
{
    (void)state;
    assert_config_error("\n#\ndepth = x\n", "3: depth takes a number from 1 to 32768, not \"x\"");
    assert_config_error("help = yes\n", "1: help can only be given on the command line");
    assert_config_error("config = x\n", "1: config can only be given on the command line");
    assert_config_error("json = yes\n", "1: json can only be given on the command line");
    /* A value that the command line overrides is still checked. */
    write_config("depth = x\n");
    reset();
    assert_int_equal(READ("--config", config_path, "--depth=4"), -EINVAL);

    WRONG("cannot read config file /no/such/file: No such file or directory",
          "--config=/no/such/file");
    WRONG("cannot read config file /: Is a directory", "--config=/");
}

/* ---- options added by the program ---- */

static void program_adds_options(void **state)
{
    (void)state;
    const char *url = "?", *pacing = "?", *unused = "?";
    char name[] = "upstream";
    assert_int_equal(options_add(set, name, "URL", "where to fetch", &url), 0);
    name[0] = 'X';
    assert_int_equal(options_add(set, "pacing", NULL, "tell how long", &pacing), 0);
    assert_null(url);
    assert_null(pacing);
    assert_int_equal(options_add(set, "upstream", "URL", "", &unused), -EEXIST);
    assert_int_equal(options_add(set, "depth", "N", "", &unused), -EEXIST);
    assert_int_equal(options_add(set, "no-pin", "N", "", &unused), -EEXIST);
    static const char *const bad[] = {"", "-x", "--x", "a b", "A", "a=b", "a\n"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(options_add(set, bad[i], "X", "", &unused), -EINVAL);
    assert_string_equal(unused, "?");

    char value[] = "--upstream=http://a/?b=c";
    VALID(value, "--pacing");
    value[11] = 'X';
    assert_string_equal(url, "http://a/?b=c");
    assert_string_equal(pacing, "yes");
    VALID("--upstream", "second", "--no-pacing");
    assert_string_equal(url, "second");
    assert_string_equal(pacing, "no");
    assert_int_equal(READ("--upstream"), -EINVAL);
    assert_string_equal(options_error(set), "--upstream takes URL, but no value was given");
    assert_int_equal(READ("--upstrem=x"), -EINVAL);
    assert_string_equal(options_error(set),
                        "unknown option --upstrem, did you mean --upstream? (see --help)");

    write_config("upstream = third # x\npacing = yes\n");
    VALID("--config", config_path);
    assert_string_equal(url, "third");
    assert_string_equal(pacing, "yes");
}

static void number_of_options_is_bounded(void **state)
{
    (void)state;
    const char *value;
    int err = 0, n = 0;
    for (; n < 1000 && err == 0; n++) {
        char name[20];
        snprintf(name, sizeof name, "own%d", n);
        err = options_add(set, name, "X", "", &value);
    }
    assert_int_equal(err, -ENOMEM);
    assert_true(n > 32);
    VALID("--own0=x", "--depth=2");
}

/* ---- help ---- */

static void help_has_two_names(void **state)
{
    (void)state;
    static const char *const given[] = {"--help", "-h"};
    for (size_t i = 0; i < ARRAY_LEN(given); i++) {
        reset();
        VALID(given[i]);
        assert_true(o->help);
        reset();
        VALID("--backlog", "7", given[i]);
        assert_true(o->help);
        /* As a value, -h is not a request for help. */
        reset();
        VALID("--access-log=-h");
        assert_false(o->help);
    }
}

static char *help_text(const char *program)
{
    char *text;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    assert_non_null(f);
    options_print_help(set, program, "Says hello.", f);
    assert_int_equal(fclose(f), 0);
    return text;
}

static void help(void **state)
{
    (void)state;
    const char *url;
    assert_int_equal(options_add(set, "upstream-of-this-program", "SCHEME://HOST:PORT/PATH",
                                 "where to fetch", &url),
                     0);
    char *text = help_text("/usr/bin/torc-lab");
    assert_ptr_equal(strstr(text, "Usage: torc-lab [OPTION]...\n"), text);
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1)
        assert_true(end - line <= 100 && (end == line || end[-1] != ' '));
    static const char *const want[] = {
        "\n  --listen ADDR:PORT ",
        "(default 127.0.0.1:8080)",
        "\n  --cores N|LIST ",
        "\n  --[no-]pin ",
        "\n  --depth N ",
        "(default 512)",
        "\n  --[no-]defer-taskrun ",
        "\n  --[no-]sqarray ",
        "\n  --max-body SIZE ",
        "(default 64m)",
        "\n  --idle-timeout TIME ",
        "(default 60s)",
        "\n  --config FILE ",
        "\n  --check ",
        "\n  --json ",
        "\n  --version ",
        "\n  --help ",
        "\nOptions of torc-lab\n",
        "\n  --upstream-of-this-program SCHEME://HOST:PORT/PATH\n",
        " where to fetch\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        if (!strstr(text, want[i])) fail_msg("the help lacks \"%s\"", want[i]);
    }
    for (unsigned f = 0; f < IO_FEATURES; f++) {
        const char *name = io_feature_names[f];
        char line[60];
        snprintf(line, sizeof line, "\n  --[no-]%s ",
                 name + (strncmp(name, "no-", 3) == 0 ? 3 : 0));
        assert_non_null(strstr(text, line));
    }
    for (const struct io_engine *const *e = io_engines; *e; e++)
        assert_non_null(strstr(text, io_engine_name(*e)));
    free(text);

    reset();
    text = help_text("torc");
    assert_null(strstr(text, "Options of"));
    free(text);
}

static void help_and_version_win_over_errors(void **state)
{
    (void)state;
    VALID("--config=/no/such/file", "--depth=abc", "--help");
    assert_true(o->help);
    reset();
    VALID("--help", "--json");
    WRONG("--json needs --check", "--json");
    WRONG("--json needs --check", "--json", "--depth=abc");
    reset();
    VALID("--version", "--root=/no/such/dir");
    assert_true(o->version);
    WRONG("unknown option --foo (see --help)", "--help", "--foo");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, before, after)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(defaults),
        TEST(values_are_stored),
        TEST(unix_sockets_are_files),
        TEST(proxies_are_networks),
        TEST(the_server_has_a_name),
        TEST(work_threads_follow_the_cores),
        TEST(clients_are_divided_among_the_cores),
        TEST(keepalive_has_defaults),
        TEST(buffers_round_up),
        TEST(feature_flags),
        TEST(engine_names),
        TEST(listen_can_be_repeated),
        TEST(max_connections_follows_the_descriptor_limit),
        TEST(cores_by_number_or_list),
        TEST(wrong_values_are_explained),
        TEST(unknown_options_are_rejected),
        TEST(program_sets_options),
        TEST(config_file_sets_options),
        TEST(root_of_a_config_file),
        TEST(command_line_wins_over_config_over_program),
        TEST(config_errors_name_the_line),
        TEST(program_adds_options),
        TEST(number_of_options_is_bounded),
        TEST(help_has_two_names),
        TEST(help),
        TEST(help_and_version_win_over_errors),
    };
    return cmocka_run_group_tests(tests, make_config, remove_config);
}
