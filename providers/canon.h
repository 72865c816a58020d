/* SPDX-License-Identifier: MIT
 *
 * canon.h - the language of the house: the canonical request and the canonical stream events, between four
 * dialects (OpenAI Chat, OpenAI Responses, Anthropic Messages, Gemini).
 *
 * Text travels as JSON-ESCAPED string contents (the bytes between the quotes, untouched): copying is exact, and a
 * surrogate pair split over two fragments survives. Members that are interpreted (URLs, data, arguments) are decoded,
 * and say so. Absent slices mean "not given"; explicit null, false, 0 and "" are kept as given.
 */
#ifndef PENSTOCK_CANON_H
#define PENSTOCK_CANON_H

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/slice.h"

/* ---------------------------------------------------------------- requests */

/*
 * Whose opaque reasoning state (a signature, encrypted reasoning) a thing is: it goes back to that family of providers only.
 * Towards clients of another dialect it travels in a wrapper, see canon_wrap.
 */
enum canon_origin { ORIGIN_NONE /* nobody knows */, ORIGIN_ANTHROPIC, ORIGIN_GEMINI, ORIGIN_RESPONSES, ORIGIN_CHAT, ORIGIN_COUNT };

enum canon_role { ROLE_SYSTEM, ROLE_DEVELOPER, ROLE_USER, ROLE_ASSISTANT, ROLE_TOOL };

enum canon_part_kind {
    PART_TEXT,     /* text */
    PART_IMAGE,    /* url, or media_type and data */
    PART_DOCUMENT, /* url, or media_type and data (base64), or text; name is the title or filename */
    PART_AUDIO,    /* media_type ("wav", "mp3") and data */
    PART_VIDEO,    /* url, or media_type and data */
    PART_FILE,     /* id: a file known to one provider only */
    PART_CALL,     /* id, name, arguments: a tool call by the assistant; custom: text is the free-form input */
    PART_RESULT,   /* id, name (may be absent), parts, is_error: what a tool answered */
    PART_THINKING, /* text, signature */
    PART_REDACTED, /* data: opaque reasoning */
    PART_REFUSAL,  /* text */
    PART_NATIVE,   /* value: something only the client's dialect knows; name is its type word */
};

struct canon_part {
    struct canon_part *next;
    enum canon_part_kind kind;
    struct slice text;        /* escaped */
    struct slice id, name;    /* escaped */
    struct slice signature;   /* escaped, unwrapped: opaque state of origin. Of thinking; Gemini signs calls and text, too */
    enum canon_origin origin; /* of signature, and of a redacted part's data */
    struct slice url;         /* decoded; never a data: URL */
    struct slice media_type;  /* decoded */
    struct slice data;        /* decoded: base64 text, standard alphabet as given */
    struct slice detail;      /* escaped */
    struct slice arguments;   /* decoded: the JSON text of a call's arguments (may be invalid JSON, or empty) */
    struct slice cache_control; /* raw JSON */
    struct canon_part *parts; /* of a result */
    bool is_error, custom;
    struct json value;        /* the part as the client wrote it */
};

struct canon_message {
    struct canon_message *next;
    enum canon_role role;
    struct slice name; /* escaped */
    struct canon_part *parts;
    struct json value; /* the message as the client wrote it */
};

enum canon_tool_kind { TOOL_FUNCTION, TOOL_CUSTOM, TOOL_NATIVE /* hosted or typed: only its own dialect runs it */ };

struct canon_tool {
    struct canon_tool *next;
    enum canon_tool_kind kind;
    struct slice name, description; /* escaped */
    struct slice format;            /* raw JSON: the grammar of a custom tool; absent */
    struct slice schema;            /* raw JSON of the parameters; absent: none given */
    struct slice strict;            /* raw JSON; absent */
    struct slice cache_control;     /* raw JSON; absent */
    struct slice type;              /* escaped, of a native tool */
    struct json value;
};

enum canon_choice { CHOICE_UNSET, CHOICE_AUTO, CHOICE_NONE, CHOICE_REQUIRED, CHOICE_NAMED };
enum canon_format { FORMAT_UNSET, FORMAT_TEXT, FORMAT_JSON_OBJECT, FORMAT_JSON_SCHEMA };
enum canon_thinking { THINKING_UNSET, THINKING_DISABLED, THINKING_ENABLED, THINKING_ADAPTIVE };

struct canon_stop {
    struct canon_stop *next;
    struct slice text; /* escaped */
};

