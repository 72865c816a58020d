/* SPDX-License-Identifier: MIT
 *
 * outgoing.c - what an upstream is asked: the body in its dialect, and a head with its key and what the client's fields
 * mean to it. A client's credentials never go along.
 */
#include "gateway/outgoing.h"
#include "base/text.h"
#include "gateway/enclose.h"
#include "gateway/prompts.h"
#include "gateway/relay.h"
#include "gateway/remember.h"
#include "gateway/shaping.h"
#include "gateway/worker.h"

#include <strings.h>

/* ---------------------------------------------------------------- body */

/* Everything of the request, for whoever writes it in other words. */
static int
read_request(struct stream *stream, struct canon_fault *fault)
{
    int error = stream->canon_read ? 0 : stream->dialect->read_request(stream->canon, fault);
    if (error < 0)
        return error;
    stream->canon_read = true;
    return prompts_select(stream, fault);
}

static int
write_translated(struct stream *stream, const struct deployment *deployment, const struct dialect_upstream *upstream,
                 struct canon_fault *fault)
{
    const struct dialect *dialect = deployment->dialect;
    const struct canon_request *request;
    int error = remember_request(stream, deployment);
    if (error >= 0)
        error = shaping_request(stream, deployment, upstream, &request);
    if (error >= 0)
        error = dialect->write_request(request, upstream, &stream->tries->out_body, &stream->tries->report, fault);
    const struct canon_report *unsaid = &stream->canon->unsaid;
    for (int i = 0; error == 0 && i < unsaid->count; i++)
        canon_drop(&stream->tries->report, unsaid->dropped[i]);
    return error;
}

static int
pass_on(struct stream *stream, const struct dialect *dialect, const struct dialect_upstream *upstream,
        struct canon_fault *fault)
{
    int error = dialect->check_pass ? dialect->check_pass(stream->canon, upstream, fault) : 0;
    if (error == 0 && upstream->replay_reasoning && stream->canon_read)
        error = remember_request(stream, stream->deployment);
    const struct canon_request *request = stream->canon;
    if (error >= 0 && shaping_wanted(stream->deployment, upstream))
        error = shaping_pass(stream, stream->deployment, upstream, fault, &request);
    if (error < 0)
        return error;
    if (!log_on(LOG_DEBUG3)) /* which shows a body that is one run */
        stream->canon->kept = &stream->tries->kept;
    error = dialect->pass_request(request, upstream, &stream->tries->out_body);
    stream->canon->kept = NULL;
    return error;
}

size_t
outgoing_length(const struct stream_tries *tries)
{
    return tries->out_body.len + tries->kept.bytes;
}

size_t
outgoing_runs(struct stream_tries *tries)
{
    struct slice written = sink_slice(&tries->out_body);
    size_t count = 0, from = 0;
    for (size_t i = 0; i < tries->kept.count; i++) {
        size_t at = tries->kept.runs[i].at;
        tries->out_runs[count++] = slice_of(written.ptr + from, at - from);
        tries->out_runs[count++] = tries->kept.runs[i].run;
        from = at;
    }
    tries->out_runs[count++] = slice_skip(written, from);
    assert(count <= countof(tries->out_runs));
    return count;
}

int
outgoing_body(struct stream *stream, struct deployment *deployment, struct canon_fault *fault)
{
    const struct dialect *dialect = deployment->dialect;
    struct dialect_upstream upstream = deployment->upstream;
    upstream.model = route_model(&stream->tries->route, deployment, &stream->request);
    if (!slice_present(upstream.model))
        return -ERR_MEMORY;
    if (dialect->id == DIALECT_GEMINI && stream->endpoint != ENDPOINT_RELAY)
        upstream.grounding = dialect_grounding(stream->canon, http_field(stream->head, "x-enable-grounding"), upstream.grounding);
    stream->upstream_model = arena_copy(&stream->reply, upstream.model);
    sink_reset(&stream->tries->out_body, 65536);
    stream->tries->kept.count = stream->tries->kept.bytes = 0;
    stream->tries->report.count = 0;
    stream->truncated_messages = stream->truncated_tokens = 0;
    stream->same_dialect = dialect == stream->dialect;
    int error = 0;
    if (stream->endpoint == ENDPOINT_RELAY) {
        error = relay_write_body(stream, deployment, fault);
    } else {
        bool shaped = stream->endpoint != ENDPOINT_COUNT_TOKENS && shaping_wanted(deployment, &upstream);
        if (!stream->same_dialect || shaped || (stream->endpoint == ENDPOINT_CHAT && (upstream.strict_turns || upstream.replay_reasoning)))
            error = read_request(stream, fault);
        if (error < 0)
            return error;
        if (stream->endpoint == ENDPOINT_COUNT_TOKENS)
            error = dialect->write_count(stream->canon, &upstream, &stream->tries->out_body, &stream->tries->report, fault);
        else if (stream->same_dialect)
            error = pass_on(stream, dialect, &upstream, fault);
        else if ((error = enclose(stream, deployment, fault)) == 0)
            error = write_translated(stream, deployment, &upstream, fault);
    }
    if (error == 0 && stream->tries->out_body.error)
        error = -ERR_BODY_LIMIT;
    if (error == 0 && stream->endpoint != ENDPOINT_COUNT_TOKENS)
        error = shaping_refuses(stream, deployment, fault);
    metrics_add(&stream->worker->metrics->dropped_fields, (uint64_t)stream->tries->report.count);
    return error;
}

bool
outgoing_wants_stream(const struct stream *stream)
{
    return stream->endpoint != ENDPOINT_COUNT_TOKENS && (stream->streaming || !stream->same_dialect);
}

/* ---------------------------------------------------------------- head */

