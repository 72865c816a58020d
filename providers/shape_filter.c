/* SPDX-License-Identifier: MIT
 *
 * shape_filter.c - a client's long instructions thinned out for models with little room (R146), in four tiers:
 *
 *     minimal     white space at line ends, runs of empty lines, comments, paragraphs that were there before
 *     moderate    and what stands between <example> and </example>, and sections of examples
 *     aggressive  and sections about tone, style, commits, pull requests, documentation
 *     extreme     and every section that is neither the first nor critical
 *
 * A section goes from a heading ("# ...") to the next one. Critical is what tells the model where it is, what it may do and how it
 * uses its tools; if any of that is missing afterwards, the instructions stay as they were.
 */
#include "providers/shape.h"

#include "base/text.h"

#define FILTER_BYTES_MAX (4u << 20)
#define PARAGRAPHS_MAX 4096
/* Tokens from which auto takes a tier. */
#define AUTO_MODERATE 5000
#define AUTO_AGGRESSIVE 10000
#define AUTO_EXTREME 20000

static const char *const critical_words[] = {"tool", "<env>", "working directory", "environment", "security", "important", "must", "never", "permission"};
static const char *const critical_marks[] = {"<env>", "</env>", "Working directory:", "Platform:", "Today's date:", "IMPORTANT:"};
static const char *const example_words[] = {"example"};
static const char *const manner_words[] = {"tone", "style", "format", "emoji", "commit", "pull request", "documentation", "feedback", "proactive"};

struct thinning {
    enum shape_filter tier;
    struct sink out;
    uint64_t seen[PARAGRAPHS_MAX]; /* hashes of the paragraphs so far */
    size_t count;
    bool skips;   /* in a section that goes */
    bool fenced;  /* between ``` and ```: headings there are none */
    bool example; /* between <example> and </example> */
};

static bool
mentions(struct slice text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (text_find_caseless(text, slice_from(words[i])) >= 0)
            return true;
    }
    return false;
}

/* Does the section under this heading go? */
static bool
goes(const struct thinning *thin, struct slice heading)
{
    if (mentions(heading, critical_words, countof(critical_words)))
        return false;
    if (mentions(heading, example_words, countof(example_words)))
        return thin->tier >= FILTER_MODERATE;
    return thin->tier >= FILTER_EXTREME || (thin->tier >= FILTER_AGGRESSIVE && mentions(heading, manner_words, countof(manner_words)));
}

static bool
is_repeated(struct thinning *thin, struct slice paragraph)
{
    uint64_t hash = canon_hash(paragraph);
    for (size_t i = 0; i < thin->count; i++) {
        if (thin->seen[i] == hash)
            return true;
    }
    if (thin->count < PARAGRAPHS_MAX)
        thin->seen[thin->count++] = hash;
    return false;
}

/* Where a line may stand in the answer; headings, fences and examples open and close what goes. */
static bool
stays(struct thinning *thin, struct slice line)
{
    struct slice text = text_trim(line);
    if (slice_starts(text, SLICE_LIT("```")))
        thin->fenced = !thin->fenced;
    if (!thin->fenced && slice_starts(text, SLICE_LIT("#"))) {
        thin->skips = goes(thin, text);
    }
    if (thin->tier >= FILTER_MODERATE && slice_starts(text, SLICE_LIT("<example")))
        thin->example = true;
    bool kept = !thin->skips && !thin->example;
    if (text_find(text, SLICE_LIT("</example")) >= 0)
        thin->example = false;
    return kept;
}

/* Comments of markup, which no model needs. */
static void
put_without_comments(struct sink *out, struct slice text)
{
    static const struct slice open = SLICE_LIT("<!--"), close = SLICE_LIT("-->");
    ptrdiff_t from;
    while ((from = text_find(text, open)) >= 0) {
        ptrdiff_t end = text_find(slice_skip(text, (size_t)from), close);
        if (end < 0)
            break;
        sink_put(out, slice_take(text, (size_t)from));
        text = slice_skip(text, (size_t)from + (size_t)end + close.len);
    }
    sink_put(out, text);
}

static struct slice
without_trail(struct slice line)
{
    while (line.len > 0 && (line.ptr[line.len - 1] == ' ' || line.ptr[line.len - 1] == '\t' || line.ptr[line.len - 1] == '\r'))
        line.len--;
    return line;
}

