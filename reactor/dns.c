/* SPDX-License-Identifier: MIT
 *
 * dns.c - c-ares behind lookup and cancel, with a cache.
 *
 *     dns_lookup -> name (cached?) -> one question for each family -> c-ares -> callback records ->
 * task tells the lookups
 *
 * A name's two questions go out at once. The answer is given when both are settled, or 50 ms after
 * the first good one, so that a server that drops one kind of question delays nobody. Fresh answers
 * are served from the cache, stale ones too while a new one is fetched: a resolver that is down for
 * a while harms no name that was in use. One question a name at a time.
 */
#include "reactor/dns.h"

#include "base/text.h"
#include "reactor/dns_address.h"

#include <ares.h>

#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/time.h>

#define NAMES_MAX 256
#define STALE_MS (10u * 60 * 1000)
#define REFUSED_MS                                                                                 \
    5000 /* how long a failure is believed, and how soon a failed refresh is tried again */
#define GRACE_MS 50 /* RFC 8305, 3: for the other family's answer */
#define TIMEOUT_MS 2000
#define TRIES 3
#define PASSES_MAX 256 /* calls into c-ares for each run of the task */

enum { ASK_SIX = 1, ASK_FOUR = 2 };

struct dns_name {
    struct list link;      /* resolver->names, the last used first */
    struct list told_link; /* resolver->told */
    struct list lookups;   /* waiting for the answer */
    struct resolver *resolver;
    struct deadline grace;
    unsigned asking; /* families whose question is under way */
    bool settled;    /* this round's answer was given */
    bool good;       /* this round brought addresses */
    bool pinned;     /* its lookups are being told */
    uint64_t fresh_until_ms, stale_until_ms, refused_until_ms, retry_ms;
    struct dns_family six, four;
    char text[256];
};

/* One question for one family; c-ares holds it until it calls back, which it does exactly once. */
struct question {
    struct dns_name *name;
    unsigned family;
};

struct lookup {
    uint32_t magic;
    struct list link; /* name->lookups */
    uint16_t port;
    void (*done)(void *owner, const struct dns_answer *answer);
    void *owner;
};

struct dns_socket {
    struct list link; /* resolver->sockets, or resolver->gone */
    struct watch watch;
    struct resolver *resolver;
    unsigned wants;
};

struct resolver {
    struct loop *loop;
    struct dns_options options;
    ares_channel channel; /* NULL until needed */
    bool stale_channel;   /* a question has failed: look at resolv.conf again when nothing is under
                             way */
    bool timed_out, closing;
    int questions; /* under way */
    struct list names, told, sockets, gone;
    int name_count;
    struct task task;
    struct deadline timeout;
};

/* -- the resolver and its channel -- */

static void resolver_run(struct task *task);

static void
timeout_due(struct deadline *deadline)
{
    struct resolver *resolver = container_of(deadline, struct resolver, timeout);
    resolver->timed_out = true;
    loop_post(resolver->loop, &resolver->task);
}

static struct resolver *
resolver_of(struct loop *loop)
{
    if (loop->resolver)
        return loop->resolver;
    struct resolver *resolver = calloc(1, sizeof(*resolver));
    if (!resolver)
        return NULL;
    resolver->loop = loop;
    list_init(&resolver->names);
    list_init(&resolver->told);
    list_init(&resolver->sockets);
    list_init(&resolver->gone);
    task_init(&resolver->task, resolver_run);
    deadline_init(&resolver->timeout, timeout_due);
    loop->resolver = resolver;
    return resolver;
}

int
dns_configure(struct loop *loop, const struct dns_options *options)
{
    struct resolver *resolver = resolver_of(loop);
    if (!resolver)
        return -ERR_MEMORY;
    assert(!resolver->channel);
    resolver->options = *options;
    return 0;
}

static void
socket_ready(struct watch *watch, unsigned ready)
{
    struct dns_socket *socket = container_of(watch, struct dns_socket, watch);
    (void)ready;
    loop_post(socket->resolver->loop, &socket->resolver->task);
}

