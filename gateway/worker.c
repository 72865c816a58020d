/* SPDX-License-Identifier: MIT
 *
 * worker.c - one thread and everything it owns. Messages from elsewhere come through the mailbox.
 */
#include "gateway/worker.h"
#include "gateway/credential.h"
#include "gateway/window.h"
#include "gateway/fetch.h"
#include "gateway/resume.h"
#include "gateway/tape.h"
#include "gateway/demo.h"
#include "reactor/backend.h"
#include "reactor/net.h"

#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define SCRATCH_BYTES_MAX (256u << 20)
#define FRAMES_BYTES_MAX (80u << 20)
#define TEXT_BYTES_MAX (160u << 20)
#define BLOCKS_KEEP 256 /* of 16 KiB; after a second in which nobody needed them they go as well */

/* ---------------------------------------------------------------- randomness, clock */

static uint64_t
rotate(uint64_t x, int k)
{
    return x << k | x >> (64 - k);
}

/* xoshiro256++ over a seed from the kernel: ids are unique, and unguessable as long as the state is. */
uint64_t
worker_random(struct worker *worker)
{
    uint64_t *s = worker->random;
    uint64_t result = rotate(s[0] + s[3], 23) + s[0], t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

void
worker_id(struct worker *worker, char out[25])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    for (int i = 0; i < 24; i += 8) {
        uint64_t bits = worker_random(worker);
        for (int k = 0; k < 8; k++, bits >>= 8)
            out[i + k] = digits[(bits & 255) % 62];
    }
    out[24] = '\0';
}

int64_t
worker_unix_us(struct worker *worker)
{
    return (int64_t)worker->loop.now_us + worker->unix_offset_us;
}

static void
read_wall_clock(struct worker *worker)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    worker->unix_offset_us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 - (int64_t)worker->loop.now_us;
}

static void
each_second(struct deadline *deadline)
{
    struct worker *worker = container_of(deadline, struct worker, second);
    read_wall_clock(worker);
    arena_pool_shrink(&worker->blocks);
    pool_shrink(&worker->loop.pool);
    credential_tick(worker);
    window_tick(worker);
    if (worker->number == 0 && worker->gateway->tapes)
        tape_store_sweep(worker->gateway->tapes, worker->loop.now_ms, worker->generation->config->sse_resume_ms);
    loop_arm(&worker->loop, &worker->second, 1000);
}

/* ---------------------------------------------------------------- mailbox */

bool
worker_read_mail(struct worker *worker)
{
    uint64_t count;
    while (worker->mail_fd >= 0 && read(worker->mail_fd, &count, sizeof count) > 0)
        ;
    pthread_mutex_lock(&worker->mail_lock);
    struct mail *mail = worker->mail_first;
    worker->mail_first = worker->mail_last = NULL;
    pthread_mutex_unlock(&worker->mail_lock);
    bool any = mail != NULL;
    while (mail) {
        struct mail *next = mail->next;
        mail->deliver(worker, mail); /* may free it */
        mail = next;
    }
    return any;
}

static void
deliver(struct task *task)
{
    (void)worker_read_mail(container_of(task, struct worker, mail_task));
}

static void
mail_ready(struct watch *watch, unsigned ready)
{
    struct worker *worker = container_of(watch, struct worker, mail_watch);
    (void)ready;
    loop_post(&worker->loop, &worker->mail_task);
}

void
worker_send(struct worker *worker, struct mail *mail)
{
    mail->next = NULL;
    pthread_mutex_lock(&worker->mail_lock);
    if (worker->mail_last)
        worker->mail_last->next = mail;
    else
        worker->mail_first = mail;
    worker->mail_last = mail;
    pthread_mutex_unlock(&worker->mail_lock);
    if (worker->mail_fd < 0) { /* simulated: we are on its thread */
        loop_post(&worker->loop, &worker->mail_task);
        return;
    }
    uint64_t one = 1;
    ssize_t written = write(worker->mail_fd, &one, sizeof one);
    (void)written; /* a full counter wakes the worker just as well */
}

/* ---------------------------------------------------------------- life */

static void
drain_due(struct deadline *deadline)
{
    worker_drain(container_of(deadline, struct worker, drain), true);
}

static void
set_limits(struct loop_limits *limits, const struct config *config)
{
    loop_limits_default(limits);
    limits->linger_ms = config->linger_ms;
    if (limits->linger_bytes < config->limits.body_bytes) /* whoever is still sending one reads our answer afterwards */
        limits->linger_bytes = config->limits.body_bytes;
    limits->dns_ttl_ms = config->dns_ttl_ms;
    limits->handshakes_max = (int)config->limits.handshakes;
    limits->chunks_max = config->limits.memory_bytes / CHUNK_BYTES;
}

