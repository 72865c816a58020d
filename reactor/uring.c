/* SPDX-License-Identifier: MIT
 *
 * uring.c - the kernel through io_uring, used for readiness: one multishot poll per descriptor.
 *
 *     to_submit --wait--> armed --completion--> to_report --wait--> conn or watch
 *
 * A poll's user data points at a slot, which lives until the kernel has said its last word on it: a
 * completion without F_MORE. A ring may be made on one thread and used on another, so nothing but
 * open touches it before the first wait. Polls hold the file: a descriptor that is closed under one
 * would say nothing to its peer.
 */
#include "reactor/backend.h"
#include "reactor/net.h"
#include "reactor/socket.h"

#include <liburing.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SUBMISSIONS 1024
#define COMPLETIONS (16 * SUBMISSIONS)
#define RELEASE_TRIES_MAX 64
#define PROBE_S 2
/* One call works off some twenty events, however many there are (since Linux 6.13): after that
 * many, ask again. */
#define PASS_FULL 16
#define PASSES_MAX 64

_Static_assert(COMPLETIONS >= 4 * SUBMISSIONS, "what one call submits completes without overflow");

struct slot {
    struct list all_link;
    struct list submit_link; /* on to_submit: its poll is to be armed or, detached, cancelled */
    struct list report_link; /* on to_report: ready holds what its owner has not heard */
    void *object;            /* conn or watch, told apart by its magic; NULL: detached */
    int fd;
    unsigned ready; /* READY_* */
    bool armed;     /* one completion without F_MORE is still to come */
    bool held;      /* detach is on the stack and will free it */
};

struct uring_backend {
    struct io_uring ring;
    bool begun;       /* the first wait has been: thread is known, and the ring enabled */
    pthread_t thread; /* the only one that may submit */
    struct list slots, to_submit, to_report;
};

/* The best first; each older kernel refuses those it does not know with EINVAL. */
static const unsigned ring_flags[] = {
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_R_DISABLED |
        IORING_SETUP_SUBMIT_ALL,                         /* 6.1 */
    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL, /* 5.19 */
    0,
};

/* ring_open - 0 or -errno. */
static int
ring_open(struct io_uring *ring)
{
    int error = -EINVAL;
    for (size_t i = 0; i < countof(ring_flags) && error == -EINVAL; i++) {
        struct io_uring_params params = {
            .flags = ring_flags[i] | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
            .cq_entries = COMPLETIONS,
        };
        error = io_uring_queue_init_params(SUBMISSIONS, ring, &params);
    }
    return error;
}

/* ring_begin - on the thread that will use the ring: what is submitted later is submitted here. 0
 * or -errno. (liburing 2.3 forgot to export io_uring_enable_rings from its shared library.) */
