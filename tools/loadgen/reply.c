/* SPDX-License-Identifier: MIT
 *
 * reply.c - see reply.h. Bytes are looked at where they were received; only what is cut in two is
 * copied.
 */
#include "tools/loadgen/reply.h"

#include "base/text.h"

#include <stdlib.h>

#define HEAD_MAX 65536u
#define CARRY_MAX (256u << 20)
#define SHOWN 200

void
reply_begin(struct reply *reply, struct tally *tally, enum dialect dialect, bool stream,
            uint64_t id)
{
    char *carry = reply->carry;
    size_t room = reply->carry_room;
    *reply = (struct reply){
        .carry = carry, .carry_room = room, .keep_alive = true, .stream_wanted = stream};
    check_begin(&reply->check, tally, dialect, id);
}

void
reply_fini(struct reply *reply)
{
    free(reply->carry);
    reply->carry = NULL;
    reply->carry_len = reply->carry_room = 0;
}

static void
broken(struct reply *reply, enum wrong wrong, struct slice shown)
{
    reply->state = REPLY_BROKEN;
    reply->check.failed = true;
    tally_wrong(reply->check.tally, wrong, reply->check.id, shown);
}

static bool
keep(struct reply *reply, struct slice bytes)
{
    if (reply->carry_len + bytes.len > reply->carry_room) {
        size_t room = (reply->carry_len + bytes.len) * 2;
        char *grown = room > CARRY_MAX ? NULL : realloc(reply->carry, room);
        if (!grown) {
            broken(reply, WRONG_MALFORMED, slice_from("too long"));
            return false;
        }
        reply->carry = grown;
        reply->carry_room = room;
    }
    memcpy(reply->carry + reply->carry_len, bytes.ptr, bytes.len);
    reply->carry_len += bytes.len;
    return true;
}

/* Quiet streams should hold little memory. */
static void
carry_empty(struct reply *reply)
{
    reply->carry_len = 0;
    if (reply->carry_room > 65536)
        reply_fini(reply);
}

/* -- the head -- */

static bool
head_field(struct reply *reply, struct slice name, struct slice value, bool *length, bool *chunked)
{
    if (text_caseless_is(name, "content-length")) {
        if (*length || !text_u64(value, &reply->left))
            return false;
        *length = true;
    } else if (text_caseless_is(name, "transfer-encoding")) {
        if (*chunked || !text_caseless_is(value, "chunked"))
            return false;
        *chunked = true;
    } else if (text_caseless_is(name, "connection")) {
        if (text_caseless_is(value, "close"))
            reply->keep_alive = false;
    } else if (text_caseless_is(name, "content-type")) {
        reply->events = slice_starts(value, SLICE_LIT("text/event-stream"));
    }
    return true;
}

static bool
head_fields(struct reply *reply, struct slice lines, bool *length, bool *chunked)
{
    while (lines.len) {
        struct slice line = text_split(&lines, '\n');
        if (!line.len || line.ptr[line.len - 1] != '\r')
            return false;
        line.len--;
        struct slice value = line, name = text_split(&value, ':');
        if (!slice_present(value) || !name.len || memchr(name.ptr, ' ', name.len))
            return false;
        if (!head_field(reply, name, text_trim(value), length, chunked))
            return false;
    }
    return true;
}

/* A complete head, without the empty line. */
static void
head(struct reply *reply, struct slice bytes)
{
    struct slice lines = bytes, line = text_split(&lines, '\n');
    bool length = false, chunked = false;
    if (line.len < 14 || !slice_starts(line, SLICE_LIT("HTTP/1.1 ")) || line.ptr[12] != ' ') {
        broken(reply, WRONG_FRAMING, bytes);
        return;
    }
    reply->status = atoi(line.ptr + 9);
    if (!head_fields(reply, lines, &length, &chunked) || (length && chunked)) {
        broken(reply, WRONG_FRAMING, bytes);
        return;
    }
    reply->state = chunked ? REPLY_CHUNK_SIZE : length ? REPLY_LENGTH : REPLY_CLOSE;
    if (reply->status == 200 && reply->events != reply->stream_wanted)
        broken(reply, WRONG_MALFORMED, bytes);
}

