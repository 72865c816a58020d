/* SPDX-License-Identifier: MIT
 *
 * openai_chat.h - what the files of the OpenAI Chat Completions dialect share among themselves.
 *
 * The reader turns chunks into canonical events and notes in canon_events.mends what pass_event has
 * to mend when the same chunk goes on to a Chat client. The writer keeps one truth for chunks it
 * passes and chunks it makes.
 */
#ifndef PENSTOCK_OPENAI_CHAT_H
#define PENSTOCK_OPENAI_CHAT_H

#include "providers/custom.h"
#include "providers/dialect.h"
#include "providers/splice.h"

#define CHAT_CHOICES_MAX 128
#define CHAT_CALLS_MAX 1024
#define CHAT_PENDING_MAX 4096      /* bytes of arguments that wait for a call's name */
#define CHAT_DEPTH_MAX 64          /* nesting of an upstream's JSON */
#define CHAT_TOKENS_MAX (1u << 20) /* JSON tokens of one reply or event */
#define CHAT_WHOLE_MAX (64u << 20) /* bytes of one gathered text */

/* What pass_event must mend in the chunk at hand. */
enum chat_mend {
    MEND_START = 1u << 0,       /* the first chunk: learn id, model and created from it */
    MEND_ID = 1u << 1,          /* its id is missing, empty or another than the stream's */
    MEND_ROLE = 1u << 2,        /* a choice begins without a role */
    MEND_FINISH = 1u << 3,      /* its finish word is not one of OpenAI's */
    MEND_DEFER = 1u << 4,       /* its finish must not show yet: more may come */
    MEND_LATE_FINISH = 1u << 5, /* the finish in the events is not in the chunk */
    MEND_REPEAT = 1u << 6,      /* its choices repeat a finish and say nothing else */
    MEND_USAGE = 1u << 7,       /* it has a usage object */
    MEND_USAGE_NULL = 1u << 8,  /* it has usage: null */
    MEND_USAGE_ONLY = 1u << 9,  /* usage is all it says */
    MEND_REASONING = 1u << 10,  /* its reasoning is called `reasoning` */
    MEND_EARLY = 1u << 11,  /* it came before the reply began and says nothing the canon knows */
    MEND_CHOICE = 1u << 12, /* a choice begins */
    MEND_LEGACY =
        1u << 13, /* it has a function_call: nothing to mend, but not to be spelt otherwise */
};

/* A name for chat_take, known with its length. */
#define CHAT_NAME(text)                                                                            \
    {                                                                                              \
        "" text, sizeof(text) - 1                                                                  \
    }
/* chat_take - the members of an object that have these names, in one walk: out[i] is the last one
 * called names[i]. */
void chat_take(struct json object, const struct slice *names, size_t count, struct json *out);

/* ---------------------------------------------------------------- reader */

struct chat_read_call {
    struct chat_read_call *next; /* newest first */
    uint64_t index;              /* the upstream's; UINT64_MAX: it gave none */
    uint64_t id_hash;
    uint32_t block, number; /* number: 0, 1, 2... within the choice, in order of opening */
    bool has_id, opened, closed, custom;
    struct slice id, signature; /* while the name is awaited */
    char *pending; /* and the arguments that came before it, CHAT_PENDING_MAX at most */
    size_t pending_len;
};

struct chat_read_choice {
    struct chat_read_choice *next;
    uint32_t index, call_count;
    struct chat_read_call *calls, *last;
    enum canon_block type; /* of the open block that is no call */
    uint32_t block;
    uint32_t text_block, texts; /* the last block of text, and how many there were */
    bool block_open, is_signed, said_text, said_call, finished, cited;
    enum canon_finish deferred; /* FINISH_NONE: nothing waits */
};

/* The last plain text chunk, so that the next one like it need not be parsed
 * (openai_chat_reply_fast.c). */
struct chat_template {
    uint32_t before, after; /* bytes before and after the text; before 0: none learnt */
    uint32_t tail; /* of those after it, how many stand behind the padding; 0: there is none */
    uint32_t mends, block;
    enum canon_block type;
    struct chat_read_choice *choice;
    struct canon_room room; /* the bytes */
};

struct chat_reader {
    struct arena *arena;
    struct slice id; /* of the first chunk */
    struct chat_read_choice *choices;
    uint32_t choice_count, blocks, call_count, chunks;
    bool started, ended, failed;
    bool whole; /* a whole reply is read, no stream */
    struct chat_template template;
};

