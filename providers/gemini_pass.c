/* SPDX-License-Identifier: MIT
 *
 * gemini_pass.c - where a Gemini upstream is asked, with which key, and a Gemini client's own bytes
 * on the way there.
 *
 * The model is part of the path, so a client's body passes as it is; only what is configured is
 * spliced in.
 */
#include "providers/gemini_write.h"

#include "providers/gemini_read.h"
#include "providers/splice.h"

/* ---------------------------------------------------------------- targets */

static bool
plain_in_path(char byte)
{
    bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
    return letter || (byte >= '0' && byte <= '9') ||
           (byte != '\0' && strchr("-._~!$&'()*+,;=:@/", byte));
}

/* A model's name may come from a client: nothing in it may end the path. */
static void
put_encoded(struct sink *out, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (plain_in_path(text.ptr[i]))
            sink_byte(out, text.ptr[i]);
        else
            sink_printf(out, "%%%02X", (unsigned)(unsigned char)text.ptr[i]);
    }
}

void
gemini_put_model(struct sink *out, struct slice model)
{
    bool resource =
        slice_starts(model, SLICE_LIT("models/")) || slice_starts(model, SLICE_LIT("tunedModels/"));
    sink_text(out, resource ? "" : "models/");
    sink_put(out, model);
}

/* Does a base path end in a version: /v1, /v1beta, /v1alpha? */
static bool
versioned(struct slice path)
{
    size_t at = path.len;
    while (at > 0 && path.ptr[at - 1] != '/')
        at--;
    struct slice last = slice_skip(path, at);
    return last.len > 1 && last.ptr[0] == 'v' && last.ptr[1] >= '0' && last.ptr[1] <= '9';
}

static void
put_method(struct sink *out, const struct dialect_upstream *upstream, const char *method)
{
    struct sink model;
    struct slice base = upstream->base_path;
    sink_init(&model, 64 * 1024);
    if (upstream->surface == SURFACE_VERTEX) {
        dialect_put_vertex(out, upstream, "google", method);
    } else {
        while (base.len > 0 && base.ptr[base.len - 1] == '/')
            base.len--;
        sink_put(out, base);
        sink_text(out, versioned(base) ? "/" : "/v1beta/");
        gemini_put_model(&model, upstream->model);
        put_encoded(out, sink_slice(&model));
        sink_printf(out, ":%s", method);
    }
    sink_fini(&model);
}

void
gemini_put_target(struct sink *out, const struct dialect_upstream *upstream, bool stream)
{
    put_method(out, upstream, stream ? "streamGenerateContent?alt=sse" : "generateContent");
}

int
gemini_fields(const struct dialect_upstream *upstream, struct arena *scratch,
              struct dialect_field out[4])
{
    return dialect_auth_field(upstream, AUTH_GOOG_API_KEY, scratch, out);
}

/* ---------------------------------------------------------------- passing */

/* A model that the body names, too, is the upstream's. */
static int
splice_model(struct splice *splice, struct json root, const struct dialect_upstream *upstream)
{
    struct json model = json_get(root, "model");
    struct sink text;
    int error = 0;
    if (json_type(model) != JSON_STRING)
        return 0;
    sink_init(&text, 64 * 1024);
    gemini_put_model(&text, upstream->model);
    struct slice name = json_string(model, splice->arena);
    if (!slice_present(name)) {
        error = -ERR_MEMORY;
    } else if (!slice_eq(name, sink_slice(&text)) && !slice_eq(name, upstream->model)) {
        struct slice copy = text.error ? SLICE_NONE : arena_copy(splice->arena, sink_slice(&text));
        struct slice escaped = slice_present(copy) ? canon_escape(copy, splice->arena) : SLICE_NONE;
        struct slice quoted = slice_present(escaped)
                                  ? arena_printf(splice->arena, "\"%.*s\"", SLICE_ARG(escaped))
                                  : SLICE_NONE;
        if (slice_present(quoted))
            splice_replace(splice, json_raw(model), quoted);
        else
            error = -ERR_MEMORY;
    }
    sink_fini(&text);
    return error;
}

/* Vertex refuses a content without a role; the other surface takes it for the user's. */
static void
splice_roles(struct splice *splice, struct json root)
{
    struct json contents = json_get(root, "contents");
    for (struct json one = json_type(contents) == JSON_ARRAY ? json_first(contents) : JSON_NONE;
         json_present(one); one = json_next(one)) {
        if (json_type(one) == JSON_OBJECT && !json_present(json_get(one, "role")))
            splice_add(splice, one, SLICE_LIT("role"), SLICE_LIT("\"user\""));
    }
}

/* Configured members of generationConfig, spliced into the client's or gathered into one of their
 * own. */
struct adding {
    struct splice *splice;
    struct json own;        /* the client's; absent: none */
    struct sink text;       /* else: the members */
    struct slice names[32]; /* added so far: two words may mean the same */
    int count;
};

