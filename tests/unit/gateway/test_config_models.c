/* SPDX-License-Identifier: MIT
 *
 * test_config_models.c - from entries and variables to deployments: providers, addresses, keys,
 * habits.
 */
#include "tests/unit/gateway/config_case.h"

#include "gateway/config_internal.h"

#define ALL_KEYS                                                                                   \
    "OPENAI_API_KEY=k", "ANTHROPIC_API_KEY=k", "DEEPSEEK_API_KEY=k", "OPENROUTER_API_KEY=k",       \
        "GROQ_API_KEY=k", "MISTRAL_API_KEY=k", "XAI_API_KEY=k", "TOGETHERAI_API_KEY=k",            \
        "FIREWORKS_API_KEY=k", "CEREBRAS_API_KEY=k", "PERPLEXITYAI_API_KEY=k",                     \
        "MOONSHOT_API_KEY=k", "ZAI_API_KEY=k", "DASHSCOPE_API_KEY=k"

/* One model with these litellm_params; "" and NULL leave a key out. */
static struct loaded
load_model(const char *model, const char *base, const char *more, char *const *variables)
{
    char text[2048];
    snprintf(text, sizeof(text),
             "model_list:\n  - model_name: m*\n    litellm_params:\n      model: \"%s\"\n%s%s%s%s",
             model, base != NULL ? "      api_base: \"" : "", base != NULL ? base : "",
             base != NULL ? "\"\n" : "", more != NULL ? more : "");
    return load_text(text, variables);
}

/* ---- providers ---- */

static const struct {
    const char *model, *base;
    const char *provider, *upstream_model, *address; /* scheme://host:port/path */
    enum config_dialect dialect;
} providers[] = {
    {"openai/gpt-4o", NULL, "openai", "gpt-4o", "https://api.openai.com:443/v1",
     CONFIG_OPENAI_CHAT},
    {"gpt-4o", NULL, "openai", "gpt-4o", "https://api.openai.com:443/v1", CONFIG_OPENAI_CHAT},
    {"claude-sonnet-4", NULL, "anthropic", "claude-sonnet-4", "https://api.anthropic.com:443/v1",
     CONFIG_ANTHROPIC},
    {"anthropic/claude-x", NULL, "anthropic", "claude-x", "https://api.anthropic.com:443/v1",
     CONFIG_ANTHROPIC},
    {"anthropic/claude-x", "https://h/v1/", "anthropic", "claude-x", "https://h:443/v1",
     CONFIG_ANTHROPIC},
    {"anthropic/x", "https://api.deepseek.com/anthropic", "anthropic", "x",
     "https://api.deepseek.com:443/anthropic/v1", CONFIG_ANTHROPIC},
    {"anthropic/x", "http://h:1/v1/messages", "anthropic", "x", "http://h:1/v1", CONFIG_ANTHROPIC},
    {"hosted_vllm/org/name", "http://h:8000", "hosted_vllm", "org/name", "http://h:8000/v1",
     CONFIG_OPENAI_CHAT},
    {"vllm/a", "http://h/v2", "vllm", "a", "http://h:80/v2", CONFIG_OPENAI_CHAT},
    {"ollama_chat/llama3:8b", NULL, "ollama_chat", "llama3:8b", "http://localhost:11434/v1",
     CONFIG_OPENAI_CHAT},
    {"ollama/a", "http://h:11434", "ollama", "a", "http://h:11434/v1", CONFIG_OPENAI_CHAT},
    {"ollama/a", "http://h:11434/api/", "ollama", "a", "http://h:11434/v1", CONFIG_OPENAI_CHAT},
    {"ollama/a", "http://h:11434/v1", "ollama", "a", "http://h:11434/v1", CONFIG_OPENAI_CHAT},
    {"deepseek/deepseek-chat", NULL, "deepseek", "deepseek-chat", "https://api.deepseek.com:443/v1",
     CONFIG_OPENAI_CHAT},
    {"openrouter/anthropic/claude:free", NULL, "openrouter", "anthropic/claude:free",
     "https://openrouter.ai:443/api/v1", CONFIG_OPENAI_CHAT},
    {"groq/a", NULL, "groq", "a", "https://api.groq.com:443/openai/v1", CONFIG_OPENAI_CHAT},
    {"mistral/a", NULL, "mistral", "a", "https://api.mistral.ai:443/v1", CONFIG_OPENAI_CHAT},
    {"xai/a", NULL, "xai", "a", "https://api.x.ai:443/v1", CONFIG_OPENAI_CHAT},
    {"together_ai/a/b", NULL, "together_ai", "a/b", "https://api.together.xyz:443/v1",
     CONFIG_OPENAI_CHAT},
    {"fireworks_ai/a", NULL, "fireworks_ai", "accounts/fireworks/models/a",
     "https://api.fireworks.ai:443/inference/v1", CONFIG_OPENAI_CHAT},
    {"fireworks_ai/accounts/x/models/a", NULL, "fireworks_ai", "accounts/x/models/a",
     "https://api.fireworks.ai:443/inference/v1", CONFIG_OPENAI_CHAT},
    {"cerebras/a", NULL, "cerebras", "a", "https://api.cerebras.ai:443/v1", CONFIG_OPENAI_CHAT},
    {"perplexity/a", NULL, "perplexity", "a", "https://api.perplexity.ai:443", CONFIG_OPENAI_CHAT},
    {"moonshot/a", NULL, "moonshot", "a", "https://api.moonshot.ai:443/v1", CONFIG_OPENAI_CHAT},
    {"zai/a", NULL, "zai", "a", "https://api.z.ai:443/api/paas/v4", CONFIG_OPENAI_CHAT},
    {"dashscope/a", NULL, "dashscope", "a",
     "https://dashscope-intl.aliyuncs.com:443/compatible-mode/v1", CONFIG_OPENAI_CHAT},
    {"lm_studio/a", NULL, "lm_studio", "a", "http://localhost:1234/v1", CONFIG_OPENAI_CHAT},
    {"llamafile/a", NULL, "llamafile", "a", "http://localhost:8080/v1", CONFIG_OPENAI_CHAT},
    {"openai_like/a", "http://h", "openai_like", "a", "http://h:80", CONFIG_OPENAI_CHAT},
    {"org/model", "http://h/v1", "openai_like", "org/model", "http://h:80/v1", CONFIG_OPENAI_CHAT},
    {"gpt-4o", "http://h/v1", "openai_like", "gpt-4o", "http://h:80/v1", CONFIG_OPENAI_CHAT},
    {"openai/x", "http://h/v1/chat/completions/", "openai", "x", "http://h:80/v1",
     CONFIG_OPENAI_CHAT},
};

