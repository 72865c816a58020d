/* SPDX-License-Identifier: MIT
 *
 * test_openai_chat_extras.c - what Chat replies say besides text and calls, read and written;
 * requests of other dialects' clients for a Chat upstream; the targets of Azure.
 */
#include "tests/unit/providers/asking.h"
#include "tests/unit/providers/relay.h"

#include "base/text.h"
#include "providers/openai_chat.h"

#include <time.h>

#define CHUNK(delta, rest)                                                                         \
    "data: {\"id\":\"c\",\"model\":\"m\",\"created\":1,\"choices\":[{\"index\":0,\"delta\":" delta \
        rest "}]}\n\n"
#define FINISH CHUNK("{}", ",\"finish_reason\":\"stop\"") "data: [DONE]\n\n"
#define ROLE CHUNK("{\"role\":\"assistant\",\"content\":\"\"}", "")
#define TEXT(text) CHUNK("{\"content\":\"" text "\"}", "")
#define OPENING "START id=c model=m\n"
#define CLOSING "FINISH stop\nEND\n"

static void
lines(const char *stream, const char *expected)
{
    struct relay relay = {
        .upstream = &openai_chat_dialect,
        .client = &openai_chat_dialect,
        .options = {.stream = true, .id = SLICE_LIT("abc"), .model = SLICE_LIT("m")}};
    relay_check_lines(&relay, stream, expected);
}

static void
reads_sources(void **state)
{
    (void)state;
    lines(ROLE TEXT("Hello") CHUNK(
              "{\"annotations\":[{\"type\":\"url_citation\",\"url_citation\":{\"start_index\":"
              "1,\"end_index\":5,\"title\":\"T\",\"url\":\"u\",\"content\":\"q\"}}]}",
              "") FINISH,
          OPENING "OPEN 0 text\nDELTA 0 text text=Hello\n"
                  "CITATION 0 url=u title=T quote=q "
                  "native={\"type\":\"url_citation\",\"url_citation\":{\"start_index\":"
                  "1,\"end_index\":5,\"title\":\"T\",\"url\":\"u\",\"content\":\"q\"}} 1..5\n"
                  "CLOSE 0 text\n" CLOSING);
    /* Before any text, and of a second text: no positions that could be trusted; of a file; of
     * nothing. */
    lines(
        ROLE CHUNK("{\"annotations\":[{\"type\":\"file_citation\",\"filename\":\"F\"},7,null]}", "")
            TEXT("a") CHUNK("{\"reasoning_content\":\"r\"}", "") TEXT("b")
                CHUNK("{\"annotations\":[{\"url\":\"u\",\"start_index\":0,\"end_index\":1}]}", "")
                    FINISH,
        OPENING "OPEN 0 text\nCITATION 0 title=F "
                "native={\"type\":\"file_citation\",\"filename\":\"F\"} -1..-1\n"
                "DELTA 0 text text=a\nCLOSE 0 text\nOPEN 1 thinking\nDELTA 1 thinking "
                "text=r\nCLOSE 1 thinking\n"
                "OPEN 2 text\nDELTA 2 text text=b\n"
                "CITATION 2 url=u native={\"url\":\"u\",\"start_index\":0,\"end_index\":1} -1..-1\n"
                "CLOSE 2 text\n" CLOSING);
}

/* Perplexity and xAI repeat a list beside the choices; it is said once, before the finish. */
static void
reads_lists_of_sources(void **state)
{
    (void)state;
    lines("data: "
          "{\"id\":\"c\",\"model\":\"m\",\"citations\":[\"u1\"],\"choices\":[{\"delta\":{\"role\":"
          "\"assistant\","
          "\"content\":\"a\"}}]}\n\n"
          "data: "
          "{\"id\":\"c\",\"model\":\"m\",\"citations\":[\"u1\",\"u2\"],\"search_results\":[{"
          "\"url\":\"u1\","
          "\"title\":\"One\"},{\"title\":\"none\"}],\"choices\":[{\"delta\":{},\"finish_reason\":"
          "\"stop\"}]}\n\n"
          "data: [DONE]\n\n",
          OPENING "OPEN 0 text\nDELTA 0 text text=a\n"
                  "CITATION 0 url=u1 title=One native={\"url\":\"u1\",\"title\":\"One\"} -1..-1\n"
                  "CLOSE 0 text\n" CLOSING);
    lines("data: "
          "{\"id\":\"c\",\"model\":\"m\",\"citations\":[\"u1\",7],\"choices\":[{\"delta\":{"
          "\"role\":\"assistant\","
          "\"content\":\"a\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1,"
          "\"completion_tokens\":1}}\n\n"
          "data: [DONE]\n\n",
          OPENING
          "OPEN 0 text\nDELTA 0 text text=a\nCITATION 0 url=u1 native=\"u1\" -1..-1\nCLOSE 0 text\n"
          "FINISH stop\nUSAGE in=1 out=1\nEND\n");
    /* Not beside annotations, which say it better; not without any text. */
    lines(ROLE TEXT("a") CHUNK("{\"annotations\":[{\"url\":\"u\"}]}",
                               "") "data: "
                                   "{\"id\":\"c\",\"citations\":[\"u1\"],\"choices\":[{\"delta\":{}"
                                   ",\"finish_reason\":\"stop\"}]}\n\n"
                                   "data: [DONE]\n\n",
          OPENING "OPEN 0 text\nDELTA 0 text text=a\nCITATION 0 url=u native={\"url\":\"u\"} "
                  "-1..-1\nCLOSE 0 text\n" CLOSING);
    lines(ROLE "data: "
               "{\"id\":\"c\",\"citations\":[\"u1\"],\"choices\":[{\"delta\":{},\"finish_reason\":"
               "\"stop\"}]}\n\n"
               "data: [DONE]\n\n",
          OPENING CLOSING);
}

