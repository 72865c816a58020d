/* SPDX-License-Identifier: MIT
 *
 * head.c - gather the head of a message, then read its start line and fields (RFC 9112 2 to 6).
 *
 * Gathering settles line ends and control bytes, so that reading need not look for them again: in a
 * gathered head every CR is followed by LF, every LF preceded by CR, and no other control but tab
 * occurs. The rules, and where we are stricter than the RFC, are listed in docs/http.md.
 */
#include "http/http.h"

#include "base/text.h"
#include "http/chars.h"
#include "http/target.h"

#define HEAD_KEEP_BYTES 4096 /* memory a reader keeps between messages */

enum head_state { HEAD_TEXT, HEAD_LF, HEAD_DONE };

void
http_reader_init(struct http_reader *reader, const struct http_limits *limits)
{
    assert(limits->line_max > 0);
    assert(limits->head_max > 0);
    assert(limits->fields_max <= HTTP_FIELDS_MAX);
    *reader = (struct http_reader){.limits = *limits};
    sink_init(&reader->head, limits->head_max);
}

void
http_reader_fini(struct http_reader *reader)
{
    sink_fini(&reader->head);
}

void
http_reader_reset(struct http_reader *reader)
{
    sink_reset(&reader->head, HEAD_KEEP_BYTES);
    reader->state = HEAD_TEXT;
    reader->line_start = 0;
    reader->lines = 0;
    reader->first_line_skipped = false;
    reader->error = 0;
}

/* May n more bytes of text follow the first len of the head? */
static int
check_room(const struct http_reader *reader, size_t len, size_t n)
{
    const struct http_limits *limits = &reader->limits;
    assert(len <= limits->head_max);
    /* Until the first line is complete, len is that line's length. Whichever limit is met first
     * speaks. */
    if (reader->lines == 0 && limits->line_max <= limits->head_max && n > limits->line_max - len)
        return -ERR_LINE_LIMIT;
    return n > limits->head_max - len ? -ERR_HEAD_LIMIT : 0;
}

/*
 * end_line - the LF at offset len was read. Returns 0, or an error for a second empty line in
 * front. *skipped is set if the line was the one empty line in front that is forgiven.
 */
static int
end_line(struct http_reader *reader, size_t len, bool *skipped)
{
    bool empty = len + 1 - reader->line_start == 2;
    reader->state = HEAD_TEXT;
    if (!empty) {
        reader->lines++;
        reader->line_start = len + 1;
        return 0;
    }
    if (reader->lines > 0) {
        reader->state = HEAD_DONE;
        return 0;
    }
    *skipped = !reader->first_line_skipped;
    reader->first_line_skipped = true;
    return *skipped ? 0 : -ERR_SYNTAX;
}

/* gather - advance *at as far as the head goes; *from is the first byte that is not in the sink
 * yet. */
static int
gather(struct http_reader *reader, const char **from, const char **at, const char *end)
{
    while (*at < end && reader->state != HEAD_DONE) {
        size_t len = reader->head.len + (size_t)(*at - *from);
        if (reader->state == HEAD_TEXT) {
            const char *stop = http_find_control(*at, end);
            size_t n = (size_t)(stop - *at);
            int error = check_room(reader, len, n);
            if (error)
                return error;
            *at = stop;
            len += n;
            if (stop == end)
                break;
        }
        if (len == reader->limits.head_max)
            return -ERR_HEAD_LIMIT;
        if (**at != (reader->state == HEAD_LF ? '\n' : '\r'))
            return -ERR_SYNTAX;
        (*at)++;
        if (reader->state == HEAD_TEXT) {
            reader->state = HEAD_LF;
            continue;
        }
        bool skipped = false;
        int error = end_line(reader, len, &skipped);
        if (error)
            return error;
        if (skipped) {
            sink_reset(&reader->head, HEAD_KEEP_BYTES);
            *from = *at;
        }
    }
    return 0;
}

int
http_head_feed(struct http_reader *reader, struct slice *bytes)
{
    if (reader->error)
        return reader->error;
    if (reader->state == HEAD_DONE)
        return 1;
    if (bytes->len == 0)
        return 0;
    const char *from = bytes->ptr, *at = bytes->ptr, *end = bytes->ptr + bytes->len;
    reader->error = gather(reader, &from, &at, end);
    sink_put(&reader->head, slice_of(from, (size_t)(at - from)));
    *bytes = slice_of(at, (size_t)(end - at));
    if (reader->error == 0 && reader->head.error)
        reader->error = -ERR_MEMORY;
    if (reader->error)
        return reader->error;
    assert(reader->state == HEAD_DONE || bytes->len == 0);
    return reader->state == HEAD_DONE;
}

/* What the fields said that decides about framing and connection. */
struct special {
    struct slice host, length, coding;
    int hosts, lengths, codings;
    size_t options; /* members of Connection lists, empty ones too */
    bool close, keep_alive, expect, expect_other;
};

