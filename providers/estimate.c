/* SPDX-License-Identifier: MIT
 *
 * estimate.c - how many tokens a request will be, when nobody can be asked (R62): of Messages as their service counts, of
 * other dialects as the services that speak them do.
 *
 * No tokenizer is at hand, and each vendor has its own: text is weighed by what tokenizers have in
 * common (common words are one token, long ones more, digits go by threes, punctuation stands
 * alone, wide scripts are about one a character). What Anthropic adds unseen (the prompt that
 * teaches tools or citations) is counted as what has been observed. In tenths of a token
 * throughout.
 */
#include "providers/dialect.h"

#include "base/text.h"

#define TENTHS 10u
#define MESSAGE_TOKENS 4
#define REQUEST_TOKENS 3
#define THINKING_TOKENS 29
#define CITATION_TOKENS 600
#define CALL_TOKENS 30
#define RESULT_TOKENS 25
#define IMAGE_TOKENS 1500
#define PDF_BYTES_PER_TOKEN 40
/* of the others */
#define PLAIN_CALL_TOKENS 8
#define PLAIN_RESULT_TOKENS 4
#define PLAIN_TOOL_TOKENS 8
#define SCHEMA_SHARE 50 /* in a hundred */
#define GOOGLE_SHARE 40 /* the same at Gemini */
#define SIGNATURE_BYTES_PER_TOKEN 12
#define GEMINI_IMAGE_TOKENS 258
#define OPENAI_IMAGE_TOKENS 765
#define LOW_IMAGE_TOKENS 85
#define MEDIA_BYTES_PER_TOKEN 500

enum letter_class { LETTER, DIGIT, SPACE, BREAK, MARK, WIDE };

struct letter {
    enum letter_class kind;
    uint32_t point;
};

static struct letter
classify(uint32_t point)
{
    enum letter_class kind = MARK;
    if ((point >= 'a' && point <= 'z') || (point >= 'A' && point <= 'Z'))
        kind = LETTER;
    else if (point >= '0' && point <= '9')
        kind = DIGIT;
    else if (point == ' ')
        kind = SPACE;
    else if (point == '\n' || point == '\t' || point == '\r')
        kind = BREAK;
    else if (point >= 0x80)
        kind = WIDE;
    return (struct letter){kind, point};
}

/* The escape at text[i], or a plain byte; advances *i. A UTF-8 sequence counts once, by its first
 * byte. */
static struct letter
next_letter(struct slice text, size_t *i)
{
    unsigned char byte = (unsigned char)text.ptr[*i];
    uint64_t unit = 0;
    size_t used = 1;
    uint32_t point = byte;
    if (byte == '\\' && *i + 1 < text.len) {
        char letter = text.ptr[*i + 1];
        used = letter == 'u' ? 6 : 2;
        point = letter == 'n' || letter == 'r' || letter == 't' ? '\n' : '"';
        if (letter == 'u' && *i + 6 <= text.len &&
            text_hex_u64(slice_of(text.ptr + *i + 2, 4), &unit))
            point = (uint32_t)unit;
    } else if (byte >= 0xf0) {
        used = 4;
        point = 0x10000;
    } else if (byte >= 0xe0) {
        used = 3;
        point = 0x3000;
    } else if (byte >= 0xc0) {
        used = 2;
        point = 0x400;
    }
    *i = *i + used < text.len ? *i + used : text.len;
    return classify(point);
}

static uint64_t
weigh_run(struct letter first, uint64_t length)
{
    switch (first.kind) {
    case LETTER:
        return length <= 6 ? TENTHS : TENTHS + (length - 6) * TENTHS / 4;
    case DIGIT:
        return (length + 2) / 3 * TENTHS;
    case SPACE:
        return length > 1 ? TENTHS : 0;
    case BREAK:
        return TENTHS;
    case MARK:
        return TENTHS + (length - 1) * TENTHS / 4;
    case WIDE:
        break;
    }
    if (first.point < 0x800)
        return length * 6;
    return length * (first.point < 0x10000 ? 11 : 25);
}

/* Tenths of tokens in escaped text. */
static uint64_t
weigh_text(struct slice text)
{
    uint64_t sum = 0;
    size_t i = 0;
    struct letter first = {SPACE, ' '};
    uint64_t length = 0;
    while (i < text.len) {
        struct letter letter = next_letter(text, &i);
        bool same = letter.kind == first.kind;
        if (letter.kind == MARK || letter.kind == WIDE)
            same = same && letter.point == first.point;
        if (!same) {
            sum += length > 0 ? weigh_run(first, length) : 0;
            first = letter;
            length = 0;
        }
        length++;
    }
    return sum + (length > 0 ? weigh_run(first, length) : 0);
}

