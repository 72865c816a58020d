/* SPDX-License-Identifier: MIT
 *
 * detail.c - what may be seen of other people's words.
 *
 * Upstreams do repeat keys in their errors, and some headers; they must not reach clients or logs by that way.
 */
#include "gateway/detail.h"

#include "base/text.h"

#define SECRET_LEAST_BYTES 8u /* shorter ones are words of the language */
#define SECRET_MOST_BYTES 1024u
#define SHOWN_BYTES 2048u

static void
blot(struct slice words, struct slice secret)
{
    if (!slice_present(secret) || secret.len < SECRET_LEAST_BYTES)
        return;
    const char *end = words.ptr + words.len, *at = words.ptr;
    while ((at = memmem(at, (size_t)(end - at), secret.ptr, secret.len)) != NULL) {
        memset((char *)(uintptr_t)at, '*', secret.len);
        at += secret.len;
    }
}

/* Is this configured field one that carries a secret? */
static bool
is_secret(struct slice name)
{
    static const char *const parts[] = {"auth", "key", "token", "secret", "cookie"};
    for (size_t i = 0; i < countof(parts); i++) {
        if (text_find_caseless(name, slice_from(parts[i])) >= 0)
            return true;
    }
    return false;
}

void
detail_blot(const struct stream *stream, struct slice words)
{
    if (!stream->deployment || words.len == 0)
        return;
    const struct config_deployment *config = stream->deployment->config;
    blot(words, config->api_key);
    blot(words, stream->token);
    for (uint32_t i = 0; i < config->header_count; i++) {
        struct slice value = config->headers[2 * i + 1];
        if (!is_secret(config->headers[2 * i]))
            continue;
        if (value.len > 7 && text_caseless_eq(slice_take(value, 7), SLICE_LIT("bearer ")))
            value = text_trim(slice_skip(value, 7));
        blot(words, value);
    }
}

void
detail_bytes(const struct stream *stream, const char *what, struct slice bytes)
{
    struct log_line line;
    char copy[SHOWN_BYTES + SECRET_MOST_BYTES]; /* a secret that is cut by the end of what is shown is whole in here */
    if (!log_on(LOG_DEBUG3))
        return;
    struct slice part = slice_take(bytes, sizeof copy);
    if (part.len > 0)
        memcpy(copy, part.ptr, part.len);
    detail_blot(stream, slice_of(copy, part.len));
    log_begin(&line, LOG_DEBUG3, what);
    log_text(&line, "request_id", stream->request_id);
    log_i64(&line, "bytes", (int64_t)bytes.len);
    log_field(&line, "data", slice_take(slice_of(copy, part.len), SHOWN_BYTES));
    log_end(&line);
}

void
detail_calls(const struct stream *stream, const struct canon_events *events)
{
    struct log_line line;
    if (!log_on(LOG_DEBUG3))
        return;
    for (int i = 0; i < events->count; i++) {
        const struct canon_event *event = &events->at[i];
        if (event->kind != CANON_OPEN || event->type != BLOCK_CALL)
            continue;
        log_begin(&line, LOG_DEBUG3, "tool call");
        log_text(&line, "request_id", stream->request_id);
        log_i64(&line, "block", (int64_t)event->block);
        log_field(&line, "id", event->id);
        log_field(&line, "name", event->name);
        log_end(&line);
    }
}
