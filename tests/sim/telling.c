/* SPDX-License-Identifier: MIT
 *
 * telling.c - server-sent events and the grammars of both dialects, read by the tests' own plain
 * readers.
 *
 * An incomplete last event is no event: the stream is then open. Every event must be closed by an
 * empty line, and an empty line must close an event with data, because some clients dispatch
 * whatever stands before one.
 */
#include "tests/sim/answer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct teller { /* what is known of the stream so far */
    struct telling *out;
    bool started, finished, failed, done;
    long block, blocks; /* of Messages; block -1: none is open */
    char block_type[24];
    long serial; /* of the id lines */
    bool gap;    /* events were lost: allowed in front of an error */
};

static void printf_like(2, 3) wrong(struct telling *telling, const char *format, ...)
{
    if (telling->how == TOLD_WRONG)
        return;
    telling->how = TOLD_WRONG;
    va_list args;
    va_start(args, format);
    vsnprintf(telling->wrong, sizeof telling->wrong, format, args);
    va_end(args);
}

static void
keep(char *to, size_t room, struct slice text)
{
    snprintf(to, room, "%.*s", (int)(text.len < room ? text.len : room - 1),
             slice_present(text) ? text.ptr : "");
}

/* ---------------------------------------------------------------- Chat */

static void
chat_error(struct teller *teller, struct slice error, struct slice data)
{
    if (slice_present(raw_find(data, "choices")))
        wrong(teller->out, "an error with choices");
    if (!raw_text(raw_find(error, "message")).len)
        wrong(teller->out, "an error without a message");
    keep(teller->out->code, sizeof teller->out->code, raw_text(raw_find(error, "code")));
    if (teller->failed)
        wrong(teller->out, "a second error");
    /* What was lost behind the finish for want of memory is said; nothing else may be. */
    if (teller->finished && strcmp(teller->out->code, "out_of_memory") != 0)
        wrong(teller->out, "an error after the finish");
    teller->out->late = teller->finished;
    teller->failed = true;
}

static void
chat_choice(struct teller *teller, struct slice choice)
{
    struct telling *out = teller->out;
    struct slice delta = raw_find(choice, "delta"),
                 finish = raw_text(raw_find(choice, "finish_reason"));
    struct slice role = raw_text(raw_find(delta, "role"));
    if (!teller->started && !slice_is(role, "assistant"))
        wrong(out, "the first chunk has no role");
    if (teller->started && slice_present(role))
        wrong(out, "a second role");
    teller->started = true;
    if (teller->finished)
        wrong(out, "a chunk after the finish");
    sink_put(&out->text, raw_text(raw_find(delta, "content")));
    struct slice call = raw_find(delta, "tool_calls.0");
    if (slice_present(call)) {
        out->tools += slice_present(raw_find(call, "id"));
        if (!slice_present(raw_find(call, "index")))
            wrong(out, "a call without an index");
        sink_put(&out->input, raw_text(raw_find(call, "function.arguments")));
    }
    if (slice_present(finish)) {
        keep(out->finish, sizeof out->finish, finish);
        teller->finished = true;
    }
}

static void
chat_event(struct teller *teller, struct slice name, struct slice data)
{
    struct telling *out = teller->out;
    if (slice_present(name))
        wrong(out, "an event with a name");
    if (slice_is(data, "[DONE]")) {
        if (!teller->finished && !teller->failed)
            wrong(out, "[DONE] before a finish");
        teller->done = true;
        return;
    }
    if (teller->failed)
        wrong(out, "an event after the error");
    if (!raw_whole(data)) {
        wrong(out, "no JSON: %.*s", (int)(data.len < 80 ? data.len : 80), data.ptr);
        return;
    }
    struct slice error = raw_find(data, "error"), choice = raw_find(data, "choices.0");
    struct slice usage = raw_find(data, "usage");
    if (slice_present(error)) {
        chat_error(teller, error, data);
    } else if (slice_present(choice)) {
        if (slice_present(usage) && *usage.ptr == '{')
            wrong(out, "usage beside a choice");
        chat_choice(teller, choice);
    } else if (slice_present(usage) && *usage.ptr == '{') {
        if (!teller->finished || out->usage)
            wrong(out, "usage where none may be");
        out->usage = true;
    } else {
        wrong(out, "neither a choice, nor usage, nor an error");
    }
}

