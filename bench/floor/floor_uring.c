/*
 * The io_uring control: one thread, one ring, multishot accept into direct descriptors, multishot
 * recv from one provided-buffer ring, one send per connection and turn, one io_uring_enter per
 * turn.
 *
 * Tried without a difference that interleaved runs could show: 64 to 1,024 buffers, their stride,
 * queues of 128 to 8,192 entries, the ring in huge pages of ours, completions for sends that
 * succeed, sends without MSG_WAITALL. To wait up to 20 µs for as many completions as the turn
 * before had takes 7 % less CPU at 256 connections, but 25 % more latency in the 99th percentile,
 * and 40 % of the throughput of 8 connections: that is a policy, not a
 * floor. */
#include "floor.h"

#include <errno.h>
#include <liburing.h>
#include <sys/mman.h>

enum {
    SQ_ENTRIES = 256,
    CQ_ENTRIES = 4096,
    CONNECTIONS_MAX = 65536,               /* no address has more ports for its clients */
    BUFFERS = 128,                         /* a power of two, as the buffer ring asks */
    BUFFER_STRIDE = FLOOR_RECV_BYTES + 64, /* odd lines: no two share all their cache sets */
    BUFFER_GROUP = 0,
};

/* user_data: what completed, above the connection's slot in the direct table. Sends report only
 * when they fail. */
enum { ACCEPT = 1, RECV = 2, SEND = 3, CLOSE = 4 };
static uint64_t tag(unsigned what, unsigned slot)
{
    return (uint64_t)what << 32 | slot;
}

struct floor {
    struct io_uring ring;
    struct io_uring_buf_ring *buffers;
    char *memory;
    unsigned returned; /* buffers put back in this turn, published at its end */
    int listener;
    const char *answers;
    unsigned slots;           /* of the direct table */
    uint8_t *matched;         /* by slot; see floor_count */
    unsigned *pending;        /* by slot: answers owed at the end of this turn */
    unsigned *owing, n_owing; /* the slots with pending > 0 */
    unsigned *ended, n_ended; /* the slots that are closed at the end of this turn */
};

static struct io_uring_sqe *sqe_get(struct floor *floor)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&floor->ring);
    if (sqe == NULL) {
        io_uring_submit(&floor->ring);
        sqe = io_uring_get_sqe(&floor->ring);
    }
    return sqe;
}

static void arm_accept(struct floor *floor)
{
    struct io_uring_sqe *sqe = sqe_get(floor);
    io_uring_prep_multishot_accept_direct(sqe, floor->listener, NULL, NULL, 0);
    io_uring_sqe_set_data64(sqe, tag(ACCEPT, 0));
}

static void arm_recv(struct floor *floor, unsigned slot)
{
    struct io_uring_sqe *sqe = sqe_get(floor);
    io_uring_prep_recv_multishot(sqe, (int)slot, NULL, 0, 0);
    sqe->flags |= IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
    sqe->buf_group = BUFFER_GROUP;
    io_uring_sqe_set_data64(sqe, tag(RECV, slot));
}

static void send_answers(struct floor *floor, unsigned slot)
{
    while (floor->pending[slot] > 0) {
        unsigned owed = floor->pending[slot];
        unsigned now = owed < FLOOR_ANSWERS_MAX ? owed : FLOOR_ANSWERS_MAX;
        struct io_uring_sqe *sqe = sqe_get(floor);
        io_uring_prep_send(sqe, (int)slot, floor->answers, (size_t)now * FLOOR_ANSWER_BYTES,
                           MSG_NOSIGNAL | MSG_WAITALL);
        sqe->flags |= IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS;
        io_uring_sqe_set_data64(sqe, tag(SEND, slot));
        floor->pending[slot] = owed - now;
    }
}

static void close_slot(struct floor *floor, unsigned slot)
{
    struct io_uring_sqe *sqe = sqe_get(floor);
    io_uring_prep_close_direct(sqe, slot);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(sqe, tag(CLOSE, slot));
}

static char *buffer_at(struct floor *floor, unsigned id)
{
    return floor->memory + (size_t)id * BUFFER_STRIDE;
}

static void buffer_return(struct floor *floor, unsigned id)
{
    io_uring_buf_ring_add(floor->buffers, buffer_at(floor, id), FLOOR_RECV_BYTES,
                          (unsigned short)id, BUFFERS - 1, (int)floor->returned++);
}