static uint64_t
weigh_source(struct json block)
{
    struct json source = json_get(block, "source");
    struct slice data = json_text(json_get(source, "data"));
    bool cites = json_type(json_get(json_get(block, "citations"), "enabled")) == JSON_TRUE;
    uint64_t sum = cites ? CITATION_TOKENS * TENTHS : 0;
    if (json_is(json_get(source, "type"), "text"))
        return sum + weigh_text(data);
    if (json_is(json_get(block, "type"), "image") || !slice_present(data))
        return sum + IMAGE_TOKENS * TENTHS;
    return sum + data.len * TENTHS / PDF_BYTES_PER_TOKEN;
}

static uint64_t
weigh_inner(struct json block)
{
    struct json type = json_get(block, "type");
    if (json_is(type, "text"))
        return weigh_text(json_text(json_get(block, "text")));
    if (json_is(type, "image") || json_is(type, "document"))
        return weigh_source(block);
    if (json_is(type, "thinking") || json_is(type, "redacted_thinking"))
        return 0; /* the API takes the thoughts of former turns out */
    return weigh_text(json_raw(block));
}

/* A string, or a list of blocks that hold no lists of blocks themselves. */
static uint64_t
weigh_list(struct json content)
{
    uint64_t sum = json_type(content) == JSON_STRING ? weigh_text(json_text(content)) : 0;
    if (json_type(content) != JSON_ARRAY)
        return sum;
    for (struct json block = json_first(content); json_present(block); block = json_next(block))
        sum += weigh_inner(block);
    return sum;
}

static uint64_t
weigh_block(struct json block)
{
    struct json type = json_get(block, "type");
    if (json_is(type, "tool_use"))
        return CALL_TOKENS * TENTHS + weigh_text(json_text(json_get(block, "name"))) +
               weigh_text(json_raw(json_get(block, "input")));
    if (json_is(type, "tool_result"))
        return RESULT_TOKENS * TENTHS + weigh_list(json_get(block, "content"));
    return weigh_inner(block);
}

static uint64_t
weigh_messages(struct json messages)
{
    uint64_t sum = 0;
    for (struct json message = json_first(messages); json_present(message);
         message = json_next(message)) {
        struct json content = json_get(message, "content");
        sum += MESSAGE_TOKENS * TENTHS;
        if (json_type(content) == JSON_STRING)
            sum += weigh_text(json_text(content));
        for (struct json block = json_type(content) == JSON_ARRAY ? json_first(content) : JSON_NONE;
             json_present(block); block = json_next(block))
            sum += weigh_block(block);
    }
    return sum;
}

/* Hosted tools bring prompts of their own. */
static uint64_t
weigh_hosted(struct slice type)
{
    if (slice_starts(type, SLICE_LIT("web_search")) ||
        slice_starts(type, SLICE_LIT("code_execution")))
        return 1700 * TENTHS;
    return slice_starts(type, SLICE_LIT("web_fetch")) ? 400 * TENTHS : 50 * TENTHS;
}

static bool
named(struct slice model, const char *word)
{
    return text_find_caseless(model, slice_from(word)) >= 0;
}

static uint64_t
weigh_tools(struct json tools)
{
    uint64_t sum = 0;
    for (struct json tool = json_first(tools); json_present(tool); tool = json_next(tool)) {
        struct slice type = json_text(json_get(tool, "type"));
        if (json_type(json_get(tool, "defer_loading")) == JSON_TRUE)
            continue;
        if (slice_present(type) && !slice_is(type, "custom"))
            sum += weigh_hosted(type);
        else /* braces and quotes are cheaper in schemas than in prose */
            sum += (weigh_text(json_text(json_get(tool, "name"))) +
                    weigh_text(json_text(json_get(tool, "description"))) +
                    weigh_text(json_raw(json_get(tool, "input_schema")))) *
                   9 / 10;
    }
    return sum;
}

/* The prompt with which Claude is taught to call tools. */
static uint64_t
teaching(struct slice model)
{
    static const char *const newer[] = {"-4-5", "-4-6", "-4.5", "-4.6"};
    if (!named(model, "claude"))
        return 0;
    for (size_t i = 0; i < countof(newer); i++) {
        if (named(model, newer[i]))
            return 480 * TENTHS;
    }
    return 346 * TENTHS;
}

/* Claude's tokenizer from 4.7 on cuts finer. */
static bool
cuts_finer(struct slice model)
{
    static const char *const names[] = {"-4-7",     "-4-8",    "-4-9", "opus-5",
                                        "sonnet-5", "haiku-5", "fable"};
    for (size_t i = 0; i < countof(names); i++) {
        if (named(model, names[i]))
            return named(model, "claude");
    }
    return false;
}

/* ---------------------------------------------------------------- requests of other dialects */

/* What services say that a picture is: a tile of Gemini's, or a square of OpenAI's in full detail. */
static uint64_t
weigh_image(const struct canon_part *part, int from)
{
    if (from == DIALECT_GEMINI)
        return GEMINI_IMAGE_TOKENS * TENTHS;
    return (slice_is(part->detail, "low") ? LOW_IMAGE_TOKENS : OPENAI_IMAGE_TOKENS) * TENTHS;
}