static void
reads_images(void **state)
{
    (void)state;
    lines(ROLE TEXT("a")
              CHUNK("{\"images\":[{\"type\":\"image_url\",\"image_url\":{\"url\":"
                    "\"data:image/png;base64,AAAA\"}},{\"image_url\":\"https://x/y.png\"},"
                    "{\"image_url\":\"data:text/plain,a\"},{}]}",
                    "") FINISH,
          OPENING "OPEN 0 text\nDELTA 0 text text=a\nCLOSE 0 text\n"
                  "OPEN 1 image name=image/png\nDELTA 1 image data=AAAA\nCLOSE 1 image\n"
                  "NATIVE name=image_url\nNATIVE name=image_url\nNATIVE name=image_url\n" CLOSING);
}

static void
reads_token_probabilities(void **state)
{
    (void)state;
#define TOKEN(word)                                                                                \
    "{\"token\":\"" word                                                                           \
    "\",\"logprob\":-0.5,\"bytes\":null,\"top_logprobs\":[{\"token\":\"x\",\"logprob\":-1}]}"
    const char *stream = ROLE CHUNK("{\"content\":\"a\"}",
                                    ",\"logprobs\":{\"content\":[" TOKEN("a") "],\"refusal\":null}")
        CHUNK("{\"content\":\"a\"}",
              ",\"logprobs\":{\"content\":[" TOKEN("a") "],\"refusal\":null}")
            CHUNK("{\"content\":\"a\"}",
                  ",\"logprobs\":{\"content\":[" TOKEN("a") "],\"refusal\":null}")
                CHUNK("{\"content\":\"\"}", ",\"logprobs\":{\"content\":[" TOKEN("\\\\xf0") "]}")
                    CHUNK("{\"refusal\":\"no\"}",
                          ",\"logprobs\":{\"content\":null,\"refusal\":[" TOKEN("no") ",{}]}")
                        FINISH;
    lines(stream, OPENING
          "OPEN 0 text\nDELTA 0 text text=a [a -0.5 (x -1)]\nDELTA 0 text text=a [a -0.5 (x -1)]\n"
          "DELTA 0 text text=a [a -0.5 (x -1)]\n"
          "DELTA 0 text text= [\\\\xf0 -0.5 (x -1)]\nCLOSE 0 text\n"
          "OPEN 1 refusal\nDELTA 1 refusal text=no [no -0.5 (x -1)]\nCLOSE 1 refusal\n" CLOSING);
}

static void
reads_whose_state_it_is(void **state)
{
    (void)state;
#define DETAIL(rest) CHUNK("{\"reasoning_details\":[{" rest "}]}", "")
    lines(
        ROLE DETAIL("\"type\":\"reasoning.text\",\"text\":\"a\",\"signature\":\"s\",\"format\":"
                    "\"anthropic-claude-v1\"") DETAIL(
            "\"type\":\"reasoning.encrypted\",\"data\":\"d\",\"format\":\"openai-responses-v1\"")
            DETAIL("\"type\":\"reasoning.encrypted\",\"data\":\"e\",\"format\":\"google-gemini-"
                   "v1\"") DETAIL(
                "\"type\":\"reasoning.encrypted\",\"data\":\"f\",\"format\":\"xai-responses-v1\"")
                FINISH,
        OPENING
        "OPEN 0 thinking\nDELTA 0 thinking text=a\nDELTA 0 thinking signature=s origin=anthropic\n"
        "CLOSE 0 thinking\nOPEN 1 redacted data=d origin=responses\nCLOSE 1 redacted\n"
        "OPEN 2 redacted data=e origin=gemini\nCLOSE 2 redacted\n"
        "OPEN 3 redacted data=f origin=chat\nCLOSE 3 redacted\n" CLOSING);
#define GOOGLE(word) "\"extra_content\":{\"google\":{\"thought_signature\":\"" word "\"}}"
    lines(ROLE TEXT("a") CHUNK("{" GOOGLE("t") "}", "")
              CHUNK("{\"tool_calls\":[{\"index\":0,\"id\":\"i\",\"type\":\"function\",\"function\":"
                    "{\"name\":\"f\",\"arguments\":"
                    "\"{}\"}," GOOGLE("s") "},{\"index\":0," GOOGLE("late") "}]}",
                    "") "data: "
                        "{\"id\":\"c\",\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}"
                        "]}\n\ndata: [DONE]\n\n",
          OPENING
          "OPEN 0 text\nDELTA 0 text text=a\nDELTA 0 text signature=t origin=gemini\nCLOSE 0 text\n"
          "OPEN 1 call id=i name=f signature=s origin=gemini\nDELTA 1 call text={}\n"
          "DELTA 1 call signature=late origin=gemini\nCLOSE 1 call\nFINISH calls\nEND\n");
    /* A signature and no text: of a thought that is not shown. */
    lines(
        ROLE CHUNK("{" GOOGLE("t") "}", "") FINISH, OPENING
        "OPEN 0 thinking\nDELTA 0 thinking signature=t origin=gemini\nCLOSE 0 thinking\n" CLOSING);
}

