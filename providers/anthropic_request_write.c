/* SPDX-License-Identifier: MIT
 *
 * anthropic_request_write.c - a canonical request as a Messages request, always for a stream.
 *
 * What cannot be said is dropped and reported, unless it changes the meaning of the answer: then
 * the request is refused by the name of the field (wire-formats 11.6).
 */
#include "providers/anthropic_surface.h"
#include "providers/anthropic_write.h"

static int
unsupported(struct writing *at, const char *param, const char *why)
{
    at->fault->message = arena_printf(at->arena, "%s: %s", param, why);
    at->fault->param = slice_from(param);
    return -ERR_UNSUPPORTED;
}

void
anthropic_settle(struct writing *at, const char *name)
{
    assert(at->settled_count < (int)countof(at->settled));
    at->settled[at->settled_count++] = name;
}

void
anthropic_field(struct writing *at, const char *name)
{
    anthropic_settle(at, name);
    json_name(&at->json, name);
}

static bool
given(struct json value)
{
    return json_present(value) && json_type(value) != JSON_NULL;
}

/* ---------------------------------------------------------------- what cannot be said */

/* What only Chat's clients can ask for. */
static int
refuse_chat_fields(struct writing *at)
{
    struct json root = at->request->root, modalities = json_get(root, "modalities");
    for (struct json one = json_first(modalities); json_present(one); one = json_next(one)) {
        if (!json_is(one, "text"))
            return unsupported(at, "modalities", "this model answers with text only");
    }
    if (given(json_get(root, "audio")))
        return unsupported(at, "audio", "this model answers with text only");
    if (given(json_get(root, "web_search_options")))
        return unsupported(at, "web_search_options",
                           "hosted web search is not available for this model");
    return 0;
}

static int
refuse_fields(struct writing *at)
{
    const struct canon_request *request = at->request;
    if (slice_present(request->n) && json_text_u64_or(request->n, 0) != 1)
        return unsupported(at, request->from == DIALECT_GEMINI ? "candidateCount" : "n",
                           "this model gives one answer at a time");
    return request->from == DIALECT_OPENAI_CHAT ? refuse_chat_fields(at) : 0;
}

static void
report_fields(struct writing *at)
{
    const struct canon_request *request = at->request;
    const struct {
        const char *name;
        struct slice value;
    } dropped[] = {
        {"seed", request->seed},
        {"presence_penalty", request->presence_penalty},
        {"frequency_penalty", request->frequency_penalty},
        {"logprobs", slice_is(request->logprobs, "false") ? SLICE_NONE : request->logprobs},
        {"top_logprobs", request->top_logprobs},
        {"logit_bias", request->logit_bias},
        {"metadata", request->metadata},
        {"verbosity", request->verbosity},
        {"prompt_cache_key", request->cache_key},
        {"store", slice_is(request->store, "false") ? SLICE_NONE : request->store},
        {"safetySettings", request->safety},
    };
    for (size_t i = 0; i < countof(dropped); i++) {
        if (slice_present(dropped[i].value))
            canon_drop(at->report, dropped[i].name);
    }
}

/* ---------------------------------------------------------------- system */

static bool
wants_schema(const struct canon_request *request)
{
    return request->format == FORMAT_JSON_SCHEMA && slice_present(request->format_schema);
}

static bool
leads(const struct canon_message *message)
{
    return message && (message->role == ROLE_SYSTEM || message->role == ROLE_DEVELOPER);
}

#define JSON_INSTRUCTION                                                                           \
    "Answer with exactly one JSON object and nothing else: no prose, no code fence."

/* What the client wants as a field and this model only as words; absent: nothing. */
static struct slice
instruction(struct writing *at)
{
    const struct canon_request *request = at->request;
    if (request->format == FORMAT_JSON_OBJECT)
        return SLICE_LIT(JSON_INSTRUCTION);
    if (!wants_schema(request) || at->answer_tool || !anthropic_lacks_formats(at->upstream))
        return SLICE_NONE;
    struct sink text;
    sink_init(&text, ANTHROPIC_BYTES_MAX);
    sink_text(&text, JSON_INSTRUCTION);
    sink_text(&text, " It must conform to this JSON Schema: ");
    json_escape(&text, request->format_schema);
    struct slice copy = text.error == 0 ? arena_copy(at->arena, sink_slice(&text)) : SLICE_NONE;
    sink_fini(&text);
    canon_drop(at->report, "response_format");
    return slice_present(copy) ? copy : SLICE_LIT(JSON_INSTRUCTION);
}

