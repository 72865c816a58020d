/* SPDX-License-Identifier: MIT
 *
 * endpoint.c - which endpoint a request means. A table of paths, and three patterns that no table can hold: a model in the
 * path (Gemini, Vertex AI), and the ids of stored things.
 */
#include "gateway/endpoint.h"
#include "base/text.h"
#include "gateway/resume.h"
#include "gateway/media.h"
#include "gateway/worker.h"

#define GETS (1u << HTTP_GET | 1u << HTTP_HEAD)
#define GET_ONLY (1u << HTTP_GET)
#define POSTS (1u << HTTP_POST)
#define ID_MAX 256 /* bytes of the id of a stored thing */
#define DELETES (1u << HTTP_DELETE)

struct row {
    const char *path;
    unsigned methods; /* 1 << enum http_method */
    enum endpoint endpoint;
    enum dialect_id dialect; /* that it is spoken, and its errors are written, in */
    const char *mode;        /* of a relay: what a model that serves it calls its mode */
};

/* Behind "/v1/"; behind the other prefixes that clients make of it, and behind none. */
static const struct row versioned[] = {
    {"chat/completions", POSTS, ENDPOINT_CHAT, DIALECT_OPENAI_CHAT, NULL},
    {"messages", POSTS, ENDPOINT_MESSAGES, DIALECT_ANTHROPIC, NULL},
    {"messages/count_tokens", POSTS, ENDPOINT_COUNT_TOKENS, DIALECT_ANTHROPIC, NULL},
    {"responses", POSTS, ENDPOINT_RESPONSES, DIALECT_OPENAI_RESPONSES, NULL},
    {"responses/input_tokens", POSTS, ENDPOINT_COUNT_TOKENS, DIALECT_OPENAI_RESPONSES, NULL},
    {"completions", POSTS, ENDPOINT_TEXT, DIALECT_OPENAI_TEXT, NULL},
    {"models", GETS, ENDPOINT_MODELS, DIALECT_COUNT, NULL},
    {"metrics", GETS, ENDPOINT_METRICS, DIALECT_COUNT, NULL},
    {"embeddings", POSTS, ENDPOINT_RELAY, DIALECT_OPENAI_CHAT, "embedding"},
    {"images/generations", POSTS, ENDPOINT_RELAY, DIALECT_OPENAI_CHAT, "image_generation"},
    {"images/edits", POSTS, ENDPOINT_RELAY, DIALECT_OPENAI_CHAT, "image_edit"},
    {"images/variations", POSTS, ENDPOINT_RELAY, DIALECT_OPENAI_CHAT, "image_edit"},
    {"videos/generations", POSTS, ENDPOINT_RELAY, DIALECT_OPENAI_CHAT, "video_generation"},
    {"audio/speech", POSTS, ENDPOINT_RELAY, DIALECT_OPENAI_CHAT, "audio_speech"},
    {"audio/transcriptions", POSTS, ENDPOINT_RELAY, DIALECT_OPENAI_CHAT, "audio_transcription"},
    {"audio/translations", POSTS, ENDPOINT_RELAY, DIALECT_OPENAI_CHAT, "audio_transcription"},
    {"rerank", POSTS, ENDPOINT_RELAY, DIALECT_OPENAI_CHAT, "rerank"},
    {"moderations", POSTS, ENDPOINT_RELAY, DIALECT_OPENAI_CHAT, "moderation"},
    {"files", POSTS | GET_ONLY, ENDPOINT_RELAY, DIALECT_OPENAI_CHAT, "file"},
};

