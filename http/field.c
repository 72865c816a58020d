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
http_field(const struct http_head *head, const char *name)
{
    struct slice wanted = slice_from(name);
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