/* ---------------------------------------------------------------- Messages */

static void
block_event(struct teller *teller, struct slice type, struct slice data)
{
    struct telling *out = teller->out;
    struct slice number = raw_find(data, "index");
    long index = slice_present(number) ? strtol(number.ptr, NULL, 10) : -2;
    if (slice_is(type, "content_block_start")) {
        if (teller->block >= 0 || index != teller->blocks)
            wrong(out, "block %ld starts after %ld blocks", index, teller->blocks);
        teller->block = index;
        teller->blocks++;
        keep(teller->block_type, sizeof teller->block_type,
             raw_text(raw_find(data, "content_block.type")));
        out->tools += strcmp(teller->block_type, "tool_use") == 0;
    } else if (index != teller->block || index < 0) {
        wrong(out, "an event of block %ld, which is not open", index);
    } else if (slice_is(type, "content_block_stop")) {
        teller->block = -1;
    } else if (slice_present(raw_find(data, "delta.text"))) {
        if (strcmp(teller->block_type, "text") != 0)
            wrong(out, "text in a %s block", teller->block_type);
        sink_put(&out->text, raw_text(raw_find(data, "delta.text")));
    } else if (slice_present(raw_find(data, "delta.partial_json"))) {
        if (strcmp(teller->block_type, "tool_use") != 0)
            wrong(out, "input in a %s block", teller->block_type);
        sink_put(&out->input, raw_text(raw_find(data, "delta.partial_json")));
    }
}

static void
message_event(struct teller *teller, struct slice type, struct slice data)
{
    struct telling *out = teller->out;
    if (slice_is(type, "message_start")) {
        if (teller->started)
            wrong(out, "a second message_start");
        teller->started = true;
    } else if (slice_is(type, "error")) {
        if (!raw_text(raw_find(data, "error.message")).len ||
            !raw_text(raw_find(data, "error.type")).len)
            wrong(out, "an error without type or message");
        keep(out->code, sizeof out->code, raw_text(raw_find(data, "error.code")));
        teller->failed = teller->done = true;
    } else if (!teller->started) {
        wrong(out, "%.*s before message_start", SLICE_ARG(type));
    } else if (slice_starts(type, SLICE_LIT("content_block_"))) {
        if (teller->finished)
            wrong(out, "a block after message_delta");
        block_event(teller, type, data);
    } else if (slice_is(type, "message_delta")) {
        struct slice reason = raw_text(raw_find(data, "delta.stop_reason"));
        if (teller->block >= 0)
            wrong(out, "message_delta inside a block");
        if (slice_present(reason)) {
            if (teller->finished)
                wrong(out, "a second stop_reason");
            keep(out->finish, sizeof out->finish, reason);
            teller->finished = true;
        }
        out->usage = out->usage || slice_present(raw_find(data, "usage.output_tokens"));
    } else if (slice_is(type, "message_stop")) {
        if (!teller->finished)
            wrong(out, "message_stop before a stop_reason");
        teller->done = true;
    } else {
        wrong(out, "an unknown event: %.*s", SLICE_ARG(type));
    }
}

static void
messages_event(struct teller *teller, struct slice name, struct slice data)
{
    struct telling *out = teller->out;
    struct slice type = raw_text(raw_find(data, "type"));
    if (!raw_whole(data) || !slice_eq(name, type))
        wrong(out, "an event named %.*s with data %.*s", SLICE_ARG(name),
              (int)(data.len < 80 ? data.len : 80), data.ptr);
    else if (slice_is(type, "ping"))
        out->pings++;
    else
        message_event(teller, type, data);
}

/* ---------------------------------------------------------------- Responses */

