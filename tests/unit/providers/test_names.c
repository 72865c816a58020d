/* SPDX-License-Identifier: MIT
 *
 * test_names.c - tools that were renamed for an upstream keep their names for the client, although its request has gone when
 * the call comes: it is given back at the commit point.
 */
#include "providers/dialect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define NAME "mcp.server/tool with spaces"

static void
names_outlive_the_request(void **state)
{
    static const enum dialect_id clients[] = {DIALECT_OPENAI_CHAT, DIALECT_ANTHROPIC, DIALECT_OPENAI_RESPONSES, DIALECT_GEMINI};
    (void)state;
    for (size_t i = 0; i < countof(clients); i++) {
        for (int stream = 0; stream < 2; stream++) {
            const struct dialect *dialect = dialect_of(clients[i]);
            struct arena of_request, of_reply, scratch;
            struct frames frames;
            arena_init(&of_request, 1u << 20);
            arena_init(&of_reply, 4u << 20);
            arena_init(&scratch, 1u << 20);
            frames_init(&frames, 1u << 20);
            struct canon_request *request = arena_take(&of_request, sizeof(*request));
            struct canon_tool *tool = arena_take(&of_request, sizeof(*tool));
            assert_true(request && tool);
            request->arena = &of_request;
            request->from = (int)clients[i];
            assert_int_equal(json_parse(SLICE_LIT("{}"), 8, 16, &of_request, &request->root), 0);
            request->tools = tool;
            tool->name = arena_copy(&of_request, SLICE_LIT(NAME));
            struct slice legal = canon_legal_name(tool->name, 64, &scratch);
            struct dialect_writer_options options = {.stream = stream, .id = SLICE_LIT("ABCDEFGHIJKLMNOPQRSTUVWX"), .model = SLICE_LIT("m"), .request = request};
            void *writer = arena_take(&of_reply, dialect->writer_bytes);
            assert_int_equal(dialect->writer_init(writer, &options, &of_reply), 0);
            memset((char *)(uintptr_t)tool->name.ptr, 'x', tool->name.len);
            memset(tool, 0xa5, sizeof(*tool));
            memset(request, 0xa5, sizeof(*request));
            struct canon_event all[] = {
                {.kind = CANON_START, .id = SLICE_LIT("r"), .model = SLICE_LIT("u")},
                {.kind = CANON_OPEN, .type = BLOCK_CALL, .id = SLICE_LIT("call_1"), .name = legal},
                {.kind = CANON_DELTA, .type = BLOCK_CALL, .text = SLICE_LIT("{}")},
                {.kind = CANON_CLOSE, .type = BLOCK_CALL},
                {.kind = CANON_FINISH, .finish = FINISH_CALLS},
                {.kind = CANON_END},
            };
            for (size_t k = 0; k < countof(all); k++)
                all[k].usage = CANON_USAGE_UNKNOWN;
            struct canon_events events = {.at = all, .count = countof(all), .arena = &scratch};
            assert_int_equal(dialect->write_events(writer, &events, &frames), 0);
            struct sink whole;
            sink_init(&whole, 1u << 20);
            if (!stream)
                assert_int_equal(dialect->write_whole(writer, &whole), 0);
            struct slice got = stream ? sink_slice(&frames.bytes) : sink_slice(&whole);
            if (!memmem(got.ptr, got.len, NAME, strlen(NAME)))
                fail_msg("%s: %.*s", dialect->name, SLICE_ARG(got));
            if (dialect->writer_fini)
                dialect->writer_fini(writer);
            sink_fini(&whole);
            frames_fini(&frames);
            arena_fini(&of_request);
            arena_fini(&of_reply);
            arena_fini(&scratch);
        }
    }
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(names_outlive_the_request)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
