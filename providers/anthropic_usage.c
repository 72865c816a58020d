/* SPDX-License-Identifier: MIT
 *
 * anthropic_usage.c - the counters of a reply, read and written.
 *
 * Here input_tokens is what came from no cache; elsewhere the input is all of it
 * (wire-formats 12.2). What message_delta says replaces what message_start said (P60), and the
 * input is told in both (P57).
 */
#include "providers/anthropic.h"

/* ---------------------------------------------------------------- reading */

static uint64_t
known_or_zero(uint64_t count)
{
    return count == UINT64_MAX ? 0 : count;
}

int
anthropic_read_usage(struct anthropic_usage *seen, struct json usage, struct canon_events *events)
{
    if (json_type(usage) != JSON_OBJECT)
        return 0;
    seen->input = json_u64_or(json_get(usage, "input_tokens"), seen->input);
    seen->cache_read = json_u64_or(json_get(usage, "cache_read_input_tokens"), seen->cache_read);
    seen->cache_write =
        json_u64_or(json_get(usage, "cache_creation_input_tokens"), seen->cache_write);
    struct canon_event *event = canon_add(events, CANON_USAGE);
    if (!event)
        return -ERR_MEMORY;
    struct canon_usage *out = &event->usage;
    if (seen->input != UINT64_MAX)
        out->in_total =
            seen->input + known_or_zero(seen->cache_read) + known_or_zero(seen->cache_write);
    out->cache_read = seen->cache_read;
    out->cache_write = seen->cache_write;
    out->out_total = json_u64_or(json_get(usage, "output_tokens"), UINT64_MAX);
    struct json details = json_get(usage, "output_tokens_details");
    out->reasoning = json_u64_or(json_get(details, "thinking_tokens"), UINT64_MAX);
    return 0;
}

/* ---------------------------------------------------------------- writing */

static void
put_counter(struct sink *out, const char *name, uint64_t count)
{
    sink_text(out, name);
    sink_u64(out, count == UINT64_MAX ? 0 : count);
}

struct anthropic_usage
anthropic_input_usage(const struct anthropic_writer *writer)
{
    const struct canon_usage *usage = &writer->usage;
    uint64_t input =
        usage->in_total == UINT64_MAX ? writer->options.input_estimate : usage->in_total;
    uint64_t read = usage->cache_read == UINT64_MAX ? 0 : usage->cache_read;
    uint64_t write = usage->cache_write == UINT64_MAX ? 0 : usage->cache_write;
    input = input > read ? input - read : 0;
    input = input > write ? input - write : 0;
    return (struct anthropic_usage){input, read, write};
}

void
anthropic_put_usage(const struct anthropic_writer *writer, struct sink *out)
{
    const struct canon_usage *usage = &writer->usage;
    struct anthropic_usage in = anthropic_input_usage(writer);
    put_counter(out, "{\"input_tokens\":", in.input);
    put_counter(out, ",\"cache_creation_input_tokens\":", in.cache_write);
    put_counter(out, ",\"cache_read_input_tokens\":", in.cache_read);
    put_counter(out, ",\"output_tokens\":", usage->out_total);
    if (usage->reasoning != UINT64_MAX) {
        put_counter(out, ",\"output_tokens_details\":{\"thinking_tokens\":", usage->reasoning);
        sink_byte(out, '}');
    }
    sink_byte(out, '}');
}
