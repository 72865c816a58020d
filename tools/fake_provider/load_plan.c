/* SPDX-License-Identifier: MIT
 *
 * load_plan.c - see load_plan.h.
 */
#include "tools/fake_provider/load_plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define CHAT_CHUNK                                                                                 \
    "data: "                                                                                       \
    "{\"id\":\"chatcmpl-load\",\"object\":\"chat.completion.chunk\",\"created\":1754000000,"       \
    "\"model\":\"%s\","                                                                            \
    "\"system_fingerprint\":\"fp_load\",\"choices\":["
#define CHAT_USAGE "\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":%u,\"total_tokens\":%u}"
#define RESPONSE                                                                                   \
    "\"response\":{\"id\":\"resp_load\",\"object\":\"response\",\"created_at\":1754000000,"        \
    "\"status\":\"%s\",\"error\":null,"                                                            \
    "\"incomplete_details\":null,\"instructions\":null,\"model\":\"%s\",\"output\":["
#define RESPONSE_END                                                                               \
    "],\"parallel_tool_calls\":true,\"previous_response_id\":null,\"temperature\":1,\"tool_"       \
    "choice\":\"auto\",\"tools\":[],"                                                              \
    "\"top_p\":1,\"truncation\":\"disabled\",\"usage\":%s,\"metadata\":{}}"
#define RESPONSES_PLACE "\"item_id\":\"msg_load\",\"output_index\":0,\"content_index\":0"
#define PART_BEFORE "{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":\""
#define ITEM_BEFORE                                                                                \
    "{\"id\":\"msg_load\",\"type\":\"message\",\"status\":\"completed\",\"content\":[" PART_BEFORE
#define ITEM_AFTER "\"}],\"role\":\"assistant\"}"
#define ANTHROPIC_USAGE                                                                            \
    "\"usage\":{\"input_tokens\":10,\"cache_creation_input_tokens\":0,\"cache_read_input_"         \
    "tokens\":0,\"output_tokens\":%u}"
#define GEMINI_END                                                                                 \
    "\"usageMetadata\":{\"promptTokenCount\":10,\"candidatesTokenCount\":%u,\"totalTokenCount\":%" \
    "u},\"modelVersion\":\"%s\","                                                                  \
    "\"responseId\":\"load\"}"

static struct slice printf_like(1, 2) made(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text;
    int len = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (len < 0)
        return SLICE_NONE;
    return slice_of(text, (size_t)len);
}

static void
make_chat(struct plan *plan)
{
    const char *model = plan->model, *none = plan->usage ? ",\"usage\":null" : "";
    unsigned n = plan->events;
    plan->begin =
        made(CHAT_CHUNK
             "{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null},"
             "\"logprobs\":null,\"finish_reason\":null}]%s}\n\n",
             model, none);
    plan->before = made(CHAT_CHUNK "{\"index\":0,\"delta\":{\"content\":\"", model);
    plan->after = made("\"},\"logprobs\":null,\"finish_reason\":null}]%s}\n\n", none);
    struct slice finish =
        made(CHAT_CHUNK
             "{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}]%s}\n\n",
             model, none);
    struct slice usage =
        plan->usage ? made(CHAT_CHUNK "]," CHAT_USAGE "}\n\n", model, n, n + 10) : made("%s", "");
    plan->end = made("%.*s%.*sdata: [DONE]\n\n", SLICE_ARG(finish), SLICE_ARG(usage));
    free((void *)(uintptr_t)finish.ptr);
    free((void *)(uintptr_t)usage.ptr);
    plan->error = made("data: {\"error\":{\"message\":\"load_provider was asked to "
                       "fail\",\"type\":\"server_error\","
                       "\"param\":null,\"code\":null}}\n\n");
    plan->whole_before = made("{\"id\":\"chatcmpl-load\",\"object\":\"chat.completion\","
                              "\"created\":1754000000,\"model\":\"%s\","
                              "\"system_fingerprint\":\"fp_load\",\"choices\":[{\"index\":0,"
                              "\"message\":{\"role\":\"assistant\","
                              "\"content\":\"",
                              model);
    plan->whole_after =
        made("\",\"refusal\":null},\"logprobs\":null,\"finish_reason\":%s}]," CHAT_USAGE "}",
             plan->fault == FAULT_NOEND ? "null" : "\"stop\"", n, n + 10);
}

