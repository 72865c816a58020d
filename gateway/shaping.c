/* SPDX-License-Identifier: MIT
 *
 * shaping.c - requests as the operator wants them for certain models; see shaping.h.
 *
 * Every try starts from what the client sent: the next deployment may have other rules, or none.
 */
#include "gateway/shaping.h"
#include "base/text.h"
#include "gateway/window.h"
#include "gateway/worker.h"

/* Where a dialect keeps instructions, conversation and tools; older or other spellings go when the new one is written. */
struct members {
    const char *system[4], *messages[4], *tools[6];
};
static const struct members members_of[DIALECT_COUNT] = {
    [DIALECT_OPENAI_CHAT] = {{"messages"}, {"messages"}, {"tools", "tool_choice", "functions", "function_call"}},
    [DIALECT_ANTHROPIC] = {{"system"}, {"messages"}, {"tools", "tool_choice"}},
    [DIALECT_OPENAI_RESPONSES] = {{"instructions", "input"}, {"instructions", "input"}, {"tools", "tool_choice"}},
    [DIALECT_GEMINI] = {{"systemInstruction", "system_instruction"}, {"contents"}, {"tools", "toolConfig", "tool_config"}},
};

static struct shape_rules
rules_of(const struct deployment *deployment, struct slice model)
{
    struct shape_rules rules = deployment->config->shape;
    if (rules.context_tokens == 0)
        rules.context_tokens = window_of(deployment, model);
    rules.cache = rules.cache && deployment->dialect->id == DIALECT_ANTHROPIC;
    return rules;
}

bool
shaping_wanted(const struct deployment *deployment, const struct dialect_upstream *upstream)
{
    struct shape_rules rules = rules_of(deployment, upstream->model);
    return shape_applies(&rules, upstream->model);
}

bool
shaping_cleans(const struct deployment *deployment, struct slice model)
{
    const struct shape_rules *rules = &deployment->config->shape;
    return canon_inputs_any(&rules->inputs) && shape_means(rules, model);
}

int
shaping_refuses(struct stream *stream, const struct deployment *deployment, struct canon_fault *fault)
{
    static const char *const harmless[] = {"cache_control", "prompt_cache_key", "prompt_cache_breakpoint", "metadata", "user", "store",
                                           "tools.eager_input_streaming", "tools.defer_loading", "signature", "thought_signature",
                                           "redacted_thinking", "phase"};
    const struct canon_report *report = &stream->tries->report;
    struct sink names;
    bool refuses = deployment->config->shape.refuse && shape_means(&deployment->config->shape, stream->upstream_model);
    if (!refuses || report->count == 0)
        return 0;
    sink_init(&names, 4096);
    for (int i = 0; i < report->count; i++) {
        bool lost = true;
        for (size_t k = 0; k < countof(harmless); k++)
            lost = lost && strcmp(report->dropped[i], harmless[k]) != 0;
        if (!lost)
            continue;
        fault->param = names.len == 0 ? slice_from(report->dropped[i]) : fault->param;
        sink_printf(&names, "%s%s", names.len > 0 ? ", " : "", report->dropped[i]);
    }
    bool any = names.len > 0;
    if (any)
        fault->message = arena_printf(&stream->request, "the upstream behind this model does not take: %.*s", SLICE_ARG(sink_slice(&names)));
    sink_fini(&names);
    return any ? -ERR_UNSUPPORTED : 0;
}

static void
tell(struct stream *stream, const struct deployment *deployment, const struct shape_notes *notes)
{
    stream->truncated_messages = notes->dropped_messages;
    stream->truncated_tokens = notes->dropped_tokens;
    if (notes->dropped_messages == 0)
        return;
    metrics_add(&stream->worker->metrics->truncations, 1);
    if (!log_on(LOG_WARN))
        return;
    struct log_line line;
    log_begin(&line, LOG_WARN, "conversation truncated");
    log_text(&line, "request_id", stream->request_id);
    log_field(&line, "model", deployment->config->model_name);
    log_field(&line, "upstream", deployment->config->id);
    log_i64(&line, "messages", (int64_t)notes->dropped_messages);
    log_i64(&line, "tokens", (int64_t)notes->dropped_tokens);
    log_end(&line);
}

static int
shape(struct stream *stream, const struct deployment *deployment, struct canon_request **out, struct shape_notes *notes)
{
    struct shape_rules rules = rules_of(deployment, stream->upstream_model);
    struct canon_request *copy = arena_take(&stream->request, sizeof *copy);
    if (!copy)
        return -ERR_MEMORY;
    int error = shape_request(stream->canon, &rules, &stream->request, copy, notes);
    *out = copy;
    if (error == 0)
        tell(stream, deployment, notes);
    return error;
}