/* The next line of a gathered head, without its CRLF; the head's last is empty. */
static struct slice
next_line(struct slice *rest)
{
    const char *cr = memchr(rest->ptr, '\r', rest->len);
    assert(cr);
    struct slice line = slice_take(*rest, (size_t)(cr - rest->ptr));
    *rest = slice_skip(*rest, line.len + 2);
    return line;
}

static size_t
list_members(struct slice list)
{
    size_t count = 1;
    for (size_t i = 0; i < list.len; i++)
        count += list.ptr[i] == ',';
    return count;
}

static void
note_special(struct special *special, struct slice name, struct slice value)
{
    switch (name.len) {
    case 4:
        if (text_caseless_is(name, "Host")) {
            special->host = value;
            special->hosts++;
        }
        break;
    case 6:
        if (text_caseless_is(name, "Expect")) {
            bool known = text_caseless_is(value, "100-continue");
            special->expect |= known;
            special->expect_other |= !known;
        }
        break;
    case 10:
        if (text_caseless_is(name, "Connection")) {
            special->options += list_members(value);
            special->close |= http_list_has(value, SLICE_LIT("close"));
            special->keep_alive |= http_list_has(value, SLICE_LIT("keep-alive"));
        }
        break;
    case 14:
        if (text_caseless_is(name, "Content-Length")) {
            special->length = value;
            special->lengths++;
        }
        break;
    case 17:
        if (text_caseless_is(name, "Transfer-Encoding")) {
            special->coding = value;
            special->codings++;
        }
        break;
    default:
        break;
    }
}

/*
 * parse_fields - field-line = field-name ":" OWS field-value OWS (RFC 9112 5). The name must be a
 * token right up to the colon, which refuses obs-fold, space before the colon and empty names all
 * at once.
 */
static int
parse_fields(const struct http_reader *reader, struct slice rest, struct special *special,
             struct http_head *out)
{
    out->field_count = 0;
    for (;;) {
        struct slice line = next_line(&rest);
        if (line.len == 0)
            break;
        size_t name_len = http_span(line, HTTP_TOKEN);
        if (name_len == 0 || name_len == line.len || line.ptr[name_len] != ':')
            return -ERR_SYNTAX;
        if (out->field_count == reader->limits.fields_max)
            return -ERR_HEAD_LIMIT;
        struct http_field *field = &out->fields[out->field_count++];
        field->name = slice_take(line, name_len);
        field->value = text_trim(slice_skip(line, name_len + 1));
        note_special(special, field->name, field->value);
    }
    assert(rest.len == 0);
    /* Each field that is relayed is held against each option: an endless list would make that slow.
     */
    return special->options > reader->limits.fields_max ? -ERR_HEAD_LIMIT : 0;
}

/* HTTP-version = "HTTP/" DIGIT "." DIGIT, case-sensitive (RFC 9112 2.3). We speak 1.0 and 1.1. */
static int
parse_version(struct slice text, int *minor)
{
    if (text.len != 8 || !slice_starts(text, SLICE_LIT("HTTP/")) || text.ptr[6] != '.')
        return -ERR_SYNTAX;
    int major = text.ptr[5] - '0';
    *minor = text.ptr[7] - '0';
    if (major < 0 || major > 9 || *minor < 0 || *minor > 9)
        return -ERR_SYNTAX;
    return major == 1 && *minor <= 1 ? 0 : -ERR_VERSION;
}

/* Framing that is the same for both directions (RFC 9112 6.1 to 6.3). otherwise: neither field is
 * there. */
static int
parse_framing(const struct special *special, enum http_framing otherwise, struct http_head *out)
{
    out->framing = otherwise;
    out->length = 0;
    if (special->codings > 0) {
        /* A reader that trusts the length and one that trusts the chunks see two different
         * messages. */
        if (special->lengths > 0 || out->minor == 0)
            return -ERR_SYNTAX;
        if (special->codings > 1 || !text_caseless_is(special->coding, "chunked"))
            return -ERR_CODING;
        out->framing = HTTP_CHUNKED;
    } else if (special->lengths > 0) {
        if (special->lengths > 1 || !text_u64(special->length, &out->length))
            return -ERR_SYNTAX;
        out->framing = HTTP_LENGTH;
    }
    return 0;
}

/* RFC 9112 9.3 */
static bool
persists(const struct special *special, int minor)
{
    return !special->close && (minor == 1 || special->keep_alive);
}