/* ---------------------------------------------------------------- written */

struct writing {
    struct arena arena, scratch;
    struct frames frames;
    struct canon_events events;
    struct sink out;
    struct canon_citation citation;
    struct canon_logprob token, other;
    uint32_t unsaid;
    void *writer;
};

static struct canon_event *
add(struct writing *at, enum canon_event_kind kind, uint32_t block, enum canon_block type)
{
    struct canon_event *event = canon_add(&at->events, kind);
    assert_non_null(event);
    event->block = block;
    event->type = type;
    return event;
}

/* Every kind of thing that only some dialects have, as one reply. */
static void
make_reply(struct writing *at)
{
    add(at, CANON_START, 0, BLOCK_TEXT)->id = SLICE_LIT("up");
    add(at, CANON_OPEN, 0, BLOCK_THINKING);
    add(at, CANON_DELTA, 0, BLOCK_THINKING)->text = SLICE_LIT("hm");
    struct canon_event *event = add(at, CANON_DELTA, 0, BLOCK_THINKING);
    event->signature = SLICE_LIT("S");
    event->origin = ORIGIN_RESPONSES;
    add(at, CANON_CLOSE, 0, BLOCK_THINKING);
    event = add(at, CANON_OPEN, 1, BLOCK_REDACTED);
    event->data = SLICE_LIT("D");
    event->origin = ORIGIN_CHAT;
    add(at, CANON_CLOSE, 1, BLOCK_REDACTED);
    add(at, CANON_OPEN, 2, BLOCK_TEXT);
    event = add(at, CANON_DELTA, 2, BLOCK_TEXT);
    event->text = SLICE_LIT("\\ud83d\\ude00\\u00e9 \xc3\xa9");
    event->logprobs = &at->token;
    at->token = (struct canon_logprob){
        .token = SLICE_LIT("x"), .logprob = SLICE_LIT("-1"), .top = &at->other};
    at->other = (struct canon_logprob){
        .token = SLICE_LIT("y"), .logprob = SLICE_LIT("-2"), .bytes = SLICE_LIT("[121]")};
    add(at, CANON_CITATION, 2, BLOCK_TEXT)->citation = &at->citation;
    at->citation = (struct canon_citation){
        .url = SLICE_LIT("u"), .title = SLICE_LIT("t"), .start = -1, .end = -1};
    static struct canon_citation document = {
        .quote = SLICE_LIT("q"), .start = -1, .origin = ORIGIN_ANTHROPIC};
    add(at, CANON_CITATION, 2, BLOCK_TEXT)->citation = &document;
    event = add(at, CANON_DELTA, 2, BLOCK_TEXT);
    event->signature = SLICE_LIT("T");
    event->origin = ORIGIN_GEMINI;
    add(at, CANON_CLOSE, 2, BLOCK_TEXT);
    add(at, CANON_OPEN, 3, BLOCK_IMAGE)->name = SLICE_LIT("image/png");
    add(at, CANON_DELTA, 3, BLOCK_IMAGE)->data = SLICE_LIT("AA");
    add(at, CANON_DELTA, 3, BLOCK_IMAGE)->data = SLICE_LIT("BB");
    add(at, CANON_CLOSE, 3, BLOCK_IMAGE);
    event = add(at, CANON_OPEN, 4, BLOCK_CALL);
    event->id = SLICE_LIT("i");
    event->name = SLICE_LIT("f");
    event->signature = SLICE_LIT("G");
    event->origin = ORIGIN_GEMINI;
    add(at, CANON_CLOSE, 4, BLOCK_CALL);
    event = add(at, CANON_NATIVE, 0, BLOCK_TEXT);
    event->name = SLICE_LIT("groundingMetadata");
    event->native = SLICE_LIT(
        "{\"webSearchQueries\":[\"q\"],\"searchEntryPoint\":{\"renderedContent\":\"<b>\"},"
        "\"groundingChunks\":[{\"web\":{\"uri\":\"u\",\"title\":\"t\"}},{\"other\":1}]}");
    event = add(at, CANON_NATIVE, 0, BLOCK_TEXT);
    event->name = SLICE_LIT("odd");
    event->native = SLICE_LIT("{}");
    add(at, CANON_FINISH, 0, BLOCK_TEXT)->finish = FINISH_CALLS;
    add(at, CANON_END, 0, BLOCK_TEXT);
}

