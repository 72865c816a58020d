/* SPDX-License-Identifier: MIT
 *
 * relay_uring - relay_floor in io_uring's own style: the kernel is asked to receive and to send,
 * not whether one could.
 *
 *     single   one receive at a time into an end's own memory; the send of it is linked in front of
 * the next receive multi    one receive for as long as the connection lives, into buffers that all
 * share; sends are queued
 *
 * All requests of a turn enter the kernel in the call that waits for the next. It shows what an
 * io_uring backend that completes could save at most; docs/performance/lessons.md has the figures.
 * No errors are mended: a pair ends.
 */
#include "base/base.h"
#include "base/list.h"
#include "tools/load/net.h"

#include <liburing.h>

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SUBMISSIONS 4096
#define COMPLETIONS (8 * SUBMISSIONS)
#define BUFFERS 1024 /* a power of two */
#define BUFFER_BYTES 4096
#define OWN_BYTES 16384
#define PATIENCE_NS                                                                                \
    10000000 /* a send whose completion was counted on may have to wait for its reader */

/* clang-format off */
static const char help[] =
    "Usage: relay_uring --listen ADDR:PORT --upstream ADDR:PORT [--style single|multi]\n"
    "                   [--registered]\n"
    "\n"
    "Accepts clients and copies bytes both ways to an upstream connection of each client's\n"
    "own, by io_uring's receives and sends. Prints \"ready\" when it listens, before it\n"
    "\"listening ADDR:PORT\" for port 0; ends on SIGTERM.\n"
    "\n"
    "  --style       single: a receive at a time; multi (default): one that goes on, into buffers\n"
    "                that all share\n"
    "  --registered  use registered descriptors\n";
/* clang-format on */

enum operation {
    ACCEPT = 1,
    RECEIVE = 2,
    SEND = 3,
    OPERATIONS = 3
}; /* in the low bits of an end's address */

struct end {
    int fd;
    struct end *other;
    bool receiving, sending, dead;
    int first, last; /* multi: buffers that wait to be sent here, the first being sent; -1: none */
    char *own;       /* single */
};

struct relay {
    struct io_uring ring;
    struct net_list listen, upstream;
    bool multi, registered;
    unsigned sends; /* submitted by the next wait; their completions are no reason to wake */
    struct end listener;
    struct io_uring_buf_ring *buffers;
    char *memory;
    struct waiting {
        int next;
        unsigned len;
    } waiting[BUFFERS];
};

static volatile sig_atomic_t stopped;

static void
on_signal(int number)
{
    (void)number;
    stopped = 1;
}

/* entry_new - room for one more request; what was asked for before enters the kernel when there is
 * none. */
static struct io_uring_sqe *
entry_new(struct relay *relay)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(&relay->ring);
    if (entry)
        return entry;
    io_uring_submit(&relay->ring);
    entry = io_uring_get_sqe(&relay->ring);
    assert(entry);
    return entry;
}

/* aim - after a prep, which clears everything else. */
static void
aim(const struct relay *relay, struct io_uring_sqe *entry, struct end *end,
    enum operation operation)
{
    entry->user_data = (uintptr_t)end | operation;
    if (relay->registered)
        entry->flags |= IOSQE_FIXED_FILE;
}

static void
receive(struct relay *relay, struct end *end, bool poll_first)
{
    struct io_uring_sqe *entry = entry_new(relay);
    if (relay->multi) {
        io_uring_prep_recv_multishot(entry, end->fd, NULL, 0, 0);
        entry->flags |= IOSQE_BUFFER_SELECT;
    } else {
        io_uring_prep_recv(entry, end->fd, end->own, OWN_BYTES, 0);
    }
    if (poll_first)
        entry->ioprio |= IORING_RECVSEND_POLL_FIRST;
    aim(relay, entry, end, RECEIVE);
    end->receiving = true;
}

static void
give_buffer(struct relay *relay, int number)
{
    io_uring_buf_ring_add(relay->buffers, relay->memory + (size_t)number * BUFFER_BYTES,
                          BUFFER_BYTES, (unsigned short)number, io_uring_buf_ring_mask(BUFFERS), 0);
    io_uring_buf_ring_advance(relay->buffers, 1);
}

static void
send_first(struct relay *relay, struct end *to)
{
    struct io_uring_sqe *entry = entry_new(relay);
    io_uring_prep_send(entry, to->fd, relay->memory + (size_t)to->first * BUFFER_BYTES,
                       relay->waiting[to->first].len, MSG_NOSIGNAL | MSG_WAITALL);
    aim(relay, entry, to, SEND);
    to->sending = true;
    relay->sends++;
}

