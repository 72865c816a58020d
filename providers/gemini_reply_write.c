/* SPDX-License-Identifier: MIT
 *
 * gemini_reply_write.c - canonical events as generateContent chunks.
 *
 * Each chunk is a whole response with the parts that are new. Why it ended, what it is founded on
 * and what it cost stand in one last chunk, which has an empty text: libraries drop a turn from
 * their history when a chunk has no part. There is no terminator.
 */
#include "providers/gemini.h"

#define PIECE_MAX (DIALECT_LINE_MAX - 1024)

/* ---------------------------------------------------------------- chunks */

static struct sink *
begin_chunk(struct frames *frames)
{
    frame_begin(frames, FRAME_EVENT, NULL);
    sink_put(&frames->bytes, SLICE_LIT("{\"candidates\":[{\"content\":{\"parts\":["));
    return &frames->bytes;
}

/* From behind the parts to the end. */
static int
end_chunk(const struct gemini_writer *writer, uint32_t choice, const struct canon_logprob *logprobs,
          struct frames *frames)
{
    struct sink *out = &frames->bytes;
    sink_put(out, SLICE_LIT("],\"role\":\"model\"},\"index\":"));
    sink_u64(out, choice);
    if (logprobs) {
        struct sink chosen, top;
        sink_init(&chosen, GEMINI_WHOLE_MAX);
        sink_init(&top, GEMINI_WHOLE_MAX);
        gemini_put_logprobs(logprobs, &chosen, &top);
        sink_put(out, SLICE_LIT(",\"logprobsResult\":{\"chosenCandidates\":["));
        sink_join(out, &chosen);
        sink_put(out, SLICE_LIT("],\"topCandidates\":["));
        sink_join(out, &top);
        sink_put(out, SLICE_LIT("]}"));
        sink_fini(&chosen);
        sink_fini(&top);
    }
    sink_put(out, SLICE_LIT("}]"));
    sink_put(out, writer->tail);
    frame_end(frames);
    return frames->error;
}

/* One chunk for each piece; the signature goes with the last, and so do the probabilities. */
static int
write_text(const struct gemini_writer *writer, const struct canon_event *event, struct slice text,
           bool thought, struct slice signature, struct frames *frames)
{
    do {
        struct slice piece = text;
        if (likely(text.len <= PIECE_MAX))
            text.len = 0;
        else
            piece = dialect_text_piece(&text, PIECE_MAX);
        bool last = text.len == 0;
        gemini_put_text(begin_chunk(frames), piece, thought, last ? signature : SLICE_NONE);
        int error =
            end_chunk(writer, event->choice, last && !thought ? event->logprobs : NULL, frames);
        if (error)
            return error;
    } while (text.len > 0);
    return 0;
}

/* ---------------------------------------------------------------- thoughts */

/*
 * The last piece of a thought waits until it is known whether a signature follows: some libraries
 * lose the signature of a thought without text, so it goes with the piece.
 */
static int
flush_thought(const struct gemini_writer *writer, struct gemini_write_choice *choice,
              struct slice signature, struct frames *frames)
{
    if (!choice->holds)
        return 0;
    choice->holds = false;
    gemini_put_text(begin_chunk(frames), sink_slice(&choice->thought), true, signature);
    return end_chunk(writer, choice->index, NULL, frames);
}

int
gemini_flush_thoughts(struct gemini_writer *writer, struct frames *frames)
{
    int error = 0;
    for (struct gemini_write_choice *at = writer->choices; at && !error; at = at->next)
        error = flush_thought(writer, at, SLICE_NONE, frames);
    return error;
}

