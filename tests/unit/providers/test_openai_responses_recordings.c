/* SPDX-License-Identifier: MIT
 *
 * test_openai_responses_recordings.c - every recorded response, when the recordings lie beside the
 * repository.
 *
 * What the reader makes of one is held against a plain decode: the final output, or, where a
 * recording's deltas do not join to it, the deltas. Streams pass to a Responses client byte for
 * byte, and come out of a Responses writer as our own reader takes them, with the same gist.
 */
#include "tests/unit/providers/relay.h"

#include "providers/unescape.h"

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
        sink_init(all[i], 16u << 20);
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

/* ---------------------------------------------------------------- the reader's */

#define BLOCKS 256
struct gathering {
    struct gist *gist;
    struct sink blocks[BLOCKS];
    struct unescape halves[BLOCKS];
};

static void
gather(struct gathering *to, const struct canon_event *event)
{
    struct gist *gist = to->gist;
    uint32_t block = event->block % BLOCKS;
    if (event->kind == CANON_USAGE)
        canon_usage_merge(&gist->usage, &event->usage);
    if (event->kind == CANON_FINISH)
        gist->finish = event->finish;
    if (event->kind == CANON_OPEN && event->type == BLOCK_CALL)
        sink_printf(&to->blocks[block], "%.*s %.*s ", SLICE_ARG(event->id), SLICE_ARG(event->name));
    if (event->kind == CANON_DELTA && event->type == BLOCK_CALL)
        unescape_put(&to->halves[block], event->text, &to->blocks[block]);
    if (event->kind == CANON_DELTA && (event->type == BLOCK_TEXT || event->type == BLOCK_REFUSAL))
        unescape_put(&to->halves[block], event->text, &gist->text);
    if (event->kind == CANON_OPEN && event->type == BLOCK_THINKING && gist->thoughts.len > 0)
        sink_byte(&gist->thoughts, '\n');
    if (event->kind == CANON_DELTA && event->type == BLOCK_THINKING)
        unescape_put(&to->halves[block], event->text, &gist->thoughts);
    if (event->kind == CANON_DELTA && event->signature.len > 0)
        sink_printf(&gist->states, "%u,", (unsigned)event->signature.len);
    if (event->kind == CANON_CITATION)
        sink_printf(&gist->sources, "%.*s %lld,", SLICE_ARG(event->citation->url),
                    (long long)event->citation->end);
}

/* 0, or how reading failed. piece as in relay_stream. */
static int
read_gist(struct slice bytes, bool body, size_t piece, struct gist *gist)
{
    struct relay relay = {
        .upstream = &openai_responses_dialect,
        .client = &openai_responses_dialect,
        .options = {.stream = true, .id = SLICE_LIT("i"), .model = SLICE_LIT("m")}};
    static struct gathering to;
    struct sse_event event;
    uint32_t seed = 11;
    int error = 0;
    relay_open(&relay);
    to = (struct gathering){.gist = gist};
    for (size_t i = 0; i < BLOCKS; i++)
        sink_init(&to.blocks[i], 16u << 20);
    while (error == 0 && bytes.len > 0) {
        seed = seed * 1664525u + 1013904223u;
        size_t n = body ? bytes.len : piece != 0 ? piece : 1 + (seed >> 16) % 97;
        struct slice run = slice_take(bytes, n);
        bytes = slice_skip(bytes, n);
        while (error == 0) {
            if (!body && sse_decode(&relay.decoder, &run, &event) != 1)
                break;
            if (!body && !event.dispatched)
                continue;
            error = body ? relay.upstream->read_body(relay.reader, run, &relay.events)
                         : relay.upstream->read_event(relay.reader, event.type, event.data,
                                                      &relay.events);
            if (error == 0)
                error = canon_guard_check(&relay.guard, &relay.events);
            for (int i = 0; i < relay.events.count && error == 0; i++) {
                gather(&to, &relay.events.at[i]);
                if (relay.events.at[i].kind == CANON_ERROR)
                    error = -relay.events.at[i].error.error;
            }
            canon_events_clear(&relay.events);
            arena_reset(&relay.scratch);
            if (body)
                break;
        }
    }
    if (error == 0 && !relay.guard.ended)
        error = -ERR_DISCONNECTED;
    for (size_t i = 0; i < BLOCKS; i++) {
        bool empty = slice_ends(sink_slice(&to.blocks[i]), SLICE_LIT(" "));
        sink_put(&gist->calls, sink_slice(&to.blocks[i]));
        sink_text(&gist->calls, empty ? "{}\n" : to.blocks[i].len > 0 ? "\n" : "");
        sink_fini(&to.blocks[i]);
    }
    relay_close(&relay);
    return error;
}

/* ---------------------------------------------------------------- the plain one */