static struct dns_socket *
find_socket(struct resolver *resolver, int fd)
{
    for (struct list *link = resolver->sockets.next; link != &resolver->sockets;
         link = link->next) {
        struct dns_socket *socket = list_entry(link, struct dns_socket, link);
        if (socket->watch.fd == fd)
            return socket;
    }
    return NULL;
}

/* c-ares says what it wants of a descriptor; nothing wanted: it is about to close it. */
static void
socket_state(void *user, ares_socket_t fd, int readable, int writable)
{
    struct resolver *resolver = user;
    struct dns_socket *socket = find_socket(resolver, fd);
    if (!readable && !writable) {
        if (!socket)
            return;
        watch_close(resolver->loop, &socket->watch);
        list_remove(&socket->link);
        list_push_back(&resolver->gone, &socket->link); /* the task may stand in the middle of it */
        return;
    }
    if (!socket) {
        socket = calloc(1, sizeof(*socket));
        if (!socket)
            return; /* then the question times out */
        socket->resolver = resolver;
        list_init(&socket->link);
        if (watch_open(resolver->loop, &socket->watch, fd, socket_ready) != 0) {
            free(socket);
            return;
        }
        list_push_back(&resolver->sockets, &socket->link);
    }
    socket->wants = (readable ? WATCH_READ : 0u) | (writable ? WATCH_WRITE : 0u);
    if (socket->watch.ready & socket->wants)
        loop_post(resolver->loop, &resolver->task);
}

static void
close_channel(struct resolver *resolver)
{
    if (resolver->channel)
        ares_destroy(resolver->channel);
    resolver->channel = NULL;
    resolver->stale_channel = false;
}

/* ares_library_init is left out: outside of Windows it does nothing, and it is not made for several
 * threads. */
static bool
open_channel(struct resolver *resolver)
{
    struct dns_options *own = &resolver->options;
    struct ares_options options = {
        .timeout = own->timeout_ms ? own->timeout_ms : TIMEOUT_MS,
        .tries = own->tries ? own->tries : TRIES,
        .sock_state_cb = socket_state,
        .sock_state_cb_data = resolver,
    };
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
    char path[4096];
    if (resolver->channel && resolver->stale_channel && resolver->questions == 0)
        close_channel(resolver);
    if (resolver->channel)
        return true;
    if (own->resolv_conf && strlen(own->resolv_conf) < sizeof(path)) {
        memcpy(path, own->resolv_conf, strlen(own->resolv_conf) + 1);
        options.resolvconf_path = path;
        mask |= ARES_OPT_RESOLVCONF;
    }
    if (ares_init_options(&resolver->channel, &options, mask) != ARES_SUCCESS) {
        resolver->channel = NULL;
        return false;
    }
    if (own->servers &&
        ares_set_servers_ports_csv(resolver->channel, own->servers) != ARES_SUCCESS) {
        close_channel(resolver);
        return false;
    }
    return true;
}

static void
rearm(struct resolver *resolver)
{
    struct timeval left;
    if (!resolver->channel || !ares_timeout(resolver->channel, NULL, &left)) {
        loop_cancel(resolver->loop, &resolver->timeout);
        return;
    }
    uint64_t left_ms = (uint64_t)left.tv_sec * 1000 + (uint64_t)left.tv_usec / 1000;
    loop_arm(resolver->loop, &resolver->timeout, left_ms + 1);
}

/* -- names -- */

