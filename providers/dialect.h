/* SPDX-License-Identifier: MIT
 *
 * dialect.h - one provider API as a struct of pure functions: how to read and to write it, from either side.
 *
 * No sockets, no clock, no allocation but from the arenas and sinks handed in. Per-stream state is a struct that the
 * dialect declares the size of and the caller's arena holds.
 */
#ifndef PENSTOCK_DIALECT_H
#define PENSTOCK_DIALECT_H

#include "providers/canon.h"

#define DIALECT_LINE_MAX (60u * 1024) /* long text deltas are split so that no SSE line passes 64 KiB */

enum dialect_id {
    DIALECT_OPENAI_CHAT, DIALECT_ANTHROPIC, DIALECT_OPENAI_RESPONSES, DIALECT_GEMINI,
    DIALECT_OPENAI_TEXT, /* /v1/completions: clients only, its upstream members are NULL */
    DIALECT_COUNT
};

/* Where in a request the key stands. */
enum dialect_auth {
    AUTH_DEFAULT, /* the dialect's own: Bearer, x-api-key or x-goog-api-key */
    AUTH_BEARER, AUTH_X_API_KEY, AUTH_API_KEY /* "api-key", Azure */, AUTH_GOOG_API_KEY, AUTH_NONE
};
/* How a provider arranges its targets. */
enum dialect_surface {
    SURFACE_PLAIN,  /* base path and the dialect's own path */
    SURFACE_AZURE,  /* /openai/deployments/{model}/..., ?api-version= */
    SURFACE_VERTEX, /* /v1/projects/{project}/locations/{location}/publishers/{google|anthropic}/models/{model}:... */
};
/* What ids of tool calls a provider takes. */
enum dialect_ids { IDS_ANY /* [A-Za-z0-9_-], 40 characters */, IDS_NINE /* [A-Za-z0-9]{9}, Mistral */ };
enum dialect_switch { SWITCH_UNSET, SWITCH_OFF, SWITCH_ON };

/* How reasoning is shown to OpenAI Chat clients (R47). As sent: untouched in a reply of the same dialect, else
 * reasoning_content. */
enum dialect_reasoning { SHOW_AS_SENT, SHOW_REASONING_CONTENT, SHOW_REASONING, SHOW_THINK_TAGS, SHOW_NOTHING };
/* How an upstream wants to be told about reasoning effort (R71). */
enum dialect_effort { TELL_NOTHING, TELL_REASONING_EFFORT, TELL_ENABLE_THINKING, TELL_THINKING };

/* What is known of the upstream a request is written for: data from the configuration. */
struct dialect_upstream {
    struct slice model;         /* decoded: what the upstream is asked for */
    struct slice api_key;       /* secret; absent: none */
    enum dialect_auth auth;
    enum dialect_surface surface;
    struct slice api_version;   /* Azure; absent: none is sent */
    struct slice project, location; /* Vertex */
    struct slice base_path;     /* "" or "/v1" */
    uint64_t max_output_tokens; /* 0: unknown */
    bool max_completion_tokens, usage_in_stream, strict_turns, extra_fields, top_k, developer_role, replay_reasoning;
    enum dialect_effort effort;
    enum dialect_ids ids;
    bool forced_choice;         /* object tool_choice is not understood: "required" and that one tool instead (P52) */
    bool system_parts;          /* system content as an array of parts, cache_control on its last only (R114) */
    bool flat_content;          /* content without media becomes one string (R114) */
    bool thinking_level;        /* Gemini 3: thinkingLevel and signatures; otherwise thinkingBudget */
    bool json_schema;           /* Gemini: takes parametersJsonSchema and responseJsonSchema; otherwise the OpenAPI subset */
    bool result_media;          /* Gemini 3: functionResponse.parts; otherwise media go into a content of their own */
    bool keeps_state;           /* Responses: takes previous_response_id, conversation, item references */
    bool url_media;             /* takes images and documents by URL */
    uint64_t thinking_budget_max; /* Gemini: default budget min(80 % of max_tokens, this) where the client said nothing (R98); 0: none */
    struct slice safety;        /* raw: Gemini's safetySettings, used where the client sent none; absent */
    enum dialect_switch grounding; /* Gemini: googleSearch (R100); UNSET: as the request says */
    struct slice betas;         /* Anthropic: the only anthropic-beta names sent, separated by commas; absent: all (P49) */
    bool strip_tool_fields;     /* Anthropic hosts that refuse defer_loading and the like (P50) */
    struct slice default_params; /* JSON object of defaults for absent keys, or absent */
};

struct dialect_writer_options {
    bool stream;          /* SSE frames; otherwise one object */
    bool include_usage;   /* Chat: end with the usage chunk */
    struct slice id;      /* 24 or more characters of [A-Za-z0-9]: the dialect adds its prefix */
    struct slice model;   /* decoded: the name the client asked for */
    int64_t created_s;
    enum dialect_reasoning reasoning;
    bool placeholder_signature; /* Anthropic: sign translated thinking */
    uint64_t input_estimate;    /* tokens, for message_start before usage is known; 0: none */
    const struct canon_request *request; /* the client's, to give renamed tools their names back; NULL: none */
};

