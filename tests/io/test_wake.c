/* io_wake and io_post, the only calls that other threads and signal handlers may make. */

#include "engine_rig.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { POSTS = 20000, ROUNDS = 3000, SIGNALS = 200 };

static struct rig *rig;
static _Atomic unsigned posted;
static unsigned seen;

static void count_posts(struct io *io)
{
    (void)io;
    seen = atomic_load(&posted);
}

static void *post_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < POSTS; i++) {
        atomic_fetch_add(&posted, 1);
        io_wake(&rig->io);
    }
    return NULL;
}

static void start(void)
{
    rig = rig_open(NULL);
    rig->io.on_wake = count_posts;
    atomic_store(&posted, 0);
    seen = 0;
}

/* Every post is seen, although the engine waits for the last one without a deadline. */
static void no_wake_is_lost(void **state)
{
    (void)state;
    pthread_t t[2];
    start();
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&t[i], NULL, post_many, NULL), 0);
    TURN_UNTIL(rig, seen == 2 * POSTS);
    for (int i = 0; i < 2; i++) pthread_join(t[i], NULL);
    assert_true(rig->io.stats.turns <= 4 * POSTS);
    rig_close(rig);
}

static _Atomic unsigned answered;

static void answer(struct io *io)
{
    (void)io;
    seen = atomic_load(&posted);
    atomic_store(&answered, seen);
}

static void *post_and_wait(void *arg)
{
    (void)arg;
    for (unsigned i = 1; i <= ROUNDS; i++) {
        atomic_store(&posted, i);
        io_wake(&rig->io);
        while (atomic_load(&answered) < i) usleep(1);
    }
    return NULL;
}

static void wakes_in_sequence(void **state)
{
    (void)state;
    pthread_t t;
    start();
    atomic_store(&answered, 0);
    rig->io.on_wake = answer;
    assert_int_equal(pthread_create(&t, NULL, post_and_wait, NULL), 0);
    TURN_UNTIL(rig, seen == ROUNDS);
    pthread_join(t, NULL);
    rig_close(rig);
}

static void on_signal(int sig)
{
    (void)sig;
    atomic_fetch_add(&posted, 1);
    io_wake(&rig->io);
}

/* The thread sanitizer keeps a signal until the thread makes a call that it knows, which the wait
 * of a ring is not: where it came just before that, another one ends the wait. */
static void *send_signals(void *arg)
{
    enum { PATIENCE = 10000 };
    for (unsigned i = 1; i <= SIGNALS; i++)
        for (unsigned n = 0; atomic_load(&posted) < i; n++) {
            if (n % PATIENCE == 0) pthread_kill(*(pthread_t *)arg, SIGUSR1);
            usleep(1);
        }
    return NULL;
}

/* A signal also interrupts the wait, which must be harmless. */
static void wake_from_a_signal_handler(void **state)
{
    (void)state;
    pthread_t t, self = pthread_self();
    struct sigaction sa = {.sa_handler = on_signal}, old;
    struct endpoint e;
    start();
    endpoint_open(rig, &e);
    endpoint_recv(&e);
    assert_int_equal(sigaction(SIGUSR1, &sa, &old), 0);
    assert_int_equal(pthread_create(&t, NULL, send_signals, &self), 0);
    TURN_UNTIL(rig, seen >= SIGNALS);
    pthread_join(t, NULL);
    sigaction(SIGUSR1, &old, NULL);
    peer_send(e.peer, 0, 10000);
    TURN_UNTIL(rig, e.received == 10000);
    endpoint_close(&e);
    rig_close(rig);
}

/* Two engines on two threads, like two cores: each answers a wake by waking the other. */
struct player {
    struct io io;
    struct player *other;
    _Atomic unsigned count;
    bool ok;
};

static struct player players[2];
static pthread_barrier_t both;

static void hit(struct io *io)
{
    struct player *p = container_of(io, struct player, io);
    atomic_fetch_add(&p->count, 1);
    if (atomic_load(&p->count) <= ROUNDS) io_wake(&p->other->io);
}

static void *play(void *arg)
{
    struct player *p = arg;
    p->ok = io_open(&p->io, rig_engine, &rig_config) == 0;
    p->io.on_wake = hit;
    pthread_barrier_wait(&both);
    if (!players[0].ok || !players[1].ok) return NULL;
    if (p == &players[0]) io_wake(&p->other->io);
    while (atomic_load(&p->count) < ROUNDS) io_turn(&p->io);
    pthread_barrier_wait(&both);
    io_close(&p->io);
    return NULL;
}

static void two_engines(void **state)
{
    (void)state;
    pthread_t t[2];
    pthread_barrier_init(&both, NULL, 2);
    for (int i = 0; i < 2; i++) {
        players[i].other = &players[1 - i];
        atomic_store(&players[i].count, 0);
    }
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&t[i], NULL, play, &players[i]), 0);
    for (int i = 0; i < 2; i++) pthread_join(t[i], NULL);
    for (int i = 0; i < 2; i++) {
        assert_true(players[i].ok);
        assert_int_equal(atomic_load(&players[i].count), ROUNDS);
    }
    pthread_barrier_destroy(&both);
}

/* ---- posts ---- */

enum { POSTERS = 3, OWN_POSTS = 4000 };

struct counted {
    struct io_post post;
    unsigned *ran, by_order; /* of its poster */
    unsigned *newest;
};

static void count_one(struct io_post *p)
{
    struct counted *c = container_of(p, struct counted, post);
    assert_true(c->by_order == *c->newest + 1); /* in the order of its thread */
    *c->newest = c->by_order;
    ++*c->ran;
}

struct poster {
    struct counted of[OWN_POSTS];
    unsigned newest;
};

