/* SPDX-License-Identifier: MIT
 *
 * test_openai_chat_recordings.c - recorded streams of many Chat servers, carried to a Chat and to
 * an Anthropic client.
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
replay(const char *path, struct slice bytes, const struct dialect *client, bool stream,
       bool include_usage, enum dialect_reasoning shown)
{
    struct drive drive = {
        .client = client,
        .upstream = &openai_chat_dialect,
        .framed = true,
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
    for (uint32_t seed = 1; seed <= 2; seed++) {
        drive.seed = seed;
        drive_reply(&drive, bytes, &split);
        assert_int_equal(split.text.len, whole.text.len);
        assert_memory_equal(split.text.ptr, whole.text.ptr, whole.text.len);
        drive_result_fini(&split);
    }
    /* A stream costs memory by its calls and blocks, not by its length. */
    assert_true(whole.arena_bytes < 256 * 1024);
    drive_result_fini(&whole);
}

static int
replay_file(const char *path)
{
    struct sink file;
    sink_init(&file, 64u << 20);
    struct slice bytes = read_whole(path, &file);
    bool is_chat = text_find(bytes, SLICE_LIT("chat.completion.chunk")) >= 0;
    if (is_chat) {
        replay(path, bytes, &openai_chat_dialect, true, false, SHOW_AS_SENT);
        replay(path, bytes, &openai_chat_dialect, true, true, SHOW_AS_SENT);
        replay(path, bytes, &openai_chat_dialect, true, true, SHOW_THINK_TAGS);
        replay(path, bytes, &openai_chat_dialect, true, false, SHOW_NOTHING);
        replay(path, bytes, &openai_chat_dialect, false, false, SHOW_REASONING);
        replay(path, bytes, &anthropic_dialect, true, true, SHOW_AS_SENT);
        replay(path, bytes, &anthropic_dialect, false, true, SHOW_AS_SENT);
    }
    sink_fini(&file);
    return is_chat;
}

static void
test_recordings(void **state)
{
    (void)state;
    const char *root = getenv("PENSTOCK_RECORDINGS");
    DIR *folders = opendir(root ? root : "../shared/recordings");
    int count = 0;
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
            if (slice_ends(slice_from(name), SLICE_LIT(".sse")))
                count += replay_file(name);
        }
        if (files)
            closedir(files);
    }
    closedir(folders);
    print_message("replayed %d streams\n", count);
    assert_true(count > 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_recordings)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
