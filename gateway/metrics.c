/* SPDX-License-Identifier: MIT
 *
 * metrics.c - a worker's counters, and the Prometheus text that sums all workers.
 *
 * Exposition is written straight from the declarations in metrics.def and the families below; a family without a
 * sample is still announced, so that a scrape always knows it.
 */
#include "gateway/metrics.h"
#include "gateway/credential.h"
#include "gateway/recall.h"
#include "gateway/tape.h"
#include "gateway/worker.h"

#include <dirent.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Microseconds; printed as seconds. */
const struct hist_shape metrics_latency = {
    18, {1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000,
         10000000, 25000000, 60000000, 120000000, 300000000, 600000000}};
const struct hist_shape metrics_overhead = {
    16, {5, 10, 20, 35, 50, 75, 100, 150, 250, 500, 1000, 2500, 5000, 10000, 50000, 250000}};
const struct hist_shape metrics_size = {
    12, {16, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 65536, 262144}};
/* The buckets that OpenTelemetry's GenAI conventions advise for gen_ai.client.token.usage. */
const struct hist_shape metrics_tokens = {
    14, {1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864}};

struct label_row {
    char *model, *provider, *id; /* escaped for label values */
};

/* Append-only while the process lives; written by the main thread, count published last. */
static struct label_row labels[METRICS_LABELS_MAX];
static _Atomic int label_count = 1;

static char *
escape_label(struct slice text)
{
    char *out = malloc(text.len * 2 + 1), *at = out;
    if (!out)
        return NULL;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '\\' || c == '"' || c == '\n')
            *at++ = '\\';
        *at++ = c == '\n' ? 'n' : c;
    }
    *at = '\0';
    return out;
}

int
metrics_label(struct slice model_name, struct slice provider, struct slice id)
{
    int count = atomic_load_explicit(&label_count, memory_order_acquire);
    struct label_row row = {escape_label(model_name), escape_label(provider), escape_label(id)};
    int found = 0;
    if (row.model && row.provider && row.id) {
        for (int i = 1; i < count && !found; i++) {
            if (strcmp(labels[i].model, row.model) == 0 && strcmp(labels[i].provider, row.provider) == 0 &&
                strcmp(labels[i].id, row.id) == 0)
                found = i;
        }
        if (!found && count < METRICS_LABELS_MAX) {
            labels[count] = row;
            atomic_store_explicit(&label_count, count + 1, memory_order_release);
            return count;
        }
    }
    free(row.model);
    free(row.provider);
    free(row.id);
    return found;
}

struct metrics *
metrics_new(void)
{
    return calloc(1, sizeof(struct metrics));
}

void
metrics_free(struct metrics *metrics)
{
    if (!metrics)
        return;
    for (int i = 0; i < METRICS_LABELS_MAX; i++)
        free((void *)metrics->models[i]);
    free(metrics);
}

struct metrics_model *
metrics_model(struct metrics *metrics, int label)
{
    assert(label >= 0 && label < METRICS_LABELS_MAX);
    struct metrics_model *model = atomic_load_explicit(&metrics->models[label], memory_order_relaxed);
    if (!model) {
        model = calloc(1, sizeof *model);
        atomic_store_explicit(&metrics->models[label], model, memory_order_release);
    }
    return model;
}

/* ---------------------------------------------------------------- exposition */

