/* SPDX-License-Identifier: MIT
 *
 * test_gemini_reader.c - what Gemini's chunks and whole replies mean, however the stream is cut.
 */
#include "tests/unit/providers/relay.h"

#include "base/text.h"
#include "providers/gemini.h"

#define EVENT(json) "data: " json "\r\n\r\n"
#define PARTS(parts)                                                                               \
    "{\"candidates\":[{\"content\":{\"parts\":[" parts                                             \
    "],\"role\":\"model\"},\"index\":0}],\"responseId\":\"r\"}"
#define STOP                                                                                       \
    "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}],\"role\":\"model\"},"              \
    "\"finishReason\":\"STOP\",\"index\":0}]}"
#define START "START id=r\n"

static void
check(const char *bytes, const char *expected)
{
    struct relay relay = {
        .upstream = &gemini_dialect,
        .client = &gemini_dialect,
        .options = {.stream = true, .id = SLICE_LIT("i"), .model = SLICE_LIT("m")}};
    relay_check_lines(&relay, bytes, expected);
}

/* The lines of a whole body; the error of reading or guarding it behind them. */
static void
check_body(const char *body, const char *expected)
{
    struct relay relay = {.upstream = &gemini_dialect,
                          .client = &gemini_dialect,
                          .options = {.id = SLICE_LIT("i"), .model = SLICE_LIT("m")}};
    relay_open(&relay);
    int error = gemini_dialect.read_body(relay.reader, slice_from(body), &relay.events);
    relay_note(&relay);
    if (error == 0)
        error = canon_guard_check(&relay.guard, &relay.events);
    if (error != 0)
        sink_printf(&relay.lines, "%s\n", err_row(error)->name);
    sink_byte(&relay.lines, '\0');
    assert_string_equal(sink_slice(&relay.lines).ptr, expected);
    relay_close(&relay);
}

static void
joins_text_and_thoughts(void **state)
{
    (void)state;
    check(EVENT(PARTS("{\"text\":\"Hm\",\"thought\":true}"))
              EVENT(PARTS("{\"text\":\"m\",\"thought\":true},{\"text\":\"A\\n\"}"))
                  EVENT(PARTS("{\"text\":\"b\\\"c\"},{\"text\":\"\"}")) EVENT(STOP),
          START
          "OPEN 0 thinking\nDELTA 0 thinking text=Hm\nDELTA 0 thinking text=m\nCLOSE 0 thinking\n"
          "OPEN 1 text\nDELTA 1 text text=A\\n\nDELTA 1 text text=b\\\"c\nCLOSE 1 text\nFINISH "
          "stop\nEND\n");
}

/* P28: on a thought, on text, on an empty part behind text, behind a call, on a part that holds
 * nothing else. */
static void
takes_signatures_from_any_part(void **state)
{
    (void)state;
    check(
        EVENT(PARTS("{\"text\":\"t\",\"thought\":true,\"thoughtSignature\":\"QQ==\"},{\"text\":"
                    "\"a\",\"thoughtSignature\":\"Qg==\"}")) EVENT(PARTS("{\"text\":\"b\"}"))
            EVENT(PARTS("{\"text\":\"\",\"thoughtSignature\":\"Qw==\"}")) EVENT(STOP),
        START
        "OPEN 0 thinking\nDELTA 0 thinking text=t signature=QQ== origin=gemini\nCLOSE 0 thinking\n"
        "OPEN 1 text\nDELTA 1 text text=a signature=Qg== origin=gemini\nCLOSE 1 text\n"
        "OPEN 2 text\nDELTA 2 text text=b\nDELTA 2 text signature=Qw== origin=gemini\nCLOSE 2 "
        "text\nFINISH stop\nEND\n");
    check(EVENT(PARTS("{\"functionCall\":{\"id\":\"c1\",\"name\":\"f\",\"args\":{}},"
                      "\"thoughtSignature\":\"QQ==\"}"))
              EVENT(PARTS("{\"thoughtSignature\":\"Qg==\"}")) EVENT(STOP),
          START "OPEN 0 call id=c1 name=f signature=QQ== origin=gemini\nDELTA 0 call "
                "text={}\nCLOSE 0 call\n"
                "OPEN 1 thinking\nDELTA 1 thinking signature=Qg== origin=gemini\nCLOSE 1 "
                "thinking\nFINISH calls\nEND\n");
}

/* P3, P17, P18: calls in several chunks, the finish in a later one; ids are made where none came,
 * each another. */
