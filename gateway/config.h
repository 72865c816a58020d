/* SPDX-License-Identifier: MIT
 *
 * config.h - one immutable, reference-counted object made from a YAML file, the environment and the
 * command line. LiteLLM's config.yaml is understood as it is; what it lacks lives under "penstock:".
 *
 * Precedence: command line, environment, file, default. Secrets are held here and printed nowhere.
 */
#ifndef PENSTOCK_CONFIG_H
#define PENSTOCK_CONFIG_H

#include "base/arena.h"
#include "base/log.h"
#include "base/sink.h"
#include "base/slice.h"
#include "providers/shape.h"

/* In the order of enum dialect_id, dialect_auth, dialect_surface, dialect_ids, dialect_switch. */
enum config_dialect { CONFIG_OPENAI_CHAT, CONFIG_ANTHROPIC, CONFIG_OPENAI_RESPONSES, CONFIG_GEMINI };
enum config_auth { CONFIG_AUTH_DEFAULT, CONFIG_AUTH_BEARER, CONFIG_AUTH_X_API_KEY, CONFIG_AUTH_API_KEY, CONFIG_AUTH_GOOGLE, CONFIG_AUTH_NONE };
enum config_surface { CONFIG_PLAIN, CONFIG_AZURE, CONFIG_VERTEX };
enum config_ids { CONFIG_IDS_ANY, CONFIG_IDS_NINE };
enum config_switch { CONFIG_UNSET, CONFIG_OFF, CONFIG_ON };
enum config_reasoning { REASONING_AS_SENT, REASONING_CONTENT, REASONING_FIELD, REASONING_THINK, REASONING_DROP };
enum config_effort_style { EFFORT_NONE, EFFORT_REASONING_EFFORT, EFFORT_ENABLE_THINKING, EFFORT_THINKING };
enum config_strategy { STRATEGY_SHUFFLE, STRATEGY_ORDER };

/* All times in milliseconds. 0 means "not set here" in a model's timeouts: the global one holds. */
struct config_timeouts {
    uint64_t request_ms;    /* whole exchange, from the first request byte; 30 s to 1 h */
    uint64_t connect_ms;    /* DNS, TCP and TLS */
    uint64_t first_byte_ms; /* request sent to status line */
    uint64_t idle_ms;       /* silence of an upstream in the middle of a reply */
    uint64_t keepalive_ms;  /* silence towards the client before a keep-alive; under 15 s */
    uint64_t drain_ms;      /* client queue full and no byte acknowledged */
    uint64_t commit_ms;     /* no verdict from the upstream: commit a stream early */
};

struct config_limits {
    uint64_t body_bytes;       /* request body; default 50 MB */
    uint64_t line_bytes;       /* request line */
    uint64_t head_bytes;       /* whole header section */
    uint64_t fields;           /* header fields */
    uint64_t queue_bytes;      /* per client output queue; default 256 KiB */
    uint64_t event_bytes;      /* one upstream SSE event */
    uint64_t reply_bytes;      /* one collected upstream reply */
    uint64_t error_bytes;      /* how much of an upstream's error body is read */
    uint64_t json_depth;
    uint64_t json_tokens;
    uint64_t memory_bytes;     /* ceiling for a worker's bytes in transit */
    uint64_t connections;      /* client connections per worker */
    uint64_t upstream_connections; /* per upstream host and worker */
    uint64_t upstream_queue;   /* requests waiting for one, per upstream host and worker */
    uint64_t upstream_idle;    /* kept idle connections per upstream host and worker */
    uint64_t handshakes;       /* TLS handshakes in progress per worker */
    uint64_t resume_bytes;     /* of events kept of one stream that can be resumed */
    uint64_t resume_streams;   /* kept at once, all workers together */
    uint64_t recall_bytes;     /* reasoning state kept for clients that lose it, all workers together */
};

