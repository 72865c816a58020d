/* SPDX-License-Identifier: MIT
 *
 * write.c - heads and chunk framing to bytes. Whatever is put, a message of ours keeps its shape:
 * bytes that would end a line or a word where they stand are replaced.
 */
#include "http/http.h"

#include "http/chars.h"

#define CRLF SLICE_LIT("\r\n")

/* Statuses that we or the providers use, and the rest of the registry (RFC 9110 15, RFC 6585). */
const char *
http_reason(int status)
{
    /* clang-format off */
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {100, "Continue"}, {101, "Switching Protocols"}, {102, "Processing"}, {103, "Early Hints"},
        {200, "OK"}, {201, "Created"}, {202, "Accepted"}, {203, "Non-Authoritative Information"},
        {204, "No Content"}, {205, "Reset Content"}, {206, "Partial Content"},
        {300, "Multiple Choices"}, {301, "Moved Permanently"}, {302, "Found"}, {303, "See Other"},
        {304, "Not Modified"}, {307, "Temporary Redirect"}, {308, "Permanent Redirect"},
        {400, "Bad Request"}, {401, "Unauthorized"}, {402, "Payment Required"}, {403, "Forbidden"},
        {404, "Not Found"}, {405, "Method Not Allowed"}, {406, "Not Acceptable"},
        {407, "Proxy Authentication Required"}, {408, "Request Timeout"}, {409, "Conflict"},
        {410, "Gone"}, {411, "Length Required"}, {412, "Precondition Failed"},
        {413, "Content Too Large"}, {414, "URI Too Long"}, {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"}, {417, "Expectation Failed"}, {421, "Misdirected Request"},
        {422, "Unprocessable Content"}, {424, "Failed Dependency"}, {425, "Too Early"},
        {426, "Upgrade Required"}, {428, "Precondition Required"}, {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"}, {451, "Unavailable For Legal Reasons"},
        {499, "Client Closed Request"}, {500, "Internal Server Error"}, {501, "Not Implemented"},
        {502, "Bad Gateway"}, {503, "Service Unavailable"}, {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"}, {529, "Site Is Overloaded"},
    };
    /* clang-format on */
    for (size_t i = 0; i < countof(reasons); i++) {
        if (reasons[i].status == status)
            return reasons[i].reason;
    }
    return "Unknown";
}

/* Escaped rather than refused: a target made of a configured base and a client's path stays one
 * word. */
static void
put_target(struct sink *out, struct slice target)
{
    static const char hex[] = "0123456789ABCDEF";
    if (target.len == 0)
        sink_byte(out, '/');
    while (target.len > 0) {
        size_t clean = http_span(target, HTTP_TARGET);
        sink_put(out, slice_take(target, clean));
        target = slice_skip(target, clean);
        if (target.len == 0)
            break;
        uint8_t byte = (uint8_t)target.ptr[0];
        sink_put(out, slice_of((char[]){'%', hex[byte >> 4], hex[byte & 15]}, 3));
        target = slice_skip(target, 1);
    }
}

void
http_put_request_line(struct sink *out, const char *method, struct slice target)
{
    assert(http_is_token(slice_from(method)));
    sink_text(out, method);
    sink_byte(out, ' ');
    put_target(out, target);
    sink_put(out, SLICE_LIT(" HTTP/1.1\r\n"));
}

void
http_put_status(struct sink *out, int status)
{
    assert(status >= 100);
    assert(status <= 999);
    sink_put(out, SLICE_LIT("HTTP/1.1 "));
    sink_u64(out, (uint64_t)status);
    sink_byte(out, ' ');
    sink_text(out, http_reason(status));
    sink_put(out, CRLF);
}

/* The name is one of our own: a token. */
void
http_put_field_of(struct sink *out, struct slice name, struct slice value)
{
    char *to = sink_reserve(out, name.len + 2 + value.len + 2);
    if (!to)
        return;
    memcpy(to, name.ptr, name.len);
    to += name.len;
    *to++ = ':';
    *to++ = ' ';
    if (value.len > 0)
        memcpy(to, value.ptr, value.len);
    char *end = to + value.len;
    while ((to = (char *)(uintptr_t)http_find_control(to, end)) < end)
        *to = ' ';
    memcpy(end, "\r\n", 2);
    out->len += name.len + 2 + value.len + 2;
}

void
http_put_field_named(struct sink *out, struct slice name, struct slice value)
{
    if (!http_is_token(name))
        return;
    http_put_field_of(out, name, value);
}

void
http_put_field_u64(struct sink *out, const char *name, uint64_t value)
{
    sink_text(out, name);
    sink_put(out, SLICE_LIT(": "));
    sink_u64(out, value);
    sink_put(out, CRLF);
}

void
http_put_end_of_head(struct sink *out)
{
    sink_put(out, CRLF);
}

static char *
put_two_digits(char *to, int64_t value)
{
    to[0] = (char)('0' + value / 10 % 10);
    to[1] = (char)('0' + value % 10);
    return to + 2;
}

/*
 * The calendar by arithmetic: strftime asks the locale and gmtime the time zone's lock. Days are
 * counted from 1 March of year 0, so that the leap day is the last of its year; 146097 days are 400
 * years, and the months from March on have 31,30,31,30,31 days over and over, which (5 * day + 2) /
 * 153 inverts.
 */
void
http_put_date(struct sink *out, int64_t unix_s)
{
    static const char weekdays[] = "ThuFriSatSunMonTueWed"; /* 1 January 1970 was a Thursday */
    static const char months[] = "MarAprMayJunJulAugSepOctNovDecJanFeb";
    const int64_t latest_s = 253402300799; /* the last second of year 9999 */
    int64_t now_s = unix_s < 0 ? 0 : unix_s > latest_s ? latest_s : unix_s;
    int64_t days = now_s / 86400, second = now_s % 86400;

    int64_t since_march = days + 719468;
    int64_t era = since_march / 146097, day_of_era = since_march % 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153; /* 0 is March */
    int64_t day = day_of_year - (153 * month + 2) / 5 + 1;
    int64_t year = era * 400 + year_of_era + (month >= 10);

    char text[] = "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
    memcpy(text + 6, weekdays + 3 * (days % 7), 3);
    put_two_digits(text + 11, day);
    memcpy(text + 14, months + 3 * month, 3);
    put_two_digits(put_two_digits(text + 18, year / 100), year % 100);
    put_two_digits(text + 23, second / 3600);
    put_two_digits(text + 26, second / 60 % 60);
    put_two_digits(text + 29, second % 60);
    sink_put(out, slice_of(text, sizeof(text) - 1));
}

void
http_put_chunk(struct sink *out, struct slice data)
{
    static const char hex[] = "0123456789abcdef";
    if (data.len == 0)
        return;
    char size[18];
    size_t at = sizeof(size);
    size[--at] = '\n';
    size[--at] = '\r';
    for (size_t left = data.len; left > 0; left >>= 4)
        size[--at] = hex[left & 15];
    size_t size_len = sizeof(size) - at;
    char *to = sink_reserve(out, size_len + data.len + 2);
    if (!to)
        return;
    memcpy(to, size + at, size_len);
    memcpy(to + size_len, data.ptr, data.len);
    memcpy(to + size_len + data.len, "\r\n", 2);
    out->len += size_len + data.len + 2;
}

void
http_put_last_chunk(struct sink *out)
{
    sink_put(out, SLICE_LIT("0\r\n\r\n"));
}
