/* SPDX-License-Identifier: MIT
 *
 * route_rest.c - what became of tries: a deployment's rests and their growth, its minute, how long to wait before a retry.
 */
#include "gateway/route_state.h"

#define PENALTY_MAX 16 /* doublings: an hour is never far from there */

void
route_turn_minute(struct deployment *deployment, uint64_t now_ms)
{
    uint64_t minute = now_ms / MINUTE_MS;
    if (load(&deployment->minute) == minute)
        return;
    store(&deployment->minute, minute);
    store(&deployment->minute_requests, 0);
    store(&deployment->minute_tokens, 0);
    store(&deployment->minute_failures, 0);
}

uint64_t
route_penalty(const struct generation *generation, const struct deployment *deployment, uint64_t now_ms)
{
    uint64_t penalty = load(&deployment->penalty), ended = load(&deployment->cool_until_ms);
    uint64_t step = generation->config->cooldown_max_ms;
    uint64_t forgotten = step == 0 ? penalty : now_ms > ended ? (now_ms - ended) / step : 0;
    return penalty > forgotten ? penalty - forgotten : 0;
}

/* How long it rests this time: twice as long for each rest that has not been forgotten. */
static uint64_t
rest_of(const struct generation *generation, struct deployment *deployment, uint64_t now_ms)
{
    uint64_t penalty = route_penalty(generation, deployment, now_ms), rest = generation->config->cooldown_ms;
    uint64_t most = generation->config->cooldown_max_ms;
    for (uint64_t i = 0; i < penalty && rest < most; i++)
        rest = 2 * rest < most ? 2 * rest : most;
    store(&deployment->penalty, penalty < PENALTY_MAX ? penalty + 1 : penalty);
    return rest;
}

bool
route_report_failure(const struct generation *generation, struct deployment *deployment,
                     const struct canon_error *error, uint64_t now_ms)
{
    const struct config *config = generation->config;
    /* The caller's own mistakes say nothing about the upstream. */
    bool caller = error->error == ERR_UPSTREAM_STATUS && error->status < 500 && error->status != 401 &&
                  error->status != 408 && error->status != 429;
    if (caller)
        return false;
    route_turn_minute(deployment, now_ms);
    uint64_t failures = 1 + atomic_fetch_add_explicit(&deployment->minute_failures, 1, memory_order_relaxed);
    if (config->cooldown_ms == 0 || failures <= config->allowed_fails)
        return false;
    /* Tries that had begun before it rested, and failed since, are part of the same trouble. */
    if (load(&deployment->cool_until_ms) > now_ms)
        return false;
    uint64_t rest_ms = rest_of(generation, deployment, now_ms);
    if (error->retry_after_ms != UINT64_MAX && error->retry_after_ms > rest_ms && error->retry_after_ms <= MINUTE_MS)
        rest_ms = error->retry_after_ms;
    store(&deployment->cool_until_ms, now_ms + rest_ms);
    return true;
}

void
route_report_success(struct deployment *deployment, uint64_t now_ms, uint64_t tokens)
{
    route_turn_minute(deployment, now_ms);
    atomic_fetch_add_explicit(&deployment->minute_tokens, tokens, memory_order_relaxed);
}

bool
route_usable(const struct generation *generation, uint64_t now_ms)
{
    for (uint32_t i = 0; i < generation->count; i++) {
        if (load(&generation->deployments[i].cool_until_ms) <= now_ms)
            return true;
    }
    return false;
}

uint64_t
route_backoff_ms(const struct config *config, uint32_t attempt, const struct canon_error *error, uint64_t random)
{
    uint64_t wait = config->retry_base_ms;
    for (uint32_t i = 1; i < attempt && wait < config->retry_max_ms; i++)
        wait *= 2;
    if (wait > config->retry_max_ms)
        wait = config->retry_max_ms;
    wait = wait / 2 + (wait ? random % (wait / 2 + 1) : 0);
    if (wait < config->retry_after_ms)
        wait = config->retry_after_ms;
    if (error->retry_after_ms != UINT64_MAX && error->retry_after_ms > wait)
        wait = error->retry_after_ms < config->retry_max_ms * 4 ? error->retry_after_ms : config->retry_max_ms * 4;
    return wait;
}
