/* SPDX-License-Identifier: MIT
 *
 * test_route.c - names to deployments: exact, aliases, wildcards; order, weights, tries, rests,
 * rates, fallbacks; and which failures may be tried again, after what wait.
 */
#include "gateway/route.h"

#include "tests/unit/gateway/generation_case.h"

#define ENTRY(name, model, more)                                                                   \
    "  - {model_name: '" name "', litellm_params: {model: '" model                                 \
    "', api_base: 'http://127.0.0.1:1/v1', api_key: k" more "}}\n"

static struct route route;
static uint64_t now_ms = 1000000;

/* What the upstream is asked for when a client asks for this; NULL: nobody serves it. */
static const char *
served_by(const char *name)
{
    static char text[256];
    struct slice near;
    struct arena arena;
    int error;
    if (route_begin(&route, generation, slice_from(name), &near) < 0)
        return NULL;
    struct deployment *deployment = route_next(&route, NULL, now_ms, 0, &error);
    assert_non_null(deployment);
    arena_init(&arena, 4096);
    struct slice model = route_model(&route, deployment, &arena);
    snprintf(text, sizeof text, "%.*s", SLICE_ARG(model));
    arena_fini(&arena);
    return text;
}

static void
claude_s_dates_are_spelt_in_two_ways(void **state)
{
    (void)state;
    begin("model_list:\n" ENTRY("claude-one-20250101", "openai/one", "") ENTRY("claude-two@20250202", "openai/two", "")
              ENTRY("claude-three-20250303", "openai/three-a", "") ENTRY("claude-three-20250404", "openai/three-b", "")
                  ENTRY("claude-*", "openai/any", ""));
    assert_string_equal(served_by("claude-one@20250101"), "one");
    assert_string_equal(served_by("claude-two-20250202"), "two");
    assert_string_equal(served_by("claude-two@20250202"), "two");
    assert_string_equal(served_by("claude-one"), "one");
    assert_string_equal(served_by("claude-three"), "any"); /* which of them? */
    assert_string_equal(served_by("claude-three@20250404"), "three-b");
    assert_string_equal(served_by("claude-one-20250102"), "any");
    assert_string_equal(served_by("claude-on"), "any");
    assert_null(served_by("claude"));
    end();
}

/* A model's name becomes part of a path towards some upstreams. */
static void
a_wildcard_serves_no_name_that_leads_elsewhere(void **state)
{
    (void)state;
    begin("model_list:\n" ENTRY("g/*", "gemini/*", "") ENTRY("*", "openai/*", ""));
    assert_string_equal(served_by("g/one/two"), "one/two");
    assert_string_equal(served_by("g/..."), "...");
    assert_string_equal(served_by("g/.one/two.."), ".one/two..");
    static const char *const wrong[] = {"..", ".", "g/..", "g/../../other", "g/one/../two", "../g/one", "g/./one", "g/one/.", "g/one/.."};
    for (size_t i = 0; i < countof(wrong); i++)
        assert_null(served_by(wrong[i]));
    end();
}

static struct canon_error
failure(int status)
{
    struct canon_error error = canon_error_of(ERR_UPSTREAM_STATUS);
    error.status = status;
    error.kind = status == 429 ? KIND_RATE_LIMIT : KIND_UPSTREAM;
    error.retry_after_ms = UINT64_MAX;
    error.should_retry = -1;
    return error;
}

/* The deployments tried one after the other when all fail like this, by their models: "a a b". */
static const char *
walk(const char *name, const struct canon_error *failed)
{
    static char text[1024];
    struct slice near;
    int error;
    size_t at = 0;
    assert_int_equal(route_begin(&route, generation, slice_from(name), &near), 0);
    text[0] = '\0';
    const struct canon_error *last = NULL;
    for (int i = 0; i < 64; i++) {
        struct deployment *deployment =
            route_next(&route, last, now_ms, (uint64_t)i * 7919, &error);
        if (!deployment)
            return text;
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%.*s", at ? " " : "",
                               SLICE_ARG(deployment->config->model));
        last = failed;
    }
    fail_msg("the walk never ends: %s", text);
    return text;
}

/* ---------------------------------------------------------------- names */

