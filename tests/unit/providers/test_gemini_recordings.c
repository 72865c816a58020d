/* SPDX-License-Identifier: MIT
 *
 * test_gemini_recordings.c - every recorded Gemini reply, when the recordings lie beside the
 * repository, and every other one on its way to a Gemini client.
 *
 * What the reader makes of one is held against a plain decode. Streams pass to a Gemini client byte
 * for byte. What a Gemini writer makes of any dialect's reply, our own Gemini reader takes with the
 * same gist, streamed and whole; and so do the other dialects' readers with what their writers make
 * of a Gemini reply.
 */
#include "tests/unit/providers/relay.h"

#include "providers/gemini.h"
#include "base/text.h"

#include <dirent.h>

static const char *
recordings(void)
{
    const char *root = getenv("PENSTOCK_RECORDINGS");
    return root ? root : "../shared/recordings";
}

static struct slice
read_all(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct slice bytes = SLICE_NONE;
    if (!file)
        return bytes;
    char *room = malloc(8u << 20);
    assert_non_null(room);
    bytes = slice_of(room, fread(room, 1, 8u << 20, file));
    (void)fclose(file);
    return bytes;
}

/* What a reply says, whatever its events are cut into. Decoded. */
struct gist {
    struct sink text, thoughts, calls, states, sources;
    struct canon_usage usage;
    enum canon_finish finish;
};

#define GIST_SINKS(gist)                                                                           \
    {                                                                                              \
        &(gist)->text, &(gist)->thoughts, &(gist)->calls, &(gist)->states, &(gist)->sources        \
    }

static void
gist_init(struct gist *gist)
{
    struct sink *const all[] = GIST_SINKS(gist);
    for (size_t i = 0; i < countof(all); i++)
        sink_init(all[i], 32u << 20);
    gist->usage = CANON_USAGE_UNKNOWN;
    gist->finish = FINISH_NONE;
}

static void
gist_fini(struct gist *gist)
{
    struct sink *const all[] = GIST_SINKS(gist);
    for (size_t i = 0; i < countof(all); i++)
        sink_fini(all[i]);
}

/* One call in the gist: its arguments without spaces; what is no object as it is wrapped on the
 * way. */
static void
put_call(struct gist *gist, struct slice name, struct slice arguments)
{
    struct json_scan scan;
    while (arguments.len > 0 && (unsigned char)arguments.ptr[0] <= ' ')
        arguments = slice_skip(arguments, 1);
    sink_printf(&gist->calls, "%.*s ", SLICE_ARG(name));
    if (arguments.len == 0)
        sink_text(&gist->calls, "{}");
    else if (json_scan(arguments, 64, &scan) == 0)
        gemini_put_compact(arguments, &gist->calls);
    else
        sink_text(&gist->calls, "broken");
    sink_byte(&gist->calls, '\n');
}

/* ---------------------------------------------------------------- as a reader has it */

#define BLOCKS 512
struct gathering {
    struct gist *gist;
    struct sink blocks[BLOCKS];
    struct slice names[BLOCKS];
    bool custom[BLOCKS];
    struct unescape halves[BLOCKS], text, thoughts;
};

static void
gather(struct gathering *to, const struct canon_event *event, struct arena *arena)
{
    struct gist *gist = to->gist;
    uint32_t block = event->block % BLOCKS;
    if (event->choice != 0)
        return;
    if (event->kind == CANON_USAGE)
        canon_usage_merge(&gist->usage, &event->usage);
    if (event->kind == CANON_FINISH)
        gist->finish = event->finish;
    if (event->kind == CANON_OPEN && event->type == BLOCK_CALL) {
        to->names[block] = arena_copy(arena, event->name);
        to->custom[block] = event->custom;
    }
    if (event->kind == CANON_DELTA && event->type == BLOCK_CALL)
        unescape_put(&to->halves[block], event->text, &to->blocks[block]);
    if (event->kind == CANON_DELTA && (event->type == BLOCK_TEXT || event->type == BLOCK_REFUSAL))
        unescape_put(&to->text, event->text, &gist->text);
    if (event->kind == CANON_DELTA && event->type == BLOCK_THINKING)
        unescape_put(&to->thoughts, event->text, &gist->thoughts);
    if (event->signature.len > 0)
        sink_printf(&gist->states, "%.*s,", SLICE_ARG(event->signature));
    if (event->kind == CANON_CITATION && event->citation->url.len > 0)
        sink_printf(&gist->sources, "%.*s %lld..%lld,", SLICE_ARG(event->citation->url),
                    (long long)event->citation->start, (long long)event->citation->end);
}

