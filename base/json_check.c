/* SPDX-License-Identifier: MIT
 *
 * json_check.c - is this growing text still the beginning of one JSON value?
 *
 * The same language as json_scan's, one byte at a time. All state is in struct json_check, so a
 * text may be cut anywhere: inside a literal, an escape or a UTF-8 sequence.
 */
#include "base/json.h"

#include "base/json_run.h"

#define CHECK_DEPTH_MAX 128

enum check_state {
    WANT_VALUE,        /* at depth 0: nothing but white space yet */
    WANT_VALUE_OR_END, /* behind '[' */
    WANT_NAME,         /* behind ',' in an object */
    WANT_NAME_OR_END,  /* behind '{' */
    WANT_COLON,
    AFTER_VALUE,
    IN_STRING,
    IN_LITERAL,
    NUMBER_MINUS,
    NUMBER_ZERO,
    NUMBER_WHOLE,
    NUMBER_POINT,
    NUMBER_FRACTION,
    NUMBER_E,
    NUMBER_E_SIGN,
    NUMBER_EXPONENT,
};

/* escape_left: hex digits still wanted, or this: the letter behind the backslash is. */
#define ESCAPE_LETTER 5

void
json_check_init(struct json_check *check)
{
    *check = (struct json_check){.state = WANT_VALUE};
}

static bool
in_object(const struct json_check *check)
{
    int level = check->depth - 1;
    return check->stack[level >> 6] >> (level & 63) & 1;
}

static bool
is_digit(unsigned char byte)
{
    return byte >= '0' && byte <= '9';
}

static bool
open_container(struct json_check *check, bool object)
{
    if (check->depth == CHECK_DEPTH_MAX)
        return false;
    if (check->depth == 0)
        check->is_object = object;
    uint64_t bit = (uint64_t)1 << (check->depth & 63);
    uint64_t *word = &check->stack[check->depth >> 6];
    *word = object ? *word | bit : *word & ~bit;
    check->depth++;
    check->state = object ? WANT_NAME_OR_END : WANT_VALUE_OR_END;
    return true;
}

static bool
close_container(struct json_check *check, bool object)
{
    if (check->depth == 0 || in_object(check) != object)
        return false;
    check->depth--;
    check->state = AFTER_VALUE;
    return true;
}

static bool
begin_literal(struct json_check *check, const char *literal)
{
    check->literal = literal;
    check->literal_at = 1;
    check->state = IN_LITERAL;
    return true;
}

static bool
begin_string(struct json_check *check, bool name)
{
    check->in_name = name;
    check->state = IN_STRING;
    return true;
}

static bool
begin_value(struct json_check *check, unsigned char byte)
{
    switch (byte) {
    case '{':
        return open_container(check, true);
    case '[':
        return open_container(check, false);
    case '"':
        return begin_string(check, false);
    case 't':
        return begin_literal(check, "true");
    case 'f':
        return begin_literal(check, "false");
    case 'n':
        return begin_literal(check, "null");
    case '-':
        check->state = NUMBER_MINUS;
        return true;
    default:
        check->state = byte == '0' ? NUMBER_ZERO : NUMBER_WHOLE;
        return is_digit(byte);
    }
}

/* A byte inside a string that is part of an escape. */
static bool
step_escape(struct json_check *check, unsigned char byte)
{
    if (check->escape_left == ESCAPE_LETTER) {
        check->escape_left = byte == 'u' ? 4 : 0;
        return byte != '\0' && strchr("\"\\/bfnrtu", byte);
    }
    check->escape_left--;
    unsigned char lower = byte | 0x20;
    return is_digit(byte) || (lower >= 'a' && lower <= 'f');
}

/* The first byte of a UTF-8 sequence: how many follow, and between what the second lies. */
static bool
begin_utf8(struct json_check *check, unsigned char byte)
{
    if (byte < 0xc2 || byte > 0xf4)
        return false;
    check->utf8_left = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    check->utf8_low = byte == 0xe0 ? 0xa0 : byte == 0xf0 ? 0x90 : 0x80;
    check->utf8_high = byte == 0xed ? 0x9f : byte == 0xf4 ? 0x8f : 0xbf;
    return true;
}

