/* SPDX-License-Identifier: MIT
 *
 * openai_chat_usage.c - token counts as Chat Completions servers spell them, and as we do.
 */
#include "providers/openai_chat.h"

static uint64_t
first_known(uint64_t a, uint64_t b)
{
    return a != UINT64_MAX ? a : b;
}

static uint64_t
counter(struct json object, const char *name)
{
    return json_u64_or(json_get(object, name), UINT64_MAX);
}

/*
 * completion_tokens should include what was thought. xAI leaves it out, and so does Gemini's
 * compatible endpoint; the total gives them away. Sums of numbers from outside may wrap: they are
 * compared without being trusted.
 */
static uint64_t
all_output(uint64_t in, uint64_t out, uint64_t reasoning, uint64_t total)
{
    if (in == UINT64_MAX || out == UINT64_MAX || total == UINT64_MAX || in > total ||
        out > total - in)
        return out;
    uint64_t rest = total - in - out;
    if (rest == 0 || (reasoning != UINT64_MAX && rest != reasoning))
        return out;
    return out + rest;
}

bool
chat_read_usage(struct json usage, struct canon_usage *out)
{
    if (json_type(usage) != JSON_OBJECT)
        return false;
    struct json in = json_get(usage, "prompt_tokens_details");
    struct json made = json_get(usage, "completion_tokens_details");
    uint64_t completion = counter(usage, "completion_tokens");
    *out = CANON_USAGE_UNKNOWN;
    out->in_total = counter(usage, "prompt_tokens");
    out->cache_read = first_known(
        counter(in, "cached_tokens"),
        first_known(counter(usage, "prompt_cache_hit_tokens"), counter(usage, "cached_tokens")));
    out->cache_write = first_known(counter(in, "cache_write_tokens"),
                                   first_known(counter(in, "cache_creation_tokens"),
                                               counter(usage, "cache_creation_input_tokens")));
    out->reasoning =
        first_known(counter(made, "reasoning_tokens"), counter(usage, "reasoning_tokens"));
    out->out_total =
        all_output(out->in_total, completion, out->reasoning, counter(usage, "total_tokens"));
    return out->in_total != UINT64_MAX || out->out_total != UINT64_MAX;
}

static uint64_t
or_zero(uint64_t value)
{
    return value == UINT64_MAX ? 0 : value;
}

void
chat_put_usage(struct sink *out, const struct canon_usage *usage)
{
    uint64_t in = or_zero(usage->in_total), made = or_zero(usage->out_total);
    sink_text(out, "{\"prompt_tokens\":");
    sink_u64(out, in);
    sink_text(out, ",\"completion_tokens\":");
    sink_u64(out, made);
    sink_text(out, ",\"total_tokens\":");
    sink_u64(out, in + made);
    sink_text(out, ",\"prompt_tokens_details\":{\"cached_tokens\":");
    sink_u64(out, or_zero(usage->cache_read));
    if (or_zero(usage->cache_write) > 0) {
        sink_text(out, ",\"cache_write_tokens\":");
        sink_u64(out, usage->cache_write);
    }
    sink_text(out, "},\"completion_tokens_details\":{\"reasoning_tokens\":");
    sink_u64(out, or_zero(usage->reasoning));
    sink_text(out, "}}");
}