/* As they stand. */
static const struct row fixed[] = {
    {"/", GETS, ENDPOINT_ROOT, DIALECT_COUNT, NULL},
    {"/api/hello", GETS, ENDPOINT_HELLO, DIALECT_ANTHROPIC, NULL},
    {"/health", GETS, ENDPOINT_HEALTH, DIALECT_COUNT, NULL},
    {"/health/live", GETS, ENDPOINT_LIVE, DIALECT_COUNT, NULL},
    {"/health/liveliness", GETS, ENDPOINT_LIVE, DIALECT_COUNT, NULL},
    {"/health/ready", GETS, ENDPOINT_READY, DIALECT_COUNT, NULL},
    {"/health/readiness", GETS, ENDPOINT_READY, DIALECT_COUNT, NULL},
    {"/health/upstreams", GETS, ENDPOINT_UPSTREAMS, DIALECT_COUNT, NULL},
    {"/health/discovery", GETS, ENDPOINT_DISCOVERY, DIALECT_COUNT, NULL},
    {"/debug/streams", GETS, ENDPOINT_STREAMS, DIALECT_COUNT, NULL},
    {"/v2/rerank", POSTS, ENDPOINT_RELAY, DIALECT_OPENAI_CHAT, "rerank"},
};

static const char *const prefixes[] = {"/v1/v1/", "/openai/v1/", "/v1beta/openai/", "/v1/", "/"};
static const char *const google_prefixes[] = {"/v1beta/", "/v1alpha/", "/v1beta1/"};

/* What a model is asked for, by the word behind the last colon of its path. */
struct method {
    const char *name;
    enum endpoint endpoint;
    enum dialect_id dialect;
    bool stream;
};
static const struct method methods[] = {
    {"generateContent", ENDPOINT_GEMINI, DIALECT_GEMINI, false},
    {"streamGenerateContent", ENDPOINT_GEMINI, DIALECT_GEMINI, true},
    {"countTokens", ENDPOINT_COUNT_TOKENS, DIALECT_GEMINI, false},
    {"embedContent", ENDPOINT_RELAY, DIALECT_GEMINI, false},
    {"batchEmbedContents", ENDPOINT_RELAY, DIALECT_GEMINI, false},
    {"rawPredict", ENDPOINT_MESSAGES, DIALECT_ANTHROPIC, false},
    {"streamRawPredict", ENDPOINT_MESSAGES, DIALECT_ANTHROPIC, true},
};

bool
endpoint_is_work(enum endpoint endpoint)
{
    switch (endpoint) {
    case ENDPOINT_CHAT:
    case ENDPOINT_MESSAGES:
    case ENDPOINT_RESPONSES:
    case ENDPOINT_GEMINI:
    case ENDPOINT_TEXT:
    case ENDPOINT_COUNT_TOKENS:
    case ENDPOINT_RELAY:
        return true;
    default:
        return false;
    }
}

/* ---------------------------------------------------------------- queries */

/* Is this, decoded, the parameter's name? A key that hides behind an escape is still a key. */
static bool
is_called(struct slice escaped, const char *name)
{
    if (!memchr(escaped.ptr ? escaped.ptr : "", '%', escaped.len))
        return slice_is(escaped, name);
    struct sink decoded;
    sink_init(&decoded, 65536);
    bool same = text_percent_decode(escaped, &decoded) && slice_is(sink_slice(&decoded), name);
    sink_fini(&decoded);
    return same;
}

struct slice
endpoint_query(struct slice query, const char *name, struct arena *arena)
{
    while (query.len > 0) {
        struct slice value = text_split(&query, '&');
        struct slice key = text_split(&value, '=');
        if (!is_called(key, name))
            continue;
        struct sink decoded;
        sink_init(&decoded, 65536);
        bool good = text_percent_decode(value, &decoded) && !decoded.error;
        struct slice text = good ? arena_copy(arena, sink_slice(&decoded)) : SLICE_NONE;
        sink_fini(&decoded);
        return text;
    }
    return SLICE_NONE;
}

