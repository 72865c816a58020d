/* SPDX-License-Identifier: MIT
 *
 * config_value.c - typed values: parsing, bounds, storing at an offset, noting the source, writing
 * the same value back as text or as JSON.
 */
#include "gateway/config_internal.h"

#include "base/json.h"
#include "base/text.h"

#include <errno.h>
#include <unistd.h>

/* ---- sources ---- */

const struct config_source *
config_source_find(const struct config_source *list, size_t offset)
{
    while (list != NULL && list->offset != offset)
        list = list->next;
    return list;
}

void
config_source_set(struct config_loader *loader, struct config_target *target, size_t offset,
                  const struct config_origin *origin, struct slice from)
{
    struct config_source *source = *target->sources;
    while (source != NULL && source->offset != offset)
        source = source->next;
    if (source == NULL) {
        source = arena_take(&loader->config->arena, sizeof(*source));
        if (source == NULL) {
            config_problem_of(loader, false, origin, "out of memory");
            return;
        }
        source->next = *target->sources;
        source->offset = offset;
        *target->sources = source;
    }
    source->kind = origin->kind;
    source->line = origin->node != NULL ? origin->node->line : 0;
    struct slice name = slice_present(from) ? from : origin->name;
    source->name = SLICE_NONE;
    if (slice_present(name)) {
        source->name = arena_copy(&loader->config->arena, name);
        if (!slice_present(source->name))
            config_problem_of(loader, false, origin, "out of memory");
    }
}

/* ---- storing ---- */

static void
put_number(const struct config_row *row, void *base, uint64_t value)
{
    char *at = (char *)base + row->offset;
    switch (row->size) {
    case 1:
        *(uint8_t *)(void *)at = (uint8_t)value;
        return;
    case 2:
        *(uint16_t *)(void *)at = (uint16_t)value;
        return;
    case 4:
        *(uint32_t *)(void *)at = (uint32_t)value;
        return;
    default:
        assert(row->size == sizeof(uint64_t));
        *(uint64_t *)(void *)at = value;
    }
}

static uint64_t
get_number(const struct config_row *row, const void *base)
{
    const char *at = (const char *)base + row->offset;
    switch (row->size) {
    case 1:
        return *(const uint8_t *)(const void *)at;
    case 2:
        return *(const uint16_t *)(const void *)at;
    case 4:
        return *(const uint32_t *)(const void *)at;
    default:
        assert(row->size == sizeof(uint64_t));
        return *(const uint64_t *)(const void *)at;
    }
}

static bool
parse_bool(struct slice text, uint64_t *out)
{
    static const char *const yes[] = {"true", "yes", "on", "1"};
    static const char *const no[] = {"false", "no", "off", "0"};
    for (size_t i = 0; i < countof(yes); i++) {
        if (text_caseless_is(text, yes[i]) || text_caseless_is(text, no[i])) {
            *out = text_caseless_is(text, yes[i]);
            return true;
        }
    }
    return false;
}

/* A decimal number with up to three places, in thousandths. */
static bool
parse_decimal(struct slice text, uint64_t *out)
{
    struct slice places = text;
    struct slice whole = text_split(&places, '.');
    uint64_t value = 0, part = 0;
    if (!text_u64(whole, &value) || value > UINT32_MAX)
        return false;
    if (slice_present(places) && (places.len == 0 || !text_u64(places, &part)))
        return false;
    for (size_t i = places.len; i < 3; i++)
        part *= 10;
    for (size_t i = 3; i < places.len; i++)
        part /= 10;
    *out = value * 1000 + part;
    return true;
}

/* Digits as YAML writes them: 100_000 is a number. */
static bool
parse_integer(struct slice text, uint64_t *out)
{
    char digits[24];
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '_' && i > 0)
            continue;
        if (n == sizeof(digits))
            return false;
        digits[n++] = text.ptr[i];
    }
    return text_u64(slice_of(digits, n), out);
}

/* The index of text among "a|b|c", or -1. */
static int
choice_index(const char *choices, struct slice text)
{
    struct slice rest = slice_from(choices);
    for (int i = 0; slice_present(rest); i++)
        if (slice_eq(text_split(&rest, '|'), text))
            return i;
    return -1;
}

static bool
parse_number(const struct config_row *row, struct slice text, uint64_t *out)
{
    switch (row->type) {
    case CONFIG_BOOL:
        return parse_bool(text, out);
    case CONFIG_INTEGER:
        return parse_integer(text, out);
    case CONFIG_DECIMAL:
        return parse_decimal(text, out);
    case CONFIG_DURATION:
        return text_duration_ms(text, out);
    case CONFIG_MEGABYTES:
        if (!parse_integer(text, out) || *out > (UINT64_MAX >> 20))
            return false;
        *out <<= 20;
        return true;
    default:
        assert(row->type == CONFIG_BYTES);
        return text_bytes(text, out);
    }
}