static void
write_reply(struct writing *at, bool stream, bool one_by_one)
{
    struct dialect_writer_options options = {
        .stream = stream, .id = SLICE_LIT("abc"), .model = SLICE_LIT("m"), .created_s = 1};
    *at = (struct writing){.unsaid = 0};
    arena_init(&at->arena, 8u << 20);
    arena_init(&at->scratch, 8u << 20);
    sink_init(&at->out, 1u << 20);
    frames_init(&at->frames, 1u << 20);
    canon_events_init(&at->events, &at->scratch);
    at->writer = calloc(1, openai_chat_dialect.writer_bytes);
    assert_non_null(at->writer);
    assert_int_equal(openai_chat_dialect.writer_init(at->writer, &options, &at->arena), 0);
    make_reply(at);
    struct canon_events part = at->events;
    for (int i = 0; i < at->events.count; i += part.count) {
        part = at->events;
        part.at += i;
        part.count = one_by_one ? 1 : at->events.count;
        assert_int_equal(openai_chat_dialect.write_events(at->writer, &part, &at->frames), 0);
        for (int n = 0; n < at->frames.count; n++) {
            const struct frame *frame = &at->frames.at[n];
            struct slice data =
                slice_of(sink_slice(&at->frames.bytes).ptr + frame->start, frame->len);
            ptrdiff_t delta = text_find(data, SLICE_LIT("\"delta\":"));
            sink_put(&at->out, delta < 0 ? data : slice_skip(data, (size_t)delta + 8));
            sink_byte(&at->out, '\n');
        }
        at->unsaid += at->frames.unsaid;
        frames_clear(&at->frames);
    }
    if (!stream)
        assert_int_equal(openai_chat_dialect.write_whole(at->writer, &at->out), 0);
    sink_byte(&at->out, '\0');
}

static void
end_writing(struct writing *at)
{
    openai_chat_dialect.writer_fini(at->writer);
    free(at->writer);
    sink_fini(&at->out);
    frames_fini(&at->frames);
    arena_fini(&at->scratch);
    arena_fini(&at->arena);
}

#define REST "},\"logprobs\":null,\"finish_reason\":null}]}\n"

static void
writes_chunks_of_everything(void **state)
{
    (void)state;
    for (int one_by_one = 0; one_by_one < 2; one_by_one++) {
        struct writing at;
        write_reply(&at, true, one_by_one);
        assert_string_equal(
            sink_slice(&at.out).ptr,
            "{\"role\":\"assistant\",\"content\":\"\"" REST "{\"reasoning_content\":\"hm\"" REST
            "{\"reasoning_details\":[{\"type\":\"reasoning.text\",\"index\":0,\"text\":\"\","
            "\"signature\":"
            "\"penstock.1.responses.Uw\"}]" REST "{\"reasoning_details\":[{\"type\":\"reasoning."
                                                 "encrypted\",\"index\":1,\"data\":\"D\"}]" REST
            "{\"content\":\"\\ud83d\\ude00\\u00e9 "
            "\xc3\xa9\"},\"logprobs\":{\"content\":[{\"token\":\"x\",\"logprob\":-1,"
            "\"bytes\":null,\"top_logprobs\":[{\"token\":\"y\",\"logprob\":-2,\"bytes\":[121]}]}],"
            "\"refusal\":null},"
            "\"finish_reason\":null}]}\n"
            "{\"extra_content\":{\"google\":{\"thought_signature\":\"T\"}}" REST
            "{\"annotations\":[{\"type\":\"url_citation\",\"url_citation\":{\"start_index\":0,"
            "\"end_index\":4,\"title\":\"t\","
            "\"url\":\"u\"}}]" REST "{\"images\":[{\"type\":\"image_url\",\"image_url\":{\"url\":"
                                    "\"data:image/png;base64,AABB\"},\"index\":0}]" REST
            "{\"tool_calls\":[{\"index\":0,\"id\":\"i\",\"type\":\"function\",\"function\":{"
            "\"name\":\"f\",\"arguments\":\"\"},"
            "\"extra_content\":{\"google\":{\"thought_signature\":\"G\"}}}]" REST
            "{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{}\"}}]" REST
            "{},\"logprobs\":null,\"finish_reason\":\"tool_calls\"}],\"grounding\":{\"web_search_"
            "queries\":[\"q\"],\"sources\":["
            "{\"uri\":\"u\",\"title\":\"t\"}],\"search_entry_point\":\"<b>\"}}\n"
            "[DONE]\n");
        assert_int_equal(at.unsaid, 2); /* a document's citation, and what nobody knows */
        end_writing(&at);
    }
}

