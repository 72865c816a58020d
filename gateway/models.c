/* SPDX-License-Identifier: MIT
 *
 * models.c - the lists of models: configured names (patterns are no names) and aliases, with what the configuration knows
 * about each (R34, R35).
 */
#include "gateway/models.h"
#include "base/text.h"
#include "gateway/endpoint.h"
#include "gateway/worker.h"

#define GOOGLE_PAGE 50u
#define PAGE_MAX 1000u

enum shape { SHAPE_OPENAI, SHAPE_ANTHROPIC, SHAPE_GEMINI };

struct shown {
    struct slice id;
    const struct deployment *deployment;
};

struct page {
    const struct shown *models;
    uint32_t count, from, to;
};

static bool
listed_before(const struct generation *generation, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++) {
        if (slice_eq(generation->deployments[i].config->model_name, generation->deployments[index].config->model_name))
            return true;
    }
    return false;
}

/* Every name a client can ask for. NULL without memory. */
static struct shown *
collect(struct stream *stream, uint32_t *count)
{
    const struct generation *generation = stream->generation;
    const struct config *config = generation->config;
    uint32_t most = generation->count + config->alias_count;
    struct shown *models = arena_take(&stream->request, (most + 1) * sizeof *models);
    *count = 0;
    for (uint32_t i = 0; models && i < most; i++) {
        bool alias = i >= generation->count;
        struct slice id = alias ? config->aliases[i - generation->count].from : generation->deployments[i].config->model_name;
        if (memchr(id.ptr, '*', id.len) || (!alias && listed_before(generation, i)))
            continue;
        const struct deployment *deployment = alias ? route_first(generation, id) : &generation->deployments[i];
        if (deployment) /* else an alias of nothing */
            models[(*count)++] = (struct shown){id, deployment};
    }
    return models;
}

/* ---------------------------------------------------------------- facts */

/* Members of model_info whose names have this in them, as an object of their own; nothing when there are none. */
static void
put_members(struct json_writer *writer, struct json info, const char *name, const char *part, bool at_front)
{
    bool open = false;
    for (struct json at = json_type(info) == JSON_OBJECT ? json_first(info) : JSON_NONE; json_present(at); at = json_next(at)) {
        struct slice key = json_key(at);
        ptrdiff_t found = text_find(key, slice_from(part));
        if (found < 0 || (at_front && found > 0) || memchr(key.ptr, '\\', key.len))
            continue;
        if (!open) {
            json_name(writer, name);
            json_object(writer);
        }
        open = true;
        json_name_slice(writer, at_front ? slice_skip(key, strlen(part)) : key);
        json_put_raw(writer, json_raw(at));
    }
    if (open)
        json_end(writer);
}

/* Where the deployments of this name are, or what model_info says about it. */
static void
put_regions(struct json_writer *writer, const struct stream *stream, const struct deployment *one, struct json info)
{
    const struct generation *generation = stream->generation;
    struct json given = json_get(info, "regions");
    bool open = false;
    if (json_type(given) == JSON_ARRAY) {
        json_member_raw(writer, "regions", json_raw(given));
        return;
    }
    for (uint32_t i = 0; i < generation->count; i++) {
        const struct config_deployment *config = generation->deployments[i].config;
        bool repeated = config->location.len == 0 || !slice_eq(config->model_name, one->config->model_name);
        for (uint32_t k = 0; k < i && !repeated; k++)
            repeated = slice_eq(generation->deployments[k].config->model_name, config->model_name) &&
                       slice_eq(generation->deployments[k].config->location, config->location);
        if (repeated)
            continue;
        if (!open) {
            json_name(writer, "regions");
            json_array(writer);
        }
        open = true;
        json_put_string(writer, config->location);
    }
    if (open)
        json_end(writer);
}

static struct json
info_of(struct stream *stream, const struct config_deployment *config)
{
    struct json info = JSON_NONE;
    if (config->info.len == 0 || json_parse(config->info, 32, 65536, &stream->request, &info) < 0)
        return JSON_NONE;
    return info;
}

