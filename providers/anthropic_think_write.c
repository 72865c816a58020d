/* SPDX-License-Identifier: MIT
 *
 * anthropic_think_write.c - how much a model is to think, and what of it is to be seen; and whether
 * it can be held to the form of an answer at all.
 */
#include "providers/anthropic_write.h"

#include "base/text.h"

/* ---------------------------------------------------------------- what a model's name says */

/* The next number of a name: at most two digits between letters, points and dashes; a longer one is
 * a date. -1: none. */
static int
next_number(struct slice *name)
{
    size_t i = 0, digits = 0;
    int value = 0;
    while (i < name->len && (name->ptr[i] < '0' || name->ptr[i] > '9'))
        i++;
    for (; i < name->len && name->ptr[i] >= '0' && name->ptr[i] <= '9'; i++, digits++)
        value = digits < 2 ? value * 10 + (name->ptr[i] - '0') : value;
    *name = slice_skip(*name, i);
    return digits == 1 || digits == 2 ? value : -1;
}

/*
 * What a Claude can do goes by its version: claude-3-7-sonnet-..., claude-opus-4-1@...,
 * anthropic/claude-haiku-4.5. In hundredths; one without a number is newer than all. 0: the model
 * is not Claude.
 */
static int
version_of(struct slice model)
{
    ptrdiff_t at = text_find_caseless(model, SLICE_LIT("claude"));
    if (at < 0)
        return 0;
    struct slice rest = slice_skip(model, (size_t)at);
    int major = next_number(&rest);
    if (major < 0)
        return 9900;
    bool more = rest.len > 1 && (rest.ptr[0] == '-' || rest.ptr[0] == '.') && rest.ptr[1] >= '0' &&
                rest.ptr[1] <= '9';
    int minor = more ? next_number(&rest) : 0;
    return major * 100 + (minor < 0 ? 0 : minor);
}

/* Generations before 3.7 do not think, those up to 4.5 take a budget, later ones decide for
 * themselves. Models that are not Claude's take what was first. */
static enum thinking_form
form_of_model(const struct dialect_upstream *upstream)
{
    int version = version_of(upstream->model);
    if (version == 0)
        return THINK_BUDGET;
    if (version < 307)
        return THINK_OFF;
    return version <= 405 ? THINK_BUDGET : THINK_ADAPTIVE;
}

/* Structured output came with 4.1. */
bool
anthropic_lacks_formats(const struct dialect_upstream *upstream)
{
    int version = version_of(upstream->model);
    return version > 0 && version < 401;
}

/* After 4.6 there is nothing to choose about sampling. */
bool
anthropic_samples_alone(const struct dialect_upstream *upstream)
{
    return version_of(upstream->model) > 406;
}

/* ---------------------------------------------------------------- how much to think */

static enum thinking_form
form_of(const struct dialect_upstream *upstream)
{
    switch (upstream->effort) {
    case TELL_NOTHING:
        return THINK_OFF;
    case TELL_REASONING_EFFORT:
        return THINK_ADAPTIVE;
    case TELL_ENABLE_THINKING:
        return THINK_BUDGET;
    case TELL_THINKING:
        break;
    }
    return form_of_model(upstream);
}

static uint64_t
budget_of(struct slice effort)
{
    static const struct {
        const char *word;
        uint64_t budget;
    } table[] = {
        {"minimal", 1024}, {"low", 1024}, {"medium", 8192}, {"high", 24576}, {"xhigh", 32768}};
    for (size_t i = 0; i < countof(table); i++) {
        if (slice_is(effort, table[i].word))
            return table[i].budget;
    }
    return 8192;
}

static struct slice
effort_of(uint64_t budget)
{
    if (budget <= 2048)
        return SLICE_LIT("low");
    if (budget <= 16384)
        return SLICE_LIT("medium");
    return budget <= 28000 ? SLICE_LIT("high") : SLICE_LIT("xhigh");
}

/* The room for an answer: what the client allows, else what is configured, else what the upstream
 * can. */
