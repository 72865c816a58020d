/* SPDX-License-Identifier: MIT
 *
 * test_estimate.c - token estimates against counts that providers gave (R62): within 20 %.
 *
 * The small set is written here; the recordings beside the repository are a larger one and are used
 * when they are there.
 */
#include "providers/dialect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static uint64_t
estimate(struct slice body)
{
    struct arena arena;
    struct canon_request request = {.body = body, .from = DIALECT_ANTHROPIC};
    arena_init(&arena, 64u << 20);
    request.arena = &arena;
    uint64_t tokens = 0;
    if (json_parse(body, 64, 1u << 20, &arena, &request.root) == 0) {
        request.model = json_string(json_get(request.root, "model"), &arena);
        tokens = estimate_tokens(&request);
    }
    arena_fini(&arena);
    return tokens;
}

static void
near(const char *body, uint64_t counted)
{
    uint64_t tokens = estimate(slice_from(body));
    uint64_t slack = counted / 5 + 2;
    if (tokens + slack < counted || tokens > counted + slack)
        print_error("%llu, counted %llu: %s\n", (unsigned long long)tokens,
                    (unsigned long long)counted, body);
    assert_true(tokens + slack >= counted && tokens <= counted + slack);
}

#define HAIKU "{\"model\":\"claude-haiku-4-5\",\"messages\":[{\"role\":\"user\",\"content\":"

static void
counts_small_requests(void **state)
{
    (void)state;
    near(HAIKU "\"What is the capital of France?\"}]}", 14);
    near(HAIKU "[{\"type\":\"text\",\"text\":\"What is the capital of France?\"}]}]}", 14);
    near(HAIKU "\"What is the capital of "
               "France?\"}],\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":2048}}",
         43);
    near(HAIKU "\"\"}]}", 7);
}

static void
takes_any_request(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{}",
        "[]",
        "7",
        "{\"messages\":7,\"system\":7,\"tools\":7}",
        "{\"messages\":[7,{\"content\":[7,{\"type\":\"tool_result\",\"content\":7}]}]}",
        "{\"model\":\"m\",\"messages\":[{\"content\":\"\\u\xc3\xa9\"}]}"};
    for (size_t i = 0; i < countof(bodies); i++)
        assert_true(estimate(slice_from(bodies[i])) < 1000);
    uint64_t one = estimate(SLICE_LIT("{\"messages\":[{\"content\":\"word word\"}]}"));
    uint64_t escaped =
        estimate(SLICE_LIT("{\"messages\":[{\"content\":\"\\u0077ord\\u0020word\"}]}"));
    assert_int_equal(one, escaped);
}

/* What is not text counts too, by its kind and size, whatever nobody can count exactly. */
static void
weighs_what_is_not_text(void **state)
{
    static const struct {
        const char *part;
        uint64_t least, most;
    } rows[] = {
        {"{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"data\":\"AAAA\"}}", 300, 3000},
        {"{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":\"https://example.com/a.png\"}}", 300, 3000},
        {"{\"type\":\"document\",\"source\":{\"type\":\"text\",\"data\":\"one two three four five six seven\"}}", 5, 40},
        {"{\"type\":\"document\",\"source\":{\"type\":\"url\",\"url\":\"https://example.com/a.pdf\"}}", 300, 3000},
        {"{\"type\":\"tool_result\",\"tool_use_id\":\"t\",\"content\":[{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"data\":\"AAAA\"}}]}", 300, 3000},
        {"{\"type\":\"text\",\"text\":\"\\u4f60\\u597d \\ud83d\\ude00 \xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x98\x80 \xc3\xa9t\xc3\xa9 12345 --- !!!\"}", 8, 60},
    };
    uint64_t none = estimate(SLICE_LIT("{\"messages\":[{\"role\":\"user\",\"content\":[]}]}"));
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        char body[1024];
        int n = snprintf(body, sizeof body, "{\"messages\":[{\"role\":\"user\",\"content\":[%s]}]}", rows[i].part);
        uint64_t more = estimate(slice_of(body, (size_t)n)) - none;
        assert_in_range(more, rows[i].least, rows[i].most);
    }
    /* A large document weighs what its bytes say, and one that is to be cited more. */
    static char body[400000];
    int head = snprintf(body, sizeof body, "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"document\",\"citations\":{\"enabled\":false},\"source\":{\"type\":\"base64\",\"data\":\"");
    memset(body + head, 'A', 300000);
    int tail = snprintf(body + head + 300000, 100, "\"}}]}]}");
    uint64_t large = estimate(slice_of(body, (size_t)head + 300000 + (size_t)tail));
    assert_in_range(large, 1500, 300000);
    memcpy(strstr(body, "false"), "true ", 5);
    assert_true(estimate(slice_of(body, (size_t)head + 300000 + (size_t)tail)) > large);
    /* Tools that the provider runs are taught to the model, each kind at its own length. */
    static const char *const kinds[] = {"bash_20250124", "web_fetch_20250910", "web_search_20250305"};
    uint64_t before = 0;
    for (size_t i = 0; i < countof(kinds); i++) {
        int n = snprintf(body, sizeof body, "{\"messages\":[],\"tools\":[{\"type\":\"%s\",\"name\":\"x\"}]}", kinds[i]);
        uint64_t tokens = estimate(slice_of(body, (size_t)n));
        assert_true(tokens > before);
        before = tokens;
    }
}

