/* SPDX-License-Identifier: MIT
 *
 * anthropic.h - what the files of the Anthropic Messages dialect share. Private to
 * providers/anthropic*.c.
 */
#ifndef PENSTOCK_ANTHROPIC_H
#define PENSTOCK_ANTHROPIC_H

#include "providers/dialect.h"
#include "providers/unescape.h"

#define ANTHROPIC_DEPTH_MAX 64
#define ANTHROPIC_EVENT_TOKENS_MAX (256u * 1024)
#define ANTHROPIC_BODY_TOKENS_MAX (1024u * 1024)
#define ANTHROPIC_BYTES_MAX (64u * 1024 * 1024)    /* of a collected reply */
#define ANTHROPIC_CITATIONS_MAX (4u * 1024 * 1024) /* of one block of a stream */
#define ANTHROPIC_INPUT_MAX (16u * 1024 * 1024)    /* of the arguments that wait for their turn */

/* The tool that stands for the form of an answer, where a model knows none. No client's own is
 * called so. */
#define ANTHROPIC_ANSWER_TOOL "penstock_json_answer"

/* The events of a stream, by the word in data.type. */
enum anthropic_event {
    EVENT_UNKNOWN,
    EVENT_MESSAGE_START,
    EVENT_BLOCK_START,
    EVENT_BLOCK_DELTA,
    EVENT_BLOCK_STOP,
    EVENT_MESSAGE_DELTA,
    EVENT_MESSAGE_STOP,
    EVENT_PING,
    EVENT_ERROR,
    EVENT_VERTEX,
    EVENT_COUNT
};
#define ANTHROPIC_MEND_KIND 0xfu /* canon_events.mends: the kind of the raw event */
/* anthropic_event_of - by name; EVENT_UNKNOWN for any other. anthropic_event_name is NULL for that
 * one. */
enum anthropic_event anthropic_event_of(struct slice word);
const char *anthropic_event_name(enum anthropic_event event);

/* anthropic_finish_of - stop_reason to canonical; FINISH_OTHER for unknown words.
 * anthropic_finish_name: the way back. */
enum canon_finish anthropic_finish_of(struct slice word);
const char *anthropic_finish_name(enum canon_finish finish);
/* anthropic_finish_known - is it a word of this dialect? */
bool anthropic_finish_known(struct slice word);
/* anthropic_block_of - type word of a content block; BLOCK_NATIVE for all that have no canonical
 * form. */
enum canon_block anthropic_block_of(struct slice word);

/* Input counters as the wire has them: input_tokens is what came from no cache. */
struct anthropic_usage {
    uint64_t input, cache_read, cache_write;
};

struct anthropic_reader {
    struct arena *arena;
    struct anthropic_usage usage; /* last seen of each; UINT64_MAX: never */
    bool started, finished, ended;
    bool open; /* a block is open */
    bool held; /* its stop was seen and is held back: a signature may follow (P27) */
    bool is_signed, text_seen;
    bool answer;   /* the open block is the answer, as a tool's input */
    bool answered; /* there was one */
    bool called;   /* and a true call */
    enum canon_block type;
    int64_t index;   /* the upstream's, of the block opened last; -1 before the first */
    uint32_t blocks; /* opened so far: the open one is blocks - 1 */
    struct sink
        input; /* escaped: input that stood in the start of a call; used when no fragments follow */
    struct sink citations; /* of the open block: a JSON array without its end */
};

void anthropic_reader_init(void *reader, struct arena *arena);
void anthropic_reader_fini(void *reader);
int anthropic_read_event(void *reader, struct slice type, struct slice data,
                         struct canon_events *events);
int anthropic_read_body(void *reader, struct slice body, struct canon_events *events);
int anthropic_read_end(void *reader, struct canon_events *events);

/* anthropic_read_fast - a plain delta for the open block, without parsing: 1 and it is added, 0
 * anything else, -ERR_MEMORY. */
int anthropic_read_fast(struct anthropic_reader *reader, struct slice type, struct slice data,
                        struct canon_events *events) must_check;

/* anthropic_add_citations - a CANON_CITATION of a text block for each in a list, if it is one. 0 or
 * -ERR_MEMORY. anthropic_hold_citation, anthropic_release_citations: the same for those of a
 * stream, at the end of their block. */