/* One plain text is written as a string, anything more as blocks in order. */
static void
put_system(struct writing *at)
{
    const struct canon_part *only = NULL;
    struct slice words = instruction(at);
    int count = slice_present(words);
    for (const struct canon_message *message = at->request->messages; leads(message);
         message = message->next) {
        for (const struct canon_part *part = message->parts; part; part = part->next) {
            if (part->kind != PART_TEXT)
                canon_drop(at->report, "system content");
            else if (!turns_blank(part->text)) {
                only = part;
                count++;
            }
        }
    }
    if (count == 0)
        return;
    anthropic_field(at, "system");
    if (count == 1 && only && !slice_present(only->cache_control)) {
        json_put_escaped(&at->json, only->text);
        return;
    }
    json_array(&at->json);
    for (const struct canon_message *message = at->request->messages; leads(message);
         message = message->next) {
        for (const struct canon_part *part = message->parts; part; part = part->next) {
            if (part->kind == PART_TEXT && !turns_blank(part->text))
                anthropic_put_text(at, part->text, part);
        }
    }
    if (slice_present(words))
        anthropic_put_text(at, words, NULL);
    json_end(&at->json);
}

static int
put_messages(struct writing *at, const struct turn *turns)
{
    int error = 0;
    anthropic_field(at, "messages");
    json_array(&at->json);
    for (const struct turn *turn = turns; turn && error == 0; turn = turn->next)
        error = anthropic_put_turn(at, turn);
    if (!turns) { /* nothing was said but instructions; a turn is required */
        json_object(&at->json);
        json_member_text(&at->json, "role", "user");
        json_member_text(&at->json, "content", ".");
        json_end(&at->json);
    }
    json_end(&at->json);
    return error;
}

/* ---------------------------------------------------------------- sampling and form */

static void
put_temperature(struct writing *at)
{
    struct slice text = at->request->temperature;
    double value;
    if (!json_text_f64(text, &value))
        return;
    if (value > 1) {
        canon_drop(at->report, "temperature above 1");
        text = SLICE_LIT("1");
    }
    anthropic_field(at, "temperature");
    json_put_raw(&at->json, text);
}

/* A sampling field, unless another setting forbids it; then no default may bring it back either. */
static void
put_or_drop(struct writing *at, const char *name, struct slice value, bool forbidden)
{
    if (forbidden) {
        anthropic_settle(at, name);
        if (slice_present(value))
            canon_drop(at->report, name);
    } else if (slice_present(value)) {
        anthropic_field(at, name);
        json_put_raw(&at->json, value);
    }
}

static void
put_sampling(struct writing *at, bool thinking)
{
    const struct canon_request *request = at->request;
    bool alone = anthropic_samples_alone(at->upstream);
    bool usual = slice_is(request->temperature, "1") || slice_is(request->temperature, "1.0");
    if (alone && usual)
        anthropic_settle(at, "temperature"); /* what it does by itself */
    else if (thinking || alone)
        put_or_drop(at, "temperature", request->temperature, true);
    else
        put_temperature(at);
    put_or_drop(at, "top_p", request->top_p,
                thinking || alone || slice_present(request->temperature));
    put_or_drop(at, "top_k", request->top_k, thinking || alone);
}

static void
put_stop(struct writing *at)
{
    bool any = false;
    for (const struct canon_stop *stop = at->request->stop; stop; stop = stop->next) {
        if (turns_blank(stop->text)) {
            canon_drop(at->report, "stop");
            continue;
        }
        if (!any) {
            anthropic_field(at, "stop_sequences");
            json_array(&at->json);
        }
        any = true;
        json_put_escaped(&at->json, stop->text);
    }
    if (any)
        json_end(&at->json);
}

static void
put_thinking(struct writing *at, const struct thinking_plan *plan)
{
    bool schema = wants_schema(at->request) && !anthropic_lacks_formats(at->upstream);
    if (plan->form != THINK_OFF) {
        anthropic_field(at, "thinking");
        json_object(&at->json);
        json_member_text(&at->json, "type", plan->form == THINK_BUDGET ? "enabled" : "adaptive");
        if (plan->form == THINK_BUDGET)
            json_member_u64(&at->json, "budget_tokens", plan->budget);
        if (plan->display)
            json_member_text(&at->json, "display", plan->display);
        json_end(&at->json);
    }
    if (!schema && !slice_present(plan->effort))
        return;
    anthropic_field(at, "output_config");
    json_object(&at->json);
    if (slice_present(plan->effort)) {
        json_name(&at->json, "effort");
        json_put_escaped(&at->json, plan->effort);
    }
    if (schema) {
        json_name(&at->json, "format");
        json_object(&at->json);
        json_member_text(&at->json, "type", "json_schema");
        json_member_raw(&at->json, "schema", at->request->format_schema);
        json_end(&at->json);
    }
    json_end(&at->json);
}

