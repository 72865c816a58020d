/* SPDX-License-Identifier: MIT
 *
 * tales.c - what scripted upstreams say: the same few words in each dialect, streamed and whole.
 */
#include "tests/sim/scripts.h"

/* ---------------------------------------------------------------- tales */

static void
put_word(const struct tale *tale, int number, struct sink *out)
{
    sink_printf(out, "%s:%d ", tale->marker, number);
    for (size_t k = 0; k < tale->padding; k++)
        sink_byte(out, (char)('a' + (k + (size_t)number) % 26));
}

void
tale_text(const struct tale *tale, struct sink *out)
{
    for (int i = 0; i < tale->words; i++)
        put_word(tale, i, out);
}

#define CHAT_HEAD                                                                                  \
    "{\"id\":\"chatcmpl-up\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"         \
    "\"model\":\"up-chat\",\"choices\":["
#define CHAT_USAGE "\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":11,\"total_tokens\":18}"

static void
chat_stream(const struct tale *tale, struct sink *out)
{
    if (tale->words > 0 || tale->end != TALE_ERROR_EVENT)
        sink_text(out, "data: " CHAT_HEAD "{\"index\":0,\"delta\":{\"role\":\"assistant\","
                                          "\"content\":\"\"},\"finish_reason\":null}]}\n\n");
    for (int i = 0; i < tale->words; i++) {
        sink_text(out, "data: " CHAT_HEAD "{\"index\":0,\"delta\":{\"content\":\"");
        put_word(tale, i, out);
        sink_text(out, "\"},\"finish_reason\":null}]}\n\n");
    }
    if (tale->end == TALE_ERROR_EVENT) {
        sink_text(out, "data: {\"error\":{\"message\":\"the engine "
                       "broke\",\"type\":\"server_error\",\"code\":\"engine\"}}\n\n");
        return;
    }
    if (tale->tool) {
        sink_text(
            out,
            "data: " CHAT_HEAD "{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"call_"
                               "1\",\"type\":\"function\","
            "\"function\":{\"name\":\"look\",\"arguments\":\"\"}}]},\"finish_reason\":null}]}\n\n"
            "data: " CHAT_HEAD "{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{"
                               "\"arguments\":\"{\\\"at\\\":\"}}]},\"finish_reason\":null}]}\n\n");
        if (tale->end != TALE_CUT_CALL)
            sink_text(out, "data: " CHAT_HEAD
                           "{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{"
                           "\"arguments\":\"1}\"}}]},\"finish_reason\":null}]}\n\n");
    }
    sink_printf(out, "data: " CHAT_HEAD "{\"index\":0,\"delta\":{},\"finish_reason\":\"%s\"}]}\n\n",
                tale->tool ? "tool_calls" : "stop");
    sink_text(out, "data: "
                   "{\"id\":\"chatcmpl-up\",\"object\":\"chat.completion.chunk\",\"created\":"
                   "1700000000,\"model\":\"up-chat\",\"choices\":[]," CHAT_USAGE "}\n\n"
                   "data: [DONE]\n\n");
}

static void
put_event(struct sink *out, const char *type, const char *rest)
{
    sink_printf(out, "event: %s\ndata: {\"type\":\"%s\"%s}\n\n", type, type, rest);
}

static void
claude_stream(const struct tale *tale, struct sink *out)
{
    if (tale->words == 0 && tale->end == TALE_ERROR_EVENT) {
        put_event(out, "error",
                  ",\"error\":{\"type\":\"overloaded_error\",\"message\":\"the engine broke\"}");
        return;
    }
    put_event(out, "message_start",
              ",\"message\":{\"id\":\"msg_up\",\"type\":\"message\",\"role\":\"assistant\","
              "\"model\":\"up-claude\",\"content\":[],"
              "\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":7,\"output_"
              "tokens\":1}}");
    put_event(out, "content_block_start",
              ",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}");
    for (int i = 0; i < tale->words; i++) {
        sink_text(out, "event: content_block_delta\ndata: "
                       "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_"
                       "delta\",\"text\":\"");
        put_word(tale, i, out);
        sink_text(out, "\"}}\n\n");
    }
    if (tale->end == TALE_ERROR_EVENT) {
        put_event(out, "error",
                  ",\"error\":{\"type\":\"overloaded_error\",\"message\":\"the engine broke\"}");
        return;
    }
    put_event(out, "content_block_stop", ",\"index\":0");
    if (tale->tool) {
        put_event(out, "content_block_start",
                  ",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"id\":\"toolu_1\","
                  "\"name\":\"look\",\"input\":{}}");
        put_event(out, "content_block_delta",
                  ",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{"
                  "\\\"at\\\":\"}");
        if (tale->end != TALE_CUT_CALL)
            put_event(
                out, "content_block_delta",
                ",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"1}\"}");
        put_event(out, "content_block_stop", ",\"index\":1");
    }
    sink_printf(
        out,
        "event: message_delta\ndata: "
        "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"%s\",\"stop_sequence\":null},"
        "\"usage\":{\"output_tokens\":11}}\n\n",
        tale->tool ? "tool_use" : "end_turn");
    put_event(out, "message_stop", "");
}