int
worker_init(struct worker *worker, struct gateway *gateway, uint32_t number, struct generation *generation,
            const struct backend_ops *ops, void *backend_config)
{
    memset(worker, 0, sizeof *worker);
    worker->gateway = gateway;
    worker->number = number;
    worker->generation = generation_hold(generation);
    worker->metrics = metrics_new();
    worker->mail_fd = -1;
    if (!worker->metrics || getrandom(worker->random, sizeof worker->random, 0) != sizeof worker->random)
        return -ERR_MEMORY;
    struct loop_limits limits;
    set_limits(&limits, generation->config);
    int error = loop_init(&worker->loop, ops, backend_config, &limits);
    if (error < 0 && !ops->simulated && ops != &epoll_ops) {
        log_say(LOG_WARN, "io_uring not available", "worker %u: %s; using epoll", (unsigned)number, err_row(error)->text);
        error = loop_init(&worker->loop, &epoll_ops, NULL, &limits);
    }
    if (error < 0)
        return error;
    list_init(&worker->streams);
    list_init(&worker->fetches);
    list_init(&worker->token_waiters);
    upstream_pool_init(&worker->upstreams, worker);
    arena_pool_init(&worker->blocks, BLOCKS_KEEP);
    arena_init(&worker->scratch, SCRATCH_BYTES_MAX);
    canon_events_init(&worker->events, &worker->scratch);
    frames_init(&worker->frames, FRAMES_BYTES_MAX);
    sink_init(&worker->text, TEXT_BYTES_MAX);
    sink_init(&worker->head, 1u << 20);
    pthread_mutex_init(&worker->mail_lock, NULL);
    task_init(&worker->mail_task, deliver);
    deadline_init(&worker->drain, drain_due);
    deadline_init(&worker->second, each_second);
    read_wall_clock(worker);
    loop_arm(&worker->loop, &worker->second, 1000);
    if (ops->simulated) /* there are no threads to hear from */
        return 0;
    worker->mail_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (worker->mail_fd < 0)
        return -ERR_SYSTEM;
    return watch_open(&worker->loop, &worker->mail_watch, worker->mail_fd, mail_ready);
}

void
worker_fini(struct worker *worker)
{
    assert(list_empty(&worker->streams));
    fetch_cancel_all(worker);
    upstream_pool_close(&worker->upstreams);
    demo_close(worker);
    if (worker->listener.magic)
        listener_close(&worker->listener);
    loop_cancel(&worker->loop, &worker->drain);
    loop_cancel(&worker->loop, &worker->second);
    if (worker->mail_fd >= 0) {
        watch_close(&worker->loop, &worker->mail_watch);
        close(worker->mail_fd);
    }
    loop_fini(&worker->loop);
    pthread_mutex_destroy(&worker->mail_lock);
    arena_fini(&worker->scratch);
    arena_pool_fini(&worker->blocks);
    frames_fini(&worker->frames);
    sink_fini(&worker->text);
    sink_fini(&worker->head);
    metrics_free(worker->metrics);
    generation_drop(worker->generation);
}

/* A connection on its way to the worker that is to serve it. */
struct guest {
    struct mail mail;
    int fd;
    char peer[NET_TEXT_BYTES];
};

static void
receive_guest(struct worker *worker, struct mail *mail)
{
    struct guest *guest = container_of(mail, struct guest, mail);
    if (worker->stop) /* it came too late: main reads the last mail when the threads have ended */
        worker->loop.ops->socket_close(&worker->loop, guest->fd, false);
    else
        stream_new(worker, guest->fd, guest->peer);
    free(guest);
}

/* Round and round. Whoever is asked to end keeps what comes: the others may be gone. */
static struct worker *
choose_host(struct worker *worker)
{
    struct gateway *gateway = worker->gateway;
    if (atomic_load_explicit(&gateway->draining, memory_order_relaxed))
        return worker;
    uint32_t turn = atomic_fetch_add_explicit(&gateway->next_guest, 1, memory_order_relaxed);
    return gateway->workers[turn % gateway->worker_count];
}

static void
accepted(struct listener *listener, int fd, const char *peer)
{
    struct worker *worker = listener->owner;
    struct worker *host = listener->shared ? choose_host(worker) : worker;
    struct guest *guest = host != worker ? calloc(1, sizeof *guest) : NULL;
    if (!guest) {
        stream_new(worker, fd, peer);
        return;
    }
    guest->mail.deliver = receive_guest;
    guest->fd = fd;
    snprintf(guest->peer, sizeof guest->peer, "%s", peer);
    worker_send(host, &guest->mail);
}

