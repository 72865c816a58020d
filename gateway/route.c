/* SPDX-License-Identifier: MIT
 *
 * route.c - model names to deployments: groups, aliases, wildcards, weights, cooldowns, rates, fallbacks.
 */
#include "gateway/route.h"
#include "base/text.h"
#include "gateway/credential.h"
#include "gateway/discover.h"
#include "gateway/metrics.h"
#include "gateway/names.h"
#include "gateway/route_state.h"
#include "gateway/window.h"

#include <stdio.h>
#include <stdlib.h>

#define ORDER_DOUBTED (UINT64_C(1) << 62)

/* ---------------------------------------------------------------- generations */

static uint64_t
or_global(uint64_t own, uint64_t global)
{
    return own ? own : global;
}

static void
resolve_timeouts(struct config_timeouts *out, const struct config_timeouts *own, const struct config_timeouts *global)
{
    out->request_ms = or_global(own->request_ms, global->request_ms);
    out->connect_ms = or_global(own->connect_ms, global->connect_ms);
    out->first_byte_ms = or_global(own->first_byte_ms, global->first_byte_ms);
    out->idle_ms = or_global(own->idle_ms, global->idle_ms);
    out->keepalive_ms = or_global(own->keepalive_ms, global->keepalive_ms);
    out->drain_ms = or_global(own->drain_ms, global->drain_ms);
    out->commit_ms = or_global(own->commit_ms, global->commit_ms);
}

static void
resolve_upstream(struct dialect_upstream *out, const struct config_deployment *from)
{
    *out = (struct dialect_upstream){
        .api_key = from->api_key,
        .auth = from->bearer ? AUTH_BEARER : (enum dialect_auth)from->auth,
        .surface = (enum dialect_surface)from->surface,
        .api_version = from->api_version,
        .project = from->project,
        .location = from->location,
        .base_path = from->base_path,
        .max_output_tokens = from->max_output_tokens,
        .max_completion_tokens = from->max_completion_tokens,
        .usage_in_stream = from->usage_in_stream,
        .strict_turns = from->strict_turns,
        .extra_fields = from->extra_fields,
        .top_k = from->top_k,
        .developer_role = from->developer_role,
        .replay_reasoning = from->replay_reasoning,
        .effort = (enum dialect_effort)from->effort,
        .ids = (enum dialect_ids)from->ids,
        .forced_choice = from->forced_choice,
        .system_parts = from->system_parts,
        .flat_content = from->flat_content,
        .thinking_level = from->thinking_level,
        .json_schema = from->json_schema,
        .result_media = from->result_media,
        .keeps_state = from->keeps_state,
        .url_media = from->url_media,
        .strip_tool_fields = from->strip_tool_fields,
        .thinking_budget_max = from->thinking_budget_max,
        .safety = from->safety,
        .grounding = (enum dialect_switch)from->grounding,
        .betas = from->betas,
        .default_params = from->default_params,
    };
}

/* Deployments with the same credentials share one, and its token. */
static int
resolve_credential(struct generation *generation, struct deployment *deployment, struct sink *problem)
{
    const struct config_deployment *from = deployment->config;
    if (!from->google)
        return 0;
    for (uint32_t i = 0; i < generation->credential_count; i++) {
        if (credential_is(generation->credentials[i], from->google_credentials, from->google_metadata)) {
            deployment->credential = generation->credentials[i];
            return 0;
        }
    }
    int error = credential_new(from->google_credentials, from->google_metadata, &deployment->credential, problem);
    if (error == 0)
        generation->credentials[generation->credential_count++] = deployment->credential;
    return error;
}

