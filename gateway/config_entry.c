/* SPDX-License-Identifier: MIT
 *
 * config_entry.c - one entry, from the file or discovered, into a deployment: which provider, which
 * address and key, which habits, which headers, and whether the whole makes sense.
 */
#include "gateway/config_internal.h"

#include "base/json.h"
#include "base/text.h"

#include <stdio.h>
#include <unistd.h>

#define DEFAULTS_BYTES_MAX (256u << 10)

/* ---- provider ---- */

void
config_entry_problem(struct config_loader *loader, bool warning, const struct config_entry *entry,
                     const char *key, const char *text, struct slice detail)
{
    const struct config_node *node = entry->node;
    const struct config_node *params = config_child(node, "litellm_params");
    if (config_child(params, key) != NULL)
        node = config_child(params, key);
    else if (config_child(node, key) != NULL)
        node = config_child(node, key);
    if (node != NULL)
        config_problem_at(loader, warning, node, false, "%s%.*s", text, SLICE_ARG(detail));
    else
        config_problem_plain(loader, warning, entry->deployment.model_name, "%s: %s%.*s", key, text,
                             SLICE_ARG(detail));
}

/* An unknown word where the provider stands: OpenAI-compatible with an address, else refused. */
static const struct config_provider *
unknown_provider(struct config_loader *loader, struct config_entry *entry, struct slice name,
                 const char *key)
{
    const char *why = config_provider_refused(name);
    if (why != NULL) {
        config_entry_problem(loader, true, entry, key, why, SLICE_LIT("; this model is left out"));
        return NULL;
    }
    if (entry->api_base.len > 0) {
        entry->deployment.model = entry->model;
        return config_provider_find(SLICE_LIT("openai_like"));
    }
    struct slice best = config_provider_nearest(name);
    struct slice detail = arena_printf(loader->report, "\"%.*s\"%s%.*s%s", SLICE_ARG(name),
                                       slice_present(best) ? "; did you mean \"" : "",
                                       SLICE_ARG(best), slice_present(best) ? "\"?" : "");
    config_entry_problem(loader, false, entry, key,
                         "no api_base, and no provider of this name is known: ", detail);
    return NULL;
}

static const struct config_provider *
resolve_provider(struct config_loader *loader, struct config_entry *entry)
{
    const struct config_provider *provider;
    struct slice rest = entry->model;
    struct slice head = text_split(&rest, '/');
    if (entry->custom_provider.len > 0) {
        provider = config_provider_find(entry->custom_provider);
        if (provider == NULL)
            return unknown_provider(loader, entry, entry->custom_provider, "custom_llm_provider");
        bool repeated = slice_present(rest) && slice_eq(head, entry->custom_provider);
        entry->deployment.model = repeated ? rest : entry->model;
        return provider;
    }
    if (slice_present(rest)) { /* provider/model-with/slashes: the first slash only (R145) */
        provider = config_provider_find(head);
        if (provider == NULL)
            return unknown_provider(loader, entry, head, "model");
        entry->deployment.model = rest;
        return provider;
    }
    provider = entry->api_base.len == 0 ? config_provider_guess(entry->model) : NULL;
    if (provider == NULL)
        return unknown_provider(loader, entry, entry->model, "model");
    entry->deployment.model = entry->model;
    return provider;
}

/* Does the address lead back to this very gateway? Clients set the same variables to reach us. */
static bool
is_self(const struct config_loader *loader, const struct config_deployment *deployment)
{
    return config_is_loopback(deployment->host) && deployment->port == loader->config->port;
}