static void
reads_calls_in_several_chunks(void **state)
{
    (void)state;
    check(
        EVENT(PARTS(
            "{\"functionCall\":{\"name\":\"f\",\"args\":{\"b\": 1.50,\"a\":\"\\u00e9\\\"\"}}}"))
            EVENT(PARTS("{\"functionCall\":{\"name\":\"f\",\"args\":{}}},{\"functionCall\":{\"id\":"
                        "\"x.1\",\"name\":\"g\"}}")) EVENT(STOP),
        START
        "OPEN 0 call id=call_82bf3feb76bca1019b809922 name=f\n"
        "DELTA 0 call text={\\\"b\\\": 1.50,\\\"a\\\":\\\"\\\\u00e9\\\\\\\"\\\"}\nCLOSE 0 call\n"
        "OPEN 1 call id=call_957308c4f679610a51b11ed5 name=f\nDELTA 1 call text={}\nCLOSE 1 call\n"
        "OPEN 2 call id=call_bed375197f30f3ae name=g\nCLOSE 2 call\nFINISH calls\nEND\n");
}

#define CALL(inner) EVENT(PARTS("{\"functionCall\":{" inner "}}"))

static void
puts_partial_arguments_together(void **state)
{
    (void)state;
    check(CALL("\"id\":\"c\",\"name\":\"f\",\"willContinue\":true")
              CALL("\"partialArgs\":[{\"jsonPath\":\"$.a.s\",\"stringValue\":\"x\\\"\","
                   "\"willContinue\":true}],\"willContinue\":true")
                  CALL("\"partialArgs\":[{\"jsonPath\":\"$.a.s\",\"stringValue\":\"\\u00e9\"},{"
                       "\"jsonPath\":\"$.l[2].n\",\"numberValue\":-1.5e3},"
                       "{\"jsonPath\":\"$.l[0]\",\"boolValue\":false},{\"jsonPath\":\"$['q.\\\\'']"
                       "\",\"nullValue\":\"NULL_VALUE\"},"
                       "{\"jsonPath\":\"$.e\",\"stringValue\":\"\"}],\"willContinue\":true")
                      EVENT(PARTS("{\"functionCall\":{}}")) EVENT(STOP),
          START "OPEN 0 call id=c name=f\n"
                "DELTA 0 call "
                "text={\\\"a\\\":{\\\"s\\\":\\\"x\\\\\\\"\\\\u00e9\\\"},\\\"l\\\":[false,null,{"
                "\\\"n\\\":-1.5e3}],\\\"q.'\\\":null,\\\"e\\\":\\\"\\\"}\n"
                "CLOSE 0 call\nFINISH calls\nEND\n");
}

/* A second name, or text, ends the call before; whole arguments at the end count more than pieces;
 * a call may come at once. */
static void
ends_partial_calls(void **state)
{
    (void)state;
    check(CALL("\"id\":\"c\",\"name\":\"f\",\"willContinue\":true") CALL(
              "\"id\":\"d\",\"name\":\"g\",\"partialArgs\":[{\"jsonPath\":\"$.a\","
              "\"numberValue\":1}],\"willContinue\":true") EVENT(PARTS("{\"text\":\"t\"}"))
              CALL("\"id\":\"e\",\"name\":\"h\",\"partialArgs\":[{\"jsonPath\":\"$.a\","
                   "\"boolValue\":true}]") CALL("\"id\":\"k\",\"name\":\"k\",\"willContinue\":true")
                  CALL("\"args\":{\"z\":1}") EVENT(STOP),
          START "OPEN 0 call id=c name=f\nDELTA 0 call text={}\nCLOSE 0 call\n"
                "OPEN 1 call id=d name=g\nDELTA 1 call text={\\\"a\\\":1}\nCLOSE 1 call\n"
                "OPEN 2 text\nDELTA 2 text text=t\nCLOSE 2 text\n"
                "OPEN 3 call id=e name=h\nDELTA 3 call text={\\\"a\\\":true}\nCLOSE 3 call\n"
                "OPEN 4 call id=k name=k\nDELTA 4 call text={\\\"z\\\":1}\nCLOSE 4 call\nFINISH "
                "calls\nEND\n");
}

static int
error_of(const char *bytes, const char **verdict)
{
    struct relay relay = {
        .upstream = &gemini_dialect,
        .client = &gemini_dialect,
        .options = {.stream = true, .id = SLICE_LIT("i"), .model = SLICE_LIT("m")}};
    relay_stream(&relay, slice_from(bytes), 0, 5);
    int error = relay.error;
    *verdict = relay.verdict;
    relay_close(&relay);
    return error;
}

