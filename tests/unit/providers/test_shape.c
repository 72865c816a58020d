/* SPDX-License-Identifier: MIT
 *
 * test_shape.c - what the rules of penstock.helpers do to a request, and that the client's own stays as it was.
 */
#include "providers/shape.h"

#include "providers/dialect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

struct world {
    struct arena arena;
    struct canon_request request, shaped;
    struct shape_notes notes;
    struct sink before, after;
};

static void
put_parts(struct sink *out, const struct canon_part *parts)
{
    for (const struct canon_part *part = parts; part; part = part->next) {
        sink_printf(out, "[%d%s%.*s%.*s%s]", (int)part->kind, part->kind == PART_TEXT ? "" : ":", SLICE_ARG(part->text),
                    SLICE_ARG(part->id), slice_present(part->cache_control) ? "!" : "");
    }
}

/* A request as text, a message a word. */
static void
put(struct sink *out, const struct canon_request *request)
{
    static const char letters[] = "sduat";
    for (const struct canon_message *message = request->messages; message; message = message->next) {
        sink_printf(out, "%c", letters[message->role]);
        put_parts(out, message->parts);
    }
    for (const struct canon_tool *tool = request->tools; tool; tool = tool->next)
        sink_printf(out, " %.*s(%.*s)%.*s%s", SLICE_ARG(tool->name), SLICE_ARG(tool->description), SLICE_ARG(tool->schema),
                    slice_present(tool->cache_control) ? "!" : "");
}

static void
open_world(struct world *world, struct slice body, enum dialect_id id)
{
    struct canon_fault fault = {0};
    const struct dialect *dialect = dialect_of(id);
    memset(world, 0, sizeof *world);
    arena_init(&world->arena, 64u << 20);
    sink_init(&world->before, 64u << 20);
    sink_init(&world->after, 64u << 20);
    world->request.arena = &world->arena;
    world->request.body = body;
    assert_int_equal(json_parse(body, 64, 1u << 20, &world->arena, &world->request.root), 0);
    assert_int_equal(dialect->outline(&world->request, &fault), 0);
    assert_int_equal(dialect->read_request(&world->request, &fault), 0);
    put(&world->before, &world->request);
}

static void
close_world(struct world *world)
{
    sink_fini(&world->before);
    sink_fini(&world->after);
    arena_fini(&world->arena);
}

/* The shaped request as text; the client's own is as before. */
static const char *
shape(struct world *world, const struct shape_rules *rules)
{
    struct sink again;
    assert_int_equal(shape_request(&world->request, rules, &world->arena, &world->shaped, &world->notes), 0);
    sink_init(&again, 64u << 20);
    put(&again, &world->request);
    assert_true(slice_eq(sink_slice(&again), sink_slice(&world->before)));
    sink_fini(&again);
    sink_reset(&world->after, 1u << 20);
    put(&world->after, &world->shaped);
    sink_byte(&world->after, '\0');
    return world->after.ptr;
}

static void
check(const char *body, enum dialect_id id, struct shape_rules rules, const char *wanted)
{
    struct world world;
    open_world(&world, slice_from(body), id);
    const char *got = shape(&world, &rules);
    if (strcmp(got, wanted) != 0)
        print_error("%s\n", body);
    assert_string_equal(got, wanted);
    close_world(&world);
}

#define CHAT(messages) "{\"model\":\"m\",\"messages\":[" messages "]}"
#define USER(text) "{\"role\":\"user\",\"content\":\"" text "\"}"

