/* SPDX-License-Identifier: MIT
 *
 * config_print.c - the effective configuration as YAML that can be read again, each value with its
 * source. Secrets, and the values of extra headers, are printed as ***.
 */
#include "gateway/config_internal.h"

#define SOURCE_COLUMN 52

void
config_walk_init(struct config_walk *walk, enum config_section_id first)
{
    walk->depth = 1;
    walk->at[0].section = config_section_of(first);
    walk->at[0].row = 0;
}

bool
config_walk_next(struct config_walk *walk, struct config_step *step)
{
    while (walk->depth > 0 &&
           walk->at[walk->depth - 1].row == walk->at[walk->depth - 1].section->row_count)
        walk->depth--;
    if (walk->depth == 0)
        return false;
    step->depth = walk->depth - 1;
    step->section = walk->at[step->depth].section;
    step->row = &step->section->rows[walk->at[step->depth].row++];
    if (step->row->type == CONFIG_MAP) {
        assert(walk->depth < (int)countof(walk->at)); /* a property of the table */
        walk->at[walk->depth].section = config_section_of(step->row->into);
        walk->at[walk->depth].row = 0;
        walk->depth++;
    }
    return true;
}

/* ---- values with a shape of their own ---- */

static void
print_names(struct sink *out, const struct slice *names, uint32_t count)
{
    sink_byte(out, '[');
    for (uint32_t i = 0; i < count; i++) {
        sink_text(out, i > 0 ? ", " : "");
        config_quote(out, names[i]);
    }
    sink_byte(out, ']');
}

void
config_print_cors(struct sink *out, const struct config_row *row, const void *base)
{
    const struct config *config = base;
    (void)row;
    print_names(out, config->cors_origins, config->cors_count);
}

void
config_print_statuses(struct sink *out, const struct config_row *row, const void *base)
{
    const struct config *config = base;
    (void)row;
    sink_byte(out, '[');
    for (uint32_t i = 0; i < config->retry_status_count; i++)
        sink_printf(out, "%s%u", i > 0 ? ", " : "", config->retry_statuses[i]);
    sink_byte(out, ']');
}

void
config_print_fallbacks(struct sink *out, const struct config_row *row, const void *base)
{
    const struct config *config = base;
    if (row->offset == offsetof(struct config, default_fallbacks)) {
        if (config->default_fallbacks.count > 0)
            print_names(out, config->default_fallbacks.to, config->default_fallbacks.count);
        return;
    }
    bool context = row->offset == offsetof(struct config, context_fallbacks);
    const struct config_pair *pairs = context ? config->context_fallbacks : config->fallbacks;
    uint32_t count = context ? config->context_fallback_count : config->fallback_count;
    uint32_t printed = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!context && pairs[i].to == config->default_fallbacks.to)
            continue; /* joined in for routing, printed under its own key */
        sink_text(out, printed++ > 0 ? ", {" : "[{");
        config_quote(out, pairs[i].from);
        sink_text(out, ": ");
        print_names(out, pairs[i].to, pairs[i].count);
        sink_byte(out, '}');
    }
    if (printed > 0)
        sink_byte(out, ']');
}

void
config_print_aliases(struct sink *out, const struct config_row *row, const void *base)
{
    const struct config *config = base;
    (void)row;
    for (uint32_t i = 0; i < config->alias_count; i++) {
        sink_text(out, i > 0 ? ", " : "{");
        config_quote(out, config->aliases[i].from);
        sink_text(out, ": ");
        config_quote(out, config->aliases[i].to[0]);
    }
    if (config->alias_count > 0)
        sink_byte(out, '}');
}

void
config_print_keys(struct sink *out, const struct config_row *row, const void *base)
{
    const struct config *config = base;
    uint32_t first = config->master_key.len > 0 ? 1 : 0;
    (void)row;
    for (uint32_t i = first; i < config->key_count; i++) {
        sink_text(out, i > first ? ", {name: " : "[{name: ");
        config_quote(out, config->keys[i].name);
        sink_text(out, ", key: \"***\"}");
    }
    if (config->key_count > first)
        sink_byte(out, ']');
}

void
config_print_headers(struct sink *out, const struct config_row *row, const void *base)
{
    const struct config_entry *entry = base;
    const struct config_deployment *deployment = &entry->deployment;
    uint32_t first = entry->organization.len > 0 ? 1 : 0;
    (void)row;
    for (uint32_t i = first; i < deployment->header_count; i++) {
        sink_text(out, i > first ? ", " : "{");
        config_quote(out, deployment->headers[i * 2]);
        sink_text(out, ": \"***\"");
    }
    if (deployment->header_count > first)
        sink_byte(out, '}');
}

void
config_print_location(struct sink *out, const struct config_row *row, const void *base)
{
    const struct config_entry *entry = base;
    (void)row;
    if (entry->deployment.location.len > 0)
        config_quote(out, entry->deployment.location);
}

void
config_print_json(struct sink *out, const struct config_row *row, const void *base)
{
    struct slice json;
    assert(row->size == sizeof json);
    memcpy(&json, (const char *)base + row->offset, sizeof json);
    sink_put(out, json); /* JSON is YAML's flow style */
}