static void
writes_objects_of_everything(void **state)
{
    (void)state;
    struct writing at;
    write_reply(&at, false, true);
    assert_string_equal(sink_slice(&at.out).ptr,
                        "{\"id\":\"chatcmpl-abc\",\"object\":\"chat.completion\",\"created\":1,"
                        "\"model\":\"m\",\"choices\":[{\"index\":0,"
                        "\"message\":{\"role\":\"assistant\",\"content\":\"\\ud83d\\ude00\\u00e9 "
                        "\xc3\xa9\",\"refusal\":null,"
                        "\"reasoning_content\":\"hm\",\"reasoning_details\":[{\"type\":\"reasoning."
                        "text\",\"index\":0,\"text\":\"hm\","
                        "\"signature\":\"penstock.1.responses.Uw\"},{\"type\":\"reasoning."
                        "encrypted\",\"index\":1,\"data\":\"D\"}],"
                        "\"annotations\":[{\"type\":\"url_citation\",\"url_citation\":{\"start_"
                        "index\":0,\"end_index\":4,\"title\":\"t\",\"url\":"
                        "\"u\"}}],\"images\":[{\"type\":\"image_url\",\"image_url\":{\"url\":"
                        "\"data:image/png;base64,AABB\"},\"index\":0}],"
                        "\"extra_content\":{\"google\":{\"thought_signature\":\"T\"}},\"tool_"
                        "calls\":[{\"id\":\"i\",\"type\":\"function\","
                        "\"function\":{\"name\":\"f\",\"arguments\":\"{}\"},\"extra_content\":{"
                        "\"google\":{\"thought_signature\":\"G\"}}}]},"
                        "\"logprobs\":{\"content\":[{\"token\":\"x\",\"logprob\":-1,\"bytes\":null,"
                        "\"top_logprobs\":[{\"token\":\"y\",\"logprob\":"
                        "-2,\"bytes\":[121]}]}],\"refusal\":null},\"finish_reason\":\"tool_calls\"}"
                        "],\"images\":[{\"b64_json\":\"AABB\","
                        "\"content_type\":\"image/"
                        "png\"}],\"grounding\":{\"web_search_queries\":[\"q\"],\"sources\":[{"
                        "\"uri\":\"u\",\"title\":"
                        "\"t\"}],\"search_entry_point\":\"<b>\"}}");
    assert_int_equal(at.unsaid, 2);
    end_writing(&at);
}

/* ---------------------------------------------------------------- requests */

/* The request of another dialect's client, as a Chat upstream gets it. */
static void
asks(const struct dialect *client, const char *body, const struct dialect_upstream *upstream,
     const char *expected, const char *dropped)
{
    struct asking asking;
    asking_read(&asking, client, body);
    for (int i = 0; i < asking.request.unsaid.count; i++)
        canon_drop(&asking.report, asking.request.unsaid.dropped[i]);
    asking_write(&asking, &openai_chat_dialect, upstream);
    assert_int_equal(asking.error, 0);
    assert_string_equal(sink_slice(&asking.out).ptr, expected);
    char names[1024] = "";
    for (int i = 0; i < asking.report.count; i++) {
        strncat(names, i ? " " : "", sizeof(names) - strlen(names) - 1);
        strncat(names, asking.report.dropped[i], sizeof(names) - strlen(names) - 1);
    }
    assert_string_equal(names, dropped);
    asking_close(&asking);
}

#define CODEX                                                                                      \
    "{\"model\":\"m\",\"instructions\":\"be\",\"input\":[{\"role\":\"user\",\"content\":[{"        \
    "\"type\":\"input_text\",\"text\":"                                                            \
    "\"hi\"}]},{\"type\":\"reasoning\",\"id\":\"rs\",\"summary\":[{\"type\":\"summary_text\","     \
    "\"text\":\"hm\"}],"                                                                           \
    "\"encrypted_content\":\"E\"},{\"type\":\"custom_tool_call\",\"call_id\":\"c1\",\"name\":"     \
    "\"patch\",\"input\":\"a\\n\\\"b\\\"\"},"                                                      \
    "{\"type\":\"custom_tool_call_output\",\"call_id\":\"c1\",\"output\":\"ok\"}],"                \
    "\"tools\":[{\"type\":\"custom\",\"name\":\"patch\",\"description\":\"d\",\"format\":{"        \
    "\"type\":\"grammar\",\"syntax\":"                                                             \
    "\"lark\",\"definition\":\"x\"}},{\"type\":\"function\",\"name\":\"f\",\"strict\":true,"       \
    "\"parameters\":{\"type\":"                                                                    \
    "\"object\"}}],\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"required\",\"tools\":[{" \
    "\"type\":\"custom\",\"name\":"                                                                \
    "\"patch\"}]},\"prompt_cache_key\":\"k\",\"text\":{\"verbosity\":\"low\"},\"store\":true,"     \
    "\"metadata\":{\"a\":\"b\"}}"

static void
asks_openai_for_a_responses_client(void **state)
{
    (void)state;
    struct dialect_upstream upstream = {
        .model = SLICE_LIT("up"), .keeps_state = true, .developer_role = true};
    asks(&openai_responses_dialect, CODEX, &upstream,
         "{\"model\":\"up\",\"messages\":[{\"role\":\"system\",\"content\":\"be\"},{\"role\":"
         "\"user\",\"content\":\"hi\"},"
         "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c1\",\"type\":"
         "\"custom\",\"custom\":{\"name\":\"patch\","
         "\"input\":\"a\\n\\\"b\\\"\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":"
         "\"ok\"}],\"stream\":true,"
         "\"verbosity\":\"low\",\"prompt_cache_key\":\"k\",\"store\":true,\"metadata\":{\"a\":"
         "\"b\"},"
         "\"tools\":[{\"type\":\"custom\",\"custom\":{\"name\":\"patch\",\"description\":\"d\","
         "\"format\":{\"type\":\"grammar\","
         "\"grammar\":{\"syntax\":\"lark\",\"definition\":\"x\"}}}},{\"type\":\"function\","
         "\"function\":{\"name\":\"f\",\"parameters\":"
         "{\"type\":\"object\"},\"strict\":true}}],\"tool_choice\":{\"type\":\"allowed_tools\","
         "\"allowed_tools\":{\"mode\":"
         "\"required\",\"tools\":[{\"type\":\"custom\",\"custom\":{\"name\":\"patch\"}}]}}}",
         "thinking");
}

