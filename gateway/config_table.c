/* SPDX-License-Identifier: MIT
 *
 * config_table.c - the table of keys: name, type, place, default, bounds, help.
 *
 * It parses, validates, prints the reference and writes the manual page; a key that is not here and
 * not in config_litellm.c does not exist. Defaults are texts, read by the same parser as the file.
 */
#include "gateway/config_internal.h"

#define GLOBAL(member)                                                                             \
    .offset = offsetof(struct config, member), .size = sizeof(((struct config *)0)->member)
#define MODEL(member)                                                                              \
    .offset = offsetof(struct config_entry, member),                                               \
    .size = sizeof(((struct config_entry *)0)->member)

#define MILLISECONDS(seconds) ((uint64_t)((seconds) * 1000))
#define HOUR MILLISECONDS(3600)
#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)

static const struct config_row top_rows[] = {
    {"environment_variables", CONFIG_ACCEPTED,
     .help = "Variables for os.environ/NAME and ${NAME} in this file; the real environment wins."},
    {"litellm_settings", CONFIG_MAP, .into = SECTION_LITELLM},
    {"router_settings", CONFIG_MAP, .into = SECTION_ROUTER},
    {"general_settings", CONFIG_MAP, .into = SECTION_GENERAL},
    {"penstock", CONFIG_MAP, .into = SECTION_PENSTOCK},
    {"model_list", CONFIG_MAP, .into = SECTION_MODEL},
};

static const struct config_row model_rows[] = {
    {"model_name", CONFIG_TEXT, MODEL(deployment.model_name), .example = "gpt-4o",
     .help = "The name clients ask for. May hold one '*': \"claude-*\", \"anthropic/*\", \"*\". Entries with "
             "the same name share its traffic."},
    {"litellm_params", CONFIG_MAP, .into = SECTION_PARAMS},
    {"model_info", CONFIG_MAP, .into = SECTION_INFO},
    {"penstock", CONFIG_MAP, MODEL(overrides), .read = config_read_entry_node,
     .into = SECTION_OVERRIDE},
    {"tpm", CONFIG_INTEGER, MODEL(deployment.tpm), .flags = ROW_ALIAS},
    {"rpm", CONFIG_INTEGER, MODEL(deployment.rpm), .flags = ROW_ALIAS},
};

#define ACCEPTED(text) {.name = text, .type = CONFIG_ACCEPTED}
#define PARAM(text) {text, CONFIG_SPECIAL, .read = config_read_param}

static const struct config_row params_rows[] = {
    {"model", CONFIG_TEXT, MODEL(model), .example = "openai/gpt-4o",
     .help = "provider/model, split at the first slash. With api_base the provider may be missing or "
             "unknown: the upstream is then taken as OpenAI-compatible."},
    {"api_base", CONFIG_TEXT, MODEL(api_base), .example = "https://api.openai.com/v1",
     .help = "Address of the upstream; default: the provider's. A path of only \"/\" means /v1 for "
             "servers that have nothing else, and Anthropic addresses may or may not end in /v1."},
    {"api_key", CONFIG_SECRET, MODEL(deployment.api_key), .example = "os.environ/OPENAI_API_KEY",
     .help = "Key for the upstream; default: the provider's environment variable."},
    {"base_url", CONFIG_TEXT, MODEL(api_base), .flags = ROW_ALIAS},
    {"api_version", CONFIG_TEXT, MODEL(deployment.api_version), .example = "2024-10-21",
     .help = "Azure: the api-version of its targets; default: AZURE_API_VERSION, else 2024-10-21."},
    {"azure_ad_token", CONFIG_SECRET, MODEL(entra_token), .example = "a-token",
     .help = "Azure: a Microsoft Entra token, sent as Authorization: Bearer instead of a key."},
    {"vertex_project", CONFIG_TEXT, MODEL(deployment.project), .example = "my-project",
     .help = "Vertex AI: the project; default: VERTEXAI_PROJECT, GOOGLE_CLOUD_PROJECT, else the credentials' own."},
    {"vertex_location", CONFIG_SPECIAL, MODEL(deployment.location), .read = config_read_locations,
     .print = config_print_location, .example = "[global, europe-west4]",
     .help = "Vertex AI: the region, or a list of them, tried in that order; default: VERTEXAI_LOCATION, "
             "else global."},
    {"vertex_credentials", CONFIG_SECRET, MODEL(deployment.google_credentials), .example = "/etc/penstock/google.json",
     .help = "Vertex AI: file or JSON text of a service account or an authorized user; default: "
             "GOOGLE_APPLICATION_CREDENTIALS, gcloud's own file, the metadata server. A static token can "
             "stand in api_key instead."},
    {"vertex_ai_project", CONFIG_TEXT, MODEL(deployment.project), .flags = ROW_ALIAS},
    {"vertex_ai_location", CONFIG_SPECIAL, MODEL(deployment.location), .read = config_read_locations, .flags = ROW_ALIAS},
    {"vertex_ai_credentials", CONFIG_SECRET, MODEL(deployment.google_credentials), .flags = ROW_ALIAS},
    {"safety_settings", CONFIG_SPECIAL, MODEL(deployment.safety), .read = config_read_json, .print = config_print_json,
     .example = "[{category: HARM_CATEGORY_HARASSMENT, threshold: BLOCK_NONE}]",
     .help = "Gemini: safetySettings for requests that bring none."},
    {"custom_llm_provider", CONFIG_TEXT, MODEL(custom_provider), .example = "openai_like",
     .help = "The provider, when it is not the first part of model."},
    {"organization", CONFIG_TEXT, MODEL(organization), .example = "org-1234",
     .help = "Sent as OpenAI-Organization."},
    {"timeout", CONFIG_DURATION, MODEL(deployment.timeouts.request_ms), .low = 30000, .least = 50,
     .most = HOUR, .flags = ROW_CLAMP, .example = "600",
     .help = "Request timeout of this model in seconds; default: penstock.timeouts.request."},
    {"stream_timeout", CONFIG_DURATION, MODEL(deployment.timeouts.first_byte_ms), .least = 50,
     .most = HOUR, .flags = ROW_CLAMP, .example = "300",
     .help = "First-byte timeout of this model in seconds; default: penstock.timeouts.first_byte."},
    {"max_retries", CONFIG_INTEGER, MODEL(deployment.max_retries), .most = 20, .flags = ROW_CLAMP,
     .example = "2", .help = "Tries of this upstream beyond the first; default: router_settings.num_retries."},
    {"num_retries", CONFIG_INTEGER, MODEL(deployment.max_retries), .most = 20,
     .flags = ROW_CLAMP | ROW_ALIAS},
    {"rpm", CONFIG_INTEGER, MODEL(deployment.rpm), .example = "600",
     .help = "Requests a minute this upstream takes; 0 or absent: no limit."},
    {"tpm", CONFIG_INTEGER, MODEL(deployment.tpm), .example = "100000",
     .help = "Tokens a minute this upstream takes; 0 or absent: no limit."},
    {"weight", CONFIG_DECIMAL, MODEL(deployment.weight), .least = 1, .most = 1000000000,
     .example = "1",
     .help = "Share of the traffic among entries of the same name and order; default 1."},
    {"order", CONFIG_INTEGER, MODEL(deployment.order), .most = 1000000, .example = "1",
     .help = "Entries with a lower order are tried first; default 0."},
    {"max_parallel_requests", CONFIG_INTEGER, MODEL(deployment.max_connections), .most = 1000000,
     .flags = ROW_CLAMP | ROW_ALIAS},
    {"extra_headers", CONFIG_SPECIAL, MODEL(extra_headers), .read = config_read_entry_node,
     .print = config_print_headers,
     .example = "{X-Title: penstock}", .help = "Request headers added for the upstream."},
    {"headers", CONFIG_SPECIAL, MODEL(headers), .read = config_read_entry_node, .flags = ROW_ALIAS},
    ACCEPTED("drop_params"),
    ACCEPTED("additional_drop_params"),
    ACCEPTED("tags"),
    ACCEPTED("input_cost_per_token"),
    ACCEPTED("output_cost_per_token"),
    ACCEPTED("input_cost_per_second"),
    ACCEPTED("output_cost_per_second"),
    ACCEPTED("cache_creation_input_token_cost"),
    ACCEPTED("cache_read_input_token_cost"),
    ACCEPTED("stream"),
    {"temperature", CONFIG_SPECIAL, .read = config_read_param, .example = "0.7",
     .help = "This and the keys below are defaults of the request: used when the client did not send "
             "the key. Also: top_p, top_k, min_p, max_tokens, max_completion_tokens, "
             "repetition_penalty, presence_penalty, frequency_penalty, seed, stop, n, logprobs, "
             "top_logprobs, logit_bias, response_format, reasoning_effort, thinking, tools, "
             "tool_choice, parallel_tool_calls, service_tier, user, metadata, store, verbosity."},
    PARAM("top_p"), PARAM("top_k"), PARAM("min_p"), PARAM("max_tokens"),
    PARAM("max_completion_tokens"), PARAM("repetition_penalty"), PARAM("presence_penalty"),
    PARAM("frequency_penalty"), PARAM("seed"), PARAM("stop"), PARAM("n"), PARAM("logprobs"),
    PARAM("top_logprobs"), PARAM("logit_bias"), PARAM("response_format"),
    PARAM("reasoning_effort"), PARAM("thinking"), PARAM("tools"), PARAM("tool_choice"),
    PARAM("parallel_tool_calls"), PARAM("service_tier"), PARAM("user"), PARAM("metadata"),
    PARAM("store"), PARAM("verbosity"),
    {"extra_body", CONFIG_SPECIAL, .read = config_read_param, .example = "{}",
     .help = "A map of further request defaults, under names this table does not know."},
};