/* 0, or how reading failed. piece as in relay_stream. */
static int
read_gist(const struct dialect *dialect, struct slice bytes, bool body, size_t piece,
          struct gist *gist)
{
    struct relay relay = {
        .upstream = dialect,
        .client = dialect,
        .options = {.stream = true, .id = SLICE_LIT("i"), .model = SLICE_LIT("m")}};
    static struct gathering to;
    struct sse_event event;
    uint32_t seed = 11;
    int error = 0;
    bool over = false;
    relay_open(&relay);
    to = (struct gathering){.gist = gist};
    for (size_t i = 0; i < BLOCKS; i++)
        sink_init(&to.blocks[i], 16u << 20);
    while (error == 0 && !over) {
        seed = seed * 1664525u + 1013904223u;
        size_t n = piece != 0 ? piece : 1 + (seed >> 16) % 97;
        struct slice run = slice_take(bytes, n);
        bytes = slice_skip(bytes, n);
        over = body || run.len == 0;
        int got = 1;
        while (error == 0 && got == 1) {
            got = !over && !body ? sse_decode(&relay.decoder, &run, &event) : 0;
            if (body)
                error = dialect->read_body(relay.reader, slice_of(run.ptr, run.len + bytes.len),
                                           &relay.events);
            else if (over)
                error = dialect->read_end(relay.reader, &relay.events);
            else if (got == 1 && event.dispatched)
                error = dialect->read_event(relay.reader, event.type, event.data, &relay.events);
            if (error == 0)
                error = canon_guard_check(&relay.guard, &relay.events);
            for (int i = 0; i < relay.events.count && error == 0; i++) {
                if (relay.events.at[i].kind == CANON_ERROR)
                    error = -ERR_UPSTREAM_ERROR;
                gather(&to, &relay.events.at[i], &relay.arena);
            }
            canon_events_clear(&relay.events);
            arena_reset(&relay.scratch);
        }
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        if (slice_present(to.names[i]) && to.custom[i])
            sink_printf(&gist->calls, "%.*s free\n", SLICE_ARG(to.names[i]));
        else if (slice_present(to.names[i]))
            put_call(gist, to.names[i], sink_slice(&to.blocks[i]));
        sink_fini(&to.blocks[i]);
    }
    relay_close(&relay);
    return error;
}

/* ---------------------------------------------------------------- as a plain decode has it */

/* Arguments by paths: this decode knows objects of objects, lists and strings, which is what was
 * recorded. */
struct plain_path {
    struct slice path;
    struct sink text;
};

struct plain {
    struct gist *gist;
    struct arena arena;
    struct slice name; /* of the call that comes by paths */
    struct plain_path paths[128];
    size_t path_count;
    int64_t thoughts, candidates, prompt, tools, cached;
    bool calls;
};

static void
plain_partial(struct plain *plain, struct json call)
{
    struct slice name = json_string(json_get(call, "name"), &plain->arena);
    if (name.len > 0)
        plain->name = name;
    struct json list = json_get(call, "partialArgs");
    for (struct json at = json_first(list); json_present(at); at = json_next(at)) {
        struct slice path = json_string(json_get(at, "jsonPath"), &plain->arena);
        size_t i = 0;
        while (i < plain->path_count && !slice_eq(plain->paths[i].path, path))
            i++;
        assert_true(i < countof(plain->paths));
        if (i == plain->path_count) {
            plain->paths[plain->path_count++].path = path;
            sink_init(&plain->paths[i].text, 1u << 20);
        }
        sink_put(&plain->paths[i].text, json_string(json_get(at, "stringValue"), &plain->arena));
    }
    if (json_type(json_get(call, "willContinue")) == JSON_TRUE)
        return;
    sink_printf(&plain->gist->calls, "%.*s", SLICE_ARG(plain->name));
    for (size_t i = 0; i < plain->path_count; i++) {
        sink_printf(&plain->gist->calls, " %.*s=%.*s", SLICE_ARG(plain->paths[i].path),
                    SLICE_ARG(sink_slice(&plain->paths[i].text)));
        sink_fini(&plain->paths[i].text);
    }
    plain->path_count = 0;
    sink_byte(&plain->gist->calls, '\n');
}