/* A paragraph at a time, so that what comes twice goes once. */
static void
thin_out(struct thinning *thin, struct slice text, struct sink *paragraph)
{
    bool more = text.len > 0;
    while (more) {
        const char *end = memchr(text.ptr, '\n', text.len);
        struct slice line = without_trail(slice_take(text, end ? (size_t)(end - text.ptr) : text.len));
        text = slice_skip(text, end ? (size_t)(end - text.ptr) + 1 : text.len);
        more = end != NULL;
        if (line.len > 0 && stays(thin, line)) {
            sink_text(paragraph, paragraph->len > 0 ? "\n" : "");
            sink_put(paragraph, line);
        }
        bool ends = (line.len == 0 && !thin->fenced) || !more;
        if (!ends || paragraph->len == 0)
            continue;
        struct slice whole = sink_slice(paragraph);
        if (whole.len < 40 || !is_repeated(thin, whole)) {
            sink_text(&thin->out, thin->out.len > 0 ? "\n\n" : "");
            sink_put(&thin->out, whole);
        }
        sink_reset(paragraph, 65536);
    }
}

/* Is everything critical of the one in the other, too? */
static bool
is_sound(struct slice before, struct slice after)
{
    for (size_t i = 0; i < countof(critical_marks); i++) {
        struct slice mark = slice_from(critical_marks[i]);
        if (text_find(before, mark) >= 0 && text_find(after, mark) < 0)
            return false;
    }
    return after.len > 0;
}

static enum shape_filter
tier_of(enum shape_filter wanted, uint64_t tokens)
{
    if (wanted != FILTER_AUTO)
        return wanted;
    return tokens >= AUTO_EXTREME ? FILTER_EXTREME : tokens >= AUTO_AGGRESSIVE ? FILTER_AGGRESSIVE : tokens >= AUTO_MODERATE ? FILTER_MODERATE : FILTER_MINIMAL;
}

/* The text (escaped) thinned out; as it was when something critical would be missing. Absent without memory. */
static struct slice
filtered(struct shaping *shape, enum shape_filter tier, struct slice text)
{
    struct slice plain = json_unescape(text, shape->arena), out = SLICE_NONE;
    struct thinning *thin = arena_take(shape->arena, sizeof *thin);
    struct sink bare, paragraph;
    if (!thin || !slice_present(plain))
        return SLICE_NONE;
    *thin = (struct thinning){.tier = tier};
    sink_init(&thin->out, FILTER_BYTES_MAX);
    sink_init(&bare, FILTER_BYTES_MAX);
    sink_init(&paragraph, FILTER_BYTES_MAX);
    put_without_comments(&bare, plain);
    thin_out(thin, sink_slice(&bare), &paragraph);
    bool failed = thin->out.error || bare.error || paragraph.error || !is_sound(plain, sink_slice(&thin->out));
    if (failed)
        shape->notes->filter_failed = true;
    else
        out = canon_escape(sink_slice(&thin->out), shape->arena);
    out = failed ? text : slice_present(out) ? arena_copy(shape->arena, out) : out;
    sink_fini(&paragraph);
    sink_fini(&bare);
    sink_fini(&thin->out);
    return out;
}

int
shape_filter_system(struct shaping *shape)
{
    uint64_t empty = shape_weigh(shape->request, NULL, NULL), tokens = 0;
    for (struct canon_message *message = shape->request->messages; message && shape_is_system(message); message = message->next) {
        struct canon_message one = *message;
        one.next = NULL;
        tokens += shape_weigh(shape->request, &one, NULL) - empty;
    }
    enum shape_filter tier = tier_of(shape->rules->filter, tokens);
    for (struct canon_message *message = shape->request->messages; message && shape_is_system(message); message = message->next) {
        for (struct canon_part **link = &message->parts; *link; link = &(*link)->next) {
            if ((*link)->kind != PART_TEXT || (*link)->text.len == 0)
                continue;
            struct slice text = filtered(shape, tier, (*link)->text);
            if (!slice_present(text))
                return -ERR_MEMORY;
            if (slice_eq(text, (*link)->text))
                continue;
            struct canon_part *copy = shape_copy_part(shape, link);
            if (!copy)
                return -ERR_MEMORY;
            copy->text = text;
            copy->value = JSON_NONE;
            shape->notes->system = true;
        }
    }
    return 0;
}