static int
resolve_target(struct generation *generation, struct deployment *deployment, uint16_t demo_port, struct sink *problem)
{
    const struct config_deployment *from = deployment->config;
    bool demo = slice_is(from->provider, "demo");
    deployment->target = (struct conn_target){
        .host = from->host,
        .port = demo ? demo_port : from->port,
        .tls = from->tls,
        .server_name = from->tls_server_name,
        .pin = from->spki_pin,
    };
    char pin[65] = ""; /* whoever asks for a pin must not be given a connection that was opened without it */
    for (size_t i = 0; i < from->spki_pin.len && i < 32; i++)
        snprintf(pin + 2 * i, 3, "%02x", (unsigned char)from->spki_pin.ptr[i]);
    struct slice key = arena_printf(&generation->config->arena, "%.*s:%u/%d/%.*s/%.*s/%s", SLICE_ARG(from->host),
                                    (unsigned)deployment->target.port, from->tls, SLICE_ARG(from->tls_server_name),
                                    SLICE_ARG(from->ca_file), pin);
    if (!slice_present(key))
        return -ERR_MEMORY;
    deployment->target.cache_key = key;
    if (!from->tls)
        return 0;
    if (from->ca_file.len > 0) {
        int error = trust_load(from->ca_file, &deployment->trust, problem);
        if (error < 0)
            return error;
    } else {
        if (!generation->trust) {
            int error = trust_load(generation->config->ca_file, &generation->trust, problem);
            if (error < 0)
                return error;
        }
        deployment->trust = trust_hold(generation->trust);
    }
    deployment->target.trust = deployment->trust;
    return 0;
}

int
generation_new(struct config *config, uint16_t demo_port, struct generation **out, struct sink *problem)
{
    struct generation *generation = calloc(1, sizeof *generation);
    if (!generation) {
        config_drop(config);
        return -ERR_MEMORY;
    }
    generation->references = 1;
    generation->config = config;
    generation->count = config->deployment_count;
    generation->deployments = calloc(config->deployment_count ? config->deployment_count : 1, sizeof *generation->deployments);
    generation->credentials = calloc(config->deployment_count ? config->deployment_count : 1, sizeof *generation->credentials);
    int error = generation->deployments && generation->credentials ? 0 : -ERR_MEMORY;
    for (uint32_t i = 0; error == 0 && i < generation->count; i++) {
        struct deployment *deployment = &generation->deployments[i];
        deployment->config = &config->deployments[i];
        deployment->dialect = dialect_of((enum dialect_id)deployment->config->dialect);
        resolve_timeouts(&deployment->timeouts, &deployment->config->timeouts, &config->timeouts);
        resolve_upstream(&deployment->upstream, deployment->config);
        deployment->label = metrics_label(deployment->config->model_name, deployment->config->provider, deployment->config->id);
        error = resolve_target(generation, deployment, demo_port, problem);
        if (error == 0)
            error = resolve_credential(generation, deployment, problem);
    }
    if (error == 0 && (generation->credential_count > 0 || config->media_fetch) && !generation->trust) /* token endpoints and the world speak TLS */
        error = trust_load(config->ca_file, &generation->trust, problem);
    if (error == 0 && config->tls_certificate.len > 0)
        error = server_key_load(config->tls_certificate, config->tls_key, &generation->server_key, problem);
    if (error < 0) {
        generation_drop(generation);
        return error;
    }
    *out = generation;
    return 0;
}

/* A credential that is in both goes on with the token it has. */
static void
inherit_credentials(struct generation *generation, const struct generation *old)
{
    for (uint32_t i = 0; i < generation->credential_count; i++) {
        struct credential *fresh = generation->credentials[i], *kept = NULL;
        for (uint32_t k = 0; k < old->credential_count && !kept; k++) {
            if (credential_same(old->credentials[k], fresh))
                kept = old->credentials[k];
        }
        if (!kept)
            continue;
        generation->credentials[i] = credential_hold(kept);
        for (uint32_t d = 0; d < generation->count; d++) {
            if (generation->deployments[d].credential == fresh)
                generation->deployments[d].credential = kept;
        }
        credential_drop(fresh);
    }
}

void
generation_inherit(struct generation *generation, const struct generation *old)
{
    inherit_credentials(generation, old);
    for (uint32_t i = 0; i < generation->count; i++) {
        struct deployment *to = &generation->deployments[i];
        const struct deployment *from = NULL;
        for (uint32_t k = 0; k < old->count && !from; k++) {
            if (old->deployments[k].label == to->label && to->label != 0)
                from = &old->deployments[k];
        }
        if (!from)
            continue;
        store(&to->cool_until_ms, load(&from->cool_until_ms));
        store(&to->penalty, load(&from->penalty));
        store(&to->minute, load(&from->minute));
        store(&to->minute_requests, load(&from->minute_requests));
        store(&to->minute_tokens, load(&from->minute_tokens));
        store(&to->minute_failures, load(&from->minute_failures));
        window_inherit(to, from);
    }
}

struct generation *
generation_hold(struct generation *generation)
{
    atomic_fetch_add_explicit(&generation->references, 1, memory_order_relaxed);
    return generation;
}

