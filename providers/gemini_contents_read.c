/* SPDX-License-Identifier: MIT
 *
 * gemini_contents_read.c - the contents of a generateContent request as canonical messages.
 *
 * Clients replay a streamed answer as they got it, one content a chunk: model contents that follow
 * one another are one message, and texts without a signature of their own are joined. Calls need no
 * id; those without get one, and their responses, matched by name and order, get the same.
 */
#include "providers/gemini_read.h"

#include "base/text.h"
#include "providers/canon_media.h"

#define TURN_CALLS_MAX 1024 /* each response looks at each call */

struct open_call {
    struct canon_part *part;
    bool answered, made; /* made: its id is ours */
};

struct contents {
    struct gemini_reading *at;
    struct canon_message **end, *message;
    struct canon_part **part_end;
    struct open_call *calls; /* of the last model message */
    uint32_t call_count;
};

/* Where parts go: a message, or a function response. */
struct part_list {
    struct canon_part **end;
};

static int
refuse_part(struct gemini_reading *at, const char *message)
{
    struct slice place =
        arena_printf(at->request->arena, "contents[%u].parts[%u]", at->content, at->part);
    *at->fault = (struct canon_fault){
        .message = arena_printf(at->request->arena, "%.*s: %s", SLICE_ARG(place), message),
        .param = place};
    return -ERR_REQUEST;
}

static int
add_part(struct gemini_reading *at, struct part_list *list, enum canon_part_kind kind,
         struct json value, struct canon_part **out)
{
    struct canon_part *part = arena_take(at->request->arena, sizeof(*part));
    if (!part)
        return -ERR_MEMORY;
    *part = (struct canon_part){.kind = kind, .value = value};
    *list->end = part;
    list->end = &part->next;
    *out = part;
    return 0;
}

static int
add_native(struct gemini_reading *at, struct part_list *list, struct json value, struct slice name)
{
    struct canon_part *part;
    int error = add_part(at, list, PART_NATIVE, value, &part);
    if (error == 0)
        part->name = name;
    return error;
}

/* ---------------------------------------------------------------- media */

static enum canon_part_kind
kind_of(struct slice type)
{
    if (text_caseless_eq(slice_take(type, 6), SLICE_LIT("image/")))
        return PART_IMAGE;
    if (text_caseless_eq(slice_take(type, 6), SLICE_LIT("audio/")))
        return PART_AUDIO;
    return text_caseless_eq(slice_take(type, 6), SLICE_LIT("video/")) ? PART_VIDEO : PART_DOCUMENT;
}

/* Audio is known by its format: "wav", "mp3". */
static struct slice
audio_format(struct slice type)
{
    struct slice format = slice_skip(type, 6);
    if (text_caseless_is(format, "mpeg") || text_caseless_is(format, "mp3"))
        return SLICE_LIT("mp3");
    bool wave = text_caseless_is(format, "x-wav") || text_caseless_is(format, "wave") ||
                text_caseless_is(format, "wav");
    return wave ? SLICE_LIT("wav") : format;
}

static int
standard_data(struct gemini_reading *at, struct json value, struct slice *out)
{
    struct sink text;
    *out = json_string(value, at->request->arena);
    if (!slice_present(*out))
        return refuse_part(at, "inlineData needs data");
    if (canon_base64_is_standard(*out))
        return 0;
    sink_init(&text, out->len + 8);
    bool good = canon_base64(&text, *out) && text.error == 0;
    if (good)
        *out = text.error ? SLICE_NONE : arena_copy(at->request->arena, sink_slice(&text));
    sink_fini(&text);
    if (!good)
        return refuse_part(at, "inlineData.data must be base64");
    return slice_present(*out) ? 0 : -ERR_MEMORY;
}

static void
read_resolution(struct gemini_reading *at, struct json value, struct canon_part *part)
{
    struct json resolution = gemini_get(value, "mediaResolution");
    struct json level =
        json_type(resolution) == JSON_OBJECT ? gemini_get(resolution, "level") : resolution;
    if (!gemini_given(resolution))
        return;
    if (part->kind == PART_IMAGE && json_is(level, "MEDIA_RESOLUTION_LOW"))
        part->detail = SLICE_LIT("low");
    else if (part->kind == PART_IMAGE && json_is(level, "MEDIA_RESOLUTION_HIGH"))
        part->detail = SLICE_LIT("high");
    else
        canon_drop(&at->request->unsaid, "mediaResolution");
}

