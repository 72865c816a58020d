/* SPDX-License-Identifier: MIT
 *
 * config.c - one load from start to end: problems, the file, the order of the layers, the checks
 * that need the whole, and the life of the result.
 *
 *     defaults < file (litellm_settings < router_settings < penstock) < environment < command line
 */
#include "gateway/config.h"

#include "gateway/config_internal.h"

#include "base/err.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONFIG_BYTES_MAX (256u << 20) /* ceiling for one config object, and for its tree */

/* ---- problems ---- */

static void
problem(struct config_loader *loader, bool warning, struct slice where, const char *format,
        va_list args)
{
    uint32_t *count = warning ? &loader->warnings : &loader->errors;
    char text[1024];
    (void)vsnprintf(text, sizeof(text), format, args);
    struct slice line =
        arena_printf(loader->report, "%.*s%s%s", SLICE_ARG(where), where.len > 0 ? ": " : "", text);
    if (loader->last != NULL && slice_eq(loader->last->text, line))
        return; /* the same about several models that one variable made */
    if (++*count > CONFIG_PROBLEMS_MAX)
        return;
    struct config_problem *made = arena_take(loader->report, sizeof(*made));
    if (made == NULL)
        return; /* counted: the load fails all the same */
    made->warning = warning;
    made->text = line;
    if (loader->last != NULL)
        loader->last->next = made;
    else
        loader->first = made;
    loader->last = made;
}

struct slice
config_node_path(struct config_loader *loader, const struct config_node *node)
{
    const struct config_node *chain[CONFIG_DEPTH_MAX + 1];
    size_t depth = 0;
    for (; node != NULL && node->parent != NULL && depth < countof(chain); node = node->parent)
        chain[depth++] = node;
    struct sink path;
    sink_init(&path, 4096);
    while (depth > 0) {
        const struct config_node *at = chain[--depth];
        if (slice_present(at->key)) {
            if (path.len > 0)
                sink_byte(&path, '.');
            sink_put(&path, slice_take(at->key, 100));
        } else {
            sink_printf(&path, "[%u]", at->index);
        }
    }
    struct slice copy = arena_copy(loader->report, sink_slice(&path));
    sink_fini(&path);
    return copy;
}

static struct slice
node_where(struct config_loader *loader, const struct config_node *node, bool key)
{
    if (node == NULL)
        return loader->path;
    struct slice path = config_node_path(loader, node);
    bool at_key = key && node->key_line != 0;
    return arena_printf(loader->report, "%.*s:%u:%u%s%.*s", SLICE_ARG(loader->path),
                        at_key ? node->key_line : node->line,
                        at_key ? node->key_column : node->column, path.len > 0 ? ": " : "",
                        SLICE_ARG(path));
}

void
config_problem_at(struct config_loader *loader, bool warning, const struct config_node *node,
                  bool key, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    problem(loader, warning, node_where(loader, node, key), format, args);
    va_end(args);
}

void
config_problem_of(struct config_loader *loader, bool warning, const struct config_origin *origin,
                  const char *format, ...)
{
    struct slice where = origin->name;
    if (origin->kind == SOURCE_FILE)
        where = node_where(loader, origin->node, false);
    else if (origin->kind == SOURCE_ENVIRONMENT)
        where = arena_printf(loader->report, "environment: %.*s", SLICE_ARG(origin->name));
    else if (origin->kind == SOURCE_FLAG)
        where = arena_printf(loader->report, "command line: %.*s", SLICE_ARG(origin->name));
    va_list args;
    va_start(args, format);
    problem(loader, warning, where, format, args);
    va_end(args);
}

void
config_problem_plain(struct config_loader *loader, bool warning, struct slice where,
                     const char *format, ...)
{
    va_list args;
    va_start(args, format);
    problem(loader, warning, where, format, args);
    va_end(args);
}

void
config_nearest(struct slice name, struct slice candidate, struct slice *best, int *distance)
{
    int found = text_distance(name, candidate);
    /* A third of the letters may differ; a shorter word needs a closer match. */
    int allowed = (int)(name.len < candidate.len ? name.len : candidate.len) / 3 + 1;
    if (found <= allowed && (!slice_present(*best) || found < *distance)) {
        *best = candidate;
        *distance = found;
    }
}

const struct config_node *
config_child(const struct config_node *map, const char *name)
{
    if (map == NULL || map->kind != NODE_MAP)
        return NULL;
    for (const struct config_node *child = map->child; child != NULL; child = child->next)
        if (slice_is(child->key, name))
            return child;
    return NULL;
}

bool
config_node_is_null(const struct config_node *node)
{
    return node->kind == NODE_SCALAR && node->plain &&
           (node->text.len == 0 || slice_is(node->text, "~") ||
            text_caseless_is(node->text, "null"));
}

