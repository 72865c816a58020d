/* SPDX-License-Identifier: MIT
 *
 * log.c - building one logfmt line in the caller's memory. Where lines go is log_ring.c's matter.
 *
 *     time=2026-01-31T12:00:00.123Z level=info msg="stream done" model=demo bytes=512
 *
 * A value that could be misread (spaces, quotes, equals signs, control characters, line separators,
 * bytes that are not UTF-8) is quoted and escaped: one line in the file is one call of log_end.
 */
#include "base/log.h"

#include "base/log_ring.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

_Atomic int log_level_now = LOG_INFO;

/* What log_end may still add: a closing quote, the mark of a cut line, the line end. */
#define LINE_TAIL " cut=true\n"
#define LINE_ROOM (LOG_LINE_MAX - sizeof(LINE_TAIL))

static const char *const level_names[] = {
    [LOG_ERROR] = "error",   [LOG_WARN] = "warn",     [LOG_INFO] = "info",
    [LOG_DEBUG1] = "debug1", [LOG_DEBUG2] = "debug2", [LOG_DEBUG3] = "debug3",
};

void
log_set_level(enum log_level level)
{
    assert((unsigned)level < countof(level_names));
    atomic_store_explicit(&log_level_now, (int)level, memory_order_relaxed);
}

enum log_level
log_level(void)
{
    return (enum log_level)atomic_load_explicit(&log_level_now, memory_order_relaxed);
}