static void
answers_event(struct teller *teller, struct slice name, struct slice data)
{
    struct telling *out = teller->out;
    struct slice type = raw_text(raw_find(data, "type")), number = raw_find(data, "sequence_number");
    if (!raw_whole(data) || !slice_eq(name, type)) {
        wrong(out, "an event named %.*s with data %.*s", SLICE_ARG(name), (int)(data.len < 80 ? data.len : 80), data.ptr);
        return;
    }
    long serial = slice_present(number) ? strtol(number.ptr, NULL, 10) : -1;
    bool gap = serial > teller->blocks && slice_is(type, "error"); /* events were lost: allowed in front of an error */
    if (serial != teller->blocks && !gap)
        wrong(out, "event %ld has the number %ld", teller->blocks, serial);
    teller->blocks = serial + 1;
    if (teller->failed && !slice_is(type, "response.failed"))
        wrong(out, "%.*s after an error", SLICE_ARG(type));
    if (!teller->started && !slice_is(type, "response.created") && !slice_is(type, "error"))
        wrong(out, "%.*s before response.created", SLICE_ARG(type));
    if (teller->started && slice_is(type, "response.created"))
        wrong(out, "a second response.created");
    teller->started = true;
    if (slice_is(type, "response.output_text.delta")) {
        sink_put(&out->text, raw_text(raw_find(data, "delta")));
    } else if (slice_is(type, "response.function_call_arguments.delta")) {
        sink_put(&out->input, raw_text(raw_find(data, "delta")));
    } else if (slice_is(type, "response.output_item.added")) {
        out->tools += slice_is(raw_text(raw_find(data, "item.type")), "function_call");
    } else if (slice_is(type, "error")) {
        keep(out->code, sizeof out->code, raw_text(raw_find(data, "code")));
        if (!raw_text(raw_find(data, "message")).len)
            wrong(out, "an error without a message");
        teller->failed = true;
    } else if (slice_is(type, "response.failed")) {
        if (!raw_text(raw_find(data, "response.error.message")).len)
            wrong(out, "a failed response without a message");
        teller->failed = teller->done = true;
    } else if (slice_is(type, "response.completed") || slice_is(type, "response.incomplete")) {
        keep(out->finish, sizeof out->finish, raw_text(raw_find(data, "response.status")));
        out->usage = slice_present(raw_find(data, "response.usage.output_tokens"));
        teller->finished = teller->done = true;
    }
}

/* ---------------------------------------------------------------- Gemini */

static void
gemini_parts(struct telling *out, struct slice data)
{
    char path[64];
    for (int i = 0;; i++) {
        snprintf(path, sizeof path, "candidates.0.content.parts.%d", i);
        struct slice part = raw_find(data, path);
        if (!slice_present(part))
            return;
        sink_put(&out->text, raw_text(raw_find(part, "text")));
        struct slice call = raw_find(part, "functionCall");
        if (!slice_present(call))
            continue;
        out->tools++;
        sink_put(&out->input, raw_find(call, "args"));
    }
}

static void
gemini_event(struct teller *teller, struct slice name, struct slice data)
{
    struct telling *out = teller->out;
    struct slice error = raw_find(data, "error"), finish = raw_text(raw_find(data, "candidates.0.finishReason"));
    if (slice_present(name))
        wrong(out, "an event with a name");
    if (!raw_whole(data))
        wrong(out, "no JSON: %.*s", (int)(data.len < 80 ? data.len : 80), data.ptr);
    if (teller->failed)
        wrong(out, "an event after the error");
    if (slice_present(error)) {
        if (!raw_text(raw_find(error, "message")).len || !raw_text(raw_find(error, "status")).len)
            wrong(out, "an error without message or status");
        keep(out->code, sizeof out->code, raw_text(raw_find(error, "status")));
        if (teller->finished && strcmp(out->code, "RESOURCE_EXHAUSTED") != 0 && strcmp(out->code, "UNAVAILABLE") != 0)
            wrong(out, "an error after the finish");
        out->late = teller->finished;
        teller->failed = teller->done = true;
        return;
    }
    if (teller->finished && slice_present(raw_find(data, "candidates.0")))
        wrong(out, "a candidate after the finish");
    gemini_parts(out, data);
    out->usage = out->usage || slice_present(raw_find(data, "usageMetadata.totalTokenCount"));
    if (slice_present(finish)) {
        keep(out->finish, sizeof out->finish, finish);
        teller->finished = true;
    }
}

/* ---------------------------------------------------------------- events */

struct pending {
    struct slice name;
    struct sink data;
    bool has_data, any;
};

