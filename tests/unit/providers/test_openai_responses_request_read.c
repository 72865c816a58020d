/* SPDX-License-Identifier: MIT
 *
 * test_openai_responses_request_read.c - Responses requests read: items as turns, tools, fields,
 * and what is refused.
 */
#include "providers/openai_responses_request.h"
#include "tests/unit/providers/asking.h"

/* ---------------------------------------------------------------- a request, told in one line */

static void
tell_state(struct sink *out, const struct canon_part *part)
{
    if (slice_present(part->signature))
        sink_printf(out, "|%.*s@%s", SLICE_ARG(part->signature), canon_origin_name(part->origin));
}

static void
tell_media(struct sink *out, const char *word, const struct canon_part *part)
{
    sink_printf(out, "%s(", word);
    if (slice_present(part->url))
        sink_printf(out, "url=%.*s", SLICE_ARG(part->url));
    if (slice_present(part->data))
        sink_printf(out, "%.*s;%.*s", SLICE_ARG(part->media_type), SLICE_ARG(part->data));
    if (slice_present(part->name))
        sink_printf(out, ";name=%.*s", SLICE_ARG(part->name));
    if (slice_present(part->detail))
        sink_printf(out, ";detail=%.*s", SLICE_ARG(part->detail));
    sink_text(out, ")");
}

static void
tell_plain(struct sink *out, const struct canon_part *part)
{
    static const char *const media[] = {[PART_IMAGE] = "image",
                                        [PART_DOCUMENT] = "document",
                                        [PART_AUDIO] = "audio",
                                        [PART_VIDEO] = "video"};
    switch (part->kind) {
    case PART_TEXT:
        sink_printf(out, "'%.*s'", SLICE_ARG(part->text));
        return;
    case PART_IMAGE:
    case PART_DOCUMENT:
    case PART_AUDIO:
    case PART_VIDEO:
        tell_media(out, media[part->kind], part);
        return;
    case PART_FILE:
        sink_printf(out, "file(%.*s)", SLICE_ARG(part->id));
        return;
    case PART_CALL:
        sink_printf(out, "%s %.*s=%.*s(%.*s)", part->custom ? "custom" : "call",
                    SLICE_ARG(part->id), SLICE_ARG(part->name),
                    SLICE_ARG(part->custom ? part->text : part->arguments));
        return;
    case PART_RESULT:
        fail_msg("a result inside a result");
        return;
    case PART_THINKING:
        sink_printf(out, "thought '%.*s'", SLICE_ARG(part->text));
        tell_state(out, part);
        return;
    case PART_REDACTED:
        sink_printf(out, "redacted %.*s@%s", SLICE_ARG(part->data),
                    canon_origin_name(part->origin));
        return;
    case PART_REFUSAL:
        sink_printf(out, "refusal '%.*s'", SLICE_ARG(part->text));
        return;
    case PART_NATIVE:
        sink_printf(out, "native %.*s", SLICE_ARG(part->name));
        return;
    }
}

static void
tell_part(struct sink *out, const struct canon_part *part)
{
    if (part->kind != PART_RESULT) {
        tell_plain(out, part);
        return;
    }
    sink_printf(out, "result %.*s[", SLICE_ARG(part->id));
    for (const struct canon_part *inner = part->parts; inner; inner = inner->next) {
        sink_text(out, inner == part->parts ? "" : ", ");
        tell_plain(out, inner);
    }
    sink_text(out, "]");
}

static void
tell_messages(struct asking *asking)
{
    static const char *const roles[] = {"system", "developer", "user", "assistant", "tool"};
    for (const struct canon_message *at = asking->request.messages; at; at = at->next) {
        sink_printf(&asking->out, "%s%s{", at == asking->request.messages ? "" : " ",
                    roles[at->role]);
        for (const struct canon_part *part = at->parts; part; part = part->next) {
            sink_text(&asking->out, part == at->parts ? "" : ", ");
            tell_part(&asking->out, part);
        }
        sink_text(&asking->out, "}");
    }
    sink_byte(&asking->out, '\0');
}