static void
make_anthropic(struct plan *plan)
{
    const char *model = plan->model;
    plan->begin = made(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_load\","
        "\"type\":\"message\",\"role\":\"assistant\",\"model\":\"%s\",\"content\":[],\"stop_"
        "reason\":null,"
        "\"stop_sequence\":null," ANTHROPIC_USAGE "}}\n\n"
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"
        "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
        "event: ping\ndata: {\"type\":\"ping\"}\n\n",
        model, 1u);
    plan->before =
        made("event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
             "\"delta\":{\"type\":\"text_delta\",\"text\":\"");
    plan->after = made("\"}}\n\n");
    plan->end =
        made("event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
             "event: message_delta\ndata: "
             "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\","
             "\"stop_sequence\":null}," ANTHROPIC_USAGE "}\n\n"
             "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
             plan->events);
    plan->error = made("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\","
                       "\"message\":\"load_provider was asked to fail\"}}\n\n");
    plan->whole_before =
        made("{\"id\":\"msg_load\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"%s\","
             "\"content\":[{\"type\":\"text\",\"text\":\"",
             model);
    plan->whole_after = made("\"}],\"stop_reason\":%s,\"stop_sequence\":null," ANTHROPIC_USAGE "}",
                             plan->fault == FAULT_NOEND ? "null" : "\"end_turn\"", plan->events);
}

static struct slice
responses_usage(const struct plan *plan)
{
    return made(
        "{\"input_tokens\":10,\"input_tokens_details\":{\"cached_tokens\":0},\"output_tokens\":%u,"
        "\"output_tokens_details\":{\"reasoning_tokens\":0},\"total_tokens\":%u}",
        plan->events, plan->events + 10);
}

static void
make_responses(struct plan *plan)
{
    const char *model = plan->model;
    plan->begin =
        made("event: response.created\ndata: {\"type\":\"response.created\"," RESPONSE RESPONSE_END
             ",\"sequence_number\":0}\n\n"
             "event: response.in_progress\ndata: {\"type\":\"response.in_progress\"," RESPONSE
                 RESPONSE_END ",\"sequence_number\":1}\n\n"
             "event: response.output_item.added\ndata: "
             "{\"type\":\"response.output_item.added\",\"output_index\":0,"
             "\"item\":{\"id\":\"msg_load\",\"type\":\"message\",\"status\":\"in_progress\","
             "\"content\":[],"
             "\"role\":\"assistant\"},\"sequence_number\":2}\n\n"
             "event: response.content_part.added\ndata: "
             "{\"type\":\"response.content_part.added\"," RESPONSES_PLACE ",\"part\":" PART_BEFORE
             "\"},\"sequence_number\":3}\n\n",
             "in_progress", model, "null", "in_progress", model, "null");
    plan->before =
        made("event: response.output_text.delta\ndata: "
             "{\"type\":\"response.output_text.delta\"," RESPONSES_PLACE ",\"delta\":\"");
    /* The number of the event follows. */
    plan->after = made("\",\"logprobs\":[],\"sequence_number\":");
    plan->error = made(
        "event: error\ndata: {\"type\":\"error\",\"sequence_number\":%u,\"code\":\"server_error\","
        "\"message\":\"load_provider was asked to fail\",\"param\":null}\n\n",
        plan_middle(plan) + 4);
    struct slice usage = responses_usage(plan);
    plan->whole_before = made(
        "{\"id\":\"resp_load\",\"object\":\"response\",\"created_at\":1754000000,\"status\":\"%s\","
        "\"error\":null,\"incomplete_details\":null,\"instructions\":null,\"model\":\"%s\","
        "\"output\":[" ITEM_BEFORE,
        plan->fault == FAULT_NOEND ? "in_progress" : "completed", model);
    plan->whole_after = made(ITEM_AFTER RESPONSE_END, usage.ptr ? usage.ptr : "");
    free((void *)(uintptr_t)usage.ptr);
}

