/* SPDX-License-Identifier: MIT
 *
 * config_providers.c - the providers whose API penstock speaks: names as LiteLLM writes them, addresses,
 * variables, habits. A provider is a row here, not code.
 *
 * Sources: the providers' public API references, and LiteLLM's for names and variables.
 */
#include "gateway/config_internal.h"

#include "base/text.h"

#define KEYLESS_LOCAL (PROVIDER_KEYLESS | PROVIDER_VERSION)

const struct config_provider config_providers[] = {
    {"openai", "https://api.openai.com/v1", "OPENAI_API_KEY", "OPENAI_BASE_URL OPENAI_API_BASE",
     CONFIG_OPENAI_CHAT,
     PROVIDER_COMPLETION_TOKENS | PROVIDER_DEVELOPER | PROVIDER_OFFICIAL | PROVIDER_KEEPS_STATE, EFFORT_REASONING_EFFORT,
     "gpt-* gpt-5* o1* o3* o4* chatgpt-* openai/gpt-5* openai/o*",
     "openai/responses/MODEL speaks the Responses API; at another address than its own it is a plain "
     "OpenAI-compatible server"},
    {"anthropic", "https://api.anthropic.com", "ANTHROPIC_API_KEY ANTHROPIC_AUTH_TOKEN",
     "ANTHROPIC_BASE_URL ANTHROPIC_API_BASE", CONFIG_ANTHROPIC, PROVIDER_STRICT | PROVIDER_TOP_K,
     EFFORT_THINKING, "claude-*", "ANTHROPIC_AUTH_TOKEN is sent as a bearer token"},
    {"gemini", "https://generativelanguage.googleapis.com/v1beta", "GEMINI_API_KEY GOOGLE_API_KEY",
     "GEMINI_API_BASE GOOGLE_GEMINI_BASE_URL", CONFIG_GEMINI, PROVIDER_NO_URL_MEDIA, EFFORT_NONE, "gemini-*",
     "Google AI Studio"},
    {"vertex_ai", NULL, "", "VERTEXAI_API_BASE", CONFIG_GEMINI, PROVIDER_VERTEX, EFFORT_NONE, NULL,
     "Gemini and Claude in Google Cloud: vertex_project, vertex_location and Google credentials instead of a "
     "key; the address follows from the location"},
    {"vertex_ai_beta", NULL, "", "VERTEXAI_API_BASE", CONFIG_GEMINI, PROVIDER_VERTEX, EFFORT_NONE, NULL,
     "the same as vertex_ai"},
    {"azure", NULL, "AZURE_API_KEY AZURE_OPENAI_API_KEY AZURE_OPENAI_AD_TOKEN AZURE_AD_TOKEN",
     "AZURE_API_BASE AZURE_OPENAI_ENDPOINT", CONFIG_OPENAI_CHAT,
     PROVIDER_AZURE | PROVIDER_BASE_NEEDED | PROVIDER_COMPLETION_TOKENS | PROVIDER_DEVELOPER | PROVIDER_KEEPS_STATE,
     EFFORT_NONE, NULL,
     "azure/DEPLOYMENT; an api_base that ends in /openai/v1 needs no api_version; *_AD_TOKEN is sent as a "
     "bearer token"},
    {"azure_ai", NULL, "AZURE_AI_API_KEY AZURE_API_KEY", "AZURE_AI_API_BASE", CONFIG_OPENAI_CHAT,
     PROVIDER_AZURE | PROVIDER_BASE_NEEDED, EFFORT_NONE, NULL,
     "models of other makers in Azure: api_base is https://RESOURCE.services.ai.azure.com/openai/v1"},
    {"anthropic_like", NULL, "", "", CONFIG_ANTHROPIC, PROVIDER_KEYLESS | PROVIDER_BASE_NEEDED | PROVIDER_TOP_K, EFFORT_THINKING, NULL,
     "any server that speaks Anthropic's Messages: LM Studio, llama.cpp, Ollama, vLLM"},
    {"hosted_vllm", NULL, "HOSTED_VLLM_API_KEY", "HOSTED_VLLM_API_BASE", CONFIG_OPENAI_CHAT,
     KEYLESS_LOCAL | PROVIDER_BASE_NEEDED | PROVIDER_TOP_K | PROVIDER_THINK_TAGS, EFFORT_NONE, NULL, NULL},
    {"vllm", NULL, "VLLM_API_KEY", "VLLM_API_BASE", CONFIG_OPENAI_CHAT,
     KEYLESS_LOCAL | PROVIDER_BASE_NEEDED | PROVIDER_TOP_K | PROVIDER_THINK_TAGS, EFFORT_NONE, NULL,
     "the same as hosted_vllm: a server, not a library"},
    {"ollama_chat", "http://localhost:11434/v1", "OLLAMA_API_KEY", "OLLAMA_API_BASE",
     CONFIG_OPENAI_CHAT, KEYLESS_LOCAL | PROVIDER_THINK_TAGS, EFFORT_REASONING_EFFORT, NULL,
     "through its OpenAI-compatible API"},
    {"ollama", "http://localhost:11434/v1", "OLLAMA_API_KEY", "OLLAMA_API_BASE",
     CONFIG_OPENAI_CHAT, KEYLESS_LOCAL | PROVIDER_THINK_TAGS, EFFORT_REASONING_EFFORT, NULL,
     "the same as ollama_chat"},
    {"deepseek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY", "DEEPSEEK_API_BASE",
     CONFIG_OPENAI_CHAT, PROVIDER_REPLAY, EFFORT_THINKING, NULL, "wants reasoning_content back beside tool calls"},
    {"deepseek_anthropic", "https://api.deepseek.com/anthropic", "DEEPSEEK_API_KEY", "", CONFIG_ANTHROPIC, PROVIDER_TOP_K,
     EFFORT_THINKING, NULL, NULL},
    {"openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY OR_API_KEY",
     "OPENROUTER_API_BASE", CONFIG_OPENAI_CHAT, PROVIDER_TOP_K, EFFORT_REASONING_EFFORT, NULL,
     NULL},
    {"groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY", "GROQ_API_BASE",
     CONFIG_OPENAI_CHAT, PROVIDER_COMPLETION_TOKENS, EFFORT_NONE, NULL, NULL},
    {"mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY", "MISTRAL_API_BASE",
     CONFIG_OPENAI_CHAT, PROVIDER_NO_USAGE_OPTION | PROVIDER_IDS_NINE, EFFORT_NONE, NULL,
     "refuses unknown fields; usage comes in any case; ids of calls have nine characters"},
    {"xai", "https://api.x.ai/v1", "XAI_API_KEY", "XAI_API_BASE", CONFIG_OPENAI_CHAT, PROVIDER_KEEPS_STATE,
     EFFORT_NONE, NULL, "xai/responses/MODEL speaks the Responses API"},
    {"together_ai", "https://api.together.xyz/v1",
     "TOGETHERAI_API_KEY TOGETHER_AI_API_KEY TOGETHER_API_KEY", "TOGETHER_AI_API_BASE",
     CONFIG_OPENAI_CHAT, PROVIDER_TOP_K | PROVIDER_THINK_TAGS, EFFORT_NONE, NULL, NULL},
    {"fireworks_ai", "https://api.fireworks.ai/inference/v1",
     "FIREWORKS_API_KEY FIREWORKS_AI_API_KEY", "FIREWORKS_API_BASE", CONFIG_OPENAI_CHAT,
     PROVIDER_TOP_K, EFFORT_NONE, NULL,
     "a bare model name gets accounts/fireworks/models/ before it"},
    {"cerebras", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY", "CEREBRAS_API_BASE",
     CONFIG_OPENAI_CHAT, PROVIDER_COMPLETION_TOKENS, EFFORT_NONE, NULL, NULL},
    {"perplexity", "https://api.perplexity.ai", "PERPLEXITYAI_API_KEY PERPLEXITY_API_KEY",
     "PERPLEXITY_API_BASE", CONFIG_OPENAI_CHAT, PROVIDER_NO_USAGE_OPTION | PROVIDER_THINK_TAGS,
     EFFORT_NONE, NULL, "no tools"},
    {"moonshot", "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY", "MOONSHOT_API_BASE",
     CONFIG_OPENAI_CHAT, PROVIDER_REPLAY, EFFORT_THINKING, NULL, "wants reasoning_content back beside tool calls"},
    {"moonshot_cn", "https://api.moonshot.cn/v1", "MOONSHOT_CN_API_KEY MOONSHOT_API_KEY", "", CONFIG_OPENAI_CHAT,
     PROVIDER_REPLAY, EFFORT_THINKING, NULL, "mainland China"},
    {"moonshot_anthropic", "https://api.moonshot.ai/anthropic", "MOONSHOT_API_KEY", "", CONFIG_ANTHROPIC, PROVIDER_TOP_K,
     EFFORT_THINKING, NULL, NULL},
    {"zai", "https://api.z.ai/api/paas/v4", "ZAI_API_KEY", "ZAI_API_BASE", CONFIG_OPENAI_CHAT,
     PROVIDER_REPLAY, EFFORT_THINKING, NULL, "wants reasoning_content back beside tool calls"},
    {"zai_coding", "https://api.z.ai/api/coding/paas/v4", "ZAI_CODING_API_KEY ZAI_API_KEY", "", CONFIG_OPENAI_CHAT,
     PROVIDER_REPLAY, EFFORT_THINKING, NULL, "the coding plan"},
    {"zai_anthropic", "https://api.z.ai/api/anthropic", "ZAI_API_KEY", "", CONFIG_ANTHROPIC, PROVIDER_TOP_K, EFFORT_THINKING,
     NULL, NULL},
    {"dashscope", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY",
     "DASHSCOPE_API_BASE", CONFIG_OPENAI_CHAT, PROVIDER_TOP_K, EFFORT_ENABLE_THINKING, NULL, "Qwen, Singapore"},
    {"dashscope_cn", "https://dashscope.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_CN_API_KEY DASHSCOPE_API_KEY", "",
     CONFIG_OPENAI_CHAT, PROVIDER_TOP_K, EFFORT_ENABLE_THINKING, NULL, "Qwen, mainland China"},
    {"dashscope_us", "https://dashscope-us.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_US_API_KEY DASHSCOPE_API_KEY", "",
     CONFIG_OPENAI_CHAT, PROVIDER_TOP_K, EFFORT_ENABLE_THINKING, NULL, "Qwen, United States"},
    {"dashscope_anthropic", "https://dashscope-intl.aliyuncs.com/apps/anthropic", "DASHSCOPE_API_KEY", "", CONFIG_ANTHROPIC,
     PROVIDER_TOP_K, EFFORT_THINKING, NULL, "Qwen, Singapore"},
    {"coding_plan", "https://coding-intl.dashscope.aliyuncs.com/v1", "CODING_PLAN_API_KEY", "", CONFIG_OPENAI_CHAT,
     PROVIDER_TOP_K, EFFORT_ENABLE_THINKING, NULL, "Alibaba's coding plan, keys that begin with sk-sp-; instead of Qwen's former free sign-in"},
    {"coding_plan_cn", "https://coding.dashscope.aliyuncs.com/v1", "CODING_PLAN_CN_API_KEY CODING_PLAN_API_KEY", "", CONFIG_OPENAI_CHAT,
     PROVIDER_TOP_K, EFFORT_ENABLE_THINKING, NULL, "the same in mainland China"},
    {"coding_plan_anthropic", "https://coding-intl.dashscope.aliyuncs.com/apps/anthropic", "CODING_PLAN_API_KEY", "",
     CONFIG_ANTHROPIC, PROVIDER_TOP_K, EFFORT_THINKING, NULL, NULL},
    {"modelscope", "https://api-inference.modelscope.cn/v1", "MODELSCOPE_API_KEY MODELSCOPE_ACCESS_TOKEN", "MODELSCOPE_API_BASE",
     CONFIG_OPENAI_CHAT, PROVIDER_TOP_K, EFFORT_ENABLE_THINKING, NULL, NULL},
    {"nvidia_nim", "https://integrate.api.nvidia.com/v1", "NVIDIA_NIM_API_KEY",
     "NVIDIA_NIM_API_BASE", CONFIG_OPENAI_CHAT, 0, EFFORT_NONE, NULL, NULL},
    {"sambanova", "https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY", "SAMBANOVA_API_BASE",
     CONFIG_OPENAI_CHAT, PROVIDER_TOP_K, EFFORT_NONE, NULL, NULL},
    {"deepinfra", "https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY", "DEEPINFRA_API_BASE",
     CONFIG_OPENAI_CHAT, PROVIDER_TOP_K, EFFORT_NONE, NULL, NULL},
    {"huggingface", "https://router.huggingface.co/v1", "HF_TOKEN HUGGINGFACE_API_KEY", "HF_API_BASE",
     CONFIG_OPENAI_CHAT, 0, EFFORT_NONE, NULL, NULL},
    {"lm_studio", "http://localhost:1234/v1", "LM_STUDIO_API_KEY", "LM_STUDIO_API_BASE",
     CONFIG_OPENAI_CHAT, KEYLESS_LOCAL | PROVIDER_TOP_K | PROVIDER_THINK_TAGS, EFFORT_NONE, NULL,
     NULL},
    {"llamafile", "http://localhost:8080/v1", "LLAMAFILE_API_KEY", "LLAMAFILE_API_BASE",
     CONFIG_OPENAI_CHAT, KEYLESS_LOCAL | PROVIDER_TOP_K | PROVIDER_THINK_TAGS | PROVIDER_FORCED_CHOICE, EFFORT_NONE, NULL,
     NULL},
    {"llama_cpp", "http://localhost:8080/v1", "LLAMA_CPP_API_KEY LLAMA_API_KEY", "LLAMA_CPP_API_BASE",
     CONFIG_OPENAI_CHAT, KEYLESS_LOCAL | PROVIDER_TOP_K | PROVIDER_THINK_TAGS | PROVIDER_FORCED_CHOICE, EFFORT_NONE, NULL,
     "llama-server; start it with --jinja for tools"},
    {"localai", "http://localhost:8080/v1", "LOCALAI_API_KEY", "LOCALAI_API_BASE",
     CONFIG_OPENAI_CHAT, KEYLESS_LOCAL | PROVIDER_TOP_K | PROVIDER_THINK_TAGS, EFFORT_NONE, NULL, NULL},
    {"openclaw", "http://127.0.0.1:18789/v1", "OPENCLAW_GATEWAY_TOKEN", "OPENCLAW_API_BASE",
     CONFIG_OPENAI_CHAT, KEYLESS_LOCAL, EFFORT_NONE, NULL,
     "the gateway's HTTP endpoint; the model is openclaw:AGENT; x-openclaw-* fields of the client are passed on"},
    {"voyage", "https://api.voyageai.com/v1", "VOYAGE_API_KEY", "VOYAGE_API_BASE", CONFIG_OPENAI_CHAT, 0, EFFORT_NONE, NULL,
     "embeddings and rerank, relayed as they are"},
    {"jina_ai", "https://api.jina.ai/v1", "JINA_AI_API_KEY JINA_API_KEY", "JINA_API_BASE", CONFIG_OPENAI_CHAT, 0, EFFORT_NONE, NULL,
     "embeddings and rerank, relayed as they are"},
    {"infinity", NULL, "INFINITY_API_KEY", "INFINITY_API_BASE", CONFIG_OPENAI_CHAT, PROVIDER_KEYLESS | PROVIDER_BASE_NEEDED, EFFORT_NONE, NULL,
     "embeddings and rerank, relayed as they are"},
    {"litellm_proxy", NULL, "LITELLM_PROXY_API_KEY", "LITELLM_PROXY_API_BASE", CONFIG_OPENAI_CHAT,
     KEYLESS_LOCAL | PROVIDER_BASE_NEEDED, EFFORT_REASONING_EFFORT, NULL, NULL},
    {"openai_like", NULL, "OPENAI_LIKE_API_KEY", "OPENAI_LIKE_API_BASE", CONFIG_OPENAI_CHAT,
     PROVIDER_KEYLESS | PROVIDER_BASE_NEEDED, EFFORT_NONE, NULL,
     "any OpenAI-compatible server; also taken when api_base is given and the provider is unknown"},
    {"custom_openai", NULL, "", "", CONFIG_OPENAI_CHAT, PROVIDER_KEYLESS | PROVIDER_BASE_NEEDED,
     EFFORT_NONE, NULL, "the same as openai_like"},
};
const size_t config_provider_count = countof(config_providers);