static size_t
take_head(struct reply *reply, struct slice bytes)
{
    size_t before = reply->carry_len;
    struct slice all = bytes;
    if (before) {
        if (!keep(reply, bytes))
            return bytes.len;
        all = slice_of(reply->carry, reply->carry_len);
    }
    const char *blank = memmem(all.ptr, all.len, "\r\n\r\n", 4);
    if (!blank) {
        if (all.len > HEAD_MAX)
            broken(reply, WRONG_FRAMING, all);
        else if (!before)
            (void)keep(reply, bytes);
        return bytes.len;
    }
    size_t len = (size_t)(blank - all.ptr) + 4;
    head(reply, slice_take(all, len - 2));
    carry_empty(reply);
    return len - before;
}

/* -- the body's contents -- */

static void
event_line(struct slice line, struct slice *name, struct slice *data, int *count)
{
    if (slice_starts(line, SLICE_LIT("data:"))) {
        *data = slice_skip(line, line.len > 5 && line.ptr[5] == ' ' ? 6 : 5);
        ++*count;
    } else if (slice_starts(line, SLICE_LIT("event:"))) {
        *name = slice_skip(line, line.len > 6 && line.ptr[6] == ' ' ? 7 : 6);
    }
}

/* Complete events at the front of the bytes; returns how many bytes they are. */
static size_t
take_events(struct reply *reply, struct slice bytes, uint64_t now_ns)
{
    struct slice name = SLICE_NONE, data = SLICE_NONE;
    const char *at = bytes.ptr, *end = at + bytes.len, *taken = at;
    int count = 0;
    for (const char *newline; at < end && (newline = memchr(at, '\n', (size_t)(end - at)));
         at = newline + 1) {
        struct slice line = slice_of(at, (size_t)(newline - at));
        if (line.len && line.ptr[line.len - 1] == '\r')
            line.len--;
        if (line.len) {
            event_line(line, &name, &data, &count);
            continue;
        }
        if (count == 1)
            check_event(&reply->check, name, data, now_ns);
        else if (count > 1)
            broken(reply, WRONG_MALFORMED, data);
        name = data = SLICE_NONE;
        count = 0;
        taken = newline + 1;
    }
    return (size_t)(taken - bytes.ptr);
}

static void
contents(struct reply *reply, struct slice bytes, uint64_t now_ns)
{
    if (!reply->events || reply->status != 200) {
        (void)keep(reply, bytes);
        return;
    }
    if (!reply->carry_len) {
        size_t taken = take_events(reply, bytes, now_ns);
        if (taken < bytes.len)
            (void)keep(reply, slice_skip(bytes, taken));
        return;
    }
    if (!keep(reply, bytes))
        return;
    size_t taken = take_events(reply, slice_of(reply->carry, reply->carry_len), now_ns);
    reply->carry_len -= taken;
    if (reply->carry_len)
        memmove(reply->carry, reply->carry + taken, reply->carry_len);
    else
        carry_empty(reply);
}

static void
done(struct reply *reply, uint64_t now_ns)
{
    struct slice left = slice_of(reply->carry ? reply->carry : "", reply->carry_len);
    reply->state = REPLY_DONE;
    if (reply->status != 200) {
        broken(reply, WRONG_STATUS, left);
        reply->state = REPLY_DONE;
    } else if (!reply->events) {
        check_whole(&reply->check, left, now_ns);
    } else {
        if (left.len && !reply->check.failed)
            broken(reply, WRONG_MALFORMED, left);
        else
            check_stream_end(&reply->check);
        reply->state = REPLY_DONE;
    }
    carry_empty(reply);
}

/* -- the body's framing -- */

