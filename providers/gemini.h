/* SPDX-License-Identifier: MIT
 *
 * gemini.h - what the files of the Gemini generateContent dialect share about replies. The request
 * side is in gemini_request.h. Private to providers/gemini*.c.
 *
 * A stream has no terminator: its end is the end. A finish reason is therefore remembered until
 * then, since calls may stand in one chunk and STOP in a later one.
 */
#ifndef PENSTOCK_GEMINI_H
#define PENSTOCK_GEMINI_H

#include "providers/dialect.h"
#include "providers/gemini_args.h"
#include "providers/gemini_offsets.h"
#include "providers/unescape.h"

#define GEMINI_DEPTH_MAX 64
#define GEMINI_TOKENS_MAX (1u << 20) /* JSON tokens of one chunk or reply */
#define GEMINI_CANDIDATES_MAX 64     /* the protocol allows 8 */
#define GEMINI_CALLS_MAX 1024
#define GEMINI_METADATA_MAX (4u << 20) /* bytes of grounding that are kept until the end */
#define GEMINI_WHOLE_MAX (64u << 20)   /* bytes of a gathered reply */
#define GEMINI_CALL_BYTES_MAX                                                                      \
    (16u << 20) /* of the arguments of all calls that are not complete                             \
                 */
#define GEMINI_CITATIONS_MAX 1024

#define GEMINI_MEND_FINISH                                                                         \
    (1u << 0) /* canon_events.mends: the raw chunk says why a candidate ended */

/* ---------------------------------------------------------------- words */

/* gemini_finish_of - a finishReason, word or number. *is_known: not an unheard-of one; *is_failure:
 * the model's call failed. */
enum canon_finish gemini_finish_of(struct json value, bool *is_known, bool *is_failure);
const char *gemini_finish_word(enum canon_finish finish);
/* gemini_put_compact - valid JSON without the spaces and line ends between its tokens. */
void gemini_put_compact(struct slice json, struct sink *out);
/* gemini_wrap - opaque state as Gemini clients can carry it: their libraries decode
 * thoughtSignature as base64, so it is the base64 of canon_wrap. Gemini's own is given back as it
 * is. Absent without memory, or when nobody knows whose it is. */
struct slice gemini_wrap(enum canon_origin origin, bool redacted, struct slice state,
                         struct arena *arena);

/* ---------------------------------------------------------------- reader */

/* A block of answer text: where it begins in the candidate's whole text, as metadata count it. */
struct gemini_read_text {
    struct gemini_read_text *next; /* newest first */
    uint32_t block, bytes;
};

struct gemini_read_choice {
    struct gemini_read_choice *next; /* in order of appearance */
    uint32_t index;
    bool open, is_signed;  /* a block that is no call is open; its signature was seen */
    bool called, partial;  /* a call was seen; one is open and grows by paths */
    enum canon_block type; /* of the open block */
    uint32_t block, partial_block;
    enum canon_finish finish; /* as remembered; FINISH_NONE: none yet */
    struct gemini_args args;
    struct gemini_offsets offsets; /* of the answer text */
    struct gemini_read_text *texts;
    struct sink grounding, citations; /* raw JSON, the last that came */
    struct sink parts;                /* whole replies: uint32_t each, where a part's text begins */
};

enum gemini_counter {
    GEMINI_COUNT_PROMPT,
    GEMINI_COUNT_TOOLS,
    GEMINI_COUNT_CACHED,
    GEMINI_COUNT_CANDIDATES,
    GEMINI_COUNT_THOUGHTS,
    GEMINI_COUNT_TOTAL,
    GEMINI_COUNT_NONE, /* a number of no account */
    GEMINI_COUNT_FIXED /* not a number that changes */
};

/* usageMetadata and what it counts, as found in a chunk. */
struct gemini_usage_json {
    struct json all, counters[GEMINI_COUNT_NONE];
};

#define GEMINI_TEMPLATE_BYTES 2048
#define GEMINI_TEMPLATE_RUNS 24
/* The last plain text chunk, so that the next one like it need not be parsed (gemini_reply_fast.c).
 */
struct gemini_template {
    uint32_t before, after; /* bytes before and after the text; before 0: none learnt */
    uint32_t runs;          /* runs of digits in what stands behind the text */
    struct {
        uint16_t start, end; /* in what stands behind */
        uint8_t counter;     /* GEMINI_COUNT_x */
    } run[GEMINI_TEMPLATE_RUNS];
    struct gemini_read_choice *choice;
    enum canon_block type;
    struct canon_room room; /* the bytes, at most GEMINI_TEMPLATE_BYTES */
};

