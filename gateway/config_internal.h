/* SPDX-License-Identifier: MIT
 *
 * config_internal.h - what the files of the configuration share and nobody else sees.
 *
 * One table (config_table.c) says which keys exist, where their values go, in which unit and
 * bounds. Everything else walks that table: reading, defaults, overrides, printing, the example,
 * the manual. A value's place is its offset in the target; two keys with one offset are two names
 * of one thing.
 */
#ifndef PENSTOCK_CONFIG_INTERNAL_H
#define PENSTOCK_CONFIG_INTERNAL_H

#include "gateway/config.h"

#define CONFIG_FILE_BYTES_MAX (1024u * 1024u) /* libyaml's scanner is quadratic in places */
#define CONFIG_DEPTH_MAX 32
#define CONFIG_NODES_MAX 200000u /* after aliases: a small file must not become a large tree */
#define CONFIG_PROBLEMS_MAX 50u  /* listed; more are only counted */
#define CONFIG_SECRET_BYTES_MAX 65536u
#define CONFIG_PARAMS_MAX 64u /* default request parameters of one model */

/* ---- the tree that config_yaml.c makes of a file ---- */

enum config_node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

struct config_node {
    enum config_node_kind kind;
    bool plain;            /* a scalar without quotes: null, true and numbers are possible */
    uint32_t line, column; /* of the value, from 1 */
    uint32_t key_line, key_column;
    uint32_t index;         /* in its list */
    uint32_t weight;        /* nodes in this subtree, itself included, aliases counted every time */
    struct slice key, text; /* key is absent in lists */
    struct config_node *parent, *child, *last, *next;
};

/* ---- where values come from ---- */

enum config_source_kind {
    SOURCE_DEFAULT,
    SOURCE_PROVIDER, /* what the provider table says */
    SOURCE_FILE,
    SOURCE_ENVIRONMENT,
    SOURCE_FLAG
};

struct config_source {
    struct config_source *next;
    size_t offset;
    enum config_source_kind kind;
    uint32_t line;
    struct slice name; /* of the variable, the secret file, the flag or the provider */
};

struct config_origin {
    enum config_source_kind kind;
    const struct config_node *node; /* SOURCE_FILE */
    struct slice name;              /* SOURCE_ENVIRONMENT, SOURCE_FLAG, SOURCE_PROVIDER */
};

/* What is being filled: the config, or one entry of model_list. */
struct config_target {
    void *base;
    struct config_source **sources;
};

/* ---- one entry of model_list while it is read, and for printing ---- */

struct config_entry {
    struct config_deployment deployment; /* copied to config->deployments when finished */
    struct config_source *sources;
    struct slice model;    /* as written: "openai/gpt-4o" */
    struct slice api_base; /* as written, or the provider's */
    struct slice custom_provider, organization, mode, pin, entra_token;
    bool id_given;       /* by the file, not made of provider and model */
    uint64_t max_tokens; /* model_info.max_tokens, the older name of max_output_tokens */
    const struct config_node *params[CONFIG_PARAMS_MAX];
    uint32_t param_count;
    const struct config_node *headers, *extra_headers, *overrides;
    const struct config_node *locations; /* a list of several */
    uint32_t location_index;             /* which of them this entry is for */
    const struct config_node *node; /* the entry in the file; NULL when discovered */
};

/* ---- the loader: one load, from start to end ---- */

struct config_loader {
    struct arena *report;
    struct config_problem *first, *last;
    uint32_t errors, warnings;
    struct config *config;
    struct arena scratch; /* the tree; gone after the load */
    char *const *variables;
    struct slice path;      /* of the file, for messages; absent without a file */
    struct slice directory; /* relative paths in the file start here; "" or ends with '/' */
    uint32_t file_mode;
    bool secret_in_file; /* a key stands literally in the file */
    const struct config_node *environment_variables;
    const struct config_node *models; /* penstock.models */
    struct config_entry *entries;
    uint32_t entry_count, entry_room;
};

/* ---- the table ---- */