/* What was left out on the way to another dialect: named in a response header and counted. */
#define CANON_DROPPED_MAX 32
/* More names of tools that may be called are refused: each is looked for among all tools. */
#define CANON_ALLOWED_MAX 1024
struct canon_report {
    const char *dropped[CANON_DROPPED_MAX]; /* literals: names of request fields or part types */
    int count;
};
/* canon_drop - note a name once; more than CANON_DROPPED_MAX become "more". */
void canon_drop(struct canon_report *report, const char *name);

struct splice_kept;
struct canon_request {
    int from;           /* enum dialect_id of the client, set by its outline */
    struct slice body;  /* as received */
    struct splice_kept *kept; /* pass_request need not copy long runs of it: see splice.h; NULL: it must */
    struct json root;   /* parsed body */
    struct arena *arena;
    /* the outline: read for every request. Where the path says them (Gemini, Vertex) model and stream are set before, and
     * the body needs none */
    struct slice model;      /* decoded */
    bool stream;
    bool include_usage;      /* Chat: the client asked for the usage chunk; others: true */
    /* the rest: read for translation only. Numbers are raw JSON text, absent when not given. */
    struct canon_message *messages;
    struct canon_stop *prompts; /* /v1/completions: each is a reply of its own, one after another; NULL elsewhere */
    struct canon_tool *tools;
    enum canon_choice choice;
    struct slice choice_name; /* escaped */
    struct canon_stop *choice_allowed; /* names of the only tools that may be called (with AUTO or REQUIRED); NULL: all */
    int parallel;             /* -1 not given, 0 false, 1 true */
    struct slice max_tokens, temperature, top_p, top_k, seed, n, presence_penalty, frequency_penalty;
    struct slice logprobs, top_logprobs, logit_bias;
    struct canon_stop *stop;
    enum canon_format format;
    struct slice format_name, format_description;            /* escaped */
    struct slice format_schema, format_strict;               /* raw */
    enum canon_thinking thinking;
    struct slice thinking_budget; /* raw */
    struct slice effort;          /* escaped: none, minimal, low, medium, high, xhigh, max */
    int show_thoughts;            /* -1 not given, 0, 1: are thoughts wanted in the reply? */
    struct slice verbosity;       /* escaped */
    struct slice cache_key;       /* escaped: prompt_cache_key */
    struct slice store;           /* raw */
    struct slice safety;          /* raw: Gemini's safetySettings */
    struct slice user;            /* escaped */
    struct slice service_tier;    /* escaped */
    struct slice metadata;        /* raw */
    struct canon_report unsaid;   /* given fields that have no canonical form, noted by read_request: the gateway adds them to
                                   * the report of whoever writes the request in another dialect */
};

/* Where a request is at fault, for the error body. */
struct canon_fault {
    struct slice message; /* decoded text; absent: the error's own */
    struct slice param;   /* name of the field at fault; absent: none */
};

/* ---------------------------------------------------------------- replies */

enum canon_event_kind {
    CANON_START,  /* the reply begins: id, model as the upstream calls them */
    CANON_OPEN,   /* a block opens: block, type; calls: id and name */
    CANON_DELTA,  /* text for a block; or signature: its opaque state (any block's, before its CLOSE); or data of an image;
                   * logprobs may come with text */
    CANON_CLOSE,  /* a block is complete */
    CANON_USAGE,  /* counters; those not given keep their value */
    CANON_FINISH, /* why generation ended: finish, stop_sequence */
    CANON_ERROR,  /* the upstream reported an error in its stream: error */
    CANON_END,    /* the terminal marker was seen, or the end was clean without one */
    CANON_CITATION, /* what a text block is founded on: block, citation */
    CANON_NATIVE, /* something only this dialect knows: name, native; passes unchanged, reported across */
};

enum canon_block {
    BLOCK_TEXT, BLOCK_THINKING, BLOCK_REDACTED, BLOCK_CALL, BLOCK_REFUSAL, BLOCK_NATIVE,
    BLOCK_IMAGE /* OPEN: name is the media type; DELTA: data is base64 */
};

/* A source for text of the reply. */
struct canon_citation {
    struct slice url, title; /* escaped; url absent: a document of the request */
    struct slice quote;      /* escaped: the source's words; absent */
    int64_t start, end;      /* code points of the block's text; -1: the whole block as far as it was written */
    struct slice native;     /* raw JSON as origin wrote it; absent */
    enum canon_origin origin;
};

/* One token and what else it could have been, in order. */
struct canon_logprob {
    struct canon_logprob *next;
    struct canon_logprob *top; /* alternatives; of an alternative: NULL */
    struct slice token;        /* escaped */
    struct slice logprob;      /* raw number */
    struct slice bytes;        /* raw JSON array; absent */
};

enum canon_finish {
    FINISH_NONE, FINISH_STOP, FINISH_STOP_SEQUENCE, FINISH_LENGTH, FINISH_CONTEXT, FINISH_CALLS, FINISH_FILTER,
    FINISH_PAUSE, FINISH_OTHER /* an unknown word: a natural end, counted */
};

