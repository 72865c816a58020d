/* SPDX-License-Identifier: MIT
 *
 * demo_script.c - a demo model's words, written as OpenAI Chat or Anthropic Messages.
 *
 * demo echoes what it was told; demo-slow does so slowly; demo-thinking reasons first; demo-tools calls the first tool
 * it is offered and answers once it has a result; demo-error breaks off in the middle.
 */
#include "gateway/demo_script.h"
#include "base/text.h"
#include "sse/sse.h"

#define ECHO_BYTES_MAX 2048u
#define DEPTH_MAX 64
#define TOKENS_MAX 1000000u

static int
add(struct demo_script *script, enum demo_kind kind, struct slice text)
{
    if (script->count == DEMO_PIECES_MAX)
        return 0; /* it has said enough */
    script->pieces[script->count++] = (struct demo_piece){kind, text};
    script->calls = script->calls || kind == DEMO_CALL;
    return 0;
}

/* A sentence as one delta per word. */
static void
say(struct demo_script *script, enum demo_kind kind, struct slice text)
{
    while (text.len > 0) {
        size_t n = 1;
        while (n < text.len && text.ptr[n] != ' ')
            n++;
        add(script, kind, slice_take(text, n));
        text = slice_skip(text, n);
    }
}

/* The last user message's text, escaped as it came; the first text part if it is a list. */
static struct slice
last_words(struct json root, bool *tool_result)
{
    struct slice words = SLICE_NONE;
    for (struct json message = json_first(json_get(root, "messages")); json_present(message); message = json_next(message)) {
        struct json content = json_get(message, "content");
        *tool_result = json_is(json_get(message, "role"), "tool");
        if (json_type(content) == JSON_STRING && json_is(json_get(message, "role"), "user"))
            words = json_text(content);
        for (struct json part = json_first(content); json_type(content) == JSON_ARRAY && json_present(part); part = json_next(part)) {
            if (json_is(json_get(part, "type"), "tool_result"))
                *tool_result = true;
            else if (json_is(json_get(part, "type"), "text") && json_is(json_get(message, "role"), "user"))
                words = json_text(json_get(part, "text"));
        }
    }
    return words;
}

static struct slice
first_tool(struct json root)
{
    struct json tool = json_first(json_get(root, "tools"));
    struct slice name = json_text(json_get(json_get(tool, "function"), "name"));
    if (!slice_present(name))
        name = json_text(json_get(tool, "name"));
    return slice_present(name) ? name : SLICE_LIT("get_weather");
}

static void
compose(struct demo_script *script, struct json root)
{
    bool tool_result = false;
    struct slice model = script->model, words = last_words(root, &tool_result);
    words = dialect_text_piece(&words, ECHO_BYTES_MAX);
    script->pace_ms = text_find(model, SLICE_LIT("slow")) >= 0 ? 1000 : 15;
    script->fails = text_find(model, SLICE_LIT("error")) >= 0;
    if (text_find(model, SLICE_LIT("thinking")) >= 0)
        say(script, DEMO_THINK, SLICE_LIT("The user wants a demonstration. I shall think aloud for a moment and then answer."));
    if (text_find(model, SLICE_LIT("tools")) >= 0 && !tool_result) {
        add(script, DEMO_TEXT, SLICE_LIT("Let me look that up."));
        add(script, DEMO_CALL, first_tool(root));
        add(script, DEMO_ARGUMENTS, SLICE_LIT("{\\\"city\\\":"));
        add(script, DEMO_ARGUMENTS, SLICE_LIT("\\\"Paris\\\"}"));
        return;
    }
    if (tool_result)
        say(script, DEMO_TEXT, SLICE_LIT("The tool has answered, and this is what the demo model makes of it."));
    else
        say(script, DEMO_TEXT, SLICE_LIT("Hello from penstock."));
    if (words.len > 0) {
        say(script, DEMO_TEXT, SLICE_LIT(" You said: "));
        say(script, DEMO_TEXT, words);
    }
}

int
demo_script_init(struct demo_script *script, enum dialect_id dialect, struct slice body, const char *id, int64_t created_s,
                 struct arena *arena)
{
    struct json root;
    *script = (struct demo_script){.dialect = dialect, .created_s = created_s, .block = -1};
    memcpy(script->id, id, 24);
    int error = json_parse(body, DEPTH_MAX, TOKENS_MAX, arena, &root);
    if (error < 0)
        return error;
    script->model = json_text(json_get(root, "model"));
    if (!slice_present(script->model))
        return -ERR_REQUEST;
    script->stream = json_type(json_get(root, "stream")) == JSON_TRUE;
    script->include_usage = json_type(json_get(json_get(root, "stream_options"), "include_usage")) == JSON_TRUE;
    script->prompt_tokens = body.len / 4 + 1;
    compose(script, root);
    return 0;
}