static void
providers_are_resolved(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(providers); i++) {
        struct loaded loaded =
            load_model(providers[i].model, providers[i].base, NULL, ENVIRONMENT(ALL_KEYS));
        char address[512];
        expect_clean(&loaded);
        const struct config_deployment *got = loaded.config->deployments;
        snprintf(address, sizeof(address), "%s://%.*s:%u%.*s", got->tls ? "https" : "http",
                 SLICE_ARG(got->host), got->port, SLICE_ARG(got->base_path));
        expect_slice(got->provider, providers[i].provider);
        expect_slice(got->model, providers[i].upstream_model);
        assert_string_equal(address, providers[i].address);
        assert_int_equal(got->dialect, providers[i].dialect);
        unload(&loaded);
    }
}

/* ---- Azure, Google, Responses ---- */

static void
rows_of_the_catalogue_stand_on_their_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < config_provider_count; i++) {
        const struct config_provider *provider = &config_providers[i];
        char model[128];
        snprintf(model, sizeof(model), "%s/some-model", provider->name);
        struct loaded loaded =
            load_model(model, provider->flags & PROVIDER_BASE_NEEDED ? "https://upstream.example/v1" : NULL, NULL,
                       ENVIRONMENT(ALL_KEYS, "VERTEXAI_PROJECT=p"));
        expect_good(&loaded);
        const struct config_deployment *got = loaded.config->deployments;
        expect_slice(got->provider, provider->name);
        assert_true(got->host.len > 0);
        assert_int_equal(got->dialect, provider->dialect);
        assert_true(got->tls || config_is_loopback(got->host));
        unload(&loaded);
    }
}

static void
azure_has_paths_and_keys_of_its_own(void **state)
{
    (void)state;
    struct loaded loaded = load_model("azure/my-gpt", "https://r.openai.azure.com/", NULL, ENVIRONMENT("AZURE_API_KEY=k"));
    expect_clean(&loaded);
    const struct config_deployment *got = loaded.config->deployments;
    expect_slice(got->model, "my-gpt");
    expect_slice(got->api_key, "k");
    expect_slice(got->api_version, "2024-10-21");
    expect_slice(got->base_path, "");
    assert_int_equal(got->auth, CONFIG_AUTH_API_KEY);
    assert_int_equal(got->surface, CONFIG_AZURE);
    assert_true(got->keeps_state);
    unload(&loaded);
    loaded = load_model("azure/my-gpt", "https://r.openai.azure.com", "      api_version: 2025-04-01-preview\n",
                        ENVIRONMENT("AZURE_AD_TOKEN=t"));
    expect_clean(&loaded);
    got = loaded.config->deployments;
    expect_slice(got->api_version, "2025-04-01-preview");
    assert_true(got->bearer);
    unload(&loaded);
    loaded = load_model("azure/g", "https://r.openai.azure.com/openai/v1", NULL, ENVIRONMENT("AZURE_API_KEY=k"));
    expect_clean(&loaded);
    got = loaded.config->deployments;
    assert_int_equal(got->surface, CONFIG_PLAIN);
    assert_false(slice_present(got->api_version));
    assert_int_equal(got->auth, CONFIG_AUTH_API_KEY);
    unload(&loaded);
    loaded = load_model("azure/g", "https://elsewhere.example/openai/v1", NULL, ENVIRONMENT("AZURE_API_KEY=k"));
    assert_false(slice_present(loaded.config->deployments->api_key)); /* an Azure key goes to Azure */
    unload(&loaded);
}

static void
responses_are_chosen_by_the_model(void **state)
{
    (void)state;
    struct loaded loaded = load_model("openai/responses/gpt-5", NULL, NULL, ENVIRONMENT(ALL_KEYS));
    expect_clean(&loaded);
    const struct config_deployment *got = loaded.config->deployments;
    expect_slice(got->model, "gpt-5");
    assert_int_equal(got->dialect, CONFIG_OPENAI_RESPONSES);
    assert_true(got->keeps_state);
    unload(&loaded);
    loaded = load_model("openai/x", "http://h/v1/responses", "    penstock: {dialect: openai_responses}\n", ENVIRONMENT(ALL_KEYS));
    expect_clean(&loaded);
    got = loaded.config->deployments;
    expect_slice(got->base_path, "/v1");
    assert_int_equal(got->dialect, CONFIG_OPENAI_RESPONSES);
    assert_false(got->keeps_state);
    unload(&loaded);
}

static const struct {
    const char *location, *host;
} regions[] = {
    {"global", "aiplatform.googleapis.com"},
    {"us", "aiplatform.us.rep.googleapis.com"},
    {"eu", "aiplatform.eu.rep.googleapis.com"},
    {"us-east5", "us-east5-aiplatform.googleapis.com"},
};