static uint64_t
load(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void
announce(struct sink *out, const char *name, const char *type, const char *help)
{
    sink_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* One histogram's samples. labels: "" or "a=\"b\"". scale divides recorded values (1e6: microseconds to seconds). */
static void
put_hist(struct sink *out, const char *name, const char *labels_text, const struct hist *hist,
         const struct hist_shape *shape, double scale)
{
    uint64_t below = 0;
    const char *comma = *labels_text ? "," : "";
    for (int i = 0; i < shape->count; i++) {
        below += load(&hist->counts[i]);
        sink_printf(out, "%s_bucket{%s%sle=\"%.10g\"} %llu\n", name, labels_text, comma,
                    (double)shape->bounds[i] / scale, (unsigned long long)below);
    }
    below += load(&hist->counts[shape->count]);
    sink_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", name, labels_text, comma, (unsigned long long)below);
    const char *open = *labels_text ? "{" : "", *close = *labels_text ? "}" : "";
    sink_printf(out, "%s_sum%s%s%s %.10g\n", name, open, labels_text, close, (double)load(&hist->sum) / scale);
    sink_printf(out, "%s_count%s%s%s %llu\n", name, open, labels_text, close, (unsigned long long)below);
}

static double
scale_of(const struct hist_shape *shape)
{
    return shape == &metrics_size || shape == &metrics_tokens ? 1 : 1e6;
}

static void
expose_plain(const struct metrics *sum, struct sink *out)
{
#define COUNTER(field, name, help)                                                                 \
    announce(out, name, "counter", help);                                                          \
    sink_printf(out, name " %llu\n", (unsigned long long)load(&sum->field));
#define SECONDS(field, name, help)                                                                 \
    announce(out, name, "counter", help);                                                          \
    sink_printf(out, name " %.6f\n", (double)load(&sum->field) / 1e6);
#define GAUGE(field, name, help)                                                                   \
    announce(out, name, "gauge", help);                                                            \
    sink_printf(out, name " %llu\n", (unsigned long long)load(&sum->field));
#define HIST(field, shape, name, help)                                                             \
    announce(out, name, "histogram", help);                                                        \
    put_hist(out, name, "", &sum->field, &metrics_##shape, scale_of(&metrics_##shape));
#include "gateway/metrics.def"
#undef COUNTER
#undef SECONDS
#undef GAUGE
#undef HIST
    announce(out, "penstock_longest_stall_seconds", "gauge", "Longest pause for a slow client since the start");
    sink_printf(out, "penstock_longest_stall_seconds %.6f\n", (double)load(&sum->longest_stall_us) / 1e6);
}

static void
expose_tables(const struct metrics *sum, struct sink *out)
{
    announce(out, "penstock_transitions_total", "counter", "Transitions of the stream table");
    for (int from = 0; from < STATE_COUNT; from++) {
        for (int event = 0; event < EVENT_COUNT; event++) {
            if (stream_next((enum stream_state)from, (enum stream_event)event, NULL) != STATE_COUNT)
                sink_printf(out, "penstock_transitions_total{from=\"%s\",event=\"%s\"} %llu\n",
                            stream_state_name((enum stream_state)from), stream_event_name((enum stream_event)event),
                            (unsigned long long)load(&sum->transitions[from][event]));
        }
    }
    announce(out, "penstock_stream_ends_total", "counter", "Exchanges by the reason of their end");
    for (int i = 0; i < END_COUNT; i++)
        sink_printf(out, "penstock_stream_ends_total{reason=\"%s\"} %llu\n", stream_end_name((enum stream_end)i),
                    (unsigned long long)load(&sum->ends[i]));
    announce(out, "penstock_client_disconnects_total", "counter", "Clients that went away, by the phase they left in");
    for (int i = 0; i < STATE_COUNT; i++)
        sink_printf(out, "penstock_client_disconnects_total{phase=\"%s\"} %llu\n", stream_state_name((enum stream_state)i),
                    (unsigned long long)load(&sum->disconnects[i]));
    announce(out, "penstock_protocol_violations_total", "counter", "Flaws of upstream streams, repaired or turned into errors");
    for (int i = FLAW_NONE + 1; i < FLAW_COUNT; i++)
        sink_printf(out, "penstock_protocol_violations_total{kind=\"%s\"} %llu\n", canon_flaw_name((enum canon_flaw)i),
                    (unsigned long long)load(&sum->flaws[i]));
    announce(out, "penstock_errors_total", "counter", "Exchanges that failed, by error");
    for (int i = 1; i < ERR_COUNT; i++) {
        sink_printf(out, "penstock_errors_total{error=\"%s\",code=\"%s\"} %llu\n", err_row(i)->name, err_row(i)->code,
                    (unsigned long long)load(&sum->errors[i]));
    }
}

/* The two halves of one label's samples: all plain counters of a family stand together, as the format asks. */
struct model_family {
    const char *name, *help;
    size_t offset;
};
#define FAMILY(field, name, help) {name, help, offsetof(struct metrics_model, field)}
static const struct model_family model_counters[] = {
    FAMILY(attempts, "penstock_upstream_attempts_total", "Tries sent to an upstream"),
    FAMILY(failures, "penstock_upstream_failures_total", "Tries that an upstream failed"),
    FAMILY(tokens_in, "penstock_input_tokens_total", "Prompt tokens as reported by upstreams"),
    FAMILY(tokens_out, "penstock_output_tokens_total", "Generated tokens as reported by upstreams"),
    FAMILY(tokens_cached, "penstock_cached_tokens_total", "Prompt tokens that upstreams read from their caches"),
    FAMILY(tokens_reasoning, "penstock_reasoning_tokens_total", "Generated tokens that were reasoning"),
};
static const struct model_family model_hists[] = {
    FAMILY(first_token, "gen_ai_server_time_to_first_token", "Time to first token in seconds"),
    FAMILY(per_token, "gen_ai_server_time_per_output_token", "Time per output token after the first in seconds"),
    FAMILY(duration, "gen_ai_server_request_duration", "Request duration in seconds"),
};
#undef FAMILY

/* A group may have several upstreams of one provider: only with the upstream's name is a series there once. */
static const char *
model_labels(struct sink *text, int label, const char *token_type)
{
    sink_reset(text, 4096);
    sink_printf(text, "gen_ai_request_model=\"%s\",gen_ai_provider_name=\"%s\",upstream=\"%s\"", labels[label].model,
                labels[label].provider, labels[label].id);
    if (token_type)
        sink_printf(text, ",gen_ai_token_type=\"%s\"", token_type);
    sink_byte(text, '\0');
    return text->error ? "" : text->ptr;
}

static void
expose_models(const struct metrics *sum, int count, struct sink *out)
{
    const struct metrics_model *models[METRICS_LABELS_MAX];
    struct sink text;
    sink_init(&text, 65536);
    for (int i = 0; i < count; i++)
        models[i] = atomic_load_explicit(&sum->models[i], memory_order_relaxed);
    announce(out, "penstock_requests_total", "counter", "Exchanges by dialect, model, upstream and status class");
    for (int i = 0; i < count; i++) {
        for (int d = 0; models[i] && d < DIALECT_COUNT; d++) {
            for (int c = 0; c < METRICS_STATUS_CLASSES; c++) {
                uint64_t n = load(&models[i]->requests[d][c]);
                if (n)
                    sink_printf(out, "penstock_requests_total{dialect=\"%s\",model=\"%s\",upstream=\"%s\",status=\"%s\"} %llu\n",
                                dialect_of((enum dialect_id)d)->name, i ? labels[i].model : "none", i ? labels[i].id : "none",
                                (const char *const[]){"none", "1xx", "2xx", "3xx", "4xx", "5xx"}[c], (unsigned long long)n);
            }
        }
    }
    for (size_t f = 0; f < countof(model_counters); f++) {
        announce(out, model_counters[f].name, "counter", model_counters[f].help);
        for (int i = 1; i < count; i++) {
            if (models[i])
                sink_printf(out, "%s{model=\"%s\",upstream=\"%s\"} %llu\n", model_counters[f].name, labels[i].model, labels[i].id,
                            (unsigned long long)load((const _Atomic uint64_t *)((const char *)models[i] + model_counters[f].offset)));
        }
    }
    announce(out, "gen_ai_client_token_usage", "histogram", "Tokens used per request");
    for (int i = 1; i < count; i++) {
        for (int kind = 0; models[i] && kind < 2; kind++) {
            put_hist(out, "gen_ai_client_token_usage", model_labels(&text, i, kind ? "output" : "input"), kind ? &models[i]->output_tokens : &models[i]->input_tokens,
                     &metrics_tokens, 1);
        }
    }
    for (size_t f = 0; f < countof(model_hists); f++) {
        announce(out, model_hists[f].name, "histogram", model_hists[f].help);
        for (int i = 1; i < count; i++) {
            if (!models[i])
                continue;
            put_hist(out, model_hists[f].name, model_labels(&text, i, NULL),
                     (const struct hist *)(const void *)((const char *)models[i] + model_hists[f].offset), &metrics_latency, 1e6);
        }
    }
    sink_fini(&text);
}

static uint64_t
open_descriptors(void)
{
    uint64_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return 0;
    while (readdir(dir))
        count++;
    closedir(dir);
    return count > 3 ? count - 3 : 0; /* ".", ".." and the directory itself */
}

static uint64_t
resident_bytes(void)
{
    unsigned long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    if (fscanf(file, "%lu %lu", &size, &resident) != 2)
        resident = 0;
    fclose(file);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* What lives in a worker's own structures is published once a turn, so that a scrape never reads them racily. */
struct figure_row {
    const char *name, *type, *help;
    size_t offset; /* of a uint64_t or size_t in struct worker */
};
#define FIGURE(member, name, type, help) {name, type, help, offsetof(struct worker, member)}
static const struct figure_row figures[] = {
    FIGURE(loop.stats.ticks, "penstock_loop_ticks_total", "counter", "Turns of the event loop"),
    FIGURE(loop.stats.accepts, "penstock_accepts_total", "counter", "Sockets accepted"),
    FIGURE(loop.stats.accept_failures, "penstock_accept_failures_total", "counter", "Accepts that failed"),
    FIGURE(loop.stats.dials, "penstock_dials_total", "counter", "Upstream connections begun"),
    FIGURE(loop.stats.dial_failures, "penstock_dial_failures_total", "counter", "Upstream connections that failed before they were up"),
    FIGURE(loop.conns, "penstock_connections_open", "gauge", "Connections owned by the loops"),
    FIGURE(loop.stats.handshakes, "penstock_tls_handshakes_total", "counter", "TLS handshakes completed"),
    FIGURE(loop.stats.handshakes_resumed, "penstock_tls_handshakes_resumed_total", "counter", "TLS handshakes that resumed a session"),
    FIGURE(loop.stats.handshake_failures, "penstock_tls_handshake_failures_total", "counter", "TLS handshakes that failed"),
    FIGURE(loop.stats.chain_cache_hits, "penstock_tls_chain_cache_hits_total", "counter", "Certificate chains found in the verified-chain cache"),
    FIGURE(loop.stats.dns_lookups, "penstock_dns_lookups_total", "counter", "Names looked up"),
    FIGURE(loop.stats.dns_cache_hits, "penstock_dns_cache_hits_total", "counter", "Names answered from the cache"),
    FIGURE(loop.stats.dns_failures, "penstock_dns_failures_total", "counter", "Names that could not be resolved"),
    FIGURE(upstreams.opened, "penstock_upstream_connections_opened_total", "counter", "Upstream connections opened"),
    FIGURE(upstreams.reused, "penstock_upstream_connections_reused_total", "counter", "Exchanges on a kept upstream connection"),
    FIGURE(upstreams.queued, "penstock_upstream_queued_total", "counter", "Requests that waited for an upstream connection"),
    FIGURE(upstreams.active, "penstock_upstream_connections_active", "gauge", "Upstream connections leased"),
    FIGURE(upstreams.idle, "penstock_upstream_connections_idle", "gauge", "Upstream connections kept for reuse"),
    FIGURE(loop.pool.chunks_used, "penstock_buffer_chunks_used", "gauge", "Chunks of 4 KiB that hold bytes in transit"),
    FIGURE(loop.pool.chunks_total, "penstock_buffer_chunks", "gauge", "Chunks of 4 KiB allocated"),
    FIGURE(blocks.blocks_total, "penstock_request_blocks", "gauge", "Blocks of 16 KiB that requests are read into, allocated"),
    FIGURE(blocks.blocks_free, "penstock_request_blocks_free", "gauge", "Those of them that no request holds"),
    FIGURE(request_bytes, "penstock_request_bytes", "gauge", "Bytes of request bodies held"),
    FIGURE(loop.wheel.armed, "penstock_timers_armed", "gauge", "Deadlines armed"),
    FIGURE(stream_count, "penstock_worker_streams", "gauge", "Client connections of each worker"),
};
#undef FIGURE
_Static_assert(countof(figures) <= WORKER_FIGURES, "a worker publishes every figure");

void
metrics_publish(struct worker *worker)
{
    for (size_t i = 0; i < countof(figures); i++) {
        uint64_t value;
        memcpy(&value, (const char *)worker + figures[i].offset, sizeof value);
        atomic_store_explicit(&worker->published[i], value, memory_order_relaxed);
    }
}

void
metrics_open(struct worker *const *workers, uint32_t count, uint64_t *begun, uint64_t *open)
{
    *begun = *open = 0;
    for (uint32_t w = 0; w < count; w++) {
        const struct metrics *metrics = workers[w]->metrics;
        *begun += load(&metrics->client_requests);
        *open += load(&metrics->streams_active);
        for (size_t i = 0; i < countof(figures); i++) {
            uint64_t value = load(&workers[w]->published[i]);
            if (figures[i].offset == offsetof(struct worker, loop.stats.accepts) ||
                figures[i].offset == offsetof(struct worker, loop.stats.dials))
                *begun += value;
            else if (figures[i].offset == offsetof(struct worker, loop.conns))
                *open += value;
        }
    }
}

static void
expose_workers(struct worker *const *workers, uint32_t count, struct sink *out)
{
    for (size_t i = 0; i < countof(figures); i++) {
        announce(out, figures[i].name, figures[i].type, figures[i].help);
        for (uint32_t w = 0; w < count; w++)
            sink_printf(out, "%s{worker=\"%u\"} %llu\n", figures[i].name, w, (unsigned long long)load(&workers[w]->published[i]));
    }
}

void
metrics_expose_credentials(const struct worker *worker, struct sink *out)
{
    const struct generation *generation = worker->generation;
    announce(out, "penstock_token_refreshes_total", "counter", "Access tokens asked for, by credential and outcome");
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < generation->credential_count; i++) {
            struct credential_figures figure;
            credential_figures(generation->credentials[i], worker->loop.now_ms, &figure);
            if (round == 0)
                sink_printf(out, "penstock_token_refreshes_total{credential=\"%.*s\",outcome=\"ok\"} %llu\n"
                                 "penstock_token_refreshes_total{credential=\"%.*s\",outcome=\"failed\"} %llu\n",
                            SLICE_ARG(figure.name), (unsigned long long)figure.refreshes, SLICE_ARG(figure.name),
                            (unsigned long long)figure.failures);
            else
                sink_printf(out, "penstock_token_seconds_left{credential=\"%.*s\"} %lld\n", SLICE_ARG(figure.name), (long long)figure.left_s);
        }
        if (round == 0)
            announce(out, "penstock_token_seconds_left", "gauge", "Time to the end of each access token; negative: there is none");
    }
}

static void
expose_process(const struct gateway *gateway, struct sink *out)
{
    announce(out, "process_resident_memory_bytes", "gauge", "Resident memory");
    sink_printf(out, "process_resident_memory_bytes %llu\n", (unsigned long long)resident_bytes());
    announce(out, "penstock_memory_used_bytes", "gauge", "Memory that was allocated when free memory was last given back");
    sink_printf(out, "penstock_memory_used_bytes %llu\n", (unsigned long long)load(&gateway->memory_used));
    announce(out, "penstock_memory_trims_total", "counter", "Times that free memory was given back to the system");
    sink_printf(out, "penstock_memory_trims_total %llu\n", (unsigned long long)load(&gateway->trims));
    announce(out, "process_open_fds", "gauge", "Open descriptors");
    sink_printf(out, "process_open_fds %llu\n", (unsigned long long)open_descriptors());
    announce(out, "process_start_time_seconds", "gauge", "Start of the process since the epoch");
    sink_printf(out, "process_start_time_seconds %llu\n", (unsigned long long)gateway->started_unix_s);
    announce(out, "penstock_log_lines_dropped_total", "counter", "Log lines lost because the ring was full");
    sink_printf(out, "penstock_log_lines_dropped_total %llu\n", (unsigned long long)log_dropped());
    if (gateway->tapes) {
        const struct {
            const char *name, *type, *help;
            const _Atomic uint64_t *value;
        } rows[] = {
            {"penstock_resumable_streams", "gauge", "Streams whose events are kept for clients that come back", &gateway->tapes->count},
            {"penstock_resumable_bytes", "gauge", "Bytes of events kept", &gateway->tapes->bytes},
            {"penstock_resumes_total", "counter", "Clients that came back and got the rest of their stream", &gateway->tapes->resumed},
            {"penstock_resumes_refused_total", "counter", "Clients that came back for a stream that was not there", &gateway->tapes->refused},
            {"penstock_resumable_expired_total", "counter", "Finished streams that were forgotten", &gateway->tapes->expired},
        };
        for (size_t i = 0; i < countof(rows); i++) {
            announce(out, rows[i].name, rows[i].type, rows[i].help);
            sink_printf(out, "%s %llu\n", rows[i].name, (unsigned long long)load(rows[i].value));
        }
    }
    if (gateway->recall) {
        const struct {
            const char *name, *type, *help;
            const _Atomic uint64_t *value;
        } rows[] = {
            {"penstock_recall_entries", "gauge", "Tool calls whose reasoning state is kept for clients that lose it", &gateway->recall->entries},
            {"penstock_recall_bytes", "gauge", "Bytes of reasoning state kept", &gateway->recall->held_bytes},
            {"penstock_recall_hits_total", "counter", "Tool calls that came back without state and got it again", &gateway->recall->hits},
            {"penstock_recall_misses_total", "counter", "Tool calls that came back without state and nothing was kept", &gateway->recall->misses},
            {"penstock_recall_evictions_total", "counter", "Entries forgotten early for want of room", &gateway->recall->evictions},
        };
        for (size_t i = 0; i < countof(rows); i++) {
            announce(out, rows[i].name, rows[i].type, rows[i].help);
            sink_printf(out, "%s %llu\n", rows[i].name, (unsigned long long)load(rows[i].value));
        }
    }
    announce(out, "penstock_build_info", "gauge", "Version and compiler; always 1");
    sink_printf(out, "penstock_build_info{version=\"" PENSTOCK_VERSION "\",compiler=\"%s\"} 1\n", __VERSION__);
}

static void
sum_plain(struct metrics *sum, const struct metrics *from)
{
#define COUNTER(field, name, help) metrics_add(&sum->field, load(&from->field));
#define SECONDS(field, name, help) metrics_add(&sum->field, load(&from->field));
#define GAUGE(field, name, help) metrics_add(&sum->field, load(&from->field));
#define HIST(field, shape, name, help) hist_add(&sum->field, &from->field, &metrics_##shape);
#include "gateway/metrics.def"
#undef COUNTER
#undef SECONDS
#undef GAUGE
#undef HIST
    for (int i = 0; i < STATE_COUNT; i++) {
        metrics_add(&sum->disconnects[i], load(&from->disconnects[i]));
        for (int e = 0; e < EVENT_COUNT; e++)
            metrics_add(&sum->transitions[i][e], load(&from->transitions[i][e]));
    }
    for (int i = 0; i < END_COUNT; i++)
        metrics_add(&sum->ends[i], load(&from->ends[i]));
    for (int i = 0; i < FLAW_COUNT; i++)
        metrics_add(&sum->flaws[i], load(&from->flaws[i]));
    for (int i = 0; i < ERR_COUNT; i++)
        metrics_add(&sum->errors[i], load(&from->errors[i]));
    if (load(&from->longest_stall_us) > load(&sum->longest_stall_us))
        sum->longest_stall_us = load(&from->longest_stall_us);
}

static void
sum_model(struct metrics_model *sum, const struct metrics_model *from)
{
    for (int d = 0; d < DIALECT_COUNT; d++) {
        for (int c = 0; c < METRICS_STATUS_CLASSES; c++)
            metrics_add(&sum->requests[d][c], load(&from->requests[d][c]));
    }
    for (size_t f = 0; f < countof(model_counters); f++)
        metrics_add((_Atomic uint64_t *)((char *)sum + model_counters[f].offset),
                    load((const _Atomic uint64_t *)((const char *)from + model_counters[f].offset)));
    for (size_t f = 0; f < countof(model_hists); f++)
        hist_add((struct hist *)(void *)((char *)sum + model_hists[f].offset),
                 (const struct hist *)(const void *)((const char *)from + model_hists[f].offset), &metrics_latency);
    hist_add(&sum->input_tokens, &from->input_tokens, &metrics_tokens);
    hist_add(&sum->output_tokens, &from->output_tokens, &metrics_tokens);
}

void
metrics_expose(struct worker *const *workers, uint32_t count, struct sink *out)
{
    struct metrics *sum = metrics_new();
    if (!sum) {
        out->error = -ERR_MEMORY;
        return;
    }
    int label_top = atomic_load_explicit(&label_count, memory_order_acquire);
    for (uint32_t w = 0; w < count; w++) {
        sum_plain(sum, workers[w]->metrics);
        for (int i = 0; i < label_top; i++) {
            struct metrics_model *from = atomic_load_explicit(&workers[w]->metrics->models[i], memory_order_acquire);
            struct metrics_model *into = from ? metrics_model(sum, i) : NULL;
            if (into)
                sum_model(into, from);
        }
    }
    expose_plain(sum, out);
    expose_tables(sum, out);
    expose_models(sum, label_top, out);
    expose_workers(workers, count, out);
    expose_process(workers[0]->gateway, out);
    metrics_free(sum);
}
