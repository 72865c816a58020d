/* SPDX-License-Identifier: MIT
 *
 * load_answer.c - the bytes of answers: texts with their markers, chunks around events, heads
 * around bodies.
 */
#include "tools/fake_provider/load_client.h"
#include "tools/load/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARKER_MAX 72
#define CROSS_STEP 1000003u

static char *
put(char *at, struct slice bytes)
{
    memcpy(at, bytes.ptr, bytes.len);
    return at + bytes.len;
}

static char *
put_decimal(char *at, uint64_t number)
{
    char digits[20];
    int n = 0;
    do
        digits[n++] = (char)('0' + number % 10);
    while (number /= 10);
    while (n)
        *at++ = digits[--n];
    return at;
}

static char *
put_hex(char *at, size_t number)
{
    int shift = 60;
    while (shift > 0 && !(number >> shift))
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        *at++ = "0123456789abcdef"[(number >> shift) & 15];
    return at;
}

/* Which text is the n-th that is written. */
static unsigned
text_at(const struct plan *plan, unsigned n)
{
    unsigned middle = plan_middle(plan);
    switch (plan->fault) {
    case FAULT_LOSE:
        return n < middle ? n : n + 1;
    case FAULT_DOUBLE:
        return n <= middle ? n : n - 1;
    case FAULT_SWAP:
        if (middle + 1 < plan->events && (n == middle || n == middle + 1))
            return n == middle ? middle + 1 : middle;
        return n;
    default:
        return n;
    }
}

unsigned
answer_texts(const struct plan *plan)
{
    if (plan->fault == FAULT_LOSE)
        return plan->events - 1;
    return plan->fault == FAULT_DOUBLE ? plan->events + 1 : plan->events;
}

/* A text: its marker, then filling; the last text of an answer is filled with '$', so that its loss
 * can be seen. */
static char *
put_text(const struct load_client *client, char *at, unsigned n, uint64_t now_ns)
{
    const struct plan *plan = client->plan;
    unsigned number = text_at(plan, n);
    bool cross = plan->fault == FAULT_CROSS && n == plan_middle(plan);
    char *start = at;
    *at++ = '[';
    at = put_decimal(at, cross ? client->id + CROSS_STEP : client->id);
    *at++ = '.';
    at = put_decimal(at, number);
    *at++ = '.';
    at = put_decimal(at, now_ns);
    *at++ = ']';
    size_t used = (size_t)(at - start);
    size_t filling = used < plan->text_bytes ? plan->text_bytes - used : 1;
    memset(at, number + 1 == plan->events ? '$' : '-', filling);
    return at + filling;
}

static bool
remember(struct load_client *client, const char *text, size_t len)
{
    if (client->text_len + len > client->text_room) {
        size_t room = (client->text_room + len) * 2;
        char *grown = realloc(client->text, room);
        if (!grown)
            return false;
        client->text = grown;
        client->text_room = room;
    }
    memcpy(client->text + client->text_len, text, len);
    client->text_len += len;
    return true;
}

char *
answer_begin(struct load_client *client, char *at)
{
    const struct plan *plan = client->plan;
    at = put(at, plan->stream_head);
    if (!plan->begin.len)
        return at;
    at = put_hex(at, plan->begin.len);
    at = put(at, SLICE_LIT("\r\n"));
    at = put(at, plan->begin);
    return put(at, SLICE_LIT("\r\n"));
}

char *
answer_text(struct load_client *client, char *at, uint64_t now_ns)
{
    const struct plan *plan = client->plan;
    /* The text is written behind where it will stand, since the chunk's length comes first. */
    char *text = at + 16 + plan->before.len;
    char *end = put_text(client, text, client->written, now_ns);
    size_t text_len = (size_t)(end - text);
    char number[24];
    size_t number_len = 0;
    if (plan->dialect == PLAN_RESPONSES) {
        number_len = (size_t)(put_decimal(number, client->written + 4) - number);
        number_len = (size_t)(put(number + number_len, SLICE_LIT("}\n\n")) - number);
        if (!remember(client, text, text_len))
            link_close(&client->link, true);
    }
    at = put_hex(at, plan->before.len + text_len + plan->after.len + number_len);
    at = put(at, SLICE_LIT("\r\n"));
    at = put(at, plan->before);
    memmove(at, text, text_len);
    at = put(at + text_len, plan->after);
    at = put(at, slice_of(number, number_len));
    client->written++;
    return put(at, SLICE_LIT("\r\n"));
}