static uint64_t
output_limit(const struct writing *at)
{
    uint64_t most = at->upstream->max_output_tokens;
    uint64_t usual = json_u64_or(json_get(at->defaults, "max_tokens"), most != 0 ? most : 4096);
    uint64_t limit = json_text_u64_or(at->request->max_tokens, usual);
    return most != 0 && limit > most ? most : limit;
}

/* Nobody but the model knows its maximum: with the upstream's limit known, most of that. */
static uint64_t
greatest_budget(const struct dialect_upstream *upstream)
{
    return upstream->max_output_tokens != 0
               ? upstream->max_output_tokens - upstream->max_output_tokens / 4
               : 32768;
}

static bool
forced(const struct canon_request *request)
{
    return request->tools &&
           (request->choice == CHOICE_REQUIRED || request->choice == CHOICE_NAMED);
}

/* A budget comes on top of the room for the answer. Where the model has not room for both, the
 * answer keeps what the client gave it, at most a quarter of all. */
static void
plan_budget(const struct writing *at, struct thinking_plan *plan)
{
    const struct canon_request *request = at->request;
    uint64_t most = at->upstream->max_output_tokens, answer = plan->max_tokens;
    uint64_t usual = slice_is(request->effort, "max") ? greatest_budget(at->upstream)
                                                      : budget_of(request->effort);
    uint64_t budget = json_text_u64_or(request->thinking_budget, usual);
    plan->budget = budget < 1024 ? 1024 : budget;
    if (plan->max_tokens <= plan->budget)
        plan->max_tokens += plan->budget;
    if (most != 0 && plan->max_tokens > most) {
        plan->max_tokens = most;
        uint64_t room = answer < most / 4 ? answer : most / 4;
        plan->budget = plan->budget > most - room ? most - room : plan->budget;
    }
    if (plan->budget >= plan->max_tokens)
        plan->budget = plan->max_tokens - 1;
    if (plan->budget < 1024)
        plan->form = THINK_OFF;
}

struct thinking_plan
anthropic_plan_thinking(const struct writing *at)
{
    const struct canon_request *request = at->request;
    struct thinking_plan plan = {.form = THINK_OFF, .max_tokens = output_limit(at)};
    bool off = request->thinking == THINKING_DISABLED || slice_is(request->effort, "none") ||
               json_text_u64_or(request->thinking_budget, 1) == 0;
    bool asked = slice_present(request->effort) || request->thinking == THINKING_ENABLED ||
                 request->thinking == THINKING_ADAPTIVE ||
                 slice_present(request->thinking_budget) ||
                 (request->show_thoughts == 1 && request->from != DIALECT_OPENAI_CHAT);
    if (off || !asked || plan.max_tokens == 0)
        return plan;
    plan.form = form_of(at->upstream);
    if (plan.form == THINK_BUDGET && (forced(request) || at->answer_tool))
        plan.form =
            THINK_OFF; /* only models that think as they like take a forced choice with it */
    if (plan.form == THINK_BUDGET)
        plan_budget(at, &plan);
    else if (plan.form == THINK_ADAPTIVE && slice_present(request->effort))
        plan.effort = slice_is(request->effort, "minimal") ? SLICE_LIT("low") : request->effort;
    else if (plan.form == THINK_ADAPTIVE && slice_present(request->thinking_budget))
        plan.effort = effort_of(json_text_u64_or(request->thinking_budget, 8192));
    if (plan.form == THINK_OFF)
        canon_drop(at->report, "reasoning_effort");
    /* The models that take a budget show their thoughts unless told otherwise; the later ones
     * differ in that. */
    if (plan.form == THINK_ADAPTIVE && request->show_thoughts >= 0)
        plan.display = request->show_thoughts ? "summarized" : "omitted";
    else if (plan.form == THINK_BUDGET && request->show_thoughts == 0 &&
             version_of(at->upstream->model) >= 400)
        plan.display = "omitted";
    return plan;
}
