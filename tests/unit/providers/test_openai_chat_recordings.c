/* SPDX-License-Identifier: MIT
 *
 * test_openai_chat_recordings.c - recorded replies of many Chat servers, streamed and whole,
 * carried to clients of every dialect; recorded Chat requests, read, and passed or written for
 * every upstream.
 *
 * Replayed when recordings lie beside the repository or where PENSTOCK_RECORDINGS says. What a Chat
 * client gets is judged by a grammar of its own, and every answer must be the same however the
 * bytes are split.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/golden/drive.h"

#include "base/text.h"
#include "providers/openai_chat.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static struct slice
read_whole(const char *path, struct sink *to)
{
    FILE *file = fopen(path, "rb");
    size_t n;
    char piece[65536];
    sink_reset(to, 1u << 24);
    while (file && (n = fread(piece, 1, sizeof(piece), file)) > 0)
        sink_put(to, slice_of(piece, n));
    if (file)
        fclose(file);
    return sink_slice(to);
}

static void
replay(const char *path, struct slice bytes, bool framed, const struct dialect *client, bool stream,
       bool include_usage, enum dialect_reasoning shown)
{
    struct drive drive = {
        .client = client,
        .upstream = &openai_chat_dialect,
        .framed = framed,
        .status = 200,
        .options = {.stream = stream,
                    .include_usage = include_usage,
                    .reasoning = shown,
                    .created_s = 1700000000,
                    .id = SLICE_LIT("0123456789abcdefghijklmn"),
                    .model = SLICE_LIT("asked")},
    };
    struct drive_result whole, split;
    drive_reply(&drive, bytes, &whole);
    bool reports = text_find(bytes, SLICE_LIT("event: error")) >= 0;
    const char *fault =
        stream && client->id == DIALECT_OPENAI_CHAT ? judge_chat(sink_slice(&whole.text)) : NULL;
    if (fault || (whole.error && !reports))
        print_message("%s: %s, error %d %s, text %.*s\n", path, fault ? fault : "", whole.error,
                      whole.verdict ? whole.verdict : "",
                      (int)(whole.text.len < 3000 ? whole.text.len : 3000),
                      sink_slice(&whole.text).ptr);
    assert_null(fault);
    assert_int_equal(whole.error, reports ? -ERR_UPSTREAM_ERROR : 0);
    drive.split = SPLIT_RANDOM;
    for (uint32_t seed = 1; framed && seed <= 2; seed++) {
        drive.seed = seed;
        drive_reply(&drive, bytes, &split);
        assert_int_equal(split.text.len, whole.text.len);
        assert_memory_equal(split.text.ptr, whole.text.ptr, whole.text.len);
        drive_result_fini(&split);
    }
    /* A stream costs memory by its calls and blocks, not by its length. */
    assert_true(whole.arena_bytes < 256 * 1024 || bytes.len > 256 * 1024);
    struct json_scan scan;
    if (!stream)
        assert_int_equal(json_scan(sink_slice(&whole.text), CHAT_DEPTH_MAX, &scan), 0);
    drive_result_fini(&whole);
}

static void
replay_everywhere(const char *path, struct slice bytes, bool framed)
{
    replay(path, bytes, framed, &openai_chat_dialect, true, false, SHOW_AS_SENT);
    replay(path, bytes, framed, &openai_chat_dialect, true, true, SHOW_AS_SENT);
    replay(path, bytes, framed, &openai_chat_dialect, true, true, SHOW_THINK_TAGS);
    replay(path, bytes, framed, &openai_chat_dialect, true, false, SHOW_NOTHING);
    replay(path, bytes, framed, &openai_chat_dialect, false, false, SHOW_REASONING);
    static const struct dialect *const others[] = {&anthropic_dialect, &openai_responses_dialect,
                                                   &gemini_dialect};
    for (size_t i = 0; i < countof(others); i++) {
        replay(path, bytes, framed, others[i], true, true, SHOW_AS_SENT);
        replay(path, bytes, framed, others[i], false, true, SHOW_AS_SENT);
    }
}

/* Every recorded Chat request reads, and is written for every upstream or refused by the name of
 * what cannot be said. */