static void
vertex_hosts_follow_the_location(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(regions); i++) {
        char more[128];
        snprintf(more, sizeof(more), "      vertex_location: %s\n      vertex_project: p-1\n", regions[i].location);
        struct loaded loaded = load_model("vertex_ai/claude-opus-4@20250514", NULL, more, NO_ENVIRONMENT);
        expect_clean(&loaded);
        const struct config_deployment *got = loaded.config->deployments;
        expect_slice(got->host, regions[i].host);
        expect_slice(got->location, regions[i].location);
        assert_int_equal(got->dialect, CONFIG_ANTHROPIC);
        assert_int_equal(got->surface, CONFIG_VERTEX);
        assert_int_equal(got->auth, CONFIG_AUTH_BEARER);
        assert_true(got->google && got->tls && !got->url_media && got->strict_turns);
        unload(&loaded);
    }
}

static void
several_locations_are_tried_in_order(void **state)
{
    (void)state;
    struct loaded loaded =
        load_model("vertex_ai/gemini-3-pro", NULL, "      vertex_location: [us-central1, europe-west4]\n      order: 3\n",
                   ENVIRONMENT("GOOGLE_CLOUD_PROJECT=p"));
    expect_clean(&loaded);
    assert_int_equal(loaded.config->deployment_count, 2);
    const struct config_deployment *got = loaded.config->deployments;
    expect_slice(got[0].id, "vertex_ai/gemini-3-pro@us-central1");
    expect_slice(got[1].id, "vertex_ai/gemini-3-pro@europe-west4");
    expect_slice(got[1].host, "europe-west4-aiplatform.googleapis.com");
    assert_int_equal(got[0].order, 3);
    assert_int_equal(got[1].order, 4);
    assert_int_equal(got[1].dialect, CONFIG_GEMINI);
    assert_true(got[1].thinking_level && got[1].json_schema && got[1].result_media);
    unload(&loaded);
    loaded = load_model("vertex_ai/gemini-3-pro", NULL, "      vertex_location: []\n", ENVIRONMENT("GOOGLE_CLOUD_PROJECT=p"));
    expect_problem(&loaded, false, "a list of locations without any");
    unload(&loaded);
    loaded = load_model("vertex_ai/gemini-3-pro", NULL, NULL, NO_ENVIRONMENT);
    expect_problem(&loaded, false, "vertex_project is needed");
    unload(&loaded);
    loaded = load_model("vertex_ai/gemini-3-pro", NULL, "      vertex_project: a/b\n", NO_ENVIRONMENT);
    expect_problem(&loaded, false, "cannot be written like this");
    unload(&loaded);
}

static void
google_tokens_stay_at_google(void **state)
{
    (void)state;
    struct loaded loaded = load_model("vertex_ai/gemini-3-pro", "https://example.com", NULL, ENVIRONMENT("GOOGLE_CLOUD_PROJECT=p"));
    expect_problem(&loaded, false, "Google's access tokens are sent to hosts of googleapis.com only");
    unload(&loaded);
    loaded = load_model("vertex_ai/gemini-3-pro", "http://us-east5-aiplatform.googleapis.com", NULL,
                        ENVIRONMENT("GOOGLE_CLOUD_PROJECT=p"));
    expect_problem(&loaded, false, "googleapis.com only"); /* not in the clear */
    unload(&loaded);
    loaded = load_model("vertex_ai/gemini-3-pro", "http://127.0.0.1:1", NULL, ENVIRONMENT("GOOGLE_CLOUD_PROJECT=p"));
    expect_clean(&loaded);
    unload(&loaded);
    /* A key of one's own is no token of Google's. */
    loaded = load_model("vertex_ai/gemini-3-pro", "https://example.com", "      api_key: static\n", ENVIRONMENT("GOOGLE_CLOUD_PROJECT=p"));
    expect_good(&loaded);
    assert_false(loaded.config->deployments->google);
    unload(&loaded);
}

static void
credentials_may_name_the_project(void **state)
{
    (void)state;
    struct loaded loaded =
        load_model("vertex_ai/gemini-3-pro", NULL,
                   "      vertex_credentials: '{\"type\":\"service_account\",\"project_id\":\"from-file\"}'\n", NO_ENVIRONMENT);
    expect_good(&loaded);
    expect_slice(loaded.config->deployments->project, "from-file");
    unload(&loaded);
    put_file("account.json", SLICE_LIT("{\"type\":\"authorized_user\",\"quota_project_id\":\"of-the-quota\"}"), 0600);
    loaded = load_model("vertex_ai/gemini-3-pro", NULL, "      vertex_credentials: account.json\n", NO_ENVIRONMENT);
    expect_good(&loaded);
    expect_slice(loaded.config->deployments->project, "of-the-quota");
    unload(&loaded);
}

static void
gemini_models_have_habits_by_name(void **state)
{
    static const struct {
        const char *model;
        bool level, schema;
    } cases[] = {{"gemini/gemini-2.0-flash", false, false}, {"gemini/gemini-2.5-pro", false, true},
                 {"gemini/gemini-3-flash", true, true}, {"gemini-3.5-pro", true, true}};
    (void)state;
    for (size_t i = 0; i < countof(cases); i++) {
        struct loaded loaded = load_model(cases[i].model, NULL, NULL, ENVIRONMENT("GEMINI_API_KEY=k"));
        expect_clean(&loaded);
        const struct config_deployment *got = loaded.config->deployments;
        expect_slice(got->provider, "gemini");
        expect_slice(got->base_path, "/v1beta");
        assert_int_equal(got->thinking_level, cases[i].level);
        assert_int_equal(got->json_schema, cases[i].schema);
        assert_int_equal(got->auth, CONFIG_AUTH_DEFAULT);
        unload(&loaded);
    }
    /* The file has the last word. */
    struct loaded loaded = load_model("gemini/gemini-3-pro", NULL,
                                      "      safety_settings: [{category: C, threshold: OFF}]\n"
                                      "    penstock: {thinking_level: false, grounding: on, thinking_budget: 24576, tool_ids: nine}\n",
                                      ENVIRONMENT("GEMINI_API_KEY=k"));
    expect_clean(&loaded);
    const struct config_deployment *got = loaded.config->deployments;
    assert_false(got->thinking_level);
    assert_int_equal(got->grounding, CONFIG_ON);
    assert_int_equal(got->thinking_budget_max, 24576);
    assert_int_equal(got->ids, CONFIG_IDS_NINE);
    expect_slice(got->safety, "[{\"category\":\"C\",\"threshold\":\"OFF\"}]");
    unload(&loaded);
}