static bool
resolve_address(struct config_loader *loader, struct config_entry *entry,
                const struct config_provider *provider)
{
    struct config_target target = {entry, &entry->sources};
    struct config_deployment *deployment = &entry->deployment;
    struct arena *arena = &loader->config->arena;
    struct slice name = SLICE_NONE;
    if (entry->api_base.len == 0) {
        struct slice base = config_first_variable(loader, provider->base_variables, &name);
        struct config_deployment trial = {0};
        if (base.len > 0 && config_url(&loader->scratch, base, &trial) == NULL &&
            is_self(loader, &trial)) {
            config_problem_plain(loader, true, name,
                                 "leads back to this gateway: not used for upstreams");
            base = SLICE_NONE;
        }
        struct config_origin origin = {.kind = base.len > 0 ? SOURCE_ENVIRONMENT : SOURCE_PROVIDER,
                                       .name = base.len > 0 ? name : slice_from(provider->name)};
        name = base.len > 0 ? name : SLICE_NONE;
        entry->api_base = base.len > 0 ? arena_copy(arena, base) : slice_from(provider->base);
        if (entry->api_base.len > 0)
            config_source_set(loader, &target, offsetof(struct config_entry, api_base), &origin,
                              SLICE_NONE);
    }
    if (entry->api_base.len == 0) {
        config_entry_problem(loader, false, entry, "model", "api_base is needed for provider ",
                             deployment->provider);
        return false;
    }
    const char *why = config_url(arena, entry->api_base, deployment);
    if (why != NULL) {
        if (slice_present(name))
            config_problem_plain(loader, false, name, "%s", why);
        else
            config_entry_problem(loader, false, entry, "api_base", why, SLICE_NONE);
        return false;
    }
    config_base_path(arena, (provider->flags & PROVIDER_VERSION) != 0, deployment);
    return true;
}

/* Is this the provider's own host? Its key and its habits belong there. */
static bool
is_own_host(const struct config_provider *provider, const struct config_deployment *deployment)
{
    struct slice base = slice_from(provider->base);
    ptrdiff_t at = slice_present(base) ? text_find(base, SLICE_LIT("://")) : -1;
    if (at < 0 || deployment->tls != slice_starts(base, SLICE_LIT("https")))
        return false; /* in the clear it may be anybody */
    struct slice host = slice_skip(base, (size_t)at + 3);
    host = text_split(&host, '/');
    return slice_eq(host, deployment->host) ||
           ((provider->flags & PROVIDER_OFFICIAL) &&
            slice_ends(deployment->host, SLICE_LIT(".openai.com")));
}

static bool
resolve_key(struct config_loader *loader, struct config_entry *entry,
            const struct config_provider *provider)
{
    struct config_target target = {entry, &entry->sources};
    struct config_deployment *deployment = &entry->deployment;
    const struct config_source *base =
        config_source_find(entry->sources, offsetof(struct config_entry, api_base));
    size_t key_offset = offsetof(struct config_entry, deployment.api_key);
    /* A provider's key from the environment goes to an address from the file only if that is the
     * provider's own, or the provider has none of its own. */
    bool trusted = base == NULL || base->kind != SOURCE_FILE || is_own_host(provider, deployment) ||
                   (provider->flags & PROVIDER_KEYLESS) ||
                   ((provider->flags & PROVIDER_AZURE) && deployment->tls &&
                    slice_ends(deployment->host, SLICE_LIT(".azure.com")));
    if (config_source_find(entry->sources, key_offset) == NULL && trusted) {
        struct config_origin origin = {.kind = SOURCE_ENVIRONMENT};
        struct slice key = config_first_variable(loader, provider->key_variables, &origin.name);
        if (key.len > 0) {
            deployment->api_key = arena_copy(&loader->config->arena, key);
            config_source_set(loader, &target, key_offset, &origin, SLICE_NONE);
            if (slice_is(origin.name, "ANTHROPIC_AUTH_TOKEN") || slice_ends(origin.name, SLICE_LIT("_AD_TOKEN")))
                deployment->bearer = true;
        }
    }
    if (deployment->api_key.len == 0) {
        deployment->api_key = SLICE_NONE;
        if (!(provider->flags & (PROVIDER_KEYLESS | PROVIDER_VERTEX)) && is_own_host(provider, deployment)) {
            struct slice names = slice_from(provider->key_variables);
            config_entry_problem(loader, true, entry, "model",
                                 "no api_key here and none in the environment as ",
                                 text_split(&names, ' '));
        }
        return true;
    }
    for (size_t i = 0; i < deployment->api_key.len; i++)
        if (deployment->api_key.ptr[i] <= ' ' || deployment->api_key.ptr[i] > '~') {
            config_entry_problem(loader, false, entry, "api_key",
                                 "holds a character that cannot stand in a header", SLICE_NONE);
            return false;
        }
    if (slice_starts(deployment->api_key, SLICE_LIT("sk-ant-oat"))) /* a sign-in token */
        deployment->bearer = true;
    return true;
}

/* ---- habits ---- */