/* One way to serve a model name: an entry of model_list. */
struct config_deployment {
    struct slice model_name;   /* what clients ask for; may contain one '*' */
    struct slice provider;     /* "openai", "anthropic", "ollama", ..., the part before the first '/' */
    struct slice model;        /* what the upstream is asked for; may contain one '*' */
    struct slice id;           /* model_info.id, or "<provider>/<model>"; a metric label */
    enum config_dialect dialect;
    /* the upstream, from api_base */
    bool tls;
    struct slice host;         /* without brackets or trailing dot */
    uint16_t port;
    struct slice host_header;  /* what Host says: host or host:port */
    struct slice base_path;    /* "" or "/v1": no trailing slash */
    struct slice api_key;      /* secret; absent: none is sent */
    bool bearer;               /* Anthropic dialect: send the key as Authorization: Bearer, not x-api-key */
    enum config_auth auth;     /* where the key stands; bearer says the same for Anthropic */
    enum config_surface surface;
    struct slice api_version;  /* Azure; absent: none */
    struct slice project, location; /* Vertex AI; a list of locations was made one deployment each, in order (R89) */
    bool google;               /* api_key is none: an access token of google_credentials is sent */
    struct slice google_credentials; /* file, or JSON text; absent: the metadata server (R87). Secret */
    struct slice google_metadata;    /* its host */
    struct slice *headers;     /* extra request headers: name, value, name, value ... */
    uint32_t header_count;     /* pairs */
    struct slice tls_server_name, ca_file, spki_pin; /* penstock.*; absent: none. Pin is 32 raw bytes */
    struct config_timeouts timeouts;
    uint64_t max_retries;      /* tries of this deployment beyond the first; UINT64_MAX: not set */
    uint64_t rpm, tpm;         /* 0: no limit */
    uint64_t weight;           /* share of the traffic of its model name, in thousandths: 1000 is 1 */
    uint64_t order;            /* lower is tried first; equal ones share by weight; 0 when not set */
    uint64_t max_connections;  /* 0: limits.upstream_connections */
    /* translation */
    uint64_t max_output_tokens;     /* model limit used for clamping and as Anthropic's default; 0 unknown */
    uint64_t max_input_tokens;      /* 0 unknown */
    bool max_completion_tokens;     /* the upstream wants this name rather than max_tokens */
    bool usage_in_stream;           /* ask with stream_options.include_usage; default true */
    bool strict_turns;              /* merge same-role turns, results first (R79); default true for anthropic */
    bool extra_fields;              /* forward unknown top-level fields across dialects */
    bool top_k;                     /* the upstream takes top_k, min_p, repetition_penalty */
    bool developer_role;            /* the upstream knows role developer */
    bool replay_reasoning;          /* send reasoning_content back in history (DeepSeek, Moonshot, ...) */
    bool text_tool_calls;           /* turn <tool_call>...</tool_call> in text into tool calls */
    bool think_tags;                /* turn <think>...</think> in text into reasoning */
    bool placeholder_signature;     /* sign translated thinking blocks for Anthropic clients */
    enum config_reasoning reasoning;
    enum config_effort_style effort;
    struct slice default_params;    /* a JSON object of defaults for absent keys (R38), or absent */
    enum config_ids ids;
    bool forced_choice, system_parts, flat_content, thinking_level, json_schema, result_media, keeps_state, url_media,
        strip_tool_fields;          /* see struct dialect_upstream */
    uint64_t thinking_budget_max;
    struct slice safety;            /* raw JSON, or absent */
    enum config_switch grounding;
    struct slice betas;
    struct shape_rules shape;       /* penstock.helpers; context_tokens: what upstream reports may say it instead */
    struct slice mode;              /* "chat", "embedding", "image_generation", ...; absent: any */
    struct slice info;              /* model_info as a JSON object, prices included; absent: none */
};

struct config_pair {
    struct slice from;
    struct slice *to;
    uint32_t count;
};

struct config_key {
    struct slice name; /* a label for logs and metrics, never the key */
    struct slice key;  /* secret; compare with text_equal_secret */
};

struct config_file { /* one that was read for the configuration, and will be at a reload */
    struct config_file *next;
    struct slice path; /* with a NUL behind it */
};

struct config_source; /* where a value came from; config_print alone reads it */
struct config_entry;  /* a deployment with what was written in the file about it */

