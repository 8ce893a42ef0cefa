#include "task/offload.h"

#include "base/child.h"
#include "base/clock.h"
#include "base/cond.h"
#include "base/cpus.h"
#include "base/limit.h"
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct offload {
    pthread_mutex_t mutex;   /* guards all but what the threads begin with and the limits */
    pthread_cond_t work;     /* something is queued, or the pool stops */
    pthread_cond_t left;     /* a thread has left; of the monotonic clock */
    struct list queue;       /* jobs, oldest first */
    struct cpus_mask cpus;   /* that the threads may use */
    sigset_t signals;        /* that they block */
    uint32_t max, queue_max; /* threads, jobs that wait */
    void (*begin)(void), (*end)(void); /* of each thread; or NULL */
    uint32_t created;                  /* threads to join */
    uint32_t idle;                     /* threads that wait for `work` */
    bool stopping;
    bool fixed;            /* what there are is all there will be */
    bool told;             /* that a thread could not be started */
    const char *name, *of; /* of its threads: see offload_set_name */
    struct offload_stats stats;
    pthread_t thread[];
};

static _Thread_local const struct torc_job *running;

/* ---- threads ---- */

static void note_begin(struct offload *p, struct torc_job *j, uint64_t now)
{
    struct offload_stats *s = &p->stats;
    uint64_t waited = now - j->since;
    s->queued--;
    s->busy++;
    s->waited_ns += waited;
    if (waited > s->waited_max_ns) s->waited_max_ns = waited;
    j->state = OFFLOAD_RUNNING;
}

/* With the mutex, which is free while the job runs. The post is made under it: whoever finds the
 * job ended can rely on the post. */
static void run(struct offload *p, struct torc_job *j)
{
    uint64_t begun = clock_ns();
    note_begin(p, j, begun);
    pthread_mutex_unlock(&p->mutex);
    running = j;
    int result = j->fn(j, j->arg);
    child_check();
    running = NULL;
    pthread_mutex_lock(&p->mutex);
    p->stats.jobs++;
    p->stats.ran_ns += clock_ns() - begun;
    j->result = result;
    j->state = OFFLOAD_ENDED;
    if (j->left) {
        pthread_mutex_unlock(&p->mutex);
        j->orphaned(j);
        pthread_mutex_lock(&p->mutex);
    } else {
        io_post(j->io, &j->post); /* refused only where the core has ended or failed */
    }
    p->stats.busy--;
}

static void *serve(void *arg)
{
    struct offload *p = arg;
    pthread_setname_np(pthread_self(), p->name);
    cpus_mask_apply(&p->cpus);
    if (p->begin) p->begin();
    pthread_mutex_lock(&p->mutex);
    while (!p->stopping) {
        struct list *l = list_pop(&p->queue);
        if (l) {
            run(p, container_of(l, struct torc_job, link));
            continue;
        }
        p->idle++;
        pthread_cond_wait(&p->work, &p->mutex);
        p->idle--;
    }
    pthread_mutex_unlock(&p->mutex);
    if (p->end) p->end();
    pthread_mutex_lock(&p->mutex);
    p->stats.threads--;
    pthread_cond_signal(&p->left);
    pthread_mutex_unlock(&p->mutex);
    return NULL;
}

/* Not with a mask of its own: a program that a job executes would block the signals, too. 0 or an
 * errno. */
static int create_thread(struct offload *p)
{
    sigset_t before;
    pthread_sigmask(SIG_SETMASK, &p->signals, &before);
    int err = pthread_create(&p->thread[p->created], NULL, serve, p);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return err;
}

/* With the mutex. What the system refuses now, the next job asks for again. */
static void add_thread(struct offload *p)
{
    int err = create_thread(p);
    if (err == 0) {
        p->created++;
        p->stats.threads++;
    } else if (!p->told) {
        p->told = true;
        log_line("cannot start thread %u of %s %u: %s%s", p->created + 1, p->of, p->max,
                 strerror(err), limit_of_thread(err));
    }
}

/* ---- jobs ---- */

static void on_post(struct io_post *post)
{
    struct torc_job *j = container_of(post, struct torc_job, post);
    j->done(j);
}

static void push(struct offload *p, struct torc_job *j)
{
    struct offload_stats *s = &p->stats;
    j->since = clock_ns();
    j->state = OFFLOAD_QUEUED;
    list_push(&p->queue, &j->link);
    if (++s->queued > s->queued_peak) s->queued_peak = s->queued;
}