static const char *
expected(enum config_type type)
{
    switch (type) {
    case CONFIG_BOOL:
        return "true or false is expected";
    case CONFIG_DURATION:
        return "a duration is expected: 10s, 500ms, 2m, 1h or a number of seconds";
    case CONFIG_BYTES:
        return "a size is expected: 4096, 64KiB, 50MiB";
    case CONFIG_DECIMAL:
        return "a number is expected";
    default:
        return "a whole number is expected";
    }
}

/* Moves LiteLLM's values into our bounds, refuses our own outside them. */
static bool
check_bounds(struct config_loader *loader, const struct config_row *row,
             const struct config_origin *origin, uint64_t *value)
{
    uint64_t wanted = *value;
    if (*value < row->least)
        *value = row->least;
    if (row->most != 0 && *value > row->most)
        *value = row->most;
    struct sink bound;
    sink_init(&bound, 256);
    bool good = true;
    if (*value != wanted) {
        config_format_number(row, *value, &bound);
        bool warning = (row->flags & ROW_CLAMP) != 0;
        struct slice text = sink_slice(&bound);
        if (warning)
            config_problem_of(loader, true, origin, "out of bounds: %.*s is used", SLICE_ARG(text));
        else
            config_problem_of(loader, false, origin, "too %s: the %s is %.*s",
                              wanted > *value ? "large" : "small",
                              wanted > *value ? "most" : "least", SLICE_ARG(text));
        good = warning;
    } else if (*value < row->low) {
        config_format_number(row, row->low, &bound);
        struct slice text = sink_slice(&bound);
        config_problem_of(loader, true, origin, "less than %.*s is allowed but seldom meant",
                          SLICE_ARG(text));
    }
    sink_fini(&bound);
    return good;
}

static bool
store_text(struct config_loader *loader, const struct config_row *row, void *base,
           const struct config_origin *origin, struct slice text)
{
    if (row->choices != NULL && choice_index(row->choices, text) < 0) {
        config_problem_of(loader, false, origin, "this value is not one of %s", row->choices);
        return false;
    }
    struct slice *at = (struct slice *)(void *)((char *)base + row->offset);
    if (row->type == CONFIG_PATH && text.len > 0) {
        bool relative = text.ptr[0] != '/' && origin->kind == SOURCE_FILE;
        *at = arena_printf(&loader->config->arena, "%.*s%.*s",
                           SLICE_ARG(relative ? loader->directory : SLICE_NONE), SLICE_ARG(text));
        if (slice_present(*at) && access(at->ptr, R_OK) != 0) {
            config_problem_of(loader, false, origin, "cannot read %s: %s", at->ptr,
                              strerror(errno));
            return false;
        }
        config_note_file(loader, *at);
    } else {
        *at = arena_copy(&loader->config->arena, text);
    }
    if (!slice_present(*at)) {
        config_problem_of(loader, false, origin, "out of memory");
        return false;
    }
    return true;
}

bool
config_store(struct config_loader *loader, const struct config_row *row,
             struct config_target *target, const struct config_origin *origin, struct slice text,
             struct slice from)
{
    uint64_t value = 0;
    /* What a reference led to may be a secret put in the wrong place: it is not shown. */
    struct slice shown = slice_present(from) ? SLICE_LIT("***") : slice_take(text, 64);
    if (row->type == CONFIG_TEXT || row->type == CONFIG_SECRET || row->type == CONFIG_PATH) {
        if (!store_text(loader, row, target->base, origin, text))
            return false;
        if (row->type == CONFIG_SECRET && origin->kind == SOURCE_FILE && !slice_present(from) &&
            text.len > 0)
            loader->secret_in_file = true;
    } else if (row->type == CONFIG_CHOICE) {
        struct slice word = slice_is(text, "debug") ? SLICE_LIT("debug1") : text;
        int index = choice_index(row->choices, word);
        if (index < 0) {
            config_problem_of(loader, false, origin, "\"%.*s\" is not one of %s", SLICE_ARG(shown),
                              row->choices);
            return false;
        }
        put_number(row, target->base, (uint64_t)index);
    } else {
        if (!parse_number(row, text, &value)) {
            config_problem_of(loader, false, origin, "%s, not \"%.*s\"", expected(row->type),
                              SLICE_ARG(shown));
            return false;
        }
        if (row->type != CONFIG_BOOL && !check_bounds(loader, row, origin, &value))
            return false;
        put_number(row, target->base, value);
    }
    if (origin->kind != SOURCE_DEFAULT)
        config_source_set(loader, target, row->offset, origin, from);
    return true;
}

void
config_defaults(struct config_loader *loader, enum config_section_id first,
                enum config_section_id last, struct config_target *target)
{
    struct config_origin origin = {.kind = SOURCE_DEFAULT};
    for (enum config_section_id id = first; id <= last; id++) {
        const struct config_section *section = config_section_of(id);
        for (size_t i = 0; i < section->row_count; i++) {
            const struct config_row *row = &section->rows[i];
            if (row->fallback == NULL || config_source_find(*target->sources, row->offset) != NULL)
                continue;
            bool good = true;
            if (row->type == CONFIG_SPECIAL) {
                struct config_node *node = config_yaml_read(loader, slice_from(row->fallback));
                good = node != NULL && row->read(loader, row, node, target);
            } else {
                good = config_store(loader, row, target, &origin, slice_from(row->fallback),
                                    SLICE_NONE);
            }
            assert(good || loader->errors > 0); /* a default that its own parser refuses is noted */
        }
    }
}