static void
custom_provider_is_honoured(void **state)
{
    (void)state;
    struct loaded loaded =
        load_model("a/b", NULL, "      custom_llm_provider: deepseek\n", ENVIRONMENT(ALL_KEYS));
    expect_clean(&loaded);
    expect_slice(loaded.config->deployments->provider, "deepseek");
    expect_slice(loaded.config->deployments->model, "a/b");
    unload(&loaded);
    loaded = load_model("deepseek/b", NULL, "      custom_llm_provider: deepseek\n",
                        ENVIRONMENT(ALL_KEYS));
    expect_slice(loaded.config->deployments->model, "b");
    unload(&loaded);
    loaded = load_model("b", NULL, "      custom_llm_provider: depseek\n", ENVIRONMENT(ALL_KEYS));
    expect_problem(&loaded, false,
                   "custom_llm_provider: no api_base, and no provider of this name is "
                   "known: \"depseek\"; did you mean \"deepseek\"?");
    unload(&loaded);
}

static const struct {
    const char *model, *base, *more, *problem;
} refused[] = {
    {"opnai/x", NULL, NULL,
     "litellm_params.model: no api_base, and no provider of this name is known: "
     "\"opnai\"; did you mean \"openai\"?"},
    {"some-model", NULL, NULL, "no provider of this name is known: \"some-model\""},
    {"hosted_vllm/x", NULL, NULL, "api_base is needed for provider hosted_vllm"},
    {"openai/x", "ftp://h", NULL,
     "c.yaml:5:17: model_list[0].litellm_params.api_base: the address must begin"},
    {"openai/x", "h:8000", NULL, "the address must begin with https:// or http://"},
    {"openai/x", "http://", NULL, "the address names no host"},
    {"openai/x", "http://:80", NULL, "the address names no host"},
    {"openai/x", "http://u:p@h", NULL, "user names and passwords"},
    {"openai/x", "http://h:0", NULL, "the port is not a number"},
    {"openai/x", "http://h:65536", NULL, "the port is not a number"},
    {"openai/x", "http://h:", NULL, "the port is not a number"},
    {"openai/x", "http://h:8a", NULL, "the port is not a number"},
    {"openai/x", "http://a..b", NULL, "empty label"},
    {"openai/x", "http://a b", NULL, "a character that a host name cannot have"},
    {"openai/x", "http://\xc3\xa4.de", NULL, "xn--"},
    {"openai/x", "http://[::1", NULL, "\"[\" without \"]\""},
    {"openai/x", "http://[::g]", NULL, "not an IPv6 address"},
    {"openai/x", "http://[::1]x", NULL, "only a port can follow"},
    {"openai/x", "http://h/v1?key=1", NULL, "query or a fragment"},
    {"openai/x", "http://h/v1#a", NULL, "query or a fragment"},
    {"openai/x", "http://h/v 1", NULL, "percent-encoded"},
    {"openai/x**", NULL, NULL, "at most one \"*\""},
    {"openai/", NULL, NULL, "not a name of a model"},
    {"openai/x", NULL, "      api_key: \"a b\"\n", "api_key: holds a character that cannot stand"},
    {"openai/x", NULL, "      api_key: os.environ/NOPE\n", "environment variable NOPE is not set"},
    {"openai/x", NULL, "      temprature: 1\n",
     "temprature: unknown key; did you mean \"temperature\"?"},
    {"openai/x", NULL, "      chat_template_kwargs: {}\n", "belong under extra_body"},
    {"openai/x", NULL, "      extra_headers: {\"a b\": c}\n", "not a header that can be sent"},
    {"openai/x", NULL, "      extra_headers: {a: \"b\\r\\nc: d\"}\n",
     "not a header that can be sent"},
    {"openai/x", NULL, "      extra_headers: {Content-Length: 3}\n", "penstock's own business"},
    {"openai/x", NULL, "      extra_headers: [a]\n", "a map is expected here"},
    {"openai/x", NULL, "      extra_body: [a]\n", "a map is expected here"},
    {"openai/x", NULL, "      weight: 0\n", "too small"},
    {"openai/x", NULL, "      weight: heavy\n", "a number is expected"},
    {"openai/x", NULL, "    penstock: {spki_pin: sha256/AAAA}\n", "base64 of 32 bytes"},
    {"openai/x", NULL, "    penstock: {dialect: palm}\n", "not one of openai_chat|anthropic"},
    {"openai/x", NULL, "    penstock: {reasonin: drop}\n", "did you mean \"reasoning\"?"},
    {"openai/x", NULL, "    penstock: {timeouts: {idle: 2h}}\n", "too large: the most is 3600s"},
    {"openai/x", NULL, "    mode: chat\n", "model_list[0].mode: unknown key"},
};