static void
check_messages(const char *members, const char *expected)
{
    struct asking asking;
    char body[8192];
    (void)snprintf(body, sizeof(body), "{\"model\":\"m\",%s}", members);
    asking_read(&asking, &openai_responses_dialect, body);
    assert_int_equal(asking.error, 0);
    tell_messages(&asking);
    assert_string_equal(asking.out.ptr, expected);
    asking_close(&asking);
}

static bool
is_unsaid(const struct asking *asking, const char *name)
{
    for (int i = 0; i < asking->request.unsaid.count; i++) {
        if (strcmp(asking->request.unsaid.dropped[i], name) == 0)
            return true;
    }
    return false;
}

/* ---------------------------------------------------------------- items */

static void
reads_messages(void **state)
{
    (void)state;
    check_messages("\"input\":\"hi \\\"you\\\"\"", "user{'hi \\\"you\\\"'}");
    check_messages(
        "\"instructions\":\"be brief\",\"input\":[{\"role\":\"developer\",\"content\":\"d\"},"
        "{\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"a\"},"
        "{\"type\":\"input_text\",\"text\":\"b\"}]},"
        "{\"type\":\"message\",\"role\":\"system\",\"content\":\"s\"}]",
        "system{'be brief'} developer{'d'} user{'a', 'b'} system{'s'}");
    check_messages(
        "\"instructions\":null,\"input\":[{\"role\":\"assistant\",\"content\":\"x\"},{\"type\":"
        "\"message\","
        "\"id\":\"msg_1\",\"status\":\"completed\",\"role\":\"assistant\",\"content\":[{\"type\":"
        "\"output_text\","
        "\"text\":\"y\",\"annotations\":[]},{\"type\":\"refusal\",\"refusal\":\"no\"}]},"
        "{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"z\"}]",
        "assistant{'x', 'y', refusal 'no'} user{'q'} assistant{'z'}");
}

static void
reads_calls(void **state)
{
    (void)state;
    check_messages(
        "\"input\":[{\"role\":\"user\",\"content\":\"go\"},{\"role\":\"assistant\",\"content\":"
        "\"on it\"},"
        "{\"type\":\"function_call\",\"id\":\"fc_1\",\"call_id\":\"c1\",\"name\":\"f\","
        "\"arguments\":\"{\\\"a\\\":1}\"},"
        "{\"type\":\"custom_tool_call\",\"call_id\":\"c2\",\"name\":\"g\",\"input\":\"4+4\"},"
        "{\"type\":\"function_call_output\",\"call_id\":\"c1\",\"output\":\"one\"},"
        "{\"type\":\"custom_tool_call_output\",\"call_id\":\"c2\",\"output\":[{\"type\":\"input_"
        "text\",\"text\":\"8\"},"
        "{\"type\":\"input_image\",\"image_url\":\"data:image/png;base64,iVBO\"}]},"
        "{\"type\":\"function_call\",\"call_id\":\"c3\",\"name\":\"h\",\"arguments\":\"\"}]",
        "user{'go'} assistant{'on it', call c1=f({\"a\":1}), custom c2=g(4+4)} tool{result "
        "c1['one']} "
        "tool{result c2['8', image(image/png;iVBO)]} assistant{call c3=h()}");
}

static void
reads_media(void **state)
{
    (void)state;
    check_messages(
        "\"input\":[{\"role\":\"user\",\"content\":["
        "{\"type\":\"input_image\",\"image_url\":\"https://x/y.png\",\"detail\":\"low\"},"
        "{\"type\":\"input_image\",\"file_id\":\"file-1\"},"
        "{\"type\":\"input_file\",\"filename\":\"a.pdf\",\"file_data\":\"data:application/"
        "pdf;base64,JVBE\"},"
        "{\"type\":\"input_file\",\"filename\":\"a.csv\",\"file_data\":\"YSxi\"},"
        "{\"type\":\"input_file\",\"file_url\":\"https://x/z.pdf\"},"
        "{\"type\":\"input_file\",\"file_id\":\"file-2\"},"
        "{\"type\":\"input_file\",\"file_data\":\"data:,a%20b\"},"
        "{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"UklG\",\"format\":\"wav\"}},"
        "{\"type\":\"input_smell\"}]}]",
        "user{image(url=https://x/y.png;detail=low), file(file-1), "
        "document(application/pdf;JVBE;name=a.pdf), "
        "document(text/csv;YSxi;name=a.csv), document(url=https://x/z.pdf), file(file-2), "
        "document(text/plain;YSBi), audio(wav;UklG), native input_smell}");
}