/* Providers that LiteLLM serves in ways that penstock does not speak. */
static const struct {
    const char *name, *why;
} refused[] = {
    {"azure_text", "text completion is not spoken"},
    {"bedrock", "AWS signatures and event streams are not spoken"},
    {"bedrock_converse", "AWS signatures and event streams are not spoken"},
    {"sagemaker", "AWS signatures and event streams are not spoken"},
    {"sagemaker_chat", "AWS signatures and event streams are not spoken"},
    {"palm", "the service has ended"},
    {"cohere", "its own dialect is not spoken"},
    {"cohere_chat", "its own dialect is not spoken"},
    {"ai21", "its own dialect is not spoken"},
    {"replicate", "its own dialect is not spoken"},
    {"cloudflare", "its own dialect is not spoken"},
    {"databricks", "its addresses are not spoken"},
    {"watsonx", "its own dialect is not spoken"},
    {"watsonx_text", "its own dialect is not spoken"},
    {"snowflake", "its addresses are not spoken"},
    {"oobabooga", "its own dialect is not spoken"},
    {"petals", "its own dialect is not spoken"},
    {"predibase", "its own dialect is not spoken"},
    {"triton", "its own dialect is not spoken"},
    {"nlp_cloud", "its own dialect is not spoken"},
    {"aleph_alpha", "its own dialect is not spoken"},
    {"clarifai", "its own dialect is not spoken"},
    {"baseten", "its addresses are not spoken"},
    {"github_copilot", "its sign-in is not spoken"},
    {"chatgpt", "its sign-in is not spoken"},
    {"text-completion-openai", "text completion is not spoken: use openai"},
    {"text-completion-codestral", "text completion is not spoken: use mistral"},
    {"codestral", "text completion is not spoken: use mistral"},
    {"deepgram", "audio is not spoken"},
    {"elevenlabs", "audio is not spoken"},
    {"assemblyai", "audio is not spoken"},
    {"stability", "images are not spoken"},
    {"recraft", "images are not spoken"},
    {"auto_router", "routing by content is not spoken"},
};