enum config_type {
    CONFIG_BOOL,
    CONFIG_INTEGER,
    CONFIG_DECIMAL,  /* stored in thousandths */
    CONFIG_DURATION, /* milliseconds */
    CONFIG_BYTES,
    CONFIG_MEGABYTES, /* a bare number of MB in the file, bytes in memory */
    CONFIG_TEXT,
    CONFIG_SECRET,
    CONFIG_PATH, /* of a file, relative to the configuration file; must be readable */
    CONFIG_CHOICE,
    CONFIG_MAP,     /* a section of its own */
    CONFIG_SPECIAL, /* read and printed by functions of its own */
    CONFIG_ACCEPTED /* known, and nothing needs doing: penstock always works that way */
};

enum config_section_id {
    SECTION_NONE,
    SECTION_TOP,
    SECTION_MODEL,
    SECTION_PARAMS,
    SECTION_INFO,
    SECTION_OVERRIDE,
    SECTION_OVERRIDE_TIMEOUTS,
    SECTION_HELPERS,
    SECTION_LITELLM,
    SECTION_ROUTER,
    SECTION_GENERAL,
    SECTION_PENSTOCK,
    SECTION_LISTEN,
    SECTION_LOG,
    SECTION_METRICS,
    SECTION_SSE,
    SECTION_CORS,
    SECTION_TLS,
    SECTION_TIMEOUTS,
    SECTION_LIMITS,
    SECTION_MEDIA,
    SECTION_DISCOVERY,
    SECTION_RETRY,
    SECTION_COUNT
};

#define ROW_CLAMP 1u  /* LiteLLM's key: a value out of bounds is moved into them, with a warning */
#define ROW_ALIAS 2u  /* another name of an offset; printed under its main name only */
#define ROW_ALWAYS 4u /* printed for every model, set or not */

struct config_row {
    const char *name;
    enum config_type type;
    size_t offset, size;
    const char *fallback; /* the default as it would stand in the file; NULL: none */
    uint64_t low;         /* below it a warning: allowed, seldom meant */
    uint64_t least, most; /* bounds; most 0 means none */
    const char *choices;  /* CONFIG_CHOICE and CONFIG_TEXT: "a|b|c" */
    const char *help;
    const char *example;     /* shown in the example file when there is no default */
    const char *environment; /* names besides the one made of the path, separated by spaces */
    enum config_section_id into;
    unsigned flags;
    bool (*read)(struct config_loader *loader, const struct config_row *row,
                 const struct config_node *node, struct config_target *target);
    /* writes a CONFIG_SPECIAL value in YAML's flow style; nothing when there is none */
    void (*print)(struct sink *out, const struct config_row *row, const void *base);
};

struct config_section {
    const char *path;  /* "penstock.timeouts" */
    const char *title; /* one line for the manual and the example */
    const struct config_row *rows;
    size_t row_count;
    const char *const *ignored; /* known to LiteLLM, without effect here; NULL-terminated */
    bool open;                  /* other keys are free: a warning only for near misses */
};

const struct config_section *config_section_of(enum config_section_id id);
const struct config_row *config_row_find(const struct config_section *section, struct slice name);
bool config_is_ignored(const struct config_section *section, struct slice name);
/* config_row_main - the row that owns the offset: the first without ROW_ALIAS. */
const struct config_row *config_row_main(enum config_section_id first, enum config_section_id last,
                                         size_t offset, enum config_section_id *section);

extern const char *const config_ignored_top[];
extern const char *const config_ignored_params[];
extern const char *const config_ignored_litellm[];
extern const char *const config_ignored_router[];
extern const char *const config_ignored_general[];

/* ---- config.c ---- */

/* config_problem_at - note an error or a warning about a node; key: point at its key, not its
 * value. */
void config_problem_at(struct config_loader *loader, bool warning, const struct config_node *node,
                       bool key, const char *format, ...) printf_like(5, 6);
/* config_problem_of - the same about whatever the origin is. */
void config_problem_of(struct config_loader *loader, bool warning,
                       const struct config_origin *origin, const char *format, ...)
    printf_like(4, 5);
/* config_problem_plain - without a position. */
void config_problem_plain(struct config_loader *loader, bool warning, struct slice where,
                          const char *format, ...) printf_like(4, 5);
/* config_node_path - "model_list[2].litellm_params.timeout", in the report's arena. */
struct slice config_node_path(struct config_loader *loader, const struct config_node *node);
/* config_nearest - the candidate closest to name, if close enough to be meant; else absent. */
void config_nearest(struct slice name, struct slice candidate, struct slice *best, int *distance);
const struct config_node *config_child(const struct config_node *map, const char *name);
bool config_node_is_null(const struct config_node *node);

