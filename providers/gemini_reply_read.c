/* SPDX-License-Identifier: MIT
 *
 * gemini_reply_read.c - chunks of a generateContent stream, and whole replies, as canonical events.
 *
 * A chunk and a whole reply have one shape, so both are read by the same functions. Everything of
 * every part counts; only why a candidate ended, and what its text is founded on, waits until the
 * stream is over: the last word wins.
 */
#include "providers/gemini.h"

#include "base/text.h"
#include "providers/openai_chat.h"

void
gemini_reader_init(void *reader, struct arena *arena)
{
    struct gemini_reader *self = reader;
    memset(self, 0, offsetof(struct gemini_reader, template));
    self->template.before = 0;
    self->template.room = (struct canon_room){0};
    self->arena = arena;
    for (size_t i = 0; i < countof(self->counts); i++)
        self->counts[i] = UINT64_MAX;
}

void
gemini_reader_fini(void *reader)
{
    struct gemini_reader *self = reader;
    for (struct gemini_read_choice *at = self->choices; at; at = at->next) {
        gemini_offsets_fini(&at->offsets);
        sink_fini(&at->grounding);
        sink_fini(&at->citations);
        sink_fini(&at->parts);
    }
    self->choices = NULL;
}

static struct gemini_read_choice *
find_choice(struct gemini_reader *reader, uint32_t index)
{
    struct gemini_read_choice **link = &reader->choices;
    for (; *link; link = &(*link)->next)
        if ((*link)->index == index)
            return *link;
    struct gemini_read_choice *choice = arena_take(reader->arena, sizeof(*choice));
    if (!choice)
        return NULL;
    choice->index = index;
    gemini_offsets_init(&choice->offsets);
    sink_init(&choice->grounding, GEMINI_METADATA_MAX);
    sink_init(&choice->citations, GEMINI_METADATA_MAX);
    sink_init(&choice->parts, GEMINI_METADATA_MAX);
    reader->choice_count++;
    *link = choice;
    return choice;
}

/* ---------------------------------------------------------------- the end of a candidate */

static int
fail(struct gemini_reader *reader, const struct canon_error *error, struct canon_events *events)
{
    struct canon_event *event = canon_add(events, CANON_ERROR);
    if (!event)
        return -ERR_MEMORY;
    event->error = *error;
    reader->failed = true;
    return 0;
}

/* A call that failed is an error, whatever else the reply holds: it never looks like a natural end.
 */
static int
fail_call(struct gemini_reader *reader, struct slice word, struct json message,
          struct canon_events *events)
{
    bool is_unsigned = slice_is(word, "MISSING_THOUGHT_SIGNATURE");
    struct canon_error error = canon_error_of(is_unsigned ? ERR_UPSTREAM_ERROR : ERR_TOOL_CALL);
    struct slice said = json_string(message, events->arena);
    error.message =
        said.len > 0 ? arena_printf(events->arena, "%.*s: %.*s", SLICE_ARG(word), SLICE_ARG(said))
                     : arena_printf(events->arena, "the upstream ended with %.*s", SLICE_ARG(word));
    return slice_present(error.message) ? fail(reader, &error, events) : -ERR_MEMORY;
}

static int
remember_finish(struct gemini_reader *reader, struct gemini_read_choice *choice, struct json reason,
                struct json message, struct canon_events *events)
{
    bool is_known, is_failure;
    enum canon_finish finish = gemini_finish_of(reason, &is_known, &is_failure);
    if (is_failure)
        return fail_call(reader, json_text(reason), message, events);
    if (finish == FINISH_NONE)
        return 0;
    if (!is_known)
        events->flaws |= 1u << FLAW_UNKNOWN_FINISH;
    choice->finish = finish;
    events->mends |= GEMINI_MEND_FINISH;
    return 0;
}

static int
finish_choice(struct gemini_reader *reader, struct gemini_read_choice *choice,
              struct canon_events *events)
{
    int error = choice->partial ? gemini_close_partial(choice, false, events) : 0;
    if (!error)
        error = gemini_emit_grounding(reader, choice, events);
    if (!error)
        error = gemini_close_block(choice, events);
    struct canon_event *event = error ? NULL : canon_add(events, CANON_FINISH);
    if (!event)
        return error ? error : -ERR_MEMORY;
    bool natural = choice->finish == FINISH_STOP || choice->finish == FINISH_OTHER;
    event->choice = choice->index;
    event->finish = natural && choice->called ? FINISH_CALLS : choice->finish;
    return 0;
}

