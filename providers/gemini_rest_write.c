/* SPDX-License-Identifier: MIT
 *
 * gemini_rest_write.c - the fields of a generateContent request around its contents and settings:
 * safety, tier, labels; and what of the canonical request has no place at all.
 */
#include "providers/gemini_write.h"

/* A top-level field of Gemini's own that only the configuration sets. */
static void
put_configured(struct gemini_writing *at, const char *name)
{
    struct json value = gemini_get(at->defaults, name);
    if (gemini_given(value))
        json_member_raw(&at->json, name, json_raw(value));
}

static void
put_tier(struct gemini_writing *at)
{
    struct slice tier = at->request->service_tier;
    const char *word = slice_is(tier, "default")    ? "standard"
                       : slice_is(tier, "flex")     ? "flex"
                       : slice_is(tier, "priority") ? "priority"
                                                    : NULL;
    if (word && at->upstream->surface != SURFACE_VERTEX)
        json_member_text(&at->json, "serviceTier", word);
    else if (slice_present(tier) && !slice_is(tier, "auto"))
        canon_drop(at->report, "service_tier");
    else if (at->upstream->surface != SURFACE_VERTEX)
        put_configured(at, "serviceTier");
}

/* A label is short and lower-case; a name begins with a letter. */
static bool
is_label(struct slice text, bool name)
{
    for (size_t i = 0; i < text.len; i++) {
        char byte = text.ptr[i];
        bool letter = byte >= 'a' && byte <= 'z';
        if (!letter &&
            ((name && i == 0) || !((byte >= '0' && byte <= '9') || byte == '_' || byte == '-')))
            return false;
    }
    return text.len <= 63 && (!name || text.len > 0);
}

static void
put_label(struct gemini_writing *at, struct slice name, struct slice value, const char *field,
          bool *open)
{
    if (at->upstream->surface != SURFACE_VERTEX || !is_label(name, true) || !slice_present(value) ||
        !is_label(value, false)) {
        canon_drop(at->report, field);
        return;
    }
    if (!*open) {
        json_name(&at->json, "labels");
        json_object(&at->json);
    }
    *open = true;
    json_name_slice(&at->json, name);
    json_put_escaped(&at->json, value);
}

/* Only Vertex has a place for who asks and why. */
static int
put_labels(struct gemini_writing *at)
{
    const struct canon_request *request = at->request;
    struct json metadata = JSON_NONE;
    bool open = false, has_user = false;
    if (slice_present(request->metadata) &&
        json_parse(request->metadata, 8, 4096, at->arena, &metadata) == -ERR_MEMORY)
        return -ERR_MEMORY;
    for (struct json one = json_first(metadata);
         json_type(metadata) == JSON_OBJECT && json_present(one); one = json_next(one)) {
        has_user = has_user || slice_is(json_key(one), "user");
        if (!slice_is(json_key(one), "user_id") ||
            !slice_present(request->user)) /* Anthropic's is the user itself */
            put_label(at, json_key(one), json_text(one), "metadata", &open);
    }
    if (slice_present(request->user) && !has_user)
        put_label(at, SLICE_LIT("user"), request->user, "user", &open);
    if (open)
        json_end(&at->json);
    else
        put_configured(at, "labels");
    return 0;
}

static void
put_safety(struct gemini_writing *at)
{
    if (slice_present(at->request->safety))
        json_member_raw(&at->json, "safetySettings", at->request->safety);
    else if (slice_present(at->upstream->safety))
        json_member_raw(&at->json, "safetySettings", at->upstream->safety);
    else
        put_configured(at, "safetySettings");
}

void
gemini_report_fields(struct gemini_writing *at)
{
    const struct canon_request *request = at->request;
    const struct {
        const char *name;
        struct slice value;
    } dropped[] = {
        {"logit_bias", request->logit_bias},
        {"verbosity", request->verbosity},
        {"prompt_cache_key", request->cache_key},
        {"store", slice_is(request->store, "true") ? request->store
                                                   : SLICE_NONE}, /* nothing is kept anyway */
    };
    for (size_t i = 0; i < countof(dropped); i++) {
        if (slice_present(dropped[i].value) && !slice_is(dropped[i].value, "null"))
            canon_drop(at->report, dropped[i].name);
    }
    anthropic_note_unknown(request, at->report);
}

int
gemini_put_rest(struct gemini_writing *at)
{
    put_safety(at);
    put_tier(at);
    put_configured(at, "cachedContent");
    return put_labels(at);
}