char *
plan_responses_end(const struct plan *plan, struct slice text, unsigned sequence, size_t *len)
{
    struct slice usage = responses_usage(plan);
    int n = (int)text.len;
    struct slice done =
        made("event: response.output_text.done\ndata: "
             "{\"type\":\"response.output_text.done\"," RESPONSES_PLACE
             ",\"text\":\"%.*s\",\"logprobs\":[],\"sequence_number\":%u}\n\n"
             "event: response.content_part.done\ndata: "
             "{\"type\":\"response.content_part.done\"," RESPONSES_PLACE ",\"part\":" PART_BEFORE
             "%.*s\"},\"sequence_number\":%u}\n\n"
             "event: response.output_item.done\ndata: "
             "{\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":" ITEM_BEFORE
             "%.*s" ITEM_AFTER ",\"sequence_number\":%u}\n\n",
             n, text.ptr, sequence, n, text.ptr, sequence + 1, n, text.ptr, sequence + 2);
    struct slice end = made(
        "event: response.completed\ndata: {\"type\":\"response.completed\"," RESPONSE ITEM_BEFORE
        "%.*s" ITEM_AFTER RESPONSE_END ",\"sequence_number\":%u}\n\n",
        "completed", plan->model, n, text.ptr, usage.ptr ? usage.ptr : "", sequence + 3);
    struct slice all =
        made("%.*s%.*s%.*s", SLICE_ARG(done), plan->fault == FAULT_NOEND ? 0 : (int)end.len,
             end.ptr, plan->fault == FAULT_TWOENDS ? (int)end.len : 0, end.ptr);
    free((void *)(uintptr_t)usage.ptr);
    free((void *)(uintptr_t)done.ptr);
    free((void *)(uintptr_t)end.ptr);
    *len = all.len;
    return (char *)(uintptr_t)all.ptr;
}