#define CUT(word)                                                                                  \
    "{\"candidates\":[{\"content\":{\"role\":\"model\"},\"finishReason\":\"" word                  \
    "\",\"index\":0}]}"

static void
tells_an_unfinished_call(void **state)
{
    (void)state;
    const char *verdict;
#define HALF                                                                                       \
    CALL("\"id\":\"c\",\"name\":\"f\",\"partialArgs\":[{\"jsonPath\":\"$.a\",\"stringValue\":"     \
         "\"x\"}],\"willContinue\":true")
    assert_int_equal(error_of(HALF EVENT(CUT("STOP")), &verdict), -ERR_TOOL_CALL);
    assert_string_equal(verdict, "truncated_arguments");
    check(HALF EVENT(CUT("MAX_TOKENS")),
          START "OPEN 0 call id=c name=f\nDELTA 0 call text={\\\"a\\\":\\\"x\\\"\nCLOSE 0 "
                "call\nFINISH length\nEND\n");
    /* Nothing of it came. */
    check(CALL("\"id\":\"c\",\"name\":\"f\",\"willContinue\":true") EVENT(CUT("MAX_TOKENS")),
          START "OPEN 0 call id=c name=f\nDELTA 0 call text={\nCLOSE 0 call\nFINISH length\nEND\n");
}

static void
refuses_impossible_places(void **state)
{
    (void)state;
    static const char *const bad[] = {
        CALL("\"name\":\"f\",\"partialArgs\":[{\"jsonPath\":\"a\",\"stringValue\":\"x\"}]"),
        CALL("\"name\":\"f\",\"partialArgs\":[{\"jsonPath\":\"$\",\"stringValue\":\"x\"}]"),
        CALL("\"name\":\"f\",\"partialArgs\":[{\"jsonPath\":\"$.\",\"stringValue\":\"x\"}]"),
        CALL("\"name\":\"f\",\"partialArgs\":[{\"jsonPath\":\"$.a[x]\",\"stringValue\":\"x\"}]"),
        CALL(
            "\"name\":\"f\",\"partialArgs\":[{\"jsonPath\":\"$.a[99999]\",\"stringValue\":\"x\"}]"),
        CALL("\"name\":\"f\",\"partialArgs\":[{\"jsonPath\":\"$['a\",\"stringValue\":\"x\"}]"),
        CALL("\"name\":\"f\",\"partialArgs\":[{\"jsonPath\":\"$.a\",\"stringValue\":\"x\"},{"
             "\"jsonPath\":\"$.a.b\",\"stringValue\":\"x\"}]"),
        CALL("\"name\":\"f\",\"partialArgs\":[{\"jsonPath\":\"$.a[0]\",\"numberValue\":1},{"
             "\"jsonPath\":\"$.a\",\"numberValue\":1}]"),
        CALL("\"name\":\"f\",\"partialArgs\":[{\"stringValue\":\"x\"}]"),
        CALL("\"name\":\"f\",\"partialArgs\":[{\"jsonPath\":\"$.a\",\"numberValue\":1},"
             "{\"jsonPath\":\"$.a\",\"stringValue\":\"x\"}]"),
        CALL("\"name\":\"f\",\"partialArgs\":[{\"jsonPath\":\"$.a[0]\",\"numberValue\":1},"
             "{\"jsonPath\":\"$.a.b\",\"numberValue\":1}]"),
    };
    const char *verdict;
    for (size_t i = 0; i < countof(bad); i++)
        assert_int_equal(error_of(bad[i], &verdict), -ERR_UPSTREAM_PROTOCOL);
    char deep[400] =
        "data: " PARTS("{\"functionCall\":{\"name\":\"f\",\"partialArgs\":[{\"jsonPath\":\"$");
    char *at = strstr(deep, "\"$") + 2;
    for (int i = 0; i <= GEMINI_ARGS_DEPTH_MAX; i++)
        at += sprintf(at, ".a");
    strcpy(at, "\",\"numberValue\":1}]}}]}}]}\n\n");
    assert_int_equal(error_of(deep, &verdict), -ERR_UPSTREAM_PROTOCOL);
}

