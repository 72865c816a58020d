/* SPDX-License-Identifier: MIT
 *
 * openai_chat_request_read.c - a Chat Completions request as the canonical one: everything but the
 * messages.
 *
 * Read only when the request goes to another dialect. What cannot be understood is the client's
 * mistake; what cannot be said elsewhere is refused by name, here when no dialect can, else by the
 * one that writes.
 */
#include "providers/openai_chat.h"

#include "base/text.h"

static int
read_number(struct json root, const char *name, struct slice *out, struct canon_fault *fault)
{
    struct json value = json_get(root, name);
    switch (json_type(value)) {
    case JSON_ABSENT:
    case JSON_NULL:
        return 0;
    case JSON_NUMBER:
        *out = json_raw(value);
        return 0;
    default:
        return chat_refuse(fault, ERR_REQUEST, name, "this field must be a number");
    }
}

static int
read_limit(struct canon_request *request, struct canon_fault *fault)
{
    static const char *const names[] = {"max_tokens", "max_completion_tokens"};
    for (size_t i = 0; i < countof(names); i++) {
        struct json value = json_get(request->root, names[i]);
        int64_t tokens;
        if (!json_present(value) || json_type(value) == JSON_NULL)
            continue;
        if (!json_i64(value, &tokens) || tokens < 0)
            return chat_refuse(fault, ERR_REQUEST, names[i],
                               "the output limit must be a whole number");
        request->max_tokens = json_raw(value);
    }
    return 0;
}

static int
read_numbers(struct canon_request *request, struct canon_fault *fault)
{
    struct json root = request->root;
    const struct {
        const char *name;
        struct slice *to;
    } rows[] = {
        {"temperature", &request->temperature},
        {"top_p", &request->top_p},
        {"top_k", &request->top_k},
        {"seed", &request->seed},
        {"n", &request->n},
        {"presence_penalty", &request->presence_penalty},
        {"frequency_penalty", &request->frequency_penalty},
        {"top_logprobs", &request->top_logprobs},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        int error = read_number(root, rows[i].name, rows[i].to, fault);
        if (error)
            return error;
    }
    request->logprobs = json_raw(json_get(root, "logprobs"));
    request->logit_bias = json_raw(json_get(root, "logit_bias"));
    return read_limit(request, fault);
}

static int
read_stop(struct canon_request *request, struct canon_fault *fault)
{
    struct json stop = json_get(request->root, "stop");
    enum json_type type = json_type(stop);
    if (type == JSON_ABSENT || type == JSON_NULL)
        return 0;
    struct canon_stop **link = &request->stop;
    for (struct json at = type == JSON_ARRAY ? json_first(stop) : stop; json_present(at);
         at = type == JSON_ARRAY ? json_next(at) : JSON_NONE) {
        if (json_type(at) != JSON_STRING)
            return chat_refuse(fault, ERR_REQUEST, "stop",
                               "stop must be a string or a list of strings");
        struct canon_stop *entry = arena_take(request->arena, sizeof(*entry));
        if (!entry)
            return -ERR_MEMORY;
        entry->text = json_text(at);
        *link = entry;
        link = &entry->next;
    }
    return 0;
}

/* ---------------------------------------------------------------- tools */

static int
add_function(struct canon_request *request, struct canon_tool **link, struct json value,
             struct json function)
{
    struct canon_tool *tool = arena_take(request->arena, sizeof(*tool));
    if (!tool)
        return -ERR_MEMORY;
    tool->kind = TOOL_FUNCTION;
    tool->name = json_text(json_get(function, "name"));
    tool->description = json_text(json_get(function, "description"));
    struct json parameters = json_get(function, "parameters");
    if (json_type(parameters) == JSON_OBJECT && json_count(parameters) > 0)
        tool->schema = json_raw(parameters);
    struct json strict = json_get(function, "strict");
    if (json_type(strict) != JSON_NULL)
        tool->strict = json_raw(strict);
    tool->cache_control = json_raw(json_get(value, "cache_control"));
    tool->value = value;
    *link = tool;
    return 0;
}

/* The grammar of a free-form tool, without the object that Chat wraps it in: as Responses has it.
 */