static bool
is_video_page(struct slice url)
{
    return text_find(url, SLICE_LIT("://www.youtube.com/")) >= 0 ||
           text_find(url, SLICE_LIT("://youtube.com/")) >= 0 ||
           text_find(url, SLICE_LIT("://youtu.be/")) >= 0;
}

/* A web address is a URL to anyone; a file in Google's stores is known to Google only, and this is
 * read for others. */
static int
read_file(struct gemini_reading *at, struct part_list *list, struct json value, struct json file)
{
    struct canon_part *part;
    struct slice url = json_string(gemini_get(file, "fileUri"), at->request->arena);
    struct slice type = json_string(gemini_get(file, "mimeType"), at->request->arena);
    if (url.len == 0)
        return refuse_part(at, "fileData needs fileUri");
    bool web = slice_starts(url, SLICE_LIT("https://")) || slice_starts(url, SLICE_LIT("http://"));
    if (slice_starts(url, SLICE_LIT("https://generativelanguage.googleapis.com/")))
        web = false;
    if (type.len == 0)
        type = slice_from(canon_url_type(url));
    enum canon_part_kind kind = is_video_page(url) ? PART_VIDEO : kind_of(type);
    if (!web)
        return gemini_refuse(at, ERR_UNSUPPORTED, "fileData",
                             "a file in Google's stores is known to Google only");
    if (kind == PART_AUDIO)
        return gemini_refuse(at, ERR_UNSUPPORTED, "fileData",
                             "the upstream behind this model takes no sound by URL");
    int error = add_part(at, list, kind, value, &part);
    if (error != 0)
        return error;
    part->url = url;
    part->media_type = type;
    read_resolution(at, value, part);
    return 0;
}

/* ---------------------------------------------------------------- signatures */

/* Is the signature a wrapper of ours? Signatures are base64 to Gemini's clients, so the wrapper is
 * inside; some send text back as it is. */
static bool
is_wrapper(struct gemini_reading *at, struct slice token, struct slice *wrapper)
{
    struct sink plain;
    if (slice_starts(token, SLICE_LIT("penstock."))) {
        *wrapper = token;
        return true;
    }
    if (!slice_starts(token, SLICE_LIT("cGVuc3RvY2su"))) /* the same in base64 */
        return false;
    struct slice text = json_unescape(token, at->request->arena);
    sink_init(&plain, text.len + 16);
    bool good = slice_present(text) && text_base64_decode(text, &plain) && plain.error == 0;
    *wrapper = good ? arena_copy(at->request->arena, sink_slice(&plain)) : SLICE_NONE;
    sink_fini(&plain);
    return slice_present(*wrapper);
}

/* The state a part is signed with, and whose it is. */
static bool
read_signature(struct gemini_reading *at, struct json value, struct slice *state,
               enum canon_origin *origin, bool *redacted)
{
    struct slice token = json_text(gemini_get(value, "thoughtSignature")), wrapper;
    *state = token;
    *origin = ORIGIN_GEMINI;
    *redacted = false;
    if (token.len == 0)
        return false;
    if (!is_wrapper(at, token, &wrapper))
        return true;
    return canon_unwrap(wrapper, origin, redacted, state,
                        at->request->arena); /* a broken wrapper is nobody's */
}

static int
add_thought(struct gemini_reading *at, struct part_list *list, struct json value, struct slice text)
{
    struct canon_part *part;
    struct slice state;
    enum canon_origin origin;
    bool redacted, is_signed = read_signature(at, value, &state, &origin, &redacted);
    bool opaque = is_signed && redacted;
    int error = 0;
    if (!opaque || text.len > 0) {
        error = add_part(at, list, PART_THINKING, value, &part);
        if (error != 0)
            return error;
        part->text = text;
        part->signature = is_signed && !opaque ? state : SLICE_NONE;
        part->origin = is_signed && !opaque ? origin : ORIGIN_NONE;
    }
    if (!opaque)
        return 0;
    error = add_part(at, list, PART_REDACTED, value, &part);
    if (error != 0)
        return error;
    part->origin = origin;
    part->data = json_unescape(state, at->request->arena);
    return slice_present(part->data) ? 0 : -ERR_MEMORY;
}

/* A text or call signed by another provider: its state belongs to the thought before it. */
static int
add_foreign_state(struct gemini_reading *at, struct part_list *list, struct json value,
                  struct slice *own)
{
    enum canon_origin origin;
    bool redacted;
    bool is_signed = read_signature(at, value, own, &origin, &redacted);
    if (is_signed && origin == ORIGIN_GEMINI && !redacted)
        return 0;
    *own = SLICE_NONE;
    if (!is_signed)
        return 0;
    return add_thought(at, list, value, SLICE_LIT(""));
}

