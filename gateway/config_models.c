/* SPDX-License-Identifier: MIT
 *
 * config_models.c - the entries of model_list: read into config_entry, finished in config_entry.c,
 * named and handed to the config.
 */
#include "gateway/config_internal.h"

#define MODELS_MAX 10000u

/* ---- reading ---- */

bool
config_read_entry_node(struct config_loader *loader, const struct config_row *row,
                       const struct config_node *node, struct config_target *target)
{
    if (node->kind != NODE_MAP) {
        config_problem_at(loader, false, node, false, "a map is expected here");
        return false;
    }
    assert(row->size == sizeof(const struct config_node *));
    memcpy((char *)target->base + row->offset, &node, sizeof(node));
    return true;
}

static void
add_param(struct config_loader *loader, struct config_entry *entry, const struct config_node *node)
{
    struct config_target target = {entry, &entry->sources};
    struct config_origin origin = {.kind = SOURCE_FILE, .node = node};
    config_source_set(loader, &target, offsetof(struct config_entry, deployment.default_params),
                      &origin, SLICE_NONE);
    for (uint32_t i = 0; i < entry->param_count; i++)
        if (slice_eq(entry->params[i]->key, node->key)) {
            entry->params[i] = node;
            return;
        }
    if (entry->param_count == CONFIG_PARAMS_MAX) {
        config_problem_at(loader, false, node, true, "more than %u request defaults",
                          CONFIG_PARAMS_MAX);
        return;
    }
    entry->params[entry->param_count++] = node;
}

bool
config_read_param(struct config_loader *loader, const struct config_row *row,
                  const struct config_node *node, struct config_target *target)
{
    struct config_entry *entry = target->base;
    bool many = strcmp(row->name, "extra_body") == 0 || strcmp(row->name, "defaults") == 0;
    if (!many) {
        add_param(loader, entry, node);
        return true;
    }
    if (node->kind != NODE_MAP) {
        config_problem_at(loader, false, node, false, "a map is expected here");
        return false;
    }
    for (const struct config_node *child = node->child; child != NULL; child = child->next)
        add_param(loader, entry, child);
    return true;
}

bool
config_read_json(struct config_loader *loader, const struct config_row *row,
                 const struct config_node *node, struct config_target *target)
{
    struct sink json;
    sink_init(&json, 256u << 10);
    bool good = config_node_json(loader, node, &json) && json.error == 0;
    struct slice kept = good ? arena_copy(&loader->config->arena, sink_slice(&json)) : SLICE_NONE;
    sink_fini(&json);
    if (!slice_present(kept)) {
        config_problem_at(loader, false, node, false, "this does not make a JSON value");
        return false;
    }
    assert(row->size == sizeof(kept));
    memcpy((char *)target->base + row->offset, &kept, sizeof(kept));
    return true;
}

/* One location, or a list of which each becomes an entry of its own (R89). */
bool
config_read_locations(struct config_loader *loader, const struct config_row *row,
                      const struct config_node *node, struct config_target *target)
{
    struct config_entry *entry = target->base;
    struct slice text, from;
    (void)row;
    if (node->kind == NODE_LIST) {
        if (node->child == NULL) {
            config_problem_at(loader, false, node, false, "a list of locations without any");
            return false;
        }
        for (const struct config_node *each = node->child; each != NULL; each = each->next)
            if (!config_scalar(loader, each, &text, &from))
                return false;
        entry->locations = node;
        return true;
    }
    if (!config_scalar(loader, node, &text, &from))
        return false;
    entry->locations = NULL;
    entry->deployment.location = arena_copy(&loader->config->arena, text);
    return slice_present(entry->deployment.location);
}

struct config_entry *
config_entry_add(struct config_loader *loader)
{
    if (loader->entry_count == loader->entry_room) {
        uint32_t room = loader->entry_room == 0 ? 64 : loader->entry_room * 2;
        struct config_entry *more = arena_take(&loader->scratch, room * sizeof(*more));
        if (more == NULL || loader->entry_count >= MODELS_MAX) {
            config_problem_plain(loader, false, loader->path, "too many models");
            return NULL;
        }
        if (loader->entry_count > 0)
            memcpy(more, loader->entries, loader->entry_count * sizeof(*more));
        loader->entries = more;
        loader->entry_room = room;
    }
    struct config_entry *entry = &loader->entries[loader->entry_count++];
    *entry = (struct config_entry){0};
    entry->deployment.max_retries = UINT64_MAX;
    entry->deployment.weight = 1000;
    entry->deployment.shape = (struct shape_rules){.reserve_tokens = 4096, .keep_messages = 4, .cache_tokens = 1024};
    return entry;
}

/* What penstock.models says about this entry, then what the entry says itself. */
void
config_entry_overrides(struct config_loader *loader, struct config_entry *entry)
{
    struct config_target target = {entry, &entry->sources};
    const struct config_node *models = loader->models;
    for (const struct config_node *child = models != NULL ? models->child : NULL; child != NULL;
         child = child->next)
        if (slice_eq(child->key, entry->deployment.model_name) ||
            (entry->deployment.id.len > 0 && slice_eq(child->key, entry->deployment.id)))
            config_bind(loader, SECTION_OVERRIDE, child, &target);
    if (entry->overrides != NULL)
        config_bind(loader, SECTION_OVERRIDE, entry->overrides, &target);
}