/* P23, P25, P33, P36: thoughts keep their order and their state, and an empty one is kept if it has
 * a state. */
static void
reads_reasoning(void **state)
{
    (void)state;
    check_messages(
        "\"input\":[{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[{\"type\":\"summary_"
        "text\",\"text\":\"a\"},"
        "{\"type\":\"summary_text\",\"text\":\"b\"}],\"encrypted_content\":\"gAAA\\/x\"},"
        "{\"type\":\"reasoning\",\"summary\":[],\"encrypted_content\":\"gBBB\"},"
        "{\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\","
        "\"text\":\"t\"}]},"
        "{\"type\":\"reasoning\",\"summary\":[],\"content\":[{\"type\":\"reasoning_text\",\"text\":"
        "\"whole\"}]},"
        "{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\",\"arguments\":\"{}\"}]",
        "assistant{thought 'a\\n\\nb'|gAAA\\/x@responses, thought ''|gBBB@responses, 't', thought "
        "'whole', "
        "call c=f({})}");
    check_messages("\"input\":[{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[]},{\"role\":"
                   "\"user\",\"content\":\"x\"}]",
                   "user{'x'}");
}

/* P24: what penstock wrapped comes back as what it was, with the name of whoever made it. */
static void
unwraps_reasoning(void **state)
{
    (void)state;
    struct arena arena;
    char members[2048];
    arena_init(&arena, 1u << 20);
    struct slice thought = canon_wrap(ORIGIN_ANTHROPIC, false, SLICE_LIT("Sig+/="), &arena);
    struct slice hidden = canon_wrap(ORIGIN_ANTHROPIC, true, SLICE_LIT("Data\\/"), &arena);
    struct slice call = canon_wrap(ORIGIN_GEMINI, false, SLICE_LIT("Gem"), &arena);
    (void)snprintf(members, sizeof(members),
                   "\"input\":[{\"type\":\"reasoning\",\"summary\":[{\"type\":\"summary_text\","
                   "\"text\":\"a\"}],"
                   "\"encrypted_content\":\"%s\"},{\"type\":\"reasoning\",\"summary\":[],"
                   "\"encrypted_content\":\"%s\"},"
                   "{\"type\":\"reasoning\",\"summary\":[],\"encrypted_content\":\"%s\"},"
                   "{\"type\":\"reasoning\",\"summary\":[{\"text\":\"lost\"}],\"encrypted_"
                   "content\":\"penstock.9.x\"},"
                   "{\"role\":\"assistant\",\"content\":\"t\"}]",
                   thought.ptr, hidden.ptr, call.ptr);
    check_messages(members, "assistant{thought 'a'|Sig+/=@anthropic, redacted Data/@anthropic, "
                            "thought ''|Gem@gemini, 't'}");
    arena_fini(&arena);
}

static void
reads_native_items(void **state)
{
    (void)state;
    check_messages(
        "\"input\":[{\"role\":\"user\",\"content\":\"x\"},{\"type\":\"web_search_call\",\"id\":"
        "\"ws_1\","
        "\"status\":\"completed\",\"action\":{}},{\"role\":\"assistant\",\"content\":\"y\"},"
        "{\"type\":\"computer_call_output\",\"call_id\":\"c\",\"output\":{}}]",
        "user{'x'} assistant{native web_search_call, 'y'} user{native computer_call_output}");
}

/* ---------------------------------------------------------------- faults */

#define INPUT "\"input\":\"hi\""

