/* SPDX-License-Identifier: MIT
 *
 * form.c - as much of multipart/form-data as it takes to find a field.
 */
#include "gateway/form.h"
#include "base/text.h"

#define BOUNDARY_MAX 70u /* RFC 2046 */
#define PARTS_MAX 1000

/* The next "; name=value" of a field; the value without its quotes. false: there are no more, or it is malformed. */
static bool
next_parameter(struct slice *rest, struct slice *name, struct slice *value)
{
    size_t at = 0;
    while (at < rest->len && rest->ptr[at] != ';')
        at++;
    *rest = slice_skip(*rest, at + 1);
    for (at = 0; at < rest->len && rest->ptr[at] != '=' && rest->ptr[at] != ';'; at++)
        ;
    if (at >= rest->len || rest->ptr[at] != '=')
        return false;
    *name = text_trim(slice_take(*rest, at));
    *rest = slice_skip(*rest, at + 1);
    if (rest->len > 0 && rest->ptr[0] == '"') {
        for (at = 1; at < rest->len && rest->ptr[at] != '"'; at++)
            at += rest->ptr[at] == '\\';
        if (at >= rest->len)
            return false;
        *value = slice_of(rest->ptr + 1, at - 1);
        *rest = slice_skip(*rest, at + 1);
        return true;
    }
    for (at = 0; at < rest->len && rest->ptr[at] != ';'; at++)
        ;
    *value = text_trim(slice_take(*rest, at));
    *rest = slice_skip(*rest, at);
    return true;
}

static struct slice
parameter(struct slice field, const char *wanted)
{
    struct slice name, value;
    while (next_parameter(&field, &name, &value)) {
        if (text_caseless_is(name, wanted))
            return value;
    }
    return SLICE_NONE;
}

/* Does a part's head say that it is this field? */
static bool
is_named(struct slice head, const char *wanted)
{
    while (head.len > 0) {
        struct slice line = text_split(&head, '\n'), value = line;
        struct slice name = text_split(&value, ':');
        if (text_caseless_is(text_trim(name), "content-disposition"))
            return slice_is(parameter(value, "name"), wanted);
    }
    return false;
}

/* What is left behind the first occurrence of needle; *before is what stood in front. Absent: it does not occur. */
static struct slice
cut(struct slice text, struct slice needle, struct slice *before)
{
    const char *at = text.len >= needle.len ? memmem(text.ptr, text.len, needle.ptr, needle.len) : NULL;
    if (!at)
        return SLICE_NONE;
    *before = slice_of(text.ptr, (size_t)(at - text.ptr));
    return slice_skip(text, before->len + needle.len);
}

int
form_find(struct slice body, struct slice type, const char *name, struct slice *out)
{
    struct slice boundary = parameter(type, "boundary"), before, head;
    char line[BOUNDARY_MAX + 4] = "\r\n--";
    *out = SLICE_NONE;
    if (boundary.len == 0 || boundary.len > BOUNDARY_MAX)
        return -ERR_REQUEST;
    memcpy(line + 4, boundary.ptr, boundary.len);
    struct slice between = slice_of(line, boundary.len + 4), first = slice_skip(between, 2);
    struct slice rest = slice_starts(body, first) ? slice_skip(body, first.len) : cut(body, between, &before);
    for (int parts = 0; slice_present(rest) && parts < PARTS_MAX; parts++) {
        if (slice_starts(rest, SLICE_LIT("--")))
            return 0;
        rest = cut(rest, SLICE_LIT("\r\n"), &before); /* white space may pad the boundary's line */
        if (!slice_present(rest) || text_trim(before).len > 0)
            return -ERR_REQUEST;
        if (slice_starts(rest, SLICE_LIT("\r\n"))) { /* a part without a head has no name */
            head = SLICE_LIT("");
            rest = slice_skip(rest, 2);
        } else {
            rest = cut(rest, SLICE_LIT("\r\n\r\n"), &head);
        }
        struct slice content;
        rest = slice_present(rest) ? cut(rest, between, &content) : SLICE_NONE;
        if (!slice_present(rest) || !is_named(head, name))
            continue;
        if (slice_present(*out)) /* which of them the upstream would believe nobody knows */
            return -ERR_REQUEST;
        *out = content;
    }
    return -ERR_REQUEST;
}