static void received(struct floor *floor, const struct io_uring_cqe *cqe, unsigned slot)
{
    if (cqe->res > 0) {
        unsigned id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
        unsigned ends = floor_count(&floor->matched[slot], buffer_at(floor, id), (size_t)cqe->res);
        buffer_return(floor, id);
        if (ends > 0 && floor->pending[slot] == 0) floor->owing[floor->n_owing++] = slot;
        floor->pending[slot] += ends;
    }
    if (cqe->flags & IORING_CQE_F_MORE) return;
    if (cqe->res > 0 || cqe->res == -ENOBUFS)
        arm_recv(floor, slot);
    else
        floor->ended[floor->n_ended++] = slot; /* after its last answers */
}

static void completed(struct floor *floor, const struct io_uring_cqe *cqe)
{
    unsigned slot = (unsigned)cqe->user_data;
    switch (cqe->user_data >> 32) {
    case RECV: received(floor, cqe, slot); break;
    case ACCEPT:
        if (cqe->res >= 0) {
            floor->matched[cqe->res] = 0;
            arm_recv(floor, (unsigned)cqe->res);
        }
        if (!(cqe->flags & IORING_CQE_F_MORE)) arm_accept(floor);
        break;
    default: /* a failed send: the connection's recv ends by itself and closes it */ break;
    }
}

static int init_ring(struct floor *floor, unsigned more)
{
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL |
                 IORING_SETUP_CQSIZE | more,
        .cq_entries = CQ_ENTRIES,
    };
    return io_uring_queue_init_params(SQ_ENTRIES, &floor->ring, &params);
}

static void setup(struct floor *floor)
{
    int result = init_ring(floor, IORING_SETUP_NO_SQARRAY);
    if (result == -EINVAL) result = init_ring(floor, 0); /* before Linux 6.6 */
    errno = -result;
    floor_check(-errno, "io_uring_queue_init_params");
    errno = io_uring_register_ring_fd(&floor->ring) == 1 ? 0 : EINVAL;
    floor_check(-errno, "io_uring_register_ring_fd");
    errno = -io_uring_register_files_sparse(&floor->ring, floor->slots);
    floor_check(-errno, "io_uring_register_files_sparse");

    size_t huge = 2u << 20;
    floor->memory =
        mmap(NULL, 2 * huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    floor_check(floor->memory == MAP_FAILED ? -1 : 0, "mmap");
    floor->memory += -(uintptr_t)floor->memory & (huge - 1);
    madvise(floor->memory, huge, MADV_HUGEPAGE);
    memset(floor->memory, 0, (size_t)BUFFERS * BUFFER_STRIDE);

    int error = 0;
    floor->buffers = io_uring_setup_buf_ring(&floor->ring, BUFFERS, BUFFER_GROUP, 0, &error);
    errno = -error;
    floor_check(floor->buffers ? 0 : -1, "io_uring_setup_buf_ring");
    for (unsigned id = 0; id < BUFFERS; id++) buffer_return(floor, id);
}

int main(int argc, char **argv)
{
    struct floor_options options = floor_parse(argc, argv);
    static struct floor floor;
    floor.answers = floor_answers();
    floor.listener = floor_start(&options, 0);
    /* The kernel takes no table larger than the descriptor limit. */
    long limit = sysconf(_SC_OPEN_MAX);
    floor.slots = limit < CONNECTIONS_MAX ? (unsigned)limit : CONNECTIONS_MAX;
    floor.matched = calloc(floor.slots, sizeof *floor.matched);
    floor.pending = calloc(floor.slots, sizeof *floor.pending);
    floor.owing = calloc(floor.slots, sizeof *floor.owing);
    floor.ended = calloc(floor.slots, sizeof *floor.ended);
    bool all = floor.matched && floor.pending && floor.owing && floor.ended;
    floor_check(all ? 0 : -1, "calloc");
    setup(&floor);
    arm_accept(&floor);
    floor_ready(&options, "io_uring");

    for (;;) {
        io_uring_buf_ring_advance(floor.buffers, (int)floor.returned);
        floor.returned = 0;
        int result = io_uring_submit_and_wait(&floor.ring, 1);
        floor_check(result == -EINTR || result == -EBUSY ? 0 : result, "io_uring_submit_and_wait");

        struct io_uring_cqe *cqe;
        unsigned head, seen = 0;
        io_uring_for_each_cqe(&floor.ring, head, cqe)
        {
            completed(&floor, cqe);
            seen++;
        }
        io_uring_cq_advance(&floor.ring, seen);
        for (unsigned i = 0; i < floor.n_owing; i++) send_answers(&floor, floor.owing[i]);
        floor.n_owing = 0;
        for (unsigned i = 0; i < floor.n_ended; i++) close_slot(&floor, floor.ended[i]);
        floor.n_ended = 0;
    }
}