static void
plain_part(struct plain *plain, struct json part)
{
    struct gist *gist = plain->gist;
    struct json call = json_get(part, "functionCall"), text = json_get(part, "text");
    bool thought = json_type(json_get(part, "thought")) == JSON_TRUE;
    bool partial = json_present(call) && !json_present(json_get(call, "args"));
    bool known = json_present(call) || json_present(text);
    struct slice signature = json_text(json_get(part, "thoughtSignature"));
    if (known && signature.len > 0)
        sink_printf(&gist->states, "%.*s,", SLICE_ARG(signature));
    if (json_present(text))
        sink_put(thought ? &gist->thoughts : &gist->text, json_string(text, &plain->arena));
    plain->calls = plain->calls || json_present(call);
    if (partial)
        plain_partial(plain, call);
    else if (json_present(call))
        put_call(gist, json_string(json_get(call, "name"), &plain->arena),
                 json_raw(json_get(call, "args")));
}

static void
take_number(struct json usage, const char *name, int64_t *into)
{
    (void)!json_i64(json_get(usage, name), into);
}

static void
plain_chunk(struct plain *plain, struct json root)
{
    static const char *const words[] = {"", "STOP", "MAX_TOKENS"};
    static const enum canon_finish meant[] = {FINISH_NONE, FINISH_STOP, FINISH_LENGTH};
    struct json candidate = json_first(json_get(root, "candidates"));
    struct json parts = json_get(json_get(candidate, "content"), "parts");
    for (struct json at = json_first(parts); json_present(at); at = json_next(at))
        plain_part(plain, at);
    for (size_t i = 1; i < countof(words); i++) {
        struct json finish = json_get(candidate, "finishReason");
        if (json_is(finish, words[i]) || json_u64_or(finish, 99) == i)
            plain->gist->finish = meant[i];
    }
    struct json usage = json_get(root, "usageMetadata");
    take_number(usage, "promptTokenCount", &plain->prompt);
    take_number(usage, "candidatesTokenCount", &plain->candidates);
    take_number(usage, "thoughtsTokenCount", &plain->thoughts);
    take_number(usage, "toolUsePromptTokenCount", &plain->tools);
    take_number(usage, "cachedContentTokenCount", &plain->cached);
}

/* A recorded stream is lines of "data: JSON", a body is one object or a list of chunks. */
static bool
plain_gist(struct slice bytes, bool body, struct gist *gist)
{
    static struct plain plain;
    plain = (struct plain){.gist = gist};
    arena_init(&plain.arena, 256u << 20);
    bool good = true, any = false;
    while (bytes.len > 0 && good) {
        struct slice line = body ? bytes : text_split(&bytes, '\n');
        struct json root;
        if (body)
            bytes = SLICE_NONE;
        else if (!slice_starts(line, SLICE_LIT("data: ")))
            continue;
        else
            line = slice_skip(line, 6);
        good = json_parse(line, 64, 1u << 20, &plain.arena, &root) == 0;
        if (good && json_type(root) == JSON_ARRAY)
            for (struct json at = json_first(root); json_present(at); at = json_next(at))
                plain_chunk(&plain, at);
        else if (good)
            plain_chunk(&plain, root);
        any = any ||
              (good && json_present(json_get(
                           json_type(root) == JSON_ARRAY ? json_first(root) : root, "candidates")));
    }
    gist->usage.in_total = (uint64_t)(plain.prompt + plain.tools);
    gist->usage.out_total = (uint64_t)(plain.candidates + plain.thoughts);
    gist->usage.cache_read = (uint64_t)plain.cached;
    gist->usage.reasoning = (uint64_t)plain.thoughts;
    if (gist->finish == FINISH_STOP && plain.calls)
        gist->finish = FINISH_CALLS;
    arena_fini(&plain.arena);
    return good && any && gist->finish != FINISH_NONE;
}

