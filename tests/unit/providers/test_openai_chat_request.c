/* SPDX-License-Identifier: MIT
 *
 * test_openai_chat_request.c - Chat requests read, refused, passed, and written again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"
#include "providers/openai_chat.h"

#include <stdio.h>
#include <stdlib.h>

static struct arena arena;

static struct canon_request
request_of(const char *body)
{
    struct canon_request request = {.body = slice_from(body), .arena = &arena};
    assert_int_equal(json_parse(request.body, 64, 100000, &arena, &request.root), 0);
    return request;
}

static int
read_all(struct canon_request *request, struct canon_fault *fault)
{
    *fault = (struct canon_fault){0};
    int error = chat_outline(request, fault);
    return error ? error : chat_read_request(request, fault);
}

#define MESSAGES "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

static void
test_faults(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        int error;
        const char *param;
    } rows[] = {
        {"[]", ERR_REQUEST, NULL},
        {"{\"messages\":[]}", ERR_REQUEST, "model"},
        {"{\"model\":\"\"," MESSAGES "}", ERR_REQUEST, "model"},
        {"{\"model\":7," MESSAGES "}", ERR_REQUEST, "model"},
        {"{\"model\":\"m\"}", ERR_REQUEST, "messages"},
        {"{\"model\":\"m\",\"messages\":[]}", ERR_REQUEST, "messages"},
        {"{\"model\":\"m\",\"messages\":[1]}", ERR_REQUEST, "messages"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"king\"}]}", ERR_REQUEST, "messages"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":7}]}", ERR_REQUEST,
         "messages"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\"}]}]}", ERR_REQUEST, "messages"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"AAAA\"}}]}]}",
         ERR_REQUEST, "messages"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[7]}]}", ERR_REQUEST,
         "messages"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\","
         "\"image_url\":{}}]}]}",
         ERR_REQUEST, "messages"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\","
         "\"image_url\":{\"url\":"
         "\"data:image/png;base64\"}}]}]}",
         ERR_REQUEST, "messages"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\","
         "\"image_url\":{\"url\":"
         "\"data:,%zz\"}}]}]}",
         ERR_REQUEST, "messages"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"file\","
         "\"file\":{}}]}]}",
         ERR_REQUEST, "messages"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]}", ERR_REQUEST,
         "messages"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"a\"}]}]"
         "}",
         ERR_REQUEST, "messages"},
        {"{\"model\":\"m\",\"stream\":1," MESSAGES "}", ERR_REQUEST, "stream"},
        {"{\"model\":\"m\",\"stream_options\":[]," MESSAGES "}", ERR_REQUEST, "stream_options"},
        {"{\"model\":\"m\",\"stream_options\":{\"include_usage\":\"yes\"}," MESSAGES "}",
         ERR_REQUEST, "stream_options.include_usage"},
        {"{\"model\":\"m\"," MESSAGES "," MESSAGES "}", ERR_REQUEST, "messages"},
        {"{\"model\":\"m\",\"temperature\":\"hot\"," MESSAGES "}", ERR_REQUEST, "temperature"},
        {"{\"model\":\"m\",\"max_tokens\":1.5," MESSAGES "}", ERR_REQUEST, "max_tokens"},
        {"{\"model\":\"m\",\"max_completion_tokens\":-1," MESSAGES "}", ERR_REQUEST,
         "max_completion_tokens"},
        {"{\"model\":\"m\",\"stop\":[1]," MESSAGES "}", ERR_REQUEST, "stop"},
        {"{\"model\":\"m\",\"tools\":{}," MESSAGES "}", ERR_REQUEST, "tools"},
        {"{\"model\":\"m\",\"tools\":[{\"type\":\"function\"}]," MESSAGES "}", ERR_REQUEST,
         "tools"},
        {"{\"model\":\"m\",\"tool_choice\":\"maybe\"," MESSAGES "}", ERR_REQUEST, "tool_choice"},
        {"{\"model\":\"m\",\"tool_choice\":{\"type\":\"function\"}," MESSAGES "}", ERR_REQUEST,
         "tool_choice"},
        {"{\"model\":\"m\",\"response_format\":{\"type\":\"xml\"}," MESSAGES "}", ERR_REQUEST,
         "response_format"},
        {"{\"model\":\"m\",\"modalities\":[\"text\",\"audio\"]," MESSAGES "}", ERR_UNSUPPORTED,
         "modalities"},
        {"{\"model\":\"m\",\"web_search_options\":{}," MESSAGES "}", ERR_UNSUPPORTED,
         "web_search_options"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct canon_request request = request_of(rows[i].body);
        struct canon_fault fault;
        assert_int_equal(read_all(&request, &fault), -rows[i].error);
        assert_true(slice_present(fault.message));
        assert_true(rows[i].param ? slice_is(fault.param, rows[i].param)
                                  : !slice_present(fault.param));
    }
}

static void
test_outline(void **state)
{
    (void)state;
    struct canon_fault fault = {0};
    struct canon_request request = request_of("{\"model\":\"a\\u0062\",\"stream\":true," MESSAGES
                                              ",\"stream_options\":{\"include_usage\":true}}");
    assert_int_equal(chat_outline(&request, &fault), 0);
    assert_true(slice_is(request.model, "ab"));
    assert_true(request.stream && request.include_usage);
    request = request_of("{\"model\":\"a\",\"stream\":null," MESSAGES ",\"stream_options\":null}");
    assert_int_equal(chat_outline(&request, &fault), 0);
    assert_false(request.stream || request.include_usage);
}

static void
test_everything_read(void **state)
{
    (void)state;
    struct canon_fault fault;
    struct canon_request request = request_of(
        "{\"model\":\"m\",\"max_tokens\":5,\"max_completion_tokens\":7,\"temperature\":0,\"top_p\":"
        "null,\"n\":2,\"seed\":3,"
        "\"stop\":\"x\\n\",\"parallel_tool_calls\":false,\"reasoning_effort\":\"low\",\"user\":"
        "\"u\",\"service_tier\":\"flex\","
        "\"metadata\":{\"a\":\"b\"},\"logit_bias\":{\"1\":2},\"tools\":[{\"type\":\"function\","
        "\"function\":{\"name\":\"f\","
        "\"description\":\"d\",\"parameters\":{\"type\":\"object\"},\"strict\":false}},{\"type\":"
        "\"custom\",\"custom\":{\"name\":\"g\"}},"
        "{\"type\":\"web_search\"}],\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":"
        "\"f\"}},\"response_format\":{\"type\":"
        "\"json_schema\",\"json_schema\":{\"name\":\"n\",\"schema\":{},\"strict\":true}}," MESSAGES
        "}");
    assert_int_equal(read_all(&request, &fault), 0);
    assert_true(slice_is(request.max_tokens, "7"));
    assert_true(slice_is(request.temperature, "0"));
    assert_false(slice_present(request.top_p));
    assert_true(slice_is(request.n, "2") && slice_is(request.seed, "3"));
    assert_true(slice_is(request.stop->text, "x\\n") && !request.stop->next);
    assert_int_equal(request.parallel, 0);
    assert_true(slice_is(request.effort, "low") && slice_is(request.user, "u"));
    assert_true(slice_is(request.service_tier, "flex") &&
                slice_is(request.metadata, "{\"a\":\"b\"}"));
    struct canon_tool *tool = request.tools;
    assert_int_equal(tool->kind, TOOL_FUNCTION);
    assert_true(slice_is(tool->schema, "{\"type\":\"object\"}") && slice_is(tool->strict, "false"));
    assert_int_equal(tool->next->kind, TOOL_CUSTOM);
    assert_int_equal(tool->next->next->kind, TOOL_NATIVE);
    assert_true(slice_is(tool->next->next->type, "web_search"));
    assert_int_equal(request.choice, CHOICE_NAMED);
    assert_true(slice_is(request.choice_name, "f"));
    assert_int_equal(request.format, FORMAT_JSON_SCHEMA);
    assert_true(slice_is(request.format_schema, "{}") && slice_is(request.format_strict, "true"));
}

static void
test_choices(void **state)
{
    (void)state;
    struct canon_fault fault;
#define TOOLS                                                                                      \
    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"a\"}},{\"type\":\"function\","     \
    "\"function\":{\"name\":\"b\"}}],"
    struct canon_request request = request_of(
        "{\"model\":\"m\"," TOOLS MESSAGES ",\"tool_choice\":{\"type\":\"allowed_tools\","
        "\"allowed_tools\":{\"mode\":\"required\",\"tools\":[{\"type\":\"function\","
        "\"function\":{\"name\":\"b\"}}]}}}");
    assert_int_equal(read_all(&request, &fault), 0);
    assert_int_equal(request.choice, CHOICE_REQUIRED);
    assert_true(slice_is(request.choice_allowed->text, "b") && !request.choice_allowed->next);
    request = request_of("{\"model\":\"m\"," TOOLS MESSAGES
                         ",\"tool_choice\":{\"type\":\"allowed_tools\","
                         "\"allowed_tools\":{\"mode\":\"auto\",\"tools\":[]}}}");
    assert_int_equal(read_all(&request, &fault), 0);
    assert_int_equal(request.choice, CHOICE_NONE);
    request = request_of("{\"model\":\"m\"," TOOLS MESSAGES ",\"tool_choice\":\"any\"}");
    assert_int_equal(read_all(&request, &fault), 0);
    assert_int_equal(request.choice, CHOICE_REQUIRED);
    request = request_of("{\"model\":\"m\",\"functions\":[{\"name\":\"a\"}],\"function_call\":{"
                         "\"name\":\"a\"}," MESSAGES "}");
    assert_int_equal(read_all(&request, &fault), 0);
    assert_int_equal(request.choice, CHOICE_NAMED);
    assert_true(slice_is(request.tools->name, "a"));
    assert_int_equal(request.parallel, -1);
}

static void
test_messages(void **state)
{
    (void)state;
    struct canon_fault fault;
    struct canon_request request =
        request_of("{\"model\":\"m\",\"messages\":[{\"role\":\"developer\",\"content\":\"d\"},{"
                   "\"role\":\"user\",\"name\":\"ann\",\"content\":["
                   "{\"type\":\"text\",\"text\":\"\"},{\"type\":\"image_url\",\"image_url\":{"
                   "\"url\":\"data:image/png;base64,AA==\",\"detail\":\"low\"}},"
                   "{\"type\":\"image_url\",\"image_url\":{\"url\":\"https:\\/\\/h\\/"
                   "x\"}},{\"type\":\"file\",\"file\":{\"filename\":\"f.txt\","
                   "\"file_data\":\"data:;charset=utf-8,a%20b\"}},{\"type\":\"file\",\"file\":{"
                   "\"file_id\":\"file-1\"}},{\"type\":\"input_audio\","
                   "\"input_audio\":{\"data\":\"UklG\",\"format\":\"wav\"}},{\"type\":\"hologram\","
                   "\"x\":1}]},{\"role\":\"assistant\",\"content\":null,"
                   "\"reasoning_content\":\"why\",\"reasoning_details\":[{\"type\":\"reasoning."
                   "text\",\"text\":\"\",\"signature\":\"S\"},{\"type\":"
                   "\"reasoning.encrypted\",\"data\":\"OP\"}],\"refusal\":\"no\",\"tool_calls\":[{"
                   "\"id\":\"c1\",\"type\":\"function\",\"function\":"
                   "{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}},{\"id\":\"c2\",\"type\":"
                   "\"custom\",\"custom\":{\"name\":\"g\",\"input\":\"x\"}}]},"
                   "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":[{\"type\":\"text\","
                   "\"text\":\"r\"}]},{\"role\":\"assistant\","
                   "\"function_call\":{\"name\":\"h\",\"arguments\":\"\"}},{\"role\":\"function\","
                   "\"name\":\"h\",\"content\":\"hr\"},{\"role\":"
                   "\"assistant\",\"reasoning\":\"plain\",\"content\":\"a\"}]}");
    assert_int_equal(read_all(&request, &fault), 0);
    struct canon_message *at = request.messages;
    assert_int_equal(at->role, ROLE_DEVELOPER);
    at = at->next;
    assert_true(slice_is(at->name, "ann"));
    struct canon_part *part = at->parts;
    assert_true(part->kind == PART_TEXT && slice_present(part->text) && part->text.len == 0);
    part = part->next;
    assert_true(part->kind == PART_IMAGE && slice_is(part->media_type, "image/png") &&
                slice_is(part->data, "AA=="));
    assert_true(slice_is(part->detail, "low") && !slice_present(part->url));
    part = part->next;
    assert_true(part->kind == PART_IMAGE && slice_is(part->url, "https://h/x"));
    part = part->next;
    assert_true(part->kind == PART_DOCUMENT && slice_is(part->media_type, "text/plain") &&
                slice_is(part->data, "YSBi"));
    part = part->next;
    assert_true(part->kind == PART_FILE && slice_is(part->id, "file-1"));
    part = part->next;
    assert_true(part->kind == PART_AUDIO && slice_is(part->media_type, "wav") &&
                slice_is(part->data, "UklG"));
    part = part->next;
    assert_true(part->kind == PART_NATIVE && slice_is(part->name, "hologram") && !part->next);
    part = (at = at->next)->parts;
    assert_true(part->kind == PART_THINKING && slice_is(part->text, "why") &&
                slice_is(part->signature, "S"));
    part = part->next;
    assert_true(part->kind == PART_REDACTED && slice_is(part->data, "OP"));
    part = part->next;
    assert_true(part->kind == PART_REFUSAL && slice_is(part->text, "no"));
    part = part->next;
    assert_true(part->kind == PART_CALL && slice_is(part->arguments, "{\"a\":1}") && !part->custom);
    part = part->next;
    assert_true(part->custom && slice_is(part->text, "x") && slice_is(part->id, "c2"));
    part = (at = at->next)->parts;
    assert_true(at->role == ROLE_TOOL && part->kind == PART_RESULT && slice_is(part->id, "c1") &&
                !part->next);
    assert_true(slice_is(part->parts->text, "r"));
    struct slice made = (at = at->next)->parts->id;
    assert_true(slice_eq((at = at->next)->parts->id, made));
    part = (at = at->next)->parts;
    assert_true(part->kind == PART_THINKING && slice_is(part->text, "plain") &&
                !slice_present(part->signature));
    assert_true(part->next->kind == PART_TEXT && !at->next);
}

/* A Chat request read and written for a Chat upstream says the same. */
static void
test_written_again(void **state)
{
    (void)state;
    static const char messages[] =
        "[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":[{\"type\":"
        "\"text\",\"text\":\"a\"},{\"type\":\"image_url\","
        "\"image_url\":{\"url\":\"data:image/"
        "png;base64,AA==\",\"detail\":\"low\"}},{\"type\":\"input_audio\",\"input_audio\":{"
        "\"data\":\"U\","
        "\"format\":\"wav\"}}]},{\"role\":\"assistant\",\"content\":\"t\",\"tool_calls\":[{\"id\":"
        "\"c1\",\"type\":\"function\",\"function\":{"
        "\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}},{\"id\":\"c2\",\"type\":\"function\","
        "\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}"
        "]},{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":\"2\"},{\"role\":\"tool\","
        "\"tool_call_id\":\"c1\",\"content\":\"1\"},{\"role\":"
        "\"user\",\"content\":\"b\\u00e9\"}]";
    char body[4096], wanted[4096];
    snprintf(body, sizeof(body),
             "{\"model\":\"m\",\"messages\":%s,\"max_completion_tokens\":9,\"n\":1,\"logit_bias\":{"
             "\"5\":1}}",
             messages);
    snprintf(wanted, sizeof(wanted),
             "{\"model\":\"u\\\"p\",\"messages\":%s,\"stream\":true,\"max_completion_tokens\":9,"
             "\"n\":1,\"logit_bias\":{\"5\":1}}",
             messages);
    struct canon_request request = request_of(body);
    struct canon_fault fault;
    struct canon_report report = {0};
    struct dialect_upstream upstream = {.model = SLICE_LIT("u\"p"), .max_completion_tokens = true};
    struct sink out;
    sink_init(&out, 1u << 20);
    assert_int_equal(read_all(&request, &fault), 0);
    assert_int_equal(chat_write_request(&request, &upstream, &out, &report, &fault), 0);
    assert_true(slice_is(sink_slice(&out), wanted));
    assert_int_equal(report.count, 0);
    sink_fini(&out);
}

static void
test_too_many_calls(void **state)
{
    (void)state;
    struct sink body, out;
    sink_init(&body, 8u << 20);
    sink_text(&body, "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"tool_calls\":[");
    for (int i = 0; i < CHAT_CALLS_MAX + 1; i++)
        sink_printf(&body, "%s{\"id\":\"c%d\",\"function\":{\"name\":\"f\"}}", i ? "," : "", i);
    sink_text(&body, "]}]}");
    struct canon_request request = {.body = sink_slice(&body), .arena = &arena};
    struct canon_fault fault = {0};
    struct canon_report report = {0};
    struct dialect_upstream upstream = {.model = SLICE_LIT("u")};
    assert_int_equal(json_parse(request.body, 64, 1000000, &arena, &request.root), 0);
    assert_int_equal(read_all(&request, &fault), 0);
    sink_init(&out, 8u << 20);
    assert_int_equal(chat_write_request(&request, &upstream, &out, &report, &fault), -ERR_REQUEST);
    assert_true(slice_is(fault.param, "messages"));
    sink_fini(&out);
    sink_fini(&body);
}

static void
test_ceiling(void **state)
{
    (void)state;
    struct canon_request request = request_of("{\"model\":\"m\"," MESSAGES "}");
    struct canon_fault fault;
    struct canon_report report = {0};
    struct dialect_upstream upstream = {.model = SLICE_LIT("a rather long name of a model")};
    struct sink out;
    sink_init(&out, 40);
    assert_int_equal(read_all(&request, &fault), 0);
    assert_int_equal(chat_write_request(&request, &upstream, &out, &report, &fault), -ERR_LIMIT);
    sink_reset(&out, 0);
    assert_int_equal(chat_pass_request(&request, &upstream, &out), -ERR_LIMIT);
    sink_fini(&out);
}

static void
test_target_and_fields(void **state)
{
    (void)state;
    struct dialect_upstream upstream = {.base_path = SLICE_LIT("/v1"),
                                        .api_key = SLICE_LIT("sk-1")};
    struct dialect_field fields[4];
    struct sink out;
    sink_init(&out, 100);
    openai_chat_dialect.put_target(&out, &upstream, true);
    assert_true(slice_is(sink_slice(&out), "/v1/chat/completions"));
    assert_int_equal(openai_chat_dialect.fields(&upstream, &arena, fields), 1);
    assert_true(slice_is(fields[0].value, "Bearer sk-1"));
    upstream.api_key = SLICE_NONE;
    assert_int_equal(openai_chat_dialect.fields(&upstream, &arena, fields), 0);
    sink_fini(&out);
}

static int
setup(void **state)
{
    (void)state;
    arena_init(&arena, 64u << 20);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_outline),
        cmocka_unit_test(test_everything_read),
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_written_again),
        cmocka_unit_test(test_too_many_calls),
        cmocka_unit_test(test_ceiling),
        cmocka_unit_test(test_target_and_fields),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
