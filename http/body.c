/* SPDX-License-Identifier: MIT
 *
 * body.c - message bodies: by length, in chunks, until the connection closes (RFC 9112 6 and 7).
 *
 * Payload is given as slices of the input; framing is read byte by byte, since it is a few bytes a
 * chunk. Chunk lines are held to their grammar: a lenient reader in front of a strict one is a
 * smuggling hole.
 */
#include "http/http.h"

#include "http/chars.h"

#define CHUNK_DIGITS_MAX 16

enum body_state {
    CHUNK_SIZE,      /* hex digits */
    CHUNK_EXTENSION, /* behind ';' */
    CHUNK_QUOTED,    /* inside "..." of an extension */
    CHUNK_ESCAPED,   /* behind \ in there */
    CHUNK_LINE_LF,   /* CR seen */
    CHUNK_DATA,
    CHUNK_DATA_CR, /* all of the chunk seen */
    CHUNK_DATA_LF,
    TRAILER_START, /* at the start of a trailer line */
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    TRAILER_END_LF, /* CR of the empty line seen */
};

static int
fail(struct http_body *body, int client_error, int upstream_error)
{
    body->error = body->role == HTTP_FROM_CLIENT ? -client_error : -upstream_error;
    return body->error;
}

static int
malformed(struct http_body *body)
{
    return fail(body, ERR_SYNTAX, ERR_UPSTREAM_PROTOCOL);
}

static int
too_large(struct http_body *body)
{
    return fail(body, ERR_BODY_LIMIT, ERR_UPSTREAM_TOO_LARGE);
}

void
http_body_init(struct http_body *body, const struct http_head *head, enum http_role role,
               uint64_t max, const struct http_limits *limits)
{
    assert(head->framing != HTTP_UNTIL_CLOSE || role == HTTP_FROM_UPSTREAM);
    assert(limits->line_max > 0);
    *body = (struct http_body){
        .framing = head->framing,
        .role = role,
        .max = max,
        .limits = *limits,
        .state = CHUNK_SIZE,
    };
    if (head->framing == HTTP_LENGTH) {
        body->left = head->length;
        if (body->left > max)
            too_large(body);
    }
    body->done =
        head->framing == HTTP_NO_BODY || (head->framing == HTTP_LENGTH && head->length == 0);
}