static const struct config_row info_rows[] = {
    {"id", CONFIG_TEXT, MODEL(deployment.id), .example = "openai-main",
     .help = "Name of this entry in metrics, logs and headers; default: provider/model."},
    {"mode", CONFIG_TEXT, MODEL(mode), .example = "chat",
     .help = "What the model is for: chat, responses, completion, embedding, image_generation, "
             "video_generation, audio_speech, audio_transcription, rerank, moderation. Absent: anything. "
             "Entries of other kinds are left out with a warning."},
    {"max_output_tokens", CONFIG_INTEGER, MODEL(deployment.max_output_tokens), .example = "16384",
     .help = "Most tokens the model writes: larger wishes are clamped, and Anthropic upstreams get it "
             "when the client named none."},
    {"max_input_tokens", CONFIG_INTEGER, MODEL(deployment.max_input_tokens), .example = "128000",
     .help = "The model's context window."},
    {"max_tokens", CONFIG_INTEGER, MODEL(max_tokens), .example = "16384",
     .help = "Older name of max_output_tokens, which wins."},
};

#define BOUNDED(text, member, from, to)                                                            \
    text, CONFIG_DURATION, MODEL(deployment.timeouts.member), .least = from, .most = to

static const struct config_row override_timeouts_rows[] = {
    {BOUNDED("request", request_ms, 50, HOUR), .flags = ROW_ALIAS},
    {BOUNDED("connect", connect_ms, 50, MILLISECONDS(300)), .example = "10s",
     .help = "See penstock.timeouts, also for the others; absent: the global value."},
    {BOUNDED("first_byte", first_byte_ms, 50, HOUR), .flags = ROW_ALIAS},
    {BOUNDED("idle", idle_ms, 50, HOUR), .example = "120s"},
    {BOUNDED("keepalive", keepalive_ms, 50, MILLISECONDS(14)), .example = "10s"},
    {BOUNDED("drain", drain_ms, 50, HOUR), .example = "5s"},
    {BOUNDED("commit", commit_ms, 50, HOUR), .example = "10s"},
};

