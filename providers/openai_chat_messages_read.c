/* SPDX-License-Identifier: MIT
 *
 * openai_chat_messages_read.c - the messages of a Chat Completions request as canonical ones.
 *
 * An assistant's parts come in the order it made them: thoughts, text, refusal, calls. The
 * deprecated function_call and function messages become calls and results with ids made here.
 */
#include "providers/openai_chat.h"

#include "base/text.h"

struct message_reader {
    struct canon_request *request;
    struct canon_fault *fault;
    struct canon_message *message;
    struct canon_part **link;
    uint32_t legacy; /* function calls so far */
};

static struct canon_part *
add_part(struct message_reader *at, enum canon_part_kind kind, struct json value)
{
    struct canon_part *part = arena_take(at->request->arena, sizeof(*part));
    if (!part)
        return NULL;
    part->kind = kind;
    part->value = value;
    part->cache_control = json_raw(json_get(value, "cache_control"));
    *at->link = part;
    at->link = &part->next;
    return part;
}

static int
add_text(struct message_reader *at, enum canon_part_kind kind, struct slice text, struct json value)
{
    struct canon_part *part = add_part(at, kind, value);
    if (!part)
        return -ERR_MEMORY;
    part->text = text;
    return 0;
}

/* ---------------------------------------------------------------- data URLs */

static struct slice
base64_of_percent(struct slice text, struct arena *arena)
{
    struct sink plain, coded;
    struct slice out = SLICE_NONE;
    sink_init(&plain, text.len + 1);
    sink_init(&coded, text.len * 2 + 16);
    if (text_percent_decode(text, &plain)) {
        text_base64(&coded, sink_slice(&plain));
        if (!plain.error && !coded.error)
            out = coded.error ? SLICE_NONE : arena_copy(arena, sink_slice(&coded));
    }
    sink_fini(&plain);
    sink_fini(&coded);
    return out;
}

/* data:[type][;parameter...][;base64],payload - RFC 2397. Anything else is a URL. */
static int
read_url(struct message_reader *at, struct slice url, struct canon_part *part)
{
    if (!text_caseless_eq(slice_take(url, 5), SLICE_LIT("data:"))) {
        part->url = url;
        return 0;
    }
    struct slice payload = slice_skip(url, 5);
    struct slice head = text_split(&payload, ',');
    if (!slice_present(payload))
        return chat_refuse(at->fault, ERR_REQUEST, "messages", "a data URL has no data");
    bool is_base64 = false;
    part->media_type = text_split(&head, ';');
    for (struct slice word = text_split(&head, ';'); slice_present(word);
         word = text_split(&head, ';'))
        is_base64 = is_base64 || text_caseless_is(text_trim(word), "base64");
    if (part->media_type.len == 0)
        part->media_type = SLICE_LIT("text/plain");
    part->data = is_base64 ? payload : base64_of_percent(payload, at->request->arena);
    if (!slice_present(part->data))
        return chat_refuse(at->fault, ERR_REQUEST, "messages", "a data URL cannot be decoded");
    return 0;
}

/* ---------------------------------------------------------------- content */

static int
read_image(struct message_reader *at, struct json value)
{
    struct canon_part *part = add_part(at, PART_IMAGE, value);
    if (!part)
        return -ERR_MEMORY;
    struct json image = json_get(value, "image_url");
    struct json url = json_type(image) == JSON_STRING ? image : json_get(image, "url");
    part->detail = json_text(json_get(image, "detail"));
    struct slice text = json_string(url, at->request->arena);
    if (text.len == 0)
        return chat_refuse(at->fault, ERR_REQUEST, "messages", "an image part needs a URL");
    return read_url(at, text, part);
}

static int
read_file(struct message_reader *at, struct json value)
{
    struct json file = json_get(value, "file");
    struct slice data = json_string(json_get(file, "file_data"), at->request->arena);
    struct canon_part *part = add_part(at, data.len > 0 ? PART_DOCUMENT : PART_FILE, value);
    if (!part)
        return -ERR_MEMORY;
    part->name = json_text(json_get(file, "filename"));
    part->id = json_text(json_get(file, "file_id"));
    if (data.len > 0)
        return read_url(at, data, part);
    return part->id.len > 0
               ? 0
               : chat_refuse(at->fault, ERR_REQUEST, "messages", "a file part needs data or an id");
}