int
worker_listen(struct worker *worker, int fd, bool shared)
{
    return (shared ? listener_open_shared : listener_open)(&worker->loop, &worker->listener, fd, accepted, worker);
}

static void
answer_question(struct worker *worker, struct mail *mail)
{
    (void)mail;
    atomic_store_explicit(&worker->asked, false, memory_order_release);
}

void
worker_ask(struct worker *worker)
{
    if (atomic_exchange_explicit(&worker->asked, true, memory_order_acq_rel))
        return; /* the question is in the mailbox still */
    worker->question.deliver = answer_question;
    worker_send(worker, &worker->question);
}

bool
worker_answered(const struct worker *worker)
{
    return worker->stop || !atomic_load_explicit(&worker->asked, memory_order_acquire);
}

/* The last stream has gone and we are to end: nothing is left to wait for. */
static void
check_end(struct worker *worker)
{
    if (!worker->draining || worker->stream_count > 0 || worker->stop)
        return;
    if (worker->listener.magic)
        listener_close(&worker->listener);
    worker->stop = true;
}

void
worker_turn(struct worker *worker, uint64_t wait_max_ms)
{
    loop_tick(&worker->loop, wait_max_ms);
    hist_record(&worker->metrics->loop_lag, &metrics_overhead, worker->loop.stats.busy_us_last);
    metrics_publish(worker);
    check_end(worker);
}

static void *
main_loop(void *argument)
{
    struct worker *worker = argument;
    char name[16]; /* what top and ps show */
    snprintf(name, sizeof name, "worker-%u", (unsigned)worker->number % 1000);
    pthread_setname_np(pthread_self(), name);
    while (!worker->stop)
        worker_turn(worker, UINT64_MAX);
    /* Give what is closing a moment to be flushed. */
    for (int i = 0; i < 200 && worker->loop.conns > 0; i++) {
        fetch_cancel_all(worker);
        upstream_pool_close(&worker->upstreams);
        upstream_pool_init(&worker->upstreams, worker);
        demo_close(worker);
        loop_tick(&worker->loop, 10);
    }
    return NULL;
}

int
worker_start(struct worker *worker)
{
    return pthread_create(&worker->thread, NULL, main_loop, worker) == 0 ? 0 : -ERR_SYSTEM;
}

void
worker_join(struct worker *worker)
{
    pthread_join(worker->thread, NULL);
}

void
worker_drain(struct worker *worker, bool now)
{
    const struct config *config = worker->generation->config;
    if (!worker->draining) {
        worker->draining = true;
        loop_arm(&worker->loop, &worker->drain, config->shutdown_ms);
    }
    if (now)
        atomic_store_explicit(&worker->gateway->ending, true, memory_order_relaxed);
    for (struct list *node = worker->streams.next; node != &worker->streams; node = node->next) {
        struct stream *stream = list_entry(node, struct stream, link);
        if (stream->state == STATE_IDLE)
            stream_post(stream, EVENT_DRAIN);
        else if (stream->detached && !now)
            stream_post(stream, EVENT_CLIENT_GONE); /* nobody can come back for it */
        else if (resume_follows(stream) && !deadline_armed(&stream->step))
            continue; /* whom it follows is ended */
        else if (now && stream->state == STATE_FINISH)
            stream_post(stream, EVENT_STEP_DUE);
        else if (now)
            stream_post(stream, EVENT_TOTAL_DUE);
    }
    check_end(worker);
}

void
worker_take_generation(struct worker *worker, struct generation *generation)
{
    struct generation *old = worker->generation;
    worker->generation = generation;
    set_limits(&worker->loop.limits, generation->config);
    worker->loop.pool.chunks_max = worker->loop.limits.chunks_max;
    if (worker->listener.magic)
        worker->listener.server_key = generation->server_key;
    metrics_add(&worker->metrics->reloads, 1);
    generation_drop(old);
}

void
worker_print_flight(const struct worker *worker)
{
    uint32_t count = worker->flight_at < FLIGHT_RECORDS ? worker->flight_at : FLIGHT_RECORDS;
    fprintf(stderr, "flight recorder of worker %u, oldest first:\n", worker->number);
    for (uint32_t i = 0; i < count; i++) {
        const struct flight_record *record = &worker->flight[(worker->flight_at - count + i) % FLIGHT_RECORDS];
        fprintf(stderr, "%llu stream %llu: %s --%s--> %s\n", (unsigned long long)record->now_us,
                (unsigned long long)record->serial, stream_state_name((enum stream_state)record->from),
                stream_event_name((enum stream_event)record->event), stream_state_name((enum stream_state)record->to));
    }
}