static const struct config_row override_rows[] = {
    {"timeouts", CONFIG_MAP, .into = SECTION_OVERRIDE_TIMEOUTS},
    {"helpers", CONFIG_MAP, .into = SECTION_HELPERS},
    {"dialect", CONFIG_CHOICE, MODEL(deployment.dialect), .choices = "openai_chat|anthropic|openai_responses|gemini",
     .flags = ROW_ALWAYS, .help = "What the upstream speaks; default: the provider's."},
    {"tls_server_name", CONFIG_TEXT, MODEL(deployment.tls_server_name), .example = "api.example.com",
     .help = "Name in the certificate, when it is not the host of api_base."},
    {"ca_file", CONFIG_PATH, MODEL(deployment.ca_file), .example = "ca.pem",
     .help = "Trust these authorities for this upstream, and no others."},
    {"spki_pin", CONFIG_TEXT, MODEL(pin), .example = "sha256/AAAA...=",
     .help = "Accept only this public key: sha256/ and the base64 of the hash."},
    {"host_header", CONFIG_TEXT, MODEL(deployment.host_header), .example = "api.example.com",
     .help = "What Host says; default: host and port of api_base."},
    {"bearer", CONFIG_BOOL, MODEL(deployment.bearer), .flags = ROW_ALWAYS,
     .help = "Anthropic dialect: send the key as Authorization: Bearer instead of x-api-key."},
    {"auth", CONFIG_CHOICE, MODEL(deployment.auth), .choices = "default|bearer|x_api_key|api_key|x_goog_api_key|none",
     .example = "bearer",
     .help = "Which request field carries the key: Authorization, x-api-key, api-key (Azure), x-goog-api-key, "
             "none at all; default: as the dialect does."},
    {"surface", CONFIG_CHOICE, MODEL(deployment.surface), .choices = "plain|azure|vertex", .example = "plain",
     .help = "How the upstream arranges its paths; default: the provider's."},
    {"max_connections", CONFIG_INTEGER, MODEL(deployment.max_connections), .most = 1000000,
     .example = "100",
     .help = "Connections to this upstream per worker; default: penstock.limits.upstream_connections."},
    {"reasoning", CONFIG_CHOICE, MODEL(deployment.reasoning),
     .choices = "as_sent|reasoning_content|reasoning|think|drop", .flags = ROW_ALWAYS,
     .help = "How OpenAI clients get reasoning: in one of two fields, as `<think>` text, or not at all. "
             "as_sent: untouched from an upstream of their dialect, else in reasoning_content."},
    {"think_tags", CONFIG_BOOL, MODEL(deployment.think_tags), .flags = ROW_ALWAYS,
     .help = "Turn `<think>...</think>` in the upstream's text into reasoning."},
    {"text_tool_calls", CONFIG_BOOL, MODEL(deployment.text_tool_calls), .example = "true",
     .help = "Turn `<tool_call>{...}</tool_call>` in the upstream's text (Hermes, Qwen) into tool calls."},
    {"effort", CONFIG_CHOICE, MODEL(deployment.effort),
     .choices = "none|reasoning_effort|enable_thinking|thinking", .flags = ROW_ALWAYS,
     .help = "Which request field tells the upstream how much to reason."},
    {"strict_turns", CONFIG_BOOL, MODEL(deployment.strict_turns), .flags = ROW_ALWAYS,
     .help = "Merge neighbouring turns of one role and put tool results first."},
    {"extra_fields", CONFIG_BOOL, MODEL(deployment.extra_fields), .flags = ROW_ALWAYS,
     .help = "Forward unknown top-level request fields when translating between dialects."},
    {"top_k", CONFIG_BOOL, MODEL(deployment.top_k), .flags = ROW_ALWAYS,
     .help = "The upstream takes top_k, min_p and repetition_penalty."},
    {"developer_role", CONFIG_BOOL, MODEL(deployment.developer_role), .flags = ROW_ALWAYS,
     .help = "The upstream knows the role developer; otherwise it becomes system."},
    {"replay_reasoning", CONFIG_BOOL, MODEL(deployment.replay_reasoning), .flags = ROW_ALWAYS,
     .help = "Send reasoning_content back in the history; DeepSeek, Moonshot and Z.ai require it."},
    {"placeholder_signature", CONFIG_BOOL, MODEL(deployment.placeholder_signature),
     .flags = ROW_ALWAYS,
     .help = "Give translated thinking blocks a signature: Anthropic clients discard blocks without."},
    {"max_completion_tokens", CONFIG_BOOL, MODEL(deployment.max_completion_tokens),
     .flags = ROW_ALWAYS, .help = "The upstream wants this name rather than max_tokens."},
    {"usage_in_stream", CONFIG_BOOL, MODEL(deployment.usage_in_stream), .flags = ROW_ALWAYS,
     .help = "Ask for usage with stream_options.include_usage."},
    {"tool_ids", CONFIG_CHOICE, MODEL(deployment.ids), .choices = "any|nine", .example = "any",
     .help = "Shape of tool call ids that the upstream takes: letters, digits, _ and -; or exactly nine letters "
             "and digits (Mistral)."},
    {"forced_choice", CONFIG_BOOL, MODEL(deployment.forced_choice), .example = "true",
     .help = "The upstream ignores a tool_choice that names a tool: send \"required\" and that tool alone."},
    {"system_parts", CONFIG_BOOL, MODEL(deployment.system_parts), .example = "true",
     .help = "Send system content as an array of parts, with cache_control on its last."},
    {"flat_content", CONFIG_BOOL, MODEL(deployment.flat_content), .example = "true",
     .help = "Send content without images as one string."},
    {"thinking_level", CONFIG_BOOL, MODEL(deployment.thinking_level), .example = "true",
     .help = "Gemini 3 and later: thinkingLevel instead of thinkingBudget, and signatures are asked for."},
    {"json_schema", CONFIG_BOOL, MODEL(deployment.json_schema), .example = "true",
     .help = "Gemini 2.5 and later: JSON Schema goes as it is; otherwise it is reduced to the OpenAPI subset."},
    {"result_media", CONFIG_BOOL, MODEL(deployment.result_media), .example = "true",
     .help = "Gemini 3 and later: images may stand inside tool results."},
    {"keeps_state", CONFIG_BOOL, MODEL(deployment.keeps_state), .example = "true",
     .help = "Responses: the upstream stores responses: previous_response_id and conversation pass."},
    {"url_media", CONFIG_BOOL, MODEL(deployment.url_media), .example = "true",
     .help = "The upstream fetches images and documents by URL itself."},
    {"thinking_budget", CONFIG_INTEGER, MODEL(deployment.thinking_budget_max), .most = 1000000, .example = "24576",
     .help = "Gemini: a request that says nothing about thinking gets 80 % of its max_tokens as budget, at "
             "most this; 0: nothing is added."},
    {"grounding", CONFIG_CHOICE, MODEL(deployment.grounding), .choices = "as_asked|off|on", .example = "on",
     .help = "Gemini: Google Search for every request, for none, or as the request asks."},
    {"betas", CONFIG_TEXT, MODEL(deployment.betas), .example = "context-1m-2025-08-07,interleaved-thinking-2025-05-14",
     .help = "Anthropic dialect: the only anthropic-beta names passed on, separated by commas; default: all."},
    {"strip_tool_fields", CONFIG_BOOL, MODEL(deployment.strip_tool_fields), .example = "true",
     .help = "Anthropic dialect: take defer_loading and the like out of tools, for hosts that refuse them."},
    {"defaults", CONFIG_SPECIAL, MODEL(deployment.default_params), .read = config_read_param, .print = config_print_params, .example = "{temperature: 0.7}",
     .help = "Request defaults, as in litellm_params, under any name."},
};