static void
test_instructions(void **state)
{
    (void)state;
    struct shape_rules front = {.system_prompt = SLICE_LIT("A \"q\"")}, behind = front;
    behind.system_append = true;
    check(CHAT(USER("hi")), DIALECT_OPENAI_CHAT, front, "s[0A \\\"q\\\"]u[0hi]");
    check(CHAT(USER("hi")), DIALECT_OPENAI_CHAT, behind, "s[0A \\\"q\\\"]u[0hi]");
    check(CHAT("{\"role\":\"system\",\"content\":\"S\"}," USER("hi")), DIALECT_OPENAI_CHAT, front, "s[0A \\\"q\\\"\\n\\nS]u[0hi]");
    check(CHAT("{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"developer\",\"content\":\"D\"}," USER("hi")), DIALECT_OPENAI_CHAT, behind,
          "s[0S]d[0D\\n\\nA \\\"q\\\"]u[0hi]");
    check(CHAT("{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":\"S\"},{\"type\":\"strange\"}]}," USER("hi")), DIALECT_OPENAI_CHAT,
          front, "s[0A \\\"q\\\"][0S][11:]u[0hi]");
    check("{\"model\":\"m\",\"max_tokens\":5,\"system\":[{\"type\":\"text\",\"text\":\"S\",\"cache_control\":{\"type\":\"ephemeral\"}}],\"messages\":[" USER("hi") "]}",
          DIALECT_ANTHROPIC, behind, "s[0S!][0A \\\"q\\\"]u[0hi]");
    check("{\"model\":\"m\",\"instructions\":\"S\",\"input\":\"hi\"}", DIALECT_OPENAI_RESPONSES, front, "s[0A \\\"q\\\"\\n\\nS]u[0hi]");
}

static void
test_suffix(void **state)
{
    (void)state;
    struct shape_rules rules = {.user_suffix = SLICE_LIT("/no_think")};
    check(CHAT(USER("hi")), DIALECT_OPENAI_CHAT, rules, "u[0hi /no_think]");
    check(CHAT(USER("hi /no_think")), DIALECT_OPENAI_CHAT, rules, "u[0hi /no_think]");
    check(CHAT(USER("")), DIALECT_OPENAI_CHAT, rules, "u[0/no_think]");
    check(CHAT(USER("a") ",{\"role\":\"assistant\",\"content\":\"b\"}," USER("c")), DIALECT_OPENAI_CHAT, rules, "u[0a]a[0b]u[0c /no_think]");
    /* a picture alone gets words; a message of results is nobody's words */
    check(CHAT("{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://e.com/a\"}}]}"), DIALECT_OPENAI_CHAT, rules,
          "u[1:][0/no_think]");
    check("{\"model\":\"m\",\"max_tokens\":5,\"messages\":[" USER("go") ",{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"i\",\"name\":\"f\",\"input\":{}}]},"
          "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"i\",\"content\":\"r\"}]}]}",
          DIALECT_ANTHROPIC, rules, "u[0go /no_think]a[6:i]u[7:i]");
}

static void
test_who_is_meant(void **state)
{
    (void)state;
    struct shape_rules rules = {.user_suffix = SLICE_LIT("x"), .models = SLICE_LIT("[\"qwen*\", \"a*z\", \"mini\"]")};
    static const struct {
        const char *name;
        bool meant;
    } cases[] = {{"qwen3", true}, {"qwen", true}, {"QWEN", false}, {"az", true}, {"abz", true}, {"aza", false}, {"mini", true}, {"minimax", false}, {"", false}};
    for (size_t i = 0; i < countof(cases); i++)
        assert_int_equal(shape_applies(&rules, slice_from(cases[i].name)), cases[i].meant);
    rules.models = SLICE_NONE;
    assert_true(shape_applies(&rules, SLICE_LIT("any")));
    rules.user_suffix = SLICE_NONE;
    assert_false(shape_applies(&rules, SLICE_LIT("any")));
    rules.truncate = true; /* of a window that nobody knows */
    assert_false(shape_applies(&rules, SLICE_LIT("any")));
}