static void
make_gemini(struct plan *plan)
{
    const char *model = plan->model;
    unsigned n = plan->events;
    plan->begin = made("%s", "");
    plan->before = made("data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"");
    plan->after =
        made("\"}],\"role\":\"model\"},\"index\":0}]," GEMINI_END "\r\n\r\n", n, n + 10, model);
    plan->end =
        made("data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}],\"role\":\"model\"},"
             "\"finishReason\":\"STOP\",\"index\":0}]," GEMINI_END "\r\n\r\n",
             n, n + 10, model);
    plan->error =
        made("data: {\"error\":{\"code\":500,\"message\":\"load_provider was asked to fail\","
             "\"status\":\"INTERNAL\"}}\r\n\r\n");
    plan->whole_before = made("{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"");
    plan->whole_after =
        made("\"}],\"role\":\"model\"}%s,\"index\":0}]," GEMINI_END,
             plan->fault == FAULT_NOEND ? "" : ",\"finishReason\":\"STOP\"", n, n + 10, model);
}

struct slice
plan_error_body(const struct plan *plan, char *memory, size_t room)
{
    static const char *const shapes[] = {
        [PLAN_CHAT] = "{\"error\":{\"message\":\"asked to fail with "
                      "%d\",\"type\":\"server_error\",\"param\":null,\"code\":null}}",
        [PLAN_ANTHROPIC] = "{\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":"
                           "\"asked to fail with %d\"}}",
        [PLAN_RESPONSES] = "{\"error\":{\"message\":\"asked to fail with "
                           "%d\",\"type\":\"server_error\",\"param\":null,\"code\":null}}",
        [PLAN_GEMINI] = "{\"error\":{\"code\":500,\"message\":\"asked to fail with "
                        "%d\",\"status\":\"INTERNAL\"}}",
    };
    int len = snprintf(memory, room, shapes[plan->dialect], plan->status);
    return slice_of(memory, len > 0 && (size_t)len < room ? (size_t)len : 0);
}

static void
read_fault(struct plan *plan, const char *word)
{
    static const struct {
        const char *word;
        enum plan_fault fault;
    } faults[] = {{"lose", FAULT_LOSE},   {"double", FAULT_DOUBLE}, {"swap", FAULT_SWAP},
                  {"cross", FAULT_CROSS}, {"noend", FAULT_NOEND},   {"twoends", FAULT_TWOENDS},
                  {"cut", FAULT_CUT},     {"reset", FAULT_RESET},   {"stall", FAULT_STALL},
                  {"error", FAULT_ERROR}};
    size_t len = strcspn(word, "-");
    for (size_t i = 0; i < countof(faults); i++) {
        if (len == strlen(faults[i].word) && memcmp(word, faults[i].word, len) == 0)
            plan->fault = faults[i].fault;
    }
    int status = atoi(word);
    if (status >= 400 && status <= 599) {
        plan->fault = FAULT_STATUS;
        plan->status = status;
    }
}

static unsigned
bounded(const char *digits, unsigned max)
{
    unsigned long long n = strtoull(digits, NULL, 10);
    return n > max ? max : (unsigned)n;
}

/* One word of the model's name behind a hyphen: a letter and what it asks for. */
static void
read_word(struct plan *plan, const char *word)
{
    switch (word[0]) {
    case 'e':
        plan->events = bounded(word + 1, PLAN_EVENTS_MAX);
        break;
    case 'i':
        plan->interval_ns = bounded(word + 1, 86400000) * 1000000ull;
        break;
    case 'z':
        plan->text_bytes = bounded(word + 1, PLAN_TEXT_MAX);
        break;
    case 'b':
        plan->burst = bounded(word + 1, PLAN_EVENTS_MAX);
        break;
    case 'w':
        plan->wait_ns = bounded(word + 1, 86400000) * 1000000ull;
        break;
    case 'x':
        read_fault(plan, word + 1);
        break;
    case 's':
        plan->apart = true;
        break;
    case 'k':
        plan->close = true;
        break;
    default:
        break;
    }
}

static bool
is_whole(const struct plan *plan)
{
    return plan->begin.ptr && plan->before.ptr && plan->after.ptr && plan->error.ptr &&
           plan->whole_before.ptr && plan->whole_after.ptr && plan->stream_head.ptr &&
           (plan->end.ptr || plan->dialect == PLAN_RESPONSES);
}

struct plan *
plan_make(struct slice model, enum plan_dialect dialect, bool usage)
{
    struct plan *plan = calloc(1, sizeof(*plan));
    if (!plan)
        return NULL;
    list_init(&plan->link);
    plan->dialect = dialect;
    plan->usage = usage;
    plan->events = plan->burst = 1;
    plan->text_bytes = 64;
    if (model.len >= sizeof(plan->model))
        model.len = sizeof(plan->model) - 1;
    for (size_t i = 0; i < model.len; i++) {
        char byte = model.ptr[i];
        plan->model[i] = byte == '"' || byte == '\\' || (unsigned char)byte < ' ' ? '_' : byte;
    }
    if (strncmp(plan->model, "load-", 5) == 0) {
        for (const char *word = plan->model + 5; word;
             word = (word = strchr(word, '-')) ? word + 1 : NULL)
            read_word(plan, word);
    }
    if (plan->events == 0)
        plan->events = 1;
    if (plan->burst == 0)
        plan->burst = 1;
    static void (*const makers[])(struct plan *) = {make_chat, make_anthropic, make_responses,
                                                    make_gemini};
    makers[dialect](plan);
    plan->stream_head =
        made("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
             "Transfer-Encoding: chunked\r\n%s\r\n",
             plan->close ? "Connection: close\r\n" : "");
    if (is_whole(plan))
        return plan;
    plan_free(plan);
    return NULL;
}

void
plan_free(struct plan *plan)
{
    const struct slice all[] = {plan->stream_head,  plan->begin,      plan->before,
                                plan->after,        plan->end,        plan->error,
                                plan->whole_before, plan->whole_after};
    for (size_t i = 0; i < countof(all); i++)
        free((void *)(uintptr_t)all[i].ptr);
    free(plan);
}