#define SHAPE(member) MODEL(deployment.shape.member)

static const struct config_row helpers_rows[] = {
    {"models", CONFIG_SPECIAL, SHAPE(models), .read = config_read_names, .print = config_print_json,
     .example = "[\"qwen3*\"]",
     .help = "Upstream models that the helpers below are for, each name with one '*' at most; default: all of this entry."},
    {"system_prompt", CONFIG_TEXT, SHAPE(system_prompt), .example = "Answer in English.",
     .help = "Instructions added to every request."},
    {"system_prompt_file", CONFIG_SPECIAL, SHAPE(system_prompt), .read = config_read_prompt_file, .flags = ROW_ALIAS},
    {"system_prompt_place", CONFIG_CHOICE, SHAPE(system_append), .choices = "prepend|append", .example = "append",
     .help = "In front of the client's instructions, or behind them."},
    {"filter_system", CONFIG_CHOICE, SHAPE(filter), .choices = "off|minimal|moderate|aggressive|extreme|auto", .example = "moderate",
     .help = "Thin out long instructions of clients; auto: the longer, the more."},
    {"user_suffix", CONFIG_TEXT, SHAPE(user_suffix), .example = "/no_think",
     .help = "Text put behind the last words of the user."},
    {"stub_tools", CONFIG_INTEGER, SHAPE(stub_letters), .most = 1000000, .example = "80",
     .help = "Cut descriptions of tools to so many letters."},
    {"simple_schemas", CONFIG_BOOL, SHAPE(simple_schemas), .example = "true",
     .help = "Make schemas of tools plain: $ref written out, the first of several types, no formats, no definitions."},
    {"sort_tools", CONFIG_BOOL, SHAPE(sort_tools), .example = "true",
     .help = "Order tools by name, so that prompts begin alike."},
    {"allow_tools", CONFIG_SPECIAL, SHAPE(allow_tools), .read = config_read_names, .print = config_print_json,
     .example = "[Read, \"mcp__*\"]",
     .help = "The only tools that are passed on, each name with one '*' at most; []: none."},
    {"unsupported", CONFIG_CHOICE, SHAPE(refuse), .choices = "drop|refuse", .example = "refuse",
     .help = "What a request asks for and the upstream's dialect cannot say: left out and named in X-Penstock-Dropped, or "
             "answered with 400. What would make it another question is refused in any case."},
    {"drop_empty_inputs", CONFIG_BOOL, SHAPE(inputs.drop_empty), .example = "true",
     .help = "Take empty lists out of the inputs of tool calls that the model makes."},
    {"exclusive_inputs", CONFIG_SPECIAL, SHAPE(inputs.exclusive), .read = config_read_name_lists, .print = config_print_json,
     .example = "[[allowed_domains, blocked_domains]]",
     .help = "Members of such inputs that exclude one another: of each list the first that is there stays."},
    {"drop_calls", CONFIG_SPECIAL, SHAPE(inputs.drop_calls), .read = config_read_names, .print = config_print_json,
     .example = "[advisor]", .help = "Tools whose calls never reach the client, each name with one '*' at most."},
    {"truncate", CONFIG_BOOL, SHAPE(truncate), .example = "true",
     .help = "Leave out the oldest messages of a conversation that is longer than the context window."},
    {"context", CONFIG_INTEGER, SHAPE(context_tokens), .least = 256, .example = "32768",
     .help = "The window in tokens, for truncate; default: model_info.max_input_tokens, else what the upstream's "
             "model list says, else nothing is left out."},
    {"reserve_output_tokens", CONFIG_INTEGER, SHAPE(reserve_tokens), .example = "4096",
     .help = "Room kept for the reply when truncating; a larger max_tokens of the client counts instead. At most half "
             "of the window. Default 4096."},
    {"keep_messages", CONFIG_INTEGER, SHAPE(keep_messages), .least = 1, .most = 10000, .example = "4",
     .help = "The last messages, which are never left out; default 4."},
    {"cache", CONFIG_BOOL, SHAPE(cache), .example = "true",
     .help = "Anthropic dialect: mark long instructions and tools with cache_control, where the client marked nothing."},
    {"cache_tokens", CONFIG_INTEGER, SHAPE(cache_tokens), .example = "1024",
     .help = "How long they must be for that; default 1024."},
};

static const struct config_row litellm_rows[] = {
    {"num_retries", CONFIG_INTEGER, GLOBAL(num_retries), .most = 20, .flags = ROW_CLAMP | ROW_ALIAS},
    {"request_timeout", CONFIG_DURATION, GLOBAL(timeouts.request_ms), .low = 30000, .least = 50,
     .most = HOUR, .flags = ROW_CLAMP | ROW_ALIAS},
    {"allowed_fails", CONFIG_INTEGER, GLOBAL(allowed_fails), .most = 1000000,
     .flags = ROW_CLAMP | ROW_ALIAS},
    {"cooldown_time", CONFIG_DURATION, GLOBAL(cooldown_ms), .most = HOUR,
     .flags = ROW_CLAMP | ROW_ALIAS},
    {"fallbacks", CONFIG_SPECIAL, GLOBAL(fallbacks), .read = config_read_fallbacks,
     .flags = ROW_ALIAS},
    {"context_window_fallbacks", CONFIG_SPECIAL, GLOBAL(context_fallbacks),
     .read = config_read_fallbacks, .flags = ROW_ALIAS},
    {"default_fallbacks", CONFIG_SPECIAL, GLOBAL(default_fallbacks),
     .read = config_read_default_fallbacks, .flags = ROW_ALIAS},
    {"model_group_alias", CONFIG_SPECIAL, GLOBAL(aliases), .read = config_read_aliases,
     .flags = ROW_ALIAS},
    {"set_verbose", CONFIG_SPECIAL, GLOBAL(log_level), .read = config_read_verbose,
     .flags = ROW_ALIAS},
    ACCEPTED("drop_params"),
    ACCEPTED("modify_params"),
    ACCEPTED("telemetry"),
};