static void
test_marks(void **state)
{
    (void)state;
#define TOOL(name, mark) "{\"name\":\"" name "\",\"input_schema\":{\"type\":\"object\"}" mark "}"
#define MESSAGES(system, tools, more) "{\"model\":\"m\",\"max_tokens\":5,\"system\":" system ",\"tools\":[" tools "],\"messages\":[" USER("hi") "]" more "}"
    struct shape_rules low = {.cache = true, .cache_tokens = 1}, high = {.cache = true, .cache_tokens = 1000000};
    check(MESSAGES("\"S\"", TOOL("f", "") "," TOOL("g", ""), ""), DIALECT_ANTHROPIC, low, "s[0S!]u[0hi] f(){\"type\":\"object\"} g(){\"type\":\"object\"}!");
    check(MESSAGES("[{\"type\":\"text\",\"text\":\"S\"},{\"type\":\"text\",\"text\":\"T\"}]", "", ""), DIALECT_ANTHROPIC, low, "s[0S][0T!]u[0hi]");
    check(MESSAGES("\"S\"", TOOL("f", ""), ""), DIALECT_ANTHROPIC, high, "s[0S]u[0hi] f(){\"type\":\"object\"}");
    /* the client's own marks are enough, wherever they stand */
    check(MESSAGES("\"S\"", TOOL("f", ",\"cache_control\":{\"type\":\"ephemeral\"}") "," TOOL("g", ""), ""), DIALECT_ANTHROPIC, low,
          "s[0S]u[0hi] f(){\"type\":\"object\"}! g(){\"type\":\"object\"}");
    check(MESSAGES("\"S\"", TOOL("f", ""), ",\"cache_control\":{\"type\":\"ephemeral\"}"), DIALECT_ANTHROPIC, low, "s[0S]u[0hi] f(){\"type\":\"object\"}");
    check("{\"model\":\"m\",\"max_tokens\":5,\"system\":\"S\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hi\",\"cache_control\":{\"type\":\"ephemeral\"}}]}]}",
          DIALECT_ANTHROPIC, low, "s[0S]u[0hi!]");
    check(CHAT(USER("hi")), DIALECT_OPENAI_CHAT, low, "u[0hi]");
}

static void
test_tiers(void **state)
{
    (void)state;
#define FILTER_TEXT "You are terse.  \\n\\n\\n<!-- note -->\\n# Tools\\nUse Read for files, and never anything else.\\n\\n" \
                    "Use Read for files, and never anything else.\\n\\n<example>\\nuser: hi\\n</example>\\n" \
                    "# Examples\\nOne.\\n# Tone\\nBe kind.\\n# History\\nLong ago.\\n```\\n# no heading\\n```\\n<env>\\nPlatform: linux\\n</env>"
#define FILTER_BODY(text) CHAT("{\"role\":\"system\",\"content\":\"" text "\"}," USER("hi"))
#define KEPT "You are terse.\\n\\n# Tools\\nUse Read for files, and never anything else.\\n\\nUse Read for files, and never anything else."
    static const struct {
        enum shape_filter tier;
        const char *left;
    } cases[] = {
        {FILTER_MINIMAL, "s[0" KEPT "\\n\\n<example>\\nuser: hi\\n</example>\\n# Examples\\nOne.\\n# Tone\\nBe kind.\\n# History\\nLong ago.\\n```\\n# no heading\\n```\\n<env>\\nPlatform: linux\\n</env>]u[0hi]"},
        {FILTER_MODERATE, "s[0" KEPT "\\n\\n# Tone\\nBe kind.\\n# History\\nLong ago.\\n```\\n# no heading\\n```\\n<env>\\nPlatform: linux\\n</env>]u[0hi]"},
        {FILTER_AGGRESSIVE, "s[0" KEPT "\\n\\n# History\\nLong ago.\\n```\\n# no heading\\n```\\n<env>\\nPlatform: linux\\n</env>]u[0hi]"},
        /* the environment stands in a section that would go: nothing does */
        {FILTER_EXTREME, "s[0" FILTER_TEXT "]u[0hi]"},
        {FILTER_AUTO, "s[0" KEPT "\\n\\n<example>\\nuser: hi\\n</example>\\n# Examples\\nOne.\\n# Tone\\nBe kind.\\n# History\\nLong ago.\\n```\\n# no heading\\n```\\n<env>\\nPlatform: linux\\n</env>]u[0hi]"},
    };
    for (size_t i = 0; i < countof(cases); i++)
        check(FILTER_BODY(FILTER_TEXT), DIALECT_OPENAI_CHAT, (struct shape_rules){.filter = cases[i].tier}, cases[i].left);
    /* the same paragraph twice */
    check(FILTER_BODY("A paragraph that is long enough to be worth it.\\n\\nB\\n\\nA paragraph that is long enough to be worth it."), DIALECT_OPENAI_CHAT,
          (struct shape_rules){.filter = FILTER_MINIMAL}, "s[0A paragraph that is long enough to be worth it.\\n\\nB]u[0hi]");
    check(FILTER_BODY("You are terse.\\n# History\\nLong ago.\\n# Environment\\nPlatform: linux"), DIALECT_OPENAI_CHAT,
          (struct shape_rules){.filter = FILTER_EXTREME}, "s[0You are terse.\\n# Environment\\nPlatform: linux]u[0hi]");
    /* nothing would be left */
    check(FILTER_BODY("# History\\nLong ago."), DIALECT_OPENAI_CHAT, (struct shape_rules){.filter = FILTER_EXTREME}, "s[0# History\\nLong ago.]u[0hi]");
}