static int
ring_begin(struct io_uring *ring)
{
    if (!(ring->flags & IORING_SETUP_R_DISABLED))
        return 0;
    return io_uring_register((unsigned)ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

static int
uring_open(struct loop *loop, void *config)
{
    (void)config;
    struct uring_backend *backend = calloc(1, sizeof(*backend));
    if (!backend)
        return -ERR_MEMORY;
    int error = ring_open(&backend->ring);
    if (error) {
        free(backend);
        return net_error(-error, ERR_SYSTEM);
    }
    list_init(&backend->slots);
    list_init(&backend->to_submit);
    list_init(&backend->to_report);
    loop->backend = backend;
    return 0;
}

static void
slot_free(struct slot *slot)
{
    list_remove(&slot->all_link);
    list_remove(&slot->submit_link);
    list_remove(&slot->report_link);
    free(slot);
}

static void
uring_close(struct loop *loop)
{
    struct uring_backend *backend = loop->backend;
    io_uring_queue_exit(&backend->ring); /* polls that were not cancelled end with it */
    while (!list_empty(&backend->slots))
        slot_free(list_entry(backend->slots.next, struct slot, all_link));
    free(backend);
    loop->backend = NULL;
}

/* -- what the kernel has said -- */

static unsigned
ready_bits(int events)
{
    return (events & POLLIN ? READY_IN : 0u) | (events & POLLOUT ? READY_OUT : 0u) |
           (events & POLLRDHUP ? READY_PEER_FIN : 0u) | (events & POLLERR ? READY_ERROR : 0u) |
           (events & POLLHUP ? READY_HANGUP : 0u);
}

/* worth_arming - may a poll that ended by itself be armed again? It then reports anew what is so:
 * no edge is lost in between. A descriptor that cannot be watched is as good as broken. */
static bool
worth_arming(int result)
{
    return result >= 0 || result == -ECANCELED || result == -ENOMEM || result == -EAGAIN ||
           result == -EINTR;
}

static void
take_completion(struct uring_backend *backend, const struct io_uring_cqe *completion)
{
    struct slot *slot = io_uring_cqe_get_data(completion);
    if (!slot)
        return; /* a cancellation's own; the poll itself says how it ended */
    assert(slot->armed);
    slot->armed = completion->flags & IORING_CQE_F_MORE;
    if (!slot->object) {
        if (!slot->armed && !slot->held)
            slot_free(slot);
        return;
    }
    if (completion->res > 0)
        slot->ready |= ready_bits(completion->res);
    if (!slot->armed && worth_arming(completion->res))
        list_push_back(&backend->to_submit, &slot->submit_link);
    else if (!slot->armed)
        slot->ready |= READY_ERROR | READY_HANGUP;
    if (slot->ready && !list_linked(&slot->report_link))
        list_push_back(&backend->to_report, &slot->report_link);
}

/* take_completions - empty the completion queue into the slots; their owners hear of it in wait.
 * How many. */
static unsigned
take_completions(struct uring_backend *backend)
{
    struct io_uring_cqe *completion;
    unsigned head, count = 0;
    io_uring_for_each_cqe(&backend->ring, head, completion)
    {
        take_completion(backend, completion);
        count++;
    }
    io_uring_cq_advance(&backend->ring, count);
    return count;
}

/* -- attach and detach -- */

/* slot_new - 0 or -ERR. The poll itself is armed by the next wait. */
static int
slot_new(struct loop *loop, int fd, void *object, void **out)
{
    struct uring_backend *backend = loop->backend;
    if (fcntl(fd, F_GETFD) < 0)
        return net_error(errno, ERR_SYSTEM);
    struct slot *slot = calloc(1, sizeof(*slot));
    if (!slot)
        return -ERR_MEMORY;
    slot->object = object;
    slot->fd = fd;
    list_init(&slot->all_link);
    list_init(&slot->submit_link);
    list_init(&slot->report_link);
    list_push_back(&backend->slots, &slot->all_link);
    list_push_back(&backend->to_submit, &slot->submit_link);
    *out = slot;
    return 0;
}

/* submission - room for one more; NULL: not even after submitting. */
static struct io_uring_sqe *
submission(struct uring_backend *backend)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(&backend->ring);
    if (entry || io_uring_submit(&backend->ring) < 0)
        return entry;
    return io_uring_get_sqe(&backend->ring);
}

/* prepare - an entry for every slot that wants one; those that find no room stay listed. */
static void
prepare(struct uring_backend *backend)
{
    while (!list_empty(&backend->to_submit)) {
        struct slot *slot = list_entry(backend->to_submit.next, struct slot, submit_link);
        struct io_uring_sqe *entry = submission(backend);
        if (!entry)
            return;
        assert(slot->armed == !slot->object);
        list_remove(&slot->submit_link);
        if (slot->object) {
            io_uring_prep_poll_multishot(entry, slot->fd,
                                         POLLIN | POLLOUT | POLLRDHUP | POLLERR | POLLHUP);
            io_uring_sqe_set_data(entry, slot);
            slot->armed = true;
        } else {
            io_uring_prep_cancel(entry, slot, 0);
            io_uring_sqe_set_data(entry, NULL);
        }
    }
}

/*
 * release - cancel a slot's poll, and see the kernel let go of the file, so that closing the
 * descriptor closes the socket. The cancellation's work may queue behind other work of the ring,
 * hence the tries. On a thread that may not submit there is nothing to do: the loop's own has
 * ended, and its polls with it.
 */
static void
release(struct uring_backend *backend, struct slot *slot)
{
    assert(backend->begun);
    if (!pthread_equal(backend->thread, pthread_self()))
        return;
    list_push_back(&backend->to_submit, &slot->submit_link);
    slot->held = true;
    prepare(backend);
    for (int tries = 0; slot->armed && tries < RELEASE_TRIES_MAX; tries++) {
        io_uring_submit_and_get_events(&backend->ring);
        take_completions(backend);
    }
    slot->held = false;
}

static void
slot_drop(struct loop *loop, struct slot *slot)
{
    struct uring_backend *backend = loop->backend;
    assert(slot->object);
    slot->object = NULL;
    list_remove(&slot->submit_link);
    list_remove(&slot->report_link);
    if (slot->armed)
        release(backend, slot);
    if (!slot->armed)
        slot_free(slot);
}

static int
uring_attach(struct conn *conn)
{
    return slot_new(conn->loop, conn->fd, conn, &conn->slot);
}

static void
uring_detach(struct conn *conn)
{
    slot_drop(conn->loop, conn->slot);
    conn->slot = NULL;
}

static int
uring_watch(struct loop *loop, struct watch *watch)
{
    return slot_new(loop, watch->fd, watch, &watch->slot);
}

static void
uring_unwatch(struct loop *loop, struct watch *watch)
{
    slot_drop(loop, watch->slot);
    watch->slot = NULL;
}

/* -- wait -- */

static void
begin(struct uring_backend *backend)
{
    int error = ring_begin(&backend->ring);
    assert(error == 0); /* it was tried by uring_probe */
    backend->begun = true;
    backend->thread = pthread_self();
    if (io_uring_register_ring_fd(&backend->ring) < 0)
        return; /* it only saves a look-up per call */
}

/* submit_and_sleep - until something completes, at most timeout_ms. */
static void
submit_and_sleep(struct uring_backend *backend, uint64_t timeout_ms)
{
    struct io_uring_cqe *first;
    struct __kernel_timespec timeout = {.tv_sec = (long long)(timeout_ms / 1000),
                                        .tv_nsec = (long long)(timeout_ms % 1000 * 1000000)};
    int result;
    if (timeout_ms == 0)
        result = io_uring_submit_and_get_events(&backend->ring);
    else
        result = io_uring_submit_and_wait_timeout(&backend->ring, &first, 1,
                                                  timeout_ms == UINT64_MAX ? NULL : &timeout, NULL);
    assert(result != -EEXIST); /* another thread's ring */
    assert(result != -EINVAL);
    assert(result != -EBADF);
}

static void
report(void *object, unsigned ready)
{
    if (*(const uint32_t *)object == MAGIC_WATCH)
        ready_watch(object, ready);
    else
        ready_conn(object, ready);
}

static void
uring_wait(struct loop *loop, uint64_t timeout_ms)
{
    struct uring_backend *backend = loop->backend;
    struct list *link;
    if (!backend->begun)
        begin(backend);
    prepare(backend);
    if (!list_empty(&backend->to_report) || !list_empty(&backend->to_submit))
        timeout_ms = 0;
    submit_and_sleep(backend, timeout_ms);
    loop_read_clock(loop);
    unsigned taken = take_completions(backend);
    for (int passes = 1; taken >= PASS_FULL && passes < PASSES_MAX; passes++) {
        submit_and_sleep(backend, 0);
        taken = take_completions(backend);
    }
    loop_heard(loop, taken >= PASS_FULL);
    while ((link = list_pop(&backend->to_report))) {
        struct slot *slot = list_entry(link, struct slot, report_link);
        unsigned ready = slot->ready;
        assert(slot->object);
        slot->ready = 0;
        loop_count(&loop->stats.events, 1);
        report(slot->object, ready);
    }
}

/* -- is it there, and does it do what we need? -- */

/* probe_step - submit what is prepared and take one completion of the poll. 0 or -errno. */
static int
probe_step(struct io_uring *ring, int *result, bool *more)
{
    struct __kernel_timespec patience = {.tv_sec = PROBE_S};
    struct io_uring_cqe *completion;
    for (;;) {
        int error = io_uring_submit_and_wait_timeout(ring, &completion, 1, &patience, NULL);
        if (error < 0)
            return error;
        bool polled = io_uring_cqe_get_data(completion);
        *result = completion->res;
        *more = completion->flags & IORING_CQE_F_MORE;
        io_uring_cqe_seen(ring, completion);
        if (polled)
            return 0;
    }
}

/* probe_poll - a multishot poll must report an eventfd, go on, and end when it is cancelled. 0 or
 * -errno. */
static int
probe_poll(struct io_uring *ring, int fd)
{
    int result;
    bool more;
    int error = ring_begin(ring);
    if (error)
        return error;
    struct io_uring_sqe *entry = io_uring_get_sqe(ring);
    io_uring_prep_poll_multishot(entry, fd, POLLIN);
    io_uring_sqe_set_data(entry, ring);
    error = probe_step(ring, &result, &more);
    if (error)
        return error;
    if (result < 0)
        return result;
    if (!more || !(result & POLLIN))
        return -ENOTSUP;
    entry = io_uring_get_sqe(ring);
    io_uring_prep_cancel(entry, ring, 0);
    io_uring_sqe_set_data(entry, NULL);
    error = probe_step(ring, &result, &more);
    if (error)
        return error;
    return more ? -ENOTSUP : 0;
}

int
uring_probe(char problem[BACKEND_PROBLEM_BYTES])
{
    struct io_uring ring;
    int error = ring_open(&ring);
    if (!error) {
        int fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
        error = fd < 0 ? -errno : probe_poll(&ring, fd);
        io_uring_queue_exit(&ring);
        if (fd >= 0)
            close(fd);
    }
    if (!error)
        return 0;
    snprintf(problem, BACKEND_PROBLEM_BYTES, "%s", strerror(-error));
    return net_error(-error, ERR_SYSTEM);
}

const struct backend_ops uring_ops = {
    .name = "io_uring",
    .open = uring_open,
    .close = uring_close,
    .clock = socket_clock,
    .wait = uring_wait,
    .attach = uring_attach,
    .detach = uring_detach,
    .watch = uring_watch,
    .unwatch = uring_unwatch,
    .move = ready_move,
    .in_flight = ready_in_flight,
    .socket_connect = socket_connect,
    .socket_result = socket_result,
    .receive = socket_receive,
    .send = socket_send,
    .half_close = socket_half_close,
    .socket_close = socket_close,
    .acked = socket_acked,
    .accept = socket_accept,
};
