/* SPDX-License-Identifier: MIT
 *
 * openai_chat_turns.c - neighbours of one role made one message, for upstreams whose templates
 * insist on turns.
 *
 * Texts are joined by an empty line, lists of parts and of calls are joined as they are; what else
 * the first message says stays. Tool messages are never merged: each answers a call of its own.
 */
#include "providers/openai_chat.h"

static bool
same_turn(struct json a, struct json b, bool keep_developer)
{
    static const char *const merging[] = {"user", "assistant", "system", "developer"};
    struct json role_a = json_get(a, "role"), role_b = json_get(b, "role");
    for (size_t i = 0; i < countof(merging); i++)
        if (json_is(role_a, merging[i]) && json_is(role_b, merging[i]))
            return true;
    bool is_a = json_is(role_a, "system") || json_is(role_a, "developer");
    bool is_b = json_is(role_b, "system") || json_is(role_b, "developer");
    return !keep_developer && is_a && is_b;
}

/* Contents of one run: all plain texts, or some list among them. */
static bool
is_plain(struct json first, struct json last)
{
    for (struct json at = first;; at = json_next(at)) {
        if (json_type(json_get(at, "content")) == JSON_ARRAY)
            return false;
        if (at.at == last.at)
            return true;
    }
}

static void
put_joined_texts(struct json_writer *json, struct json first, struct json last)
{
    struct sink *out = json->sink;
    bool any = false;
    /* A string is written piece by piece: its pieces are escaped already. */
    for (struct json at = first;; at = json_next(at)) {
        struct slice text = json_text(json_get(at, "content"));
        if (text.len > 0 && !any)
            sink_byte(out, '"');
        else if (text.len > 0)
            sink_text(out, "\\n\\n");
        sink_put(out, text);
        any = any || text.len > 0;
        if (at.at == last.at)
            break;
    }
    if (any)
        sink_byte(out, '"');
    else
        sink_put(out, json_present(json_get(first, "content"))
                          ? json_raw(json_get(first, "content"))
                          : SLICE_LIT("null"));
}

static void
put_joined_lists(struct json_writer *json, struct json first, struct json last, const char *name)
{
    json_array(json);
    for (struct json at = first;; at = json_next(at)) {
        struct json value = json_get(at, name);
        if (json_type(value) == JSON_STRING && json_text(value).len > 0) {
            json_object(json);
            json_member_text(json, "type", "text");
            json_member_raw(json, "text", json_raw(value));
            json_end(json);
        }
        if (json_type(value) == JSON_ARRAY)
            for (struct json part = json_first(value); json_present(part); part = json_next(part))
                json_put_raw(json, json_raw(part));
        if (at.at == last.at)
            break;
    }
    json_end(json);
}

static bool
any_calls(struct json first, struct json last)
{
    for (struct json at = first;; at = json_next(at)) {
        if (json_type(json_get(at, "tool_calls")) == JSON_ARRAY)
            return true;
        if (at.at == last.at)
            return false;
    }
}

static void
put_run(struct json_writer *json, struct json first, struct json last, bool keep_developer)
{
    json_object(json);
    for (struct json member = json_first(first); json_present(member); member = json_next(member)) {
        if (json_key_is(member, "content") || json_key_is(member, "tool_calls"))
            continue;
        json_name_slice(json, json_key(member));
        if (json_key_is(member, "role") && !keep_developer && json_is(member, "developer"))
            json_put_literal(json, "system");
        else
            json_put_raw(json, json_raw(member));
    }
    json_name(json, "content");
    if (is_plain(first, last)) {
        struct sink *out = json->sink;
        struct sink text;
        struct json_writer inner;
        sink_init(&text, CHAT_WHOLE_MAX);
        json_writer_init(&inner, &text);
        put_joined_texts(&inner, first, last);
        if (text.error)
            out->error = text.error;
        else
            json_put_raw(json, sink_slice(&text));
        sink_fini(&text);
    } else {
        put_joined_lists(json, first, last, "content");
    }
    if (any_calls(first, last)) {
        json_name(json, "tool_calls");
        put_joined_lists(json, first, last, "tool_calls");
    }
    json_end(json);
}

struct slice
chat_merged_turns(struct json messages, bool keep_developer, struct arena *arena, int *error)
{
    bool found = false;
    *error = 0;
    if (json_type(messages) != JSON_ARRAY)
        return SLICE_NONE;
    for (struct json at = json_first(messages); json_present(at) && !found; at = json_next(at)) {
        struct json next = json_next(at);
        found = json_present(next) && same_turn(at, next, keep_developer);
    }
    if (!found)
        return SLICE_NONE;
    struct sink out;
    struct json_writer json;
    sink_init(&out, CHAT_WHOLE_MAX);
    json_writer_init(&json, &out);
    json_array(&json);
    for (struct json first = json_first(messages), last; json_present(first);
         first = json_next(last)) {
        last = first;
        for (struct json next = json_next(last);
             json_present(next) && same_turn(first, next, keep_developer); next = json_next(next))
            last = next;
        bool renames = !keep_developer && json_is(json_get(first, "role"), "developer");
        if (last.at == first.at && !renames)
            json_put_raw(&json, json_raw(first));
        else
            put_run(&json, first, last, keep_developer);
    }
    json_end(&json);
    struct slice copy = out.error ? SLICE_NONE : arena_copy(arena, sink_slice(&out));
    sink_fini(&out);
    if (!slice_present(copy))
        *error = -ERR_MEMORY;
    return copy;
}