static int
read_grammar(struct canon_request *request, struct canon_tool *tool, struct json format)
{
    struct json grammar = json_get(format, "grammar");
    tool->format = json_type(format) == JSON_OBJECT ? json_raw(format) : SLICE_NONE;
    if (json_type(grammar) != JSON_OBJECT)
        return 0;
    struct slice members = json_raw(grammar);
    members = slice_skip(slice_take(members, members.len - 1), 1);
    tool->format = arena_printf(request->arena, "{\"type\":\"grammar\"%s%.*s}",
                                json_count(grammar) > 0 ? "," : "", SLICE_ARG(members));
    return slice_present(tool->format) ? 0 : -ERR_MEMORY;
}

static int
read_tool(struct canon_request *request, struct canon_tool **link, struct json value,
          struct canon_fault *fault)
{
    struct json type = json_get(value, "type");
    bool is_custom = json_is(type, "custom");
    if (json_is(type, "function") || is_custom) {
        struct json body = json_get(value, is_custom ? "custom" : "function");
        if (json_text(json_get(body, "name")).len == 0)
            return chat_refuse(fault, ERR_REQUEST, "tools", "a tool needs a name");
        int error = add_function(request, link, value, body);
        if (error || !is_custom)
            return error;
        (*link)->kind = TOOL_CUSTOM;
        return read_grammar(request, *link, json_get(body, "format"));
    }
    struct canon_tool *tool = arena_take(request->arena, sizeof(*tool));
    if (!tool)
        return -ERR_MEMORY;
    tool->kind = TOOL_NATIVE;
    tool->type = json_text(type);
    tool->name = json_text(json_get(value, "name"));
    tool->value = value;
    *link = tool;
    return 0;
}

static int
read_tools(struct canon_request *request, struct canon_fault *fault)
{
    struct json tools = json_get(request->root, "tools"),
                functions = json_get(request->root, "functions");
    enum json_type type = json_type(tools);
    if (type != JSON_ARRAY && type != JSON_NULL && type != JSON_ABSENT)
        return chat_refuse(fault, ERR_REQUEST, "tools", "tools must be a list");
    struct canon_tool **link = &request->tools;
    for (struct json at = type == JSON_ARRAY ? json_first(tools) : JSON_NONE; json_present(at);
         at = json_next(at)) {
        int error = read_tool(request, link, at, fault);
        if (error)
            return error;
        link = &(*link)->next;
    }
    if (json_type(functions) != JSON_ARRAY)
        return 0;
    for (struct json at = json_first(functions); json_present(at); at = json_next(at)) {
        if (json_text(json_get(at, "name")).len == 0)
            return chat_refuse(fault, ERR_REQUEST, "functions", "a function needs a name");
        int error = add_function(request, link, at, at);
        if (error)
            return error;
        link = &(*link)->next;
    }
    return 0;
}

/* The names of the only tools that may be called. An empty list allows none. */
static int
read_allowed(struct canon_request *request, struct json allowed, struct canon_fault *fault)
{
    struct canon_stop **link = &request->choice_allowed;
    struct json tools = json_get(allowed, "tools");
    request->choice =
        json_is(json_get(allowed, "mode"), "required") ? CHOICE_REQUIRED : CHOICE_AUTO;
    if (json_type(tools) == JSON_ARRAY && json_count(tools) > CANON_ALLOWED_MAX)
        return chat_refuse(fault, ERR_REQUEST, "tool_choice", "too many allowed tools");
    for (struct json at = json_first(tools); json_present(at); at = json_next(at)) {
        struct json body =
            json_get(at, json_is(json_get(at, "type"), "custom") ? "custom" : "function");
        struct slice name = json_text(json_get(body, "name"));
        if (name.len == 0)
            return chat_refuse(fault, ERR_REQUEST, "tool_choice", "an allowed tool needs a name");
        struct canon_stop *entry = arena_take(request->arena, sizeof(*entry));
        if (!entry)
            return -ERR_MEMORY;
        entry->text = name;
        *link = entry;
        link = &entry->next;
    }
    if (!request->choice_allowed)
        request->choice = CHOICE_NONE;
    return 0;
}

static enum canon_choice
choice_word(struct json value)
{
    if (json_is(value, "auto"))
        return CHOICE_AUTO;
    if (json_is(value, "none"))
        return CHOICE_NONE;
    if (json_is(value, "required") || json_is(value, "any"))
        return CHOICE_REQUIRED;
    return CHOICE_UNSET;
}

