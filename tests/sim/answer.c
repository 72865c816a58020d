/* SPDX-License-Identifier: MIT
 *
 * answer.c - HTTP replies and a little JSON, read by the tests' own plain readers.
 */
#include "tests/sim/answer.h"

#include <stdlib.h>
#include <strings.h>

/* ---------------------------------------------------------------- HTTP */

static ptrdiff_t
find(struct slice in, const char *what)
{
    const char *at = in.len ? memmem(in.ptr, in.len, what, strlen(what)) : NULL;
    return at ? at - in.ptr : -1;
}

struct slice
answer_field(const struct answer *answer, const char *name)
{
    struct slice rest = answer->head;
    size_t len = strlen(name);
    ptrdiff_t end;
    while ((end = find(rest, "\r\n")) >= 0) {
        rest = slice_skip(rest, (size_t)end + 2);
        if (rest.len <= len || rest.ptr[len] != ':' || strncasecmp(rest.ptr, name, len) != 0)
            continue;
        struct slice value = slice_skip(rest, len + 1);
        ptrdiff_t stop = find(value, "\r\n");
        value = stop < 0 ? value : slice_take(value, (size_t)stop);
        while (value.len && *value.ptr == ' ')
            value = slice_skip(value, 1);
        return value;
    }
    return SLICE_NONE;
}

/* 1 a head was taken, 0 it is not whole yet, -1 it is wrong. */
static int
take_head(struct answer *answer, struct slice *bytes)
{
    ptrdiff_t end = find(*bytes, "\r\n\r\n");
    if (end < 0)
        return 0;
    answer->head = slice_take(*bytes, (size_t)end);
    *bytes = slice_skip(*bytes, (size_t)end + 4);
    if (!slice_starts(answer->head, SLICE_LIT("HTTP/1.1 ")) || answer->head.len < 12) {
        answer->wrong = "no status line";
        return -1;
    }
    answer->status = atoi(slice_skip(answer->head, 9).ptr);
    for (size_t i = 0; i < answer->head.len; i++) {
        bool lonely =
            (answer->head.ptr[i] == '\n' && (i == 0 || answer->head.ptr[i - 1] != '\r')) ||
            (answer->head.ptr[i] == '\r' &&
             (i + 1 == answer->head.len || answer->head.ptr[i + 1] != '\n'));
        if (lonely || answer->head.ptr[i] == '\0')
            answer->wrong = "a stray line end in the head";
    }
    return answer->wrong ? -1 : 1;
}

static void
take_chunks(struct answer *answer, struct slice *bytes)
{
    for (;;) {
        ptrdiff_t end = find(*bytes, "\r\n");
        if (end < 0) {
            if (bytes->len > 18)
                answer->wrong = "no chunk size";
            return;
        }
        char *stop;
        size_t size = strtoul(bytes->ptr, &stop, 16);
        if (stop != bytes->ptr + end || end == 0) {
            answer->wrong = "a bad chunk size";
            return;
        }
        struct slice rest = slice_skip(*bytes, (size_t)end + 2);
        sink_put(&answer->body, slice_take(rest, size));
        if (rest.len <
            size + 2) { /* the rest of it is still to come: take what is there only once */
            answer->wrong = NULL;
            *bytes = slice_skip(rest, rest.len);
            return;
        }
        if (memcmp(rest.ptr + size, "\r\n", 2) != 0) {
            answer->wrong = "a chunk longer than its size";
            return;
        }
        *bytes = slice_skip(rest, size + 2);
        if (size == 0) {
            answer->complete = true;
            return;
        }
    }
}

bool
answer_read(struct answer *answer, struct slice *bytes, bool over)
{
    *answer = (struct answer){0};
    sink_init(&answer->body, SIZE_MAX / 2);
    if (bytes->len == 0)
        return false;
    do {
        int got = take_head(answer, bytes);
        if (got <= 0)
            return true;
        answer->interim += answer->status < 200;
    } while (answer->status < 200 && bytes->len > 0);
    if (answer->status < 200)
        return true;
    answer->interim -= answer->status < 200;
    struct slice length = answer_field(answer, "content-length"),
                 coding = answer_field(answer, "transfer-encoding");
    if (slice_present(length) && slice_present(coding)) {
        answer->wrong = "a length and a coding";
    } else if (slice_present(coding)) {
        answer->chunked = true;
        take_chunks(answer, bytes);
    } else if (slice_present(length) || answer->status == 204) {
        size_t n = slice_present(length) ? strtoul(length.ptr, NULL, 10) : 0;
        sink_put(&answer->body, slice_take(*bytes, n));
        answer->complete = bytes->len >= n;
        *bytes = slice_skip(*bytes, n);
    } else {
        answer->until_close = true;
        sink_put(&answer->body, *bytes);
        *bytes = slice_skip(*bytes, bytes->len);
        answer->complete = over;
    }
    return true;
}

void
answer_fini(struct answer *answer)
{
    sink_fini(&answer->body);
}

/* ---------------------------------------------------------------- JSON */

static struct slice
skip_space(struct slice text)
{
    while (text.len &&
           (*text.ptr == ' ' || *text.ptr == '\n' || *text.ptr == '\r' || *text.ptr == '\t'))
        text = slice_skip(text, 1);
    return text;
}

size_t
raw_len(struct slice text)
{
    int depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
            else if ((unsigned char)c < 0x20)
                return 0;
            if (!quoted && depth == 0)
                return i + 1;
            continue;
        }
        if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            if (depth == 0)
                return i;
            if (--depth == 0)
                return i + 1;
        } else if (depth == 0 && (c == ',' || c == ' ' || c == '\n' || c == '\r' || c == '\t')) {
            return i;
        }
    }
    return depth == 0 && !quoted ? text.len : 0;
}

bool
raw_whole(struct slice text)
{
    text = skip_space(text);
    size_t len = raw_len(text);
    return len > 0 && skip_space(slice_skip(text, len)).len == 0;
}

struct slice
raw_text(struct slice value)
{
    if (value.len < 2 || *value.ptr != '"')
        return SLICE_NONE;
    return slice_of(value.ptr + 1, value.len - 2);
}

/* One step down: into a member or an element. */
static struct slice
raw_step(struct slice value, struct slice name)
{
    bool object = value.len && *value.ptr == '{';
    if (!value.len || (!object && *value.ptr != '['))
        return SLICE_NONE;
    size_t wanted = object ? 0 : strtoul(name.ptr, NULL, 10);
    value = skip_space(slice_skip(value, 1));
    for (size_t i = 0; value.len && *value.ptr != '}' && *value.ptr != ']'; i++) {
        struct slice key = SLICE_NONE;
        if (object) {
            size_t len = raw_len(value);
            key = raw_text(slice_take(value, len));
            value = skip_space(slice_skip(value, len));
            if (!slice_present(key) || !value.len || *value.ptr != ':')
                return SLICE_NONE;
            value = skip_space(slice_skip(value, 1));
        }
        size_t len = raw_len(value);
        if (len == 0)
            return SLICE_NONE;
        if (object ? slice_eq(key, name) : i == wanted)
            return slice_take(value, len);
        value = skip_space(slice_skip(value, len));
        if (value.len && *value.ptr == ',')
            value = skip_space(slice_skip(value, 1));
    }
    return SLICE_NONE;
}

struct slice
raw_find(struct slice text, const char *path)
{
    struct slice value = skip_space(text);
    while (*path && slice_present(value)) {
        size_t len = strcspn(path, ".");
        value = raw_step(value, slice_of(path, len));
        path += len + (path[len] == '.');
    }
    return value;
}