/* ---- the file ---- */

/* The whole file in the scratch arena; absent with an error noted. */
static struct slice
read_file(struct config_loader *loader, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        config_problem_plain(loader, false, loader->path, "cannot read the file: %s",
                             strerror(errno));
        return SLICE_NONE;
    }
    struct stat status;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
        loader->file_mode = status.st_mode & 0777;
    char *bytes = arena_take(&loader->scratch, CONFIG_FILE_BYTES_MAX + 1);
    size_t len = 0;
    ssize_t got = bytes != NULL ? 1 : -1;
    while (got > 0 && len <= CONFIG_FILE_BYTES_MAX) {
        got = read(fd, bytes + len, CONFIG_FILE_BYTES_MAX + 1 - len);
        if (got > 0)
            len += (size_t)got;
    }
    const char *why = got < 0 ? strerror(bytes != NULL ? errno : ENOMEM) : NULL;
    if (why == NULL && len > CONFIG_FILE_BYTES_MAX)
        why = "larger than 1 MiB";
    close(fd);
    if (why != NULL) {
        config_problem_plain(loader, false, loader->path, "cannot read the file: %s", why);
        return SLICE_NONE;
    }
    return slice_of(bytes, len);
}

/* Which file: the flag, PENSTOCK_CONFIG, ./penstock.yaml, ./config.yaml, none. */
static bool
choose_file(struct config_loader *loader, const struct config_flags *flags, bool *guessed)
{
    static const char *const usual[] = {"penstock.yaml", "config.yaml"};
    struct slice path = flags->config_path;
    *guessed = false;
    if (!slice_present(path))
        path = config_getenv(loader, "PENSTOCK_CONFIG");
    if (path.len == 0) {
        path = SLICE_NONE;
        for (size_t i = 0; i < countof(usual) && !slice_present(path); i++)
            if (access(usual[i], R_OK) == 0)
                path = slice_from(usual[i]);
        *guessed = slice_is(path, "config.yaml");
    }
    if (!slice_present(path))
        return false;
    loader->path = arena_copy(&loader->config->arena, path);
    const char *slash = slice_present(loader->path) ? memrchr(path.ptr, '/', path.len) : NULL;
    loader->directory = slice_of(path.ptr, slash != NULL ? (size_t)(slash - path.ptr) + 1 : 0);
    return slice_present(loader->path);
}

static void
bind_top(struct config_loader *loader, const struct config_node *root, struct config_target *target)
{
    static const enum config_section_id order[] = {SECTION_LITELLM, SECTION_ROUTER, SECTION_GENERAL,
                                                   SECTION_PENSTOCK};
    loader->environment_variables = config_child(root, "environment_variables");
    config_bind(loader, SECTION_TOP, root, target); /* says which keys are unknown, no more */
    if (root->kind != NODE_MAP)
        return;
    for (size_t i = 0; i < countof(order); i++) {
        const struct config_node *map = config_child(root, config_section_of(order[i])->path);
        if (map != NULL)
            config_bind(loader, order[i], map, target);
    }
}

/* Reads the file if there is one, all but the models. Returns its model_list, or NULL. */
static const struct config_node *
load_file(struct config_loader *loader, const struct config_flags *flags,
          struct config_target *target)
{
    bool guessed;
    if (!choose_file(loader, flags, &guessed))
        return NULL;
    struct slice text = read_file(loader, loader->path.ptr);
    if (!slice_present(text))
        return NULL;
    uint32_t errors = loader->errors;
    const struct config_node *root = config_yaml_read(loader, text);
    if (root == NULL)
        return NULL;
    assert(loader->errors == errors);
    if (guessed && config_child(root, "model_list") == NULL &&
        config_child(root, "penstock") == NULL) {
        config_problem_plain(loader, true, loader->path,
                             "has neither model_list nor penstock: not ours, left alone");
        loader->path = SLICE_NONE;
        return NULL;
    }
    loader->config->path = loader->path;
    config_note_file(loader, loader->path);
    bind_top(loader, root, target);
    const struct config_node *list = config_child(root, "model_list");
    return list != NULL && !config_node_is_null(list) ? list : NULL;
}

/* ---- checks that need the whole ---- */

bool
config_is_loopback(struct slice host)
{
    char text[64];
    if (host.len == 0 || host.len >= sizeof(text))
        return false;
    if (text_caseless_is(host, "localhost"))
        return true;
    if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        host = slice_of(host.ptr + 1, host.len - 2);
    memcpy(text, host.ptr, host.len);
    text[host.len] = '\0';
    struct in_addr four;
    struct in6_addr six;
    if (inet_pton(AF_INET, text, &four) == 1)
        return (ntohl(four.s_addr) >> 24) == 127;
    if (inet_pton(AF_INET6, text, &six) != 1)
        return false;
    return IN6_IS_ADDR_LOOPBACK(&six) || (IN6_IS_ADDR_V4MAPPED(&six) && six.s6_addr[12] == 127);
}

