/* SPDX-License-Identifier: MIT
 *
 * storm_judge.c - what must have come of a storm for each client.
 */
#include "tests/sim/storm.h"

#include <stdio.h>
#include <stdlib.h>

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
            SLICE_ARG(slice_skip(heard_all, heard_all.len > 6000 ? heard_all.len - 6000 : 0)));
    if (guest->again) {
        heard_all = client_heard(guest->again);
        fprintf(stderr, "having come back it heard %zu bytes:\n%.*s\n", heard_all.len,
                SLICE_ARG(slice_skip(heard_all, heard_all.len > 6000 ? heard_all.len - 6000 : 0)));
    }
    abort(); /* the handler says how to replay it */
}

static bool
is_text_of(const struct guest *guest, uint32_t n, const struct telling *telling, bool all)
{
    struct sink text;
    struct tale tale = storm_tale(guest->requests[n].marker);
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
    if (client->reset && (storm.faults.reset || storm.faults.accept_fail || storm.faults.vanish))
        return true;
    if (storm.tight || storm.faults.memory || storm.starved || storm.drained || storm.slept)
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
                   ((storm.drained || storm.starved) && answer->status == 503); /* no dialect was known yet */
    bool noise =
        storm.early &&
        answer->status == 200; /* lines that no reader knows pass through, as they should */
    /* Without memory for its words a refusal is its status. */
    bool speechless = storm.starved && answer->complete && answer->status >= 400 && answer->body.len == 0;
    if (speechless)
        return;
    if (telling->how == TOLD_WRONG && request->wish != WISH_LOCAL && !unknown && !noise)
        blame(guest, n, "wrong", telling->wrong);
    if (telling->late && !storm.tight && !storm.faults.memory && !storm.starved)
        blame(guest, n, "an error after the finish", telling->code);
    if (telling->usage && guest->client->dialect == SPEAKS_CHAT && request->stream && !request->usage && answer->status == 200 && !noise)
        blame(guest, n, "usage that was not asked for", "");
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

void
judge_guest(const struct guest *guest)
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

/* What it had and what it got are the stream, or as much of it as it stayed for. */
bool
judge_return(const struct guest *guest)
{
    struct answer before, after;
    struct telling telling;
    char id[64];
    if (!guest->again || !client_answer(guest->again, 0, &after))
        return false; /* its connection was lost, or never came to be */
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
        telling_fini(&telling);
        answer_fini(&before);
        sink_fini(&all);
    } else if (after.complete && after.status < 400) {
        blame(guest, guest->lost, "a strange status after coming back", "");
    }
    bool resumed = after.status == 200;
    answer_fini(&after);
    return resumed;
}