static void
ask_everywhere(const char *path, struct slice bytes)
{
    static const struct dialect *const upstreams[] = {&openai_chat_dialect, &anthropic_dialect,
                                                      &openai_responses_dialect, &gemini_dialect};
    static const struct dialect_upstream plain = {.model = {"up", 2}, .developer_role = true};
    static const struct dialect_upstream odd = {.model = {"up", 2},
                                                .ids = IDS_NINE,
                                                .forced_choice = true,
                                                .system_parts = true,
                                                .flat_content = true,
                                                .replay_reasoning = true,
                                                .strict_turns = true,
                                                .effort = TELL_THINKING};
    for (size_t i = 0; i < countof(upstreams) * 2; i++) {
        const struct dialect *upstream = upstreams[i / 2];
        struct arena arena;
        struct sink out;
        struct canon_report report = {0};
        struct canon_fault fault = {0};
        struct json_scan scan;
        arena_init(&arena, 256u << 20);
        sink_init(&out, 64u << 20);
        struct canon_request request = {.body = bytes, .arena = &arena};
        assert_int_equal(json_parse(bytes, CHAT_DEPTH_MAX, CHAT_TOKENS_MAX, &arena, &request.root),
                         0);
        int error = chat_outline(&request, &fault);
        assert_int_equal(error, 0);
        if (upstream == &openai_chat_dialect)
            error = chat_pass_request(&request, i % 2 ? &odd : &plain, &out);
        else
            error = chat_read_request(&request, &fault);
        if (!error && upstream != &openai_chat_dialect)
            error = upstream->write_request(&request, i % 2 ? &odd : &plain, &out, &report, &fault);
        if (error && error != -ERR_UNSUPPORTED)
            print_message("%s: error %d, %.*s\n", path, error, SLICE_ARG(fault.message));
        assert_true(error == 0 || (error == -ERR_UNSUPPORTED && slice_present(fault.param)));
        if (!error)
            assert_int_equal(json_scan(sink_slice(&out), CHAT_DEPTH_MAX, &scan), 0);
        sink_fini(&out);
        arena_fini(&arena);
    }
}

enum { REPLAYED_STREAMS, REPLAYED_OBJECTS, REPLAYED_REQUESTS, REPLAYED_KINDS };

static void
replay_file(const char *path, int *counts)
{
    struct sink file;
    sink_init(&file, 64u << 20);
    struct slice bytes = read_whole(path, &file), name = slice_from(path);
    if (slice_ends(name, SLICE_LIT(".sse")) &&
        text_find(bytes, SLICE_LIT("chat.completion.chunk")) >= 0) {
        replay_everywhere(path, bytes, true);
        counts[REPLAYED_STREAMS]++;
    } else if (slice_ends(name, SLICE_LIT(".request.json")) &&
               text_find(bytes, SLICE_LIT("\"messages\"")) >= 0 &&
               text_find(name, SLICE_LIT("anthropic/")) < 0 &&
               text_find(name, SLICE_LIT("bedrock")) < 0 &&
               text_find(name, SLICE_LIT("/requests/")) < 0 &&
               text_find(bytes, SLICE_LIT("\"model\"")) >= 0) {
        ask_everywhere(path, bytes);
        counts[REPLAYED_REQUESTS]++;
    } else if (slice_ends(name, SLICE_LIT(".json")) &&
               text_find(bytes, SLICE_LIT("\"choices\"")) >= 0 &&
               text_find(bytes, SLICE_LIT("\"text_completion\"")) < 0 &&
               text_find(name, SLICE_LIT("request.json")) < 0) {
        replay_everywhere(path, bytes, false);
        counts[REPLAYED_OBJECTS]++;
    }
    sink_fini(&file);
}

static void
test_recordings(void **state)
{
    (void)state;
    const char *root = getenv("PENSTOCK_RECORDINGS");
    DIR *folders = opendir(root ? root : "../shared/recordings");
    int counts[REPLAYED_KINDS] = {0};
    if (!folders) {
        print_message("no recordings beside the repository: nothing replayed\n");
        return;
    }
    for (struct dirent *folder = readdir(folders); folder; folder = readdir(folders)) {
        char path[2048];
        snprintf(path, sizeof(path), "%s/%s", root ? root : "../shared/recordings", folder->d_name);
        DIR *files = folder->d_name[0] == '.' ? NULL : opendir(path);
        for (struct dirent *file = files ? readdir(files) : NULL; file; file = readdir(files)) {
            char name[4096];
            snprintf(name, sizeof(name), "%s/%s", path, file->d_name);
            replay_file(name, counts);
        }
        if (files)
            closedir(files);
    }
    closedir(folders);
    print_message("replayed %d streams, %d whole replies, %d requests\n", counts[0], counts[1],
                  counts[2]);
    assert_true(counts[REPLAYED_STREAMS] > 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_recordings)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
