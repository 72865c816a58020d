/* SPDX-License-Identifier: MIT
 *
 * openai_responses.h - what the files of the OpenAI Responses dialect share about replies. Private
 * to providers/openai_responses*.c.
 *
 * Upstream and client name a thing by output_index (the item) and content_index or summary_index
 * (its part); item ids are only decoration, some servers change them from event to event.
 */
#ifndef PENSTOCK_OPENAI_RESPONSES_H
#define PENSTOCK_OPENAI_RESPONSES_H

#include "providers/custom.h"
#include "providers/dialect.h"
#include "providers/unescape.h"

#define RESPONSES_EVENT_DEPTH_MAX 128         /* a response repeats the tools of its request */
#define RESPONSES_EVENT_TOKENS_MAX (1u << 20) /* JSON tokens of one event or reply */
#define RESPONSES_ITEMS_MAX 2048              /* output items of one reply */
#define RESPONSES_PARTS_MAX 4096              /* content parts of one reply */
#define RESPONSES_WHOLE_MAX (64u << 20)       /* bytes kept of a reply that is gathered */
#define RESPONSES_STREAM_MAX                                                                       \
    (16u << 20)                         /* of one that is streamed: its last events say all again */
#define RESPONSES_ECHO_MAX (512u << 10) /* bytes of the request that a response repeats */

/* ---------------------------------------------------------------- words */

/* The events that are read; every other passes without a meaning. */
enum responses_event {
    RESPONSES_UNKNOWN,
    RESPONSES_CREATED,
    RESPONSES_PROGRESS, /* in_progress, queued */
    RESPONSES_ITEM_ADDED,
    RESPONSES_ITEM_DONE,
    RESPONSES_PART_ADDED,
    RESPONSES_PART_DONE,
    RESPONSES_TEXT_DELTA,
    RESPONSES_TEXT_DONE,
    RESPONSES_ANNOTATION,
    RESPONSES_REFUSAL_DELTA,
    RESPONSES_REFUSAL_DONE,
    RESPONSES_ARGUMENTS_DELTA,
    RESPONSES_ARGUMENTS_DONE,
    RESPONSES_INPUT_DELTA,
    RESPONSES_INPUT_DONE,
    RESPONSES_SUMMARY_PART_ADDED,
    RESPONSES_SUMMARY_PART_DONE,
    RESPONSES_SUMMARY_DELTA,
    RESPONSES_SUMMARY_DONE,
    RESPONSES_REASONING_DELTA,
    RESPONSES_REASONING_DONE,
    RESPONSES_COMPLETED,
    RESPONSES_INCOMPLETE,
    RESPONSES_FAILED,
    RESPONSES_CANCELLED,
    RESPONSES_ERROR,
    RESPONSES_HOSTED, /* progress of a tool that the upstream runs itself */
    RESPONSES_EVENTS
};
enum responses_event responses_event_of(struct slice word);
/* responses_event_name - the literal for a word, for frames; NULL for words that are not known. */
const char *responses_event_name(struct slice word);

/* responses_kind_name - the literal for a kind that has one word only; else NULL. */
const char *responses_kind_name(enum responses_event kind);

enum responses_item_kind {
    RESPONSES_MESSAGE,
    RESPONSES_REASONING,
    RESPONSES_CALL,
    RESPONSES_CUSTOM,
    RESPONSES_IMAGE,
    RESPONSES_NATIVE /* run by the upstream, or known to clients of this dialect only */
};
enum responses_item_kind responses_item_kind_of(struct slice word);

/* What pass_event must mend in the event at hand. */
enum responses_mend {
    RESPONSES_MEND_NAME = 1u << 0,  /* its event line is missing or says something else */
    RESPONSES_MEND_SPLIT = 1u << 1, /* its delta makes a line over the limit */
    RESPONSES_MEND_TYPE = 1u << 2,  /* only its event line says what it is, and many clients read no event lines */
};
#define RESPONSES_MEND_KIND 8 /* from this bit on: enum responses_event, beside MEND_NAME */

/* ---------------------------------------------------------------- reader */

/* What was told of a text: how many UTF-16 units, and a hash of them. */
struct responses_told {
    uint64_t units, hash;
};

struct responses_read_part {
    struct responses_read_part *next; /* newest first */
    uint64_t index;
    bool summary;          /* of a reasoning item: a part of its summary */
    enum canon_block type; /* text, refusal, thinking */
    struct responses_told told;
    uint32_t annotations; /* told */
    uint32_t block;       /* its last one */
};

struct responses_read_item {
    struct responses_read_item *next; /* newest first */
    uint64_t index;
    enum responses_item_kind kind;
    bool done;
    bool opened; /* calls: the block is open until the item is done */
    uint32_t block;
    struct responses_told told; /* of a call's arguments */
    struct responses_read_part *parts;
    bool speaks, speaks_summary; /* of a reasoning item: which of its two lists is told */
};

/* One event like the last: fixed text around a delta, a sequence number, padding
 * (openai_responses_reply_fast.c). */
