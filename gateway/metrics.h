/* SPDX-License-Identifier: MIT
 *
 * metrics.h - counters and histograms, one set per worker, written by it alone and summed at the scrape without locks.
 *
 * Labels take configured names only: a deployment's label is an index into a process-wide, append-only table.
 */
#ifndef PENSTOCK_METRICS_H
#define PENSTOCK_METRICS_H

#include "base/hist.h"
#include "base/sink.h"
#include "gateway/states.h"
#include "providers/canon.h"
#include "providers/dialect.h"

#include <stdatomic.h>

#define METRICS_LABELS_MAX 1024
#define METRICS_STATUS_CLASSES 6 /* index 1..5: 1xx..5xx; 0: nothing was sent */

struct metrics_model { /* one per deployment label that was used by this worker; label 0 is "none" (no deployment chosen) */
    _Atomic uint64_t requests[DIALECT_COUNT][METRICS_STATUS_CLASSES];
    _Atomic uint64_t attempts, failures;
    _Atomic uint64_t tokens_in, tokens_out, tokens_cached, tokens_reasoning;
    struct hist input_tokens, output_tokens, first_token, per_token, duration; /* the gen_ai_* families */
};

struct metrics {
#define COUNTER(field, name, help) _Atomic uint64_t field;
#define SECONDS(field, name, help) _Atomic uint64_t field;
#define GAUGE(field, name, help) _Atomic uint64_t field;
#define HIST(field, shape, name, help) struct hist field;
#include "gateway/metrics.def"
#undef COUNTER
#undef SECONDS
#undef GAUGE
#undef HIST
    _Atomic uint64_t transitions[STATE_COUNT][EVENT_COUNT];
    _Atomic uint64_t ends[END_COUNT];
    _Atomic uint64_t disconnects[STATE_COUNT]; /* client gone, by the state it was noticed in */
    _Atomic uint64_t flaws[FLAW_COUNT];
    _Atomic uint64_t errors[ERR_COUNT];        /* exchanges that failed, by error */
    _Atomic uint64_t longest_stall_us;
    _Atomic(struct metrics_model *) models[METRICS_LABELS_MAX];
};

extern const struct hist_shape metrics_latency, metrics_overhead, metrics_size, metrics_tokens;

static inline void
metrics_add(_Atomic uint64_t *counter, uint64_t n)
{
    /* One writer: a relaxed load and store is enough, and needs no locked instruction. */
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                     memory_order_relaxed);
}
static inline void
metrics_sub(_Atomic uint64_t *counter, uint64_t n)
{
    metrics_add(counter, (uint64_t)0 - n);
}

/* metrics_new, metrics_free - a worker's set. */
struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);
/* metrics_label - index of a deployment's label set; the main thread calls it while it makes a generation. The same
 * triple gives the same index. Index 0 is reserved; a full table gives 0. */
int metrics_label(struct slice model_name, struct slice provider, struct slice id);
/* metrics_model - this worker's figures for a label; NULL without memory. */
struct metrics_model *metrics_model(struct metrics *metrics, int label);

struct worker;
/* metrics_publish - copy the figures of a worker's own structures to where a scrape may read them; once a turn. */
void metrics_publish(struct worker *worker);
/* metrics_open - how many connections and exchanges all workers have begun so far, and how many of them are not over. */
void metrics_open(struct worker *const *workers, uint32_t count, uint64_t *begun, uint64_t *open);
/* metrics_expose - Prometheus text of all workers together, process figures (RSS, descriptors, build info) included. */
void metrics_expose(struct worker *const *workers, uint32_t count, struct sink *out);
/* metrics_expose_credentials - the access tokens of the configuration that this worker has; on its own thread. */
void metrics_expose_credentials(const struct worker *worker, struct sink *out);

#endif
