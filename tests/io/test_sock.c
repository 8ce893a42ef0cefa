#include "io/sock.h"

#include "base/assert.h"
#include "base/clock.h"
#include "tcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void addresses_are_parsed_and_formatted(void **state)
{
    (void)state;
    static const struct {
        const char *text, *formatted; /* NULL: same as text */
        int family;
    } cases[] = {
        {"127.0.0.1:8080", NULL, AF_INET},
        {"0.0.0.0:0", NULL, AF_INET},
        {"255.255.255.255:65535", NULL, AF_INET},
        {"1.2.3.4:007", "1.2.3.4:7", AF_INET},
        {"[::1]:8080", NULL, AF_INET6},
        {"[::]:1", NULL, AF_INET6},
        {"[0:0:0:0:0:0:0:1]:65535", "[::1]:65535", AF_INET6},
        {"[2001:DB8::ff]:443", "[2001:db8::ff]:443", AF_INET6},
        {"[1111:2222:3333:4444:5555:6666:7777:8888]:65535", NULL, AF_INET6},
        {"[::ffff:127.0.0.1]:80", "127.0.0.1:80", AF_INET}, /* the same to the kernel */
        {"[::FFFF:0:0]:80", "0.0.0.0:80", AF_INET},
        {"[::fffe:127.0.0.1]:80", "[::fffe:7f00:1]:80", AF_INET6},
        {"[fe80::1%lo]:8080", NULL, AF_INET6},
        {"[fe80::1]:8080", NULL, AF_INET6},
        {"[fe80:1111:2222:3333:4444:5555:6666:7777%lo]:65535", NULL, AF_INET6},
        {"[fe80::1%4294967295]:80", NULL, AF_INET6}, /* an interface that may come */
        {"*:80", "[::]:80", AF_INET6},
        {":80", "[::]:80", AF_INET6},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sock_addr a, b;
        char text[SOCK_ADDR_TEXT];
        memset(&a, 0xff, sizeof a);
        if (!sock_addr_parse(cases[i].text, &a)) fail_msg("%s", cases[i].text);
        assert_int_equal(a.sa.sa_family, cases[i].family);
        assert_int_equal(a.len, cases[i].family == AF_INET ? sizeof a.in : sizeof a.in6);
        sock_addr_format(&a, text);
        assert_string_equal(text, cases[i].formatted ? cases[i].formatted : cases[i].text);
        assert_true(sock_addr_parse(text, &b));
        assert_int_equal(a.len, b.len);
        assert_memory_equal(&a, &b, a.len);
    }
}

/* As of a client at a socket that takes both. */
static void an_ipv4_client_of_an_ipv6_socket(void **state)
{
    (void)state;
    struct sock_addr a = {.len = sizeof a.in6};
    char text[SOCK_ADDR_TEXT];
    a.in6.sin6_family = AF_INET6;
    a.in6.sin6_port = htons(1234);
    assert_int_equal(inet_pton(AF_INET6, "::ffff:10.1.2.3", &a.in6.sin6_addr), 1);
    sock_addr_format(&a, text);
    assert_string_equal(text, "10.1.2.3:1234");
}

static void malformed_addresses_are_rejected(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        ":",
        "80",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1:+1",
        "127.0.0.1: 80",
        "127.0.0.1:80 ",
        " 127.0.0.1:80",
        "127.0.0.1:8o",
        "127.0.0.1:99999999999999999999",
        "127.0.0:80",
        "127.0.0.1.1:80",
        "256.0.0.1:80",
        "localhost:80",
        "::1:80",
        "[::1]",
        "[::1]80",
        "[::1:80",
        "::1]:80",
        "[]:80",
        "[*]:80",
        "[127.0.0.1]:80",
        "[::1%lo]:80", /* on no link */
        "[::ffff:127.0.0.1%lo]:80",
        "[fe80::1%]:80",
        "[fe80::1%lo%lo]:80",
        "[fe80::1%no such one]:80",
        "[fe80::1%0]:80",
        "[fe80::1%4294967296]:80",
        "[fe80::1%25lo]:80",
        "fe80::1%lo:80",
        "127.0.0.1%lo:80",
        "[%lo]:80",
        "**:80",
        "[:::1]:80",
        "]:80",
        "[:80",
        "[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd]:80",
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sock_addr a;
        if (sock_addr_parse(cases[i], &a)) fail_msg("taken for an address: %s", cases[i]);
    }
}

