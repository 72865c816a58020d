/* SPDX-License-Identifier: MIT
 *
 * gemini_think_write.c - how much a Gemini model is told to think: in levels from the third
 * generation on, before in tokens.
 *
 * What the client did not say stays the model's own business, but for the default budget of the
 * configuration (R98), and for seeing the thoughts, which must be asked for.
 */
#include "providers/gemini_write.h"

#include "base/text.h"

#define BUDGET_DYNAMIC (-1)

static bool
named(const struct gemini_writing *at, const char *word)
{
    return text_find_caseless(at->upstream->model, slice_from(word)) >= 0;
}

/* Models that would refuse the whole thinkingConfig. */
static bool
cannot_think(const struct gemini_writing *at)
{
    static const char *const words[] = {"gemini-1.", "gemini-2.0",      "gemma",
                                        "learnlm",   "2.5-flash-image", "-tts"};
    for (size_t i = 0; i < countof(words); i++) {
        if (named(at, words[i]))
            return true;
    }
    return false;
}

/* Models that are known to take it without being asked for anything else. */
static bool
surely_thinks(const struct gemini_writing *at)
{
    const struct dialect_upstream *upstream = at->upstream;
    return upstream->thinking_level || upstream->thinking_budget_max != 0 ||
           named(at, "gemini-2.5") || named(at, "gemini-3") || named(at, "-latest");
}

/* ---------------------------------------------------------------- levels */

static const char *
level_of_effort(const struct gemini_writing *at, struct slice effort)
{
    if (slice_is(effort, "none") || slice_is(effort, "minimal"))
        return named(at, "pro") ? "LOW" : "MINIMAL"; /* the large models have no MINIMAL */
    if (slice_is(effort, "low"))
        return "LOW";
    if (slice_is(effort, "medium"))
        return named(at, "gemini-3-pro") ? "HIGH"
                                         : "MEDIUM"; /* the first of them knew two levels */
    return "HIGH";
}

static struct slice
effort_of_budget(uint64_t budget)
{
    if (budget == 0)
        return SLICE_LIT("none");
    if (budget <= 2048)
        return SLICE_LIT("low");
    return budget <= 16384 ? SLICE_LIT("medium") : SLICE_LIT("high");
}

static const char *
plan_level(const struct gemini_writing *at, bool off)
{
    const struct canon_request *request = at->request;
    if (off)
        return level_of_effort(at, SLICE_LIT("none"));
    if (slice_present(request->effort))
        return level_of_effort(at, request->effort);
    if (slice_present(request->thinking_budget))
        return level_of_effort(at, effort_of_budget(json_text_u64_or(request->thinking_budget, 8192)));
    return NULL;
}

/* ---------------------------------------------------------------- budgets */

struct range {
    int64_t least, most;
};

/* What the models of generation 2.5 take, as their maker documents it. */
static struct range
range_of(const struct gemini_writing *at)
{
    if (named(at, "2.5-flash-lite"))
        return (struct range){512, 24576};
    if (named(at, "2.5-flash"))
        return (struct range){0, 24576};
    return named(at, "2.5-pro") ? (struct range){128, 32768} : (struct range){0, 32768};
}

static int64_t
within(struct range range, uint64_t budget)
{
    int64_t value = budget > (uint64_t)range.most ? range.most : (int64_t)budget;
    return value < range.least ? range.least : value;
}

static uint64_t
budget_of_effort(struct slice effort)
{
    static const struct {
        const char *word;
        uint64_t budget;
    } table[] = {{"minimal", 1024}, {"low", 1024},    {"medium", 8192},
                 {"high", 24576},   {"xhigh", 32768}, {"max", 32768}};
    for (size_t i = 0; i < countof(table); i++) {
        if (slice_is(effort, table[i].word))
            return table[i].budget;
    }
    return 8192;
}

/* Thoughts count against the limit of the answer: a budget nobody asked for by number leaves a
 * fifth of it. */
static uint64_t
leaving_room(const struct gemini_writing *at, uint64_t budget)
{
    uint64_t room = json_text_u64_or(at->max_tokens, at->upstream->max_output_tokens);
    return room != 0 && budget > room / 5 * 4 ? room / 5 * 4 : budget;
}

static bool
plan_budget(const struct gemini_writing *at, bool off, int64_t *budget)
{
    const struct canon_request *request = at->request;
    struct range range = range_of(at);
    uint64_t usual = at->upstream->thinking_budget_max;
    bool unasked = request->thinking == THINKING_UNSET && !slice_present(request->effort);
    if (off)
        *budget = named(at, "2.5-pro") ? range.least
                                       : 0; /* the large model cannot be told not to think */
    else if (slice_present(request->thinking_budget))
        *budget = within(range, json_text_u64_or(request->thinking_budget, 8192));
    else if (slice_present(request->effort))
        *budget = within(range, leaving_room(at, budget_of_effort(request->effort)));
    else if (usual != 0)
        *budget = within(range, leaving_room(at, usual));
    else if (!unasked)
        *budget = BUDGET_DYNAMIC;
    else
        return false;
    return true;
}

/* ---------------------------------------------------------------- both */

void
gemini_put_thinking(struct gemini_writing *at)
{
    const struct canon_request *request = at->request;
    bool off = request->thinking == THINKING_DISABLED || slice_is(request->effort, "none") ||
               slice_is(request->thinking_budget, "0");
    bool asked = request->thinking != THINKING_UNSET || slice_present(request->effort) ||
                 slice_present(request->thinking_budget);
    if (cannot_think(at)) {
        if (asked && !off)
            canon_drop(at->report, "reasoning_effort");
        return;
    }
    bool levels = at->upstream->thinking_level;
    int64_t budget = 0;
    const char *level = levels ? plan_level(at, off) : NULL;
    bool budgeted = !levels && plan_budget(at, off, &budget);
    bool shown = !off && request->show_thoughts != 0 &&
                 (asked || request->show_thoughts == 1 || surely_thinks(at));
    bool hidden = request->show_thoughts == 0 && asked && !off;
    /* Nothing asked, something configured: the whole of it is the configuration's. */
    if (!asked && json_present(gemini_get(at->default_config, "thinkingConfig")))
        return;
    if (!level && !budgeted && !shown && !hidden)
        return;
    gemini_config(at, "thinkingConfig");
    json_object(&at->json);
    if (level)
        json_member_text(&at->json, "thinkingLevel", level);
    if (budgeted)
        json_member_i64(&at->json, "thinkingBudget", budget);
    if (shown || hidden)
        json_member_bool(&at->json, "includeThoughts", shown);
    json_end(&at->json);
}