static int
read_choice(struct canon_request *request, struct canon_fault *fault)
{
    struct json choice = json_get(request->root, "tool_choice");
    bool is_legacy = !json_present(choice);
    if (is_legacy)
        choice = json_get(request->root, "function_call");
    enum json_type type = json_type(choice);
    if (type == JSON_ABSENT || type == JSON_NULL)
        return 0;
    request->choice = choice_word(choice);
    if (request->choice != CHOICE_UNSET)
        return 0;
    if (type == JSON_OBJECT && json_is(json_get(choice, "type"), "allowed_tools")) {
        struct json inner = json_get(choice, "allowed_tools"); /* also seen without that member */
        return read_allowed(request, json_type(inner) == JSON_OBJECT ? inner : choice, fault);
    }
    struct json body =
        json_get(choice, json_is(json_get(choice, "type"), "custom") ? "custom" : "function");
    request->choice_name = json_text(json_get(is_legacy ? choice : body, "name"));
    if (request->choice_name.len == 0)
        return chat_refuse(fault, ERR_REQUEST, is_legacy ? "function_call" : "tool_choice",
                           "unknown form of tool choice");
    request->choice = CHOICE_NAMED;
    return 0;
}

/* ---------------------------------------------------------------- format, reasoning, the rest */

static int
read_format(struct canon_request *request, struct canon_fault *fault)
{
    struct json format = json_get(request->root, "response_format"),
                type = json_get(format, "type");
    if (json_type(format) == JSON_ABSENT || json_type(format) == JSON_NULL)
        return 0;
    if (json_is(type, "text")) {
        request->format = FORMAT_TEXT;
    } else if (json_is(type, "json_object")) {
        request->format = FORMAT_JSON_OBJECT;
    } else if (json_is(type, "json_schema")) {
        struct json schema = json_get(format, "json_schema");
        request->format = FORMAT_JSON_SCHEMA;
        request->format_name = json_text(json_get(schema, "name"));
        request->format_description = json_text(json_get(schema, "description"));
        request->format_schema = json_raw(json_get(schema, "schema"));
        request->format_strict = json_raw(json_get(schema, "strict"));
    } else {
        return chat_refuse(fault, ERR_REQUEST, "response_format", "unknown response format");
    }
    return 0;
}

/* reasoning_effort, and the spellings of OpenRouter (reasoning), DeepSeek and Z.ai (thinking), Qwen
 * (enable_thinking). */
static void
read_reasoning(struct canon_request *request)
{
    struct json root = request->root;
    struct json reasoning = json_get(root, "reasoning"), thinking = json_get(root, "thinking");
    struct json switched = json_get(root, "enable_thinking");
    if (!json_present(switched))
        switched = json_get(reasoning, "enabled");
    request->effort = json_text(json_get(root, "reasoning_effort"));
    if (!slice_present(request->effort))
        request->effort = json_text(json_get(reasoning, "effort"));
    struct json budget = json_get(reasoning, "max_tokens");
    if (json_type(budget) != JSON_NUMBER)
        budget = json_get(thinking, "budget_tokens");
    if (json_type(budget) != JSON_NUMBER)
        budget = json_get(root, "thinking_budget");
    if (json_type(budget) == JSON_NUMBER) {
        request->thinking_budget = json_raw(budget);
        request->thinking = THINKING_ENABLED;
    }
    struct json type = json_get(thinking, "type");
    if (json_is(type, "enabled") || json_type(switched) == JSON_TRUE)
        request->thinking = THINKING_ENABLED;
    else if (json_is(type, "adaptive"))
        request->thinking = THINKING_ADAPTIVE;
    else if (json_is(type, "disabled") || json_type(switched) == JSON_FALSE)
        request->thinking = THINKING_DISABLED;
}

/* Fields that the canonical request holds, and those it has no place for, by name. */
static const char held_fields[] = "model messages stream stream_options max_tokens "
                                  "max_completion_tokens temperature top_p top_k seed n "
                                  "presence_penalty frequency_penalty logprobs top_logprobs "
                                  "logit_bias stop tools functions tool_choice "
                                  "function_call parallel_tool_calls response_format "
                                  "reasoning_effort reasoning thinking enable_thinking "
                                  "thinking_budget safety_identifier user service_tier metadata "
                                  "verbosity prompt_cache_key store random_seed "
                                  "modalities grounding";
