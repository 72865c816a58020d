/* SPDX-License-Identifier: MIT
 *
 * relay_floor - what a relay costs at least: edge-triggered epoll, one read and one write for each
 * event, no parsing.
 *
 * Each client connection has an upstream connection of its own. With --keep, one that fell quiet
 * behind an answer serves the next client; without parsing nobody knows that the answer was over,
 * so this is for clients that take whole answers only.
 */
#include "base/list.h"
#include "tools/load/net.h"
#include "tools/load/poller.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define COPY_BYTES (64u << 10)

/* clang-format off */
static const char help[] =
    "Usage: relay_floor --listen ADDR:PORT[,...] --upstream ADDR:PORT[,...] [--keep N]\n"
    "\n"
    "Accepts clients and copies bytes both ways to an upstream connection of each client's own: one read\n"
    "and one write for each event, edge-triggered epoll, no parsing. It is the floor that other relays\n"
    "are measured against. Several upstreams are used in turn.\n"
    "Prints \"ready\" when it listens, before it \"listening ADDR:PORT\" for port 0; ends on SIGTERM.\n"
    "\n"
    "  --keep N   keep up to N upstream connections of clients that left for clients to come (0); only\n"
    "             for clients that leave behind whole answers\n";
/* clang-format on */

struct end {
    int fd;
    bool listener, client, up, readable, fin, kept, dead;
    bool answered; /* upstream ends: the last bytes that passed went to the client */
    struct end *other;
    char *rest; /* what this end's kernel did not take */
    size_t rest_at, rest_len;
    struct list link; /* on relay->all, relay->kept or relay->dead */
};

struct relay {
    struct poller poller;
    struct net_list listen, upstream;
    int upstream_next;
    int kept_max, kept_count;
    struct list all, kept, dead;
    char buffer[COPY_BYTES];
};

static volatile sig_atomic_t stopped;

static void
on_signal(int number)
{
    (void)number;
    stopped = 1;
}

static void
end_close(struct relay *relay, struct end *end)
{
    if (!end || end->dead)
        return;
    end->dead = true;
    close(end->fd);
    free(end->rest);
    end->rest = NULL;
    if (end->kept)
        relay->kept_count--;
    list_remove(&end->link);
    list_push_back(&relay->dead, &end->link);
}

static void
pair_close(struct relay *relay, struct end *end)
{
    end_close(relay, end->other);
    end_close(relay, end);
}

static struct end *
end_new(struct relay *relay, int fd, bool client)
{
    struct end *end = calloc(1, sizeof(*end));
    if (!end) {
        close(fd);
        return NULL;
    }
    end->fd = fd;
    end->client = end->up = client;
    list_init(&end->link);
    if (poller_add(&relay->poller, fd, end, true) < 0) {
        close(fd);
        free(end);
        return NULL;
    }
    list_push_back(&relay->all, &end->link);
    return end;
}

/* An upstream connection for a client: a kept one, or a new one. */
static struct end *
upstream_take(struct relay *relay)
{
    struct list *node = list_pop(&relay->kept);
    if (node) {
        struct end *kept = list_entry(node, struct end, link);
        kept->kept = false;
        relay->kept_count--;
        list_push_back(&relay->all, &kept->link);
        return kept;
    }
    const struct sockaddr_in *to = &relay->upstream.addresses[relay->upstream_next];
    relay->upstream_next = (relay->upstream_next + 1) % relay->upstream.count;
    int fd = net_connect(to, NULL, 0);
    return fd < 0 ? NULL : end_new(relay, fd, false);
}

static void
accept_all(struct relay *relay, struct end *listener)
{
    for (;;) {
        int fd = net_accept(listener->fd);
        if (fd < 0 && errno != EINTR && errno != ECONNABORTED)
            return;
        struct end *client = fd < 0 ? NULL : end_new(relay, fd, true);
        if (!client)
            continue;
        struct end *upstream = upstream_take(relay);
        if (!upstream) {
            end_close(relay, client);
            continue;
        }
        client->other = upstream;
        upstream->other = client;
        upstream->answered = false;
    }
}

static void
keep_rest(struct relay *relay, struct end *end, const char *bytes, size_t len)
{
    end->rest = malloc(len);
    if (!end->rest) {
        pair_close(relay, end);
        return;
    }
    memcpy(end->rest, bytes, len);
    end->rest_at = 0;
    end->rest_len = len;
}

/* The client left: its upstream connection is closed, or kept when it seems to be between two
 * answers. */
static void
client_left(struct relay *relay, struct end *client)
{
    struct end *upstream = client->other;
    client->other = NULL;
    end_close(relay, client);
    if (relay->kept_count < relay->kept_max && upstream->up && upstream->answered &&
        !upstream->fin && !upstream->readable && !upstream->rest) {
        upstream->other = NULL;
        list_remove(&upstream->link);
        list_push_front(&relay->kept, &upstream->link);
        upstream->kept = true;
        relay->kept_count++;
        return;
    }
    end_close(relay, upstream);
}

static void
ended(struct relay *relay, struct end *from)
{
    struct end *to = from->other;
    from->fin = true;
    if (!to)
        end_close(relay, from);
    else if (from->client)
        client_left(relay, from);
    else if (!to->rest)
        pair_close(relay, from);
}