const struct config_model_habit config_model_habits[] = {
    {"gemini vertex_ai vertex_ai_beta", "gemini-2.5", -1, PROVIDER_JSON_SCHEMA, "takes JSON Schema as it is"},
    {"gemini vertex_ai vertex_ai_beta", "gemini-3 gemini-4 gemini-flash-latest gemini-pro-latest", -1,
     PROVIDER_JSON_SCHEMA | PROVIDER_THINKING_LEVEL | PROVIDER_RESULT_MEDIA,
     "thinkingLevel, signatures asked for, media in tool results"},
    {"vertex_ai vertex_ai_beta", "claude", CONFIG_ANTHROPIC, PROVIDER_NO_URL_MEDIA | PROVIDER_TOP_K | PROVIDER_STRICT,
     "Anthropic's dialect in Vertex's form; media must come inline"},
};
const size_t config_model_habit_count = countof(config_model_habits);

bool
config_model_habit_fits(const struct config_model_habit *habit, struct slice provider, struct slice model)
{
    struct slice names = slice_from(habit->providers), models = slice_from(habit->models);
    bool found = false;
    while (slice_present(names) && !found)
        found = slice_eq(text_split(&names, ' '), provider);
    while (slice_present(models) && found) {
        if (slice_starts(model, text_split(&models, ' ')))
            return true;
    }
    return false;
}