/* ---------------------------------------------------------------- OpenAI Chat */

static void
chat_chunk(const struct demo_script *script, struct sink *out, const char *choices_format, struct slice text)
{
    sink_printf(out, "data: {\"id\":\"chatcmpl-%s\",\"object\":\"chat.completion.chunk\",\"created\":%lld,\"model\":\"%.*s\",\"choices\":",
                script->id, (long long)script->created_s, SLICE_ARG(script->model));
    sink_printf(out, choices_format, SLICE_ARG(text));
    sink_text(out, "}\n\n");
}

static void
chat_usage(const struct demo_script *script, struct sink *out)
{
    sink_printf(out, "\"usage\":{\"prompt_tokens\":%llu,\"completion_tokens\":%d,\"total_tokens\":%llu}",
                (unsigned long long)script->prompt_tokens, script->count, (unsigned long long)script->prompt_tokens + (unsigned)script->count);
}

static void
chat_piece(const struct demo_script *script, const struct demo_piece *piece, struct sink *out)
{
    switch (piece->kind) {
    case DEMO_THINK:
        chat_chunk(script, out, "[{\"index\":0,\"delta\":{\"reasoning_content\":\"%.*s\"},\"finish_reason\":null}]", piece->text);
        break;
    case DEMO_TEXT:
        chat_chunk(script, out, "[{\"index\":0,\"delta\":{\"content\":\"%.*s\"},\"finish_reason\":null}]", piece->text);
        break;
    case DEMO_CALL:
        chat_chunk(script, out, "[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"call_demo1\",\"type\":\"function\",\"function\":{\"name\":\"%.*s\",\"arguments\":\"\"}}]},\"finish_reason\":null}]", piece->text);
        break;
    case DEMO_ARGUMENTS:
        chat_chunk(script, out, "[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"%.*s\"}}]},\"finish_reason\":null}]", piece->text);
        break;
    }
}

static bool
chat_step(struct demo_script *script, struct sink *out)
{
    int at = script->at++;
    if (at == 0) {
        chat_chunk(script, out, "[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]", SLICE_NONE);
    } else if (script->fails && at > 3) {
        sink_text(out, "data: {\"error\":{\"message\":\"the demo model fails on purpose\",\"type\":\"server_error\",\"param\":null,\"code\":\"demo_error\"}}\n\n");
        return false;
    } else if (at <= script->count) {
        chat_piece(script, &script->pieces[at - 1], out);
    } else {
        chat_chunk(script, out, "[{\"index\":0,\"delta\":{},\"finish_reason\":\"%.*s\"}]", script->calls ? SLICE_LIT("tool_calls") : SLICE_LIT("stop"));
        if (script->include_usage) {
            sink_printf(out, "data: {\"id\":\"chatcmpl-%s\",\"object\":\"chat.completion.chunk\",\"created\":%lld,\"model\":\"%.*s\",\"choices\":[],",
                        script->id, (long long)script->created_s, SLICE_ARG(script->model));
            chat_usage(script, out);
            sink_text(out, "}\n\n");
        }
        sink_text(out, "data: [DONE]\n\n");
        return false;
    }
    return true;
}

static void
join(const struct demo_script *script, enum demo_kind kind, struct sink *out)
{
    for (int i = 0; i < script->count; i++) {
        if (script->pieces[i].kind == kind)
            sink_put(out, script->pieces[i].text);
    }
}

static bool
has(const struct demo_script *script, enum demo_kind kind)
{
    for (int i = 0; i < script->count; i++) {
        if (script->pieces[i].kind == kind)
            return true;
    }
    return false;
}

static void
chat_whole(const struct demo_script *script, struct sink *out)
{
    sink_printf(out, "{\"id\":\"chatcmpl-%s\",\"object\":\"chat.completion\",\"created\":%lld,\"model\":\"%.*s\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"",
                script->id, (long long)script->created_s, SLICE_ARG(script->model));
    join(script, DEMO_TEXT, out);
    sink_byte(out, '"');
    if (has(script, DEMO_THINK)) {
        sink_text(out, ",\"reasoning_content\":\"");
        join(script, DEMO_THINK, out);
        sink_byte(out, '"');
    }
    if (script->calls) {
        sink_text(out, ",\"tool_calls\":[{\"id\":\"call_demo1\",\"type\":\"function\",\"function\":{\"name\":\"");
        join(script, DEMO_CALL, out);
        sink_text(out, "\",\"arguments\":\"");
        join(script, DEMO_ARGUMENTS, out);
        sink_text(out, "\"}}]");
    }
    sink_printf(out, "},\"logprobs\":null,\"finish_reason\":\"%s\"}],", script->calls ? "tool_calls" : "stop");
    chat_usage(script, out);
    sink_byte(out, '}');
}

