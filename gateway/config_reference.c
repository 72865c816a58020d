/* SPDX-License-Identifier: MIT
 *
 * config_reference.c - penstock.example.yaml and docs/configuration.md, both written from the
 * table.
 *
 * In the example "# text" is help and "#key: value" is a key that is not set; a test uncomments the
 * latter and reads the file, so the example cannot show what the parser does not take.
 */
#include "gateway/config_internal.h"

#include "base/text.h"

#define LINE_COLUMNS 100

/* ---- shared ---- */

static const char *
type_name(const struct config_row *row)
{
    switch (row->type) {
    case CONFIG_BOOL:
        return "true or false";
    case CONFIG_INTEGER:
        return "whole number";
    case CONFIG_DECIMAL:
        return "number";
    case CONFIG_DURATION:
        return "duration";
    case CONFIG_BYTES:
        return "size";
    case CONFIG_MEGABYTES:
        return "size in MB";
    case CONFIG_TEXT:
        return "text";
    case CONFIG_SECRET:
        return "secret";
    case CONFIG_PATH:
        return "file";
    case CONFIG_CHOICE:
        return "one of";
    default:
        return "any value";
    }
}

/* "one of a, b, c", "600s, 50ms to 3600s" */
static void
put_facts(struct sink *out, const struct config_row *row)
{
    bool choice = row->choices != NULL;
    sink_text(out, choice ? "one of " : type_name(row));
    struct slice rest = slice_from(row->choices);
    for (bool first = true; slice_present(rest); first = false) {
        sink_text(out, first ? "" : ", ");
        sink_put(out, text_split(&rest, '|'));
    }
    if (row->least == 0 && row->most == 0)
        return;
    sink_text(out, ", ");
    config_format_number(row, row->least, out);
    if (row->most != 0) {
        sink_text(out, " to ");
        config_format_number(row, row->most, out);
    } else {
        sink_text(out, " or more");
    }
}

static void
put_variables(struct sink *out, const struct config_section *section, const struct config_row *row,
              const char *quote)
{
    char name[96];
    struct slice rest = slice_from(row->environment);
    bool any = false;
    while (slice_present(rest)) {
        struct slice one = text_split(&rest, ' ');
        sink_printf(out, "%s%s%.*s%s", any ? ", " : "", quote, SLICE_ARG(one), quote);
        any = true;
    }
    if (config_variable_name(section, row, name, sizeof(name)))
        sink_printf(out, "%s%s%s%s", any ? ", " : "", quote, name, quote);
}

static bool
in_model(const struct config_section *section)
{
    return section >= config_section_of(SECTION_MODEL) &&
           section <= config_section_of(SECTION_HELPERS);
}

/* Other names of the same place: "router_settings.timeout, litellm_settings.request_timeout". */
static void
put_other_names(struct sink *out, const struct config_section *of, const struct config_row *row)
{
    bool any = false;
    bool model = in_model(of);
    enum config_section_id first = model ? SECTION_MODEL : SECTION_LITELLM;
    enum config_section_id last = model ? SECTION_HELPERS : SECTION_RETRY;
    if (row->size == 0)
        return;
    for (enum config_section_id id = first; id <= last; id++) {
        const struct config_section *section = config_section_of(id);
        for (size_t i = 0; i < section->row_count; i++) {
            const struct config_row *other = &section->rows[i];
            if (other == row || other->size == 0 || other->offset != row->offset)
                continue;
            sink_printf(out, "%s`%s.%s`", any ? ", " : " Also ", section->path, other->name);
            any = true;
        }
    }
    sink_text(out, any ? "." : "");
}

/* ---- the example ---- */