const char *
config_dialect_name(enum config_dialect dialect)
{
    static const char *const names[] = {"openai_chat", "anthropic", "openai_responses", "gemini"};
    assert((size_t)dialect < countof(names));
    return names[dialect];
}

const struct config_provider *
config_provider_find(struct slice name)
{
    for (size_t i = 0; i < countof(config_providers); i++)
        if (slice_is(name, config_providers[i].name))
            return &config_providers[i];
    return NULL;
}

const struct config_provider *
config_provider_guess(struct slice model)
{
    static const struct {
        const char *prefix, *provider;
    } guesses[] = {{"gpt-", "openai"},     {"chatgpt-", "openai"},   {"o1", "openai"},
                   {"o3", "openai"},       {"o4", "openai"},         {"claude-", "anthropic"},  {"gemini-", "gemini"},
                   {"ft:gpt-", "openai"}};
    for (size_t i = 0; i < countof(guesses); i++)
        if (slice_starts(model, slice_from(guesses[i].prefix)))
            return config_provider_find(slice_from(guesses[i].provider));
    return NULL;
}

const char *
config_provider_refused(struct slice name)
{
    for (size_t i = 0; i < countof(refused); i++)
        if (slice_is(name, refused[i].name))
            return refused[i].why;
    return NULL;
}

struct slice
config_provider_nearest(struct slice name)
{
    struct slice best = SLICE_NONE;
    int distance = 0;
    for (size_t i = 0; i < countof(config_providers); i++)
        config_nearest(name, slice_from(config_providers[i].name), &best, &distance);
    return best;
}