/* The reader's call that came by paths, as the plain decode shows it: leaves with their paths. */
static void
flatten_calls(struct gist *gist, struct sink *out)
{
    struct arena arena;
    struct slice all = sink_slice(&gist->calls);
    arena_init(&arena, 64u << 20);
    for (struct slice line = text_split(&all, '\n'); line.len > 0; line = text_split(&all, '\n')) {
        struct slice name = text_split(&line, ' ');
        struct json at[32];
        char path[1024] = "$";
        size_t lens[32], depth = 0;
        sink_put(out, name);
        assert_int_equal(json_parse(line, 64, 1u << 16, &arena, &at[0]), 0);
        lens[0] = 1;
        at[1] = json_first(at[0]);
        int index[32] = {0};
        depth = 1;
        while (depth > 0) {
            if (!json_present(at[depth])) {
                depth--;
                if (depth > 0) {
                    at[depth] = json_next(at[depth]);
                    index[depth]++;
                }
                continue;
            }
            struct slice key = json_key(at[depth]);
            int n = slice_present(key)
                        ? snprintf(path + lens[depth - 1], 200, ".%.*s", SLICE_ARG(key))
                        : snprintf(path + lens[depth - 1], 200, "[%d]", index[depth]);
            lens[depth] = lens[depth - 1] + (size_t)n;
            if (json_type(at[depth]) == JSON_OBJECT || json_type(at[depth]) == JSON_ARRAY) {
                at[depth + 1] = json_first(at[depth]);
                index[++depth] = 0;
                continue;
            }
            sink_printf(out, " %s=%.*s", path, SLICE_ARG(json_string(at[depth], &arena)));
            at[depth] = json_next(at[depth]);
            index[depth]++;
        }
        sink_byte(out, '\n');
    }
    arena_fini(&arena);
}

/* ---------------------------------------------------------------- comparing */

static uint64_t
or_zero(uint64_t count)
{
    return count == UINT64_MAX ? 0 : count;
}

/* Other dialects have words for ends that Gemini calls STOP, or MAX_TOKENS. */
static enum canon_finish
plainly(enum canon_finish finish)
{
    switch (finish) {
    case FINISH_STOP_SEQUENCE:
    case FINISH_PAUSE:
        return FINISH_STOP;
    case FINISH_CONTEXT:
        return FINISH_LENGTH;
    case FINISH_NONE:
    case FINISH_STOP:
    case FINISH_LENGTH:
    case FINISH_CALLS:
    case FINISH_FILTER:
    case FINISH_OTHER:
        break;
    }
    return finish;
}

static bool
same(const char *what, const struct sink *a, const struct sink *b)
{
    if (slice_eq(sink_slice(a), sink_slice(b)))
        return true;
    print_error("%s\n--- of one\n%.*s\n--- of the other\n%.*s\n", what,
                SLICE_ARG(slice_take(sink_slice(a), 2000)),
                SLICE_ARG(slice_take(sink_slice(b), 2000)));
    return false;
}

static bool
same_gist(struct gist *a, struct gist *b, bool states)
{
    bool good = same("text", &a->text, &b->text) && same("thoughts", &a->thoughts, &b->thoughts) &&
                same("calls", &a->calls, &b->calls);
    if (good && states)
        good = same("states", &a->states, &b->states);
    if (good && plainly(a->finish) != plainly(b->finish)) {
        print_error("finish %d, %d\n", a->finish, b->finish);
        good = false;
    }
    /* Some servers count more thought than output. */
    if (good && (or_zero(a->usage.in_total) != or_zero(b->usage.in_total) ||
                 or_zero(a->usage.out_total) != or_zero(b->usage.out_total))) {
        print_error("usage %llu %llu, %llu %llu\n", (unsigned long long)a->usage.in_total,
                    (unsigned long long)a->usage.out_total, (unsigned long long)b->usage.in_total,
                    (unsigned long long)b->usage.out_total);
        good = false;
    }
    return good;
}

