/* SPDX-License-Identifier: MIT
 *
 * openai_chat_whole_pass.c - a Chat upstream's whole reply on its way to a Chat client, with only
 * those places mended that a client could not take: everything else, a vendor's own fields among
 * it, stays byte for byte.
 *
 * What the reply means is gathered from its events first; each place is compared with that. A body
 * of another shape than OpenAI's is written anew.
 */
#include "providers/openai_chat.h"

/* Does the body have the shape that can be mended: choices with messages, as many calls as were
 * read? */
static bool
is_mendable(struct chat_writer *writer, struct json root)
{
    struct json choices = json_get(root, "choices");
    if (json_type(choices) != JSON_ARRAY)
        return false;
    for (struct json at = json_first(choices); json_present(at); at = json_next(at)) {
        struct json message = json_get(at, "message"), calls = json_get(message, "tool_calls");
        uint64_t index = json_u64_or(json_get(at, "index"), 0);
        if (json_type(message) != JSON_OBJECT || index >= CHAT_CHOICES_MAX)
            return false;
        const struct chat_write_choice *choice = chat_writer_choice(writer, (uint32_t)index);
        uint32_t count = json_type(calls) == JSON_ARRAY ? json_count(calls) : 0;
        bool is_legacy = json_type(json_get(message, "function_call")) == JSON_OBJECT;
        if (!choice || choice->call_count != count + is_legacy)
            return false;
        for (struct json call = json_first(calls); count > 0 && json_present(call);
             call = json_next(call))
            if (json_type(call) != JSON_OBJECT)
                return false;
    }
    return true;
}

/* Escaped contents as a JSON string; a sink, since texts may be long. */
static struct slice
quoted(struct splice *splice, struct slice text)
{
    char *bytes = arena_take(splice->arena, text.len + 2);
    splice->failed = splice->failed || !bytes;
    if (!bytes)
        return SLICE_NONE;
    bytes[0] = bytes[text.len + 1] = '"';
    if (text.len > 0)
        memcpy(bytes + 1, text.ptr, text.len);
    return slice_of(bytes, text.len + 2);
}

static void
set_text(struct splice *splice, struct json object, const char *name, struct slice text)
{
    struct slice value = quoted(splice, text);
    if (!splice->failed)
        splice_member(splice, object, name, value);
}

static void
mend_content(struct splice *splice, struct json message, const struct chat_write_choice *choice)
{
    struct json content = json_get(message, "content");
    struct slice text = sink_slice(&choice->whole->text);
    bool is_same = json_type(content) != JSON_ARRAY && slice_eq(json_text(content), text);
    if (is_same ||
        (text.len == 0 && json_text(content).len == 0 && json_type(content) != JSON_ARRAY))
        return;
    if (text.len > 0 || choice->call_count == 0)
        set_text(splice, message, "content", text);
    else
        splice_member(splice, message, "content", SLICE_LIT("null"));
}

static void
hide(struct splice *splice, struct json member)
{
    if (json_present(member))
        splice_replace(splice, json_raw(member), SLICE_LIT("null"));
}

/* Thoughts under the name that the client wants, or under none. */
static void
mend_reasoning(struct splice *splice, struct json message, const struct chat_write_choice *choice,
               enum dialect_reasoning shown)
{
    struct json content = json_get(message, "reasoning_content"),
                reasoning = json_get(message, "reasoning"),
                details = json_get(message, "reasoning_details");
    if (shown == SHOW_THINK_TAGS || shown == SHOW_NOTHING) {
        hide(splice, content);
        hide(splice, reasoning);
        hide(splice, details);
        hide(splice, json_get(message, "thinking"));
        return;
    }
    bool wants_short = shown == SHOW_REASONING;
    struct json wanted = wants_short ? reasoning : content,
                other = wants_short ? content : reasoning;
    struct slice text = sink_slice(&choice->whole->reasoning);
    if (text.len == 0 || json_text(wanted).len > 0)
        return;
    if (shown == SHOW_AS_SENT && (json_text(other).len > 0 || json_type(details) == JSON_ARRAY))
        return;
    const char *name = wants_short ? "reasoning" : "reasoning_content";
    if (json_text(other).len > 0 && !json_present(wanted))
        splice_replace(splice, json_key(other), slice_from(name));
    else
        set_text(splice, message, name, text);
}