static const struct config_row router_rows[] = {
    {"routing_strategy", CONFIG_SPECIAL, GLOBAL(strategy), .fallback = "simple-shuffle",
     .choices = "simple-shuffle|order", .read = config_read_strategy, .print = config_print_strategy,
     .help = "Which entry of a model name is tried first: one by lot, by weight, or the first in the "
             "file. LiteLLM's other strategies are taken as simple-shuffle, with a warning."},
    {"num_retries", CONFIG_INTEGER, GLOBAL(num_retries), .fallback = "2", .most = 20,
     .flags = ROW_CLAMP,
     .help = "Further tries after the first failure, before anything reached the client."},
    {"timeout", CONFIG_DURATION, GLOBAL(timeouts.request_ms), .low = 30000, .least = 50,
     .most = HOUR, .flags = ROW_CLAMP | ROW_ALIAS},
    {"stream_timeout", CONFIG_DURATION, GLOBAL(timeouts.first_byte_ms), .least = 50, .most = HOUR,
     .flags = ROW_CLAMP | ROW_ALIAS},
    {"allowed_fails", CONFIG_INTEGER, GLOBAL(allowed_fails), .fallback = "3", .most = 1000000,
     .flags = ROW_CLAMP,
     .help = "Failures within a minute that an upstream may have before it rests."},
    {"cooldown_time", CONFIG_DURATION, GLOBAL(cooldown_ms), .fallback = "5s", .most = HOUR,
     .flags = ROW_CLAMP, .help = "How long a failing upstream rests; LiteLLM's default."},
    {"cooldown_max", CONFIG_DURATION, GLOBAL(cooldown_max_ms), .fallback = "1m", .most = HOUR,
     .flags = ROW_CLAMP,
     .help = "A rest soon after another is twice as long, up to this: what fails for long is asked once a minute. "
             "Each such time without failure takes one doubling back. 0: all rests are alike."},
    {"retry_after", CONFIG_DURATION, GLOBAL(retry_after_ms), .fallback = "0", .most = 60000,
     .flags = ROW_CLAMP,
     .help = "Least wait before a retry. An upstream's Retry-After is honoured besides."},
    {"fallbacks", CONFIG_SPECIAL, GLOBAL(fallbacks), .read = config_read_fallbacks,
     .print = config_print_fallbacks, .example = "[{gpt-4o: [claude-sonnet, demo]}]",
     .help = "Model names to try when every entry of a name has failed. \"*\" stands for any name."},
    {"context_window_fallbacks", CONFIG_SPECIAL, GLOBAL(context_fallbacks),
     .read = config_read_fallbacks, .print = config_print_fallbacks,
     .example = "[{small-model: [large-model]}]",
     .help = "Model names to try when the prompt is longer than the context window."},
    {"default_fallbacks", CONFIG_SPECIAL, GLOBAL(default_fallbacks),
     .read = config_read_default_fallbacks, .print = config_print_fallbacks,
     .example = "[claude-sonnet]", .help = "Model names to try after any other."},
    {"model_group_alias", CONFIG_SPECIAL, GLOBAL(aliases), .read = config_read_aliases,
     .print = config_print_aliases, .example = "{gpt-4: gpt-4o}",
     .help = "Other names for model names."},
    {"set_verbose", CONFIG_SPECIAL, GLOBAL(log_level), .read = config_read_verbose,
     .flags = ROW_ALIAS},
    ACCEPTED("enable_pre_call_checks"),
    ACCEPTED("ignore_invalid_deployments"),
};

static const struct config_row general_rows[] = {
    {"master_key", CONFIG_SECRET, GLOBAL(master_key), .example = "os.environ/PENSTOCK_MASTER_KEY",
     .environment = "PENSTOCK_MASTER_KEY LITELLM_MASTER_KEY",
     .help = "The key clients send, as Authorization: Bearer or x-api-key. More keys: penstock.keys."},
    {"max_request_size_mb", CONFIG_MEGABYTES, GLOBAL(limits.body_bytes), .least = KIB(4),
     .most = GIB(1), .flags = ROW_CLAMP | ROW_ALIAS},
    {"max_response_size_mb", CONFIG_MEGABYTES, GLOBAL(limits.reply_bytes), .least = KIB(64),
     .most = GIB(1), .flags = ROW_CLAMP | ROW_ALIAS},
};

static const struct config_row penstock_rows[] = {
    {"listen", CONFIG_MAP, .into = SECTION_LISTEN},
    {"workers", CONFIG_INTEGER, GLOBAL(workers), .fallback = "0", .most = 256,
     .environment = "PENSTOCK_WORKERS",
     .help = "Threads, each with its own listeners, connections and counters. 0: one per processor."},
    {"user", CONFIG_TEXT, GLOBAL(user), .example = "nobody",
     .help = "Whom penstock becomes when it is started as root, once its ports are open and its keys read: a user, "
             "user:group, or numbers. Absent: it stays root, with no capability but to read and write files, and "
             "says so. Taken at the start only."},
    {"io_backend", CONFIG_TEXT, GLOBAL(io_backend), .fallback = "epoll", .choices = "epoll|io_uring|auto",
     .help = "Kernel interface; auto: io_uring where it works. Where this build or this kernel has no "
             "io_uring, the log says why and epoll is used."},
    {"log", CONFIG_MAP, .into = SECTION_LOG},
    {"keys", CONFIG_SPECIAL, GLOBAL(keys), .read = config_read_keys, .print = config_print_keys,
     .example = "[{name: alice, key: os.environ/ALICE_KEY}]", .environment = "PENSTOCK_KEYS",
     .help = "More keys for clients: texts, or maps of name and key. Names appear in logs, keys never."},
    {"demo", CONFIG_BOOL, GLOBAL(demo), .flags = ROW_ALWAYS,
     .help = "Serve the models demo, demo-slow, demo-tools, demo-thinking and demo-error from inside "
             "this process (and as demo-anthropic, ... in that dialect). Default: only when there is "
             "no model_list."},
    {"metrics", CONFIG_MAP, .into = SECTION_METRICS},
    {"sse", CONFIG_MAP, .into = SECTION_SSE},
    {"cors", CONFIG_MAP, .into = SECTION_CORS},
    {"tls", CONFIG_MAP, .into = SECTION_TLS},
    {"timeouts", CONFIG_MAP, .into = SECTION_TIMEOUTS},
    {"limits", CONFIG_MAP, .into = SECTION_LIMITS},
    {"media", CONFIG_MAP, .into = SECTION_MEDIA},
    {"discovery", CONFIG_MAP, .into = SECTION_DISCOVERY},
    {"retry", CONFIG_MAP, .into = SECTION_RETRY},
    {"models", CONFIG_SPECIAL, .read = config_read_overrides, .example = "{gpt-4o: {reasoning: drop}}",
     .help = "Per model name (or id) what may also stand as penstock: in its entry of model_list; the "
             "entry wins."},
};

