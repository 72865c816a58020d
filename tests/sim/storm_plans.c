/* SPDX-License-Identifier: MIT
 *
 * storm_plans.c - what providers do in a storm.
 */
#include "tests/sim/storm.h"

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

struct tale
storm_tale(const char *marker)
{
    uint64_t bits = hash(marker);
    struct tale tale = {.marker = marker, .words = (int)(bits % 12)};
    if (bits % 16 == 0)
        tale.words = 100;
    if (bits >> 8 & 1)
        tale.padding = (bits >> 16) % 400;
    if ((bits >> 9) % 16 == 0)
        tale.padding = tale.words < 100 || (bits >> 24) % 8 == 0 ? 5000 : tale.padding;
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
    plan_status(visit, statuses[storm_pick(countof(statuses))], fields[storm_pick(countof(fields))],
                bodies[storm_pick(countof(bodies))]);
}

/* What is said may be cut, at any byte, in any of four ways. */
static void
say_some(struct visit *visit, struct slice reply)
{
    static const size_t pieces[] = {1, 7, 100, 700, 5000, SIZE_MAX / 2};
    static const uint64_t gaps[] = {0, 0, 1, 10, 100, 1500};
    size_t piece = pieces[storm_pick(countof(pieces))];
    uint64_t gap_ms = gaps[storm_pick(countof(gaps))];
    if (piece < reply.len / 50)
        piece = reply.len / 50;
    unsigned cut = storm_chance(25) ? 1 + (unsigned)storm_pick(4) : 0;
    if (cut)
        reply = slice_take(reply, storm_pick(reply.len + 1));
    say_paced(visit, reply, piece, gap_ms);
    if (cut == 1)
        say_end(visit, STEP_FIN);
    else if (cut == 2)
        say_end(visit, STEP_RESET);
    else if (cut == 3)
        say_text(visit, "\r\n\r\n}{garbage\r\n\r\n");
}

void
plan_storm(struct visit *visit)
{
    struct sink body, reply;
    if (visit->provider->early && storm_chance(50))
        visit->streams = true;
    if (storm_chance(5))
        return;
    if (storm_chance(3)) {
        say_end(visit, storm_chance(50) ? STEP_FIN : STEP_RESET);
        return;
    }
    wait_ms(visit, storm_chance(30) ? storm_pick(3000) : 0);
    if (storm_chance(12)) {
        plan_fails(visit);
        return;
    }
    sink_init(&body, SIZE_MAX / 2);
    sink_init(&reply, SIZE_MAX / 2);
    struct tale tale = storm_tale(visit->marker);
    tale.dialect = visit->provider->dialect;
    tale.whole = storm_chance(3) ? visit->streams : !visit->streams;
    tale.tool = storm_chance(10);
    tale.end = storm_chance(5) ? TALE_ERROR_EVENT : storm_chance(5) ? TALE_CUT_CALL : TALE_WELL;
    tale_put(&tale, &body);
    if (storm_chance(10))
        sink_text(&reply, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
    enum reply_framing framing = (enum reply_framing)storm_pick(3);
    reply_put(&reply, 200, tale.whole ? "application/json" : "text/event-stream", "",
              sink_slice(&body), framing, 1 + storm_pick(3000));
    say_some(visit, sink_slice(&reply));
    if (framing == FRAMED_CLOSE || storm_chance(10))
        say_end(visit, STEP_FIN);
    wait_ms(visit, storm_chance(20) ? storm_pick(300) : 0);
    if (storm_chance(10)) /* a kept connection that dies while it is kept */
        say_end(visit, storm_chance(50) ? STEP_FIN : STEP_RESET);
    say_end(visit, STEP_NEXT);
    sink_fini(&body);
    sink_fini(&reply);
}

