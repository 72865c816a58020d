/* SPDX-License-Identifier: MIT
 *
 * judge_responses.c - the grammar of a Responses stream, as strict clients need it. It shares no
 * code with the writer.
 *
 * Event lines that say what the data says; numbers 0, 1, 2...; created first, in_progress next;
 * items and parts numbered as they are added, opened once, done once, their done texts what the
 * deltas join to; one terminal event, whose output is the items as they were done; a failed stream
 * has an error event before it.
 */
#include "tests/golden/drive.h"

#include "sse/sse.h"

#define JUDGED_ITEMS 256
#define JUDGED_PARTS 256

struct judged_part {
    bool open, done;
    struct sink text; /* decoded */
    uint32_t annotations;
};

struct judged_item {
    bool done;
    struct slice id, type, raw; /* raw: as it was done */
    uint32_t part_count;
    struct judged_part parts[JUDGED_PARTS]; /* of a call: the first is its arguments */
};

struct judge {
    struct arena arena;
    struct judged_item items[JUDGED_ITEMS];
    uint32_t item_count;
    uint64_t events;
    bool over, failed;
};

static struct judged_item *
item_of(struct judge *judge, struct json root)
{
    uint64_t index = json_u64_or(json_get(root, "output_index"), UINT64_MAX);
    if (index >= judge->item_count || judge->items[index].done)
        return NULL;
    struct judged_item *item = &judge->items[index];
    return slice_eq(json_text(json_get(root, "item_id")), item->id) ? item : NULL;
}

static struct judged_part *
add_part(struct judged_item *item)
{
    struct judged_part *part = &item->parts[item->part_count++];
    part->open = true;
    sink_init(&part->text, 64u << 20);
    return part;
}

static const char *
judge_added(struct judge *judge, struct json root)
{
    struct json value = json_get(root, "item");
    uint64_t index = json_u64_or(json_get(root, "output_index"), UINT64_MAX);
    if (index != judge->item_count || index == JUDGED_ITEMS)
        return "an item's index is missing or not the next";
    struct judged_item *item = &judge->items[judge->item_count++];
    item->id = arena_copy(&judge->arena, json_text(json_get(value, "id")));
    item->type = arena_copy(&judge->arena, json_text(json_get(value, "type")));
    if (item->id.len == 0 || item->type.len == 0)
        return "an item without id or type";
    for (uint32_t i = 0; i + 1 < judge->item_count; i++)
        if (slice_eq(judge->items[i].id, item->id))
            return "two items with one id";
    bool call = slice_is(item->type, "function_call"),
         custom = slice_is(item->type, "custom_tool_call");
    if ((call || custom) && (json_text(json_get(value, "call_id")).len == 0 ||
                             json_text(json_get(value, "name")).len == 0))
        return "a call without call_id or name";
    if (slice_is(item->type, "message") && (json_type(json_get(value, "content")) != JSON_ARRAY ||
                                            json_count(json_get(value, "content")) > 0))
        return "a message begins with content";
    if (call || custom)
        add_part(item);
    return NULL;
}

static const char *
judge_part_added(struct judge *judge, struct json root, const char *number, bool summary)
{
    struct judged_item *item = item_of(judge, root);
    uint64_t index = json_u64_or(json_get(root, number), UINT64_MAX);
    struct json part = json_get(root, "part");
    if (!item)
        return "a part of no open item";
    if (index != item->part_count || index == JUDGED_PARTS)
        return "a part's index is missing or not the next";
    if (summary ? !json_is(json_get(part, "type"), "summary_text")
                : !json_is(json_get(part, "type"), "output_text") &&
                      !json_is(json_get(part, "type"), "refusal") &&
                      !json_is(json_get(part, "type"), "reasoning_text"))
        return "a part of no known type";
    add_part(item);
    return NULL;
}

/* The part that an event speaks of; number NULL: a call's only one. */
static struct judged_part *
part_of(struct judge *judge, struct json root, const char *number)
{
    struct judged_item *item = item_of(judge, root);
    uint64_t index = number ? json_u64_or(json_get(root, number), UINT64_MAX) : 0;
    return item && index < item->part_count ? &item->parts[index] : NULL;
}

static const char *
judge_delta(struct judge *judge, struct json root, const char *number)
{
    struct judged_part *part = part_of(judge, root, number);
    struct slice delta = json_string(json_get(root, "delta"), &judge->arena);
    if (!part || !part->open || part->done)
        return "a delta for no open part";
    if (!slice_present(delta))
        return "a delta without text";
    sink_put(&part->text, delta);
    return NULL;
}

static const char *
same_text(struct judge *judge, const struct judged_part *part, struct json value)
{
    struct slice text = json_string(value, &judge->arena);
    return slice_present(text) && slice_eq(text, sink_slice(&part->text))
               ? NULL
               : "a done text is not what the deltas join to";
}