/* The text that a support quotes is the text that the citation names. */
static bool
cites_what_it_quotes(struct slice bytes, bool body)
{
    struct gist gist;
    struct arena arena;
    bool good = true;
    gist_init(&gist);
    arena_init(&arena, 64u << 20);
    assert_int_equal(read_gist(&gemini_dialect, bytes, body, 0, &gist), 0);
    struct gemini_offsets offsets;
    gemini_offsets_init(&offsets);
    gemini_offsets_feed(&offsets, canon_escape(sink_slice(&gist.text), &arena));
    ptrdiff_t place = text_find(bytes, SLICE_LIT("\"groundingSupports\""));
    struct slice rest = place < 0 ? SLICE_NONE : slice_skip(bytes, (size_t)place);
    struct slice sources = sink_slice(&gist.sources);
    while (good && (place = text_find(rest, SLICE_LIT("\"segment\""))) >= 0) {
        rest = slice_skip(rest, (size_t)place + 9);
        place = text_find(rest, SLICE_LIT("\"text\":"));
        rest = slice_skip(rest, (size_t)place + 7);
        rest = slice_skip(rest, (size_t)text_find(rest, SLICE_LIT("\"")) + 1);
        size_t end = 0;
        while (rest.ptr[end] != '"' || rest.ptr[end - 1] == '\\')
            end++;
        struct slice quote = json_unescape(slice_take(rest, end), &arena);
        struct slice one = text_split(&sources, ',');
        ptrdiff_t dots = text_find(one, SLICE_LIT(".."));
        if (one.len == 0 || dots < 0)
            break;
        const char *number = one.ptr + dots;
        while (number[-1] >= '0' && number[-1] <= '9')
            number--;
        int64_t from = gemini_offsets_bytes(&offsets, atoll(number)),
                to = gemini_offsets_bytes(&offsets, atoll(one.ptr + dots + 2));
        good = from >= 0 && to > from &&
               slice_eq(quote, slice_of(gist.text.ptr + from, (size_t)(to - from)));
        if (!good)
            print_error("cited %lld..%lld, quoted %.*s\n", (long long)from, (long long)to,
                        SLICE_ARG(quote));
        break; /* the first is enough: several sources of one support are several citations */
    }
    gemini_offsets_fini(&offsets);
    arena_fini(&arena);
    gist_fini(&gist);
    return good;
}

/* ---------------------------------------------------------------- the tests */

struct tally {
    int good, all, others;
};

static bool
reads_plainly(struct slice bytes, bool body)
{
    bool good = true;
    for (size_t round = 0; round < (body ? 1u : 3u) && good; round++) {
        struct gist plain, read;
        struct sink flat;
        gist_init(&plain);
        gist_init(&read);
        sink_init(&flat, 1u << 22);
        assert_true(plain_gist(bytes, body, &plain));
        good = read_gist(&gemini_dialect, bytes, body, round == 0 ? bytes.len : round == 1,
                         &read) == 0;
        if (text_find(bytes, SLICE_LIT("partialArgs")) >= 0) {
            flatten_calls(&read, &flat);
            sink_fini(&read.calls);
            read.calls = flat;
            sink_init(&flat, 1);
        }
        good = good && same_gist(&plain, &read, true);
        sink_fini(&flat);
        gist_fini(&plain);
        gist_fini(&read);
    }
    return good && cites_what_it_quotes(bytes, body);
}

/* Through the writer of a client's dialect, and read again by that dialect's own reader. 1 good, 0
 * not, -1 it was no reply. */
static int
survives(const struct dialect *upstream, struct slice bytes, const struct dialect *client,
         bool stream)
{
    struct gist original, made;
    gist_init(&original);
    gist_init(&made);
    struct relay relay = {.upstream = upstream,
                          .client = client,
                          .options = {.stream = stream,
                                      .include_usage = true,
                                      .id = SLICE_LIT("0123456789abcdefghijklmn"),
                                      .model = SLICE_LIT("m")}};
    int result = read_gist(upstream, bytes, false, 0, &original) == 0 ? 1 : -1;
    relay_stream(&relay, bytes, 0, 7);
    if (relay.error != 0 || !relay.ended)
        result = -1;
    if (result == 1)
        result = read_gist(client, sink_slice(&relay.out), !stream, 0, &made) == 0 &&
                 same_gist(&original, &made, false);
    relay_close(&relay);
    gist_fini(&original);
    gist_fini(&made);
    return result;
}

static bool
passes(struct slice bytes)
{
    struct relay relay = {
        .upstream = &gemini_dialect,
        .client = &gemini_dialect,
        .options = {.stream = true, .id = SLICE_LIT("abc"), .model = SLICE_LIT("m")}};
    relay_stream(&relay, bytes, 0, 3);
    bool good = relay.error == 0 && relay.ended && slice_eq(sink_slice(&relay.out), bytes) &&
                relay.flaws == 0;
    relay_close(&relay);
    return good;
}

