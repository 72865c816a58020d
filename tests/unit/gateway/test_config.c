/* SPDX-License-Identifier: MIT
 *
 * test_config.c - the file: defaults, LiteLLM's keys, refusals, bounds, printing. Layers and models
 * have test_config_layers.c and test_config_models.c.
 */
#include "tests/unit/gateway/config_case.h"

#include <sched.h>

#define ONE_MODEL                                                                                  \
    "model_list:\n  - model_name: m\n    litellm_params: {model: openai/m, api_key: k}\n"

/* ---- nothing configured ---- */

static void
nothing_gives_the_defaults(void **state)
{
    struct config_flags flags;
    (void)state;
    config_flags_init(&flags);
    struct loaded loaded = load_with(flags, NO_ENVIRONMENT);
    const struct config *config = loaded.config;
    expect_clean(&loaded);
    assert_false(slice_present(config->path));
    expect_slice(config->host, "127.0.0.1");
    assert_int_equal(config->port, 4000);
    cpu_set_t cpus;
    assert_int_equal(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
    assert_int_equal(config->workers, CPU_COUNT(&cpus));
    assert_true(config->demo && config->sse_ids && config->access_log);
    assert_false(config->public_metrics || config->allow_open);
    assert_int_equal(config->key_count, 0);
    assert_int_equal(config->deployment_count, 10);
    assert_int_equal(config->log_level, LOG_INFO);
    assert_int_equal(config->timeouts.request_ms, 600000);
    assert_int_equal(config->timeouts.connect_ms, 10000);
    assert_int_equal(config->timeouts.first_byte_ms, 300000);
    assert_int_equal(config->timeouts.idle_ms, 120000);
    assert_int_equal(config->timeouts.keepalive_ms, 10000);
    assert_int_equal(config->timeouts.drain_ms, 5000);
    assert_int_equal(config->timeouts.commit_ms, 10000);
    assert_int_equal(config->head_ms, 10000);
    assert_int_equal(config->body_ms, 60000);
    assert_int_equal(config->client_idle_ms, 75000);
    assert_int_equal(config->linger_ms, 1000);
    assert_int_equal(config->shutdown_ms, 600000);
    assert_int_equal(config->dns_ttl_ms, 30000);
    assert_int_equal(config->upstream_idle_ms, 60000);
    assert_int_equal(config->limits.body_bytes, 50u << 20);
    assert_int_equal(config->limits.line_bytes, 16384);
    assert_int_equal(config->limits.head_bytes, 65536);
    assert_int_equal(config->limits.fields, 100);
    assert_int_equal(config->limits.queue_bytes, 262144);
    assert_int_equal(config->limits.event_bytes, 16u << 20);
    assert_int_equal(config->limits.reply_bytes, 64u << 20);
    assert_int_equal(config->limits.error_bytes, 262144);
    assert_int_equal(config->limits.json_depth, 64);
    assert_int_equal(config->limits.json_tokens, 1048576);
    assert_int_equal(config->limits.memory_bytes, 256u << 20);
    assert_int_equal(config->limits.connections, 20000);
    assert_int_equal(config->limits.upstream_connections, 4096);
    assert_int_equal(config->limits.upstream_queue, 1024);
    assert_int_equal(config->limits.upstream_idle, 64);
    assert_int_equal(config->limits.handshakes, 16);
    assert_int_equal(config->num_retries, 2);
    assert_int_equal(config->allowed_fails, 3);
    assert_int_equal(config->cooldown_ms, 5000);
    assert_int_equal(config->retry_after_ms, 0);
    assert_int_equal(config->retry_base_ms, 500);
    assert_int_equal(config->retry_max_ms, 8000);
    assert_int_equal(config->sse_retry_ms, 3000);
    assert_int_equal(config->strategy, STRATEGY_SHUFFLE);
    static const uint16_t statuses[] = {408, 429, 500, 502, 503, 504, 529};
    assert_int_equal(config->retry_status_count, countof(statuses));
    assert_memory_equal(config->retry_statuses, statuses, sizeof(statuses));
    assert_int_equal(config->cors_count, 1);
    expect_slice(config->cors_origins[0], "*");
    expect_slice(config->io_backend, "epoll");
    unload(&loaded);
}

/* ---- LiteLLM's file as it is ---- */

static const char litellm_file[] =
    "environment_variables: {UPSTREAM_KEY: sk-from-file, REDIS_HOST: nowhere}\n"
    "model_list:\n"
    "  - model_name: gpt-4o\n"
    "    litellm_params:\n"
    "      model: openai/gpt-4o\n"
    "      api_key: os.environ/OPENAI_API_KEY\n"
    "      organization: org-1\n"
    "      rpm: 480\n"
    "      tpm: 100_000\n"
    "      timeout: 300\n"
    "      stream_timeout: 60.5\n"
    "      max_retries: 1\n"
    "      weight: 2\n"
    "      order: 1\n"
    "      drop_params: True\n"
    "      temperature: 0.2\n"
    "      max_tokens: 4096\n"
    "      stop: [\"\\n\", END]\n"
    "      extra_headers: {X-Title: header-secret}\n"
    "    model_info: {id: main, mode: chat, max_output_tokens: 16384, max_input_tokens: 128000,\n"
    "                 base_model: gpt-4o, input_cost_per_token: 0.1, team: [a, b]}\n"
    "  - model_name: gpt-4o\n"
    "    litellm_params: {model: openai/gpt-4o, api_key: os.environ/UPSTREAM_KEY, cooldown_time: 5,\n"
    "                     headers: {A: header-secret, B: header-secret}}\n"
    "  - model_name: embedding\n"
    "    litellm_params: {model: openai/text-embedding-3-small}\n"
    "    model_info: {mode: batch}\n"
    "  - model_name: elsewhere\n"
    "    litellm_params: {model: bedrock/anthropic.claude, aws_region_name: us-east-1}\n"
    "litellm_settings:\n"
    "  drop_params: True\n"
    "  num_retries: 9\n"
    "  request_timeout: 6000\n"
    "  set_verbose: False\n"
    "  cache: true\n"
    "  success_callback: [langfuse]\n"
    "  context_window_fallbacks: [{gpt-4o: [big]}]\n"
    "router_settings:\n"
    "  routing_strategy: usage-based-routing-v2\n"
    "  num_retries: 3\n"
    "  allowed_fails: 4\n"
    "  cooldown_time: 30\n"
    "  redis_host: os.environ/NOT_SET_AND_NOT_READ\n"
    "  fallbacks: [{gpt-4o: [gpt-4o]}, {\"*\": gpt-4o}]\n"
    "  default_fallbacks: [gpt-4o]\n"
    "  model_group_alias: {gpt-4: gpt-4o, hidden: {model: gpt-4o, hidden: true}}\n"
    "general_settings:\n"
    "  master_key: os.environ/MASTER\n"
    "  database_url: postgresql://nowhere\n";

static void
litellm_file_is_read(void **state)
{
    (void)state;
    struct loaded loaded =
        load_text(litellm_file, ENVIRONMENT("OPENAI_API_KEY=sk-1", "MASTER=sk-2"));
    expect_good(&loaded);
    const struct config *config = loaded.config;
    static const char *const warnings[] = {
        "c.yaml:26:29: model_list[2].litellm_params.model: penstock does not serve models of this kind",
        "model_list[3].litellm_params.model: AWS signatures",
        "litellm_settings.request_timeout: out of bounds: 3600s is used",
        "c.yaml:35:3: litellm_settings.cache: known to LiteLLM",
        "litellm_settings.success_callback: known to LiteLLM",
        "usage-based-routing-v2 is not served",
        "router_settings.redis_host: known to LiteLLM",
        "general_settings.database_url: known to LiteLLM",
        "context_window_fallbacks: gpt-4o leads to big"};
    for (size_t i = 0; i < countof(warnings); i++)
        expect_problem(&loaded, true, warnings[i]);
    expect_slice(config->path, "c.yaml");
    assert_false(config->demo);
    assert_int_equal(config->num_retries, 3); /* router_settings wins */
    assert_int_equal(config->allowed_fails, 4);
    assert_int_equal(config->cooldown_ms, 30000);
    assert_int_equal(config->timeouts.request_ms, 3600000);
    assert_int_equal(config->log_level, LOG_INFO);
    assert_int_equal(config->key_count, 1);
    expect_slice(config->keys[0].name, "master");
    expect_slice(config->keys[0].key, "sk-2");
    assert_int_equal(config->deployment_count, 2);
    const struct config_deployment *first = &config->deployments[0];
    expect_slice(first->id, "main");
    expect_slice(first->model_name, "gpt-4o");
    expect_slice(first->model, "gpt-4o");
    expect_slice(first->api_key, "sk-1");
    assert_int_equal(first->rpm, 480);
    assert_int_equal(first->tpm, 100000);
    assert_int_equal(first->timeouts.request_ms, 300000);
    assert_int_equal(first->timeouts.first_byte_ms, 60500);
    assert_int_equal(first->timeouts.idle_ms, 0);
    assert_int_equal(first->max_retries, 1);
    assert_int_equal(first->weight, 2000);
    assert_int_equal(first->order, 1);
    assert_int_equal(first->max_output_tokens, 16384);
    assert_int_equal(first->max_input_tokens, 128000);
    assert_int_equal(first->header_count, 2);
    expect_slice(first->headers[0], "OpenAI-Organization");
    expect_slice(first->headers[1], "org-1");
    expect_slice(first->headers[2], "X-Title");
    expect_slice(first->headers[3], "header-secret");
    expect_slice(first->mode, "chat");
    expect_slice(first->info, "{\"id\":\"main\",\"mode\":\"chat\",\"max_output_tokens\":16384,\"max_input_tokens\":128000,"
                              "\"base_model\":\"gpt-4o\",\"input_cost_per_token\":0.1,\"team\":[\"a\",\"b\"]}");
    expect_slice(first->default_params,
                 "{\"temperature\":0.2,\"max_tokens\":4096,\"stop\":[\"\\n\",\"END\"]}");
    const struct config_deployment *second = &config->deployments[1];
    expect_slice(second->id, "openai/gpt-4o");
    expect_slice(second->api_key, "sk-from-file");
    assert_int_equal(second->max_retries, UINT64_MAX);
    assert_int_equal(second->weight, 1000);
    assert_false(slice_present(second->default_params));
    assert_int_equal(config->alias_count, 2);
    expect_slice(config->aliases[0].from, "gpt-4");
    expect_slice(config->aliases[1].to[0], "gpt-4o");
    assert_int_equal(config->fallback_count, 3); /* default_fallbacks joins as "*" */
    expect_slice(config->fallbacks[1].from, "*");
    expect_slice(config->fallbacks[2].from, "*");
    expect_slice(config->fallbacks[2].to[0], "gpt-4o");
    assert_int_equal(config->context_fallback_count, 1);
    unload(&loaded);
}

/* ---- refusals and warnings ---- */

struct verdict_case {
    const char *text;
    const char *problem;
};

static const struct verdict_case refused[] = {
    {"model_lst: []\n", "c.yaml:1:1: model_lst: unknown key; did you mean \"model_list\"?"},
    {"router_settings:\n  num_retires: 3\n",
     "c.yaml:2:3: router_settings.num_retires: unknown key; did you mean \"num_retries\"?"},
    {"router_settings: {num_retries: some}",
     "c.yaml:1:32: router_settings.num_retries: a whole number"},
    {"router_settings: {num_retries: -1}", "a whole number is expected"},
    {"router_settings: {num_retries: [1]}", "a single value is expected here, not a list"},
    {"router_settings: [a]", "c.yaml:1:18: router_settings: a map of keys is expected here"},
    {"- a", "c.yaml:1:1: a map of keys is expected here"},
    {"router_settings: {cooldown_time: soon}", "a duration is expected"},
    {"router_settings: {routing_strategy: fastest}", "not one of simple-shuffle, order"},
    {"router_settings: {fallbacks: {a: [b]}}", "a list of maps is expected"},
    {"router_settings: {fallbacks: [a]}", "a map is expected: {a: [b, c]}"},
    {"router_settings: {fallbacks: [{a: [\"\"]}]}", "must not be empty"},
    {"router_settings: {model_group_alias: [a]}", "a map is expected here"},
    {"router_settings: {model_group_alias: {a: {hidden: true}}}", "model is missing"},
    {"penstock: {timeouts: {idel: 3}}",
     "c.yaml:1:23: penstock.timeouts.idel: unknown key; did you mean \"idle\"?"},
    {"penstock: {timeouts: {zzzzzzzz: 3}}", "c.yaml:1:23: penstock.timeouts.zzzzzzzz: unknown key"},
    {"penstock: {timeouts: {request: 2h}}", "too large: the most is 3600s"},
    {"penstock: {timeouts: {keepalive: 20s}}", "too large: the most is 14s"},
    {"penstock: {timeouts: {keepalive: 49ms}}", "too small: the least is 50ms"},
    {"penstock: {limits: {body: lots}}", "a size is expected"},
    {"penstock: {limits: {body: 1}}", "too small: the least is 4KiB"},
    {"penstock: {limits: {fields: 1}}", "too small: the least is 8"},
    {"penstock: {limits: {fields: 129}}", "too large: the most is 128"}, /* what a parsed head has room for */
    {"penstock: {listen: {port: 65536}}", "too large: the most is 65535"},
    {"penstock: {listen: {host: example.com}}", "is not an IP address or localhost"},
    {"penstock: {listen: {tls_certificate: none.pem}}", "cannot read none.pem"},
    {"penstock: {log: {level: loud}}", "not one of error|warn|info|debug1|debug2|debug3"},
    {"penstock: {log: {access: perhaps}}", "true or false is expected"},
    {"penstock: {io_backend: kqueue}", "not one of epoll|io_uring|auto"},
    {"penstock: {workers: 257}", "too large: the most is 256"},
    {"penstock: {retry: {statuses: [200]}}", "an HTTP error status is expected"},
    {"penstock: {retry: {statuses: 500}}", "a list is expected here"},
    {"penstock: {retry: {base: 9s}}", "base is more than max"},
    {"penstock: {keys: [\"\"]}", "an empty key would let everybody in"},
    {"penstock: {keys: [{name: a}]}", "key is missing"},
    {"penstock: {keys: [{name: a, kee: b}]}", "a client key has name and key"},
    {"penstock: {keys: [\"a b\"]}", "key-1 holds a character that cannot stand in a header"},
    {"penstock: {models: {nobody: {reasoning: drop}}}", "no model has this name"},
    {"penstock: {models: {dema: {reasoning: drop}}}",
     "no model has this name; did you mean \"demo\"?"},
    {"general_settings: {master_key: os.environ/NOPE}", "environment variable NOPE is not set"},
    {"general_settings: {master_key: \"${NOPE}\"}", "${NOPE:-default} would give a default"},
    {"general_settings: {master_key: \"${NOPE\"}", "\"${\" without \"}\""},
    {"general_settings: {master_key: file:nope.txt}", "cannot read nope.txt: No such file"},
    {"penstock: {demo: false}\nmodel_list: []", "no model is left to serve"},
    /* YAML itself */
    {"a: 1\na: 2\n", "c.yaml:2:1: a: this key stands here twice; first in line 1"},
    {"a: 1\nab: 1\na: 2\n", "c.yaml:3:1: a: this key stands here twice; first in line 1"},
    {"penstock: {demo: true, demo: true}", "penstock.demo: this key stands here twice"},
    {"a: [1\nb", "not YAML"},
    {"a: \xff", "invalid leading UTF-8 octet"},
    {"a: \"\\0\"", "a NUL character"},
    {"a: 1\n---\nb: 2\n", "one document is read, this is a second"},
    {"a: !python/object x", "tags are not supported"},
    {"? [a]\n: b", "a key must be a text"},
    {"a: *nothing", "an alias without its anchor"},
    {"a: &x [*x]", "an alias inside its own anchor"},
    {"<<: 3\n", "\"<<\" needs a map"},
    {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", "nested too deeply"},
};

static void
wrong_files_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(refused); i++) {
        struct loaded loaded = load_text(refused[i].text, NO_ENVIRONMENT);
        if (loaded.rc == 0)
            fail_msg("taken: %s", refused[i].text);
        expect_problem(&loaded, false, refused[i].problem);
        unload(&loaded);
    }
}