static int
read_audio(struct message_reader *at, struct json value)
{
    struct canon_part *part = add_part(at, PART_AUDIO, value);
    if (!part)
        return -ERR_MEMORY;
    struct json audio = json_get(value, "input_audio");
    part->media_type = json_string(json_get(audio, "format"), at->request->arena);
    part->data = json_string(json_get(audio, "data"), at->request->arena);
    bool complete = slice_present(part->media_type) && slice_present(part->data);
    return complete ? 0 : chat_refuse(at->fault, ERR_REQUEST, "messages", "an input_audio part needs data and a format");
}

/* Qwen's extension, and OpenRouter's. */
static int
read_video(struct message_reader *at, struct json value)
{
    struct canon_part *part = add_part(at, PART_VIDEO, value);
    struct json video = json_get(value, "video_url");
    struct json url = json_type(video) == JSON_STRING ? video : json_get(video, "url");
    struct slice text = json_string(url, at->request->arena);
    if (!part)
        return -ERR_MEMORY;
    if (text.len == 0)
        return chat_refuse(at->fault, ERR_REQUEST, "messages", "a video part needs a URL");
    return read_url(at, text, part);
}

/* A Mistral thinking part: a list of texts, or one. */
static int
read_thinking(struct message_reader *at, struct json value)
{
    struct json thinking = json_get(value, "thinking");
    if (json_type(thinking) == JSON_STRING)
        return add_text(at, PART_THINKING, json_text(thinking), value);
    for (struct json inner = json_first(thinking); json_present(inner); inner = json_next(inner)) {
        struct slice text = json_text(json_get(inner, "text"));
        int error = text.len > 0 ? add_text(at, PART_THINKING, text, value) : 0;
        if (error)
            return error;
    }
    return 0;
}

static int
read_part(struct message_reader *at, struct json value)
{
    struct json type = json_get(value, "type");
    if (json_type(value) == JSON_STRING)
        return add_text(at, PART_TEXT, json_text(value), JSON_NONE);
    if (json_type(value) != JSON_OBJECT)
        return chat_refuse(at->fault, ERR_REQUEST, "messages", "a content part must be an object");
    if (json_is(type, "text") || json_is(type, "input_text") || json_is(type, "output_text"))
        return add_text(at, PART_TEXT, json_text(json_get(value, "text")), value);
    if (json_is(type, "image_url"))
        return read_image(at, value);
    if (json_is(type, "file"))
        return read_file(at, value);
    if (json_is(type, "input_audio"))
        return read_audio(at, value);
    if (json_is(type, "video_url"))
        return read_video(at, value);
    if (json_is(type, "refusal"))
        return add_text(at, PART_REFUSAL, json_text(json_get(value, "refusal")), value);
    if (json_is(type, "thinking"))
        return read_thinking(at, value);
    struct canon_part *part = add_part(at, PART_NATIVE, value);
    if (!part)
        return -ERR_MEMORY;
    part->name = json_text(type);
    return 0;
}

static int
read_content(struct message_reader *at, struct json content)
{
    switch (json_type(content)) {
    case JSON_STRING:
        return add_text(at, PART_TEXT, json_text(content), JSON_NONE);
    case JSON_ARRAY:
        for (struct json part = json_first(content); json_present(part); part = json_next(part)) {
            int error = read_part(at, part);
            if (error)
                return error;
        }
        return 0;
    case JSON_NULL:
    case JSON_ABSENT:
        return 0;
    default:
        return chat_refuse(at->fault, ERR_REQUEST, "messages",
                           "content must be a string or a list of parts");
    }
}

/* ---------------------------------------------------------------- assistants */

/*
 * Opaque state that the client kept for us. A wrapper of ours says whose it is and what kind;
 * without one the format of an OpenRouter entry does, and without that nobody knows. encrypted: the
 * state is the thought itself.
 */
static int
take_state(struct message_reader *at, struct canon_part *part, struct json entry, bool encrypted)
{
    struct json format = json_get(entry, "format");
    struct slice state = json_text(json_get(entry, encrypted ? "data" : "signature"));
    part->origin = json_type(format) == JSON_STRING ? chat_origin_of(format) : ORIGIN_NONE;
    (void)canon_unwrap(state, &part->origin, &encrypted, &state, at->request->arena);
    part->kind = encrypted ? PART_REDACTED : PART_THINKING;
    if (encrypted)
        part->data = json_unescape(state, at->request->arena);
    else
        part->signature = state;
    return slice_present(encrypted ? part->data : part->signature) ? 0 : -ERR_MEMORY;
}