static bool
has_config(const struct adding *at, struct slice name, const char *literal)
{
    for (int i = 0; i < at->count; i++) {
        if (slice_eq(at->names[i], name))
            return true;
    }
    return json_present(gemini_get(at->own, literal));
}

static void
add_config(struct adding *at, struct slice name, struct slice value)
{
    struct slice literal = name.len < 48 ? arena_copy(at->splice->arena, name) : SLICE_NONE;
    if (!slice_present(literal) || at->count == (int)countof(at->names)) {
        at->splice->failed = at->splice->failed || !slice_present(literal);
        return;
    }
    if (has_config(at, name, literal.ptr))
        return;
    at->names[at->count++] = name;
    if (json_present(at->own)) {
        splice_add(at->splice, at->own, name, value);
        return;
    }
    sink_text(&at->text, at->text.len > 0 ? ",\"" : "\"");
    sink_put(&at->text, name);
    sink_text(&at->text, "\":");
    sink_put(&at->text, value);
}

static void
add_all_config(struct adding *at, struct json defaults)
{
    struct json config = gemini_get(defaults, "generationConfig");
    for (struct json one = json_type(config) == JSON_OBJECT ? json_first(config) : JSON_NONE;
         json_present(one); one = json_next(one))
        add_config(at, json_key(one), json_raw(one));
    for (struct json one = json_first(defaults); json_present(one); one = json_next(one)) {
        const char *name = gemini_config_name(one);
        bool single = name && strcmp(name, "stopSequences") == 0 && json_type(one) == JSON_STRING;
        struct slice value =
            single ? arena_printf(at->splice->arena, "[%.*s]", SLICE_ARG(json_raw(one)))
                   : json_raw(one);
        if (name && gemini_given(one) && slice_present(value))
            add_config(at, slice_from(name), value);
    }
}

static void
splice_config(struct splice *splice, struct json root, struct json defaults)
{
    struct json own = gemini_get(root, "generationConfig");
    if (gemini_given(own) && json_type(own) != JSON_OBJECT)
        return;
    struct adding at = {.splice = splice, .own = gemini_given(own) ? own : JSON_NONE};
    sink_init(&at.text, GEMINI_REQUEST_BYTES);
    add_all_config(&at, defaults);
    if (at.text.len > 0 && at.text.error == 0) {
        struct slice object =
            arena_printf(splice->arena, "{%.*s}", SLICE_ARG(sink_slice(&at.text)));
        if (slice_present(object) && json_present(own))
            splice_replace(splice, json_raw(own), object);
        else if (slice_present(object))
            splice_add(splice, root, SLICE_LIT("generationConfig"), object);
        splice->failed = splice->failed || !slice_present(object);
    }
    sink_fini(&at.text);
}

/* Configured defaults: generationConfig member by member, Gemini's other fields as a whole. */
static int
splice_params(struct splice *splice, struct json root, const struct dialect_upstream *upstream)
{
    struct json defaults;
    struct slice params = upstream->default_params;
    if (!slice_present(params))
        return 0;
    int error =
        json_parse(params, GEMINI_REQUEST_DEPTH, GEMINI_REQUEST_TOKENS, splice->arena, &defaults);
    if (error != 0)
        return error == -ERR_MEMORY ? error : -ERR_CONFIG;
    splice_config(splice, root, defaults);
    for (size_t i = 0; i < gemini_own_field_count; i++) {
        struct json value = gemini_get(defaults, gemini_own_fields[i]);
        if (slice_present(upstream->safety) && strcmp(gemini_own_fields[i], "safetySettings") == 0)
            continue; /* configured in a place of their own */
        if (gemini_given(value) && !gemini_given(gemini_get(root, gemini_own_fields[i])))
            splice_member(splice, root, gemini_own_fields[i], json_raw(value));
    }
    return 0;
}

/* The member of a tool that stands for a Google search, if it is one. */
static struct json
search_of(struct json tool)
{
    struct json search = gemini_get(tool, "googleSearch");
    return json_present(search) ? search : gemini_get(tool, "googleSearchRetrieval");
}

/* Grounding as configured: a search is added where there is none, or every one is taken out. */
static int
splice_grounding(struct splice *splice, struct json root, enum dialect_switch grounding)
{
    struct json tools = json_get(root, "tools");
    struct sink text;
    uint32_t searches = 0, kept = 0;
    if (grounding == SWITCH_UNSET || (json_present(tools) && json_type(tools) != JSON_ARRAY))
        return 0;
    sink_init(&text, GEMINI_REQUEST_BYTES);
    sink_byte(&text, '[');
    for (struct json one = json_first(tools); json_present(one); one = json_next(one)) {
        bool search = json_present(search_of(one));
        searches += search;
        if (search && json_count(one) == 1)
            continue;
        sink_text(&text, kept++ > 0 ? "," : "");
        sink_put(&text, json_raw(one));
    }
    if (grounding == SWITCH_ON)
        sink_printf(&text, "%s{\"googleSearch\":{}}", kept > 0 ? "," : "");
    sink_byte(&text, ']');
    bool change = grounding == SWITCH_ON ? searches == 0 : searches > 0;
    struct slice list =
        text.error == 0 && change ? arena_copy(splice->arena, sink_slice(&text)) : SLICE_NONE;
    int error = change && !slice_present(list) ? -ERR_MEMORY : 0;
    sink_fini(&text);
    if (!change || error != 0)
        return error;
    if (!json_present(tools))
        splice_add(splice, root, SLICE_LIT("tools"), list);
    else
        splice_replace(splice, json_raw(tools), list);
    return 0;
}

