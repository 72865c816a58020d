/* SPDX-License-Identifier: MIT
 *
 * config_bind.c - from the tree to the target: every key of a map is looked up in its section of
 * the table, stored, descended into, warned about, or refused with the nearest key named.
 */
#include "gateway/config_internal.h"

#include "base/text.h"

#define BIND_OPEN_MAX 32 /* maps waiting: the table nests far less */
#define LIST_ITEMS_MAX 10000u

struct bind_work {
    enum config_section_id section;
    const struct config_node *map;
};

static void
unknown_key(struct config_loader *loader, const struct config_section *section,
            const struct config_node *node)
{
    struct slice best = SLICE_NONE;
    int distance = 0;
    for (size_t i = 0; i < section->row_count; i++)
        config_nearest(node->key, slice_from(section->rows[i].name), &best, &distance);
    for (const char *const *known = section->ignored; known != NULL && *known != NULL; known++)
        config_nearest(node->key, slice_from(*known), &best, &distance);
    if (section->open) {
        if (slice_present(best) && distance <= 2)
            config_problem_at(loader, true, node, true,
                              "unknown key, without effect; \"%.*s\" is near", SLICE_ARG(best));
        return;
    }
    bool params = section == config_section_of(SECTION_PARAMS);
    if (slice_present(best))
        config_problem_at(loader, false, node, true, "unknown key; did you mean \"%.*s\"?",
                          SLICE_ARG(best));
    else
        config_problem_at(loader, false, node, true, "unknown key%s",
                          params ? "; parameters for the upstream belong under extra_body" : "");
}

static void
bind_row(struct config_loader *loader, const struct config_row *row, const struct config_node *node,
         struct config_target *target)
{
    struct config_origin origin = {.kind = SOURCE_FILE, .node = node};
    struct slice text, from;
    if (row->type == CONFIG_ACCEPTED || config_node_is_null(node))
        return;
    if (row->read != NULL) {
        if (row->read(loader, row, node, target) && row->size != 0)
            config_source_set(loader, target, row->offset, &origin, SLICE_NONE);
        return;
    }
    if (config_scalar(loader, node, &text, &from))
        (void)config_store(loader, row, target, &origin, text, from);
}

void
config_bind(struct config_loader *loader, enum config_section_id first,
            const struct config_node *root, struct config_target *target)
{
    struct bind_work open[BIND_OPEN_MAX] = {{first, root}};
    size_t count = 1;
    while (count > 0) {
        struct bind_work work = open[--count];
        const struct config_section *section = config_section_of(work.section);
        if (config_node_is_null(work.map))
            continue;
        if (work.map->kind != NODE_MAP) {
            config_problem_at(loader, false, work.map, false, "a map of keys is expected here");
            continue;
        }
        for (const struct config_node *child = work.map->child; child != NULL;
             child = child->next) {
            const struct config_row *row = config_row_find(section, child->key);
            if (row == NULL && config_is_ignored(section, child->key))
                config_problem_at(loader, true, child, true,
                                  "known to LiteLLM, without effect in penstock");
            else if (row == NULL)
                unknown_key(loader, section, child);
            else if (row->type != CONFIG_MAP || row->read != NULL)
                bind_row(loader, row, child, target);
            else if (work.section != SECTION_TOP) {
                assert(count < BIND_OPEN_MAX); /* a property of the table: keys are unique */
                open[count++] = (struct bind_work){row->into, child};
            }
        }
    }
}

/* ---- keys with a shape of their own ---- */

static uint32_t
count_of(const struct config_node *node)
{
    return node->last != NULL ? node->last->index + 1 : 0;
}

/* Memory for count things of a list node, with the list's kind and length checked. */
static void *
items(struct config_loader *loader, const struct config_node *node, enum config_node_kind kind,
      size_t size)
{
    if (node->kind != kind) {
        config_problem_at(loader, false, node, false, "a %s is expected here",
                          kind == NODE_LIST ? "list" : "map");
        return NULL;
    }
    if (count_of(node) > LIST_ITEMS_MAX) {
        config_problem_at(loader, false, node, false, "more than %u entries", LIST_ITEMS_MAX);
        return NULL;
    }
    void *memory = arena_take(&loader->config->arena, count_of(node) * size);
    if (memory == NULL)
        config_problem_at(loader, false, node, false, "out of memory");
    return memory;
}

/* A scalar's text, kept with the config; false with an error noted. */
static bool
keep_scalar(struct config_loader *loader, const struct config_node *node, struct slice *out)
{
    struct slice text, from;
    if (!config_scalar(loader, node, &text, &from))
        return false;
    if (text.len == 0) {
        config_problem_at(loader, false, node, false, "must not be empty");
        return false;
    }
    *out = arena_copy(&loader->config->arena, text);
    if (!slice_present(*out))
        config_problem_at(loader, false, node, false, "out of memory");
    return slice_present(*out);
}

