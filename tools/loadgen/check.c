/* SPDX-License-Identifier: MIT
 *
 * check.c - see check.h.
 */
#include "tools/loadgen/check.h"

#include <stdio.h>
#include <string.h>

const char *const wrong_names[WRONGS_COUNT] = {
#define X(name, text) [WRONG_##name] = text,
    WRONGS(X)
#undef X
};

void
tally_wrong(struct tally *tally, enum wrong wrong, uint64_t id, struct slice shown)
{
    tally->wrongs[wrong]++;
    if (tally->first[0])
        return;
    size_t len = shown.len < 300 ? shown.len : 300;
    snprintf(tally->first, sizeof(tally->first), "%s, id %llu: %.*s", wrong_names[wrong],
             (unsigned long long)id, (int)len, shown.ptr ? shown.ptr : "");
    for (char *at = tally->first; *at; at++) {
        if ((unsigned char)*at < ' ' || (unsigned char)*at > '~')
            *at = ' ';
    }
}

void
check_begin(struct check *check, struct tally *tally, enum dialect dialect, uint64_t id)
{
    *check = (struct check){.tally = tally, .dialect = (uint8_t)dialect, .id = id};
}

static void
wrong(struct check *check, enum wrong wrong, struct slice shown)
{
    check->failed = true;
    tally_wrong(check->tally, wrong, check->id, shown);
}

static bool
has(struct slice bytes, const char *text)
{
    return memmem(bytes.ptr, bytes.len, text, strlen(text)) != NULL;
}

static int
count_of(struct slice bytes, const char *text)
{
    int count = 0;
    size_t len = strlen(text);
    for (const char *at; (at = memmem(bytes.ptr, bytes.len, text, len)); count++)
        bytes = slice_skip(bytes, (size_t)(at - bytes.ptr) + len);
    return count;
}

static void
place(struct check *check, uint64_t id, uint64_t number, struct slice shown)
{
    if (id != check->id) {
        wrong(check, WRONG_CROSSED, shown);
    } else if (number == check->next) {
        check->next++;
    } else if (number > check->next) {
        check->hole_from = check->next;
        check->hole_to = (uint32_t)number;
        check->missing += (uint32_t)number - check->next;
        check->next = (uint32_t)number + 1;
    } else if (check->missing && number >= check->hole_from && number < check->hole_to) {
        check->missing--;
        wrong(check, WRONG_REORDERED, shown);
    } else {
        wrong(check, WRONG_DUPLICATED, shown);
    }
}

static const char *
number_at(const char *at, const char *end, char stop, uint64_t *number)
{
    const char *start = at;
    uint64_t n = 0;
    for (; at < end && *at >= '0' && *at <= '9' && at - start < 20; at++)
        n = n * 10 + (uint64_t)(*at - '0');
    *number = n;
    return at > start && at < end && *at == stop ? at + 1 : NULL;
}

/* The next marker in the bytes, "[id.number.ns]": where it ends, or NULL when there is none. */
static const char *
marker_in(struct slice bytes, uint64_t *id, uint64_t *number, uint64_t *ns)
{
    const char *end = bytes.ptr + bytes.len;
    for (const char *at = bytes.ptr; (at = memchr(at, '[', (size_t)(end - at))); at++) {
        const char *next = number_at(at + 1, end, '.', id);
        if (next && (next = number_at(next, end, '.', number)) &&
            (next = number_at(next, end, ']', ns)))
            return next;
    }
    return NULL;
}

/* All texts in the bytes; returns what follows the last of them. */
static struct slice
texts(struct check *check, struct slice bytes, uint64_t now_ns)
{
    uint64_t id, number, ns;
    for (const char *at; (at = marker_in(bytes, &id, &number, &ns));) {
        struct slice shown = bytes;
        bytes = slice_skip(bytes, (size_t)(at - bytes.ptr));
        check->tally->texts++;
        if (check->last_seen && number >= check->next)
            wrong(check, WRONG_AFTER_END, shown);
        else
            place(check, id, number, shown);
        if (bytes.len && bytes.ptr[0] == '$')
            check->last_seen = true;
        histogram_record(&check->tally->latency, now_ns > ns ? now_ns - ns : 0);
    }
    return bytes;
}

static void
end(struct check *check, struct slice shown)
{
    if (check->ends < 255)
        check->ends++;
    if (check->ends > 1)
        wrong(check, WRONG_TWO_ENDS, shown);
}

static bool
looks_like_json(struct slice data)
{
    return data.len >= 2 && data.ptr[0] == '{' && data.ptr[data.len - 1] == '}';
}

/* What stands behind the texts of an event; false: it is an error, and has been told of. */
static bool
behind_texts(struct check *check, struct slice data, uint64_t now_ns, struct slice *rest)
{
    *rest = texts(check, data, now_ns);
    bool error = rest->ptr == data.ptr && has(data, "\"error\":{");
    if (error)
        wrong(check, WRONG_ERROR_EVENT, data);
    return !error;
}

static void
chat_event(struct check *check, struct slice data, uint64_t now_ns)
{
    struct slice rest;
    if (!behind_texts(check, data, now_ns, &rest))
        return;
    if (has(rest, "\"finish_reason\":\"")) {
        if (check->finishes++)
            wrong(check, WRONG_TWO_ENDS, data);
    } else if (check->finishes && rest.ptr != data.ptr) {
        wrong(check, WRONG_AFTER_END, data);
    }
}