static void
put_wrapped(struct sink *out, int indent, struct slice text)
{
    size_t column = 0;
    while (text.len > 0) {
        const char *space = memchr(text.ptr, ' ', text.len);
        size_t word = space != NULL ? (size_t)(space - text.ptr) : text.len;
        if (column != 0 && column + 1 + word > LINE_COLUMNS) {
            sink_byte(out, '\n');
            column = 0;
        }
        if (column == 0) {
            sink_printf(out, "%*s#", indent, "");
            column = (size_t)indent + 1;
        }
        sink_byte(out, ' ');
        sink_put(out, slice_take(text, word));
        column += 1 + word;
        text = slice_skip(text, word + (space != NULL));
    }
    sink_byte(out, '\n');
}

static void
put_help(struct sink *out, int indent, const struct config_step *step)
{
    const struct config_row *row = step->row;
    struct sink text;
    sink_init(&text, 8192);
    if (row->help != NULL)
        sink_printf(&text, "%s ", row->help);
    sink_byte(&text, '(');
    put_facts(&text, row);
    size_t before = text.len;
    sink_text(&text, "; ");
    size_t start = text.len;
    put_variables(&text, step->section, row, "");
    if (text.len == start)
        text.len = before;
    sink_byte(&text, ')');
    put_wrapped(out, indent, sink_slice(&text));
    sink_fini(&text);
}

/* What stands behind the key when it has no default. */
static void
put_example_value(struct sink *out, const struct config_row *row)
{
    struct slice choices = slice_from(row->choices);
    if (row->fallback != NULL)
        sink_text(out, row->fallback);
    else if (row->example != NULL)
        sink_text(out, row->example);
    else if (row->choices != NULL)
        sink_put(out, text_split(&choices, '|'));
    else if (row->type == CONFIG_BOOL)
        sink_text(out, "true");
    else
        sink_text(out, "1");
}

/* Keys that a model cannot do without are the only ones of an entry that are set. */
static bool
is_set_in_example(const struct config_step *step)
{
    static const char *const set[] = {"model_name", "litellm_params", "model", "api_key"};
    const struct config_row *row = step->row;
    if (!in_model(step->section))
        return row->type == CONFIG_MAP || row->fallback != NULL;
    for (size_t i = 0; i < countof(set); i++)
        if (strcmp(row->name, set[i]) == 0)
            return true;
    return false;
}

static bool
is_in_example(const struct config_row *row)
{
    if (row->type == CONFIG_ACCEPTED || (row->flags & ROW_ALIAS))
        return false;
    return row->type == CONFIG_MAP || row->help != NULL || row->example != NULL;
}

static void
put_section(struct sink *out, enum config_section_id first, int indent)
{
    struct config_walk walk;
    struct config_step step;
    bool item = first == SECTION_MODEL;
    config_walk_init(&walk, first);
    while (config_walk_next(&walk, &step)) {
        const struct config_row *row = step.row;
        int spaces = indent + step.depth * 2;
        if (!is_in_example(row))
            continue;
        if (row->type == CONFIG_MAP) {
            sink_byte(out, '\n');
            put_wrapped(out, spaces, slice_from(config_section_of(row->into)->title));
        } else {
            put_help(out, spaces, &step);
        }
        bool set = is_set_in_example(&step);
        sink_printf(out, "%*s%s%s%s:", item ? spaces - 2 : spaces, "", item ? "- " : "",
                    set ? "" : "#", row->name);
        item = false;
        if (row->type != CONFIG_MAP) {
            sink_byte(out, ' ');
            put_example_value(out, row);
        }
        sink_byte(out, '\n');
    }
}