/* Brings the listen host into a form that inet_pton takes. */
static void
check_host(struct config_loader *loader)
{
    struct config *config = loader->config;
    struct slice host = config->host;
    if (text_caseless_is(host, "localhost"))
        host = SLICE_LIT("127.0.0.1");
    else if (slice_is(host, "*"))
        host = SLICE_LIT("0.0.0.0");
    else if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        host = slice_of(host.ptr + 1, host.len - 2);
    struct in6_addr six;
    struct slice copy = arena_copy(&config->arena, host); /* with a NUL behind it */
    if (!slice_present(copy) || memchr(copy.ptr, '\0', copy.len) != NULL ||
        (inet_pton(AF_INET, copy.ptr, &six) != 1 && inet_pton(AF_INET6, copy.ptr, &six) != 1)) {
        config_problem_plain(loader, false, SLICE_LIT("penstock.listen.host"),
                             "\"%.*s\" is not an IP address or localhost", SLICE_ARG(host));
        return;
    }
    config->host = copy;
    if (config_is_loopback(copy) || config->key_count > 0)
        return;
    if (!config->allow_open)
        config_problem_plain(
            loader, false, SLICE_LIT("penstock.listen.host"),
            "%.*s can be reached by others and no client key is set: set "
            "general_settings.master_key or penstock.keys, or say that it is meant "
            "with --allow-open or penstock.listen.allow_open",
            SLICE_ARG(copy));
    else
        config_problem_plain(loader, true, SLICE_LIT("penstock.listen.host"),
                             "%.*s can be reached by others and no client key is set: whoever "
                             "reaches the port spends your tokens",
                             SLICE_ARG(copy));
}

/* Puts the master key in front of the list of keys. */
static void
join_keys(struct config_loader *loader)
{
    struct config *config = loader->config;
    if (config->master_key.len > 0) {
        struct config_key *keys =
            arena_take(&config->arena, (config->key_count + 1) * sizeof(*keys));
        if (keys == NULL) {
            config_problem_plain(loader, false, SLICE_NONE, "out of memory");
            return;
        }
        keys[0] = (struct config_key){SLICE_LIT("master"), config->master_key};
        if (config->key_count > 0)
            memcpy(keys + 1, config->keys, config->key_count * sizeof(*keys));
        config->keys = keys;
        config->key_count++;
    }
    for (uint32_t i = 0; i < config->key_count; i++)
        for (size_t at = 0; at < config->keys[i].key.len; at++)
            if (config->keys[i].key.ptr[at] <= ' ' || config->keys[i].key.ptr[at] > '~') {
                config_problem_plain(loader, false, SLICE_LIT("client keys"),
                                     "%.*s holds a character that cannot stand in a header",
                                     SLICE_ARG(config->keys[i].name));
                break;
            }
}

/* Does a client asking for name find a model? */
static bool
name_served(const struct config *config, struct slice name)
{
    for (uint32_t i = 0; i < config->deployment_count; i++) {
        struct slice tail = config->deployments[i].model_name;
        struct slice head = text_split(&tail, '*');
        if (slice_present(tail) ? slice_starts(name, head) && slice_ends(name, tail) &&
                                      name.len >= head.len + tail.len
                                : slice_eq(name, head))
            return true;
    }
    for (uint32_t i = 0; i < config->alias_count; i++)
        if (slice_eq(config->aliases[i].from, name))
            return true;
    return false;
}

static void
check_names(struct config_loader *loader, const char *key, const struct config_pair *pairs,
            uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < pairs[i].count; j++) {
            struct slice name = pairs[i].to[j], best = SLICE_NONE;
            int distance = 0;
            if (name_served(loader->config, name))
                continue;
            for (uint32_t k = 0; k < loader->config->deployment_count; k++)
                config_nearest(name, loader->config->deployments[k].model_name, &best, &distance);
            config_problem_plain(loader, true, slice_from(key),
                                 "%.*s leads to %.*s, which no model_name serves%s%.*s",
                                 SLICE_ARG(pairs[i].from), SLICE_ARG(name),
                                 slice_present(best) ? "; nearest: " : "", SLICE_ARG(best));
        }
}