static void
settle(struct dns_name *name)
{
    struct resolver *resolver = name->resolver;
    uint64_t now_ms = resolver->loop->now_ms;
    assert(!name->settled);
    name->settled = true;
    loop_cancel(resolver->loop, &name->grace);
    if (name->good) {
        name->fresh_until_ms = now_ms + resolver->loop->limits.dns_ttl_ms;
        name->stale_until_ms = name->fresh_until_ms + STALE_MS;
        name->refused_until_ms = 0;
    } else {
        loop_count(&resolver->loop->stats.dns_failures, 1);
        name->refused_until_ms = name->retry_ms = now_ms + REFUSED_MS;
        if (now_ms >= name->stale_until_ms)
            name->six.count = name->four.count = 0; /* too old to be given to anyone */
    }
    if (!list_empty(&name->lookups) && !list_linked(&name->told_link)) {
        list_push_back(&resolver->told, &name->told_link);
        loop_post(resolver->loop, &resolver->task);
    }
}

static void
grace_due(struct deadline *deadline)
{
    struct dns_name *name = container_of(deadline, struct dns_name, grace);
    if (!name->settled)
        settle(name);
}

static void
take_addresses(struct dns_family *family, int kind, const struct ares_addrinfo *result)
{
    family->count = 0;
    for (const struct ares_addrinfo_node *node = result->nodes; node; node = node->ai_next) {
        if (node->ai_family != kind || family->count == DNS_FAMILY_MAX)
            continue;
        uint8_t *bytes = family->bytes[family->count++];
        if (kind == AF_INET6)
            memcpy(bytes, &((const struct sockaddr_in6 *)(const void *)node->ai_addr)->sin6_addr,
                   16);
        else
            memcpy(bytes, &((const struct sockaddr_in *)(const void *)node->ai_addr)->sin_addr, 4);
    }
}

/* Only records: whoever waits is told from the task. */
static void
answered(void *user, int status, int timeouts, struct ares_addrinfo *result)
{
    struct question *question = user;
    struct dns_name *name = question->name;
    struct resolver *resolver = name->resolver;
    unsigned asked = question->family;
    struct dns_family *family = asked == ASK_SIX ? &name->six : &name->four;
    (void)timeouts;
    free(question);
    name->asking &= ~asked;
    resolver->questions--;
    if (status == ARES_SUCCESS) {
        take_addresses(family, asked == ASK_SIX ? AF_INET6 : AF_INET, result);
        name->good = name->good || family->count > 0;
    } else if (status == ARES_ENODATA || status == ARES_ENOTFOUND) {
        family->count = 0;
    } else {
        resolver->stale_channel = true; /* what is known of this family stays */
    }
    if (result)
        ares_freeaddrinfo(result);
    if (name->settled || resolver->closing)
        return;
    if (!name->asking)
        settle(name);
    else if (name->good && asked == ASK_SIX)
        settle(name);
    else if (name->good)
        loop_arm(resolver->loop, &name->grace, GRACE_MS);
}

static void
ask_family(struct dns_name *name, unsigned family)
{
    struct ares_addrinfo_hints hints = {
        .ai_flags = ARES_AI_NOSORT,
        .ai_family = family == ASK_SIX ? AF_INET6 : AF_INET,
        .ai_socktype = SOCK_STREAM,
    };
    struct question *question = malloc(sizeof(*question));
    if (!question) {
        name->asking &= ~family;
        return;
    }
    *question = (struct question){name, family};
    name->resolver->questions++;
    ares_getaddrinfo(name->resolver->channel, name->text, NULL, &hints, answered, question);
}

/* Begin a round of questions; one left over from the last round counts for this one. It may be
 * settled at once: /etc/hosts is asked first. */
static void
ask(struct dns_name *name)
{
    struct resolver *resolver = name->resolver;
    unsigned missing = (ASK_SIX | ASK_FOUR) & ~name->asking;
    assert(name->settled);
    name->settled = name->good = false;
    if (open_channel(resolver)) {
        name->asking |= missing; /* both, before the first can be answered */
        if (missing & ASK_SIX)
            ask_family(name, ASK_SIX);
        if (missing & ASK_FOUR)
            ask_family(name, ASK_FOUR);
        rearm(resolver);
    }
    if (!name->asking && !name->settled)
        settle(name);
}

