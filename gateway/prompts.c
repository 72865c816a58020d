/* SPDX-License-Identifier: MIT
 *
 * prompts.c - several prompts in one request, asked one after another.
 *
 *     RELAY or COLLECT: the reply to prompt k is complete --> NEXT --> DIAL with prompt k + 1
 *
 * One writer writes all the replies; a failed try that nothing was sent of begins with the first prompt again.
 */
#include "gateway/prompts.h"
#include "base/text.h"
#include "gateway/outgoing.h"
#include "gateway/worker.h"

bool
prompts_more(const struct stream *stream)
{
    return stream->prompt + 1 < stream->prompt_count;
}

int
prompts_select(struct stream *stream, struct canon_fault *fault)
{
    struct canon_request *canon = stream->canon;
    uint32_t count = 0, number = 0;
    uint64_t n;
    for (const struct canon_stop *at = canon->prompts; at; at = at->next)
        count++;
    if (count <= 1)
        return 0;
    stream->prompt_count = count;
    stream->prompt_choices = text_u64(canon->n, &n) && n > 0 && n < 1024 ? (uint32_t)n : 1;
    if (count > PROMPTS_MAX) {
        *fault = (struct canon_fault){SLICE_LIT("too many prompts in one request (at most 128)"), SLICE_LIT("prompt")};
        return -ERR_REQUEST;
    }
    const struct canon_stop *prompt = canon->prompts;
    for (; number < stream->prompt; number++)
        prompt = prompt->next;
    struct canon_message *message = arena_take(&stream->request, sizeof *message);
    struct canon_part *part = arena_take(&stream->request, sizeof *part);
    if (!message || !part)
        return -ERR_MEMORY;
    part->kind = PART_TEXT;
    part->text = prompt->text;
    message->role = ROLE_USER;
    message->parts = part;
    canon->messages = message;
    return 0;
}

static uint64_t
sum(uint64_t a, uint64_t b)
{
    return a == UINT64_MAX ? b : b == UINT64_MAX ? a : a + b;
}

static void
add_usage(struct canon_usage *into, const struct canon_usage *from)
{
    into->in_total = sum(into->in_total, from->in_total);
    into->cache_read = sum(into->cache_read, from->cache_read);
    into->cache_write = sum(into->cache_write, from->cache_write);
    into->out_total = sum(into->out_total, from->out_total);
    into->reasoning = sum(into->reasoning, from->reasoning);
}

enum stream_event
prompts_next(struct stream *stream)
{
    struct deployment *deployment = (struct deployment *)(uintptr_t)stream->deployment;
    struct canon_fault fault = {0};
    route_report_success(deployment, stream->worker->loop.now_ms,
                         sum(sum(stream->usage.in_total, stream->usage.out_total), 0));
    if (stream->prompt == 0) { /* it outlives what only tries need */
        stream->prompt_usage = arena_take(&stream->reply, sizeof *stream->prompt_usage);
        if (!stream->prompt_usage)
            return stream_fail(stream, -ERR_MEMORY);
        *stream->prompt_usage = CANON_USAGE_UNKNOWN;
    }
    add_usage(stream->prompt_usage, &stream->usage);
    stream->usage = CANON_USAGE_UNKNOWN;
    stream_return_lease(stream);
    if (stream->streaming && stream_flush_text(stream) < 0)
        return stream_fail(stream, -ERR_MEMORY);
    stream->prompt++;
    stream->prompt_block = stream->prompt_blocks;
    stream->prompt_follows = stream->prompt_untold = true;
    int error = outgoing_body(stream, deployment, &fault);
    if (error < 0)
        return stream_fail_text(stream, error, fault.message, fault.param);
    return EVENT_NEXT;
}

void
prompts_restart(struct stream *stream)
{
    if (stream->committed || stream->prompt == 0)
        return;
    stream->prompt = stream->prompt_block = stream->prompt_blocks = 0;
    stream->prompt_follows = stream->prompt_untold = false;
    stream->usage = CANON_USAGE_UNKNOWN;
}

int
prompts_join(struct stream *stream, struct canon_events *events)
{
    if (stream->prompt_count <= 1)
        return 0;
    bool last = !prompts_more(stream), ended = false;
    uint32_t choice = stream->prompt * stream->prompt_choices;
    int kept = 0;
    stream->prompt_untold = false;
    for (int i = 0; i < events->count; i++) {
        struct canon_event event = events->at[i];
        ended = ended || event.kind == CANON_END;
        if (event.kind == CANON_USAGE || event.kind == CANON_END || (event.kind == CANON_START && stream->prompt > 0))
            continue;
        event.block += stream->prompt_block;
        event.choice += choice;
        if (event.kind == CANON_OPEN && event.block >= stream->prompt_blocks)
            stream->prompt_blocks = event.block + 1;
        events->at[kept++] = event;
    }
    events->count = kept;
    if (!ended || !last)
        return 0;
    if (stream->prompt > 0)
        add_usage(&stream->usage, stream->prompt_usage);
    struct canon_event *usage = canon_add(events, CANON_USAGE);
    if (!usage)
        return -ERR_MEMORY;
    usage->usage = stream->usage;
    return canon_add(events, CANON_END) ? 0 : -ERR_MEMORY;
}