#define RESPONSES_HOLES 3
enum responses_hole { HOLE_DELTA, HOLE_NUMBER, HOLE_PADDING };
struct responses_template {
    uint32_t used; /* bytes; 0: none learnt */
    uint32_t holes;
    enum responses_hole hole[RESPONSES_HOLES];
    uint32_t fixed[RESPONSES_HOLES + 1]; /* lengths of the texts around the holes */
    bool typed;                          /* there was an event line */
    const char *type;
    uint32_t mends;
    struct responses_read_item *item;
    struct responses_read_part *part; /* NULL: a call */
    struct canon_room room; /* the bytes */
};

struct responses_reader {
    struct arena *arena;
    struct responses_read_item *items;
    uint32_t item_count, part_count, blocks, call_count;
    /* the open block that is no call */
    struct responses_read_item *open_item; /* NULL: none */
    struct responses_read_part *open_part;
    enum canon_block open_type;
    uint32_t open_block;
    bool started, ended, failed;
    bool repeated; /* an output_index was given twice: positions in the final output mean nothing */
    struct responses_template template;
};

void responses_reader_init(void *reader, struct arena *arena);
int responses_read_event(void *reader, struct slice type, struct slice data,
                         struct canon_events *events);
int responses_read_body(void *reader, struct slice body, struct canon_events *events);
int responses_read_end(void *reader, struct canon_events *events);

/* openai_responses_reply_items_read.c: items, their parts, and what was not yet told of them */
/* responses_find_item - the item of this output_index, made if there is none. NULL: too many, or no
 * memory; *error says. */
struct responses_read_item *responses_find_item(struct responses_reader *reader, uint64_t index,
                                                enum responses_item_kind kind, int *error);
/* responses_add_item - output_item.added. */
int responses_add_item(struct responses_reader *reader, uint64_t index, struct json item,
                       struct canon_events *events);
/* responses_finish_item - everything of a complete item that was not yet told, and its end. */
int responses_finish_item(struct responses_reader *reader, uint64_t index, struct json item,
                          struct canon_events *events);
/* responses_read_delta - a piece of text for a part, or of a call. logprobs may be absent. */
int responses_read_delta(struct responses_reader *reader, struct responses_read_item *item,
                         struct responses_read_part *part, struct slice text, struct json logprobs,
                         struct canon_events *events);
/* responses_read_rest - what a text that is now complete has beyond the deltas. */
int responses_read_rest(struct responses_reader *reader, struct responses_read_item *item,
                        struct responses_read_part *part, struct slice whole, struct json logprobs,
                        struct canon_events *events);
struct responses_read_part *responses_find_part(struct responses_reader *reader,
                                                struct responses_read_item *item, uint64_t index,
                                                bool summary, enum canon_block type, int *error);
/* responses_read_annotation - one source of a part; the index says which. */
int responses_read_annotation(struct responses_read_part *part, uint64_t index, struct json value,
                              struct canon_events *events);
/* responses_finish_part - a complete content part. */
int responses_finish_part(struct responses_reader *reader, struct responses_read_item *item,
                          uint64_t index, struct json value, struct canon_events *events);
/* responses_close_open - close the open block that is no call. */
int responses_close_open(struct responses_reader *reader, struct canon_events *events);
/* responses_close_all - and all calls, in the order of their opening. */
int responses_close_all(struct responses_reader *reader, struct canon_events *events);

/* openai_responses_reply_fast.c */
void responses_template_learn(struct responses_reader *reader, struct slice type, struct slice data,
                              struct json root, struct responses_read_item *item,
                              struct responses_read_part *part, const struct canon_events *events);
/* responses_template_match - the event of data like the last: 1 and it is added, 0 not like it,
 * -ERR_MEMORY. */
int responses_template_match(struct responses_reader *reader, struct slice type, struct slice data,
                             struct canon_events *events);
/* responses_tell - note what was told, the same however a text is escaped or cut. */
void responses_tell(struct responses_told *told, struct slice text);
/* responses_untold - what a complete text has beyond what was told; nothing when it says something
 * else. */
struct slice responses_untold(const struct responses_told *told, struct slice whole);

bool responses_read_usage(struct json usage, struct canon_usage *out);
void responses_put_usage(struct sink *out, const struct canon_usage *usage);

/* ---------------------------------------------------------------- writer */

/* A citation of a whole text that is not yet over. */
struct responses_waiting {
    struct responses_waiting *next;
    struct slice url, title; /* escaped */
};

/* A content part of a message. */
struct responses_write_part {
    struct responses_write_part *next;
    uint32_t index, block;
    bool refusal, open;
    struct slice head;                 /* how each of its delta events begins */
    struct sink text;                  /* escaped */
    struct sink annotations, logprobs; /* elements, comma separated */
    uint32_t annotation_count;
    struct responses_waiting *waiting;
};

struct responses_write_item {
    struct responses_write_item *next, *previous;
    uint32_t index, block;
    enum responses_item_kind kind;
    bool open;
    bool closing;                               /* a message that ends when its part does */
    bool incomplete;                            /* it was cut short */
    struct slice id, call_id, name, name_space; /* escaped */
    struct slice media_type;
    struct slice head; /* how each of its delta events begins */
    struct responses_write_part *first, *last;
    uint32_t part_count;
    struct sink text; /* escaped: thoughts, arguments, input, an image's base64; native: raw JSON */
    struct sink state; /* escaped: encrypted_content */
    bool has_summary;
};