/* Sets a flag that nobody has set, in the provider's name. */
static void
habit(struct config_loader *loader, struct config_entry *entry, size_t offset, bool value)
{
    struct config_target target = {entry, &entry->sources};
    struct config_origin origin = {.kind = SOURCE_PROVIDER, .name = entry->deployment.provider};
    if (config_source_find(entry->sources, offset) != NULL)
        return;
    memcpy((char *)entry + offset, &value, sizeof(value));
    if (value)
        config_source_set(loader, &target, offset, &origin, SLICE_NONE);
}

#define HABIT(member, value)                                                                       \
    habit(loader, entry, offsetof(struct config_entry, deployment.member), (value))

/* OpenAI's older models refuse reasoning_effort. */
static bool
openai_reasons(struct slice model)
{
    if (slice_starts(model, SLICE_LIT("gpt-5")) || slice_starts(model, SLICE_LIT("codex")))
        return true;
    return model.len >= 2 && model.ptr[0] == 'o' &&
           (model.ptr[1] == '*' || (model.ptr[1] >= '0' && model.ptr[1] <= '9'));
}

/* Flags that only say what they say. */
static const struct {
    unsigned flag;
    size_t offset;
} more[] = {
#define MORE(flag, member) {flag, offsetof(struct config_entry, deployment.member)}
    MORE(PROVIDER_KEEPS_STATE, keeps_state),
    MORE(PROVIDER_FORCED_CHOICE, forced_choice),
    MORE(PROVIDER_THINKING_LEVEL, thinking_level),
    MORE(PROVIDER_JSON_SCHEMA, json_schema),
    MORE(PROVIDER_RESULT_MEDIA, result_media),
    MORE(PROVIDER_STRIP_TOOL_FIELDS, strip_tool_fields),
    MORE(PROVIDER_SYSTEM_PARTS, system_parts),
#undef MORE
};

/* The same for a choice: all of them are enums, which are ints here. */
static void
choose(struct config_loader *loader, struct config_entry *entry, size_t offset, int value)
{
    struct config_target target = {entry, &entry->sources};
    struct config_origin origin = {.kind = SOURCE_PROVIDER, .name = entry->deployment.provider};
    _Static_assert(sizeof(enum config_auth) == sizeof(int), "enums are ints");
    if (config_source_find(entry->sources, offset) != NULL)
        return;
    memcpy((char *)entry + offset, &value, sizeof(value));
    config_source_set(loader, &target, offset, &origin, SLICE_NONE);
}

static void
apply_habits(struct config_loader *loader, struct config_entry *entry,
             const struct config_provider *provider)
{
    struct config_target target = {entry, &entry->sources};
    struct config_deployment *deployment = &entry->deployment;
    unsigned flags = provider->flags;
    enum config_effort_style effort = provider->effort;
    bool anthropic = deployment->dialect == CONFIG_ANTHROPIC;
    for (size_t i = 0; i < config_model_habit_count; i++) {
        const struct config_model_habit *row = &config_model_habits[i];
        if (config_model_habit_fits(row, deployment->provider, deployment->model))
            flags |= row->flags;
    }
    if (flags & PROVIDER_AZURE)
        effort = openai_reasons(deployment->model) ? EFFORT_REASONING_EFFORT : EFFORT_NONE;
    if (flags & PROVIDER_OFFICIAL) {
        bool own = is_own_host(provider, deployment);
        if (!own)
            flags &= ~(PROVIDER_COMPLETION_TOKENS | PROVIDER_DEVELOPER | PROVIDER_KEEPS_STATE);
        if (!own || !openai_reasons(deployment->model))
            effort = EFFORT_NONE;
    }
    HABIT(bearer, deployment->bearer);
    HABIT(max_completion_tokens, (flags & PROVIDER_COMPLETION_TOKENS) != 0);
    HABIT(developer_role, (flags & PROVIDER_DEVELOPER) != 0);
    HABIT(replay_reasoning, (flags & PROVIDER_REPLAY) != 0);
    HABIT(top_k, (flags & PROVIDER_TOP_K) != 0);
    HABIT(think_tags, (flags & PROVIDER_THINK_TAGS) != 0);
    HABIT(strict_turns, anthropic || (flags & PROVIDER_STRICT) != 0);
    HABIT(placeholder_signature, !anthropic);
    HABIT(usage_in_stream, (flags & PROVIDER_NO_USAGE_OPTION) == 0);
    HABIT(url_media, (flags & PROVIDER_NO_URL_MEDIA) == 0);
    for (size_t i = 0; i < countof(more); i++)
        habit(loader, entry, more[i].offset, (flags & more[i].flag) != 0);
    if (flags & PROVIDER_IDS_NINE)
        choose(loader, entry, offsetof(struct config_entry, deployment.ids), CONFIG_IDS_NINE);
    bool azure = (flags & PROVIDER_AZURE) && !slice_ends(deployment->base_path, SLICE_LIT("/openai/v1"));
    if (flags & PROVIDER_AZURE) /* the newer addresses are OpenAI's own, below /openai/v1 */
        choose(loader, entry, offsetof(struct config_entry, deployment.auth), CONFIG_AUTH_API_KEY);
    if (azure || (flags & PROVIDER_VERTEX))
        choose(loader, entry, offsetof(struct config_entry, deployment.surface), azure ? CONFIG_AZURE : CONFIG_VERTEX);
    if (flags & PROVIDER_VERTEX)
        choose(loader, entry, offsetof(struct config_entry, deployment.auth), CONFIG_AUTH_BEARER);
    if (azure)
        CONFIG_FILL(api_version, "AZURE_API_VERSION OPENAI_API_VERSION", SLICE_LIT("2024-10-21"));
    size_t offset = offsetof(struct config_entry, deployment.effort);
    if (config_source_find(entry->sources, offset) == NULL && effort != EFFORT_NONE) {
        struct config_origin origin = {.kind = SOURCE_PROVIDER, .name = deployment->provider};
        deployment->effort = effort;
        config_source_set(loader, &target, offset, &origin, SLICE_NONE);
    }
}