static void
plain_list(struct json list, const char *member, const char *between, struct arena *arena,
           struct sink *out)
{
    for (struct json at = json_first(list); json_present(at); at = json_next(at)) {
        if (!slice_eq(json_raw(at), json_raw(json_first(list))))
            sink_text(out, between);
        sink_put(out, json_string(json_get(at, member), arena));
    }
}

static void
plain_item(struct json item, struct arena *arena, struct gist *gist)
{
    struct json type = json_get(item, "type");
    if (json_is(type, "message")) {
        for (struct json at = json_first(json_get(item, "content")); json_present(at);
             at = json_next(at)) {
            sink_put(&gist->text, json_string(json_get(at, "text"), arena));
            sink_put(&gist->text, json_string(json_get(at, "refusal"), arena));
            for (struct json note = json_first(json_get(at, "annotations")); json_present(note);
                 note = json_next(note)) {
                int64_t end;
                if (!json_i64(json_get(note, "end_index"), &end))
                    end = -1;
                sink_printf(&gist->sources, "%.*s %lld,",
                            SLICE_ARG(json_text(json_get(note, "url"))), (long long)end);
            }
        }
    } else if (json_is(type, "reasoning")) {
        struct json summary = json_get(item, "summary"), content = json_get(item, "content");
        struct slice state = json_text(json_get(item, "encrypted_content"));
        bool says = json_count(summary) > 0 || json_count(content) > 0 || state.len > 0;
        if (says && gist->thoughts.len > 0)
            sink_byte(&gist->thoughts, '\n');
        plain_list(json_count(summary) > 0 ? summary : content, "text", "\n\n", arena,
                   &gist->thoughts);
        if (state.len > 0)
            sink_printf(&gist->states, "%u,", (unsigned)state.len);
    } else if (json_is(type, "function_call") || json_is(type, "custom_tool_call")) {
        struct slice text = json_string(
            json_get(item, json_is(type, "function_call") ? "arguments" : "input"), arena);
        sink_printf(&gist->calls, "%.*s %.*s %.*s\n",
                    SLICE_ARG(json_text(json_get(item, "call_id"))),
                    SLICE_ARG(json_text(json_get(item, "name"))),
                    SLICE_ARG(text.len > 0 ? text : SLICE_LIT("{}")));
    }
}

static void
plain_response(struct json response, struct arena *arena, struct gist *gist)
{
    struct json usage = json_get(response, "usage");
    size_t calls = gist->calls.len;
    for (struct json at = json_first(json_get(response, "output")); json_present(at);
         at = json_next(at))
        plain_item(at, arena, gist);
    gist->usage.in_total = json_u64_or(json_get(usage, "input_tokens"), UINT64_MAX);
    gist->usage.out_total = json_u64_or(json_get(usage, "output_tokens"), UINT64_MAX);
    gist->usage.reasoning = json_u64_or(
        json_get(json_get(usage, "output_tokens_details"), "reasoning_tokens"), UINT64_MAX);
    bool cut = json_is(json_get(response, "status"), "incomplete");
    gist->finish = cut ? FINISH_LENGTH : gist->calls.len > calls ? FINISH_CALLS : FINISH_STOP;
}

/* The first response that a recording tells to its end; deltas: the text as they join to it. */
static bool
plain_stream(struct slice bytes, struct arena *arena, struct gist *gist, struct sink *deltas)
{
    while (bytes.len > 0) {
        const char *end = memchr(bytes.ptr, '\n', bytes.len);
        size_t n = end ? (size_t)(end - bytes.ptr) : bytes.len;
        struct slice line = slice_take(bytes, n);
        bytes = slice_skip(bytes, n + 1);
        struct json root;
        if (!slice_starts(line, SLICE_LIT("data: {")) ||
            json_parse(slice_skip(line, 6), 128, 1u << 20, arena, &root) != 0)
            continue;
        if (json_is(json_get(root, "type"), "response.output_text.delta"))
            sink_put(deltas, json_string(json_get(root, "delta"), arena));
        if (!json_is(json_get(root, "type"), "response.completed") &&
            !json_is(json_get(root, "type"), "response.incomplete"))
            continue;
        plain_response(json_get(root, "response"), arena, gist);
        return true;
    }
    return false;
}

/* ---------------------------------------------------------------- held against each other */

static bool
same(const char *path, const char *what, const struct sink *a, const struct sink *b)
{
    if (slice_eq(sink_slice(a), sink_slice(b)))
        return true;
    print_error("%s: other %s\n--- read\n%.*s\n--- plain\n%.*s\n", path, what,
                SLICE_ARG(sink_slice(a)), SLICE_ARG(sink_slice(b)));
    return false;
}

