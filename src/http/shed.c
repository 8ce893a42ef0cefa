#include "http/shed.h"

#include <sys/resource.h>

#define INTERVAL   (100 * NS_PER_MS) /* over which a queue must stand, at least */
#define SHORT_TURN (NS_PER_MS / 4)

enum {
    INTERVAL_SERVICES = 8, /* requests that an interval has time for besides */
    BEGIN_PART = 50,       /* it begins where a core slept for less than this part of one, */
    END_PART = 4,          /* and ends where it slept for more than this part */
};

/* ---- the interval ---- */

/* What a look at a random moment of the time that was held finds, on average. */
static void average_service(struct shed *s)
{
    if (s->held <= 0) return;
    uint64_t one = (uint64_t)(s->squares / s->held);
    s->service = s->service ? (3 * s->service + one) / 4 : one;
}

static void judge(struct shed *s, uint64_t now)
{
    uint64_t took = now - s->since;
    if (took < INTERVAL + INTERVAL_SERVICES * s->service) return;
    average_service(s);
    s->active = s->active ? s->slept < took / END_PART : s->late && s->slept < took / BEGIN_PART;
    s->since = now;
    s->slept = s->late = 0;
    s->held = s->squares = 0;
}

/* The request that was taken up last holds the core no more. */
static void measure(struct shed *s, uint64_t now)
{
    double held = (double)(now - s->at);
    if (!s->at) return;
    s->held += held;
    s->squares += held * held;
    s->at = 0;
}

/* ---- interface ---- */

/* Work in the kernel, such as sending, is not counted. */
static long thread_sleeps(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_THREAD, &usage) == 0 ? usage.ru_nvcsw : 0;
}

void shed_init(struct shed *s, uint64_t now)
{
    *s = (struct shed){.sleeps = thread_sleeps, .since = now, .ended = now, .slept_then = -1};
}

void shed_begin_turn(struct shed *s, uint64_t now)
{
    if (s->begun) return;
    bool slept = s->slept_then < 0 || s->sleeps() != s->slept_then;
    if (slept) s->slept += now - s->ended;
    s->came = slept ? now : s->looked;
    s->served = 0;
    s->at = 0;
    s->begun = true;
}

bool shed_request(struct shed *s, uint64_t now, bool exempt)
{
    measure(s, now);
    judge(s, now);
    bool late = now > s->came + shed_delay(s);
    s->late |= late;
    if (late && s->active && s->served && !exempt) return true;
    s->served++;
    s->at = now;
    return false;
}

void shed_end_turn(struct shed *s, uint64_t looked, uint64_t now)
{
    shed_begin_turn(s, looked);
    if (s->served == 1)
        measure(s, now); /* else the end of the last one is lost in that of others */
    judge(s, now);
    s->looked = looked;
    s->ended = now;
    s->slept_then = now - looked < SHORT_TURN ? -1 : s->sleeps();
    s->begun = false;
}