/* ---- headers, pin, defaults ---- */

static bool
header_fits(struct slice name, struct slice value)
{
    static const char token[] = "!#$%&'*+-.^_`|~";
    if (name.len == 0)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char lower = text_lower(name.ptr[i]);
        if (!(lower >= 'a' && lower <= 'z') && !(lower >= '0' && lower <= '9') &&
            strchr(token, lower) == NULL)
            return false;
    }
    for (size_t i = 0; i < value.len; i++)
        if (((unsigned char)value.ptr[i] < ' ' && value.ptr[i] != '\t') || value.ptr[i] == 0x7f)
            return false;
    return true;
}

static bool
header_is_ours(struct slice name)
{
    static const char *const ours[] = {"host",         "content-length", "transfer-encoding",
                                       "connection",   "keep-alive",     "upgrade",
                                       "te",           "trailer",        "expect",
                                       "content-type", "accept-encoding"};
    for (size_t i = 0; i < countof(ours); i++)
        if (text_caseless_is(name, ours[i]))
            return true;
    return false;
}

static bool
add_headers(struct config_loader *loader, struct config_entry *entry, const struct config_node *map)
{
    struct config_deployment *deployment = &entry->deployment;
    for (const struct config_node *child = map != NULL ? map->child : NULL; child != NULL;
         child = child->next) {
        struct slice value, from;
        if (!config_scalar(loader, child, &value, &from))
            return false;
        if (!header_fits(child->key, value) || header_is_ours(child->key)) {
            config_problem_at(loader, false, child, true,
                              header_is_ours(child->key) ? "this header is penstock's own business"
                                                         : "not a header that can be sent");
            return false;
        }
        struct slice *at = &deployment->headers[deployment->header_count * 2];
        at[0] = arena_copy(&loader->config->arena, child->key);
        at[1] = arena_copy(&loader->config->arena, value);
        deployment->header_count++;
    }
    return true;
}

static uint32_t
child_count(const struct config_node *map)
{
    return map != NULL && map->last != NULL ? map->last->index + 1 : 0;
}

static bool
build_headers(struct config_loader *loader, struct config_entry *entry)
{
    struct config_deployment *deployment = &entry->deployment;
    uint32_t room = child_count(entry->headers) + child_count(entry->extra_headers) + 1;
    deployment->headers = arena_take(&loader->config->arena, room * 2 * sizeof(struct slice));
    if (deployment->headers == NULL) {
        config_problem_plain(loader, false, loader->path, "out of memory");
        return false;
    }
    if (entry->organization.len > 0) {
        if (!header_fits(SLICE_LIT("a"), entry->organization)) {
            config_entry_problem(loader, false, entry, "organization", "cannot stand in a header",
                                 SLICE_NONE);
            return false;
        }
        deployment->headers[0] = SLICE_LIT("OpenAI-Organization");
        deployment->headers[1] = entry->organization;
        deployment->header_count = 1;
    }
    return add_headers(loader, entry, entry->headers) &&
           add_headers(loader, entry, entry->extra_headers) &&
           header_fits(SLICE_LIT("host"), deployment->host_header);
}