void
generation_drop(struct generation *generation)
{
    if (atomic_fetch_sub_explicit(&generation->references, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; generation->deployments && i < generation->count; i++) {
        window_free(&generation->deployments[i]);
        if (generation->deployments[i].trust)
            trust_drop(generation->deployments[i].trust);
    }
    if (generation->trust)
        trust_drop(generation->trust);
    if (generation->server_key)
        server_key_drop(generation->server_key);
    for (uint32_t i = 0; generation->credentials && i < generation->credential_count; i++)
        credential_drop(generation->credentials[i]);
    free(generation->credentials);
    free(generation->deployments);
    config_drop(generation->config);
    free(generation);
}

/* ---------------------------------------------------------------- names */

/* "." and ".." between slashes: where a model's name becomes part of a path, such a name leads to another place. */
static bool
has_dots(struct slice name)
{
    while (name.len > 0) {
        struct slice segment = text_split(&name, '/');
        if (slice_is(segment, ".") || slice_is(segment, ".."))
            return true;
    }
    return false;
}

/* Does a pattern with at most one '*' match? Its weight is the count of literal characters, so that the longest wins. */
static bool
match(struct slice pattern, struct slice name, struct slice *star)
{
    const char *at = memchr(pattern.ptr, '*', pattern.len);
    if (!at) {
        *star = SLICE_NONE;
        return slice_eq(pattern, name);
    }
    struct slice before = slice_of(pattern.ptr, (size_t)(at - pattern.ptr));
    struct slice after = slice_skip(pattern, before.len + 1);
    if (name.len < before.len + after.len || !slice_starts(name, before) || !slice_ends(name, after) ||
        has_dots(name))
        return false;
    *star = slice_of(name.ptr + before.len, name.len - before.len - after.len);
    return true;
}

static struct slice
resolve_alias(const struct config *config, struct slice name)
{
    for (uint32_t i = 0; i < config->alias_count; i++) {
        if (slice_eq(config->aliases[i].from, name) && config->aliases[i].count > 0)
            return config->aliases[i].to[0];
    }
    return name;
}

/* The only name that is this one with a date behind it; absent: there is none, or there are several. */
static struct slice
only_dated(const struct generation *generation, struct slice undated)
{
    struct slice found = SLICE_NONE;
    for (uint32_t i = 0; i < generation->count; i++) {
        struct slice name = generation->deployments[i].config->model_name;
        if (!names_dated(name, undated))
            continue;
        if (slice_present(found) && !slice_eq(found, name))
            return SLICE_NONE;
        found = name;
    }
    return found;
}

/* The group that serves a name: an exact model_name, the same name in Vertex AI's spelling or with the only date there is
 * (R84), else the wildcard with the most literal characters. */
static bool
find_group(const struct generation *generation, struct slice name, struct slice *group, struct slice *star)
{
    size_t best = 0;
    bool found = false;
    struct slice asked = resolve_alias(generation->config, name), dated = only_dated(generation, asked);
    for (uint32_t i = 0; i < generation->count; i++) {
        struct slice pattern = generation->deployments[i].config->model_name, part = SLICE_NONE;
        size_t weight = SIZE_MAX;
        if (match(pattern, asked, &part))
            weight = slice_present(part) ? pattern.len : SIZE_MAX;
        else if (names_same(pattern, asked))
            weight = SIZE_MAX - 1;
        else if (slice_present(dated) && slice_eq(pattern, dated))
            weight = SIZE_MAX - 2;
        else
            continue;
        if (!found || weight > best) {
            *group = pattern;
            *star = part;
            best = weight;
            found = true;
        }
    }
    return found;
}

const struct deployment *
route_first(const struct generation *generation, struct slice model)
{
    struct slice group, star;
    bool found = find_group(generation, model, &group, &star);
    for (uint32_t i = 0; found && i < generation->count; i++) {
        if (slice_eq(generation->deployments[i].config->model_name, group))
            return &generation->deployments[i];
    }
    return NULL;
}

static struct slice
nearest(const struct generation *generation, struct slice name)
{
    struct slice near = SLICE_NONE;
    int best = (int)(name.len / 2) + 1;
    for (uint32_t i = 0; i < generation->count; i++) {
        struct slice known = generation->deployments[i].config->model_name;
        int distance = memchr(known.ptr, '*', known.len) ? 64 : text_distance(known, name);
        if (distance < best) {
            best = distance;
            near = known;
        }
    }
    return near;
}

static void
enter_group(struct route *route, struct slice group, struct slice star)
{
    route->group = group;
    route->star = star;
    route->tries = 0;
    route->tried_count = 0;
    if (route->group_count < countof(route->groups))
        route->groups[route->group_count++] = group;
}

int
route_begin(struct route *route, const struct generation *generation, struct slice model, struct slice *near)
{
    struct slice group, star;
    *route = (struct route){.generation = generation, .asked = model};
    if (!find_group(generation, model, &group, &star)) {
        *near = nearest(generation, model);
        return -ERR_MODEL;
    }
    enter_group(route, group, star);
    return 0;
}

/* ---------------------------------------------------------------- choosing */

static bool
over_rate(struct deployment *deployment, uint64_t now_ms)
{
    route_turn_minute(deployment, now_ms);
    const struct config_deployment *config = deployment->config;
    return (config->rpm && load(&deployment->minute_requests) >= config->rpm) ||
           (config->tpm && load(&deployment->minute_tokens) >= config->tpm);
}

/* How often was this deployment of the group tried? */
static uint32_t
times_tried(const struct route *route, uint32_t index)
{
    for (uint32_t i = 0; i < route->tried_count; i++) {
        if (route->tried[i] == index)
            return route->times[i];
    }
    return 0;
}

static void
note_try(struct route *route, uint32_t index)
{
    uint32_t at = 0;
    while (at < route->tried_count && route->tried[at] != index)
        at++;
    if (at == ROUTE_TRIED_MAX)
        return; /* the count of tries bounds the walk all the same */
    if (at == route->tried_count) {
        route->tried[route->tried_count++] = (uint16_t)index;
        route->times[at] = 0;
    }
    if (route->times[at] < UINT8_MAX)
        route->times[at]++;
}

/* Does its number of tries leave one more to this deployment? Its own setting counts its own tries, the global one all. */
static bool
has_tries(const struct route *route, const struct deployment *deployment, uint32_t times)
{
    if (times > 0 && deployment->config->max_retries != UINT64_MAX)
        return times <= deployment->config->max_retries;
    return route->tries <= route->generation->config->num_retries;
}

/* May this deployment of the group be chosen now? Says in *error why not, when it is a matter of time. */
static bool
usable(const struct route *route, uint32_t index, bool again, uint64_t now_ms, int *error)
{
    struct deployment *deployment = &route->generation->deployments[index];
    if (!slice_eq(deployment->config->model_name, route->group) || (route->only && route->only != deployment))
        return false;
    uint32_t times = times_tried(route, index);
    if ((times > 0) != again || !has_tries(route, deployment, times))
        return false;
    if (load(&deployment->cool_until_ms) > now_ms) {
        *error = -ERR_COOLDOWN;
        return false;
    }
    if (over_rate(deployment, now_ms)) {
        *error = -ERR_RATE;
        return false;
    }
    return true;
}

static uint64_t
weight_of(const struct deployment *deployment)
{
    return deployment->config->weight ? deployment->config->weight : 1;
}

/* Where a deployment stands in its group: behind all others while it is not believed to answer. */
static uint64_t
order_of(const struct deployment *deployment, uint64_t now_ms)
{
    uint64_t order = deployment->config->order < ORDER_DOUBTED ? deployment->config->order : ORDER_DOUBTED - 1;
    return discover_doubts(deployment, now_ms) ? order | ORDER_DOUBTED : order;
}

/*
 * Weighted choice among the group's usable deployments of the lowest order; those not tried yet, or (again) those that
 * were. One pass finds the order and the sum of weights, the second the one that a random point falls on.
 */
static struct deployment *
pick(struct route *route, bool again, uint64_t now_ms, uint64_t random, int *error)
{
    const struct generation *generation = route->generation;
    uint64_t total = 0, order = UINT64_MAX;
    for (uint32_t i = 0; i < generation->count; i++) {
        const struct deployment *deployment = &generation->deployments[i];
        uint64_t own = order_of(deployment, now_ms);
        if (!usable(route, i, again, now_ms, error) || own > order)
            continue;
        if (own < order)
            total = 0;
        order = own;
        total += weight_of(deployment);
    }
    if (total == 0)
        return NULL;
    bool first = generation->config->strategy == STRATEGY_ORDER;
    uint64_t point = first ? 0 : random % total;
    for (uint32_t i = 0; i < generation->count; i++) {
        struct deployment *deployment = &generation->deployments[i];
        if (order_of(deployment, now_ms) != order || !usable(route, i, again, now_ms, error))
            continue;
        if (point >= weight_of(deployment)) {
            point -= weight_of(deployment);
            continue;
        }
        note_try(route, i);
        return deployment;
    }
    return NULL; /* another worker has just used it up */
}

static bool
visited(const struct route *route, struct slice group)
{
    for (uint32_t i = 0; i < route->group_count; i++) {
        if (slice_eq(route->groups[i], group))
            return true;
    }
    return false;
}

static const struct config_pair *
find_pair(const struct config_pair *pairs, uint32_t count, struct slice name, struct slice group)
{
    const struct config_pair *any = NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (slice_eq(pairs[i].from, name) || slice_eq(pairs[i].from, group))
            return &pairs[i];
        if (slice_is(pairs[i].from, "*"))
            any = &pairs[i];
    }
    return any;
}