/* rest - an end is freed when the kernel holds nothing of it any more. */
static void
rest(struct relay *relay, struct end *end)
{
    if (end->receiving || end->sending)
        return;
    for (; end->first >= 0; end->first = relay->waiting[end->first].next)
        give_buffer(relay, end->first);
    if (relay->registered)
        io_uring_register_files_update(&relay->ring, (unsigned)end->fd, &(int){-1}, 1);
    close(end->fd);
    free(end->own);
    free(end);
}

static void
end_close(struct relay *relay, struct end *end)
{
    end->dead = true;
    end->other = NULL;
    shutdown(end->fd, SHUT_RDWR); /* what the kernel still holds completes */
    rest(relay, end);
}

static void
pair_close(struct relay *relay, struct end *end)
{
    struct end *other = end->other;
    end_close(relay, end);
    if (other)
        end_close(relay, other);
}

static struct end *
end_new(struct relay *relay, int fd)
{
    struct end *end = calloc(1, sizeof(*end));
    char *own = relay->multi ? NULL : malloc(OWN_BYTES);
    if (!end || (!own && !relay->multi)) {
        close(fd);
        free(end);
        free(own);
        return NULL;
    }
    *end = (struct end){.fd = fd, .first = -1, .last = -1, .own = own};
    if (relay->registered)
        io_uring_register_files_update(&relay->ring, (unsigned)fd, &fd, 1);
    return end;
}

static void
accepted(struct relay *relay, int fd)
{
    int up = net_connect(&relay->upstream.addresses[0], NULL, 0);
    struct end *client = end_new(relay, fd), *upstream = up < 0 ? NULL : end_new(relay, up);
    if (!client || !upstream) {
        if (client)
            end_close(relay, client);
        if (upstream)
            end_close(relay, upstream);
        return;
    }
    client->other = upstream;
    upstream->other = client;
    receive(relay, client, true);
    receive(relay, upstream, true);
}

static void
received_single(struct relay *relay, struct end *from, unsigned len, bool more)
{
    struct io_uring_sqe *entry = entry_new(relay);
    io_uring_prep_send(entry, from->other->fd, from->own, len, MSG_NOSIGNAL | MSG_WAITALL);
    aim(relay, entry, from->other, SEND);
    entry->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
    receive(relay, from, !more);
}

static void
received_multi(struct relay *relay, struct end *from, unsigned len, int number)
{
    struct end *to = from->other;
    relay->waiting[number] = (struct waiting){.next = -1, .len = len};
    if (to->first < 0)
        to->first = number;
    else
        relay->waiting[to->last].next = number;
    to->last = number;
    if (!to->sending)
        send_first(relay, to);
}

static void
received(struct relay *relay, struct end *from, const struct io_uring_cqe *completion)
{
    from->receiving = completion->flags & IORING_CQE_F_MORE;
    bool filled = completion->flags & IORING_CQE_F_BUFFER;
    int number = (int)(completion->flags >> IORING_CQE_BUFFER_SHIFT);
    if (from->dead) {
        if (filled)
            give_buffer(relay, number);
        rest(relay, from);
    } else if (completion->res == -ENOBUFS) {
        receive(relay, from, false);
    } else if (completion->res <= 0) {
        pair_close(relay, from);
    } else if (relay->multi) {
        received_multi(relay, from, (unsigned)completion->res, number);
        if (!from->receiving)
            receive(relay, from, false);
    } else {
        received_single(relay, from, (unsigned)completion->res,
                        completion->flags & IORING_CQE_F_SOCK_NONEMPTY);
    }
}

/* sent - single style hears of failures only; the receive that was linked behind says that it was
 * cancelled. */
static void
sent(struct relay *relay, struct end *to, int result)
{
    if (!relay->multi)
        return;
    int number = to->first;
    to->sending = false;
    to->first = relay->waiting[number].next;
    give_buffer(relay, number);
    if (to->dead)
        rest(relay, to);
    else if (result <= 0)
        pair_close(relay, to);
    else if (to->first >= 0)
        send_first(relay, to);
}

static void
listen_on(struct relay *relay)
{
    struct io_uring_sqe *entry = entry_new(relay);
    io_uring_prep_multishot_accept(entry, relay->listener.fd, NULL, NULL,
                                   SOCK_NONBLOCK | SOCK_CLOEXEC);
    entry->user_data = (uintptr_t)&relay->listener | ACCEPT;
}