static const struct fault_row {
    const char *members;
    int error;
    const char *param;
} faults[] = {
    {"\"stream\":\"true\"," INPUT, ERR_REQUEST, "stream"}, /* P54 */
    {"\"stream_options\":[]," INPUT, ERR_REQUEST, "stream_options"},
    {INPUT "," INPUT, ERR_REQUEST, "input"},
    {"\"user\":\"u\"", ERR_REQUEST, "input"},
    {"\"input\":{}", ERR_REQUEST, "input"},
    {"\"input\":[7]", ERR_REQUEST, "input[0]"},
    {"\"input\":[{\"role\":\"user\",\"content\":\"x\"},{\"content\":\"x\"}]", ERR_REQUEST,
     "input[1]"},
    {"\"input\":[{\"role\":\"king\",\"content\":\"x\"}]", ERR_REQUEST, "input[0]"},
    {"\"input\":[{\"role\":\"user\",\"content\":7}]", ERR_REQUEST, "input[0]"},
    {"\"input\":[{\"role\":\"user\",\"content\":[\"x\"]}]", ERR_REQUEST, "input[0]"},
    {"\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_text\"}]}]", ERR_REQUEST,
     "input[0]"},
    {"\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_image\"}]}]", ERR_REQUEST,
     "input[0]"},
    {"\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_image\",\"image_url\":\"data:"
     "x\"}]}]",
     ERR_REQUEST, "input[0]"},
    {"\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_file\",\"file_data\":\"data:,%"
     "zz\"}]}]",
     ERR_REQUEST, "input[0]"},
    {"\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_file\"}]}]", ERR_REQUEST,
     "input[0]"},
    {"\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\"}]}]", ERR_REQUEST,
     "input[0]"},
    {"\"input\":[{\"type\":\"function_call\",\"name\":\"f\"}]", ERR_REQUEST, "input[0]"},
    {"\"input\":[{\"type\":\"function_call_output\",\"output\":\"x\"}]", ERR_REQUEST, "input[0]"},
    {"\"input\":[{\"type\":\"item_reference\",\"id\":\"msg_1\"}]", ERR_UNSUPPORTED, "input"},
    {"\"input\":[{\"type\":\"compaction_trigger\"}]", ERR_UNSUPPORTED, "input"},
    {"\"instructions\":[]," INPUT, ERR_REQUEST, "instructions"},
    {"\"previous_response_id\":\"resp_1\"," INPUT, ERR_UNSUPPORTED, "previous_response_id"},
    {"\"conversation\":{\"id\":\"c\"}," INPUT, ERR_UNSUPPORTED, "conversation"},
    {"\"prompt\":{\"id\":\"p\"}", ERR_UNSUPPORTED, "prompt"},
    {"\"background\":true," INPUT, ERR_UNSUPPORTED, "background"},
    {"\"temperature\":\"hot\"," INPUT, ERR_REQUEST, "temperature"},
    {"\"max_output_tokens\":1.5," INPUT, ERR_REQUEST, "max_output_tokens"},
    {"\"max_output_tokens\":-1," INPUT, ERR_REQUEST, "max_output_tokens"},
    {"\"user\":7," INPUT, ERR_REQUEST, "user"},
    {"\"store\":\"no\"," INPUT, ERR_REQUEST, "store"},
    {"\"parallel_tool_calls\":1," INPUT, ERR_REQUEST, "parallel_tool_calls"},
    {"\"metadata\":[]," INPUT, ERR_REQUEST, "metadata"},
    {"\"include\":\"all\"," INPUT, ERR_REQUEST, "include"},
    {"\"reasoning\":\"high\"," INPUT, ERR_REQUEST, "reasoning"},
    {"\"text\":\"json\"," INPUT, ERR_REQUEST, "text"},
    {"\"text\":{\"format\":{\"type\":\"xml\"}}," INPUT, ERR_REQUEST, "text.format"},
    {"\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\"}}," INPUT, ERR_REQUEST,
     "text.format"},
    {"\"tools\":{}," INPUT, ERR_REQUEST, "tools"},
    {"\"tools\":[{\"name\":\"f\"}]," INPUT, ERR_REQUEST, "tools"},
    {"\"tools\":[{\"type\":\"function\"}]," INPUT, ERR_REQUEST, "tools"},
    {"\"tools\":[{\"type\":\"namespace\",\"name\":\"n\"}]," INPUT, ERR_REQUEST, "tools"},
    {"\"tools\":[{\"type\":\"namespace\",\"name\":\"n\",\"tools\":[{\"type\":\"mcp\"}]}]," INPUT,
     ERR_UNSUPPORTED, "tools"},
    {"\"tool_choice\":\"maybe\"," INPUT, ERR_REQUEST, "tool_choice"},
    {"\"tool_choice\":{\"type\":\"function\"}," INPUT, ERR_REQUEST, "tool_choice"},
    {"\"tool_choice\":{\"type\":\"web_search\"}," INPUT, ERR_UNSUPPORTED, "tool_choice"},
    {"\"tool_choice\":{\"type\":\"mcp\",\"server_label\":\"x\"}," INPUT, ERR_UNSUPPORTED,
     "tool_choice"},
    {"\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"auto\",\"tools\":[]}," INPUT,
     ERR_REQUEST, "tool_choice"},
    {"\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"auto\",\"tools\":[{\"type\":\"mcp\"}]}"
     "," INPUT,
     ERR_UNSUPPORTED, "tool_choice"},
};