struct canon_usage { /* UINT64_MAX: not known */
    uint64_t in_total, cache_read, cache_write, out_total, reasoning;
};
#define CANON_USAGE_UNKNOWN                                                                        \
    ((struct canon_usage){UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX})
/* canon_usage_merge - the known counters of from replace those of into. */
void canon_usage_merge(struct canon_usage *into, const struct canon_usage *from);

struct canon_error {
    int error;            /* ERR_x: blame, retryable */
    enum err_kind kind;   /* what it is; decides type words */
    int status;           /* upstream's, or the one to answer with; 0: the kind's */
    struct slice message; /* decoded text */
    struct slice code, type, param; /* decoded; absent */
    uint64_t retry_after_ms;        /* UINT64_MAX: none */
    int should_retry;               /* x-should-retry: -1 not said, 0, 1 */
};
/* canon_kind_of_status - what an upstream's HTTP status alone says; 400 to 599, anything else is its fault. */
enum err_kind canon_kind_of_status(int status);
/* canon_error_of - an error of our own with the row's kind, status, code and text. */
struct canon_error canon_error_of(int error);

struct canon_event {
    enum canon_event_kind kind;
    enum canon_block type;       /* OPEN, DELTA, CLOSE */
    uint32_t block;              /* dense from 0 per reply, in order of opening */
    uint32_t choice;             /* n > 1 in Chat; 0 otherwise */
    enum canon_finish finish;
    bool custom;                 /* OPEN of a custom tool's call: its input is free text, not JSON */
    struct slice id, name;       /* escaped */
    struct slice text;           /* escaped */
    struct slice signature;      /* escaped: DELTA, or OPEN of a call that is signed as a whole */
    enum canon_origin origin;    /* of signature, or of redacted data */
    struct slice model;          /* escaped */
    struct slice stop_sequence;  /* escaped */
    struct slice data;           /* escaped: redacted reasoning; an image's base64 */
    struct slice native;         /* raw JSON, of NATIVE */
    struct canon_citation *citation;
    struct canon_logprob *logprobs;
    struct canon_usage usage;
    struct canon_error error;
};

/* What one upstream event or body meant. Slices hold until the scratch arena is reset (after each event). */
enum canon_flaw { /* what had to be repaired, for metrics; names in canon.c */
    FLAW_NONE, FLAW_NO_ROLE, FLAW_TOOL_FIELDS, FLAW_NO_TERMINATOR, FLAW_NO_FINISH, FLAW_REPEATED_FINISH, FLAW_REPEATED_START,
    FLAW_BLOCK_ORDER, FLAW_AFTER_END, FLAW_UNKNOWN_FINISH, FLAW_UNTERMINATED_EVENT, FLAW_OVERSIZE_LINE, FLAW_UNKNOWN_EVENT,
    FLAW_FINISH_MISMATCH, FLAW_COUNT
};
const char *canon_flaw_name(enum canon_flaw flaw);

struct canon_events {
    struct canon_event *at;
    int count, capacity;
    struct arena *arena; /* scratch */
    bool rewrite;        /* same dialect: the raw event may not pass as it is; write the canonical events instead */
    bool swallow;        /* same dialect: the raw event must not reach the client at all */
    uint32_t flaws;      /* 1 << enum canon_flaw */
    uint32_t mends;      /* notes from a dialect's reader to its own pass_event: what to mend in the raw event */
    struct slice type;   /* the event line's, where the reader notes that the data lacks it */
};
#define CANON_MEND_ALL (1u << 31) /* the raw event says something else than these events: write them */
void canon_events_init(struct canon_events *events, struct arena *scratch);
/* canon_events_clear - forget all; the caller resets the scratch arena. */
void canon_events_clear(struct canon_events *events);
/* canon_add - a zeroed event of that kind at the end, usage unknown; NULL without memory. */
struct canon_event *canon_add(struct canon_events *events, enum canon_event_kind kind) must_check;

/* Memory of an arena that is taken when it is needed, and kept: what few streams need is no member of the state of all. */
struct canon_room {
    char *bytes;
    uint32_t size;
};
/* canon_room_for - is there room for n bytes (at most 64 KiB)? What was in it may be lost. false: without memory. */
bool canon_room_for(struct canon_room *room, struct arena *arena, size_t n) must_check;

/* ---------------------------------------------------------------- names and ids */