static int
read_inline(struct gemini_reading *at, struct part_list *list, struct json value, struct json blob)
{
    struct canon_part *part;
    struct slice state;
    struct slice type = json_string(gemini_get(blob, "mimeType"), at->request->arena);
    if (type.len == 0)
        return refuse_part(at, "inlineData needs mimeType");
    int error = add_foreign_state(at, list, value, &state);
    if (error == 0)
        error = add_part(at, list, kind_of(type), value, &part);
    if (error != 0)
        return error;
    part->media_type = part->kind == PART_AUDIO ? audio_format(type) : type;
    part->name = json_text(gemini_get(blob, "displayName"));
    part->signature = state;
    part->origin = slice_present(state) ? ORIGIN_GEMINI : ORIGIN_NONE;
    read_resolution(at, value, part);
    if (gemini_given(gemini_get(value, "videoMetadata")))
        canon_drop(&at->request->unsaid, "videoMetadata");
    return standard_data(at, json_get(blob, "data"), &part->data);
}

/* ---------------------------------------------------------------- calls and responses */

/* The id of a call that came without: its place among the calls, and what it says. */
static struct slice
make_id(struct gemini_reading *at, struct json call)
{
    uint64_t hash = canon_hash(json_raw(call));
    return arena_printf(at->request->arena, "call_%016llx%08x", (unsigned long long)hash,
                        (unsigned)at->calls);
}

static int
read_call(struct contents *all, struct part_list *list, struct json value, struct json call)
{
    struct gemini_reading *at = all->at;
    struct canon_part *part;
    struct slice state;
    struct json args = gemini_get(call, "args");
    int error = add_foreign_state(at, list, value, &state);
    if (error == 0)
        error = add_part(at, list, PART_CALL, value, &part);
    if (error != 0)
        return error;
    part->name = json_text(gemini_get(call, "name"));
    part->id = json_text(gemini_get(call, "id"));
    part->signature = state;
    part->origin = slice_present(state) ? ORIGIN_GEMINI : ORIGIN_NONE;
    part->arguments = gemini_given(args) ? json_raw(args) : SLICE_LIT("{}");
    if (part->name.len == 0)
        return refuse_part(at, "functionCall needs a name");
    if (gemini_given(args) && json_type(args) != JSON_OBJECT)
        return refuse_part(at, "functionCall.args must be an object");
    if (all->message->role != ROLE_ASSISTANT)
        return refuse_part(at, "functionCall can only be in model contents");
    if (all->call_count == TURN_CALLS_MAX)
        return refuse_part(at, "too many function calls in one turn");
    bool made = part->id.len == 0;
    at->calls++;
    if (made)
        part->id = make_id(at, call);
    if (!all->calls)
        all->calls = arena_take(at->request->arena, TURN_CALLS_MAX * sizeof(*all->calls));
    if (!all->calls || !slice_present(part->id))
        return -ERR_MEMORY;
    all->calls[all->call_count++] = (struct open_call){.part = part, .made = made};
    return 0;
}

/* The call that is answered: by its id, else the first of its name that waits (and, when an id was
 * said, has none of its own). */
static struct open_call *
call_for(struct contents *all, struct slice id, struct slice name)
{
    for (uint32_t i = 0; id.len > 0 && i < all->call_count; i++) {
        struct open_call *call = &all->calls[i];
        if (!call->answered && slice_eq(call->part->id, id))
            return call;
    }
    for (uint32_t i = 0; i < all->call_count; i++) {
        struct open_call *call = &all->calls[i];
        if (!call->answered && slice_eq(call->part->name, name) && (id.len == 0 || call->made))
            return call;
    }
    return NULL;
}

static int
add_escaped(struct gemini_reading *at, struct part_list *list, struct slice raw)
{
    struct canon_part *part;
    int error = add_part(at, list, PART_TEXT, JSON_NONE, &part);
    if (error != 0)
        return error;
    part->text = canon_escape(raw, at->request->arena);
    return slice_present(part->text) ? 0 : -ERR_MEMORY;
}

/* What the tool said: a plain output, result or error when that is all there is, else the JSON text
 * of the whole. */
static int
read_answer(struct gemini_reading *at, struct part_list *list, struct json answer,
            struct canon_part *result)
{
    struct json only = json_count(answer) == 1 ? json_first(answer) : JSON_NONE;
    struct canon_part *part;
    result->is_error = json_key_is(only, "error");
    bool plain = result->is_error || json_key_is(only, "output") || json_key_is(only, "result");
    struct json value = plain ? only : answer;
    if (!gemini_given(value))
        return 0;
    if (json_type(value) != JSON_STRING)
        return add_escaped(at, list, json_raw(value));
    int error = add_part(at, list, PART_TEXT, value, &part);
    if (error == 0)
        part->text = json_text(value);
    return error;
}