static bool
begins(struct slice name, const char *prefix)
{
    struct slice wanted = slice_from(prefix);
    return name.len > wanted.len && text_caseless_eq(slice_take(name, wanted.len), wanted);
}

static bool
is_openai(enum dialect_id id)
{
    return id == DIALECT_OPENAI_CHAT || id == DIALECT_OPENAI_RESPONSES || id == DIALECT_OPENAI_TEXT;
}

/* A name that says that its value opens something, or who pays. */
static bool
is_credential(struct slice name)
{
    static const char *const parts[] = {"key", "token", "auth", "secret", "cookie", "user-project"};
    for (size_t i = 0; i < countof(parts); i++) {
        if (text_find_caseless(name, slice_from(parts[i])) >= 0)
            return true;
    }
    return false;
}

/* Does this field of the client's mean something to this upstream (R66, R140)? */
static bool
is_forwarded(const struct stream *stream, struct slice name)
{
    const struct deployment *deployment = stream->deployment;
    enum dialect_id client = stream->dialect->id, upstream = deployment->dialect->id;
    if (begins(name, "anthropic-") && upstream == DIALECT_ANTHROPIC && client == DIALECT_ANTHROPIC)
        return deployment->upstream.surface != SURFACE_VERTEX ||
               (text_caseless_is(name, "anthropic-beta") && stream->endpoint != ENDPOINT_COUNT_TOKENS);
    if (begins(name, "openai-"))
        return is_openai(client) && is_openai(upstream);
    if (begins(name, "x-goog-"))
        return client == DIALECT_GEMINI && upstream == DIALECT_GEMINI && !is_credential(name);
    return begins(name, "x-openclaw-") && slice_is(deployment->config->provider, "openclaw") && !is_credential(name);
}

static void
forward_fields(struct stream *stream, struct sink *out)
{
    struct slice betas = stream->deployment->upstream.betas;
    struct sink kept;
    sink_init(&kept, 65536);
    for (size_t i = 0; i < stream->head->field_count; i++) {
        const struct http_field *field = &stream->head->fields[i];
        struct slice value = field->value;
        if (!is_forwarded(stream, field->name) || http_is_hop_by_hop(stream->head, field->name))
            continue;
        if (slice_present(betas) && text_caseless_is(field->name, "anthropic-beta")) {
            sink_reset(&kept, 65536);
            if (anthropic_filter_betas(value, betas, &kept) == 0)
                continue; /* nothing of it is known there */
            sink_carry(out, &kept);
            value = sink_slice(&kept);
        }
        sink_put(out, field->name);
        sink_text(out, ": ");
        sink_put(out, value);
        sink_text(out, "\r\n");
    }
    sink_fini(&kept);
}

/* The target, and the fields that say what goes there and what is to come back. */
static void
put_target(struct stream *stream, const struct dialect_upstream *upstream, struct sink *out)
{
    const struct dialect *dialect = stream->deployment->dialect;
    struct sink target;
    bool relay = stream->endpoint == ENDPOINT_RELAY, streams = outgoing_wants_stream(stream);
    sink_init(&target, 65536);
    if (relay)
        relay_put_target(stream, upstream, &target);
    else if (stream->endpoint == ENDPOINT_COUNT_TOKENS)
        dialect->put_count_target(&target, upstream);
    else
        dialect->put_target(&target, upstream, streams);
    sink_carry(out, &target);
    http_put_request_line(out, relay ? relay_method(stream) : "POST", sink_slice(&target));
    sink_fini(&target);
    http_put_field(out, "Host", stream->deployment->config->host_header);
    http_put_field(out, "User-Agent", SLICE_LIT("penstock/" PENSTOCK_VERSION));
    if (relay) {
        relay_put_fields(stream, out);
        return;
    }
    http_put_field(out, "Content-Type", SLICE_LIT("application/json"));
    http_put_field(out, "Accept", streams ? SLICE_LIT("text/event-stream, application/json") : SLICE_LIT("application/json"));
}

void
outgoing_head(struct stream *stream, struct sink *out)
{
    const struct deployment *deployment = stream->deployment;
    const struct dialect *dialect = deployment->dialect;
    struct worker *worker = stream->worker;
    sink_reset(out, 65536);
    arena_reset(&worker->scratch);
    struct dialect_upstream upstream = deployment->upstream;
    upstream.model = stream->upstream_model;
    if (slice_present(stream->token))
        upstream.api_key = stream->token;
    put_target(stream, &upstream, out);
    http_put_field(out, "Accept-Encoding", SLICE_LIT("identity"));
    http_put_field(out, "X-Request-Id", slice_from(stream->request_id));
    struct dialect_field fields[4];
    int count = dialect->fields(&upstream, &worker->scratch, fields);
    for (int i = 0; i < count; i++) {
        /* A version the client chose is forwarded in place of the dialect's default. */
        bool chosen = stream->same_dialect && strncasecmp(fields[i].name, "anthropic-", 10) == 0 &&
                      slice_present(http_field(stream->head, fields[i].name)) &&
                      is_forwarded(stream, slice_from(fields[i].name));
        if (!chosen)
            http_put_field(out, fields[i].name, fields[i].value);
    }
    forward_fields(stream, out);
    for (uint32_t i = 0; i < deployment->config->header_count; i++) {
        sink_put(out, deployment->config->headers[2 * i]);
        sink_text(out, ": ");
        sink_put(out, deployment->config->headers[2 * i + 1]);
        sink_text(out, "\r\n");
    }
    if (stream->endpoint != ENDPOINT_RELAY || outgoing_length(stream->tries) > 0 || stream->head->method == HTTP_POST)
        http_put_field_u64(out, "Content-Length", outgoing_length(stream->tries));
    http_put_end_of_head(out);
}