bool
log_level_parse(struct slice text, enum log_level *out)
{
    if (slice_is(text, "debug")) {
        *out = LOG_DEBUG1;
        return true;
    }
    for (size_t i = 0; i < countof(level_names); i++) {
        if (slice_is(text, level_names[i])) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

/* Append all or nothing; what does not fit cuts the line. */
static bool
line_put(struct log_line *line, struct slice bytes)
{
    if (line->cut || line->len + bytes.len > LINE_ROOM) { /* len may be past it by a quote */
        line->cut = true;
        return false;
    }
    if (bytes.len > 0)
        memcpy(line->text + line->len, bytes.ptr, bytes.len);
    line->len += bytes.len;
    return true;
}

/* The last digits of value, zeros in front, width of them from to on. */
static void
put_number(char *to, int width, unsigned value)
{
    while (width > 0) {
        to[--width] = (char)('0' + value % 10);
        value /= 10;
    }
}

/*
 * One UTF-8 character at the front of text: its length, and its code point in *point. Bytes that
 * are no character have length 1 and the point -1.
 */
static size_t
next_character(struct slice text, int32_t *point)
{
    const unsigned char *at = (const unsigned char *)text.ptr;
    static const int32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = at[0] < 0x80       ? 1
               : at[0] >> 5 == 6  ? 2
               : at[0] >> 4 == 14 ? 3
               : at[0] >> 3 == 30 ? 4
                                  : 0;
    *point = -1;
    if (n == 0 || n > text.len)
        return 1;
    int32_t value = n == 1 ? at[0] : at[0] & (0x7f >> n);
    for (size_t i = 1; i < n; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 1;
        value = value << 6 | (at[i] & 0x3f);
    }
    if (value < least[n] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 1;
    *point = value;
    return n;
}

/* Characters that end, hide or reorder a line for some reader: controls, separators, bidi marks. */
static bool
is_unprintable(int32_t point)
{
    return point < 0x20 || (point >= 0x7f && point <= 0x9f) ||
           (point >= 0x200b && point <= 0x200f) || (point >= 0x2028 && point <= 0x202e) ||
           (point >= 0x2060 && point <= 0x2069) || point == 0xfeff;
}

/* Nearly every value is nothing but these: visible ASCII without quote, equals sign and backslash. */
static const bool plain[256] = {
    ['!'] = true, ['#' ... '<'] = true, ['>' ... '['] = true, [']' ... '~'] = true};

static bool
needs_quotes(struct slice value)
{
    if (value.len == 0)
        return true;
    size_t front = 0;
    while (front < value.len && plain[(unsigned char)value.ptr[front]])
        front++;
    value = slice_skip(value, front);
    while (value.len > 0) {
        int32_t point;
        size_t n = next_character(value, &point);
        if (is_unprintable(point) || point == ' ' || point == '"' || point == '=' || point == '\\')
            return true;
        value = slice_skip(value, n);
    }
    return false;
}

/* One character of a quoted value; escaped where it must be. */
static bool
line_put_character(struct log_line *line, struct slice bytes, int32_t point)
{
    char escape[8];
    int n;
    if (point == '"' || point == '\\')
        n = snprintf(escape, sizeof(escape), "\\%c", (int)point);
    else if (point == '\n')
        n = snprintf(escape, sizeof(escape), "\\n");
    else if (point == '\r')
        n = snprintf(escape, sizeof(escape), "\\r");
    else if (point == '\t')
        n = snprintf(escape, sizeof(escape), "\\t");
    else if (point < 0)
        n = snprintf(escape, sizeof(escape), "\\x%02x", (unsigned)(unsigned char)bytes.ptr[0]);
    else if (is_unprintable(point))
        n = snprintf(escape, sizeof(escape), "\\u%04x", (unsigned)point);
    else
        return line_put(line, bytes);
    return line_put(line, slice_of(escape, (size_t)n));
}

static void
line_put_value(struct log_line *line, struct slice value)
{
    /* No more than a line can ever be shown, so no more is looked at. */
    value = slice_take(value, LOG_LINE_MAX);
    if (!needs_quotes(value)) {
        if (line_put(line, value))
            return;
        line->cut = false; /* Show what fits of it, quoted. */
    }
    if (!line_put(line, SLICE_LIT("\"")))
        return;
    while (value.len > 0) {
        int32_t point;
        size_t n = next_character(value, &point);
        if (!line_put_character(line, slice_take(value, n), point))
            break;
        value = slice_skip(value, n);
    }
    /* LINE_ROOM leaves room for this quote even when the value was cut. */
    line->text[line->len++] = '"';
}

/* line_put_name - " name="; false, and the line as before, when no value would fit behind it: a name
 * without one is worse than no field. */
static bool
line_put_name(struct log_line *line, struct slice name)
{
    assert(name.len > 0);
    if (line->cut || line->len + name.len + 3 > LINE_ROOM) {
        line->cut = true;
        return false;
    }
    char *to = line->text + line->len;
    to[0] = ' ';
    memcpy(to + 1, name.ptr, name.len);
    to[name.len + 1] = '=';
    line->len += name.len + 2;
    return true;
}

void
log_put(struct log_line *line, struct slice name, struct slice value)
{
    if (line_put_name(line, name))
        line_put_value(line, value);
}

void
log_put_plain(struct log_line *line, struct slice name, struct slice value)
{
    if (line_put_name(line, name) && !line_put(line, value))
        line_put_value(line, value); /* what fits of it */
}

void
log_put_i64(struct log_line *line, struct slice name, int64_t value)
{
    char digits[24], *end = digits + sizeof(digits);
    /* Negated as unsigned: the most negative number has no positive twin. */
    char *from = text_digits_before(end, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
    if (value < 0)
        *--from = '-';
    log_put_plain(line, name, slice_of(from, (size_t)(end - from)));
}

void
log_put_ms(struct log_line *line, struct slice name, uint64_t micros)
{
    char digits[32], *end = digits + sizeof(digits);
    end[-4] = '.';
    put_number(end - 3, 3, (unsigned)(micros % 1000));
    char *from = text_digits_before(end - 4, micros / 1000);
    log_put_plain(line, name, slice_of(from, (size_t)(end - from)));
}

/* Civil date from days since 1970 (proleptic Gregorian, years counted from March). gmtime_r would
 * take the C library's time zone lock. */
static void
civil_from_days(int64_t days, int *year, int *month, int *day)
{
    int64_t shifted = days + 719468;
    int64_t era = shifted / 146097;
    int64_t day_of_era = shifted % 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    *day = (int)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
    *month = (int)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    *year = (int)(year_of_era + era * 400 + (*month <= 2));
}

void
log_begin(struct log_line *line, enum log_level level, const char *message)
{
    assert((unsigned)level < countof(level_names));
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec < 0)
        now.tv_sec = 0;
    int year, month, day;
    civil_from_days(now.tv_sec / 86400, &year, &month, &day);
    int seconds = (int)(now.tv_sec % 86400);

    line->level = level;
    line->len = 0;
    line->cut = false;
    char when[] = "time=0000-00-00T00:00:00.000Z level=";
    put_number(when + 5, 4, (unsigned)year);
    put_number(when + 10, 2, (unsigned)month);
    put_number(when + 13, 2, (unsigned)day);
    put_number(when + 16, 2, (unsigned)seconds / 3600);
    put_number(when + 19, 2, (unsigned)seconds / 60 % 60);
    put_number(when + 22, 2, (unsigned)seconds % 60);
    put_number(when + 25, 3, (unsigned)(now.tv_nsec / 1000000));
    line_put(line, slice_of(when, sizeof(when) - 1));
    line_put(line, slice_from(level_names[level]));
    line_put(line, SLICE_LIT(" msg="));
    line_put_value(line, slice_from(message));
}

void
log_end(struct log_line *line)
{
    if (!log_on(line->level))
        return;
    struct slice tail = line->cut ? SLICE_LIT(LINE_TAIL) : SLICE_LIT("\n");
    assert(tail.len <= LOG_LINE_MAX - line->len);
    memcpy(line->text + line->len, tail.ptr, tail.len);
    line->len += tail.len;
    log_ring_put(slice_of(line->text, line->len));
}

void
log_say(enum log_level level, const char *message, const char *format, ...)
{
    if (!log_on(level))
        return;
    char detail[LOG_LINE_MAX];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    if (n < 0)
        n = 0;

    struct log_line line;
    log_begin(&line, level, message);
    size_t len = (size_t)n < sizeof(detail) ? (size_t)n : sizeof(detail) - 1;
    if (len > 0)
        log_field(&line, "detail", slice_of(detail, len));
    log_end(&line);
}