static void
wrong_models_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < countof(refused); i++) {
        struct loaded loaded =
            load_model(refused[i].model, refused[i].base, refused[i].more, ENVIRONMENT(ALL_KEYS));
        if (loaded.rc == 0)
            fail_msg("taken: %s %s %s", refused[i].model, refused[i].base, refused[i].more);
        expect_problem(&loaded, false, refused[i].problem);
        unload(&loaded);
    }
    static const char *const lists[][2] = {
        {"model_list: {a: b}", "a list of models is expected here"},
        {"model_list: [a]", "a map with model_name and litellm_params is expected"},
        {"model_list: [{litellm_params: {model: openai/a}}]", "model_name is missing"},
        {"model_list: [{model_name: a}]", "litellm_params.model is missing"},
        {"model_list: [{model_name: a, litellm_params: {model: openai/*}}]",
         "\"*\" needs one in model_name"},
        {"model_list: [{model_name: \"*a*\", litellm_params: {model: openai/a}}]",
         "at most one \"*\""},
        {"model_list: [{model_name: a, litellm_params: {model: openai/a}, model_info: {id: x}},"
         " {model_name: b, litellm_params: {model: openai/b}, model_info: {id: x}}]",
         "this id is taken: x"},
    };
    for (size_t i = 0; i < countof(lists); i++) {
        struct loaded loaded = load_text(lists[i][0], ENVIRONMENT(ALL_KEYS));
        expect_problem(&loaded, false, lists[i][1]);
        unload(&loaded);
    }
}

static void
unserved_models_are_left_out(void **state)
{
    static const char *const models[] = {
        "azure_text/a", "bedrock/a", "sagemaker/a", "palm/a", "text-completion-openai/a",
        "cohere_chat/a"};
    char text[512];
    (void)state;
    for (size_t i = 0; i < countof(models); i++) {
        snprintf(text, sizeof(text),
                 "model_list:\n"
                 "  - {model_name: out, litellm_params: {model: %s, api_base: \"http://h\"}}\n"
                 "  - {model_name: in, litellm_params: {model: openai/a}}\n",
                 models[i]);
        struct loaded loaded = load_text(text, ENVIRONMENT(ALL_KEYS));
        expect_good(&loaded);
        expect_problem(&loaded, true, "this model is left out");
        assert_int_equal(loaded.config->deployment_count, 1);
        expect_slice(loaded.config->deployments->model_name, "in");
        unload(&loaded);
    }
}

/* ---- addresses ---- */

static void
host_headers_name_the_port_when_needed(void **state)
{
    static const char *const cases[][3] = {
        {"https://API.Example.com./v1", "api.example.com", "api.example.com"},
        {"https://h:443", "h", "h"},
        {"http://h:80", "h", "h"},
        {"http://h:443", "h", "h:443"},
        {"https://h:8443", "h", "h:8443"},
        {"HTTP://127.0.0.1:1", "127.0.0.1", "127.0.0.1:1"},
        {"http://az-09_AZ.x", "az-09_az.x", "az-09_az.x"},
        {"http://[::1]/v1", "::1", "[::1]"},
        {"https://[fe80::2]:8080/v1", "fe80::2", "[fe80::2]:8080"},
    };
    (void)state;
    for (size_t i = 0; i < countof(cases); i++) {
        struct loaded loaded = load_model("openai_like/a", cases[i][0], NULL, NO_ENVIRONMENT);
        expect_clean(&loaded);
        expect_slice(loaded.config->deployments->host, cases[i][1]);
        expect_slice(loaded.config->deployments->host_header, cases[i][2]);
        unload(&loaded);
    }
    struct loaded loaded = load_model("openai_like/a", "http://h",
                                      "    penstock: {host_header: other}\n", NO_ENVIRONMENT);
    expect_slice(loaded.config->deployments->host_header, "other");
    unload(&loaded);
}

/* ---- keys ---- */

static void
keys_go_home_only(void **state)
{
    (void)state;
    struct loaded loaded =
        load_model("openai/a", "http://elsewhere/v1", NULL, ENVIRONMENT(ALL_KEYS));
    expect_clean(&loaded);
    assert_false(slice_present(loaded.config->deployments->api_key));
    unload(&loaded);
    loaded = load_model("openai/a", "http://api.openai.com/v1", NULL, ENVIRONMENT(ALL_KEYS));
    assert_false(slice_present(loaded.config->deployments->api_key));
    unload(&loaded);
    loaded = load_model("openai/a", "https://eu.api.openai.com/v1", NULL, ENVIRONMENT(ALL_KEYS));
    expect_slice(loaded.config->deployments->api_key, "k");
    unload(&loaded);
    loaded = load_model("openai/a", NULL, NULL,
                        ENVIRONMENT("OPENAI_API_KEY=k", "OPENAI_BASE_URL=http://elsewhere/v1"));
    expect_slice(loaded.config->deployments->api_key, "k");
    expect_slice(loaded.config->deployments->host, "elsewhere");
    unload(&loaded);
    loaded = load_model("hosted_vllm/a", "http://h", NULL, ENVIRONMENT("HOSTED_VLLM_API_KEY=v"));
    expect_slice(loaded.config->deployments->api_key, "v");
    unload(&loaded);
    loaded = load_model("openai/a", NULL, NULL, NO_ENVIRONMENT);
    expect_good(&loaded);
    expect_problem(&loaded, true, "no api_key here and none in the environment as OPENAI_API_KEY");
    unload(&loaded);
}

static void
headers_are_sent_as_written(void **state)
{
    (void)state;
    struct loaded loaded =
        load_model("openai/a", NULL,
                   "      extra_headers: {X-09-az_AZ: \"~ !\\t\u00e9\", authorization: \"\"}\n",
                   ENVIRONMENT(ALL_KEYS));
    expect_clean(&loaded);
    const struct config_deployment *got = loaded.config->deployments;
    assert_int_equal(got->header_count, 2);
    expect_slice(got->headers[0], "X-09-az_AZ");
    expect_slice(got->headers[1], "~ !\t\xc3\xa9");
    expect_slice(got->headers[2], "authorization");
    assert_true(slice_present(got->headers[3]) && got->headers[3].len == 0);
    unload(&loaded);
}