static void
asks_others_for_a_responses_client(void **state)
{
    (void)state;
    struct dialect_upstream upstream = {.model = SLICE_LIT("up"), .replay_reasoning = true};
    asks(&openai_responses_dialect, CODEX, &upstream,
         "{\"model\":\"up\",\"messages\":[{\"role\":\"system\",\"content\":\"be\"},{\"role\":"
         "\"user\",\"content\":\"hi\"},"
         "{\"role\":\"assistant\",\"content\":null,\"reasoning_content\":\"hm\",\"tool_calls\":[{"
         "\"id\":\"c1\",\"type\":\"function\","
         "\"function\":{\"name\":\"patch\",\"arguments\":\"{\\\"input\\\":"
         "\\\"a\\\\n\\\\\\\"b\\\\\\\"\\\"}\"}}]},{\"role\":\"tool\","
         "\"tool_call_id\":\"c1\",\"content\":\"ok\"}],\"stream\":true,"
         "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"patch\",\"description\":\"d\","
         "\"parameters\":{\"type\":"
         "\"object\",\"properties\":{\"input\":{\"type\":\"string\"}},\"required\":[\"input\"]}}}],"
         "\"tool_choice\":\"required\"}",
         "verbosity prompt_cache_key store metadata tools.format");
}

/* A Gemini client's request, whose path says model and stream, written for a Chat upstream. */
static void
ask_for_gemini(struct asking *asking, const char *body, const struct dialect_upstream *upstream)
{
    *asking = (struct asking){.error = 0};
    arena_init(&asking->arena, 8u << 20);
    sink_init(&asking->out, 1u << 20);
    struct canon_request *request = &asking->request;
    *request = (struct canon_request){
        .arena = &asking->arena, .body = slice_from(body), .model = SLICE_LIT("g"), .stream = true};
    assert_int_equal(json_parse(request->body, 64, 10000, &asking->arena, &request->root), 0);
    assert_int_equal(gemini_dialect.outline(request, &asking->fault), 0);
    assert_int_equal(gemini_dialect.read_request(request, &asking->fault), 0);
    asking_write(asking, &openai_chat_dialect, upstream);
}

static void
asks_for_a_gemini_client(void **state)
{
    (void)state;
    static const char body[] =
        "{\"systemInstruction\":{\"parts\":[{\"text\":\"be\"}]},\"contents\":[{\"role\":\"user\","
        "\"parts\":[{\"text\":\"hi\"},"
        "{\"inlineData\":{\"mimeType\":\"audio/"
        "mpeg\",\"data\":\"AAAA\"}}]},{\"role\":\"model\",\"parts\":[{\"functionCall\":{"
        "\"id\":\"c1\",\"name\":\"f\",\"args\":{\"a\":1}},\"thoughtSignature\":\"U0lH\"}]},{"
        "\"role\":\"user\",\"parts\":[{"
        "\"functionResponse\":{\"id\":\"c1\",\"name\":\"f\",\"response\":{\"output\":\"ok\"}}}]}],"
        "\"safetySettings\":[{\"category\":\"HARM_CATEGORY_HARASSMENT\",\"threshold\":\"BLOCK_"
        "NONE\"}]}";
    struct asking asking;
    for (int google = 0; google < 2; google++) {
        struct dialect_upstream upstream = {.model = SLICE_LIT("up"), .thinking_level = google};
        ask_for_gemini(&asking, body, &upstream);
        assert_int_equal(asking.error, 0);
        struct slice out = sink_slice(&asking.out);
        assert_true(text_find(out, SLICE_LIT("{\"type\":\"input_audio\",\"input_audio\":{\"data\":"
                                             "\"AAAA\",\"format\":\"mp3\"}}")) > 0);
        assert_int_equal(
            text_find(
                out, SLICE_LIT("\"extra_content\":{\"google\":{\"thought_signature\":\"U0lH\"}}")) >
                0,
            google);
        assert_int_equal(asking_dropped(&asking, "thought_signature"), !google);
        assert_true(asking_dropped(&asking, "safetySettings"));
        asking_close(&asking);
    }
}

/* A conversation of that many tool calls, each between two others; every %d of a turn is its number. */
static struct slice
conversation(struct sink *body, unsigned calls, const char *turn)
{
    sink_init(body, 16u << 20);
    sink_text(body, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"u\"}");
    for (unsigned i = 0; i < calls; i++) {
        sink_byte(body, ',');
        for (const char *at = turn; *at; at++) {
            if (*at == '#')
                sink_printf(body, "%u", i);
            else
                sink_byte(body, *at);
        }
    }
    sink_text(body, "]}");
    sink_byte(body, '\0');
    assert_int_equal(body->error, 0);
    return sink_slice(body);
}