struct gemini_reader {
    struct arena *arena;
    struct gemini_read_choice *choices;
    uint32_t choice_count, blocks, call_count;
    uint64_t id_hash;                   /* of the responseId; 0: none came */
    uint64_t counts[GEMINI_COUNT_NONE]; /* last seen of each; UINT64_MAX: never */
    bool started, ended, failed;
    bool whole; /* a whole reply is read, no stream */
    struct gemini_template template;
};

void gemini_reader_init(void *reader, struct arena *arena);
void gemini_reader_fini(void *reader);
int gemini_read_event(void *reader, struct slice type, struct slice data,
                      struct canon_events *events);
int gemini_read_body(void *reader, struct slice body, struct canon_events *events);
int gemini_read_end(void *reader, struct canon_events *events);

/* gemini_reply_parts.c: one part of a candidate's content, whatever it holds. data: the bytes it
 * came in */
int gemini_read_part(struct gemini_reader *reader, struct gemini_read_choice *choice,
                     struct json part, struct slice data, struct canon_events *events) must_check;
/* gemini_emit_text - text for the open block of that type, which is opened if it is not; signature
 * may be absent. */
int gemini_emit_text(struct gemini_reader *reader, struct gemini_read_choice *choice,
                     enum canon_block type, struct slice text, struct slice signature,
                     struct canon_events *events) must_check;
int gemini_close_block(struct gemini_read_choice *choice, struct canon_events *events) must_check;
/* gemini_close_partial - the call that grows by paths is over; not complete: the reply ended inside
 * it. */
int gemini_close_partial(struct gemini_read_choice *choice, bool complete,
                         struct canon_events *events) must_check;

/* gemini_grounding_read.c: the kept metadata of a candidate as citations and, raw, for whoever
 * knows it */
int gemini_emit_grounding(struct gemini_reader *reader, struct gemini_read_choice *choice,
                          struct canon_events *events) must_check;

/* gemini_reply_fast.c */
void gemini_template_learn(struct gemini_reader *reader, struct slice data,
                           const struct canon_events *events,
                           const struct gemini_usage_json *usage);
/* gemini_template_match - the events of a chunk like the last: 1 and they are added, 0 not like it,
 * -ERR_MEMORY. */
int gemini_template_match(struct gemini_reader *reader, struct slice data,
                          struct canon_events *events) must_check;
/* gemini_emit_usage - the counters as they are now. */
int gemini_emit_usage(const struct gemini_reader *reader, struct canon_events *events) must_check;

/* ---------------------------------------------------------------- writer */

struct gemini_write_call {
    struct gemini_write_call *next; /* in order of opening */
    uint32_t block;
    bool custom, closed, written;
    struct slice id, name;  /* escaped */
    struct slice signature; /* as it goes out; absent */
    struct unescape unescape;
    struct sink arguments; /* decoded */
};

struct gemini_write_text {
    struct gemini_write_text *next; /* newest first */
    uint32_t block, bytes, points;
};

struct gemini_write_choice {
    struct gemini_write_choice *next; /* in order of appearance */
    uint32_t index;
    enum canon_finish finish;
    struct gemini_write_call *calls, *last_call;
    struct gemini_offsets offsets; /* of the answer text */
    struct gemini_write_text *texts;
    struct slice image_type; /* of the open image, escaped */
    struct sink thought;     /* streams: the last piece of a thought, which may yet be signed */
    bool holds;              /* there is one */
    struct sink grounding;   /* raw, from a Gemini upstream */
    struct sink sources, supports; /* elements of groundingChunks and groundingSupports */
    struct sink source_hashes;     /* uint64_t each */
    uint32_t source_count, support_count;
    /* whole replies only */
    struct sink parts;       /* elements, comma separated */
    struct sink chosen, top; /* elements of logprobsResult */
    bool part_open;          /* a text part is open: its closing quote is owed */
    bool part_thought;
    uint32_t part_block;
};

struct gemini_writer {
    struct dialect_writer_options options;
    struct arena *arena;
    struct slice tail; /* of every chunk and reply: `,"modelVersion":...}` */
    struct gemini_write_choice *choices;
    struct canon_usage usage;
    size_t call_bytes;
    bool usage_known, hide_thoughts;
    bool passed;      /* chunks of the upstream went out as they were */
    bool finish_said; /* one of them said why it ended */
    bool ended, failed;
};

int gemini_writer_init(void *writer, const struct dialect_writer_options *options,
                       struct arena *arena);
void gemini_writer_fini(void *writer);
int gemini_write_start(void *writer, struct frames *frames);
int gemini_write_events(void *writer, const struct canon_events *events, struct frames *frames);
int gemini_pass_event(void *writer, struct slice data, const struct canon_events *events,
                      struct frames *frames);