void
config_reference(struct sink *out)
{
    static const enum config_section_id top[] = {SECTION_ROUTER, SECTION_GENERAL, SECTION_PENSTOCK};
    sink_text(
        out,
        "# penstock.example.yaml - every key that penstock knows, with its default.\n"
        "#\n"
        "# Written by `penstock print-config --reference`; do not edit. Copy what you need: a key "
        "that\n"
        "# is missing has the default shown here, and lines like \"#key: value\" are not set.\n"
        "# LiteLLM's config.yaml is read as it is. Values may be os.environ/NAME, ${NAME},\n"
        "# ${NAME:-default}, file:PATH or command:TEXT. See docs/configuration.md.\n\n");
    put_wrapped(out, 0, slice_from(config_section_of(SECTION_MODEL)->title));
    sink_text(out, "model_list:\n");
    put_section(out, SECTION_MODEL, 4);
    for (size_t i = 0; i < countof(top); i++) {
        const struct config_section *section = config_section_of(top[i]);
        sink_byte(out, '\n');
        put_wrapped(out, 0, slice_from(section->title));
        sink_printf(out, "%s:\n", section->path);
        put_section(out, top[i], 2);
    }
}

/* ---- the manual ---- */

static const char manual_head[] =
    "# Configuration\n\n"
    "Written by `penstock print-config --manual` from the table in `gateway/config_table.c`; do "
    "not edit.\n\n"
    "penstock needs no configuration: without a file it serves the providers whose keys are in "
    "the\n"
    "environment, and its demo models. With a file it reads LiteLLM's `config.yaml` as it is; what "
    "LiteLLM\n"
    "lacks stands under `penstock:`. All keys with their defaults: `penstock.example.yaml`.\n\n"
    "```yaml\n"
    "model_list:\n"
    "  - model_name: gpt-4o\n"
    "    litellm_params:\n"
    "      model: openai/gpt-4o\n"
    "      api_key: os.environ/OPENAI_API_KEY\n"
    "  - model_name: local\n"
    "    litellm_params:\n"
    "      model: hosted_vllm/qwen\n"
    "      api_base: http://10.0.0.7:8000/v1\n"
    "router_settings:\n"
    "  fallbacks: [{local: [gpt-4o]}]\n"
    "general_settings:\n"
    "  master_key: os.environ/PENSTOCK_MASTER_KEY\n"
    "penstock:\n"
    "  timeouts: {idle: 60s}\n"
    "```\n\n"
    "## Which file, and what wins\n\n"
    "1. The file of `--config`, else of `PENSTOCK_CONFIG`, else `penstock.yaml` in the working "
    "directory,\n"
    "   else `config.yaml` there if it has `model_list` or `penstock`. `--config /dev/null` means "
    "none.\n"
    "2. Command line, environment, file, default: the first that says something wins. Within the "
    "file\n"
    "   `penstock` wins over `router_settings`, which wins over `litellm_settings`.\n"
    "3. `penstock check` reads everything and says what is wrong; `penstock print-config` shows "
    "every value\n"
    "   in force with its source, secrets as `***`; `penstock models` lists what is served.\n"
    "4. SIGHUP reads the file again: a wrong one is refused and the old one stays in force.\n\n"
    "An unknown key is an error that names file, line, column and the nearest key. A key that "
    "LiteLLM knows\n"
    "and penstock does not act on is a warning. A value of LiteLLM's that is out of penstock's "
    "bounds is\n"
    "moved into them, with a warning.\n\n"
    "## Values\n\n"
    "| written | means |\n|---|---|\n"
    "| `os.environ/NAME` | the environment variable, or `environment_variables` in the file; an "
    "error when neither has it |\n"
    "| `${NAME}`, `${NAME:-default}` | the same, anywhere in a text; the default also stands in "
    "for an empty one. `$${` is a literal `${` |\n"
    "| `file:PATH` | what the file holds, without the newline at its end; `${NAME}` may stand in PATH; a warning when others "
    "can read it |\n"
    "| `command:TEXT` | what `/bin/sh -c TEXT` prints, without the newline at its end, whenever the "
    "configuration is read; in the file only. It must end with status 0 within 30 s |\n"
    "| `10s`, `500ms`, `2m`, `1h`, `600` | durations; a bare number is seconds |\n"
    "| `4096`, `64KiB`, `50MB` | sizes; all units are powers of 1024 |\n\n"
    "Paths that do not begin with `/` start at the directory of the file. A file is at most 1 MiB "
    "and 32\n"
    "levels deep; anchors, aliases and `<<` work within these bounds. The same key twice is an "
    "error.\n\n"
    "## Models\n\n"
    "`model` is `provider/model`, split at the first slash. With `api_base` the provider may be "
    "missing or\n"
    "unknown: the upstream is then OpenAI-compatible. Without it `gpt-*`, `o1*`, `o3*`, `o4*`, "
    "`chatgpt-*`\n"
    "mean openai and `claude-*` anthropic. One `*` is possible in `model_name`, and in `model` "
    "what it stood\n"
    "for is put in: `model_name: \"claude-*\"` with `model: \"anthropic/claude-*\"`. `model: "
    "\"*\"` alone stands\n"
    "for every provider whose key is in the environment.\n\n"
    "A provider's key from the environment is sent to the provider's own address and to the one "
    "its base\n"
    "variable names, not to another `api_base`: give `api_key` there. A base variable that leads "
    "back to\n"
    "this gateway (clients use the same names) is left alone.\n\n"
    "Without `model_list` every provider with a key in the environment is served as `provider/*`, "
    "openai\n"
    "also as `gpt-*`, `o1*`, `o3*`, `o4*`, `chatgpt-*` and anthropic as `claude-*`; the demo "
    "models too.\n\n"
    "Models of other kinds (`mode: embedding`) and providers whose API penstock does not speak are "
    "left\n"
    "out with a warning, so that the rest of the file works.\n\n"
    "## Safety\n\n"
    "- Beyond loopback penstock wants a client key (`master_key` or `penstock.keys`), or "
    "`allow_open`.\n"
    "- A file that holds keys and can be read by others gives a warning.\n"
    "- Secrets are never printed and never logged.\n";

