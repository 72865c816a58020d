/* SPDX-License-Identifier: MIT
 *
 * link.c - links over plain sockets, and what both kinds share. See link.h.
 */
#include "tools/load/link.h"
#include "tools/load/link_tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define IN_BYTES (256u << 10)

int
links_init(struct links *links, const struct link_calls *calls, void *context)
{
    *links = (struct links){.calls = calls, .context = context, .in_bytes = IN_BYTES};
    list_init(&links->dead);
    links->in = malloc(IN_BYTES);
    if (!links->in)
        return -1;
    return poller_open(&links->poller);
}

void
link_init(struct link *link, struct links *links)
{
    *link = (struct link){.fd = -1, .links = links};
    list_init(&link->dead);
}

int
link_listen(struct link *link, const struct sockaddr_in *address)
{
    link->fd = net_listen(address);
    if (link->fd < 0)
        return -1;
    link->listener = true;
    if (link->links->tls)
        return link_tls_listen(link);
    return poller_add(&link->links->poller, link->fd, link, false);
}

int
link_connect(struct link *link, const struct sockaddr_in *to, const struct sockaddr_in *from,
             int in_bytes)
{
    if (link->links->tls)
        return link_tls_connect(link, to);
    link->fd = net_connect(to, from, in_bytes);
    if (link->fd < 0)
        return -1;
    return poller_add(&link->links->poller, link->fd, link, true);
}

static void
accept_all(struct link *listener)
{
    struct links *links = listener->links;
    for (;;) {
        int fd = net_accept(listener->fd);
        if (fd < 0 && errno != EINTR && errno != ECONNABORTED)
            return;
        if (fd < 0)
            continue;
        struct link *link = links->calls->accepted(links->context, listener);
        if (!link) {
            close(fd);
            continue;
        }
        link->fd = fd;
        link->up = true;
        if (poller_add(&links->poller, fd, link, true) < 0)
            link_close(link, true);
    }
}

static void
lost(struct link *link, int error)
{
    if (!link->closing)
        link->links->calls->end(link, error);
}

void
link_read(struct link *link, size_t max)
{
    struct links *links = link->links;
    if (link->conn) {
        link_tls_read(link, max);
        return;
    }
    size_t room = max < links->in_bytes ? max : links->in_bytes;
    ssize_t n = recv(link->fd, links->in, room, 0);
    if (n > 0) {
        links->bytes_in += (size_t)n;
        link->readable = (size_t)n == room || link->fin;
        links->calls->bytes(link, slice_of(links->in, (size_t)n));
    } else if (n == 0) {
        link->readable = false;
        lost(link, 0);
    } else if (errno != EINTR) {
        link->readable = false;
        if (errno != EAGAIN)
            lost(link, errno);
    }
}

static void
read_all(struct link *link)
{
    while (link->readable && !link->paused && !link->closing)
        link_read(link, SIZE_MAX);
}

static void
rest_free(struct link *link)
{
    free(link->rest);
    link->rest = NULL;
    link->rest_at = link->rest_len = 0;
}

/* Copy what the kernel did not take. */
static void
keep_rest(struct link *link, const char *bytes, size_t len)
{
    size_t unsent = link_unsent(link);
    char *rest = malloc(unsent + len);
    if (!rest) {
        lost(link, ENOMEM);
        return;
    }
    if (unsent)
        memcpy(rest, link->rest + link->rest_at, unsent);
    memcpy(rest + unsent, bytes, len);
    free(link->rest);
    link->rest = rest;
    link->rest_at = 0;
    link->rest_len = unsent + len;
}

void
link_write(struct link *link, const char *bytes, size_t len)
{
    if (link->closing)
        return;
    if (link->conn) {
        link_tls_write(link, bytes, len);
        return;
    }
    if (!link_unsent(link)) {
        ssize_t n = send(link->fd, bytes, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return; /* reading will tell */
        if (n > 0) {
            link->links->bytes_out += (size_t)n;
            bytes += n;
            len -= (size_t)n;
        }
    }
    if (len)
        keep_rest(link, bytes, len);
}

static void
write_rest(struct link *link)
{
    size_t unsent = link_unsent(link);
    if (!unsent)
        return;
    ssize_t n = send(link->fd, link->rest + link->rest_at, unsent, MSG_NOSIGNAL);
    if (n < 0)
        return;
    link->links->bytes_out += (size_t)n;
    link->rest_at += (size_t)n;
    if (link->rest_at < link->rest_len)
        return;
    rest_free(link);
    if (link->links->calls->room)
        link->links->calls->room(link);
}

/* The first event of a link that connects says how it went. */
static bool
came_up(struct link *link)
{
    int error = 0;
    socklen_t len = sizeof(error);
    if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        error = errno;
    if (error) {
        lost(link, error);
        return false;
    }
    link->up = true;
    link->links->calls->up(link);
    return !link->closing;
}

static void
event(struct link *link, unsigned ready)
{
    if (link->closing)
        return;
    if (link->listener) {
        accept_all(link);
        return;
    }
    if (!link->up) {
        if (!(ready & (POLLER_OUT | POLLER_ERROR | POLLER_FIN)) || !came_up(link))
            return;
    }
    if (ready & POLLER_OUT)
        write_rest(link);
    if (ready & (POLLER_FIN | POLLER_ERROR))
        link->fin = true;
    if (ready & (POLLER_IN | POLLER_FIN | POLLER_ERROR)) {
        link->readable = true;
        read_all(link);
    }
}

static void
bury(struct links *links)
{
    struct list dead;
    list_init(&dead);
    list_move_all(&dead, &links->dead);
    for (struct list *node; (node = list_pop(&dead));)
        links->calls->closed(list_entry(node, struct link, dead));
}

void
links_fini(struct links *links)
{
    while (!list_empty(&links->dead))
        bury(links);
    if (links->tls)
        link_tls_fini(links);
    poller_close(&links->poller);
    free(links->in);
}

void
links_turn(struct links *links, uint64_t wait_ns)
{
    if (!list_empty(&links->dead))
        wait_ns = 0;
    if (links->tls) {
        link_tls_turn(links, wait_ns);
    } else {
        int count = poller_wait(&links->poller, wait_ns);
        for (int i = 0; i < count; i++) {
            unsigned ready;
            struct link *link = poller_event(&links->poller, i, &ready);
            event(link, ready);
        }
    }
    bury(links);
}

void
link_pause(struct link *link)
{
    /* With TLS the queue of what was received fills, and then nothing is received. */
    link->paused = true;
}

void
link_resume(struct link *link)
{
    link->paused = false;
    if (link->conn)
        link_tls_resume(link);
    else
        read_all(link);
}

void
link_close(struct link *link, bool reset)
{
    if (link->closing)
        return;
    link->closing = true;
    if (link->conn)
        link_tls_close(link, reset);
    else if (link->fd >= 0 && reset)
        net_reset(link->fd);
    else if (link->fd >= 0)
        close(link->fd);
    link->fd = -1;
    rest_free(link);
    list_push_back(&link->links->dead, &link->dead);
}