static bool
decode_pin(struct config_loader *loader, struct config_entry *entry)
{
    static const struct slice prefix = SLICE_LIT("sha256/");
    if (entry->pin.len == 0)
        return true;
    struct sink bytes;
    sink_init(&bytes, 256);
    bool good = slice_starts(entry->pin, prefix) &&
                text_base64_decode(slice_skip(entry->pin, prefix.len), &bytes) && bytes.len == 32;
    if (good)
        entry->deployment.spki_pin = arena_copy(&loader->config->arena, sink_slice(&bytes));
    else
        config_entry_problem(loader, false, entry, "penstock",
                             "spki_pin must be sha256/ and the base64 of 32 bytes", SLICE_NONE);
    sink_fini(&bytes);
    return good;
}

static bool
build_defaults(struct config_loader *loader, struct config_entry *entry)
{
    if (entry->param_count == 0)
        return true;
    struct sink json;
    sink_init(&json, DEFAULTS_BYTES_MAX);
    bool good = true;
    for (uint32_t i = 0; i < entry->param_count && good; i++) {
        sink_byte(&json, i == 0 ? '{' : ',');
        config_quote(&json, entry->params[i]->key);
        sink_byte(&json, ':');
        good = config_node_json(loader, entry->params[i], &json);
    }
    sink_byte(&json, '}');
    struct json_scan scan;
    if (good && (json.error != 0 || json_scan(sink_slice(&json), 64, &scan) != 0)) {
        config_problem_at(loader, false, entry->params[0], false,
                          "these request defaults do not make a JSON object");
        good = false;
    }
    entry->deployment.default_params = arena_copy(&loader->config->arena, sink_slice(&json));
    sink_fini(&json);
    return good;
}

/* ---- the whole entry ---- */

static bool
check_wildcards(struct config_loader *loader, const struct config_entry *entry)
{
    struct slice name = entry->deployment.model_name, model = entry->deployment.model;
    uint32_t in_name = 0, in_model = 0;
    bool odd = model.len == 0;
    for (size_t i = 0; i < name.len; i++) {
        in_name += name.ptr[i] == '*';
        odd = odd || (unsigned char)name.ptr[i] < ' ' || name.ptr[i] == 0x7f;
    }
    for (size_t i = 0; i < model.len; i++)
        in_model += model.ptr[i] == '*';
    if (odd)
        config_entry_problem(loader, false, entry, "model", "not a name of a model", SLICE_NONE);
    else if (in_name > 1 || in_model > 1)
        config_entry_problem(loader, false, entry, in_name > 1 ? "model_name" : "model",
                             "at most one \"*\" is possible", SLICE_NONE);
    else if (in_model > in_name)
        config_entry_problem(loader, false, entry, "model", "\"*\" needs one in model_name too",
                             SLICE_NONE);
    else
        return true;
    return false;
}

/* Other kinds of models are left out rather than answered wrongly. */
static bool
mode_served(struct config_loader *loader, const struct config_entry *entry)
{
    static const char *const served[] = {"chat", "responses", "completion", "embedding", "image_generation",
                                         "video_generation", "audio_speech", "audio_transcription", "rerank",
                                         "moderation"};
    for (size_t i = 0; i < countof(served); i++)
        if (entry->mode.len == 0 || slice_is(entry->mode, served[i]))
            return true;
    config_entry_problem(loader, true, entry, "model",
                         "penstock does not serve models of this kind; this one is left out, its mode is ",
                         entry->mode);
    return false;
}