static void
test_names(void **state)
{
    (void)state;
    begin(
        "model_list:\n" ENTRY("gpt", "openai/gpt-4", "") ENTRY("claude-*", "anthropic/claude-*", "")
            ENTRY("claude-3*", "anthropic/old-*", "") ENTRY("*", "openai/any-*", "")
                ENTRY("fixed-*-end", "openai/same",
                      "") "router_settings: {model_group_alias: {short: gpt, other: claude-9}}\n");
    assert_string_equal(served_by("gpt"), "gpt-4");
    assert_string_equal(served_by("short"), "gpt-4");
    assert_string_equal(served_by("claude-opus"), "claude-opus");
    assert_string_equal(served_by("other"), "claude-9");
    assert_string_equal(served_by("claude-3x"), "old-x"); /* the longest pattern wins */
    assert_string_equal(served_by("claude-"), "claude-");
    assert_string_equal(served_by("whatever/it-is"), "any-whatever/it-is");
    assert_string_equal(served_by("fixed-a-b-end"), "same");
    assert_string_equal(served_by("fixed-end"),
                        "any-fixed-end"); /* the star's two sides may not overlap */
    assert_string_equal(served_by(""), "any-");
    end();
}

static void
test_unknown_names(void **state)
{
    struct slice near = SLICE_NONE;
    (void)state;
    begin("model_list:\n" ENTRY("gpt-4o", "openai/gpt-4o", "")
              ENTRY("claude-*", "anthropic/claude-*", ""));
    assert_int_equal(route_begin(&route, generation, SLICE_LIT("gpt-40"), &near), -ERR_MODEL);
    assert_true(slice_is(near, "gpt-4o"));
    near = SLICE_NONE;
    assert_int_equal(route_begin(&route, generation, SLICE_LIT("something quite different"), &near),
                     -ERR_MODEL);
    assert_false(near.len > 0);
    assert_int_equal(route_begin(&route, generation, SLICE_LIT("GPT-4o"), &near),
                     -ERR_MODEL); /* names have case */
    end();
}

/* ---------------------------------------------------------------- tries */

#define TWO                                                                                        \
    "model_list:\n" ENTRY("m", "openai/a", ", order: 1") ENTRY("m", "openai/b", ", order: 2")

static void
test_tries(void **state)
{
    struct canon_error failed = failure(500);
    (void)state;
    begin(TWO "router_settings: {num_retries: 0}\n");
    assert_string_equal(walk("m", &failed), "a");
    end();
    begin(TWO "router_settings: {num_retries: 1}\n");
    assert_string_equal(walk("m", &failed), "a b"); /* a fresh one first */
    end();
    begin(TWO "router_settings: {num_retries: 3}\n");
    assert_string_equal(walk("m", &failed), "a b a a");
    end();
    begin("model_list:\n" ENTRY("m", "openai/a",
                                ", max_retries: 2") "router_settings: {num_retries: 0}\n");
    assert_string_equal(walk("m", &failed), "a a a");
    end();
}

static void
test_weights(void **state)
{
    int counts[3] = {0};
    (void)state;
    begin("model_list:\n" ENTRY("m", "openai/0", ", weight: 1")
              ENTRY("m", "openai/1", ", weight: 3") ENTRY("m", "openai/2", ", weight: 6"));
    for (uint64_t i = 0; i < 10000; i++) {
        struct slice near;
        int error;
        assert_int_equal(route_begin(&route, generation, SLICE_LIT("m"), &near), 0);
        counts[*route_next(&route, NULL, now_ms, i * 0x9e3779b97f4a7c15u >> 20, &error)
                    ->config->model.ptr -
               '0']++;
    }
    assert_in_range(counts[0], 800, 1200);
    assert_in_range(counts[1], 2700, 3300);
    assert_in_range(counts[2], 5600, 6400);
    end();
}

/* ---------------------------------------------------------------- fallbacks */

#define THREE                                                                                      \
    "model_list:\n" ENTRY("one", "openai/1", "") ENTRY("two", "openai/2", "")                      \
        ENTRY("three", "openai/3", "")

static void
test_fallbacks(void **state)
{
    struct canon_error failed = failure(500);
    (void)state;
    begin(THREE "router_settings: {num_retries: 0, fallbacks: [{one: [two, three]}]}\n");
    assert_string_equal(walk("one", &failed), "1 2 3");
    assert_string_equal(walk("two", &failed), "2");
    end();
    begin(THREE
          "router_settings: {num_retries: 0, fallbacks: [{one: [two]}, {two: [one, three]}]}\n");
    assert_string_equal(walk("one", &failed), "1 2 3"); /* chains are followed, circles are not */
    assert_string_equal(walk("two", &failed), "2 1 3");
    end();
    begin(THREE "router_settings: {num_retries: 1, default_fallbacks: [three]}\n");
    assert_string_equal(walk("one", &failed), "1 1 3 3");
    assert_string_equal(walk("three", &failed), "3 3");
    end();
    begin(THREE "router_settings: {num_retries: 0, fallbacks: [{one: [nobody, two]}]}\n");
    assert_string_equal(walk("one", &failed), "1 2");
    end();
}

