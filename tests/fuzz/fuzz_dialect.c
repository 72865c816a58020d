/* SPDX-License-Identifier: MIT
 *
 * fuzz_dialect.c - one dialect over any bytes, built once for each (FUZZ_DIALECT): its requests read
 * and written for every upstream; its replies, streamed, whole and errors, read and written for
 * every client as the gateway does it, filters and guard in between.
 *
 * What must hold: no assert; every request and every body written is JSON; every stream is one by
 * the grammar of its dialect, with one ending; the splits of the bytes make no difference.
 *
 * Input: a byte that says what and how, one that chooses options, splits and which clients, then the
 * text.
 */
#include "gateway/conform.h"
#include "providers/dialect.h"
#include "sse/sse.h"
#include "tests/fuzz/fuzz.h"
#include "tests/golden/drive.h"

#include <stdio.h>
#include <stdlib.h>

#define CLIENTS DIALECT_COUNT
#define UPSTREAMS DIALECT_OPENAI_TEXT /* the dialects before it are spoken by upstreams */
#define BYTES_MAX 65536u

enum way { WAY_REQUEST, WAY_STREAM, WAY_BODY, WAY_ERROR };

/* The request that replies answer: a tool whose name no provider takes, and a free-form one. */
static const char asked[] =
    "{\"model\":\"m\",\"input\":\"x\",\"tools\":["
    "{\"type\":\"function\",\"name\":\"look.up in a very long book of names that goes on and on!!\","
    "\"parameters\":{\"type\":\"object\"}},{\"type\":\"custom\",\"name\":\"shell\"}]}";

static const char *
name_of(int dialect)
{
    return dialect_of((enum dialect_id)dialect)->name;
}

static void
must_be_json(struct slice text, const char *what, int other)
{
    struct json_scan scan;
    if (json_scan(text, 200, &scan) == 0)
        return;
    fprintf(stderr, "%s, %s and %s: no JSON: %.*s\n", what, name_of(FUZZ_DIALECT), name_of(other),
            SLICE_ARG(slice_take(text, 2000)));
    abort();
}

/* ---------------------------------------------------------------- requests */

static struct dialect_upstream
upstream_for(uint8_t choice)
{
    static const struct slice defaults =
        SLICE_LIT("{\"temperature\":1,\"max_tokens\":7,\"x\":{}}");
    return (struct dialect_upstream){
        .model = SLICE_LIT("claude-opus-4-5"),
        .api_key = SLICE_LIT("k"),
        .max_output_tokens = choice & 64 ? 3000 : 0,
        .max_completion_tokens = choice & 1,
        .usage_in_stream = choice & 2,
        .strict_turns = choice & 4,
        .extra_fields = choice & 8,
        .top_k = choice & 16,
        .developer_role = choice & 32,
        .replay_reasoning = choice & 1,
        .effort = (enum dialect_effort)(choice & 3),
        .keeps_state = choice & 4,
        .ids = choice & 8 ? IDS_NINE : IDS_ANY,
        .forced_choice = choice & 16,
        .system_parts = choice & 2,
        .flat_content = choice & 1,
        .thinking_level = choice & 32,
        .json_schema = choice & 4,
        .result_media = choice & 8,
        .url_media = choice & 1,
        .strip_tool_fields = choice & 2,
        .thinking_budget_max = choice & 16 ? 4096 : 0,
        .grounding = choice & 64 ? SWITCH_ON : SWITCH_UNSET,
        .surface = choice & 32 ? SURFACE_VERTEX : choice & 128 ? SURFACE_AZURE : SURFACE_PLAIN,
        .project = SLICE_LIT("p"),
        .location = SLICE_LIT("l"),
        .api_version = SLICE_LIT("2025-01-01"),
        .betas = choice & 16 ? SLICE_LIT("a, b") : SLICE_NONE,
        .default_params = choice & 128 ? defaults : SLICE_NONE,
    };
}

static void
write_for(const struct canon_request *request, const struct dialect_upstream *upstream, int to)
{
    const struct dialect *dialect = dialect_of((enum dialect_id)to);
    struct canon_report report = {0};
    struct canon_fault fault = {0};
    struct sink out;
    sink_init(&out, 16u << 20);
    if (dialect->write_request(request, upstream, &out, &report, &fault) == 0)
        must_be_json(sink_slice(&out), "request", to);
    sink_reset(&out, 0);
    if (dialect->write_count &&
        dialect->write_count(request, upstream, &out, &report, &fault) == 0)
        must_be_json(sink_slice(&out), "count", to);
    sink_fini(&out);
}