static bool
name_idle(const struct dns_name *name)
{
    return !name->asking && !name->pinned && list_empty(&name->lookups) &&
           !list_linked(&name->told_link);
}

static void
free_name(struct dns_name *name)
{
    loop_cancel(name->resolver->loop, &name->grace);
    list_remove(&name->link);
    list_remove(&name->told_link);
    name->resolver->name_count--;
    free(name);
}

/* The entry of a host, moved to the front; NULL when there is none. */
static struct dns_name *
find_name(struct resolver *resolver, struct slice host)
{
    for (struct list *link = resolver->names.next; link != &resolver->names; link = link->next) {
        struct dns_name *name = list_entry(link, struct dns_name, link);
        if (text_caseless_eq(slice_from(name->text), host)) {
            list_remove(&name->link);
            list_push_front(&resolver->names, &name->link);
            return name;
        }
    }
    return NULL;
}

static struct dns_name *
make_name(struct resolver *resolver, struct slice host)
{
    if (resolver->name_count >= NAMES_MAX) {
        struct list *link = resolver->names.prev;
        while (link != &resolver->names && !name_idle(list_entry(link, struct dns_name, link)))
            link = link->prev;
        if (link == &resolver->names)
            return NULL;
        free_name(list_entry(link, struct dns_name, link));
    }
    struct dns_name *name = calloc(1, sizeof(*name));
    if (!name)
        return NULL;
    assert(host.len < sizeof(name->text));
    memcpy(name->text, host.ptr, host.len);
    name->resolver = resolver;
    name->settled = true;
    list_init(&name->link);
    list_init(&name->told_link);
    list_init(&name->lookups);
    deadline_init(&name->grace, grace_due);
    list_push_front(&resolver->names, &name->link);
    resolver->name_count++;
    return name;
}

/* From the cache, if it can answer: 1 with *answer, -ERR_DNS known not to resolve, 0 a question
 * must be asked. */
static int
from_cache(struct dns_name *name, uint16_t port, struct dns_answer *answer)
{
    struct loop *loop = name->resolver->loop;
    bool known = name->six.count + name->four.count > 0;
    if (known && loop->now_ms < name->stale_until_ms) {
        loop_count(&loop->stats.dns_cache_hits, 1);
        dns_answer_fill(answer, &name->six, &name->four, port);
        if (loop->now_ms >= name->fresh_until_ms && !name->asking && name->settled &&
            loop->now_ms >= name->retry_ms)
            ask(name);
        return 1;
    }
    return loop->now_ms < name->refused_until_ms ? -ERR_DNS : 0;
}

int
dns_lookup(struct loop *loop, struct slice host, uint16_t port, struct dns_answer *answer,
           void (*done)(void *owner, const struct dns_answer *answer), void *owner,
           struct lookup **out)
{
    *out = NULL;
    if (dns_literal(host, port, answer))
        return 1;
    if (!dns_host_valid(host))
        return -ERR_DNS;
    loop_count(&loop->stats.dns_lookups, 1);
    struct resolver *resolver = resolver_of(loop);
    struct dns_name *name = resolver ? find_name(resolver, host) : NULL;
    if (resolver && !name)
        name = make_name(resolver, host);
    if (!name)
        return -ERR_MEMORY;
    int cached = from_cache(name, port, answer);
    if (cached)
        return cached;
    if (name->settled)
        ask(name);
    if (name->settled) { /* by /etc/hosts, or it failed at once */
        dns_answer_fill(answer, &name->six, &name->four, port);
        return answer->count ? 1 : -ERR_DNS;
    }
    struct lookup *lookup = malloc(sizeof(*lookup));
    if (!lookup)
        return -ERR_MEMORY;
    *lookup = (struct lookup){.magic = MAGIC_LOOKUP, .port = port, .done = done, .owner = owner};
    list_init(&lookup->link);
    list_push_back(&name->lookups, &lookup->link);
    *out = lookup;
    return 0;
}

