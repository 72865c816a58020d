/* SPDX-License-Identifier: MIT
 *
 * fake.c - a resolver whose answers the test writes, and a loop made with one call.
 */
#include "tests/unit/reactor/fake.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdlib.h>
/* clang-format off */
#include <setjmp.h>
#include <cmocka.h>
/* clang-format on */

#define NAMES_MAX 16

struct lookup {
    struct lookup *next;
    struct task task;
    int name;
    uint16_t port;
    void (*done)(void *owner, const struct dns_answer *answer);
    void *owner;
};

static struct fake_name {
    const char *name;
    bool slow;
    struct dns_answer answer;
} names[NAMES_MAX];
static int names_count, forgotten;
static struct lookup *pending;

static int
name_find(struct slice host)
{
    for (int i = 0; i < names_count; i++)
        if (slice_is(host, names[i].name))
            return i;
    return -1;
}

static struct fake_name *
name_make(const char *name)
{
    int at = name_find(slice_from(name));
    if (at >= 0)
        return &names[at];
    assert(names_count < NAMES_MAX);
    names[names_count] = (struct fake_name){.name = name};
    return &names[names_count++];
}

void
fake_name_add(const char *name, const char *address, uint16_t port)
{
    struct dns_answer *answer = &name_make(name)->answer;
    assert(answer->count < DNS_ADDRESSES_MAX);
    struct dns_address *into = &answer->addresses[answer->count++];
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
    assert_int_equal(inet_pton(AF_INET, address, &four.sin_addr), 1);
    memcpy(&into->address, &four, sizeof(four));
    into->len = sizeof(four);
}

void
fake_name_slow(const char *name)
{
    name_make(name)->slow = true;
}

static struct dns_answer
answer_for(int name, uint16_t port)
{
    struct dns_answer answer = {.error = -ERR_DNS};
    if (name < 0 || names[name].answer.count == 0)
        return answer;
    answer = names[name].answer;
    for (int i = 0; i < answer.count; i++) {
        struct sockaddr_in *four = (struct sockaddr_in *)&answer.addresses[i].address;
        if (!four->sin_port)
            four->sin_port = htons(port);
    }
    return answer;
}

static void
lookup_run(struct task *task)
{
    struct lookup *lookup = container_of(task, struct lookup, task);
    struct dns_answer answer = answer_for(lookup->name, lookup->port);
    lookup->done(lookup->owner, &answer);
    free(lookup);
}

int
dns_lookup(struct loop *loop, struct slice host, uint16_t port, struct dns_answer *answer,
           void (*done)(void *owner, const struct dns_answer *answer), void *owner,
           struct lookup **out)
{
    (void)loop;
    int name = name_find(host);
    if (name < 0 || !names[name].slow) {
        *answer = answer_for(name, port);
        return answer->error ? answer->error : 1;
    }
    struct lookup *lookup = calloc(1, sizeof(*lookup));
    assert(lookup);
    *lookup =
        (struct lookup){.next = pending, .name = name, .port = port, .done = done, .owner = owner};
    task_init(&lookup->task, lookup_run);
    pending = *out = lookup;
    return 0;
}

static bool
pending_remove(struct lookup *lookup)
{
    for (struct lookup **at = &pending; *at; at = &(*at)->next) {
        if (*at == lookup) {
            *at = lookup->next;
            return true;
        }
    }
    return false;
}

void
dns_cancel(struct loop *loop, struct lookup *lookup)
{
    (void)loop;
    pending_remove(lookup);
    list_remove(&lookup->task.link);
    free(lookup);
}

void
dns_forget(struct loop *loop, struct slice host)
{
    (void)loop;
    (void)host;
    forgotten++;
}

void
dns_fini(struct loop *loop)
{
    (void)loop;
}

void
fake_names_answer(struct loop *loop)
{
    while (pending) {
        struct lookup *lookup = pending;
        pending = lookup->next;
        loop_post(loop, &lookup->task);
    }
}

void
fake_names_reset(void)
{
    assert(!pending);
    names_count = forgotten = 0;
}

int
fake_names_pending(void)
{
    int count = 0;
    for (const struct lookup *lookup = pending; lookup; lookup = lookup->next)
        count++;
    return count;
}

int
fake_names_forgotten(void)
{
    return forgotten;
}

#ifndef FAKE_WITH_TLS /* tests without TLS need not link it */
int
tls_client_wire(struct conn *conn, const struct conn_target *target)
{
    (void)conn;
    (void)target;
    return -ERR_TLS;
}

int
tls_server_wire(struct conn *conn, const struct server_key *key)
{
    (void)conn;
    (void)key;
    return -ERR_TLS;
}

void
tls_fini(struct loop *loop)
{
    (void)loop;
}
#endif

void
fake_loop(struct loop *loop, const struct backend_ops *ops, void *config)
{
    struct loop_limits limits;
    loop_limits_default(&limits);
    assert_int_equal(loop_init(loop, ops, config, &limits), 0);
}

void
fake_tick(struct loop *loop, uint64_t wait_max_ms)
{
    loop_tick(loop, wait_max_ms);
    assert_true(loop_quiet(loop));
}

void
seen_init(struct seen *seen, struct loop *loop, void (*run)(struct task *))
{
    *seen = (struct seen){.loop = loop};
    task_init(&seen->task, run);
}

void
seen_notify(void *owner, struct conn *conn, unsigned notices)
{
    struct seen *seen = owner;
    assert(conn->magic == MAGIC_CONN);
    seen->notices |= notices;
    seen->up += (notices & CONN_UP) != 0;
    seen->bytes += (notices & CONN_BYTES) != 0;
    seen->room += (notices & CONN_ROOM) != 0;
    seen->empty += (notices & CONN_EMPTY) != 0;
    seen->end += (notices & CONN_END) != 0;
    seen->lost += (notices & CONN_LOST) != 0;
    if (seen->task.run)
        loop_post(seen->loop, &seen->task);
}

void
seen_take(struct conn *conn, struct sink *sink)
{
    while (conn->in.len) {
        struct slice run = buf_peek(&conn->in);
        sink_put(sink, run);
        buf_consume(&conn->in, run.len);
    }
    if (!conn->closing)
        conn_touch(conn);
}
