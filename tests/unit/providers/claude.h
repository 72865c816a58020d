/* SPDX-License-Identifier: MIT
 *
 * claude.h - for tests: Chat requests as Messages requests for a Claude, with short names for what
 * is asked and written.
 */
#ifndef PENSTOCK_TEST_CLAUDE_H
#define PENSTOCK_TEST_CLAUDE_H

#include "tests/unit/providers/asking.h"

#define S(text) SLICE_LIT(text)
#define HEAD "{\"model\":\"claude-haiku-4-5\",\"max_tokens\":4096,\"stream\":true,"
#define USER(text) "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"" text "\"}]}"
#define ASKS "{\"model\":\"gpt\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

static inline struct dialect_upstream
haiku(void)
{
    return (struct dialect_upstream){
        .model = S("claude-haiku-4-5"), .base_path = S(""), .effort = TELL_THINKING};
}

static inline void
becomes_with(const struct dialect_upstream *upstream, const char *body, const char *expected)
{
    struct asking asking;
    asking_read(&asking, &openai_chat_dialect, body);
    assert_int_equal(asking.error, 0);
    asking_write(&asking, &anthropic_dialect, upstream);
    if (asking.error != 0)
        print_error("%.*s\n", SLICE_ARG(asking.fault.message));
    assert_int_equal(asking.error, 0);
    assert_string_equal(asking.out.ptr, expected);
    asking_close(&asking);
}

static inline void
becomes(const char *body, const char *expected)
{
    struct dialect_upstream upstream = haiku();
    becomes_with(&upstream, body, expected);
}

static inline void
refused(const char *body, const char *param)
{
    struct dialect_upstream upstream = haiku();
    struct asking asking;
    asking_read(&asking, &openai_chat_dialect, body);
    asking_write(&asking, &anthropic_dialect, &upstream);
    assert_int_equal(asking.error, -ERR_UNSUPPORTED);
    assert_true(slice_present(asking.fault.message));
    assert_true(slice_is(asking.fault.param, param));
    asking_close(&asking);
}

static inline void
drops(const char *body, const char *name)
{
    struct dialect_upstream upstream = haiku();
    struct asking asking;
    asking_read(&asking, &openai_chat_dialect, body);
    asking_write(&asking, &anthropic_dialect, &upstream);
    assert_int_equal(asking.error, 0);
    if (!asking_dropped(&asking, name))
        print_error("%s was not reported\n", name);
    assert_true(asking_dropped(&asking, name));
    asking_close(&asking);
}

/* Nothing is reported that was not left out. */
static inline void
keeps_silent(const char *body)
{
    struct dialect_upstream upstream = haiku();
    struct asking asking;
    asking_read(&asking, &openai_chat_dialect, body);
    asking_write(&asking, &anthropic_dialect, &upstream);
    assert_int_equal(asking.error, 0);
    assert_int_equal(asking.report.count, 0);
    asking_close(&asking);
}

#define CALLS(calls) "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[" calls "]}"
#define CALL(id, name, arguments)                                                                  \
    "{\"id\":\"" id "\",\"type\":\"function\",\"function\":{\"name\":\"" name                      \
    "\",\"arguments\":\"" arguments "\"}}"
#define TOLD(id, text) "{\"role\":\"tool\",\"tool_call_id\":\"" id "\",\"content\":\"" text "\"}"
#define USES(uses) "{\"role\":\"assistant\",\"content\":[" uses "]}"
#define USE(id, name, input)                                                                       \
    "{\"type\":\"tool_use\",\"id\":\"" id "\",\"name\":\"" name "\",\"input\":" input "}"
#define RESULT(id, text)                                                                           \
    "{\"type\":\"tool_result\",\"tool_use_id\":\"" id "\",\"content\":\"" text "\"}"

#define TOOL(rest) "{\"type\":\"function\",\"function\":{\"name\":\"f\"" rest "}}"
#define ASKS_WITH(fields) ASKS "," fields "}"
#define GETS(fields) HEAD "\"messages\":[" USER("hi") "]," fields "}"

#endif