int
shaping_request(struct stream *stream, const struct deployment *deployment, const struct dialect_upstream *upstream,
                const struct canon_request **out)
{
    struct canon_request *copy;
    struct shape_notes notes;
    *out = stream->canon;
    if (!shaping_wanted(deployment, upstream))
        return 0;
    int error = shape(stream, deployment, &copy, &notes);
    *out = error == 0 ? copy : stream->canon;
    return error;
}

/* ---------------------------------------------------------------- the same dialect */

static bool
is_listed(const char *const *names, size_t count, struct json member)
{
    for (size_t i = 0; i < count && names[i]; i++) {
        if (json_key_is(member, names[i]))
            return true;
    }
    return false;
}

static bool
is_changed(const struct members *members, const struct shape_notes *notes, struct json member)
{
    return (notes->system && is_listed(members->system, countof(members->system), member)) ||
           (notes->messages && is_listed(members->messages, countof(members->messages), member)) ||
           (notes->tools && is_listed(members->tools, countof(members->tools), member));
}

static void
put_member(struct json_writer *json, struct json member, struct arena *arena)
{
    json_name_slice(json, json_unescape(json_key(member), arena));
    json_put_raw(json, json_raw(member));
}

/* The body, what has changed taken from the one that was written anew. */
static void
put_body(const struct canon_request *request, int dialect, const struct shape_notes *notes, struct json written, struct sink *out)
{
    const struct members *members = &members_of[dialect];
    struct json_writer json;
    json_writer_init(&json, out);
    json_object(&json);
    for (struct json at = json_first(request->root); json_present(at); at = json_next(at)) {
        if (!is_changed(members, notes, at))
            put_member(&json, at, request->arena);
    }
    for (struct json at = json_first(written); json_present(at); at = json_next(at)) {
        if (is_changed(members, notes, at))
            put_member(&json, at, request->arena);
    }
    json_end(&json);
}

/* What the writer could not say is missing only where its words were taken; all else passes as it is. */
static void
take_report(struct stream *stream, const struct canon_report *report)
{
    for (int i = 0; i < report->count; i++) {
        if (!json_present(json_get(stream->canon->root, report->dropped[i])))
            canon_drop(&stream->tries->report, report->dropped[i]);
    }
}

/* ---- Chat and Messages: every message that no rule is about keeps its bytes */

static bool
is_rewritten(const struct canon_message *message)
{
    if (message->role == ROLE_ASSISTANT || message->role == ROLE_TOOL)
        return false;
    for (const struct canon_part *part = message->parts; part; part = part->next) {
        if (part->kind == PART_TEXT && !json_present(part->value))
            return true;
    }
    return !json_present(message->value);
}

static void
put_part(struct json_writer *json, const struct canon_part *part)
{
    if (json_type(part->value) == JSON_OBJECT) {
        json_put_raw(json, json_raw(part->value));
        return;
    }
    json_object(json);
    json_member_text(json, "type", "text");
    json_name(json, "text");
    json_put_escaped(json, part->text);
    if (slice_present(part->cache_control))
        json_member_raw(json, "cache_control", part->cache_control);
    json_end(json);
}

static void
put_content(struct json_writer *json, const struct canon_part *parts)
{
    bool plain = parts && !parts->next && parts->kind == PART_TEXT && json_type(parts->value) != JSON_OBJECT &&
                 !slice_present(parts->cache_control);
    if (plain) {
        json_put_escaped(json, parts->text);
        return;
    }
    json_array(json);
    for (const struct canon_part *part = parts; part; part = part->next)
        put_part(json, part);
    json_end(json);
}

static void
put_message(struct json_writer *json, const struct canon_message *message, struct arena *arena)
{
    static const char *const roles[] = {[ROLE_SYSTEM] = "system", [ROLE_DEVELOPER] = "developer", [ROLE_USER] = "user"};
    if (!is_rewritten(message)) {
        json_put_raw(json, json_raw(message->value));
        return;
    }
    json_object(json);
    if (!json_present(message->value))
        json_member_text(json, "role", roles[message->role]);
    for (struct json at = json_first(message->value); json_present(at); at = json_next(at)) {
        if (!json_key_is(at, "content"))
            put_member(json, at, arena);
    }
    json_name(json, "content");
    put_content(json, message->parts);
    json_end(json);
}

