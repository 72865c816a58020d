/* SPDX-License-Identifier: MIT
 *
 * link_tls.c - see link_tls.h. The reactor's notices only say "look"; a task for each link looks.
 */
#include "tools/load/link_tls.h"

#include "base/sink.h"
#include "reactor/backend.h"
#include "reactor/conn.h"
#include "reactor/listen.h"
#include "reactor/trust.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define CHUNKS_MAX (256u << 10)
#define HANDSHAKES_MAX 256
#define TURN_MS 1000

/* What a link has of the reactor. */
struct part {
    struct task task;
    struct link *link;
    struct conn *conn;
    struct listener listener;
};

struct target {
    struct conn_target target;
    struct sockaddr_in address;
    char host[INET_ADDRSTRLEN], key[INET_ADDRSTRLEN + 8];
};

struct link_tls {
    struct loop loop;
    struct watch alarm; /* the reactor sleeps by milliseconds; this wakes it in between */
    struct server_key *server_key;
    struct trust *trust;
    const char *name;
    struct target targets[NET_ADDRESSES_MAX];
    int target_count;
};

static void
on_alarm(struct watch *watch, unsigned ready)
{
    uint64_t times;
    (void)ready;
    if (read(watch->fd, &times, sizeof(times)) < 0)
        return;
}

static bool
tls_init(struct links *links)
{
    struct link_tls *tls = calloc(1, sizeof(*tls));
    struct loop_limits limits;
    loop_limits_default(&limits);
    limits.chunks_max = CHUNKS_MAX;
    limits.handshakes_max = HANDSHAKES_MAX;
    if (!tls || loop_init(&tls->loop, &epoll_ops, NULL, &limits) < 0) {
        free(tls);
        return false;
    }
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (fd < 0 || watch_open(&tls->loop, &tls->alarm, fd, on_alarm) < 0)
        return false;
    links->tls = tls;
    return true;
}

static bool
said(struct sink *problem, int error)
{
    if (error)
        fprintf(stderr, "TLS: %.*s\n", SLICE_ARG(sink_slice(problem)));
    sink_fini(problem);
    return !error;
}

bool
links_serve_tls(struct links *links, const char *certificate, const char *key)
{
    struct sink problem;
    sink_init(&problem, 4096);
    if (!tls_init(links))
        return said(&problem, -1);
    return said(&problem, server_key_load(slice_from(certificate), slice_from(key),
                                          &links->tls->server_key, &problem));
}

bool
links_ask_tls(struct links *links, const char *authorities, const char *name)
{
    struct sink problem;
    sink_init(&problem, 4096);
    if (!tls_init(links))
        return said(&problem, -1);
    links->tls->name = name;
    return said(&problem, trust_load(slice_from(authorities), &links->tls->trust, &problem));
}

void
link_tls_fini(struct links *links)
{
    struct link_tls *tls = links->tls;
    links->tls = NULL;
    if (tls->server_key)
        server_key_drop(tls->server_key);
    if (tls->trust)
        trust_drop(tls->trust);
    watch_close(&tls->loop, &tls->alarm);
    close(tls->alarm.fd);
    loop_fini(&tls->loop);
    free(tls);
}

static void
take_bytes(struct link *link, struct part *part, size_t max)
{
    while (!link->closing && part->conn->in.len && max) {
        struct slice run = slice_take(buf_peek(&part->conn->in), max);
        link->links->bytes_in += run.len;
        link->links->calls->bytes(link, run);
        if (link->closing)
            return;
        max -= run.len;
        buf_consume(&part->conn->in, run.len);
        conn_touch(part->conn);
    }
}

/* Look at what is so: up, bytes, room, the end. Each callback may close the link, and then part is
 * gone. */
static void
look(struct task *task)
{
    struct part *part = container_of(task, struct part, task);
    struct link *link = part->link;
    const struct link_calls *calls = link->links->calls;
    if (part->conn->up && !link->up) {
        link->up = true;
        calls->up(link);
    }
    if (!link->closing && !link->paused)
        take_bytes(link, part, SIZE_MAX);
    if (!link->closing && link->rest_len && !conn_unsent(part->conn)) {
        link->rest_len = 0;
        if (calls->room)
            calls->room(link);
    }
    if (link->closing || (part->conn->in.len && link->paused))
        return;
    if (part->conn->ended) {
        calls->end(link, 0);
    } else if (part->conn->lost) {
        const char *problem = tls_error_text(part->conn->tls_error);
        link->problem = problem[0] ? problem : NULL;
        calls->end(link, part->conn->up ? ECONNRESET : ECONNREFUSED);
    }
}