int offload_start(struct offload *p, struct torc_job *j, struct io *io)
{
    if (!p || p->max == 0) return -ENOSYS;
    j->pool = p;
    j->io = io;
    j->post = (struct io_post){.fn = on_post};
    j->cancelled = j->left = false;
    list_init(&j->link);
    pthread_mutex_lock(&p->mutex);
    if (p->stats.queued >= p->idle && p->created < p->max && !p->fixed) add_thread(p);
    bool refused = p->stopping || p->created == 0 || p->stats.queued >= p->queue_max;
    if (refused)
        p->stats.rejected++;
    else
        push(p, j);
    pthread_mutex_unlock(&p->mutex);
    if (refused) return -EAGAIN;
    pthread_cond_signal(&p->work);
    return 0;
}

/* With the mutex; as offload_cancel. */
static bool cancel(struct offload *p, struct torc_job *j)
{
    bool queued = j->state == OFFLOAD_QUEUED;
    if (j->state != OFFLOAD_ENDED && !j->cancelled) p->stats.cancelled++;
    j->cancelled = true;
    if (!queued) return false;
    list_unlink(&j->link);
    p->stats.queued--;
    j->state = OFFLOAD_ENDED;
    return true;
}

bool offload_cancel(struct torc_job *j)
{
    struct offload *p = j->pool;
    pthread_mutex_lock(&p->mutex);
    bool never = cancel(p, j);
    pthread_mutex_unlock(&p->mutex);
    return never;
}

bool offload_leave(struct torc_job *j)
{
    struct offload *p = j->pool;
    pthread_mutex_lock(&p->mutex);
    bool never = cancel(p, j);
    ASSERT(!never);
    bool left = j->left = j->state == OFFLOAD_RUNNING;
    pthread_mutex_unlock(&p->mutex);
    return left;
}

/* ---- the pool ---- */

struct offload *offload_new(uint32_t threads, uint32_t queue)
{
    struct offload *p = calloc(1, sizeof *p + threads * sizeof p->thread[0]);
    if (!p) return NULL;
    pthread_mutex_init(&p->mutex, NULL);
    pthread_cond_init(&p->work, NULL);
    cond_init_monotonic(&p->left);
    list_init(&p->queue);
    cpus_mask_get(&p->cpus);
    pthread_sigmask(SIG_BLOCK, NULL, &p->signals);
    p->name = "torc-work";
    p->of = "--work-threads";
    p->max = threads;
    p->queue_max = queue;
    return p;
}

void offload_set_name(struct offload *p, const char *name, const char *of)
{
    p->name = name;
    p->of = of;
}

void offload_set_hooks(struct offload *p, void (*begin)(void), void (*end)(void))
{
    p->begin = begin;
    p->end = end;
}

const struct torc_job *offload_running(void)
{
    return running;
}

void offload_describe(const struct torc_job *j, char out[OFFLOAD_NAME])
{
    static const char unknown[] = "a job";
    if (j->describe)
        j->describe(j, out);
    else
        memcpy(out, unknown, sizeof unknown);
}

uint32_t offload_start_all(struct offload *p)
{
    pthread_mutex_lock(&p->mutex);
    for (uint32_t i = 0; i < p->max; i++) add_thread(p);
    p->fixed = true;
    uint32_t n = p->created;
    pthread_mutex_unlock(&p->mutex);
    return n;
}

void offload_read_stats(struct offload *p, struct offload_stats *out)
{
    pthread_mutex_lock(&p->mutex);
    *out = p->stats;
    pthread_mutex_unlock(&p->mutex);
}

bool offload_stop(struct offload *p, uint64_t deadline)
{
    struct timespec until = {(time_t)(deadline / NS_PER_S), (long)(deadline % NS_PER_S)};
    pthread_mutex_lock(&p->mutex);
    p->stopping = true;
    pthread_cond_broadcast(&p->work);
    while (p->stats.threads > 0) {
        if (p->stats.busy == 0) /* those that are idle leave by themselves */
            pthread_cond_wait(&p->left, &p->mutex);
        else if (pthread_cond_timedwait(&p->left, &p->mutex, &until) == ETIMEDOUT)
            break;
    }
    bool stopped = p->stats.threads == 0;
    pthread_mutex_unlock(&p->mutex);
    for (; stopped && p->created > 0; p->created--) pthread_join(p->thread[p->created - 1], NULL);
    return stopped;
}

void offload_detach(struct offload *p)
{
    for (; p->created > 0; p->created--) pthread_detach(p->thread[p->created - 1]);
}

void offload_free(struct offload *p)
{
    if (!p) return;
    ASSERT(p->created == 0);
    pthread_mutex_destroy(&p->mutex);
    pthread_cond_destroy(&p->work);
    pthread_cond_destroy(&p->left);
    free(p);
}