/* The reply is over: every candidate says why, in the order in which they came. */
static int
finish_all(struct gemini_reader *reader, struct canon_events *events)
{
    bool finished = reader->choices != NULL;
    for (struct gemini_read_choice *at = reader->choices; at; at = at->next) {
        if (at->finish == FINISH_NONE && reader->whole) {
            at->finish = FINISH_STOP;
            events->flaws |= 1u << FLAW_NO_FINISH;
        }
        finished = finished && at->finish != FINISH_NONE;
    }
    if (!finished) {
        struct canon_error lost = canon_error_of(ERR_DISCONNECTED);
        return fail(reader, &lost, events);
    }
    for (struct gemini_read_choice *at = reader->choices; at; at = at->next) {
        int error = finish_choice(reader, at, events);
        if (error)
            return error;
    }
    reader->ended = true;
    return canon_add(events, CANON_END) ? 0 : -ERR_MEMORY;
}

/* ---------------------------------------------------------------- candidates */

static struct canon_logprob *
read_logprob(struct json value, struct arena *arena)
{
    struct canon_logprob *one = arena_take(arena, sizeof(*one));
    if (one) {
        one->token = json_text(json_get(value, "token"));
        one->logprob = json_raw(json_get(value, "logProbability"));
        if (!slice_present(one->token))
            one->token = SLICE_LIT("");
        if (json_type(json_get(value, "logProbability")) != JSON_NUMBER)
            one->logprob = SLICE_LIT("0"); /* a probability of 1 is left out */
    }
    return one;
}

static int
read_top(struct json list, struct canon_logprob *of, struct arena *arena)
{
    struct canon_logprob **link = &of->top;
    struct json candidates = json_get(list, "candidates");
    for (struct json at = json_first(candidates); json_present(at); at = json_next(at)) {
        *link = read_logprob(at, arena);
        if (!*link)
            return -ERR_MEMORY;
        link = &(*link)->next;
    }
    return 0;
}

/* Token probabilities go with the last text of the chunk they came in. */
static int
read_logprobs(struct json result, uint32_t choice, int from, struct canon_events *events)
{
    struct canon_event *text = NULL;
    for (int i = from; i < events->count; i++) {
        struct canon_event *at = &events->at[i];
        if (at->kind == CANON_DELTA && at->type == BLOCK_TEXT && at->choice == choice &&
            at->text.len > 0)
            text = at;
    }
    if (!text)
        return 0;
    struct canon_logprob **link = &text->logprobs;
    struct json top = json_first(json_get(result, "topCandidates"));
    struct json chosen = json_get(result, "chosenCandidates");
    for (struct json at = json_first(chosen); json_present(at); at = json_next(at)) {
        *link = read_logprob(at, events->arena);
        if (!*link)
            return -ERR_MEMORY;
        int error = json_present(top) ? read_top(top, *link, events->arena) : 0;
        if (error)
            return error;
        top = json_present(top) ? json_next(top) : top;
        link = &(*link)->next;
    }
    return 0;
}

/* Metadata that say something replace those that came before. */
static int
keep_metadata(struct json value, struct sink *kept)
{
    if (json_type(value) != JSON_OBJECT || json_count(value) == 0)
        return 0;
    sink_reset(kept, 65536);
    sink_put(kept, json_raw(value));
    return kept->error ? -ERR_UPSTREAM_TOO_LARGE : 0;
}

static int
read_parts(struct gemini_reader *reader, struct gemini_read_choice *choice, struct json content,
           struct slice data, struct canon_events *events)
{
    static const struct slice name = CHAT_NAME("parts");
    struct json parts;
    chat_take(content, &name, 1, &parts);
    if (json_type(parts) == JSON_OBJECT) /* some proxies send one part bare */
        return gemini_read_part(reader, choice, parts, data, events);
    if (json_type(parts) != JSON_ARRAY)
        return 0;
    for (struct json at = json_first(parts); json_present(at); at = json_next(at)) {
        if (reader->whole)
            sink_put(&choice->parts,
                     slice_of(&choice->offsets.bytes, sizeof(choice->offsets.bytes)));
        int error = gemini_read_part(reader, choice, at, data, events);
        if (error)
            return error;
    }
    return 0;
}