static void
names_faults(void **state)
{
    (void)state;
    struct asking asking;
    char body[1024];
    for (size_t i = 0; i < countof(faults); i++) {
        (void)snprintf(body, sizeof(body), "{\"model\":\"m\",%s}", faults[i].members);
        asking_read(&asking, &openai_responses_dialect, body);
        if (asking.error != -faults[i].error || !slice_is(asking.fault.param, faults[i].param))
            print_error("%s: %d at %.*s\n", body, asking.error, SLICE_ARG(asking.fault.param));
        assert_int_equal(asking.error, -faults[i].error);
        assert_true(slice_is(asking.fault.param, faults[i].param));
        assert_true(asking.fault.message.len > 0);
        asking_close(&asking);
    }
    static const char *const models[] = {"{" INPUT "}", "{\"model\":7," INPUT "}",
                                         "{\"model\":\"\"," INPUT "}"};
    for (size_t i = 0; i < countof(models); i++) {
        asking_read(&asking, &openai_responses_dialect, models[i]);
        assert_int_equal(asking.error, -ERR_REQUEST);
        assert_true(slice_is(asking.fault.param, "model"));
        asking_close(&asking);
    }
    asking_read(&asking, &openai_responses_dialect, "[]");
    assert_int_equal(asking.error, -ERR_REQUEST);
    asking_close(&asking);
}

/* ---------------------------------------------------------------- fields */

static const char everything[] =
    "{\"model\":\"m\\u0031\",\"stream\":true,\"stream_options\":{\"include_obfuscation\":false},"
    "\"input\":\"x\","
    "\"max_output_tokens\":1000,\"temperature\":0,\"top_p\":0.5,\"top_logprobs\":2,\"user\":"
    "\"old\","
    "\"safety_identifier\":\"new\",\"prompt_cache_key\":\"k\",\"service_tier\":\"flex\",\"store\":"
    "false,"
    "\"metadata\":{\"a\":\"b\"},\"parallel_tool_calls\":false,\"previous_response_id\":null,"
    "\"conversation\":null,"
    "\"background\":false,\"truncation\":\"disabled\",\"include\":[\"reasoning.encrypted_content\"]"
    ","
    "\"reasoning\":{\"effort\":\"low\",\"summary\":\"auto\",\"context\":\"auto\"},"
    "\"text\":{\"verbosity\":\"low\",\"format\":{\"type\":\"json_schema\",\"name\":\"n\","
    "\"description\":\"d\","
    "\"schema\":{\"type\":\"object\"},\"strict\":true}},\"tool_choice\":{\"type\":\"function\","
    "\"name\":\"f\"},"
    "\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"description\":\"say\",\"parameters\":{"
    "\"type\":\"object\"},\"strict\":true},"
    "{\"type\":\"function\",\"name\":\"g\",\"parameters\":null,\"strict\":null},"
    "{\"type\":\"custom\",\"name\":\"c\",\"format\":{\"type\":\"text\"}},{\"type\":\"web_search\"}]"
    "}";