/* ---- config_yaml.c ---- */

/* config_yaml_read - parse text into a tree in the scratch arena; NULL with an error noted. An
 * empty document gives an empty map. */
struct config_node *config_yaml_read(struct config_loader *loader, struct slice text);

/* ---- config_expand.c ---- */

/* config_getenv - from the environment, else from environment_variables in the file; absent
 * otherwise. */
struct slice config_getenv(struct config_loader *loader, const char *name);
/* config_note_file - the configuration depends on this file, which was read. Given as it was opened. */
void config_note_file(struct config_loader *loader, struct slice path);
struct slice config_getenv_slice(struct config_loader *loader, struct slice name);
/*
 * config_expand - resolve os.environ/NAME, ${NAME}, ${NAME:-default}, file:PATH and (in a file) command:TEXT.
 * from  [out] name of the variable or file it came from; absent when the text is literal
 */
bool config_expand(struct config_loader *loader, const struct config_origin *origin,
                   struct slice raw, struct slice *out, struct slice *from);
/* config_run_command - what /bin/sh prints for this text, without the newline at its end; false with a problem noted. */
bool config_run_command(struct config_loader *loader, const struct config_origin *origin,
                        struct slice text, struct slice *out);
/* config_scalar - a node's expanded text; false with an error noted if it is not a scalar. */
bool config_scalar(struct config_loader *loader, const struct config_node *node, struct slice *out,
                   struct slice *from);

/* ---- config_value.c ---- */

/* config_store - parse text by the row's type, check bounds, put it into the target, note the
 * source. */
bool config_store(struct config_loader *loader, const struct config_row *row,
                  struct config_target *target, const struct config_origin *origin,
                  struct slice text, struct slice from);
void config_source_set(struct config_loader *loader, struct config_target *target, size_t offset,
                       const struct config_origin *origin, struct slice from);
const struct config_source *config_source_find(const struct config_source *list, size_t offset);
/* config_format - the value at the row's offset as it would stand in a file; secrets as ***. */
void config_format(const struct config_row *row, const void *base, struct sink *out);
/* config_defaults - fill every offset of a section that has a default and no source. */
void config_defaults(struct config_loader *loader, enum config_section_id first,
                     enum config_section_id last, struct config_target *target);
/* config_node_json - a node as JSON text (plain scalars keep their type), strings expanded. */
bool config_node_json(struct config_loader *loader, const struct config_node *node,
                      struct sink *out);
void config_quote(struct sink *out, struct slice text);

/* ---- config_bind.c ---- */

/* config_bind - walk a map by a section of the table and fill the target. */
void config_bind(struct config_loader *loader, enum config_section_id section,
                 const struct config_node *map, struct config_target *target);
bool config_read_cors(struct config_loader *loader, const struct config_row *row,
                      const struct config_node *node, struct config_target *target);
bool config_read_statuses(struct config_loader *loader, const struct config_row *row,
                          const struct config_node *node, struct config_target *target);
bool config_read_aliases(struct config_loader *loader, const struct config_row *row,
                         const struct config_node *node, struct config_target *target);
bool config_read_fallbacks(struct config_loader *loader, const struct config_row *row,
                           const struct config_node *node, struct config_target *target);
bool config_read_default_fallbacks(struct config_loader *loader, const struct config_row *row,
                                   const struct config_node *node, struct config_target *target);
bool config_read_keys(struct config_loader *loader, const struct config_row *row,
                      const struct config_node *node, struct config_target *target);
bool config_read_verbose(struct config_loader *loader, const struct config_row *row,
                         const struct config_node *node, struct config_target *target);
bool config_read_strategy(struct config_loader *loader, const struct config_row *row,
                          const struct config_node *node, struct config_target *target);
bool config_read_overrides(struct config_loader *loader, const struct config_row *row,
                           const struct config_node *node, struct config_target *target);

/* ---- config_models.c ---- */

void config_read_models(struct config_loader *loader, const struct config_node *list);
/* config_read_json - a value of any kind, kept as JSON text. config_print_json prints it. */
bool config_read_json(struct config_loader *loader, const struct config_row *row,
                      const struct config_node *node, struct config_target *target);
bool config_read_locations(struct config_loader *loader, const struct config_row *row,
                           const struct config_node *node, struct config_target *target);