/* A frame is one SSE event to the client. Data lies in frames->bytes. */
enum frame_kind {
    FRAME_EVENT,   /* type (may be NULL) and data */
    FRAME_PASS,    /* the upstream event in hand, unchanged */
    FRAME_COMMENT, /* a comment line; data is its text */
};
struct frame {
    enum frame_kind kind;
    const char *type; /* literal or NULL */
    size_t start, len; /* of the data in frames->bytes */
};
#define FRAMES_MAX 4096 /* a thousand calls that waited for one another are let go at once */
struct frames {
    struct sink bytes;
    struct frame at[FRAMES_MAX];
    int count;
    uint32_t unsaid; /* things in the events that this dialect has no words for: counted by the gateway */
    int error; /* sticky: -ERR_LIMIT when full */
};
void frames_init(struct frames *frames, size_t bytes_max);
void frames_fini(struct frames *frames);
void frames_clear(struct frames *frames);
/* frame_begin - start a frame; write its data into frames->bytes, then frame_end. */
void frame_begin(struct frames *frames, enum frame_kind kind, const char *type);
void frame_end(struct frames *frames);

struct dialect_field { /* a header field for an upstream request */
    const char *name;
    struct slice value;
};

struct dialect {
    enum dialect_id id;
    const char *name;          /* "openai_chat": metric label, config word */
    bool named_events;         /* its SSE events carry event: lines */

    /* ---- client's request */
    /* outline - fill model, stream, include_usage of a request whose root is parsed. Refuses a missing or non-string model,
     * repeated members among those it reads, wrong types. 0, -ERR_REQUEST with fault. */
    int (*outline)(struct canon_request *request, struct canon_fault *fault);
    /* read_request - everything else. 0, -ERR_REQUEST, -ERR_UNSUPPORTED, -ERR_MEMORY. */
    int (*read_request)(struct canon_request *request, struct canon_fault *fault);

    /* ---- upstream's request */
    /* put_target - the request target, base path included: "/v1/messages". */
    void (*put_target)(struct sink *out, const struct dialect_upstream *upstream, bool stream);
    /*
     * Counting tokens; all four NULL: the upstream cannot count.
     * put_count_target - the target that counts. write_count - the body for it, from a request of any dialect, its own too
     * (errors as write_request). read_count - the number in a reply; 0 or -ERR_UPSTREAM_PROTOCOL.
     * can_count - does this very upstream have it? (most servers that speak a dialect do not)
     */
    bool (*can_count)(const struct dialect_upstream *upstream);
    void (*put_count_target)(struct sink *out, const struct dialect_upstream *upstream);
    int (*write_count)(const struct canon_request *request, const struct dialect_upstream *upstream, struct sink *out,
                       struct canon_report *report, struct canon_fault *fault);
    int (*read_count)(struct slice body, struct arena *scratch, uint64_t *tokens);
    /* fields - authentication and version fields; returns how many were set (at most 4). scratch holds made values. */
    int (*fields)(const struct dialect_upstream *upstream, struct arena *scratch, struct dialect_field out[4]);
    /* check_pass - may this request pass to this very upstream of its own dialect? 0, -ERR_UNSUPPORTED with fault (state that it
     * does not keep). pass_request refuses the same, without saying why. NULL: every request may. */
    int (*check_pass)(const struct canon_request *request, const struct dialect_upstream *upstream, struct canon_fault *fault);
    /* pass_request - same dialect: the client's bytes with only the model replaced, configured defaults added, and (Chat) usage asked for;
     * long runs of them only noted in request->kept, if that is given. */
    int (*pass_request)(const struct canon_request *request, const struct dialect_upstream *upstream,
                        struct sink *out);
    /* write_request - from another dialect; always asks for a stream. -ERR_UNSUPPORTED with fault names what cannot be said. */
    int (*write_request)(const struct canon_request *request, const struct dialect_upstream *upstream,
                         struct sink *out, struct canon_report *report, struct canon_fault *fault);

    /* ---- upstream's reply */
    size_t reader_bytes;
    void (*reader_init)(void *reader, struct arena *arena);
    void (*reader_fini)(void *reader); /* gives back what does not lie in the arena; NULL: nothing does */
    /* read_event - one SSE event (type may be absent). Appends to events. 0, -ERR_UPSTREAM_PROTOCOL (bad JSON, wrong shape), -ERR_MEMORY. */
    int (*read_event)(void *reader, struct slice type, struct slice data, struct canon_events *events);
    /* read_body - a whole JSON reply (status 200), as the events a stream would have given, START to END. An error object in it gives CANON_ERROR. */
    int (*read_body)(void *reader, struct slice body, struct canon_events *events);
    /* read_end - the body ended cleanly. Appends what the missing terminator would have said: END if a finish was seen
     * (flaw noted), else CANON_ERROR with ERR_DISCONNECTED. */
    int (*read_end)(void *reader, struct canon_events *events);
    /* read_error - make sense of a reply with status >= 400 (any body: JSON of any vendor, HTML, empty). retry_after and
     * should_retry are filled in by the caller from the fields. */
    void (*read_error)(int status, struct slice body, struct arena *arena, struct canon_error *out);