/* Does the name, decoded, say that its value opens something? Where the next page begins is no secret. */
static bool
is_secret(struct slice escaped)
{
    static const char *const parts[] = {"key", "token", "auth", "secret", "password"};
    static const char *const pages[] = {"pageToken", "page_token"};
    for (size_t i = 0; i < countof(pages); i++)
        if (slice_is(escaped, pages[i]))
            return false;
    struct sink decoded;
    bool found = false;
    sink_init(&decoded, 65536);
    bool good = text_percent_decode(escaped, &decoded) && !decoded.error;
    for (size_t i = 0; i < countof(parts) && good && !found; i++)
        found = text_find_caseless(sink_slice(&decoded), slice_from(parts[i])) >= 0;
    sink_fini(&decoded);
    return found || !good;
}

void
endpoint_clean_query(struct slice query, const char *const *names, struct sink *out)
{
    char separator = '?';
    while (query.len > 0) {
        struct slice pair = text_split(&query, '&'), rest = pair;
        struct slice key = text_split(&rest, '=');
        bool named = pair.len == 0 || is_secret(key);
        for (size_t i = 0; names[i] && !named; i++)
            named = is_called(key, names[i]);
        if (named)
            continue;
        sink_byte(out, separator);
        sink_put(out, pair);
        separator = '&';
    }
}

/* ---------------------------------------------------------------- CORS */

/* A configured origin, or "*" for any: what Access-Control-Allow-Origin shall say (R138). */
static void
find_origin(struct stream *stream, struct slice origin)
{
    const struct config *config = stream->generation->config;
    for (uint32_t i = 0; i < config->cors_count && origin.len > 0; i++) {
        if (slice_is(config->cors_origins[i], "*"))
            stream->origin = SLICE_LIT("*");
        else if (text_caseless_eq(config->cors_origins[i], origin))
            stream->origin = arena_copy(&stream->reply, origin);
        if (stream->origin.len > 0)
            return;
    }
}

/* A preflight's answer echoes what the browser asks to send: "*" does not cover Authorization. */
static void
find_preflight(struct stream *stream)
{
    struct slice asked = http_field(stream->head, "access-control-request-headers");
    if (!http_value_clean(asked) || asked.len > 2048)
        asked = SLICE_NONE;
    stream->pass_fields = arena_printf(&stream->reply,
                                       "Access-Control-Allow-Methods: GET, HEAD, POST, DELETE, OPTIONS\r\n"
                                       "Access-Control-Allow-Headers: %.*s\r\n"
                                       "Access-Control-Max-Age: 86400\r\n",
                                       SLICE_ARG(asked.len ? asked : SLICE_LIT("Authorization, Content-Type")));
    if (!slice_present(stream->pass_fields))
        stream->pass_fields = SLICE_NONE;
}

bool
endpoint_is_operators(enum endpoint endpoint)
{
    return endpoint == ENDPOINT_STREAMS || endpoint == ENDPOINT_METRICS || endpoint == ENDPOINT_UPSTREAMS || endpoint == ENDPOINT_DISCOVERY;
}

void
endpoint_cors(const struct stream *stream, struct sink *out)
{
    /* "*" lets any page that the operator looks at ask for models; what goes on in here is for origins with a name. */
    if (stream->origin.len == 0 || (endpoint_is_operators(stream->endpoint) && slice_is(stream->origin, "*")))
        return;
    http_put_field(out, "Access-Control-Allow-Origin", stream->origin);
    if (!slice_is(stream->origin, "*"))
        sink_text(out, "Vary: Origin\r\n");
    if (stream->endpoint != ENDPOINT_PREFLIGHT)
        sink_text(out, "Access-Control-Expose-Headers: X-Request-Id, Retry-After, X-Penstock-Upstream, X-Penstock-Dropped, "
                       "X-Penstock-Estimate, X-Penstock-Truncated\r\n");
}

/* ---------------------------------------------------------------- paths */

