/* SPDX-License-Identifier: MIT
 *
 * config_env.c - the layers above the file, and models without one: PENSTOCK_* variables, the
 * command line, providers whose keys are in the environment, and the demo models.
 */
#include "gateway/config_internal.h"

#include "base/text.h"

#include <stdio.h>

/* ---- overrides ---- */

bool
config_variable_name(const struct config_section *section, const struct config_row *row, char *out,
                     size_t room)
{
    static const struct slice ours = SLICE_LIT("penstock");
    struct slice path = slice_from(section->path);
    if (row->type >= CONFIG_MAP || (row->flags & ROW_ALIAS) || row->size == 0)
        return false;
    if (slice_is(path, "router_settings"))
        path = SLICE_LIT("penstock.router");
    if (!slice_starts(path, ours))
        return false;
    int len = snprintf(out, room, "%.*s_%s", SLICE_ARG(path), row->name);
    if (len < 0 || (size_t)len >= room)
        return false;
    for (char *at = out; *at != '\0'; at++) {
        if (*at >= 'a' && *at <= 'z')
            *at = (char)(*at - 'a' + 'A');
        else if (*at == '.')
            *at = '_';
    }
    return true;
}

static void
override_row(struct config_loader *loader, const struct config_section *section,
             const struct config_row *row, struct config_target *target)
{
    char path_name[96];
    struct config_origin origin = {.kind = SOURCE_ENVIRONMENT};
    struct slice value = SLICE_NONE, rest = slice_from(row->environment);
    while (slice_present(rest) && value.len == 0) {
        origin.name = text_split(&rest, ' ');
        value = config_getenv_slice(loader, origin.name);
    }
    if (value.len == 0 && config_variable_name(section, row, path_name, sizeof(path_name))) {
        origin.name = slice_from(path_name);
        value = config_getenv_slice(loader, origin.name);
    }
    if (value.len == 0)
        return;
    /* Kubernetes sets NAME_PORT=tcp://address:port for a service called NAME. */
    if (row->offset == offsetof(struct config, port) && slice_starts(value, SLICE_LIT("tcp://"))) {
        config_problem_of(loader, true, &origin,
                          "set by a container platform, not a port: left alone");
        return;
    }
    (void)config_store(loader, row, target, &origin, value, SLICE_NONE);
}

/* PENSTOCK_KEYS=a,b and the like: a list as the file would give it. */
static void
override_list(struct config_loader *loader, const struct config_row *row,
              struct config_target *target)
{
    struct config_origin origin = {.kind = SOURCE_ENVIRONMENT,
                                   .name = slice_from(row->environment)};
    struct slice rest = config_getenv_slice(loader, origin.name);
    struct config_node list = {.kind = NODE_LIST}, *last = NULL;
    bool literal = loader->secret_in_file;
    if (rest.len == 0)
        return;
    while (slice_present(rest)) {
        struct config_node *item = arena_take(&loader->scratch, sizeof(*item));
        if (item == NULL) {
            config_problem_of(loader, false, &origin, "out of memory");
            return;
        }
        item->text = text_trim(text_split(&rest, ','));
        item->index = last != NULL ? last->index + 1 : 0;
        if (last != NULL)
            last->next = item;
        else
            list.child = item;
        list.last = last = item;
    }
    uint32_t errors = loader->errors;
    if (row->read(loader, row, &list, target))
        config_source_set(loader, target, row->offset, &origin, SLICE_NONE);
    if (loader->errors != errors)
        config_problem_of(loader, false, &origin, "this list was refused");
    loader->secret_in_file = literal; /* these keys stand in no file */
}

/* PENSTOCK_DEBUG=1..3 and DEBUG_STREAMING=true, unless PENSTOCK_LOG_LEVEL says it better. */
static void
override_debug(struct config_loader *loader, struct config_target *target)
{
    enum config_section_id id;
    size_t offset = offsetof(struct config, log_level);
    const struct config_row *row = config_row_main(SECTION_LITELLM, SECTION_RETRY, offset, &id);
    const struct config_source *source = config_source_find(*target->sources, offset);
    struct config_origin origin = {.kind = SOURCE_ENVIRONMENT, .name = SLICE_LIT("PENSTOCK_DEBUG")};
    struct slice value = config_getenv_slice(loader, origin.name);
    if (source != NULL && source->kind == SOURCE_ENVIRONMENT)
        return;
    if (value.len == 1 && value.ptr[0] >= '1' && value.ptr[0] <= '3') {
        char level[] = {'d', 'e', 'b', 'u', 'g', value.ptr[0]};
        (void)config_store(loader, row, target, &origin, slice_of(level, sizeof(level)),
                           SLICE_NONE);
        return;
    }
    if (value.len > 0 && !slice_is(value, "0"))
        config_problem_of(loader, false, &origin, "0, 1, 2 or 3 is expected");
    origin.name = SLICE_LIT("DEBUG_STREAMING");
    value = config_getenv_slice(loader, origin.name);
    if (text_caseless_is(value, "true") || slice_is(value, "1"))
        (void)config_store(loader, row, target, &origin, SLICE_LIT("debug2"), SLICE_NONE);
}