void
dns_cancel(struct loop *loop, struct lookup *lookup)
{
    (void)loop; /* the question goes on, for the cache */
    assert(lookup->magic == MAGIC_LOOKUP);
    list_remove(&lookup->link);
    lookup->magic = 0;
    free(lookup);
}

void
dns_forget(struct loop *loop, struct slice host)
{
    struct resolver *resolver = loop->resolver;
    struct dns_name *name = resolver ? find_name(resolver, host) : NULL;
    if (!name)
        return;
    name->six.count = name->four.count = 0;
    name->fresh_until_ms = name->stale_until_ms = name->refused_until_ms = 0;
}

/* -- the task -- */

static void
tell(struct resolver *resolver, struct dns_name *name)
{
    struct list *link;
    struct dns_answer answer;
    name->pinned = true; /* done may look up other names, which may need its place */
    while ((link = list_pop(&name->lookups))) {
        struct lookup *lookup = list_entry(link, struct lookup, link);
        void (*done)(void *, const struct dns_answer *) = lookup->done;
        void *owner = lookup->owner;
        dns_answer_fill(&answer, &name->six, &name->four, lookup->port);
        dns_cancel(resolver->loop, lookup);
        done(owner, &answer);
    }
    name->pinned = false;
}

/* The first socket that is ready for what c-ares wants of it. */
static struct dns_socket *
ready_socket(struct resolver *resolver)
{
    for (struct list *link = resolver->sockets.next; link != &resolver->sockets;
         link = link->next) {
        struct dns_socket *socket = list_entry(link, struct dns_socket, link);
        if (socket->watch.ready & socket->wants)
            return socket;
    }
    return NULL;
}

static void
serve_socket(struct resolver *resolver, struct dns_socket *socket)
{
    int fd = socket->watch.fd, left = 0;
    unsigned ready = socket->watch.ready & socket->wants;
    socket->watch.ready &= ~ready;
    ares_process_fd(resolver->channel, ready & WATCH_READ ? fd : ARES_SOCKET_BAD,
                    ready & WATCH_WRITE ? fd : ARES_SOCKET_BAD);
    /* It reads a TCP answer in two calls, and no second edge comes for bytes that are there. A
     * socket that it has closed is on the list of those gone and is not looked at again. */
    if (find_socket(resolver, fd) == socket && ioctl(fd, FIONREAD, &left) == 0 && left > 0)
        socket->watch.ready |= WATCH_READ;
}

static void
resolver_run(struct task *task)
{
    struct resolver *resolver = container_of(task, struct resolver, task);
    struct dns_socket *socket = NULL;
    struct list *link;
    int passes = 0;
    while (passes++ < PASSES_MAX && (socket = ready_socket(resolver)))
        serve_socket(resolver, socket);
    if (socket)
        loop_post(resolver->loop, task);
    if (resolver->timed_out && resolver->channel)
        ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    resolver->timed_out = false;
    while ((link = list_pop(&resolver->gone)))
        free(list_entry(link, struct dns_socket, link));
    rearm(resolver);
    while ((link = list_pop(&resolver->told)))
        tell(resolver, list_entry(link, struct dns_name, told_link));
}

void
dns_fini(struct loop *loop)
{
    struct resolver *resolver = loop->resolver;
    struct list *link;
    if (!resolver)
        return;
    resolver->closing = true;
    close_channel(resolver); /* calls back for every question under way */
    assert(resolver->questions == 0);
    while ((link = resolver->names.next) != &resolver->names) {
        struct dns_name *name = list_entry(link, struct dns_name, link);
        assert(list_empty(&name->lookups)); /* every lookup was answered or cancelled */
        free_name(name);
    }
    assert(list_empty(&resolver->sockets));
    while ((link = list_pop(&resolver->gone)))
        free(list_entry(link, struct dns_socket, link));
    loop_cancel(loop, &resolver->timeout);
    list_remove(&resolver->task.link);
    free(resolver);
    loop->resolver = NULL;
}
