/* SPDX-License-Identifier: MIT
 *
 * client.c - scripted clients: they send in pieces, read, pause, half-close, reset or leave, and
 * their answers are read back by the tests' own readers.
 */
#include "tests/sim/scripts.h"

#include <stdio.h>
#include <stdlib.h>

/* ---------------------------------------------------------------- sending */

static void
send_on(struct client *client)
{
    struct sim_peer *peer = client->peer;
    struct slice rest = slice_skip(sink_slice(&client->out), client->out_at);
    if (!sim_peer_alive(peer) || client->half_closed)
        return;
    if (rest.len > 0) {
        struct slice piece = slice_take(rest, client->piece);
        sim_peer_send(peer, piece);
        client->out_at += piece.len;
        if (rest.len > piece.len) {
            sim_peer_timer(peer, client->gap_ms);
            return;
        }
    }
    if (client->close_when_sent)
        client_leave(client);
    else if (client->half_close_when_sent)
        client_half_close(client);
}

static void
on_bytes(struct sim_peer *peer)
{
    struct client *client = sim_peer_user(peer);
    client->heard_ms = world_ms(client->world);
    if (client->leave_after && sim_peer_in(peer)->len >= client->leave_after) {
        client->leave_after = 0;
        if (client->leave_by_reset)
            client_reset(client);
        else
            client_leave(client);
        return;
    }
    if (client->heard)
        client->heard(client);
}

static void
on_ended(struct sim_peer *peer)
{
    struct client *client = sim_peer_user(peer);
    client->ended = true;
    sim_peer_close(peer);
}

static void
on_reset(struct sim_peer *peer)
{
    struct client *client = sim_peer_user(peer);
    client->reset = true;
}

static void
on_timer(struct sim_peer *peer)
{
    struct client *client = sim_peer_user(peer);
    if (client->pausing) {
        client->pausing = false;
        client_stop_reading(client, false);
    }
    send_on(client);
}

static const struct sim_script client_script = {NULL, on_bytes, on_ended, on_reset, on_timer};

struct client *
client_connect(struct world *world, enum dialect_spoken dialect)
{
    struct client *client = calloc(1, sizeof *client);
    assert(client);
    *client = (struct client){
        .next = world->clients, .world = world, .dialect = dialect, .piece = SIZE_MAX};
    sink_init(&client->out, SIZE_MAX / 2);
    world->clients = client;
    client->peer = sim_connect(world->sim, WORLD_PORT, &client_script, client);
    return client;
}

void
client_say_paced(struct client *client, struct slice bytes, size_t piece, uint64_t gap_ms)
{
    bool busy = client->out_at < client->out.len;
    client->piece = piece;
    client->gap_ms = gap_ms;
    sink_put(&client->out, bytes);
    assert(!client->out.error);
    if (!busy)
        send_on(client);
}

void
client_say_later(struct client *client, struct slice bytes, size_t piece, uint64_t gap_ms,
                 uint64_t after_ms)
{
    assert(client->out_at == client->out.len);
    client->piece = piece;
    client->gap_ms = gap_ms;
    sink_put(&client->out, bytes);
    sim_peer_timer(client->peer, after_ms);
}

void
client_pause(struct client *client, uint64_t ms)
{
    client->pausing = true;
    client_stop_reading(client, true);
    sim_peer_timer(client->peer, ms);
}

void
client_say(struct client *client, struct slice bytes)
{
    client_say_paced(client, bytes, SIZE_MAX, 0);
}

static void
put_prompt(const struct asking *asking, struct sink *body)
{
    sink_printf(body, "%s ", asking->marker ? asking->marker : "mark-0");
    for (size_t i = 0; i < asking->padding; i++)
        sink_byte(body, (char)('A' + i % 26));
}