/* One read and one write; more only while the read filled the buffer. */
static void
copy(struct relay *relay, struct end *from)
{
    while (from->readable && !from->dead) {
        struct end *to = from->other;
        if (to && to->rest)
            return;
        ssize_t n = recv(from->fd, relay->buffer, sizeof(relay->buffer), 0);
        if (n <= 0) {
            if (n < 0 && errno == EINTR)
                continue;
            from->readable = false;
            if (n == 0 || errno != EAGAIN)
                ended(relay, from);
            return;
        }
        if (!to) {
            end_close(relay, from);
            return;
        }
        from->readable = (size_t)n == sizeof(relay->buffer) || from->fin;
        (from->client ? to : from)->answered = !from->client;
        ssize_t sent = to->up ? send(to->fd, relay->buffer, (size_t)n, MSG_NOSIGNAL) : 0;
        if (sent < 0 && errno != EAGAIN) {
            pair_close(relay, from);
            return;
        }
        if (sent < n)
            keep_rest(relay, to, relay->buffer + (sent < 0 ? 0 : sent),
                      (size_t)(n - (sent < 0 ? 0 : sent)));
    }
}

/* There is room again: what waited is sent, then its source is read on. */
static void
flush(struct relay *relay, struct end *end)
{
    end->up = true;
    if (!end->rest)
        return;
    ssize_t n = send(end->fd, end->rest + end->rest_at, end->rest_len - end->rest_at, MSG_NOSIGNAL);
    if (n < 0) {
        if (errno != EAGAIN)
            pair_close(relay, end);
        return;
    }
    end->rest_at += (size_t)n;
    if (end->rest_at < end->rest_len)
        return;
    free(end->rest);
    end->rest = NULL;
    if (end->other && end->other->fin && !end->other->readable)
        pair_close(relay, end);
    else if (end->other)
        copy(relay, end->other);
}

static void
event(struct relay *relay, struct end *end, unsigned ready)
{
    if (end->dead)
        return;
    if (end->listener) {
        accept_all(relay, end);
        return;
    }
    if (ready & POLLER_OUT)
        flush(relay, end);
    if (end->dead || !(ready & (POLLER_IN | POLLER_FIN | POLLER_ERROR)))
        return;
    end->fin |= (ready & (POLLER_FIN | POLLER_ERROR)) != 0;
    end->readable = true;
    copy(relay, end);
}

static bool
listen_all(struct relay *relay)
{
    for (int i = 0; i < relay->listen.count; i++) {
        struct end *listener = calloc(1, sizeof(*listener));
        if (!listener)
            return false;
        listener->listener = true;
        list_init(&listener->link);
        list_push_back(&relay->all, &listener->link);
        listener->fd = net_listen(&relay->listen.addresses[i]);
        if (listener->fd < 0 || poller_add(&relay->poller, listener->fd, listener, false) < 0)
            return false;
        net_tell(listener->fd, &relay->listen.addresses[i]);
    }
    return true;
}

static void
bury(struct relay *relay)
{
    for (struct list *node; (node = list_pop(&relay->dead));)
        free(list_entry(node, struct end, link));
}

static void
close_all(struct relay *relay)
{
    while (!list_empty(&relay->all))
        end_close(relay, list_entry(relay->all.next, struct end, link));
    while (!list_empty(&relay->kept))
        end_close(relay, list_entry(relay->kept.next, struct end, link));
    bury(relay);
    poller_close(&relay->poller);
}

static void
serve(struct relay *relay)
{
    while (!stopped) {
        int count = poller_wait(&relay->poller, 1000000000u);
        for (int i = 0; i < count; i++) {
            unsigned ready;
            struct end *end = poller_event(&relay->poller, i, &ready);
            event(relay, end, ready);
        }
        bury(relay);
    }
}

static bool
options(int argc, char **argv, struct relay *relay)
{
    static const struct option longs[] = {{"listen", 1, 0, 'l'},
                                          {"upstream", 1, 0, 'u'},
                                          {"keep", 1, 0, 'k'},
                                          {"help", 0, 0, 'h'},
                                          {0}};
    for (int letter; (letter = getopt_long(argc, argv, "", longs, NULL)) >= 0;) {
        switch (letter) {
        case 'l':
            if (!net_parse(optarg, true, &relay->listen))
                return false;
            break;
        case 'u':
            if (!net_parse(optarg, true, &relay->upstream))
                return false;
            break;
        case 'k':
            relay->kept_max = atoi(optarg);
            break;
        case 'h':
            fputs(help, stdout);
            exit(0);
        default:
            return false;
        }
    }
    return optind == argc && relay->listen.count && relay->upstream.count;
}

int
main(int argc, char **argv)
{
    struct relay *relay = calloc(1, sizeof(*relay));
    if (!relay)
        return 1;
    list_init(&relay->all);
    list_init(&relay->kept);
    list_init(&relay->dead);
    if (!options(argc, argv, relay)) {
        fputs("relay_floor: wrong call; see --help\n", stderr);
        free(relay);
        return 2;
    }
    net_raise_limits();
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    if (poller_open(&relay->poller) < 0 || !listen_all(relay)) {
        perror("relay_floor");
        return 1;
    }
    puts("ready");
    fflush(stdout);
    serve(relay);
    close_all(relay);
    free(relay);
    return 0;
}