static void
put_table(struct sink *out, enum config_section_id id)
{
    const struct config_section *section = config_section_of(id);
    bool head = false;
    for (size_t i = 0; i < section->row_count; i++) {
        const struct config_row *row = &section->rows[i];
        if (row->type == CONFIG_MAP || !is_in_example(row))
            continue;
        if (!head)
            sink_printf(
                out,
                "\n### `%s`\n\n%s.\n\n| key | value | default | meaning |\n|---|---|---|---|\n",
                section->path, section->title);
        head = true;
        sink_printf(out, "| `%s` | ", row->name);
        put_facts(out, row);
        sink_printf(out, " | %s%s%s | %s", row->fallback != NULL ? "`" : "",
                    row->fallback != NULL ? row->fallback : "", row->fallback != NULL ? "`" : "",
                    row->help != NULL ? row->help : "");
        put_other_names(out, section, row);
        size_t before = out->len;
        sink_text(out, " Variable: ");
        size_t start = out->len;
        put_variables(out, section, row, "`");
        if (out->len == start)
            out->len = before;
        sink_text(out, " |\n");
    }
}

/* What the flags of a row set, in the words of the keys that they are defaults of. */
static void
put_habits(struct sink *out, unsigned flags, enum config_effort_style effort, bool marked)
{
    static const struct {
        unsigned flag;
        const char *text;
    } words[] = {
        {PROVIDER_COMPLETION_TOKENS, "max_completion_tokens"}, {PROVIDER_DEVELOPER, "developer_role"},
        {PROVIDER_REPLAY, "replay_reasoning"}, {PROVIDER_TOP_K, "top_k"}, {PROVIDER_STRICT, "strict_turns"},
        {PROVIDER_NO_USAGE_OPTION, "usage_in_stream: false"}, {PROVIDER_THINK_TAGS, "think_tags"},
        {PROVIDER_KEEPS_STATE, "keeps_state"}, {PROVIDER_IDS_NINE, "tool_ids: nine"},
        {PROVIDER_FORCED_CHOICE, "forced_choice"}, {PROVIDER_THINKING_LEVEL, "thinking_level"},
        {PROVIDER_JSON_SCHEMA, "json_schema"}, {PROVIDER_RESULT_MEDIA, "result_media"},
        {PROVIDER_NO_URL_MEDIA, "url_media: false"}, {PROVIDER_STRIP_TOOL_FIELDS, "strip_tool_fields"},
        {PROVIDER_SYSTEM_PARTS, "system_parts"}, {PROVIDER_AZURE, "surface: azure"}, {PROVIDER_VERTEX, "surface: vertex"},
    };
    static const char *const efforts[] = {NULL, "effort: reasoning_effort", "effort: enable_thinking", "effort: thinking"};
    const char *quote = marked ? "`" : "", *between = "";
    for (size_t i = 0; i < countof(words); i++) {
        if (!(flags & words[i].flag))
            continue;
        sink_printf(out, "%s%s%s%s", between, quote, words[i].text, quote);
        between = ", ";
    }
    if (efforts[effort] != NULL)
        sink_printf(out, "%s%s%s%s", between, quote, efforts[effort], quote);
}