/* RFC 9110, 15.5.6: who says that a method is not allowed must say which ones are. */
static int
check_method(struct stream *stream, unsigned allowed)
{
    static const struct {
        enum http_method method;
        const char *name;
    } names[] = {{HTTP_GET, "GET, "}, {HTTP_HEAD, "HEAD, "}, {HTTP_POST, "POST, "}, {HTTP_DELETE, "DELETE, "}};
    if (allowed & 1u << stream->head->method)
        return 0;
    char text[64] = "";
    size_t len = 0;
    for (size_t i = 0; i < countof(names); i++) {
        size_t n = strlen(names[i].name);
        if (!(allowed & 1u << names[i].method))
            continue;
        memcpy(text + len, names[i].name, n + 1);
        len += n;
    }
    struct slice fields = arena_printf(&stream->reply, "Allow: %sOPTIONS\r\n", text);
    stream->pass_fields = slice_present(fields) ? fields : SLICE_NONE;
    return -ERR_METHOD;
}

static int
take_row(struct stream *stream, const struct row *row)
{
    if (row->dialect != DIALECT_COUNT)
        stream->dialect = dialect_of(row->dialect);
    /* Browsers' EventSource asks for the rest of a stream with a GET. */
    int error = check_method(stream, row->methods | (resume_wanted(stream, row->endpoint) ? GET_ONLY : 0));
    if (error < 0)
        return error;
    stream->endpoint = row->endpoint;
    stream->relay_mode = row->mode;
    if (row->endpoint == ENDPOINT_RELAY) {
        const char *path = row->path[0] == '/' ? "rerank" : row->path;
        stream->relay_path = slice_from(path);
    }
    return 0;
}

/* What a path names: bytes that were escaped in it. Absent: it is malformed or empty. */
static struct slice
decode(struct stream *stream, struct slice escaped)
{
    struct sink decoded;
    sink_init(&decoded, 65536);
    struct slice text = SLICE_NONE;
    if (escaped.len > 0 && text_percent_decode(escaped, &decoded) && !decoded.error &&
        text_utf8_valid(sink_slice(&decoded)) && !memchr(decoded.ptr, '\0', decoded.len))
        text = decoded.error ? SLICE_NONE : arena_copy(&stream->request, sink_slice(&decoded));
    sink_fini(&decoded);
    return text;
}

/* "MODEL:METHOD". A model's name may hold colons of its own: the method is behind the last. */
static int
take_method(struct stream *stream, struct slice rest, bool anthropic)
{
    const char *colon = memrchr(rest.ptr, ':', rest.len);
    stream->dialect = dialect_of(anthropic ? DIALECT_ANTHROPIC : DIALECT_GEMINI);
    if (!colon)
        return -ERR_NO_PATH;
    struct slice name = slice_skip(rest, (size_t)(colon - rest.ptr) + 1);
    const struct method *method = NULL;
    for (size_t i = 0; i < countof(methods) && !method; i++) {
        if (slice_is(name, methods[i].name) && (methods[i].dialect == DIALECT_ANTHROPIC) == anthropic)
            method = &methods[i];
    }
    if (!method)
        return -ERR_NO_PATH;
    int error = check_method(stream, POSTS);
    if (error < 0)
        return error;
    struct slice model = decode(stream, slice_of(rest.ptr, (size_t)(colon - rest.ptr)));
    if (!slice_present(model))
        return -ERR_NO_PATH;
    stream->endpoint = method->endpoint;
    if (anthropic && slice_is(model, "count-tokens")) { /* whose body says which model */
        stream->endpoint = ENDPOINT_COUNT_TOKENS;
        return method->stream ? -ERR_NO_PATH : 0;
    }
    stream->path_model = model;
    stream->path_stream = method->stream;
    if (method->endpoint == ENDPOINT_RELAY) {
        stream->relay_path = slice_from(method->name);
        stream->relay_mode = "embedding";
    }
    struct slice alt = endpoint_query(stream->head->query, "alt", &stream->request);
    if (!slice_present(alt))
        alt = endpoint_query(stream->head->query, "$alt", &stream->request);
    stream->json_array = method->dialect == DIALECT_GEMINI && method->stream && !slice_is(alt, "sse");
    return 0;
}