int
gemini_pass_request(const struct canon_request *request, const struct dialect_upstream *upstream,
                    struct sink *out)
{
    struct splice splice;
    struct json root = request->root;
    splice_init(&splice, request->body, request->arena);
    int error = splice_model(&splice, root, upstream);
    if (error == 0)
        error = splice_params(&splice, root, upstream);
    if (error == 0)
        error = splice_grounding(&splice, root, upstream->grounding);
    if (error != 0)
        return error;
    if (upstream->surface == SURFACE_VERTEX)
        splice_roles(&splice, root);
    if (slice_present(upstream->safety) && !gemini_given(gemini_get(root, "safetySettings")))
        splice_member(&splice, root, "safetySettings", upstream->safety);
    return splice_pass(&splice, out, request->kept);
}

/* ---------------------------------------------------------------- counting */

bool
gemini_can_count(const struct dialect_upstream *upstream)
{
    (void)upstream;
    return true;
}

void
gemini_put_count_target(struct sink *out, const struct dialect_upstream *upstream)
{
    put_method(out, upstream, "countTokens");
}

/* A generateContentRequest for the surface that does not know it: its members that are counted. */
static int
unwrap_count(struct json inner, struct sink *out)
{
    static const char *const counted[] = {"contents", "systemInstruction", "tools",
                                          "generationConfig"};
    struct json_writer json;
    json_writer_init(&json, out);
    json_object(&json);
    for (size_t i = 0; i < countof(counted); i++) {
        struct json value = gemini_get(inner, counted[i]);
        if (json_present(value))
            json_member_raw(&json, counted[i], json_raw(value));
    }
    json_end(&json);
    return out->error;
}

/* More than contents, for the surface that takes contents alone: all of it inside a
 * generateContentRequest. */
static int
wrap_count(struct json root, struct slice model, struct sink *out)
{
    struct sink name;
    struct json_writer json;
    sink_init(&name, 64 * 1024);
    gemini_put_model(&name, model);
    json_writer_init(&json, out);
    json_object(&json);
    json_name(&json, "generateContentRequest");
    json_object(&json);
    sink_carry(json.sink, &name);
    json_member(&json, "model", sink_slice(&name));
    sink_fini(&name);
    for (struct json one = json_first(root); json_present(one); one = json_next(one)) {
        if (json_key_is(one, "model"))
            continue;
        sink_text(out, ",\"");
        sink_put(out, json_key(one));
        sink_text(out, "\":");
        sink_put(out, json_raw(one));
    }
    json_end(&json);
    json_end(&json);
    return out->error;
}

int
gemini_write_count(const struct canon_request *request, const struct dialect_upstream *upstream,
                   struct sink *out, struct canon_report *report, struct canon_fault *fault)
{
    if (request->from != DIALECT_GEMINI)
        return gemini_write_counted(request, upstream, out, report, fault);
    struct json root = gemini_request_root(request);
    bool vertex = upstream->surface == SURFACE_VERTEX, wrapped = root.at != request->root.at;
    if (vertex && wrapped)
        return unwrap_count(root, out);
    uint32_t plain =
        json_present(json_get(root, "contents")) + json_present(json_get(root, "model"));
    if (!vertex && !wrapped && json_count(root) > plain)
        return wrap_count(root, upstream->model, out);
    struct splice splice;
    splice_init(&splice, request->body, request->arena);
    int error = splice_model(&splice, root, upstream);
    if (error == 0 && vertex)
        splice_roles(&splice, root);
    return error != 0 ? error : splice_put(&splice, out);
}

int
gemini_read_count(struct slice body, struct arena *scratch, uint64_t *tokens)
{
    struct json root;
    int error = json_parse(body, GEMINI_REQUEST_DEPTH, 10000, scratch, &root);
    if (error != 0)
        return error == -ERR_MEMORY ? error : -ERR_UPSTREAM_PROTOCOL;
    struct json total = gemini_get(root, "totalTokens");
    struct slice text = json_type(total) == JSON_STRING ? json_text(total) : json_raw(total);
    *tokens = json_present(total) ? json_text_u64_or(text, UINT64_MAX) : UINT64_MAX;
    if (!json_present(total) && json_type(root) == JSON_OBJECT && json_count(root) == 0)
        *tokens = 0; /* zeros are left out */
    return *tokens != UINT64_MAX ? 0 : -ERR_UPSTREAM_PROTOCOL;
}

void
gemini_write_count_reply(uint64_t tokens, struct sink *out)
{
    sink_printf(out, "{\"totalTokens\":%llu}", (unsigned long long)tokens);
}