static void
bearer_tokens_are_told_from_keys(void **state)
{
    static const struct {
        char *variable;
        const char *more;
        bool bearer;
    } cases[] = {
        {"ANTHROPIC_API_KEY=sk-ant-api03-x", NULL, false},
        {"ANTHROPIC_AUTH_TOKEN=t", NULL, true},
        {"ANTHROPIC_API_KEY=sk-ant-oat01-x", NULL, true},
        {"ANTHROPIC_API_KEY=k", "    penstock: {bearer: true}\n", true},
        {"ANTHROPIC_AUTH_TOKEN=t", "      api_key: k\n", false},
    };
    (void)state;
    for (size_t i = 0; i < countof(cases); i++) {
        struct loaded loaded =
            load_model("anthropic/a", NULL, cases[i].more, ENVIRONMENT(cases[i].variable));
        expect_clean(&loaded);
        assert_int_equal(loaded.config->deployments->bearer, cases[i].bearer);
        unload(&loaded);
    }
}

/* ---- habits ---- */

#define TOKENS 1u
#define DEVELOPER 2u
#define REPLAY 4u
#define TOP_K 8u
#define TAGS 16u
#define STRICT 32u
#define SIGN 64u
#define USAGE 128u

static unsigned
habits_of(const struct config_deployment *d)
{
    return (d->max_completion_tokens ? TOKENS : 0) | (d->developer_role ? DEVELOPER : 0) |
           (d->replay_reasoning ? REPLAY : 0) | (d->top_k ? TOP_K : 0) |
           (d->think_tags ? TAGS : 0) | (d->strict_turns ? STRICT : 0) |
           (d->placeholder_signature ? SIGN : 0) | (d->usage_in_stream ? USAGE : 0);
}

static void
habits_follow_the_provider(void **state)
{
    static const struct {
        const char *model, *base, *more;
        unsigned habits;
        enum config_effort_style effort;
    } cases[] = {
        {"openai/gpt-5-mini", NULL, NULL, TOKENS | DEVELOPER | SIGN | USAGE,
         EFFORT_REASONING_EFFORT},
        {"openai/o3", NULL, NULL, TOKENS | DEVELOPER | SIGN | USAGE, EFFORT_REASONING_EFFORT},
        {"openai/gpt-4o", NULL, NULL, TOKENS | DEVELOPER | SIGN | USAGE, EFFORT_NONE},
        {"openai/gpt-5", "http://h/v1", NULL, SIGN | USAGE, EFFORT_NONE},
        {"anthropic/a", NULL, NULL, STRICT | TOP_K | USAGE, EFFORT_THINKING},
        {"deepseek/a", NULL, NULL, REPLAY | SIGN | USAGE, EFFORT_THINKING},
        {"moonshot/a", NULL, NULL, REPLAY | SIGN | USAGE, EFFORT_THINKING},
        {"zai/a", NULL, NULL, REPLAY | SIGN | USAGE, EFFORT_THINKING},
        {"dashscope/a", NULL, NULL, TOP_K | SIGN | USAGE, EFFORT_ENABLE_THINKING},
        {"openrouter/a", NULL, NULL, TOP_K | SIGN | USAGE, EFFORT_REASONING_EFFORT},
        {"mistral/a", NULL, NULL, SIGN, EFFORT_NONE},
        {"perplexity/a", NULL, NULL, TAGS | SIGN, EFFORT_NONE},
        {"hosted_vllm/a", "http://h", NULL, TOP_K | TAGS | SIGN | USAGE, EFFORT_NONE},
        {"ollama_chat/a", NULL, NULL, TAGS | SIGN | USAGE, EFFORT_REASONING_EFFORT},
        {"openai_like/a", "http://h", NULL, SIGN | USAGE, EFFORT_NONE},
        /* what the file says wins, in both directions */
        {"deepseek/a", NULL, "    penstock: {replay_reasoning: false, top_k: true, effort: none}\n",
         TOP_K | SIGN | USAGE, EFFORT_NONE},
        {"openai_like/a", "http://h",
         "    penstock: {dialect: anthropic, usage_in_stream: false}\n", STRICT, EFFORT_NONE},
    };
    (void)state;
    for (size_t i = 0; i < countof(cases); i++) {
        struct loaded loaded =
            load_model(cases[i].model, cases[i].base, cases[i].more, ENVIRONMENT(ALL_KEYS));
        expect_clean(&loaded);
        if (habits_of(loaded.config->deployments) != cases[i].habits)
            fail_msg("%s: %u is not %u", cases[i].model, habits_of(loaded.config->deployments),
                     cases[i].habits);
        assert_int_equal(loaded.config->deployments->effort, cases[i].effort);
        unload(&loaded);
    }
}

/* ---- a model's own settings ---- */

