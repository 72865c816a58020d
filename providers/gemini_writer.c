/* SPDX-License-Identifier: MIT
 *
 * gemini_writer.c - the life of a writer of Gemini replies, and the pieces that chunks and whole
 * replies share.
 */
#include "providers/gemini.h"

/* ---------------------------------------------------------------- life */

int
gemini_writer_init(void *writer, const struct dialect_writer_options *options, struct arena *arena)
{
    struct gemini_writer *self = writer;
    *self =
        (struct gemini_writer){.options = *options, .arena = arena, .usage = CANON_USAGE_UNKNOWN};
    struct slice model = canon_escape(options->model, arena);
    self->tail = arena_printf(arena, ",\"modelVersion\":\"%.*s\",\"responseId\":\"%.*s\"}",
                              SLICE_ARG(model), SLICE_ARG(options->id));
    self->hide_thoughts = options->request && options->request->show_thoughts == 0;
    if (!slice_present(model) || !slice_present(self->tail))
        return -ERR_MEMORY;
    return canon_keep_names(options->request, arena, &self->options.request);
}

void
gemini_writer_fini(void *writer)
{
    struct gemini_writer *self = writer;
    for (struct gemini_write_choice *at = self->choices; at; at = at->next) {
        for (struct gemini_write_call *call = at->calls; call; call = call->next)
            sink_fini(&call->arguments);
        gemini_offsets_fini(&at->offsets);
        sink_fini(&at->thought);
        sink_fini(&at->grounding);
        sink_fini(&at->sources);
        sink_fini(&at->supports);
        sink_fini(&at->source_hashes);
        sink_fini(&at->parts);
        sink_fini(&at->chosen);
        sink_fini(&at->top);
    }
    self->choices = NULL;
}

struct gemini_write_choice *
gemini_writer_choice(struct gemini_writer *writer, uint32_t index)
{
    struct gemini_write_choice **link = &writer->choices;
    for (; *link; link = &(*link)->next)
        if ((*link)->index == index)
            return *link;
    struct gemini_write_choice *choice = arena_take(writer->arena, sizeof(*choice));
    if (!choice)
        return NULL;
    choice->index = index;
    gemini_offsets_init(&choice->offsets);
    sink_init(&choice->thought, GEMINI_WHOLE_MAX);
    sink_init(&choice->grounding, GEMINI_METADATA_MAX);
    sink_init(&choice->sources, GEMINI_METADATA_MAX);
    sink_init(&choice->supports, GEMINI_METADATA_MAX);
    sink_init(&choice->source_hashes, GEMINI_METADATA_MAX);
    sink_init(&choice->parts, GEMINI_WHOLE_MAX);
    sink_init(&choice->chosen, GEMINI_WHOLE_MAX);
    sink_init(&choice->top, GEMINI_WHOLE_MAX);
    *link = choice;
    return choice;
}

/* ---------------------------------------------------------------- out of turn */

int
gemini_write_start(void *writer, struct frames *frames)
{
    (void)writer; /* nothing has to come first */
    return frames->error;
}

void
gemini_write_ping(void *writer, struct frames *frames)
{
    /*
     * Nothing is safe: Google's Python, Go and older JavaScript libraries fail on a comment line,
     * the newer JavaScript one loses the event behind it, the older one fails on a line end too
     * many, and a chunk without text becomes part of the conversation.
     */
    (void)writer;
    (void)frames;
}

int
gemini_write_error(void *writer, const struct canon_error *error, struct frames *frames)
{
    struct gemini_writer *self = writer;
    if (self->ended || self->failed)
        return 0;
    int failed = self->options.stream ? gemini_flush_thoughts(self, frames) : 0;
    self->failed = true;
    if (failed || !self->options.stream)
        return failed;
    frame_begin(frames, FRAME_EVENT, NULL);
    gemini_error_body(error, SLICE_NONE, &frames->bytes);
    frame_end(frames);
    return frames->error;
}

/* ---------------------------------------------------------------- pieces */

static uint64_t
known_or_zero(uint64_t count)
{
    return count == UINT64_MAX ? 0 : count;
}

/* What is 0 is left out, as protobuf does; the total alone is always there. */
static void
put_count(struct sink *out, const char *name, uint64_t count)
{
    if (count == 0)
        return;
    sink_text(out, name);
    sink_u64(out, count);
    sink_byte(out, ',');
}

void
gemini_put_usage(const struct gemini_writer *writer, struct sink *out)
{
    if (!writer->usage_known)
        return;
    uint64_t in = known_or_zero(writer->usage.in_total),
             made = known_or_zero(writer->usage.out_total);
    uint64_t thoughts = known_or_zero(writer->usage.reasoning);
    thoughts = thoughts < made ? thoughts : made;
    sink_text(out, ",\"usageMetadata\":{");
    put_count(out, "\"promptTokenCount\":", in);
    put_count(out, "\"cachedContentTokenCount\":", known_or_zero(writer->usage.cache_read));
    put_count(out, "\"candidatesTokenCount\":", made - thoughts);
    put_count(out, "\"thoughtsTokenCount\":", thoughts);
    sink_text(out, "\"totalTokenCount\":");
    sink_u64(out, in + made);
    sink_byte(out, '}');
}