/* ---------------------------------------------------------------- Responses */

static void
answer_event(struct sink *out, int *serial, const char *type, const char *rest)
{
    sink_printf(out, "event: %s\ndata: {\"type\":\"%s\",\"sequence_number\":%d%s}\n\n", type, type, (*serial)++, rest);
}

static void
answer_object(const struct tale *tale, const char *status, bool over, struct sink *out)
{
    sink_printf(out, "{\"id\":\"resp_up\",\"object\":\"response\",\"created_at\":1700000000,\"status\":\"%s\",\"model\":"
                     "\"up-answers\",\"error\":null,\"incomplete_details\":null,\"output\":[", status);
    if (over) {
        sink_text(out, "{\"id\":\"msg_up\",\"type\":\"message\",\"status\":\"completed\",\"role\":\"assistant\",\"content\":["
                       "{\"type\":\"output_text\",\"annotations\":[],\"text\":\"");
        tale_text(tale, out);
        sink_text(out, "\"}]}");
    }
    if (over && tale->tool && !tale->whole)
        sink_printf(out, ",{\"id\":\"fc_up\",\"type\":\"function_call\",\"status\":\"completed\",\"call_id\":\"call_1\","
                         "\"name\":\"look\",\"arguments\":\"{\\\"at\\\":%s\"}", tale->end == TALE_CUT_CALL ? "" : "1}");
    sink_printf(out, "],\"usage\":%s}",
                over ? "{\"input_tokens\":7,\"input_tokens_details\":{\"cached_tokens\":0},\"output_tokens\":11,"
                       "\"output_tokens_details\":{\"reasoning_tokens\":0},\"total_tokens\":18}"
                     : "null");
}

static void
answer_state(struct sink *out, int *serial, const struct tale *tale, const char *type, const char *status, bool over)
{
    sink_printf(out, "event: %s\ndata: {\"type\":\"%s\",\"sequence_number\":%d,\"response\":", type, type, (*serial)++);
    answer_object(tale, status, over, out);
    sink_text(out, "}\n\n");
}

static void
answer_call(const struct tale *tale, int *serial, struct sink *out)
{
    bool cut = tale->end == TALE_CUT_CALL;
    answer_event(out, serial, "response.output_item.added",
                 ",\"output_index\":1,\"item\":{\"id\":\"fc_up\",\"type\":\"function_call\",\"status\":\"in_progress\","
                 "\"call_id\":\"call_1\",\"name\":\"look\",\"arguments\":\"\"}");
    answer_event(out, serial, "response.function_call_arguments.delta",
                 ",\"item_id\":\"fc_up\",\"output_index\":1,\"delta\":\"{\\\"at\\\":\"");
    if (!cut)
        answer_event(out, serial, "response.function_call_arguments.delta",
                     ",\"item_id\":\"fc_up\",\"output_index\":1,\"delta\":\"1}\"");
    answer_event(out, serial, "response.function_call_arguments.done",
                 cut ? ",\"item_id\":\"fc_up\",\"output_index\":1,\"arguments\":\"{\\\"at\\\":\""
                     : ",\"item_id\":\"fc_up\",\"output_index\":1,\"arguments\":\"{\\\"at\\\":1}\"");
    sink_printf(out, "event: response.output_item.done\ndata: {\"type\":\"response.output_item.done\",\"sequence_number\":%d,"
                     "\"output_index\":1,\"item\":{\"id\":\"fc_up\",\"type\":\"function_call\",\"status\":\"completed\","
                     "\"call_id\":\"call_1\",\"name\":\"look\",\"arguments\":\"{\\\"at\\\":%s\"}}\n\n",
                (*serial)++, cut ? "" : "1}");
}

/* The text is said again when it is done: in the part, and in the item. */
static void
answer_text_done(const struct tale *tale, int *serial, struct sink *out)
{
    static const char *const before[] = {
        "event: response.output_text.done\ndata: {\"type\":\"response.output_text.done\",\"item_id\":\"msg_up\","
        "\"output_index\":0,\"content_index\":0,\"text\":\"",
        "event: response.content_part.done\ndata: {\"type\":\"response.content_part.done\",\"item_id\":\"msg_up\","
        "\"output_index\":0,\"content_index\":0,\"part\":{\"type\":\"output_text\",\"annotations\":[],\"text\":\"",
        "event: response.output_item.done\ndata: {\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"id\":"
        "\"msg_up\",\"type\":\"message\",\"status\":\"completed\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\","
        "\"annotations\":[],\"text\":\""};
    static const char *const after[] = {"\"", "\"}", "\"}]}"};
    for (size_t i = 0; i < countof(before); i++) {
        sink_text(out, before[i]);
        tale_text(tale, out);
        sink_printf(out, "%s,\"sequence_number\":%d}\n\n", after[i], (*serial)++);
    }
}