bool
config_read_cors(struct config_loader *loader, const struct config_row *row,
                 const struct config_node *node, struct config_target *target)
{
    struct config *config = target->base;
    struct slice *origins = items(loader, node, NODE_LIST, sizeof(*origins));
    (void)row;
    if (origins == NULL)
        return false;
    uint32_t count = 0;
    for (const struct config_node *child = node->child; child != NULL; child = child->next)
        if (!keep_scalar(loader, child, &origins[count++]))
            return false;
    config->cors_origins = origins;
    config->cors_count = count;
    return true;
}

bool
config_read_statuses(struct config_loader *loader, const struct config_row *row,
                     const struct config_node *node, struct config_target *target)
{
    struct config *config = target->base;
    uint16_t *statuses = items(loader, node, NODE_LIST, sizeof(*statuses));
    (void)row;
    if (statuses == NULL)
        return false;
    uint32_t count = 0;
    for (const struct config_node *child = node->child; child != NULL; child = child->next) {
        struct slice text, from;
        uint64_t status;
        if (!config_scalar(loader, child, &text, &from))
            return false;
        if (!text_u64(text, &status) || status < 400 || status > 599) {
            config_problem_at(loader, false, child, false,
                              "an HTTP error status is expected, 400 to 599");
            return false;
        }
        statuses[count++] = (uint16_t)status;
    }
    config->retry_statuses = statuses;
    config->retry_status_count = count;
    return true;
}

bool
config_read_aliases(struct config_loader *loader, const struct config_row *row,
                    const struct config_node *node, struct config_target *target)
{
    struct config *config = target->base;
    struct config_pair *pairs = items(loader, node, NODE_MAP, sizeof(*pairs));
    (void)row;
    if (pairs == NULL)
        return false;
    uint32_t count = 0;
    for (const struct config_node *child = node->child; child != NULL; child = child->next) {
        const struct config_node *to = child;
        if (child->kind == NODE_MAP) { /* {model: name, hidden: true} */
            to = config_child(child, "model");
            if (to == NULL) {
                config_problem_at(loader, false, child, false, "model is missing");
                return false;
            }
        }
        struct config_pair *pair = &pairs[count++];
        pair->from = arena_copy(&config->arena, child->key);
        pair->to = arena_take(&config->arena, sizeof(*pair->to));
        pair->count = 1;
        if (!slice_present(pair->from) || pair->to == NULL) {
            config_problem_at(loader, false, child, false, "out of memory");
            return false;
        }
        if (!keep_scalar(loader, to, pair->to))
            return false;
    }
    config->aliases = pairs;
    config->alias_count = count;
    return true;
}

/* One model name, or a list of them. */
static bool
read_names(struct config_loader *loader, const struct config_node *node, struct config_pair *pair)
{
    if (node->kind == NODE_SCALAR) {
        pair->to = arena_take(&loader->config->arena, sizeof(*pair->to));
        pair->count = 1;
        if (pair->to == NULL)
            config_problem_at(loader, false, node, false, "out of memory");
        return pair->to != NULL && keep_scalar(loader, node, pair->to);
    }
    pair->to = items(loader, node, NODE_LIST, sizeof(*pair->to));
    pair->count = 0;
    if (pair->to == NULL)
        return false;
    for (const struct config_node *child = node->child; child != NULL; child = child->next)
        if (!keep_scalar(loader, child, &pair->to[pair->count++]))
            return false;
    return true;
}

bool
config_read_fallbacks(struct config_loader *loader, const struct config_row *row,
                      const struct config_node *node, struct config_target *target)
{
    struct config *config = target->base;
    if (node->kind != NODE_LIST) {
        config_problem_at(loader, false, node, false, "a list of maps is expected: [{a: [b, c]}]");
        return false;
    }
    uint32_t count = 0;
    for (const struct config_node *each = node->child; each != NULL; each = each->next)
        count += each->kind == NODE_MAP ? count_of(each) : 1;
    struct config_pair *pairs =
        count <= LIST_ITEMS_MAX ? arena_take(&config->arena, count * sizeof(*pairs)) : NULL;
    if (pairs == NULL) {
        config_problem_at(loader, false, node, false, "too many fallbacks");
        return false;
    }
    count = 0;
    for (const struct config_node *each = node->child; each != NULL; each = each->next) {
        if (each->kind != NODE_MAP) {
            config_problem_at(loader, false, each, false, "a map is expected: {a: [b, c]}");
            return false;
        }
        for (const struct config_node *from = each->child; from != NULL; from = from->next) {
            struct config_pair *pair = &pairs[count++];
            pair->from = arena_copy(&config->arena, from->key);
            if (!slice_present(pair->from) || !read_names(loader, from, pair))
                return false;
        }
    }
    if (row->offset == offsetof(struct config, fallbacks)) {
        config->fallbacks = pairs;
        config->fallback_count = count;
    } else {
        assert(row->offset == offsetof(struct config, context_fallbacks));
        config->context_fallbacks = pairs;
        config->context_fallback_count = count;
    }
    return true;
}

