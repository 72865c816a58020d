/* SPDX-License-Identifier: MIT
 *
 * storm_guests.c - what clients do in a storm.
 */
#include "tests/sim/storm.h"

#include <stdio.h>

/* ---------------------------------------------------------------- clients */

static void
ask_next(struct guest *guest)
{
    struct request *request = &guest->requests[guest->asked++];
    bool last = guest->asked == guest->count;
    guest->client->half_close_when_sent = last && guest->half_closes;
    client_say_later(guest->client, sink_slice(&request->bytes), guest->piece, guest->gap_ms,
                     storm_chance(50) ? 0 : storm_pick(800));
}

static void
heard(struct client *client)
{
    struct guest *guest = client->user;
    if (guest->stops && storm_chance(20)) {
        client_stop_reading(client, true);
        return;
    }
    bool sending = client->out_at < client->out.len;
    if (guest->pauses && !sending && !client->pausing && storm_chance(30)) {
        client_pause(client, 1 + storm_pick(storm_chance(30) ? 3000 : 200));
        return;
    }
    if (!sending && guest->asked < guest->count && client_finished(client, guest->asked) &&
        !client_over(client))
        ask_next(guest);
}

static void
make_request(struct guest *guest, struct request *request, uint32_t guest_number, uint32_t number)
{
    static const char *const names[] = {"chat", "claude", "answers", "gemini", "pair", "all", "spare", "nonesuch"};
    static const char *const paths[] = {"/health",        "/v1/models",    "/metrics",
                                        "/debug/streams", "/health/ready", "/nowhere"};
    sink_init(&request->bytes, SIZE_MAX / 2);
    snprintf(request->marker, sizeof request->marker, "mark-%llu-%u-%u",
             (unsigned long long)storm.world.seed, guest_number, number);
    if (storm_chance(7)) {
        sink_printf(&request->bytes, "GET %s HTTP/1.1\r\nHost: g\r\n\r\n",
                    paths[storm_pick(countof(paths))]);
        request->wish = WISH_LOCAL;
        return;
    }
    if (storm_chance(5)) {
        static const char *const bad[] = {
            "POST /v1/chat/completions HTTP/1.1\r\nHost: g\r\nContent-Length: 3\r\n\r\n{}}",
            "POST / HTTP/1.1\r\nHost: g\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GARBAGE\r\n\r\n",
            "POST /v1/messages HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "POST /v1/messages HTTP/1.1\r\nHost: g\r\nContent-Length: 99999999999\r\n\r\n"};
        uint64_t which = storm_pick(countof(bad));
        sink_text(&request->bytes, bad[which]);
        request->wish = WISH_MALFORMED;
        request->last = which > 0;
        return;
    }
    struct asking asking = {.model = names[storm_pick(countof(names))],
                            .marker = request->marker,
                            .stream = storm_chance(70),
                            .usage = storm_chance(30),
                            .chunked = storm_chance(20),
                            .close = storm_chance(10),
                            .http10 = storm_chance(8)};
    asking.chunked = asking.chunked && !asking.http10;
    asking.count_tokens = guest->client->dialect == SPEAKS_MESSAGES && storm_chance(8);
    asking.array = storm_chance(30);
    asking.padding = storm_chance(20) ? storm_pick(30000) : 0;
    if (storm_chance(1))
        asking.padding = 300000;
    asking_put(guest->client, &asking, &request->bytes);
    request->wish = asking.count_tokens                     ? WISH_LOCAL
                    : strcmp(asking.model, "nonesuch") == 0 ? WISH_REFUSED
                                                            : WISH_REPLY;
    request->stream = asking.stream && !asking.count_tokens;
    request->usage = asking.usage;
    request->http10 = asking.http10;
    request->last = asking.close || asking.http10;
}

void
guest_make(struct guest *guest, uint32_t number)
{
    static const size_t pieces[] = {1, 10, 300, 4000, SIZE_MAX / 2, SIZE_MAX / 2, SIZE_MAX / 2};
    memset(guest, 0, sizeof *guest);
    struct client *client = guest->client =
        client_connect(&storm.world, (enum dialect_spoken)storm_pick(4));
    client->user = guest;
    guest->count = storm_chance(5) ? 0 : 1 + (uint32_t)storm_pick(storm_chance(30) ? REQUESTS_MAX : 1);
    for (uint32_t i = 0; i < guest->count; i++) {
        make_request(guest, &guest->requests[i], number, i);
        if (guest->requests[i].last)
            guest->count = i + 1;
    }
    guest->piece = pieces[storm_pick(countof(pieces))];
    guest->gap_ms = storm_chance(50) ? 0 : storm_pick(20);
    guest->pipelines = storm_chance(20);
    guest->half_closes = storm_chance(15);
    guest->pauses = storm_chance(20);
    guest->stops = storm_chance(4);
    if (guest->count && guest->requests[0].bytes.len / guest->piece > 300)
        guest->piece = 1000;
    client->heard = heard;
    if (storm_chance(strstr(storm.yaml, "resume:") ? 60 : 25)) {
        client->leave_after = 1 + storm_pick(storm_chance(50) ? 200 : 5000);
        client->leave_by_reset = storm_chance(30);
    }
    client->close_when_sent = storm_chance(5);
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

bool
guests_done(void *user)
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

void
guest_come_back(struct guest *guest)
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
    static const char *const paths[] = {"/v1/chat/completions", "/v1/messages", "/v1/responses"};
    enum dialect_spoken dialect = guest->client->dialect;
    answer_fini(&answer);
    if (!numbered || dialect == SPEAKS_GEMINI)
        return;
    guest->lost = n;
    guest->again = client_connect(&storm.world, guest->client->dialect);
    snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: g\r\nContent-Length: 0\r\nLast-Event-ID: %s\r\n\r\n",
             storm_chance(50) && dialect != SPEAKS_RESPONSES ? "GET" : "POST", paths[dialect], id);
    client_say_paced(guest->again, slice_from(request), storm_chance(20) ? 10 : SIZE_MAX / 2, 1);
    if (storm_chance(20))
        guest->again->leave_after = 1 + storm_pick(2000);
}

bool
guests_back(void *user)
{
    (void)user;
    for (uint32_t i = 0; i < storm.count; i++) {
        if (storm.guests[i].again && !client_finished(storm.guests[i].again, 1))
            return false;
    }
    return true;
}

