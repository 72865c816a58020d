/* SPDX-License-Identifier: MIT
 *
 * test_anthropic_recordings.c - every recorded stream, when the recordings lie beside the
 * repository.
 *
 * A Messages stream passes to a Messages client byte for byte. A Chat stream becomes a Messages
 * stream that our own reader takes without a single flaw, with the same text, thoughts, calls and
 * usage; and so does the whole message.
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

/* Texts by kind, so that two replies can be held against each other whatever their blocks are cut
 * into. */
struct gist {
    struct sink text, thought, calls, citations;
    struct canon_usage usage;
    enum canon_finish finish;
    int states; /* signatures, and thoughts that are nothing else */
};

static void
gist_init(struct gist *gist)
{
    sink_init(&gist->text, 16u << 20);
    sink_init(&gist->thought, 16u << 20);
    sink_init(&gist->calls, 16u << 20);
    sink_init(&gist->citations, 16u << 20);
    gist->states = 0;
    gist->usage = CANON_USAGE_UNKNOWN;
    gist->finish = FINISH_NONE;
}

static void
gist_fini(struct gist *gist)
{
    sink_fini(&gist->text);
    sink_fini(&gist->thought);
    sink_fini(&gist->calls);
    sink_fini(&gist->citations);
}

/* Read a stream on its own and keep the gist of it. Calls are kept by block, since they may be
 * interleaved. */
static int
read_gist(const struct dialect *dialect, struct slice bytes, bool body, struct gist *gist,
          uint32_t *flaws)
{
    struct relay relay = {
        .upstream = dialect,
        .client = dialect,
        .options = {.stream = true, .id = SLICE_LIT("i"), .model = SLICE_LIT("m")}};
    static struct sink calls[64];
    static struct unescape halves[64];
    struct sse_event event;
    int error = 0;
    bool over = body;
    relay_open(&relay);
    for (size_t i = 0; i < countof(calls); i++) {
        sink_init(&calls[i], 16u << 20);
        halves[i] = (struct unescape){0};
    }
    while (error == 0) {
        if (body) {
            error = dialect->read_body(relay.reader, bytes, &relay.events);
        } else if (sse_decode(&relay.decoder, &bytes, &event) == 1) {
            if (!event.dispatched)
                continue;
            error = dialect->read_event(relay.reader, event.type, event.data, &relay.events);
        } else if (!over) {
            over = true;
            error = dialect->read_end(relay.reader, &relay.events);
        } else {
            break;
        }
        if (error == 0)
            error = canon_guard_check(&relay.guard, &relay.events);
        for (int i = 0; i < relay.events.count && error == 0; i++) {
            const struct canon_event *one = &relay.events.at[i];
            struct sink *call = &calls[one->block % countof(calls)];
            if (one->kind == CANON_USAGE)
                canon_usage_merge(&gist->usage, &one->usage);
            if (one->kind == CANON_FINISH)
                gist->finish = one->finish;
            gist->states +=
                (one->kind == CANON_OPEN || one->kind == CANON_DELTA) && one->signature.len > 0;
            gist->states += one->kind == CANON_OPEN && one->type == BLOCK_REDACTED;
            if (one->kind == CANON_CITATION)
                sink_put(&gist->citations, one->citation->native);
            if (one->kind == CANON_OPEN && one->type == BLOCK_CALL)
                sink_printf(call, "%.*s(", SLICE_ARG(one->name));
            if (one->kind == CANON_DELTA && one->type == BLOCK_CALL)
                unescape_put(&halves[one->block % countof(halves)], one->text, call);
            if (one->kind == CANON_DELTA && (one->type == BLOCK_TEXT || one->type == BLOCK_REFUSAL))
                sink_put(&gist->text, one->text);
            if (one->kind == CANON_DELTA && one->type == BLOCK_THINKING)
                sink_put(&gist->thought, one->text);
        }
        relay.flaws |= relay.events.flaws;
        canon_events_clear(&relay.events);
        arena_reset(&relay.scratch);
        if (body)
            break;
    }
    for (size_t i = 0; i < countof(calls); i++) {
        bool empty = slice_ends(sink_slice(&calls[i]), SLICE_LIT("("));
        sink_put(&gist->calls, sink_slice(&calls[i]));
        sink_text(&gist->calls, empty ? "{}" : "");
        sink_fini(&calls[i]);
    }
    *flaws = relay.flaws;
    relay_close(&relay);
    return error;
}