int anthropic_add_citations(struct json list, uint32_t block,
                            struct canon_events *events) must_check;
int anthropic_hold_citation(struct json citation, struct sink *held) must_check;
int anthropic_release_citations(struct sink *held, uint32_t block,
                                struct canon_events *events) must_check;

/* anthropic_add_error - a CANON_ERROR from an error object of any form. 0 or -ERR_MEMORY. */
int anthropic_add_error(struct canon_events *events, struct json root) must_check;

/* A call that opened while another was open. */
struct anthropic_waiting {
    struct anthropic_waiting *next;
    uint32_t block;
    bool custom, closed;
    struct slice id, name;
    struct slice state; /* opaque, as it is carried to the client; absent: none */
    struct sink text;   /* escaped */
};

struct anthropic_writer {
    struct dialect_writer_options options;
    struct arena *arena;
    bool started, early, finishing, ended, failed;
    struct canon_usage usage;
    enum canon_finish finish;
    struct slice stop_sequence; /* escaped, in the arena */
    struct slice stop_details;  /* raw JSON, of a reply of our own dialect */
    uint32_t blocks;            /* the next index */
    /* the block that is open towards the client */
    bool open, is_signed, text_seen, custom;
    bool passed; /* it was started by the upstream's own event */
    enum canon_block type;
    uint32_t block;
    struct unescape unescape;
    struct json_check check;
    struct anthropic_waiting *first, *last;
    size_t waiting_bytes;
    struct slice text_state; /* the carried state of the text before: written when it is known what
                                follows */
    struct slice image_type; /* of the image that is open */
    uint64_t image_chars;
    /* whole mode */
    struct sink content;   /* elements of the content array, comma separated */
    struct sink input;     /* decoded arguments of the open call */
    struct sink signature; /* escaped, of the open thinking block */
    struct sink citations; /* of the open text block, comma separated */
};

int anthropic_writer_init(void *writer, const struct dialect_writer_options *options,
                          struct arena *arena);
void anthropic_writer_fini(void *writer);
int anthropic_write_start(void *writer, struct frames *frames);
int anthropic_write_events(void *writer, const struct canon_events *events, struct frames *frames);
int anthropic_pass_event(void *writer, struct slice data, const struct canon_events *events,
                         struct frames *frames);
int anthropic_pass_whole(void *writer, struct slice body, const struct canon_events *events,
                         struct sink *out);
void anthropic_write_ping(void *writer, struct frames *frames);
int anthropic_write_error(void *writer, const struct canon_error *error, struct frames *frames);
int anthropic_write_whole(void *writer, struct sink *out);

/* anthropic_write_one - one canonical event as frames or gathered, for pass_event's repairs. */
int anthropic_write_one(struct anthropic_writer *writer, const struct canon_event *event,
                        struct frames *frames);
/* anthropic_read_usage - a CANON_USAGE from a usage object, if it is one; seen keeps what earlier
 * ones said. 0, -ERR_MEMORY */
int anthropic_read_usage(struct anthropic_usage *seen, struct json usage,
                         struct canon_events *events) must_check;
/* anthropic_input_usage - the input side so far, or the estimate. */
struct anthropic_usage anthropic_input_usage(const struct anthropic_writer *writer);
/* anthropic_put_usage - the members of a usage object, braces included. */
void anthropic_put_usage(const struct anthropic_writer *writer, struct sink *out);

int anthropic_read_request(struct canon_request *request, struct canon_fault *fault);
int anthropic_write_request(const struct canon_request *request,
                            const struct dialect_upstream *upstream, struct sink *out,
                            struct canon_report *report, struct canon_fault *fault);

void anthropic_read_error(int status, struct slice body, struct arena *arena,
                          struct canon_error *out);
int anthropic_error_status(const struct canon_error *error);
void anthropic_error_body(const struct canon_error *error, struct slice request_id,
                          struct sink *out);
bool anthropic_error_conforms(struct slice body, struct arena *scratch);
/* anthropic_put_error - {"type":...,"message":...} and, in a stream, code and retry_after. */
void anthropic_put_error(const struct canon_error *error, bool in_stream, struct sink *out);
/* anthropic_read_error_object - error from a parsed body or event of any vendor's form; status 0:
 * none known. */
void anthropic_read_error_object(struct json root, int status, struct arena *arena,
                                 struct canon_error *out);

#endif