/* openai_chat_reply_read.c: one chunk and the pieces of it */
void chat_reader_init(void *reader, struct arena *arena);
int chat_read_event(void *reader, struct slice type, struct slice data,
                    struct canon_events *events);
int chat_read_end(void *reader, struct canon_events *events);
int chat_read_body(void *reader, struct slice body, struct canon_events *events);
struct chat_read_choice *chat_find_choice(struct chat_reader *reader, uint32_t index);
/* chat_emit_text - text, thinking or refusal: opens its block if another kind is open. signature
 * may be absent. */
int chat_emit_text(struct chat_reader *reader, struct chat_read_choice *choice,
                   enum canon_block type, struct slice text, struct slice signature,
                   struct canon_events *events);
/* chat_open_block - a block that is no call opens; the one that is open closes. */
int chat_open_block(struct chat_reader *reader, struct chat_read_choice *choice,
                    enum canon_block type, struct canon_events *events);
/* chat_close_block - close the open block that is no call, if there is one. */
int chat_close_block(struct chat_read_choice *choice, struct canon_events *events);
/* chat_emit_finish - close what is open in a choice and say why it ended. */
int chat_emit_finish(struct chat_reader *reader, struct chat_read_choice *choice,
                     enum canon_finish finish, struct canon_events *events);
int chat_emit_error(struct chat_reader *reader, const struct canon_error *error,
                    struct canon_events *events);
/* The members of a delta or message that are read. */
struct chat_message {
    struct json role, content, tool_calls, reasoning_content, reasoning, thinking, details, refusal,
        function_call, annotations, images, extra_content, audio;
};

/* openai_chat_extras_read.c: what is neither text nor a call */
int chat_read_content_list(struct chat_reader *reader, struct chat_read_choice *choice,
                           struct json list, struct canon_events *events, bool *said);
int chat_read_reasoning(struct chat_reader *reader, struct chat_read_choice *choice,
                        const struct chat_message *message, struct canon_events *events,
                        bool *said);
/* chat_read_extras - images, Google's signatures, annotations, sound. */
int chat_read_extras(struct chat_reader *reader, struct chat_read_choice *choice,
                     const struct chat_message *message, struct canon_events *events, bool *said);
/* chat_read_sources - the lists that Perplexity and xAI put beside the choices: said once, of the
 * last text. */
struct chat_sources {
    struct json citations, results;
};
int chat_read_sources(struct chat_reader *reader, const struct chat_sources *sources,
                      struct chat_read_choice *choice, struct canon_events *events);
/* chat_read_logprobs - a list of token probabilities; *out is NULL where there is none. 0,
 * -ERR_MEMORY. */
int chat_read_logprobs(struct json list, struct arena *arena, struct canon_logprob **out);
/* chat_google_signature - what extra_content.google signs, or absent. */
struct slice chat_google_signature(struct json extra_content);
/* chat_origin_of - whose state an entry of reasoning_details holds, by its format. */
enum canon_origin chat_origin_of(struct json format);

/* openai_chat_call_read.c: tool calls, however they are spelt */
int chat_read_calls(struct chat_reader *reader, struct chat_read_choice *choice,
                    const struct chat_message *message, struct canon_events *events, bool *said);
/* chat_close_calls - close the calls of a choice in order; one that never got a name is opened
 * without. */
int chat_close_calls(struct chat_reader *reader, struct chat_read_choice *choice,
                     struct canon_events *events);

/* openai_chat_reply_fast.c */
void chat_template_learn(struct chat_reader *reader, struct slice data,
                         const struct canon_events *events);
/* chat_template_match - the event of a chunk like the last: 1 and it is added, 0 not like it,
 * -ERR_MEMORY. */
int chat_template_match(struct chat_reader *reader, struct slice data, struct canon_events *events);

/* openai_chat_finish.c */
/* chat_finish_of - what a finish word means. *is_known: it is OpenAI's, and a Chat client may see
 * it; *is_error: the upstream failed. */
enum canon_finish chat_finish_of(struct slice word, bool *is_known, bool *is_error);
/* chat_finish_word - OpenAI's word for it. */
const char *chat_finish_word(enum canon_finish finish);

/* openai_chat_usage.c */
bool chat_read_usage(struct json usage, struct canon_usage *out);
void chat_put_usage(struct sink *out, const struct canon_usage *usage);

/* ---------------------------------------------------------------- writer */

struct chat_write_call {
    struct chat_write_call *next; /* newest first */
    uint32_t block, number;
    bool custom, said;
    struct slice id, name, signature; /* whole replies only; signature: the member as JSON */
    struct sink arguments;            /* whole replies only */
};