/* Google's signature of a call, of text, or of a thought that was not shown. */
static void
take_signature(struct message_reader *at, struct canon_part *part, struct slice signature)
{
    bool redacted;
    part->signature = signature;
    part->origin = ORIGIN_GEMINI;
    (void)canon_unwrap(signature, &part->origin, &redacted, &part->signature, at->request->arena);
}

static uint32_t
count_signed(struct json details)
{
    uint32_t n = 0;
    for (struct json at = json_first(details); json_present(at); at = json_next(at))
        n += json_text(json_get(at, "signature")).len > 0;
    return n;
}

/*
 * Thoughts: reasoning_details when they are signed or encrypted, else the plain text. A signature
 * that stands alone (as our own stream writes it) signs the plain text beside it, if it is the only
 * one.
 */
static int
read_thoughts(struct message_reader *at, struct json message)
{
    struct json details = json_get(message, "reasoning_details");
    struct slice plain = json_text(json_get(message, "reasoning_content"));
    if (plain.len == 0)
        plain = json_text(json_get(message, "reasoning"));
    uint32_t signatures = json_type(details) == JSON_ARRAY ? count_signed(details) : 0;
    for (struct json entry = json_first(details);
         json_type(details) == JSON_ARRAY && json_present(entry); entry = json_next(entry)) {
        struct slice signature = json_text(json_get(entry, "signature"));
        struct slice data = json_text(json_get(entry, "data"));
        bool is_encrypted = json_is(json_get(entry, "type"), "reasoning.encrypted") && data.len > 0;
        if (signature.len == 0 && !is_encrypted)
            continue;
        struct canon_part *part = add_part(at, PART_THINKING, JSON_NONE);
        int error = part ? take_state(at, part, entry, is_encrypted) : -ERR_MEMORY;
        if (error)
            return error;
        if (part->kind == PART_REDACTED)
            continue;
        part->text = json_text(json_get(entry, "text"));
        if (part->text.len == 0 && signatures == 1)
            part->text = plain;
    }
    if (signatures > 0 || plain.len == 0)
        return 0;
    return add_text(at, PART_THINKING, plain, JSON_NONE);
}

static int
read_call(struct message_reader *at, struct json value)
{
    struct canon_part *part = add_part(at, PART_CALL, value);
    if (!part)
        return -ERR_MEMORY;
    part->custom = json_is(json_get(value, "type"), "custom");
    struct json body = json_get(value, part->custom ? "custom" : "function");
    struct json arguments = json_get(body, "arguments");
    part->id = json_text(json_get(value, "id"));
    part->name = json_text(json_get(body, "name"));
    part->text = part->custom ? json_text(json_get(body, "input")) : SLICE_NONE;
    if (json_type(arguments) == JSON_STRING)
        part->arguments = json_string(arguments, at->request->arena);
    else if (json_type(arguments) != JSON_NULL)
        part->arguments = json_raw(arguments);
    if (part->id.len == 0 || part->name.len == 0)
        return chat_refuse(at->fault, ERR_REQUEST, "messages",
                           "a tool call needs an id and a function name");
    struct slice signature = chat_google_signature(json_get(value, "extra_content"));
    if (signature.len > 0)
        take_signature(at, part, signature);
    return 0;
}

/* The signature of a message: of its last text, or, if it has none, of a thought before its calls.
 */
static int
read_signature(struct message_reader *at, struct json message)
{
    struct slice signature = chat_google_signature(json_get(message, "extra_content"));
    struct canon_part *text = NULL;
    if (signature.len == 0)
        return 0;
    for (struct canon_part *part = at->message->parts; part; part = part->next)
        if (part->kind == PART_TEXT && part->text.len > 0)
            text = part;
    if (!text)
        text = add_part(at, PART_THINKING, JSON_NONE);
    if (!text)
        return -ERR_MEMORY;
    take_signature(at, text, signature);
    return 0;
}

/* Images that the model made: extensions of our own and of OpenRouter's. */
static int
read_images(struct message_reader *at, struct json images)
{
    for (struct json image = json_first(images);
         json_type(images) == JSON_ARRAY && json_present(image); image = json_next(image)) {
        int error = read_image(at, image);
        if (error)
            return error;
    }
    return 0;
}