/* What is known about a model besides, for its entry in the model lists (R35); prices may stand in either map. */
static bool
keep_info(struct config_loader *loader, struct config_entry *entry)
{
    static const char *const prices[] = {"input_cost_per_token", "output_cost_per_token"};
    const struct config_node *info = config_child(entry->node, "model_info");
    const struct config_node *params = config_child(entry->node, "litellm_params");
    struct sink json;
    sink_init(&json, DEFAULTS_BYTES_MAX);
    bool good = true, any = false;
    for (const struct config_node *child = info != NULL ? info->child : NULL; child != NULL && good; child = child->next) {
        if (config_node_is_null(child))
            continue;
        sink_byte(&json, any ? ',' : '{');
        config_quote(&json, child->key);
        sink_byte(&json, ':');
        good = config_node_json(loader, child, &json);
        any = true;
    }
    for (size_t i = 0; i < countof(prices) && good; i++) {
        const struct config_node *price = config_child(params, prices[i]);
        if (price == NULL || config_node_is_null(price) || config_child(info, prices[i]) != NULL)
            continue;
        sink_printf(&json, "%c\"%s\":", any ? ',' : '{', prices[i]);
        good = config_node_json(loader, price, &json);
        any = true;
    }
    sink_byte(&json, '}');
    if (good && any && json.error == 0)
        entry->deployment.info = arena_copy(&loader->config->arena, sink_slice(&json));
    sink_fini(&json);
    return good;
}

/* "openai/responses/gpt-5", and models that are always spoken to in another dialect than their provider's others. */
static void
resolve_dialect(struct config_loader *loader, struct config_entry *entry, const struct config_provider *provider)
{
    static const struct slice prefix = SLICE_LIT("responses/");
    struct config_deployment *deployment = &entry->deployment;
    int dialect = provider->dialect;
    if (dialect == CONFIG_OPENAI_CHAT && slice_starts(deployment->model, prefix)) {
        deployment->model = slice_skip(deployment->model, prefix.len);
        dialect = CONFIG_OPENAI_RESPONSES;
    }
    if (slice_is(entry->mode, "responses") && dialect == CONFIG_OPENAI_CHAT)
        dialect = CONFIG_OPENAI_RESPONSES;
    for (size_t i = 0; i < config_model_habit_count; i++) {
        const struct config_model_habit *row = &config_model_habits[i];
        if (row->dialect >= 0 && config_model_habit_fits(row, deployment->provider, deployment->model))
            dialect = row->dialect;
    }
    choose(loader, entry, offsetof(struct config_entry, deployment.dialect), dialect);
}

bool
config_entry_finish(struct config_loader *loader, struct config_entry *entry)
{
    struct config_deployment *deployment = &entry->deployment;
    uint32_t errors = loader->errors;
    config_entry_overrides(loader, entry);
    if (loader->errors != errors || !mode_served(loader, entry))
        return false;
    const struct config_provider *provider = resolve_provider(loader, entry);
    if (provider == NULL)
        return false;
    deployment->provider = slice_from(provider->name);
    deployment->mode = entry->mode;
    resolve_dialect(loader, entry, provider);
    if (entry->entra_token.len > 0) {
        deployment->api_key = entry->entra_token;
        deployment->bearer = true;
    }
    if ((provider->flags & PROVIDER_VERTEX) && !config_google_resolve(loader, entry))
        return false;
    if (slice_is(deployment->provider, "fireworks_ai") &&
        memchr(deployment->model.ptr, '/', deployment->model.len) == NULL &&
        memchr(deployment->model.ptr, '*', deployment->model.len) == NULL)
        deployment->model = arena_printf(&loader->config->arena, "accounts/fireworks/models/%.*s",
                                         SLICE_ARG(deployment->model));
    if (!check_wildcards(loader, entry) || !resolve_address(loader, entry, provider) ||
        !resolve_key(loader, entry, provider))
        return false;
    if (!config_google_may_see(deployment)) {
        config_entry_problem(loader, false, entry, "api_base",
                             "Google's access tokens are sent to hosts of googleapis.com only", SLICE_NONE);
        return false;
    }
    apply_habits(loader, entry, provider);
    if (deployment->max_output_tokens == 0)
        deployment->max_output_tokens = entry->max_tokens;
    deployment->shape.max_output_tokens = deployment->max_output_tokens;
    if (deployment->shape.context_tokens == 0)
        deployment->shape.context_tokens = deployment->max_input_tokens;
    if (deployment->timeouts.request_ms > 0 &&
        deployment->timeouts.first_byte_ms > deployment->timeouts.request_ms)
        config_entry_problem(loader, true, entry, "stream_timeout", "is longer than timeout",
                             SLICE_NONE);
    return build_headers(loader, entry) && decode_pin(loader, entry) &&
           build_defaults(loader, entry) && keep_info(loader, entry);
}