/* The next fallback group that was not visited yet: chains are followed to the end, never in circles. */
static bool
next_group(struct route *route, const struct canon_error *failed)
{
    const struct config *config = route->generation->config;
    bool context = failed && failed->kind == KIND_CONTEXT;
    for (int chain = 0; chain < 16; chain++) {
        if (!route->fallback) {
            const struct config_pair *pair =
                context ? find_pair(config->context_fallbacks, config->context_fallback_count, route->asked, route->group)
                        : find_pair(config->fallbacks, config->fallback_count, route->asked, route->group);
            if (!pair)
                return false;
            route->fallback = pair;
            route->fallback_at = 0;
        }
        while (route->fallback_at < route->fallback->count) {
            struct slice to = route->fallback->to[route->fallback_at++];
            struct slice group, star;
            if (!find_group(route->generation, to, &group, &star) || visited(route, group))
                continue;
            if (route->group_count == countof(route->groups))
                return false; /* what is not remembered could be visited for ever */
            enter_group(route, group, star);
            return true;
        }
        /* This list is used up: the last group it led to may have fallbacks of its own. */
        route->fallback = NULL;
        const struct config_pair *own = find_pair(config->fallbacks, config->fallback_count, route->group, route->group);
        if (!own || context || chain > 0)
            return false;
        route->asked = route->group;
    }
    return false;
}

