/* SPDX-License-Identifier: MIT
 *
 * encode.c - server-sent events to bytes: LF line ends, no BOM. No content can end a line it stands
 * in.
 */
#include "sse/sse.h"

#include "sse/line.h"

/* One line: name, value, LF. Line breaks and NUL in value become spaces. */
static void
put_line(struct sink *out, struct slice name, struct slice value)
{
    char *to = sink_reserve(out, name.len + value.len + 1);
    if (!to)
        return;
    memcpy(to, name.ptr, name.len);
    to += name.len;
    for (size_t i = 0; i < value.len; i++) {
        char byte = value.ptr[i];
        to[i] = byte == '\r' || byte == '\n' || byte == '\0' ? ' ' : byte;
    }
    to[value.len] = '\n';
    out->len += name.len + value.len + 1;
}

/* A data line whose value is known to hold no line break. */
static void
put_data_line(struct sink *out, const char *value, size_t len)
{
    static const char name[] = "data: ";
    char *to = sink_reserve(out, sizeof(name) - 1 + len + 1);
    if (!to)
        return;
    memcpy(to, name, sizeof(name) - 1);
    memcpy(to + sizeof(name) - 1, value, len);
    to[sizeof(name) - 1 + len] = '\n';
    out->len += sizeof(name) + len;
}

void
sse_put_event(struct sink *out, struct slice type, struct slice data)
{
    if (slice_present(type))
        put_line(out, SLICE_LIT("event: "), type);
    if (slice_present(data)) {
        const char *at = data.ptr, *end = data.ptr + data.len;
        for (;;) {
            const char *stop = sse_line_end(at, end);
            put_data_line(out, at, (size_t)(stop - at));
            if (stop == end)
                break;
            at = stop + 1;
            if (*stop == '\r' && at < end && *at == '\n')
                at++;
        }
    }
    sink_byte(out, '\n');
}

void
sse_put_fields(struct sink *out, struct slice id, uint64_t retry_ms)
{
    bool clean = slice_present(id) && sse_line_end(id.ptr, id.ptr + id.len) == id.ptr + id.len &&
                 !memchr(id.ptr, '\0', id.len);
    if (clean) {
        sink_text(out, "id: ");
        sink_put(out, id);
        sink_byte(out, '\n');
    }
    if (retry_ms > 0) {
        sink_text(out, "retry: ");
        sink_u64(out, retry_ms);
        sink_byte(out, '\n');
    }
}

void
sse_put_comment(struct sink *out, struct slice text)
{
    put_line(out, SLICE_LIT(": "), text);
}