/* ---------------------------------------------------------------- Anthropic Messages */

static void
close_block(struct demo_script *script, struct sink *out)
{
    if (script->block < 0 || script->at <= 1)
        return;
    if (script->block_kind == DEMO_THINK)
        sink_printf(out, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":%d,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"ZGVtbw==\"}}\n\n", script->block);
    sink_printf(out, "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":%d}\n\n", script->block);
}

static void
messages_piece(struct demo_script *script, const struct demo_piece *piece, struct sink *out)
{
    static const char *const deltas[] = {
        [DEMO_THINK] = "{\"type\":\"thinking_delta\",\"thinking\":\"%.*s\"}",
        [DEMO_TEXT] = "{\"type\":\"text_delta\",\"text\":\"%.*s\"}",
        [DEMO_ARGUMENTS] = "{\"type\":\"input_json_delta\",\"partial_json\":\"%.*s\"}",
    };
    enum demo_kind kind = piece->kind == DEMO_CALL ? DEMO_ARGUMENTS : piece->kind;
    if (script->block < 0 || kind != script->block_kind) {
        close_block(script, out);
        script->block++;
        script->block_kind = kind;
        sink_printf(out, "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":%d,\"content_block\":", script->block);
        if (kind == DEMO_THINK)
            sink_text(out, "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}");
        else if (kind == DEMO_TEXT)
            sink_text(out, "{\"type\":\"text\",\"text\":\"\"}");
        else
            sink_printf(out, "{\"type\":\"tool_use\",\"id\":\"toolu_demo1\",\"name\":\"%.*s\",\"input\":{}}", SLICE_ARG(piece->text));
        sink_text(out, "}\n\n");
    }
    if (piece->kind == DEMO_CALL)
        return;
    sink_printf(out, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":%d,\"delta\":", script->block);
    sink_printf(out, deltas[kind], SLICE_ARG(piece->text));
    sink_text(out, "}\n\n");
}

static bool
messages_step(struct demo_script *script, struct sink *out)
{
    int at = script->at++;
    if (at == 0) {
        sink_printf(out, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_%s\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"%.*s\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":%llu,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":1}}}\n\n",
                    script->id, SLICE_ARG(script->model), (unsigned long long)script->prompt_tokens);
    } else if (script->fails && at > 3) {
        sink_text(out, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"the demo model fails on purpose\"}}\n\n");
        return false;
    } else if (at <= script->count) {
        messages_piece(script, &script->pieces[at - 1], out);
    } else {
        close_block(script, out);
        sink_printf(out, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"%s\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":%d}}\n\n",
                    script->calls ? "tool_use" : "end_turn", script->count);
        sink_text(out, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
        return false;
    }
    return true;
}

static void
messages_whole(const struct demo_script *script, struct sink *out)
{
    sink_printf(out, "{\"id\":\"msg_%s\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"%.*s\",\"content\":[", script->id, SLICE_ARG(script->model));
    if (has(script, DEMO_THINK)) {
        sink_text(out, "{\"type\":\"thinking\",\"thinking\":\"");
        join(script, DEMO_THINK, out);
        sink_text(out, "\",\"signature\":\"ZGVtbw==\"},");
    }
    sink_text(out, "{\"type\":\"text\",\"text\":\"");
    join(script, DEMO_TEXT, out);
    sink_text(out, "\"}");
    if (script->calls) {
        sink_text(out, ",{\"type\":\"tool_use\",\"id\":\"toolu_demo1\",\"name\":\"");
        join(script, DEMO_CALL, out);
        sink_text(out, "\",\"input\":{\"city\":\"Paris\"}}");
    }
    sink_printf(out, "],\"stop_reason\":\"%s\",\"stop_sequence\":null,\"usage\":{\"input_tokens\":%llu,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":%d}}",
                script->calls ? "tool_use" : "end_turn", (unsigned long long)script->prompt_tokens, script->count);
}

bool
demo_script_step(struct demo_script *script, struct sink *out)
{
    return script->dialect == DIALECT_ANTHROPIC ? messages_step(script, out) : chat_step(script, out);
}

void
demo_script_whole(const struct demo_script *script, struct sink *out)
{
    if (script->dialect == DIALECT_ANTHROPIC)
        messages_whole(script, out);
    else
        chat_whole(script, out);
}