bool config_read_param(struct config_loader *loader, const struct config_row *row,
                       const struct config_node *node, struct config_target *target);
bool config_read_entry_node(struct config_loader *loader, const struct config_row *row,
                            const struct config_node *node, struct config_target *target);
/* config_entry_add - a new entry with its defaults unset; NULL when memory is out (noted). */
struct config_entry *config_entry_add(struct config_loader *loader);
/* config_entry_problem - about a key of the entry: its place in the file, or the model's name. */
void config_entry_problem(struct config_loader *loader, bool warning,
                          const struct config_entry *entry, const char *key, const char *text,
                          struct slice detail);
/* ---- config_entry.c ---- */

/* config_entry_finish - overrides, provider, address, key, habits, headers; false: leave it out. */
bool config_entry_finish(struct config_loader *loader, struct config_entry *entry);

/* ---- config_google.c ---- */

/* config_first_variable - value and name of the first of these variables (separated by spaces) that is set to something. */
struct slice config_first_variable(struct config_loader *loader, const char *names, struct slice *name);
/* config_fill_text - a text that the file did not give: from the first variable that is set, else what otherwise says. */
void config_fill_text(struct config_loader *loader, struct config_entry *entry, size_t offset, const char *variables,
                      struct slice otherwise);
#define CONFIG_FILL(member, variables, otherwise)                                                  \
    config_fill_text(loader, entry, offsetof(struct config_entry, deployment.member), variables, otherwise)
/* config_google_resolve - project, location, credentials, and the region's own host (R82); false with a problem noted. */
bool config_google_resolve(struct config_loader *loader, struct config_entry *entry);
/* config_google_may_see - access tokens are Google's to see, and nobody's who is merely configured (R104). */
bool config_google_may_see(const struct config_deployment *deployment);

/* config_entry_overrides - what penstock.models says about it, then its own penstock: map. */
void config_entry_overrides(struct config_loader *loader, struct config_entry *entry);
/* config_models_publish - hand the finished entries to the config. */
bool config_models_publish(struct config_loader *loader);

/* ---- config_helpers.c ---- */

/* config_read_names - a list of texts, kept as a JSON array. config_read_name_lists - a list of such lists. config_read_prompt_file - what a file says. */
bool config_read_names(struct config_loader *loader, const struct config_row *row,
                       const struct config_node *node, struct config_target *target);
bool config_read_name_lists(struct config_loader *loader, const struct config_row *row,
                            const struct config_node *node, struct config_target *target);
bool config_read_prompt_file(struct config_loader *loader, const struct config_row *row,
                             const struct config_node *node, struct config_target *target);

/* ---- config_url.c ---- */

/*
 * config_url - take an upstream's base address apart into the deployment.
 * returns NULL, or why it was refused (a constant text)
 */
const char *config_url(struct arena *arena, struct slice url, struct config_deployment *out);
/* config_base_path - bring base_path into the form that "/chat/completions" or "/messages" can
 * follow. */
void config_base_path(struct arena *arena, bool version_needed, struct config_deployment *out);

/* ---- config_providers.c ---- */

#define PROVIDER_COMPLETION_TOKENS 1u
#define PROVIDER_DEVELOPER 2u
#define PROVIDER_REPLAY 4u
#define PROVIDER_TOP_K 8u
#define PROVIDER_STRICT 16u
#define PROVIDER_NO_USAGE_OPTION 32u /* refuses stream_options, and sends usage anyway */
#define PROVIDER_KEYLESS 64u         /* works without a key */
#define PROVIDER_BASE_NEEDED 128u    /* has no address of its own */
#define PROVIDER_VERSION 256u        /* an address without a path means /v1 */
#define PROVIDER_OFFICIAL 512u       /* its quirks hold at its own host only */
#define PROVIDER_THINK_TAGS 1024u    /* local models that think inside the text */
#define PROVIDER_KEEPS_STATE (1u << 11)       /* Responses: previous_response_id, input_tokens */
#define PROVIDER_IDS_NINE (1u << 12)          /* ids of calls are nine letters and digits */
#define PROVIDER_FORCED_CHOICE (1u << 13)     /* an object as tool_choice is ignored */
#define PROVIDER_THINKING_LEVEL (1u << 14)    /* Gemini 3 and later */
#define PROVIDER_JSON_SCHEMA (1u << 15)       /* Gemini 2.5 and later */
#define PROVIDER_RESULT_MEDIA (1u << 16)      /* Gemini 3 and later */
#define PROVIDER_NO_URL_MEDIA (1u << 17)      /* images and documents must come inline */
#define PROVIDER_STRIP_TOOL_FIELDS (1u << 18) /* defer_loading and the like are refused */
#define PROVIDER_SYSTEM_PARTS (1u << 19)      /* system content as parts */
#define PROVIDER_AZURE (1u << 20)             /* deployments, api-version, api-key */
#define PROVIDER_VERTEX (1u << 21)            /* projects, locations, Google credentials */