void
config_catalogue(struct sink *out)
{
    sink_printf(out, "%-22s %-16s %-66s %-24s %s\n", "PROVIDER", "DIALECT", "ADDRESS", "KEY", "HABITS");
    for (size_t i = 0; i < config_provider_count; i++) {
        const struct config_provider *provider = &config_providers[i];
        struct slice variables = slice_from(provider->key_variables);
        struct slice key = text_split(&variables, ' ');
        const char *base = provider->base != NULL ? provider->base
                           : provider->flags & PROVIDER_VERTEX ? "(the location's own)" : "(api_base is needed)";
        sink_printf(out, "%-22s %-16s %-66s %-24.*s ", provider->name, config_dialect_name(provider->dialect), base,
                    SLICE_ARG(key.len > 0 ? key : SLICE_LIT("-")));
        put_habits(out, provider->flags, provider->effort, false);
        sink_byte(out, '\n');
    }
}

static void
put_model_habits(struct sink *out)
{
    sink_text(out, "\nWhat certain models of them are like besides:\n\n| providers | models that begin with | speaks | sets | notes |\n"
                   "|---|---|---|---|---|\n");
    for (size_t i = 0; i < config_model_habit_count; i++) {
        const struct config_model_habit *row = &config_model_habits[i];
        sink_printf(out, "| %s | %s | %s | ", row->providers, row->models,
                    row->dialect >= 0 ? config_dialect_name((enum config_dialect)row->dialect) : "");
        put_habits(out, row->flags, EFFORT_NONE, true);
        sink_printf(out, " | %s |\n", row->note);
    }
}

static void
put_providers(struct sink *out)
{
    sink_text(out, "\n## Providers\n\n`penstock providers` prints this table, too. What a row sets is a default: the keys of the same "
                   "name under\n`penstock` in an entry of `model_list` win.\n\n"
                   "| name | address | key | base variable | speaks | sets | notes |\n"
                   "|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < config_provider_count; i++) {
        const struct config_provider *provider = &config_providers[i];
        sink_printf(out, "| `%s` | %s | %s | %s | %s | ", provider->name,
                    provider->base != NULL ? provider->base
                    : provider->flags & PROVIDER_VERTEX ? "the location's own" : "api_base is needed",
                    provider->key_variables, provider->base_variables,
                    config_dialect_name(provider->dialect));
        put_habits(out, provider->flags, provider->effort, true);
        sink_printf(out, " | %s |\n", provider->note != NULL ? provider->note : "");
    }
    put_model_habits(out);
}