static int
write_thought(const struct gemini_writer *writer, struct gemini_write_choice *choice,
              const struct canon_event *event, struct slice text, struct slice signature,
              struct frames *frames)
{
    if (text.len == 0 && choice->holds)
        return flush_thought(writer, choice, signature, frames);
    int error = flush_thought(writer, choice, SLICE_NONE, frames);
    if (error || text.len == 0 || slice_present(signature))
        return error ? error : write_text(writer, event, text, true, signature, frames);
    while (text.len > PIECE_MAX && !error)
        error = write_text(writer, event, dialect_text_piece(&text, PIECE_MAX), true, SLICE_NONE,
                           frames);
    sink_reset(&choice->thought, 4096);
    sink_put(&choice->thought, text);
    choice->holds = true;
    return error ? error : choice->thought.error;
}

static int
write_call(struct gemini_writer *writer, struct gemini_write_choice *choice,
           struct gemini_write_call *call, struct frames *frames)
{
    gemini_put_call(call, begin_chunk(frames));
    return end_chunk(writer, choice->index, NULL, frames);
}

/* ---------------------------------------------------------------- events */

static int
write_open(struct gemini_writer *writer, struct gemini_write_choice *choice,
           const struct canon_event *event, struct frames *frames)
{
    if (event->type == BLOCK_CALL)
        return gemini_call_open(writer, choice, event, frames);
    frames->unsaid += event->type == BLOCK_NATIVE;
    if (event->type == BLOCK_IMAGE)
        return gemini_note_image(writer, choice, event);
    if (event->type != BLOCK_REDACTED || event->data.len == 0)
        return 0;
    struct slice state;
    int error = gemini_outgoing_state(writer, event, frames, &state);
    if (error || !slice_present(state))
        return error;
    return write_text(writer, event, SLICE_LIT(""), true, state, frames);
}

static int
write_image(struct gemini_writer *writer, struct gemini_write_choice *choice,
            const struct canon_event *event, struct frames *frames)
{
    struct slice signature;
    int error = gemini_outgoing_state(writer, event, frames, &signature);
    if (error || event->data.len == 0)
        return error;
    gemini_put_image(begin_chunk(frames), choice->image_type, event->data, signature);
    return end_chunk(writer, choice->index, NULL, frames);
}

static int
write_delta(struct gemini_writer *writer, struct gemini_write_choice *choice,
            const struct canon_event *event, struct frames *frames)
{
    struct slice signature, text = event->text;
    bool thought = event->type == BLOCK_THINKING;
    if (event->type == BLOCK_CALL)
        return gemini_call_delta(writer, choice, event, frames);
    if (event->type == BLOCK_IMAGE)
        return write_image(writer, choice, event, frames);
    if (event->type == BLOCK_NATIVE || event->type == BLOCK_REDACTED)
        return 0;
    int error = gemini_outgoing_state(writer, event, frames, &signature);
    if (!error && !thought && text.len > 0)
        error = gemini_note_text(writer, choice, event);
    if (thought && writer->hide_thoughts) /* the state is needed all the same */
        text = SLICE_NONE;
    if (error || (text.len == 0 && !slice_present(signature)))
        return error;
    text = text.len > 0 ? text : SLICE_LIT("");
    return thought ? write_thought(writer, choice, event, text, signature, frames)
                   : write_text(writer, event, text, false, signature, frames);
}

static int
write_close(struct gemini_writer *writer, struct gemini_write_choice *choice,
            const struct canon_event *event, struct frames *frames)
{
    struct gemini_write_call *call =
        event->type == BLOCK_CALL ? gemini_call_find(choice, event->block) : NULL;
    if (!call || call->written || !gemini_call_ready(call))
        return 0;
    return write_call(writer, choice, call, frames);
}

/* Calls that were cut short are shown now that the reply is known to end so. */
static int
write_finish(struct gemini_writer *writer, struct gemini_write_choice *choice,
             const struct canon_event *event, struct frames *frames)
{
    choice->finish = event->finish;
    for (struct gemini_write_call *call = choice->calls; call; call = call->next) {
        if (call->written)
            continue;
        (void)gemini_call_ready(call);
        int error = write_call(writer, choice, call, frames);
        if (error)
            return error;
    }
    return 0;
}