static void
completed(struct relay *relay, const struct io_uring_cqe *completion)
{
    struct end *end = (struct end *)(uintptr_t)(completion->user_data & ~(uint64_t)OPERATIONS);
    switch (completion->user_data & OPERATIONS) {
    case ACCEPT:
        if (completion->res >= 0)
            accepted(relay, completion->res);
        if (!(completion->flags & IORING_CQE_F_MORE))
            listen_on(relay);
        break;
    case RECEIVE:
        received(relay, end, completion);
        break;
    default:
        sent(relay, end, completion->res);
    }
}

static void
serve(struct relay *relay)
{
    while (!stopped) {
        struct __kernel_timespec patience = {.tv_nsec = PATIENCE_NS};
        struct io_uring_cqe *first;
        unsigned head, count = 0, wanted = relay->sends + 1;
        relay->sends = 0;
        io_uring_submit_and_wait_timeout(&relay->ring, &first, wanted,
                                         wanted > 1 ? &patience : NULL, NULL);
        io_uring_for_each_cqe(&relay->ring, head, first)
        {
            completed(relay, first);
            count++;
        }
        io_uring_cq_advance(&relay->ring, count);
    }
}

static bool
buffers_open(struct relay *relay)
{
    relay->memory = aligned_alloc(BUFFER_BYTES, (size_t)BUFFERS * BUFFER_BYTES);
    relay->buffers = aligned_alloc(BUFFER_BYTES, BUFFERS * sizeof(struct io_uring_buf));
    if (!relay->memory || !relay->buffers)
        return false;
    struct io_uring_buf_reg registration = {.ring_addr = (uintptr_t)relay->buffers,
                                            .ring_entries = BUFFERS};
    if (io_uring_register_buf_ring(&relay->ring, &registration, 0) < 0)
        return false;
    io_uring_buf_ring_init(relay->buffers);
    for (int number = 0; number < BUFFERS; number++)
        give_buffer(relay, number);
    return true;
}

static bool
ring_open(struct relay *relay, size_t descriptors)
{
    struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER |
                                              IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL |
                                              IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP,
                                     .cq_entries = COMPLETIONS};
    int error = io_uring_queue_init_params(SUBMISSIONS, &relay->ring, &params);
    errno = -error;
    if (error < 0)
        return false;
    io_uring_register_ring_fd(&relay->ring);
    if (relay->registered &&
        io_uring_register_files_sparse(&relay->ring, (unsigned)descriptors) < 0)
        return false;
    relay->listener.fd = net_listen(&relay->listen.addresses[0]);
    if (relay->listener.fd < 0)
        return false;
    net_tell(relay->listener.fd, &relay->listen.addresses[0]);
    listen_on(relay);
    return !relay->multi || buffers_open(relay);
}

static bool
options(int argc, char **argv, struct relay *relay)
{
    static const struct option longs[] = {{"listen", 1, 0, 'l'}, {"upstream", 1, 0, 'u'},
                                          {"style", 1, 0, 's'},  {"registered", 0, 0, 'r'},
                                          {"help", 0, 0, 'h'},   {0}};
    for (int letter; (letter = getopt_long(argc, argv, "", longs, NULL)) >= 0;) {
        bool ok = true;
        if (letter == 'l' || letter == 'u')
            ok = net_parse(optarg, true, letter == 'l' ? &relay->listen : &relay->upstream);
        else if (letter == 's')
            ok = (relay->multi = strcmp(optarg, "multi") == 0) || strcmp(optarg, "single") == 0;
        else if (letter == 'r')
            relay->registered = true;
        else if (letter == 'h' && fputs(help, stdout) >= 0)
            exit(0);
        else
            return false;
        if (!ok)
            return false;
    }
    return optind == argc && relay->listen.count == 1 && relay->upstream.count == 1;
}

int
main(int argc, char **argv)
{
    struct relay *relay = calloc(1, sizeof(*relay));
    if (!relay)
        return 1;
    relay->multi = true;
    if (!options(argc, argv, relay)) {
        fputs("relay_uring: wrong call; see --help\n", stderr);
        return 2;
    }
    size_t descriptors = net_raise_limits();
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    if (!ring_open(relay, descriptors)) {
        perror("relay_uring");
        return 1;
    }
    puts("ready");
    fflush(stdout);
    serve(relay);
    io_uring_queue_exit(&relay->ring);
    free(relay->memory);
    free(relay->buffers);
    free(relay);
    return 0;
}