static void
put_body(enum dialect_spoken dialect, const struct asking *asking, struct sink *body)
{
    const char *stream = asking->stream ? "true" : "false";
    switch (dialect) {
    case SPEAKS_GEMINI:
        sink_text(body, "{\"generationConfig\":{\"maxOutputTokens\":100},\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"");
        put_prompt(asking, body);
        sink_text(body, "\"}]}]}");
        return;
    case SPEAKS_RESPONSES:
        sink_printf(body, "{\"model\":\"%s\",\"store\":false,\"max_output_tokens\":100,\"stream\":%s,\"input\":\"",
                    asking->model, stream);
        put_prompt(asking, body);
        sink_text(body, "\"}");
        return;
    case SPEAKS_CHAT:
    case SPEAKS_MESSAGES:
        break;
    }
    sink_printf(body, "{\"model\":\"%s\",", asking->model);
    if (!asking->count_tokens)
        sink_printf(body, "\"max_tokens\":100,\"stream\":%s,", stream);
    if (asking->usage)
        sink_text(body, "\"stream_options\":{\"include_usage\":true},");
    sink_text(body, "\"messages\":[{\"role\":\"user\",\"content\":\"");
    put_prompt(asking, body);
    sink_text(body, "\"}]}");
}

static void
put_path(enum dialect_spoken dialect, const struct asking *asking, struct sink *out)
{
    if (dialect == SPEAKS_GEMINI)
        sink_printf(out, "/v1beta/models/%s:%s", asking->model,
                    !asking->stream ? "generateContent" : asking->array ? "streamGenerateContent" : "streamGenerateContent?alt=sse");
    else
        sink_text(out, dialect == SPEAKS_CHAT        ? "/v1/chat/completions"
                       : dialect == SPEAKS_RESPONSES ? "/v1/responses"
                       : asking->count_tokens        ? "/v1/messages/count_tokens"
                                                     : "/v1/messages");
}

void
asking_put(const struct client *client, const struct asking *asking, struct sink *out)
{
    struct sink body;
    sink_init(&body, SIZE_MAX / 2);
    put_body(client->dialect, asking, &body);
    sink_text(out, "POST ");
    put_path(client->dialect, asking, out);
    sink_printf(out, " HTTP/1.%d\r\nHost: gateway\r\nContent-Type: application/json\r\n%s%s%s", asking->http10 ? 0 : 1,
                client->dialect == SPEAKS_MESSAGES ? "anthropic-version: 2023-06-01\r\n" : "",
                asking->close ? "Connection: close\r\n" : "", asking->fields ? asking->fields : "");
    if (asking->chunked) {
        struct slice rest = sink_slice(&body);
        sink_text(out, "Transfer-Encoding: chunked\r\n\r\n");
        for (; rest.len > 0; rest = slice_skip(rest, 100)) {
            struct slice piece = slice_take(rest, 100);
            sink_printf(out, "%zx\r\n%.*s\r\n", piece.len, SLICE_ARG(piece));
        }
        sink_text(out, "0\r\n\r\n");
    } else {
        sink_printf(out, "Content-Length: %zu\r\n\r\n", body.len);
        sink_put(out, sink_slice(&body));
    }
    sink_fini(&body);
}

void
client_ask(struct client *client, struct asking asking)
{
    struct sink out;
    sink_init(&out, SIZE_MAX / 2);
    asking_put(client, &asking, &out);
    client_say(client, sink_slice(&out));
    sink_fini(&out);
}

void
client_half_close(struct client *client)
{
    client->half_closed = true;
    sim_peer_half_close(client->peer);
}

void
client_leave(struct client *client)
{
    client->left = true;
    sim_peer_close(client->peer);
}

void
client_reset(struct client *client)
{
    client->left = true;
    sim_peer_reset(client->peer);
}

void
client_stop_reading(struct client *client, bool stop)
{
    sim_peer_stop_reading(client->peer, stop);
}

/* ---------------------------------------------------------------- what came back */

struct slice
client_heard(const struct client *client)
{
    return sink_slice(sim_peer_in(client->peer));
}

bool
client_over(const struct client *client)
{
    return client->ended || client->reset || client->left;
}

bool
client_answer(const struct client *client, uint32_t n, struct answer *answer)
{
    struct slice rest = client_heard(client);
    for (uint32_t i = 0;; i++) {
        if (!answer_read(answer, &rest, client->ended)) {
            answer_fini(answer);
            return false;
        }
        if (i == n)
            return true;
        bool go_on = answer->complete && !answer->wrong;
        answer_fini(answer);
        if (!go_on)
            return false;
    }
}

void
client_told(const struct client *client, uint32_t n, struct telling *telling)
{
    struct answer answer;
    if (!client_answer(client, n, &answer)) {
        *telling = (struct telling){.how = TOLD_NOTHING};
        return;
    }
    struct slice type = answer_field(&answer, "content-type");
    if (slice_starts(type, SLICE_LIT("text/event-stream"))) {
        telling_read(telling, client->dialect, sink_slice(&answer.body));
        bool ends_with_body = client->dialect == SPEAKS_GEMINI && telling->how == TOLD_OPEN && telling->finish[0];
        if (ends_with_body && answer.complete)
            telling->how = TOLD_WELL;
        /* A stream that was told to its end must also have been framed to its end. */
        if (!answer.complete && !answer.until_close &&
            (telling->how == TOLD_WELL || telling->how == TOLD_ERROR))
            telling->how = TOLD_OPEN;
        else if (answer.complete && telling->how != TOLD_WELL && telling->how != TOLD_ERROR &&
                 telling->how != TOLD_WRONG && !answer.until_close) {
            telling->how = TOLD_WRONG;
            snprintf(telling->wrong, sizeof telling->wrong,
                     "the body is complete, the stream is not");
        }
    } else if (answer.body.len > 0 && answer.body.ptr[0] == '[') {
        telling_read_array(telling, sink_slice(&answer.body));
    } else {
        telling_read_whole(telling, client->dialect, &answer);
    }
    if (answer.wrong) {
        telling->how = TOLD_WRONG;
        snprintf(telling->wrong, sizeof telling->wrong, "%s", answer.wrong);
    }
    answer_fini(&answer);
}

size_t
whole_events(struct slice body, char id[64])
{
    size_t end = 0;
    char number[64] = "";
    id[0] = '\0';
    for (size_t at = 0; at < body.len;) {
        const char *line_end = memchr(body.ptr + at, '\n', body.len - at);
        if (!line_end)
            break;
        size_t next = (size_t)(line_end - body.ptr) + 1;
        struct slice line = slice_of(body.ptr + at, next - at - 1);
        if (slice_starts(line, SLICE_LIT("id: ")))
            snprintf(number, sizeof number, "%.*s", SLICE_ARG(slice_skip(line, 4)));
        if (line.len == 0 && number[0]) {
            snprintf(id, 64, "%s", number);
            end = next;
        }
        at = next;
    }
    return end;
}

bool
client_finished(const struct client *client, uint32_t n)
{
    struct answer answer;
    if (client_over(client))
        return true;
    if (n == 0 || !client_answer(client, n - 1, &answer))
        return false;
    bool complete = answer.complete;
    answer_fini(&answer);
    return complete;
}

struct awaited {
    const struct client *client;
    uint32_t n;
    size_t len; /* what was looked at: reading it again for every tick would take long */
    bool over;
};

static bool
awaited_came(void *user)
{
    struct awaited *awaited = user;
    size_t len = client_heard(awaited->client).len;
    bool over = client_over(awaited->client);
    if (len == awaited->len && over == awaited->over)
        return false;
    awaited->len = len;
    awaited->over = over;
    return client_finished(awaited->client, awaited->n);
}

static void
show(const struct client *client)
{
    struct slice heard = client_heard(client);
    fprintf(stderr, "seed %llu: the client %s%s%sheard %zu bytes, the last of them:\n%.*s\n",
            (unsigned long long)client->world->seed, client->ended ? "was left, " : "",
            client->reset ? "was reset, " : "", client->left ? "has left, " : "", heard.len,
            SLICE_ARG(slice_skip(heard, heard.len > 3000 ? heard.len - 3000 : 0)));
}

void
client_await(struct client *client, uint32_t n, uint64_t ms)
{
    struct awaited awaited = {.client = client, .n = n, .len = SIZE_MAX};
    if (client_finished(client, n) || world_until(client->world, awaited_came, &awaited, ms))
        return;
    show(client);
    assert(!"the client never got its answer");
}

void
client_expect(struct client *client, uint32_t n, int status, enum told told, const char *code)
{
    static const char *const names[] = {"nothing", "open", "well", "error", "wrong"};
    struct answer answer = {0};
    struct telling telling;
    client_told(client, n, &telling);
    bool any = client_answer(client, n, &answer);
    int got = any ? answer.status : 0;
    bool right = got == status && telling.how == told && (!code || strcmp(code, telling.code) == 0);
    if (!right) {
        show(client);
        fprintf(stderr, "expected %d %s %s, got %d %s %s %s\n", status, names[told],
                code ? code : "", got, names[telling.how], telling.code, telling.wrong);
    }
    if (any)
        answer_fini(&answer);
    telling_fini(&telling);
    assert(right);
}

void
client_expect_text(struct client *client, uint32_t n, const struct tale *tale)
{
    struct sink text;
    struct telling telling;
    sink_init(&text, SIZE_MAX / 2);
    tale_text(tale, &text);
    client_told(client, n, &telling);
    bool right = slice_eq(sink_slice(&text), sink_slice(&telling.text));
    if (!right) {
        show(client);
        fprintf(stderr, "expected the text %.*s\ngot %.*s\n",
                SLICE_ARG(slice_take(sink_slice(&text), 400)),
                SLICE_ARG(slice_take(sink_slice(&telling.text), 400)));
    }
    sink_fini(&text);
    telling_fini(&telling);
    assert(right);
}

void
clients_free(struct world *world)
{
    while (world->clients) {
        struct client *client = world->clients;
        world->clients = client->next;
        sink_fini(&client->out);
        free(client);
    }
}
