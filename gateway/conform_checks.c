/* SPDX-License-Identifier: MIT
 *
 * conform_checks.c - the battery: each check is a row with a name, what it wants in a line, and a function that asks the
 * gateway and judges its answer.
 */
#include "gateway/conform.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>

#define TOOLS_WANTED "Please look up the weather in Paris with the tool."
#define WORDS "Hello world."
#define RESTING_MS 3000u
#define SLOW_LOOK_MS 4000u /* a slow model says something about once a second */

const char *
conform_dialect_word(enum conform_dialect dialect)
{
    static const char *const words[] = {"chat", "anthropic", "responses", "gemini", "completions"};
    return dialect < CONFORM_DIALECTS ? words[dialect] : "-";
}

static enum conform_verdict printf_like(2, 3)
fail(struct conform *conform, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(conform->detail, sizeof(conform->detail), format, list);
    va_end(list);
    return CONFORM_FAIL;
}

static enum conform_verdict
skip(struct conform *conform, const char *why)
{
    snprintf(conform->detail, sizeof(conform->detail), "%s", why);
    return CONFORM_SKIP;
}

static enum conform_verdict
judge(struct conform *conform, const char *why)
{
    return why ? fail(conform, "%s", why) : CONFORM_PASS;
}

/* ---------------------------------------------------------------- requests */

/* How one request differs from the plain one. */
struct ask {
    bool stream, tools, usage, array, http10, chunked, get, close;
    struct slice model;      /* absent: the gateway's plain model */
    const char *body, *path; /* instead of the usual; NULL */
    struct slice key;        /* instead of the user's */
};

static void
put_quoted(struct sink *out, struct slice text)
{
    sink_byte(out, '"');
    json_escape(out, text);
    sink_byte(out, '"');
}

static void
put_body(struct conform *conform, enum conform_dialect dialect, const struct ask *ask, struct sink *out)
{
    static const char schema[] = "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"}},\"required\":[\"city\"]}";
    struct slice model = slice_present(ask->model) ? ask->model : conform->model;
    const char *words = ask->tools ? TOOLS_WANTED : WORDS, *stream = ask->stream ? "true" : "false";
    if (ask->body) {
        sink_text(out, ask->body);
        return;
    }
    if (dialect != CONFORM_GEMINI) {
        sink_text(out, "{\"model\":");
        put_quoted(out, model);
        sink_printf(out, ",\"stream\":%s,", stream);
    }
    switch (dialect) {
    case CONFORM_CHAT:
        sink_printf(out, "\"max_tokens\":128,\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]", words);
        if (ask->usage)
            sink_text(out, ",\"stream_options\":{\"include_usage\":true}");
        if (ask->tools)
            sink_printf(out, ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"get_weather\",\"parameters\":%s}}],\"tool_choice\":\"required\"", schema);
        break;
    case CONFORM_ANTHROPIC:
        sink_printf(out, "\"max_tokens\":128,\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]", words);
        if (ask->tools)
            sink_printf(out, ",\"tools\":[{\"name\":\"get_weather\",\"input_schema\":%s}],\"tool_choice\":{\"type\":\"any\"}", schema);
        break;
    case CONFORM_RESPONSES:
        sink_printf(out, "\"max_output_tokens\":128,\"input\":\"%s\"", words);
        if (ask->tools)
            sink_printf(out, ",\"tools\":[{\"type\":\"function\",\"name\":\"get_weather\",\"parameters\":%s,\"strict\":false}],\"tool_choice\":\"required\"", schema);
        break;
    case CONFORM_GEMINI:
        sink_printf(out, "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"%s\"}]}],\"generationConfig\":{\"maxOutputTokens\":128}", words);
        if (ask->tools)
            sink_printf(out, ",\"tools\":[{\"functionDeclarations\":[{\"name\":\"get_weather\",\"parameters\":%s}]}],"
                             "\"toolConfig\":{\"functionCallingConfig\":{\"mode\":\"ANY\"}}", schema);
        break;
    case CONFORM_COMPLETIONS:
    default:
        sink_printf(out, "\"max_tokens\":128,\"prompt\":\"%s\"", words);
        if (ask->usage)
            sink_text(out, ",\"stream_options\":{\"include_usage\":true}");
        break;
    }
    sink_byte(out, '}');
}