static int
read_response(struct contents *all, struct part_list *list, struct json value, struct json response)
{
    struct gemini_reading *at = all->at;
    struct canon_part *part;
    struct json answer = gemini_get(response, "response"), media = gemini_get(response, "parts");
    if (all->message->role == ROLE_ASSISTANT)
        return refuse_part(at, "functionResponse cannot be in model contents");
    int error = add_part(at, list, PART_RESULT, value, &part);
    if (error != 0)
        return error;
    part->id = json_text(gemini_get(response, "id"));
    part->name = json_text(gemini_get(response, "name"));
    if (gemini_given(answer) && json_type(answer) != JSON_OBJECT)
        return refuse_part(at, "functionResponse.response must be an object");
    struct open_call *call = call_for(all, part->id, part->name);
    if (call) {
        call->answered = true;
        part->id = call->part->id;
        part->name = call->part->name;
    } else if (part->id.len == 0) {
        part->id = make_id(at, response);
    }
    if (!slice_present(part->id))
        return -ERR_MEMORY;
    struct part_list inner = {.end = &part->parts};
    bool list_of_media = json_type(media) == JSON_ARRAY && json_count(media) > 0;
    if (!list_of_media || json_count(answer) > 0)
        error = read_answer(at, &inner, answer, part);
    for (struct json one = list_of_media ? json_first(media) : JSON_NONE;
         json_present(one) && error == 0; one = json_next(one)) {
        struct json blob = gemini_get(one, "inlineData"), file = gemini_get(one, "fileData");
        error = json_type(blob) == JSON_OBJECT ? read_inline(at, &inner, one, blob)
                : json_type(file) == JSON_OBJECT
                    ? read_file(at, &inner, one, file)
                    : refuse_part(at, "functionResponse.parts takes inlineData and fileData");
    }
    return error;
}

/* ---------------------------------------------------------------- parts and contents */

static int
read_text(struct gemini_reading *at, struct part_list *list, struct json value, struct slice text)
{
    struct canon_part *part;
    struct slice state;
    if (json_type(json_get(value, "thought")) == JSON_TRUE)
        return add_thought(at, list, value, text);
    int error = add_foreign_state(at, list, value, &state);
    if (error == 0)
        error = add_part(at, list, PART_TEXT, value, &part);
    if (error != 0)
        return error;
    part->text = text;
    part->signature = state;
    part->origin = slice_present(state) ? ORIGIN_GEMINI : ORIGIN_NONE;
    return 0;
}

static bool
is_modifier(struct json member)
{
    static const char *const names[] = {"thought", "thoughtSignature", "videoMetadata",
                                        "mediaResolution", "partMetadata"};
    for (size_t i = 0; i < countof(names); i++) {
        if (gemini_key_is(member, names[i]))
            return true;
    }
    return !gemini_given(member);
}

static int
read_part(struct contents *all, struct part_list *list, struct json value)
{
    struct gemini_reading *at = all->at;
    struct json payload = JSON_NONE;
    if (json_type(value) != JSON_OBJECT)
        return refuse_part(at, "a part must be an object");
    for (struct json one = json_first(value); json_present(one) && !json_present(payload);
         one = json_next(one)) {
        if (!is_modifier(one))
            payload = one;
    }
    if (!json_present(payload))
        return read_text(at, list, value, SLICE_LIT(""));
    if (json_key_is(payload, "text"))
        return json_type(payload) == JSON_STRING ? read_text(at, list, value, json_text(payload))
                                                 : refuse_part(at, "text must be a string");
    if (json_type(payload) != JSON_OBJECT)
        return refuse_part(at, "this part must hold an object");
    if (gemini_key_is(payload, "functionCall"))
        return read_call(all, list, value, payload);
    if (gemini_key_is(payload, "functionResponse"))
        return read_response(all, list, value, payload);
    if (gemini_key_is(payload, "inlineData"))
        return read_inline(at, list, value, payload);
    if (gemini_key_is(payload, "fileData"))
        return read_file(at, list, value, payload);
    return add_native(at, list, value, json_key(payload));
}

/* ---------------------------------------------------------------- joining what was streamed */

