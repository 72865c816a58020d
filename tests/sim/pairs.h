/* SPDX-License-Identifier: MIT
 *
 * pairs.h - the one world that a test program lives in at a time, and each client dialect with each
 * upstream dialect.
 */
#ifndef PENSTOCK_SIM_PAIRS_H
#define PENSTOCK_SIM_PAIRS_H

#include "tests/sim/harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ONE_TRY "router_settings: {num_retries: 0, cooldown_time: 0}\n"

#define FOR_EACH_PAIR for (int pair = 0; pair < 4; pair++)
#define CLIENT_OF(pair) ((pair)&1 ? SPEAKS_MESSAGES : SPEAKS_CHAT)
#define MODEL_OF(pair) ((pair)&2 ? "claude" : "chat")
#define PORT_OF(pair) ((pair)&2 ? WORLD_CLAUDE_PORT : WORLD_CHAT_PORT)

static struct world world;

/* What a well-meaning provider tells whoever asks with mark-1. */
static const struct tale five = {.marker = "mark-1", .words = 5};

static inline struct client *
asks(enum dialect_spoken dialect, const char *model, bool stream)
{
    struct client *client = client_connect(&world, dialect);
    client_ask(client, (struct asking){.model = model, .marker = "mark-1", .stream = stream});
    return client;
}

static inline struct provider *
serves(uint16_t port, provider_plan *plan)
{
    struct provider *provider = world_provider(&world, port);
    provider_serve(provider, plan);
    return provider;
}

/* A number in a field of the n-th answer; UINT64_MAX when it is not there. */
static inline uint64_t
field_of(const struct client *client, uint32_t n, const char *name)
{
    struct answer answer;
    assert_true(client_answer(client, n, &answer));
    struct slice value = answer_field(&answer, name);
    uint64_t number = slice_present(value) ? strtoull(value.ptr, NULL, 10) : UINT64_MAX;
    answer_fini(&answer);
    return number;
}

/* The first part of a stream in one chunk that is not ended, as far as this share of its body. */
static inline void
say_first_part(struct visit *visit, struct tale tale, size_t share, size_t of)
{
    struct sink body, reply;
    tale.dialect = visit->provider->dialect;
    tale.marker = visit->marker;
    sink_init(&body, SIZE_MAX / 2);
    sink_init(&reply, SIZE_MAX / 2);
    tale_put(&tale, &body);
    reply_put(&reply, 200, "text/event-stream", "",
              slice_take(sink_slice(&body), body.len * share / of), FRAMED_CHUNKED, SIZE_MAX / 2);
    say(visit, slice_take(sink_slice(&reply), reply.len - strlen("0\r\n\r\n")));
    sink_fini(&body);
    sink_fini(&reply);
}

#endif