static char *
put_chunk(char *at, struct slice bytes)
{
    at = put_hex(at, bytes.len);
    at = put(at, SLICE_LIT("\r\n"));
    at = put(at, bytes);
    return put(at, SLICE_LIT("\r\n"));
}

/* The end of a Responses stream is as long as its text is, four times. */
static void
end_responses(struct load_client *client, char *at)
{
    size_t len;
    char *end = plan_responses_end(client->plan,
                                   slice_of(client->text ? client->text : "", client->text_len),
                                   client->written + 4, &len);
    char *all = end ? malloc(len + 64) : NULL;
    if (!all) {
        free(end);
        link_close(&client->link, true);
        return;
    }
    char *stop = put(put_chunk(all, slice_of(end, len)), SLICE_LIT("0\r\n\r\n"));
    char *scratch = client->provider->scratch;
    if (at > scratch)
        link_write(&client->link, scratch, (size_t)(at - scratch));
    link_write(&client->link, all, (size_t)(stop - all));
    free(end);
    free(all);
}

void
answer_end(struct load_client *client, char *at)
{
    const struct plan *plan = client->plan;
    if (plan->fault == FAULT_ERROR) {
        at = put_chunk(at, plan->error);
    } else if (plan->dialect == PLAN_RESPONSES) {
        end_responses(client, at);
        return;
    } else if (plan->fault != FAULT_NOEND) {
        at = put_chunk(at, plan->end);
        if (plan->fault == FAULT_TWOENDS)
            at = put_chunk(at, plan->end);
    }
    at = put(at, SLICE_LIT("0\r\n\r\n"));
    link_write(&client->link, client->provider->scratch, (size_t)(at - client->provider->scratch));
}

bool
answer_fails_here(const struct load_client *client)
{
    enum plan_fault fault = client->plan->fault;
    return client->written == plan_middle(client->plan) &&
           (fault == FAULT_CUT || fault == FAULT_RESET || fault == FAULT_STALL ||
            fault == FAULT_ERROR);
}

void
answer_whole(struct load_client *client)
{
    const struct plan *plan = client->plan;
    size_t text_max = plan->text_bytes + MARKER_MAX;
    size_t room =
        plan->whole_before.len + plan->whole_after.len + (plan->events + 1) * text_max + 512;
    char *memory = room > ANSWER_ROOM ? malloc(room) : client->provider->scratch;
    if (!memory) {
        link_close(&client->link, true);
        return;
    }
    /* The body stands behind a place for the head, which tells its length. */
    char *body = memory + 256, *at = put(body, plan->whole_before);
    uint64_t now_ns = clock_now_ns();
    for (unsigned n = 0; n < answer_texts(plan); n++)
        at = put_text(client, at, n, now_ns);
    at = put(at, plan->whole_after);
    size_t body_len = (size_t)(at - body);
    char head[256];
    int head_len = snprintf(
        head, sizeof(head),
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n%s\r\n",
        body_len, plan->close ? "Connection: close\r\n" : "");
    char *start = body - head_len;
    memcpy(start, head, (size_t)head_len);
    size_t len = (size_t)head_len + body_len;
    if (plan->fault == FAULT_CUT || plan->fault == FAULT_RESET || plan->fault == FAULT_STALL)
        len = (size_t)head_len + body_len / 2;
    link_write(&client->link, start, len);
    if (memory != client->provider->scratch)
        free(memory);
}

void
answer_status(struct load_client *client, int status, struct slice body)
{
    char answer[1024];
    int len = snprintf(
        answer, sizeof(answer),
        "HTTP/1.1 %d Asked\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%.*s",
        status, body.len, SLICE_ARG(body));
    if (len > 0 && (size_t)len < sizeof(answer))
        link_write(&client->link, answer, (size_t)len);
}