static char *
read_all(const char *folder, const char *name, size_t *len)
{
    char path[1024];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    char *bytes = malloc(4u << 20);
    assert_non_null(bytes);
    *len = fread(bytes, 1, (4u << 20) - 1, file);
    bytes[*len] = '\0';
    (void)fclose(file);
    return bytes;
}

static uint64_t
number_behind(const char *text, const char *name)
{
    const char *at = text ? strstr(text, name) : NULL;
    return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

/* What the provider counted for a recorded request: from the count itself, or from the usage of the
 * reply. */
static uint64_t
counted(const char *folder, const char *stem)
{
    static const char *const kinds[] = {"sse", "json"};
    uint64_t sum = 0;
    for (size_t i = 0; i < countof(kinds) && sum == 0; i++) {
        char name[600];
        size_t len;
        (void)snprintf(name, sizeof(name), "%s.%s", stem, kinds[i]);
        char *reply = read_all(folder, name, &len);
        for (char *at = reply; at && *at; at++) { /* one spelling for both ways to write JSON */
            if (at[0] == ':' && at[1] == ' ')
                memmove(at + 1, at + 2, strlen(at + 2) + 1);
        }
        sum = number_behind(reply, "\"input_tokens\":") +
              number_behind(reply, "\"cache_creation_input_tokens\":") +
              number_behind(reply, "\"cache_read_input_tokens\":");
        free(reply);
    }
    return sum;
}

/* Things that are no text: hosted tools, redacted thoughts made to order, tasks with budgets,
 * made-up usage. */
static bool
ordinary(const char *name, const char *body)
{
    static const char *const not_in_body[] = {
        "_20",      "TRIGGER-STRING-REMOVED", "mcp_servers",      "task_budget",
        "adaptive", "search_result",          "farewell farewell"};
    for (size_t i = 0; i < countof(not_in_body); i++) {
        if (strstr(body, not_in_body[i]))
            return false;
    }
    return !strstr(name, "dd-anthropic-completion-thinking");
}

static void
counts_recorded_requests(void **state)
{
    (void)state;
    char folder[512];
    const char *root = getenv("PENSTOCK_RECORDINGS");
    (void)snprintf(folder, sizeof(folder), "%s/anthropic", root ? root : "../shared/recordings");
    DIR *listing = opendir(folder);
    if (!listing) {
        printf("no recordings beside the repository: nothing compared\n");
        return;
    }
    int all = 0, near_enough = 0;
    for (struct dirent *entry = readdir(listing); entry; entry = readdir(listing)) {
        static const char suffix[] = ".request.json";
        size_t n = strlen(entry->d_name), len;
        if (n <= sizeof(suffix) || strcmp(entry->d_name + n - (sizeof(suffix) - 1), suffix) != 0)
            continue;
        char stem[512];
        (void)snprintf(stem, sizeof(stem), "%.*s", (int)(n - (sizeof(suffix) - 1)), entry->d_name);
        char *body = read_all(folder, entry->d_name, &len);
        uint64_t count = counted(folder, stem);
        if (count > 0 && ordinary(entry->d_name, body)) {
            uint64_t tokens = estimate(slice_of(body, len)), slack = count / 5 + 2;
            bool good = tokens + slack >= count && tokens <= count + slack;
            if (!good)
                printf("%s: %llu, counted %llu\n", stem, (unsigned long long)tokens,
                       (unsigned long long)count);
            all++;
            near_enough += good;
        }
        free(body);
    }
    (void)closedir(listing);
    printf("estimates: %d of %d within 20 %%\n", near_enough, all);
    assert_true(near_enough * 10 >= all * 9);
}

/* ---------------------------------------------------------------- other dialects */

static uint64_t
estimate_of(enum dialect_id id, const char *model, struct slice body)
{
    struct arena arena;
    struct canon_fault fault = {0};
    arena_init(&arena, 256u << 20);
    struct canon_request request = {.body = body, .arena = &arena, .show_thoughts = -1, .parallel = -1};
    if (id == DIALECT_GEMINI)
        request.model = slice_from(model);
    uint64_t tokens = 0;
    if (json_parse(body, 128, 4u << 20, &arena, &request.root) == 0 && dialect_of(id)->outline(&request, &fault) == 0 &&
        dialect_of(id)->read_request(&request, &fault) == 0)
        tokens = estimate_tokens(&request);
    arena_fini(&arena);
    return tokens;
}

static void
counts_small_requests_of_any_dialect(void **state)
{
    static const struct {
        enum dialect_id id;
        uint64_t least, most;
        const char *body;
    } rows[] = {
        {DIALECT_GEMINI, 6, 9, "{\"contents\":[{\"parts\":[{\"text\":\"What is the capital of France?\"}]}]}"},
        {DIALECT_OPENAI_RESPONSES, 11, 17, "{\"model\":\"gpt-4o\",\"input\":\"What is the capital of France?\"}"},
        {DIALECT_OPENAI_CHAT, 11, 17,
         "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"What is the capital of France?\"}]}"},
        {DIALECT_GEMINI, 258, 280,
         "{\"contents\":[{\"parts\":[{\"text\":\"What is this?\"},{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"AAAA\"}}]}]}"},
        {DIALECT_OPENAI_RESPONSES, 85, 110,
         "{\"model\":\"gpt-4o\",\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"What is this?\"},"
         "{\"type\":\"input_image\",\"image_url\":\"https://a.b/c.png\",\"detail\":\"low\"}]}]}"},
        {DIALECT_GEMINI, 12, 40,
         "{\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"Go\"}]},{\"role\":\"model\",\"parts\":[{\"functionCall\":{\"name\":\"look\","
         "\"args\":{\"at\":\"Paris\"}}}]},{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"name\":\"look\",\"response\":{\"x\":1}}}]}]}"},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++)
        assert_in_range(estimate_of(rows[i].id, "gemini-2.5-flash", slice_from(rows[i].body)), rows[i].least, rows[i].most);
}

/* What is plain text and plain functions. Hosted tools and media are counted by rules of their own. */
static bool
is_plain(const char *body)
{
    static const char *const not_in_body[] = {"_search", "code_interpreter", "\"mcp\"", "googleSearch", "urlContext", "codeExecution",
                                              "input_file", "input_image", "image_url", "inlineData", "fileData", "input_audio",
                                              "cachedContent", "\"file\"", "image_generation"};
    for (size_t i = 0; i < countof(not_in_body); i++) {
        if (strstr(body, not_in_body[i]))
            return false;
    }
    return true;
}

static uint64_t
reported(const char *folder, const char *stem, const char *name)
{
    static const char *const kinds[] = {"sse", "json"};
    uint64_t last = 0;
    for (size_t i = 0; i < countof(kinds) && last == 0; i++) {
        char file[600];
        size_t len;
        (void)snprintf(file, sizeof(file), "%s.%s", stem, kinds[i]);
        char *reply = read_all(folder, file, &len);
        for (char *at = reply; at && (at = strstr(at, name)) != NULL;) {
            at += strlen(name);
            uint64_t value = strtoull(at + strspn(at, " "), NULL, 10);
            last = value ? value : last;
        }
        free(reply);
    }
    return last;
}

/* A fifth, and thirty tokens for what services say to their models unseen. */
/* The same of the other dialects, whose parts are read first. */
static void
weighs_what_is_not_text_in_any_dialect(void **state)
{
    static const struct {
        enum dialect_id from;
        const char *part;
        uint64_t least, most;
    } rows[] = {
        {DIALECT_OPENAI_CHAT, "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,AAAA\"}}", 50, 3000},
        {DIALECT_OPENAI_CHAT, "{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://example.com/a.png\",\"detail\":\"low\"}}", 50, 3000},
        {DIALECT_OPENAI_CHAT, "{\"type\":\"input_audio\",\"input_audio\":{\"format\":\"wav\",\"data\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}}", 0, 100},
        {DIALECT_OPENAI_CHAT, "{\"type\":\"file\",\"file\":{\"file_id\":\"file-1\"}}", 300, 3000},
        {DIALECT_OPENAI_CHAT, "{\"type\":\"refusal\",\"refusal\":\"no no no no no no no\"}", 4, 20},
        {DIALECT_OPENAI_CHAT, "{\"type\":\"video_url\",\"video_url\":{\"url\":\"https://example.com/a.mp4\"}}", 300, 3000},
    };
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        char body[1024];
        int n = snprintf(body, sizeof body, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"\"},%s]}]}", rows[i].part);
        uint64_t none = estimate_of(rows[i].from, "m", SLICE_LIT("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"\"}]}]}"));
        assert_true(n < (int)sizeof body);
        assert_in_range(estimate_of(rows[i].from, "m", slice_from(body)) - none, rows[i].least, rows[i].most);
    }
}