static void
test_tier_by_length(void **state)
{
    (void)state;
    static const struct {
        unsigned words;
        bool examples, tone, history;
    } cases[] = {{1000, true, true, true}, {6000, false, true, true}, {12000, false, false, true}, {25000, false, false, false}};
    for (size_t i = 0; i < countof(cases); i++) {
        struct world world;
        struct sink body;
        struct shape_rules rules = {.filter = FILTER_AUTO};
        sink_init(&body, 4u << 20);
        sink_text(&body, "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"# Examples\\nE1\\n# Tone\\nT1\\n# History\\nH1\\n# Tools\\n");
        for (unsigned k = 0; k < cases[i].words; k++)
            sink_text(&body, "word ");
        sink_text(&body, "\"}," USER("hi") "]}");
        open_world(&world, sink_slice(&body), DIALECT_OPENAI_CHAT);
        const char *got = shape(&world, &rules);
        assert_int_equal(strstr(got, "E1") != NULL, cases[i].examples);
        assert_int_equal(strstr(got, "T1") != NULL, cases[i].tone);
        assert_int_equal(strstr(got, "H1") != NULL, cases[i].history);
        assert_non_null(strstr(got, "word word"));
        assert_false(world.notes.filter_failed);
        close_world(&world);
        sink_fini(&body);
    }
}

static void
test_tools(void **state)
{
    (void)state;
#define FUNCTION(name, about) "{\"type\":\"function\",\"function\":{\"name\":\"" name "\",\"description\":\"" about "\"}}"
#define TOOLS(tools, more) "{\"model\":\"m\",\"messages\":[" USER("hi") "],\"tools\":[" tools "]" more "}"
#define ABC FUNCTION("b", "one two three four five") "," FUNCTION("a", "short") "," FUNCTION("mcp__x", "\\u00e9\\n\\u00e9\\n\\u00e9\\n\\u00e9\\n\\u00e9\\n\\u00e9\\n\\u00e9\\n\\u00e9\\n\\u00e9")
    struct shape_rules cut = {.stub_letters = 16}, sort = {.sort_tools = true}, some = {.allow_tools = SLICE_LIT("[\"a\",\"mcp__*\"]")};
    struct shape_rules none = {.allow_tools = SLICE_LIT("[]")};
    check(TOOLS(ABC, ""), DIALECT_OPENAI_CHAT, cut, "u[0hi] b(one two three...) a(short) mcp__x(\\u00e9\\n\\u00e9\\n\\u00e9\\n\\u00e9\\n\\u00e9\\n\\u00e9\\n\\u00e9...)");
    check(TOOLS(ABC, ""), DIALECT_OPENAI_CHAT, sort, "u[0hi] a(short) b(one two three four five) mcp__x(\\u00e9\\n\\u00e9\\n\\u00e9\\n\\u00e9\\n\\u00e9\\n\\u00e9\\n\\u00e9\\n\\u00e9\\n\\u00e9)");
    check(TOOLS(FUNCTION("a", "x") "," FUNCTION("b", "y") "," FUNCTION("mcp__x", ""), ""), DIALECT_OPENAI_CHAT, some, "u[0hi] a(x) mcp__x()");
    check(TOOLS(ABC, ""), DIALECT_OPENAI_CHAT, none, "u[0hi]");
}

static void
test_choice_of_tools_that_went(void **state)
{
    (void)state;
    struct world world;
    struct shape_rules some = {.allow_tools = SLICE_LIT("[\"a\"]")}, none = {.allow_tools = SLICE_LIT("[]")};
#define CHOICE(choice) TOOLS(FUNCTION("a", "") "," FUNCTION("b", ""), ",\"parallel_tool_calls\":true,\"tool_choice\":" choice)
    static const struct {
        const char *body;
        enum canon_choice left, nothing;
    } cases[] = {
        {CHOICE("\"required\""), CHOICE_REQUIRED, CHOICE_UNSET},
        {CHOICE("{\"type\":\"function\",\"function\":{\"name\":\"b\"}}"), CHOICE_AUTO, CHOICE_UNSET},
        {CHOICE("{\"type\":\"function\",\"function\":{\"name\":\"a\"}}"), CHOICE_NAMED, CHOICE_UNSET},
        {CHOICE("{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"required\",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"b\"}}]}}"), CHOICE_NONE, CHOICE_UNSET},
    };
    for (size_t i = 0; i < countof(cases); i++) {
        open_world(&world, slice_from(cases[i].body), DIALECT_OPENAI_CHAT);
        (void)shape(&world, &some);
        assert_int_equal(world.shaped.choice, cases[i].left);
        assert_int_equal(world.shaped.parallel, 1);
        (void)shape(&world, &none);
        assert_int_equal(world.shaped.choice, cases[i].nothing);
        assert_int_equal(world.shaped.parallel, -1);
        assert_null(world.shaped.tools);
        assert_non_null(world.request.tools);
        close_world(&world);
    }
}

static void
test_schemas(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *plain;
    } cases[] = {
        {"{\"$schema\":\"x\",\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"format\":\"uri\"},\"format\":{\"type\":[\"null\",\"integer\"]}},\"required\":[\"a\"]}",
         "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\"},\"format\":{\"type\":\"integer\"}},\"required\":[\"a\"]}"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"anyOf\":[{\"type\":\"null\"},{\"type\":\"string\",\"description\":\"inner\"}],\"description\":\"outer\"}}}",
         "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"description\":\"outer\"}}}"},
        {"{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#/$defs/A\"},\"b\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/A\"}}},\"$defs\":{\"A\":{\"oneOf\":[{\"$ref\":\"#/$defs/B\"}]},\"B\":{\"enum\":[1,2]}}}",
         "{\"type\":\"object\",\"properties\":{\"a\":{\"enum\":[1,2]},\"b\":{\"type\":\"array\",\"items\":{\"enum\":[1,2]}}}}"},
        /* a tree, a reference to nowhere, one to itself */
        {"{\"type\":\"object\",\"properties\":{\"child\":{\"$ref\":\"#\",\"description\":\"d\"}}}",
         "{\"type\":\"object\",\"properties\":{\"child\":{\"type\":\"object\",\"description\":\"d\"}}}"},
        {"{\"properties\":{\"a\":{\"$ref\":\"#/$defs/none\"},\"b\":{\"$ref\":\"https://example.com\"},\"c\":{\"$ref\":\"#/properties/c\"}}}",
         "{\"properties\":{\"a\":{\"type\":\"object\"},\"b\":{\"type\":\"object\"},\"c\":{\"type\":\"object\"}}}"},
        {"{\"type\":\"object\",\"anyOf\":[{\"required\":[\"a\"]}],\"allOf\":[{\"type\":[\"string\",\"null\"]},true],\"additionalProperties\":false}",
         "{\"type\":\"object\",\"allOf\":[{\"type\":\"string\"},true],\"additionalProperties\":false}"},
        {"true", "true"},
        {"{\"bad", "{\"bad"},
    };
    struct arena arena;
    struct slice out;
    arena_init(&arena, 64u << 20);
    for (size_t i = 0; i < countof(cases); i++) {
        assert_int_equal(shape_schema(slice_from(cases[i].schema), &arena, &out), 0);
        assert_string_equal(arena_copy(&arena, out).ptr, cases[i].plain);
    }
    /* as deep and as wide as it comes: it ends, and is JSON */
    struct sink deep;
    struct json_scan scan;
    sink_init(&deep, 1u << 20);
    for (int i = 0; i < 30; i++)
        sink_text(&deep, "{\"properties\":{\"a\":");
    sink_text(&deep, "{}");
    for (int i = 0; i < 30; i++)
        sink_text(&deep, "}}");
    assert_int_equal(shape_schema(sink_slice(&deep), &arena, &out), 0);
    assert_int_equal(json_scan(out, 64, &scan), 0);
    assert_true(out.len > 400);
    sink_reset(&deep, 0);
    sink_text(&deep, "{\"$defs\":{");
    for (int i = 0; i < 20; i++)
        sink_printf(&deep, "\"d%d\":{\"properties\":{\"a\":{\"$ref\":\"#/$defs/d%d\"},\"b\":{\"$ref\":\"#/$defs/d%d\"}}},", i, i + 1, i + 1);
    sink_text(&deep, "\"d20\":{}},\"$ref\":\"#/$defs/d0\"}");
    assert_int_equal(shape_schema(sink_slice(&deep), &arena, &out), 0);
    assert_int_equal(json_scan(out, 128, &scan), 0);
    assert_in_range(out.len, 100000, 1000000);
    sink_fini(&deep);
    arena_fini(&arena);
}