static void
put_identity(struct writing *at)
{
    const struct canon_request *request = at->request;
    if (slice_present(request->user)) {
        anthropic_field(at, "metadata");
        json_object(&at->json);
        json_name(&at->json, "user_id");
        json_put_escaped(&at->json, request->user);
        json_end(&at->json);
    }
    bool automatic = slice_is(request->service_tier, "auto");
    if (automatic || slice_is(request->service_tier, "default")) {
        anthropic_field(at, "service_tier");
        json_put_literal(&at->json, automatic ? "auto" : "standard_only");
    } else if (slice_present(request->service_tier)) {
        canon_drop(at->report, "service_tier");
    }
}

static bool
settled(const struct writing *at, struct slice name)
{
    for (int i = 0; i < at->settled_count; i++) {
        if (slice_is(name, at->settled[i]))
            return true;
    }
    return false;
}

static int
put_defaults(struct writing *at)
{
    for (struct json member = json_first(at->defaults); json_present(member);
         member = json_next(member)) {
        if (settled(at, json_key(member)))
            continue;
        struct slice name = arena_copy(at->arena, json_key(member));
        if (!slice_present(name))
            return -ERR_MEMORY;
        if (at->counting && anthropic_counts_not(name.ptr))
            continue;
        json_member_raw(&at->json, name.ptr, json_raw(member));
    }
    return 0;
}

static int
read_defaults(struct writing *at)
{
    if (!slice_present(at->upstream->default_params))
        return 0;
    int error = json_parse(at->upstream->default_params, ANTHROPIC_DEPTH_MAX,
                           ANTHROPIC_EVENT_TOKENS_MAX, at->arena, &at->defaults);
    return error == 0 || error == -ERR_MEMORY ? error : -ERR_CONFIG;
}

/* On Vertex the path names the model, and the body the version. */
static void
put_head(struct writing *at, const struct thinking_plan *plan)
{
    bool vertex = at->upstream->surface == SURFACE_VERTEX;
    char room[ANTHROPIC_MODEL_MAX];
    anthropic_settle(at, "model");
    anthropic_settle(at, "anthropic_version");
    if (vertex)
        json_member_text(&at->json, "anthropic_version", ANTHROPIC_VERTEX_VERSION);
    if (!vertex || at->counting)
        json_member(&at->json, "model", anthropic_model(at->upstream, room));
    if (at->counting)
        return;
    anthropic_field(at, "max_tokens");
    json_put_u64(&at->json, plan->max_tokens);
    anthropic_field(at, "stream");
    json_put_bool(&at->json, true);
}

static int
put_body(struct writing *at, const struct turn *turns, const struct thinking_plan *plan)
{
    json_object(&at->json);
    put_head(at, plan);
    put_system(at);
    int error = put_messages(at, turns);
    if (error == 0)
        error = anthropic_put_tools(at);
    if (error != 0)
        return error;
    if (!at->counting) {
        put_sampling(at, plan->form != THINK_OFF);
        put_stop(at);
    }
    put_thinking(at, plan);
    if (!at->counting)
        put_identity(at);
    error = put_defaults(at);
    json_end(&at->json);
    return error;
}

int
anthropic_write_body(const struct canon_request *request, const struct dialect_upstream *upstream,
                     bool counting, struct sink *out, struct canon_report *report,
                     struct canon_fault *fault)
{
    struct writing at = {.request = request,
                         .upstream = upstream,
                         .arena = request->arena,
                         .out = out,
                         .report = report,
                         .fault = fault,
                         .counting = counting};
    json_writer_init(&at.json, out);
    int error = refuse_fields(&at);
    if (error == 0)
        error = read_defaults(&at);
    if (error != 0)
        return error;
    report_fields(&at);
    at.answer_tool = wants_schema(request) && !request->tools &&
                     anthropic_lacks_formats(upstream) &&
                     anthropic_is_object_schema(&at, request->format_schema);
    struct thinking_plan plan = anthropic_plan_thinking(&at);
    const struct canon_message *messages = request->messages;
    while (leads(messages))
        messages = messages->next;
    struct turn *turns = NULL;
    bool thinking = plan.form == THINK_BUDGET, budgeted = thinking;
    error = turns_build(request, messages, &thinking, report, fault, &turns);
    if (error != 0)
        return error;
    if (budgeted && !thinking)
        plan = (struct thinking_plan){.form = THINK_OFF, .max_tokens = plan.max_tokens};
    error = put_body(&at, turns, &plan);
    return error != 0 ? error : out->error;
}

int
anthropic_write_request(const struct canon_request *request,
                        const struct dialect_upstream *upstream, struct sink *out,
                        struct canon_report *report, struct canon_fault *fault)
{
    return anthropic_write_body(request, upstream, false, out, report, fault);
}