/* ---------------------------------------------------------------- shapes */

static void
put_openai(struct json_writer *writer, struct stream *stream, const struct shown *shown)
{
    const struct config_deployment *config = shown->deployment->config;
    struct json info = info_of(stream, config);
    json_object(writer);
    json_member(writer, "id", shown->id);
    json_member_text(writer, "object", "model");
    json_member_u64(writer, "created", stream->worker->gateway->started_unix_s);
    json_member(writer, "owned_by", config->provider);
    json_member(writer, "name", shown->id);
    json_member(writer, "provider", config->provider);
    if (config->mode.len > 0)
        json_member(writer, "mode", config->mode);
    if (config->max_input_tokens)
        json_member_u64(writer, "context_window", config->max_input_tokens);
    if (config->max_output_tokens)
        json_member_u64(writer, "max_tokens", config->max_output_tokens);
    put_members(writer, info, "prices", "_cost", false);
    put_regions(writer, stream, shown->deployment, info);
    put_members(writer, info, "capabilities", "supports_", true);
    json_end(writer);
}

static void
put_anthropic(struct json_writer *writer, const struct shown *shown)
{
    const struct config_deployment *config = shown->deployment->config;
    json_object(writer);
    json_member(writer, "id", shown->id);
    json_member_text(writer, "type", "model");
    json_member(writer, "display_name", shown->id);
    json_member_text(writer, "created_at", "2026-01-01T00:00:00Z");
    if (config->max_input_tokens)
        json_member_u64(writer, "max_input_tokens", config->max_input_tokens);
    if (config->max_output_tokens)
        json_member_u64(writer, "max_tokens", config->max_output_tokens);
    json_end(writer);
}

static void
put_gemini(struct json_writer *writer, struct stream *stream, const struct shown *shown)
{
    const struct config_deployment *config = shown->deployment->config;
    bool embeds = slice_is(config->mode, "embedding");
    struct slice name = arena_printf(&stream->request, "models/%.*s", SLICE_ARG(shown->id));
    json_object(writer);
    json_member(writer, "name", slice_present(name) ? name : shown->id);
    json_member_text(writer, "version", "001");
    json_member(writer, "displayName", shown->id);
    if (config->max_input_tokens)
        json_member_u64(writer, "inputTokenLimit", config->max_input_tokens);
    if (config->max_output_tokens)
        json_member_u64(writer, "outputTokenLimit", config->max_output_tokens);
    json_name(writer, "supportedGenerationMethods");
    json_put_raw(writer, embeds ? SLICE_LIT("[\"embedContent\",\"batchEmbedContents\"]")
                                : SLICE_LIT("[\"generateContent\",\"streamGenerateContent\",\"countTokens\"]"));
    json_end(writer);
}

static void
put_one(struct json_writer *writer, struct stream *stream, enum shape shape, const struct shown *shown)
{
    if (shape == SHAPE_GEMINI)
        put_gemini(writer, stream, shown);
    else if (shape == SHAPE_ANTHROPIC)
        put_anthropic(writer, shown);
    else
        put_openai(writer, stream, shown);
}

/* ---------------------------------------------------------------- pages */

static bool
number_in(struct stream *stream, const char *name, uint64_t most, uint64_t *out)
{
    struct slice text = endpoint_query(stream->head->query, name, &stream->request);
    uint64_t value;
    if (text.len == 0)
        return true;
    if (!text_u64(text, &value))
        return false;
    *out = value < most ? value : most;
    return true;
}

static int
refuse(struct canon_fault *fault, const char *param)
{
    *fault = (struct canon_fault){SLICE_LIT("no such page of the list of models"), slice_from(param)};
    return -ERR_REQUEST;
}

/* Where in the list is this id? The count when it is not in it. */
static uint32_t
place_of(const struct page *page, struct slice id)
{
    uint32_t at = 0;
    while (at < page->count && !slice_eq(page->models[at].id, id))
        at++;
    return at;
}