static void
a_model_has_settings_of_its_own(void **state)
{
    (void)state;
    put_file("ca.pem", SLICE_LIT("x"), 0644);
    struct loaded loaded = load_text(
        "model_list:\n"
        "  - model_name: a\n"
        "    litellm_params: {model: openai/a, temperature: 1, max_retries: 3, "
        "max_parallel_requests: 9}\n"
        "    model_info: {max_tokens: 100}\n"
        "    penstock:\n"
        "      timeouts: {request: 1h, connect: 1, first_byte: 2, idle: 3, keepalive: 4, drain: 5, "
        "commit: 6}\n"
        "      tls_server_name: name\n"
        "      ca_file: ca.pem\n"
        "      spki_pin: sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=\n"
        "      reasoning: drop\n"
        "      extra_fields: true\n"
        "      defaults: {temperature: 0.5, deep: {a: [1, \"2\", null, true, 1e3, 007, .5, x]}}\n"
        "  - model_name: b\n"
        "    litellm_params: {model: openai/b}\n"
        "    model_info: {max_output_tokens: 7, max_tokens: 100, id: bee}\n"
        "    penstock: {reasoning: think}\n"
        "penstock:\n"
        "  models: {a: {reasoning: reasoning, top_k: true}, bee: {reasoning: drop, think_tags: "
        "true}}\n",
        ENVIRONMENT(ALL_KEYS));
    expect_clean(&loaded);
    const struct config_deployment *a = loaded.config->deployments, *b = a + 1;
    const struct config_timeouts wanted = {3600000, 1000, 2000, 3000, 4000, 5000, 6000};
    assert_memory_equal(&a->timeouts, &wanted, sizeof(wanted));
    expect_slice(a->tls_server_name, "name");
    expect_slice(a->ca_file, "ca.pem");
    assert_int_equal(a->spki_pin.len, 32);
    assert_int_equal(a->spki_pin.ptr[31], 1);
    assert_int_equal(a->reasoning, REASONING_DROP); /* its own word wins over penstock.models */
    assert_true(a->extra_fields && a->top_k);
    assert_int_equal(a->max_connections, 9);
    assert_int_equal(a->max_output_tokens, 100);
    assert_int_equal(a->max_retries, 3);
    expect_slice(
        a->default_params,
        "{\"temperature\":0.5,\"deep\":{\"a\":[1,\"2\",null,true,1e3,\"007\",\".5\",\"x\"]}}");
    assert_int_equal(b->reasoning, REASONING_THINK);
    assert_true(b->think_tags);
    assert_int_equal(b->max_output_tokens, 7);
    unload(&loaded);
}

static void
weights_may_have_places(void **state)
{
    static const struct {
        const char *text;
        uint64_t weight; /* 0: refused */
    } cases[] = {
        {"1", 1000},    {"0.5", 500}, {"1.25", 1250}, {"0.12399", 123}, {"1000000", 1000000000},
        {"0.0001", 0},  {"1.", 0},    {".5", 0},      {"1.x", 0},       {"-1", 0},
        {"1000001", 0}, {"1e3", 0},   {"1.2.3", 0},   {"5000000000", 0}};
    char more[64];
    (void)state;
    for (size_t i = 0; i < countof(cases); i++) {
        snprintf(more, sizeof(more), "      weight: \"%s\"\n", cases[i].text);
        struct loaded loaded = load_model("openai/a", NULL, more, ENVIRONMENT(ALL_KEYS));
        if ((loaded.rc == 0) != (cases[i].weight != 0))
            fail_msg("weight %s", cases[i].text);
        if (loaded.rc == 0)
            assert_int_equal(loaded.config->deployments->weight, cases[i].weight);
        unload(&loaded);
    }
}

static void
near_misses_in_model_info_are_warned_about(void **state)
{
    (void)state;
    struct loaded loaded =
        load_model("openai/a", NULL, "    model_info: {max_output_token: 5, team: x}\n",
                   ENVIRONMENT(ALL_KEYS));
    expect_good(&loaded);
    expect_problem(&loaded, true, "\"max_output_tokens\" is near");
    assert_false(has_problem(&loaded, true, "team"));
    unload(&loaded);
}

static void
every_deployment_has_a_name_of_its_own(void **state)
{
    static const char *const wanted[] = {"openai/a#3", "openai/a", "openai/a#2", "main",
                                         "openai/b"};
    (void)state;
    struct loaded loaded = load_text(
        "model_list:\n"
        "  - {model_name: x, litellm_params: {model: openai/a}, model_info: {id: \"openai/a#3\"}}\n"
        "  - {model_name: x, litellm_params: {model: openai/a}}\n"
        "  - {model_name: x, litellm_params: {model: openai/a}}\n"
        "  - {model_name: x, litellm_params: {model: openai/a}, model_info: {id: main}}\n"
        "  - {model_name: x, litellm_params: {model: openai/b}}\n"
        "  - {model_name: x, litellm_params: {model: openai/a}}\n",
        ENVIRONMENT(ALL_KEYS));
    expect_clean(&loaded);
    for (size_t i = 0; i < countof(wanted); i++)
        expect_slice(loaded.config->deployments[i].id, wanted[i]);
    expect_slice(loaded.config->deployments[5].id, "openai/a#4");
    unload(&loaded);
    loaded = load_text(
        "model_list:\n"
        "  - {model_name: x, litellm_params: {model: openai/a}}\n"
        "  - {model_name: x, litellm_params: {model: openai/b}, model_info: {id: openai/a}}\n",
        ENVIRONMENT(ALL_KEYS));
    expect_clean(&loaded);
    expect_slice(loaded.config->deployments[0].id, "openai/a#2");
    unload(&loaded);
}

/* ---- the environment alone ---- */

static const struct config_deployment *
find_model(const struct config *config, const char *name)
{
    for (uint32_t i = 0; i < config->deployment_count; i++)
        if (slice_is(config->deployments[i].model_name, name))
            return &config->deployments[i];
    fail_msg("no model %s", name);
    return NULL;
}

