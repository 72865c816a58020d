/* SPDX-License-Identifier: MIT
 *
 * account.c - what an exchange amounted to: folded into the worker's metrics and one access line, once.
 *
 * Never bodies, never keys: names, sizes, times and the reason of the end (R29).
 */
#include "gateway/endpoint.h"
#include "gateway/stream.h"
#include "gateway/worker.h"

static uint64_t
known(uint64_t tokens)
{
    return tokens == UINT64_MAX ? 0 : tokens;
}

static uint64_t
span(uint64_t from, uint64_t to)
{
    return from && to > from ? to - from : 0;
}

static void
log_access(const struct stream *stream)
{
    const struct stamps *at = &stream->stamps;
    bool quiet = !endpoint_is_work(stream->endpoint) && stream->status < 400;
    enum log_level level = quiet ? LOG_DEBUG1 : LOG_INFO;
    struct log_line line;
    if (!stream->generation->config->access_log || !log_on(level))
        return;
    log_begin(&line, level, "request");
    log_text(&line, "request_id", stream->request_id);
    log_text(&line, "client", stream->client ? stream->client->peer : "");
    log_word(&line, "dialect", stream->dialect->name);
    if (stream->key_index >= 0)
        log_field(&line, "key", stream->generation->config->keys[stream->key_index].name);
    if (slice_present(stream->model))
        log_field(&line, "model", stream->model);
    if (stream->deployment) {
        log_field(&line, "upstream_model", stream->upstream_model);
        log_field(&line, "upstream", stream->deployment->config->id);
        log_i64(&line, "attempts", stream->attempts);
        log_i64(&line, "upstream_status", stream->upstream_status);
    }
    log_i64(&line, "status", stream->status);
    log_word(&line, "stream", stream->streaming ? "true" : "false");
    if (at->first_byte)
        log_ms(&line, "first_byte_ms", span(at->body, at->first_byte));
    if (at->first_token)
        log_ms(&line, "first_token_ms", span(at->body, at->first_token));
    log_ms(&line, "duration_ms", span(at->begin, stream->worker->loop.now_us));
    log_i64(&line, "bytes_in", (int64_t)stream->client_in);
    log_i64(&line, "bytes_out", (int64_t)stream->client_out);
    log_i64(&line, "events", (int64_t)stream->events_out);
    log_i64(&line, "tokens_in", (int64_t)known(stream->usage.in_total));
    log_i64(&line, "tokens_out", (int64_t)known(stream->usage.out_total));
    log_i64(&line, "tokens_cached", (int64_t)known(stream->usage.cache_read));
    if (stream->stalls)
        log_ms(&line, "stalled_ms", stream->stall_us);
    if (stream->failed)
        log_text(&line, "error", err_row(stream->error.error)->code);
    log_word(&line, "end", stream_end_name(stream->end));
    log_end(&line);
}

static void
fold_model(struct stream *stream, struct metrics_model *model, uint64_t now)
{
    const struct stamps *at = &stream->stamps;
    int class = stream->status / 100;
    metrics_add(&model->requests[stream->dialect->id][class < METRICS_STATUS_CLASSES ? class : 0], 1);
    if (!stream->deployment)
        return;
    metrics_add(&model->tokens_in, known(stream->usage.in_total));
    metrics_add(&model->tokens_out, known(stream->usage.out_total));
    metrics_add(&model->tokens_cached, known(stream->usage.cache_read));
    metrics_add(&model->tokens_reasoning, known(stream->usage.reasoning));
    if (stream->usage.in_total != UINT64_MAX)
        hist_record(&model->input_tokens, &metrics_tokens, stream->usage.in_total);
    if (stream->usage.out_total != UINT64_MAX)
        hist_record(&model->output_tokens, &metrics_tokens, stream->usage.out_total);
    if (at->first_token)
        hist_record(&model->first_token, &metrics_latency, span(at->body, at->first_token));
    uint64_t tokens = known(stream->usage.out_total);
    if (tokens > 1 && at->last_token > at->first_token)
        hist_record(&model->per_token, &metrics_latency, (at->last_token - at->first_token) / (tokens - 1));
    hist_record(&model->duration, &metrics_latency, span(at->begin, now));
}

void
stream_account(struct stream *stream)
{
    struct worker *worker = stream->worker;
    struct metrics *metrics = worker->metrics;
    const struct stamps *at = &stream->stamps;
    uint64_t now = worker->loop.now_us;
    if (!at->begin) /* once per exchange */
        return;
    log_access(stream);
    metrics_sub(&metrics->streams_active, 1);
    metrics_add(&metrics->ends[stream->end], 1);
    struct metrics_model *model = metrics_model(metrics, stream->deployment ? stream->deployment->label : 0);
    if (model)
        fold_model(stream, model, now);
    if (at->first_byte)
        hist_record(&metrics->first_byte, &metrics_latency, span(at->body, at->first_byte));
    if (at->first_token)
        hist_record(&metrics->first_token, &metrics_latency, span(at->body, at->first_token));
    hist_record(&metrics->total, &metrics_latency, span(at->begin, now));
    if (at->sent) {
        uint64_t clock = stream_clock(stream);
        hist_record(&metrics->overhead, &metrics_overhead, stream->worked_us + clock - stream->run_began_us);
        stream->run_began_us = clock; /* the rest of this run belongs to the next exchange */
    }
    stream->stamps.begin = 0;
}