static void
test_a_full_window(void **state)
{
    struct canon_error failed = failure(400);
    (void)state;
    failed.kind = KIND_CONTEXT;
    begin(THREE "router_settings: {num_retries: 3, fallbacks: [{one: [two]}], "
                "context_window_fallbacks: [{one: [three]}]}\n");
    assert_string_equal(walk("one", &failed), "1 3"); /* the same window is not tried again */
    assert_true(route_retryable(generation, &failed));
    end();
    begin(THREE "router_settings: {num_retries: 3, fallbacks: [{one: [two]}]}\n");
    assert_false(route_retryable(generation, &failed));
    end();
}

/* ---------------------------------------------------------------- rests and rates */

static struct deployment *
next(const char *name, int *error)
{
    struct slice near;
    assert_int_equal(route_begin(&route, generation, slice_from(name), &near), 0);
    return route_next(&route, NULL, now_ms, 0, error);
}

static void
test_cooldown(void **state)
{
    struct canon_error failed = failure(500), theirs = failure(400), slow = failure(429);
    int error;
    (void)state;
    begin("model_list:\n" ENTRY("m", "openai/a",
                                "") "router_settings: {allowed_fails: 2, cooldown_time: 5}\n");
    struct deployment *only = next("m", &error);
    for (int i = 0; i < 10; i++)
        assert_false(
            route_report_failure(generation, only, &theirs, now_ms)); /* the caller's mistakes */
    assert_false(route_report_failure(generation, only, &failed, now_ms));
    assert_false(route_report_failure(generation, only, &failed, now_ms));
    assert_true(route_usable(generation, now_ms));
    assert_true(route_report_failure(generation, only, &failed, now_ms));
    assert_false(route_usable(generation, now_ms));
    assert_null(next("m", &error));
    assert_int_equal(error, -ERR_COOLDOWN);
    now_ms += 5000;
    assert_non_null(next("m", &error));
    assert_true(route_usable(generation, now_ms));
    now_ms += 60000; /* another minute: the count begins anew */
    assert_false(route_report_failure(generation, only, &failed, now_ms));
    slow.retry_after_ms = 20000;
    assert_false(route_report_failure(generation, only, &slow, now_ms));
    assert_true(
        route_report_failure(generation, only, &slow, now_ms)); /* it said itself for how long */
    now_ms += 19999;
    assert_null(next("m", &error));
    now_ms += 1;
    assert_non_null(next("m", &error));
    end();
    begin("model_list:\n" ENTRY("m", "openai/a",
                                "") "router_settings: {allowed_fails: 0, cooldown_time: 0}\n");
    assert_false(route_report_failure(generation, next("m", &error), &failed, now_ms));
    end();
}

/* How long it rests when it fails now; it must be allowed to. */
static uint64_t
rest_now(struct deployment *only)
{
    struct canon_error failed = failure(500);
    uint64_t began = now_ms;
    assert_true(route_report_failure(generation, only, &failed, now_ms));
    assert_false(route_report_failure(generation, only, &failed, now_ms)); /* a try begun before it rested */
    while (!route_usable(generation, now_ms))
        now_ms += 500;
    return now_ms - began;
}

static void
test_rests_grow_and_are_forgotten(void **state)
{
    int error;
    (void)state;
    begin("model_list:\n" ENTRY("m", "openai/a",
                                "") "router_settings: {allowed_fails: 0, cooldown_time: 5, cooldown_max: 30}\n");
    struct deployment *only = next("m", &error);
    assert_int_equal(route_penalty(generation, only, now_ms), 0);
    assert_int_equal(rest_now(only), 5000);
    assert_int_equal(rest_now(only), 10000);
    assert_int_equal(rest_now(only), 20000);
    assert_int_equal(rest_now(only), 30000);
    assert_int_equal(rest_now(only), 30000);
    assert_int_equal(route_penalty(generation, only, now_ms), 5);
    now_ms += 4 * 30000; /* each of these takes one back */
    assert_int_equal(route_penalty(generation, only, now_ms), 1);
    assert_int_equal(rest_now(only), 10000);
    now_ms += 3600000;
    assert_int_equal(route_penalty(generation, only, now_ms), 0);
    assert_int_equal(rest_now(only), 5000);
    end();
    begin("model_list:\n" ENTRY("m", "openai/a",
                                "") "router_settings: {allowed_fails: 0, cooldown_time: 5, cooldown_max: 0}\n");
    only = next("m", &error);
    for (int i = 0; i < 3; i++)
        assert_int_equal(rest_now(only), 5000);
    end();
}