static void
counts_recorded_requests_of_any_dialect(void **state)
{
    static const struct {
        const char *folder, *count;
        enum dialect_id id;
    } rows[] = {
        {"openai-chat", "\"prompt_tokens\":", DIALECT_OPENAI_CHAT},  {"ollama", "\"prompt_tokens\":", DIALECT_OPENAI_CHAT},
        {"deepseek", "\"prompt_tokens\":", DIALECT_OPENAI_CHAT},     {"gemini", "\"promptTokenCount\":", DIALECT_GEMINI},
        {"vertex-gemini", "\"promptTokenCount\":", DIALECT_GEMINI}, {"openai-responses", "\"input_tokens\":", DIALECT_OPENAI_RESPONSES},
    };
    const char *root = getenv("PENSTOCK_RECORDINGS");
    int all = 0, near_enough = 0;
    (void)state;
    for (size_t i = 0; i < countof(rows); i++) {
        char folder[512];
        (void)snprintf(folder, sizeof(folder), "%s/%s", root ? root : "../shared/recordings", rows[i].folder);
        DIR *listing = opendir(folder);
        for (struct dirent *entry = listing ? readdir(listing) : NULL; entry; entry = readdir(listing)) {
            static const char suffix[] = ".request.json";
            size_t n = strlen(entry->d_name), len = 0;
            if (n <= sizeof(suffix) || strcmp(entry->d_name + n - (sizeof(suffix) - 1), suffix) != 0)
                continue;
            char stem[512];
            (void)snprintf(stem, sizeof(stem), "%.*s", (int)(n - (sizeof(suffix) - 1)), entry->d_name);
            char *body = read_all(folder, entry->d_name, &len);
            uint64_t count = reported(folder, stem, rows[i].count);
            uint64_t tokens = estimate_of(rows[i].id, "gemini-2.5-flash", slice_of(body, len)), slack = count / 5 + 30;
            if (count > 0 && tokens > 0 && is_plain(body)) {
                all++;
                near_enough += tokens + slack >= count && tokens <= count + slack;
            }
            free(body);
        }
        if (listing)
            (void)closedir(listing);
    }
    printf("estimates of other dialects: %d of %d within 20 %% and 30 tokens\n", near_enough, all);
    assert_true(near_enough * 10 >= all * 8);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_small_requests),
        cmocka_unit_test(takes_any_request),
        cmocka_unit_test(weighs_what_is_not_text),
        cmocka_unit_test(counts_recorded_requests),
        cmocka_unit_test(counts_small_requests_of_any_dialect),
        cmocka_unit_test(counts_recorded_requests_of_any_dialect),
        cmocka_unit_test(weighs_what_is_not_text_in_any_dialect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
