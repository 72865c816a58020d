/* SPDX-License-Identifier: MIT
 *
 * test_storm.c - many small worlds, each made by a seed: a few clients, three providers, and every
 * kind of weather.
 *
 * Whatever happens, every client that stays gets exactly one well-formed ending for each request,
 * with text that is its own, or sees its connection end for a reason; and when all have gone,
 * nothing is left behind.
 *
 *     test_sim_storm [part parts]   this share of the worlds, e.g. 1 2: the first half
 *     PENSTOCK_SIM_SEEDS=n          how many worlds (default 5,000)
 *     PENSTOCK_SIM_FIRST=seed       the first of them
 *     PENSTOCK_SIM_SEED=seed        this one only: what a failure prints
 */
#include "tests/sim/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLIENTS_MAX 6
#define REQUESTS_MAX 4
#define WORLD_MS (3600 * 1000) /* a slow client is not a dead one */

enum wish { WISH_REPLY, WISH_LOCAL, WISH_REFUSED, WISH_MALFORMED /* no dialect can be known */ };

struct request {
    char marker[32];
    enum wish wish;
    bool stream, http10, last; /* last: no request can follow on this connection */
    struct sink bytes;
};

struct guest { /* a client with its plans */
    struct client *client;
    struct request requests[REQUESTS_MAX];
    uint32_t count, asked;
    bool pipelines, half_closes, pauses, stops;
    size_t piece;
    uint64_t gap_ms;
    size_t heard;
    struct client *again; /* came back for the rest of the stream that it lost; NULL */
    uint32_t lost;        /* which of its requests that was */
};

struct storm {
    struct world world;
    struct guest guests[CLIENTS_MAX];
    uint32_t count;
    struct sim_faults faults;
    const char *yaml;
    bool tight;   /* memory may run out */
    bool drained; /* the gateway was told to end */
    bool slept;   /* all deadlines passed at once */
    bool early;   /* a provider speaks before it is asked, so its words have no owner */
};

static struct storm storm;
static uint64_t storm_returns; /* clients that came back and got something */

static uint64_t
pick(uint64_t n)
{
    return sim_random(storm.world.sim) % n;
}

static bool
chance(unsigned percent)
{
    return pick(100) < percent;
}

/* ---------------------------------------------------------------- what is true of a marker alone
 */

static uint64_t
hash(const char *marker)
{
    uint64_t value = 1469598103934665603u;
    for (; *marker; marker++)
        value = (value ^ (unsigned char)*marker) * 1099511628211u;
    return value ^ value >> 29;
}

/* However often a request is tried again, the words are the same. */
static struct tale
tale_of(const char *marker)
{
    uint64_t bits = hash(marker);
    struct tale tale = {.marker = marker, .words = (int)(bits % 12)};
    if (bits % 16 == 0)
        tale.words = 100;
    if (bits >> 8 & 1)
        tale.padding = (bits >> 16) % 400;
    if ((bits >> 9) % 32 == 0)
        tale.padding = 5000;
    return tale;
}

/* ---------------------------------------------------------------- providers */

static void
plan_fails(struct visit *visit)
{
    static const int statuses[] = {400, 401, 404, 413, 429, 500, 502, 503, 529, 302};
    static const char *const fields[] = {"", "Retry-After: 1\r\n", "Connection: close\r\n",
                                         "x-should-retry: false\r\n"};
    static const char *const bodies[] = {
        "",
        "{\"error\":{\"message\":\"no\",\"type\":\"server_error\",\"code\":null,\"param\":null}}",
        "<html>Bad gateway</html>",
        "{\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"no\"}}",
        "{\"error\":{\"message\":\"long\",\"type\":\"x\",\"code\":\"context_length_exceeded\"}}"};
    plan_status(visit, statuses[pick(countof(statuses))], fields[pick(countof(fields))],
                bodies[pick(countof(bodies))]);
}