static void
test_rates(void **state)
{
    int error;
    (void)state;
    begin("model_list:\n" ENTRY("m", "openai/a", ", rpm: 3") ENTRY("t", "openai/b", ", tpm: 100"));
    now_ms += 60000 - now_ms % 60000;
    for (int i = 0; i < 3; i++)
        assert_non_null(next("m", &error));
    assert_null(next("m", &error));
    assert_int_equal(error, -ERR_RATE);
    struct deployment *counted = next("t", &error);
    route_report_success(counted, now_ms, 99);
    assert_non_null(next("t", &error));
    route_report_success(counted, now_ms, 1);
    assert_null(next("t", &error));
    assert_int_equal(error, -ERR_RATE);
    now_ms += 60000;
    assert_non_null(next("m", &error));
    assert_non_null(next("t", &error));
    end();
}

/* ---------------------------------------------------------------- what may be tried again, and
 * when */

static void
test_retryable(void **state)
{
    static const struct {
        int status;
        bool again;
    } rows[] = {{400, false}, {401, false}, {403, false}, {404, false}, {408, true},
                {413, false}, {422, false}, {429, true},  {500, true},  {502, true},
                {503, true},  {504, true},  {529, true}};
    (void)state;
    begin(THREE);
    for (size_t i = 0; i < countof(rows); i++) {
        struct canon_error error = failure(rows[i].status);
        assert_int_equal(route_retryable(generation, &error), rows[i].again);
        error.should_retry = 0;
        assert_false(route_retryable(generation, &error));
        error.should_retry = 1;
        assert_true(route_retryable(generation, &error));
    }
    struct canon_error spent = failure(429);
    spent.kind = KIND_BILLING;
    assert_false(route_retryable(generation, &spent));
    for (int i = 1; i < ERR_COUNT; i++) {
        struct canon_error error = canon_error_of(i);
        if (i != ERR_UPSTREAM_STATUS)
            assert_int_equal(route_retryable(generation, &error), err_row(i)->retryable);
    }
    end();
}

static void
test_backoff(void **state)
{
    struct canon_error error = failure(500);
    (void)state;
    begin(THREE "router_settings: {retry_after: 0}\npenstock: {retry: {base: 100ms, max: 1s}}\n");
    const struct config *config = generation->config;
    for (uint64_t random = 0; random < 1000; random++) {
        assert_in_range(route_backoff_ms(config, 1, &error, random), 50, 100);
        assert_in_range(route_backoff_ms(config, 2, &error, random), 100, 200);
        assert_in_range(route_backoff_ms(config, 4, &error, random), 400, 800);
        assert_in_range(route_backoff_ms(config, 5, &error, random), 500, 1000);
        assert_in_range(route_backoff_ms(config, 60, &error, random), 500, 1000);
    }
    error.retry_after_ms = 3000;
    assert_int_equal(route_backoff_ms(config, 1, &error, 5), 3000);
    error.retry_after_ms = 3600000; /* within reason */
    assert_int_equal(route_backoff_ms(config, 1, &error, 5), 4000);
    error.retry_after_ms = 1;
    assert_in_range(route_backoff_ms(config, 1, &error, 5), 50, 100);
    end();
    begin(THREE "router_settings: {retry_after: 7}\n");
    error.retry_after_ms = UINT64_MAX;
    assert_true(route_backoff_ms(generation->config, 1, &error, 5) >= 7000);
    end();
}

static void
test_connections_are_shared_by_address_only(void **state)
{
    (void)state;
    begin("model_list:\n" ENTRY("a", "openai/a", "")
              ENTRY("b", "openai/b", "") "  - {model_name: c, litellm_params: {model: openai/c, "
                                         "api_base: 'http://127.0.0.1:2/v1', api_key: k}}\n"
                                         "  - {model_name: d, litellm_params: {model: openai/d, "
                                         "api_base: 'http://localhost:1/v1', api_key: k}}\n");
    struct slice keys[4];
    for (int i = 0; i < 4; i++)
        keys[i] = generation->deployments[i].target.cache_key;
    assert_true(slice_eq(keys[0], keys[1]));
    assert_false(slice_eq(keys[0], keys[2]));
    assert_false(slice_eq(keys[0], keys[3]));
    end();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(claude_s_dates_are_spelt_in_two_ways),
        cmocka_unit_test(a_wildcard_serves_no_name_that_leads_elsewhere),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_unknown_names),
        cmocka_unit_test(test_tries),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_fallbacks),
        cmocka_unit_test(test_a_full_window),
        cmocka_unit_test(test_cooldown),
        cmocka_unit_test(test_rests_grow_and_are_forgotten),
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_retryable),
        cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_connections_are_shared_by_address_only),
    };
    return cmocka_run_group_tests(tests, config_case_enter, config_case_leave);
}