/* ---------------------------------------------------------------- conversations of all kinds */

static uint64_t seed;

static unsigned
pick(unsigned n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % n;
}

static void
put_words(struct sink *out, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        sink_text(out, "word ");
}

/* A conversation with tool loops, parallel calls answered in any order, calls never answered, instructions in the middle. */
static void
make_talk(struct sink *out)
{
    unsigned steps = 1 + pick(30), id = 0;
    sink_text(out, "{\"model\":\"m\",\"messages\":[");
    if (pick(2))
        sink_text(out, "{\"role\":\"system\",\"content\":\"rules\"},");
    if (pick(5))
        sink_text(out, USER("first") ",");
    for (unsigned step = 0; step < steps; step++) {
        unsigned kind = pick(10), calls = 1 + pick(3);
        if (kind < 3 || kind == 9) {
            sink_printf(out, "{\"role\":\"%s\",\"content\":\"", kind == 9 ? "system" : kind ? "user" : "assistant");
            put_words(out, pick(60));
            sink_text(out, "\"},");
            continue;
        }
        sink_text(out, "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[");
        for (unsigned i = 0; i < calls; i++)
            sink_printf(out, "%s{\"id\":\"c%u\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}", i ? "," : "", id + i);
        sink_text(out, "]},");
        if (pick(4) == 0)
            sink_text(out, USER("meanwhile") ",");
        for (unsigned i = pick(6) == 0; i < calls; i++) {
            sink_printf(out, "{\"role\":\"tool\",\"tool_call_id\":\"c%u\",\"content\":\"", id + calls - 1 - i);
            put_words(out, pick(80));
            sink_text(out, "\"},");
        }
        id += calls;
    }
    sink_text(out, USER("last") "]}");
}