static const char *
judge_text_done(struct judge *judge, struct json root, const char *number, const char *member)
{
    struct judged_part *part = part_of(judge, root, number);
    if (!part || part->done)
        return "a text that was not open is done";
    part->done = true;
    return same_text(judge, part, json_get(root, member));
}

static const char *
judge_part_done(struct judge *judge, struct json root, const char *number)
{
    struct judged_part *part = part_of(judge, root, number);
    struct json value = json_get(root, "part");
    if (!part || !part->done || !part->open)
        return "a part is done before its text";
    part->open = false;
    if (json_count(json_get(value, "annotations")) != part->annotations)
        return "a done part has other annotations than were added";
    return same_text(
        judge, part,
        json_get(value, json_is(json_get(value, "type"), "refusal") ? "refusal" : "text"));
}

static const char *
judge_annotation(struct judge *judge, struct json root)
{
    struct judged_part *part = part_of(judge, root, "content_index");
    if (!part || part->done)
        return "an annotation of no open part";
    if (json_u64_or(json_get(root, "annotation_index"), UINT64_MAX) != part->annotations)
        return "an annotation's index is not the next";
    part->annotations++;
    return json_text(json_get(json_get(root, "annotation"), "type")).len > 0
               ? NULL
               : "an annotation without type";
}

static const char *
judge_item_done(struct judge *judge, struct json root)
{
    uint64_t index = json_u64_or(json_get(root, "output_index"), UINT64_MAX);
    struct json value = json_get(root, "item");
    if (index >= judge->item_count || judge->items[index].done)
        return "an item that was not open is done";
    struct judged_item *item = &judge->items[index];
    item->done = true;
    item->raw = arena_copy(&judge->arena, json_raw(value));
    if (!slice_eq(json_text(json_get(value, "id")), item->id) ||
        !slice_eq(json_text(json_get(value, "type")), item->type))
        return "an item is done as another";
    bool call = slice_is(item->type, "function_call"),
         custom = slice_is(item->type, "custom_tool_call");
    for (uint32_t i = 0; i < item->part_count; i++)
        if (!item->parts[i].done || (item->parts[i].open && !call && !custom))
            return "an item is done before its parts";
    bool message = slice_is(item->type, "message");
    if (message && json_count(json_get(value, "content")) != item->part_count)
        return "a done message has other parts than were added";
    struct json_scan scan;
    if (call && !json_is(json_get(value, "status"), "incomplete") &&
        json_scan(sink_slice(&item->parts[0].text), 64, &scan) != 0)
        return "a call's arguments are not JSON";
    return call || custom
               ? same_text(judge, &item->parts[0], json_get(value, call ? "arguments" : "input"))
               : NULL;
}

static const char *
judge_response(struct json response)
{
    static const char *const members[] = {"id",          "object",
                                          "created_at",  "status",
                                          "error",       "output",
                                          "model",       "incomplete_details",
                                          "metadata",    "parallel_tool_calls",
                                          "temperature", "tool_choice",
                                          "tools",       "top_p",
                                          "instructions"};
    for (size_t i = 0; i < countof(members); i++)
        if (!json_present(json_get(response, members[i])))
            return "a response lacks a member that clients rely on";
    return json_is(json_get(response, "object"), "response") ? NULL : "no response object";
}

static const char *
judge_usage(struct json usage)
{
    uint64_t in = json_u64_or(json_get(usage, "input_tokens"), UINT64_MAX),
             out = json_u64_or(json_get(usage, "output_tokens"), UINT64_MAX);
    if (in == UINT64_MAX || out == UINT64_MAX ||
        json_u64_or(json_get(usage, "total_tokens"), UINT64_MAX) != in + out ||
        !json_present(json_get(json_get(usage, "input_tokens_details"), "cached_tokens")) ||
        !json_present(json_get(json_get(usage, "output_tokens_details"), "reasoning_tokens")))
        return "usage lacks a counter or does not add up";
    return NULL;
}

static const char *
judge_terminal(struct judge *judge, struct json response, struct slice word)
{
    judge->over = true;
    const char *fault = judge_response(response);
    if (fault)
        return fault;
    if (!slice_eq(json_text(json_get(response, "status")), word))
        return "the terminal event's status is another";
    if (slice_is(word, "failed"))
        return judge->failed && json_text(json_get(json_get(response, "error"), "code")).len > 0
                   ? NULL
                   : "a response failed without saying why";
    if (judge->failed)
        return "an error, and the response did not fail";
    bool cut = json_text(json_get(json_get(response, "incomplete_details"), "reason")).len > 0;
    if (cut != slice_is(word, "incomplete"))
        return "incomplete_details and status disagree";
    struct json at = json_first(json_get(response, "output"));
    for (uint32_t i = 0; i < judge->item_count; i++, at = json_next(at)) {
        const struct judged_item *item = &judge->items[i];
        if (!item->done)
            return "the response is over before an item is done";
        bool state = slice_is(item->type, "reasoning"); /* OpenAI says its state anew each time */
        if (state ? !slice_eq(json_text(json_get(at, "id")), item->id)
                  : !slice_eq(json_raw(at), item->raw))
            return "an item of the output is not as it was done";
    }
    if (json_present(at))
        return "the output has an item that was never added";
    return judge_usage(json_get(response, "usage"));
}