static int
read_candidate(struct gemini_reader *reader, struct json value, struct slice data,
               struct canon_events *events)
{
    static const struct slice names[] = {
        CHAT_NAME("index"),         CHAT_NAME("content"),           CHAT_NAME("finishReason"),
        CHAT_NAME("finishMessage"), CHAT_NAME("groundingMetadata"), CHAT_NAME("citationMetadata"),
        CHAT_NAME("logprobsResult")};
    struct json found[countof(names)];
    chat_take(value, names, countof(names), found);
    uint64_t index = json_u64_or(found[0], 0);
    if (json_type(value) != JSON_OBJECT || index >= GEMINI_CANDIDATES_MAX)
        return -ERR_UPSTREAM_PROTOCOL;
    struct gemini_read_choice *choice = find_choice(reader, (uint32_t)index);
    if (!choice)
        return -ERR_MEMORY;
    int from = events->count;
    int error = read_parts(reader, choice, found[1], data, events);
    if (!error && json_present(found[6]))
        error = read_logprobs(found[6], choice->index, from, events);
    if (!error)
        error = keep_metadata(found[4], &choice->grounding);
    if (!error)
        error = keep_metadata(found[5], &choice->citations);
    if (!error && json_present(found[2]))
        error = remember_finish(reader, choice, found[2], found[3], events);
    return error;
}

/* ---------------------------------------------------------------- usage */

/* 64-bit numbers may come as text; what no count of tokens can be is not one. */
static void
take_count(struct json value, uint64_t *count)
{
    uint64_t number = json_u64_or(value, UINT64_MAX);
    if (json_type(value) == JSON_STRING && !text_u64(json_text(value), &number))
        return;
    if (number <= (uint64_t)1 << 48)
        *count = number;
}

static uint64_t
known_or_zero(uint64_t count)
{
    return count == UINT64_MAX ? 0 : count;
}

int
gemini_emit_usage(const struct gemini_reader *reader, struct canon_events *events)
{
    const uint64_t *counts = reader->counts;
    struct canon_event *event = canon_add(events, CANON_USAGE);
    if (!event)
        return -ERR_MEMORY;
    struct canon_usage *out = &event->usage;
    /* What is 0 is left out; so once anything is said, what is not said is 0. */
    if (counts[GEMINI_COUNT_PROMPT] != UINT64_MAX)
        out->in_total = counts[GEMINI_COUNT_PROMPT] + known_or_zero(counts[GEMINI_COUNT_TOOLS]);
    out->cache_read = counts[GEMINI_COUNT_CACHED];
    out->reasoning = counts[GEMINI_COUNT_THOUGHTS];
    out->out_total = known_or_zero(counts[GEMINI_COUNT_CANDIDATES]) +
                     known_or_zero(counts[GEMINI_COUNT_THOUGHTS]);
    return 0;
}

static int
read_usage(struct gemini_reader *reader, struct gemini_usage_json *usage,
           struct canon_events *events)
{
    static const struct slice names[GEMINI_COUNT_NONE] = {
        CHAT_NAME("promptTokenCount"),        CHAT_NAME("toolUsePromptTokenCount"),
        CHAT_NAME("cachedContentTokenCount"), CHAT_NAME("candidatesTokenCount"),
        CHAT_NAME("thoughtsTokenCount"),      CHAT_NAME("totalTokenCount")};
    uint64_t before[GEMINI_COUNT_NONE];
    chat_take(usage->all, names, countof(names), usage->counters);
    memcpy(before, reader->counts, sizeof(before));
    for (size_t i = 0; i < countof(names); i++)
        take_count(usage->counters[i], &reader->counts[i]);
    return memcmp(before, reader->counts, sizeof(before)) == 0 ? 0
                                                               : gemini_emit_usage(reader, events);
}

/* ---------------------------------------------------------------- chunks */

static int
start(struct gemini_reader *reader, struct json id, struct json model, struct canon_events *events)
{
    struct canon_event *event = canon_add(events, CANON_START);
    if (!event)
        return -ERR_MEMORY;
    event->id = json_text(id);
    event->model = json_text(model);
    reader->id_hash = event->id.len > 0 ? canon_hash(event->id) : 0;
    reader->started = true;
    return 0;
}

/* A prompt that was blocked has no candidate: the reply is empty, and says so. */
static int
read_feedback(struct gemini_reader *reader, struct json feedback, struct canon_events *events)
{
    struct json reason = json_get(feedback, "blockReason");
    if (!json_present(reason) || json_is(reason, "BLOCK_REASON_UNSPECIFIED") ||
        json_u64_or(reason, 1) == 0)
        return 0;
    struct gemini_read_choice *choice = find_choice(reader, 0);
    if (!choice)
        return -ERR_MEMORY;
    choice->finish = FINISH_FILTER;
    events->mends |= GEMINI_MEND_FINISH;
    return 0;
}