void
gemini_put_text(struct sink *out, struct slice text, bool thought, struct slice signature)
{
    sink_put(out, SLICE_LIT("{\"text\":\""));
    sink_put(out, text);
    sink_byte(out, '"');
    if (thought)
        sink_put(out, SLICE_LIT(",\"thought\":true"));
    if (slice_present(signature)) {
        sink_put(out, SLICE_LIT(",\"thoughtSignature\":\""));
        sink_put(out, signature);
        sink_byte(out, '"');
    }
    sink_byte(out, '}');
}

static void
put_logprob(const struct canon_logprob *one, struct sink *out)
{
    sink_text(out, "{\"token\":\"");
    sink_put(out, one->token);
    sink_text(out, "\",\"logProbability\":");
    sink_put(out, one->logprob);
    sink_byte(out, '}');
}

void
gemini_put_logprobs(const struct canon_logprob *logprobs, struct sink *chosen, struct sink *top)
{
    for (const struct canon_logprob *at = logprobs; at; at = at->next) {
        if (chosen->len > 0)
            sink_byte(chosen, ',');
        put_logprob(at, chosen);
        if (top->len > 0)
            sink_byte(top, ',');
        sink_text(top, "{\"candidates\":[");
        for (const struct canon_logprob *other = at->top; other; other = other->next) {
            put_logprob(other, top);
            if (other->next)
                sink_byte(top, ',');
        }
        sink_text(top, "]}");
    }
}

int
gemini_outgoing_state(struct gemini_writer *writer, const struct canon_event *event,
                      struct frames *frames, struct slice *state)
{
    bool redacted = event->kind == CANON_OPEN;
    struct slice inner = redacted ? event->data : event->signature;
    *state = SLICE_NONE;
    if (inner.len == 0)
        return 0;
    if (event->origin == ORIGIN_NONE) { /* it could go back to nobody */
        frames->unsaid++;
        return 0;
    }
    *state = gemini_wrap(event->origin, redacted, inner, writer->arena);
    return slice_present(*state) ? 0 : -ERR_MEMORY;
}

int
gemini_note_image(struct gemini_writer *writer, struct gemini_write_choice *choice,
                  const struct canon_event *event)
{
    choice->image_type = arena_copy(writer->arena, event->name);
    return slice_present(choice->image_type) ? 0 : -ERR_MEMORY;
}

void
gemini_put_image(struct sink *out, struct slice type, struct slice base64, struct slice signature)
{
    sink_text(out, "{\"inlineData\":{\"mimeType\":\"");
    sink_put(out, type);
    sink_text(out, "\",\"data\":\"");
    sink_put(out, base64);
    sink_text(out, "\"}");
    if (slice_present(signature)) {
        sink_text(out, ",\"thoughtSignature\":\"");
        sink_put(out, signature);
        sink_byte(out, '"');
    }
    sink_byte(out, '}');
}

void
gemini_put_native(struct slice native, struct sink *out)
{
    if (memchr(native.ptr, '\n', native.len) || memchr(native.ptr, '\r', native.len))
        gemini_put_compact(native, out);
    else
        sink_put(out, native);
}

int
gemini_keep_native(struct slice native, struct sink *kept)
{
    sink_reset(kept, 65536);
    gemini_put_native(native, kept);
    return kept->error;
}

static void
put_grounding(const struct gemini_write_choice *choice, struct sink *out)
{
    if (choice->grounding.len > 0) {
        sink_text(out, ",\"groundingMetadata\":");
        sink_join(out, &choice->grounding);
    } else if (choice->source_count > 0) {
        sink_text(out, ",\"groundingMetadata\":{\"groundingChunks\":[");
        sink_join(out, &choice->sources);
        sink_text(out, "],\"groundingSupports\":[");
        sink_join(out, &choice->supports);
        sink_text(out, "]}");
    }
}

void
gemini_put_candidate_end(const struct gemini_write_choice *choice, struct sink *out)
{
    sink_text(out, ",\"finishReason\":\"");
    sink_text(out, gemini_finish_word(choice->finish));
    sink_text(out, "\",\"index\":");
    sink_u64(out, choice->index);
    put_grounding(choice, out);
    if (choice->chosen.len > 0) {
        sink_text(out, ",\"logprobsResult\":{\"chosenCandidates\":[");
        sink_join(out, &choice->chosen);
        sink_text(out, "],\"topCandidates\":[");
        sink_join(out, &choice->top);
        sink_text(out, "]}");
    }
}
