/* SPDX-License-Identifier: MIT
 *
 * sink.h - a growing run of contiguous bytes with a ceiling and a sticky error.
 *
 * Writers of heads, JSON, SSE and request bodies put into a sink and check it once at the end.
 * Bytes in transit do not live here: those are in a buf.
 */
#ifndef PENSTOCK_SINK_H
#define PENSTOCK_SINK_H

#include "base/slice.h"

struct sink {
    char *ptr;
    size_t len, cap;
    size_t max; /* ceiling in bytes; going over it sets error to -ERR_LIMIT */
    int error;  /* 0, or the first error; once set, every put is ignored */
};

/* sink_init - an empty sink; nothing is allocated yet. max in bytes, > 0. */
void sink_init(struct sink *sink, size_t max);
/* sink_fini - free the memory; the sink may be initialised again. */
void sink_fini(struct sink *sink);
/* sink_reset - forget bytes and error, keep memory up to keep bytes (more is freed). */
void sink_reset(struct sink *sink, size_t keep);
/* sink_reserve - room for n more bytes; a pointer to it, or NULL with error set. Add to len what
 * was used. */
char *sink_reserve(struct sink *sink, size_t n);
void sink_put(struct sink *sink, struct slice bytes);
static inline void
sink_text(struct sink *sink, const char *text)
{
    sink_put(sink, slice_from(text));
}
void sink_byte(struct sink *sink, char byte);
void sink_u64(struct sink *sink, uint64_t value);
void sink_i64(struct sink *sink, int64_t value);
void sink_printf(struct sink *sink, const char *format, ...) printf_like(2, 3);
/* sink_carry - what went wrong with a part is wrong with the whole that it becomes part of. */
void sink_carry(struct sink *whole, const struct sink *part);
/* sink_join - append the part, and what went wrong with it. */
void sink_join(struct sink *whole, const struct sink *part);
/* sink_move - the last len - from bytes stay; the first from bytes go (a consumed prefix). */
void sink_drop_front(struct sink *sink, size_t n);

static inline struct slice
sink_slice(const struct sink *sink)
{
    return (struct slice){sink->ptr ? sink->ptr : "", sink->len};
}

#endif
