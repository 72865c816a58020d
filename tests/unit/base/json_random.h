/* SPDX-License-Identifier: MIT
 *
 * json_random.h - random JSON documents, and random damage to them, for the tests of json.
 */
#ifndef PENSTOCK_TEST_JSON_RANDOM_H
#define PENSTOCK_TEST_JSON_RANDOM_H

#include "base/json.h"
#include "tests/unit/base/support.h"

static const char *const random_scalars[] = {
    "0",
    "-1",
    "12.5e-3",
    "1E+9",
    "true",
    "false",
    "null",
    "\"\"",
    "\"plain\"",
    "\"a\\n\\u00e9b\"",
    "\"\\ud83d\\ude00\"",
    "\"\\ud800\"",
    "\"sixteen bytes and then some more\"",
    "\"\xc3\xa9\"",
    "\"\xe2\x82\xac\xf0\x9f\x98\x80\"",
    "\"\\\\\\\"\\/\"",
    "123456789012345678901234567890",
    "\"quite a long text, with a quote \\\" in it, and an \xc3\xa9 behind\"",
    "-0.0",
};

static const char *const random_spaces[] = {"", "", "", "", " ", "\n", "\r\n", "\t", "  \n"};

static const char *
random_of(struct random *random, const char *const *texts, size_t count)
{
    return texts[random_below(random, count)];
}

/* Append a document of about `size` values. Not recursive: `closers` is the stack. */
static void
random_document(struct random *random, struct sink *sink, int size)
{
    char closers[32];
    int depth = 0;
    bool first = true;
#define RANDOM_SPACE sink_text(sink, random_of(random, random_spaces, countof(random_spaces)))
    RANDOM_SPACE;
    do {
        if (!first && depth > 0)
            sink_byte(sink, ',');
        RANDOM_SPACE;
        if (depth > 0 && closers[depth - 1] == '}') {
            sink_printf(sink, "\"k%d\"", (int)random_below(random, 5));
            RANDOM_SPACE;
            sink_byte(sink, ':');
            RANDOM_SPACE;
        }
        first = false;
        if (size > 1 && depth < 32 && (depth == 0 || random_below(random, 3) == 0)) {
            bool object = random_below(random, 2);
            sink_byte(sink, object ? '{' : '[');
            closers[depth++] = object ? '}' : ']';
            first = true;
        } else {
            sink_text(sink, random_of(random, random_scalars, countof(random_scalars)));
        }
        size--;
        while (depth > 0 && (size <= 0 || (depth > 1 && random_below(random, 4) == 0))) {
            RANDOM_SPACE;
            sink_byte(sink, closers[--depth]);
            first = false;
        }
    } while (depth > 0);
    RANDOM_SPACE;
#undef RANDOM_SPACE
}

/* Change, drop, repeat or insert a few bytes, preferring those that mean something. */
static void
random_damage(struct random *random, struct sink *sink)
{
    static const char bytes[] =
        "{}[]:,\"\\0123456789.eE+-tfnul /x\n\x01\x7f\x80\xbf\xc3\xe2\xed\xf0\xff";
    for (size_t i = random_below(random, 4); i > 0 && sink->len > 0; i--) {
        size_t at = random_below(random, sink->len);
        char byte = bytes[random_below(random, sizeof(bytes))];
        switch (random_below(random, 4)) {
        case 0:
            sink->ptr[at] = byte;
            break;
        case 1:
            memmove(sink->ptr + at, sink->ptr + at + 1, sink->len - at - 1);
            sink->len--;
            break;
        case 2:
            sink_byte(sink, byte);
            memmove(sink->ptr + at + 1, sink->ptr + at, sink->len - at - 1);
            sink->ptr[at] = byte;
            break;
        default:
            sink->len = at;
        }
    }
}

#endif
