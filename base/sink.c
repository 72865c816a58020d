/* SPDX-License-Identifier: MIT
 *
 * sink.c - growing contiguous bytes. Growth doubles, so n bytes cost O(n) copies in all.
 */
#include "base/sink.h"

#include "base/err.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define SINK_FIRST_BYTES 256u

void
sink_init(struct sink *sink, size_t max)
{
    assert(max > 0);
    *sink = (struct sink){.max = max};
}

void
sink_fini(struct sink *sink)
{
    free(sink->ptr);
    sink->ptr = NULL;
    sink->len = sink->cap = 0;
}

void
sink_reset(struct sink *sink, size_t keep)
{
    if (sink->cap > keep)
        sink_fini(sink);
    sink->len = 0;
    sink->error = 0;
}

static char *
sink_fail(struct sink *sink, int error)
{
    if (sink->error == 0)
        sink->error = error;
    return NULL;
}

/* Out of line and cold: the common put finds room. */
static __attribute__((noinline)) char *
sink_grow(struct sink *sink, size_t n)
{
    assert(sink->len <= sink->max);
    if (n > sink->max - sink->len)
        return sink_fail(sink, -ERR_LIMIT);

    size_t need = sink->len + n;
    size_t cap = sink->cap ? sink->cap : SINK_FIRST_BYTES;
    while (cap < need)
        cap = cap > sink->max / 2 ? sink->max : cap * 2;
    if (cap > sink->max)
        cap = sink->max;
    assert(cap >= need);

    char *grown = realloc(sink->ptr, cap);
    if (!grown)
        return sink_fail(sink, -ERR_MEMORY);
    sink->ptr = grown;
    sink->cap = cap;
    return sink->ptr + sink->len;
}

char *
sink_reserve(struct sink *sink, size_t n)
{
    assert(sink->len <= sink->cap);
    if (unlikely(sink->error != 0))
        return NULL;
    /* A sink without memory grows even for nothing, so that success is never NULL. */
    if (likely(sink->ptr && n <= sink->cap - sink->len))
        return sink->ptr + sink->len;
    return sink_grow(sink, n);
}

void
sink_put(struct sink *sink, struct slice bytes)
{
    if (bytes.len == 0)
        return;
    char *to = sink_reserve(sink, bytes.len);
    if (!to)
        return;
    memcpy(to, bytes.ptr, bytes.len);
    sink->len += bytes.len;
}

void
sink_carry(struct sink *whole, const struct sink *part)
{
    if (part->error && whole->error == 0)
        whole->error = part->error;
}

void
sink_join(struct sink *whole, const struct sink *part)
{
    sink_carry(whole, part);
    sink_put(whole, sink_slice(part));
}

void
sink_byte(struct sink *sink, char byte)
{
    char *to = sink_reserve(sink, 1);
    if (!to)
        return;
    *to = byte;
    sink->len += 1;
}

void
sink_u64(struct sink *sink, uint64_t value)
{
    char digits[20];
    char *end = digits + sizeof(digits);
    char *from = text_digits_before(end, value);
    sink_put(sink, slice_of(from, (size_t)(end - from)));
}

void
sink_i64(struct sink *sink, int64_t value)
{
    char digits[21];
    char *end = digits + sizeof(digits);
    /* Negated as unsigned: the most negative number has no positive twin. */
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    char *from = text_digits_before(end, magnitude);
    if (value < 0)
        *--from = '-';
    sink_put(sink, slice_of(from, (size_t)(end - from)));
}

void
sink_printf(struct sink *sink, const char *format, ...)
{
    char line[256];
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (n < 0) {
        sink_fail(sink, -ERR_INTERNAL);
    } else if ((size_t)n < sizeof(line)) {
        sink_put(sink, slice_of(line, (size_t)n));
    } else {
        /* vsnprintf writes a NUL: its place is overwritten by the next put, or lies past len. */
        char *to = sink_reserve(sink, (size_t)n + 1);
        if (to) {
            vsnprintf(to, (size_t)n + 1, format, again);
            sink->len += (size_t)n;
        }
    }
    va_end(again);
}

void
sink_drop_front(struct sink *sink, size_t n)
{
    assert(n <= sink->len);
    if (n == 0)
        return;
    memmove(sink->ptr, sink->ptr + n, sink->len - n);
    sink->len -= n;
}