static void
reads_everything(void **state)
{
    (void)state;
    struct asking asking;
    asking_read(&asking, &openai_responses_dialect, everything);
    assert_int_equal(asking.error, 0);
    const struct canon_request *request = &asking.request;
    assert_int_equal(request->from, DIALECT_OPENAI_RESPONSES);
    assert_true(slice_is(request->model, "m1") && request->stream && request->include_usage);
    assert_true(slice_is(request->max_tokens, "1000") && slice_is(request->temperature, "0"));
    assert_true(slice_is(request->top_p, "0.5") && slice_is(request->top_logprobs, "2"));
    assert_true(slice_is(request->logprobs, "true"));
    assert_true(slice_is(request->user, "new") && slice_is(request->cache_key, "k"));
    assert_true(slice_is(request->service_tier, "flex") && slice_is(request->store, "false"));
    assert_true(slice_is(request->metadata, "{\"a\":\"b\"}"));
    assert_int_equal(request->parallel, 0);
    assert_true(slice_is(request->effort, "low"));
    assert_int_equal(request->show_thoughts, 1);
    assert_true(slice_is(request->verbosity, "low"));
    assert_int_equal(request->format, FORMAT_JSON_SCHEMA);
    assert_true(slice_is(request->format_name, "n") && slice_is(request->format_description, "d"));
    assert_true(slice_is(request->format_schema, "{\"type\":\"object\"}") &&
                slice_is(request->format_strict, "true"));
    assert_int_equal(request->choice, CHOICE_NAMED);
    assert_true(slice_is(request->choice_name, "f"));
    const struct canon_tool *tool = request->tools;
    assert_true(slice_is(tool->name, "f") && slice_is(tool->description, "say") &&
                slice_is(tool->strict, "true"));
    assert_true(slice_is(tool->schema, "{\"type\":\"object\"}") && tool->kind == TOOL_FUNCTION);
    tool = tool->next;
    assert_true(slice_is(tool->name, "g") && !slice_present(tool->schema) &&
                !slice_present(tool->strict));
    tool = tool->next;
    assert_true(tool->kind == TOOL_CUSTOM && slice_is(tool->format, "{\"type\":\"text\"}"));
    tool = tool->next;
    assert_true(tool->kind == TOOL_NATIVE && slice_is(tool->type, "web_search") && !tool->next);
    assert_int_equal(request->unsaid.count, 0);
    asking_close(&asking);
}

static void
leaves_unsaid_what_is_not_given(void **state)
{
    (void)state;
    struct asking asking;
    asking_read(&asking, &openai_responses_dialect, "{\"model\":\"m\",\"input\":\"x\"}");
    assert_int_equal(asking.error, 0);
    assert_int_equal(asking.request.parallel, -1);
    assert_int_equal(asking.request.show_thoughts, -1);
    assert_int_equal(asking.request.unsaid.count, 0);
    assert_false(slice_present(asking.request.store) || slice_present(asking.request.logprobs));
    asking_close(&asking);
}