/* The known variable closest to name, or absent; exact: name is itself known. */
static struct slice
nearest_variable(struct config_loader *loader, struct slice name, bool *exact)
{
    static const char *const others[] = {"PENSTOCK_CONFIG", "PENSTOCK_DEBUG"};
    struct slice best = SLICE_NONE;
    int distance = 0;
    for (size_t i = 0; i < countof(others); i++)
        config_nearest(name, slice_from(others[i]), &best, &distance);
    for (enum config_section_id id = SECTION_ROUTER; id <= SECTION_RETRY; id++) {
        const struct config_section *section = config_section_of(id);
        for (size_t i = 0; i < section->row_count; i++) {
            char path_name[96];
            struct slice rest = slice_from(section->rows[i].environment);
            while (slice_present(rest))
                config_nearest(name, text_split(&rest, ' '), &best, &distance);
            if (!config_variable_name(section, &section->rows[i], path_name, sizeof(path_name)))
                continue;
            struct slice before = best;
            config_nearest(name, slice_from(path_name), &best, &distance);
            if (best.ptr == path_name) /* it must outlive this turn of the loop */
                best = arena_copy(&loader->scratch, best);
            if (!slice_present(best))
                best = before;
        }
    }
    *exact = slice_present(best) && slice_eq(best, name);
    return best;
}

/* A slip in a variable's name would else go unseen. Names far from ours may be anybody's. */
static void
check_variable_names(struct config_loader *loader)
{
    for (char *const *entry = loader->variables; entry != NULL && *entry != NULL; entry++) {
        struct slice rest = slice_from(*entry);
        struct slice name = text_split(&rest, '=');
        bool exact;
        if (!slice_starts(name, SLICE_LIT("PENSTOCK_")))
            continue;
        struct slice best = nearest_variable(loader, name, &exact);
        if (!exact && slice_present(best) && text_distance(name, best) <= 2)
            config_problem_plain(loader, true, name, "unknown variable, without effect; %.*s is near",
                                 SLICE_ARG(best));
    }
}

void
config_env_overrides(struct config_loader *loader, struct config_target *target)
{
    for (enum config_section_id id = SECTION_ROUTER; id <= SECTION_RETRY; id++) {
        const struct config_section *section = config_section_of(id);
        for (size_t i = 0; i < section->row_count; i++)
            if (section->rows[i].type < CONFIG_MAP)
                override_row(loader, section, &section->rows[i], target);
            else if (section->rows[i].environment != NULL)
                override_list(loader, &section->rows[i], target);
    }
    override_debug(loader, target);
    check_variable_names(loader);
}

static void
flag_text(struct config_loader *loader, struct config_target *target, size_t offset,
          const char *name, struct slice value)
{
    enum config_section_id id;
    struct config_origin origin = {.kind = SOURCE_FLAG, .name = slice_from(name)};
    const struct config_row *row = config_row_main(SECTION_LITELLM, SECTION_RETRY, offset, &id);
    assert(row != NULL);
    if (slice_present(value))
        (void)config_store(loader, row, target, &origin, value, SLICE_NONE);
}

static void
flag_number(struct config_loader *loader, struct config_target *target, size_t offset,
            const char *name, uint64_t value)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)value);
    if (value != UINT64_MAX)
        flag_text(loader, target, offset, name, slice_of(digits, (size_t)len));
}

void
config_flag_overrides(struct config_loader *loader, const struct config_flags *flags,
                      struct config_target *target)
{
    flag_text(loader, target, offsetof(struct config, host), "--host", flags->host);
    flag_text(loader, target, offsetof(struct config, log_level), "--log-level", flags->log_level);
    flag_number(loader, target, offsetof(struct config, port), "--port", flags->port);
    flag_number(loader, target, offsetof(struct config, workers), "--num_workers", flags->workers);
    flag_text(loader, target, offsetof(struct config, allow_open), "--allow-open",
              flags->allow_open ? SLICE_LIT("true") : SLICE_NONE);
}

/* ---- models without a file ---- */

/* The first of the variables that is set to something; absent if none is. */
static struct slice
found_variable(struct config_loader *loader, const char *names)
{
    struct slice rest = slice_from(names);
    while (slice_present(rest)) {
        struct slice name = text_split(&rest, ' ');
        if (name.len > 0 && config_getenv_slice(loader, name).len > 0)
            return name;
    }
    return SLICE_NONE;
}