static bool
step_string(struct json_check *check, unsigned char byte)
{
    if (check->escape_left > 0)
        return step_escape(check, byte);
    if (check->utf8_left > 0) {
        bool fits = byte >= check->utf8_low && byte <= check->utf8_high;
        check->utf8_left--;
        check->utf8_low = 0x80;
        check->utf8_high = 0xbf;
        return fits;
    }
    if (byte >= 0x80)
        return begin_utf8(check, byte);
    if (byte == '"')
        check->state = check->in_name ? WANT_COLON : AFTER_VALUE;
    else if (byte == '\\')
        check->escape_left = ESCAPE_LETTER;
    return byte >= ' ';
}

static bool
step_literal(struct json_check *check, unsigned char byte)
{
    if (byte != (unsigned char)check->literal[check->literal_at])
        return false;
    check->literal_at++;
    if (check->literal[check->literal_at] == '\0')
        check->state = AFTER_VALUE;
    return true;
}

/* Between values and names, where white space may stand. */
static bool
step_structure(struct json_check *check, unsigned char byte)
{
    if (byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t')
        return true;
    switch (check->state) {
    case WANT_VALUE_OR_END:
        if (byte == ']')
            return close_container(check, false);
        return begin_value(check, byte);
    case WANT_VALUE:
        return begin_value(check, byte);
    case WANT_NAME_OR_END:
        if (byte == '}')
            return close_container(check, true);
        return byte == '"' && begin_string(check, true);
    case WANT_NAME:
        return byte == '"' && begin_string(check, true);
    case WANT_COLON:
        check->state = WANT_VALUE;
        return byte == ':';
    default:
        break;
    }
    assert(check->state == AFTER_VALUE);
    if (byte == '}' || byte == ']')
        return close_container(check, byte == '}');
    if (byte != ',' || check->depth == 0)
        return false;
    check->state = in_object(check) ? WANT_NAME : WANT_VALUE;
    return true;
}

static bool
number_may_end(const struct json_check *check)
{
    return check->state == NUMBER_ZERO || check->state == NUMBER_WHOLE ||
           check->state == NUMBER_FRACTION || check->state == NUMBER_EXPONENT;
}

static bool
step_number(struct json_check *check, unsigned char byte)
{
    uint8_t next = AFTER_VALUE; /* not part of the number */
    bool e = byte == 'e' || byte == 'E';
    bool digit = is_digit(byte);
    switch (check->state) {
    case NUMBER_MINUS:
        next = byte == '0' ? NUMBER_ZERO : digit ? NUMBER_WHOLE : next;
        break;
    case NUMBER_ZERO:
        next = byte == '.' ? NUMBER_POINT : e ? NUMBER_E : next;
        break;
    case NUMBER_WHOLE:
        next = digit ? NUMBER_WHOLE : byte == '.' ? NUMBER_POINT : e ? NUMBER_E : next;
        break;
    case NUMBER_POINT:
        next = digit ? NUMBER_FRACTION : next;
        break;
    case NUMBER_FRACTION:
        next = digit ? NUMBER_FRACTION : e ? NUMBER_E : next;
        break;
    case NUMBER_E:
        next = digit ? NUMBER_EXPONENT : byte == '+' || byte == '-' ? NUMBER_E_SIGN : next;
        break;
    default:
        next = digit ? NUMBER_EXPONENT : next;
        break;
    }
    if (next != AFTER_VALUE) {
        check->state = next;
        return true;
    }
    if (!number_may_end(check))
        return false;
    check->state = AFTER_VALUE;
    return step_structure(check, byte);
}

bool
json_check_feed(struct json_check *check, struct slice piece)
{
    const unsigned char *at = (const unsigned char *)piece.ptr;
    const unsigned char *end = at + piece.len;
    while (at < end && !check->bad) {
        bool fits;
        if (check->state == IN_STRING) {
            if (check->escape_left == 0 && check->utf8_left == 0)
                at = json_run_plain(at, end);
            if (at == end)
                break;
            fits = step_string(check, *at);
        } else if (check->state == IN_LITERAL) {
            fits = step_literal(check, *at);
        } else if (check->state >= NUMBER_MINUS) {
            fits = step_number(check, *at);
        } else {
            fits = step_structure(check, *at);
        }
        check->bad = !fits;
        at++;
    }
    return !check->bad;
}

bool
json_check_done(const struct json_check *check)
{
    return !check->bad && check->depth == 0 &&
           (check->state == AFTER_VALUE || number_may_end(check));
}

bool
json_check_empty(const struct json_check *check)
{
    return !check->bad && check->depth == 0 && check->state == WANT_VALUE;
}
