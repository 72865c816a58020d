/* SPDX-License-Identifier: MIT
 *
 * provider.c - scripted upstreams: they take requests apart in their own plain way and answer with
 * a list of steps.
 */
#include "tests/sim/scripts.h"

#include <stdio.h>
#include <stdlib.h>

/* ---------------------------------------------------------------- steps */

static void
add_step(struct visit *visit, enum step_kind kind, size_t amount)
{
    if (visit->step_count == visit->step_room) {
        visit->step_room = visit->step_room ? visit->step_room * 2 : 16;
        visit->steps = realloc(visit->steps, visit->step_room * sizeof *visit->steps);
        assert(visit->steps);
    }
    visit->steps[visit->step_count++] = (struct step){kind, amount};
}

void
say(struct visit *visit, struct slice bytes)
{
    sink_put(&visit->bytes, bytes);
    if (bytes.len)
        add_step(visit, STEP_SEND, bytes.len);
}

void
say_text(struct visit *visit, const char *text)
{
    say(visit, slice_from(text));
}

void
wait_ms(struct visit *visit, uint64_t ms)
{
    if (ms)
        add_step(visit, STEP_WAIT, ms);
}

void
say_paced(struct visit *visit, struct slice bytes, size_t piece, uint64_t gap_ms)
{
    for (; bytes.len > 0; bytes = slice_skip(bytes, piece)) {
        say(visit, slice_take(bytes, piece));
        wait_ms(visit, bytes.len > piece ? gap_ms : 0);
    }
}

void
say_end(struct visit *visit, enum step_kind kind)
{
    add_step(visit, kind, 0);
}

/* ---------------------------------------------------------------- a visit */

struct slice
text_before(struct slice text, const char *what)
{
    const char *at = text.len ? memmem(text.ptr, text.len, what, strlen(what)) : NULL;
    return at ? slice_of(text.ptr, (size_t)(at - text.ptr)) : SLICE_NONE;
}

static void
find_marker(struct visit *visit)
{
    const char *at = visit->body.len ? memmem(visit->body.ptr, visit->body.len, "mark-", 5) : NULL;
    size_t n = 0;
    for (; at && at + n < visit->body.ptr + visit->body.len && n < sizeof visit->marker - 1 &&
           at[n] != ' ' && at[n] != '"';
         n++)
        visit->marker[n] = at[n];
    visit->marker[n] = '\0';
}

/* The next whole request in what was received; false: not yet. */
static bool
take_request(struct visit *visit)
{
    const struct sink *heard = visit->wire ? visit->provider->wire->hear(visit->wire) : sim_peer_in(visit->peer);
    struct slice in = slice_skip(sink_slice(heard), visit->consumed);
    struct slice head = text_before(in, "\r\n\r\n");
    if (!slice_present(head))
        return false;
    struct slice line = text_before(in, "\r\n");
    struct answer fields = {.head = head};
    struct slice given = answer_field(&fields, "content-length");
    size_t length = slice_present(given) ? strtoul(given.ptr, NULL, 10) : 0;
    if (in.len < head.len + 4 + length)
        return false;
    struct slice method = text_before(line, " /");
    bool json = slice_starts(answer_field(&fields, "content-type"), SLICE_LIT("application/json"));
    assert(slice_present(method) && slice_ends(line, SLICE_LIT(" HTTP/1.1")));
    visit->consumed += head.len + 4 + length;
    visit->request = head;
    visit->target = slice_of(line.ptr + method.len + 1, line.len - method.len - 10);
    visit->body = slice_take(slice_skip(in, head.len + 4), length);
    visit->streams = visit->provider->dialect == SPEAKS_GEMINI
                         ? slice_present(text_before(visit->target, ":streamGenerateContent"))
                         : slice_is(raw_find(visit->body, "stream"), "true");
    assert(!json || raw_whole(visit->body));
    find_marker(visit);
    return true;
}

static void advance(struct visit *visit);

static void
begin_reply(struct visit *visit)
{
    struct provider *provider = visit->provider;
    visit->answering = true;
    visit->step_count = visit->at = 0;
    visit->sent = 0;
    sink_reset(&visit->bytes, 65536);
    provider->plan(visit);
    advance(visit);
}

static void
look_for_request(struct visit *visit)
{
    if (visit->answering || visit->gone || !take_request(visit))
        return;
    visit->provider->requests++;
    begin_reply(visit);
}

static void
speak(struct visit *visit, struct slice bytes)
{
    if (visit->wire)
        visit->provider->wire->say(visit->wire, bytes);
    else
        sim_peer_send(visit->peer, bytes);
}

static void
advance(struct visit *visit)
{
    while (visit->at < visit->step_count && sim_peer_alive(visit->peer)) {
        const struct step *step = &visit->steps[visit->at++];
        switch (step->kind) {
        case STEP_SEND:
            speak(visit, slice_take(slice_skip(sink_slice(&visit->bytes), visit->sent), step->amount));
            visit->sent += step->amount;
            break;
        case STEP_WAIT:
            sim_peer_timer(visit->peer, step->amount);
            return;
        case STEP_FIN:
            if (visit->wire)
                visit->provider->wire->end(visit->wire);
            sim_peer_close(visit->peer);
            return;
        case STEP_RESET:
            sim_peer_reset(visit->peer);
            return;
        case STEP_NEXT:
            visit->answering = false;
            look_for_request(visit);
            return;
        }
    }
}