static bool
holds(const struct canon_request *request, enum canon_part_kind kind, struct slice id)
{
    for (const struct canon_message *message = request->messages; message; message = message->next) {
        for (const struct canon_part *part = message->parts; part; part = part->next) {
            if (part->kind == kind && slice_eq(part->id, id))
                return true;
        }
    }
    return false;
}

/* Is there a result of every call that had one, and the call of every result? */
static void
check_whole(const struct world *world)
{
    for (const struct canon_message *message = world->shaped.messages; message; message = message->next) {
        for (const struct canon_part *part = message->parts; part; part = part->next) {
            if (part->kind == PART_RESULT)
                assert_true(holds(&world->shaped, PART_CALL, part->id));
            if (part->kind == PART_CALL && holds(&world->request, PART_RESULT, part->id))
                assert_true(holds(&world->shaped, PART_RESULT, part->id));
        }
    }
}

static uint64_t
count(const struct canon_request *request, bool system)
{
    uint64_t n = 0;
    for (const struct canon_message *message = request->messages; message; message = message->next)
        n += shape_is_system(message) == system;
    return n;
}

static const struct canon_message *
first_spoken(const struct canon_request *request)
{
    const struct canon_message *message = request->messages;
    while (message && shape_is_system(message))
        message = message->next;
    return message;
}

