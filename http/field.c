/* SPDX-License-Identifier: MIT
 *
 * field.c - byte classes, and what one asks of the fields of a parsed head.
 */
#include "http/http.h"

#include "base/text.h"
#include "http/chars.h"

#define C HTTP_CONTROL
#define G HTTP_TARGET
#define T (HTTP_TOKEN | HTTP_TARGET)
#define N (HTTP_TOKEN | HTTP_TARGET | HTTP_HOSTNAME)
/* tab, space and the bytes from 0x80 on are of no class. '#' begins a fragment, which no target
 * has. */
const uint8_t http_chars[256] = {
    [0x00 ... 0x08] = C, [0x0a ... 0x1f] = C, [0x7f] = C, ['!'] = T,         ['"'] = G,
    ['#'] = HTTP_TOKEN,  ['$' ... '\''] = T,  ['('] = G,  [')'] = G,         ['*' ... '+'] = T,
    [','] = G,           ['-' ... '.'] = N,   ['/'] = G,  ['0' ... '9'] = N, [':' ... '@'] = G,
    ['A' ... 'Z'] = N,   ['[' ... ']'] = G,   ['^'] = T,  ['_'] = N,         ['`'] = T,
    ['a' ... 'z'] = N,   ['{'] = G,           ['|'] = T,  ['}'] = G,         ['~'] = N,
};
#undef C
#undef G
#undef T
#undef N

struct slice
http_field_named(const struct http_head *head, struct slice wanted)
{
    for (size_t i = 0; i < head->field_count; i++) {
        if (text_caseless_eq(head->fields[i].name, wanted))
            return head->fields[i].value;
    }
    return SLICE_NONE;
}

bool
http_list_has(struct slice list, struct slice token)
{
    while (slice_present(list)) {
        struct slice member = text_trim(text_split(&list, ','));
        if (text_caseless_eq(member, token))
            return true;
    }
    return false;
}

static bool
fields_have(const struct http_head *head, const char *name, struct slice token)
{
    struct slice wanted = slice_from(name);
    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *field = &head->fields[i];
        if (text_caseless_eq(field->name, wanted) && http_list_has(field->value, token))
            return true;
    }
    return false;
}

bool
http_field_has(const struct http_head *head, const char *name, const char *token)
{
    return fields_have(head, name, slice_from(token));
}

/* RFC 9110 7.6.1 and the older fields it names. */
bool
http_is_hop_by_hop(const struct http_head *head, struct slice name)
{
    static const char *const names[] = {
        "Connection", "Keep-Alive", "TE", "Trailer", "Transfer-Encoding", "Upgrade",
    };
    for (size_t i = 0; i < countof(names); i++) {
        if (text_caseless_is(name, names[i]))
            return true;
    }
    if (text_caseless_eq(slice_take(name, 6), SLICE_LIT("Proxy-")))
        return true;
    return name.len > 0 && fields_have(head, "Connection", name);
}

bool
http_value_clean(struct slice value)
{
    const char *end = value.ptr + value.len;
    return value.len == 0 || http_find_control(value.ptr, end) == end;
}

static bool
two_digits(const char *at, int *out)
{
    if (at[0] < '0' || at[0] > '9' || at[1] < '0' || at[1] > '9')
        return false;
    *out = (at[0] - '0') * 10 + at[1] - '0';
    return true;
}

/* Days from 1970-01-01 to a day of the Gregorian calendar, counted in eras of 400 years from March
 * on. */
static int64_t
days_of(int year, int month, int day)
{
    int shifted = month > 2 ? month - 3 : month + 9;
    int64_t from_march = year - (month <= 2);
    int64_t era = from_march / 400, of_era = from_march - era * 400;
    int64_t of_year = (153 * shifted + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

bool
http_parse_date(struct slice text, int64_t *unix_s)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    static const char shape[] = "Xxx, 00 Xxx 0000 00:00:00 GMT";
    int day, century, rest, hour, minute, second, month = 0;
    if (text.len != sizeof(shape) - 1)
        return false;
    for (size_t i = 3; i < sizeof(shape) - 1;
         i++) { /* what is no digit and no name must stand as it is */
        if (shape[i] != '0' && (i < 8 || i > 10) && text.ptr[i] != shape[i])
            return false;
    }
    for (int i = 0; i < 12 && month == 0; i++)
        month = memcmp(months + i * 3, text.ptr + 8, 3) == 0 ? i + 1 : 0;
    const char *at = text.ptr;
    if (month == 0 || !two_digits(at + 5, &day) || !two_digits(at + 12, &century) ||
        !two_digits(at + 14, &rest) || !two_digits(at + 17, &hour) ||
        !two_digits(at + 20, &minute) || !two_digits(at + 23, &second))
        return false;
    if (day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60)
        return false;
    *unix_s = ((days_of(century * 100 + rest, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    return true;
}