struct deployment *
route_next(struct route *route, const struct canon_error *failed, uint64_t now_ms, uint64_t random, int *error)
{
    *error = 0;
    bool context = failed && failed->kind == KIND_CONTEXT;
    for (int rounds = 0; rounds < 32; rounds++) {
        if (!context) {
            struct deployment *deployment = pick(route, false, now_ms, random, error);
            if (!deployment && route->tries > 0)
                deployment = pick(route, true, now_ms, random, error);
            if (deployment) {
                route->tries++;
                atomic_fetch_add_explicit(&deployment->minute_requests, 1, memory_order_relaxed);
                return deployment;
            }
        }
        if (route->only || !next_group(route, failed))
            return NULL;
        context = false;
    }
    return NULL;
}

bool
route_retryable(const struct generation *generation, const struct canon_error *failed)
{
    const struct config *config = generation->config;
    if (failed->kind == KIND_CONTEXT)
        return config->context_fallback_count > 0;
    if (failed->should_retry == 0)
        return false;
    if (failed->error != ERR_UPSTREAM_STATUS)
        return err_row(failed->error)->retryable;
    for (uint32_t i = 0; i < config->retry_status_count; i++) {
        if (config->retry_statuses[i] == failed->status)
            return failed->kind != KIND_BILLING; /* a spent quota does not come back in a second */
    }
    return failed->should_retry == 1;
}

struct slice
route_model(const struct route *route, const struct deployment *deployment, struct arena *arena)
{
    struct slice pattern = deployment->config->model;
    const char *at = pattern.len ? memchr(pattern.ptr, '*', pattern.len) : NULL;
    if (!at)
        return arena_copy(arena, pattern);
    struct slice before = slice_of(pattern.ptr, (size_t)(at - pattern.ptr));
    struct slice after = slice_skip(pattern, before.len + 1);
    struct slice star = slice_present(route->star) ? route->star : route->asked;
    return arena_printf(arena, "%.*s%.*s%.*s", SLICE_ARG(before), SLICE_ARG(star), SLICE_ARG(after));
}
