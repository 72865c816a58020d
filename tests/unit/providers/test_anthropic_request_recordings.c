/* SPDX-License-Identifier: MIT
 *
 * test_anthropic_request_recordings.c - every recorded request, when the recordings lie beside the
 * repository.
 *
 * Whatever its dialect, it becomes a Messages request that keeps the rules of the API, or is
 * refused by name. Messages requests pass as they are.
 */
#include "tests/unit/providers/asking.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

static const char *
recordings(void)
{
    const char *root = getenv("PENSTOCK_RECORDINGS");
    return root ? root : "../shared/recordings";
}

static char *
read_text(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *room = file ? calloc(1, 4u << 20) : NULL;
    if (room)
        (void)!fread(room, 1, (4u << 20) - 1, file);
    if (file)
        (void)fclose(file);
    return room;
}

/* ---------------------------------------------------------------- the rules of the API */

static bool
is_legal_id(struct slice id)
{
    for (size_t i = 0; i < id.len; i++) {
        char byte = id.ptr[i];
        if (!(byte >= 'a' && byte <= 'z') && !(byte >= 'A' && byte <= 'Z') &&
            !(byte >= '0' && byte <= '9') && byte != '_' && byte != '-')
            return false;
    }
    return id.len > 0 && id.len <= 64;
}

/* The results for the calls of the turn before lead a user turn, one for each; NULL: they do. */
static const char *
fault_of_results(struct json calls, struct json content)
{
    struct json result = json_first(content);
    for (struct json call = json_first(calls); json_present(call); call = json_next(call)) {
        if (!json_is(json_get(call, "type"), "tool_use"))
            continue;
        bool found = false;
        for (struct json one = json_first(content);
             json_present(one) && json_is(json_get(one, "type"), "tool_result");
             one = json_next(one))
            found = found || slice_eq(json_text(json_get(one, "tool_use_id")),
                                      json_text(json_get(call, "id")));
        if (!found)
            return "a call without its result";
        result = json_next(result);
    }
    for (; json_present(result); result = json_next(result)) {
        if (json_is(json_get(result, "type"), "tool_result"))
            return "a result without its call, or behind other content";
    }
    return NULL;
}

static const char *
fault_of_block(struct json block, bool assistant)
{
    struct json type = json_get(block, "type");
    if (json_is(type, "text"))
        return json_text(json_get(block, "text")).len > 0 ? NULL : "an empty text";
    if (json_is(type, "tool_use"))
        return assistant && is_legal_id(json_text(json_get(block, "id"))) &&
                       is_legal_id(json_text(json_get(block, "name"))) &&
                       json_type(json_get(block, "input")) == JSON_OBJECT
                   ? NULL
                   : "a bad call";
    if (json_is(type, "thinking"))
        return assistant && json_text(json_get(block, "signature")).len > 0
                   ? NULL
                   : "a thought without a signature";
    if (json_is(type, "redacted_thinking") || json_is(type, "tool_result"))
        return NULL;
    if (json_is(type, "image") || json_is(type, "document"))
        return !assistant && json_type(json_get(block, "source")) == JSON_OBJECT ? NULL
                                                                                 : "bad media";
    return "an unknown block";
}

static const char *
fault_of_turns(struct json messages)
{
    struct json before = JSON_NONE;
    const char *fault = json_count(messages) > 0 ? NULL : "no messages";
    for (struct json turn = json_first(messages); json_present(turn) && !fault;
         turn = json_next(turn)) {
        struct json role = json_get(turn, "role"), content = json_get(turn, "content");
        bool assistant = json_is(role, "assistant");
        if (json_type(content) == JSON_STRING)
            return json_text(content).len > 0 ? NULL : "empty content";
        if (json_count(content) == 0 || (!assistant && !json_is(role, "user")) ||
            slice_eq(json_text(role), json_text(json_get(before, "role"))))
            return "bad turns";
        for (struct json block = json_first(content); json_present(block) && !fault;
             block = json_next(block))
            fault = fault_of_block(block, assistant);
        if (!fault && !assistant)
            fault = fault_of_results(json_get(before, "content"), content);
        before = turn;
    }
    return fault;
}

