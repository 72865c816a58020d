/* SPDX-License-Identifier: MIT
 *
 * names.c - c-ares for the simulator: these functions stand in front of the library's. The reactor's own cache, grace times
 * and cancelling are the real ones.
 */
#include "tests/sim/names.h"

#include "tests/sim/memory.h"

#include <ares.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/time.h>

#define ADDRESSES_MAX 6

struct question {
    struct question *next;
    ares_addrinfo_callback call;
    void *user;
    int family;
    uint64_t due_us;
};

struct ares_channeldata {
    struct question *questions;
};

static struct {
    struct sim *sim;
    uint64_t random;
    struct names_weather weather;
    struct names_tally tally;
} names;

static uint64_t
draw(void)
{
    names.random ^= names.random << 13;
    names.random ^= names.random >> 7;
    names.random ^= names.random << 17;
    return names.random >> 8;
}

static bool
chance(unsigned per_1024)
{
    return draw() % 1024 < per_1024;
}

void
names_begin(struct sim *sim, uint64_t seed, const struct names_weather *weather)
{
    static const struct names_weather fine;
    names.sim = sim;
    names.random = seed * 2654435761u + 88172645463325252u;
    names.weather = weather ? *weather : fine;
}

struct names_tally
names_tally(void)
{
    return names.tally;
}

/* ---------------------------------------------------------------- answers */

/* 127.0.0.1 is where peers are; 198.51.100.x refuses, 203.0.113.x is never heard of. */
static struct ares_addrinfo_node *
make_node(int family, bool good)
{
    struct ares_addrinfo_node *node = calloc(1, sizeof *node);
    struct sockaddr_in6 *six = calloc(1, sizeof *six); /* room for either */
    assert(node && six);
    struct sockaddr_in *four = (struct sockaddr_in *)(void *)six;
    bool silent = chance(512);
    node->ai_family = family;
    node->ai_addr = (struct sockaddr *)six;
    if (family == AF_INET6) {
        six->sin6_family = AF_INET6;
        six->sin6_addr.s6_addr[15] = 1;
        six->sin6_addr.s6_addr[0] = good ? 0 : silent ? 0x20 : 0x30;
        return node;
    }
    four->sin_family = AF_INET;
    four->sin_addr.s_addr = htonl(good ? INADDR_LOOPBACK : silent ? 0xcb007101u : 0xc6336401u);
    return node;
}

static struct ares_addrinfo *
make_answer(int family)
{
    struct ares_addrinfo *answer = calloc(1, sizeof *answer);
    assert(answer);
    struct ares_addrinfo_node **tail = &answer->nodes;
    bool several = chance(names.weather.several);
    names.tally.several += several;
    int count = several ? 1 + (int)(draw() % ADDRESSES_MAX) : 1;
    for (int i = 0; i < count; i++) {
        *tail = make_node(family, !several || chance(400));
        tail = &(*tail)->ai_next;
    }
    return answer;
}

static void
reply(ares_addrinfo_callback call, void *user, int family)
{
    bool refused = chance(names.weather.refused), missing = chance(names.weather.missing);
    int status = refused ? (chance(512) ? ARES_ESERVFAIL : ARES_ETIMEOUT) : ARES_ENODATA;
    names.tally.refused += refused;
    names.tally.missing += missing && !refused;
    memory_leave();
    struct ares_addrinfo *answer = refused || missing ? NULL : make_answer(family);
    memory_enter();
    call(user, answer ? ARES_SUCCESS : status, 0, answer);
}

void
ares_freeaddrinfo(struct ares_addrinfo *answer)
{
    while (answer->nodes) {
        struct ares_addrinfo_node *node = answer->nodes;
        answer->nodes = node->ai_next;
        free(node->ai_addr);
        free(node);
    }
    free(answer);
}

/* ---------------------------------------------------------------- the channel */

int
ares_init_options(ares_channel *channel, struct ares_options *options, int mask)
{
    (void)options;
    (void)mask;
    if (chance(names.weather.no_channel))
        return ARES_ENOMEM;
    memory_leave();
    *channel = calloc(1, sizeof **channel);
    memory_enter();
    assert(*channel);
    return ARES_SUCCESS;
}

int
ares_set_servers_ports_csv(ares_channel channel, const char *servers)
{
    (void)channel;
    (void)servers;
    return ARES_SUCCESS;
}

void
ares_getaddrinfo(ares_channel channel, const char *name, const char *service, const struct ares_addrinfo_hints *hints,
                 ares_addrinfo_callback call, void *user)
{
    (void)name;
    (void)service;
    names.tally.asked++;
    if (chance(names.weather.at_once)) {
        reply(call, user, hints->ai_family);
        return;
    }
    bool slow = chance(names.weather.slow);
    uint64_t after_us = slow ? 100000 + draw() % 6000000 : 200 + draw() % 20000;
    names.tally.slow += slow;
    memory_leave();
    struct question *question = malloc(sizeof *question);
    memory_enter();
    assert(question);
    *question = (struct question){.next = channel->questions, .call = call, .user = user, .family = hints->ai_family,
                                  .due_us = sim_now_us(names.sim) + after_us};
    channel->questions = question;
}

struct timeval *
ares_timeout(ares_channel channel, struct timeval *most, struct timeval *out)
{
    uint64_t now_us = sim_now_us(names.sim), soonest_us = UINT64_MAX;
    (void)most;
    for (const struct question *question = channel->questions; question; question = question->next)
        soonest_us = question->due_us < soonest_us ? question->due_us : soonest_us;
    if (soonest_us == UINT64_MAX)
        return NULL;
    uint64_t left_us = soonest_us > now_us ? soonest_us - now_us : 0;
    out->tv_sec = (time_t)(left_us / 1000000);
    out->tv_usec = (suseconds_t)(left_us % 1000000);
    return out;
}

/* One question that is due, taken out; NULL: none is. */
static struct question *
take_due(ares_channel channel, bool all)
{
    for (struct question **link = &channel->questions; *link; link = &(*link)->next) {
        struct question *question = *link;
        if (!all && question->due_us > sim_now_us(names.sim))
            continue;
        *link = question->next;
        return question;
    }
    return NULL;
}

void
ares_process_fd(ares_channel channel, ares_socket_t readable, ares_socket_t writable)
{
    struct question *question;
    (void)readable;
    (void)writable;
    while ((question = take_due(channel, false))) {
        struct question due = *question;
        free(question);
        reply(due.call, due.user, due.family);
    }
}

void
ares_destroy(ares_channel channel)
{
    struct question *question;
    while ((question = take_due(channel, true))) {
        struct question due = *question;
        free(question);
        due.call(due.user, ARES_EDESTRUCTION, 0, NULL);
    }
    free(channel);
}