/* canon_escape - text as JSON string contents: itself when nothing needs an escape. Absent without memory. */
struct slice canon_escape(struct slice text, struct arena *arena) must_check;
/* canon_points - how many code points escaped text has; each piece of a text can be counted by itself. */
uint64_t canon_points(struct slice text);
/* canon_hash - a stable 64-bit hash (FNV-1a): the same id or name maps alike in every request and process. */
uint64_t canon_hash(struct slice text);
/*
 * canon_legal_name - a tool name as a provider allows it: [A-Za-z0-9_-], at most max (16 to 128) characters.
 * A legal one is given back as it is; else illegal characters become '_', the rest is cut, and "_" and 8 hex digits of
 * the hash end it. Absent without memory.
 */
struct slice canon_legal_name(struct slice name, size_t max, struct arena *arena) must_check;
/* canon_client_name - the name by which the client knows a tool that canon_legal_name (max 64) may have renamed: looked
 * up in the request's tools. request may be NULL: the name itself. */
struct slice canon_client_name(const struct canon_request *request, struct slice name);
/*
 * canon_keep_names - what canon_client_name needs of a request, copied: the request itself goes at the commit point, its reply goes on.
 * *out is a request in name only, or NULL when no tool was renamed. 0 or -ERR_MEMORY.
 */
int canon_keep_names(const struct canon_request *request, struct arena *arena, const struct canon_request **out) must_check;
/* canon_legal_id - an id of [A-Za-z0-9_-], at most max (24 or more) characters: as it is, or "call_" and 16 hex digits of its hash. */
struct slice canon_legal_id(struct slice id, size_t max, struct arena *arena) must_check;

/*
 * canon_wrap - opaque state as clients of another dialect carry it: "penstock.1.<origin>.<base64url>", or "....<origin>-redacted..."
 * for redacted reasoning. state is escaped; the wrapper needs no escape. Absent without memory.
 */
struct slice canon_wrap(enum canon_origin origin, bool redacted, struct slice state, struct arena *arena) must_check;
/* canon_unwrap - is token (escaped or not) a wrapper? Then what it holds; state is escaped. */
bool canon_unwrap(struct slice token, enum canon_origin *origin, bool *redacted, struct slice *state, struct arena *arena);
const char *canon_origin_name(enum canon_origin origin); /* "anthropic", "gemini", "responses", "chat" */

/* ---------------------------------------------------------------- guard.c */

/*
 * The guard stands between reader and writer: it checks the canonical grammar and every tool call (id, name,
 * arguments JSON piece by piece, duplicates), and its verdict decides the ending.
 */
struct canon_guard_call;
struct canon_guard {
    struct arena *arena; /* of the request */
    struct canon_guard_call *calls; /* every tool call of the reply, newest first */
    struct canon_guard_call *open;  /* open blocks that are not calls, newest first */
    struct canon_guard_call *spare; /* nodes of closed blocks, for reuse */
    uint32_t open_blocks, blocks, call_count;
    int error; /* the first, which sticks */
    bool started, finished, ended, failed;
    bool first_due; /* set by who asks: the first choice must have finished before the end; else any will do */
    bool native; /* the reply holds blocks that only its own dialect understands: they may be calls */
    enum canon_finish finish;
    uint32_t flaws; /* all seen */
    uint64_t finished_choices[2]; /* one bit a choice: its FINISH was seen */
    uint64_t waiting_choices[2];  /* the same: it has a block, and no FINISH yet */
    uint64_t text_blocks;  /* one bit a block, the first 64: it is, or was, text: what citations may speak of */
    uint64_t *text_beyond; /* the bits of some more blocks; NULL before there is text among them */
    const char *verdict; /* why a call was refused, a literal: "truncated_arguments", "invalid_arguments", "missing_name", "duplicate_id", ... */
};
void canon_guard_init(struct canon_guard *guard, struct arena *arena);
/*
 * canon_guard_check - pass the events of one upstream event, in order. FINISH is corrected in place (calls emitted and
 * "stop" -> CALLS; CALLS without calls -> STOP; LENGTH stays), setting events->rewrite when it changed.
 * returns 0; -ERR_TOOL_CALL (a call is truncated or invalid and the reply claims to be finished with it);
 *         -ERR_UPSTREAM_PROTOCOL (events after the end, deltas outside blocks, ...)
 */
int canon_guard_check(struct canon_guard *guard, struct canon_events *events) must_check;

/* ---------------------------------------------------------------- requests */

/*
 * canon_put_arguments - the arguments of a call, for dialects in which they must be an object: as they stand when they are one;
 * input of a custom tool as {"input":...}, any other value as {"value":...}, what is no JSON as {"_raw":...}, so that nothing is
 * lost; nothing or null as {}. depth: how deep the arguments may be nested.
 */
void canon_put_arguments(const struct canon_part *call, int depth, struct json_writer *out);

#endif
