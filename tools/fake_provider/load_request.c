/* SPDX-License-Identifier: MIT
 *
 * load_request.c - see load_request.h.
 */
#include "tools/fake_provider/load_request.h"

#include "base/text.h"

#include <string.h>

/* Long bodies are long in their middle: what steers stands in front or behind. */
#define SEARCH_BYTES 4096u

static const char *
find(struct slice bytes, const char *text)
{
    return memmem(bytes.ptr, bytes.len, text, strlen(text));
}

static const char *
find_at_ends(struct slice body, const char *text)
{
    const char *found = find(slice_take(body, SEARCH_BYTES), text);
    if (!found && body.len > SEARCH_BYTES) {
        size_t behind =
            body.len - SEARCH_BYTES < SEARCH_BYTES ? SEARCH_BYTES : body.len - SEARCH_BYTES;
        /* A little earlier, for what lies across the border. */
        found = find(slice_skip(body, behind - 64), text);
    }
    return found;
}

/* The value of a field whose text is like this, with a space behind the colon or without. */
static bool
says(struct slice body, const char *tight, const char *loose)
{
    return find_at_ends(body, tight) || find_at_ends(body, loose);
}

static struct slice
field_text(struct slice body, const char *name)
{
    const char *at = find_at_ends(body, name);
    if (!at)
        return SLICE_NONE;
    const char *end = body.ptr + body.len;
    at += strlen(name);
    while (at < end && (*at == ' ' || *at == ':'))
        at++;
    if (at == end || *at != '"')
        return SLICE_NONE;
    at++;
    const char *quote = memchr(at, '"', (size_t)(end - at));
    return quote ? slice_of(at, (size_t)(quote - at)) : SLICE_NONE;
}

/* The number behind the last "id=" of the body. */
static uint64_t
last_id(struct slice body)
{
    size_t len = body.len;
    for (const char *at; len > 2 && (at = memrchr(body.ptr, '=', len));
         len = (size_t)(at - body.ptr)) {
        if (at - body.ptr < 2 || at[-1] != 'd' || at[-2] != 'i')
            continue;
        uint64_t id = 0;
        for (const char *digit = at + 1;
             digit < body.ptr + body.len && *digit >= '0' && *digit <= '9'; digit++)
            id = id * 10 + (uint64_t)(*digit - '0');
        return id;
    }
    return 0;
}

static void
read_path(struct slice path, struct load_request *request)
{
    const char *models = find(path, "/models/");
    const char *colon = models ? memchr(models, ':', (size_t)(path.ptr + path.len - models)) : NULL;
    request->known = true;
    if (colon) {
        request->dialect = PLAN_GEMINI;
        request->model = slice_of(models + 8, (size_t)(colon - models - 8));
        request->stream = find(path, ":streamGenerateContent") != NULL;
    } else if (find(path, "/chat/completions")) {
        request->dialect = PLAN_CHAT;
    } else if (find(path, "/messages")) {
        request->dialect = PLAN_ANTHROPIC;
    } else if (find(path, "/responses")) {
        request->dialect = PLAN_RESPONSES;
    } else {
        request->known = false;
    }
}

/* The length of the body, or -1. Chunked requests are not taken. */
static int
read_fields(struct slice lines, uint64_t *body_len)
{
    *body_len = 0;
    while (lines.len) {
        struct slice line = text_split(&lines, '\n');
        struct slice name = text_split(&line, ':');
        if (text_caseless_is(name, "content-length")) {
            if (line.len && line.ptr[line.len - 1] == '\r')
                line.len--;
            if (!text_u64(text_trim(line), body_len) || *body_len > REQUEST_BODY_MAX)
                return -1;
        } else if (text_caseless_is(name, "transfer-encoding")) {
            return -1;
        }
    }
    return 0;
}

int
load_request_read(struct slice bytes, struct load_request *request)
{
    *request = (struct load_request){0};
    const char *blank = find(slice_take(bytes, REQUEST_HEAD_MAX), "\r\n\r\n");
    if (!blank)
        return bytes.len >= REQUEST_HEAD_MAX ? -1 : 0;
    struct slice head = slice_of(bytes.ptr, (size_t)(blank - bytes.ptr) + 2);
    struct slice line = text_split(&head, '\n');
    struct slice method = text_split(&line, ' ');
    struct slice path = text_split(&line, ' ');
    uint64_t body_len;
    if (!slice_present(path) || !slice_starts(line, SLICE_LIT("HTTP/1.1")) ||
        read_fields(head, &body_len) < 0)
        return -1;
    size_t head_len = (size_t)(blank - bytes.ptr) + 4;
    request->len = head_len + body_len;
    if (bytes.len < request->len)
        return 0;
    if (!slice_is(method, "POST"))
        return 1;
    struct slice body = slice_of(bytes.ptr + head_len, body_len);
    read_path(path, request);
    if (request->dialect != PLAN_GEMINI) {
        request->model = field_text(body, "\"model\"");
        request->stream = says(body, "\"stream\":true", "\"stream\": true");
        request->usage = request->dialect == PLAN_CHAT &&
                         says(body, "\"include_usage\":true", "\"include_usage\": true");
    }
    if (!slice_present(request->model))
        request->known = false;
    request->id = last_id(body);
    return 1;
}