static const struct verdict_case warned[] = {
    {"guardrails: []\n", "c.yaml:1:1: guardrails: known to LiteLLM, without effect in penstock"},
    {"router_settings: {redis_host: a}", "router_settings.redis_host: known to LiteLLM"},
    {"router_settings: {num_retries: 99}", "out of bounds: 20 is used"},
    {"router_settings: {timeout: 0}", "out of bounds: 50ms is used"},
    {"penstock: {timeouts: {request: 5s}}", "less than 30s is allowed but seldom meant"},
    {"penstock: {timeouts: {keepalive: 100ms}}", "less than 1s is allowed"},
    {"router_settings: {model_group_alias: {a: dema}}",
     "which no model_name serves; nearest: demo"},
    {"penstock: {listen: {host: \"::\", allow_open: true}}", "whoever reaches the port"},
};

static void
doubtful_files_are_warned_about(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(warned); i++) {
        struct loaded loaded = load_text(warned[i].text, NO_ENVIRONMENT);
        expect_good(&loaded);
        expect_problem(&loaded, true, warned[i].problem);
        unload(&loaded);
    }
}

static void
empty_files_are_files(void **state)
{
    static const char *const empty[] = {
        "",           "\n",          "# nothing\n",
        "---\n...\n", "penstock:\n", "model_list: ~\nrouter_settings: null\n",
        "{}"};
    (void)state;
    for (size_t i = 0; i < countof(empty); i++) {
        struct loaded loaded = load_text(empty[i], NO_ENVIRONMENT);
        expect_clean(&loaded);
        assert_int_equal(loaded.config->deployment_count, 10);
        unload(&loaded);
    }
    struct config_flags flags;
    config_flags_init(&flags);
    flags.config_path = SLICE_LIT("absent.yaml");
    struct loaded loaded = load_with(flags, NO_ENVIRONMENT);
    expect_problem(&loaded, false, "absent.yaml: cannot read the file: No such file");
    unload(&loaded);
}