static bool
joins(const struct canon_part *part, const struct canon_part *next)
{
    bool text =
        part->kind == PART_TEXT && next->kind == PART_TEXT && !slice_present(next->signature);
    bool thought = part->kind == PART_THINKING && next->kind == PART_THINKING;
    return (text || thought) && !slice_present(part->signature);
}

/* A model's texts, and its thoughts up to their signature, are one each. */
static int
join_texts(struct canon_message *message, struct arena *arena)
{
    for (struct canon_part *part = message ? message->parts : NULL; part; part = part->next) {
        size_t len = part->text.len;
        struct canon_part *last = part;
        while (last->next && joins(last, last->next)) {
            last = last->next;
            len += last->text.len;
        }
        if (last == part)
            continue;
        char *bytes = arena_take(arena, len + 1);
        if (!bytes)
            return -ERR_MEMORY;
        size_t n = 0;
        for (const struct canon_part *one = part; one != last->next; one = one->next) {
            if (one->text.len > 0)
                memcpy(bytes + n, one->text.ptr, one->text.len);
            n += one->text.len;
        }
        part->text = slice_of(bytes, n);
        part->signature = last->signature;
        part->origin = last->origin;
        part->next = last->next;
    }
    return 0;
}

/* ---------------------------------------------------------------- contents */

static int
open_message(struct contents *all, enum canon_role role, struct json value)
{
    struct canon_message *last = all->message;
    if (last && last->role == ROLE_ASSISTANT && role == ROLE_ASSISTANT)
        return 0;
    int error =
        last && last->role == ROLE_ASSISTANT ? join_texts(last, all->at->request->arena) : 0;
    if (role == ROLE_ASSISTANT)
        all->call_count = 0;
    struct canon_message *message = arena_take(all->at->request->arena, sizeof(*message));
    if (error != 0 || !message)
        return -ERR_MEMORY;
    *message = (struct canon_message){.role = role, .value = value};
    *all->end = message;
    all->end = &message->next;
    all->message = message;
    all->part_end = &message->parts;
    return 0;
}

static int
read_parts(struct contents *all, struct json parts)
{
    bool list = json_type(parts) == JSON_ARRAY;
    struct part_list into = {.end = all->part_end};
    int error = 0;
    if (gemini_given(parts) && !list && json_type(parts) != JSON_OBJECT)
        return refuse_part(all->at, "parts must be a list");
    all->at->part = 0;
    for (struct json one = list ? json_first(parts) : parts; gemini_given(one) && error == 0;
         one = list ? json_next(one) : JSON_NONE) {
        error = read_part(all, &into, one);
        all->at->part++;
    }
    all->part_end = into.end;
    return error;
}

static int
read_content(struct contents *all, struct json content)
{
    struct json role = gemini_get(content, "role");
    if (json_type(content) != JSON_OBJECT)
        return gemini_refuse(all->at, ERR_REQUEST, "contents", "a content must be an object");
    bool model = json_is(role, "model");
    bool user = !gemini_given(role) || json_is(role, "") || json_is(role, "user") ||
                json_is(role, "function") || json_is(role, "tool");
    if (!model && !user)
        return gemini_refuse(all->at, ERR_REQUEST, "contents",
                             "Please use a valid role: user, model.");
    int error = open_message(all, model ? ROLE_ASSISTANT : ROLE_USER, content);
    return error != 0 ? error : read_parts(all, gemini_get(content, "parts"));
}

/* Texts only; a bare string is taken, too, as the client libraries do. */
static int
read_system(struct contents *all, struct json system)
{
    struct canon_part *part;
    if (!gemini_given(system))
        return 0;
    int error = open_message(all, ROLE_SYSTEM, system);
    if (error != 0 || json_type(system) != JSON_STRING)
        return error != 0 ? error : read_parts(all, gemini_get(system, "parts"));
    struct part_list into = {.end = all->part_end};
    error = add_part(all->at, &into, PART_TEXT, system, &part);
    if (error == 0)
        part->text = json_text(system);
    return error;
}

int
gemini_read_contents(struct gemini_reading *at, struct json root)
{
    struct contents all = {.at = at, .end = &at->request->messages};
    struct json contents = json_get(root, "contents");
    bool list = json_type(contents) == JSON_ARRAY;
    int error = read_system(&all, gemini_get(root, "systemInstruction"));
    for (struct json one = list ? json_first(contents) : contents; json_present(one) && error == 0;
         one = list ? json_next(one) : JSON_NONE) {
        error = read_content(&all, one);
        at->content++;
    }
    if (error == 0 && all.message && all.message->role == ROLE_ASSISTANT)
        error = join_texts(all.message, at->request->arena);
    return error;
}