void
config_print_params(struct sink *out, const struct config_row *row, const void *base)
{
    const struct config_entry *entry = base;
    (void)row;
    sink_put(out, entry->deployment.default_params); /* JSON is YAML's flow style */
}

void
config_print_strategy(struct sink *out, const struct config_row *row, const void *base)
{
    const struct config *config = base;
    (void)row;
    sink_text(out, config->strategy == STRATEGY_ORDER ? "order" : "simple-shuffle");
}

/* ---- lines ---- */

static void
print_source(struct sink *out, const struct config *config, const struct config_source *source)
{
    if (source == NULL) {
        sink_text(out, "default");
        return;
    }
    switch (source->kind) {
    case SOURCE_PROVIDER:
        sink_printf(out, "default of %.*s", SLICE_ARG(source->name));
        return;
    case SOURCE_FILE:
        sink_printf(out, "%.*s:%u", SLICE_ARG(config->path), source->line);
        if (slice_present(source->name))
            sink_printf(out, ", from %.*s", SLICE_ARG(source->name));
        return;
    case SOURCE_ENVIRONMENT:
        sink_printf(out, "environment %.*s", SLICE_ARG(source->name));
        return;
    case SOURCE_FLAG:
        sink_printf(out, "command line %.*s", SLICE_ARG(source->name));
        return;
    default:
        sink_text(out, "default");
    }
}

static void
pad(struct sink *out, size_t line_start, size_t column)
{
    do
        sink_byte(out, ' ');
    while (out->error == 0 && out->len - line_start < column);
}

struct view {
    const struct config *config;
    const void *base;
    const struct config_source *sources;
    int indent;     /* of the first section's rows */
    bool list_item; /* the next line opens an item: "- " stands in its indent */
};

static void
open_line(struct sink *out, struct view *view, int depth)
{
    int spaces = view->indent + depth * 2;
    for (int i = 0; i < spaces - (view->list_item ? 2 : 0); i++)
        sink_byte(out, ' ');
    if (view->list_item)
        sink_text(out, "- ");
    view->list_item = false;
}

static void
print_row(struct sink *out, struct view *view, const struct config_step *step)
{
    const struct config_row *row = step->row;
    size_t line = out->len;
    const struct config_source *source =
        row->size != 0 ? config_source_find(view->sources, row->offset) : NULL;
    bool wanted = source != NULL || row->fallback != NULL || (row->flags & ROW_ALWAYS);
    if (row->type == CONFIG_SPECIAL ? row->print == NULL : row->size == 0 || !wanted)
        return;
    /* An alias that was used is shown under the main name, which has the same offset. */
    if (row->type == CONFIG_ACCEPTED || (row->flags & ROW_ALIAS))
        return;
    open_line(out, view, step->depth);
    sink_printf(out, "%s: ", row->name);
    size_t value = out->len;
    if (row->type == CONFIG_SPECIAL)
        row->print(out, row, view->base);
    else
        config_format(row, view->base, out);
    if (out->len == value) { /* there is none */
        out->len = line;
        return;
    }
    pad(out, line, SOURCE_COLUMN);
    sink_text(out, "# ");
    print_source(out, view->config, source);
    sink_byte(out, '\n');
}

static void
print_section(struct sink *out, struct view *view, enum config_section_id first)
{
    struct config_walk walk;
    struct config_step step;
    size_t header = 0, header_end = SIZE_MAX; /* a map's line that has no key below it yet */
    int header_depth = 0;
    config_walk_init(&walk, first);
    while (config_walk_next(&walk, &step)) {
        if (out->len == header_end && step.depth <= header_depth)
            out->len = header;
        if (step.row->type != CONFIG_MAP) {
            print_row(out, view, &step);
            continue;
        }
        header = out->len;
        header_depth = step.depth;
        open_line(out, view, step.depth);
        sink_printf(out, "%s:\n", step.row->name);
        header_end = out->len;
    }
    if (out->len == header_end)
        out->len = header;
}

void
config_print(const struct config *config, struct sink *out)
{
    static const enum config_section_id top[] = {SECTION_ROUTER, SECTION_GENERAL, SECTION_PENSTOCK};
    sink_printf(out, "# effective configuration; %s%.*s\n",
                slice_present(config->path) ? "file: " : "no file", SLICE_ARG(config->path));
    for (size_t i = 0; i < countof(top); i++) {
        struct view view = {config, config, config->sources, 2, false};
        size_t line = out->len;
        sink_printf(out, "%s:\n", config_section_of(top[i])->path);
        size_t body = out->len;
        print_section(out, &view, top[i]);
        if (out->len == body)
            out->len = line;
    }
    size_t line = out->len;
    sink_text(out, "model_list:\n");
    size_t body = out->len;
    for (uint32_t i = 0; i < config->deployment_count; i++) {
        const struct config_entry *entry = &config->entries[i];
        struct view view = {config, entry, entry->sources, 4, true};
        if (slice_is(entry->deployment.provider, "demo"))
            continue; /* penstock.demo stands for them */
        print_section(out, &view, SECTION_MODEL);
    }
    if (out->len == body)
        out->len = line;
}