static const char *
fault_of_request(struct json root)
{
    struct json thinking = json_get(root, "thinking"), budget = json_get(thinking, "budget_tokens");
    uint64_t most = json_u64_or(json_get(root, "max_tokens"), 0);
    if (most == 0 || json_type(json_get(root, "stream")) != JSON_TRUE)
        return "no max_tokens or stream";
    if (json_present(budget) && json_u64_or(budget, 0) >= most)
        return "no room behind the budget";
    if (json_is(json_get(thinking, "type"), "enabled") &&
        json_present(json_get(root, "temperature")))
        return "temperature while thinking";
    if (json_present(json_get(root, "temperature")) && json_present(json_get(root, "top_p")))
        return "temperature and top_p";
    struct json tools = json_get(root, "tools");
    for (struct json tool = json_first(tools); json_present(tool); tool = json_next(tool)) {
        struct json schema = json_get(tool, "input_schema");
        if (!is_legal_id(json_text(json_get(tool, "name"))) ||
            !json_is(json_get(schema, "type"), "object") ||
            json_present(json_get(schema, "anyOf")) || json_present(json_get(schema, "oneOf")))
            return "a bad tool";
    }
    return fault_of_turns(json_get(root, "messages"));
}

/* ---------------------------------------------------------------- one request */

struct tally {
    int written, refused, bad;
};

static void
open_request(struct asking *asking, const struct dialect *client, const char *body)
{
    struct canon_request *request = &asking->request;
    *asking = (struct asking){.error = 0};
    arena_init(&asking->arena, 64u << 20);
    sink_init(&asking->out, 64u << 20);
    request->arena = &asking->arena;
    request->body = slice_from(body);
    if (client == &gemini_dialect)
        request->model = SLICE_LIT("the-model"); /* as its path says */
    asking->error = json_parse(request->body, 64, 1u << 20, &asking->arena, &request->root);
    if (asking->error == 0)
        asking->error = client->outline(request, &asking->fault);
    if (asking->error == 0)
        asking->error = client->read_request(request, &asking->fault);
}

static void
judge(const struct dialect *client, const struct dialect_upstream *upstream, const char *name,
      const char *body, struct tally *tally)
{
    struct asking asking;
    struct json root;
    open_request(&asking, client, body);
    asking_write(&asking, &anthropic_dialect, upstream);
    if (asking.error != 0) {
        bool named = slice_present(asking.fault.message);
        tally->refused += named;
        tally->bad += !named;
        if (getenv("PENSTOCK_SHOW_REFUSED") || !named)
            print_error("%s: %d %.*s\n", name, asking.error, SLICE_ARG(asking.fault.message));
    } else {
        struct slice text = slice_take(sink_slice(&asking.out), asking.out.len - 1);
        assert_int_equal(json_parse(text, 64, 1u << 20, &asking.arena, &root), 0);
        const char *fault = fault_of_request(root);
        if (fault)
            print_error("%s: %s\n  %.*s\n", name, fault, SLICE_ARG(text));
        tally->written += fault == NULL;
        tally->bad += fault != NULL;
    }
    asking_close(&asking);
}