static const char *
judge_middle(struct judge *judge, struct json root, struct slice word)
{
    if (slice_is(word, "output_item.added"))
        return judge_added(judge, root);
    if (slice_is(word, "output_item.done"))
        return judge_item_done(judge, root);
    if (slice_is(word, "content_part.added"))
        return judge_part_added(judge, root, "content_index", false);
    if (slice_is(word, "content_part.done"))
        return judge_part_done(judge, root, "content_index");
    if (slice_is(word, "reasoning_summary_part.added"))
        return judge_part_added(judge, root, "summary_index", true);
    if (slice_is(word, "reasoning_summary_part.done"))
        return judge_part_done(judge, root, "summary_index");
    if (slice_is(word, "output_text.delta") || slice_is(word, "refusal.delta") ||
        slice_is(word, "reasoning_text.delta"))
        return judge_delta(judge, root, "content_index");
    if (slice_is(word, "reasoning_summary_text.delta"))
        return judge_delta(judge, root, "summary_index");
    if (slice_is(word, "function_call_arguments.delta") ||
        slice_is(word, "custom_tool_call_input.delta"))
        return judge_delta(judge, root, NULL);
    if (slice_is(word, "output_text.done") || slice_is(word, "reasoning_text.done"))
        return judge_text_done(judge, root, "content_index", "text");
    if (slice_is(word, "refusal.done"))
        return judge_text_done(judge, root, "content_index", "refusal");
    if (slice_is(word, "reasoning_summary_text.done"))
        return judge_text_done(judge, root, "summary_index", "text");
    if (slice_is(word, "function_call_arguments.done"))
        return judge_text_done(judge, root, NULL, "arguments");
    if (slice_is(word, "custom_tool_call_input.done"))
        return judge_text_done(judge, root, NULL, "input");
    if (slice_is(word, "output_text.annotation.added"))
        return judge_annotation(judge, root);
    return NULL; /* progress of hosted tools */
}

static const char *
judge_data(struct judge *judge, const struct sse_event *event, struct json root)
{
    struct slice type = json_text(json_get(root, "type"));
    uint64_t number = json_u64_or(json_get(root, "sequence_number"), UINT64_MAX);
    if (!slice_eq(type, event->type))
        return "the event line does not say the type";
    if (number != judge->events)
        return "a sequence number is missing or not the next";
    uint64_t place = judge->events++;
    if (slice_is(type, "error")) {
        judge->failed = true;
        return place > 1 && json_text(json_get(root, "message")).len > 0
                   ? NULL
                   : "an error too early, or without message";
    }
    if (!slice_starts(type, SLICE_LIT("response.")))
        return "an event of no known type";
    struct slice word = slice_skip(type, 9);
    if (place == 0 || place == 1) {
        struct json response = json_get(root, "response");
        if (!slice_is(word, place == 0 ? "created" : "in_progress"))
            return "a stream begins otherwise than created, in_progress";
        return json_count(json_get(response, "output")) == 0 ? judge_response(response)
                                                             : "a response begins with output";
    }
    if (slice_is(word, "completed") || slice_is(word, "incomplete") || slice_is(word, "failed"))
        return judge_terminal(judge, json_get(root, "response"), word);
    return judge->failed ? "something behind the error" : judge_middle(judge, root, word);
}

static const char *
judge_event(struct judge *judge, const struct sse_event *event)
{
    if (!slice_present(event->data))
        return NULL;
    if (judge->over)
        return "something behind the terminal event";
    struct arena arena;
    struct json root;
    arena_init(&arena, 128u << 20);
    const char *fault = json_parse(event->data, 64, 1u << 22, &arena, &root) == 0
                            ? judge_data(judge, event, root)
                            : "an event that is not JSON";
    arena_fini(&arena);
    return fault;
}

const char *
judge_responses(struct slice text)
{
    struct judge judge = {0};
    struct sse_decoder decoder;
    struct sse_event event;
    const char *fault = NULL;
    arena_init(&judge.arena, 256u << 20);
    sse_decoder_init(&decoder, 64u << 20);
    while (!fault && sse_decode(&decoder, &text, &event) == 1)
        fault = judge_event(&judge, &event);
    if (!fault && !judge.over)
        fault = "no terminal event";
    for (uint32_t i = 0; i < judge.item_count; i++)
        for (uint32_t k = 0; k < judge.items[i].part_count; k++)
            sink_fini(&judge.items[i].parts[k].text);
    sse_decoder_fini(&decoder);
    arena_fini(&judge.arena);
    return fault;
}