static struct slice
decoded(struct sink *escaped, struct sink *out)
{
    struct unescape state = {0};
    sink_init(out, 32u << 20);
    unescape_put(&state, sink_slice(escaped), out);
    unescape_done(&state, out);
    return sink_slice(out);
}

static bool
same_text(struct sink *a, struct sink *b)
{
    struct sink left, right;
    bool same = slice_eq(decoded(a, &left), decoded(b, &right));
    sink_fini(&left);
    sink_fini(&right);
    return same;
}

static uint64_t
or_zero(uint64_t count)
{
    return count == UINT64_MAX ? 0 : count;
}

static bool
same_gist(struct gist *a, struct gist *b)
{
    /* Some servers report more cached tokens than the prompt had: that cannot be said in
     * Anthropic's terms. */
    bool absurd = or_zero(a->usage.cache_read) > or_zero(a->usage.in_total);
    return slice_eq(sink_slice(&a->calls), sink_slice(&b->calls)) &&
           same_text(&a->text, &b->text) && same_text(&a->thought, &b->thought) &&
           a->finish == b->finish &&
           (absurd || or_zero(a->usage.in_total) == or_zero(b->usage.in_total)) &&
           or_zero(a->usage.out_total) == or_zero(b->usage.out_total) &&
           or_zero(a->usage.cache_read) == or_zero(b->usage.cache_read);
}

/* Returns 1 if the recording became what it should, 0 if not, -1 if it holds an error or is no
 * stream of this kind. */
static int
translates(const struct dialect *upstream, struct slice bytes, bool stream)
{
    struct gist original, made;
    uint32_t flaws;
    gist_init(&original);
    int result = read_gist(upstream, bytes, false, &original, &flaws) == 0 ? 1 : -1;
    struct relay relay = {
        .upstream = upstream,
        .client = &anthropic_dialect,
        .options = {.stream = stream, .id = SLICE_LIT("abc"), .model = SLICE_LIT("m")}};
    relay_stream(&relay, bytes, 0, 7);
    if (relay.error != 0 || !relay.ended)
        result = -1;
    if (result == 1) {
        gist_init(&made);
        int error = read_gist(&anthropic_dialect, sink_slice(&relay.out), !stream, &made, &flaws);
        bool own = upstream == &anthropic_dialect;
        result = error == 0 && flaws == 0 && same_gist(&original, &made) &&
                 original.states == made.states &&
                 (!own || slice_eq(sink_slice(&original.citations), sink_slice(&made.citations)));
        if (result == 0)
            print_error("error %d flaws %x finish %d/%d states %d/%d text %zu/%zu thought %zu/%zu "
                        "calls %.*s/%.*s in %llu/%llu\n",
                        error, flaws, original.finish, made.finish, original.states, made.states,
                        original.text.len, made.text.len, original.thought.len, made.thought.len,
                        SLICE_ARG(sink_slice(&original.calls)), SLICE_ARG(sink_slice(&made.calls)),
                        (unsigned long long)original.usage.in_total,
                        (unsigned long long)made.usage.in_total);
        gist_fini(&made);
    }
    relay_close(&relay);
    gist_fini(&original);
    return result;
}

static int
passes(struct slice bytes)
{
    struct relay relay = {
        .upstream = &anthropic_dialect,
        .client = &anthropic_dialect,
        .options = {.stream = true, .id = SLICE_LIT("abc"), .model = SLICE_LIT("m")}};
    relay_stream(&relay, bytes, 0, 3);
    int result = relay.error == 0 && relay.ended;
    /* One recording is two streams joined: nothing of the second may reach a client whose stream
     * has ended. */
    bool joined = (relay.flaws >> FLAW_AFTER_END & 1) != 0;
    result = result && slice_starts(bytes, sink_slice(&relay.out)) &&
             (joined || relay.out.len == bytes.len);
    if (relay.flaws & ~(1u << FLAW_UNKNOWN_EVENT | 1u << FLAW_AFTER_END))
        result = 0;
    relay_close(&relay);
    return result;
}