static const struct config_row listen_rows[] = {
    {"host", CONFIG_TEXT, GLOBAL(host), .fallback = "127.0.0.1", .environment = "PENSTOCK_HOST",
     .help = "Address to listen on: an IP address or localhost. Beyond loopback it needs a client key "
             "or allow_open."},
    {"port", CONFIG_INTEGER, GLOBAL(port), .fallback = "4000", .most = 65535,
     .environment = "PENSTOCK_PORT", .help = "Port to listen on; 0: any free one, named in the log."},
    {"tls_certificate", CONFIG_PATH, GLOBAL(tls_certificate), .example = "server.pem",
     .help = "Certificate chain in PEM; together with tls_key it makes the listener speak HTTPS."},
    {"tls_key", CONFIG_PATH, GLOBAL(tls_key), .example = "server.key",
     .help = "Private key in PEM."},
    {"allow_open", CONFIG_BOOL, GLOBAL(allow_open), .fallback = "false",
     .help = "Listen beyond loopback although no client key is set. Whoever reaches the port then "
             "spends your tokens."},
};

static const struct config_row log_rows[] = {
    {"level", CONFIG_CHOICE, GLOBAL(log_level), .fallback = "info",
     .choices = "error|warn|info|debug1|debug2|debug3", .environment = "PENSTOCK_LOG_LEVEL",
     .help = "debug1 shows errors and transitions, debug2 every event, debug3 tool calls and bodies. "
             "PENSTOCK_DEBUG=1..3 and DEBUG_STREAMING=true do the same."},
    {"access", CONFIG_BOOL, GLOBAL(access_log), .fallback = "true",
     .help = "One line for every finished request."},
    {"file", CONFIG_TEXT, GLOBAL(log_file), .example = "/var/log/penstock/penstock.log",
     .help = "Where lines go; without it to standard error. Opened anew at SIGHUP. Taken at the start only."},
    {"rotate", CONFIG_BYTES, GLOBAL(log_rotate_bytes), .fallback = "64MiB", .most = GIB(64),
     .help = "When the file has grown to this it becomes file.1, and so on; 0: never."},
    {"keep", CONFIG_INTEGER, GLOBAL(log_keep), .fallback = "5", .most = 100,
     .help = "How many rotated files stay."},
};

static const struct config_row metrics_rows[] = {
    {"public", CONFIG_BOOL, GLOBAL(public_metrics), .fallback = "false",
     .help = "Serve /metrics without a client key."},
};

static const struct config_row sse_rows[] = {
    {"ids", CONFIG_BOOL, GLOBAL(sse_ids), .fallback = "true",
     .help = "Give streamed events an id: line, so that a client can say where it was cut off."},
    {"retry", CONFIG_DURATION, GLOBAL(sse_retry_ms), .fallback = "3s", .most = HOUR,
     .help = "The retry: line at the head of a stream; 0: none."},
    {"resume", CONFIG_DURATION, GLOBAL(sse_resume_ms), .fallback = "0", .most = HOUR,
     .help = "How long a stream goes on for a client that has lost its connection, so that it can have the rest by repeating "
             "its request with Last-Event-ID. 0: not at all, whoever goes cancels the upstream at once. Needs ids."},
};

static const struct config_row cors_rows[] = {
    {"origins", CONFIG_SPECIAL, GLOBAL(cors_origins), .fallback = "[\"*\"]",
     .read = config_read_cors, .print = config_print_cors, .environment = "PENSTOCK_CORS_ORIGINS",
     .help = "Origins that browsers may call from; \"*\": all, []: none."},
};

static const struct config_row tls_rows[] = {
    {"ca_file", CONFIG_PATH, GLOBAL(ca_file), .example = "/etc/ssl/certs/ca-certificates.crt",
     .help = "Authorities trusted for upstreams, in PEM; default: the system's bundle."},
};