/* The ends of cached prefixes are Anthropic's markers; it takes four. */
static void
reads_cache_markers(void **state)
{
    (void)state;
    struct asking asking;
    char body[2048];
    size_t n = (size_t)snprintf(body, sizeof(body),
                                "{\"model\":\"m\",\"input\":[{\"role\":\"user\",\"content\":[");
    for (int i = 0; i < 5; i++)
        n += (size_t)snprintf(
            body + n, sizeof(body) - n,
            "%s{\"type\":\"input_text\",\"text\":\"x\",\"prompt_cache_breakpoint\":{\"mode\":"
            "\"explicit\"}}",
            i ? "," : "");
    (void)snprintf(body + n, sizeof(body) - n, ",{\"type\":\"input_text\",\"text\":\"y\"}]}]}");
    asking_read(&asking, &openai_responses_dialect, body);
    assert_int_equal(asking.error, 0);
    int marked = 0;
    for (const struct canon_part *part = asking.request.messages->parts; part; part = part->next)
        marked += slice_is(part->cache_control, "{\"type\":\"ephemeral\"}");
    assert_int_equal(marked, 4);
    assert_true(is_unsaid(&asking, "prompt_cache_breakpoint"));
    asking_close(&asking);
}

/* The summary was called otherwise once. */
static void
reads_the_former_name_of_summaries(void **state)
{
    (void)state;
    struct asking asking;
    asking_read(
        &asking, &openai_responses_dialect,
        "{\"model\":\"m\",\"input\":\"x\",\"reasoning\":{\"generate_summary\":\"concise\"}}");
    assert_int_equal(asking.error, 0);
    assert_int_equal(asking.request.show_thoughts, 1);
    asking_close(&asking);
}