/* A source of a whole block of text: told when the text is complete, and it is known where it ends.
 */
struct chat_write_source {
    struct chat_write_source *next;
    struct canon_citation citation;
};

/* A block of text: where in the content it begins and ends, in code points. */
struct chat_write_text {
    struct chat_write_text *next; /* newest first */
    uint32_t block;
    uint64_t base, end; /* end: UINT64_MAX while it is open */
    struct chat_write_source *waiting;
};

/* What of a choice is gathered for a whole reply. */
struct chat_write_whole {
    struct sink text, reasoning, refusal, thought;                     /* escaped */
    struct sink details, annotations, images, tokens, refusal_tokens; /* JSON: entries of those lists */
};
#define CHAT_WHOLE_SINKS(whole)                                                                    \
    {                                                                                              \
        &(whole)->text, &(whole)->reasoning, &(whole)->refusal, &(whole)->thought,                 \
            &(whole)->details, &(whole)->annotations, &(whole)->images, &(whole)->tokens,          \
            &(whole)->refusal_tokens                                                               \
    }

struct chat_write_choice {
    struct chat_write_choice *next; /* in order of appearance */
    uint32_t index, call_count, detail_count, image_count;
    struct chat_write_call *calls;
    struct chat_write_text *texts;
    uint64_t points; /* code points of content written */
    struct slice image_type;
    struct sink image; /* base64 of the image that is open */
    bool role_sent, in_think, finished;
    enum canon_finish finish;
    /* whole replies only */
    struct chat_write_whole *whole; /* NULL: a stream is written, which may be one of thousands */
    bool has_text, has_refusal;
    struct slice signature; /* Google's, of the text: the member as JSON */
};

struct chat_writer {
    struct dialect_writer_options options;
    struct arena *arena;
    struct slice id, model; /* escaped */
    struct slice created;   /* a number */
    struct slice head;      /* `{"id":...,"choices":[{"index":`: how every chunk begins; absent: not made yet */
    struct chat_write_choice *choices;
    struct canon_custom custom;
    struct slice grounding; /* what a search found, as JSON; absent */
    struct sink
        bare_images; /* whole replies: the same images as data and type alone, entries of a list */
    struct slice held;      /* an early chunk of the upstream that waits for the role chunk */
    struct slice usage_raw; /* the upstream's own usage object, in usage_room */
    struct canon_room usage_room;
    struct canon_usage usage;
    bool usage_known, usage_written, ended;
    bool passing; /* chunks of the same dialect pass: what is written between them cannot wait for a
                     later one */
};

/* chat_finish_shown - the word for a choice as it was written: tool_calls only if there were any.
 */
const char *chat_finish_shown(const struct chat_write_choice *choice, enum canon_finish finish);

/* openai_chat_reply_write.c */
int chat_writer_init(void *writer, const struct dialect_writer_options *options,
                     struct arena *arena);
void chat_writer_fini(void *writer);
int chat_write_start(void *writer, struct frames *frames);
int chat_write_events(void *writer, const struct canon_events *events, struct frames *frames);
void chat_write_ping(void *writer, struct frames *frames);
int chat_write_error(void *writer, const struct canon_error *error, struct frames *frames);
struct chat_write_choice *chat_writer_choice(struct chat_writer *writer, uint32_t index);
struct chat_write_call *chat_writer_call(struct chat_write_choice *choice, uint32_t block);
/* chat_note_call - a call that opens: numbered within its choice. NULL without memory. */
struct chat_write_call *chat_note_call(struct chat_writer *writer, const struct canon_event *event);
int chat_write_role(struct chat_writer *writer, uint32_t index, struct frames *frames);
void chat_write_usage(struct chat_writer *writer, struct frames *frames);
/* chat_write_arguments - a piece of a call's arguments. */
int chat_write_arguments(struct chat_writer *writer, uint32_t choice,
                         const struct chat_write_call *call, struct slice text,
                         struct frames *frames);
int chat_write_event(struct chat_writer *writer, const struct canon_event *event,
                     struct frames *frames, struct arena *scratch);

/* openai_chat_extras_write.c */
/* chat_state_shown - opaque state as a Chat client gets it. Absent without memory. */
struct slice chat_state_shown(struct chat_writer *writer, enum canon_origin origin, bool redacted,
                              struct slice state);
/* chat_put_signature - the member extra_content with the event's signature. 0, -ERR_MEMORY. */
int chat_put_signature(struct chat_writer *writer, const struct canon_event *event,
                       struct sink *out);
