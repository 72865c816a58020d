/* SPDX-License-Identifier: MIT
 *
 * config_helpers.c - keys of penstock.helpers that have a shape of their own: lists of names, and a text that stands in a
 * file.
 */
#include "gateway/config_internal.h"

#include "base/text.h"

#include <errno.h>
#include <stdio.h>

#define PROMPT_BYTES_MAX (256u << 10)
#define NAMES_BYTES_MAX (64u << 10)

bool
config_read_names(struct config_loader *loader, const struct config_row *row,
                  const struct config_node *node, struct config_target *target)
{
    struct sink json;
    struct slice text, from;
    if (node->kind != NODE_LIST) {
        config_problem_at(loader, false, node, false, "a list of names is expected here");
        return false;
    }
    sink_init(&json, NAMES_BYTES_MAX);
    sink_byte(&json, '[');
    bool good = true;
    for (const struct config_node *each = node->child; each != NULL && good; each = each->next) {
        good = config_scalar(loader, each, &text, &from);
        sink_text(&json, each == node->child ? "" : ", ");
        config_quote(&json, good ? text : SLICE_LIT(""));
    }
    sink_byte(&json, ']');
    struct slice kept = good && json.error == 0 ? arena_copy(&loader->config->arena, sink_slice(&json)) : SLICE_NONE;
    sink_fini(&json);
    if (good && !slice_present(kept))
        config_problem_at(loader, false, node, false, "too many names");
    assert(row->size == sizeof(kept));
    if (slice_present(kept))
        memcpy((char *)target->base + row->offset, &kept, sizeof(kept));
    return slice_present(kept);
}

bool
config_read_name_lists(struct config_loader *loader, const struct config_row *row,
                       const struct config_node *node, struct config_target *target)
{
    bool good = node->kind == NODE_LIST;
    for (const struct config_node *list = good ? node->child : NULL; list != NULL && good; list = list->next) {
        good = list->kind == NODE_LIST;
        for (const struct config_node *name = good ? list->child : NULL; name != NULL && good; name = name->next)
            good = name->kind == NODE_SCALAR && !config_node_is_null(name);
    }
    if (!good) {
        config_problem_at(loader, false, node, false, "a list of lists of names is expected here");
        return false;
    }
    return config_read_json(loader, row, node, target);
}

bool
config_read_prompt_file(struct config_loader *loader, const struct config_row *row,
                        const struct config_node *node, struct config_target *target)
{
    struct slice name, from, kept = SLICE_NONE;
    if (!config_scalar(loader, node, &name, &from))
        return false;
    bool relative = name.len == 0 || name.ptr[0] != '/';
    struct slice path = arena_printf(&loader->scratch, "%.*s%.*s", SLICE_ARG(relative ? loader->directory : SLICE_NONE), SLICE_ARG(name));
    char *bytes = arena_take(&loader->scratch, PROMPT_BYTES_MAX);
    FILE *file = slice_present(path) && bytes != NULL ? fopen(path.ptr, "re") : NULL;
    if (file == NULL) {
        config_problem_at(loader, false, node, false, "cannot read %.*s: %s", SLICE_ARG(name), strerror(errno));
        return false;
    }
    config_note_file(loader, path);
    size_t len = fread(bytes, 1, PROMPT_BYTES_MAX, file);
    bool good = ferror(file) == 0 && len < PROMPT_BYTES_MAX;
    fclose(file);
    while (len > 0 && (bytes[len - 1] == '\n' || bytes[len - 1] == '\r'))
        len--;
    if (good && text_utf8_valid(slice_of(bytes, len)))
        kept = arena_copy(&loader->config->arena, slice_of(bytes, len));
    assert(row->size == sizeof(kept));
    if (!slice_present(kept)) {
        config_problem_at(loader, false, node, false, "%.*s is not a text of less than %u KiB in UTF-8", SLICE_ARG(name),
                          PROMPT_BYTES_MAX >> 10);
        return false;
    }
    memcpy((char *)target->base + row->offset, &kept, sizeof(kept));
    return true;
}