static void
notify(void *owner, struct conn *conn, unsigned notices)
{
    struct part *part = owner;
    (void)notices;
    loop_post(conn->loop, &part->task);
}

static struct part *
part_new(struct link *link)
{
    struct part *part = calloc(1, sizeof(*part));
    if (!part)
        return NULL;
    task_init(&part->task, look);
    part->link = link;
    link->conn = part;
    return part;
}

static void
on_accepted(struct listener *listener, int fd, const char *peer)
{
    struct links *links = listener->owner;
    struct part *own = container_of(listener, struct part, listener);
    struct link *link = links->calls->accepted(links->context, own->link);
    if (!link) {
        close(fd);
        return;
    }
    struct part *part = part_new(link);
    if (!part || conn_adopt(&links->tls->loop, fd, links->tls->server_key, peer, notify, part,
                            &part->conn) < 0) {
        close(fd);
        link_close(link, true);
    }
}

int
link_tls_listen(struct link *link)
{
    struct part *part = part_new(link);
    if (!part)
        return -1;
    return listener_open(&link->links->tls->loop, &part->listener, link->fd, on_accepted,
                         link->links) < 0
               ? -1
               : 0;
}

/* The reactor wants to keep what it connects to. */
static struct conn_target *
target_for(struct link_tls *tls, const struct sockaddr_in *to)
{
    for (int i = 0; i < tls->target_count; i++) {
        struct target *known = &tls->targets[i];
        if (known->address.sin_addr.s_addr == to->sin_addr.s_addr &&
            known->address.sin_port == to->sin_port)
            return &known->target;
    }
    if (tls->target_count == NET_ADDRESSES_MAX)
        return NULL;
    struct target *target = &tls->targets[tls->target_count++];
    target->address = *to;
    char host[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &to->sin_addr, host, sizeof(host));
    memcpy(target->host, host, sizeof(host));
    snprintf(target->key, sizeof(target->key), "%s:%u", host, ntohs(to->sin_port));
    target->target = (struct conn_target){
        .host = slice_from(target->host),
        .port = ntohs(to->sin_port),
        .tls = true,
        .server_name = slice_from(tls->name),
        .trust = tls->trust,
        .cache_key = slice_from(target->key),
    };
    return &target->target;
}

int
link_tls_connect(struct link *link, const struct sockaddr_in *to)
{
    struct link_tls *tls = link->links->tls;
    struct conn_target *target = target_for(tls, to);
    struct part *part = target ? part_new(link) : NULL;
    if (!part) {
        errno = ENOMEM;
        return -1;
    }
    if (conn_open(&tls->loop, target, notify, part, &part->conn) < 0) {
        errno = ENOMEM;
        return -1;
    }
    return 0;
}

void
link_tls_write(struct link *link, const char *bytes, size_t len)
{
    struct part *part = link->conn;
    if (conn_put(part->conn, slice_of(bytes, len)) < 0) {
        link->links->calls->end(link, ENOMEM);
        return;
    }
    link->links->bytes_out += len;
    link->rest_len = conn_unsent(part->conn);
}

void
link_tls_read(struct link *link, size_t max)
{
    struct part *part = link->conn;
    take_bytes(link, part, max);
    if (!link->closing)
        loop_post(&link->links->tls->loop, &part->task);
}

void
link_tls_resume(struct link *link)
{
    struct part *part = link->conn;
    loop_post(&link->links->tls->loop, &part->task);
}

void
link_tls_close(struct link *link, bool reset)
{
    struct part *part = link->conn;
    link->conn = NULL;
    list_remove(&part->task.link);
    if (link->listener)
        listener_close(&part->listener);
    if (part->conn && reset)
        conn_sever(part->conn);
    else if (part->conn)
        conn_close(part->conn, false);
    free(part);
}

void
link_tls_turn(struct links *links, uint64_t wait_ns)
{
    struct link_tls *tls = links->tls;
    uint64_t wait_ms = TURN_MS;
    if (wait_ns == 0) {
        wait_ms = 0;
    } else if (wait_ns < (uint64_t)TURN_MS * 1000000) {
        struct itimerspec when = {.it_value = {.tv_sec = (time_t)(wait_ns / 1000000000),
                                               .tv_nsec = (long)(wait_ns % 1000000000)}};
        (void)timerfd_settime(tls->alarm.fd, 0, &when, NULL);
    }
    loop_tick(&tls->loop, wait_ms);
}
