/* SPDX-License-Identifier: MIT
 *
 * config_google.c - what a Vertex AI entry needs besides a model: project, location, credentials, and the host that follows
 * from the location; and texts that come from the environment when the file has none.
 */
#include "gateway/config_internal.h"

#include "base/json.h"
#include "base/text.h"

#include <stdio.h>
#include <unistd.h>

/* ---- the environment ---- */

struct slice
config_first_variable(struct config_loader *loader, const char *names, struct slice *name)
{
    struct slice rest = slice_from(names);
    while (slice_present(rest)) {
        *name = text_split(&rest, ' ');
        struct slice value = name->len > 0 ? config_getenv_slice(loader, *name) : SLICE_NONE;
        if (value.len > 0)
            return value;
    }
    return SLICE_NONE;
}

/* The project that credentials name, when nobody else does. */
static struct slice
credentials_project(struct config_loader *loader, struct slice credentials)
{
    static const char *const members[] = {"project_id", "quota_project_id"};
    char bytes[16384];
    struct slice text = credentials;
    if (credentials.len > 0 && credentials.ptr[0] != '{') {
        struct slice path = arena_printf(&loader->scratch, "%.*s", SLICE_ARG(credentials));
        FILE *file = slice_present(path) ? fopen(path.ptr, "re") : NULL;
        size_t n = file != NULL ? fread(bytes, 1, sizeof(bytes), file) : 0;
        if (file != NULL) {
            config_note_file(loader, path);
            fclose(file);
        }
        text = slice_of(bytes, n);
    }
    struct json root;
    if (text.len == 0 || json_parse(text, 16, 4096, &loader->scratch, &root) != 0)
        return SLICE_NONE;
    for (size_t i = 0; i < countof(members); i++) {
        struct slice project = json_string(json_get(root, members[i]), &loader->config->arena);
        if (project.len > 0)
            return arena_copy(&loader->config->arena, project); /* unescaped it still lies in bytes */
    }
    return SLICE_NONE;
}

/* A text from the file, else from the first variable that is set, else what otherwise says. */
void
config_fill_text(struct config_loader *loader, struct config_entry *entry, size_t offset, const char *variables, struct slice otherwise)
{
    struct config_target target = {entry, &entry->sources};
    struct slice *at = (struct slice *)(void *)((char *)entry + offset);
    struct config_origin origin = {.kind = SOURCE_ENVIRONMENT};
    if (at->len > 0)
        return;
    struct slice value = config_first_variable(loader, variables, &origin.name);
    if (value.len == 0) {
        origin = (struct config_origin){.kind = SOURCE_PROVIDER, .name = entry->deployment.provider};
        value = otherwise;
    }
    *at = value.len > 0 ? arena_copy(&loader->config->arena, value) : SLICE_NONE;
    if (value.len > 0)
        config_source_set(loader, &target, offset, &origin, SLICE_NONE);
}
static bool
path_word(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char byte = text_lower(text.ptr[i]);
        if (!(byte >= 'a' && byte <= 'z') && !(byte >= '0' && byte <= '9') && strchr("-_.:", byte) == NULL)
            return false;
    }
    return text.len > 0;
}

/* Where gcloud keeps what "gcloud auth application-default login" has got; absent if it is not there. */
static struct slice
gcloud_credentials(struct config_loader *loader)
{
    struct slice folder = config_getenv(loader, "CLOUDSDK_CONFIG"), home = config_getenv(loader, "HOME");
    struct slice path = folder.len > 0 ? arena_printf(&loader->scratch, "%.*s/application_default_credentials.json", SLICE_ARG(folder))
                        : home.len > 0 ? arena_printf(&loader->scratch, "%.*s/.config/gcloud/application_default_credentials.json", SLICE_ARG(home))
                                       : SLICE_NONE;
    return slice_present(path) && access(path.ptr, R_OK) == 0 ? path : SLICE_NONE;
}

/* Project, location, credentials, and the region's own host (R82). */
bool
config_google_resolve(struct config_loader *loader, struct config_entry *entry)
{
    struct config_deployment *deployment = &entry->deployment;
    const struct config_node *node = entry->locations != NULL ? entry->locations->child : NULL;
    struct slice from;
    for (uint32_t i = 0; i < entry->location_index; i++)
        node = node->next;
    if (node != NULL) {
        struct slice text;
        if (!config_scalar(loader, node, &text, &from))
            return false;
        deployment->location = arena_copy(&loader->config->arena, text);
        deployment->order += entry->location_index;
        if (deployment->id.len > 0)
            deployment->id = arena_printf(&loader->config->arena, "%.*s@%.*s", SLICE_ARG(deployment->id), SLICE_ARG(text));
    }
    CONFIG_FILL(location, "VERTEXAI_LOCATION VERTEX_LOCATION GOOGLE_CLOUD_LOCATION", SLICE_LIT("global"));
    CONFIG_FILL(google_credentials, "GOOGLE_APPLICATION_CREDENTIALS", gcloud_credentials(loader));
    const struct config_source *said = config_source_find(entry->sources, offsetof(struct config_entry, deployment.google_credentials));
    struct slice path = deployment->google_credentials;
    if (said != NULL && said->kind == SOURCE_FILE && path.len > 0 && path.ptr[0] != '{' && path.ptr[0] != '/') /* beside the file */
        deployment->google_credentials = arena_printf(&loader->config->arena, "%.*s%.*s", SLICE_ARG(loader->directory), SLICE_ARG(path));
    CONFIG_FILL(google_metadata, "GCE_METADATA_HOST", SLICE_LIT("metadata.google.internal"));
    CONFIG_FILL(project, "VERTEXAI_PROJECT VERTEX_PROJECT GOOGLE_CLOUD_PROJECT", credentials_project(loader, deployment->google_credentials));
    if (deployment->project.len == 0) {
        config_entry_problem(loader, false, entry, "model", "vertex_project is needed, here or as VERTEXAI_PROJECT", SLICE_NONE);
        return false;
    }
    if (!path_word(deployment->project) || !path_word(deployment->location)) {
        config_entry_problem(loader, false, entry, "vertex_location", "a project or location cannot be written like this", SLICE_NONE);
        return false;
    }
    deployment->google = deployment->api_key.len == 0;
    if (entry->api_base.len > 0)
        return true;
    struct slice at = deployment->location;
    const char *format = slice_is(at, "global") ? "https://aiplatform.googleapis.com%.0s"
                         : slice_is(at, "us") || slice_is(at, "eu") ? "https://aiplatform.%s.rep.googleapis.com"
                                                                    : "https://%s-aiplatform.googleapis.com";
    entry->api_base = arena_printf(&loader->config->arena, format, at.ptr);
    struct config_target target = {entry, &entry->sources};
    struct config_origin origin = {.kind = SOURCE_PROVIDER, .name = deployment->provider};
    config_source_set(loader, &target, offsetof(struct config_entry, api_base), &origin, SLICE_NONE);
    return slice_present(entry->api_base);
}

/* Access tokens are Google's to see, and nobody's who is merely configured (R104). */
bool
config_google_may_see(const struct config_deployment *deployment)
{
    return !deployment->google || config_is_loopback(deployment->host) ||
           (deployment->tls && slice_ends(deployment->host, SLICE_LIT(".googleapis.com")));
}