/* What is said may be cut, at any byte, in any of four ways. */
static void
say_some(struct visit *visit, struct slice reply)
{
    static const size_t pieces[] = {1, 7, 100, 700, 5000, SIZE_MAX / 2};
    static const uint64_t gaps[] = {0, 0, 1, 10, 100, 1500};
    size_t piece = pieces[pick(countof(pieces))];
    uint64_t gap_ms = gaps[pick(countof(gaps))];
    if (piece < reply.len / 50)
        piece = reply.len / 50;
    unsigned cut = chance(25) ? 1 + (unsigned)pick(4) : 0;
    if (cut)
        reply = slice_take(reply, pick(reply.len + 1));
    say_paced(visit, reply, piece, gap_ms);
    if (cut == 1)
        say_end(visit, STEP_FIN);
    else if (cut == 2)
        say_end(visit, STEP_RESET);
    else if (cut == 3)
        say_text(visit, "\r\n\r\n}{garbage\r\n\r\n");
}

static void
plan_storm(struct visit *visit)
{
    struct sink body, reply;
    if (visit->provider->early && chance(50))
        visit->streams = true;
    if (chance(5))
        return;
    if (chance(3)) {
        say_end(visit, chance(50) ? STEP_FIN : STEP_RESET);
        return;
    }
    wait_ms(visit, chance(30) ? pick(3000) : 0);
    if (chance(12)) {
        plan_fails(visit);
        return;
    }
    sink_init(&body, SIZE_MAX / 2);
    sink_init(&reply, SIZE_MAX / 2);
    struct tale tale = tale_of(visit->marker);
    tale.dialect = visit->provider->dialect;
    tale.whole = chance(3) ? visit->streams : !visit->streams;
    tale.tool = chance(10);
    tale.end = chance(5) ? TALE_ERROR_EVENT : chance(5) ? TALE_CUT_CALL : TALE_WELL;
    tale_put(&tale, &body);
    if (chance(10))
        sink_text(&reply, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
    enum reply_framing framing = (enum reply_framing)pick(3);
    reply_put(&reply, 200, tale.whole ? "application/json" : "text/event-stream", "",
              sink_slice(&body), framing, 1 + pick(3000));
    say_some(visit, sink_slice(&reply));
    if (framing == FRAMED_CLOSE || chance(10))
        say_end(visit, STEP_FIN);
    wait_ms(visit, chance(20) ? pick(300) : 0);
    if (chance(10)) /* a kept connection that dies while it is kept */
        say_end(visit, chance(50) ? STEP_FIN : STEP_RESET);
    say_end(visit, STEP_NEXT);
    sink_fini(&body);
    sink_fini(&reply);
}

/* ---------------------------------------------------------------- clients */

static void
ask_next(struct guest *guest)
{
    struct request *request = &guest->requests[guest->asked++];
    bool last = guest->asked == guest->count;
    guest->client->half_close_when_sent = last && guest->half_closes;
    client_say_later(guest->client, sink_slice(&request->bytes), guest->piece, guest->gap_ms,
                     chance(50) ? 0 : pick(800));
}

static void
heard(struct client *client)
{
    struct guest *guest = client->user;
    if (guest->stops && chance(20)) {
        client_stop_reading(client, true);
        return;
    }
    bool sending = client->out_at < client->out.len;
    if (guest->pauses && !sending && !client->pausing && chance(30)) {
        client_pause(client, 1 + pick(chance(30) ? 3000 : 200));
        return;
    }
    if (!sending && guest->asked < guest->count && client_finished(client, guest->asked) &&
        !client_over(client))
        ask_next(guest);
}

static void
make_request(struct guest *guest, struct request *request, uint32_t guest_number, uint32_t number)
{
    static const char *const names[] = {"chat", "chat",  "claude",  "claude",
                                        "pair", "spare", "nonesuch"};
    static const char *const paths[] = {"/health",        "/v1/models",    "/metrics",
                                        "/debug/streams", "/health/ready", "/nowhere"};
    sink_init(&request->bytes, SIZE_MAX / 2);
    snprintf(request->marker, sizeof request->marker, "mark-%llu-%u-%u",
             (unsigned long long)storm.world.seed, guest_number, number);
    if (chance(7)) {
        sink_printf(&request->bytes, "GET %s HTTP/1.1\r\nHost: g\r\n\r\n",
                    paths[pick(countof(paths))]);
        request->wish = WISH_LOCAL;
        return;
    }
    if (chance(5)) {
        static const char *const bad[] = {
            "POST /v1/chat/completions HTTP/1.1\r\nHost: g\r\nContent-Length: 3\r\n\r\n{}}",
            "POST / HTTP/1.1\r\nHost: g\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GARBAGE\r\n\r\n",
            "POST /v1/messages HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "POST /v1/messages HTTP/1.1\r\nHost: g\r\nContent-Length: 99999999999\r\n\r\n"};
        uint64_t which = pick(countof(bad));
        sink_text(&request->bytes, bad[which]);
        request->wish = WISH_MALFORMED;
        request->last = which > 0;
        return;
    }
    struct asking asking = {.model = names[pick(countof(names))],
                            .marker = request->marker,
                            .stream = chance(70),
                            .usage = chance(30),
                            .chunked = chance(20),
                            .close = chance(10),
                            .http10 = chance(8)};
    asking.chunked = asking.chunked && !asking.http10;
    asking.count_tokens = guest->client->dialect == SPEAKS_MESSAGES && chance(8);
    asking.padding = chance(20) ? pick(30000) : 0;
    if (chance(1))
        asking.padding = 300000;
    asking_put(guest->client, &asking, &request->bytes);
    request->wish = asking.count_tokens                     ? WISH_LOCAL
                    : strcmp(asking.model, "nonesuch") == 0 ? WISH_REFUSED
                                                            : WISH_REPLY;
    request->stream = asking.stream && !asking.count_tokens;
    request->http10 = asking.http10;
    request->last = asking.close || asking.http10;
}

static void
make_guest(struct guest *guest, uint32_t number)
{
    static const size_t pieces[] = {1, 10, 300, 4000, SIZE_MAX / 2, SIZE_MAX / 2, SIZE_MAX / 2};
    memset(guest, 0, sizeof *guest);
    struct client *client = guest->client =
        client_connect(&storm.world, chance(50) ? SPEAKS_CHAT : SPEAKS_MESSAGES);
    client->user = guest;
    guest->count = chance(5) ? 0 : 1 + (uint32_t)pick(chance(30) ? REQUESTS_MAX : 1);
    for (uint32_t i = 0; i < guest->count; i++) {
        make_request(guest, &guest->requests[i], number, i);
        if (guest->requests[i].last)
            guest->count = i + 1;
    }
    guest->piece = pieces[pick(countof(pieces))];
    guest->gap_ms = chance(50) ? 0 : pick(20);
    guest->pipelines = chance(20);
    guest->half_closes = chance(15);
    guest->pauses = chance(20);
    guest->stops = chance(4);
    if (guest->count && guest->requests[0].bytes.len / guest->piece > 300)
        guest->piece = 1000;
    client->heard = heard;
    if (chance(strstr(storm.yaml, "resume:") ? 60 : 25)) {
        client->leave_after = 1 + pick(chance(50) ? 200 : 5000);
        client->leave_by_reset = chance(30);
    }
    client->close_when_sent = chance(5);
    if (guest->count == 0)
        return;
    for (uint32_t i = 1; guest->pipelines && i < guest->count; i++)
        sink_put(&guest->requests[0].bytes, sink_slice(&guest->requests[i].bytes));
    if (guest->pipelines) {
        guest->asked = guest->count - 1;
        struct sink swap = guest->requests[0].bytes;
        guest->requests[0].bytes = guest->requests[guest->asked].bytes;
        guest->requests[guest->asked].bytes = swap;
    }
    ask_next(guest);
}

/* ---------------------------------------------------------------- judging */

static void
blame(const struct guest *guest, uint32_t n, const char *why, const char *more)
{
    struct slice heard_all = client_heard(guest->client);
    fprintf(stderr, "client %td of %u, request %u of %u (%s%s, %s): %s %s\n", guest - storm.guests,
            storm.count, n, guest->count, guest->requests[n].stream ? "stream" : "whole",
            guest->pipelines ? ", pipelined" : "", guest->requests[n].marker, why, more);
    fprintf(stderr,
            "ended %d reset %d left %d half-closed %d stops %d pauses %d; heard %zu bytes:\n%.*s\n",
            guest->client->ended, guest->client->reset, guest->client->left,
            guest->client->half_closed, guest->stops, guest->pauses, heard_all.len,
            SLICE_ARG(slice_skip(heard_all, heard_all.len > 2500 ? heard_all.len - 2500 : 0)));
    abort(); /* the handler says how to replay it */
}

static bool
is_text_of(const struct guest *guest, uint32_t n, const struct telling *telling, bool all)
{
    struct sink text;
    struct tale tale = tale_of(guest->requests[n].marker);
    sink_init(&text, SIZE_MAX / 2);
    tale_text(&tale, &text);
    struct slice got = sink_slice(&telling->text);
    bool right = slice_starts(sink_slice(&text), got) && (!all || got.len == text.len);
    sink_fini(&text);
    return right;
}

/* May this connection have ended without an answer to a request that was sent? */
static bool
excused(const struct guest *guest, uint32_t n)
{
    const struct client *client = guest->client;
    if (client->left || guest->stops || guest->pauses) /* whoever does not read may be dropped */
        return true;
    if (client->reset && (storm.faults.reset || storm.faults.accept_fail))
        return true;
    if (storm.tight || storm.faults.memory || storm.drained || storm.slept)
        return true;
    if (n == 0)
        return guest->count == 0;
    /* After an answer that closes the connection, or an error in a stream, no more is heard. */
    struct answer before;
    bool closes = false;
    if (client_answer(client, n - 1, &before)) {
        struct slice connection = answer_field(&before, "connection");
        struct telling telling;
        client_told(client, n - 1, &telling);
        closes = slice_is(connection, "close") || telling.how == TOLD_ERROR;
        telling_fini(&telling);
        answer_fini(&before);
    }
    return closes;
}

static void
judge_answer(const struct guest *guest, uint32_t n, const struct answer *answer,
             const struct telling *telling)
{
    const struct request *request = &guest->requests[n];
    bool broken = guest->stops || (client_over(guest->client) && excused(guest, n));
    bool unknown = request->wish == WISH_MALFORMED || answer->status == 408 ||
                   (storm.drained && answer->status == 503); /* no dialect was known yet */
    bool noise =
        storm.early &&
        answer->status == 200; /* lines that no reader knows pass through, as they should */
    if (telling->how == TOLD_WRONG && request->wish != WISH_LOCAL && !unknown && !noise)
        blame(guest, n, "wrong", telling->wrong);
    if (!answer->complete && !(answer->until_close && client_over(guest->client)) && !broken)
        blame(guest, n, "incomplete", "");
    if (request->wish == WISH_LOCAL)
        return;
    if (unknown) {
        if (answer->complete && answer->status < 400)
            blame(guest, n, "was not refused", "");
        return;
    }
    if (request->wish == WISH_REFUSED && answer->complete &&
        (answer->status < 400 || telling->how != TOLD_ERROR))
        blame(guest, n, "was not refused", "");
    if (telling->how == TOLD_OPEN && !broken)
        blame(guest, n, "has no ending", "");
    if (answer->complete && telling->how == TOLD_WELL && answer->status != 200)
        blame(guest, n, "a strange status", "");
    if (request->wish == WISH_REPLY && !storm.early &&
        !is_text_of(guest, n, telling, telling->how == TOLD_WELL))
        blame(guest, n, "text of somebody else, or lost", "");
}

static void
judge(const struct guest *guest)
{
    const struct client *client = guest->client;
    uint32_t asked = guest->pipelines ? guest->count : guest->asked;
    for (uint32_t n = 0; n < asked; n++) {
        struct answer answer;
        struct telling telling;
        if (!client_answer(client, n, &answer)) {
            if (!client_over(client) && !guest->stops)
                blame(guest, n, "was never answered", "");
            if (!excused(guest, n))
                blame(guest, n, "was not answered, and the connection ended", "");
            return;
        }
        client_told(client, n, &telling);
        judge_answer(guest, n, &answer, &telling);
        telling_fini(&telling);
        answer_fini(&answer);
    }
    struct answer more; /* nothing may follow that was not asked for; a malformed request may be
                           answered twice */
    if (asked > 0 && guest->requests[asked - 1].wish != WISH_MALFORMED &&
        client_answer(client, asked, &more))
        blame(guest, asked - 1, "something follows the last answer", "");
}

static bool
all_done(void *user)
{
    (void)user;
    for (uint32_t i = 0; i < storm.count; i++) {
        struct guest *guest = &storm.guests[i];
        struct client *client = guest->client;
        size_t len = client_heard(client).len;
        if (client_over(client) || guest->count == 0)
            continue;
        if (guest->heard == len || guest->asked < guest->count)
            return false;
        guest->heard = len; /* look again only when there is more */
        if (!client_finished(client, guest->count))
            return false;
        guest->heard = 0;
    }
    return true;
}

/* ---------------------------------------------------------------- coming back */

/* Who has lost its connection in the middle of a numbered stream asks for the rest of it. */
static void
come_back(struct guest *guest)
{
    struct answer answer;
    uint32_t n = 0;
    char id[64], request[256];
    if (guest->again || !guest->client->left)
        return;
    for (bool complete = true; complete && n < guest->asked; n += complete) { /* the one that was cut */
        if (!client_answer(guest->client, n, &answer))
            return;
        complete = answer.complete;
        answer_fini(&answer);
    }
    if (n == guest->asked || !client_answer(guest->client, n, &answer))
        return;
    bool numbered = guest->requests[n].stream && guest->requests[n].wish == WISH_REPLY &&
                    whole_events(sink_slice(&answer.body), id) > 0;
    bool chat = guest->client->dialect == SPEAKS_CHAT;
    answer_fini(&answer);
    if (!numbered)
        return;
    guest->lost = n;
    guest->again = client_connect(&storm.world, guest->client->dialect);
    snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: g\r\nContent-Length: 0\r\nLast-Event-ID: %s\r\n\r\n",
             chance(50) ? "GET" : "POST", chat ? "/v1/chat/completions" : "/v1/messages", id);
    client_say_paced(guest->again, slice_from(request), chance(20) ? 10 : SIZE_MAX / 2, 1);
    if (chance(20))
        guest->again->leave_after = 1 + pick(2000);
}

static bool
all_back(void *user)
{
    (void)user;
    for (uint32_t i = 0; i < storm.count; i++) {
        if (storm.guests[i].again && !client_finished(storm.guests[i].again, 1))
            return false;
    }
    return true;
}

/* What it had and what it got are the stream, or as much of it as it stayed for. */
static void
judge_return(const struct guest *guest)
{
    struct answer before, after;
    struct telling telling;
    char id[64];
    if (!guest->again || !client_answer(guest->again, 0, &after))
        return; /* its connection was lost, or never came to be */
    if (after.status == 200) {
        bool had = client_answer(guest->client, guest->lost, &before);
        assert(had);
        struct sink all = before.body;
        all.len = whole_events(sink_slice(&all), id);
        before.body = (struct sink){0};
        sink_put(&all, sink_slice(&after.body));
        telling_read(&telling, guest->client->dialect, sink_slice(&all));
        bool whole = telling.how == TOLD_WELL || telling.how == TOLD_ERROR;
        if (telling.how == TOLD_WRONG && !storm.early)
            blame(guest, guest->lost, "wrong after coming back", telling.wrong);
        if (after.complete && !whole && !storm.early)
            blame(guest, guest->lost, "has no ending after coming back", "");
        if (!storm.early && !is_text_of(guest, guest->lost, &telling, telling.how == TOLD_WELL))
            blame(guest, guest->lost, "text of somebody else, or lost, after coming back", "");
        storm_returns++;
        telling_fini(&telling);
        answer_fini(&before);
        sink_fini(&all);
    } else if (after.complete && after.status < 400) {
        blame(guest, guest->lost, "a strange status after coming back", "");
    }
    answer_fini(&after);
}

/* ---------------------------------------------------------------- worlds */

static const char *const yamls[] = {
    "router_settings: {cooldown_time: 1}\n"
    "penstock:\n"
    "  timeouts: {request: 30s, connect: 1s, first_byte: 4s, idle: 4s, keepalive: 1s, drain: 2s, "
    "commit: 1500ms, head: 5s, body: 5s, client_idle: 5s}\n"
    "  retry: {base: 5ms, max: 50ms}\n",
    "router_settings: {cooldown_time: 0, num_retries: 0}\n"
    "penstock:\n"
    "  timeouts: {request: 20s, connect: 500ms, first_byte: 1s, idle: 1s, keepalive: 300ms, drain: "
    "1s, commit: 300ms, head: 5s, body: 5s, upstream_idle: 500ms}\n"
    "  limits: {queue: 16KiB, upstream_connections: 1, upstream_queue: 2, upstream_idle: 1, body: "
    "20KiB}\n"
    "  retry: {base: 1ms, max: 1ms}\n",
    "router_settings: {num_retries: 4, routing_strategy: order, fallbacks: [{chat: [spare]}, "
    "{pair: [claude]}], context_window_fallbacks: [{chat: [claude]}]}\n"
    "penstock:\n"
    "  timeouts: {request: 60s, connect: 2s, first_byte: 10s, idle: 10s, keepalive: 2s, drain: 3s, "
    "commit: 3s, head: 5s, body: 5s}\n"
    "  limits: {upstream_connections: 2, upstream_queue: 1, error: 1KiB}\n"
    "  sse: {ids: false}\n"
    "  retry: {base: 10ms, max: 100ms}\n",
    "penstock:\n"
    "  timeouts: {request: 30s, connect: 1s, first_byte: 4s, idle: 4s, keepalive: 1s, drain: 2s, "
    "commit: 1500ms, head: 5s, body: 5s}\n"
    "  limits: {memory: 4MiB, queue: 64KiB}\n"
    "  retry: {base: 5ms, max: 50ms}\n",
    /* And with streams that outlive their clients. */
    "penstock:\n"
    "  timeouts: {request: 30s, connect: 1s, first_byte: 4s, idle: 4s, keepalive: 1s, drain: 2s, "
    "commit: 1500ms, head: 5s, body: 5s, client_idle: 5s}\n"
    "  sse: {resume: 10s}\n"
    "  limits: {resume: 16KiB}\n"
    "  retry: {base: 5ms, max: 50ms}\n",
    "router_settings: {cooldown_time: 0, num_retries: 1}\n"
    "penstock:\n"
    "  timeouts: {request: 20s, connect: 500ms, first_byte: 2s, idle: 3s, keepalive: 300ms, drain: "
    "1s, commit: 300ms, head: 5s, body: 5s}\n"
    "  sse: {resume: 3s}\n"
    "  limits: {queue: 16KiB, resume_streams: 3, memory: 8MiB}\n"
    "  retry: {base: 1ms, max: 1ms}\n",
};

static unsigned
fault(unsigned percent, unsigned most)
{
    return chance(percent) ? (unsigned)pick(most + 1) : 0;
}

static void
make_weather(void)
{
    static const size_t windows[] = {0, 0, 0, 300, 2000, 10000};
    if (chance(20))
        return;
    storm.faults = (struct sim_faults){.short_read = fault(50, 600),
                                       .short_write = fault(50, 600),
                                       .again = fault(40, 300),
                                       .reset = fault(30, 8),
                                       .connect_refused = fault(30, 300),
                                       .connect_slow = fault(20, 200),
                                       .accept_fail = fault(15, 200),
                                       .late_event = fault(30, 200),
                                       .memory = fault(10, 60),
                                       .window = windows[pick(countof(windows))]};
}

static void
run_seed(uint64_t seed)
{
    memset(&storm, 0, sizeof storm);
    storm.yaml = yamls[seed % countof(yamls)];
    world_open(&storm.world, seed, NULL, storm.yaml);
    make_weather();
    sim_set_faults(storm.world.sim, &storm.faults);
    for (struct provider *provider = storm.world.providers; provider; provider = provider->next) {
        provider_serve(provider, plan_storm);
        provider->early = chance(2);
        storm.early = storm.early || provider->early;
        if (chance(5))
            sim_black_hole(storm.world.sim, provider->port);
        else if (chance(5))
            provider_refuse(provider);
    }
    if (chance(5)) { /* the pool is nearly nothing */
        storm.tight = true;
        storm.world.worker->loop.pool.chunks_max = 4 + pick(60);
    }
    storm.count = 1 + (uint32_t)pick(CLIENTS_MAX);
    for (uint32_t i = 0; i < storm.count; i++)
        make_guest(&storm.guests[i], i);
    if (chance(10)) {
        world_run(&storm.world, pick(3000));
        worker_take_generation(storm.world.worker, world_generation(storm.yaml));
    }
    if (chance(5)) { /* the machine was asleep */
        world_run(&storm.world, pick(3000));
        storm.slept = true;
        sim_jump(storm.world.sim, pick(100) * 1000000);
    }
    if (chance(8)) {
        world_run(&storm.world, pick(5000));
        storm.drained = true;
        storm.world.gateway.draining = true;
        worker_drain(storm.world.worker, chance(20));
        if (chance(30)) {
            world_run(&storm.world, pick(5000));
            worker_drain(storm.world.worker, true);
        }
    }
    bool resumes = strstr(storm.yaml, "resume:") != NULL;
    for (int round = 0; resumes && round < 3; round++) {
        world_run(&storm.world, pick(1500));
        for (uint32_t i = 0; i < storm.count; i++)
            come_back(&storm.guests[i]);
    }
    world_until(&storm.world, all_done, NULL, WORLD_MS);
    for (uint32_t i = 0; resumes && i < storm.count; i++)
        come_back(&storm.guests[i]);
    if (!all_back(NULL) && !world_until(&storm.world, all_back, NULL, WORLD_MS)) {
        fprintf(stderr, "whoever came back was never told the end\n");
        abort();
    }
    for (uint32_t i = 0; i < storm.count; i++) {
        judge(&storm.guests[i]);
        judge_return(&storm.guests[i]);
        for (uint32_t k = 0; k < REQUESTS_MAX; k++)
            sink_fini(&storm.guests[i].requests[k].bytes);
    }
    world_close(&storm.world);
}

static uint64_t
number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

int
main(int argc, char **argv)
{
    uint64_t first = number_of("PENSTOCK_SIM_FIRST", 0),
             count = number_of("PENSTOCK_SIM_SEEDS", 5000);
    if (argc == 3) {
        uint64_t part = strtoull(argv[1], NULL, 10), parts = strtoull(argv[2], NULL, 10);
        assert(part >= 1 && part <= parts);
        uint64_t begin = count * (part - 1) / parts;
        count = count * part / parts - begin;
        first += begin;
    }
    if (getenv("PENSTOCK_SIM_SEED")) {
        first = number_of("PENSTOCK_SIM_SEED", 0);
        count = 1;
    }
    for (uint64_t seed = first; seed < first + count; seed++)
        run_seed(seed);
    printf("%llu worlds, %llu streams were resumed\n", (unsigned long long)count, (unsigned long long)storm_returns);
    return 0;
}