static enum http_method
method_of(struct slice text)
{
    static const char *const names[] = {
        [HTTP_GET] = "GET",     [HTTP_HEAD] = "HEAD",     [HTTP_POST] = "POST",
        [HTTP_PUT] = "PUT",     [HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS",
        [HTTP_PATCH] = "PATCH",
    };
    for (size_t i = 0; i < countof(names); i++) {
        if (slice_is(text, names[i]))
            return (enum http_method)i;
    }
    return HTTP_OTHER;
}

/* request-line = method SP request-target SP HTTP-version, one space each (RFC 9112 3) */
static int
parse_request_line(struct slice line, struct http_head *out)
{
    out->method_text = slice_take(line, http_span(line, HTTP_TOKEN));
    struct slice rest = slice_skip(line, out->method_text.len);
    if (out->method_text.len == 0 || rest.len == 0 || rest.ptr[0] != ' ')
        return -ERR_SYNTAX;
    rest = slice_skip(rest, 1);
    out->target = slice_take(rest, http_span(rest, HTTP_TARGET));
    rest = slice_skip(rest, out->target.len);
    if (out->target.len == 0 || rest.len == 0 || rest.ptr[0] != ' ')
        return -ERR_SYNTAX;
    out->method = method_of(out->method_text);
    return parse_version(slice_skip(rest, 1), &out->minor);
}

static int
parse_request(struct http_reader *reader, struct http_head *out)
{
    struct special special = {0};
    struct slice rest = sink_slice(&reader->head);
    int error = parse_request_line(next_line(&rest), out);
    if (error)
        return error;
    error = parse_fields(reader, rest, &special, out);
    if (error)
        return error;
    /* RFC 9112 3.2: exactly one Host; HTTP/1.0 may do without. */
    if (special.hosts > 1 || (special.hosts == 0 && out->minor == 1))
        return -ERR_SYNTAX;
    out->host = special.host;
    if (special.hosts == 1 && !http_host_valid(special.host))
        return -ERR_SYNTAX;
    if (!http_parse_target(out))
        return -ERR_SYNTAX;
    error = parse_framing(&special, HTTP_NO_BODY, out);
    if (error)
        return error;
    out->keep_alive = persists(&special, out->minor);
    /* RFC 9110 10.1.1: an expectation in HTTP/1.0 is ignored, and without content there is nothing
     * to wait for. */
    if (out->minor == 1 && special.expect_other)
        return -ERR_EXPECT;
    bool content = out->framing == HTTP_CHUNKED || out->length > 0;
    out->expect_continue = out->minor == 1 && special.expect && content;
    out->status = 0;
    out->reason = SLICE_NONE;
    return 0;
}

/* status-line = HTTP-version SP status-code SP [ reason ]; the second space may be missing without
 * a reason, as many servers forget it (RFC 9112 4). */
static int
parse_status_line(struct slice line, struct http_head *out)
{
    int error = parse_version(slice_take(line, 8), &out->minor);
    if (error)
        return error;
    if (line.len < 12 || line.ptr[8] != ' ' || (line.len > 12 && line.ptr[12] != ' '))
        return -ERR_SYNTAX;
    uint64_t status;
    if (!text_u64(slice_of(line.ptr + 9, 3), &status) || status < 100 || status > 599)
        return -ERR_SYNTAX;
    out->status = (int)status;
    out->reason = slice_skip(line, 13);
    return 0;
}

static int
parse_reply(struct http_reader *reader, bool to_head, struct http_head *out)
{
    struct special special = {0};
    struct slice rest = sink_slice(&reader->head);
    /* An empty line is forgiven in front of requests only; between replies it is somebody's
     * left-over. */
    if (reader->first_line_skipped)
        return -ERR_SYNTAX;
    int error = parse_status_line(next_line(&rest), out);
    if (error)
        return error;
    error = parse_fields(reader, rest, &special, out);
    if (error)
        return error;
    error = parse_framing(&special, HTTP_UNTIL_CLOSE, out);
    if (error)
        return error;
    out->keep_alive = persists(&special, out->minor) && out->framing != HTTP_UNTIL_CLOSE;
    bool bodiless = out->status < 200 || out->status == 204;
    if (bodiless || to_head || out->status == 304) {
        /* A 204 that announces a body may be followed by one: what comes next is not trusted to be
         * a reply. */
        bool announced = out->framing == HTTP_CHUNKED || out->length > 0;
        out->keep_alive = persists(&special, out->minor) && !(bodiless && announced);
        out->framing = HTTP_NO_BODY;
        out->length = 0;
    }
    out->method = HTTP_OTHER;
    out->method_text = out->target = out->path = out->query = out->host = SLICE_NONE;
    out->expect_continue = false;
    return 0;
}

int
http_parse_request(struct http_reader *reader, struct http_head *out)
{
    if (reader->error == 0) {
        assert(reader->state == HEAD_DONE);
        reader->error = parse_request(reader, out);
    }
    return reader->error;
}

int
http_parse_reply(struct http_reader *reader, bool to_head, struct http_head *out)
{
    if (reader->error == 0) {
        assert(reader->state == HEAD_DONE);
        if (parse_reply(reader, to_head, out) < 0)
            reader->error = -ERR_UPSTREAM_PROTOCOL;
    }
    return reader->error;
}
