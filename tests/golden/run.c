/* SPDX-License-Identifier: MIT
 *
 * run.c - the golden cases: one folder each, with what comes in and what must go out, byte for
 * byte.
 *
 *     case.json              what the case is about, the dialects, the upstream's configuration, what to
 *                            expect; "path": what a path said (model, stream)
 *     request.json           the client's request          expect-request.json    the upstream's
 *     upstream.sse, .json    the upstream's answer         expect-client.sse, .json   the client's
 *
 * Every answer is run whole, byte by byte and at seeded random splits; all must say the same. A
 * Chat stream is judged besides. "run --starve CASES" does it with too little memory. "run --write FOLDER..." writes the expectations, to be read by a
 * person before they are believed.
 */
#include "tests/golden/drive.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define SPLITS 12

struct test {
    char folder[2048];
    struct arena arena;
    struct json config;
    bool write, starve;
    int faults;
};

static void
complain(struct test *test, const char *what, struct slice wanted, struct slice got)
{
    test->faults++;
    printf("FAIL %s: %s\n  wanted: %.*s\n  got:    %.*s\n", test->folder, what, SLICE_ARG(wanted),
           SLICE_ARG(got));
}

/* A whole file in the arena; absent if there is none. */
static struct slice
read_file(struct test *test, const char *name)
{
    char path[4096];
    struct stat info;
    snprintf(path, sizeof(path), "%s/%s", test->folder, name);
    FILE *file = fopen(path, "rb");
    if (!file)
        return SLICE_NONE;
    if (fstat(fileno(file), &info) != 0 || info.st_size > (32 << 20)) {
        fclose(file);
        return SLICE_NONE;
    }
    char *bytes = arena_take(&test->arena, (size_t)info.st_size + 1);
    size_t n = bytes ? fread(bytes, 1, (size_t)info.st_size, file) : 0;
    fclose(file);
    return bytes ? slice_of(bytes, n) : SLICE_NONE;
}

static void
write_file(struct test *test, const char *name, struct slice bytes)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", test->folder, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(bytes.ptr, 1, bytes.len, file) != bytes.len)
        complain(test, "cannot write", slice_from(name), SLICE_NONE);
    if (file)
        fclose(file);
}

/* JSON files end in a line end that is no part of the answer. */
static struct slice
without_line_end(struct slice text)
{
    return slice_ends(text, SLICE_LIT("\n")) ? slice_take(text, text.len - 1) : text;
}

static void
compare(struct test *test, const char *name, struct slice got, bool is_json)
{
    if (test->write) {
        struct slice line = is_json ? arena_printf(&test->arena, "%.*s\n", SLICE_ARG(got)) : got;
        write_file(test, name, line);
        return;
    }
    struct slice wanted = read_file(test, name);
    if (is_json)
        wanted = without_line_end(wanted);
    if (!slice_present(wanted) || !slice_eq(wanted, got))
        complain(test, name, wanted, got);
}

/* ---------------------------------------------------------------- configuration of a case */

static struct slice
text_of(struct test *test, struct json object, const char *name, const char *otherwise)
{
    struct slice text = json_string(json_get(object, name), &test->arena);
    return slice_present(text) ? text : slice_from(otherwise);
}

static bool
flag_of(struct json object, const char *name, bool otherwise)
{
    struct json value = json_get(object, name);
    return json_present(value) ? json_type(value) == JSON_TRUE : otherwise;
}