static int
turn_page(struct stream *stream, enum shape shape, struct page *page, struct canon_fault *fault)
{
    uint64_t from = 0, most = shape == SHAPE_GEMINI ? GOOGLE_PAGE : UINT32_MAX;
    page->from = 0;
    page->to = page->count;
    if (shape == SHAPE_OPENAI)
        return 0;
    if (!number_in(stream, shape == SHAPE_GEMINI ? "pageSize" : "limit", PAGE_MAX, &most))
        return refuse(fault, shape == SHAPE_GEMINI ? "pageSize" : "limit");
    if (most == 0) /* the service's own number */
        most = shape == SHAPE_GEMINI ? GOOGLE_PAGE : UINT32_MAX;
    if (shape == SHAPE_GEMINI && (!number_in(stream, "pageToken", UINT32_MAX, &from) || from > page->count))
        return refuse(fault, "pageToken");
    struct slice after = SLICE_NONE, before = SLICE_NONE;
    if (shape == SHAPE_ANTHROPIC) {
        after = endpoint_query(stream->head->query, "after_id", &stream->request);
        before = endpoint_query(stream->head->query, "before_id", &stream->request);
    }
    if (after.len > 0 && (from = (uint64_t)place_of(page, after) + 1) > page->count)
        return refuse(fault, "after_id");
    if (before.len > 0 && (page->to = place_of(page, before)) == page->count)
        return refuse(fault, "before_id");
    page->from = (uint32_t)from < page->to ? (uint32_t)from : page->to;
    if (page->to - page->from > most) {
        if (before.len > 0 && after.len == 0)
            page->from = page->to - (uint32_t)most;
        else
            page->to = page->from + (uint32_t)most;
    }
    return 0;
}

static void
put_id(struct json_writer *writer, const char *name, const struct shown *shown)
{
    if (shown)
        json_member(writer, name, shown->id);
    else
        json_member_null(writer, name);
}

static void
put_list(struct json_writer *writer, struct stream *stream, enum shape shape, const struct page *page)
{
    bool any = page->to > page->from, more = page->to < page->count;
    json_object(writer);
    if (shape == SHAPE_OPENAI)
        json_member_text(writer, "object", "list");
    json_name(writer, shape == SHAPE_GEMINI ? "models" : "data");
    json_array(writer);
    for (uint32_t i = page->from; i < page->to; i++)
        put_one(writer, stream, shape, &page->models[i]);
    json_end(writer);
    if (shape == SHAPE_ANTHROPIC) {
        bool backwards = slice_present(endpoint_query(stream->head->query, "before_id", &stream->request));
        json_member_bool(writer, "has_more", backwards ? page->from > 0 : more);
        put_id(writer, "first_id", any ? &page->models[page->from] : NULL);
        put_id(writer, "last_id", any ? &page->models[page->to - 1] : NULL);
    }
    if (shape == SHAPE_GEMINI && more) {
        struct slice token = arena_printf(&stream->request, "%u", page->to);
        json_member(writer, "nextPageToken", token);
    }
    json_end(writer);
}

int
models_put(struct stream *stream, struct canon_fault *fault)
{
    struct json_writer writer;
    struct page page = {0};
    bool anthropic = slice_present(http_field(stream->head, "anthropic-version")) ||
                     text_find(stream->head->query, SLICE_LIT("limit=")) >= 0;
    enum shape shape = stream->dialect->id == DIALECT_GEMINI ? SHAPE_GEMINI : anthropic ? SHAPE_ANTHROPIC : SHAPE_OPENAI;
    page.models = collect(stream, &page.count);
    if (!page.models)
        return -ERR_MEMORY;
    json_writer_init(&writer, &stream->collected);
    if (stream->endpoint == ENDPOINT_MODEL) {
        uint32_t at = place_of(&page, stream->path_model);
        if (at == page.count)
            return -ERR_MODEL;
        put_one(&writer, stream, shape, &page.models[at]);
        return 0;
    }
    int error = turn_page(stream, shape, &page, fault);
    if (error == 0)
        put_list(&writer, stream, shape, &page);
    return error;
}