struct config_provider {
    const char *name;
    const char *base;
    const char *key_variables; /* separated by spaces, first found wins */
    const char *base_variables;
    enum config_dialect dialect;
    unsigned flags;
    enum config_effort_style effort;
    const char *wildcards; /* further model names served when discovered, separated by spaces */
    const char *note;
};

/* What certain models of certain providers are like: rows that match a model add up. */
struct config_model_habit {
    const char *providers; /* names separated by spaces */
    const char *models;    /* beginnings of model names, separated by spaces */
    int dialect;           /* enum config_dialect; -1: the provider's */
    unsigned flags;        /* PROVIDER_x to add */
    const char *note;
};
extern const struct config_model_habit config_model_habits[];
extern const size_t config_model_habit_count;
/* config_model_habit_fits - is the row about this model of this provider? */
bool config_model_habit_fits(const struct config_model_habit *habit, struct slice provider, struct slice model);

extern const struct config_provider config_providers[];
extern const size_t config_provider_count;
const struct config_provider *config_provider_find(struct slice name);
/* config_provider_guess - LiteLLM's guess for a bare model name (gpt-*, claude-*); NULL otherwise.
 */
const struct config_provider *config_provider_guess(struct slice model);
/* config_provider_refused - why a provider that LiteLLM knows is not served here; NULL if unknown.
 */
const char *config_provider_refused(struct slice name);
struct slice config_provider_nearest(struct slice name);

/* ---- config_env.c ---- */

/* config_env_overrides - PENSTOCK_* onto the config. */
void config_env_overrides(struct config_loader *loader, struct config_target *target);
void config_flag_overrides(struct config_loader *loader, const struct config_flags *flags,
                           struct config_target *target);
/* config_env_models - "<provider>/ *" for every provider whose key or address is in the
 * environment. */
uint32_t config_env_models(struct config_loader *loader);
void config_demo_models(struct config_loader *loader);
/* config_variable_name - PENSTOCK_TIMEOUTS_REQUEST for penstock.timeouts.request; false if too
 * long. */
bool config_variable_name(const struct config_section *section, const struct config_row *row,
                          char *out, size_t room);

/* ---- config_print.c ---- */

/* A walk over the table from a section downwards, in the order of the rows, maps before their keys.
 */
struct config_walk {
    struct {
        const struct config_section *section;
        size_t row;
    } at[4];
    int depth;
};
struct config_step {
    const struct config_section *section;
    const struct config_row *row;
    int depth; /* 0 for the rows of the first section */
};
void config_walk_init(struct config_walk *walk, enum config_section_id first);
bool config_walk_next(struct config_walk *walk, struct config_step *step);

void config_print_cors(struct sink *out, const struct config_row *row, const void *base);
void config_print_statuses(struct sink *out, const struct config_row *row, const void *base);
void config_print_fallbacks(struct sink *out, const struct config_row *row, const void *base);
void config_print_aliases(struct sink *out, const struct config_row *row, const void *base);
void config_print_keys(struct sink *out, const struct config_row *row, const void *base);
void config_print_headers(struct sink *out, const struct config_row *row, const void *base);
void config_print_location(struct sink *out, const struct config_row *row, const void *base);
void config_print_json(struct sink *out, const struct config_row *row, const void *base);
void config_print_params(struct sink *out, const struct config_row *row, const void *base);
void config_print_strategy(struct sink *out, const struct config_row *row, const void *base);

/* ---- config_value.c, for the printers ---- */

/* config_format_number - a value by the row's unit: 600s, 50MiB, true. */
void config_format_number(const struct config_row *row, uint64_t value, struct sink *out);

#endif