static void
gives_images_and_what_only_gemini_knows(void **state)
{
    (void)state;
    check(
        EVENT(PARTS("{\"text\":\"see\"},{\"inlineData\":{\"mimeType\":\"image/"
                    "png\",\"data\":\"iVBO\"},\"thoughtSignature\":\"QQ==\"}"))
            EVENT(PARTS(
                "{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"aa==\"},\"thought\":true},"
                "{\"inlineData\":{\"mimeType\":\"audio/wav\",\"data\":\"bb==\"}}"))
                EVENT(PARTS("{\"executableCode\":{\"code\":\"1\"}},{\"text\":\"done\"}"))
                    EVENT(STOP),
        START "OPEN 0 text\nDELTA 0 text text=see\nCLOSE 0 text\n"
              "OPEN 1 image name=image/png\nDELTA 1 image signature=QQ== data=iVBO "
              "origin=gemini\nCLOSE 1 image\n"
              "NATIVE name=inlineData origin=gemini\nNATIVE name=inlineData "
              "origin=gemini\nNATIVE name=executableCode origin=gemini\n"
              "OPEN 2 text\nDELTA 2 text text=done\nCLOSE 2 text\nFINISH stop\nEND\n");
}

#define GROUNDED(metadata)                                                                         \
    EVENT("{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"\"}]},\"finishReason\":\"STOP\"," \
          "\"groundingMetadata\":{" metadata "}}]}")

/* Bytes become code points of the block: "é" has two of the one and one of the other. A source that
 * nothing names is cited for all. */
static void
cites_sources_by_characters(void **state)
{
    (void)state;
    check(EVENT(PARTS("{\"text\":\"\\u00e9\\u20ac \"}"))
              EVENT(PARTS("{\"text\":\"\\ud83d\\ude00 end\"}"))
                  GROUNDED("\"groundingChunks\":[{\"web\":{\"uri\":\"https://a/"
                           "\",\"title\":\"A\"}},{\"web\":{\"uri\":\"https://b/\"}}],"
                           "\"groundingSupports\":[{\"segment\":{\"startIndex\":2,\"endIndex\":10},"
                           "\"groundingChunkIndices\":[0,7]}]"),
          START
          "OPEN 0 text\nDELTA 0 text text=\\u00e9\\u20ac \nDELTA 0 text text=\\ud83d\\ude00 end\n"
          "CITATION 0 url=https://a/ title=A "
          "native={\"web\":{\"uri\":\"https://a/\",\"title\":\"A\"}} 1..4\n"
          "CITATION 0 url=https://b/ native={\"web\":{\"uri\":\"https://b/\"}} -1..-1\n"
          "NATIVE name=groundingMetadata origin=gemini\nCLOSE 0 text\nFINISH stop\nEND\n");
}

/* The last metadata that say something win; offsets run through all the text, and each citation
 * belongs to its block. */
static void
cites_the_block_it_means(void **state)
{
    (void)state;
    check(
        EVENT(PARTS("{\"text\":\"one\"}"))
            EVENT(PARTS("{\"executableCode\":{\"code\":\"1\"}},{\"text\":\"two\"}")) EVENT(
                "{\"candidates\":[{\"groundingMetadata\":{\"webSearchQueries\":[\"old\"]}}]}")
                EVENT(
                    "{\"candidates\":[{\"finishReason\":\"STOP\",\"groundingMetadata\":{"
                    "\"groundingChunks\":[{\"retrievedContext\":{\"uri\":\"gs://"
                    "x\",\"title\":\"D\",\"text\":\"q\"}},"
                    "{\"maps\":{\"uri\":\"https://m/"
                    "\"}}],\"groundingSupports\":[{\"segment\":{\"endIndex\":3},"
                    "\"groundingChunkIndices\":[0]},"
                    "{\"segment\":{\"startIndex\":3,\"endIndex\":6},\"groundingChunkIndices\":[1]},"
                    "{\"segment\":{\"startIndex\":5,\"endIndex\":99},\"groundingChunkIndices\":[1]}"
                    "]}}]}") EVENT("{\"candidates\":[{\"groundingMetadata\":{}}]}"),
        START
        "OPEN 0 text\nDELTA 0 text text=one\nCLOSE 0 text\nNATIVE name=executableCode "
        "origin=gemini\n"
        "OPEN 1 text\nDELTA 1 text text=two\n"
        "CITATION 0 title=D quote=q "
        "native={\"retrievedContext\":{\"uri\":\"gs://x\",\"title\":\"D\",\"text\":\"q\"}} 0..3\n"
        "CITATION 1 url=https://m/ native={\"maps\":{\"uri\":\"https://m/\"}} 0..3\n"
        "CITATION 1 url=https://m/ native={\"maps\":{\"uri\":\"https://m/\"}} -1..-1\n"
        "NATIVE name=groundingMetadata origin=gemini\nCLOSE 1 text\nFINISH stop\nEND\n");
    check_body("{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"t\",\"thought\":true},{"
               "\"text\":\"abc\"},{\"text\":\"def\"}]},\"finishReason\":\"STOP\","
               "\"citationMetadata\":{\"citationSources\":[{\"startIndex\":1,\"endIndex\":2,"
               "\"uri\":\"http://c/\"},{\"endIndex\":2}]},"
               "\"groundingMetadata\":{\"groundingChunks\":[{\"web\":{\"uri\":\"https://a/"
               "\"}}],\"groundingSupports\":"
               "[{\"segment\":{\"partIndex\":2,\"startIndex\":1,\"endIndex\":3},"
               "\"groundingChunkIndices\":[0]}]}}]}",
               "START\nOPEN 0 thinking\nDELTA 0 thinking text=t\nCLOSE 0 thinking\nOPEN 1 "
               "text\nDELTA 1 text text=abc\nDELTA 1 text text=def\n"
               "CITATION 1 url=https://a/ native={\"web\":{\"uri\":\"https://a/\"}} 4..6\n"
               "CITATION 1 url=http://c/ "
               "native={\"startIndex\":1,\"endIndex\":2,\"uri\":\"http://c/\"} 1..2\n"
               "NATIVE name=groundingMetadata origin=gemini\nCLOSE 1 text\nFINISH stop\nEND\n");
}