static const struct chat_write_call *
call_numbered(const struct chat_write_choice *choice, uint32_t number)
{
    for (const struct chat_write_call *at = choice->calls; at; at = at->next)
        if (at->number == number)
            return at;
    return NULL;
}

/* anew: a filter has changed calls, so that even inputs which are there may be others. */
static void
mend_calls(struct splice *splice, struct json message, const struct chat_write_choice *choice,
           bool anew)
{
    struct json calls = json_get(message, "tool_calls");
    uint32_t number = 0;
    if (json_type(calls) != JSON_ARRAY)
        return;
    for (struct json at = json_first(calls); json_present(at); at = json_next(at)) {
        const struct chat_write_call *call = call_numbered(choice, number++);
        assert(call); /* is_mendable counted them */
        struct json body = json_get(at, call->custom ? "custom" : "function");
        struct json arguments = json_get(body, "arguments");
        if (!slice_eq(json_text(json_get(at, "id")), call->id))
            set_text(splice, at, "id", call->id);
        if (json_text(json_get(at, "type")).len == 0)
            splice_member(splice, at, "type",
                          call->custom ? SLICE_LIT("\"custom\"") : SLICE_LIT("\"function\""));
        struct slice text = sink_slice(&call->arguments), given = json_text(arguments);
        bool stays = given.len > 0 && (!anew || slice_eq(given, text));
        if (call->custom || json_type(body) != JSON_OBJECT || stays)
            continue;
        set_text(splice, body, "arguments", text.len > 0 ? text : SLICE_LIT("{}"));
    }
}

static void
mend_choice(struct chat_writer *writer, struct splice *splice, struct json value, bool anew)
{
    struct json message = json_get(value, "message"), word = json_get(value, "finish_reason");
    const struct chat_write_choice *choice =
        chat_writer_choice(writer, (uint32_t)json_u64_or(json_get(value, "index"), 0));
    bool is_known = false, is_error = false;
    enum canon_finish finish = chat_finish_of(json_text(word), &is_known, &is_error);
    if (!is_known || finish != choice->finish)
        set_text(splice, value, "finish_reason",
                 slice_from(chat_finish_shown(choice, choice->finish)));
    if (!json_is(json_get(message, "role"), "assistant"))
        splice_member(splice, message, "role", SLICE_LIT("\"assistant\""));
    mend_content(splice, message, choice);
    mend_reasoning(splice, message, choice, writer->options.reasoning);
    mend_calls(splice, message, choice, anew);
}

int
chat_pass_whole(void *writer, struct slice body, const struct canon_events *events,
                struct sink *out)
{
    struct chat_writer *self = writer;
    struct json root;
    uint32_t unsaid = 0;
    int error = json_parse(body, CHAT_DEPTH_MAX, CHAT_TOKENS_MAX, events->arena, &root);
    for (int i = 0; i < events->count && !error; i++)
        error = chat_gather_event(self, &events->at[i], &unsaid, events->arena);
    if (error)
        return error;
    if (!is_mendable(self, root))
        return chat_write_whole(self, out);
    struct splice splice;
    splice_init(&splice, body, events->arena);
    if (json_text(json_get(root, "id")).len == 0)
        set_text(&splice, root, "id", self->id);
    for (struct json at = json_first(json_get(root, "choices")); json_present(at);
         at = json_next(at))
        mend_choice(self, &splice, at, (events->mends & CANON_MEND_ALL) != 0);
    return splice_put(&splice, out);
}