/* ".../projects/P/locations/L/publishers/google|anthropic/models/M:METHOD", whatever stands in front (R80). */
static int
find_vertex(struct stream *stream, struct slice path)
{
    static const char *const words[] = {"projects", "locations", "publishers"};
    struct slice value = SLICE_NONE;
    for (size_t i = 0; i < countof(words); i++) {
        struct slice word = text_split(&path, '/');
        value = text_split(&path, '/');
        if (!slice_is(word, words[i]) || value.len == 0)
            return -ERR_NO_PATH;
    }
    bool anthropic = slice_is(value, "anthropic");
    if ((!anthropic && !slice_is(value, "google")) || !slice_starts(path, SLICE_LIT("models/")))
        return -ERR_NO_PATH;
    return take_method(stream, slice_skip(path, 7), anthropic);
}

static int
find_model(struct stream *stream, struct slice rest, bool google)
{
    if (google)
        stream->dialect = dialect_of(DIALECT_GEMINI);
    if (google && rest.len == 0) {
        stream->endpoint = ENDPOINT_MODELS;
        return check_method(stream, GETS);
    }
    if (stream->head->method == HTTP_POST)
        return take_method(stream, rest, false);
    stream->endpoint = ENDPOINT_MODEL;
    stream->path_model = decode(stream, rest);
    int error = check_method(stream, GETS);
    return error < 0 ? error : slice_present(stream->path_model) ? 0 : -ERR_NO_PATH;
}