static int
hex_value(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte = (char)(byte | 32);
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* The line of a chunk's size, which may be cut anywhere. */
static size_t
take_size(struct reply *reply, struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++) {
        char byte = bytes.ptr[i];
        if (reply->size_cr) {
            if (byte != '\n' || !reply->size_begun)
                break;
            reply->state = reply->left ? REPLY_CHUNK_DATA : REPLY_TRAILER;
            reply->size_cr = reply->size_begun = reply->extension = false;
            reply->line = 0;
            return i + 1;
        }
        int digit = reply->extension ? -1 : hex_value(byte);
        if (byte == '\r') {
            reply->size_cr = true;
        } else if (digit >= 0 && reply->line < 12) {
            reply->left = (reply->size_begun ? reply->left : 0) * 16 + (unsigned)digit;
            reply->size_begun = true;
            reply->line++;
        } else if (reply->size_begun && (byte == ';' || reply->extension) && reply->line++ < 1024) {
            reply->extension = true;
        } else {
            break;
        }
        if (i + 1 == bytes.len)
            return bytes.len;
    }
    broken(reply, WRONG_FRAMING, slice_take(bytes, SHOWN));
    return bytes.len;
}

/* CR LF behind a chunk; or, for trailers, lines up to an empty one. */
static size_t
take_line_end(struct reply *reply, struct slice bytes, uint64_t now_ns)
{
    bool trailer = reply->state == REPLY_TRAILER;
    for (size_t i = 0; i < bytes.len; i++) {
        char byte = bytes.ptr[i];
        if (reply->size_cr && byte == '\n') {
            reply->size_cr = false;
            if (reply->line == 0) {
                reply->state = REPLY_CHUNK_SIZE;
                if (trailer)
                    done(reply, now_ns);
                return i + 1;
            }
            reply->line = 0;
        } else if (byte == '\r' && !reply->size_cr) {
            reply->size_cr = true;
        } else if (trailer && !reply->size_cr && reply->line < HEAD_MAX) {
            reply->line++;
        } else {
            broken(reply, WRONG_FRAMING, slice_take(bytes, SHOWN));
            break;
        }
    }
    return bytes.len;
}

static size_t
take_data(struct reply *reply, struct slice bytes, uint64_t now_ns)
{
    struct slice run = slice_take(bytes, reply->left < bytes.len ? (size_t)reply->left : bytes.len);
    reply->left -= run.len;
    /* Whole bodies that are here in one piece are not copied. */
    bool whole =
        reply->state == REPLY_LENGTH && !reply->left && !reply->carry_len && !reply->events;
    if (whole && reply->status == 200) {
        check_whole(&reply->check, run, now_ns);
        reply->state = REPLY_DONE;
        return run.len;
    }
    contents(reply, run, now_ns);
    if (reply->state == REPLY_BROKEN || reply->left)
        return run.len;
    if (reply->state == REPLY_LENGTH)
        done(reply, now_ns);
    else
        reply->state = REPLY_CHUNK_END;
    return run.len;
}

size_t
reply_bytes(struct reply *reply, struct slice bytes, uint64_t now_ns)
{
    size_t used = 0;
    while (used < bytes.len && !reply_over(reply)) {
        struct slice rest = slice_skip(bytes, used);
        switch ((enum reply_state)reply->state) {
        case REPLY_HEAD:
            used += take_head(reply, rest);
            if (reply->state == REPLY_LENGTH && !reply->left)
                done(reply, now_ns);
            break;
        case REPLY_LENGTH:
        case REPLY_CHUNK_DATA:
            used += take_data(reply, rest, now_ns);
            break;
        case REPLY_CLOSE:
            contents(reply, rest, now_ns);
            used = bytes.len;
            break;
        case REPLY_CHUNK_SIZE:
            used += take_size(reply, rest);
            break;
        case REPLY_CHUNK_END:
        case REPLY_TRAILER:
            used += take_line_end(reply, rest, now_ns);
            break;
        case REPLY_DONE:
        case REPLY_BROKEN:
            break;
        }
    }
    return used;
}

bool
reply_end(struct reply *reply, uint64_t now_ns)
{
    reply->keep_alive = false;
    if (reply->state != REPLY_CLOSE)
        return false;
    done(reply, now_ns);
    return true;
}