/* Long conversations take as long as they are, not as long as the square of that. */
static void
does_not_get_lost_in_long_conversations(void **state)
{
    (void)state;
    static const char turn[] = "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"i#\",\"type\":\"function\","
                               "\"function\":{\"name\":\"t\",\"arguments\":\"{}\"}}]},"
                               "{\"role\":\"tool\",\"tool_call_id\":\"i#\",\"content\":\"r\"}";
    static const char same[] = "{\"type\":\"function_call\",\"call_id\":\"same\",\"name\":\"t\",\"arguments\":\"{}\"},"
                               "{\"type\":\"function_call_output\",\"call_id\":\"same\",\"output\":\"r\"}";
    struct sink body;
    struct asking asking;
    struct dialect_upstream upstream = {.model = SLICE_LIT("up"), .replay_reasoning = true};
    clock_t began = clock();
    conversation(&body, 20000, turn);
    asking_read(&asking, &openai_chat_dialect, body.ptr);
    assert_int_equal(asking.error, 0);
    assert_int_equal(openai_chat_dialect.pass_request(&asking.request, &upstream, &asking.out), 0);
    asking_close(&asking);
    sink_fini(&body);
    /* All calls under one id: each is given one of its own, without a try of every number before it. */
    conversation(&body, 20000, same);
    char *name = strstr(body.ptr, "\"messages\"");
    memcpy(name, "   \"input\"", 10);
    asking_read(&asking, &openai_responses_dialect, body.ptr);
    asking_write(&asking, &openai_chat_dialect, &upstream);
    assert_int_equal(asking.error, 0);
    assert_non_null(strstr(asking.out.ptr, "_20000\""));
    asking_close(&asking);
    sink_fini(&body);
    assert_true(clock() - began < 10 * CLOCKS_PER_SEC);
}

/* Each name is looked for among all tools: there may not be any number of them. */
static void
refuses_endless_choices(void **state)
{
    (void)state;
    static const struct {
        const struct dialect *client;
        const char *head, *entry, *tail;
    } rows[] = {
        {&openai_chat_dialect,
         "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"u\"}],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"t\"}}],"
         "\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"auto\",\"tools\":[",
         "{\"type\":\"function\",\"function\":{\"name\":\"t\"}}", "]}}}"},
        {&openai_responses_dialect,
         "{\"model\":\"m\",\"input\":\"u\",\"tools\":[{\"type\":\"function\",\"name\":\"t\"}],"
         "\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"auto\",\"tools\":[",
         "{\"type\":\"function\",\"name\":\"t\"}", "]}}"},
        {&gemini_dialect,
         "{\"model\":\"m\",\"contents\":[{\"parts\":[{\"text\":\"u\"}]}],\"tools\":[{\"functionDeclarations\":[{\"name\":\"t\"}]}],"
         "\"toolConfig\":{\"functionCallingConfig\":{\"mode\":\"ANY\",\"allowedFunctionNames\":[",
         "\"t\"", "]}}}"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        for (unsigned count = CANON_ALLOWED_MAX; count <= CANON_ALLOWED_MAX + 1; count++) {
            struct sink body;
            struct asking asking = {.error = 0};
            sink_init(&body, 16u << 20);
            sink_text(&body, rows[i].head);
            for (unsigned k = 0; k < count; k++)
                sink_printf(&body, "%s%s", k > 0 ? "," : "", rows[i].entry);
            sink_text(&body, rows[i].tail);
            sink_byte(&body, '\0');
            arena_init(&asking.arena, 64u << 20);
            asking.request = (struct canon_request){.arena = &asking.arena, .body = slice_from(body.ptr), .model = SLICE_LIT("m")};
            assert_int_equal(json_parse(asking.request.body, 64, 1u << 20, &asking.arena, &asking.request.root), 0);
            assert_int_equal(rows[i].client->outline(&asking.request, &asking.fault), 0);
            assert_int_equal(rows[i].client->read_request(&asking.request, &asking.fault),
                             count > CANON_ALLOWED_MAX ? -ERR_REQUEST : 0);
            arena_fini(&asking.arena);
            sink_fini(&body);
        }
    }
}

/* OpenRouter's switch is one like the others; a schema without its type is said to be left out. */
static void
leaves_nothing_out_unsaid(void **state)
{
    (void)state;
    struct asking asking;
    struct dialect_upstream upstream = {.model = SLICE_LIT("up")};
    for (int on = 0; on < 2; on++) {
        asking_read(&asking, &openai_chat_dialect,
                    on ? "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"u\"}],\"reasoning\":{\"enabled\":true}}"
                       : "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"u\"}],\"reasoning\":{\"enabled\":false}}");
        assert_int_equal(asking.error, 0);
        assert_int_equal(asking.request.thinking, on ? THINKING_ENABLED : THINKING_DISABLED);
        asking_close(&asking);
    }
    ask_for_gemini(&asking, "{\"contents\":[{\"parts\":[{\"text\":\"u\"}]}],\"generationConfig\":{\"responseSchema\":{\"type\":\"OBJECT\"}}}", &upstream);
    assert_int_equal(asking.error, 0);
    assert_int_equal(asking.request.unsaid.count, 1);
    assert_string_equal(asking.request.unsaid.dropped[0], "responseSchema");
    asking_close(&asking);
}

/* What changes the answer is refused by name. */
static void
refuses_what_it_cannot_say(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"model\":\"m\",\"input\":\"hi\",\"tools\":[{\"type\":\"file_search\",\"vector_store_"
        "ids\":[]}]}",
        "{\"model\":\"m\",\"input\":\"hi\",\"tools\":[{\"type\":\"code_interpreter\",\"container\":"
        "{}}]}",
        "{\"model\":\"m\",\"input\":\"hi\",\"tools\":[{\"type\":\"local_shell\"}]}",
    };
    struct dialect_upstream upstream = {.model = SLICE_LIT("up")};
    for (size_t i = 0; i < countof(bodies); i++) {
        struct asking asking;
        asking_read(&asking, &openai_responses_dialect, bodies[i]);
        asking_write(&asking, &openai_chat_dialect, &upstream);
        assert_int_equal(asking.error, -ERR_UNSUPPORTED);
        assert_true(slice_is(asking.fault.param, "tools"));
        asking_close(&asking);
    }
    static const struct {
        const char *body, *param;
    } rows[] = {
        {"{\"contents\":[{\"role\":\"user\",\"parts\":[{\"inlineData\":{\"mimeType\":\"video/"
         "mp4\",\"data\":\"AAAA\"}}]}]}",
         "contents"},
        {"{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"a\"}]}],\"tools\":[{"
         "\"googleSearch\":{}}]}",
         "tools"},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct asking asking;
        ask_for_gemini(&asking, rows[i].body, &upstream);
        assert_int_equal(asking.error, -ERR_UNSUPPORTED);
        assert_true(slice_is(asking.fault.param, rows[i].param));
        asking_close(&asking);
    }
}