struct config {
    _Atomic uint32_t references;
    struct arena arena;
    struct slice path; /* of the file, absent when made from the environment */
    struct slice host;
    uint16_t port;
    uint32_t workers;  /* resolved: >= 1 */
    bool allow_open;   /* listen beyond loopback without client keys */
    struct slice user; /* whom to become when started as root: privilege.h; absent: nobody else */
    struct slice tls_certificate, tls_key; /* files; absent: plain HTTP */
    struct slice ca_file;                  /* default trust; absent: the system bundle */
    struct slice io_backend;               /* "epoll", "io_uring", "auto" */
    enum log_level log_level;
    bool access_log;
    struct slice log_file;     /* absent: standard error */
    uint64_t log_rotate_bytes, log_keep;
    bool demo;                 /* serve the demo models */
    bool public_metrics;       /* /metrics without a key */
    bool sse_ids;
    uint64_t sse_retry_ms;     /* 0: no retry line */
    uint64_t sse_resume_ms;    /* how long a stream waits for a client that has gone; 0: not at all */
    struct slice *cors_origins;
    uint32_t cors_count;
    struct config_timeouts timeouts;
    struct config_limits limits;
    bool media_fetch, media_https_only, media_private; /* images and documents by URL: see enclose.h */
    uint64_t media_bytes, media_ms, media_redirects;
    struct slice discovery_file; /* absent: none; see discover.h */
    uint64_t discovery_ttl_ms;
    uint64_t recall_ms; /* how long reasoning state is kept; 0: not at all */
    uint64_t head_ms, body_ms, client_idle_ms, linger_ms, shutdown_ms, dns_ttl_ms, upstream_idle_ms;
    /* router_settings */
    uint64_t num_retries;      /* further candidates after the first failure */
    uint64_t retry_after_ms;   /* least wait before a retry */
    uint64_t retry_base_ms, retry_max_ms; /* exponential back-off with jitter */
    uint64_t allowed_fails;    /* failures in a minute before a cooldown */
    uint64_t cooldown_ms;
    uint64_t cooldown_max_ms;
    enum config_strategy strategy;
    uint16_t *retry_statuses;  /* upstream statuses that may be retried; >= 500 always listed by default */
    uint32_t retry_status_count;
    struct config_deployment *deployments;
    uint32_t deployment_count;
    struct config_pair *aliases;   /* model_group_alias: count is 1 */
    uint32_t alias_count;
    struct config_pair *fallbacks; /* from "*": default_fallbacks */
    uint32_t fallback_count;
    struct config_pair *context_fallbacks;
    uint32_t context_fallback_count;
    struct config_key *keys;       /* master_key first */
    uint32_t key_count;
    /* for the loader and config_print only */
    struct slice master_key;       /* secret; the same as keys[0].key */
    struct config_pair default_fallbacks;
    struct config_file *files;     /* newest first */
    struct config_source *sources;
    struct config_entry *entries;  /* one per deployment, same order */
};

/* What the command line says; absent members say nothing. */
struct config_flags {
    struct slice config_path, host, log_level;
    uint64_t port, workers; /* UINT64_MAX: not given */
    bool allow_open;        /* --allow-open: listen beyond loopback without client keys */
};

/* config_flags_init - a command line that says nothing. */
void config_flags_init(struct config_flags *flags);

struct config_problem { /* an error or a warning, already formatted: "file:line:column: key: text" */
    struct config_problem *next;
    bool warning;
    struct slice text;
};

/*
 * config_load - read file, environment and flags into a new object with one reference.
 * variables NULL-terminated "NAME=value" list
 * problems  [out] list in the order found; memory belongs to *report, which the caller finis
 * returns 0 with *out set (warnings possible), or -ERR_CONFIG with at least one error listed
 */
int config_load(const struct config_flags *flags, char *const *variables, struct arena *report,
                struct config_problem **problems, struct config **out) must_check;
struct config *config_hold(struct config *config);
void config_drop(struct config *config);

/* config_print - the effective configuration as YAML, secrets as "***", each value with its source. */
void config_print(const struct config *config, struct sink *out);
/* config_reference - penstock.example.yaml: every key from the table, with unit, default, bounds, help. */
void config_reference(struct sink *out);
/* config_manual - docs/configuration.md, from the same table. */
void config_manual(struct sink *out);

/* config_catalogue - the providers as a table of plain text: name, dialect, address, variables, habits. */
void config_catalogue(struct sink *out);
/* config_dialect_name - "openai_chat", ... as it stands in a file. */
const char *config_dialect_name(enum config_dialect dialect);
/* config_is_loopback - is this listen host reachable from this machine only? */
bool config_is_loopback(struct slice host);

#endif