static void
dispatch(struct teller *teller, enum dialect_spoken dialect, struct pending *event)
{
    struct telling *out = teller->out;
    if (!event->has_data)
        wrong(out, "an empty line without data in front of it");
    else if (teller->done)
        wrong(out, "an event after the end");
    else if (dialect == SPEAKS_CHAT)
        chat_event(teller, event->name, sink_slice(&event->data));
    else if (dialect == SPEAKS_RESPONSES)
        answers_event(teller, event->name, sink_slice(&event->data));
    else if (dialect == SPEAKS_GEMINI)
        gemini_event(teller, event->name, sink_slice(&event->data));
    else
        messages_event(teller, event->name, sink_slice(&event->data));
    out->events++;
    event->name = SLICE_NONE;
    event->has_data = event->any = false;
    sink_reset(&event->data, 4096);
}

static void
take_line(struct teller *teller, struct pending *event, struct slice line)
{
    struct telling *out = teller->out;
    if (slice_starts(line, SLICE_LIT(": "))) {
        if (event->any)
            wrong(out, "a comment inside an event");
        if (teller->done)
            wrong(out, "a comment after the end");
        out->comments++;
        return;
    }
    event->any = true;
    if (slice_starts(line, SLICE_LIT("data: "))) {
        if (event->has_data)
            sink_byte(&event->data, '\n');
        event->has_data = true;
        sink_put(&event->data, slice_skip(line, 6));
    } else if (slice_starts(line, SLICE_LIT("event: "))) {
        event->name = slice_skip(line, 7);
    } else if (slice_starts(line, SLICE_LIT("id: "))) {
        const char *dash = memchr(line.ptr, '-', line.len);
        long serial = dash ? strtol(dash + 1, NULL, 10) : -1;
        if (serial < teller->serial)
            wrong(out, "id out of order: %.*s", SLICE_ARG(line));
        teller->gap = teller->gap || serial != teller->serial;
        teller->serial = serial + 1;
    } else if (!slice_starts(line, SLICE_LIT("retry: "))) {
        wrong(out, "an unknown line: %.*s", (int)(line.len < 80 ? line.len : 80), line.ptr);
    }
}

/* Some clients look for one of these two and for nothing else, whatever else the standard takes for an empty line. */
static bool
ends_for_everybody(const char *from, const char *end)
{
    size_t len = (size_t)(end - from);
    return (len >= 2 && memcmp(end - 2, "\n\n", 2) == 0) || (len >= 4 && memcmp(end - 4, "\r\n\r\n", 4) == 0);
}

void
telling_read(struct telling *telling, enum dialect_spoken dialect, struct slice body)
{
    const char *from = body.ptr;
    *telling = (struct telling){.how = TOLD_NOTHING};
    sink_init(&telling->text, SIZE_MAX / 2);
    sink_init(&telling->input, SIZE_MAX / 2);
    struct teller teller = {.out = telling, .block = -1};
    struct pending event = {0};
    sink_init(&event.data, SIZE_MAX / 2);
    const char *end;
    while ((end = body.len ? memchr(body.ptr, '\n', body.len) : NULL) &&
           telling->how != TOLD_WRONG) {
        struct slice line = slice_of(body.ptr, (size_t)(end - body.ptr));
        const char *lone = memchr(line.ptr, '\r', line.len); /* which ends a line, too, unless a line feed follows */
        if (lone && lone + 1 < end)
            line.len = (size_t)(lone - line.ptr);
        body = slice_skip(body, line.len + 1);
        const char *behind = line.ptr + line.len + 1;
        if (line.len > 0 && line.ptr[line.len - 1] == '\r')
            line.len--; /* an upstream's own line ends, passed on */
        if (line.len > (dialect == SPEAKS_RESPONSES ? 4u << 20 : 65536u)) /* which says everything again at the end */
            wrong(telling, "a line of %zu bytes", line.len);
        if (line.len == 0 && !ends_for_everybody(from, behind))
            wrong(telling, "an empty line that some clients do not see");
        else if (line.len == 0)
            dispatch(&teller, dialect, &event);
        else
            take_line(&teller, &event, line);
    }
    sink_fini(&event.data);
    if (telling->how == TOLD_WRONG)
        return;
    if (teller.gap && !teller.failed && teller.done)
        wrong(telling, "ids are missing");
    bool over = telling->how != TOLD_WRONG && teller.done && !event.any && body.len == 0;
    if (over)
        telling->how = teller.failed ? TOLD_ERROR : TOLD_WELL;
    else if (telling->how != TOLD_WRONG &&
             (telling->events || telling->comments || event.any || body.len))
        telling->how = TOLD_OPEN;
}