static void
fuzz_request(struct slice body, uint8_t how, uint8_t choice)
{
    const struct dialect *client = dialect_of(FUZZ_DIALECT);
    struct dialect_upstream upstream = upstream_for(choice);
    struct arena arena;
    struct canon_fault fault = {0};
    struct canon_request request = {.body = body, .arena = &arena};
    if (how & 4 || FUZZ_DIALECT == DIALECT_GEMINI) { /* the path said it */
        request.model = SLICE_LIT("m");
        request.stream = how & 8;
    }
    arena_init(&arena, 16u << 20);
    if (json_parse(body, 64, 1u << 18, &arena, &request.root) == 0 &&
        client->outline(&request, &fault) == 0) {
        struct sink out;
        sink_init(&out, 16u << 20);
        assert(slice_present(request.model));
        (void)estimate_tokens(&request);
        if (client->pass_request && client->pass_request(&request, &upstream, &out) == 0)
            must_be_json(sink_slice(&out), "passed request", FUZZ_DIALECT);
        sink_reset(&out, 0);
        if (client->read_request(&request, &fault) == 0)
            for (int to = 0; to < UPSTREAMS; to++)
                write_for(&request, &upstream, to);
        sink_fini(&out);
    }
    arena_fini(&arena);
}

/* ---------------------------------------------------------------- replies */

/* Does this event end its stream, for who goes by what the data says? */
static bool
is_ending(enum dialect_id client, struct slice data, struct arena *arena)
{
    static const char *const words[] = {"message_stop", "response.completed", "response.incomplete",
                                        "response.failed"};
    bool messages = client == DIALECT_ANTHROPIC;
    struct json root;
    if (client == DIALECT_OPENAI_CHAT || client == DIALECT_OPENAI_TEXT)
        return slice_is(data, "[DONE]");
    if (json_parse(data, 128, 1u << 20, arena, &root) != 0)
        return false;
    struct json type = json_get(root, "type");
    for (size_t i = messages ? 0 : 1; i < (messages ? 1 : countof(words)); i++)
        if (json_is(type, words[i]))
            return true;
    return messages && json_is(type, "error");
}

/* One ending: what ends this dialect's streams stands at the end, and nowhere else. */
static const char *
one_ending(enum dialect_id client, struct slice text)
{
    struct sse_decoder decoder;
    struct sse_event event;
    struct arena arena;
    int count = 0, behind = 0;
    if (client == DIALECT_GEMINI)
        return NULL;
    sse_decoder_init(&decoder, 64u << 20);
    arena_init(&arena, 64u << 20);
    while (sse_decode(&decoder, &text, &event) == 1) {
        bool ending = event.dispatched && is_ending(client, event.data, &arena);
        behind += event.dispatched && count > 0 && !ending;
        count += ending;
        arena_reset(&arena);
    }
    arena_fini(&arena);
    sse_decoder_fini(&decoder);
    return count == 0 ? "no ending" : count > 1 ? "several endings" : behind ? "something behind the end" : NULL;
}

static const char *
judge(enum dialect_id client, struct slice text)
{
    static char why[512];
    if (client == DIALECT_OPENAI_CHAT)
        return judge_chat(text);
    if (client == DIALECT_OPENAI_RESPONSES)
        return judge_responses(text);
    if (client == DIALECT_GEMINI)
        return judge_gemini(text);
    if (client == DIALECT_OPENAI_TEXT) /* conform reads one choice only */
        return one_ending(client, text);
    struct arena arena;
    struct conform_told told;
    arena_init(&arena, 64u << 20);
    const char *fault = conform_stream(CONFORM_ANTHROPIC, text, false, &arena, &told);
    /* A call may be cut where the reply says that it was. */
    bool cut = slice_is(told.finish, "max_tokens") || slice_is(told.finish, "model_context_window_exceeded");
    if (fault && cut && slice_starts(slice_from(fault), SLICE_LIT("the arguments of a tool call")))
        fault = NULL;
    if (fault) {
        snprintf(why, sizeof why, "%s", fault);
        fault = why;
    }
    conform_told_fini(&told);
    arena_fini(&arena);
    return fault;
}

static void
complain(const struct drive *drive, struct slice upstream, const char *why, struct slice a,
         struct slice b)
{
    fprintf(stderr, "%s to %s: %s\n---- from\n%.*s\n---- to\n%.*s\n---- or\n%.*s\n",
            drive->upstream->name, drive->client->name, why, SLICE_ARG(slice_take(upstream, 8000)),
            SLICE_ARG(slice_take(a, 8000)), SLICE_ARG(slice_take(b, 8000)));
    abort();
}

