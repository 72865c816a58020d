/* SPDX-License-Identifier: MIT
 *
 * link.h - connections of the load tools: bytes in by a callback, bytes out at once or from a copy
 * of what the kernel did not take. Plain sockets go straight to epoll (link.c); TLS goes through
 * the reactor (link_tls.c).
 *
 * A link that was closed calls back once more, with `closed`, at the end of the turn; then its
 * memory is the owner's again, who may connect it anew.
 */
#ifndef PENSTOCK_LOAD_LINK_H
#define PENSTOCK_LOAD_LINK_H

#include "base/list.h"
#include "base/slice.h"
#include "tools/load/net.h"
#include "tools/load/poller.h"

struct links;
struct link_tls;

struct link {
    int fd;
    bool listener, up, paused, closing;
    bool readable; /* there may be bytes to read */
    bool fin;      /* the kernel reported the end: read until it is there */
    struct links *links;
    void *conn;          /* the reactor's, with TLS */
    const char *problem; /* what a failure of TLS means; else NULL */
    char *rest;          /* what the kernel did not take */
    size_t rest_at, rest_len;
    struct list dead;
};

struct link_calls {
    /* accepted - a client came: the link it shall be, or NULL to refuse. */
    struct link *(*accepted)(void *context, struct link *listener);
    void (*up)(struct link *link);
    /* bytes - all of them must be taken. */
    void (*bytes)(struct link *link, struct slice bytes);
    /* room - nothing of what was written is left. */
    void (*room)(struct link *link);
    /* end - the peer sends no more (0), or the link failed (an errno). The owner closes it. */
    void (*end)(struct link *link, int error);
    void (*closed)(struct link *link);
};

struct links {
    const struct link_calls *calls;
    void *context;
    struct poller poller;
    struct list dead;
    char *in;
    size_t in_bytes;
    struct link_tls *tls;
    uint64_t bytes_in, bytes_out;
};

/* links_init - 0, or -1 with errno set. */
int links_init(struct links *links, const struct link_calls *calls, void *context) must_check;
/* links_fini - all links must have been closed; tells so of those that were not told yet. */
void links_fini(struct links *links);
/* links_turn - wait at most wait_ns for events and call back for each; then tell what was closed.
 */
void links_turn(struct links *links, uint64_t wait_ns);

/* link_init - before anything else. */
void link_init(struct link *link, struct links *links);
/* link_listen, link_connect - 0, or -1 with errno set. */
int link_listen(struct link *link, const struct sockaddr_in *address) must_check;
int link_connect(struct link *link, const struct sockaddr_in *to, const struct sockaddr_in *from,
                 int in_bytes) must_check;
/* link_write - send; what the kernel does not take is copied and follows, and then `room` is
 * called. */
void link_write(struct link *link, const char *bytes, size_t len);
/* link_unsent - how much is left of that. */
static inline size_t
link_unsent(const struct link *link)
{
    return link->rest_len - link->rest_at;
}
/* link_pause - read nothing. link_read - read at most max bytes now, paused or not (plain links).
 */
void link_pause(struct link *link);
void link_resume(struct link *link);
void link_read(struct link *link, size_t max);
/* link_close - with a reset, or as sockets are closed; what is unsent is dropped. */
void link_close(struct link *link, bool reset);

#endif