/* A part that only Gemini knows comes from a Gemini upstream, or is counted. */
static int
write_native(struct gemini_writer *writer, struct gemini_write_choice *choice,
             const struct canon_event *event, struct frames *frames)
{
    if (event->origin != ORIGIN_GEMINI || !slice_present(event->native)) {
        frames->unsaid++;
        return 0;
    }
    if (slice_is(event->name, "groundingMetadata"))
        return gemini_keep_native(event->native, &choice->grounding);
    struct sink *out = begin_chunk(frames);
    gemini_put_native(event->native, out);
    return end_chunk(writer, choice->index, NULL, frames);
}

static int
write_end(struct gemini_writer *writer, struct frames *frames)
{
    writer->ended = true;
    if (writer->finish_said)
        return 0;
    if (!gemini_writer_choice(writer, 0))
        return -ERR_MEMORY;
    frame_begin(frames, FRAME_EVENT, NULL);
    struct sink *out = &frames->bytes;
    sink_text(out, "{\"candidates\":[");
    for (const struct gemini_write_choice *at = writer->choices; at; at = at->next) {
        sink_text(out, "{\"content\":{\"parts\":[{\"text\":\"\"}],\"role\":\"model\"}");
        gemini_put_candidate_end(at, out);
        sink_text(out, at->next ? "}," : "}");
    }
    sink_byte(out, ']');
    gemini_put_usage(writer, out);
    sink_put(out, writer->tail);
    frame_end(frames);
    return frames->error;
}

static int
write_in_choice(struct gemini_writer *writer, const struct canon_event *event,
                struct frames *frames)
{
    struct gemini_write_choice *choice = gemini_writer_choice(writer, event->choice);
    if (!choice)
        return -ERR_MEMORY;
    if (writer->passed && (event->kind == CANON_CITATION || event->kind == CANON_NATIVE))
        return 0; /* the chunks that passed had it */
    if (event->kind == CANON_CITATION) {
        int noted = gemini_note_citation(choice, event);
        frames->unsaid += noted == 1;
        return noted < 0 ? noted : 0;
    }
    if (!writer->options.stream)
        return gemini_gather_event(writer, choice, event, frames);
    bool goes_on = event->kind == CANON_DELTA && event->type == BLOCK_THINKING;
    int error = goes_on ? 0 : flush_thought(writer, choice, SLICE_NONE, frames);
    if (error)
        return error;
    switch (event->kind) {
    case CANON_OPEN:
        return write_open(writer, choice, event, frames);
    case CANON_DELTA:
        return write_delta(writer, choice, event, frames);
    case CANON_CLOSE:
        return write_close(writer, choice, event, frames);
    case CANON_FINISH:
        return write_finish(writer, choice, event, frames);
    default:
        return write_native(writer, choice, event, frames);
    }
}

static int
write_event(struct gemini_writer *writer, const struct canon_event *event, struct frames *frames)
{
    if (writer->ended || writer->failed)
        return 0;
    switch (event->kind) {
    case CANON_START:
        return 0;
    case CANON_USAGE:
        canon_usage_merge(&writer->usage, &event->usage);
        writer->usage_known = true;
        return 0;
    case CANON_ERROR:
        return gemini_write_error(writer, &event->error, frames);
    case CANON_END:
        if (writer->options.stream)
            return write_end(writer, frames);
        writer->ended = true;
        return 0;
    case CANON_OPEN:
    case CANON_DELTA:
    case CANON_CLOSE:
    case CANON_FINISH:
    case CANON_CITATION:
    case CANON_NATIVE:
        return write_in_choice(writer, event, frames);
    }
    return 0;
}

int
gemini_write_events(void *writer, const struct canon_events *events, struct frames *frames)
{
    struct gemini_writer *self = writer;
    for (int i = 0; i < events->count; i++) {
        int error = write_event(self, &events->at[i], frames);
        if (error)
            return error;
    }
    return frames->error;
}