/* What has no canonical form is named, each by its own name. */
static void
notes_what_cannot_be_said(void **state)
{
    (void)state;
    static const struct {
        const char *members, *name;
    } rows[] = {
        {"\"max_tool_calls\":3," INPUT, "max_tool_calls"},
        {"\"truncation\":\"auto\"," INPUT, "truncation"},
        {"\"context_management\":[{\"type\":\"compaction\"}]," INPUT, "context_management"},
        {"\"prompt_cache_options\":{\"mode\":\"explicit\"}," INPUT, "prompt_cache_options"},
        {"\"prompt_cache_retention\":\"24h\"," INPUT, "prompt_cache_retention"},
        {"\"moderation\":{}," INPUT, "moderation"},
        {"\"include\":[\"file_search_call.results\"]," INPUT, "include"},
        {"\"reasoning\":{\"context\":\"all_turns\"}," INPUT, "reasoning.context"},
        {"\"reasoning\":{\"mode\":\"pro\"}," INPUT, "reasoning.mode"},
        {"\"flux\":1," INPUT, "unknown field"},
        {"\"input\":[{\"role\":\"assistant\",\"phase\":\"commentary\",\"content\":\"x\"}]",
         "phase"},
        {"\"input\":[{\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"x\","
         "\"annotations\":[{}]}]}]",
         "annotations"},
        {"\"input\":[{\"type\":\"reasoning\",\"id\":\"rs_1\",\"summary\":[]}]", "reasoning"},
        {"\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"defer_loading\":true}]," INPUT,
         "tools.defer_loading"},
        {"\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"output_schema\":{}}]," INPUT,
         "tools.output_schema"},
        {"\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"allowed_callers\":[]}]," INPUT,
         "tools.allowed_callers"},
        {"\"tools\":[{\"type\":\"namespace\",\"name\":\"n\",\"description\":\"d\",\"tools\":[]}]"
         "," INPUT,
         "tools.namespace.description"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct asking asking;
        char body[1024];
        (void)snprintf(body, sizeof(body), "{\"model\":\"m\",%s}", rows[i].members);
        asking_read(&asking, &openai_responses_dialect, body);
        assert_int_equal(asking.error, 0);
        if (!is_unsaid(&asking, rows[i].name))
            print_error("%s is not noted\n", rows[i].name);
        assert_true(is_unsaid(&asking, rows[i].name));
        assert_int_equal(asking.request.unsaid.count, 1);
        asking_close(&asking);
    }
}

/* ---------------------------------------------------------------- namespaces and choices */

#define SPACE                                                                                      \
    "{\"type\":\"namespace\",\"name\":\"crm\",\"tools\":[{\"type\":\"function\",\"name\":"         \
    "\"find\",\"parameters\":{}}]}"

/* P55: namespaces are flattened, wherever their functions are named; and taken apart again for the
 * client. */
static void
flattens_namespaces(void **state)
{
    (void)state;
    struct slice name_space, bare;
    struct asking asking;
    check_messages(
        "\"tools\":[" SPACE "],\"input\":["
        "{\"type\":\"function_call\",\"call_id\":\"a\",\"name\":\"find\",\"namespace\":\"crm\","
        "\"arguments\":\"{}\"},"
        "{\"type\":\"function_call\",\"call_id\":\"b\",\"name\":\"crm.find\",\"arguments\":\"{}\"},"
        "{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"x.find\",\"arguments\":\"{}\"}]",
        "assistant{call a=crm__find({}), call b=crm__find({}), call c=x.find({})}");
    asking_read(&asking, &openai_responses_dialect,
                "{\"model\":\"m\",\"input\":[{\"type\":\"additional_tools\",\"role\":\"developer\","
                "\"tools\":[" SPACE "]},"
                "{\"role\":\"user\",\"content\":\"x\"}],\"tools\":[{\"type\":\"function\",\"name\":"
                "\"plain\"}],"
                "\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"required\",\"tools\":["
                "{\"type\":\"function\",\"name\":\"plain\"},{\"type\":\"function\",\"namespace\":"
                "\"crm\",\"name\":\"find\"}]}}");
    assert_int_equal(asking.error, 0);
    const struct canon_request *request = &asking.request;
    assert_true(slice_is(request->tools->name, "plain") &&
                slice_is(request->tools->next->name, "crm__find"));
    assert_int_equal(request->choice, CHOICE_REQUIRED);
    assert_true(slice_is(request->choice_allowed->text, "plain"));
    assert_true(slice_is(request->choice_allowed->next->text, "crm__find"));
    assert_true(responses_client_tool(request, SLICE_LIT("crm__find"), &name_space, &bare));
    assert_true(slice_is(name_space, "crm") && slice_is(bare, "find"));
    assert_false(responses_client_tool(request, SLICE_LIT("plain"), &name_space, &bare));
    assert_true(slice_is(bare, "plain"));
    assert_false(responses_client_tool(NULL, SLICE_LIT("crm__find"), &name_space, &bare));
    asking_close(&asking);
}

static void
reads_choices(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        enum canon_choice choice;
        const char *name;
    } rows[] = {{"null", CHOICE_UNSET, ""},
                {"\"auto\"", CHOICE_AUTO, ""},
                {"\"none\"", CHOICE_NONE, ""},
                {"\"required\"", CHOICE_REQUIRED, ""},
                {"{\"type\":\"custom\",\"name\":\"c\"}", CHOICE_NAMED, "c"},
                {"{\"type\":\"allowed_tools\",\"mode\":\"auto\",\"tools\":[{\"type\":\"custom\","
                 "\"name\":\"c\"}]}",
                 CHOICE_AUTO, ""}};
    for (size_t i = 0; i < countof(rows); i++) {
        struct asking asking;
        char body[512];
        (void)snprintf(body, sizeof(body), "{\"model\":\"m\",\"input\":\"x\",\"tool_choice\":%s}",
                       rows[i].value);
        asking_read(&asking, &openai_responses_dialect, body);
        assert_int_equal(asking.error, 0);
        assert_int_equal(asking.request.choice, rows[i].choice);
        assert_true(slice_is(asking.request.choice_name, rows[i].name));
        asking_close(&asking);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_messages),
        cmocka_unit_test(reads_calls),
        cmocka_unit_test(reads_media),
        cmocka_unit_test(reads_reasoning),
        cmocka_unit_test(unwraps_reasoning),
        cmocka_unit_test(reads_native_items),
        cmocka_unit_test(names_faults),
        cmocka_unit_test(reads_everything),
        cmocka_unit_test(reads_the_former_name_of_summaries),
        cmocka_unit_test(reads_cache_markers),
        cmocka_unit_test(leaves_unsaid_what_is_not_given),
        cmocka_unit_test(notes_what_cannot_be_said),
        cmocka_unit_test(flattens_namespaces),
        cmocka_unit_test(reads_choices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