static void *post_own(void *arg)
{
    struct poster *p = arg;
    for (int i = 0; i < OWN_POSTS; i++)
        if (io_post(&rig->io, &p->of[i].post) != 0) return p;
    return NULL;
}

/* Each runs once, on the core, in the order of its thread, and no turn runs too many. */
static void every_post_runs_once(void **state)
{
    (void)state;
    pthread_t t[POSTERS];
    struct poster *p = calloc(POSTERS, sizeof *p);
    unsigned ran = 0, before = 0;
    assert_non_null(p);
    start();
    for (unsigned i = 0; i < POSTERS * OWN_POSTS; i++) {
        struct poster *own = &p[i / OWN_POSTS];
        own->of[i % OWN_POSTS] =
            (struct counted){{.fn = count_one}, &ran, i % OWN_POSTS + 1, &own->newest};
    }
    for (int i = 0; i < POSTERS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, post_own, &p[i]), 0);
    rig_guard(rig);
    while (ran < POSTERS * OWN_POSTS) {
        rig_turn(rig, "every post runs", __FILE__, __LINE__);
        assert_true(ran - before <= 64);
        before = ran;
    }
    rig_unguard(rig);
    for (int i = 0; i < POSTERS; i++) {
        void *failed;
        pthread_join(t[i], &failed);
        assert_null(failed);
    }
    assert_true(io_close_inbox(&rig->io));
    assert_int_equal(ran, POSTERS * OWN_POSTS);
    rig_close(rig);
    free(p);
}

struct event {
    struct io_post post;
    _Atomic unsigned signalled;
    unsigned ran, seen;
};

static void see(struct io_post *p)
{
    struct event *e = container_of(p, struct event, post);
    e->ran++;
    e->seen = atomic_load_explicit(&e->signalled, memory_order_relaxed);
}

static void *signal_often(void *arg)
{
    struct event *e = arg;
    for (int i = 0; i < POSTS; i++) {
        atomic_fetch_add_explicit(&e->signalled, 1, memory_order_relaxed);
        io_post(&rig->io, &e->post);
    }
    return NULL;
}

/* One post that several threads post again and again: runs are merged, the last value is seen. */
static void posts_are_merged(void **state)
{
    (void)state;
    pthread_t t[POSTERS];
    struct event e = {.post = {.fn = see}};
    start();
    for (int i = 0; i < POSTERS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, signal_often, &e), 0);
    TURN_UNTIL(rig, e.seen == POSTERS * POSTS);
    for (int i = 0; i < POSTERS; i++) pthread_join(t[i], NULL);
    assert_true(e.ran >= 1 && e.ran <= POSTERS * POSTS);
    while (!io_close_inbox(&rig->io)) io_turn(&rig->io);
    rig_close(rig);
}

/* A closed inbox takes nothing, and says so; what was posted before still runs. */
static void a_closed_inbox_refuses(void **state)
{
    (void)state;
    struct event e = {.post = {.fn = see}};
    start();
    assert_int_equal(io_post(&rig->io, &e.post), 0);
    assert_false(io_close_inbox(&rig->io));
    TURN_UNTIL(rig, e.ran == 1);
    assert_true(io_close_inbox(&rig->io));
    assert_true(io_close_inbox(&rig->io));
    assert_int_equal(io_post(&rig->io, &e.post), -ESHUTDOWN);
    assert_false(atomic_load(&e.post.queued));
    rig_close(rig);
}

struct again {
    struct io_post post;
    int result; /* of the last post */
    unsigned ran;
};

static void post_again(struct io_post *p)
{
    struct again *a = container_of(p, struct again, post);
    a->ran++;
    a->result = io_post(&rig->io, p);
}

/* What posts itself again and again would otherwise keep the core from ending. */
static void an_inbox_closes_while_something_posts_itself(void **state)
{
    (void)state;
    struct again a = {.post = {.fn = post_again}};
    start();
    assert_int_equal(io_post(&rig->io, &a.post), 0);
    TURN_UNTIL(rig, a.ran > 3);
    assert_int_equal(a.result, 0);
    unsigned before = a.ran;
    assert_false(io_close_inbox(&rig->io));
    TURN_UNTIL(rig, io_close_inbox(&rig->io));
    assert_int_equal(a.ran, before + 1);
    assert_int_equal(a.result, -ESHUTDOWN);
    rig_close(rig);
}

/* A caller's eventfd is used, and stays open. */
static void uses_the_callers_eventfd(void **state)
{
    (void)state;
    struct io_config config = rig_config;
    uint64_t one = 1;
    config.wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    assert_true(config.wake_fd >= 0);
    /* A wake from before io_open counts. */
    assert_int_equal(write(config.wake_fd, &one, sizeof one), sizeof one);
    rig = rig_open(&config);
    TURN_UNTIL(rig, rig->wakes == 1);
    assert_int_equal(write(config.wake_fd, &one, sizeof one), sizeof one);
    TURN_UNTIL(rig, rig->wakes == 2);
    rig_close(rig);
    assert_int_equal(write(config.wake_fd, &one, sizeof one), sizeof one);
    close(config.wake_fd);
}

int main(int argc, char **argv)
{
    rig_choose(argc, argv);
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_wake_is_lost),
        cmocka_unit_test(wakes_in_sequence),
        cmocka_unit_test(wake_from_a_signal_handler),
        cmocka_unit_test(two_engines),
        cmocka_unit_test(every_post_runs_once),
        cmocka_unit_test(posts_are_merged),
        cmocka_unit_test(a_closed_inbox_refuses),
        cmocka_unit_test(an_inbox_closes_while_something_posts_itself),
        cmocka_unit_test(uses_the_callers_eventfd),
    };
    return cmocka_run_group_tests_name("wake", tests, NULL, NULL);
}