/* Names that users of other gateways know (R191). */
static void
put_mapping(struct sink *out)
{
    static const char *const rows[][2] = {
        {"`PORT`, `HOST` (qwen-proxy); `CLAWPROXY_PORT`, `CLAWPROXY_HOST`; `VERTEX_PROXY_PORT`; "
         "`ANYCLAUDE_PORT`",
         "`PENSTOCK_PORT`, `PENSTOCK_HOST`, or `penstock.listen`"},
        {"`API_KEY=a,b` (qwen-proxy); `CLAWPROXY_API_KEY`",
         "`PENSTOCK_KEYS=a,b`, or `penstock.keys`"},
        {"`VERTEX_PROXY_CONFIG`", "`PENSTOCK_CONFIG`"},
        {"`model_aliases`", "`router_settings.model_group_alias`"},
        {"`fallback_chains: {a: [b, c]}`", "`router_settings.fallbacks: [{a: [b, c]}]`"},
        {"`DEFAULT_TEMPERATURE`, `DEFAULT_MAX_TOKENS`, `DEFAULT_TOP_P`, `DEFAULT_TOP_K`, "
         "`DEFAULT_REPETITION_PENALTY`",
         "`temperature`, ... in `litellm_params`, per model"},
        {"`MAX_RETRIES`, `RETRY_DELAY_MS`", "`router_settings.num_retries`, `penstock.retry.base`"},
        {"`LOG_LEVEL`; `ANYCLAUDE_DEBUG=0..3`; `DEBUG_STREAMING=true`",
         "`PENSTOCK_LOG_LEVEL`; `PENSTOCK_DEBUG=0..3`; `DEBUG_STREAMING=true`"},
        {"`ANYCLAUDE_REQUEST_TIMEOUT` (milliseconds)",
         "`PENSTOCK_TIMEOUTS_REQUEST` (`600s`), or `penstock.timeouts.request`"},
        {"`LOCAL_URL`, `LOCAL_API_KEY`, `LOCAL_MODEL`; `backends.local` of `.anyclauderc.json`",
         "an entry of `model_list` with `api_base`, `api_key`, `model: openai_like/NAME`"},
        {"`LOCAL_CONTEXT_LENGTH`", "`model_info.max_input_tokens`"},
        {"`backends.claude`, `backends.openrouter` of `.anyclauderc.json`",
         "`model: anthropic/NAME`, `model: openrouter/NAME`"},
    };
    sink_text(out, "\n## Coming from other gateways\n\n| there | here |\n|---|---|\n");
    for (size_t i = 0; i < countof(rows); i++)
        sink_printf(out, "| %s | %s |\n", rows[i][0], rows[i][1]);
}

static void
put_ignored(struct sink *out)
{
    static const enum config_section_id with[] = {SECTION_TOP, SECTION_PARAMS, SECTION_LITELLM,
                                                  SECTION_ROUTER, SECTION_GENERAL};
    sink_text(out, "\n## Keys of LiteLLM without effect\n\nThey are known, give a warning, and "
                   "nothing else.\n");
    for (size_t i = 0; i < countof(with); i++) {
        const struct config_section *section = config_section_of(with[i]);
        sink_printf(out, "\n- %s%s%s:", section->path[0] != '\0' ? "`" : "at the top",
                    section->path, section->path[0] != '\0' ? "`" : "");
        for (const char *const *name = section->ignored; *name != NULL; name++)
            sink_printf(out, "%s `%s`", name == section->ignored ? "" : ",", *name);
        sink_byte(out, '\n');
    }
}

void
config_manual(struct sink *out)
{
    sink_text(out, manual_head);
    sink_text(out, "\n## Keys\n");
    for (enum config_section_id id = SECTION_MODEL; id <= SECTION_RETRY; id++)
        put_table(out, id);
    sink_text(
        out, "\n`PENSTOCK_DEBUG=1..3` and `DEBUG_STREAMING=true` set the log level too,\n"
             "`PENSTOCK_CONFIG` names the file, and lists in variables are separated by commas.\n");
    put_providers(out);
    put_mapping(out);
    put_ignored(out);
}