static void
visit_gone(struct visit *visit)
{
    if (visit->gone)
        return;
    visit->gone = true;
    visit->gone_us = sim_now_us(visit->provider->world->sim);
    visit->provider->last_gone_us = visit->gone_us;
    visit->provider->live--;
}

static void
on_opened(struct sim_peer *peer)
{
    struct provider *provider = sim_peer_user(peer);
    struct visit *visit = calloc(1, sizeof *visit);
    assert(visit);
    *visit = (struct visit){.next = provider->visits,
                            .provider = provider,
                            .peer = peer,
                            .number = provider->connections++};
    sink_init(&visit->bytes, SIZE_MAX / 2);
    provider->visits = visit;
    provider->live++;
    sim_peer_set_user(peer, visit);
    if (provider->deaf)
        sim_peer_stop_reading(peer, true);
    if (provider->wire)
        visit->wire = provider->wire->open(visit);
    if (provider->early)
        begin_reply(visit);
}

static void
on_bytes(struct sim_peer *peer)
{
    struct visit *visit = sim_peer_user(peer);
    if (visit->wire) /* a handshake goes on while a reply is under way, too */
        (void)visit->provider->wire->hear(visit->wire);
    look_for_request(visit);
}

static void
on_ended(struct sim_peer *peer)
{
    struct visit *visit = sim_peer_user(peer);
    visit->ended = true;
    visit_gone(visit);
    if (!visit->answering)
        sim_peer_close(peer);
}

static void
on_reset(struct sim_peer *peer)
{
    visit_gone(sim_peer_user(peer));
}

static void
on_timer(struct sim_peer *peer)
{
    advance(sim_peer_user(peer));
}

static const struct sim_script provider_script = {on_opened, on_bytes, on_ended, on_reset,
                                                  on_timer};

void
provider_serve(struct provider *provider, provider_plan *plan)
{
    provider->plan = plan;
    sim_accept_on(provider->world->sim, provider->port, &provider_script, provider, false);
}

void
provider_refuse(struct provider *provider)
{
    sim_accept_on(provider->world->sim, provider->port, &provider_script, provider, true);
}

enum dialect_spoken
provider_dialect(const struct provider *provider)
{
    return provider->dialect;
}

/* ---------------------------------------------------------------- replies */

void
reply_put(struct sink *out, int status, const char *type, const char *fields, struct slice body,
          enum reply_framing framing, size_t chunk)
{
    sink_printf(out, "HTTP/1.1 %d Whatever\r\nContent-Type: %s\r\n%s", status, type, fields);
    if (framing == FRAMED_LENGTH)
        sink_printf(out, "Content-Length: %zu\r\n\r\n", body.len);
    else if (framing == FRAMED_CLOSE)
        sink_text(out, "Connection: close\r\n\r\n");
    else
        sink_text(out, "Transfer-Encoding: chunked\r\n\r\n");
    if (framing != FRAMED_CHUNKED) {
        sink_put(out, body);
        return;
    }
    for (; body.len > 0; body = slice_skip(body, chunk)) {
        struct slice piece = slice_take(body, chunk);
        sink_printf(out, "%zx\r\n", piece.len);
        sink_put(out, piece);
        sink_text(out, "\r\n");
    }
    sink_text(out, "0\r\n\r\n");
}

/* ---------------------------------------------------------------- plans */

void
plan_tale(struct visit *visit, struct tale tale, size_t piece, uint64_t gap_ms)
{
    struct sink body, reply;
    sink_init(&body, SIZE_MAX / 2);
    sink_init(&reply, SIZE_MAX / 2);
    tale.dialect = visit->provider->dialect;
    tale.marker = visit->marker;
    tale.whole = !visit->streams;
    tale_put(&tale, &body);
    reply_put(&reply, 200, tale.whole ? "application/json" : "text/event-stream", "",
              sink_slice(&body), tale.whole ? FRAMED_LENGTH : FRAMED_CHUNKED, 1000);
    say_paced(visit, sink_slice(&reply), piece, gap_ms);
    say_end(visit, STEP_NEXT);
    sink_fini(&body);
    sink_fini(&reply);
}

void
plan_well(struct visit *visit)
{
    plan_tale(visit, (struct tale){.words = 5}, SIZE_MAX / 2, 0);
}

void
plan_slow(struct visit *visit)
{
    plan_tale(visit, (struct tale){.words = 5}, 200, 1000);
}

void
plan_silent(struct visit *visit)
{
    (void)visit;
}

void
plan_reset(struct visit *visit)
{
    say_end(visit, STEP_RESET);
}

void
plan_close(struct visit *visit)
{
    say_end(visit, STEP_FIN);
}

void
plan_status(struct visit *visit, int status, const char *fields, const char *body)
{
    struct sink reply;
    sink_init(&reply, SIZE_MAX / 2);
    reply_put(&reply, status, "application/json", fields, slice_from(body), FRAMED_LENGTH, 0);
    say(visit, sink_slice(&reply));
    say_end(visit, STEP_NEXT);
    sink_fini(&reply);
}

void
scripts_free(struct world *world)
{
    while (world->providers) {
        struct provider *provider = world->providers;
        world->providers = provider->next;
        while (provider->visits) {
            struct visit *visit = provider->visits;
            provider->visits = visit->next;
            if (visit->wire)
                provider->wire->free(visit->wire);
            free(visit->steps);
            sink_fini(&visit->bytes);
            free(visit);
        }
        free(provider);
    }
    clients_free(world);
}