/* A part that holds no others. */
static uint64_t
weigh_leaf(const struct canon_part *part, int from)
{
    switch (part->kind) {
    case PART_TEXT:
    case PART_REFUSAL:
        return weigh_text(part->text);
    case PART_IMAGE:
        return weigh_image(part, from);
    case PART_DOCUMENT:
        if (slice_present(part->text))
            return weigh_text(part->text);
        return slice_present(part->data) ? part->data.len * TENTHS / PDF_BYTES_PER_TOKEN : IMAGE_TOKENS * TENTHS;
    case PART_AUDIO:
    case PART_VIDEO:
        return slice_present(part->data) ? part->data.len * TENTHS / MEDIA_BYTES_PER_TOKEN : IMAGE_TOKENS * TENTHS;
    case PART_FILE:
        return IMAGE_TOKENS * TENTHS;
    case PART_CALL:
        return PLAIN_CALL_TOKENS * TENTHS + weigh_text(part->name) + weigh_text(part->custom ? part->text : part->arguments);
    case PART_NATIVE:
        return weigh_text(json_raw(part->value));
    case PART_RESULT:
    case PART_THINKING: /* services take the thoughts of former turns out */
    case PART_REDACTED:
        break;
    }
    return 0;
}

static uint64_t
weigh_parts(const struct canon_part *parts, int from)
{
    uint64_t sum = 0;
    for (const struct canon_part *part = parts; part; part = part->next) {
        if (part->kind == PART_CALL && part->origin == ORIGIN_GEMINI)
            sum += part->signature.len * TENTHS / SIGNATURE_BYTES_PER_TOKEN; /* it stands for thoughts */
        sum += part->kind == PART_RESULT ? PLAIN_RESULT_TOKENS * TENTHS : weigh_leaf(part, from);
        for (const struct canon_part *inner = part->kind == PART_RESULT ? part->parts : NULL; inner; inner = inner->next)
            sum += weigh_leaf(inner, from);
    }
    return sum;
}

/* What some models are told unseen: always, and about tools. */
static uint64_t
unseen(struct slice model, bool tools)
{
    static const struct {
        const char *name;
        uint64_t always, tools;
    } rows[] = {{"gpt-oss", 65, 30}, {"deepseek", 0, 240}, {"qwen", 0, 120}, {"grok", 0, 135}};
    for (size_t i = 0; i < countof(rows); i++) {
        if (named(model, rows[i].name))
            return tools ? rows[i].tools : rows[i].always;
    }
    return 0;
}

/* Tools as their services show them to the model: a line for each function, without the quotes of the schema. */
static uint64_t
weigh_plain_tools(const struct canon_request *request)
{
    bool google = request->from == DIALECT_GEMINI;
    uint64_t sum = 0;
    for (const struct canon_tool *tool = request->tools; tool; tool = tool->next) {
        if (tool->kind == TOOL_NATIVE)
            continue;
        sum += (google ? 0 : PLAIN_TOOL_TOKENS * TENTHS) + weigh_text(tool->name) + weigh_text(tool->description) + weigh_text(tool->format) +
               weigh_text(tool->schema) * (google ? GOOGLE_SHARE : SCHEMA_SHARE) / 100;
    }
    if (request->tools && !google)
        sum += unseen(request->model, true) * TENTHS + teaching(request->model);
    return sum;
}

static uint64_t
estimate_plain(const struct canon_request *request)
{
    bool google = request->from == DIALECT_GEMINI;
    uint64_t message_tokens = google ? 0 : MESSAGE_TOKENS;
    uint64_t sum = ((google ? 1 : REQUEST_TOKENS) + unseen(request->model, false)) * TENTHS;
    for (const struct canon_message *message = request->messages; message; message = message->next)
        sum += message_tokens * TENTHS + weigh_parts(message->parts, request->from);
    if (!google) /* which does not count it */
        sum += weigh_text(request->format_schema) * SCHEMA_SHARE / 100;
    return sum + weigh_plain_tools(request);
}

uint64_t
estimate_tokens(const struct canon_request *request)
{
    struct json root = request->root, system = json_get(root, "system");
    if (request->from != DIALECT_ANTHROPIC) {
        uint64_t plain = estimate_plain(request);
        return (plain + TENTHS - 1) / TENTHS;
    }
    uint64_t sum = REQUEST_TOKENS * TENTHS;
    if (json_present(system))
        sum += MESSAGE_TOKENS * TENTHS + weigh_list(system);
    sum += weigh_messages(json_get(root, "messages"));
    sum += weigh_tools(json_get(root, "tools"));
    if (json_is(json_get(json_get(root, "thinking"), "type"), "enabled"))
        sum += THINKING_TOKENS * TENTHS;
    if (cuts_finer(request->model))
        sum = sum * 13 / 10;
    if (json_count(json_get(root, "tools")) > 0)
        sum += teaching(request->model);
    return (sum + TENTHS - 1) / TENTHS;
}