static int
hex_digit(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte = (char)(byte | 0x20);
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* The size is complete (its line's LF was read). 0 or an error. */
static int
begin_chunk(struct http_body *body)
{
    assert(body->digits > 0);
    if (body->size > body->max - body->seen)
        return too_large(body);
    body->left = body->size;
    body->state = body->size > 0 ? CHUNK_DATA : TRAILER_START;
    /* Data pays for extensions; without it they may not add up to more than a head. */
    body->extension_bytes -=
        body->size < body->extension_bytes ? (uint32_t)body->size : body->extension_bytes;
    body->size = 0;
    body->digits = 0;
    body->line_len = 0;
    return 0;
}

/* One byte behind the ';' of a chunk line, CR apart. */
static bool
extension_byte(struct http_body *body, char byte)
{
    bool clean = !http_char_is(byte, HTTP_CONTROL);
    if (++body->extension_bytes > body->limits.head_max)
        return false;
    switch (body->state) {
    case CHUNK_EXTENSION:
        if (byte == '"')
            body->state = CHUNK_QUOTED;
        return byte == '"' || byte == ';' || byte == '=' || byte == ' ' || byte == '\t' ||
               http_char_is(byte, HTTP_TOKEN);
    case CHUNK_QUOTED:
        if (byte == '"')
            body->state = CHUNK_EXTENSION;
        else if (byte == '\\')
            body->state = CHUNK_ESCAPED;
        return clean;
    default:
        assert(body->state == CHUNK_ESCAPED);
        body->state = CHUNK_QUOTED;
        return clean;
    }
}

/* One byte of a chunk line: 1*HEXDIG [ ";" extensions ] CRLF. 0 or an error. */
static int
chunk_line_byte(struct http_body *body, char byte)
{
    if (body->state == CHUNK_LINE_LF)
        return byte == '\n' ? begin_chunk(body) : malformed(body);
    if (byte == '\r' && (body->state == CHUNK_SIZE || body->state == CHUNK_EXTENSION)) {
        body->state = CHUNK_LINE_LF;
        return body->digits > 0 ? 0 : malformed(body);
    }
    if (++body->line_len > body->limits.line_max)
        return malformed(body);
    if (body->state != CHUNK_SIZE)
        return extension_byte(body, byte) ? 0 : malformed(body);
    int digit = hex_digit(byte);
    if (digit < 0) {
        body->state = CHUNK_EXTENSION;
        return byte == ';' && body->digits > 0 ? 0 : malformed(body);
    }
    if (++body->digits > CHUNK_DIGITS_MAX)
        return malformed(body);
    body->size = body->size << 4 | (uint64_t)digit;
    return 0;
}

/* One byte of the trailer section: *( token ":" value CRLF ) CRLF. All of it is dropped, so that no
 * trailer can pass for a field of the head (RFC 9110 6.5.1). 0 or an error. */
static int
trailer_byte(struct http_body *body, char byte)
{
    bool good;
    if (++body->trailer_bytes > body->limits.head_max)
        return malformed(body);
    switch (body->state) {
    case TRAILER_START:
        body->state = byte == '\r' ? TRAILER_END_LF : TRAILER_NAME;
        good = byte == '\r' ||
               (http_char_is(byte, HTTP_TOKEN) && ++body->trailer_count <= body->limits.fields_max);
        break;
    case TRAILER_NAME:
        if (byte == ':')
            body->state = TRAILER_VALUE;
        good = byte == ':' || http_char_is(byte, HTTP_TOKEN);
        break;
    case TRAILER_VALUE:
        if (byte == '\r')
            body->state = TRAILER_LF;
        good = byte == '\r' || !http_char_is(byte, HTTP_CONTROL);
        break;
    case TRAILER_LF:
        body->state = TRAILER_START;
        good = byte == '\n';
        break;
    default:
        assert(body->state == TRAILER_END_LF);
        good = byte == '\n';
        body->done = good;
    }
    return good ? 0 : malformed(body);
}

static int
framing_byte(struct http_body *body, char byte)
{
    switch (body->state) {
    case CHUNK_DATA_CR:
        body->state = CHUNK_DATA_LF;
        return byte == '\r' ? 0 : malformed(body);
    case CHUNK_DATA_LF:
        body->state = CHUNK_SIZE;
        return byte == '\n' ? 0 : malformed(body);
    case TRAILER_START:
    case TRAILER_NAME:
    case TRAILER_VALUE:
    case TRAILER_LF:
    case TRAILER_END_LF:
        return trailer_byte(body, byte);
    default:
        return chunk_line_byte(body, byte);
    }
}

/* Take up to n bytes of payload. There is at least one byte of input. */
static int
take_data(struct http_body *body, uint64_t n, struct slice *bytes, struct slice *data)
{
    size_t taken = n < bytes->len ? (size_t)n : bytes->len;
    assert(taken > 0);
    assert(taken <= body->max - body->seen);
    *data = slice_take(*bytes, taken);
    *bytes = slice_skip(*bytes, taken);
    body->seen += taken;
    return 1;
}

/*
 * skip_plain_frame - the frame as nearly everybody writes it, in one step: the CRLF behind a chunk and
 * the next chunk's line, a size of at most 7 digits and nothing else. What looks otherwise, or is not
 * there to its end, is left to framing_byte, which alone knows what is right and wrong. 0 or an error.
 */
static int
skip_plain_frame(struct http_body *body, struct slice *bytes)
{
    const char *at = bytes->ptr, *end = bytes->ptr + bytes->len;
    uint64_t size = 0;
    int digits = 0, digit;
    if (body->state == CHUNK_DATA_CR) {
        if (end - at < 2 || at[0] != '\r' || at[1] != '\n')
            return 0;
        at += 2;
        body->state = CHUNK_SIZE;
        *bytes = slice_skip(*bytes, 2);
    }
    if (body->state != CHUNK_SIZE || body->digits > 0)
        return 0;
    while (at < end && digits < 7 && (digit = hex_digit(*at)) >= 0) {
        size = size << 4 | (uint64_t)digit;
        digits++;
        at++;
    }
    if (digits == 0 || (size_t)digits > body->limits.line_max || end - at < 2 || at[0] != '\r' ||
        at[1] != '\n')
        return 0;
    body->digits = (uint8_t)digits;
    body->size = size;
    *bytes = slice_skip(*bytes, (size_t)(at + 1 - bytes->ptr)); /* an error stands at the LF */
    int error = begin_chunk(body);
    if (!error)
        *bytes = slice_skip(*bytes, 1);
    return error;
}

static int
next_chunked(struct http_body *body, struct slice *bytes, struct slice *data)
{
    while (bytes->len > 0 && !body->done) {
        if (body->state == CHUNK_DATA_CR || body->state == CHUNK_SIZE) {
            int error = skip_plain_frame(body, bytes);
            if (error)
                return error;
            if (bytes->len == 0)
                break;
        }
        if (body->state == CHUNK_DATA) {
            take_data(body, body->left, bytes, data);
            body->left -= data->len;
            if (body->left == 0)
                body->state = CHUNK_DATA_CR;
            return 1;
        }
        int error = framing_byte(body, bytes->ptr[0]);
        if (error)
            return error;
        *bytes = slice_skip(*bytes, 1);
    }
    return 0;
}

int
http_body_next(struct http_body *body, struct slice *bytes, struct slice *data)
{
    if (body->error)
        return body->error;
    if (body->done || bytes->len == 0)
        return 0;
    switch (body->framing) {
    case HTTP_LENGTH:
        assert(body->left > 0);
        take_data(body, body->left, bytes, data);
        body->left -= data->len;
        body->done = body->left == 0;
        return 1;
    case HTTP_UNTIL_CLOSE:
        if (body->seen == body->max)
            return too_large(body);
        return take_data(body, body->max - body->seen, bytes, data);
    case HTTP_CHUNKED:
        return next_chunked(body, bytes, data);
    default:
        assert(!"a message without body is done from the start");
        return malformed(body);
    }
}

int
http_body_end(struct http_body *body)
{
    if (body->error)
        return body->error;
    if (body->framing == HTTP_UNTIL_CLOSE)
        body->done = true;
    if (!body->done)
        body->error = -ERR_DISCONNECTED;
    return body->error;
}