struct tally {
    int good, all, others;
};

/* upstream NULL: as a Messages stream that passes; else as a stream of that dialect. */
static void
judge_file(const char *path, const struct dialect *upstream, struct tally *tally)
{
    struct slice bytes = read_all(path);
    int result = upstream ? translates(upstream, bytes, false) : passes(bytes);
    if (upstream && upstream != &anthropic_dialect && result == 1)
        result = translates(upstream, bytes, true);
    if (result < 0) {
        tally->others++;
    } else {
        tally->all++;
        tally->good += result;
        if (result == 0)
            print_error("%s is not what it was\n", path);
    }
    free((void *)(uintptr_t)bytes.ptr);
}

static bool
is_stream(const char *name)
{
    size_t n = strlen(name);
    return n > 4 && strcmp(name + n - 4, ".sse") == 0;
}

static void
judge_folder(const char *family, const struct dialect *upstream, struct tally *tally)
{
    char folder[512], path[1024];
    (void)snprintf(folder, sizeof(folder), "%s/%s", recordings(), family);
    DIR *listing = opendir(folder);
    for (struct dirent *entry = listing ? readdir(listing) : NULL; entry;
         entry = readdir(listing)) {
        /* Anthropic's replies have one choice. */
        if (!is_stream(entry->d_name) || strstr(entry->d_name, "multiple-choices"))
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        judge_file(path, upstream, tally);
    }
    if (listing)
        (void)closedir(listing);
}

static void
passes_recorded_messages(void **state)
{
    (void)state;
    struct tally tally = {0};
    judge_folder("anthropic", NULL, &tally);
    printf("anthropic recordings passed unchanged: %d of %d\n", tally.good, tally.all);
    assert_int_equal(tally.good, tally.all);
}

static void
translates_recorded_chats(void **state)
{
    (void)state;
    static const char *const families[] = {"openai-chat",    "azure",      "cerebras",
                                           "crusoe",         "deepseek",   "gpustack-llamabox",
                                           "groq",           "heroku",     "huggingface",
                                           "lmstudio",       "mistral",    "moonshot",
                                           "ollama",         "openrouter", "perplexity",
                                           "qwen-dashscope", "snowflake",  "together",
                                           "vllm",           "xai",        "zai"};
    struct tally tally = {0};
    for (size_t i = 0; i < countof(families); i++)
        judge_folder(families[i], &openai_chat_dialect, &tally);
    printf("chat recordings translated: %d of %d (%d others)\n", tally.good, tally.all,
           tally.others);
    assert_int_equal(tally.good, tally.all);
}

static void
translates_recorded_responses(void **state)
{
    (void)state;
    struct tally tally = {0};
    judge_folder("openai-responses", &openai_responses_dialect, &tally);
    printf("responses recordings translated: %d of %d (%d others)\n", tally.good, tally.all,
           tally.others);
    assert_int_equal(tally.good, tally.all);
}

static void
translates_recorded_contents(void **state)
{
    (void)state;
    struct tally tally = {0};
    judge_folder("gemini", &gemini_dialect, &tally);
    judge_folder("vertex-gemini", &gemini_dialect, &tally);
    printf("gemini recordings translated: %d of %d (%d others)\n", tally.good, tally.all,
           tally.others);
    assert_int_equal(tally.good, tally.all);
}

/* Gathered into one message they say the same, citations included; blocks that only Anthropic knows
 * are not compared. */
static void
gathers_recorded_messages(void **state)
{
    (void)state;
    struct tally tally = {0};
    judge_folder("anthropic", &anthropic_dialect, &tally);
    printf("anthropic recordings gathered: %d of %d (%d others)\n", tally.good, tally.all,
           tally.others);
    assert_int_equal(tally.good, tally.all);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_recorded_messages),
        cmocka_unit_test(translates_recorded_chats),
        cmocka_unit_test(translates_recorded_responses),
        cmocka_unit_test(translates_recorded_contents),
        cmocka_unit_test(gathers_recorded_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
