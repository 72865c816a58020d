/* SPDX-License-Identifier: MIT
 *
 * splice.c - a JSON text passed on with a few places changed and every other byte as it was.
 */
#include "providers/splice.h"

void
splice_init(struct splice *splice, struct slice text, struct arena *arena)
{
    *splice = (struct splice){.text = text, .arena = arena};
}

static void
note(struct splice *splice, size_t at, size_t len, struct slice with)
{
    assert(at <= splice->text.len);
    assert(len <= splice->text.len - at);
    if (!slice_present(with)) { /* there was no memory to write it */
        splice->failed = true;
        return;
    }
    if (splice->count == splice->capacity) {
        size_t capacity = splice->capacity ? splice->capacity * 4 : 8;
        struct splice_edit *edits = arena_take(splice->arena, capacity * sizeof(*edits));
        if (!edits) {
            splice->failed = true;
            return;
        }
        if (splice->count)
            memcpy(edits, splice->edits, splice->count * sizeof(*edits));
        splice->edits = edits;
        splice->capacity = capacity;
    }
    size_t place = splice->count++;
    while (place > 0 && splice->edits[place - 1].at > at) {
        splice->edits[place] = splice->edits[place - 1];
        place--;
    }
    splice->edits[place] = (struct splice_edit){at, len, with};
}

static size_t
place_of(const struct splice *splice, const char *at)
{
    assert(at >= splice->text.ptr);
    assert(at <= splice->text.ptr + splice->text.len);
    return (size_t)(at - splice->text.ptr);
}

void
splice_replace(struct splice *splice, struct slice old, struct slice with)
{
    note(splice, place_of(splice, old.ptr), old.len, with);
}

/* Has an edit already put a member at the end of this object? Then a comma is needed even if it was
 * empty. */
static bool
added_at(const struct splice *splice, size_t at)
{
    for (size_t i = 0; i < splice->count; i++)
        if (splice->edits[i].at == at && splice->edits[i].len == 0)
            return true;
    return false;
}

void
splice_add(struct splice *splice, struct json object, struct slice name, struct slice value)
{
    struct slice raw = json_raw(object);
    assert(raw.len >= 2);
    size_t at = place_of(splice, raw.ptr) + raw.len - 1;
    const char *comma = json_count(object) > 0 || added_at(splice, at) ? "," : "";
    struct slice text =
        arena_printf(splice->arena, "%s\"%.*s\":%.*s", comma, SLICE_ARG(name), SLICE_ARG(value));
    note(splice, at, 0, slice_present(value) ? text : SLICE_NONE);
}

void
splice_member(struct splice *splice, struct json object, const char *name, struct slice value)
{
    struct json member = json_get(object, name);
    if (json_present(member))
        splice_replace(splice, json_raw(member), value);
    else
        splice_add(splice, object, slice_from(name), value);
}

static bool
is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

void
splice_remove(struct splice *splice, struct json member)
{
    struct slice text = splice->text, raw = json_raw(member);
    size_t start = place_of(splice, json_key(member).ptr) - 1;
    size_t end = place_of(splice, raw.ptr) + raw.len;
    size_t after = end, before = start;
    while (after < text.len && is_space(text.ptr[after]))
        after++;
    while (before > 0 && is_space(text.ptr[before - 1]))
        before--;
    if (before > 0 && text.ptr[before - 1] == ',')
        start = before - 1;
    else if (after < text.len && text.ptr[after] == ',')
        end = after + 1;
    note(splice, start, end - start, SLICE_LIT(""));
}

static void
put_text(struct slice run, struct sink *out, struct splice_kept *kept)
{
    if (!kept || run.len < SPLICE_KEPT_LEAST_BYTES || kept->count == SPLICE_KEPT_MAX) {
        sink_put(out, run);
        return;
    }
    kept->runs[kept->count].at = out->len;
    kept->runs[kept->count++].run = run;
    kept->bytes += run.len;
}

int
splice_put(const struct splice *splice, struct sink *out)
{
    return splice_pass(splice, out, NULL);
}

int
splice_pass(const struct splice *splice, struct sink *out, struct splice_kept *kept)
{
    if (splice->failed)
        return -ERR_MEMORY;
    size_t from = 0, most = splice->text.len;
    for (size_t i = 0; i < splice->count; i++)
        most += splice->edits[i].with.len;
    if (!kept && !sink_reserve(out, most)) /* at once: growing would copy a large text once more */
        return out->error;
    for (size_t i = 0; i < splice->count; i++) {
        const struct splice_edit *edit = &splice->edits[i];
        if (edit->at < from)
            continue; /* inside a place already replaced */
        put_text(slice_of(splice->text.ptr + from, edit->at - from), out, kept);
        sink_put(out, edit->with);
        from = edit->at + edit->len;
    }
    put_text(slice_skip(splice->text, from), out, kept);
    return out->error;
}