static const struct config_row timeouts_rows[] = {
    {"request", CONFIG_DURATION, GLOBAL(timeouts.request_ms), .fallback = "600s", .low = 30000,
     .least = 50, .most = HOUR,
     .help = "The whole exchange, from the first request byte. Long reasoning takes minutes; 600 s is "
             "what the official client libraries wait."},
    {"connect", CONFIG_DURATION, GLOBAL(timeouts.connect_ms), .fallback = "10s", .least = 50,
     .most = MILLISECONDS(300), .help = "Name lookup, TCP and TLS towards an upstream; and, before that, the wait for a place among its "
             "connections."},
    {"first_byte", CONFIG_DURATION, GLOBAL(timeouts.first_byte_ms), .fallback = "300s",
     .least = 50, .most = HOUR,
     .help = "From the request sent to the upstream's status line. Prompt processing of local models "
             "happens here."},
    {"idle", CONFIG_DURATION, GLOBAL(timeouts.idle_ms), .fallback = "120s", .least = 50,
     .most = HOUR, .help = "Silence of an upstream in the middle of its reply."},
    {"keepalive", CONFIG_DURATION, GLOBAL(timeouts.keepalive_ms), .fallback = "10s", .low = 1000,
     .least = 50, .most = MILLISECONDS(14),
     .help = "Silence towards the client before a keep-alive. Under 15 s, since proxies and clients "
             "begin to give up at 20 s."},
    {"drain", CONFIG_DURATION, GLOBAL(timeouts.drain_ms), .fallback = "5s", .least = 50,
     .most = HOUR,
     .help = "How long a client may leave its full queue untouched: counts only while the queue is "
             "full and no byte was acknowledged, so a slow network is not a dead one."},
    {"commit", CONFIG_DURATION, GLOBAL(timeouts.commit_ms), .fallback = "10s", .least = 50,
     .most = HOUR,
     .help = "An upstream that has not answered by then: the stream begins anyway, so that keep-alives "
             "can flow. Until then its errors keep their status and may be retried."},
    {"head", CONFIG_DURATION, GLOBAL(head_ms), .fallback = "10s", .least = 50,
     .most = MILLISECONDS(300), .help = "From the first byte of a request to the end of its header."},
    {"body", CONFIG_DURATION, GLOBAL(body_ms), .fallback = "60s", .least = 50, .most = HOUR,
     .help = "Time without progress while a request body arrives."},
    {"client_idle", CONFIG_DURATION, GLOBAL(client_idle_ms), .fallback = "75s", .least = 50,
     .most = HOUR,
     .help = "How long a client connection is kept between requests; more than the 60 s of common "
             "proxies, so that they close first."},
    {"linger", CONFIG_DURATION, GLOBAL(linger_ms), .fallback = "1s", .most = 60000,
     .help = "How long a closed connection is still read, so that the last answer is not lost to a "
             "reset."},
    {"shutdown", CONFIG_DURATION, GLOBAL(shutdown_ms), .fallback = "600s", .most = 24 * HOUR,
     .help = "How long live streams may finish after SIGTERM."},
    {"dns_ttl", CONFIG_DURATION, GLOBAL(dns_ttl_ms), .fallback = "30s", .most = HOUR,
     .help = "How long a looked-up address is used."},
    {"upstream_idle", CONFIG_DURATION, GLOBAL(upstream_idle_ms), .fallback = "60s", .most = HOUR,
     .help = "How long an idle upstream connection is kept; providers close theirs soon after."},
    {"recall", CONFIG_DURATION, GLOBAL(recall_ms), .fallback = "1h", .most = 24 * HOUR,
     .help = "How long reasoning state is kept for clients that lose it: longer than a tool takes. 0: not at all."},
};

static const struct config_row limits_rows[] = {
    {"body", CONFIG_BYTES, GLOBAL(limits.body_bytes), .fallback = "50MiB", .least = KIB(4),
     .most = GIB(1), .help = "A request body; more is answered with 413."},
    {"line", CONFIG_BYTES, GLOBAL(limits.line_bytes), .fallback = "16KiB", .least = 256,
     .most = MIB(1), .help = "The request line."},
    {"head", CONFIG_BYTES, GLOBAL(limits.head_bytes), .fallback = "64KiB", .least = KIB(1),
     .most = MIB(1), .help = "A whole header section."},
    {"fields", CONFIG_INTEGER, GLOBAL(limits.fields), .fallback = "100", .least = 8, .most = 128,
     .help = "Header fields."},
    {"queue", CONFIG_BYTES, GLOBAL(limits.queue_bytes), .fallback = "256KiB", .least = KIB(16),
     .most = MIB(64),
     .help = "Bytes waiting for one client; when it is full the upstream is not read."},
    {"event", CONFIG_BYTES, GLOBAL(limits.event_bytes), .fallback = "16MiB", .least = KIB(4),
     .most = GIB(1), .help = "One event of an upstream's stream; images come in one piece."},
    {"reply", CONFIG_BYTES, GLOBAL(limits.reply_bytes), .fallback = "64MiB", .least = KIB(64),
     .most = GIB(1), .help = "One upstream reply that is collected whole."},
    {"error", CONFIG_BYTES, GLOBAL(limits.error_bytes), .fallback = "256KiB", .least = KIB(1),
     .most = MIB(16), .help = "How much of an upstream's error body is read."},
    {"json_depth", CONFIG_INTEGER, GLOBAL(limits.json_depth), .fallback = "64", .least = 8,
     .most = 1000, .help = "Nesting of JSON in requests and events."},
    {"json_tokens", CONFIG_INTEGER, GLOBAL(limits.json_tokens), .fallback = "1048576",
     .least = 1024, .most = 16777216,
     .help = "Values in one JSON text, about 20 bytes of memory each."},
    {"memory", CONFIG_BYTES, GLOBAL(limits.memory_bytes), .fallback = "256MiB", .least = MIB(4),
     .most = GIB(1024), .help = "Bytes in transit of one worker; near it nothing new is accepted."},
    {"connections", CONFIG_INTEGER, GLOBAL(limits.connections), .fallback = "20000", .least = 1,
     .most = 1000000, .help = "Client connections of one worker."},
    {"upstream_connections", CONFIG_INTEGER, GLOBAL(limits.upstream_connections),
     .fallback = "4096", .least = 1, .most = 1000000,
     .help = "Connections to one upstream host, per worker."},
    {"upstream_queue", CONFIG_INTEGER, GLOBAL(limits.upstream_queue), .fallback = "1024",
     .most = 1000000, .help = "Requests waiting for one of those; more are answered with 429."},
    {"upstream_idle", CONFIG_INTEGER, GLOBAL(limits.upstream_idle), .fallback = "64",
     .most = 100000, .help = "Idle connections kept to one upstream host, per worker."},
    {"handshakes", CONFIG_INTEGER, GLOBAL(limits.handshakes), .fallback = "16", .least = 1,
     .most = 10000,
     .help = "TLS handshakes in progress per worker: each costs milliseconds of processor time."},
    {"resume", CONFIG_BYTES, GLOBAL(limits.resume_bytes), .fallback = "1MiB", .least = KIB(16), .most = GIB(1),
     .help = "Events kept of one stream that can be resumed, the newest ones. Without its first client a stream waits when half "
             "of it has not been read yet."},
    {"resume_streams", CONFIG_INTEGER, GLOBAL(limits.resume_streams), .fallback = "1000", .most = 1000000,
     .help = "Streams that can be resumed at once, all workers together; more run without."},
    {"recall", CONFIG_BYTES, GLOBAL(limits.recall_bytes), .fallback = "16MiB", .most = GIB(64),
     .help = "Reasoning state kept for clients that lose it between two turns of a tool loop, all workers together; the "
             "oldest goes first. 0: none."},
};