/* A line for Anthropic's accounting, which reading took out of the instructions, stays where it was (R144). */
static void
put_attribution(struct json_writer *json, struct json system, const struct canon_part *first)
{
    static const struct slice prefix = SLICE_LIT("x-anthropic-billing-header:");
    struct json block = json_type(system) == JSON_ARRAY ? json_first(system) : system;
    struct slice text = json_text(json_type(block) == JSON_STRING ? block : json_get(block, "text"));
    bool stands = first && json_present(first->value) && slice_starts(json_text(json_get(first->value, "text")), prefix);
    if (stands || !slice_starts(text, prefix))
        return;
    ptrdiff_t end = text_find(text, SLICE_LIT("\\n"));
    struct canon_part line = {.kind = PART_TEXT, .text = end < 0 ? text : slice_take(text, (size_t)end)};
    put_part(json, &line);
}

/* Instructions of Messages stand beside the conversation. */
static const struct canon_message *
put_system(struct json_writer *json, const struct canon_message *messages, struct json system)
{
    const struct canon_message *at = messages;
    json_array(json);
    put_attribution(json, system, at ? at->parts : NULL);
    for (; at && shape_is_system(at) && !json_present(json_get(at->value, "role")); at = at->next) {
        for (const struct canon_part *part = at->parts; part; part = part->next)
            put_part(json, part);
    }
    json_end(json);
    return at;
}

/* The members that hold the conversation, as text of one object. */
static void
put_conversation(struct stream *stream, const struct shape_notes *notes, const struct canon_request *copy, struct sink *out)
{
    const struct canon_message *message = copy->messages;
    bool beside = stream->dialect->id == DIALECT_ANTHROPIC;
    struct json_writer json;
    json_writer_init(&json, out);
    json_object(&json);
    if (beside && notes->system) {
        json_name(&json, "system");
        message = put_system(&json, message, json_get(stream->canon->root, "system"));
    }
    while (beside && message && shape_is_system(message) && !json_present(json_get(message->value, "role")))
        message = message->next;
    json_name(&json, "messages");
    json_array(&json);
    for (; message; message = message->next)
        put_message(&json, message, &stream->request);
    json_end(&json);
    json_end(&json);
}

/* ---- */

/* The text of out, parsed; out is empty again. */
static int
take_text(struct stream *stream, struct sink *out, struct slice *text, struct json *root)
{
    size_t tokens = stream->generation->config->limits.json_tokens * 2;
    *text = out->error ? SLICE_NONE : arena_copy(&stream->request, sink_slice(out));
    sink_reset(out, 65536);
    return slice_present(*text) ? json_parse(*text, JSON_DEPTH_MAX, tokens, &stream->request, root) : -ERR_MEMORY;
}

static bool
is_kept(const struct canon_tool *tool)
{
    return json_type(tool->value) == JSON_OBJECT;
}

static bool
same_choice(const struct canon_request *a, const struct canon_request *b)
{
    const struct canon_stop *one = a->choice_allowed, *two = b->choice_allowed;
    for (; one && two; two = two->next)
        one = one->next;
    return a->choice == b->choice && !one && !two;
}

/* Tools that the client wrote in another way than as a flat list, and fewer that may be chosen, are the writer's alone. */
static bool
keeps_tools(const struct stream *stream, const struct canon_request *copy)
{
    bool fewer = copy->choice_allowed && !same_choice(copy, stream->canon);
    return stream->dialect->id != DIALECT_GEMINI && !fewer && !json_present(json_get(stream->canon->root, "functions"));
}

/* Does the writer get this tool? A new choice is made of all that it can write. */
static bool
is_written(const struct stream *stream, const struct canon_request *copy, const struct canon_tool *tool)
{
    return !keeps_tools(stream, copy) || !is_kept(tool) || (tool->kind != TOOL_NATIVE && !same_choice(copy, stream->canon));
}