bool
config_read_default_fallbacks(struct config_loader *loader, const struct config_row *row,
                              const struct config_node *node, struct config_target *target)
{
    struct config *config = target->base;
    struct config_pair pair = {.from = SLICE_LIT("*")};
    (void)row;
    if (!read_names(loader, node, &pair))
        return false;
    config->default_fallbacks = pair;
    return true;
}

/* One of penstock.keys: a text, or a map of name and key. */
static bool
read_key(struct config_loader *loader, const struct config_node *node, struct config_key *key)
{
    const struct config_node *secret = node;
    key->name = arena_printf(&loader->config->arena, "key-%u", node->index + 1);
    if (node->kind == NODE_MAP) {
        for (const struct config_node *child = node->child; child != NULL; child = child->next)
            if (!slice_is(child->key, "name") && !slice_is(child->key, "key")) {
                config_problem_at(loader, false, child, true,
                                  "unknown key; a client key has name and key");
                return false;
            }
        const struct config_node *name = config_child(node, "name");
        secret = config_child(node, "key");
        if (secret == NULL || config_node_is_null(secret)) {
            config_problem_at(loader, false, node, false, "key is missing");
            return false;
        }
        if (name != NULL && !keep_scalar(loader, name, &key->name))
            return false;
    }
    struct slice text, from;
    if (!config_scalar(loader, secret, &text, &from))
        return false;
    if (text.len == 0) {
        config_problem_at(loader, false, secret, false, "an empty key would let everybody in");
        return false;
    }
    if (!slice_present(from))
        loader->secret_in_file = true;
    key->key = arena_copy(&loader->config->arena, text);
    return slice_present(key->key) && slice_present(key->name);
}

bool
config_read_keys(struct config_loader *loader, const struct config_row *row,
                 const struct config_node *node, struct config_target *target)
{
    struct config *config = target->base;
    struct config_key *keys = items(loader, node, NODE_LIST, sizeof(*keys));
    (void)row;
    if (keys == NULL)
        return false;
    uint32_t count = 0;
    for (const struct config_node *child = node->child; child != NULL; child = child->next)
        if (!read_key(loader, child, &keys[count++]))
            return false;
    config->keys = keys;
    config->key_count = count;
    return true;
}

bool
config_read_verbose(struct config_loader *loader, const struct config_row *row,
                    const struct config_node *node, struct config_target *target)
{
    struct config *config = target->base;
    struct slice text, from;
    (void)row;
    if (!config_scalar(loader, node, &text, &from) || !text_caseless_is(text, "true"))
        return false;
    config->log_level = LOG_DEBUG1;
    return true;
}

bool
config_read_strategy(struct config_loader *loader, const struct config_row *row,
                     const struct config_node *node, struct config_target *target)
{
    static const char *const others[] = {"least-busy",
                                         "usage-based-routing",
                                         "usage-based-routing-v2",
                                         "latency-based-routing",
                                         "cost-based-routing",
                                         "priority"};
    struct config *config = target->base;
    struct slice text, from;
    (void)row;
    if (!config_scalar(loader, node, &text, &from))
        return false;
    config->strategy = slice_is(text, "order") ? STRATEGY_ORDER : STRATEGY_SHUFFLE;
    if (slice_is(text, "order") || slice_is(text, "simple-shuffle"))
        return true;
    for (size_t i = 0; i < countof(others); i++)
        if (slice_is(text, others[i])) {
            config_problem_at(loader, true, node, false, "%s is not served: simple-shuffle is used",
                              others[i]);
            return true;
        }
    config_problem_at(loader, false, node, false, "\"%.*s\" is not one of simple-shuffle, order",
                      SLICE_ARG(text));
    return false;
}

/* penstock.models: bound to each entry once the entries are known. */
bool
config_read_overrides(struct config_loader *loader, const struct config_row *row,
                      const struct config_node *node, struct config_target *target)
{
    (void)row;
    (void)target;
    if (node->kind != NODE_MAP) {
        config_problem_at(loader, false, node, false, "a map of model names is expected here");
        return false;
    }
    loader->models = node;
    return true;
}
