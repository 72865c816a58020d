/* SPDX-License-Identifier: MIT
 *
 * config_expand.c - values that stand elsewhere: os.environ/NAME, ${NAME:-default}, file:PATH (with ${NAME} in it),
 * command:TEXT.
 */
#include "gateway/config_internal.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct slice
config_getenv_slice(struct config_loader *loader, struct slice name)
{
    for (char *const *entry = loader->variables; entry != NULL && *entry != NULL; entry++) {
        struct slice rest = slice_from(*entry);
        struct slice key = text_split(&rest, '=');
        if (slice_present(rest) && slice_eq(key, name))
            return rest;
    }
    const struct config_node *map = loader->environment_variables;
    for (const struct config_node *child = map != NULL ? map->child : NULL; child != NULL;
         child = child->next)
        if (slice_eq(child->key, name) && child->kind == NODE_SCALAR && !config_node_is_null(child))
            return child->text;
    return SLICE_NONE;
}

struct slice
config_getenv(struct config_loader *loader, const char *name)
{
    return config_getenv_slice(loader, slice_from(name));
}

void
config_note_file(struct config_loader *loader, struct slice path)
{
    struct config_file *file = arena_take(&loader->config->arena, sizeof(*file));
    struct slice copy = arena_copy(&loader->config->arena, path);
    if (file == NULL || !slice_present(copy))
        return; /* it serves a warning only */
    *file = (struct config_file){.next = loader->config->files, .path = copy};
    loader->config->files = file;
}

/* The file of a "file:PATH" value, without the newline at its end. */
static bool
read_secret(struct config_loader *loader, const struct config_origin *origin, struct slice path,
            struct slice *out)
{
    bool relative = path.len == 0 || path.ptr[0] != '/';
    struct slice full =
        arena_printf(&loader->scratch, "%.*s%.*s",
                     SLICE_ARG(relative ? loader->directory : SLICE_NONE), SLICE_ARG(path));
    char *bytes = arena_take(&loader->scratch, CONFIG_SECRET_BYTES_MAX);
    if (!slice_present(full) || bytes == NULL) {
        config_problem_of(loader, false, origin, "out of memory");
        return false;
    }
    int fd = open(full.ptr, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        config_problem_of(loader, false, origin, "cannot read %s: %s", full.ptr, strerror(errno));
        return false;
    }
    config_note_file(loader, full);
    size_t len = 0;
    ssize_t got = 1;
    while (got > 0 && len < CONFIG_SECRET_BYTES_MAX) {
        got = read(fd, bytes + len, CONFIG_SECRET_BYTES_MAX - len);
        if (got > 0)
            len += (size_t)got;
    }
    int error = got < 0 ? errno : 0;
    struct stat status;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && (status.st_mode & 077) != 0)
        config_problem_of(loader, true, origin,
                          "%s can be read by others (mode %03o); chmod 600 keeps it secret",
                          full.ptr, (unsigned)(status.st_mode & 0777));
    close(fd);
    if (error != 0 || len == CONFIG_SECRET_BYTES_MAX) {
        config_problem_of(loader, false, origin, "cannot read %s: %s", full.ptr,
                          error != 0 ? strerror(error) : "too large");
        return false;
    }
    while (len > 0 && (bytes[len - 1] == '\n' || bytes[len - 1] == '\r'))
        len--;
    *out = slice_of(bytes, len);
    return true;
}

/* One "${NAME}" or "${NAME:-default}" at the front of *rest, which is advanced past it. */
static bool
expand_one(struct config_loader *loader, const struct config_origin *origin, struct slice *rest,
           struct sink *out, struct slice *from)
{
    const char *end = memchr(rest->ptr, '}', rest->len);
    if (end == NULL) {
        config_problem_of(loader, false, origin, "\"${\" without \"}\"; a literal one is \"$${\"");
        return false;
    }
    struct slice inside = slice_of(rest->ptr + 2, (size_t)(end - rest->ptr) - 2);
    ptrdiff_t mark = text_find(inside, SLICE_LIT(":-"));
    struct slice name = mark >= 0 ? slice_take(inside, (size_t)mark) : inside;
    struct slice value = config_getenv_slice(loader, name);
    if (value.len == 0 && mark >= 0)
        value = slice_skip(inside, (size_t)mark + 2);
    if (!slice_present(value)) {
        config_problem_of(
            loader, false, origin,
            "environment variable %.*s is not set (${%.*s:-default} would give a default)",
            SLICE_ARG(name), SLICE_ARG(name));
        return false;
    }
    *from = name;
    sink_put(out, value);
    *rest = slice_skip(*rest, (size_t)(end - rest->ptr) + 1);
    return true;
}

static bool
expand_braces(struct config_loader *loader, const struct config_origin *origin, struct slice raw,
              struct slice *out, struct slice *from)
{
    struct sink text;
    sink_init(&text, CONFIG_FILE_BYTES_MAX);
    bool good = true;
    for (struct slice rest = raw; rest.len > 0 && good;) {
        if (slice_starts(rest, SLICE_LIT("$${"))) {
            sink_text(&text, "${");
            rest = slice_skip(rest, 3);
        } else if (slice_starts(rest, SLICE_LIT("${"))) {
            good = expand_one(loader, origin, &rest, &text, from);
        } else {
            sink_byte(&text, *rest.ptr);
            rest = slice_skip(rest, 1);
        }
    }
    *out = arena_copy(&loader->scratch, sink_slice(&text));
    if (good && (text.error != 0 || !slice_present(*out))) {
        config_problem_of(loader, false, origin, "too long");
        good = false;
    }
    sink_fini(&text);
    return good;
}

bool
config_expand(struct config_loader *loader, const struct config_origin *origin, struct slice raw,
              struct slice *out, struct slice *from)
{
    static const struct slice environ_prefix = SLICE_LIT("os.environ/");
    static const struct slice file_prefix = SLICE_LIT("file:");
    *out = raw;
    *from = SLICE_NONE;
    if (slice_starts(raw, environ_prefix)) {
        *from = slice_skip(raw, environ_prefix.len);
        *out = config_getenv_slice(loader, *from);
        if (slice_present(*out))
            return true;
        config_problem_of(loader, false, origin, "environment variable %.*s is not set",
                          SLICE_ARG(*from));
        return false;
    }
    if (slice_starts(raw, file_prefix)) {
        struct slice path = slice_skip(raw, file_prefix.len), part;
        if (text_find(path, SLICE_LIT("${")) >= 0 && !expand_braces(loader, origin, path, &path, &part))
            return false;
        *from = raw; /* as it stands in the file: systemd's ${CREDENTIALS_DIRECTORY} differs each time */
        return read_secret(loader, origin, path, out);
    }
    static const struct slice command_prefix = SLICE_LIT("command:");
    if (origin->kind == SOURCE_FILE && slice_starts(raw, command_prefix)) {
        *from = command_prefix; /* its words may say where secrets lie */
        return config_run_command(loader, origin, slice_skip(raw, command_prefix.len), out);
    }
    if (text_find(raw, SLICE_LIT("${")) >= 0)
        return expand_braces(loader, origin, raw, out, from);
    return true;
}

bool
config_scalar(struct config_loader *loader, const struct config_node *node, struct slice *out,
              struct slice *from)
{
    struct config_origin origin = {.kind = SOURCE_FILE, .node = node};
    if (node->kind != NODE_SCALAR) {
        config_problem_at(loader, false, node, false, "a single value is expected here, not a %s",
                          node->kind == NODE_MAP ? "map" : "list");
        return false;
    }
    return config_expand(loader, &origin, node->text, out, from);
}