static void
keys_in_the_environment_make_models(void **state)
{
    (void)state;
    struct loaded loaded =
        load_text("", ENVIRONMENT("OPENAI_API_KEY=a", "ANTHROPIC_API_KEY=b", "GROQ_API_KEY=c",
                                  "OLLAMA_API_BASE=http://o:1", "XAI_API_KEY="));
    static const struct {
        const char *name, *provider, *model;
    } wanted[] = {{"openai/*", "openai", "*"},       {"gpt-*", "openai", "gpt-*"},
                  {"o1*", "openai", "o1*"},          {"o3*", "openai", "o3*"},
                  {"o4*", "openai", "o4*"},          {"chatgpt-*", "openai", "chatgpt-*"},
                  {"anthropic/*", "anthropic", "*"}, {"claude-*", "anthropic", "claude-*"},
                  {"groq/*", "groq", "*"},           {"ollama_chat/*", "ollama_chat", "*"},
                  {"demo", "demo", "demo"},          {"demo-anthropic-slow", "demo", "demo-slow"}};
    expect_clean(&loaded);
    for (size_t i = 0; i < countof(wanted); i++) {
        const struct config_deployment *got = find_model(loaded.config, wanted[i].name);
        expect_slice(got->provider, wanted[i].provider);
        expect_slice(got->model, wanted[i].model);
    }
    for (uint32_t i = 0; i < loaded.config->deployment_count; i++) {
        assert_false(slice_starts(loaded.config->deployments[i].model_name, SLICE_LIT("xai")));
        assert_false(slice_starts(loaded.config->deployments[i].model_name, SLICE_LIT("ollama/")));
        for (uint32_t j = 0; j < i; j++) /* ids are labels: each is there once */
            assert_false(
                slice_eq(loaded.config->deployments[i].id, loaded.config->deployments[j].id));
    }
    expect_slice(find_model(loaded.config, "claude-*")->api_key, "b");
    expect_slice(find_model(loaded.config, "ollama_chat/*")->host, "o");
    assert_int_equal(find_model(loaded.config, "demo-anthropic")->dialect, CONFIG_ANTHROPIC);
    assert_int_equal(find_model(loaded.config, "demo")->port, 0);
    expect_slice(find_model(loaded.config, "demo")->host, "127.0.0.1");
    unload(&loaded);
    /* A model_list says it all: neither discovery nor demo beside it. */
    loaded = load_model("openai/a", NULL, NULL, ENVIRONMENT("OPENAI_API_KEY=a", "GROQ_API_KEY=c"));
    assert_int_equal(loaded.config->deployment_count, 1);
    unload(&loaded);
}

static void
our_own_address_is_no_upstream(void **state)
{
    static const struct {
        char *base, *port;
        bool ours;
    } cases[] = {
        {"ANTHROPIC_BASE_URL=http://localhost:4000", "A=b", true},
        {"ANTHROPIC_BASE_URL=http://127.0.0.1:4000/", "A=b", true},
        {"ANTHROPIC_BASE_URL=http://localhost:8080", "PENSTOCK_PORT=8080", true},
        {"ANTHROPIC_BASE_URL=http://localhost:4001", "A=b", false},
        {"ANTHROPIC_BASE_URL=https://proxy.example:4000", "A=b", false},
    };
    (void)state;
    for (size_t i = 0; i < countof(cases); i++) {
        struct loaded loaded =
            load_text("", ENVIRONMENT("ANTHROPIC_API_KEY=k", cases[i].base, cases[i].port));
        expect_good(&loaded);
        assert_int_equal(has_problem(&loaded, true, "leads back to this gateway"), cases[i].ours);
        bool own = slice_is(find_model(loaded.config, "claude-*")->host, "api.anthropic.com");
        assert_int_equal(own, cases[i].ours);
        unload(&loaded);
    }
    struct loaded loaded =
        load_text("", ENVIRONMENT("OPENAI_API_KEY=k", "OPENAI_BASE_URL=localhost"));
    expect_problem(&loaded, false, "OPENAI_BASE_URL: the address must begin");
    unload(&loaded);
}

static void
a_star_stands_for_the_environment(void **state)
{
    (void)state;
    struct loaded loaded =
        load_text("model_list: [{model_name: \"*\", litellm_params: {model: \"*\"}}]",
                  ENVIRONMENT("GROQ_API_KEY=a", "XAI_API_KEY=b"));
    expect_clean(&loaded);
    assert_int_equal(loaded.config->deployment_count, 2);
    find_model(loaded.config, "xai/*");
    unload(&loaded);
    loaded = load_text("model_list: [{model_name: \"*\", litellm_params: {model: \"*\"}}]",
                       NO_ENVIRONMENT);
    expect_problem(&loaded, true, "there is none");
    expect_problem(&loaded, false, "no model is left to serve");
    unload(&loaded);
    loaded = load_text("model_list: [{model_name: \"*\", litellm_params: {model: openai/*}}]",
                       ENVIRONMENT("OPENAI_API_KEY=a"));
    expect_clean(&loaded);
    expect_slice(loaded.config->deployments->model, "*");
    unload(&loaded);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(providers_are_resolved),
        cmocka_unit_test(rows_of_the_catalogue_stand_on_their_own),
        cmocka_unit_test(azure_has_paths_and_keys_of_its_own),
        cmocka_unit_test(responses_are_chosen_by_the_model),
        cmocka_unit_test(vertex_hosts_follow_the_location),
        cmocka_unit_test(several_locations_are_tried_in_order),
        cmocka_unit_test(google_tokens_stay_at_google),
        cmocka_unit_test(credentials_may_name_the_project),
        cmocka_unit_test(gemini_models_have_habits_by_name),
        cmocka_unit_test(custom_provider_is_honoured),
        cmocka_unit_test(wrong_models_are_refused),
        cmocka_unit_test(unserved_models_are_left_out),
        cmocka_unit_test(host_headers_name_the_port_when_needed),
        cmocka_unit_test(keys_go_home_only),
        cmocka_unit_test(headers_are_sent_as_written),
        cmocka_unit_test(bearer_tokens_are_told_from_keys),
        cmocka_unit_test(habits_follow_the_provider),
        cmocka_unit_test(a_model_has_settings_of_its_own),
        cmocka_unit_test(weights_may_have_places),
        cmocka_unit_test(near_misses_in_model_info_are_warned_about),
        cmocka_unit_test(every_deployment_has_a_name_of_its_own),
        cmocka_unit_test(keys_in_the_environment_make_models),
        cmocka_unit_test(our_own_address_is_no_upstream),
        cmocka_unit_test(a_star_stands_for_the_environment),
    };
    return cmocka_run_group_tests(tests, config_case_enter, config_case_leave);
}