/* What is the default is not said. */
static void
stores_only_when_asked(void **state)
{
    (void)state;
    struct dialect_upstream upstream = {
        .model = SLICE_LIT("up"), .keeps_state = true, .developer_role = true};
    asks(&openai_responses_dialect, "{\"model\":\"m\",\"input\":\"hi\",\"store\":false}", &upstream,
         "{\"model\":\"up\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"stream\":true}",
         "");
}

static void
finds_azure(void **state)
{
    (void)state;
    static const struct {
        const char *base, *model, *version, *target;
        enum dialect_surface surface;
    } rows[] = {
        {"", "dep", "2024-10-21", "/openai/deployments/dep/chat/completions?api-version=2024-10-21",
         SURFACE_AZURE},
        {"/openai", "a b/c", "2024-10-21",
         "/openai/deployments/a%20b%2Fc/chat/completions?api-version=2024-10-21", SURFACE_AZURE},
        {"/p", "dep", "", "/p/openai/deployments/dep/chat/completions", SURFACE_AZURE},
        {"/models", "dep", "v", "/models/chat/completions?api-version=v", SURFACE_AZURE},
        {"/openai/v1", "dep", "", "/openai/v1/chat/completions", SURFACE_PLAIN},
    };
    for (size_t i = 0; i < countof(rows); i++) {
        struct sink out;
        struct dialect_upstream upstream = {.base_path = slice_from(rows[i].base),
                                            .model = slice_from(rows[i].model),
                                            .api_version = slice_from(rows[i].version),
                                            .surface = rows[i].surface};
        sink_init(&out, 4096);
        openai_chat_dialect.put_target(&out, &upstream, true);
        assert_true(slice_is(sink_slice(&out), rows[i].target));
        sink_fini(&out);
    }
}

static void
counts_code_points(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t points;
    } rows[] = {{"", 0},
                {"abc", 3},
                {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 3},
                {"\\n\\\"\\\\", 3},
                {"\\u00e9x", 2},
                {"\\ud83d\\ude00", 1},
                {"\\ude00", 0},
                {"\\ud83d", 1},
                {"a\\", 2}};
    for (size_t i = 0; i < countof(rows); i++)
        assert_int_equal(canon_points(slice_from(rows[i].text)), rows[i].points);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_sources),
        cmocka_unit_test(reads_lists_of_sources),
        cmocka_unit_test(reads_images),
        cmocka_unit_test(reads_token_probabilities),
        cmocka_unit_test(reads_whose_state_it_is),
        cmocka_unit_test(writes_chunks_of_everything),
        cmocka_unit_test(writes_objects_of_everything),
        cmocka_unit_test(asks_openai_for_a_responses_client),
        cmocka_unit_test(asks_others_for_a_responses_client),
        cmocka_unit_test(asks_for_a_gemini_client),
        cmocka_unit_test(does_not_get_lost_in_long_conversations),
        cmocka_unit_test(refuses_endless_choices),
        cmocka_unit_test(leaves_nothing_out_unsaid),
        cmocka_unit_test(refuses_what_it_cannot_say),
        cmocka_unit_test(stores_only_when_asked),
        cmocka_unit_test(finds_azure),
        cmocka_unit_test(counts_code_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
