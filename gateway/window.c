/* SPDX-License-Identifier: MIT
 *
 * window.c - context windows that servers tell of; see window.h.
 */
#include "gateway/window.h"
#include "base/log.h"
#include "gateway/fetch.h"
#include "gateway/route.h"
#include "gateway/worker.h"
#include "http/http.h"

#include <stdlib.h>

#define WINDOW_FETCH_MS 5000u
#define WINDOW_AGAIN_MS 60000u /* servers load and unload models */
#define WINDOW_REPLY_MAX (4u << 20)
#define WINDOW_TOKENS_MAX 400000u
#define WINDOW_MEMORY_MAX (32u << 20)

struct windows {
    struct windows *older; /* may still be looked at; freed with the generation */
    uint32_t count;
    struct row {
        uint64_t name, tokens; /* name: its hash */
    } rows[]; /* sorted: servers list the same models in one order now and in another then */
};

/* A question in the air, on its worker. */
struct question {
    struct worker *worker;
    struct generation *generation;
    struct deployment *deployment;
    bool second; /* the first list was of no use */
};

/* ---------------------------------------------------------------- lists */

/* What a model is loaded with comes before what it could do; members are those of LM Studio, vLLM, OpenRouter and Together, Groq,
 * Mistral, Anthropic, Gemini. */
static uint64_t
tokens_of(struct json model)
{
    static const char *const names[] = {"loaded_context_length", "max_model_len", "context_length", "context_window",
                                        "max_context_length", "max_input_tokens", "inputTokenLimit"};
    uint64_t tokens = 0;
    for (size_t i = 0; i < countof(names) && tokens == 0; i++)
        tokens = json_u64_or(json_get(model, names[i]), 0);
    return tokens > 0 ? tokens : json_u64_or(json_get(json_get(model, "meta"), "n_ctx"), 0); /* llama.cpp */
}

static int
compare_rows(const void *one, const void *other)
{
    const struct row *a = one, *b = other;
    return a->name != b->name ? (a->name > b->name) - (a->name < b->name) : (a->tokens > b->tokens) - (a->tokens < b->tokens);
}

/* Of a model that is named twice the smaller window counts. NULL: nothing is left. */
static struct windows *
sort_rows(struct windows *windows)
{
    uint32_t kept = 0;
    if (windows->count > 0)
        qsort(windows->rows, windows->count, sizeof windows->rows[0], compare_rows);
    for (uint32_t i = 0; i < windows->count; i++)
        if (kept == 0 || windows->rows[i].name != windows->rows[kept - 1].name)
            windows->rows[kept++] = windows->rows[i];
    windows->count = kept;
    struct windows *less = kept > 0 ? realloc(windows, sizeof *windows + kept * sizeof windows->rows[0]) : NULL;
    if (!less && kept == 0)
        free(windows);
    return less || kept == 0 ? less : windows;
}

struct windows *
window_read(struct slice body)
{
    static const struct slice prefix = SLICE_LIT("models/");
    struct arena arena;
    struct json root;
    struct windows *windows = NULL;
    arena_init(&arena, WINDOW_MEMORY_MAX);
    if (json_parse(body, 32, WINDOW_TOKENS_MAX, &arena, &root) == 0) {
        struct json list = json_get(root, json_present(json_get(root, "data")) ? "data" : "models");
        uint32_t count = json_type(list) == JSON_ARRAY ? json_count(list) : 0;
        windows = count > 0 ? calloc(1, sizeof *windows + count * sizeof windows->rows[0]) : NULL;
        for (struct json at = windows ? json_first(list) : JSON_NONE; json_present(at); at = json_next(at)) {
            struct slice name = json_string(json_get(at, "id"), &arena);
            if (!slice_present(name))
                name = json_string(json_get(at, "name"), &arena);
            uint64_t tokens = tokens_of(at);
            if (name.len == 0 || tokens == 0)
                continue;
            windows->rows[windows->count].name = canon_hash(slice_starts(name, prefix) ? slice_skip(name, prefix.len) : name);
            windows->rows[windows->count++].tokens = tokens;
        }
    }
    arena_fini(&arena);
    return windows ? sort_rows(windows) : NULL;
}

uint64_t
window_in(const struct windows *windows, struct slice model)
{
    uint64_t name = canon_hash(model);
    uint32_t low = 0, high = windows ? windows->count : 0;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (windows->rows[middle].name == name)
            return windows->rows[middle].tokens;
        if (windows->rows[middle].name < name)
            low = middle + 1;
        else
            high = middle;
    }
    return 0;
}

uint64_t
window_of(const struct deployment *deployment, struct slice model)
{
    return window_in(atomic_load_explicit(&deployment->windows, memory_order_acquire), model);
}