void
telling_read_array(struct telling *telling, struct slice body)
{
    struct slice rest = slice_skip(body, 1);
    size_t len;
    *telling = (struct telling){.how = TOLD_OPEN};
    sink_init(&telling->text, SIZE_MAX / 2);
    sink_init(&telling->input, SIZE_MAX / 2);
    struct teller teller = {.out = telling, .block = -1};
    for (;;) {
        while (rest.len > 0 && strchr(", \r\n", *rest.ptr))
            rest = slice_skip(rest, 1);
        if (rest.len == 0 || *rest.ptr == ']' || (len = raw_len(rest)) == 0)
            break;
        gemini_event(&teller, SLICE_NONE, slice_take(rest, len));
        telling->events++;
        rest = slice_skip(rest, len);
    }
    if (telling->how == TOLD_WRONG || rest.len == 0 || *rest.ptr != ']')
        return;
    if (teller.failed)
        telling->how = TOLD_ERROR;
    else if (teller.finished)
        telling->how = TOLD_WELL;
    else
        wrong(telling, "an array without an end of its own");
}

/* Where a whole reply of each dialect has what is read. */
struct whole_paths {
    const char *text, *finish, *call, *usage;
};
static const struct whole_paths whole_paths[] = {
    [SPEAKS_CHAT] = {"choices.0.message.content", "choices.0.finish_reason", "choices.0.message.tool_calls.0", "usage"},
    [SPEAKS_MESSAGES] = {"content.0.text", "stop_reason", "content.1", "usage"},
    [SPEAKS_RESPONSES] = {"output.0.content.0.text", "status", "output.1", "usage"},
    [SPEAKS_GEMINI] = {"candidates.0.content.parts.0.text", "candidates.0.finishReason", "candidates.0.content.parts.1",
                       "usageMetadata"},
};

void
telling_read_whole(struct telling *telling, enum dialect_spoken dialect,
                   const struct answer *answer)
{
    *telling = (struct telling){.how = TOLD_OPEN};
    sink_init(&telling->text, SIZE_MAX / 2);
    sink_init(&telling->input, SIZE_MAX / 2);
    struct slice body = sink_slice(&answer->body);
    if (!answer->complete)
        return;
    struct slice error = raw_find(body, "error");
    if (!raw_whole(body)) {
        wrong(telling, "no JSON: %.*s", (int)(body.len < 80 ? body.len : 80), body.ptr);
    } else if (answer->status >= 400) {
        if (!raw_text(raw_find(error, "message")).len || !raw_text(raw_find(error, dialect == SPEAKS_GEMINI ? "status" : "type")).len)
            wrong(telling, "no envelope: %.*s", (int)(body.len < 120 ? body.len : 120), body.ptr);
        if (dialect == SPEAKS_MESSAGES && !slice_is(raw_find(body, "type"), "\"error\""))
            wrong(telling, "no Anthropic envelope");
        keep(telling->code, sizeof telling->code, raw_text(raw_find(error, dialect == SPEAKS_GEMINI ? "status" : "code")));
        if (telling->how != TOLD_WRONG)
            telling->how = TOLD_ERROR;
    } else {
        const struct whole_paths *paths = &whole_paths[dialect];
        sink_put(&telling->text, raw_text(raw_find(body, paths->text)));
        keep(telling->finish, sizeof telling->finish, raw_text(raw_find(body, paths->finish)));
        telling->tools = slice_present(raw_find(body, paths->call)) ? 1 : 0;
        telling->usage = slice_present(raw_find(body, paths->usage));
        telling->how = TOLD_WELL;
        if (!telling->finish[0])
            wrong(telling, "no finish: %.*s", (int)(body.len < 120 ? body.len : 120), body.ptr);
    }
}

void
telling_fini(struct telling *telling)
{
    sink_fini(&telling->text);
    sink_fini(&telling->input);
}