/* ---- bounds on the file ---- */

static void
large_files_end_quickly(void **state)
{
    struct sink text;
    (void)state;
    sink_init(&text, 4u << 20);
    while (text.len <= 1u << 20)
        sink_text(&text,
                  "# a line that says nothing at all, many times over, to make a file large\n");
    struct loaded loaded = load_bytes(sink_slice(&text), NO_ENVIRONMENT);
    expect_problem(&loaded, false, "larger than 1 MiB");
    unload(&loaded);

    sink_reset(&text, SIZE_MAX);
    sink_text(&text, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 10; i++) {
        sink_printf(&text, "a%d: &a%d [", i, i);
        for (int j = 0; j < 10; j++)
            sink_printf(&text, "*a%d,", i - 1);
        sink_text(&text, "]\n");
    }
    loaded = load_bytes(sink_slice(&text), NO_ENVIRONMENT);
    expect_problem(&loaded, false, "the file has too many values");
    unload(&loaded);

    sink_reset(&text, SIZE_MAX);
    for (int i = 0; i < 20000; i++) /* quadratic inside libyaml, were it let in */
        sink_printf(&text, "%%TAG !e%d! tag:x,%d:\n", i, i);
    loaded = load_bytes(sink_slice(&text), NO_ENVIRONMENT);
    expect_problem(&loaded, false, "too many lines that begin with %");
    unload(&loaded);

    sink_reset(&text, SIZE_MAX);
    for (int i = 0; i < 2000; i++)
        sink_printf(&text, "- &a%d x\n", i);
    loaded = load_bytes(sink_slice(&text), NO_ENVIRONMENT);
    expect_problem(&loaded, false, "c.yaml:1001:3: [1000]: too many anchors");
    unload(&loaded);

    sink_reset(&text, SIZE_MAX);
    for (int i = 0; i < 200; i++)
        sink_printf(&text, "unknown_%d: 1\n", i);
    loaded = load_bytes(sink_slice(&text), NO_ENVIRONMENT);
    expect_problem(&loaded, false, "and 150 more errors");
    unload(&loaded);
    sink_fini(&text);
}