static struct dialect_upstream
upstream_of(struct test *test)
{
    static const char *const efforts[] = {"nothing", "reasoning_effort", "enable_thinking",
                                          "thinking"};
    struct json config = json_get(test->config, "upstream_config");
    struct dialect_upstream upstream = {
        .model = text_of(test, config, "model", "upstream-model"),
        .max_output_tokens = json_u64_or(json_get(config, "max_output_tokens"), 0),
        .max_completion_tokens = flag_of(config, "max_completion_tokens", false),
        .usage_in_stream = flag_of(config, "usage_in_stream", true),
        .strict_turns = flag_of(config, "strict_turns", false),
        .extra_fields = flag_of(config, "extra_fields", false),
        .top_k = flag_of(config, "top_k", false),
        .developer_role = flag_of(config, "developer_role", true),
        .replay_reasoning = flag_of(config, "replay_reasoning", false),
        .default_params = json_raw(json_get(config, "default_params")),
        .api_version = json_string(json_get(config, "api_version"), &test->arena),
        .project = text_of(test, config, "project", "the-project"),
        .location = text_of(test, config, "location", "global"),
        .base_path = text_of(test, config, "base_path", ""),
        .forced_choice = flag_of(config, "forced_choice", false),
        .system_parts = flag_of(config, "system_parts", false),
        .flat_content = flag_of(config, "flat_content", false),
        .thinking_level = flag_of(config, "thinking_level", false),
        .json_schema = flag_of(config, "json_schema", false),
        .result_media = flag_of(config, "result_media", false),
        .keeps_state = flag_of(config, "keeps_state", false),
        .url_media = flag_of(config, "url_media", false),
        .thinking_budget_max = json_u64_or(json_get(config, "thinking_budget_max"), 0),
        .safety = json_raw(json_get(config, "safety")),
        .betas = json_string(json_get(config, "betas"), &test->arena),
        .strip_tool_fields = flag_of(config, "strip_tool_fields", false),
    };
    static const char *const surfaces[] = {"plain", "azure", "vertex"};
    static const char *const ids[] = {"any", "nine"};
    static const char *const switches[] = {"unset", "off", "on"};
    for (size_t i = 0; i < countof(surfaces); i++)
        if (json_is(json_get(config, "surface"), surfaces[i]))
            upstream.surface = (enum dialect_surface)i;
    for (size_t i = 0; i < countof(ids); i++)
        if (json_is(json_get(config, "ids"), ids[i]))
            upstream.ids = (enum dialect_ids)i;
    for (size_t i = 0; i < countof(switches); i++)
        if (json_is(json_get(config, "grounding"), switches[i]))
            upstream.grounding = (enum dialect_switch)i;
    for (size_t i = 0; i < countof(efforts); i++)
        if (json_is(json_get(config, "effort"), efforts[i]))
            upstream.effort = (enum dialect_effort)i;
    return upstream;
}

static void
check_expected_error(struct test *test, int error, const struct canon_fault *fault)
{
    struct json expect = json_get(test->config, "expect");
    struct slice name = text_of(test, expect, "error", "NONE");
    struct slice got = slice_from(err_row(error)->name);
    if (!slice_eq(name, got))
        complain(test, "error", name, got);
    struct slice param = text_of(test, expect, "param", "");
    if (fault && param.len > 0 && !slice_eq(param, fault->param))
        complain(test, "param", param, fault->param);
}

static void
check_dropped(struct test *test, const struct canon_report *report)
{
    struct json wanted = json_get(json_get(test->config, "expect"), "dropped");
    int count = 0;
    for (struct json at = json_first(wanted); json_present(at); at = json_next(at), count++) {
        bool found = false;
        for (int i = 0; i < report->count; i++)
            found = found || json_is(at, report->dropped[i]);
        if (!found)
            complain(test, "not reported as dropped", json_text(at), SLICE_NONE);
    }
    for (int i = 0; i < report->count && count != report->count; i++)
        complain(test, "reported as dropped", SLICE_NONE, slice_from(report->dropped[i]));
}

/* ---------------------------------------------------------------- requests */