/* An id that goes into an upstream's path must not lead anywhere else in it. */
static bool
is_plain_id(struct slice id, size_t max)
{
    for (size_t i = 0; i < id.len; i++) {
        char byte = text_lower(id.ptr[i]);
        bool plain = (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' || byte == '_' || byte == '.';
        if (!plain)
            return false;
    }
    return id.len > 0 && id.len <= max && id.ptr[0] != '.';
}

/* "ID", "ID/cancel", "ID/input_items": nothing is stored here, which is said in the provider's own words. */
static int
find_stored(struct stream *stream, struct slice rest)
{
    struct slice id = text_split(&rest, '/');
    stream->dialect = dialect_of(DIALECT_OPENAI_RESPONSES);
    if (!is_plain_id(id, ID_MAX) || slice_is(id, "compact"))
        return -ERR_NO_PATH;
    unsigned allowed = rest.len == 0 ? GET_ONLY | DELETES
                       : slice_is(rest, "cancel")      ? POSTS
                       : slice_is(rest, "input_items") ? GET_ONLY
                                                       : 0;
    if (allowed == 0)
        return -ERR_NO_PATH;
    stream->endpoint = ENDPOINT_STORED;
    stream->path_model = id;
    return check_method(stream, allowed);
}

/* "ID", "ID/content". */
static int
find_file(struct stream *stream, struct slice whole, struct slice rest)
{
    struct slice id = text_split(&rest, '/');
    if (!is_plain_id(id, ID_MAX) || (rest.len > 0 && !slice_is(rest, "content")))
        return -ERR_NO_PATH;
    int error = check_method(stream, rest.len > 0 ? GET_ONLY : GET_ONLY | DELETES);
    if (error < 0)
        return error;
    stream->endpoint = ENDPOINT_RELAY;
    stream->relay_path = whole;
    stream->relay_mode = "file";
    return 0;
}

/* "ID" of a video that is being made; ours say much. */
static int
find_video(struct stream *stream, struct slice whole, struct slice id)
{
    if (!is_plain_id(id, MEDIA_POLL_ID_MAX))
        return -ERR_NO_PATH;
    stream->endpoint = ENDPOINT_RELAY;
    stream->relay_path = whole;
    stream->relay_mode = "video_generation";
    return check_method(stream, GET_ONLY);
}

static int
find_path(struct stream *stream, struct slice path)
{
    ptrdiff_t projects = text_find(path, SLICE_LIT("/projects/"));
    if (projects >= 0)
        return find_vertex(stream, slice_skip(path, (size_t)projects + 1));
    for (size_t i = 0; i < countof(fixed); i++) {
        if (slice_is(path, fixed[i].path))
            return take_row(stream, &fixed[i]);
    }
    for (size_t p = 0; p < countof(prefixes); p++) {
        struct slice prefix = slice_from(prefixes[p]), rest = slice_skip(path, prefix.len);
        if (!slice_starts(path, prefix))
            continue;
        for (size_t i = 0; i < countof(versioned); i++) {
            if (slice_is(rest, versioned[i].path))
                return take_row(stream, &versioned[i]);
        }
        if (slice_starts(rest, SLICE_LIT("models/")))
            return find_model(stream, slice_skip(rest, 7), false);
        if (slice_starts(rest, SLICE_LIT("responses/")))
            return find_stored(stream, slice_skip(rest, 10));
        if (slice_starts(rest, SLICE_LIT("files/")))
            return find_file(stream, rest, slice_skip(rest, 6));
        if (slice_starts(rest, SLICE_LIT("videos/generations/")))
            return find_video(stream, rest, slice_skip(rest, 19));
    }
    for (size_t p = 0; p < countof(google_prefixes); p++) {
        struct slice prefix = slice_from(google_prefixes[p]), rest = slice_skip(path, prefix.len);
        if (!slice_starts(path, prefix))
            continue;
        if (slice_is(rest, "models") || slice_starts(rest, SLICE_LIT("models/")))
            return find_model(stream, slice_skip(rest, 7), true);
        stream->dialect = dialect_of(DIALECT_GEMINI);
    }
    return -ERR_NO_PATH;
}

int
endpoint_find(struct stream *stream)
{
    const struct http_head *head = stream->head;
    struct slice path = head->path;
    while (path.len > 1 && path.ptr[path.len - 1] == '/')
        path.len--;
    find_origin(stream, http_field(head, "origin"));
    if (slice_present(http_field(head, "anthropic-version")))
        stream->dialect = dialect_of(DIALECT_ANTHROPIC);
    else if (slice_present(http_field(head, "x-goog-api-key")) ||
             slice_present(endpoint_query(head->query, "key", &stream->request)))
        stream->dialect = dialect_of(DIALECT_GEMINI);
    if (head->method == HTTP_OPTIONS) {
        stream->endpoint = ENDPOINT_PREFLIGHT;
        find_preflight(stream);
        return 0;
    }
    return find_path(stream, path);
}

/* ---------------------------------------------------------------- guesses */

/* The value of a field in the bytes of a head that may be no head at all; empty: none that could be sent back. */
static struct slice
glimpse(struct slice head, const char *name)
{
    ptrdiff_t at = text_find_caseless(head, slice_from(name));
    struct slice rest = at < 0 ? SLICE_NONE : slice_skip(head, (size_t)at + strlen(name));
    struct slice value = text_trim(text_split(&rest, '\r'));
    return value.len > 0 && value.len <= 256 && http_value_clean(value) ? value : SLICE_LIT("");
}

void
endpoint_guess(struct stream *stream)
{
    struct slice head = slice_take(sink_slice(&stream->tries->reader.head), 65536), rest = head;
    struct slice line = text_split(&rest, '\r');
    if (text_find(line, SLICE_LIT("/messages")) >= 0 || text_find(line, SLICE_LIT("awPredict")) >= 0 ||
        text_find_caseless(head, SLICE_LIT("\nanthropic-version:")) >= 0)
        stream->dialect = dialect_of(DIALECT_ANTHROPIC);
    else if (text_find(line, SLICE_LIT("enerateContent")) >= 0 || text_find(line, SLICE_LIT("/v1beta/models")) >= 0 ||
             text_find_caseless(head, SLICE_LIT("\nx-goog-api-key:")) >= 0)
        stream->dialect = dialect_of(DIALECT_GEMINI);
    find_origin(stream, glimpse(head, "\norigin:"));
}