/* What a writer makes of the changed tools, and of the conversation unless that keeps its bytes. */
static int
write_anew(struct stream *stream, const struct dialect_upstream *upstream, const struct canon_request *copy, bool whole,
           bool tools, struct canon_fault *fault, struct json *written)
{
    struct canon_part word = {.kind = PART_TEXT, .text = SLICE_LIT("x")};
    struct canon_message user = {.role = ROLE_USER, .parts = &word};
    struct canon_report report = {.count = 0};
    struct canon_request request = *copy;
    struct canon_tool *list = NULL, **link = &list;
    struct slice text;
    struct sink sink;
    for (const struct canon_tool *tool = copy->tools; tools && tool; tool = tool->next) {
        if (!is_written(stream, copy, tool))
            continue;
        *link = arena_take(&stream->request, sizeof **link);
        if (!*link)
            return -ERR_MEMORY;
        **link = *tool;
        (*link)->next = NULL;
        link = &(*link)->next;
    }
    request.tools = list;
    if (!list) {
        request.choice = CHOICE_UNSET;
        request.choice_allowed = NULL;
        request.parallel = -1;
    }
    if (!whole)
        request.messages = &user;
    sink_init(&sink, stream->generation->config->limits.body_bytes * 2);
    int error = stream->dialect->write_request(&request, upstream, &sink, &report, fault);
    if (error == 0)
        error = take_text(stream, &sink, &text, written);
    sink_fini(&sink);
    if (error == 0)
        take_report(stream, &report);
    return error;
}

/* Tools as the client wrote them, but for the changed ones; and no choice when nothing is left to choose or to be chosen. */
static void
put_tools(struct stream *stream, const struct canon_request *copy, struct json written, struct sink *out)
{
    struct json next = json_first(json_get(written, "tools")), root = stream->canon->root;
    struct json choice = json_get(root, "tool_choice"), changed = json_get(written, "tool_choice");
    struct json_writer json;
    json_writer_init(&json, out);
    json_object(&json);
    if (copy->tools) {
        json_name(&json, "tools");
        json_array(&json);
        for (const struct canon_tool *tool = copy->tools; tool; tool = tool->next) {
            struct json value = is_kept(tool) ? tool->value : next;
            next = is_written(stream, copy, tool) ? json_next(next) : next;
            if (json_present(value))
                json_put_raw(&json, json_raw(value));
        }
        json_end(&json);
    }
    choice = same_choice(copy, stream->canon) ? choice : changed;
    if (copy->tools && json_present(choice))
        json_member_raw(&json, "tool_choice", json_raw(choice));
    json_end(&json);
}

/* The client's body with these changes. */
static int
take_changes(struct stream *stream, const struct shape_notes *notes, struct canon_request *copy, struct json written)
{
    struct sink sink;
    sink_init(&sink, stream->generation->config->limits.body_bytes * 2);
    put_body(copy, stream->dialect->id, notes, written, &sink);
    int error = take_text(stream, &sink, &copy->body, &copy->root);
    sink_fini(&sink);
    return error;
}

/* The client's body with the changed members: of a writer where there is no other way, else put together from what came. */
static int
compose(struct stream *stream, const struct dialect_upstream *upstream, const struct shape_notes *notes, struct canon_request *copy,
        struct canon_fault *fault)
{
    bool apart = stream->dialect->id == DIALECT_OPENAI_CHAT || stream->dialect->id == DIALECT_ANTHROPIC;
    struct shape_notes tools = {.tools = notes->tools}, talk = {.system = notes->system, .messages = notes->messages};
    bool talks = talk.system || talk.messages;
    struct json written = JSON_NONE;
    struct slice text;
    struct sink sink;
    int error = 0;
    sink_init(&sink, stream->generation->config->limits.body_bytes * 2);
    if (notes->tools || (talks && !apart))
        error = write_anew(stream, upstream, copy, talks && !apart, notes->tools, fault, &written);
    if (error == 0 && talks && !apart)
        error = take_changes(stream, &talk, copy, written);
    if (error == 0 && notes->tools && keeps_tools(stream, copy)) {
        put_tools(stream, copy, written, &sink);
        error = take_text(stream, &sink, &text, &written);
    }
    if (error == 0 && notes->tools)
        error = take_changes(stream, &tools, copy, written);
    if (error == 0 && talks && apart) {
        put_conversation(stream, notes, copy, &sink);
        error = take_text(stream, &sink, &text, &written);
        if (error == 0)
            error = take_changes(stream, &talk, copy, written);
    }
    sink_fini(&sink);
    return error;
}

int
shaping_pass(struct stream *stream, const struct deployment *deployment, const struct dialect_upstream *upstream,
             struct canon_fault *fault, const struct canon_request **out)
{
    struct canon_request *copy;
    struct shape_notes notes;
    *out = stream->canon;
    int error = shape(stream, deployment, &copy, &notes);
    if (error < 0 || !(notes.system || notes.messages || notes.tools))
        return error;
    struct dialect_upstream plain = *upstream;
    plain.default_params = SLICE_NONE; /* the pass puts them */
    error = compose(stream, &plain, &notes, copy, fault);
    if (error == 0)
        *out = copy;
    return error;
}