static void
run_request(struct test *test, struct canon_request *request, const struct dialect *client,
            const struct dialect *upstream)
{
    struct dialect_upstream target = upstream_of(test);
    struct canon_report report = {0};
    struct canon_fault fault = {0};
    struct sink out;
    if (test->starve) {
        const char *why = starve_request(client, upstream, &target, request);
        if (why)
            complain(test, why, SLICE_NONE, SLICE_NONE);
    }
    sink_init(&out, 32u << 20);
    int error = client->outline(request, &fault);
    if (!error && client == upstream) {
        error = upstream->check_pass ? upstream->check_pass(request, &target, &fault) : 0;
        if (!error)
            error = upstream->pass_request(request, &target, &out);
    } else if (!error) {
        error = client->read_request(request, &fault);
        if (!error)
            error = upstream->write_request(request, &target, &out, &report, &fault);
        for (int i = 0; i < request->unsaid.count; i++)
            canon_drop(&report, request->unsaid.dropped[i]);
    }
    struct json expect = json_get(test->config, "expect");
    bool of_reply = json_present(json_get(expect, "reply_error"));
    if (!of_reply || error)
        check_expected_error(test, error, &fault);
    check_dropped(test, &report);
    if (!error) {
        struct json_scan scan;
        if (json_scan(sink_slice(&out), 128, &scan) != 0)
            complain(test, "the request written is not JSON", SLICE_NONE, sink_slice(&out));
        compare(test, "expect-request.json", without_line_end(sink_slice(&out)), true);
    }
    sink_fini(&out);
}

/* ---------------------------------------------------------------- replies */

static void
check_flaws(struct test *test, uint32_t flaws)
{
    struct json wanted = json_get(json_get(test->config, "expect"), "flaws");
    uint32_t expected = 0;
    for (struct json at = json_first(wanted); json_present(at); at = json_next(at))
        for (int flaw = 1; flaw < FLAW_COUNT; flaw++)
            if (json_is(at, canon_flaw_name((enum canon_flaw)flaw)))
                expected |= 1u << flaw;
    for (int flaw = 1; flaw < FLAW_COUNT; flaw++)
        if ((flaws ^ expected) >> flaw & 1)
            complain(test, expected >> flaw & 1 ? "flaw not noted" : "flaw noted",
                     slice_from(canon_flaw_name((enum canon_flaw)flaw)), SLICE_NONE);
}

static void
check_result(struct test *test, const struct drive *drive, const struct drive_result *result)
{
    struct json expect = json_get(test->config, "expect");
    struct slice error = text_of(test, expect, "reply_error", "NONE");
    if (!slice_is(error, err_row(result->error)->name))
        complain(test, "reply error", error, slice_from(err_row(result->error)->name));
    uint64_t status = json_u64_or(json_get(expect, "status"), 200);
    if (status != (uint64_t)result->status)
        complain(test, "status", arena_printf(&test->arena, "%d", (int)status),
                 arena_printf(&test->arena, "%d", result->status));
    check_flaws(test, result->flaws);
    bool is_stream = drive->options.stream && result->status == 200;
    const char *fault = NULL;
    if (is_stream && drive->client->id == DIALECT_OPENAI_CHAT)
        fault = judge_chat(sink_slice(&result->text));
    if (is_stream && drive->client->id == DIALECT_OPENAI_RESPONSES)
        fault = judge_responses(sink_slice(&result->text));
    if (is_stream && drive->client->id == DIALECT_GEMINI)
        fault = judge_gemini(sink_slice(&result->text));
    if (fault && !flag_of(expect, "unjudged", false))
        complain(test, fault, SLICE_NONE, sink_slice(&result->text));
    struct slice text = sink_slice(&result->text);
    compare(test, is_stream ? "expect-client.sse" : "expect-client.json",
            is_stream ? text : without_line_end(text), !is_stream);
}

static void
run_reply(struct test *test, struct drive *drive, struct slice upstream)
{
    struct drive_result whole;
    if (test->starve) {
        const char *why = starve_reply(drive, upstream);
        if (why)
            complain(test, why, SLICE_NONE, SLICE_NONE);
        return;
    }
    drive->split = SPLIT_NONE;
    drive_reply(drive, upstream, &whole);
    check_result(test, drive, &whole);
    for (int i = 0; i < SPLITS && drive->framed; i++) {
        struct drive_result split;
        drive->split = i == 0 ? SPLIT_BYTES : SPLIT_RANDOM;
        drive->seed = (uint32_t)i * 7919;
        drive_reply(drive, upstream, &split);
        if (!slice_eq(sink_slice(&whole.text), sink_slice(&split.text)) ||
            split.error != whole.error)
            complain(test, i == 0 ? "byte by byte it differs" : "split at random it differs",
                     sink_slice(&whole.text), sink_slice(&split.text));
        drive_result_fini(&split);
    }
    drive_result_fini(&whole);
}