static void
read_entry(struct config_loader *loader, const struct config_node *node)
{
    if (node->kind != NODE_MAP) {
        config_problem_at(loader, false, node, false,
                          "a map with model_name and litellm_params is expected");
        return;
    }
    struct config_entry *entry = config_entry_add(loader);
    if (entry == NULL)
        return;
    struct config_target target = {entry, &entry->sources};
    uint32_t errors = loader->errors;
    entry->node = node;
    config_bind(loader, SECTION_MODEL, node, &target);
    if (loader->errors == errors && entry->deployment.model_name.len == 0)
        config_problem_at(loader, false, node, false, "model_name is missing");
    if (loader->errors == errors && entry->model.len == 0)
        config_problem_at(loader, false, node, false, "litellm_params.model is missing");
    if (loader->errors != errors) {
        loader->entry_count--;
        return;
    }
    if (slice_is(entry->model, "*") && entry->api_base.len == 0 &&
        entry->custom_provider.len == 0) {
        loader->entry_count--;
        if (config_env_models(loader) == 0)
            config_problem_at(loader, true, node, false,
                              "model \"*\" serves every provider whose key is in the environment: "
                              "there is none");
        return;
    }
    struct config_entry plain = *entry;
    uint32_t count = entry->locations != NULL ? entry->locations->last->index + 1 : 1;
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0 && (entry = config_entry_add(loader)) == NULL)
            return;
        *entry = plain;
        entry->location_index = i;
        if (!config_entry_finish(loader, entry))
            loader->entry_count--;
    }
}

void
config_read_models(struct config_loader *loader, const struct config_node *list)
{
    if (config_node_is_null(list))
        return;
    if (list->kind != NODE_LIST) {
        config_problem_at(loader, false, list, false, "a list of models is expected here");
        return;
    }
    for (const struct config_node *node = list->child; node != NULL; node = node->next)
        read_entry(loader, node);
}

/* ---- publishing ---- */

static bool
id_taken(const struct config_loader *loader, uint32_t index)
{
    struct slice id = loader->entries[index].deployment.id;
    for (uint32_t i = 0; i < loader->entry_count; i++)
        if (i != index && (i < index || loader->entries[i].id_given) &&
            slice_eq(loader->entries[i].deployment.id, id))
            return true;
    return false;
}

/* Gives every deployment a name of its own: "openai/gpt-4o", "openai/gpt-4o#2". Given ids come
 * first. */
static bool
name_entry(struct config_loader *loader, uint32_t index)
{
    struct config_entry *entry = &loader->entries[index];
    struct config_deployment *deployment = &entry->deployment;
    struct arena *arena = &loader->config->arena;
    uint32_t alike = 1;
    for (uint32_t i = 0; i < index; i++) {
        const struct config_deployment *other = &loader->entries[i].deployment;
        alike += !loader->entries[i].id_given && slice_eq(other->provider, deployment->provider) &&
                 slice_eq(other->model, deployment->model) &&
                 (entry->locations == NULL || slice_eq(other->location, deployment->location));
    }
    do {
        const char *at = entry->locations != NULL ? "@" : "";
        struct slice location = entry->locations != NULL ? deployment->location : SLICE_LIT("");
        const char *format = alike > 1 ? "%.*s/%.*s%s%.*s#%u" : "%.*s/%.*s%s%.*s";
        deployment->id = arena_printf(arena, format, SLICE_ARG(deployment->provider),
                                      SLICE_ARG(deployment->model), at, SLICE_ARG(location), alike);
        alike++;
    } while (slice_present(deployment->id) && id_taken(loader, index));
    return slice_present(deployment->id);
}

static bool
name_entries(struct config_loader *loader)
{
    bool good = true;
    for (uint32_t i = 0; i < loader->entry_count; i++) {
        struct config_entry *entry = &loader->entries[i];
        entry->id_given = entry->deployment.id.len > 0;
        if (!entry->id_given || !id_taken(loader, i))
            continue;
        config_entry_problem(loader, false, entry, "model_info",
                             "this id is taken: ", entry->deployment.id);
        good = false;
    }
    for (uint32_t i = 0; i < loader->entry_count && good; i++)
        good = loader->entries[i].id_given || name_entry(loader, i);
    return good;
}

/* A name under penstock.models that fits nothing is a slip. */
static void
check_models_used(struct config_loader *loader)
{
    const struct config_node *models = loader->models;
    for (const struct config_node *child = models != NULL ? models->child : NULL; child != NULL;
         child = child->next) {
        struct slice best = SLICE_NONE;
        int distance = 0;
        bool used = false;
        for (uint32_t i = 0; i < loader->entry_count && !used; i++) {
            const struct config_deployment *deployment = &loader->entries[i].deployment;
            used = slice_eq(child->key, deployment->model_name) ||
                   slice_eq(child->key, deployment->id);
            config_nearest(child->key, deployment->model_name, &best, &distance);
        }
        if (!used)
            config_problem_at(loader, false, child, true, "no model has this name%s%.*s%s",
                              slice_present(best) ? "; did you mean \"" : "", SLICE_ARG(best),
                              slice_present(best) ? "\"?" : "");
    }
}

bool
config_models_publish(struct config_loader *loader)
{
    struct config *config = loader->config;
    uint32_t count = loader->entry_count;
    bool good = name_entries(loader);
    if (loader->errors == 0) /* entries left out for an error would be reported twice */
        check_models_used(loader);
    config->entries = arena_take(&config->arena, count * sizeof(*config->entries));
    config->deployments = arena_take(&config->arena, count * sizeof(*config->deployments));
    if (config->entries == NULL || config->deployments == NULL) {
        config_problem_plain(loader, false, loader->path, "out of memory");
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct config_entry *entry = &config->entries[i];
        *entry = loader->entries[i];
        entry->headers = entry->extra_headers = entry->overrides = entry->node = entry->locations = NULL;
        entry->param_count = 0; /* the nodes go with the scratch memory; default_params has them */
        config->deployments[i] = entry->deployment;
    }
    config->deployment_count = count;
    return good;
}