static void
fuzz_reply(struct drive *drive, struct slice upstream)
{
    struct drive_result whole, split;
    bool same = drive->client == drive->upstream;
    drive->split = SPLIT_NONE;
    drive_reply(drive, upstream, &whole);
    struct slice text = sink_slice(&whole.text);
    if (drive->options.stream && drive->status == 200) {
        const char *why = same ? one_ending(drive->client->id, text) : judge(drive->client->id, text);
        if (why)
            complain(drive, upstream, why, text, SLICE_LIT(""));
    } else {
        must_be_json(text, "reply", drive->client->id);
        if (whole.status != 200 && (whole.status < 400 || whole.status > 599))
            complain(drive, upstream, "a status that makes no sense", text, SLICE_LIT(""));
    }
    if (drive->framed && drive->seed % CLIENTS == drive->client->id) {
        drive->split = drive->seed & 64 ? SPLIT_BYTES : SPLIT_RANDOM;
        drive_reply(drive, upstream, &split);
        if (split.error != whole.error || !slice_eq(text, sink_slice(&split.text)))
            complain(drive, upstream, "split it differs", text, sink_slice(&split.text));
        drive_result_fini(&split);
    }
    drive_result_fini(&whole);
}

static void
fuzz_replies(enum way way, struct slice upstream, uint8_t how, uint8_t choice)
{
    struct arena arena;
    struct canon_fault fault = {0};
    struct canon_request request = {.body = slice_from(asked), .arena = &arena};
    const struct dialect *asker = dialect_of(DIALECT_OPENAI_RESPONSES);
    arena_init(&arena, 1u << 20);
    int error = json_parse(request.body, 16, 100, &arena, &request.root);
    if (error == 0)
        error = asker->outline(&request, &fault);
    if (error == 0)
        error = asker->read_request(&request, &fault);
    assert(error == 0);
    for (int client = 0; client < CLIENTS; client++) {
        if (!(choice & 128) && choice % CLIENTS != client)
            continue; /* one is five times as fast, and most inputs are about the reader */
        struct drive drive = {
            .client = dialect_of((enum dialect_id)client),
            .upstream = dialect_of(FUZZ_DIALECT),
            .think = how & 4,
            .textcall = how & 64,
            .early = how & 8 && !(how & 16),
            .framed = way == WAY_STREAM,
            .status = way == WAY_ERROR ? 400 + choice % 200 : 200,
            .seed = choice,
            .options = {.stream = !(how & 16),
                        .include_usage = how & 32,
                        .id = SLICE_LIT("abcdefghijklmnopqrstuvwx"),
                        .model = SLICE_LIT("m"),
                        .created_s = 1,
                        .placeholder_signature = choice & 2,
                        .input_estimate = choice & 4 ? 17 : 0,
                        .request = how & 128 ? &request : NULL,
                        .reasoning = (enum dialect_reasoning)(choice >> 3 & 7) % 5},
        };
        fuzz_reply(&drive, upstream);
    }
    arena_fini(&arena);
}

static void
fuzz_count(struct slice body)
{
    const struct dialect *dialect = dialect_of(FUZZ_DIALECT);
    struct arena arena;
    uint64_t tokens = 0;
    arena_init(&arena, 4u << 20);
    if (dialect->read_count && dialect->read_count(body, &arena, &tokens) == 0)
        for (int client = 0; client < CLIENTS; client++) {
            struct sink out;
            sink_init(&out, 4096);
            if (dialect_of((enum dialect_id)client)->write_count_reply) {
                dialect_of((enum dialect_id)client)->write_count_reply(tokens, &out);
                must_be_json(sink_slice(&out), "count reply", client);
            }
            sink_fini(&out);
        }
    arena_fini(&arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n < 2 || n > BYTES_MAX)
        return 0;
    enum way way = (enum way)(bytes[0] & 3);
    struct slice text = slice_of(bytes + 2, n - 2);
    bool upstream = FUZZ_DIALECT < UPSTREAMS;
    if (way == WAY_REQUEST)
        fuzz_request(text, bytes[0], bytes[1]);
    else if (upstream)
        fuzz_replies(way, text, bytes[0], bytes[1]);
    if (way == WAY_BODY && upstream)
        fuzz_count(text);
    return 0;
}