/* A tool that the upstream knows by another name. */
struct responses_tool {
    struct responses_tool *next;
    struct slice legal;            /* as the upstream knows it */
    struct slice name, name_space; /* as the client does; escaped; name_space absent: none */
};

struct responses_writer {
    struct dialect_writer_options options;
    struct arena *arena;
    struct slice id;    /* resp_..., escaped */
    struct slice model; /* escaped */
    struct slice echo;  /* members of the response object that repeat the request */
    struct canon_custom custom; /* the client's free-form tools, which the upstream may know as functions */
    struct responses_tool *tools;
    uint64_t sequence;
    uint64_t shift; /* a passed stream: how far its numbers lie behind ours */
    size_t kept;    /* bytes */
    struct responses_write_item *items, *last; /* in order */
    struct responses_write_item *message;      /* the message that the next text joins */
    struct responses_write_item *at;           /* used last */
    struct responses_write_part *at_part;
    uint32_t item_count;
    struct canon_usage usage;
    enum canon_finish finish;
    bool usage_known, started, ended;
};

int responses_writer_init(void *writer, const struct dialect_writer_options *options,
                          struct arena *arena);
void responses_writer_fini(void *writer);
int responses_write_start(void *writer, struct frames *frames);
int responses_write_events(void *writer, const struct canon_events *events, struct frames *frames);
int responses_pass_event(void *writer, struct slice data, const struct canon_events *events,
                         struct frames *frames);
void responses_write_ping(void *writer, struct frames *frames);
int responses_write_error(void *writer, const struct canon_error *error, struct frames *frames);
int responses_write_whole(void *writer, struct sink *out);

/* openai_responses_reply_items_write.c */
/* responses_begin - a frame of that type, up to and with the type member; responses_end adds the
 * sequence number. */
struct sink *responses_begin(struct frames *frames, const char *type);
void responses_end(struct responses_writer *writer, struct frames *frames);
/* responses_put_item - an item as it was added (whole false) or as it is in the end. */
void responses_put_item(const struct responses_write_item *item, bool whole, struct sink *out);
int responses_open_item(struct responses_writer *writer, const struct canon_event *event,
                        enum responses_item_kind kind, struct frames *frames,
                        struct responses_write_item **out);
/* responses_open_part - a text or refusal becomes the next part of a message. */
int responses_open_part(struct responses_writer *writer, struct responses_write_item *item,
                        const struct canon_event *event, struct frames *frames);
/* responses_open_summary - the part that a reasoning item's thoughts go to, with the first of them.
 */
void responses_open_summary(struct responses_writer *writer, struct responses_write_item *item,
                            struct frames *frames);
int responses_close_part(struct responses_writer *writer, struct responses_write_item *item,
                         struct responses_write_part *part, struct frames *frames);
int responses_close_item(struct responses_writer *writer, struct responses_write_item *item,
                         struct frames *frames);
/* responses_write_pieces - text between head and tail, in as many events as the line limit asks. */
void responses_write_pieces(struct responses_writer *writer, const char *type, struct slice head,
                            struct slice text, struct slice tail, struct frames *frames);
/* responses_keep - append to a text that is kept until the end; over the limit an error. */
int responses_keep(struct responses_writer *writer, struct sink *to, struct slice text);

/* openai_responses_reply_sources.c: annotations */
/* responses_write_citation - one that says where it belongs is told at once, one of the whole text
 * when the text is known. What has no words here is counted in frames->unsaid. */
int responses_write_citation(struct responses_writer *writer, struct responses_write_item *item,
                             struct responses_write_part *part,
                             const struct canon_citation *citation, struct frames *frames);
/* responses_settle_citations - those that waited for the part's end. */
int responses_settle_citations(struct responses_writer *writer, struct responses_write_item *item,
                               struct responses_write_part *part, struct frames *frames);

/* openai_responses_reply_whole.c: the response object */
/* responses_put_compact - a JSON value without the white space between its tokens: one line. */
void responses_put_compact(struct slice value, struct sink *out);
int responses_make_echo(struct responses_writer *writer);
/* responses_put_response - error NULL: none. full: with its output. */
void responses_put_response(const struct responses_writer *writer, const char *status, bool full,
                            const struct canon_error *error, struct sink *out);
/* responses_status - completed or incomplete, by the finish. */
const char *responses_status(const struct responses_writer *writer);

/* ---------------------------------------------------------------- errors */

/* responses_error_of - is this value an error report (of any form)? */
bool responses_error_of(struct json root, struct arena *arena, struct canon_error *out);
void responses_read_error(int status, struct slice body, struct arena *arena,
                          struct canon_error *out);
/* responses_put_error_members - "code":...,"message":...; official: a response's error, which has
 * OpenAI's codes only. */
void responses_put_error_members(const struct canon_error *error, bool official, struct sink *out);

#endif