static void
answer_stream(const struct tale *tale, struct sink *out)
{
    int serial = 0;
    bool fails = tale->end == TALE_ERROR_EVENT;
    if (tale->words > 0 || !fails) {
        answer_state(out, &serial, tale, "response.created", "in_progress", false);
        answer_event(out, &serial, "response.output_item.added",
                     ",\"output_index\":0,\"item\":{\"id\":\"msg_up\",\"type\":\"message\",\"status\":\"in_progress\","
                     "\"role\":\"assistant\",\"content\":[]}");
        answer_event(out, &serial, "response.content_part.added",
                     ",\"item_id\":\"msg_up\",\"output_index\":0,\"content_index\":0,\"part\":{\"type\":\"output_text\","
                     "\"annotations\":[],\"text\":\"\"}");
    }
    for (int i = 0; i < tale->words; i++) {
        sink_text(out, "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"item_id\":\"msg_up\","
                       "\"output_index\":0,\"content_index\":0,\"delta\":\"");
        put_word(tale, i, out);
        sink_printf(out, "\",\"sequence_number\":%d}\n\n", serial++);
    }
    if (fails) {
        answer_event(out, &serial, "error", ",\"code\":\"server_error\",\"message\":\"the engine broke\",\"param\":null");
        return;
    }
    answer_text_done(tale, &serial, out);
    if (tale->tool)
        answer_call(tale, &serial, out);
    answer_state(out, &serial, tale, "response.completed", "completed", true);
}

/* ---------------------------------------------------------------- Gemini */

static void
gemini_chunk(struct sink *out, const struct tale *tale, int word)
{
    sink_text(out, "{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[");
    if (word >= 0 || !tale->tool) {
        sink_text(out, "{\"text\":\"");
        if (word >= 0)
            put_word(tale, word, out);
        sink_text(out, "\"}");
    } else {
        sink_text(out, "{\"functionCall\":{\"name\":\"look\",\"args\":{\"at\":1}}}");
    }
    sink_printf(out, "]},%s\"index\":0}],%s\"modelVersion\":\"up-gemini\",\"responseId\":\"resp-up\"}",
                word < 0 ? "\"finishReason\":\"STOP\"," : "",
                word < 0 ? "\"usageMetadata\":{\"promptTokenCount\":7,\"candidatesTokenCount\":11,\"totalTokenCount\":18}," : "");
}

static void
gemini_stream(const struct tale *tale, struct sink *out)
{
    for (int i = 0; i < tale->words; i++) {
        sink_text(out, "data: ");
        gemini_chunk(out, tale, i);
        sink_text(out, "\r\n\r\n");
    }
    sink_text(out, "data: ");
    if (tale->end == TALE_ERROR_EVENT)
        sink_text(out, "{\"error\":{\"code\":503,\"message\":\"the engine broke\",\"status\":\"UNAVAILABLE\"}}");
    else
        gemini_chunk(out, tale, -1);
    sink_text(out, "\r\n\r\n");
}

static void
gemini_whole(const struct tale *tale, struct sink *out)
{
    sink_text(out, "{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"");
    tale_text(tale, out);
    sink_text(out, "\"}]},\"finishReason\":\"STOP\",\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":7,"
                   "\"candidatesTokenCount\":11,\"totalTokenCount\":18},\"modelVersion\":\"up-gemini\",\"responseId\":\"resp-up\"}");
}

static void
put_whole(const struct tale *tale, struct sink *out)
{
    if (tale->dialect == SPEAKS_RESPONSES) {
        answer_object(tale, "completed", true, out);
    } else if (tale->dialect == SPEAKS_GEMINI) {
        gemini_whole(tale, out);
    } else if (tale->dialect == SPEAKS_CHAT) {
        sink_text(out, "{\"id\":\"chatcmpl-up\",\"object\":\"chat.completion\",\"created\":"
                       "1700000000,\"model\":\"up-chat\",\"choices\":[{\"index\":0,"
                       "\"message\":{\"role\":\"assistant\",\"content\":\"");
        tale_text(tale, out);
        sink_text(out, "\"},\"finish_reason\":\"stop\"}]," CHAT_USAGE "}");
    } else {
        sink_text(out, "{\"id\":\"msg_up\",\"type\":\"message\",\"role\":\"assistant\",\"model\":"
                       "\"up-claude\",\"content\":[{\"type\":\"text\",\"text\":\"");
        tale_text(tale, out);
        sink_text(out, "\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":{"
                       "\"input_tokens\":7,\"output_tokens\":11}}");
    }
}

void
tale_put(const struct tale *tale, struct sink *out)
{
    if (tale->whole)
        put_whole(tale, out);
    else if (tale->dialect == SPEAKS_CHAT)
        chat_stream(tale, out);
    else if (tale->dialect == SPEAKS_RESPONSES)
        answer_stream(tale, out);
    else if (tale->dialect == SPEAKS_GEMINI)
        gemini_stream(tale, out);
    else
        claude_stream(tale, out);
}