static void an_interface_is_part_of_an_address(void **state)
{
    (void)state;
    struct sock_addr a, b;
    assert_true(sock_addr_parse("[fe80::1%lo]:80", &a));
    assert_int_equal(a.in6.sin6_scope_id, if_nametoindex("lo"));
    assert_true(sock_addr_clash(&a, &a));
    assert_true(sock_addr_parse("[fe80::1%4294967295]:80", &b));
    assert_false(sock_addr_clash(&a, &b));
}

/* Of this machine, where an interface has one. */
static void listens_on_a_link(void **state)
{
    (void)state;
    struct ifaddrs *all;
    assert_int_equal(getifaddrs(&all), 0);
    for (const struct ifaddrs *i = all; i; i = i->ifa_next) {
        char host[INET6_ADDRSTRLEN], text[SOCK_ADDR_TEXT], bound[SOCK_ADDR_TEXT];
        const struct sockaddr_in6 *in6 = (const void *)i->ifa_addr;
        if (!in6 || in6->sin6_family != AF_INET6 || !IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr))
            continue;
        inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
        snprintf(text, sizeof text, "[%s%%%s]:0", host, i->ifa_name);
        struct sock_addr a;
        assert_true(sock_addr_parse(text, &a));
        int fd = sock_listen(&a, 1, true);
        if (fd == -EADDRNOTAVAIL) continue; /* not yet, or no longer */
        assert_true(fd >= 0);
        sock_addr_format(&a, bound);
        assert_memory_equal(bound, text, strlen(text) - 1);
        close(fd);
    }
    freeifaddrs(all);
}

static int get_int(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof value;
    assert_int_equal(getsockopt(fd, level, name, &value, &len), 0);
    return value;
}

static void listens_on_a_chosen_port(void **state)
{
    (void)state;
    for (int blocking = 0; blocking < 2; blocking++) {
        struct sock_addr a;
        assert_true(sock_addr_parse("127.0.0.1:0", &a));
        int fd = sock_listen(&a, 16, blocking);
        assert_true(fd >= 0);
        assert_int_not_equal(a.in.sin_port, 0);
        assert_int_equal(a.in.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
        assert_int_equal(a.len, sizeof a.in);
        assert_int_equal(!(fcntl(fd, F_GETFL) & O_NONBLOCK), blocking);
        assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
        int peer = tcp_connect(&a.sa, a.len), got = -1;
        for (int i = 0; i < 1000 && got < 0; i++) {
            got = accept(fd, NULL, NULL);
            if (got < 0) usleep(1000);
        }
        assert_true(got >= 0);
        assert_true(get_int(got, IPPROTO_TCP, TCP_NODELAY)); /* inherited */
        close(got);
        close(peer);
        close(fd);
    }
}

static void two_listeners_share_a_port(void **state)
{
    (void)state;
    struct sock_addr a;
    int fd[3];
    assert_true(sock_addr_parse("127.0.0.1:0", &a));
    for (int i = 0; i < 3; i++) {
        in_port_t port = a.in.sin_port;
        fd[i] = sock_listen(&a, 16, true);
        assert_true(fd[i] >= 0);
        if (i > 0) assert_int_equal(a.in.sin_port, port);
    }
    for (int i = 0; i < 3; i++) close(fd[i]);
}

static void listen_reports_errors(void **state)
{
    (void)state;
    struct sock_addr a, before;
    assert_true(sock_addr_parse("127.0.0.1:0", &a));
    int taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(taken, &a.sa, a.len), 0);
    assert_int_equal(listen(taken, 1), 0);
    assert_int_equal(getsockname(taken, &a.sa, &a.len), 0);
    before = a;
    assert_int_equal(sock_listen(&a, 16, true), -EADDRINUSE);
    assert_memory_equal(&a, &before, sizeof a);
    close(taken);

    /* TEST-NET-1 (RFC 5737) is assigned to no host. */
    assert_true(sock_addr_parse("192.0.2.1:0", &a));
    before = a;
    assert_int_equal(sock_listen(&a, 16, true), -EADDRNOTAVAIL);
    assert_memory_equal(&a, &before, sizeof a);

    a.sa.sa_family = AF_UNSPEC;
    assert_int_equal(sock_listen(&a, 16, true), -EAFNOSUPPORT);
}