static void
anthropic_event(struct check *check, struct slice type, struct slice data, uint64_t now_ns)
{
    if (slice_is(type, "content_block_delta"))
        (void)texts(check, data, now_ns);
    else if (slice_is(type, "message_start") && check->begun)
        wrong(check, WRONG_MALFORMED, data);
    else if (slice_is(type, "message_stop"))
        end(check, data);
    else if (slice_is(type, "message_delta") && has(data, "\"stop_reason\":\"") &&
             check->finishes++)
        wrong(check, WRONG_TWO_ENDS, data);
    else if (slice_is(type, "error"))
        wrong(check, WRONG_ERROR_EVENT, data);
    if (!check->begun && !slice_is(type, "message_start") && !check->failed)
        wrong(check, WRONG_MALFORMED, data);
}

/* What a text is said to have been must be as many pieces as came. */
static void
responses_said_again(struct check *check, struct slice data)
{
    uint64_t id, number, ns, count = 0;
    struct slice bytes = data;
    for (const char *at; (at = marker_in(bytes, &id, &number, &ns)); count++)
        bytes = slice_skip(bytes, (size_t)(at - bytes.ptr));
    if (count < check->next)
        wrong(check, WRONG_LOST, data);
    else if (count > check->next)
        wrong(check, WRONG_DUPLICATED, data);
}

static void
responses_event(struct check *check, struct slice type, struct slice data, uint64_t now_ns)
{
    if (slice_is(type, "response.output_text.delta")) {
        (void)texts(check, data, now_ns);
    } else if (slice_is(type, "response.output_text.done")) {
        if (!check->failed && !check->missing)
            responses_said_again(check, data);
    } else if (slice_is(type, "response.completed")) {
        check->finishes = 1;
        end(check, data);
    } else if (slice_is(type, "response.failed") || slice_is(type, "error") ||
               slice_is(type, "response.incomplete")) {
        wrong(check, WRONG_ERROR_EVENT, data);
    }
    if (!check->begun && !slice_is(type, "response.created") && !check->failed)
        wrong(check, WRONG_MALFORMED, data);
}

static void
gemini_event(struct check *check, struct slice data, uint64_t now_ns)
{
    struct slice rest;
    if (!behind_texts(check, data, now_ns, &rest))
        return;
    if (has(rest, "\"finishReason\":\"")) {
        check->finishes = 1;
        end(check, data);
    }
}

/* The type inside the data, for events without a name. */
static struct slice
type_of(struct slice data)
{
    static const char field[] = "\"type\":\"";
    const char *at = memmem(data.ptr, data.len, field, sizeof(field) - 1);
    if (!at)
        return SLICE_NONE;
    struct slice rest = slice_skip(data, (size_t)(at - data.ptr) + sizeof(field) - 1);
    const char *quote = memchr(rest.ptr, '"', rest.len);
    return quote ? slice_of(rest.ptr, (size_t)(quote - rest.ptr)) : SLICE_NONE;
}

void
check_event(struct check *check, struct slice name, struct slice data, uint64_t now_ns)
{
    check->tally->events++;
    if (check->ends) {
        bool two = slice_is(data, "[DONE]") || slice_eq(type_of(data), SLICE_LIT("message_stop")) ||
                   slice_eq(type_of(data), SLICE_LIT("response.completed")) ||
                   has(data, "\"finishReason\":\"") || has(data, "\"finish_reason\":\"");
        wrong(check, two ? WRONG_TWO_ENDS : WRONG_AFTER_END, data);
        return;
    }
    if (check->dialect == DIALECT_CHAT && slice_is(data, "[DONE]")) {
        end(check, data);
        return;
    }
    if (!looks_like_json(data)) {
        wrong(check, WRONG_MALFORMED, data);
        return;
    }
    struct slice type = name;
    switch ((enum dialect)check->dialect) {
    case DIALECT_CHAT:
        chat_event(check, data, now_ns);
        break;
    case DIALECT_GEMINI:
        gemini_event(check, data, now_ns);
        break;
    case DIALECT_ANTHROPIC:
    case DIALECT_RESPONSES:
        if (!slice_present(type))
            type = type_of(data);
        if (check->dialect == DIALECT_ANTHROPIC)
            anthropic_event(check, type, data, now_ns);
        else
            responses_event(check, type, data, now_ns);
        break;
    }
    check->begun = true;
}

static void
nothing_missing(struct check *check)
{
    if (check->missing || !check->last_seen)
        wrong(check, WRONG_LOST,
              slice_from(check->missing ? "texts left out" : "the last text never came"));
}

void
check_stream_end(struct check *check)
{
    if (check->failed)
        return; /* one thing wrong is enough for an answer */
    if (!check->ends || !check->finishes)
        wrong(check, WRONG_NO_END,
              slice_from(check->finishes ? "no terminal event" : "no reason for the end"));
    nothing_missing(check);
}

void
check_whole(struct check *check, struct slice body, uint64_t now_ns)
{
    static const char *const finishes[] = {
        [DIALECT_CHAT] = "\"finish_reason\":\"stop\"",
        [DIALECT_ANTHROPIC] = "\"stop_reason\":\"end_turn\"",
        [DIALECT_RESPONSES] = "\"status\":\"completed\"",
        [DIALECT_GEMINI] = "\"finishReason\":\"STOP\"",
    };
    check->tally->events++;
    if (!looks_like_json(body)) {
        wrong(check, WRONG_MALFORMED, body);
        return;
    }
    (void)texts(check, body, now_ns);
    int ends = count_of(body, finishes[check->dialect]);
    if (check->dialect == DIALECT_RESPONSES && has(body, "\"status\":\"in_progress\""))
        ends = 0; /* what it holds has states, too */
    if (ends == 0)
        wrong(check, WRONG_NO_END, body);
    else if (ends > 1 && check->dialect != DIALECT_RESPONSES)
        wrong(check, WRONG_TWO_ENDS, body);
    if (!check->failed)
        nothing_missing(check);
}