static bool
ends_in(const char *name, const char *ending)
{
    size_t n = strlen(name), m = strlen(ending);
    return n > m && strcmp(name + n - m, ending) == 0;
}

static void
judge_gemini(const char *path, struct tally *tally)
{
    static const struct dialect *const clients[] = {&openai_chat_dialect, &anthropic_dialect,
                                                    &openai_responses_dialect, &gemini_dialect};
    struct slice bytes = read_all(path);
    struct gist plain;
    bool body = !ends_in(path, ".sse");
    gist_init(&plain);
    if (!plain_gist(bytes, body, &plain)) {
        tally->others++;
    } else {
        bool good = reads_plainly(bytes, body) && (body || passes(bytes));
        for (size_t i = 0; i < countof(clients) && good && !body; i++)
            good = (clients[i] == &gemini_dialect ||
                    survives(&gemini_dialect, bytes, clients[i], true) == 1) &&
                   survives(&gemini_dialect, bytes, clients[i], false) == 1;
        if (!good)
            print_error("%s is not what it was\n", path);
        tally->all++;
        tally->good += good;
    }
    gist_fini(&plain);
    free((void *)(uintptr_t)bytes.ptr);
}

static void
judge_other(const char *path, const struct dialect *upstream, struct tally *tally)
{
    struct slice bytes = read_all(path);
    if (text_find(bytes, SLICE_LIT("\"response.created\"")) >=
        0) /* many servers speak both of OpenAI's dialects */
        upstream = &openai_responses_dialect;
    int good = survives(upstream, bytes, &gemini_dialect, true);
    if (good == 1)
        good = survives(upstream, bytes, &gemini_dialect, false);
    tally->others += good < 0;
    tally->all += good >= 0;
    tally->good += good == 1;
    if (good == 0)
        print_error("%s is not what it was\n", path);
    free((void *)(uintptr_t)bytes.ptr);
}

static void
walk(const char *family, const struct dialect *dialect, struct tally *tally)
{
    char folder[512], path[1024];
    (void)snprintf(folder, sizeof(folder), "%s/%s", recordings(), family);
    DIR *listing = opendir(folder);
    for (struct dirent *entry = listing ? readdir(listing) : NULL; entry;
         entry = readdir(listing)) {
        bool body = ends_in(entry->d_name, ".json") && !ends_in(entry->d_name, ".request.json");
        (void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        if (dialect == &gemini_dialect && (body || ends_in(entry->d_name, ".sse")))
            judge_gemini(path, tally);
        else if (dialect != &gemini_dialect && ends_in(entry->d_name, ".sse"))
            judge_other(path, dialect, tally);
    }
    if (listing)
        (void)closedir(listing);
}

static void
reads_recorded_replies(void **state)
{
    (void)state;
    struct tally tally = {0};
    walk("gemini", &gemini_dialect, &tally);
    walk("vertex-gemini", &gemini_dialect, &tally);
    printf("gemini recordings: %d of %d (%d others)\n", tally.good, tally.all, tally.others);
    assert_int_equal(tally.good, tally.all);
}

static void
writes_recorded_replies_of_others(void **state)
{
    (void)state;
    static const char *const chats[] = {"openai-chat",
                                        "azure",
                                        "cerebras",
                                        "crusoe",
                                        "deepseek",
                                        "gpustack-llamabox",
                                        "groq",
                                        "heroku",
                                        "huggingface",
                                        "lmstudio",
                                        "mistral",
                                        "moonshot",
                                        "ollama",
                                        "openrouter",
                                        "perplexity",
                                        "qwen-dashscope",
                                        "snowflake",
                                        "together",
                                        "vllm",
                                        "xai",
                                        "zai",
                                        "gemini-openai-compat",
                                        "anthropic-openai-compat"};
    struct tally tally = {0};
    for (size_t i = 0; i < countof(chats); i++)
        walk(chats[i], &openai_chat_dialect, &tally);
    walk("anthropic", &anthropic_dialect, &tally);
    walk("openai-responses", &openai_responses_dialect, &tally);
    printf("others' recordings for a Gemini client: %d of %d (%d no replies)\n", tally.good,
           tally.all, tally.others);
    assert_int_equal(tally.good, tally.all);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_recorded_replies),
        cmocka_unit_test(writes_recorded_replies_of_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