static void
anchors_and_merges_work(void **state)
{
    (void)state;
    struct loaded loaded =
        load_text("model_list:\n"
                  "  - model_name: a\n"
                  "    litellm_params: &base {model: openai/a, api_key: k, rpm: 5}\n"
                  "  - model_name: b\n"
                  "    litellm_params: {<<: *base, rpm: 6}\n"
                  "  - model_name: c\n"
                  "    litellm_params:\n"
                  "      <<: [*base, {tpm: 7}]\n"
                  "      model: openai/c\n"
                  "  - model_name: &d d\n"
                  "    litellm_params: *base\n"
                  "router_settings: {model_group_alias: {*d : d, e: *d}}\n"
                  "penstock: {retry: {statuses: [400, 599]}}\n",
                  NO_ENVIRONMENT);
    expect_clean(&loaded);
    const struct config_deployment *all = loaded.config->deployments;
    assert_int_equal(loaded.config->deployment_count, 4);
    assert_int_equal(all[0].rpm, 5);
    assert_int_equal(all[1].rpm, 6);
    expect_slice(all[1].model, "a");
    expect_slice(all[2].model, "c");
    assert_int_equal(all[2].rpm, 5);
    assert_int_equal(all[2].tpm, 7);
    expect_slice(all[3].id, "openai/a#3");
    expect_slice(loaded.config->aliases[0].from, "d");
    expect_slice(loaded.config->aliases[1].to[0], "d");
    assert_int_equal(loaded.config->retry_statuses[0], 400);
    assert_int_equal(loaded.config->retry_statuses[1], 599);
    unload(&loaded);
}