/* Rows that share their variables are other names of one server: the first stands for all. */
static bool
is_second_name(const struct config_provider *provider)
{
    for (const struct config_provider *other = config_providers; other < provider; other++)
        if (strcmp(other->key_variables, provider->key_variables) == 0)
            return true;
    return provider->key_variables[0] == '\0';
}

/* One discovered entry: what clients ask for, and "provider/model". */
static uint32_t
discover(struct config_loader *loader, struct slice variable, struct slice model_name,
         struct slice model)
{
    struct config_origin origin = {.kind = SOURCE_ENVIRONMENT, .name = variable};
    struct config_entry *entry = config_entry_add(loader);
    if (entry == NULL)
        return 0;
    struct arena *arena = &loader->config->arena;
    entry->deployment.model_name = arena_copy(arena, model_name);
    entry->model = arena_copy(arena, model);
    if (!slice_present(entry->deployment.model_name) || !slice_present(entry->model)) {
        config_problem_plain(loader, false, SLICE_NONE, "out of memory");
        return 0;
    }
    struct config_target target = {entry, &entry->sources};
    config_source_set(loader, &target, offsetof(struct config_entry, deployment.model_name),
                      &origin, SLICE_NONE);
    config_source_set(loader, &target, offsetof(struct config_entry, model), &origin, SLICE_NONE);
    if (config_entry_finish(loader, entry))
        return 1;
    loader->entry_count--;
    return 0;
}

static uint32_t
discover_provider(struct config_loader *loader, const struct config_provider *provider,
                  struct slice variable)
{
    struct slice all = arena_printf(&loader->scratch, "%s/*", provider->name);
    struct slice prefix = slice_take(all, all.len - 1);
    uint32_t count = discover(loader, variable, all, all);
    struct slice rest = slice_from(provider->wildcards);
    while (count > 0 && slice_present(rest)) {
        struct slice name = text_split(&rest, ' ');
        struct slice bare = slice_starts(name, prefix) ? slice_skip(name, prefix.len) : name;
        struct slice model =
            arena_printf(&loader->scratch, "%s/%.*s", provider->name, SLICE_ARG(bare));
        count += discover(loader, variable, name, model);
    }
    return count;
}

uint32_t
config_env_models(struct config_loader *loader)
{
    uint32_t count = 0;
    for (size_t i = 0; i < config_provider_count; i++) {
        const struct config_provider *provider = &config_providers[i];
        struct slice key = found_variable(loader, provider->key_variables);
        struct slice base = found_variable(loader, provider->base_variables);
        bool base_needed = (provider->flags & PROVIDER_BASE_NEEDED) != 0;
        bool keyless = (provider->flags & PROVIDER_KEYLESS) != 0;
        bool found = base_needed ? slice_present(base)
                                 : slice_present(key) || (keyless && slice_present(base));
        if (found && !is_second_name(provider))
            count += discover_provider(loader, provider, slice_present(key) ? key : base);
    }
    return count;
}

/* ---- the demo ---- */

void
config_demo_models(struct config_loader *loader)
{
    static const char *const kinds[] = {"", "-slow", "-tools", "-thinking", "-error"};
    struct arena *arena = &loader->config->arena;
    for (size_t i = 0; i < 2 * countof(kinds); i++) {
        bool anthropic = i >= countof(kinds);
        const char *kind = kinds[i % countof(kinds)];
        struct config_entry *entry = config_entry_add(loader);
        if (entry == NULL)
            return;
        struct config_deployment *deployment = &entry->deployment;
        deployment->model_name =
            arena_printf(arena, "demo%s%s", anthropic ? "-anthropic" : "", kind);
        deployment->model = arena_printf(arena, "demo%s", kind);
        deployment->id = arena_printf(arena, "demo/%.*s", SLICE_ARG(deployment->model_name));
        entry->model = arena_printf(arena, "demo/demo%s", kind);
        entry->api_base = SLICE_LIT("(inside this process)");
        deployment->provider = SLICE_LIT("demo");
        deployment->dialect = anthropic ? CONFIG_ANTHROPIC : CONFIG_OPENAI_CHAT;
        deployment->host = SLICE_LIT("127.0.0.1");
        deployment->host_header = SLICE_LIT("127.0.0.1");
        deployment->base_path = SLICE_LIT("/v1");
        deployment->strict_turns = anthropic;
        deployment->placeholder_signature = !anthropic;
        deployment->usage_in_stream = true;
        deployment->top_k = true;
        deployment->effort = anthropic ? EFFORT_THINKING : EFFORT_REASONING_EFFORT;
        if (!slice_present(deployment->model_name) || !slice_present(deployment->model) ||
            !slice_present(deployment->id) || !slice_present(entry->model))
            config_problem_plain(loader, false, SLICE_NONE, "out of memory");
        config_entry_overrides(loader, entry);
    }
}
