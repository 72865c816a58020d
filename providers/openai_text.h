/* SPDX-License-Identifier: MIT
 *
 * openai_text.h - /v1/completions, OpenAI's older API, as a dialect of clients only: a prompt becomes one user message,
 * and every upstream is asked for a chat (R52).
 *
 * A request may hold several prompts. Each is a reply of its own; the gateway asks for them one after another and joins
 * their events: the writer sees one reply with the choices of all.
 */
#ifndef PENSTOCK_OPENAI_TEXT_H
#define PENSTOCK_OPENAI_TEXT_H

#include "providers/dialect.h"

/* openai_text_reply.c */
struct text_choice {
    struct text_choice *next; /* in order of appearance */
    uint32_t index;           /* as the client sees it */
    bool begun, finished;
    enum canon_finish finish;
    uint64_t offset; /* code points of text so far, for logprobs.text_offset */
    /* whole replies only */
    struct sink text, tokens, token_logprobs, top_logprobs, text_offset;
};

struct text_writer {
    struct dialect_writer_options options;
    struct arena *arena;
    struct slice id, model; /* escaped */
    struct slice head;      /* how every chunk begins */
    struct text_choice *choices;
    struct canon_stop *echo; /* the prompts, when the client wants them back; NULL: it does not */
    uint32_t per_prompt;     /* choices of each prompt: n */
    bool logprobs;
    struct canon_usage usage;
    bool usage_known, ended;
};

int openai_text_writer_init(void *writer, const struct dialect_writer_options *options, struct arena *arena);
void openai_text_writer_fini(void *writer);
int openai_text_write_start(void *writer, struct frames *frames);
int openai_text_write_events(void *writer, const struct canon_events *events, struct frames *frames);
int openai_text_write_error(void *writer, const struct canon_error *error, struct frames *frames);
int openai_text_write_whole(void *writer, struct sink *out);

#endif