static void wildcard_listens_on_both_families(void **state)
{
    (void)state;
    struct sock_addr any, v4, v6;
    assert_true(sock_addr_parse(":0", &any));
    int fd = sock_listen(&any, 16, true);
    if (fd == -EAFNOSUPPORT) skip(); /* no IPv6 here */
    assert_true(fd >= 0);
    assert_true(sock_addr_parse("127.0.0.1:0", &v4));
    assert_true(sock_addr_parse("[::1]:0", &v6));
    v4.in.sin_port = v6.in6.sin6_port = any.in6.sin6_port;
    assert_int_equal(get_int(fd, IPPROTO_IPV6, IPV6_V6ONLY), 0);
    close(tcp_connect(&v4.sa, v4.len));
    close(tcp_connect(&v6.sa, v6.len));
    close(fd);
}

/* In a network and with mounts of its own; where settings can only be read, as in a container, by a
 * /proc of its own. */
static int open_setting(const char *path)
{
    if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0) return -1;
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0 || mount(NULL, "/proc", NULL, MS_PRIVATE, NULL) < 0 ||
        mount("proc", "/proc", "proc", 0, NULL) < 0)
        return fd;
    return open(path, O_WRONLY | O_CLOEXEC);
}

/* Whatever net.ipv6.bindv6only says: it is set to 1 in a network of the test's own. */
static void families_do_not_depend_on_the_system(void **state)
{
    (void)state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct sock_addr any, v6;
        int set = open_setting("/proc/sys/net/ipv6/bindv6only");
        if (set < 0 || write(set, "1", 1) != 1) _exit(77);
        sock_addr_parse("*:0", &any);
        sock_addr_parse("[::]:0", &v6);
        int both = sock_listen(&any, 1, true), also = sock_listen(&v6, 1, true);
        v6.v6_only = true;
        v6.in6.sin6_port = 0;
        int only = sock_listen(&v6, 1, true);
        bool right = both >= 0 && also >= 0 && only >= 0 &&
                     get_int(both, IPPROTO_IPV6, IPV6_V6ONLY) == 0 &&
                     get_int(also, IPPROTO_IPV6, IPV6_V6ONLY) == 0 &&
                     get_int(only, IPPROTO_IPV6, IPV6_V6ONLY) == 1 && v6.v6_only;
        _exit(right ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) skip(); /* not permitted here */
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void each_family_can_have_its_own(void **state)
{
    (void)state;
    struct sock_addr v4, v6, all;
    assert_true(sock_addr_parse("0.0.0.0:0", &v4));
    assert_true(sock_addr_parse("[::]:0", &v6));
    int four = sock_listen(&v4, 16, true);
    assert_true(four >= 0);
    v6.in6.sin6_port = v4.in.sin_port;
    all = v6;
    all.both = true;
    assert_true(sock_addr_clash(&v4, &v6));
    sock_addr_separate(&all, &v4);
    assert_true(sock_addr_clash(&v4, &all));
    sock_addr_separate(&v6, &v4);
    assert_false(sock_addr_clash(&v4, &v6) || sock_addr_clash(&v6, &v4));
    int taken = sock_taken(&v6), six = sock_listen(&v6, 16, true);
    if (six == -EAFNOSUPPORT) skip(); /* no IPv6 here */
    assert_int_equal(taken, 0);
    assert_true(six >= 0);
    assert_int_equal(get_int(six, IPPROTO_IPV6, IPV6_V6ONLY), 1);
    close(four);
    close(six);
}

/* Without a system call for each. */
static void accepted_sockets_inherit_keep_alive(void **state)
{
    (void)state;
    static const struct sock_keepalive on = {7 * NS_PER_S, 3 * NS_PER_S, 4, 9 * NS_PER_S},
                                       off = {0};
    for (int which = 0; which < 2; which++) {
        struct sock_addr addr;
        assert_true(sock_addr_parse("127.0.0.1:0", &addr));
        int fd = sock_listen(&addr, 4, true);
        assert_true(fd >= 0);
        assert_int_equal(sock_keep_alive(fd, which ? &on : &off), 0);
        int peer = tcp_connect(&addr.sa, addr.len), got = accept(fd, NULL, NULL);
        assert_true(got >= 0);
        assert_int_equal(get_int(got, SOL_SOCKET, SO_KEEPALIVE), which);
        assert_int_equal(get_int(got, IPPROTO_TCP, TCP_USER_TIMEOUT), which ? 9000 : 0);
        if (which) {
            assert_int_equal(get_int(got, IPPROTO_TCP, TCP_KEEPIDLE), 7);
            assert_int_equal(get_int(got, IPPROTO_TCP, TCP_KEEPINTVL), 3);
            assert_int_equal(get_int(got, IPPROTO_TCP, TCP_KEEPCNT), 4);
        }
        close(got);
        close(peer);
        close(fd);
    }
}

/* Whoever opened the listener. */
static void the_queue_of_a_listener(void **state)
{
    struct sock_addr a;
    (void)state;
    assert_true(sock_addr_parse("127.0.0.1:0", &a));
    int fd = sock_listen(&a, 7, true), unix_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0 && unix_fd >= 0);
    assert_int_equal(sock_backlog(fd), 7);
    assert_int_equal(sock_queued(fd), 0);
    int client = tcp_connect(&a.sa, a.len);
    assert_int_equal(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, TCP_SECONDS * 1000), 1);
    assert_int_equal(sock_backlog(fd), 7);
    assert_int_equal(sock_queued(fd), 1);
    assert_int_equal(sock_backlog(client), UINT32_MAX);
    assert_int_equal(bind(unix_fd, &(struct sockaddr){.sa_family = AF_UNIX}, sizeof(sa_family_t)),
                     0);
    assert_int_equal(listen(unix_fd, 7), 0);
    assert_int_equal(sock_backlog(unix_fd), UINT32_MAX);
    close(client);
    close(unix_fd);
    close(fd);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_parsed_and_formatted),
        cmocka_unit_test(an_ipv4_client_of_an_ipv6_socket),
        cmocka_unit_test(malformed_addresses_are_rejected),
        cmocka_unit_test(an_interface_is_part_of_an_address),
        cmocka_unit_test(listens_on_a_link),
        cmocka_unit_test(listens_on_a_chosen_port),
        cmocka_unit_test(two_listeners_share_a_port),
        cmocka_unit_test(listen_reports_errors),
        cmocka_unit_test(wildcard_listens_on_both_families),
        cmocka_unit_test(families_do_not_depend_on_the_system),
        cmocka_unit_test(each_family_can_have_its_own),
        cmocka_unit_test(accepted_sockets_inherit_keep_alive),
        cmocka_unit_test(the_queue_of_a_listener),
    };
    return cmocka_run_group_tests_name("sock", tests, NULL, NULL);
}