/* What is left stands in the order it stood in, and the last messages are among it. */
static void
check_order(const struct world *world, uint64_t keep)
{
    const struct canon_message *from = world->request.messages, *at = world->shaped.messages;
    uint64_t left = count(&world->request, false);
    for (; from; from = from->next) {
        bool kept = at && at->value.at == from->value.at;
        assert_true(kept || !shape_is_system(from));
        assert_true(kept || left > keep);
        left -= !shape_is_system(from);
        at = kept ? at->next : at;
    }
    assert_null(at);
}

static void
test_truncation(void **state)
{
    (void)state;
    unsigned shortened = 0, fitting = 0;
    for (unsigned round = 0; round < 3000; round++) {
        struct world world;
        struct sink talk;
        seed = round * 77u + 5u;
        sink_init(&talk, 1u << 20);
        make_talk(&talk);
        open_world(&world, sink_slice(&talk), DIALECT_OPENAI_CHAT);
        struct shape_rules rules = {.truncate = true, .context_tokens = 256 + pick(2000), .reserve_tokens = pick(400), .keep_messages = 1 + pick(5)};
        (void)shape(&world, &rules);
        uint64_t dropped = count(&world.request, false) - count(&world.shaped, false);
        assert_int_equal(world.notes.dropped_messages, dropped);
        assert_int_equal(world.notes.messages, dropped > 0);
        check_whole(&world);
        check_order(&world, rules.keep_messages);
        uint64_t half = rules.context_tokens / 2, reserve = rules.reserve_tokens < half ? rules.reserve_tokens : half;
        uint64_t room = rules.context_tokens - reserve, before = shape_weigh(&world.request, world.request.messages, NULL);
        if (before <= room)
            assert_int_equal(dropped, 0);
        const struct canon_message *first = first_spoken(&world.shaped);
        const struct canon_message *first_before = first_spoken(&world.request);
        if (dropped > 0 && first_before->role == ROLE_USER)
            assert_int_equal(first->role, ROLE_USER);
        shortened += dropped > 0;
        fitting += dropped > 0 && shape_weigh(&world.shaped, world.shaped.messages, NULL) <= room;
        close_world(&world);
        sink_fini(&talk);
    }
    assert_true(shortened > 1000);
    assert_true(fitting > shortened / 2); /* others have last messages or units that are too long by themselves */
}

static void
test_room_for_the_reply(void **state)
{
    (void)state;
    struct world world;
    struct sink talk;
    sink_init(&talk, 1u << 20);
    sink_text(&talk, "{\"model\":\"m\",\"max_tokens\":600,\"messages\":[");
    for (unsigned i = 0; i < 20; i++) {
        sink_printf(&talk, "{\"role\":\"%s\",\"content\":\"", i % 2 ? "assistant" : "user");
        put_words(&talk, 60);
        sink_text(&talk, "\"},");
    }
    sink_text(&talk, USER("last") "]}");
    uint64_t left[3];
    for (int i = 0; i < 3; i++) {
        open_world(&world, sink_slice(&talk), DIALECT_OPENAI_CHAT);
        /* nothing said; the client's wish is clamped to what the model can write; half of the window at most */
        struct shape_rules rules = {.truncate = true, .context_tokens = i == 2 ? 800 : 1300, .reserve_tokens = 100, .keep_messages = 1,
                                    .max_output_tokens = i == 1 ? 200 : 0};
        (void)shape(&world, &rules);
        left[i] = shape_weigh(&world.shaped, world.shaped.messages, NULL);
        close_world(&world);
    }
    assert_in_range(left[0], 500, 700);
    assert_in_range(left[1], 900, 1100);
    assert_in_range(left[2], 250, 400);
    sink_fini(&talk);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_instructions), cmocka_unit_test(test_suffix),     cmocka_unit_test(test_who_is_meant),
        cmocka_unit_test(test_tiers),        cmocka_unit_test(test_tier_by_length),
        cmocka_unit_test(test_tools),        cmocka_unit_test(test_choice_of_tools_that_went), cmocka_unit_test(test_schemas),
        cmocka_unit_test(test_marks),        cmocka_unit_test(test_truncation), cmocka_unit_test(test_room_for_the_reply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