static int
read_chunk(struct gemini_reader *reader, struct json root, struct slice data,
           struct canon_events *events)
{
    static const struct slice names[] = {CHAT_NAME("candidates"),    CHAT_NAME("promptFeedback"),
                                         CHAT_NAME("usageMetadata"), CHAT_NAME("modelVersion"),
                                         CHAT_NAME("responseId"),    CHAT_NAME("error")};
    struct json found[countof(names)];
    struct canon_error reported;
    chat_take(root, names, countof(names), found);
    struct gemini_usage_json usage = {.all = found[2]};
    if ((json_present(found[5]) || !json_present(found[0])) &&
        gemini_error_from_json(root, events->arena, &reported))
        return fail(reader, &reported, events);
    int error = reader->started ? 0 : start(reader, found[4], found[3], events);
    if (reader->id_hash == 0 && json_text(found[4]).len > 0)
        reader->id_hash = canon_hash(json_text(found[4]));
    bool is_list = json_type(found[0]) == JSON_ARRAY;
    for (struct json at = json_first(found[0]);
         !error && is_list && json_present(at) && !reader->failed; at = json_next(at))
        error = read_candidate(reader, at, data, events);
    if (!error && json_present(found[1]) && !reader->failed)
        error = read_feedback(reader, found[1], events);
    if (!error && !reader->failed)
        error = read_usage(reader, &usage, events);
    if (!error && !reader->failed && !reader->whole)
        gemini_template_learn(reader, data, events, &usage);
    return error;
}

/* A chunk, or several in a list: a stream that came as one JSON text, an error that Google wrapped.
 */
static int
read_root(struct gemini_reader *reader, struct json root, struct slice data,
          struct canon_events *events)
{
    if (json_type(root) == JSON_OBJECT)
        return read_chunk(reader, root, data, events);
    if (json_type(root) != JSON_ARRAY)
        return -ERR_UPSTREAM_PROTOCOL;
    events->rewrite = true;
    events->mends |= CANON_MEND_ALL;
    for (struct json at = json_first(root); json_present(at) && !reader->failed;
         at = json_next(at)) {
        int error = json_type(at) == JSON_OBJECT ? read_chunk(reader, at, json_raw(at), events)
                                                 : -ERR_UPSTREAM_PROTOCOL;
        if (error)
            return error;
    }
    return 0;
}

/* Text deltas that would make a line over the limit are written anew, in pieces; other large values
 * stay whole. */
static void
judge_size(struct slice data, struct canon_events *events)
{
    if (data.len <= DIALECT_LINE_MAX)
        return;
    size_t text_len = 0;
    for (int i = 0; i < events->count; i++)
        text_len += events->at[i].type == BLOCK_CALL ? 0 : events->at[i].text.len;
    if (text_len < data.len / 2)
        return;
    events->flaws |= 1u << FLAW_OVERSIZE_LINE;
    events->mends |= CANON_MEND_ALL;
    events->rewrite = true;
}

int
gemini_read_event(void *reader, struct slice type, struct slice data, struct canon_events *events)
{
    struct gemini_reader *self = reader;
    struct json root;
    (void)type; /* this dialect names no events */
    if (self->ended || self->failed) {
        events->flaws |= 1u << FLAW_AFTER_END;
        events->swallow = true;
        return 0;
    }
    int matched = gemini_template_match(self, data, events);
    if (matched)
        return matched < 0 ? matched : 0;
    struct slice text = text_trim(data);
    if (text.len == 0 || slice_is(text, "[DONE]")) {
        events->flaws |= text.len == 0 ? 0 : 1u << FLAW_UNKNOWN_EVENT;
        events->swallow = true;
        return 0;
    }
    int error = json_parse(data, GEMINI_DEPTH_MAX, GEMINI_TOKENS_MAX, events->arena, &root);
    if (error)
        return error == -ERR_MEMORY ? error : -ERR_UPSTREAM_PROTOCOL;
    error = read_root(self, root, data, events);
    judge_size(data, events);
    return error;
}

int
gemini_read_body(void *reader, struct slice body, struct canon_events *events)
{
    struct gemini_reader *self = reader;
    struct json root;
    int error = json_parse(body, GEMINI_DEPTH_MAX, GEMINI_TOKENS_MAX, events->arena, &root);
    if (error)
        return error == -ERR_MEMORY ? error : -ERR_UPSTREAM_PROTOCOL;
    self->whole = json_type(root) == JSON_OBJECT;
    error = read_root(self, root, body, events);
    if (error || self->failed)
        return error;
    return self->choices ? finish_all(self, events) : -ERR_UPSTREAM_PROTOCOL;
}

int
gemini_read_end(void *reader, struct canon_events *events)
{
    struct gemini_reader *self = reader;
    return self->ended || self->failed ? 0 : finish_all(self, events);
}