bool
window_same(const struct windows *a, const struct windows *b)
{
    return a && b && a->count == b->count && memcmp(a->rows, b->rows, a->count * sizeof a->rows[0]) == 0;
}

/* Readers on other workers may hold the one before. */
static void
publish(struct deployment *deployment, struct windows *windows)
{
    struct windows *old = atomic_load_explicit(&deployment->windows, memory_order_acquire);
    if (window_same(old, windows)) {
        free(windows);
        return;
    }
    windows->older = old;
    atomic_store_explicit(&deployment->windows, windows, memory_order_release);
}

void
window_inherit(struct deployment *deployment, const struct deployment *old)
{
    const struct windows *known = atomic_load_explicit(&old->windows, memory_order_acquire);
    size_t bytes = known ? sizeof *known + known->count * sizeof known->rows[0] : 0;
    struct windows *copy = known ? malloc(bytes) : NULL;
    if (!copy)
        return;
    memcpy(copy, known, bytes);
    copy->older = NULL;
    publish(deployment, copy);
}

void
window_free(struct deployment *deployment)
{
    struct windows *windows = atomic_load_explicit(&deployment->windows, memory_order_acquire);
    while (windows) {
        struct windows *older = windows->older;
        free(windows);
        windows = older;
    }
}

/* ---------------------------------------------------------------- asking */

static fetch_done answered;

static int
ask(struct question *question)
{
    const struct deployment *deployment = question->deployment;
    const struct config_deployment *config = deployment->config;
    struct dialect_field fields[4];
    struct arena arena;
    struct sink url, head;
    struct fetch *fetch;
    arena_init(&arena, 65536);
    sink_init(&url, 8192);
    sink_init(&head, 65536);
    bool six = memchr(config->host.ptr, ':', config->host.len) != NULL;
    sink_printf(&url, "%s://%s%.*s%s:%u%.*s%s", config->tls ? "https" : "http", six ? "[" : "", SLICE_ARG(config->host), six ? "]" : "",
                (unsigned)config->port, SLICE_ARG(question->second ? config->base_path : SLICE_NONE),
                question->second ? "/models" : "/api/v0/models");
    int count = deployment->dialect->fields(&deployment->upstream, &arena, fields);
    for (int i = 0; i < count; i++)
        http_put_field(&head, fields[i].name, fields[i].value);
    struct fetch_request request = {
        .method = "GET", .url = sink_slice(&url), .fields = sink_slice(&head), .reply_max = WINDOW_REPLY_MAX, .timeout_ms = WINDOW_FETCH_MS,
        .trust = deployment->trust ? deployment->trust : question->generation->trust,
    };
    int error = url.error || head.error ? -ERR_MEMORY : fetch_start(question->worker, &request, answered, question, &fetch);
    if (head.len > 0)
        explicit_bzero(head.ptr, head.len);
    sink_fini(&head);
    sink_fini(&url);
    arena_fini(&arena);
    return error;
}

static void
settle(struct question *question)
{
    generation_drop(question->generation);
    free(question);
}

static void
answered(void *user, const struct fetch_reply *reply)
{
    struct question *question = user;
    struct deployment *deployment = question->deployment;
    struct windows *windows = reply->error == 0 && reply->status == 200 ? window_read(reply->body) : NULL;
    if (windows) {
        publish(deployment, windows);
    } else if (!question->second && reply->error != -ERR_DRAINING) {
        question->second = true;
        if (ask(question) == 0)
            return;
    } else if (log_on(LOG_DEBUG1)) {
        log_say(LOG_DEBUG1, "no context window is known", "upstream=%.*s status=%d", SLICE_ARG(deployment->config->id), reply->status);
    }
    settle(question);
}

/* A key goes only where connections are checked as requests' are, and expiring tokens are not spent on this. */
static bool
is_wanted(const struct deployment *deployment)
{
    const struct config_deployment *config = deployment->config;
    return config->shape.truncate && config->shape.context_tokens == 0 && !deployment->credential && config->spki_pin.len == 0 &&
           config->tls_server_name.len == 0 && config->surface == CONFIG_PLAIN && !slice_is(config->provider, "demo");
}

void
window_tick(struct worker *worker)
{
    struct generation *generation = worker->generation;
    if (worker->number != 0 || worker->draining)
        return;
    for (uint32_t i = 0; i < generation->count; i++) {
        struct deployment *deployment = &generation->deployments[i];
        if (!is_wanted(deployment) || worker->loop.now_ms < deployment->windows_due_ms)
            continue;
        deployment->windows_due_ms = worker->loop.now_ms + WINDOW_AGAIN_MS;
        struct question *question = calloc(1, sizeof *question);
        if (!question)
            return;
        *question = (struct question){.worker = worker, .generation = generation_hold(generation), .deployment = deployment};
        if (ask(question) < 0)
            settle(question);
    }
}