/* chat_note_text, chat_close_text - a block of text begins and ends here in the content; do sources
 * wait for its end? */
int chat_note_text(struct chat_writer *writer, struct chat_write_choice *choice, uint32_t block);
bool chat_close_text(struct chat_write_choice *choice, uint32_t block);
/* chat_await_text - 1: the source speaks of a whole block that is not complete, and waits; 0: it
 * can be told; -ERR_MEMORY. */
int chat_await_text(struct chat_writer *writer, struct chat_write_choice *choice,
                    const struct canon_event *event);
/* chat_put_waiting - what waited, entries of annotations separated by commas. */
void chat_put_waiting(struct sink *out, const struct chat_write_choice *choice, uint32_t block);
/* chat_is_unsayable - has Chat no words for such a source? */
bool chat_is_unsayable(const struct canon_citation *citation);
/* chat_put_annotation - an entry of annotations; false when Chat has no words for it. */
bool chat_put_annotation(struct sink *out, const struct chat_write_choice *choice,
                         const struct canon_event *event);
/* chat_put_image - the image that was gathered, an entry of images. */
void chat_put_image(struct sink *out, const struct chat_write_choice *choice);
/* chat_put_tokens - entries of logprobs.content, separated by commas. */
void chat_put_tokens(struct sink *out, const struct canon_logprob *tokens);
/* chat_note_grounding - Gemini's groundingMetadata as the member `grounding`, kept for the last
 * chunk. 0, -ERR_MEMORY. */
int chat_note_grounding(struct chat_writer *writer, struct slice metadata, struct arena *scratch);

/* openai_chat_reply_whole.c */
int chat_gather_event(struct chat_writer *writer, const struct canon_event *event, uint32_t *unsaid,
                      struct arena *scratch);
void chat_gather_fini(struct chat_writer *writer);
int chat_write_whole(void *writer, struct sink *out);

/* openai_chat_whole_pass.c */
int chat_pass_whole(void *writer, struct slice body, const struct canon_events *events,
                    struct sink *out);

/* openai_chat_reply_pass.c */
int chat_pass_event(void *writer, struct slice data, const struct canon_events *events,
                    struct frames *frames);

/* ---------------------------------------------------------------- requests */

int chat_outline(struct canon_request *request, struct canon_fault *fault);
int chat_read_request(struct canon_request *request, struct canon_fault *fault);
int chat_read_messages(struct canon_request *request, struct canon_fault *fault);
int chat_refuse(struct canon_fault *fault, int error, const char *param, const char *message);
int chat_pass_request(const struct canon_request *request, const struct dialect_upstream *upstream,
                      struct sink *out);
/* chat_budget_of_effort - thinking tokens for an effort in words; absent: as many as the model
 * likes (R115). */
struct slice chat_budget_of_effort(struct slice effort);
/* chat_put_defaults - configured members for keys that neither the object nor given has (the two
 * names of the output limit are one). */
void chat_put_defaults(struct splice *splice, struct json root, struct json given,
                       struct slice params);
/* openai_chat_turns.c: chat_merged_turns - the messages array with neighbours of one role made one,
 * and developer turned into system unless kept. Absent: nothing to merge, or no memory (then *error
 * is set). */
struct slice chat_merged_turns(struct json messages, bool keep_developer, struct arena *arena,
                               int *error);
/* openai_chat_history.c: chat_changed_messages - the messages array as the upstream insists on it:
 * turns merged, ids, thoughts, instructions and plain content in its form. request, if it was read,
 * knows thoughts that were put back. Absent: nothing to change, or an error. */
struct slice chat_changed_messages(const struct canon_request *request, struct json messages,
                                   const struct dialect_upstream *upstream, struct arena *arena,
                                   int *error);
/* chat_mend_choice - an object tool_choice as a word, with only those tools that it names (P52). */
void chat_mend_choice(struct splice *splice, struct json root);
int chat_write_request(const struct canon_request *request, const struct dialect_upstream *upstream,
                       struct sink *out, struct canon_report *report, struct canon_fault *fault);

/* ---------------------------------------------------------------- errors */

/* chat_error_from_json - is this value an error report of any vendor's? Then *out says which. */
bool chat_error_from_json(struct json root, struct arena *arena, struct canon_error *out);
void chat_read_error(int status, struct slice body, struct arena *arena, struct canon_error *out);
int chat_error_status(const struct canon_error *error);
void chat_error_body(const struct canon_error *error, struct slice request_id, struct sink *out);
bool chat_error_conforms(struct slice body, struct arena *scratch);

#endif