static const struct config_row retry_rows[] = {
    {"statuses", CONFIG_SPECIAL, GLOBAL(retry_statuses),
     .fallback = "[408, 429, 500, 502, 503, 504, 529]", .read = config_read_statuses,
     .print = config_print_statuses, .help = "Upstream statuses after which another try is made."},
    {"base", CONFIG_DURATION, GLOBAL(retry_base_ms), .fallback = "500ms", .least = 1, .most = 60000,
     .help = "First wait between tries; it doubles each time, with jitter."},
    {"max", CONFIG_DURATION, GLOBAL(retry_max_ms), .fallback = "8s", .least = 1, .most = 300000,
     .help = "Longest wait between tries."},
};

#define ROWS(name) .rows = name, .row_count = countof(name)

static const struct config_row media_rows[] = {
    {"fetch", CONFIG_BOOL, GLOBAL(media_fetch), .fallback = "false",
     .help = "Fetch images and documents that a request names by URL, where the upstream takes none (url_media: false) and the request "
             "is translated. Otherwise such requests are refused."},
    {"https_only", CONFIG_BOOL, GLOBAL(media_https_only), .fallback = "true", .help = "Not over plain http."},
    {"size", CONFIG_BYTES, GLOBAL(media_bytes), .fallback = "20MiB", .least = KIB(1), .most = GIB(1),
     .help = "The largest one; limits.body bounds all of a request together."},
    {"time", CONFIG_DURATION, GLOBAL(media_ms), .fallback = "10s", .least = 100, .most = HOUR, .help = "For each, redirects included."},
    {"redirects", CONFIG_INTEGER, GLOBAL(media_redirects), .fallback = "3", .most = 20, .help = "How many are followed; never from https to http."},
    {"private", CONFIG_BOOL, GLOBAL(media_private), .fallback = "false",
     .help = "Also from private, local and otherwise special addresses. Whoever may ask for a model may then reach them through penstock."},
};

static const struct config_row discovery_rows[] = {
    {"file", CONFIG_TEXT, GLOBAL(discovery_file), .example = "/var/lib/penstock/discovery.json",
     .help = "Where penstock discover keeps which upstreams answer for which models. A gateway that runs reads it when it changes, and tries "
             "last what did not answer. Without it nothing is kept."},
    {"ttl", CONFIG_DURATION, GLOBAL(discovery_ttl_ms), .fallback = "24h", .least = 1000, .most = 24 * 30 * HOUR,
     .help = "How long the file is believed. Models come to regions within days, so that asking once a day is enough."},
};

static const struct config_section sections[SECTION_COUNT] = {
    [SECTION_TOP] = {"", "The file", ROWS(top_rows), config_ignored_top},
    [SECTION_MODEL] = {"model_list[]", "Models: a list of ways to serve a model name", ROWS(model_rows)},
    [SECTION_PARAMS] = {"model_list[].litellm_params", "The upstream of a model", ROWS(params_rows),
                        config_ignored_params},
    [SECTION_INFO] = {"model_list[].model_info", "Facts about a model; other keys are free",
                      ROWS(info_rows), .open = true},
    [SECTION_OVERRIDE] = {"model_list[].penstock", "Settings of one model that LiteLLM lacks",
                          ROWS(override_rows)},
    [SECTION_OVERRIDE_TIMEOUTS] = {"model_list[].penstock.timeouts", "Timeouts of one model",
                                   ROWS(override_timeouts_rows)},
    [SECTION_HELPERS] = {"model_list[].penstock.helpers", "What is done to the requests of one model; all off by default",
                         ROWS(helpers_rows)},
    [SECTION_LITELLM] = {"litellm_settings", "LiteLLM's module settings", ROWS(litellm_rows),
                         config_ignored_litellm},
    [SECTION_ROUTER] = {"router_settings", "Retries, fallbacks, cooldowns", ROWS(router_rows),
                        config_ignored_router},
    [SECTION_GENERAL] = {"general_settings", "Client keys", ROWS(general_rows),
                         config_ignored_general},
    [SECTION_PENSTOCK] = {"penstock", "What LiteLLM lacks", ROWS(penstock_rows)},
    [SECTION_LISTEN] = {"penstock.listen", "Where clients come in", ROWS(listen_rows)},
    [SECTION_LOG] = {"penstock.log", "Logs", ROWS(log_rows)},
    [SECTION_METRICS] = {"penstock.metrics", "Metrics", ROWS(metrics_rows)},
    [SECTION_SSE] = {"penstock.sse", "Streamed events", ROWS(sse_rows)},
    [SECTION_CORS] = {"penstock.cors", "Browsers", ROWS(cors_rows)},
    [SECTION_TLS] = {"penstock.tls", "TLS towards upstreams", ROWS(tls_rows)},
    [SECTION_TIMEOUTS] = {"penstock.timeouts", "Timeouts: 10s, 500ms, 2m, 1h or a number of seconds",
                          ROWS(timeouts_rows)},
    [SECTION_LIMITS] = {"penstock.limits", "Limits: numbers, or bytes as 4096, 64KiB, 50MiB",
                        ROWS(limits_rows)},
    [SECTION_MEDIA] = {"penstock.media", "Images and documents by URL", ROWS(media_rows)},
    [SECTION_DISCOVERY] = {"penstock.discovery", "What penstock discover learnt", ROWS(discovery_rows)},
    [SECTION_RETRY] = {"penstock.retry", "Retries, before anything reached the client",
                       ROWS(retry_rows)},
};

const struct config_section *
config_section_of(enum config_section_id id)
{
    assert(id > SECTION_NONE && id < SECTION_COUNT);
    return &sections[id];
}

const struct config_row *
config_row_find(const struct config_section *section, struct slice name)
{
    for (size_t i = 0; i < section->row_count; i++)
        if (slice_is(name, section->rows[i].name))
            return &section->rows[i];
    return NULL;
}

bool
config_is_ignored(const struct config_section *section, struct slice name)
{
    for (const char *const *known = section->ignored; known != NULL && *known != NULL; known++)
        if (slice_is(name, *known))
            return true;
    return false;
}

const struct config_row *
config_row_main(enum config_section_id first, enum config_section_id last, size_t offset,
                enum config_section_id *section)
{
    for (enum config_section_id id = first; id <= last; id++)
        for (size_t i = 0; i < sections[id].row_count; i++) {
            const struct config_row *row = &sections[id].rows[i];
            if (row->size != 0 && row->offset == offset && !(row->flags & ROW_ALIAS)) {
                *section = id;
                return row;
            }
        }
    return NULL;
}