static bool
same_gist(const char *path, const struct gist *a, const struct gist *b)
{
    bool good = same(path, "text", &a->text, &b->text);
    good &= same(path, "thoughts", &a->thoughts, &b->thoughts);
    good &= same(path, "calls", &a->calls, &b->calls);
    good &= same(path, "states", &a->states, &b->states);
    good &= same(path, "sources", &a->sources, &b->sources);
    if (a->usage.in_total != b->usage.in_total || a->usage.out_total != b->usage.out_total ||
        a->usage.reasoning != b->usage.reasoning || a->finish != b->finish) {
        print_error("%s: other usage or finish\n", path);
        good = false;
    }
    return good;
}

/* Does a stream pass byte for byte, and does our writer say the same as the upstream? */
static bool
comes_through(const char *path, struct slice bytes, const struct gist *read)
{
    struct relay relay = {
        .upstream = &openai_responses_dialect,
        .client = &openai_responses_dialect,
        .options = {.stream = true, .id = SLICE_LIT("abc"), .model = SLICE_LIT("m")}};
    relay_stream(&relay, bytes, 0, 3);
    bool accented = memmem(bytes.ptr, bytes.len, "\nevent:", 7) == NULL &&
                    !slice_starts(bytes, SLICE_LIT("event:"));
    bool good = relay.error == 0 && relay.ended;
    if (!accented) /* two recordings are streams joined: the second is not the client's */
        good = good && slice_starts(bytes, sink_slice(&relay.out));
    if (!good)
        print_error("%s does not pass\n", path);
    struct gist passed;
    gist_init(&passed);
    good = good && read_gist(sink_slice(&relay.out), false, 0, &passed) == 0 &&
           same_gist(path, &passed, read);
    gist_fini(&passed);
    relay_close(&relay);
    return good;
}

/* 1: as it should be; 0: not; -1: no good response. */
static int
judge(const char *path, struct slice bytes, bool stream)
{
    struct arena arena;
    struct gist plain;
    struct sink deltas;
    struct json root;
    bool told = false;
    int result = -1;
    arena_init(&arena, 64u << 20);
    gist_init(&plain);
    sink_init(&deltas, 16u << 20);
    if (stream) {
        told = plain_stream(bytes, &arena, &plain, &deltas);
    } else if (json_parse(bytes, 128, 1u << 20, &arena, &root) == 0 &&
               json_is(json_get(root, "object"), "response") &&
               !json_is(json_get(root, "status"), "queued")) {
        plain_response(root, &arena, &plain);
        told = true;
    }
    bool joined = slice_starts(sink_slice(&plain.text), sink_slice(&deltas));
    if (!joined) {
        sink_reset(&plain.text, 1u << 20);
        sink_put(&plain.text, sink_slice(&deltas));
    }
    for (size_t round = 0; round < (stream ? 3 : 1) && told && result != 0; round++) {
        static const size_t pieces[] = {1u << 30, 1, 0};
        struct gist read;
        gist_init(&read);
        int error = read_gist(bytes, !stream, pieces[round], &read);
        if (error != 0)
            print_error("%s: %s\n", path, err_row(error)->name);
        result = error == 0 && same_gist(path, &read, &plain);
        if (stream && round == 0 && result == 1)
            result = comes_through(path, bytes, &read);
        gist_fini(&read);
    }
    sink_fini(&deltas);
    gist_fini(&plain);
    arena_fini(&arena);
    return result;
}

static bool
is_response(struct slice bytes, bool stream)
{
    struct slice head = slice_take(bytes, 4096);
    return stream ? memmem(head.ptr, head.len, "response.created", 16) != NULL
                  : memmem(bytes.ptr, bytes.len, "\"output\"", 8) != NULL;
}

static void
judge_folder(const char *family, int *good, int *all)
{
    char folder[512], path[1024];
    (void)snprintf(folder, sizeof(folder), "%s/%s", recordings(), family);
    DIR *listing = opendir(folder);
    for (struct dirent *entry = listing ? readdir(listing) : NULL; entry;
         entry = readdir(listing)) {
        struct slice name = slice_from(entry->d_name);
        bool stream = slice_ends(name, SLICE_LIT(".sse"));
        if (!stream &&
            (!slice_ends(name, SLICE_LIT(".json")) || slice_ends(name, SLICE_LIT(".request.json"))))
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        struct slice bytes = read_all(path);
        int result = is_response(bytes, stream) ? judge(path, bytes, stream) : -1;
        *all += result >= 0;
        *good += result > 0;
        free((void *)(uintptr_t)bytes.ptr);
    }
    if (listing)
        (void)closedir(listing);
}

static void
reads_recorded_responses(void **state)
{
    (void)state;
    DIR *listing = opendir(recordings());
    int good = 0, all = 0;
    if (!listing)
        skip();
    for (struct dirent *entry = readdir(listing); entry; entry = readdir(listing))
        if (entry->d_name[0] != '.')
            judge_folder(entry->d_name, &good, &all);
    (void)closedir(listing);
    printf("recorded responses read: %d of %d\n", good, all);
    assert_true(all > 0);
    assert_int_equal(good, all);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(reads_recorded_responses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