static void
put_path(struct conform *conform, enum conform_dialect dialect, const struct ask *ask, struct sink *out)
{
    static const char *const paths[] = {"/v1/chat/completions", "/v1/messages", "/v1/responses", NULL, "/v1/completions"};
    struct slice model = slice_present(ask->model) ? ask->model : conform->model;
    sink_put(out, conform->target.base);
    if (ask->path) {
        sink_text(out, ask->path);
    } else if (dialect == CONFORM_GEMINI) {
        sink_printf(out, "/v1beta/models/%.*s:%s", SLICE_ARG(model), ask->stream ? "streamGenerateContent" : "generateContent");
        sink_text(out, ask->stream && !ask->array ? "?alt=sse" : "");
    } else {
        sink_text(out, paths[dialect]);
    }
}

/* The bytes of a request, in the check's arena. */
static struct slice
request_of(struct conform *conform, enum conform_dialect dialect, const struct ask *ask)
{
    struct sink out, body, path;
    struct slice key = slice_present(ask->key) ? ask->key : conform->key;
    sink_init(&out, 1u << 20);
    sink_init(&body, 1u << 20);
    sink_init(&path, 65536);
    put_body(conform, dialect, ask, &body);
    put_path(conform, dialect, ask, &path);
    sink_printf(&out, "%s %.*s HTTP/1.%d\r\nHost: %.*s\r\nAccept: */*\r\n", ask->get ? "GET" : "POST", SLICE_ARG(sink_slice(&path)),
                ask->http10 ? 0 : 1, SLICE_ARG(conform->target.authority));
    if (key.len > 0)
        sink_printf(&out, "%s%.*s\r\n", dialect == CONFORM_ANTHROPIC ? "x-api-key: " : dialect == CONFORM_GEMINI ? "x-goog-api-key: " : "Authorization: Bearer ",
                    SLICE_ARG(key));
    if (dialect == CONFORM_ANTHROPIC)
        sink_text(&out, "anthropic-version: 2023-06-01\r\n");
    if (ask->close)
        sink_text(&out, "Connection: close\r\n");
    if (ask->get) {
        sink_text(&out, "\r\n");
    } else if (ask->chunked) {
        size_t half = body.len / 2;
        sink_text(&out, "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
        sink_printf(&out, "%zx\r\n%.*s\r\n%zx\r\n%.*s\r\n0\r\n\r\n", half, (int)half, body.ptr, body.len - half, (int)(body.len - half), body.ptr + half);
    } else {
        sink_printf(&out, "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n", body.len);
        sink_put(&out, sink_slice(&body));
    }
    struct slice bytes = arena_copy(conform->arena, sink_slice(&out));
    sink_fini(&out);
    sink_fini(&body);
    sink_fini(&path);
    return slice_present(bytes) ? bytes : SLICE_LIT("");
}

/* One request on a connection of its own. The reply is the caller's to fini. */
static void
exchange(struct conform *conform, enum conform_dialect dialect, const struct ask *ask, size_t piece, struct talk_reply *reply)
{
    struct talk talk;
    talk_open(&talk, conform->loop, &conform->target, conform->timeout_ms);
    talk_send(&talk, request_of(conform, dialect, ask), piece, conform->timeout_ms);
    talk_read(&talk, reply, 0, conform->timeout_ms);
    talk_close(&talk, false);
}

static struct slice
field(const struct talk_reply *reply, const char *name)
{
    struct slice value = http_field(&reply->head, name);
    return slice_present(value) ? value : SLICE_LIT("");
}

/* What keeps this from being a good stream; NULL: nothing. */
static const char *
stream_problem(struct conform *conform, const struct talk_reply *reply)
{
    if (reply->status != 200) {
        struct slice text = arena_printf(conform->arena, "status %d instead of 200: %.*s", reply->status, SLICE_ARG(slice_take(sink_slice(&reply->body), 200)));
        return reply->problem && !reply->status ? reply->problem : text.ptr;
    }
    return reply->problem;
}

/* Asks for a stream and reads it by its grammar. told is the caller's to fini when NULL or a fault is returned. */
static const char *
read_stream(struct conform *conform, enum conform_dialect dialect, const struct ask *ask, size_t piece, struct conform_told *told)
{
    struct talk_reply reply;
    memset(told, 0, sizeof(*told));
    exchange(conform, dialect, ask, piece, &reply);
    const char *why = stream_problem(conform, &reply);
    if (!why)
        why = conform_stream(dialect, sink_slice(&reply.body), ask->array, conform->arena, told);
    talk_reply_fini(&reply);
    return why;
}

/* ---------------------------------------------------------------- streams */

static enum conform_verdict
check_head(struct conform *conform, enum conform_dialect dialect)
{
    struct talk_reply reply;
    exchange(conform, dialect, &(struct ask){.stream = true}, 0, &reply);
    const char *why = stream_problem(conform, &reply);
    struct slice type = field(&reply, "content-type");
    if (!why && !text_caseless_eq(slice_take(type, 17), SLICE_LIT("text/event-stream")))
        why = "Content-Type is not text/event-stream";
    if (!why && reply.has_length)
        why = "a stream has a Content-Length";
    if (!why && text_find_caseless(field(&reply, "cache-control"), SLICE_LIT("no-cache")) < 0)
        why = "Cache-Control does not say no-cache";
    if (!why && field(&reply, "content-encoding").len > 0)
        why = "a stream has a Content-Encoding";
    talk_reply_fini(&reply);
    return judge(conform, why);
}

static enum conform_verdict
check_grammar(struct conform *conform, enum conform_dialect dialect)
{
    struct conform_told told;
    const char *why = read_stream(conform, dialect, &(struct ask){.stream = true, .usage = true}, 0, &told);
    if (!why && told.text.len + told.thinking.len == 0)
        why = "the model said nothing";
    conform_told_fini(&told);
    return judge(conform, why);
}

static enum conform_verdict
check_events(struct conform *conform, enum conform_dialect dialect)
{
    struct talk talk;
    struct talk_reply reply;
    if (conform->slow.len == 0)
        return skip(conform, "no model is known to be slow");
    talk_open(&talk, conform->loop, &conform->target, conform->timeout_ms);
    talk_send(&talk, request_of(conform, dialect, &(struct ask){.stream = true, .model = conform->slow}), 0, conform->timeout_ms);
    talk_read(&talk, &reply, 0, SLOW_LOOK_MS); /* its end is of no interest */
    const char *why = reply.status != 200 || reply.body.len == 0 ? "a slow stream has not begun after some seconds" : NULL;
    if (!why && reply.last_ms - reply.first_ms < 500)
        why = "a slow stream came at once: it was buffered on the way";
    talk_reply_fini(&reply);
    talk_close(&talk, true);
    return judge(conform, why);
}

static enum conform_verdict
check_ids(struct conform *conform, enum conform_dialect dialect)
{
    struct conform_told first, second;
    const char *why = read_stream(conform, dialect, &(struct ask){.stream = true}, 0, &first);
    memset(&second, 0, sizeof(second));
    if (!why)
        why = read_stream(conform, dialect, &(struct ask){.stream = true}, 0, &second);
    if (!why && (first.id.len < 16 || slice_eq(first.id, second.id)))
        why = "two replies have the same id, or ids are short enough to be guessed";
    conform_told_fini(&first);
    conform_told_fini(&second);
    return judge(conform, why);
}

static enum conform_verdict
check_tools(struct conform *conform, enum conform_dialect dialect)
{
    struct conform_told told;
    const char *why = read_stream(conform, dialect, &(struct ask){.stream = true, .tools = true, .model = conform->tools}, 0, &told);
    uint32_t calls = told.call_count;
    if (!why && calls > 0 && !slice_is(told.calls[0].name, "get_weather"))
        why = "the model called a tool that it was not offered";
    conform_told_fini(&told);
    if (!why && calls == 0)
        return skip(conform, "the model did not call the tool");
    return judge(conform, why);
}

static enum conform_verdict
check_whole_tools(struct conform *conform, enum conform_dialect dialect)
{
    struct talk_reply reply;
    struct conform_told told = {0};
    exchange(conform, dialect, &(struct ask){.tools = true, .model = conform->tools}, 0, &reply);
    const char *why = stream_problem(conform, &reply);
    if (!why)
        why = conform_whole(dialect, sink_slice(&reply.body), conform->arena, &told);
    uint32_t calls = told.call_count;
    talk_reply_fini(&reply);
    conform_told_fini(&told);
    if (!why && calls == 0)
        return skip(conform, "the model did not call the tool");
    return judge(conform, why);
}

static enum conform_verdict
check_usage(struct conform *conform, enum conform_dialect dialect)
{
    struct conform_told told;
    const char *why = read_stream(conform, dialect, &(struct ask){.stream = true, .usage = true}, 0, &told);
    if (!why && !told.usage)
        why = "no usage came, although it was asked for or is always said";
    conform_told_fini(&told);
    if (why || dialect != CONFORM_CHAT)
        return judge(conform, why);
    why = read_stream(conform, dialect, &(struct ask){.stream = true}, 0, &told);
    if (!why && told.usage)
        why = "usage came although it was not asked for";
    conform_told_fini(&told);
    return judge(conform, why);
}

static enum conform_verdict
check_whole(struct conform *conform, enum conform_dialect dialect)
{
    struct talk_reply reply;
    struct conform_told whole = {0}, streamed = {0};
    exchange(conform, dialect, &(struct ask){0}, 0, &reply);
    const char *why = stream_problem(conform, &reply);
    if (!why && !text_caseless_eq(slice_take(field(&reply, "content-type"), 16), SLICE_LIT("application/json")))
        why = "Content-Type is not application/json";
    if (!why)
        why = conform_whole(dialect, sink_slice(&reply.body), conform->arena, &whole);
    if (!why && whole.text.len == 0)
        why = "the model said nothing";
    if (!why && conform->demo) {
        why = read_stream(conform, dialect, &(struct ask){.stream = true}, 0, &streamed);
        if (!why && !slice_eq(sink_slice(&whole.text), sink_slice(&streamed.text)))
            why = "whole and streamed, the reply has not the same text";
    }
    talk_reply_fini(&reply);
    conform_told_fini(&whole);
    conform_told_fini(&streamed);
    return judge(conform, why);
}

static enum conform_verdict
check_array(struct conform *conform, enum conform_dialect dialect)
{
    struct conform_told told;
    const char *why = read_stream(conform, dialect, &(struct ask){.stream = true, .array = true}, 0, &told);
    conform_told_fini(&told);
    return judge(conform, why);
}

/* A model that fails on purpose may be resting from it: then some patience is asked for, and given. */
static bool
is_resting(struct conform *conform, const char *why)
{
    if (strncmp(why, "status 503", 10) != 0 && strncmp(why, "status 529", 10) != 0 && strncmp(why, "status 429", 10) != 0)
        return false;
    talk_wait(&(struct talk){.loop = conform->loop}, RESTING_MS);
    return true;
}

static enum conform_verdict
check_break(struct conform *conform, enum conform_dialect dialect)
{
    struct conform_told told;
    if (conform->error.len == 0)
        return skip(conform, "no model is known to fail in the middle");
    const char *why = read_stream(conform, dialect, &(struct ask){.stream = true, .model = conform->error}, 0, &told);
    for (int again = 0; why && again < 3 && is_resting(conform, why); again++) {
        conform_told_fini(&told);
        why = read_stream(conform, dialect, &(struct ask){.stream = true, .model = conform->error}, 0, &told);
    }
    if (!why && !told.failed)
        why = "a stream that broke off looks like a good one";
    conform_told_fini(&told);
    return judge(conform, why);
}

static enum conform_verdict
check_silence(struct conform *conform, enum conform_dialect dialect)
{
    struct conform_told told;
    if (conform->slow.len == 0)
        return skip(conform, "no model is known to be slow");
    const char *why = read_stream(conform, dialect, &(struct ask){.stream = true, .model = conform->slow}, 0, &told);
    conform_told_fini(&told);
    return judge(conform, why);
}

/* Streams of this dialect that the gateway has open, by penstock's own list; -1: it has none. */
static int
open_streams(struct conform *conform, enum conform_dialect dialect, struct slice model)
{
    static const char *const names[] = {"openai_chat", "anthropic", "openai_responses", "gemini", "openai_text"};
    struct talk_reply reply;
    struct json root;
    int count = -1;
    exchange(conform, CONFORM_CHAT, &(struct ask){.get = true, .path = "/debug/streams"}, 0, &reply);
    if (reply.status == 200 && json_parse_jsmn(sink_slice(&reply.body), 16, 1u << 18, conform->arena, &root) == 0) {
        count = 0;
        struct json list = json_type(root) == JSON_ARRAY ? root : json_get(root, "streams");
        for (struct json at = json_first(list); json_present(at); at = json_next(at))
            count += json_is(json_get(at, "dialect"), names[dialect]) && !json_is(json_get(at, "state"), "FINISH") &&
                     slice_eq(json_string(json_get(at, "model"), conform->arena), model);
    }
    talk_reply_fini(&reply);
    return count;
}

static enum conform_verdict
check_cancel(struct conform *conform, enum conform_dialect dialect)
{
    struct talk talk;
    struct talk_reply reply;
    struct slice model = conform->slow.len > 0 ? conform->slow : conform->model;
    int before = open_streams(conform, dialect, model);
    talk_open(&talk, conform->loop, &conform->target, conform->timeout_ms);
    talk_send(&talk, request_of(conform, dialect, &(struct ask){.stream = true, .model = model}), 0, conform->timeout_ms);
    talk_read(&talk, &reply, 1, conform->timeout_ms);
    const char *why = stream_problem(conform, &reply);
    talk_reply_fini(&reply);
    talk_close(&talk, true);
    talk_wait(&talk, 100);
    if (!why && before >= 0 && open_streams(conform, dialect, model) > before)
        why = "100 ms after its client has gone a stream still runs";
    if (why)
        return fail(conform, "%s", why);
    return check_grammar(conform, dialect); /* and the gateway lives */
}

/* ---------------------------------------------------------------- requests in odd ways */

static enum conform_verdict
check_split(struct conform *conform, enum conform_dialect dialect)
{
    static const size_t pieces[] = {1, 7, 100};
    struct conform_told whole, parts;
    const char *why = read_stream(conform, dialect, &(struct ask){.stream = true}, 0, &whole);
    for (size_t i = 0; i < countof(pieces) && !why; i++) {
        why = read_stream(conform, dialect, &(struct ask){.stream = true}, pieces[i], &parts);
        if (!why && conform->demo && !slice_eq(sink_slice(&whole.text), sink_slice(&parts.text)))
            why = "a request that comes in pieces gets another answer";
        conform_told_fini(&parts);
    }
    conform_told_fini(&whole);
    return judge(conform, why);
}

static enum conform_verdict
check_chunked(struct conform *conform, enum conform_dialect dialect)
{
    struct conform_told told;
    const char *why = read_stream(conform, dialect, &(struct ask){.stream = true, .chunked = true}, 0, &told);
    conform_told_fini(&told);
    return judge(conform, why);
}

/* Two requests on one connection: one behind the other, or both before the first answer. */
static enum conform_verdict
two_requests(struct conform *conform, enum conform_dialect dialect, bool at_once)
{
    struct talk talk;
    struct talk_reply replies[2];
    const char *why = NULL;
    struct slice request = request_of(conform, dialect, &(struct ask){.stream = true});
    talk_open(&talk, conform->loop, &conform->target, conform->timeout_ms);
    if (at_once) {
        struct slice both = arena_printf(conform->arena, "%.*s%.*s", SLICE_ARG(request), SLICE_ARG(request));
        talk_send(&talk, slice_present(both) ? both : request, 0, conform->timeout_ms);
    }
    for (int i = 0; i < 2 && !why; i++) {
        struct conform_told told = {0};
        if (!at_once)
            talk_send(&talk, request, 0, conform->timeout_ms);
        talk_read(&talk, &replies[i], 0, conform->timeout_ms);
        why = stream_problem(conform, &replies[i]);
        if (!why)
            why = conform_stream(dialect, sink_slice(&replies[i].body), false, conform->arena, &told);
        conform_told_fini(&told);
        talk_reply_fini(&replies[i]);
        if (why && i == 1)
            why = arena_printf(conform->arena, "the second reply on the connection: %s", why).ptr;
    }
    talk_close(&talk, false);
    return judge(conform, why);
}

static enum conform_verdict
check_reuse(struct conform *conform, enum conform_dialect dialect)
{
    return two_requests(conform, dialect, false);
}

static enum conform_verdict
check_pipeline(struct conform *conform, enum conform_dialect dialect)
{
    return two_requests(conform, dialect, true);
}

static enum conform_verdict
check_http10(struct conform *conform, enum conform_dialect dialect)
{
    struct talk_reply reply;
    struct conform_told told = {0};
    exchange(conform, dialect, &(struct ask){.stream = true, .http10 = true}, 0, &reply);
    const char *why = stream_problem(conform, &reply);
    if (!why && reply.chunked)
        why = "an HTTP/1.0 client got chunks";
    if (!why)
        why = conform_stream(dialect, sink_slice(&reply.body), false, conform->arena, &told);
    talk_reply_fini(&reply);
    conform_told_fini(&told);
    return judge(conform, why);
}

/* ---------------------------------------------------------------- errors before the stream */

static enum conform_verdict
expect_error(struct conform *conform, enum conform_dialect dialect, const struct ask *ask, int status, int other)
{
    struct talk_reply reply;
    struct slice text = SLICE_NONE;
    exchange(conform, dialect, ask, 0, &reply);
    const char *why = reply.problem;
    if (!why && reply.status != status && reply.status != other) {
        text = arena_printf(conform->arena, "status %d instead of %d", reply.status, status);
        why = text.ptr;
    }
    if (!why)
        why = conform_error(dialect, reply.status, sink_slice(&reply.body), conform->arena);
    talk_reply_fini(&reply);
    return judge(conform, why);
}

static enum conform_verdict
check_bad_json(struct conform *conform, enum conform_dialect dialect)
{
    return expect_error(conform, dialect, &(struct ask){.stream = true, .body = "{\"model\": \"x\", "}, 400, 400);
}

static enum conform_verdict
check_bad_type(struct conform *conform, enum conform_dialect dialect)
{
    static const char *const members[] = {"\"messages\":\"no list\"", "\"messages\":\"no list\",\"max_tokens\":9", "\"input\":7", "\"contents\":\"no list\"", "\"prompt\":{}"};
    struct slice body = arena_printf(conform->arena, "{\"model\":\"%.*s\",%s}", SLICE_ARG(conform->model), members[dialect]);
    return expect_error(conform, dialect, &(struct ask){.body = slice_present(body) ? body.ptr : "{}"}, 400, 422);
}

static enum conform_verdict
check_no_model(struct conform *conform, enum conform_dialect dialect)
{
    return expect_error(conform, dialect, &(struct ask){.stream = true, .model = SLICE_LIT("there-is-no-such-model")}, 404, 400);
}

static enum conform_verdict
check_bad_key(struct conform *conform, enum conform_dialect dialect)
{
    if (conform->key.len == 0)
        return skip(conform, "no key was given");
    return expect_error(conform, dialect, &(struct ask){.key = SLICE_LIT("sk-wrong-0000000000000000")}, 401, 403);
}

static enum conform_verdict
check_no_path(struct conform *conform, enum conform_dialect dialect)
{
    struct talk_reply reply;
    (void)dialect;
    exchange(conform, CONFORM_CHAT, &(struct ask){.path = "/v1/no/such/path"}, 0, &reply);
    const char *why = reply.problem ? reply.problem : reply.status == 404 ? NULL : "the status of an unknown path is not 404";
    talk_reply_fini(&reply);
    return judge(conform, why);
}

static enum conform_verdict
check_method(struct conform *conform, enum conform_dialect dialect)
{
    struct talk_reply reply;
    exchange(conform, dialect, &(struct ask){.get = true, .stream = true}, 0, &reply);
    const char *why = reply.problem ? reply.problem : reply.status == 405 || reply.status == 404 ? NULL : "GET where only POST is possible is not refused";
    if (!why && reply.status == 405 && field(&reply, "allow").len == 0)
        why = "405 without Allow";
    talk_reply_fini(&reply);
    return judge(conform, why);
}

static enum conform_verdict
check_models(struct conform *conform, enum conform_dialect dialect)
{
    struct talk_reply reply;
    struct json root;
    const char *why = NULL, *path = dialect == CONFORM_GEMINI ? "/v1beta/models" : "/v1/models";
    exchange(conform, dialect, &(struct ask){.get = true, .path = path}, 0, &reply);
    if (reply.problem || reply.status != 200)
        why = reply.problem ? reply.problem : "the list of models is not to be had";
    else if (json_parse_jsmn(sink_slice(&reply.body), 32, 1u << 20, conform->arena, &root) != 0)
        why = "the list of models is no JSON";
    struct json list = why ? JSON_NONE : json_get(root, dialect == CONFORM_GEMINI ? "models" : "data");
    if (!why && (json_type(list) != JSON_ARRAY || json_count(list) == 0))
        why = "the list of models is empty, or not where it should be";
    for (struct json at = json_first(list); !why && json_present(at); at = json_next(at)) {
        struct slice id = json_string(json_get(at, dialect == CONFORM_GEMINI ? "name" : "id"), conform->arena);
        if (id.len == 0 || (dialect == CONFORM_GEMINI && !slice_starts(id, SLICE_LIT("models/"))))
            why = "a model has no id, or not in the dialect's form";
        if (dialect == CONFORM_ANTHROPIC && json_string(json_get(at, "display_name"), conform->arena).len == 0)
            why = "a model has no display_name";
    }
    talk_reply_fini(&reply);
    return judge(conform, why);
}

#define ALL CONFORM_STREAMS
#define LISTS (1u << CONFORM_CHAT | 1u << CONFORM_ANTHROPIC | 1u << CONFORM_GEMINI)
#define CALLERS (CONFORM_STREAMS & ~(1u << CONFORM_COMPLETIONS))

const struct conform_check conform_checks[] = {
    {"stream-head", "a stream is text/event-stream, not cached, not compressed, without Content-Length", ALL, check_head},
    {"stream-grammar", "a stream follows its dialect's grammar, from its first event to exactly one end", ALL, check_grammar},
    {"stream-as-it-comes", "events arrive while the model still speaks", ALL, check_events},
    {"stream-ids", "each reply has one id, which nobody can guess", ALL, check_ids},
    {"stream-tools", "a streamed tool call has one id and name, and arguments that parse", CALLERS, check_tools},
    {"stream-usage", "usage is there when it should be, and adds up", ALL, check_usage},
    {"stream-array", "a Gemini stream without alt=sse is a JSON array", 1u << CONFORM_GEMINI, check_array},
    {"stream-break", "an upstream that breaks off is an error in the stream, never a normal end", ALL, check_break},
    {"stream-silence", "what keeps a silent stream alive is safe for the dialect's libraries", ALL, check_silence},
    {"stream-cancel", "a client that goes ends its stream within 100 ms", ALL, check_cancel},
    {"whole", "a whole reply has the dialect's shape and says what the stream says", ALL, check_whole},
    {"whole-tools", "a whole reply holds its tool calls", CALLERS, check_whole_tools},
    {"request-pieces", "a request may come in pieces of any size", ALL, check_split},
    {"request-chunked", "a request body may come in chunks", ALL, check_chunked},
    {"connection-reuse", "a connection serves another request after a stream", ALL, check_reuse},
    {"connection-pipeline", "two requests at once are answered in order", ALL, check_pipeline},
    {"http10", "an HTTP/1.0 client gets its stream without chunks", ALL, check_http10},
    {"error-json", "malformed JSON is a 400 in the dialect's envelope", ALL, check_bad_json},
    {"error-type", "a wrong type is a 400 in the dialect's envelope", ALL, check_bad_type},
    {"error-model", "an unknown model is a 404 in the dialect's envelope", ALL, check_no_model},
    {"error-key", "a wrong key is a 401 in the dialect's envelope", ALL, check_bad_key},
    {"error-method", "GET where only POST is possible is refused", ALL, check_method},
    {"error-path", "an unknown path is a 404", 0, check_no_path},
    {"models", "models are listed in the dialect's shape", LISTS, check_models},
};
const size_t conform_check_count = countof(conform_checks);

/* ---------------------------------------------------------------- what there is to judge */

bool
conform_speaks(struct conform *conform, enum conform_dialect dialect)
{
    struct talk_reply reply;
    exchange(conform, dialect, &(struct ask){0}, 0, &reply);
    bool speaks = reply.status != 404 && reply.status != 405 && reply.status != 501 && reply.status != 0;
    talk_reply_fini(&reply);
    return speaks;
}

bool
conform_discover(struct conform *conform, struct arena *kept)
{
    static const char *const special[] = {"demo", "demo-tools", "demo-slow", "demo-error"};
    struct slice found[countof(special)] = {SLICE_NONE}, first = SLICE_NONE;
    struct talk_reply reply;
    struct json root;
    exchange(conform, CONFORM_CHAT, &(struct ask){.get = true, .path = "/v1/models"}, 0, &reply);
    bool good = reply.status == 200 && json_parse_jsmn(sink_slice(&reply.body), 32, 1u << 20, kept, &root) == 0;
    for (struct json at = good ? json_first(json_get(root, "data")) : JSON_NONE; json_present(at); at = json_next(at)) {
        struct slice id = arena_copy(kept, json_string(json_get(at, "id"), kept));
        for (size_t i = 0; i < countof(special); i++)
            if (slice_is(id, special[i]))
                found[i] = id;
        if (first.len == 0)
            first = id;
    }
    talk_reply_fini(&reply);
    conform->demo = found[0].len > 0;
    conform->model = conform->demo ? found[0] : first;
    conform->tools = found[1].len > 0 ? found[1] : conform->model;
    conform->slow = found[2];
    conform->error = found[3];
    return conform->model.len > 0;
}