/* ---- printing ---- */

/* Without the part behind '#': sources differ between a file and its printed form. */
static struct sink
without_sources(struct slice text)
{
    struct sink out;
    sink_init(&out, 16u << 20);
    while (slice_present(text)) {
        struct slice line = text_split(&text, '\n');
        ptrdiff_t at = text_find(line, SLICE_LIT(" # "));
        sink_put(&out, text_trim(slice_take(line, at >= 0 ? (size_t)at : line.len)));
        sink_byte(&out, '\n');
    }
    return out;
}

static void
what_is_printed_can_be_read(void **state)
{
    static const char *const secrets[] = {"sk-1", "sk-2", "sk-from-file", "sk-extra",
                                          "header-secret"};
    (void)state;
    struct sink text;
    sink_init(&text, 1u << 20);
    sink_text(&text, litellm_file);
    sink_text(&text, "penstock:\n"
                     "  keys: [{name: alice, key: sk-extra}]\n"
                     "  models: {gpt-4o: {reasoning: think, timeouts: {idle: 33s}}}\n");
    struct loaded loaded =
        load_bytes(sink_slice(&text), ENVIRONMENT("OPENAI_API_KEY=sk-1", "MASTER=sk-2"));
    expect_good(&loaded);
    struct sink first = printed(loaded.config);
    for (size_t i = 0; i < countof(secrets); i++)
        assert_true(text_find(sink_slice(&first), slice_from(secrets[i])) < 0);
    static const char *const shown[] = {"reasoning: think ", "extra_headers: {\"X-Title\": \"***\"} ",
                                        "extra_headers: {\"A\": \"***\", \"B\": \"***\"} ",
                                        "keys: [{name: \"alice\", key: \"***\"}] ",
                                        "organization: \"org-1\" "};
    for (size_t i = 0; i < countof(shown); i++)
        if (text_find(sink_slice(&first), slice_from(shown[i])) < 0)
            fail_msg("not printed: %s", shown[i]);
    unload(&loaded);
    loaded = load_bytes(sink_slice(&first), NO_ENVIRONMENT);
    expect_good(&loaded);
    struct sink second = printed(loaded.config);
    struct sink left = without_sources(sink_slice(&first));
    struct sink right = without_sources(sink_slice(&second));
    if (!slice_eq(sink_slice(&left), sink_slice(&right)))
        fail_msg("%.*s\n----\n%.*s", SLICE_ARG(sink_slice(&left)), SLICE_ARG(sink_slice(&right)));
    sink_fini(&left);
    sink_fini(&right);
    sink_fini(&second);
    sink_fini(&first);
    sink_fini(&text);
    unload(&loaded);
}