/* ---- writing ---- */

static void
put_scaled(struct sink *out, uint64_t value, const uint64_t *sizes, const char *const *units,
           size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (value % sizes[i] == 0 && value != 0) {
            sink_u64(out, value / sizes[i]);
            sink_text(out, units[i]);
            return;
        }
    sink_u64(out, value);
}

void
config_format_number(const struct config_row *row, uint64_t value, struct sink *out)
{
    static const uint64_t times[] = {3600000, 60000, 1000, 1};
    static const char *const time_units[] = {"h", "m", "s", "ms"};
    static const uint64_t sizes[] = {1u << 30, 1u << 20, 1u << 10};
    static const char *const size_units[] = {"GiB", "MiB", "KiB"};
    switch (row->type) {
    case CONFIG_BOOL:
        sink_text(out, value != 0 ? "true" : "false");
        return;
    case CONFIG_DURATION:
        /* 600s rather than 10m: seconds are what people compare. */
        if (value >= 60000 && value <= 3600000 && value % 1000 == 0) {
            sink_u64(out, value / 1000);
            sink_text(out, "s");
            return;
        }
        put_scaled(out, value, times, time_units, countof(times));
        return;
    case CONFIG_BYTES:
    case CONFIG_MEGABYTES:
        put_scaled(out, value, sizes, size_units, countof(sizes));
        return;
    case CONFIG_DECIMAL:
        sink_u64(out, value / 1000);
        if (value % 1000 != 0)
            sink_printf(out, ".%03u", (unsigned)(value % 1000));
        return;
    default:
        sink_u64(out, value);
    }
}

void
config_quote(struct sink *out, struct slice text)
{
    sink_byte(out, '"');
    json_escape(out, text);
    sink_byte(out, '"');
}

void
config_format(const struct config_row *row, const void *base, struct sink *out)
{
    const void *at = (const char *)base + row->offset;
    const struct slice *text = at;
    switch (row->type) {
    case CONFIG_TEXT:
    case CONFIG_PATH:
        config_quote(out, *text);
        return;
    case CONFIG_SECRET:
        sink_text(out, "\"***\"");
        return;
    default:
        if (row->choices != NULL) {
            struct slice rest = slice_from(row->choices), word = SLICE_NONE;
            for (uint64_t i = 0; i <= get_number(row, base); i++)
                word = text_split(&rest, '|');
            sink_put(out, word);
            return;
        }
        config_format_number(row, get_number(row, base), out);
    }
}

/* ---- nodes as JSON ---- */

static bool
scalar_json(struct config_loader *loader, const struct config_node *node, struct json_writer *json)
{
    struct slice text, from;
    if (!config_scalar(loader, node, &text, &from))
        return false;
    struct json_scan scan;
    if (config_node_is_null(node)) {
        json_put_null(json);
    } else if (node->plain && (text_caseless_is(text, "true") || text_caseless_is(text, "false"))) {
        json_put_bool(json, text_caseless_is(text, "true"));
    } else if (node->plain && text.len > 0 && text.ptr[0] != '"' && text.ptr[0] != '[' &&
               text.ptr[0] != '{' && json_scan(text, 1, &scan) == 0) {
        json_put_raw(json, text);
    } else {
        json_put_string(json, text);
    }
    return true;
}

bool
config_node_json(struct config_loader *loader, const struct config_node *node, struct sink *out)
{
    /* The containers whose members are being written, outermost first. */
    const struct config_node *open[CONFIG_DEPTH_MAX];
    int depth = 0;
    struct json_writer json;
    json_writer_init(&json, out);
    const struct config_node *at = node;
    for (;;) {
        if (depth > 0 && at == NULL) { /* the innermost container is over */
            json_end(&json);
            at = open[--depth];
            if (depth == 0)
                break;
            at = at->next;
            continue;
        }
        if (depth > 0 && open[depth - 1]->kind == NODE_MAP)
            json_name_slice(&json, at->key);
        if (at->kind == NODE_SCALAR) {
            if (!scalar_json(loader, at, &json))
                return false;
            if (depth == 0)
                break;
            at = at->next;
            continue;
        }
        if (depth == CONFIG_DEPTH_MAX) { /* aliases can nest deeper than the file does */
            config_problem_at(loader, false, at, false, "nested too deeply");
            return false;
        }
        if (at->kind == NODE_MAP)
            json_object(&json);
        else
            json_array(&json);
        open[depth++] = at;
        at = at->child;
    }
    if (out->error != 0)
        config_problem_at(loader, false, node, false, "too large");
    return out->error == 0;
}