/* "*": [...] into the fallbacks, where routing looks. */
static void
join_default_fallbacks(struct config_loader *loader)
{
    struct config *config = loader->config;
    if (config->default_fallbacks.count == 0)
        return;
    struct config_pair *pairs =
        arena_take(&config->arena, (config->fallback_count + 1) * sizeof(*pairs));
    if (pairs == NULL) {
        config_problem_plain(loader, false, SLICE_NONE, "out of memory");
        return;
    }
    if (config->fallback_count > 0)
        memcpy(pairs, config->fallbacks, config->fallback_count * sizeof(*pairs));
    pairs[config->fallback_count++] = config->default_fallbacks;
    config->fallbacks = pairs;
}

static void
check_whole(struct config_loader *loader)
{
    struct config *config = loader->config;
    cpu_set_t cpus;
    if (config->workers == 0)
        config->workers =
            sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? (uint32_t)CPU_COUNT(&cpus) : 1;
    if (config->workers > 256)
        config->workers = 256;
    join_keys(loader);
    check_host(loader);
    if ((config->tls_certificate.len > 0) != (config->tls_key.len > 0))
        config_problem_plain(loader, false, SLICE_LIT("penstock.listen"),
                             "tls_certificate and tls_key need each other");
    if (config->retry_base_ms > config->retry_max_ms)
        config_problem_plain(loader, false, SLICE_LIT("penstock.retry"), "base is more than max");
    join_default_fallbacks(loader);
    if (loader->errors > 0)
        return; /* models may be missing for one of those reasons: no noise on top */
    check_names(loader, "fallbacks", config->fallbacks, config->fallback_count);
    check_names(loader, "context_window_fallbacks", config->context_fallbacks,
                config->context_fallback_count);
    check_names(loader, "model_group_alias", config->aliases, config->alias_count);
    if (config->deployment_count == 0)
        config_problem_plain(loader, false, loader->path,
                             "no model is left to serve: add one to model_list, or set "
                             "penstock.demo: true");
    if (loader->secret_in_file && (loader->file_mode & 077) != 0)
        config_problem_plain(loader, true, loader->path,
                             "holds keys and can be read by others (mode %03o); chmod 600 keeps "
                             "them secret, os.environ/NAME or file:PATH keep them elsewhere",
                             loader->file_mode);
}

/* ---- the life of a config ---- */

void
config_flags_init(struct config_flags *flags)
{
    *flags = (struct config_flags){.port = UINT64_MAX, .workers = UINT64_MAX};
}

static void
load(struct config_loader *loader, const struct config_flags *flags)
{
    struct config *config = loader->config;
    struct config_target target = {config, &config->sources};
    const struct config_node *models = load_file(loader, flags, &target);
    if (loader->errors > 0 && !slice_present(config->path) && slice_present(loader->path))
        return; /* the file could not be read: what follows would be noise */
    config_env_overrides(loader, &target);
    config_flag_overrides(loader, flags, &target);
    config_defaults(loader, SECTION_LITELLM, SECTION_RETRY, &target);
    /* The models come last: whether an address leads back to us depends on our own port. */
    if (models != NULL)
        config_read_models(loader, models);
    else
        config_env_models(loader);
    if (config_source_find(config->sources, offsetof(struct config, demo)) == NULL)
        config->demo = models == NULL;
    if (config->demo)
        config_demo_models(loader);
    if (config_models_publish(loader))
        check_whole(loader);
}

int
config_load(const struct config_flags *flags, char *const *variables, struct arena *report,
            struct config_problem **problems, struct config **out)
{
    *problems = NULL;
    *out = NULL;
    struct config *config = calloc(1, sizeof(*config));
    if (config == NULL)
        return -ERR_MEMORY;
    config->references = 1;
    arena_init(&config->arena, CONFIG_BYTES_MAX);
    struct config_loader loader = {.report = report, .config = config, .variables = variables};
    arena_init(&loader.scratch, CONFIG_BYTES_MAX);
    load(&loader, flags);
    if (loader.errors > CONFIG_PROBLEMS_MAX) {
        uint32_t more = loader.errors - CONFIG_PROBLEMS_MAX;
        loader.errors = 0; /* so that this one is listed */
        config_problem_plain(&loader, false, loader.path, "and %u more errors", more);
    }
    *problems = loader.first;
    arena_fini(&loader.scratch);
    if (loader.errors > 0) {
        config_drop(config);
        return -ERR_CONFIG;
    }
    *out = config;
    return 0;
}

struct config *
config_hold(struct config *config)
{
    uint32_t before = atomic_fetch_add_explicit(&config->references, 1, memory_order_relaxed);
    assert(before > 0);
    return config;
}

void
config_drop(struct config *config)
{
    if (config == NULL)
        return;
    uint32_t before = atomic_fetch_sub_explicit(&config->references, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before > 1)
        return;
    arena_fini(&config->arena);
    free(config);
}
