/* SPDX-License-Identifier: MIT
 *
 * json_write.c - JSON into a sink. The writer places commas and closers; using it wrongly asserts.
 * What the sink cannot take is the sink's sticky error: nothing here fails on its own.
 */
#include "base/json.h"

#define WRITER_DEPTH_MAX 64

static uint64_t
level_bit(const struct json_writer *writer)
{
    assert(writer->depth > 0);
    return (uint64_t)1 << (writer->depth - 1);
}

/* A comma, if something stands before in this container. */
static void
separate(struct json_writer *writer)
{
    uint64_t bit = level_bit(writer);
    if (writer->filled & bit)
        sink_byte(writer->sink, ',');
    writer->filled |= bit;
}

/* What must happen in front of every value. */
static void
before_value(struct json_writer *writer)
{
    if (writer->depth == 0)
        return;
    if (writer->object & level_bit(writer)) {
        assert(writer->named);
        writer->named = false;
    } else {
        separate(writer);
    }
}

void
json_writer_init(struct json_writer *writer, struct sink *sink)
{
    *writer = (struct json_writer){.sink = sink};
}

static void
open_level(struct json_writer *writer, bool object)
{
    before_value(writer);
    assert(writer->depth < WRITER_DEPTH_MAX);
    writer->depth++;
    uint64_t bit = level_bit(writer);
    writer->filled &= ~bit;
    writer->object = object ? writer->object | bit : writer->object & ~bit;
    sink_byte(writer->sink, object ? '{' : '[');
}

void
json_object(struct json_writer *writer)
{
    open_level(writer, true);
}

void
json_array(struct json_writer *writer)
{
    open_level(writer, false);
}

void
json_end(struct json_writer *writer)
{
    assert(!writer->named);
    sink_byte(writer->sink, writer->object & level_bit(writer) ? '}' : ']');
    writer->depth--;
}

static void
put_quoted(struct json_writer *writer, struct slice text)
{
    sink_byte(writer->sink, '"');
    json_escape(writer->sink, text);
    sink_byte(writer->sink, '"');
}

void
json_name_slice(struct json_writer *writer, struct slice name)
{
    assert(writer->object & level_bit(writer));
    assert(!writer->named);
    separate(writer);
    put_quoted(writer, name);
    sink_byte(writer->sink, ':');
    writer->named = true;
}

void
json_name(struct json_writer *writer, const char *name)
{
    json_name_slice(writer, slice_from(name));
}

void
json_put_string(struct json_writer *writer, struct slice text)
{
    before_value(writer);
    put_quoted(writer, text);
}

void
json_put_literal(struct json_writer *writer, const char *text)
{
    json_put_string(writer, slice_from(text));
}

void
json_put_raw(struct json_writer *writer, struct slice value)
{
    assert(value.len > 0 || writer->sink->error); /* a value that there was no memory for */
    before_value(writer);
    sink_put(writer->sink, value);
}

void
json_put_escaped(struct json_writer *writer, struct slice text)
{
    before_value(writer);
    sink_byte(writer->sink, '"');
    sink_put(writer->sink, text);
    sink_byte(writer->sink, '"');
}

void
json_put_i64(struct json_writer *writer, int64_t value)
{
    before_value(writer);
    sink_i64(writer->sink, value);
}

void
json_put_u64(struct json_writer *writer, uint64_t value)
{
    before_value(writer);
    sink_u64(writer->sink, value);
}

void
json_put_bool(struct json_writer *writer, bool value)
{
    before_value(writer);
    sink_put(writer->sink, value ? SLICE_LIT("true") : SLICE_LIT("false"));
}

void
json_put_null(struct json_writer *writer)
{
    before_value(writer);
    sink_put(writer->sink, SLICE_LIT("null"));
}

void
json_member(struct json_writer *writer, const char *name, struct slice text)
{
    json_name(writer, name);
    json_put_string(writer, text);
}

void
json_member_text(struct json_writer *writer, const char *name, const char *text)
{
    json_name(writer, name);
    json_put_literal(writer, text);
}

void
json_member_raw(struct json_writer *writer, const char *name, struct slice value)
{
    json_name(writer, name);
    json_put_raw(writer, value);
}

void
json_member_i64(struct json_writer *writer, const char *name, int64_t value)
{
    json_name(writer, name);
    json_put_i64(writer, value);
}

void
json_member_u64(struct json_writer *writer, const char *name, uint64_t value)
{
    json_name(writer, name);
    json_put_u64(writer, value);
}

void
json_member_bool(struct json_writer *writer, const char *name, bool value)
{
    json_name(writer, name);
    json_put_bool(writer, value);
}

void
json_member_null(struct json_writer *writer, const char *name)
{
    json_name(writer, name);
    json_put_null(writer);
}