void gemini_write_ping(void *writer, struct frames *frames);
int gemini_write_error(void *writer, const struct canon_error *error, struct frames *frames);
int gemini_write_whole(void *writer, struct sink *out);

/* gemini_writer.c */
struct gemini_write_choice *gemini_writer_choice(struct gemini_writer *writer, uint32_t index);
/* gemini_put_usage - `,"usageMetadata":{...}`, or nothing when nothing is known. */
void gemini_put_usage(const struct gemini_writer *writer, struct sink *out);
/* gemini_put_candidate_end - `,"finishReason":...` and what the text is founded on, behind a
 * candidate's content. */
void gemini_put_candidate_end(const struct gemini_write_choice *choice, struct sink *out);
/* gemini_put_logprobs - token probabilities as elements of the two lists of logprobsResult. */
void gemini_put_logprobs(const struct canon_logprob *logprobs, struct sink *chosen,
                         struct sink *top);
/* gemini_put_text - a text part, closed. signature as it goes out; absent: none. */
void gemini_put_text(struct sink *out, struct slice text, bool thought, struct slice signature);

/* gemini_outgoing_state - an event's signature, or the data of redacted reasoning, as it goes out;
 * absent when it may not, which is counted. */
int gemini_outgoing_state(struct gemini_writer *writer, const struct canon_event *event,
                          struct frames *frames, struct slice *state) must_check;
/* gemini_note_image - an image opens: its media type is said with the data. */
int gemini_note_image(struct gemini_writer *writer, struct gemini_write_choice *choice,
                      const struct canon_event *event) must_check;
void gemini_put_image(struct sink *out, struct slice type, struct slice base64,
                      struct slice signature);
/* gemini_put_native - raw JSON in one line. gemini_keep_native: the last that came. */
void gemini_put_native(struct slice native, struct sink *out);
int gemini_keep_native(struct slice native, struct sink *kept) must_check;

/* gemini_reply_write.c: gemini_flush_thoughts - what is held goes out unsigned. */
int gemini_flush_thoughts(struct gemini_writer *writer, struct frames *frames) must_check;

/* gemini_call_write.c: calls are gathered until they are complete */
int gemini_call_open(struct gemini_writer *writer, struct gemini_write_choice *choice,
                     const struct canon_event *event, struct frames *frames) must_check;
int gemini_call_delta(struct gemini_writer *writer, struct gemini_write_choice *choice,
                      const struct canon_event *event, struct frames *frames) must_check;
/* gemini_call_find - by block; NULL: it was not opened here. */
struct gemini_write_call *gemini_call_find(struct gemini_write_choice *choice, uint32_t block);
/* gemini_call_ready - are the arguments one JSON object (or a free text, or nothing)? Others wait
 * for the end, which may be an error. */
bool gemini_call_ready(struct gemini_write_call *call);
/* gemini_put_call - the functionCall part; what is no JSON object is wrapped. The arguments are
 * given back. */
void gemini_put_call(struct gemini_write_call *call, struct sink *out);

/* gemini_grounding_write.c */
/* gemini_note_text - answer text of a block was written: sources count its bytes. */
int gemini_note_text(struct gemini_writer *writer, struct gemini_write_choice *choice,
                     const struct canon_event *event) must_check;
/* gemini_note_citation - keep a web source. 0; 1 when it names none; -ERR_x. */
int gemini_note_citation(struct gemini_write_choice *choice,
                         const struct canon_event *event) must_check;

/* gemini_reply_whole.c: the same for a reply that is written whole */
int gemini_gather_event(struct gemini_writer *writer, struct gemini_write_choice *choice,
                        const struct canon_event *event, struct frames *frames) must_check;

/* ---------------------------------------------------------------- errors */

/* gemini_error_from_json - is this value an error report, Google's or any vendor's? Then *out says
 * which. */
bool gemini_error_from_json(struct json root, struct arena *arena, struct canon_error *out);
/* gemini_refine_error - what Google's own shape says beyond what every shape says, in *out; of any
 * other shape nothing. status 0: the report came inside a stream. Google's OpenAI-compatible
 * endpoint answers in it, too. */
void gemini_refine_error(struct json root, int status, struct arena *arena,
                         struct canon_error *out);
void gemini_read_error(int status, struct slice body, struct arena *arena, struct canon_error *out);
int gemini_error_status(const struct canon_error *error);
void gemini_error_body(const struct canon_error *error, struct slice request_id, struct sink *out);
bool gemini_error_conforms(struct slice body, struct arena *scratch);

#endif