/* To Anthropic a request passes byte for byte; to Vertex, and for counting, it stays JSON. */
static void
judge_own(const char *name, const char *body, struct tally *tally)
{
    static const enum dialect_surface surfaces[] = {SURFACE_PLAIN, SURFACE_VERTEX};
    struct asking asking;
    open_request(&asking, &anthropic_dialect, body);
    bool readable = slice_present(asking.request.model) && asking.request.from == DIALECT_ANTHROPIC;
    tally->refused += !readable;
    for (size_t i = 0; i < countof(surfaces) && readable; i++) {
        struct dialect_upstream upstream = {.model = asking.request.model,
                                            .surface = surfaces[i],
                                            .project = SLICE_LIT("p"),
                                            .location = SLICE_LIT("l"),
                                            .strip_tool_fields = i == 1};
        struct json_scan scan;
        assert_int_equal(anthropic_dialect.pass_request(&asking.request, &upstream, &asking.out),
                         0);
        bool same = i == 1 || slice_eq(sink_slice(&asking.out), asking.request.body);
        if (!same)
            print_error("%s did not pass unchanged\n", name);
        tally->written += same;
        tally->bad += !same;
        assert_int_equal(json_scan(sink_slice(&asking.out), 64, &scan), 0);
        sink_reset(&asking.out, 0);
        assert_int_equal(anthropic_dialect.write_count(&asking.request, &upstream, &asking.out,
                                                       &asking.report, &asking.fault),
                         0);
        assert_int_equal(json_scan(sink_slice(&asking.out), 64, &scan), 0);
        sink_reset(&asking.out, 0);
    }
    asking_close(&asking);
}

/* Which dialect a request speaks shows in its body; NULL: none of ours. */
static const struct dialect *
dialect_of_request(const char *family, const char *name, const char *body)
{
    if (strstr(name, "embedding") || strstr(family, "embeddings"))
        return NULL;
    struct arena arena;
    struct json root;
    const struct dialect *found = NULL;
    arena_init(&arena, 64u << 20);
    if (json_parse(slice_from(body), 64, 1u << 20, &arena, &root) == 0) {
        if (json_present(json_get(root, "messages")))
            found = strcmp(family, "anthropic") == 0 ? &anthropic_dialect : &openai_chat_dialect;
        else if (json_present(json_get(root, "contents")))
            found = &gemini_dialect;
        else if (json_present(json_get(root, "input")) && json_present(json_get(root, "model")))
            found = &openai_responses_dialect;
    }
    arena_fini(&arena);
    return found;
}

static void
judge_request(const char *family, const char *name, struct tally *tally)
{
    static const char *const models[] = {"claude-haiku-4-5", "claude-opus-4-6",
                                         "claude-sonnet-4-20250514"};
    char path[1024];
    (void)snprintf(path, sizeof(path), "%s/%s/%s", recordings(), family, name);
    char *body = read_text(path);
    assert_non_null(body);
    const struct dialect *client = dialect_of_request(family, name, body);
    for (size_t i = 0; i < countof(models) && client && client != &anthropic_dialect; i++) {
        struct dialect_upstream upstream = {.model = slice_from(models[i]),
                                            .effort = TELL_THINKING,
                                            .max_output_tokens = i == 0 ? 32000 : 0};
        judge(client, &upstream, path, body, tally);
    }
    if (client == &anthropic_dialect)
        judge_own(path, body, tally);
    free(body);
}

static void
judge_folder(const char *family, struct tally *tally)
{
    char folder[512];
    (void)snprintf(folder, sizeof(folder), "%s/%s", recordings(), family);
    DIR *listing = opendir(folder);
    for (struct dirent *entry = listing ? readdir(listing) : NULL; entry;
         entry = readdir(listing)) {
        size_t n = strlen(entry->d_name);
        if (n > 13 && strcmp(entry->d_name + n - 13, ".request.json") == 0)
            judge_request(family, entry->d_name, tally);
    }
    if (listing)
        (void)closedir(listing);
}

static void
writes_every_recorded_request(void **state)
{
    (void)state;
    int bad = 0;
    DIR *listing = opendir(recordings());
    for (struct dirent *entry = listing ? readdir(listing) : NULL; entry;
         entry = readdir(listing)) {
        struct tally tally = {0};
        if (entry->d_name[0] == '.' || strncmp(entry->d_name, "bedrock", 7) == 0)
            continue;
        judge_folder(entry->d_name, &tally);
        if (tally.written + tally.refused + tally.bad > 0)
            printf("%-22s %3d written, %2d refused by name, %d bad\n", entry->d_name, tally.written,
                   tally.refused, tally.bad);
        bad += tally.bad;
    }
    if (listing)
        (void)closedir(listing);
    assert_int_equal(bad, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(writes_every_recorded_request)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