/* ---- no file is too odd ---- */

static void
every_prefix_gets_an_answer(void **state)
{
    struct slice whole = slice_from(litellm_file);
    (void)state;
    for (size_t n = 0; n <= whole.len; n++) {
        struct loaded loaded =
            load_bytes(slice_take(whole, n), ENVIRONMENT("OPENAI_API_KEY=a", "MASTER=b"));
        unload(&loaded);
    }
}

static void
every_mutation_gets_an_answer(void **state)
{
    static const char bytes[] = "{}[]:,-&*!|>'\"%@`#?$\n \t\\~<=0aZ\xc3\xff";
    uint64_t seed = 20261120;
    (void)state;
    for (int round = 0; round < 3000; round++) {
        char text[sizeof(litellm_file)];
        memcpy(text, litellm_file, sizeof(text));
        size_t len = sizeof(text) - 1;
        for (int change = 0; change < 1 + round % 4; change++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            text[(seed >> 33) % len] = bytes[(seed >> 20) % (sizeof(bytes) - 1)];
        }
        struct loaded loaded =
            load_bytes(slice_of(text, len), ENVIRONMENT("OPENAI_API_KEY=a", "MASTER=b"));
        unload(&loaded);
    }
}

static void
references_are_counted(void **state)
{
    (void)state;
    struct loaded loaded = load_text(ONE_MODEL, NO_ENVIRONMENT);
    expect_clean(&loaded);
    assert_ptr_equal(config_hold(loaded.config), loaded.config);
    config_drop(loaded.config);
    expect_slice(loaded.config->deployments[0].model_name, "m"); /* still there */
    unload(&loaded);
    config_drop(NULL);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_gives_the_defaults),
        cmocka_unit_test(litellm_file_is_read),
        cmocka_unit_test(wrong_files_are_refused),
        cmocka_unit_test(doubtful_files_are_warned_about),
        cmocka_unit_test(empty_files_are_files),
        cmocka_unit_test(large_files_end_quickly),
        cmocka_unit_test(anchors_and_merges_work),
        cmocka_unit_test(what_is_printed_can_be_read),
        cmocka_unit_test(every_prefix_gets_an_answer),
        cmocka_unit_test(every_mutation_gets_an_answer),
        cmocka_unit_test(references_are_counted),
    };
    return cmocka_run_group_tests(tests, config_case_enter, config_case_leave);
}