    /* ---- client's reply */
    size_t writer_bytes;
    int (*writer_init)(void *writer, const struct dialect_writer_options *options, struct arena *arena);
    void (*writer_fini)(void *writer); /* gives back what does not lie in the arena; NULL: nothing does */
    /* write_start - commit early: what must come first before anything is known (message_start). May write nothing. */
    int (*write_start)(void *writer, struct frames *frames);
    /* write_events - canonical events as frames (stream), or gathered (whole). */
    int (*write_events)(void *writer, const struct canon_events *events, struct frames *frames);
    /* pass_event - same dialect: the event in hand as FRAME_PASS, spliced, rewritten or swallowed, keeping the writer's state true.
     * data: its bytes. */
    int (*pass_event)(void *writer, struct slice data, const struct canon_events *events, struct frames *frames);
    /* write_ping - keep-alive safe at this moment of the stream. */
    void (*write_ping)(void *writer, struct frames *frames);
    /* write_error - the in-band error that ends a committed stream, with its terminator if the dialect has one. */
    int (*write_error)(void *writer, const struct canon_error *error, struct frames *frames);
    /* write_whole - the collected reply as one JSON object. */
    int (*write_whole)(void *writer, struct sink *out);
    /* pass_whole - same dialect, a whole reply that must not pass as it is: only what the events correct is mended in body, all
     * else stays. The writer has not seen the events before. NULL: the reply is written anew. */
    int (*pass_whole)(void *writer, struct slice body, const struct canon_events *events, struct sink *out);
    /* write_count_reply - what a client of this dialect gets for its question how many tokens. NULL: it cannot ask. */
    void (*write_count_reply)(uint64_t tokens, struct sink *out);

    /* ---- errors before the commit point */
    /* error_status - the HTTP status for an error in this dialect (overloaded: 503 or 529). */
    int (*error_status)(const struct canon_error *error);
    /* error_body - the JSON envelope. request_id may be absent. */
    void (*error_body)(const struct canon_error *error, struct slice request_id, struct sink *out);
    /* error_conforms - is this upstream error body already this dialect's envelope, so that it may pass unmodified? */
    bool (*error_conforms)(struct slice body, struct arena *scratch);
};

extern const struct dialect openai_chat_dialect;
extern const struct dialect anthropic_dialect;
extern const struct dialect openai_responses_dialect;
extern const struct dialect gemini_dialect;
extern const struct dialect openai_text_dialect;

/* dialects.c */
const struct dialect *dialect_of(enum dialect_id id);
const struct dialect *dialect_named(struct slice name); /* NULL: no such dialect */
/* dialect_auth_field - the field that carries the upstream's key: auth, or otherwise when auth is AUTH_DEFAULT. 1, or 0 without a key. */
int dialect_auth_field(const struct dialect_upstream *upstream, enum dialect_auth otherwise, struct arena *scratch,
                       struct dialect_field *out);
/* dialect_put_path_name - a model's name, which can come from a client, as a segment of a path: nothing in it may end its place
 * there, or the request line. */
void dialect_put_path_name(struct sink *out, struct slice name);
/* dialect_put_vertex - "/v1/projects/P/locations/L/publishers/PUBLISHER/models/MODEL:METHOD". */
void dialect_put_vertex(struct sink *out, const struct dialect_upstream *upstream, const char *publisher, const char *method);
/* anthropic_note_unknown - names in report that a Messages request has fields nobody here knows, for writers that can not
 * send such. Requests of other dialects note it when they are read. */
void anthropic_note_unknown(const struct canon_request *request, struct canon_report *report);
/*
 * anthropic_filter_betas - the value of an anthropic-beta field without the names that an upstream does not take (P49).
 * allowed is a list like value; absent: all are. Returns how many are left: with none the field is not to be sent.
 */
int anthropic_filter_betas(struct slice value, struct slice allowed, struct sink *out);
/*
 * dialect_grounding - is a Gemini upstream to search the web for this request (R100)? The client's header field (true, 1, false, 0; absent)
 * decides, else the `grounding` member of its body (true, false, or an object: on), else the configuration.
 */
enum dialect_switch dialect_grounding(const struct canon_request *request, struct slice field, enum dialect_switch configured);
/* dialect_put_text_split - call once per piece: the largest prefix of escaped text of at most max bytes that cuts neither a UTF-8
 * sequence nor an escape nor an escaped surrogate pair; advances *text. Absent when *text is used up. */
struct slice dialect_text_piece(struct slice *text, size_t max);
/* estimate_tokens - a token estimate for an Anthropic-format request body (R62): within 20 % on ordinary text. */
uint64_t estimate_tokens(const struct canon_request *request);

#endif