static void
run_case(struct test *test)
{
    static const char *const shows[] = {"as_sent", "reasoning_content", "reasoning", "think", "nothing"};
    struct json config = test->config;
    struct drive drive = {
        .client = dialect_named(text_of(test, config, "client", "openai_chat")),
        .upstream = dialect_named(text_of(test, config, "upstream", "openai_chat")),
        .think = flag_of(config, "think_tags", false),
        .textcall = flag_of(config, "text_tool_calls", false),
        .early = flag_of(config, "early", false),
        .status = (int)json_u64_or(json_get(config, "status"), 200),
    };
    assert(drive.client);
    assert(drive.upstream);
    struct slice body = read_file(test, "request.json");
    /* Where the path says them, the model and whether to stream are known before the body is read. */
    struct json path = json_get(config, "path");
    struct canon_request request = {.body = without_line_end(body), .arena = &test->arena};
    request.model = json_string(json_get(path, "model"), &test->arena);
    request.stream = flag_of(path, "stream", false);
    if (slice_present(body)) {
        if (json_parse(request.body, 64, 1u << 20, &test->arena, &request.root) != 0) {
            complain(test, "request.json is not JSON", SLICE_NONE, request.body);
            return;
        }
        run_request(test, &request, drive.client, drive.upstream);
    }
    drive.options = (struct dialect_writer_options){
        .stream = flag_of(config, "stream", slice_present(body) ? request.stream : true),
        .include_usage = flag_of(config, "include_usage", request.include_usage),
        .id = text_of(test, config, "id", "0123456789abcdefghijklmn"),
        .model = text_of(test, config, "model", "the-model"),
        .created_s = (int64_t)json_u64_or(json_get(config, "created"), 1700000000),
        .placeholder_signature = flag_of(config, "placeholder_signature", false),
        .input_estimate = json_u64_or(json_get(config, "input_estimate"), 0),
        .request = slice_present(body) ? &request : NULL,
    };
    for (size_t i = 0; i < countof(shows); i++)
        if (json_is(json_get(config, "reasoning"), shows[i]))
            drive.options.reasoning = (enum dialect_reasoning)i;
    struct slice upstream = read_file(test, "upstream.sse");
    drive.framed = slice_present(upstream);
    if (!drive.framed)
        upstream = without_line_end(read_file(test, "upstream.json"));
    if (slice_present(upstream))
        run_reply(test, &drive, upstream);
}

static int
run_folder(const char *path, bool write, bool starve)
{
    struct test test = {.write = write, .starve = starve};
    snprintf(test.folder, sizeof(test.folder), "%s", path);
    arena_init(&test.arena, 256u << 20);
    struct slice config = read_file(&test, "case.json");
    if (!slice_present(config) || json_parse(config, 32, 100000, &test.arena, &test.config) != 0)
        complain(&test, "case.json is missing or no JSON", SLICE_NONE, config);
    else
        run_case(&test);
    arena_fini(&test.arena);
    return test.faults;
}

int
main(int argc, char **argv)
{
    bool write = argc > 2 && strcmp(argv[1], "--write") == 0;
    int faults = 0, cases = 0;
    if (write) {
        for (int i = 2; i < argc; i++)
            faults += run_folder(argv[i], true, false);
        return faults != 0;
    }
    bool starve = argc == 3 && strcmp(argv[1], "--starve") == 0;
    if (argc != 2 + starve) {
        fprintf(stderr, "usage: run [--starve] CASES | run --write FOLDER...\n");
        return 2;
    }
    struct dirent **names;
    int count = scandir(argv[argc - 1], &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char path[4096];
        struct stat info;
        snprintf(path, sizeof(path), "%s/%s", argv[argc - 1], names[i]->d_name);
        if (names[i]->d_name[0] != '.' && stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
            faults += run_folder(path, false, starve);
            cases++;
        }
        free(names[i]);
    }
    if (count >= 0)
        free(names);
    printf("golden: %d cases, %d faults\n", cases, faults);
    return faults != 0 || cases == 0;
}