static int
read_function_call(struct message_reader *at, struct json value)
{
    struct canon_part *part = add_part(at, PART_CALL, value);
    if (!part)
        return -ERR_MEMORY;
    part->name = json_text(json_get(value, "name"));
    part->arguments = json_string(json_get(value, "arguments"), at->request->arena);
    part->id = arena_printf(at->request->arena, "call_function_%u", ++at->legacy);
    return slice_present(part->id) ? 0 : -ERR_MEMORY;
}

static int
read_assistant(struct message_reader *at, struct json message)
{
    int error = read_thoughts(at, message);
    if (!error)
        error = read_content(at, json_get(message, "content"));
    struct slice refusal = json_text(json_get(message, "refusal"));
    if (!error && refusal.len > 0)
        error = add_text(at, PART_REFUSAL, refusal, JSON_NONE);
    if (!error)
        error = read_signature(at, message);
    if (!error)
        error = read_images(at, json_get(message, "images"));
    if (json_type(json_get(message, "audio")) == JSON_OBJECT)
        canon_drop(&at->request->unsaid, "messages.audio");
    if (json_count(json_get(message, "annotations")) > 0)
        canon_drop(&at->request->unsaid, "messages.annotations");
    struct json calls = json_get(message, "tool_calls");
    if (json_type(calls) == JSON_ARRAY)
        for (struct json call = json_first(calls); json_present(call) && !error;
             call = json_next(call))
            error = read_call(at, call);
    struct json legacy = json_get(message, "function_call");
    if (!error && json_type(legacy) == JSON_OBJECT)
        error = read_function_call(at, legacy);
    return error;
}

static int
read_result(struct message_reader *at, struct json message, bool is_legacy)
{
    struct canon_part *part = add_part(at, PART_RESULT, JSON_NONE);
    if (!part)
        return -ERR_MEMORY;
    part->id = is_legacy ? arena_printf(at->request->arena, "call_function_%u", at->legacy)
                         : json_text(json_get(message, "tool_call_id"));
    if (part->id.len == 0)
        return chat_refuse(at->fault, ERR_REQUEST, "messages",
                           "a tool message needs a tool_call_id");
    at->link = &part->parts;
    return read_content(at, json_get(message, "content"));
}

/* ---------------------------------------------------------------- messages */

static int
read_message(struct message_reader *at, struct json message)
{
    static const struct {
        const char *name;
        enum canon_role role;
    } roles[] = {{"system", ROLE_SYSTEM}, {"developer", ROLE_DEVELOPER},
                 {"user", ROLE_USER},     {"assistant", ROLE_ASSISTANT},
                 {"tool", ROLE_TOOL},     {"function", ROLE_TOOL}};
    struct json role = json_get(message, "role");
    for (size_t i = 0; i < countof(roles); i++) {
        if (!json_is(role, roles[i].name))
            continue;
        at->message->role = roles[i].role;
        at->message->name = json_text(json_get(message, "name"));
        at->message->value = message;
        at->link = &at->message->parts;
        if (roles[i].role == ROLE_ASSISTANT)
            return read_assistant(at, message);
        if (roles[i].role == ROLE_TOOL)
            return read_result(at, message, json_is(role, "function"));
        return read_content(at, json_get(message, "content"));
    }
    return chat_refuse(at->fault, ERR_REQUEST, "messages", "a message has an unknown role");
}

int
chat_read_messages(struct canon_request *request, struct canon_fault *fault)
{
    struct json messages = json_get(request->root, "messages");
    if (json_type(messages) != JSON_ARRAY || json_count(messages) == 0)
        return chat_refuse(fault, ERR_REQUEST, "messages",
                           "messages must be a list of at least one message");
    struct message_reader at = {.request = request, .fault = fault};
    struct canon_message **link = &request->messages;
    for (struct json value = json_first(messages); json_present(value); value = json_next(value)) {
        if (json_type(value) != JSON_OBJECT)
            return chat_refuse(fault, ERR_REQUEST, "messages", "a message must be an object");
        at.message = arena_take(request->arena, sizeof(*at.message));
        if (!at.message)
            return -ERR_MEMORY;
        *link = at.message;
        link = &at.message->next;
        int error = read_message(&at, value);
        if (error)
            return error;
    }
    return 0;
}