static const char *const unsaid_fields[] = {"prediction",
                                            "moderation",
                                            "prompt_cache_options",
                                            "prompt_cache_retention",
                                            "audio",
                                            "web_search_options",
                                            "min_p",
                                            "repetition_penalty",
                                            "chat_template_kwargs",
                                            "safe_prompt",
                                            "provider",
                                            "models",
                                            "transforms",
                                            "plugins",
                                            "usage",
                                            "extra_body"};

static bool
is_held(struct slice name)
{
    struct slice words = slice_from(held_fields);
    for (struct slice word = text_split(&words, ' '); slice_present(word);
         word = text_split(&words, ' '))
        if (slice_eq(word, name))
            return true;
    return false;
}

static void
note_unsaid(struct canon_request *request)
{
    for (struct json at = json_first(request->root); json_present(at); at = json_next(at)) {
        struct slice key = json_unescape(json_key(at), request->arena);
        const char *name = "unknown field";
        for (size_t i = 0; i < countof(unsaid_fields); i++)
            if (slice_is(key, unsaid_fields[i]))
                name = unsaid_fields[i];
        if (json_type(at) != JSON_NULL && !is_held(key))
            canon_drop(&request->unsaid, name);
    }
}

/* OpenRouter's switch for thoughts in the reply, and what is said beside the conversation. */
static void
read_rest(struct canon_request *request)
{
    struct json root = request->root, hidden = json_get(json_get(root, "reasoning"), "exclude");
    request->show_thoughts = json_type(hidden) == JSON_TRUE    ? 0
                             : json_type(hidden) == JSON_FALSE ? 1
                                                               : -1;
    request->verbosity = json_text(json_get(root, "verbosity"));
    request->cache_key = json_text(json_get(root, "prompt_cache_key"));
    struct json store = json_get(root, "store");
    if (json_type(store) == JSON_TRUE || json_type(store) == JSON_FALSE)
        request->store = json_raw(store);
    if (!slice_present(request->seed) && json_type(json_get(root, "random_seed")) == JSON_NUMBER)
        request->seed = json_raw(json_get(root, "random_seed"));
    note_unsaid(request);
}

static int
refuse_unsayable(struct json root, struct canon_fault *fault)
{
    struct json modalities = json_get(root, "modalities");
    for (struct json at = json_first(modalities);
         json_type(modalities) == JSON_ARRAY && json_present(at); at = json_next(at))
        if (!json_is(at, "text") && !json_is(at, "image"))
            return chat_refuse(fault, ERR_UNSUPPORTED, "modalities",
                               "the upstream behind this model cannot answer with sound");
    if (json_type(json_get(root, "web_search_options")) == JSON_OBJECT)
        return chat_refuse(
            fault, ERR_UNSUPPORTED, "web_search_options",
            "the upstream behind this model cannot search the web for a Chat client");
    return 0;
}

int
chat_read_request(struct canon_request *request, struct canon_fault *fault)
{
    struct json root = request->root;
    int error = refuse_unsayable(root, fault);
    if (!error)
        error = chat_read_messages(request, fault);
    if (!error)
        error = read_numbers(request, fault);
    if (!error)
        error = read_stop(request, fault);
    if (!error)
        error = read_tools(request, fault);
    if (!error)
        error = read_choice(request, fault);
    if (!error)
        error = read_format(request, fault);
    if (error)
        return error;
    read_reasoning(request);
    read_rest(request);
    enum json_type parallel = json_type(json_get(root, "parallel_tool_calls"));
    request->parallel = parallel == JSON_TRUE ? 1 : parallel == JSON_FALSE ? 0 : -1;
    request->user = json_text(json_get(root, "safety_identifier"));
    if (!slice_present(request->user))
        request->user = json_text(json_get(root, "user"));
    request->service_tier = json_text(json_get(root, "service_tier"));
    if (json_type(json_get(root, "metadata")) == JSON_OBJECT)
        request->metadata = json_raw(json_get(root, "metadata"));
    return 0;
}