static void
knows_why_it_ended(void **state)
{
    (void)state;
    static const struct {
        const char *word, *finish;
    } rows[] = {
        {"\"STOP\"", "stop"},
        {"\"MAX_TOKENS\"", "length"},
        {"\"SAFETY\"", "filter"},
        {"\"RECITATION\"", "filter"},
        {"\"BLOCKLIST\"", "filter"},
        {"\"PROHIBITED_CONTENT\"", "filter"},
        {"\"SPII\"", "filter"},
        {"\"MODEL_ARMOR\"", "filter"},
        {"\"IMAGE_SAFETY\"", "filter"},
        {"\"LANGUAGE\"", "other"},
        {"\"OTHER\"", "other"},
        {"\"IMAGE_PROHIBITED_CONTENT\"", "filter"},
        {"\"NEW_WORD\"", "other"},
        {"1", "stop"},
        {"2", "length"},
        {"3", "filter"},
        {"4", "filter"},
        {"5", "other"},
        {"17", "other"},
        {"\"NO_IMAGE\"", "other"},
        {"\"IMAGE_RECITATION\"", "filter"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        char body[200], lines[200];
        (void)snprintf(body, sizeof(body),
                       "{\"candidates\":[{\"content\":{},\"finishReason\":%s}]}", rows[i].word);
        (void)snprintf(lines, sizeof(lines), "START\nFINISH %s\nEND\n", rows[i].finish);
        check_body(body, lines);
    }
}

/* A failed call never looks like a normal end. */
static void
tells_failed_calls(void **state)
{
    (void)state;
    static const char *const words[] = {"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL",
                                        "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE"};
    for (size_t i = 0; i < countof(words); i++) {
        char body[200], lines[200];
        (void)snprintf(body, sizeof(body),
                       "{\"candidates\":[{\"content\":{},\"finishReason\":\"%s\",\"finishMessage\":"
                       "\"bad \\\"x\\\"\"}]}",
                       words[i]);
        (void)snprintf(lines, sizeof(lines), "START\nERROR upstream: %s: bad \"x\"\n", words[i]);
        check_body(body, lines);
    }
}

static void
tells_a_blocked_prompt(void **state)
{
    (void)state;
    check(EVENT("{\"promptFeedback\":{\"blockReason\":\"PROHIBITED_CONTENT\"},\"usageMetadata\":{"
                "\"promptTokenCount\":7,\"totalTokenCount\":7},\"responseId\":\"r\"}"),
          START "USAGE in=7 out=0\nFINISH filter\nEND\n");
    check_body("{\"promptFeedback\":{\"safetyRatings\":[]},\"candidates\":[{\"content\":{\"parts\":"
               "[{\"text\":\"a\"}]},\"finishReason\":\"STOP\"}]}",
               "START\nOPEN 0 text\nDELTA 0 text text=a\nCLOSE 0 text\nFINISH stop\nEND\n");
}

/* Counters are cumulative, some come only now and then, thoughts are no candidates' tokens (P62),
 * tool use is prompt. */
static void
counts_tokens(void **state)
{
    (void)state;
    check(
        EVENT("{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}],\"usageMetadata\":{"
              "\"trafficType\":\"ON_DEMAND\"},\"responseId\":\"r\"}")
            EVENT(
                "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"b\"}]}}],\"usageMetadata\":{"
                "\"promptTokenCount\":\"10\",\"thoughtsTokenCount\":5,\"toolUsePromptTokenCount\":"
                "2}}")
                EVENT(
                    "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"c\"}]},\"finishReason\":"
                    "\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":10,"
                    "\"candidatesTokenCount\":"
                    "3,\"cachedContentTokenCount\":4}}"),
        START
        "OPEN 0 text\nDELTA 0 text text=a\nDELTA 0 text text=b\nUSAGE in=12 out=5 reasoning=5\n"
        "DELTA 0 text text=c\nUSAGE in=12 read=4 out=8 reasoning=5\nCLOSE 0 text\nFINISH "
        "stop\nEND\n");
}

static void
reads_several_candidates(void **state)
{
    (void)state;
    check_body(
        "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"finishReason\":\"STOP\"},"
        "{\"index\":1,\"content\":{\"parts\":[{\"functionCall\":{\"id\":\"c\",\"name\":\"f\"}}]},"
        "\"finishReason\":\"STOP\"}]}",
        "START\nOPEN 0 text\nDELTA 0 text text=a\nOPEN 1 call id=c name=f\nCLOSE 1 call\nCLOSE 0 "
        "text\nFINISH stop\nFINISH calls\nEND\n");
    const char *verdict;
    assert_int_equal(error_of(EVENT("{\"candidates\":[{\"index\":64}]}"), &verdict),
                     -ERR_UPSTREAM_PROTOCOL);
}

static void
reads_probabilities(void **state)
{
    (void)state;
    check_body("{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hi\"}]},\"finishReason\":"
               "\"STOP\",\"logprobsResult\":{"
               "\"chosenCandidates\":[{\"token\":\"H\",\"logProbability\":-0.5},{\"token\":\"i\"}],"
               "\"topCandidates\":[{\"candidates\":[{\"token\":\"H\",\"logProbability\":-0.5},{"
               "\"token\":\"h\",\"logProbability\":-2}]}]}}]}",
               "START\nOPEN 0 text\nDELTA 0 text text=Hi [H -0.5 (H -0.5) (h -2)] [i 0]\nCLOSE 0 "
               "text\nFINISH stop\nEND\n");
    /* They go with the text, wherever it stands. */
    check_body(
        "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hi\"},{\"functionCall\":{\"id\":"
        "\"c\","
        "\"name\":\"f\",\"args\":{}}},{\"text\":\"t\",\"thought\":true}]},\"finishReason\":"
        "\"STOP\","
        "\"logprobsResult\":{\"chosenCandidates\":[{\"token\":\"Hi\",\"logProbability\":-1}]}}]}",
        "START\nOPEN 0 text\nDELTA 0 text text=Hi [Hi -1]\nCLOSE 0 text\nOPEN 1 call id=c "
        "name=f\nDELTA 1 call text={}\nCLOSE 1 call\nOPEN 2 thinking\nDELTA 2 thinking text=t\n"
        "CLOSE 2 thinking\nFINISH calls\nEND\n");
}

static void
tells_errors_in_the_stream(void **state)
{
    (void)state;
    static const char report[] =
        "{\"error\":{\"code\":429,\"message\":\"slow\",\"status\":\"RESOURCE_EXHAUSTED\","
        "\"details\":"
        "[{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\",\"retryDelay\":\"2.5s\"}]}}";
    char text[600];
    (void)snprintf(text, sizeof(text), EVENT(PARTS("{\"text\":\"a\"}")) "data: %s\n\n" EVENT(STOP),
                   report);
    check(text, START "OPEN 0 text\nDELTA 0 text text=a\nERROR rate_limit: slow\n");
    (void)snprintf(text, sizeof(text), EVENT(PARTS("{\"text\":\"a\"}")) "data: [%s]\n\n", report);
    check(text, START "OPEN 0 text\nDELTA 0 text text=a\nERROR rate_limit: slow\n");
    (void)snprintf(text, sizeof(text), "[%s]", report);
    check_body(text, "ERROR rate_limit: slow\n");
}

/* P65, P66: the end of a body is the end of a reply only behind a finish. */
static void
misses_a_finish(void **state)
{
    (void)state;
    check(EVENT(PARTS("{\"text\":\"a\"}")),
          START "OPEN 0 text\nDELTA 0 text text=a\nERROR upstream: upstream closed the connection "
                "before the reply was complete\n");
    check("", "ERROR upstream: upstream closed the connection before the reply was complete\n");
    check(EVENT(STOP) EVENT("[DONE]") "data:\n\n", "START\nFINISH stop\nEND\n");
    check_body("{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}",
               "START\nOPEN 0 text\nDELTA 0 text text=a\nCLOSE 0 text\nFINISH stop\nEND\n");
}

static void
reads_bodies_of_any_form(void **state)
{
    (void)state;
    check_body(
        "[" PARTS("{\"text\":\"a\"}") ",\n" PARTS("{\"text\":\"b\"}") "," STOP "]", START
        "OPEN 0 text\nDELTA 0 text text=a\nDELTA 0 text text=b\nCLOSE 0 text\nFINISH stop\nEND\n");
    check_body("[" PARTS("{\"text\":\"a\"}") "]",
               START "OPEN 0 text\nDELTA 0 text text=a\nERROR upstream: upstream closed the "
                     "connection before the reply was complete\n");
    check_body("{\"usageMetadata\":{}}", "START\nUPSTREAM_PROTOCOL\n");
    check_body("[1]", "UPSTREAM_PROTOCOL\n");
    check_body("\"x\"", "UPSTREAM_PROTOCOL\n");
    check_body("<html>", "UPSTREAM_PROTOCOL\n");
    check_body("{\"candidates\":[7]}", "START\nUPSTREAM_PROTOCOL\n");
    check_body("{\"candidates\":[{\"content\":{\"parts\":{\"text\":\"bare\"}},\"finishReason\":"
               "\"STOP\"}]}",
               "START\nOPEN 0 text\nDELTA 0 text text=bare\nCLOSE 0 text\nFINISH stop\nEND\n");
}

/* Arguments that were laid out over lines lose the space between their tokens, and only that. */
static void
lays_arguments_in_one_line(void **state)
{
    (void)state;
    check_body(
        "{\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"id\":\"c\",\"name\":\"f\","
        "\"args\":{\n"
        "\t\"a b\" : \"x \\\" y \\\\\" , \r\n\"c\": [ 1, 2 ]\n}}}]},\"finishReason\":\"STOP\"}]}",
        "START\nOPEN 0 call id=c name=f\n"
        "DELTA 0 call text={\\\"a b\\\":\\\"x \\\\\\\" y \\\\\\\\\\\",\\\"c\\\":[1,2]}\n"
        "CLOSE 0 call\nFINISH calls\nEND\n");
}

/* ---------------------------------------------------------------- chunks like the last */

#define LIKE(space, index, thought, text, prompt, made)                                            \
    "data: {\"candidates\":" space "[{\"content\":{\"parts\":[{" thought "\"text\":\"" text        \
    "\"}],\"role\":\"model\"},\"index\":" index "}],"                                              \
    "\"usageMetadata\":{\"promptTokenCount\":" prompt ",\"candidatesTokenCount\":" made            \
    ",\"promptTokensDetails\":[{\"modality\":\"TEXT\",\"tokenCount\":" prompt                      \
    "}]},\"responseId\":\"r1\"}\n\n"

/* The same events whether a chunk is recognised or, spelt a little otherwise, parsed. */
static void
recognises_chunks_like_the_last(void **state)
{
    (void)state;
    const char *alike = LIKE("", "0", "", "a", "9", "1") LIKE("", "0", "", "b\\n\\u00e9", "9", "12")
        LIKE("", "0", "", "c", "9", "12") LIKE("", "0", "", "d", "10", "123") EVENT(STOP);
    const char *unlike =
        LIKE("", "0", "", "a", "9", "1") LIKE(" ", "0", "", "b\\n\\u00e9", "9", "12")
            LIKE("", "0", "", "c", "9", "12") LIKE("  ", "0", "", "d", "10", "123") EVENT(STOP);
    const char *lines = "START id=r1\nOPEN 0 text\nDELTA 0 text text=a\nUSAGE in=9 out=1\nDELTA 0 "
                        "text text=b\\n\\u00e9\nUSAGE in=9 out=12\n"
                        "DELTA 0 text text=c\nDELTA 0 text text=d\nUSAGE in=10 out=123\nCLOSE 0 "
                        "text\nFINISH stop\nEND\n";
    check(alike, lines);
    check(unlike, lines);
}

/* What looks like the last chunk and is not: another candidate, a number that is none, a string
 * that is none. */
static void
is_not_taken_in_by_likeness(void **state)
{
    (void)state;
    const char *verdict;
#define TWICE LIKE("", "0", "", "a", "9", "1") LIKE("", "0", "", "b", "9", "2")
    check(TWICE LIKE("", "1", "", "c", "9", "3")
              EVENT("{\"candidates\":[{\"index\":0,\"finishReason\":\"STOP\"},{\"index\":1,"
                    "\"finishReason\":\"STOP\"}]}"),
          "START id=r1\nOPEN 0 text\nDELTA 0 text text=a\nUSAGE in=9 out=1\nDELTA 0 text "
          "text=b\nUSAGE in=9 out=2\n"
          "OPEN 1 text\nDELTA 1 text text=c\nUSAGE in=9 out=3\nCLOSE 0 text\nFINISH stop\nCLOSE 1 "
          "text\nFINISH stop\nEND\n");
    check(TWICE LIKE("", "0", "\"thought\":true,", "c", "9", "2") EVENT(STOP),
          "START id=r1\nOPEN 0 text\nDELTA 0 text text=a\nUSAGE in=9 out=1\nDELTA 0 text "
          "text=b\nUSAGE in=9 out=2\n"
          "CLOSE 0 text\nOPEN 1 thinking\nDELTA 1 thinking text=c\nCLOSE 1 thinking\nFINISH "
          "stop\nEND\n");
    assert_int_equal(error_of(TWICE LIKE("", "0", "", "c", "9", "03"), &verdict),
                     -ERR_UPSTREAM_PROTOCOL);
    assert_int_equal(error_of(TWICE LIKE("", "0", "", "c\\x", "9", "3"), &verdict),
                     -ERR_UPSTREAM_PROTOCOL);
    assert_int_equal(error_of(TWICE LIKE("", "0", "", "c", "9", ""), &verdict),
                     -ERR_UPSTREAM_PROTOCOL);
    assert_int_equal(error_of(TWICE LIKE("", "0", "", "c", "9", "3e"), &verdict),
                     -ERR_UPSTREAM_PROTOCOL);
    assert_int_equal(error_of(TWICE LIKE("", "00", "", "c", "9", "3"), &verdict),
                     -ERR_UPSTREAM_PROTOCOL);
    assert_int_equal(
        error_of(TWICE LIKE("", "0", "", "c", "9", "3") "data: {\"candidates\":\n\n", &verdict),
        -ERR_UPSTREAM_PROTOCOL);
}

/* Text that is over a line's length is written in pieces; the raw event does not pass. */
static void
splits_text_that_is_too_long(void **state)
{
    (void)state;
    size_t n = 70000;
    char *text = malloc(n + 400);
    assert_non_null(text);
    char *at = text + sprintf(text, "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"");
    memset(at, 'x', n);
    strcpy(at + n, "\"}]},\"index\":0,\"finishReason\":\"STOP\"}],\"responseId\":\"r\"}\n\n");
    struct relay relay = {
        .upstream = &gemini_dialect,
        .client = &gemini_dialect,
        .options = {.stream = true, .id = SLICE_LIT("i"), .model = SLICE_LIT("m")}};
    relay_stream(&relay, slice_from(text), 4096, 1);
    assert_int_equal(relay.error, 0);
    assert_int_equal(relay.flaws, 1u << FLAW_OVERSIZE_LINE);
    struct slice out = sink_slice(&relay.out);
    for (struct slice line = text_split(&out, '\n'); slice_present(line);
         line = text_split(&out, '\n'))
        assert_true(line.len < 65536);
    assert_true(text_find(sink_slice(&relay.out), SLICE_LIT("\"finishReason\":\"STOP\"")) > 0);
    relay_close(&relay);
    free(text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joins_text_and_thoughts),
        cmocka_unit_test(takes_signatures_from_any_part),
        cmocka_unit_test(reads_calls_in_several_chunks),
        cmocka_unit_test(puts_partial_arguments_together),
        cmocka_unit_test(ends_partial_calls),
        cmocka_unit_test(tells_an_unfinished_call),
        cmocka_unit_test(refuses_impossible_places),
        cmocka_unit_test(gives_images_and_what_only_gemini_knows),
        cmocka_unit_test(cites_sources_by_characters),
        cmocka_unit_test(cites_the_block_it_means),
        cmocka_unit_test(knows_why_it_ended),
        cmocka_unit_test(tells_failed_calls),
        cmocka_unit_test(tells_a_blocked_prompt),
        cmocka_unit_test(counts_tokens),
        cmocka_unit_test(reads_several_candidates),
        cmocka_unit_test(reads_probabilities),
        cmocka_unit_test(tells_errors_in_the_stream),
        cmocka_unit_test(misses_a_finish),
        cmocka_unit_test(reads_bodies_of_any_form),
        cmocka_unit_test(lays_arguments_in_one_line),
        cmocka_unit_test(recognises_chunks_like_the_last),
        cmocka_unit_test(is_not_taken_in_by_likeness),
        cmocka_unit_test(splits_text_that_is_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
